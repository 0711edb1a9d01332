"""Slices whose signal is out of line in single volumes: dropout by motion during the readout, spikes.

A 2D readout takes the slices of a volume one after another, or a few at once (multiband): a head that moves meanwhile, or a
gradient that does not, costs single slices. Volume by volume measures hardly see it. What counts is the signal of the raw
volumes, before realignment mixes their slices.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.files import tables
from pharmasl.perfusion.series import Series
from pharmasl.space import resample, transforms

# A slice is out of line by both: far from the same slice of other volumes, and by a share of its signal that matters.
LIMIT = 4.0  # robust standard deviations
LEAST_CHANGE = 3.0  # percent
# Of brain in a slice, and volumes of a kind, below which nothing is said.
LEAST_VOXELS = 30
LEAST_VOLUMES = 4
# Share of brain in the voxels compared, on the reference and carried to a volume: at the rim, signal follows motion.
WHOLLY = 0.9


COLUMNS = {
    "slices_out_of_line": {
        "Description": f"Number of slices whose signal is out of line: more than {LIMIT:g} robust standard deviations and more "
        f"than {LEAST_CHANGE:g} % from other volumes of the same type and delay. n/a where the slices are not read one after "
        "another, and of volumes of which there are fewer than " + str(LEAST_VOLUMES)
    },
    "slices": {
        "Description": "Those slices, numbered from 0, separated by commas; slices that are read at once (multiband) and are "
        "all out of line are joined by +"
    },
}
_OF_SLICE = "slice_"


@dataclass(frozen=True)
class SliceSignal:
    """The signal of each slice of each volume, against what it should be.

    Attributes
    ----------
    change : ndarray of shape (T, S)
        Percent; NaN where it was not measured: volumes other than controls and labels, slices with little brain.
    out_of_line : ndarray of bool, shape (T, S)
        Slices beyond :data:`LIMIT` and :data:`LEAST_CHANGE`.
    """

    change: np.ndarray
    out_of_line: np.ndarray


def measure(
    loaded: Series, matrices: np.ndarray, kinds: Sequence[Hashable], values: np.ndarray, brain: np.ndarray
) -> SliceSignal:
    """Compare each slice of the raw volumes with the mean of their kind, carried to where the head lay.

    The logarithm of a slice's signal over the brain, less that of the mean of the volume's kind in the same voxels, has the
    median of the slice over volumes of the kind taken off, and then the volume's own median over slices: a change of the
    whole volume is not a slice's. Its scale is the median absolute deviation of the slice over all volumes.

    Parameters
    ----------
    loaded : pharmasl.perfusion.series.Series
    matrices : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    kinds : sequence of T
        What each volume is compared by (its type and delay); None for those that are not measured.
    values : ndarray of shape (V, T)
        The realigned series at the brain's voxels; NaN where a volume does not reach.
    brain : ndarray of bool, shape (X, Y, Z)
        Where at least :data:`WHOLLY` is brain, on the reference's grid; V voxels.

    Returns
    -------
    SliceSignal
    """
    axis = 2 if loaded.timing is None else loaded.timing.axis
    across = tuple(other for other in range(3) if other != axis)
    points, share = transforms.points(loaded.grid), brain.astype(np.float32)
    level = np.full((len(kinds), loaded.grid.shape[axis]), np.nan)
    for kind in dict.fromkeys(kinds):
        members = [number for number, other in enumerate(kinds) if other == kind]
        if kind is None or len(members) < LEAST_VOLUMES:
            continue
        mean = np.zeros(brain.shape, dtype=np.float32)
        own = values[:, members]
        mean[brain] = np.nansum(own, axis=1) / np.maximum(np.isfinite(own).sum(axis=1), 1)
        for number in members:
            back = np.linalg.inv(matrices[number])
            held = resample.resample(share, loaded.affine, points, back, fill=0)
            expected = resample.resample(mean, loaded.affine, points, back, fill=0)
            inside = held > WHOLLY
            # Over the share of the brain that the samples hold, so that the mean does not fade towards its edge.
            expected = np.where(inside, expected / np.maximum(held, WHOLLY), 0).sum(axis=across, dtype=np.float64)
            signal = np.where(inside, loaded.data[..., number], 0).sum(axis=across, dtype=np.float64)
            enough = (inside.sum(axis=across) >= LEAST_VOXELS) & (expected > 0)
            # A slice without any signal has fallen as far as one can.
            level[number, enough] = np.log(np.maximum(signal[enough] / expected[enough], 1e-3))
    return judge(level, kinds)


def judge(level: np.ndarray, kinds: Sequence[Hashable]) -> SliceSignal:
    """The slices out of line, from the logarithm of each slice's signal (T, S): see :func:`measure`."""
    own = np.full(level.shape, np.nan)
    for kind in dict.fromkeys(kinds):
        rows = np.array([other == kind for other in kinds])
        measured = np.isfinite(level[rows])
        slices = measured.sum(axis=0) >= LEAST_VOLUMES
        if slices.any():
            part = level[np.ix_(rows, slices)]
            own[np.ix_(rows, slices)] = part - np.nanmedian(part, axis=0)
    volumes, slices = np.isfinite(own).any(axis=1), np.isfinite(own).any(axis=0)
    change, out = np.full(level.shape, np.nan), np.zeros(level.shape, dtype=bool)
    if volumes.any():
        place = np.ix_(volumes, slices)
        rest = own[place]
        rest = rest - np.nanmedian(rest, axis=1, keepdims=True)
        spread = 1.4826 * np.nanmedian(np.abs(rest), axis=0)
        change[place] = 100 * np.expm1(rest)
        out[place] = (np.abs(rest) > LIMIT * spread) & (np.abs(change[place]) > LEAST_CHANGE)
    return SliceSignal(change, out)


