"""The help of the command line, and what it calls the project's own commands and targets."""

import platform
from importlib.metadata import PackageNotFoundError, version

from pharmasl import __version__

# Commands to the modules of this room that hold them.
MODULES = {
    "help": "usage",
    "version": "own_version",
    "init": "init",
    "check": "check",
    "power": "power",
    "validate": "validate",
    "snakemake": "call",
}
# All first words that are no arguments of Snakemake.
COMMANDS = ("init", "check", "power", "validate", "demo", "test", "verify", "help", "version", "snakemake")
TARGETS = {
    "all": "everything: what is done where no target is named",
    "cbf": "cerebral blood flow of every scan",
    "quality": "the table of the scans' quality, and which are excluded",
    "contrasts": "the contrasts of every session's states",
    "group": "the whole-brain analyses",
    "sensitivity": "the answers under the declared alternatives",
}
# What ./run init writes and ./run check reads where nothing is named.
CONFIGURATION = "study.yaml"

HELP = """\
pharmasl {version}: from raw BIDS arterial spin labelling of a drug trial to the trial's answers

To see what it does
  ./run demo                            simulate a small trial, analyse it, compare with what was planted

Your study
  ./run init BIDS_DIR                   write {configuration}, a commented configuration made from your dataset
  ./run check                           the study before any job: people by arm and session, states, who is
                                        incomplete, acquisition, warnings, jobs, expected minutes and gigabytes
  ./run --configfile {configuration} -n       the plan: which jobs a run would do
  ./run --configfile {configuration}          do them; a run that was stopped continues
  ./run --configfile {configuration} --config participants=01,02
                                        a pilot: the scans of two people, without group analyses
  ./run verify results                  whether a results folder is complete, and how its files were made

Before the study
  ./run power power.yaml                what it would find: power, people needed, the protocol's paragraph; copy
                                        config/power.yaml for the assumptions
  ./run power power.yaml --maps         the power of the search over the whole brain too, by studies that are drawn

Before you believe it
  ./run validate                        simulated trials from raw images to answers: what is recovered, and how often
                                        it is wrong; hours of work (docs/validation.md)

Only so far: name a target after the options
{targets}

Options that are often needed (they are Snakemake's)
  --cores 4                             so many cores; all unless given
  --config inference.permutations=500   a setting in place of the configuration's
  --workflow-profile .../profiles/slurm submit the jobs to a cluster
  --unlock                              after a kill or a power cut
  --verbose                             all that Snakemake says, not the stages alone

  ./run test                            the project's own test suite
  ./run version                         versions of pharmasl and of what it runs on
  ./run snakemake --help                all options of Snakemake

What is read, and what each setting means: config/README.md and config/config.yaml. To read on: README.md, docs/."""


def text() -> str:
    """The help, without a line break at its end."""
    targets = "\n".join(f"  {name:<12}{words}" for name, words in TARGETS.items())
    return HELP.format(version=__version__, configuration=CONFIGURATION, targets=targets)


def versions() -> str:
    """The project's version, and those of what it runs on."""
    try:
        snakemake = version("snakemake")
    except PackageNotFoundError:
        snakemake = "not installed"
    return f"pharmasl {__version__} (Snakemake {snakemake}, Python {platform.python_version()})"


def main(arguments: list[str]) -> int:
    """Print the help."""
    print(text())
    return 0
