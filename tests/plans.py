"""Many plans in a short time: one process that has imported what every plan needs, and a fork of it for each plan.

A call of Snakemake takes seconds, most of them to import it. The workflow's own modules are not imported beforehand: each
plan reads those beside its Snakefile, which a test may have changed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


class Plans:
    """The process that is forked; a context manager."""

    def __enter__(self):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def run(self, folder, *arguments, environment=None):
        """Call Snakemake in a folder.

        Returns
        -------
        status : int
        text : str
            What it wrote to standard output and error.
        """
        request = {"folder": str(folder), "arguments": [str(each) for each in arguments]}
        print(json.dumps({**request, "environment": environment or {}}), file=self._process.stdin, flush=True)
        return tuple(json.loads(self._process.stdout.readline()))


def jobs(text):
    """Jobs by rule, from a plan's table; the target's own is left out."""
    counts = {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", text, re.MULTILINE)}
    return {name: count for name, count in counts.items() if name not in ("total", "all")}


def _serve():
    import jsonschema  # noqa: F401
    import nibabel  # noqa: F401
    import pandas  # noqa: F401
    import snakemake.cli
    import yaml  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            child = os.fork()
            if not child:
                os.chdir(request["folder"])
                os.environ.update(request["environment"])
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.argv = ["snakemake", *request["arguments"]]
                snakemake.cli.main(request["arguments"])
                os._exit(70)  # not reached: it ends by itself
            _, status = os.waitpid(child, 0)
            output.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status), output.read()]), flush=True)


if __name__ == "__main__":
    _serve()
