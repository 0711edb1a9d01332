"""Tab-separated tables and JSON sidecars, as BIDS writes them: UTF-8, ``n/a`` for missing."""

import csv
import json
import math
from pathlib import Path

from pharmasl import blinding
from pharmasl.errors import InputError

MISSING = "n/a"


def _text(value):
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return MISSING if math.isnan(value) else repr(value)
    return str(value)


def write_table(path, rows, columns):
    """Write rows as a TSV with a JSON sidecar that describes each column.

    Parameters
    ----------
    path : path-like
        Ends in ``.tsv``; the sidecar takes its name with ``.json``.
    rows : iterable of dict
        Keys are column names; a missing key, None or NaN is written ``n/a``.
    columns : dict
        Column name to its description: a string, or a dict as a BIDS sidecar holds it
        (``Description``, ``Units``, ``Levels``). Gives the columns' order.

    Raises
    ------
    KeyError
        If a row has a key that is no column.
    """
    path = Path(path)
    mark = {}
    if blinding.active():
        mark, columns = {blinding.MARK: "sham"}, {**columns, blinding.MARK: f"sham: {blinding.TEXT}"}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            unknown = set(row) - set(columns)
            if unknown:
                raise KeyError(f"no column is described for {sorted(unknown)} of {path.name}")
            row = {**row, **mark}
            writer.writerow([_text(row.get(name)) for name in columns])
    sidecar = {name: text if isinstance(text, dict) else {"Description": text} for name, text in columns.items()}
    _write(path.with_suffix(".json"), sidecar)


def read_table(path, of_arms=False):
    """Read a TSV as a list of dicts of text, ``n/a`` and empty cells as None. Accepts a byte-order mark and CRLF.

    Parameters
    ----------
    path : path-like
    of_arms : bool
        Whether it is a table of this workflow that tells the arms.

    Returns
    -------
    list of dict
        Without the column of :mod:`pharmasl.blinding`'s mark: it is for people.

    Raises
    ------
    InputError
        For a table with the mark in a run that is not blinded, and for one of the arms without it in a blinded run: it
        is left from before ``blinded`` was changed.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t")
        rows = [
            {
                name.strip(): None if value is None or value.strip() in ("", MISSING) else value.strip()
                for name, value in row.items()
                if name is not None and name != blinding.MARK
            }
            for row in reader
        ]
        marked = blinding.MARK in (reader.fieldnames or ())
    if (marked and not blinding.active()) or (of_arms and blinding.active() and not marked):
        raise InputError(
            path,
            blinding.MARK,
            "a sham allocation" if marked else "the trial's own allocation",
            "the trial's own" if marked else "a sham one, as the configuration says blinded",
            "Run without --rerun-triggers, so that all that depends on the arms is made anew, or remove the file.",
        )
    return rows


def write_json(path, content):
    """Write a dict as JSON with sorted-by-insertion keys, two spaces and a final newline; NaN is refused."""
    _write(path, {blinding.MARK: blinding.TEXT, **content} if blinding.active() else content)


def _write(path, content):
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8-sig"))
