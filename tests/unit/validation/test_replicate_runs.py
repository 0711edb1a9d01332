"""Replicates as they are run: what fails is counted, what was stopped goes on, and what is emptied can still be counted."""

import dataclasses
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pharmasl.commands import validate
from pharmasl.errors import InputError
from pharmasl.validation import replicate_runs, replicates, study_counts
from pharmasl.validation.replicate_runs import Means
from pharmasl.validation.replicates import CONFOUNDED, NOTHING, PLANTED

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "config/twin.yaml"]
MEANS = Means(ROOT, "1", keep_files=False, try_again=False)


@pytest.fixture(scope="module")
def variants():
    names = ("plain", "null", "transit", "global_flow")
    return {name: validate.variant_of(name, FILES, ROOT / "config/twin") for name in names}


@pytest.fixture
def replicate(variants, tmp_path):
    (one,) = replicates.numbered([variants["plain"]], {"plain": 1}, tmp_path)
    return one


def stages(monkeypatch, **programs):
    """In place of the workflow's commands, a line of Python for each stage."""

    def command(replicate, means, stage):
        return [sys.executable, "-c", programs.get(stage, "print('done')")]

    monkeypatch.setattr(replicate_runs, "_command", command)
    monkeypatch.setattr(replicate_runs, "_collect", lambda replicate: None)


def run(replicate, means=MEANS):
    said = []
    return replicate_runs.run(replicate, means, said.append), said


def test_the_variants_are_what_their_files_say(variants):
    assert {name: variant.kind for name, variant in variants.items()} == {
        "plain": PLANTED,
        "null": NOTHING,
        "transit": CONFOUNDED,
        "global_flow": CONFOUNDED,
    }


def test_replicates_of_one_number_are_the_same_people_and_come_together(variants, tmp_path):
    own = replicates.numbered([variants["plain"], variants["null"]], {"plain": 2, "null": 1}, tmp_path)
    assert [(one.variant.name, one.number) for one in own] == [("plain", 1), ("null", 1), ("plain", 2)]
    assert own[0].seed == own[1].seed == own[2].seed - 1
    own[2].folder.mkdir(parents=True)
    own[2].write_settings()
    written = yaml.safe_load((own[2].folder / replicates.CONFIGURATION).read_text())
    assert written["simulate"] == {"truth_dir": "truth", "seed": own[2].seed}


def test_a_replicate_that_fails_is_counted_and_not_run_again_unless_asked(monkeypatch, replicate):
    stages(monkeypatch, analyse="print('the scan is damaged'); raise SystemExit(3)")
    record, said = run(replicate)
    assert (record.status, record.failed_at, said) == ("failed", "analyse", ["simulate", "analyse"])
    assert "status 3" in record.reason
    assert "the scan is damaged" in record.reason
    assert run(replicate) == (record, [])
    (counted,) = study_counts.went([replicate])
    assert (counted.asked, counted.finished, counted.failed, len(counted.reasons)) == (1, 0, 1, 1)
    stages(monkeypatch)
    again, _ = run(replicate, Means(ROOT, "1", keep_files=False, try_again=True))
    assert (again.status, again.failures) == ("finished", 1)
    (counted,) = study_counts.went([replicate])
    assert (counted.finished, counted.failed, counted.tried_again) == (1, 0, 1)


def test_a_replicate_that_was_stopped_is_neither_and_goes_on(monkeypatch, replicate):
    stages(monkeypatch, analyse="raise SystemExit(130)")
    with pytest.raises(KeyboardInterrupt):
        run(replicate)
    assert replicates.read_record(replicate.folder) is None
    (counted,) = study_counts.went([replicate])
    assert (counted.asked, counted.finished, counted.failed) == (1, 0, 0)
    stages(monkeypatch)
    assert run(replicate)[0].status == "finished"


def test_errors_that_cannot_be_read_fail_the_replicate(monkeypatch, replicate):
    stages(monkeypatch)
    monkeypatch.undo()
    monkeypatch.setattr(replicate_runs, "_command", lambda *_: [sys.executable, "-c", ""])
    record, _ = run(replicate)
    assert (record.status, record.failed_at) == ("failed", "collect")


