"""What is said of the events of Snakemake's log."""

import io
import logging

import pytest
from pharmasl.workflow import dry_run, failures
from pharmasl.workflow.run_log import RunLog, Wishes
from pharmasl.workflow.screens import PlainScreen
from pharmasl.workflow.stages import Part


class Run:
    """A log whose clock is set by hand."""

    def __init__(self, part=None, **wishes):
        self.now, self.stream = 0.0, io.StringIO()
        clock = lambda: self.now  # noqa: E731
        self.log = RunLog(PlainScreen(self.stream, 0.0, clock), Wishes(command="./run", **wishes), 0.0, part, clock)
        self.endings = []
        self.log.closes_with(lambda ending: self.endings.append(ending) or "closing words")

    def event(self, name, **fields):
        self.log.take(name, logging.INFO, "", fields)

    def message(self, text, level=logging.INFO, event=None, **fields):
        self.log.take(event, level, text, fields)

    def start(self, **counts):
        self.event("workflow_started")
        self.event("resources_info", cores=2)
        self.event("run_info", stats={**counts, "total": sum(counts.values())})

    def job(self, number, rule="prepare_anatomy", **fields):
        words = {"rule_msg": "Masking: sub-01/anat/sub-01", "threads": 1, "wildcards": {"anat": "sub-01/anat/sub-01"}}
        self.event("job_info", jobid=number, rule_name=rule, **{**words, **fields})

    def fail(self, number, log, others=(), **fields):
        self.message("RuleException:\nCalledProcessError in file", logging.ERROR, "error")
        words = {"rule_name": "prepare_anatomy", "rule_msg": None, "log": [str(log), *others]}
        self.event("job_error", jobid=number, **{**words, **fields})

    @property
    def text(self):
        return self.stream.getvalue()


@pytest.fixture
def log(tmp_path):
    """A job's log, with the marker of wrong input beside it."""
    path = tmp_path / "sub-01.log"
    reason = "a.nii.gz: intensities: found 'all 0', expected an image. Export it again."
    failures.record(path, failures.Failure("prepare_anatomy sub-01", reason, True, "x"))
    return path


def test_a_run_begins_with_what_it_does_and_ends_with_the_closing_words():
    run = Run()
    run.message("Building DAG of jobs...")
    run.start(prepare_anatomy=1, all=1)
    run.message("Select jobs to execute...")
    run.job(1)
    run.now = 90
    run.event("job_finished", job_id=1)
    run.log.close()
    run.log.close()
    assert "1 job: Anatomy (1 job)" in run.text
    assert "Anatomy: done (1 job, 2 min)" in run.text
    assert "Select" not in run.text
    assert "Building" not in run.text
    assert run.text.count("closing words") == 1
    (ending,) = run.endings
    assert (ending.failed, ending.took, ending.command) == (False, "2 min", "./run")


