"""What a job's log says of the job itself: what it reads, what it wrote, and what it took."""

import logging
import os
import resource
from collections.abc import Iterator, Sequence
from typing import Any

from pharmasl import __version__

LOG = logging.getLogger(__name__)

_MEGABYTE = 1e6


def begin(snakemake: Any) -> None:
    """Log the rule, the version and every named input with its size."""
    rule = getattr(snakemake, "rule", "job")
    LOG.info("%s, pharmasl %s", rule, __version__)
    for name, paths in _named(getattr(snakemake, "input", ())):
        LOG.info("reads %s: %s", name, _described(paths))


def end(snakemake: Any) -> None:
    """Log every named output with its size, and the time and memory that this process took."""
    for name, paths in _named(getattr(snakemake, "output", ())):
        LOG.info("wrote %s: %s", name, _described(paths))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    LOG.info(
        "took %.1f s of processor time and %.0f MB at most", usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3
    )


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
