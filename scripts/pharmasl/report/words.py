"""Numbers as a reader wants them, and tables as the page takes them."""

import math
from dataclasses import dataclass, field

MINUS = "\u2212"
MISSING = "n/a"
HARD = "\u00a0"  # a space at which no line is broken


def number(text):
    """A table's cell as a float, NaN where missing."""
    return math.nan if text is None else float(text)


def fixed(value, digits=2, unit=""):
    """A number with a fixed count of decimals and a true minus sign."""
    value = number(value)
    if math.isnan(value):
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS) + unit


def signed(value, digits=2):
    """A number with its sign, plus included."""
    text = fixed(value, digits)
    return text if text == MISSING or text.startswith(MINUS) else f"+{text}"


def short(value):
    """A number with four significant digits at most; other values as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        value = float(value)
    except (TypeError, ValueError):
        return MISSING if value is None else str(value)
    return f"{value:.4g}".replace("-", MINUS)


def p_value(value):
    """A p value: two significant digits, never zero."""
    value = number(value)
    if math.isnan(value):
        return MISSING
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"


def p_words(value):
    """A p value with its letter: "p = 0.012", "p < 0.0001", in one piece."""
    text = p_value(value)
    return f"p {text}".replace(" ", HARD) if text.startswith("<") else f"p{HARD}={HARD}{text}"


def count(number, noun, plural=None):
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items):
    """Words in a row: "a, b and c"."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def plain(name):
    """A name of the configuration as words."""
    return str(name).replace("_", " ")


@dataclass
class Table:
    """A table of the page.

    Attributes
    ----------
    caption : str
    heads : list of str
    rows : list of list of str
        The first cell names the row.
    text : set of int
        Columns of words, set to the left; all others are numbers.
    marked : set of int
        Rows to stand out.
    """

    caption: str
    heads: list
    rows: list
    text: set = field(default_factory=lambda: {0})
    marked: set = field(default_factory=set)


def upper(text):
    """Text with a capital first letter."""
    return text[0].upper() + text[1:]
