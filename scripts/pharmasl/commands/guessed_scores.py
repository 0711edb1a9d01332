"""Tables of a dataset that may hold clinical measures: ratings around a scan, and scores by session."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import InputError
from pharmasl.files import bids, tables
from pharmasl.statistics import covariates

_ID, _SESSIONS = "participant_id", ("session_id", "session")
_BEFORE, _AFTER = ("before", "pre"), ("after", "post")
_CRAVING = re.compile(r"crav|urge|vas|qsu|desire|rating", re.IGNORECASE)
# Ends of the scales that are common: the first that holds all values is offered.
_SCALES = ((0.0, 10.0), (0.0, 100.0))


@dataclass(frozen=True)
class Measure:
    """A column of numbers, or one column a session of a wide table.

    Attributes
    ----------
    table : str
        Below the dataset.
    name : str
    columns : dict of str to str
        Session to column where each has its own; empty for a column of a table by session.
    low, high : float
        Of the values that there are.
    scale : tuple of float or None
        Ends of the scale, if the table's data dictionary has them.
    """

    table: str
    name: str
    columns: Mapping[str, str]
    low: float
    high: float
    scale: tuple[float, float] | None


@dataclass(frozen=True)
class Ratings:
    """Ratings of one thing before and after."""

    before: Measure
    after: Measure

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of the scale: stated, or the smallest common scale that holds all values, or the values' own ends."""
        if self.before.scale:
            return self.before.scale
        low, high = min(self.before.low, self.after.low), max(self.before.high, self.after.high)
        return next((scale for scale in _SCALES if scale[0] <= low and high <= scale[1]), (low, high))


@dataclass(frozen=True)
class Scores:
    """The tables of measures.

    Attributes
    ----------
    ratings : tuple of Ratings
        Pairs of columns, rated before and after in each session.
    measures : tuple of Measure
        All other columns of numbers.
    strangers : tuple of str
        Tables with rows of people or sessions that were not scanned.
    unread : tuple of str
        Tables that cannot be read, each with the reason.
    """

    ratings: tuple[Ratings, ...]
    measures: tuple[Measure, ...]
    strangers: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def craving(self) -> Ratings | None:
        """The pair of ratings that is of craving, if one alone is."""
        close = [pair for pair in self.ratings if _CRAVING.search(f"{pair.before.table} {pair.before.name}")]
        return close[0] if len(close) == 1 else None


def guess(root: str, people: Sequence[str], sessions: Sequence[str]) -> Scores:
    """Read the tables below ``phenotype`` and beside the table of participants.

    Parameters
    ----------
    root : str
        Of the dataset.
    people, sessions : sequence of str
        Labels of those with scans.

    Returns
    -------
    Scores
    """
    paths = [*sorted(Path(root, "phenotype").glob("*.tsv")), *sorted(Path(root).glob("*.tsv"))]
    ratings: list[Ratings] = []
    measures: list[Measure] = []
    strangers: list[str] = []
    unread: list[str] = []
    for path in paths:
        name = bids.place(path, root)
        if name == "participants.tsv" or (bids.parse(path.name) and path.name.endswith("_aslcontext.tsv")):
            continue
        try:
            sheet = tables.read_sheet(path)
        except InputError as problem:
            unread.append(str(problem))
            continue
        if _ID not in sheet.columns:
            continue
        session = next((column for column in _SESSIONS if column in sheet.columns), None)
        numbers = _numbers(sheet, name)
        if session:
            pairs = list(_pairs(list(numbers.values())))
            ratings += pairs
            taken = {measure.name for pair in pairs for measure in (pair.before, pair.after)}
            measures += [measure for measure in numbers.values() if measure.name not in taken]
        else:
            measures += _wide(numbers, sessions)
        if _has_strangers(sheet, session, people, sessions):
            strangers.append(name)
    return Scores(tuple(ratings), tuple(measures), tuple(strangers), tuple(unread))


def _numbers(sheet: tables.Sheet, table: str) -> dict[str, Measure]:
    """The columns of numbers."""
    scales = _scales(Path(sheet.path).with_suffix(".json"))
    numbers: dict[str, Measure] = {}
    for column in sheet.columns:
        values = [row[column] for row in sheet.rows if row[column] is not None]
        read = [covariates.number(str(value)) for value in values]
        known = [value for value in read if value is not None]
        if column not in (_ID, *_SESSIONS) and known and len(known) == len(values):
            numbers[column] = Measure(table, column, {}, min(known), max(known), scales.get(column))
    return numbers


def _scales(path: Path) -> dict[str, tuple[float, float]]:
    """The ends of the scales that a data dictionary states, by column."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    scales = {}
    for column, about in content.items() if isinstance(content, dict) else ():
        about = about if isinstance(about, dict) else {}
        ends = [about.get(key) for key in ("Minimum", "Maximum")]
        if all(isinstance(end, int | float) for end in ends):
            scales[column] = (float(ends[0]), float(ends[1]))  # type: ignore[arg-type]  # both are numbers
    return scales


def _pairs(measures: Sequence[Measure]) -> list[Ratings]:
    """Columns whose names differ by before and after, or pre and post."""
    by_name = {measure.name: measure for measure in measures}
    pairs = []
    for measure in measures:
        for early, late in zip(_BEFORE, _AFTER):
            other = by_name.get(_exchanged(measure.name, early, late))
            if other is not None and other is not measure:
                pairs.append(Ratings(measure, other))
    return pairs


def _exchanged(name: str, word: str, other: str) -> str:
    """A name with one of its words in the place of another."""
    return re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", other, name, flags=re.IGNORECASE)


def _wide(numbers: Mapping[str, Measure], sessions: Sequence[str]) -> list[Measure]:
    """Measures with a column for each session, in a table of one row a person."""
    stems: dict[str, dict[str, Measure]] = {}
    for name, measure in numbers.items():
        for session in sessions:
            match = re.fullmatch(rf"(.+?)_(?:ses-)?{re.escape(session)}", name)
            if match:
                stems.setdefault(match[1], {})[session] = measure
    return [
        Measure(
            next(iter(columns.values())).table,
            stem,
            {session: measure.name for session, measure in columns.items()},
            min(measure.low for measure in columns.values()),
            max(measure.high for measure in columns.values()),
            next(iter(columns.values())).scale,
        )
        for stem, columns in stems.items()
        if len(columns) > 1
    ]


def _has_strangers(sheet: tables.Sheet, session: str | None, people: Sequence[str], sessions: Sequence[str]) -> bool:
    for row in sheet.rows:
        if bids.bare_label(row[_ID] or "", "sub") not in people:
            return True
        if session and bids.bare_label(row[session] or "", "ses") not in sessions:
            return True
    return False
