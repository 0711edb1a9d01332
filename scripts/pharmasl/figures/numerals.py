"""Numbers of a table's cells, as figures and pages show them."""

import math

MISSING = "n/a"

# A number, or a table's cell that holds one; None where it is missing.
Number = str | float | None


def number(value: Number) -> float:
    """A table's cell as a float, NaN where missing."""
    return math.nan if value is None else float(value)


def p_value(value: Number) -> str:
    """A p value: two significant digits, never zero."""
    p = number(value)
    if math.isnan(p):
        return MISSING
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2g}" if p >= 0.001 else f"{p:.1g}"


def p_text(value: Number) -> str:
    """A p value with its letter: "p = 0.012", "p < 0.0001"."""
    text = p_value(value)
    return f"p {text}" if text == MISSING or text.startswith("<") else f"p = {text}"
