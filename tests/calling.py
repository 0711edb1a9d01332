"""Snakemake as a user calls it."""

import subprocess
import sys
from pathlib import Path

import plans
import yaml
from loading import ROOT

# Arguments with which no job is run.
PLANNED = {"-n", "--dag", "--report", "--rulegraph"}


class Workflow:
    """A folder with a skeleton dataset and a configuration, and the commands run in it."""

    def __init__(self, folder, root=ROOT):
        self.folder, self.root = Path(folder), root
        self.python = [sys.executable]
        self.environment = plans.environment()

    def configure(self, config):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments, check=True, snakefile="Snakefile", forked=False):
        """Call Snakemake; a plan by the plain Python is made by a process that has imported it.

        With ``forked`` as ``./run`` does: scripts of jobs are forks of one process that has imported their packages.
        """
        options = ["-s", str(self.root / snakefile), "--configfile", "config.yaml", *arguments]
        planning = plans.process(own_package=self.root == ROOT) if PLANNED.intersection(arguments) else None
        if planning and self.python == [sys.executable] and self.environment == planning.environment:
            done = planning.call(self.folder, *options)
        else:
            program = "snakemake_logger_plugin_pharmasl" if forked else "snakemake"
            own = {"PYTHONPATH": str(self.root / "scripts")} if forked else {}
            done = subprocess.run(
                [*self.python, "-m", program, *options],
                cwd=self.folder,
                env={**self.environment, **own},
                capture_output=True,
                text=True,
            )
        if check:
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done
