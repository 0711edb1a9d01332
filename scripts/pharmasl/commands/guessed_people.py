"""What a dataset's table of participants says of the trial: which column is the arm, and which could be covariates."""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.files import bids, tables
from pharmasl.statistics import covariates

TABLE = "participants.tsv"
_ID = "participant_id"
_ARM_COLUMNS = re.compile(
    r"arm|group|treatment|treat|drug|allocation|alloc|randomi[sz]|medication|intervention|tx", re.IGNORECASE
)
_NO_ARMS = re.compile(
    r"sex|gender|hand|site|scanner|race|ethnic|educat|smok|session|date|consent|complete", re.IGNORECASE
)
_CONTROLS = re.compile(r"placebo|sham|control|ctrl|ctl|pbo|plc|saline|vehicle|dummy|tau|usual", re.IGNORECASE)
_COVARIATES = ("age", "sex", "gender")
_HAEMATOCRIT = re.compile(r"h(a?e)?matocrit|hct", re.IGNORECASE)
_MOST_ARMS = 6


@dataclass(frozen=True)
class Column:
    """A column of the table of participants, over those with perfusion scans.

    Attributes
    ----------
    name : str
    counts : dict of str to int
        People by value.
    missing : int
        People without one.
    is_number : bool
    """

    name: str
    counts: Mapping[str, int]
    missing: int
    is_number: bool

    def words(self) -> str:
        """What is in it, in a few words."""
        if self.is_number and len(self.counts) > _MOST_ARMS:
            values = [float(value) for value in self.counts]
            text = f"{min(values):g} to {max(values):g}"
        else:
            shown = [f"{value} ({count})" for value, count in list(self.counts.items())[:_MOST_ARMS]]
            text = ", ".join([*shown, *(["..."] if len(self.counts) > _MOST_ARMS else [])]) or "empty"
        return text + (f", {self.missing} missing" if self.missing else "")


@dataclass(frozen=True)
class People:
    """The participants' table.

    Attributes
    ----------
    columns : tuple of Column
    arm : Column or None
        The arm, if one column alone can be it.
    arms : tuple of str
        Its values: the treatment first, then the control.
    covariates : tuple of str
    haematocrit : str or None
    without_row : tuple of str
        Labels of people with scans who are not in the table.
    with_row : tuple of str
    questions : tuple of str
        What only the user can know of the arms.
    """

    columns: tuple[Column, ...]
    arm: Column | None
    arms: tuple[str, ...]
    covariates: tuple[str, ...]
    haematocrit: str | None
    without_row: tuple[str, ...]
    with_row: tuple[str, ...]
    questions: tuple[str, ...]


def guess(dataset: bids.Dataset, scanned: Sequence[str]) -> People:
    """Read the table of participants.

    Parameters
    ----------
    dataset : bids.Dataset
    scanned : sequence of str
        Labels of the participants with perfusion scans.

    Returns
    -------
    People

    Raises
    ------
    InputError
        For a table that cannot be read without guessing at its cells.
    """
    path = os.path.join(dataset.root, TABLE)
    if not os.path.lexists(path):
        return People(
            columns=(),
            arm=None,
            arms=(),
            covariates=(),
            haematocrit=None,
            without_row=(),
            with_row=tuple(scanned),
            questions=(f"there is no {TABLE}. Which arm is each participant in? A column of it has to say so",),
        )
    sheet = tables.read_sheet(path)
    if _ID not in sheet.columns:
        raise InputError(path, _ID, f"no such column, of {', '.join(sheet.columns)}", "a column of labels", "Add it.")
    rows = {bids.bare_label(row[_ID] or "", "sub"): row for row in sheet.rows}
    known = [label for label in scanned if label in rows]
    columns = tuple(_column(name, [rows[label].get(name) for label in known]) for name in sheet.columns if name != _ID)
    arm, questions = _arm(columns)
    arms, asked = _roles(dataset, arm) if arm else ((), [])
    usable = [
        column.name
        for column in columns
        if column.name.casefold() in _COVARIATES and not column.missing and _can_be_covariate(column, len(known))
    ]
    haematocrit = next(
        (column.name for column in columns if column.is_number and _HAEMATOCRIT.search(column.name)), None
    )
    return People(
        columns=columns,
        arm=arm,
        arms=arms,
        covariates=tuple(usable),
        haematocrit=haematocrit,
        without_row=tuple(label for label in scanned if label not in rows),
        with_row=tuple(known),
        questions=(*questions, *asked),
    )


def _column(name: str, values: Sequence[str | None]) -> Column:
    counts = Counter(value for value in values if value is not None)
    is_number = bool(counts) and all(covariates.number(value) is not None for value in counts)
    return Column(name, dict(sorted(counts.items())), sum(value is None for value in values), is_number)


def _can_be_covariate(column: Column, people: int) -> bool:
    levels = len(column.counts)
    return (
        levels > 1 and (column.is_number or (levels <= _MOST_ARMS and min(column.counts.values()) > 1)) and people > 5
    )


def _arm(columns: Sequence[Column]) -> tuple[Column | None, list[str]]:
    """The column that is the arm, or the question which it is."""
    possible = [
        column
        for column in columns
        if 2 <= len(column.counts) <= _MOST_ARMS
        and min(column.counts.values()) > 1
        and not _NO_ARMS.search(column.name)
    ]
    by_value = [column for column in possible if any(_CONTROLS.search(value) for value in column.counts)]
    by_name = [column for column in possible if _ARM_COLUMNS.search(column.name)]
    both = [column for column in by_value if column in by_name]
    for candidates in (both, by_value, by_name):
        if len(candidates) == 1:
            return candidates[0], []
        if candidates:
            names = ", ".join(column.name for column in candidates)
            return None, [f"which column is the arm? It could be {names}"]
    names = ", ".join(column.name for column in possible)
    return None, [f"which column is the arm? {f'It could be {names}' if names else 'None of the table looks like one'}"]


def _roles(dataset: bids.Dataset, arm: Column) -> tuple[tuple[str, ...], list[str]]:
    """The arms, treatment first and control second."""
    words = _levels(dataset, arm.name)
    values = list(arm.counts)
    controls = [value for value in values if _CONTROLS.search(f"{value} {words.get(value, '')}")]
    control = controls[0] if controls else values[0]
    others = [value for value in values if value != control]
    questions = []
    if len(controls) != 1:
        questions.append(f"which of {', '.join(values)} is the control? No name says so")
    if len(others) > 1:
        questions.append(f"which of {', '.join(others)} is the arm that is compared with {control} first?")
    return (others[0], control, *others[1:]), questions


def _levels(dataset: bids.Dataset, column: str) -> dict[str, str]:
    """What the table's data dictionary says of a column's values."""
    try:
        with open(os.path.join(dataset.root, "participants.json"), encoding="utf-8-sig") as file:
            levels = json.load(file)[column]["Levels"]
        return {
            str(value): str(words.get("Description", words) if isinstance(words, dict) else words)
            for value, words in levels.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
