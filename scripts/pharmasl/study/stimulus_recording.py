"""A continuous recording of what was shown during a run (``_stim.tsv.gz``), read strictly."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import bids, tables
from pharmasl.study import sidecar


@dataclass(frozen=True)
class Recording:
    """A recording.

    Attributes
    ----------
    path : str
    start : float
        Of the first sample, seconds since the first stored volume began.
    rate : float
        Samples a second.
    columns : tuple of str
    values : ndarray of shape (N, columns)
        NaN where a cell is empty or n/a.
    """

    path: str
    start: float
    rate: float
    columns: tuple[str, ...]
    values: np.ndarray

    @property
    def end(self) -> float:
        """When the last sample ended, seconds since the first stored volume began."""
        return self.start + len(self.values) / self.rate

    def shown(self, column: str) -> Iterator[tuple[float, float]]:
        """Onset and duration, in seconds, of each stretch in which a column is more than 0.5.

        Raises
        ------
        InputError
            If there is no such column.
        """
        if column not in self.columns:
            raise InputError(
                self.path, "Columns", ", ".join(self.columns), f"a column {column}", "Name it so in the sidecar."
            )
        is_on = np.nan_to_num(self.values[:, self.columns.index(column)]) > 0.5
        change = np.diff(np.concatenate([[0], is_on.astype(int), [0]]))
        for first, last in zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1)):
            yield float(self.start + first / self.rate), float((last - first) / self.rate)


def read(dataset: bids.Dataset, file: bids.File) -> Recording:
    """A recording with what its sidecar says of it.

    Parameters
    ----------
    dataset : bids.Dataset
    file : bids.File

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If the sidecar lacks rate, start or columns, or a row is none of numbers.
    """
    described = sidecar.read(dataset, file, "stim").fields
    rate, start, columns = (described.get(name) for name in ("SamplingFrequency", "StartTime", "Columns"))
    for name, value, is_right, expected in (
        ("SamplingFrequency", rate, _is_number(rate) and rate is not None and rate > 0, "samples a second, above 0"),
        ("StartTime", start, _is_number(start), "seconds from the first stored volume to the first sample"),
        ("Columns", columns, isinstance(columns, list), "the names of the recording's columns"),
    ):
        if not is_right:
            raise InputError(
                file.path.removesuffix(".tsv.gz") + ".json",
                name,
                "nothing" if value is None else value,
                expected,
                "Complete the sidecar of the recording.",
            )
    assert rate is not None
    assert start is not None
    assert columns is not None
    names = tuple(str(name) for name in columns)
    return Recording(file.path, float(start), float(rate), names, _values(file.path, len(names)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(path: str, columns: int) -> np.ndarray:
    """The rows of a recording, (N, columns)."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, "(whole file)", str(error), "numbers separated by tabs", "Write it again.") from None
    # A recording has few values, each many times.
    known = {"": np.nan, tables.MISSING: np.nan}
    values = np.full((len(lines), columns), np.nan)
    for number, line in enumerate(lines):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != columns:
            there = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
            raise InputError(
                path, f"line {number + 1}", there, f"{columns}, as its sidecar names columns", "Correct either."
            )
        for cell in cells:
            if cell not in known:
                if not tables.is_number(cell):
                    fix = "Remove the header: its sidecar names the columns." if number == 0 else "Correct the cell."
                    raise InputError(path, f"line {number + 1}", cell, "a number, or n/a", fix)
                known[cell] = float(cell)
        values[number] = [known[cell] for cell in cells]
    return values
