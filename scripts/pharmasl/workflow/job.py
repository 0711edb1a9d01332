"""One place where a rule's script meets Snakemake: all that it prints, logs or raises goes to the rule's log."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pharmasl.errors import InputError, InputErrors, wrapped
from pharmasl.files import blinding
from pharmasl.workflow import failures, image_sidecars, job_log

# The status of a program that Ctrl-C ended.
_STOPPED = 130


@contextlib.contextmanager
def _streams_to(log):
    """Send the process' standard output and error to a file: Python's, and those of compiled libraries too."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(number) for number in (1, 2)]
    python = sys.stdout, sys.stderr
    try:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        sys.stdout = sys.stderr = log
        yield
    finally:
        log.flush()
        sys.stdout, sys.stderr = python
        for number, copy in zip((1, 2), saved):
            os.dup2(copy, number)
            os.close(copy)


def _exit(failure):
    """The end of a job that failed: with its reason, unless the run's logger says it."""
    return SystemExit(1 if os.environ.get(failures.REPORTED) else wrapped(failure.reason))


def job(main: Callable[[Any], None], snakemake: Any) -> None:
    """Call ``main(snakemake)`` with everything it prints, logs or raises written to ``snakemake.log[0]``.

    Parameters
    ----------
    main : callable
        The script's function; it takes the ``snakemake`` object.
    snakemake : object
        With ``log`` and ``params``, and whatever ``main`` reads. Where ``params.blinded`` is true, all that is written
        carries the mark of :mod:`pharmasl.files.blinding`.

    Raises
    ------
    SystemExit
        With status 130 after an interruption; with status 1 after an exception of ``main``, whose message stands in the log, on the terminal and in the marker
        of :mod:`pharmasl.workflow.failures`; a traceback stands in the log unless the input is at fault. Also, without calling
        ``main``, where the same input was found at fault before.
    """
    path = snakemake.log[0]
    name = f"{getattr(snakemake, 'rule', main.__module__)} {Path(path).stem}"
    attempted = failures.attempted(getattr(snakemake, "input", ()), list(getattr(snakemake.params, "items", dict)()))
    before = failures.read(failures.marker(path))
    if before and before.of_input and before.attempted == attempted:
        # Another attempt with the same input would say the same: after a failure Snakemake tries once more, for memory.
        with open(path, "a", encoding="utf-8") as log:
            if not log.tell():  # Snakemake empties the log before an attempt
                print(wrapped(before.reason), file=log)
        raise _exit(before)
    failures.record(path, failures.Failure(name, failures.KILLED, False, attempted))
    failure, stopped = None, False
    open(path, "w").close()
    # Appending, since compiled libraries write to the same file behind Python's back.
    with open(path, "a", buffering=1, encoding="utf-8") as log, _streams_to(log):
        logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
        logging.captureWarnings(True)
        try:
            began = job_log.begin(snakemake)
            with blinding.marking(getattr(snakemake.params, "blinded", False)):
                main(snakemake)
                image_sidecars.complete(snakemake)
            job_log.end(snakemake, began)
        except (InputError, InputErrors) as error:
            # The user's to fix, and the error says it in full: where in the program it arose helps nobody.
            print(wrapped(error))
            failure = failures.Failure(name, str(error), True, attempted)
        except KeyboardInterrupt:
            # The user's wish, and no failure.
            print("Stopped by the user.")
            failures.clear(path)
            stopped = True
        except Exception as error:
            traceback.print_exc()
            failure = failures.Failure(name, f"{type(error).__name__}: {error}", False, attempted)
        finally:
            logging.captureWarnings(False)
            logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    if stopped:
        raise SystemExit(_STOPPED)
    if failure:
        failures.record(path, failure)
        raise _exit(failure)
    failures.clear(path)
