"""What a user reads while a run goes on: events of Snakemake's log, made into progress and the few texts that matter.

Knows the events by their names, and Snakemake not at all.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import wrapped
from pharmasl.workflow import failures
from pharmasl.workflow.closing import Ending
from pharmasl.workflow.progress import Job, Progress, in_words
from pharmasl.workflow.screens import Screen, sentence
from pharmasl.workflow.stages import Part

# Messages of Snakemake without an event, by their beginnings.
_INTERRUPTED = ("Terminating processes on user request", "Cancelling snakemake on user request")
_STOPPING = "Will exit after finishing currently running jobs"
_NOTHING = "Nothing to be done"
_RESTART = "Trying to restart job"
# Of errors, those that say again what a job's own failure says.
_REPEATED = ("Exiting because a job execution failed", "At least one job did not complete")
_OF_A_JOB = "CalledProcessError"
# Before a run: what every command of Snakemake says.
_CHATTER = ("Building DAG of jobs", "Assuming unrestricted shared filesystem", "Complete log")
# Where in the rules an error was raised, which is no use to the reader of a message that names file and field.
_WHERE = re.compile(r'^\w+ in file "[^"]*", line \d+:\n(?=.)|\n  File "[^"]*\.smk", line \d+, in <module>$')
# What takes minutes and is no job.
_SHOWN_MODULES = ("conda", "apptainer")
_SHORT = 116


@dataclass(frozen=True)
class Wishes:
    """What a user asked to see.

    Attributes
    ----------
    dryrun : bool
    progress : bool
        Whether progress is shown.
    silent : bool
        Whether nothing but failures is.
    full : bool
        Whether all of Snakemake is shown beside: then nothing but the last words is said here.
    command : str
        The command as it was typed.
    """

    dryrun: bool = False
    progress: bool = True
    silent: bool = False
    full: bool = False
    command: str = "the same command"


class RunLog:
    """The events of one run, as they come.

    Parameters
    ----------
    screen : Screen
    wishes : Wishes
    began : float
        When the whole began, by ``clock``.
    part : Part, optional
        Where several runs are one to the user: which it is.
    clock : callable
        Seconds, as :func:`time.monotonic`.
    """

    def __init__(
        self,
        screen: Screen,
        wishes: Wishes,
        began: float,
        part: Part | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = Progress(later=part.later if part else 0.0)
        self._screen, self._wishes, self._began, self._part, self._clock = screen, wishes, began, part, clock
        self._closing: Callable[[Ending], str] | None = None
        # Failures of which it is not known yet whether they are tried again.
        self._held: list[tuple[str, bool]] = []
        self._started = self._counted = self._failed = self._interrupted = self._closed = False

    def closes_with(self, closing: Callable[[Ending], str]) -> None:
        """Say at the end of a run what ``closing`` makes of how it ended."""
        self._closing = closing

    def take(self, event: str | None, level: int, text: str, fields: Mapping[str, Any]) -> None:
        """Take one record of the log.

        Parameters
        ----------
        event : str or None
            Its kind: ``job_info``, ``job_finished`` ...
        level : int
            As :mod:`logging` has them.
        text : str
            Its message.
        fields : mapping
            What else it holds.
        """
        again = event is None and text.startswith(_RESTART)
        self._settle(again)
        handler = getattr(self, f"_on_{event}", None)
        if handler:
            handler(fields)
        elif event in (None, "error") and not again:
            self._message(level, text, fields)

    def close(self) -> None:
        """Say how the run ended, once."""
        if self._closed:
            return
        self._closed = True
        self._settle(False)
        self._screen.close()
        ending = Ending(
            failed=self._failed,
            interrupted=self._interrupted,
            took=in_words(self._clock() - self._began),
            command=self._wishes.command,
        )
        silent = self._wishes.silent and not self._failed
        last = self._failed or self._interrupted or self._part is None or not self._part.later
        if self._interrupted and not self._counted:
            self._screen.say(f"Stopped before the first job. To start: {self._wishes.command}")
        elif self._closing and self._counted and last and not silent and not self._wishes.dryrun:
            self._screen.say(f"\n{self._closing(ending)}")

    def _on_workflow_started(self, fields: Mapping[str, Any]) -> None:
        self._started = True

    def _on_resources_info(self, fields: Mapping[str, Any]) -> None:
        for name in ("cores", "nodes"):
            if name in fields:
                self.progress.capacity = min(fields[name] or 1, sys.maxsize)
                self.progress.shared = name == "cores"

    def _on_run_info(self, fields: Mapping[str, Any]) -> None:
        if self._counted:
            return
        self._counted = True
        self.progress.expect({rule: number for rule, number in fields["stats"].items() if rule != "total"})
        self.progress.capacity = min(self.progress.capacity, max(self.progress.total, 1))
        if self._wishes.dryrun:
            self._say(self._table())
            return
        if self._part and not self._wishes.silent:
            self._say(self._part.words)
        self._show()

    def _on_job_info(self, fields: Mapping[str, Any]) -> None:
        if self._wishes.dryrun:
            return
        rule = fields["rule_name"]
        job = Job(rule, sentence(fields.get("rule_msg") or rule), fields.get("threads") or 1, self._clock())
        self.progress.begin(fields["jobid"], job, visit="ses-" in str((fields.get("wildcards") or {}).get("anat", "")))
        self._show()

    def _on_job_finished(self, fields: Mapping[str, Any]) -> None:
        self.progress.end(fields["job_id"], self._clock())
        self._show()

    def _on_job_error(self, fields: Mapping[str, Any]) -> None:
        self.progress.fail(fields["jobid"])
        if self._interrupted:
            return
        log, *others = fields.get("log") or [""]
        failure = failures.read(failures.marker(log)) if log else None
        reason = failure.reason if failure else fields.get("rule_msg") or "it left no word"
        if failure and failure.reason == failures.KILLED and fields.get("rule_msg"):
            reason = fields["rule_msg"]
        name = failure.job if failure else fields["rule_name"]
        text = f"{name} failed: {reason.splitlines()[0]}"
        text = text if len(text) <= _SHORT else f"{text[:_SHORT].rsplit(' ', 1)[0]} ..."
        self._held.append(
            (f"{text} (log: {', '.join(others)})" if others else text, bool(failure and failure.of_input))
        )
        self._show()

    def _settle(self, again: bool) -> None:
        """Say what failed, once it is known whether it is tried again; wrong input is not, to a reader."""
        for text, of_input in self._held:
            if not again:
                self._failed = True
                self._say(text, "error")
            elif not of_input:
                self._say(f"{text}; it is tried again", "warning")
        self._held.clear()

    def _message(self, level: int, text: str, fields: Mapping[str, Any]) -> None:
        if text.startswith(_INTERRUPTED):
            self._interrupted = True
            self._screen.hush()
        elif text.startswith(_STOPPING):
            self._interrupted = True
            self._say("Stopping: the jobs that run are finished first.")
        elif level >= logging.ERROR:
            if _OF_A_JOB in text:
                return
            self._failed = self._failed or self._started
            if not self._interrupted and not any(words in text for words in _REPEATED):
                self._say(wrapped(_WHERE.sub("", text)), "error")
        elif self._wishes.silent:
            pass
        elif level >= logging.WARNING:
            self._say(wrapped(text), "warning")
        elif text.startswith(_NOTHING):
            self._counted = True
            self._say("Nothing to be done: all that was asked for is there and up to date.")
        elif fields.get("module") in _SHOWN_MODULES or not (self._started or text.startswith(_CHATTER)):
            self._say(text)

    def _say(self, text: str, style: str = "") -> None:
        if not self._wishes.full:
            self._screen.say(text, style)

    def _show(self) -> None:
        if self._wishes.progress and not self._wishes.full and not self._interrupted and not self._wishes.dryrun:
            self._screen.show(self.progress)

    def _table(self) -> str:
        rows = self.progress.rows(self._clock())
        jobs = [sum(self.progress.counts.get(rule, 0) for rule in row.stage.seconds) for row in rows]
        names = [row.stage.name for row in rows]
        width = max([len(name) for name in names] + [len("in all")])
        lines = [f"{'stage':{width}}  {'jobs':>6}"]
        for row, number in zip(rows, jobs):
            lines.append(f"{row.stage.name:{width}}  {number:6}   {row.total} {row.unit}")
        lines.append(f"{'in all':{width}}  {sum(jobs):6}")
        return "\n".join(
            [*lines, "", "This was a dry run: nothing was done. -n --verbose names every job and its files."]
        )
