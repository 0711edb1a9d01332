"""Ratings of scans by people who looked at them: a table whose poor scans the study does not use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pharmasl.errors import FilePath, InputError, did_you_mean, similar
from pharmasl.files import bids, tables

GOOD, POOR = "good", "poor"
COLUMNS = ("scan", "rating", "reason", "rater")
_NEEDED = ("scan", "rating", "reason")


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """A table of ratings.

    Attributes
    ----------
    poor : mapping of str to str
        Name of each scan that is rated poor, to the reason.
    errors : tuple of InputError
        What is wrong with the table.
    """

    poor: Mapping[str, str]
    errors: tuple[InputError, ...]


def read(path: FilePath, names: Collection[str], left_out: Collection[str]) -> Ratings:
    """Read a table of ratings: a row a scan, ``scan``, ``rating`` (good or poor), ``reason`` and, if wanted, ``rater``.

    Parameters
    ----------
    path : path-like
    names : collection of str
        Names of the study's scans.
    left_out : collection of str
        Labels of participants whom the configuration leaves out, whose scans may be rated all the same.

    Returns
    -------
    Ratings
    """
    try:
        sheet = tables.read_sheet(path)
    except InputError as error:
        return Ratings(poor={}, errors=(error,))
    missing = [column for column in _NEEDED if column not in sheet.columns]
    if missing:
        columns = ", ".join(COLUMNS)
        absent = InputError(
            path,
            ", ".join(missing),
            f"columns {', '.join(sheet.columns)}",
            f"columns {columns} (rater may be missing)",
            "Take the table that report/scans/index.html downloads, or name the columns so.",
        )
        return Ratings(poor={}, errors=(absent,))
    errors: list[InputError] = []
    poor: dict[str, str] = {}
    first: dict[str, int] = {}
    for row, line in zip(sheet.rows, sheet.lines):
        own = list(_row(path, row, line, names, left_out))
        name = row["scan"] or ""
        if name and name in first:
            own.append(
                InputError(
                    path,
                    f"line {line}, scan",
                    name,
                    f"one rating a scan; it is rated in line {first[name]} too",
                    "Agree on one and remove the other.",
                )
            )
        first.setdefault(name, line)
        errors += own
        if not own and row["rating"] == POOR and name in names:
            poor[name] = f"rated poor: {row['reason']}"
    return Ratings(poor=poor, errors=tuple(errors))


def _row(
    path: FilePath, row: Mapping[str, str | None], line: int, names: Collection[str], left_out: Collection[str]
) -> Iterable[InputError]:
    """What is wrong with a row."""
    name, rating = row["scan"], row["rating"]
    if not name or (name not in names and bids.bare_label(name.split("_")[0], "sub") not in left_out):
        yield InputError(
            path,
            f"line {line}, scan",
            name,
            "the name of a scan of the study",
            did_you_mean(similar(name or "", names, most=5), "The study's scans stand in study/scans.tsv."),
        )
    if rating not in (GOOD, POOR):
        yield InputError(
            path, f"line {line}, rating", rating, f"{GOOD} or {POOR}", "Correct the word, or remove the row."
        )
    elif rating == POOR and not row["reason"]:
        yield InputError(
            path, f"line {line}, reason", None, "why the scan is rated poor", "Give the reason: it is reported."
        )
