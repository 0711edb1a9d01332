"""A scan's series: what its volumes are, their means, and how each voxel changes from volume to volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.files.tables import Row
from pharmasl.study.scan_acquisition import ENCODED

# Of a volume: its type, delay and labelling duration.
Kind = tuple[str, float | None, float | None]

TISSUES = ("GM", "WM", "CSF")
_LEAST_SHARE = 0.6  # of a tissue in a voxel of the carpet
_ROWS = 56  # of each tissue in the carpet
CARPET_LIMIT = 3.0  # percent


@dataclass(frozen=True)
class Carpet:
    """How voxels change over the volumes.

    Attributes
    ----------
    change : ndarray of shape (rows, V)
        Percent of the voxels' mean over the volumes of the same kind; NaN where there is nothing to compare.
    tissues : sequence of (str, int)
        Each tissue with its number of rows, top to bottom.
    """

    change: np.ndarray
    tissues: list[tuple[str, int]]


def kinds(acquisition: Mapping[str, Any]) -> list[Kind]:
    """What each volume is, to compare it with others: its type, delay and labelling duration.

    Parameters
    ----------
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.
    """
    types = acquisition["volume_types"]
    if acquisition.get("encoding"):
        # Delays and durations are of blocks, which each of the volumes is of.
        return [(kind, None, None) for kind in types]
    per_volume = []
    for name in ("post_labeling_delay", "labeling_duration"):
        value = acquisition.get(name)
        per_volume.append(value if isinstance(value, list | tuple) else [value] * len(types))
    return list(zip(types, *per_volume))


def mean_of(data: np.ndarray, volumes: Sequence[int]) -> np.ndarray | None:
    """The mean of some volumes of a series (X, Y, Z, V); None without any."""
    return data[..., list(volumes)].mean(axis=3, dtype=np.float64) if len(volumes) else None


def carpet(
    data: np.ndarray, tissues: Mapping[str, np.ndarray], brain: np.ndarray, kinds: Sequence[Kind]
) -> Carpet | None:
    """How voxels of each tissue change over the volumes of a realigned series.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, V)
    tissues : mapping of str to ndarray of shape (X, Y, Z)
        Shares of :data:`TISSUES`.
    brain : ndarray of bool, shape (X, Y, Z)
    kinds : sequence of tuple
        As :func:`kinds` returns; only volumes that have another of their kind are shown.

    Returns
    -------
    Carpet or None
        None where no two volumes are alike.
    """
    groups = [
        [number for number, own in enumerate(kinds) if own == kind]
        for kind in dict.fromkeys(kinds)
        if kind[0] in ("control", "label", "deltam", "cbf", ENCODED)
    ]
    groups = [members for members in groups if len(members) > 1]
    if not groups:
        return None
    rows, named = [], []
    level = float(np.abs(data[brain]).mean()) or 1.0
    for name in TISSUES:
        inside = brain & (tissues[name] > _LEAST_SHARE)
        values = data[inside].astype(np.float32)
        if len(values) < 2:
            continue
        # Neighbours along the first axis lie together: their means are rows.
        blocks = np.array_split(values, min(_ROWS, len(values)))
        means = np.stack([block.mean(axis=0) for block in blocks])
        change = np.full(means.shape, np.nan)
        for members in groups:
            middle = means[:, members].mean(axis=1, keepdims=True)
            change[:, members] = 100 * (means[:, members] - middle) / np.maximum(np.abs(middle), 0.05 * level)
        rows.append(change)
        named.append((name, len(change)))
    return Carpet(np.concatenate(rows), named) if rows else None


@dataclass(frozen=True, kw_only=True)
class RepeatRows:
    """The repeats of a scan.

    Attributes
    ----------
    added, subtracted : sequence of tuple of int
        Volumes whose mean each is, from 0, and those whose mean is taken off.
    passed : ndarray of bool, shape (N,)
    reasons : sequence of str
        Why it did not pass; empty where it did.
    gm_cbf : ndarray of shape (N,)
        mL/100 g/min.
    delays : ndarray of shape (N,)
        Seconds; NaN where there are none.
    """

    added: list[tuple[int, ...]]
    subtracted: list[tuple[int, ...]]
    passed: np.ndarray
    reasons: list[str]
    gm_cbf: np.ndarray
    delays: np.ndarray

    @property
    def volumes_out(self) -> list[int]:
        """Volumes of the repeats that did not pass, ascending."""
        out = zip(self.added, self.subtracted, self.passed)
        return sorted({volume for *own, has_passed in out if not has_passed for part in own for volume in part})


def repeats(rows: Sequence[Row], acquisition: Mapping[str, Any]) -> RepeatRows:
    """The repeats of a scan from its table (:data:`pharmasl.perfusion.repeat_choice.REPEATS`) and its acquisition."""
    added = [_volumes(row, "control") for row in rows]
    subtracted = [_volumes(row, "label") for row in rows]
    if acquisition.get("encoding"):
        added, subtracted = _decoded([own[0] for own in added], acquisition)
    return RepeatRows(
        added=added,
        subtracted=subtracted,
        passed=np.array([row["passed"] in ("1", "true") for row in rows], dtype=bool),
        reasons=[row["reason"] or "" for row in rows],
        gm_cbf=column(rows, "gm_cbf"),
        delays=column(rows, "post_labeling_delay"),
    )


def _volumes(row: Row, name: str) -> tuple[int, ...]:
    return (int(row[name]),) if row.get(name) else ()


def _decoded(
    first: Sequence[int], acquisition: Mapping[str, Any]
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Of each block of a time-encoded series, the volumes of its cycle in which it is control, and label.

    ``first`` has the first volume of each block's cycle, blocks in order of time.
    """
    coded = [number for number, kind in enumerate(acquisition["volume_types"]) if kind == ENCODED]
    blocks = list(zip(*acquisition["encoding"]))
    added: list[tuple[int, ...]] = []
    subtracted: list[tuple[int, ...]] = []
    for number, volume in enumerate(first):
        block = blocks[number % len(blocks)]
        cycle = coded[coded.index(volume) :][: len(block)]
        for sign, volumes in ((1, added), (-1, subtracted)):
            volumes.append(tuple(own for own, value in zip(cycle, block) if value == sign))
    return added, subtracted


def column(rows: Sequence[Row], name: str) -> np.ndarray:
    """A column of a table as floats (n,), missing as NaN."""
    return np.array([float("nan") if row.get(name) is None else float(row[name]) for row in rows])


def differences(data: np.ndarray, rows: RepeatRows, chosen: np.ndarray | None = None) -> np.ndarray | None:
    """The mean difference of control and label over the repeats that pass (or all, where none does).

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, V)
    rows : RepeatRows
    chosen : ndarray of bool, shape (N,), optional
        Repeats to average; by default all.

    Returns
    -------
    ndarray of shape (X, Y, Z) or None
        In the series' unit; None without a repeat.
    """
    wanted = np.ones(len(rows.passed), dtype=bool) if chosen is None else chosen
    used = wanted & rows.passed
    if not used.any():
        used = wanted
    first, second = (
        mean_of(data, [volume for k in np.flatnonzero(used) for volume in part[k]])
        for part in (rows.added, rows.subtracted)
    )
    return first if first is None or second is None else first - second
