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
import time
from multiprocessing.connection import Connection, wait

import snakemake.script
from snakemake.benchmark import BenchmarkRecord

from snakemake_logger_plugin_pharmasl.script_run import ONE_THREAD, Usage, run_script

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
        usage, to_usage = _FORKS.Pipe(duplex=False)
        process = _FORKS.Process(target=run_script, args=(fname, os.getcwd(), environment, to_usage))
        began = time.monotonic()
        with _RECORDS:
            process.start()
        to_usage.close()
        wait([process.sentinel])
        with _RECORDS:
            process.join()
        if self.bench_record is not None:
            self.bench_record.running_time = time.monotonic() - began
            _record(self.bench_record, usage)
        usage.close()
        if process.exitcode:
            raise subprocess.CalledProcessError(process.exitcode, [sys.executable, fname])


def _record(record: BenchmarkRecord, usage: Connection) -> None:
    """Fill Snakemake's record of a job, which is otherwise sampled from outside: that takes longer than a short job."""
    try:
        took: Usage = usage.recv()
    except EOFError:
        # Killed before it could tell.
        record.process_gone = True
        return
    record.data_collected = True
    record.cpu_time = took.seconds
    record.cpu_usage = 100 * took.seconds
    record.max_rss, record.io_in, record.io_out = (number / 2**20 for number in (took.memory, took.read, took.written))


def install() -> None:
    """Let Snakemake run its Python scripts so, where the operating system forks processes safely."""
    if sys.platform == "linux":
        _FORKS.set_forkserver_preload(["snakemake_logger_plugin_pharmasl.preloaded"])
        snakemake.script.PythonScript = ForkedScript
