"""Tab-separated tables and JSON sidecars: BIDS writes them in UTF-8, ``n/a`` for missing; people write them as they do."""

import codecs
import csv
import io
import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import InputError
from pharmasl.files import blinding

MISSING = "n/a"

# UTF-32's mark begins as UTF-16's does.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_POINTER = b"version https://git-lfs.github.com/spec"
# What looks like nothing in a cell: blanks of all kinds, and the marks that spreadsheets leave within a text.
_BLANKS = " \t\r\n\f\v\u00a0\u2007\u202f\u3000\ufeff\u200b"


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


@dataclass(frozen=True)
class Sheet:
    """A table as it stands in a file.

    Attributes
    ----------
    path : str
    columns : tuple of str
        The header, in order, without columns that hold nothing at all.
    rows : tuple of dict
        Column to text, None where the cell is empty or ``n/a``; rows of empty cells are left out.
    lines : tuple of int
        Where each row stands in the file, for messages; the header is in line 1.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str | None], ...]
    lines: tuple[int, ...]


def read_text(path):
    """Read a text file of any encoding that can be told: UTF-8, with or without its mark, or UTF-16 with its mark.

    Raises
    ------
    InputError
        If there is no such file, its content was not fetched, or it is none of these.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    if content.startswith(_POINTER):
        raise InputError(
            path,
            "(whole file)",
            "a pointer of git-lfs",
            "the file's content",
            "Fetch it: git lfs pull, or datalad get.",
        )
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        around = content[max(0, error.start - 10) : error.end + 10].splitlines()
        word = next((part for part in around if content[error.start : error.end] in part), b"")
        raise InputError(
            path,
            f"line {line}",
            f"byte 0x{content[error.start]:02X} in {word.decode('cp1252', 'replace')!r}",
            f"text in {encoding.removesuffix('-sig').upper()}",
            "Save the file as UTF-8 (in Excel: Save as, Text, Encoding: UTF-8); it looks like Windows-1252 or Latin-1.",
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            path,
            f"line {line}",
            "a byte of 0",
            "text in UTF-8",
            "Save the file as UTF-8 text; it is UTF-16 or no text.",
        )
    return text


def _unreadable(path, error):
    """The error of a file that cannot be opened."""
    path = Path(path)
    if path.is_symlink() and not path.exists():
        return InputError(
            path,
            "(whole file)",
            f"a link to {os.readlink(path)}, which is not there",
            "the file's content",
            "Fetch it, by datalad get or git annex get.",
        )
    reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
    return InputError(path, "(whole file)", reason, "a table that can be read", "Add it, or correct its name.")


def read_sheet(path):
    """Read a tab-separated table that people wrote, and refuse what could be read in more ways than one.

    Quoted cells, all line ends and the encodings of :func:`read_text` are taken. Cells beyond the header that are empty,
    and columns without a name whose cells are all empty, are harmless.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Sheet

    Raises
    ------
    InputError
        For a file that is empty or not separated by tabs, a column twice or without a name, rows longer or shorter than
        the header, and a quoted cell that runs over a line's end.
    """
    return _parse(path, read_text(path), line_breaks=False)


def _parse(path, text, line_breaks):
    """The table in a text; cells that hold line breaks are taken only from tables that this workflow wrote."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    lines, cells, start = [], [], 1
    for row in reader:
        row = [cell.strip(_BLANKS) for cell in row]
        if not line_breaks and any("\n" in cell or "\r" in cell or "\t" in cell for cell in row):
            raise InputError(
                path,
                f"line {start}",
                "a quoted cell that holds a tab or runs over the line's end",
                "one row a line",
                "Close or remove the quotation mark.",
            )
        if any(row):
            lines.append(start)
            cells.append(row)
        start = reader.line_num + 1
    if not cells and line_breaks:
        return Sheet(str(path), (), (), ())
    if not cells:
        raise InputError(path, "(whole file)", "nothing", "a header, and rows below it", "Fill in the table.")
    header, rows, lines = cells[0], cells[1:], lines[1:]
    if len(header) == 1:
        _check_separator(path, header[0])
    while header and not header[-1] and not any("".join(row[len(header) - 1 :]) for row in rows):
        header = header[:-1]
    _check_header(path, header, rows)
    _check_lengths(path, header, rows, lines)
    keep = [number for number, name in enumerate(header) if name]
    columns = tuple(header[number] for number in keep)
    taken = tuple(
        {name: None if row[number] in ("", MISSING) else row[number] for number, name in zip(keep, columns)}
        for row in rows
    )
    return Sheet(str(path), columns, taken, tuple(lines))


def _check_separator(path, header):
    for separator, word in {",": "commas", ";": "semicolons", "|": "bars", " ": "blanks"}.items():
        if separator in header:
            raise InputError(
                path,
                "header",
                f"one column {header!r}",
                "tabs between the columns",
                f"Save the table separated by tabs; it is separated by {word}.",
            )


def _check_header(path, header, rows):
    twice = [f"{name} ({count} times)" for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise InputError(
            path,
            "header",
            ", ".join(twice),
            "each column once",
            "Remove or rename one: which of them is meant cannot be told.",
        )
    for number, name in enumerate(header):
        if not name and any(row[number] for row in rows if len(row) > number):
            raise InputError(
                path,
                f"header, column {number + 1}",
                "no name above a column with values",
                "a name of each column",
                "Name the column, or remove it.",
            )


def _check_lengths(path, header, rows, lines):
    wrong = [
        f"{len(row)} cells in line {line}"
        for row, line in zip(rows, lines)
        if len(row) < len(header) or any(row[len(header) :])
    ]
    if wrong:
        listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more lines" if len(wrong) > 5 else "")
        raise InputError(
            path,
            "rows",
            listed,
            f"{len(header)} cells, as the header has",
            f"Correct the tabs of these lines; an empty cell is written {MISSING}.",
        )


def read_table(path, of_arms=False):
    """Read a table of this workflow as a list of dicts of text, ``n/a`` and empty cells as None.

    Parameters
    ----------
    path : path-like
    of_arms : bool
        Whether it is a table of this workflow that tells the arms.

    Returns
    -------
    list of dict
        Without the column of :mod:`pharmasl.files.blinding`'s mark: it is for people.

    Raises
    ------
    InputError
        For what :func:`read_sheet` refuses; for a table with the mark in a run that is not blinded, and for one of the
        arms without it in a blinded run: it is left from before ``blinded`` was changed.
    """
    sheet = _parse(path, read_text(path), line_breaks=True)
    marked = blinding.MARK in sheet.columns
    if (marked and not blinding.active()) or (of_arms and blinding.active() and not marked):
        raise InputError(
            path,
            blinding.MARK,
            "a sham allocation" if marked else "the trial's own allocation",
            "the trial's own" if marked else "a sham one, as the configuration says blinded",
            "Run without --rerun-triggers, so that all that depends on the arms is made anew, or remove the file.",
        )
    return [{name: value for name, value in row.items() if name != blinding.MARK} for row in sheet.rows]


def write_json(path, content):
    """Write a dict as JSON with sorted-by-insertion keys, two spaces and a final newline; NaN is refused."""
    _write(path, {blinding.MARK: blinding.TEXT, **content} if blinding.active() else content)


def _write(path, content):
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Read a JSON file."""
    return json.loads(read_text(path))
