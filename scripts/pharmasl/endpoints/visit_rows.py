"""The rows of a table that people wrote, one per participant and session: whose they are, and the numbers in them.

What is wrong is collected, so that all of it can be told at once. Rows of people and sessions that the study does not have share
one error for each column.
"""

import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids
from pharmasl.study.settings import Sessions

log = logging.getLogger(__name__)

# BIDS' name of the column of sessions; `session` is accepted too.
SESSION = "session_id"
# Participant and session without their entities, and the condition (None where the table is not divided by cue type).
Visit = tuple[str, str, str | None]


def session_column(table: FilePath, columns: Collection[str]) -> str:
    """The name of the column of sessions: ``session_id``, or ``session``.

    Raises
    ------
    InputError
        If both are there.
    """
    if {"session", SESSION} <= set(columns):
        raise InputError(
            file=table,
            field="columns",
            found=f"session and {SESSION}",
            expected="one of them",
            fix="Remove or rename the other.",
        )
    return "session" if "session" in columns or SESSION not in columns else SESSION


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the rows are from, and what is done with those of nobody in the study.

    Attributes
    ----------
    table : path-like
    field : str
        Of the configuration, for messages: ``craving``.
    unknown : {"error", "ignore"}
    participants : collection of str
        Of the study, without ``sub-``.
    sessions : sequence of str
        Those that are used, without ``ses-``.
    passed_over : collection of str
        Sessions of the study that are not used.
    twice : str
        What can be done about two rows of one participant and session.
    """

    table: FilePath
    field: str
    unknown: str
    participants: Collection[str]
    sessions: Sequence[str]
    passed_over: Collection[str]
    twice: str


def labels(sessions: Sequence[str]) -> list[str]:
    """Labels of sessions without ``ses-``."""
    return [bids.bare_label(label, "ses") for label in sessions]


def pair_and_others(sessions: Sessions) -> tuple[list[str], list[str]]:
    """Baseline and follow-up, and the study's further sessions; labels without ``ses-``."""
    return labels([sessions.baseline, sessions.later]), labels(sessions.others)


class VisitRows:
    """Reads the rows one after the other, and collects what is wrong with them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._first: dict[Visit, int] = {}
        # Errors by their place; rows of unknown participants, and of unknown sessions, share one.
        self._errors: list[InputError | str] = []
        self._unknown: dict[str, list[tuple[int, str]]] = {}

    def visit(self, line: int, participant: str | None, session: str | None, condition: str | None) -> Visit | None:
        """Whose row it is; None where it does not count, or is wrong, which is noted.

        Parameters
        ----------
        line : int
        participant, session, condition : str or None
            As they are written. A table without sessions has the first of the used ones.
        """
        place = self.place
        who = bids.bare_label(participant or "", "sub")
        when = bids.bare_label(session or "", "ses")
        if when in place.passed_over:
            return None
        unknown = {}
        if who not in place.participants:
            unknown["participant_id"] = who
        if when not in place.sessions:
            unknown["session"] = when
        if unknown:
            self._note_unknown(line, unknown, who, when)
            return None
        visit = (who, when, condition)
        if visit in self._first:
            self.note(
                f"line {line}",
                f"{who}, {when} again (first in line {self._first[visit]})",
                "one row per participant and session",
                place.twice,
            )
            return None
        self._first[visit] = line
        return visit

    def _note_unknown(self, line: int, unknown: Mapping[str, str], participant: str, session: str) -> None:
        if self.place.unknown == "ignore":
            log.info("%s, line %d left out: %s, %s is not in the study", self.place.table, line, participant, session)
            return
        for column, value in unknown.items():
            if column not in self._unknown:
                self._unknown[column] = []
                self._errors.append(column)
            self._unknown[column].append((line, value))

    def note(self, field: str, value: str, expected: str, fix: str) -> None:
        """Note what is wrong with the table."""
        self._errors.append(InputError(self.place.table, field, value, expected, fix))

    def number(
        self, text: str | None, limits: tuple[float, ...] | None, field: str, expected: str, fix: str
    ) -> float | None:
        """A cell as a number, None where it is missing, or where it is wrong, which is noted.

        Parameters
        ----------
        text : str or None
        limits : tuple of float or None
            Lowest and highest possible value.
        field, expected, fix : str
            Of the error; ``{limits}`` in ``expected`` are the limits.
        """
        if text is None:
            return None
        low, high = limits or (-math.inf, math.inf)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if low <= value <= high and math.isfinite(value):
            return value
        self.note(field, text, expected.format(limits=f"from {low:g} to {high:g}"), fix)
        return None

    def errors(self) -> Iterator[InputError]:
        """What is wrong, in the order of the rows."""
        place = self.place
        expected = {"participant_id": "a participant of the study", "session": f"one of {list(place.sessions)}"}
        for error in self._errors:
            if isinstance(error, InputError):
                yield error
                continue
            rows = self._unknown[error]
            values = list(dict.fromkeys(value for _, value in rows))
            lines = f"line {rows[0][0]}" + f" and {len(rows) - 1} more" * (len(rows) > 1)
            yield InputError(
                file=place.table,
                field=f"{lines}, {error}",
                found=", ".join(values[:5]) + ", ..." * (len(values) > 5),
                expected=expected[error],
                fix=f"Correct it, or set {place.field}.unknown to ignore to leave such rows out.",
            )
