"""Whether the words in a column are the levels of a factor, or numbers and missing values in another notation."""

import re
from collections.abc import Sequence

from pharmasl.errors import FilePath, InputError

# How programs and people write a missing value where BIDS has n/a.
_GAPS = frozenset(
    {"na", "n.a.", "n.a", "#n/a", "n/a", "nan", "null", "nil", "missing", "-", "--", "?", ".", "n.d.", "#value!"}
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_WITH_UNIT = re.compile(r"[+-]?\d+(?:\.\d+)?\s*([A-Za-zµμ%°/]+)")
_SEXES = {
    "m": "male",
    "man": "male",
    "male": "male",
    "f": "female",
    "w": "female",
    "woman": "female",
    "female": "female",
}
# More levels than this, and than half of the people, are no factor.
_FEW = 3


def check_values(values: Sequence[str], names: Sequence[str], column: str, file: FilePath) -> None:
    """Refuse words in a column that are not levels of a factor.

    Parameters
    ----------
    values : sequence of str
    names : sequence of str
        The participants they belong to, for messages.
    column : str
    file : path-like
        The table, for messages.

    Raises
    ------
    InputError
        For words that mean a missing value, numbers with a decimal comma or a unit, levels that differ only in case or blanks,
        and nearly as many levels as participants.
    """
    gaps = [_value_for(value, who) for value, who in zip(values, names) if value.casefold() in _GAPS]
    if gaps:
        raise InputError(
            file, column, _some(gaps), "a value, or n/a where it is missing", "Write n/a, or the value, in the table."
        )
    commas = [_value_for(value, who) for value, who in zip(values, names) if _DECIMAL_COMMA.fullmatch(value)]
    if commas:
        raise InputError(file, column, _some(commas), "a number with a decimal point", "Write points for the commas.")
    units = [match[1] for value in values if (match := _WITH_UNIT.fullmatch(value))]
    if len(units) == len(values) and len(set(units)) == 1 and len(set(values)) > 2:
        raise InputError(
            file,
            column,
            _some([_value_for(value, who) for value, who in zip(values, names)]),
            "numbers without a unit",
            f"Take {units[0]} out of the cells; where they are names of groups, begin them with a letter.",
        )
    check_levels(values, names, column, file)
    levels = len(set(values))
    if levels > max(_FEW, len(values) / 2):
        raise InputError(
            file,
            column,
            f"{levels} different words for {len(values)} participants: {_some(sorted(set(values)))}",
            "numbers, or a few levels",
            "Correct the table, or take the column out of the covariates.",
        )


def check_levels(values: Sequence[str], names: Sequence[str], column: str, file: FilePath) -> None:
    """Refuse a level of a factor that is written in several ways; parameters as :func:`check_values`.

    Raises
    ------
    InputError
        For levels that differ only in case or blanks, and for words and letters for a sex side by side.
    """
    spellings: dict[str, dict[str, list[str]]] = {}
    for value, who in zip(values, names):
        key = re.sub(r"[\s_.-]+", "", value.casefold())
        spellings.setdefault(_SEXES.get(key, key), {}).setdefault(value, []).append(who)
    several = [
        " and ".join(_value_for(value, ", ".join(people[:5])) for value, people in sorted(group.items()))
        for group in spellings.values()
        if len(group) > 1
    ]
    if several:
        raise InputError(
            file, column, "; ".join(several), "one spelling of each level", "Write each level in one way in the table."
        )


def _value_for(value: str, who: str) -> str:
    return f"{value} for {who}"


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")
