"""What a user reads while a run goes on: events of Snakemake's log, made into progress and the few texts that matter.

Knows the events by their names, and Snakemake not at all.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import wrapped
from pharmasl.workflow import dry_run, failures
from pharmasl.workflow.closing import Ending
from pharmasl.workflow.progress import Job, Progress, in_words
from pharmasl.workflow.screens import Screen, sentence
from pharmasl.workflow.stages import Part

# Messages of Snakemake without an event, by their beginnings.
_INTERRUPTED = ("Terminating processes on user request", "Cancelling snakemake on user request")
_STOPPING = "Will exit after finishing currently running jobs"
_NOTHING = "Nothing to be done"
_RESTART = re.compile(r"Trying to restart job (\S+)\.$")
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
# Seconds after which what has failed is not tried again.
_PATIENCE = 5.0
_WORDLESS = "it left no word"


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


@dataclass(frozen=True)
class _Held:
    """A failure of which it is not known yet whether it is final: in words, by whose fault, of which jobs, since when."""

    text: str
    of_input: bool
    jobs: frozenset[int]
    since: float


def _failure(fields: Mapping[str, Any]) -> failures.Failure | None:
    """What a failed job has left beside its log."""
    log = next(iter(fields.get("log") or []), None)
    return failures.read(failures.marker(log)) if log else None


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

    Attributes
    ----------
    progress : Progress
    interrupted : bool
        Whether a user has stopped it.
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
        self._since = time.time()
        self._closing: Callable[[Ending], str] | None = None
        # Failures of which it is not known yet whether they are tried again.
        self._held: list[_Held] = []
        self._said: set[str] = set()
        self._reasons: dict[str, set[str]] = {}
        self._started = self._counted = self._failed = self.interrupted = self._closed = False

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
        restart = event is None and _RESTART.match(text)
        handler = getattr(self, f"_on_{event}", None)
        if restart:
            # A group of jobs goes by a name that nothing else says: it is the first of those that wait.
            groups = [held.jobs for held in self._held if len(held.jobs) > 1 or not restart[1].isdigit()]
            self._again([int(restart[1])] if restart[1].isdigit() else groups[0] if groups else [])
        elif handler:
            handler(fields)
        elif event in (None, "error"):
            self._message(level, text, fields)
        self._settle()

    def interrupt(self, gently: bool = False) -> None:
        """Say at once how to go on, for to cancel the jobs of a cluster takes a while; ``gently`` where they are waited for."""
        if self.interrupted:
            return
        self.interrupted = True
        self._screen.hush()
        if not self._counted:
            words = "Stopped before the first job. To start"
        elif gently:
            words = "Stopping as soon as the running jobs are done. To go on"
        else:
            words = f"Stopped after {in_words(self._clock() - self._began)}; what is done is kept. To go on"
        self._screen.say(f"\n{words}: {self._wishes.command}")

    def close(self) -> None:
        """Say how the run ended, once."""
        if self._closed:
            return
        self._closed = True
        self._settle(0)
        self._screen.close()
        ending = Ending(
            failed=self._failed,
            took=in_words(self._clock() - self._began),
            command=self._wishes.command,
            since=self._since if self.progress.total else 0.0,
        )
        silent = self._wishes.silent and not self._failed
        last = self._failed or self._part is None or not self._part.later
        if self.interrupted:
            return
        if self._wishes.dryrun and self.progress.total and not self._failed:
            self._say(dry_run.table(self.progress, self._reasons))
        if self._closing and self._counted and last and not silent and not self._wishes.dryrun:
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
            return
        if self._part and not self._wishes.silent:
            self._say(self._part.words)
        self._show()

    def _on_job_info(self, fields: Mapping[str, Any]) -> None:
        rule = fields["rule_name"]
        if self._wishes.dryrun:
            self._reasons.setdefault(rule, set()).add(str(fields.get("reason", "")))
            return
        job = Job(rule, sentence(fields.get("rule_msg") or rule), fields.get("threads") or 1, self._clock())
        self._again([fields["jobid"]])
        self.progress.begin(fields["jobid"], job, visit="ses-" in str((fields.get("wildcards") or {}).get("anat", "")))
        self._show()

    def _on_job_finished(self, fields: Mapping[str, Any]) -> None:
        self.progress.end(fields["job_id"], self._clock())
        self._show()

    def _on_job_error(self, fields: Mapping[str, Any]) -> None:
        number = fields["jobid"]
        self.progress.fail(number)
        if not any(number in failure.jobs for failure in self._held):
            self._hold([fields], [])
        self._show()

    def _on_group_error(self, fields: Mapping[str, Any]) -> None:
        """A cluster's job that holds several: those of them that failed have left a word, others have not been reached."""
        members = fields["job_error_info"]
        spoken = [member for member in members if _failure(member) is not None]
        for member in members:
            self.progress.fail(member["jobid"], shown=member in (spoken or members[:1]))
        self._hold(spoken or members[:1], fields.get("aux_logs") or [], [member["jobid"] for member in members])

    def _hold(self, failed: Sequence[Mapping[str, Any]], logs: Sequence[str], jobs: Sequence[int] = ()) -> None:
        """Remember what failed, until it is known whether it is tried again."""
        if self.interrupted:
            return
        for member in failed:
            others = [*list(member.get("log") or [])[1:], *logs]
            failure = _failure(member)
            word = member.get("rule_msg")
            killed = failure is None or failure.reason == failures.KILLED
            reason = word or _WORDLESS if killed or failure is None else failure.reason
            text = f"{failure.job if failure else member['rule_name']} failed: {reason.splitlines()[0]}"
            text = text if len(text) <= _SHORT else f"{text[:_SHORT].rsplit(' ', 1)[0]} ..."
            if killed and others:
                text = f"{text} (log: {', '.join(dict.fromkeys(others))})"
            of_input = bool(failure and failure.of_input)
            self._held.append(_Held(text, of_input, frozenset(jobs or [member["jobid"]]), self._clock()))

    def _again(self, numbers: Collection[int]) -> None:
        """Jobs are tried again; wrong input is said when it fails for good."""
        for held in [held for held in self._held if held.jobs.intersection(numbers)]:
            self._held.remove(held)
            if not held.of_input:
                self._say(f"{held.text}; it is tried again", "warning")

    def _settle(self, patience: float = _PATIENCE) -> None:
        """Say what failed for good: what is not tried again for a while."""
        now = self._clock()
        for held in [held for held in self._held if now - held.since >= patience]:
            self._held.remove(held)
            self._failed = True
            self._say(held.text, "error")

    def _message(self, level: int, text: str, fields: Mapping[str, Any]) -> None:
        if text.startswith((*_INTERRUPTED, _STOPPING)):
            self.interrupt(gently=text.startswith(_STOPPING))
        elif level >= logging.ERROR:
            if _OF_A_JOB in text:
                return
            self._failed = self._failed or self._started
            if not self.interrupted and not any(words in text for words in _REPEATED):
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
        # What warns twice warns no more.
        if self._wishes.full or (style and text in self._said):
            return
        self._said.add(text)
        self._screen.say(text, style)

    def _show(self) -> None:
        if self._wishes.progress and not self._wishes.full and not self.interrupted and not self._wishes.dryrun:
            self._screen.show(self.progress)
