"""Jobs through a real Slurm of one node: groups, a kill for memory, a cancelled job, a bad scan, Ctrl-C, and the same bytes.

By the profiles for Slurm and for any scheduler.
"""

import re
import shutil
import signal
import subprocess
import sys
import time

import coarse_scans
import one_node_slurm
import pytest
from calling import Workflow
from coarse_scans import CONDITIONS, images
from loading import ROOT

pytestmark = pytest.mark.slow

# Too little for the Snakemakes of a job on a scan, at its first attempt alone.
LITTLE = "200 if attempt == 1 else 1500"
BAD = "smoking"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if reason := one_node_slurm.why_not():
        pytest.skip(reason)
    with one_node_slurm.started(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """One person without a T1w and three scans, one of them empty, computed on this machine."""
    workflow = coarse_scans.posed(tmp_path_factory.mktemp("local"), empty=BAD)
    done = workflow.snakemake("--cores", "2", "--keep-going", "--", "quality", check=False)
    assert done.returncode == 1
    assert len(images(workflow.folder)) > 10, done.stdout + done.stderr
    return workflow


def submitted(workflow, little, prefix):
    """A run through the queue, whose jobs' names have a prefix; with ``little`` memory for each scan's first attempt."""
    rules = ("align_perfusion", "quantify_perfusion", "scan_quality")
    resources = [f"{rule}:mem_mb={LITTLE}" for rule in rules] if little else []
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(ROOT / "Snakefile"),
            "--configfile",
            "config.yaml",
            "--workflow-profile",
            str(ROOT / "profiles/slurm"),
            "--slurm-no-account",
            "--slurm-init-seconds-before-status-checks",
            "5",
            "--slurm-jobname-prefix",
            prefix,
            "--retries",
            "1",
            *(["--set-resources", *resources] if resources else []),
            "--",
            "quality",
        ],
        cwd=workflow.folder,
        env=workflow.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job, which this test may be part of, ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def queue(*options):
    """The jobs in the queue, a line each."""
    done = subprocess.run(["squeue", "-h", *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def wait_for_jobs(number, *which):
    """Until so many jobs are in the queue, of those that options of squeue choose; these jobs."""
    end = time.monotonic() + 60
    while len(queue(*which)) < number and time.monotonic() < end:
        time.sleep(0.5)
    assert len(queue(*which)) == number
    return queue(*which, "-o", "%i")


def test_the_scans_of_a_study_go_through_the_queue(slurm, local, tmp_path):
    expected = images(local.folder)
    workflow = Workflow(tmp_path / "queue")
    shutil.copytree(local.folder, workflow.folder)
    shutil.rmtree(workflow.folder / "results/sub-01/ses-T1/perf")

    # Ctrl-C takes what was submitted, one job a scan, out of the queue.
    run = submitted(workflow, little=False, prefix="first")
    wait_for_jobs(len(CONDITIONS))
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[0]
    assert run.returncode != 0
    end = time.monotonic() + 20
    while queue() and time.monotonic() < end:
        time.sleep(0.5)
    assert queue() == [], said
    ended = [line.split() for line in queue("--states=all", "-o", "%j %T") if line.startswith("first")]
    assert [state for _, state in ended] == ["CANCELLED"] * len(CONDITIONS), said

    # The same command goes on. Each scan's first attempt is killed for memory, one is cancelled before that.
    run = submitted(workflow, little=True, prefix="second")
    wait_for_jobs(len(CONDITIONS))
    subprocess.run(["scancel", queue("-o", "%i")[-1]], check=True)
    said = run.communicate(timeout=240)[0]
    assert run.returncode == 1
    jobs = [line.split() for line in queue("--states=all", "-o", "%j %T %m %k") if line.startswith("second")]
    assert len(jobs) == 2 * len(CONDITIONS), jobs
    assert all("scan_align_perfusion" in comment for _, _, _, comment in jobs)
    first = [state for _, state, memory, _ in jobs if memory == "200M"]
    second = sorted(state for _, state, memory, _ in jobs if memory == "1500M")
    assert len(first) == len(CONDITIONS)
    assert "COMPLETED" not in first
    assert "CANCELLED" in first
    assert second == ["COMPLETED", "COMPLETED", "FAILED"]

    # What it made is what the local run made, to the byte, and the bad scan is named with its reason and log.
    assert images(workflow.folder) == expected
    assert "holds nothing but the value 0" in re.sub(r"\s+", " ", said)
    assert f"results/logs/align_perfusion/sub-01/ses-T1/perf/sub-01_ses-T1_acq-{BAD}.log" in said
    reasons = (workflow.folder / "results/logs/failures.txt").read_text()
    assert reasons.startswith("1 job failed")
    # Snakemake names the Slurm log too, which is kept.
    logs = re.findall(r"\S+/slurm_logs/\S+\.log", said)
    assert any((workflow.folder / path).is_file() for path in logs)


def test_a_scan_goes_through_any_scheduler(slurm, local, tmp_path):
    """Through the commands of profiles/generic, which are Slurm's: the job is cancelled as it runs and submitted again."""
    name = "sub-01_ses-T1_acq-rest"
    expected = {path: content for path, content in images(local.folder).items() if path.startswith(name)}
    workflow = Workflow(tmp_path / "generic")
    shutil.copytree(local.folder, workflow.folder)
    shutil.rmtree(workflow.folder / "results/sub-01/ses-T1/perf")
    run = subprocess.Popen(
        [
            *[sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--configfile", "config.yaml"],
            *["--profile", str(ROOT / "profiles/slurm"), "--workflow-profile", str(ROOT / "profiles/generic")],
            *["--seconds-between-status-checks", "3", "--retries", "1", "--"],
            f"results/sub-01/ses-T1/perf/{name}_desc-qualitycontrol_cbf.tsv",
        ],
        cwd=workflow.folder,
        env=workflow.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    subprocess.run(["scancel", *wait_for_jobs(1, "-n", "pharmasl", "-t", "running")], check=True)
    said = run.communicate(timeout=240)[0]
    assert run.returncode == 0, said
    states = [line.split()[1] for line in queue("--states=all", "-o", "%j %T") if line.startswith("pharmasl ")]
    assert sorted(states) == ["CANCELLED", "COMPLETED"]
    assert {path: content for path, content in images(workflow.folder).items() if path.startswith(name)} == expected
    assert len(list((workflow.folder / ".snakemake/cluster_logs").glob("*.log"))) == 2
