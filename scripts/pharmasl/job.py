"""One place where a rule's script meets Snakemake: all that it prints, logs or raises goes to the rule's log."""

import contextlib
import logging
import os
import sys
import traceback

from pharmasl import blinding


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


def job(main, snakemake):
    """Call ``main(snakemake)`` with everything it prints, logs or raises written to ``snakemake.log[0]``.

    Parameters
    ----------
    main : callable
        The script's function; it takes the ``snakemake`` object.
    snakemake : object
        With ``log`` and ``params``, and whatever ``main`` reads. Where ``params.blinded`` is true, all that is written
        carries the mark of :mod:`pharmasl.blinding`.

    Raises
    ------
    SystemExit
        With status 1 after an exception of ``main``, which stands in the log and, in one line, on the terminal.
    """
    failure = None
    path = snakemake.log[0]
    open(path, "w").close()
    # Appending, since compiled libraries write to the same file behind Python's back.
    with open(path, "a", buffering=1, encoding="utf-8") as log, _streams_to(log):
        logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
        logging.captureWarnings(True)
        try:
            with blinding.marking(getattr(snakemake.params, "blinded", False)):
                main(snakemake)
        except Exception as error:
            traceback.print_exc()
            failure = f"{type(error).__name__}: {error}"
        finally:
            logging.captureWarnings(False)
            logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    if failure:
        raise SystemExit(failure)
