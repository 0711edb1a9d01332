"""Tab-separated tables and JSON sidecars, written as BIDS has them: in UTF-8, with ``n/a`` for missing values."""

import codecs
import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pharmasl.errors import FilePath, InputError
from pharmasl.files import blinding

if TYPE_CHECKING:
    import pandas as pd

MISSING = "n/a"

# A row of a table as it is read: text by column, or None for an empty cell and for n/a. Which columns have no empty cells is
# known to the reader of a table alone: the type leaves it open.
Row = dict[str, Any]
# What describes a column: a sentence, or the fields of its entry in a BIDS sidecar.
Columns = Mapping[str, str | Mapping[str, Any]]

# Byte order marks; that of UTF-32 begins as that of UTF-16 does.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_POINTER = b"version https://git-lfs.github.com/spec"
# Invisible characters of a cell: blanks of all kinds, and byte order marks that spreadsheets leave within a text.
_BLANKS = " \t\r\n\f\v\u00a0\u2007\u202f\u3000\ufeff\u200b"


def is_number(text: str) -> bool:
    """Whether a cell is a number; an underline within one, which Python skips, makes it none."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _text(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return MISSING if math.isnan(value) else repr(value)
    return str(value)


def write_table(path: FilePath, rows: Iterable[Mapping[str, Any]], columns: Columns) -> None:
    """Write rows as a TSV with a JSON sidecar that describes the columns.

    Parameters
    ----------
    path : path-like
        Ends in ``.tsv``; the sidecar takes its name with ``.json``.
    rows : iterable of mapping
        Values by column; a missing key, None and NaN are written ``n/a``.
    columns : mapping
        Descriptions by column, in the order of the columns: text, or a mapping as a BIDS sidecar has it
        (``Description``, ``Units``, ``Levels``).

    Raises
    ------
    KeyError
        If a row has a key that is not a column.
    """
    path = Path(path)
    columns = _write_cells(path, rows, columns, "\t", MISSING)
    sidecar = {name: {"Description": text} if isinstance(text, str) else text for name, text in columns.items()}
    _write(path.with_suffix(".json"), sidecar)


def write_csv(path: FilePath, rows: Iterable[Mapping[str, Any]], columns: Columns) -> None:
    """Write rows separated by commas, missing values as empty cells: for spreadsheets and programs that open a file by menus.

    Parameters
    ----------
    path : path-like
    rows, columns
        As of :func:`write_table`; no sidecar is written.

    Raises
    ------
    KeyError
        As :func:`write_table`.
    """
    _write_cells(Path(path), rows, columns, ",", "")


def _write_cells(
    path: Path, rows: Iterable[Mapping[str, Any]], columns: Columns, separator: str, missing: str
) -> Columns:
    """Write a table's cells, with the mark of a blinded run; returns the columns, the mark's among them."""
    mark: dict[str, str] = {}
    if blinding.active():
        mark, columns = {blinding.MARK: "sham"}, {**columns, blinding.MARK: f"sham: {blinding.TEXT}"}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            unknown = set(row) - set(columns)
            if unknown:
                raise KeyError(f"no column is described for {sorted(unknown)} of {path.name}")
            texts = [_text({**row, **mark}.get(name)) for name in columns]
            writer.writerow([missing if text == MISSING else text for text in texts])
    return columns


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a pandas table, for :func:`write_table`; this module does not import pandas, which costs half a second."""
    return frame.to_dict("records")  # type: ignore[return-value]  # column names are texts


