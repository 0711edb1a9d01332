"""What answers before there is any data."""

import re
import subprocess
import sys

import pytest
import yaml
from loading import ROOT


@pytest.fixture(scope="module")
def snakemake(tmp_path_factory):
    """Snakemake without a configuration, in an empty folder."""
    folder = tmp_path_factory.mktemp("fresh")

    def call(*arguments):
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert "Traceback" not in done.stdout + done.stderr
        assert not [path for path in folder.iterdir() if path.name != ".snakemake"]
        return done

    return call


def test_the_plan_is_that_of_an_example_and_says_so(snakemake):
    done = snakemake("-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+)\s+(\d+)$", done.stdout, re.MULTILINE))
    assert (counts["quantify_perfusion"], counts["session_contrast"], counts["report"]) == ("72", "48", "1")
    told = " ".join(done.stderr.split())
    assert "No configuration was named (--configfile), and the shipped one's data/bids is not there." in told
    assert "the plan of an example of twelve people" in told


def test_a_linter_has_nothing_to_say(snakemake):
    done = snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_rules_are_listed(snakemake):
    done = snakemake("--list-rules")
    assert done.returncode == 0, done.stderr
    text = "".join(
        path.read_text()
        for path in (ROOT / "rules").glob("*.smk")
        if path.name not in ("simulate.smk", "power.smk", "sensitivity.smk")
    )
    assert set(re.findall(r"^rule (\w+):", text + (ROOT / "Snakefile").read_text(), re.MULTILINE)) <= set(
        done.stdout.split()
    )


def test_an_example_is_planned_but_never_run(snakemake):
    done = snakemake("--cores", "1", "cbf")
    assert done.returncode != 0
    assert "Copy config/config.yaml" in done.stderr


def test_the_workflow_catalog_is_told_how_it_is_deployed_and_that_it_reports():
    """What https://snakemake.github.io/snakemake-workflow-catalog reads: its own file, a Snakefile, and instructions to configure."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {"conda": True}
    assert usage["report"] is True
    assert (ROOT / "config/README.md").is_file()
    assert (ROOT / "Snakefile").is_file()
