"""What is said of the events of Snakemake's log."""

import io
import logging

import pytest
from pharmasl.workflow import failures
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
    assert "1 jobs: Anatomy (1 job)" in run.text
    assert "Anatomy: done (1 job, 2 min)" in run.text
    assert "Select" not in run.text
    assert "Building" not in run.text
    assert run.text.count("closing words") == 1
    (ending,) = run.endings
    assert (ending.failed, ending.interrupted, ending.took, ending.command) == (False, False, "2 min", "./run")


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


def test_an_interruption_is_no_failure(log):
    run = Run()
    run.start(prepare_anatomy=1)
    run.job(1)
    run.message("Terminating processes on user request, this might take some time.")
    run.fail(1, log)
    run.message("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR, "error")
    run.log.close()
    assert "failed" not in run.text
    assert run.endings[0].interrupted


def test_an_interruption_before_the_first_job_says_how_to_start():
    run = Run()
    run.message("Cancelling snakemake on user request.", logging.ERROR, "error", exception="KeyboardInterrupt")
    run.log.close()
    assert run.text == "Stopped before the first job. To start: ./run\n"


def test_an_error_of_the_plan_is_said_without_the_line_of_the_rules_file():
    run = Run()
    text = 'WorkflowError in file "/x/rules/common.smk", line 81:\nbids_dir: found 1, expected a folder.'
    run.message(text, logging.ERROR, "error", exception="WorkflowError")
    run.log.close()
    assert run.text == "bids_dir: found 1, expected a folder.\n"


def test_a_dry_run_prints_stages_and_their_jobs_once():
    run = Run(dryrun=True)
    run.start(prepare_anatomy=12, normalise_anatomy=12, segment_anatomy=12, report=1, all=1)
    run.job(1)
    run.start(prepare_anatomy=12)
    run.log.close()
    lines = [line.split() for line in run.text.splitlines()[:4]]
    assert lines == [
        ["stage", "jobs"],
        ["Anatomy", "36", "12", "people"],
        ["Report", "1", "1", "step"],
        ["in", "all", "37"],
    ]
    assert run.text.count("in all") == 1
    assert not run.endings


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
