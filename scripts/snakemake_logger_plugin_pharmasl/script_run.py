"""A script of a job, run in a process that was forked for it."""

import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping

# As Snakemake sets them for a job of one thread; a linear algebra library with threads of its own must not be forked.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")} | {
    "VECLIB_MAXIMUM_THREADS": "1"
}


def run_script(path: str, folder: str, environment: Mapping[str, str]) -> None:
    """Run a script as a Python of its own would, in this process.

    Parameters
    ----------
    path : str
        The script, relative to ``folder``.
    folder : str
        Where it runs.
    environment : mapping of str
        The whole environment.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Where temporary files go may have been looked up in the process that this one was forked from.
    tempfile.tempdir = None
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")
