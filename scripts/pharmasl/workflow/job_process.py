"""A Snakemake that another one has started for some of its jobs: it reads whom they are about, and runs nothing else."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

# How Snakemake names the jobs that it has others run: RULE:WILDCARD=VALUE,WILDCARD=VALUE ...
_OPTION = "--target-jobs"
# A wildcard whose values are stems or names of one participant, and the label in them.
_PERSON = re.compile(r"[:,](?:anat|scan|scan_name|visit)=\"?sub-([a-zA-Z0-9+]+)[/_]")


def people(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """The participants whom the jobs of a command line are about.

    Parameters
    ----------
    arguments : sequence of str
        Of a Snakemake that another one has started.

    Returns
    -------
    tuple of str or None
        Labels, each once; None where a job is about the whole study, or where the jobs are not named.
    """
    if arguments.count(_OPTION) != 1:
        return None
    labels: dict[str, None] = {}
    for target in arguments[arguments.index(_OPTION) + 1 :]:
        if target.startswith("-"):
            break
        named = set(_PERSON.findall(target))
        if len(named) != 1:
            return None
        labels |= dict.fromkeys(named)
    return tuple(labels) or None


def detach(rules: Iterable[Any]) -> None:
    """Let no job bring with it the job of another rule that is named as the source of an input.

    Snakemake considers such jobs beside those that it was started for. In a process that looks at no raw file's content and
    at few people, each would seem to be out of date, and be run again by every job.

    Parameters
    ----------
    rules : iterable of snakemake.rules.Rule
    """
    for rule in rules:
        rule.dependencies.clear()