@dataclass(frozen=True)
class Sheet:
    """A table as it is in a file.

    Attributes
    ----------
    path : str
    columns : tuple of str
        The header, in order, without columns that are wholly empty.
    rows : tuple of dict
        Text by column, None where the cell is empty or ``n/a``; rows of empty cells are left out.
    lines : tuple of int
        The line of the file in which each row stands, for messages; the header is in line 1.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str | None], ...]
    lines: tuple[int, ...]


def read_text(path: FilePath) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises
    ------
    InputError
        If there is no such file, its content was not fetched, or it has another encoding.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    if content.startswith(_POINTER):
        raise InputError(
            file=path,
            field="(whole file)",
            found="a Git LFS pointer",
            expected="the file's content",
            fix="Fetch it: git lfs pull, or datalad get.",
        )
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        around = content[max(0, error.start - 10) : error.end + 10].splitlines()
        word = next((part for part in around if content[error.start : error.end] in part), b"")
        raise InputError(
            file=path,
            field=f"line {line}",
            found=f"byte 0x{content[error.start]:02X} in {word.decode('cp1252', 'replace')!r}",
            expected=f"text in {encoding.removesuffix('-sig').upper()}",
            fix="Save the file as UTF-8 (in Excel: Save as, Text, Encoding: UTF-8); it looks like Windows-1252 or Latin-1.",
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            file=path,
            field=f"line {line}",
            found="a byte of 0",
            expected="text in UTF-8",
            fix="Save the file as UTF-8 text; it is UTF-16 or no text.",
        )
    return text


def _unreadable(path: FilePath, error: OSError) -> InputError:
    """The error of a file that cannot be opened."""
    path = Path(path)
    if path.is_symlink() and not path.exists():
        return InputError(
            file=path,
            field="(whole file)",
            found=f"a link to {os.readlink(path)}, which is not there",
            expected="the file's content",
            fix="Fetch it, by datalad get or git annex get.",
        )
    reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
    return InputError(
        file=path,
        field="(whole file)",
        found=reason,
        expected="a table that can be read",
        fix="Add it, or correct its name.",
    )


def read_sheet(path: FilePath, delimiter: str = "\t") -> Sheet:
    """Read a table that people wrote, separated by tabs unless said otherwise, and refuse what is ambiguous.

    Quoted cells, all line ends and the encodings of :func:`read_text` are accepted. Empty cells beyond the header, and
    columns without a name and without values, are ignored.

    Parameters
    ----------
    path : path-like
    delimiter : str, optional
        Between the cells.

    Returns
    -------
    Sheet

    Raises
    ------
    InputError
        For a file that is empty or not separated by tabs, a column that occurs twice or has no name, rows longer or
        shorter than the header, and a quoted cell that runs over the end of a line.
    """
    return _parse(path, read_text(path), line_breaks=False, delimiter=delimiter)


def _parse(path: FilePath, text: str, line_breaks: bool, delimiter: str = "\t") -> Sheet:
    """The table in a text; cells may hold line breaks only in tables that this workflow wrote."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[int] = []
    cells: list[list[str]] = []
    start = 1
    for row in reader:
        row = [cell.strip(_BLANKS) for cell in row]
        if not line_breaks and any("\n" in cell or "\r" in cell or "\t" in cell for cell in row):
            raise InputError(
                file=path,
                field=f"line {start}",
                found="a quoted cell that holds a tab or runs over the line's end",
                expected="one row per line",
                fix="Close or remove the quotation mark.",
            )
        if any(row):
            lines.append(start)
            cells.append(row)
        start = reader.line_num + 1
    if not cells and line_breaks:
        return Sheet(str(path), (), (), ())
    if not cells:
        raise InputError(
            file=path,
            field="(whole file)",
            found="nothing",
            expected="a header, and rows below it",
            fix="Fill in the table.",
        )
    header, rows, lines = cells[0], cells[1:], lines[1:]
    if len(header) == 1 and delimiter == "\t":
        _check_separator(path, header[0])
    while header and not header[-1] and not any("".join(row[len(header) - 1 :]) for row in rows):
        header = header[:-1]
    _check_header(path, header, rows)
    _check_lengths(path, header, rows, lines)
    keep = [number for number, name in enumerate(header) if name]
    columns = tuple(header[number] for number in keep)
    texts = tuple(
        {name: None if row[number] in ("", MISSING) else row[number] for number, name in zip(keep, columns)}
        for row in rows
    )
    return Sheet(str(path), columns, texts, tuple(lines))


def _check_separator(path: FilePath, header: str) -> None:
    for separator, word in {",": "commas", ";": "semicolons", "|": "bars", " ": "blanks"}.items():
        if separator in header:
            raise InputError(
                file=path,
                field="header",
                found=f"one column {header!r}",
                expected="tabs between the columns",
                fix=f"Save the table separated by tabs; it is separated by {word}.",
            )


def _check_header(path: FilePath, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    twice = [f"{name} ({count} times)" for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise InputError(
            file=path,
            field="header",
            found=", ".join(twice),
            expected="each column once",
            fix="Remove or rename one: which of them is meant is unknown.",
        )
    for number, name in enumerate(header):
        if not name and any(row[number] for row in rows if len(row) > number):
            raise InputError(
                file=path,
                field=f"header, column {number + 1}",
                found="no name above a column with values",
                expected="a name for each column",
                fix="Name the column, or remove it.",
            )


def _check_lengths(path: FilePath, header: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
    wrong = [
        f"{len(row)} cells in line {line}"
        for row, line in zip(rows, lines)
        if len(row) < len(header) or any(row[len(header) :])
    ]
    if wrong:
        listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more lines" if len(wrong) > 5 else "")
        raise InputError(
            file=path,
            field="rows",
            found=listed,
            expected=f"{len(header)} cells, as the header has",
            fix=f"Correct the tabs of these lines; an empty cell is written {MISSING}.",
        )


def read_table(path: FilePath, of_arms: bool = False) -> list[Row]:
    """The rows of a table that this workflow wrote, as text; ``n/a`` and empty cells are None.

    Parameters
    ----------
    path : path-like
    of_arms : bool
        Whether the table depends on the arms.

    Returns
    -------
    list of dict
        Without the column of :mod:`pharmasl.files.blinding`'s mark, which is for people.

    Raises
    ------
    InputError
        As :func:`read_sheet`; and for a table with the mark in a run that is not blinded, or one that depends on the
        arms without it in a blinded run: it dates from before ``blinded`` was changed.
    """
    sheet = _parse(path, read_text(path), line_breaks=True)
    marked = blinding.MARK in sheet.columns
    if (marked and not blinding.active()) or (of_arms and blinding.active() and not marked):
        raise InputError(
            file=path,
            field=blinding.MARK,
            found="a sham allocation" if marked else "the trial's own allocation",
            expected="the trial's own" if marked else "a sham one, as the configuration says blinded",
            fix="Run without --rerun-triggers, so that all that depends on the arms is made anew, or remove the file.",
        )
    return [{name: value for name, value in row.items() if name != blinding.MARK} for row in sheet.rows]


def write_json(path: FilePath, content: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, its keys in their order, indented by two spaces; NaN is refused."""
    _write(path, {blinding.MARK: blinding.TEXT, **content} if blinding.active() else content)


def _write(path: FilePath, content: Mapping[str, Any]) -> None:
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: FilePath) -> Any:
    """The content of a JSON file."""
    return json.loads(read_text(path))
