"""Scripts of jobs on this machine, run in forks of one process that has imported what they need.

A job on one scan computes for about a second; importing numpy, scipy, nibabel, numba and this package took it three quarters of a
second more. Each job still has a process of its own, with its memory, signals and status. Jobs of several threads, of conda
environments, containers and clusters, and all jobs where Snakemake was not started by ``./run``, start a Python of their own.
"""

import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import nullcontext
from multiprocessing.connection import wait

import snakemake.script
from snakemake.benchmark import benchmarked

from snakemake_logger_plugin_pharmasl.script_run import ONE_THREAD, run_script

_FORKS = multiprocessing.get_context("forkserver")
# The standard library keeps records of processes that are not made for threads, and each of Snakemake's jobs has a thread.
_RECORDS = threading.Lock()


class ForkedScript(snakemake.script.PythonScript):
    """A Python script that runs in a fork where nothing asks for more."""

    def execute_script(self, fname: str, edit: bool = False) -> None:
        """Run the script, and raise ``CalledProcessError`` unless it ends with status 0."""
        own = (self.conda_env, self.container_img, self.env_modules, self.shadow_dir, self.resources.get("shell_exec"))
        if edit or self.threads != 1 or any(own):
            super().execute_script(fname, edit=edit)
            return
        folders = dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), self.resources.get("tmpdir"))
        environment = dict(os.environ) | ONE_THREAD | {name: path for name, path in folders.items() if path}
        process = _FORKS.Process(target=run_script, args=(fname, os.getcwd(), environment))
        with _RECORDS:
            process.start()
        with benchmarked(process.pid, self.bench_record) if self.bench_record is not None else nullcontext():
            wait([process.sentinel])
        with _RECORDS:
            process.join()
        if process.exitcode:
            raise subprocess.CalledProcessError(process.exitcode, [sys.executable, fname])


def install() -> None:
    """Let Snakemake run its Python scripts so, where the operating system forks processes safely."""
    if sys.platform == "linux":
        _FORKS.set_forkserver_preload(["snakemake_logger_plugin_pharmasl.preloaded"])
        snakemake.script.PythonScript = ForkedScript
