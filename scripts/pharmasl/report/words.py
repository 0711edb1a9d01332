"""Numbers as a reader wants them, and tables as the page takes them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, Number, number, p_text
from pharmasl.study.labels import spaced

MINUS = "\u2212"
NONE = "\u2013"  # a cell to which nothing belongs
DAGGER = "\u2020"
HARD = "\u00a0"  # a space at which no line is broken
CI = f"95{HARD}%{HARD}CI"


def fixed(value: Number, digits: int = 2, unit: str = "") -> str:
    """A number with a fixed count of decimals and a true minus sign."""
    size = number(value)
    if math.isnan(size):
        return MISSING
    text = f"{size:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS) + unit


def signed(value: Number, digits: int = 2) -> str:
    """A number with its sign, plus included."""
    text = fixed(value, digits)
    return text if text == MISSING or text.startswith(MINUS) else f"+{text}"


def between(low: Number, high: Number, digits: int = 2) -> str:
    """An interval in words: "1.20 to 3.40"; missing if an end is."""
    return MISSING if low is None or high is None else f"{fixed(low, digits)} to {fixed(high, digits)}"


def short(value: bool | Number) -> str:
    """A number with four significant digits at most; other values as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return MISSING
    try:
        return f"{float(value):.4g}".replace("-", MINUS)
    except ValueError:
        return str(value)


def p_words(value: Number) -> str:
    """A p value with its letter, in one piece: "p = 0.012", "p < 0.0001"."""
    return p_text(value).replace(" ", HARD)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: Iterable[str | int], last: str = "and") -> str:
    """Words in a row: "a, b and c", with another word before the last where that is named; "none" without any."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else "none"


# A name of the configuration as words.
plain = spaced


def upper(text: str) -> str:
    """Text with a capital first letter."""
    return text[0].upper() + text[1:]


def lower(text: str) -> str:
    """Text with a small first letter."""
    return text[0].lower() + text[1:]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes
    ----------
    caption : str
    heads : sequence of str
    rows : sequence of sequence of str
        The first cell names the row.
    text : set of int
        Columns of words, set to the left; all others are numbers.
    marked : set of int
        Rows to stand out.
    links : mapping of int to str
        Where the first cell of a row leads, from the page's folder.
    file : path-like or None
        The table's file in the results.
    main : set of int or None
        Columns that a reader wants first; the others are shown on demand, and always printed. None for all.
    minor : set of int
        Rows that are shown with those columns.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: AbstractSet[int] = frozenset({0})
    marked: AbstractSet[int] = frozenset()
    links: Mapping[int, str] = field(default_factory=dict)
    file: FilePath | None = None
    main: AbstractSet[int] | None = None
    minor: AbstractSet[int] = frozenset()

    @property
    def hides(self) -> bool:
        """Whether a part of the table is shown on demand alone."""
        return self.main is not None or bool(self.minor)

    def is_main(self, column: int) -> bool:
        """Whether a column is always shown."""
        return self.main is None or column in self.main


def columns_named(heads: Sequence[str], names: Iterable[str]) -> set[int]:
    """The places of columns by the beginning of their heads."""
    wanted = tuple(names)
    return {place for place, head in enumerate(heads) if head.startswith(wanted)}
