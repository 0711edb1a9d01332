"""One place where a rule's script meets Snakemake: stdout, stderr, logging and the traceback go to the rule's log."""

import logging
import sys
import traceback


def job(main, snakemake):
    """Call ``main(snakemake)`` with everything it prints, logs or raises written to ``snakemake.log[0]``.

    Parameters
    ----------
    main : callable
        The script's function; it takes the ``snakemake`` object.
    snakemake : object
        With ``log``, and whatever ``main`` reads.

    Raises
    ------
    SystemExit
        With status 1 after an exception of ``main``, which stands in the log and, in one line, on the terminal.
    """
    terminal = sys.stderr
    with open(snakemake.log[0], "w", buffering=1, encoding="utf-8") as log:
        sys.stdout = sys.stderr = log
        logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
        logging.captureWarnings(True)
        try:
            main(snakemake)
        except Exception as error:
            traceback.print_exc(file=log)
            print(f"{type(error).__name__}: {error}", file=terminal)
            raise SystemExit(1) from None
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, terminal
            logging.basicConfig(stream=terminal, force=True)
