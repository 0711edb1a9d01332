"""A clinical measure's scores from its table: a column, or the sum of items, reverse-scored and prorated as declared.

The sum of a scale with missing items is missing, unless the measure says from how many answered items it is prorated: the mean of
the answered items, reversed ones turned round, times the number of items (half-scale rule and the like; Fairclough and Cella
1996, J Natl Cancer Inst 88:1613).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.endpoints import visit_rows
from pharmasl.endpoints.visit_rows import Place, VisitRows
from pharmasl.errors import FilePath, InputError, InputErrors, did_you_mean, similar
from pharmasl.files import tables
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import MeasureTable, Sessions

# Participant and session, both without their entities.
Visit = tuple[str, str]
LOG = "log"


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of a visit.

    Attributes
    ----------
    measured : float or None
        In the measure's unit; None where missing.
    analysed : float or None
        Transformed as the measure says.
    answered : int or None
        Items answered, of a sum.
    """

    measured: float | None
    analysed: float | None
    answered: int | None


@dataclass(frozen=True)
class _Row:
    """A visit's cells: of the score, or of the items, in their order."""

    line: int
    participant: str | None
    session: str | None
    cells: Mapping[str, str | None]


def _is_wide(asked: MeasureTable) -> bool:
    return asked.items is None and not isinstance(asked.score, str)


def _columns(asked: MeasureTable) -> list[str]:
    """The columns that hold values."""
    if asked.items is not None:
        return list(asked.items)
    return list(asked.score.values()) if _is_wide(asked) else [asked.score]


def _rows(table: FilePath, asked: MeasureTable, field: str) -> list[_Row]:
    """The table's rows, one per participant and session, of a wide table too.

    Raises
    ------
    InputError, InputErrors
        For a table without rows, and columns that are missing or ambiguous.
    """
    sheet = tables.read_sheet(table)
    if not sheet.rows:
        raise InputError(table, "rows", "none", "one row per participant and session", "Fill in the table.")
    wide = _is_wide(asked)
    session = None if wide else visit_rows.session_column(table, sheet.columns)
    needed = ["participant_id", *([] if session is None else [session]), *_columns(asked)]
    if absent := [name for name in needed if name not in sheet.columns]:
        raise InputErrors(
            InputError(
                table,
                f"column {name}",
                f"columns {', '.join(sheet.columns)}",
                f"a column {name}",
                f"Name the table's columns in {field}. {did_you_mean(similar(name, sheet.columns))}".rstrip(),
            )
            for name in absent
        )
    rows = []
    for line, cells in zip(sheet.lines, sheet.rows):
        if wide:
            rows += [
                _Row(line, cells["participant_id"], label, {column: cells[column]})
                for label, column in asked.score.items()
            ]
        else:
            own = {column: cells[column] for column in _columns(asked)}
            rows.append(_Row(line, cells["participant_id"], cells[str(session)], own))
    return rows


class _Scorer:
    """Makes scores of rows, and notes what is wrong with them."""

    def __init__(self, asked: MeasureTable, field: str, reader: VisitRows) -> None:
        self.asked, self.field, self.reader = asked, field, reader

    def score(self, row: _Row, visit: Visit) -> Score:
        """The score of a row, None where a value is missing or wrong."""
        asked, who = self.asked, f"{visit[0]}, {visit[1]}"
        values = [self._value(row, column, who) for column in row.cells]
        answered = sum(value is not None for value in values)
        measured = values[0] if asked.items is None else self._sum(dict(zip(row.cells, values)))
        analysed = measured
        if asked.kind == BINARY and measured not in (None, 0, 1):
            self.reader.note(
                f"line {row.line}, {', '.join(row.cells)} of {who}",
                f"{measured:g}",
                "0 or 1, of a binary score",
                f"Correct the score, or set {self.field}.kind to number.",
            )
        if asked.transform == LOG and measured is not None:
            analysed = math.log(measured) if measured > 0 else None
            if measured <= 0:
                self.reader.note(
                    f"line {row.line}, {', '.join(row.cells)} of {who}",
                    f"{measured:g}",
                    "a score above 0, for its logarithm",
                    f"Correct the score, or set {self.field}.transform to none.",
                )
        return Score(measured=measured, analysed=analysed, answered=None if asked.items is None else answered)

    def _value(self, row: _Row, column: str, who: str) -> float | None:
        fix = "Correct the value: a number with a decimal point and without its unit."
        return self.reader.number(
            row.cells[column],
            self.asked.range,
            f"line {row.line}, {column} of {who}",
            "a number {limits}, or n/a" if self.asked.range else "a number, or n/a",
            f"{fix[:-1]}, or set {self.field}.range to the scale's ends." if self.asked.range else fix,
        )

    def _sum(self, items: Mapping[str, float | None]) -> float | None:
        """The sum of the items."""
        low, high = self.asked.range or (0.0, 0.0)
        known = [
            low + high - value if name in self.asked.reverse else value
            for name, value in items.items()
            if value is not None
        ]
        least = self.asked.prorate.least if self.asked.prorate else len(items)
        if len(known) < least:
            return None
        return math.fsum(known) if len(known) == len(items) else math.fsum(known) / len(known) * len(items)


def read(
    table: FilePath,
    asked: MeasureTable,
    participants: Collection[str],
    sessions: Sessions,
    *,
    field: str,
    passed_over: Sequence[str] = (),
) -> tuple[dict[Visit, Score], list[InputError]]:
    """The scores in a measure's table, and what is wrong with it.

    Parameters
    ----------
    table : path-like
        TSV with ``participant_id`` (with or without ``sub-``), ``session_id`` or ``session`` (with or without ``ses-``) and the
        columns of the measure; a wide table has a row per participant and a column per session.
    asked : MeasureTable
    participants : collection of str
        Of the study, without ``sub-``.
    sessions : Sessions
        Of the measure.
    field : str
        Of the configuration, for messages: ``endpoints.cigarettes``.
    passed_over : sequence of str
        Sessions of the study whose rows do not count.

    Returns
    -------
    scores : dict
        By participant and session; visits without a row have none.
    errors : list of InputError
        A value that is no number or out of range; a score whose logarithm does not exist; two rows of one participant and session; a
        participant or session that the study does not have, unless they are to be ignored.

    Raises
    ------
    InputError, InputErrors
        If the table has no rows, or a column is missing.
    """
    used = visit_rows.labels(sessions.labels)
    reader = VisitRows(
        Place(
            table=table,
            field=field,
            unknown=asked.unknown,
            participants=participants,
            sessions=used,
            passed_over=set(visit_rows.labels(passed_over)) - set(used),
            twice="Remove one.",
        )
    )
    scorer = _Scorer(asked, field, reader)
    scores = {}
    for row in _rows(table, asked, field):
        if place := reader.visit(row.line, row.participant, row.session, None):
            visit = place[:2]
            scores[visit] = scorer.score(row, visit)
    return scores, list(_once(reader.errors()))


def _once(errors: Iterator[InputError]) -> Iterator[InputError]:
    """The errors without those that a wide table repeats for each session."""
    seen = set()
    for error in errors:
        key = (error.field.partition(",")[0], str(error.expected)) if "again" in str(error.found) else error
        if key not in seen:
            seen.add(key)
            yield error


def whole_range(asked: MeasureTable) -> tuple[float, float] | None:
    """The lowest and highest possible score, where the measure says them."""
    if asked.range is None:
        return None
    number = len(asked.items) if asked.items else 1
    return number * asked.range[0], number * asked.range[1]