def test_wrong_input_is_said_once_however_often_it_is_tried(log):
    run = Run()
    run.start(prepare_anatomy=1)
    for attempt in range(2):
        run.job(1)
        run.fail(1, log)
        if attempt == 0:
            run.message("Trying to restart job 1.")
    run.message("Exiting because a job execution failed. Look above", logging.ERROR)
    run.message("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR, "error")
    run.log.close()
    assert run.text.count("prepare_anatomy sub-01 failed: a.nii.gz: intensities") == 1
    assert "CalledProcess" not in run.text
    assert "again" not in run.text.split("\n", 1)[1].split("closing")[0].replace("Export it again.", "")
    assert run.endings[0].failed


def test_a_killed_job_is_said_to_be_tried_again_with_the_clusters_word_and_log(tmp_path):
    path = tmp_path / "sub-01.log"
    failures.record(path, failures.Failure("prepare_anatomy sub-01", failures.KILLED, False, "x"))
    run = Run()
    run.start(prepare_anatomy=1)
    run.job(1)
    run.fail(1, path, rule_msg="SLURM-job '7' failed, SLURM status is: OUT_OF_MEMORY", others=["slurm/7.log"])
    run.message("Trying to restart job 1.")
    run.job(1)
    run.event("job_finished", job_id=1)
    run.log.close()
    assert "OUT_OF_MEMORY (log: slurm/7.log); it is tried again" in run.text
    assert not run.endings[0].failed


def test_jobs_of_one_cluster_job_fail_as_those_that_left_a_word(tmp_path, log):
    run = Run()
    run.start(prepare_anatomy=2, normalise_anatomy=2)
    other = tmp_path / "sub-02.log"
    failures.record(other, failures.Failure("prepare_anatomy sub-02", failures.KILLED, False, "x"))
    for attempt in range(2):
        for first, path in ((1, log), (3, other)):
            members = [
                {"rule_name": "prepare_anatomy", "jobid": first, "log": [str(path)]},
                {"rule_name": "normalise_anatomy", "jobid": first + 1, "log": [str(tmp_path / "never.log")]},
            ]
            for member in members:
                run.job(member["jobid"], member["rule_name"])
            run.event("group_error", job_error_info=members, aux_logs=[f"slurm/{first}.log"])
            for member in members:
                run.event("job_error", rule_msg=None, **member)
        if attempt == 0:
            run.message("Trying to restart job b26cda3f-c271.")
            run.message("Trying to restart job 5eff0000-0000.")
    assert run.log.progress.rows(0)[0].failed == 2
    run.log.close()
    assert run.text.count("prepare_anatomy sub-01 failed: a.nii.gz") == 1
    assert "prepare_anatomy sub-02 failed: it left no word (log: slurm/3.log); it is tried again" in run.text
    assert run.text.count("prepare_anatomy sub-02 failed") == 2
    assert "normalise_anatomy" not in run.text


def test_failures_that_come_together_are_told_apart(tmp_path, log):
    """Errors of two jobs, then the word that each is tried again."""
    other = tmp_path / "sub-02.log"
    failures.record(other, failures.Failure("prepare_anatomy sub-02", "MemoryError: ", False, "x"))
    run = Run()
    run.start(prepare_anatomy=2)
    run.job(1)
    run.job(2)
    run.fail(1, log)
    run.fail(2, other)
    run.message("Trying to restart job 1.")
    run.message("Trying to restart job 2.")
    assert "sub-01" not in run.text
    assert "prepare_anatomy sub-02 failed: MemoryError: ; it is tried again" in run.text
    run.job(1)
    run.fail(1, log)
    assert "sub-01" not in run.text
    run.now = 10
    run.job(2)
    assert run.text.count("prepare_anatomy sub-01 failed: a.nii.gz") == 1


def test_a_warning_is_given_once():
    run = Run()
    for _ in range(3):
        run.message("No SLURM account given, trying to guess.", logging.WARNING)
    assert run.text.count("SLURM") == 1


def test_an_interruption_is_no_failure(log):
    run = Run()
    run.start(prepare_anatomy=1)
    run.job(1)
    run.message("Terminating processes on user request, this might take some time.")
    run.fail(1, log)
    run.message("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR, "error")
    run.log.close()
    lines = run.text.strip().splitlines()
    assert lines[-1] == "Stopped after 1 s; what is done is kept. To go on: ./run"
    assert "failed" not in run.text
    assert not run.endings


def test_an_interruption_before_the_first_job_says_how_to_start():
    run = Run()
    run.message("Cancelling snakemake on user request.", logging.ERROR, "error", exception="KeyboardInterrupt")
    run.log.close()
    assert run.text == "\nStopped before the first job. To start: ./run\n"


def test_an_error_of_the_plan_is_said_without_the_line_of_the_rules_file():
    run = Run()
    text = 'WorkflowError in file "/x/rules/common.smk", line 81:\nbids_dir: found 1, expected a folder.'
    run.message(text, logging.ERROR, "error", exception="WorkflowError")
    run.log.close()
    assert run.text == "bids_dir: found 1, expected a folder.\n"


def test_a_dry_run_prints_stages_and_their_jobs_once():
    run = Run(dryrun=True)
    run.start(prepare_anatomy=12, normalise_anatomy=12, segment_anatomy=12, report=1, all=1)
    run.job(1, reason="Missing output files: a.nii.gz, b.nii.gz")
    run.start(prepare_anatomy=12)
    run.log.close()
    lines = [line.split() for line in run.text.splitlines()[:4]]
    assert lines == [
        ["stage", "jobs", "units", "why"],
        ["Anatomy", "36", "12", "people", "not", "there", "yet"],
        ["Report", "1"],
        ["in", "all", "37"],
    ]
    assert run.text.count("in all") == 1
    assert not run.endings


def test_a_dry_run_that_fails_prints_no_table():
    run = Run(dryrun=True)
    run.start(prepare_anatomy=12)
    run.message("WorkflowError:\nsomething", logging.ERROR, "error")
    run.log.close()
    assert "stage" not in run.text


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (
            ["Missing output files: a; Params have changed since last execution: x"],
            ["settings or code changed", "not there yet"],
        ),
        (["Input files updated by another job: a"], ["after other jobs"]),
        (["Input files updated by another job: a", "Forced execution"], ["asked for anew"]),
        ([], []),
    ],
)
def test_reasons_in_plain_words(reasons, words):
    assert dry_run.in_words(reasons) == words


def test_quietness():
    run = Run(progress=False)
    run.start(prepare_anatomy=1)
    run.message("A warning", logging.WARNING)
    run.log.close()
    assert run.text.split("\n") == ["A warning", "", "closing words", ""]
    run = Run(silent=True, progress=False)
    run.start(prepare_anatomy=1)
    run.log.close()
    assert run.text == ""


def test_with_all_of_snakemake_shown_only_the_last_words_are_said(log):
    run = Run(full=True)
    run.start(prepare_anatomy=1)
    run.job(1)
    run.fail(1, log)
    run.log.close()
    assert run.text == "\nclosing words\n"


def test_nothing_to_be_done():
    run = Run()
    run.message("Nothing to be done (all requested files are present and up to date).")
    run.log.close()
    assert run.text.startswith("Nothing to be done")
    assert len(run.endings) == 1


def test_what_other_commands_of_snakemake_say_is_passed_on():
    run = Run()
    run.message("Unlocked working directory.")
    run.log.close()
    assert run.text == "Unlocked working directory.\n"
    assert not run.endings


def test_environments_that_are_made_are_named():
    run = Run()
    run.start(prepare_anatomy=1)
    run.message("Creating conda environment envs/imaging.yaml...", module="conda")
    run.message("Using shell: /usr/bin/bash", module="workflow")
    assert "Creating conda environment" in run.text
    assert "shell" not in run.text


def test_of_several_parts_the_last_one_closes():
    run = Run(part=Part("Simulating the trial", later=100))
    run.start(simulate_trial=1)
    run.log.close()
    assert "Simulating the trial\n" in run.text
    assert not run.endings
