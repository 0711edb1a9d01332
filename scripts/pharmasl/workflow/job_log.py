"""What a job's log says of the job itself: what it reads, what it wrote, and what it took."""

import logging
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl import __version__

LOG = logging.getLogger(__name__)

_MEGABYTE = 1e6
# Runs of earlier versions have no time by the clock.
_TOOK = re.compile(r"took ([\d.]+) s of processor time(?:, ([\d.]+) s by the clock)? and (\d+) MB at most")


@dataclass(frozen=True)
class Took:
    """What a job took.

    Attributes
    ----------
    seconds : float
        Processor time, user and system, of its process from the start of it and of the programs that it called.
    clock : float or None
        Seconds by the clock from the beginning of the script's work; None in the log of an earlier version.
    megabytes : float
        The most memory that its process, or one of the programs, had at once.
    """

    seconds: float
    clock: float | None
    megabytes: float

    def __str__(self) -> str:
        """The line of the log."""
        by_clock = "" if self.clock is None else f", {self.clock:.3f} s by the clock"
        return f"took {self.seconds:.3f} s of processor time{by_clock} and {self.megabytes:.0f} MB at most"


def took(text: str) -> Took | None:
    """What a job took, by the last line of its log that says so; None without any.

    Parameters
    ----------
    text : str
        Of the log.
    """
    lines = _TOOK.findall(text)
    if not lines:
        return None
    seconds, clock, megabytes = lines[-1]
    return Took(float(seconds), float(clock) if clock else None, float(megabytes))


def used(began: float) -> Took:
    """What this process has taken so far, by the kernel's own account.

    Parameters
    ----------
    began : float
        Of ``time.monotonic``.
    """
    own, children = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return Took(seconds, time.monotonic() - began, max(own.ru_maxrss, children.ru_maxrss) / unit)


def begin(snakemake: Any) -> float:
    """Log the rule, the version and every named input with its size; returns the time of ``time.monotonic``."""
    began = time.monotonic()
    rule = getattr(snakemake, "rule", "job")
    LOG.info("%s, pharmasl %s", rule, __version__)
    for name, paths in _named(getattr(snakemake, "input", ())):
        LOG.info("reads %s: %s", name, _described(paths))
    return began


def end(snakemake: Any, began: float) -> None:
    """Log every named output with its size, and the time and memory that this process took since it :func:`begin`."""
    for name, paths in _named(getattr(snakemake, "output", ())):
        LOG.info("wrote %s: %s", name, _described(paths))
    LOG.info("%s", used(began))


def _named(files: Any) -> Iterator[tuple[str, Sequence[str]]]:
    """The names of inputs or outputs, each with its paths; none where there is no file."""
    for name, value in getattr(files, "items", dict)():
        paths = [value] if isinstance(value, str) else list(value)
        if paths:
            yield name, paths


def _described(paths: Sequence[str]) -> str:
    """A path, or the number of paths and the first, with the size in all."""
    size = sum(os.path.getsize(path) for path in paths if os.path.isfile(path)) / _MEGABYTE
    what = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files, first {paths[0]}"
    return f"{what} ({size:.3g} MB)"
