"""Scripts of local jobs in forks of one process: each as a Python of its own would run it."""

import json
import os
import subprocess
import sys

import pytest
from loading import ROOT

SNAKEFILE = """
rule all:
    input:
        "alone.json",
        "threads.json",
        expand("many/{number}.json", number=range(60)),

rule alone:
    output: "alone.json"
    benchmark: "alone.tsv"
    threads: 1
    resources: tmpdir="temporary"
    script: "tell.py"

rule threads:
    output: "threads.json"
    threads: 2
    script: "tell.py"

rule many:
    output: "many/{number}.json"
    threads: 1
    script: "tell.py"

rule killed:
    output: "killed.json"
    benchmark: "killed.tsv"
    threads: 1
    script: "killed.py"

rule leaves:
    output: "leaves.json"
    threads: 1
    script: "leaves.py"
"""
TELL = """
import json, os, sys, tempfile, time
began = time.process_time()
while time.process_time() < began + float(snakemake.config.get("seconds", 0)):
    pass
json.dump(
    {
        "name": __name__,
        "file": os.path.basename(__file__),
        "arguments": [os.path.dirname(word) for word in sys.argv],
        "folder": os.getcwd(),
        "threads": os.environ["OMP_NUM_THREADS"],
        "given": os.environ.get("GIVEN"),
        "temporary": tempfile.gettempdir(),
        "parent": open(f"/proc/{os.getppid()}/cmdline").read(),
    },
    open(snakemake.output[0], "w"),
)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "tell.py").write_text(TELL)
    (tmp_path / "killed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit('left with a word')\n")
    (tmp_path / "temporary").mkdir()
    return tmp_path


def run(folder, *arguments, program="snakemake_logger_plugin_pharmasl"):
    return subprocess.run(
        [sys.executable, "-m", program, "--cores", "8", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "GIVEN": "a word"},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux alone")
def test_a_fork_sees_what_a_process_of_its_own_sees(folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    forked = json.loads((folder / "alone.json").read_text())
    threads = json.loads((folder / "threads.json").read_text())
    assert "forkserver" in forked.pop("parent")
    assert "forkserver" not in threads["parent"]
    assert forked["temporary"].endswith("temporary")
    assert threads["threads"] == "2"
    for path in folder.glob("*.json"):
        path.unlink()
    assert run(folder, program="snakemake").returncode == 0
    own = json.loads((folder / "alone.json").read_text())
    assert "forkserver" not in own.pop("parent")
    assert forked == own


def test_the_benchmark_measures_the_fork(folder):
    done = run(folder, "alone.json", "--config", "seconds=1.5")
    assert done.returncode == 0, done.stderr
    names, values = ((folder / "alone.tsv").read_text().splitlines()[row].split("\t") for row in (0, 1))
    measured = dict(zip(names, values))
    assert 1.5 <= float(measured["cpu_time"]) < 4
    assert float(measured["cpu_time"]) <= 1.1 * float(measured["s"])
    assert 20 < float(measured["max_rss"]) < 2000


@pytest.mark.parametrize("rule", ["killed", "leaves"])
def test_a_fork_that_fails_fails_its_job_alone(folder, rule):
    done = run(folder, "--keep-going", f"{rule}.json", *(f"many/{number}.json" for number in range(8)))
    assert done.returncode == 1
    assert f"Error in rule {rule}" in done.stderr
    assert len(list((folder / "many").iterdir())) == 8
    assert ("left with a word" in done.stderr) == (rule == "leaves")
