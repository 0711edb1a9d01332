"""The handler of Snakemake's log: hands its records to :mod:`pharmasl.workflow.run_log`."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable
from logging import LogRecord

from pharmasl.workflow.closing import Ending
from pharmasl.workflow.run_log import RunLog, Wishes
from pharmasl.workflow.screens import PlainScreen, screen_for
from pharmasl.workflow.stages import DEMO
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Takes the records of Snakemake's log.

    Attributes
    ----------
    stopped : bool
        Whether a run of this process has said that a user stopped it.
    """

    stopped = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        quiet = settings.quiet or set()
        stream = sys.stdout if settings.stdout else sys.stderr
        self._full = None
        if settings.verbose or settings.printshellcmds or settings.debug_dag:
            # All of Snakemake, as it would show it itself.
            self._full = ColorizingTextHandler(
                settings.nocolor,
                stream,
                DefaultFormatter(quiet, settings.show_failed_logs),
                DefaultFilter(quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds),
            )
        wishes = Wishes(
            dryrun=settings.dryrun,
            progress=not quiet & {Quietness.ALL, Quietness.PROGRESS},
            silent=Quietness.ALL in quiet,
            full=self._full is not None,
            command=os.environ.get("PHARMASL_COMMAND") or shlex.join(["snakemake", *sys.argv[1:]]),
        )
        # Where several runs are one to the user: which this is, and when the first began.
        part = os.environ.get("PHARMASL_PART")
        gone = time.time() - float(os.environ.get("PHARMASL_BEGAN") or time.time())
        began = time.monotonic() - gone
        screen = PlainScreen(stream, began) if self._full else screen_for(stream, not settings.nocolor, began)
        self._log = RunLog(screen, wishes, began, DEMO[int(part) - 1] if part else None)

    def closes_with(self, closing: Callable[[Ending], str]) -> None:
        """Say at the end of a run what ``closing`` makes of how it ended."""
        self._log.closes_with(closing)

    def emit(self, record: LogRecord) -> None:
        """Take a record."""
        try:
            if self._full:
                self._full.handle(record)
            event = getattr(record, "event", None)
            self._log.take(event and str(event), record.levelno, record.getMessage(), record.__dict__)
        except BrokenPipeError:
            # Somebody read the first lines alone; the run goes on.
            pass
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended: this is called while an interruption is on its way out."""
        if sys.exc_info()[0] is KeyboardInterrupt:
            self._log.interrupt()
        LogHandler.stopped = LogHandler.stopped or self._log.interrupted
        with contextlib.suppress(BrokenPipeError):
            self._log.close()
        super().close()

    writes_to_stream = property(lambda self: True)
    writes_to_file = property(lambda self: False)
    has_filter = property(lambda self: True)
    has_formatter = property(lambda self: True)
    needs_rulegraph = property(lambda self: False)
