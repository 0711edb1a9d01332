"""The order of a dataset's sessions: by their dates where the dataset has them, else by their names."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.files import bids, tables

_FIRST = ("baseline", "base", "bl", "pre", "before", "screening", "intake", "day0", "week0")
_LAST = ("post", "after", "followup", "fu", "followup1", "end", "endpoint")
_DATE = "acq_time"


@dataclass(frozen=True)
class OrderedSessions:
    """Sessions from the first to the last.

    Attributes
    ----------
    labels : tuple of str
        Without ``ses-``; empty in a dataset without sessions.
    reason : str
        What the order rests on.
    is_sure : bool
        Whether dates say so.
    """

    labels: tuple[str, ...]
    reason: str
    is_sure: bool


def order(dataset: bids.Dataset, scanned: Iterable[str]) -> OrderedSessions:
    """Put the sessions that hold perfusion scans in order.

    Parameters
    ----------
    dataset : bids.Dataset
    scanned : iterable of str
        Labels of the sessions.

    Returns
    -------
    OrderedSessions
    """
    labels = sorted(set(scanned), key=_by_name)
    if len(labels) < 2:
        return OrderedSessions(tuple(labels), "the only one", True)
    dates = _dates(dataset)
    if all(label in dates for label in labels):
        return OrderedSessions(tuple(sorted(labels, key=dates.__getitem__)), "in the order of their dates", True)
    return OrderedSessions(tuple(labels), "ordered by their names, no dates are there", False)


def _by_name(label: str) -> tuple[int, int, str]:
    """What a name says of its place: words for the first and the last session, numbers in between."""
    plain = label.casefold()
    digits = re.search(r"\d+$", plain)
    rank = 0 if plain in _FIRST else 2 if plain.rstrip("0123456789") in _LAST or plain in _LAST else 1
    return rank, int(digits[0]) if digits else 0, label


def _dates(dataset: bids.Dataset) -> dict[str, str]:
    """The earliest date of each session over the participants' tables of sessions and of scans, as text of ISO 8601."""
    earliest: dict[str, str] = {}
    for subject in dataset.subjects:
        folder = os.path.join(dataset.root, f"sub-{subject}")
        for label, date in _dates_of(folder, subject):
            earliest[label] = min(date, earliest.get(label, date))
    return earliest


def _dates_of(folder: str, subject: str) -> Iterable[tuple[str, str]]:
    for row in _rows(os.path.join(folder, f"sub-{subject}_sessions.tsv")):
        if row.get("session_id") and row.get(_DATE):
            yield bids.bare_label(str(row["session_id"]), "ses"), str(row[_DATE])
    if not os.path.isdir(folder):
        return
    for name in sorted(os.listdir(folder)):
        if name.startswith("ses-"):
            label = bids.bare_label(name, "ses")
            for row in _rows(os.path.join(folder, name, f"sub-{subject}_{name}_scans.tsv")):
                if row.get(_DATE):
                    yield label, str(row[_DATE])


def _rows(path: str) -> Sequence[dict[str, str | None]]:
    """The rows of a table; none where it is not there or cannot be read, which the plan reports if it matters."""
    try:
        return tables.read_sheet(path).rows if os.path.isfile(path) else ()
    except InputError:
        return ()
