"""The way of a new user with a dataset of another shape than the manual's: help, a configuration, the study before any job."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import finished
import pytest
from loading import ROOT
from other_trial import dataset


class Terminal:
    """A folder in which ./run is called, with the environment that runs these tests."""

    def __init__(self, folder, clone=ROOT):
        self.folder, self.clone = folder, clone

    def run(self, *arguments, status=0):
        venv = Path(sys.prefix)
        environment = {**os.environ, "PHARMASL_VENV": str(venv), "NO_COLOR": "1"}
        done = subprocess.run(
            [str(self.clone / "run"), *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        text = done.stdout + done.stderr
        assert "Traceback" not in text
        assert done.returncode == status, text
        return " ".join(text.split()) if status else text


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    stamp = Path(sys.prefix) / ".installed"
    locked = (ROOT / "requirements.lock").read_bytes()
    lock = subprocess.run(["cksum"], input=locked, capture_output=True, check=True).stdout.decode()
    if not stamp.exists() or stamp.read_text().strip() != lock.strip():
        pytest.skip("./run would install into the environment of these tests, which it has not made")
    folder = tmp_path_factory.mktemp("newcomer")
    dataset(folder / "data")
    return Terminal(folder)


def test_help_and_version_are_the_projects_own(terminal):
    text = terminal.run("--help")
    assert terminal.run() == terminal.run("help") == text
    assert len(text.splitlines()) < 50
    assert "./run init BIDS_DIR" in text
    assert terminal.run("--version").startswith("pharmasl 0.")
    assert "--rerun-incomplete" in terminal.run("snakemake", "--help")


def test_a_configuration_that_is_not_there_is_no_traceback(terminal):
    assert "no such file" in terminal.run("--configfile", "none.yaml", "-n", status=2)
    assert "./run init BIDS_DIR" in terminal.run("check", status=2)


def test_a_dry_run_of_the_demo_ends_where_nothing_is_simulated(terminal, tmp_path):
    clone = finished.checkout(tmp_path / "clone")
    for name in ("run", "requirements.lock"):
        shutil.copy2(ROOT / name, clone)
    text = Terminal(tmp_path, clone).run("demo", "-n")
    assert re.search(r"Simulation +13 ", text)
    assert "once the trial has been simulated" in text
    assert not (clone / "demo").exists()


def test_from_a_dataset_to_a_plan_in_three_commands(terminal):
    text = terminal.run("init", "data")
    assert "8 things to check" in text
    assert "arms drug and sham (group), states rest, cue_drug, cue_neutral" in text
    text = terminal.run("check")
    for line in (
        "People: 10 with scans, 10 in participants.tsv",
        "  drug         5      4              4",
        "  sub-S104   no T1w: the template takes its place",
        "  sub-S107   not scanned at post",
        "rest_by_arm                4 drug, 5 sham   126 relabellings: no p below 0.0079",
        "Next: ./run --configfile study.yaml",
    ):
        assert line in text, text
    planned = int(re.search(r"(\d+) jobs: ", text)[1])
    assert re.search(r"about \d+ (seconds|minutes) on \d+ core", text)
    assert re.search(r"about \d\.\d GB of results in results", text)
    plan = terminal.run("--configfile", "study.yaml", "-n", "--quiet", "host")
    assert str(planned) in plan or str(planned + 1) in plan
    assert "Nothing is overwritten" in terminal.run("init", "data", status=2)


def test_two_people_are_planned_to_their_page(terminal):
    if not (terminal.folder / "study.yaml").exists():
        terminal.run("init", "data")
    for chosen in ("S101,S104", "sub-S101,sub-S104", "[S101, S104]"):
        text = terminal.run("check", "--config", f"participants={chosen}")
        assert "A pilot of 2 participants: their scans, contrasts and regions, without rest_by_arm" in text
        planned = dict(re.findall(r"(anatomy|perfusion|quality|group analyses|report) (\d+)", text))
        assert set(planned) == {"anatomy", "perfusion", "quality", "report"}
        assert planned["perfusion"] == "24"
