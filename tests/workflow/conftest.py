"""Snakemake as a user calls it, on skeleton datasets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import skeleton
import yaml
from loading import ROOT


class Workflow:
    """A folder with a skeleton dataset and a configuration, and the commands run in it."""

    def __init__(self, folder, root=ROOT):
        self.folder, self.root = Path(folder), root
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def configure(self, config):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments, check=True, snakefile="Snakefile"):
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(self.root / snakefile),
            "--configfile",
            "config.yaml",
            *arguments,
        ]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if check:
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The 43 participants of the model study, as a skeleton, with the configuration that the project ships."""
    workflow = Workflow(tmp_path_factory.mktemp("trial"))
    skeleton.dataset(workflow.folder / "data/bids", participants=43)
    workflow.configure(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    return workflow


@pytest.fixture
def small(tmp_path):
    """Four participants and one analysis."""
    workflow = Workflow(tmp_path)
    skeleton.dataset(tmp_path / "bids")
    workflow.configure(skeleton.config("bids"))
    return workflow
