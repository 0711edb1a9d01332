"""Syntax by which SPSS and PSPP read a comma-separated table: they must be told every column, its kind and its width."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pharmasl.files import blinding, tables

# What SPSS allows: bytes of a name, and of a variable's label; letters of a number, and its decimals.
_LONGEST_NAME, _LONGEST_LABEL = 64, 255
_WIDEST, _MOST_DECIMALS = 40, 16
# A label such as 01 is a text: as a number it would be another label.
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?")


def syntax(csv_name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any]) -> str:
    """The syntax that reads a table and labels its variables.

    Parameters
    ----------
    csv_name : str
        Name of the comma-separated file, which lies in the working folder of SPSS.
    rows : sequence of mapping
        Values by column; missing ones are None.
    columns : mapping
        Entries of the data dictionary (``Description``, ``Units``), or their text, by column.

    Returns
    -------
    str
        A column of which every value is a number is numeric, with as many digits as its values have, and so is one without
        values; the others are texts.
    """
    mark = {blinding.MARK: f"sham: {blinding.TEXT}"} if blinding.active() else {}
    described = {**columns, **mark}
    names = _names(list(described))
    formats = {name: _format([_text(row.get(name)) for row in rows]) for name in columns} | dict.fromkeys(mark, "A4")
    variables = [f"  {names[name]} {formats[name]}" for name in described]
    labels = [f"  {names[name]} {_quoted(_label(entry))}" for name, entry in described.items()]
    return "\n".join(
        [
            *(f"* {blinding.MARK}: {blinding.TEXT}." for _ in mark),
            "SET DECIMAL=DOT.",
            f"GET DATA /TYPE=TXT /FILE={_quoted(csv_name)} /ENCODING='UTF8' /ARRANGEMENT=DELIMITED",
            "  /DELCASE=LINE /DELIMITERS=',' /QUALIFIER='\"' /FIRSTCASE=2 /VARIABLES=",
            "\n".join(variables) + ".",
            "VARIABLE LABELS",
            "\n".join(labels) + ".",
            "EXECUTE.",
            "",
        ]
    )


def _text(value: Any) -> str:
    return "" if value is None or value == tables.MISSING else str(value)


def _names(columns: Sequence[str]) -> dict[str, str]:
    """A name of at most 64 letters for each column, and another for each: numbered where two begin alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns:
        name, number = column[:_LONGEST_NAME], 1
        while name.lower() in taken:
            number += 1
            name = f"{column[: _LONGEST_NAME - len(str(number)) - 1]}_{number}"
        taken.add(name.lower())
        names[column] = name
    return names


def _format(values: Sequence[str]) -> str:
    there = [value for value in values if value]
    if not all(_NUMBER.fullmatch(value) for value in there):
        return f"A{max(len(value.encode()) for value in there)}"
    decimals = max((len(re.split("[eE]", value)[0].partition(".")[2]) for value in there), default=0)
    width = max((len(value) for value in there), default=1) + 1
    return f"F{min(width, _WIDEST)}.{min(decimals, _MOST_DECIMALS)}"


def _label(entry: Any) -> str:
    words = entry if isinstance(entry, str) else entry["Description"]
    unit = "" if isinstance(entry, str) or "Units" not in entry else f" ({entry['Units']})"
    text = " ".join(f"{words}{unit}".split())
    return text.encode()[:_LONGEST_LABEL].decode(errors="ignore")


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
