"""The simulated trial's three answers in plain sentences, from the comparison of planted and found."""

from collections.abc import Mapping, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.simulate.comparison_table import ASSOCIATION, CRAVING, RESTING
from pharmasl.study.settings import Arms

_SIGNIFICANT = "found"

Row = Mapping[str, Any]


def answers(comparison: FilePath, arms: Arms) -> list[str]:
    """Whether the trial's three planted effects were found, a sentence each.

    Parameters
    ----------
    comparison : path-like
        The table of :func:`pharmasl.simulate.comparison.write_comparison`.
    arms : settings.Arms

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    rows = tables.read_table(comparison)
    names = f"on {arms.treatment} than on {arms.control}"
    return [
        _rest(_planted(rows, RESTING), names),
        _association(_planted(rows, ASSOCIATION)),
        _craving(_planted(rows, CRAVING), names),
    ]


def _planted(rows: Sequence[Row], effect: str) -> list[Row]:
    """The rows of an effect that say what was planted somewhere."""
    return [row for row in rows if row["effect"] == effect and float(row["planted"] or 0)]


def _rest(rows: Sequence[Row], names: str) -> str:
    (row,) = rows
    if row["verdict"] != _SIGNIFICANT:
        return f"Resting CBF of the {row['region']}: the planted change was not detected ({row['verdict']})."
    return (
        f"Resting CBF of the {row['region']} {_more(row, 'mL/100 g/min')} {names} (p = {_shown(row['p'])}, corrected over the brain); "
        f"expected {_amount(row['expected'])}."
    )


def _association(rows: Sequence[Row]) -> str:
    hits = [row for row in rows if row["verdict"] == _SIGNIFICANT]
    if not hits:
        return (
            f"The planted association of that change with the response to cues was not detected ({len(rows)} regions)."
        )
    way = "less" if float(hits[0]["found"]) < 0 else "more"
    regions = _joined([_place(row["region"]) for row in hits])
    p = max((row["p"] for row in hits), key=float)
    return (
        f"The more resting CBF rose there, the {way} CBF rose during cues in the {regions} (p = {_shown(p)} or less, corrected "
        f"over the brain): {len(hits)} of {len(rows)} planted regions."
    )


def _craving(rows: Sequence[Row], names: str) -> str:
    (row,) = rows
    if row["verdict"] != _SIGNIFICANT:
        return f"Cue-elicited craving: the planted change was not detected ({row['verdict']}, p = {_shown(row['p'])})."
    return f"Cue-elicited craving {_more(row, 'points')} {names} (p = {_shown(row['p'])}); planted {_amount(row['planted'])}."


def _place(region: str) -> str:
    """A region as it stands in a sentence: ``insula, left`` is the left insula."""
    name, _, side = region.partition(", ")
    return f"{side} {name}" if side else name


def _joined(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _more(row: Row, unit: str) -> str:
    value = float(row["found"])
    return f"{'rose' if value > 0 else 'fell'} {abs(value):.1f} {unit} more"


def _amount(text: str) -> str:
    return f"{abs(float(text)):.3g}"


def _shown(p: str) -> str:
    return f"{float(p):.1g}"
