"""The ratings in the craving table: which rows count, and whether their values lie on the scale.

A rating is one column of the table (a single question, a visual analogue scale) or the sum of several (the items of a
questionnaire). A sum with a missing item is missing: the other items do not determine it.
"""

import logging
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pharmasl.errors import FilePath, InputError, InputErrors
from pharmasl.files import bids, tables
from pharmasl.study import settings

log = logging.getLogger(__name__)

# BIDS' name of the column of sessions; `session` is accepted too.
SESSION = "session_id"
# Participant and session without their entities, and the condition (None where the table is not divided by cue type).
Visit = tuple[str, str, str | None]


@dataclass(frozen=True)
class Answers:
    """The answers in one row of the table.

    Attributes
    ----------
    line : int
        Line of the file.
    before, after : tuple of float or None
        The items of the rating before and after the cues, None where missing.
    """

    line: int
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]

    @property
    def sums(self) -> tuple[float | None, float | None]:
        """The ratings before and after the cues, None where an item is missing."""
        return _total(self.before), _total(self.after)


def _total(items: tuple[float | None, ...]) -> float | None:
    known = [value for value in items if value is not None]
    return sum(known) if len(known) == len(items) else None


def conditions(asked: settings.Ratings) -> tuple[str | None, ...]:
    """The cue types to read, the first of which is the one that all analyses use; ``(None,)`` without cue types."""
    return asked.condition or (None,)


@dataclass(frozen=True)
class _Row:
    line: int
    cells: Mapping[str, str | None]
    condition: str | None


def _rows(table: FilePath, asked: settings.Ratings) -> list[_Row]:
    """The table's rows of the chosen conditions.

    Raises
    ------
    InputError, InputErrors
        For a table without rows, columns that are missing or ambiguous, and a condition without rows.
    """
    sheet = tables.read_sheet(table)
    if not sheet.rows:
        raise InputError(
            file=table,
            field="rows",
            found="none",
            expected="one row per participant and session",
            fix="Fill in the craving table.",
        )
    columns = sheet.columns
    session = "session" if "session" in columns or SESSION not in columns else SESSION
    if {"session", SESSION} <= set(columns):
        raise InputError(
            file=table,
            field="columns",
            found=f"session and {SESSION}",
            expected="one of them",
            fix="Remove or rename the other.",
        )
    chosen = conditions(asked)
    by_condition = chosen != (None,)
    needed = ["participant_id", session, *asked.before, *asked.after, *["condition"] * by_condition]
    if absent := [name for name in needed if name not in columns]:
        raise InputErrors(
            InputError(
                file=table,
                field=f"column {name}",
                found=f"columns {', '.join(columns)}",
                expected=f"a column {name}",
                fix="Name the table's columns in craving of the configuration.",
            )
            for name in absent
        )
    rows = [
        _Row(line, {**cells, SESSION: cells[session]}, cells["condition"] if by_condition else None)
        for line, cells in zip(sheet.lines, sheet.rows)
    ]
    for condition in chosen:
        if not any(row.condition == condition for row in rows):
            raise InputError(
                file=table,
                field="condition",
                found=sorted({row.condition for row in rows if row.condition}),
                expected=f"rows of {condition}",
                fix="Set craving.condition to one of them.",
            )
    return [row for row in rows if row.condition in chosen]


