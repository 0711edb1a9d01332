"""Snakemake as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from loading import ROOT


class Workflow:
    """A folder with a skeleton dataset and a configuration, and the commands run in it."""

    def __init__(self, folder, root=ROOT):
        self.folder, self.root = Path(folder), root
        self.python = [sys.executable]
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def configure(self, config):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments, check=True, snakefile="Snakefile"):
        command = [
            *self.python,
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
