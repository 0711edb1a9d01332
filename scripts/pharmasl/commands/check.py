"""``./run check``: a study as it was read, before any job."""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from pharmasl.commands import call, overview, work
from pharmasl.commands.usage import CONFIGURATION
from pharmasl.errors import InputError, InputErrors, wrapped
from pharmasl.study.reading import Reading
from pharmasl.workflow import plan


def main(arguments: list[str]) -> int:
    """Show a study, and what is wrong with it.

    Parameters
    ----------
    arguments : list of str
        What ``run`` asks of Snakemake, ``--user``, and what the user typed: a configuration (that of ``./run init`` unless
        named), settings in its place, options and targets of Snakemake.

    Returns
    -------
    int
        1 where something has to be fixed.
    """
    first, rest = call.split(arguments)
    if rest and not rest[0].startswith("-"):
        rest = ["--configfile", *rest]
    if not any(word.partition("=")[0] in call.FILES for word in rest):
        if not os.path.exists(CONFIGURATION):
            raise InputError(
                "./run check",
                "--configfile",
                "nothing",
                "a configuration",
                "Name yours, or write one from your dataset: ./run init BIDS_DIR.",
            )
        rest = ["--configfile", CONFIGURATION, *rest]
    typed = call.prepared(rest)
    config, files = configuration(typed)
    reading = plan.read(config, files)
    study = reading.study.settings
    print(wrapped(f"{study.title}\n{study.bids_dir}, as {', '.join(files)} reads it\n"))
    if reading.note:
        print(f"{wrapped(reading.note)}\n")
    for part in overview.parts(reading.study):
        print(f"{wrapped(str(part))}\n")
    if problems := plan.trial_problems(reading):
        print(wrapped(InputErrors(problems)))
        print("\nMaps of CBF can be made all the same (target cbf); the trial's answers cannot.")
        return 1
    sys.stdout.flush()
    _show_work(reading, [*first, *typed], rest)
    return 0


def configuration(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The configuration that some arguments name, and its files.

    Parameters
    ----------
    arguments : sequence of str
        As :func:`pharmasl.commands.call.prepared` gives them.

    Returns
    -------
    config : dict
        The files' content, later ones over earlier ones, and settings of the command line over both.
    files : list of str
    """
    config: dict[str, Any] = {}
    files: list[str] = []
    for option, values in call.grouped(arguments):
        if option in call.FILES:
            files += values
            for path in values:
                with open(path, encoding="utf-8-sig") as file:
                    config = laid_over(config, yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        elif option in call.SETTINGS:
            for word in values:
                name, _, value = word.partition("=")
                # As Snakemake reads them: texts, whose types the schema knows.
                config = laid_over(config, {name: yaml.load(value, Loader=yaml.BaseLoader)})
    return config, files


def laid_over(config: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the settings of another in place of its own, section by section."""
    merged = dict(config)
    for name, value in other.items():
        own = merged.get(name)
        merged[name] = laid_over(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return merged


def _show_work(reading: Reading, arguments: Sequence[str], words: Sequence[str]) -> None:
    counts = work.planned(arguments)
    print(wrapped(str(overview.Part("Work", work.lines(reading.study, counts)))))
    print(f"\nNext: ./run {shlex.join(words)}")
