"""A script of a job, run in a process that was forked for it."""

import os
import resource
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import NamedTuple

# As Snakemake sets them for a job of one thread; a linear algebra library with threads of its own must not be forked.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")} | {
    "VECLIB_MAXIMUM_THREADS": "1"
}

_BLOCK = 512  # bytes of input and output, as the kernel counts them


class Usage(NamedTuple):
    """What a process and those that it waited for took: seconds, and bytes."""

    seconds: float
    memory: int
    read: int
    written: int


def run_script(path: str, folder: str, environment: Mapping[str, str], usage: Connection) -> None:
    """Run a script as a Python of its own would, in this process.

    Parameters
    ----------
    path : str
        The script, relative to ``folder``.
    folder : str
        Where it runs.
    environment : mapping of str
        The whole environment.
    usage : Connection
        Where the :class:`Usage` is sent to at the end.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Where temporary files go may have been looked up in the process that this one was forked from.
    tempfile.tempdir = None
    sys.argv = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        usage.send(_usage())


def _usage() -> Usage:
    """By the kernel's own account, which is exact where samples miss what is short."""
    all_of_it = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Usage(
        seconds=sum(part.ru_utime + part.ru_stime for part in all_of_it),
        memory=max(part.ru_maxrss for part in all_of_it) * 1024,
        read=sum(part.ru_inblock for part in all_of_it) * _BLOCK,
        written=sum(part.ru_oublock for part in all_of_it) * _BLOCK,
    )