class _Reader:
    """Reads the rows one after the other, and collects what is wrong with them."""

    def __init__(
        self,
        table: FilePath,
        asked: settings.Ratings,
        participants: Collection[str],
        sessions: settings.Sessions,
    ) -> None:
        self.table, self.asked, self.participants = table, asked, participants
        self.sessions = [bids.bare_label(label, "ses") for label in (sessions.baseline, sessions.followup)]
        self.other_sessions = {bids.bare_label(label, "ses") for label in sessions.others}
        self.answers: dict[Visit, Answers] = {}
        # Errors by their place; rows of unknown participants, and of unknown sessions, share one.
        self._errors: list[InputError | str] = []
        self._unknown: dict[str, list[tuple[int, str]]] = {}

    def read(self, row: _Row) -> None:
        """Take a row's answers, or note why not."""
        participant = bids.bare_label(row.cells["participant_id"] or "", "sub")
        session = bids.bare_label(row.cells[SESSION] or "", "ses")
        if session in self.other_sessions:
            return  # another session of the study, which no craving analysis uses
        unknown = {}
        if participant not in self.participants:
            unknown["participant_id"] = participant
        if session not in self.sessions:
            unknown["session"] = session
        if unknown:
            self._note_unknown(row.line, unknown, participant, session)
            return
        visit = (participant, session, row.condition)
        if visit in self.answers:
            self._errors.append(
                InputError(
                    file=self.table,
                    field=f"line {row.line}",
                    found=f"{participant}, {session} again (first in line {self.answers[visit].line})",
                    expected="one row per participant and session",
                    fix="Remove one, or choose rows by craving.condition.",
                )
            )
            return
        before, after = (
            tuple(self._rating(row, name) for name in names) for names in (self.asked.before, self.asked.after)
        )
        self.answers[visit] = Answers(row.line, before, after)

    def _note_unknown(self, line: int, unknown: Mapping[str, str], participant: str, session: str) -> None:
        if self.asked.unknown == "ignore":
            log.info("%s, line %d left out: %s, %s is not in the study", self.table, line, participant, session)
            return
        for column, value in unknown.items():
            if column not in self._unknown:
                self._unknown[column] = []
                self._errors.append(column)
            self._unknown[column].append((line, value))

    def _rating(self, row: _Row, column: str) -> float | None:
        """A rating as a number, None where it is missing or wrong; the latter is noted."""
        text = row.cells[column]
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        low, high = self.asked.range or (-math.inf, math.inf)
        if low <= value <= high and math.isfinite(value):
            return value
        self._errors.append(
            InputError(
                file=self.table,
                field=f"line {row.line}, {column}",
                found=text,
                expected=f"a number from {low:g} to {high:g}, or n/a",
                fix="Correct the rating (numbers have a decimal point), or set craving.range to the scale's ends.",
            )
        )
        return None

    def errors(self) -> Iterator[InputError]:
        """What is wrong, in the order of the rows."""
        expected = {"participant_id": "a participant of the study", "session": f"one of {self.sessions}"}
        for error in self._errors:
            if isinstance(error, InputError):
                yield error
                continue
            rows = self._unknown[error]
            values = list(dict.fromkeys(value for _, value in rows))
            lines = f"line {rows[0][0]}" + f" and {len(rows) - 1} more" * (len(rows) > 1)
            yield InputError(
                file=self.table,
                field=f"{lines}, {error}",
                found=", ".join(values[:5]) + ", ..." * (len(values) > 5),
                expected=expected[error],
                fix="Correct it, or set craving.unknown to ignore to leave such rows out.",
            )


def read_answers(
    table: FilePath,
    asked: settings.Ratings,
    participants: Collection[str],
    sessions: settings.Sessions,
) -> tuple[dict[Visit, Answers], list[InputError]]:
    """The answers in the craving table, and what is wrong with them.

    Parameters
    ----------
    table : path-like
        TSV with ``participant_id`` (with or without ``sub-``), ``session`` or ``session_id`` (with or without ``ses-``),
        the columns of ratings and, where conditions are chosen, a column ``condition``.
    asked : Ratings
    participants : collection of str
        Of the study, without ``sub-``.
    sessions : Sessions
        Rows of ``others`` are passed over.

    Returns
    -------
    answers : dict
        By participant, session and condition.
    errors : list of InputError
        A rating that is no number or off the scale; two rows of one participant and session; a participant or session that
        the study does not have, unless ``asked.unknown`` says to ignore them.

    Raises
    ------
    InputError, InputErrors
        If the table has no rows, or a column or the rows of a condition are missing.
    """
    reader = _Reader(table, asked, participants, sessions)
    for row in _rows(table, asked):
        reader.read(row)
    return reader.answers, list(reader.errors())
