"""What the jobs of a study that have ended took, by rule: a better guide to those that are left than any other study's."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.records import manifest
from pharmasl.workflow import job_log


@dataclass(frozen=True)
class Finished:
    """The finished jobs of a rule.

    Attributes
    ----------
    jobs : int
    seconds : float or None
        Processor time of one of them on average; None where no log says.
    size : float
        Bytes that one of them leaves on average.
    """

    jobs: int
    seconds: float | None
    size: float


def read(results: FilePath) -> Mapping[str, Finished]:
    """The finished jobs of a results folder by rule, from its manifest and the jobs' logs; empty for a folder without.

    Parameters
    ----------
    results : path-like

    Returns
    -------
    mapping of str to Finished

    Raises
    ------
    InputError
        If the manifest is damaged.
    """
    record = manifest.read(results)
    sizes: dict[str, dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    for entry in record.files.values() if record else ():
        # A job is known by its log.
        sizes[entry.making.rule][entry.making.log] += entry.content.size if entry.content else 0
    finished = {}
    for rule, jobs in sizes.items():
        seconds = [took for log in jobs if (took := _took(results, log)) is not None]
        mean = sum(seconds) / len(seconds) if seconds else None
        finished[rule] = Finished(len(jobs), mean, sum(jobs.values()) / len(jobs))
    return finished


def _took(results: FilePath, log: tuple[str, ...]) -> float | None:
    """The processor time that a job's log ends with."""
    for name in log:
        try:
            text = Path(results, name).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        if took := job_log.took(text):
            return took.seconds
    return None
