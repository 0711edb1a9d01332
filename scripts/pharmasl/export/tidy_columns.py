"""Columns of the study's table: names that every statistics program takes, and numbers rounded as a person would."""

import math
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# A participant at a session; the session is None in a study without sessions.
Visit = tuple[str, str | None]

# Digits after the point of what was computed, by its unit.
DECIMALS = {"mL/100 g/min": 2, "percent": 2, "1": 4, "mm": 3, "s": 3}
OTHER_DECIMALS = 3
# Of a unit of another program, which may be of any size: so many digits of the values' spread at least.
_DIGITS_OF_SPREAD = 3
# Digits of what somebody entered: enough for any of it, and too few for the noise of binary numbers (2.3999999999999995).
_ENTERED_DIGITS = 10


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the study's table.

    Attributes
    ----------
    name : str
        Letters, digits and underscores, a letter first.
    words : str
        What it holds.
    source, source_column : str
        The file below the results that has the values unrounded, and their column there.
    unit : str or None
    by_session : bool
        Whether each session has a value of its own; the others are of the participant.
    decimals : int or None
        To how many the numbers are rounded; None where they stand as they were entered, and of texts.
    """

    name: str
    words: str
    source: str
    source_column: str
    unit: str | None = None
    by_session: bool = True
    decimals: int | None = None


@dataclass(frozen=True)
class Measure:
    """A column and its values.

    Attributes
    ----------
    column : Column
    values : mapping
        By participant and session; of a column of the participant, the session is None.
    """

    column: Column
    values: Mapping[Visit, str | None]

    def at(self, participant: str, session: str | None) -> str | None:
        """The value of a participant at a session."""
        return self.values.get((participant, session if self.column.by_session else None))


def safe_name(text: str) -> str:
    """A name of letters, digits and underscores that begins with a letter."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return name if name[:1].isalpha() else f"x_{name}"


def distinct(measures: Sequence[Measure], taken: Collection[str]) -> list[Measure]:
    """Measures with a name of their own each, also where capitals do not count; a later one gets a number."""
    names = {name.lower() for name in taken}
    renamed = []
    for measure in measures:
        name, number = measure.column.name, 1
        while name.lower() in names:
            number += 1
            name = f"{measure.column.name}_{number}"
        names.add(name.lower())
        renamed.append(measure if number == 1 else Measure(_named(measure.column, name), measure.values))
    return renamed


def _named(column: Column, name: str) -> Column:
    return Column(**{**vars(column), "name": name})


def computed(column: Column, values: Mapping[Visit, str | None]) -> Measure:
    """A measure of computed numbers, rounded by its unit, with no more digits after the point than any of them needs.

    Parameters
    ----------
    column : Column
        Its ``decimals`` are set here.
    values : mapping
        Numbers as texts, None where missing.
    """
    numbers = {visit: float(text) for visit, text in values.items() if text is not None}
    unit = column.unit or ""
    # Units of relative CBF begin with that of CBF.
    known = DECIMALS.get("mL/100 g/min" if unit.startswith("mL/100 g/min ") else unit)
    places = _other_decimals(numbers.values()) if known is None else known
    needed = (len(f"{number:.{places}f}".rstrip("0").partition(".")[2]) for number in numbers.values())
    places = max(needed, default=0)
    rounded = {visit: fixed(number, places) for visit, number in numbers.items()}
    return Measure(Column(**{**vars(column), "decimals": places}), rounded)


def _other_decimals(numbers: Collection[float]) -> int:
    """Digits after the point of values in a unit that is not known beforehand."""
    spread = statistics.pstdev(numbers) if numbers else 0.0
    return max(OTHER_DECIMALS, _DIGITS_OF_SPREAD - 1 - math.floor(math.log10(spread)) if spread > 0 else 0)


def entered(column: Column, values: Mapping[Visit, str | None]) -> Measure:
    """A measure of what people entered: numbers as they were, without the noise of binary numbers; texts as they are."""
    return Measure(column, {visit: as_entered(text) for visit, text in values.items() if text is not None})


def fixed(number: float, places: int) -> str:
    """A number with so many digits after the point; never a negative zero."""
    text = f"{number:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def as_entered(text: str) -> str:
    """A number as it was entered, if it is a decimal fraction; any other text as it is."""
    if not re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", text):
        return text
    return f"{float(text):.{_ENTERED_DIGITS}g}"