def columns(slices: int) -> dict[str, dict[str, str]]:
    """The columns of :func:`rows`, described."""
    change = "Change of the slice's signal over the brain, in the raw volume, from the mean of the volume's kind"
    return {**COLUMNS, **{_name(k, slices): {"Description": change, "Units": "percent"} for k in range(slices)}}


def _name(number: int, slices: int) -> str:
    return f"{_OF_SLICE}{number:0{len(str(slices - 1))}d}"


def rows(measured: SliceSignal, times: Sequence[float]) -> list[dict[str, float | str | None]]:
    """One row per volume, with the columns of :func:`columns`.

    Parameters
    ----------
    measured : SliceSignal
    times : sequence of S float
        When each slice is read, seconds.
    """
    slices, made = len(times), []
    for change, out in zip(measured.change, measured.out_of_line):
        known = bool(np.isfinite(change).any())
        made.append(
            {
                "slices_out_of_line": int(out.sum()) if known else None,
                "slices": _words(out, times) or None,
                **{_name(k, slices): round(float(change[k]), 3) for k in range(slices)},
            }
        )
    return made


def _words(out: np.ndarray, times: Sequence[float]) -> str:
    """The slices out of line, those of one readout joined where it is out of line as a whole."""
    together: dict[float, list[int]] = {}
    for number, time in enumerate(times):
        together.setdefault(time, []).append(number)
    groups = [own if all(out[own]) else [k] for own in together.values() for k in own if out[k]]
    return ",".join("+".join(map(str, own)) for own in sorted(map(list, {tuple(own) for own in groups})))


def counts(table: Sequence[tables.Row]) -> np.ndarray:
    """Slices out of line of each volume, from the rows of a table of confounds: (T,), NaN where they were not measured."""
    return _numbers(table, ["slices_out_of_line"])[:, 0]


def changes(table: Sequence[tables.Row]) -> np.ndarray:
    """The change of each slice, from the rows of a table of confounds: percent, (T, S), NaN where it was not measured.

    S is zero where the slices are not read one after another.
    """
    return _numbers(table, [name for name in table[0] if name.startswith(_OF_SLICE)])


def share(table: Sequence[tables.Row]) -> float:
    """Share of the slices measured that are out of line, from the rows of a table of confounds; NaN where none was measured."""
    measured = np.isfinite(changes(table)).sum()
    return float(np.nansum(counts(table)) / measured) if measured else float("nan")


def _numbers(table: Sequence[tables.Row], names: Sequence[str]) -> np.ndarray:
    return np.array([[float(row[name] or "nan") for name in names] for row in table])
