"""The ratings in the craving table: which rows count, and whether their values lie on the scale.

A rating is one column of the table (a single question, a visual analogue scale) or the sum of several (the items of a
questionnaire). A sum with a missing item is missing: the other items do not determine it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pharmasl.endpoints import visit_rows
from pharmasl.endpoints.visit_rows import SESSION, Place, Visit, VisitRows
from pharmasl.errors import FilePath, InputError, InputErrors, did_you_mean, similar
from pharmasl.files import tables
from pharmasl.study import settings


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
    session = visit_rows.session_column(table, columns)
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
                fix=f"Name the table's columns in craving of the configuration. {did_you_mean(similar(name, columns))}".rstrip(),
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
    used, others = visit_rows.pair_and_others(sessions)
    reader = VisitRows(
        Place(
            table=table,
            field="craving",
            unknown=asked.unknown,
            participants=participants,
            sessions=used,
            passed_over=others,
            twice="Remove one, or choose rows by craving.condition.",
        )
    )
    answers = {}
    for row in _rows(table, asked):
        if visit := reader.visit(row.line, row.cells["participant_id"], row.cells[SESSION], row.condition):
            before, after = (
                tuple(_rating(reader, row, name, asked.range) for name in names)
                for names in (asked.before, asked.after)
            )
            answers[visit] = Answers(row.line, before, after)
    return answers, list(reader.errors())


def _rating(reader: VisitRows, row: _Row, column: str, limits: tuple[float, ...] | None) -> float | None:
    return reader.number(
        row.cells[column],
        limits,
        f"line {row.line}, {column}",
        "a number {limits}, or n/a",
        "Correct the rating (numbers have a decimal point), or set craving.range to the scale's ends.",
    )
