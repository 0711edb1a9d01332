"""Runs through ./run as a user sees them: in a pipe, on a terminal, with jobs that fail, and stopped by Ctrl-C."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from loading import ROOT

# The environment that the tests run in, for ./run to use as it is.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "TERM": "xterm-256color",
    "COLUMNS": "150",
}
SNAKEMAKE = [
    sys.executable,
    "-m",
    "snakemake_logger_plugin_pharmasl",
    "--logger",
    "pharmasl",
    "--snakefile",
    str(ROOT / "Snakefile"),
]
SNAKEMAKE += ["--configfile", "config.yaml", "--cores", "2"]


# Makes one of two imports endless and says when it comes: one of Snakemake's own, one of the rules.
LOUD = """
import importlib.abc, os, sys, time

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        word = {"snakemake.api": "STARTING", "pharmasl.workflow.plan": "READING"}.get(name)
        if word and word == os.environ["STOP_AT"]:
            print(word, file=sys.stderr, flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


@pytest.fixture
def environment():
    profile = str(ROOT / "profiles/default")
    return {
        **ENVIRONMENT,
        "PHARMASL_PROFILE": profile,
        "PYTHONPATH": str(ROOT / "scripts"),
        "PHARMASL_COMMAND": "./run --configfile config.yaml",
    }


@pytest.fixture
def damaged(small):
    """Two of four participants have a T1w without any intensities; no other image can be read either."""
    for number in (1, 3):
        name = f"sub-{number:02d}"
        path = small.folder / f"bids/{name}/ses-T1/anat/{name}_ses-T1_T1w.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.diag([4.0, 4, 4, 1])), path)
    return small.folder


def anatomy(*numbers):
    return [f"results/sub-0{number}/anat/sub-0{number}_desc-preproc_T1w.nii.gz" for number in numbers]


def in_pipe(folder, environment, *arguments):
    return subprocess.run([*SNAKEMAKE, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def on_terminal(folder, environment, *arguments, stop_at=None):
    """What is written to a terminal, and the status; Ctrl-C is typed once ``stop_at`` is read."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(folder)
        # Where the suite runs in the background, interrupts are ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(SNAKEMAKE[0], [*SNAKEMAKE, *arguments], environment)
    text, began = "", time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 120:
            if select.select([terminal], [], [], 1)[0]:
                text += os.read(terminal, 65536).decode(errors="replace")
            if stop_at and stop_at in text:
                os.write(terminal, b"\x03")
                stop_at = None
    os.close(terminal)
    return text, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


@pytest.mark.slow
def test_in_a_pipe_a_failure_is_said_once_in_full(damaged, environment):
    done = in_pipe(damaged, environment, "results/study/scans.tsv", *anatomy(1, 3))
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert "\x1b" not in text
    assert "Traceback" not in text
    assert "3 jobs: Study, template (1 step); Anatomy (2 jobs)" in text
    # Once shortly when it happens, once in full at the end.
    for number in (1, 3):
        name = f"bids/sub-0{number}/ses-T1/anat/sub-0{number}_ses-T1_T1w.nii.gz"
        assert text.count(f"prepare_anatomy sub-0{number} failed: {name}") == 1
        assert text.count(name) == 2
    assert text.count("export it again") == 2
    assert text.splitlines()[-1].endswith("./run --configfile config.yaml")
    assert max(map(len, text.splitlines())) <= 130
    assert (damaged / "results/logs/failures.txt").exists()


@pytest.mark.slow
def test_on_a_terminal_there_are_bars_and_nothing_breaks_them(damaged, environment):
    text, status = on_terminal(damaged, environment, "results/study/scans.tsv", *anatomy(1))
    assert status == 1
    shown = plain(text)
    assert "━" in shown
    assert "Correcting bias and masking the brain: sub-01" in shown
    assert "Traceback" not in shown
    assert shown.count("export it again") == 1
    assert "\x1b[31m" in text


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_leaves_no_lock(small, environment):
    target = "results/template/tpl-MNI152NLin2009aSym_res-2_T1w.nii.gz"
    text, status = on_terminal(small.folder, {**environment, "NO_COLOR": "1"}, target, stop_at="Preparing the template")
    assert status == 1
    assert "Traceback" not in text
    assert "failed" not in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    last = plain(text).strip().splitlines()[-1]
    assert re.fullmatch(r"Stopped after .*; what is done is kept. To go on: ./run --configfile config.yaml", last)
    assert not list((small.folder / ".snakemake/locks").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", ["STARTING", "READING"])
def test_ctrl_c_before_the_first_job_is_one_line(small, environment, stop_at):
    """While Snakemake is imported, and while the rules read the study."""
    sites = small.folder / "site"
    sites.mkdir()
    (sites / "sitecustomize.py").write_text(LOUD)
    path = f"{environment['PYTHONPATH']}{os.pathsep}{sites}"
    environment = {**environment, "PYTHONPATH": path, "STOP_AT": stop_at}
    text, status = on_terminal(small.folder, environment, "results/study/scans.tsv", stop_at=stop_at)
    assert status == 130
    assert "Traceback" not in text
    assert plain(text).strip().splitlines()[-1] == (
        "Stopped before the first job. To start: ./run --configfile config.yaml"
    )


@pytest.mark.slow
def test_a_dry_run_is_a_table_of_stages(small, environment):
    done = in_pipe(small.folder, environment, "-n")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].split() == ["stage", "jobs", "units", "why"]
    assert lines[2].split() == ["Anatomy", "12", "4", "people", "not", "there", "yet"]
    assert len(lines) < 20
    assert not done.stderr
    full = in_pipe(small.folder, environment, "-n", "--verbose").stdout
    assert full.count("rule prepare_anatomy") + full.count("Correcting bias") >= 4


@pytest.mark.slow
def test_a_profile_of_the_users_own_is_named(small, environment):
    profile = small.folder / "mine"
    profile.mkdir()
    (profile / "config.yaml").write_text("cores: 1\n")
    done = in_pipe(small.folder, environment, "-n", "--workflow-profile", str(profile))
    assert str(profile) in done.stderr


@pytest.mark.slow
def test_a_plan_that_is_refused_says_so_in_one_message(small, environment):
    config = (small.folder / "config.yaml").read_text().replace("bids_dir: bids", "bids_dir: nowhere")
    (small.folder / "config.yaml").write_text(config)
    done = in_pipe(small.folder, environment, "-n")
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert text.count("bids_dir") == 1
    assert "found 'nowhere', expected an existing folder with a BIDS dataset. Correct the path.\n" in text
    assert "common.smk" not in text