def test_a_finished_replicate_keeps_what_is_counted_and_nothing_that_is_large(monkeypatch, replicate):
    kept = [
        "comparison.tsv",
        "truth/effects.tsv",
        "results/quality/scans.tsv",
        "results/group/rest/contrast-rest_inference.json",
        "results/trial/verdict.tsv",
        "errors.npz",
    ]
    gone = [
        "bids/sub-01/perf/sub-01_asl.nii.gz",
        "truth/sub-01/perf/sub-01_cbf.nii.gz",
        "truth/sub-01/perf/sub-01_xfm.txt",
        "results/sub-01/perf/sub-01_cbf.nii.gz",
        "results/group/rest/contrast-rest_stat-t_statmap.nii.gz",
        "results/report/index.html",
        ".snakemake/metadata/x",
    ]
    for name in [*kept, *gone]:
        path = replicate.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    stages(monkeypatch)
    run(replicate)
    there = {path.relative_to(replicate.folder).as_posix() for path in replicate.folder.rglob("*") if path.is_file()}
    assert there == {*kept, replicates.CONFIGURATION, replicates.RECORD, replicates.LOG}
    assert not (replicate.folder / "truth/sub-01").exists()


def test_costs_are_those_of_the_stage_and_its_own_processes(monkeypatch, replicate):
    busy = "import time; start = time.process_time()\nwhile time.process_time() < start + .5: pass"
    # One is not waited for, as the process from which jobs are forked.
    start = f"subprocess.Popen([sys.executable, '-c', '''{busy}'''])"
    stages(monkeypatch, simulate=f"import subprocess, sys; {start}; {start}.wait()")
    record, _ = run(replicate)
    assert record.costs["simulate"].cpu_seconds >= 1
    assert record.costs["compare"].cpu_seconds < 0.5


def test_what_cannot_be_counted_is_refused(variants, tmp_path):
    with pytest.raises(InputError, match="one of plain"):
        validate.variant_of("nul", FILES, ROOT / "config/twin")
    with pytest.raises(InputError, match="exact"):
        validate.variant_of("plain", [ROOT / "config/demo.yaml"], ROOT / "config/twin")
    for words in (["0"], ["two"], ["1", "2"]):
        with pytest.raises(InputError, match="replicates"):
            validate._numbers("--replicates", words, ["plain", "null", "transit"], least=1)
    assert validate._numbers("--bank", ["2"], ["plain", "null"], least=0) == {"plain": 2, "null": 2}
    assert validate._numbers("--bank", ["500", "0"], ["null", "plain"], least=0) == {"null": 500, "plain": 0}


def test_the_command_line_asks_for_the_replicates_own_folder(replicate):
    command = replicate_runs._command(replicate, MEANS, "analyse")
    assert command[-2:] == ["--", "all"]
    assert str(ROOT / "Snakefile") in command
    assert command[command.index("--configfile") + 2] == replicates.CONFIGURATION
    assert SimpleNamespace(**replicate.settings()).output_dir == "results"


def test_a_trial_of_other_settings_is_not_counted(variants, replicate, monkeypatch):
    stages(monkeypatch)
    run(replicate)
    replicates.check_same([replicate])
    other = dataclasses.replace(replicate, variant=dataclasses.replace(variants["null"], name="plain"))
    with pytest.raises(InputError, match="of other settings") as refused:
        replicates.check_same([other])
    # What the message offers is taken.
    replicates.check_same([other], [str(refused.value).split("--accept ")[1].rstrip(".")])


def test_a_folder_from_elsewhere_is_the_trial_that_it_says(replicate, monkeypatch, tmp_path):
    """A copy under its own number is counted; under another one it would be counted twice."""
    stages(monkeypatch)
    run(replicate)
    home = replicates.Replicate(replicate.variant, 1, tmp_path / "copied/plain/0001")
    shutil.copytree(replicate.folder, home.folder)
    replicates.check_same([home])
    assert replicates.read_record(home.folder) == replicates.read_record(replicate.folder)
    twice = replicates.Replicate(replicate.variant, 2, tmp_path / "copied/plain/0002")
    shutil.copytree(replicate.folder, twice.folder)
    with pytest.raises(InputError, match="number: found 1, expected 2"):
        replicates.check_same([home, twice])
