"""Many plans in a short time: one process that has imported what every plan needs, and a fork of it for each plan.

A call of Snakemake takes seconds, most of them to import it. Two such processes wait for a test process: one for plans of this
checkout, which has read its package beforehand, and one for plans of copies of it, each of which reads the modules beside its
Snakefile, which a test may have changed.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


class Plans:
    """The process that is forked; a context manager.

    Parameters
    ----------
    own_package : bool
        Whether all plans are of this checkout, unchanged.
    """

    def __init__(self, *, own_package=False):
        self._command = [sys.executable, __file__, *([str(SCRIPTS)] if own_package else [])]
        self.environment = environment()

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def call(self, folder, *arguments, environment=None):
        """Call Snakemake in a folder.

        Returns
        -------
        subprocess.CompletedProcess
        """
        request = {"folder": str(folder), "arguments": [str(each) for each in arguments]}
        print(json.dumps({**request, "environment": environment or {}}), file=self._process.stdin, flush=True)
        return subprocess.CompletedProcess(arguments, *json.loads(self._process.stdout.readline()))

    def run(self, folder, *arguments, environment=None):
        """Call Snakemake in a folder.

        Returns
        -------
        status : int
        text : str
            What it wrote to standard output and error.
        """
        done = self.call(folder, *arguments, environment=environment)
        return done.returncode, done.stdout + done.stderr


def environment():
    """What Snakemake sees in tests: the programs beside Python, and no package but those installed."""
    # Where a package may lie, and what pytest changes from test to test.
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_CURRENT_TEST")}
    return {**variables, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"}


@functools.cache
def process(*, own_package=False):
    """A process for all tests of this test process, which ends with it."""
    plans = Plans(own_package=own_package)
    atexit.register(plans.__exit__)
    return plans.__enter__()


def jobs(text):
    """Jobs by rule, from a plan's table; the target's own is left out."""
    counts = {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", text, re.MULTILINE)}
    return {name: count for name, count in counts.items() if name not in ("total", "all")}


def _read_package(scripts):
    """Import what the rules import, and read what they read of it."""
    sys.path.insert(0, scripts)
    from pharmasl import workflow
    from pharmasl.records import provenance
    from pharmasl.study import schemas

    for module in pkgutil.iter_modules(workflow.__path__):
        importlib.import_module(f"{workflow.__name__}.{module.name}")
    for script in Path(scripts).glob("*.py"):
        provenance.digest(script.stem)
    for schema in schemas.FOLDER.iterdir():
        schemas.properties(schema.name.removesuffix(".schema.yaml"))


def _serve():
    import jsonschema  # noqa: F401
    import nibabel  # noqa: F401
    import pandas  # noqa: F401
    import snakemake.cli
    import yaml  # noqa: F401

    # This imports the plugins.
    snakemake.cli.get_argument_parser()
    for scripts in sys.argv[1:]:
        _read_package(scripts)
    # Nothing that is there already is garbage: the forks need not look.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if not child:
                os.chdir(request["folder"])
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.environ.update(request["environment"])
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                sys.argv = ["snakemake", *request["arguments"]]
                snakemake.cli.main(request["arguments"])
                os._exit(70)  # not reached: it ends by itself
            _, status = os.waitpid(child, 0)
            said = []
            for stream in (output, errors):
                stream.seek(0)
                said.append(stream.read().decode(errors="replace"))
            print(json.dumps([os.waitstatus_to_exitcode(status), *said]), flush=True)


if __name__ == "__main__":
    _serve()
