"""Perfusion differences as linear combinations of a series' volumes.

Each difference is a row of weights over the volumes, so that a volume is sampled once and added where it belongs, on any
grid, and the noise of what comes out follows from the weights.

A cycle of a time-encoded series is N volumes, each prepared by B blocks of labelling by its row of a matrix E (1 control, -1
label). With columns that are balanced and orthogonal, 2 / N times their products with the volumes are the differences of
the blocks: of each, the mean of the volumes in which it is control less the mean of those in which it is label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion.volumes import Volumes

# Labels on each side of a control that sinc interpolation uses (six in all, as ASLtbx).
SINC_SIDE = 3

METHODS = {
    "pairwise": "control minus label, pair by pair",
    "surround": "control minus the mean of the labels before and after (Aguirre et al. 2002)",
    "sinc": "control minus the labels interpolated to its time (windowed sinc of six; Aguirre et al. 2002)",
}
DECODED = (
    "time-encoded: of each block of labelling, the mean of a cycle's {rows} volumes in which it is control minus the mean of "
    "those in which it is label, {blocks} blocks"
)


@dataclass(frozen=True)
class Differences:
    """The perfusion estimates ("repeats") of a series.

    Attributes
    ----------
    weights : ndarray of shape (N, T)
        Of each volume in each repeat. For control-label series the rows sum to zero: static tissue cancels.
    pairs : ndarray of int, shape (N, 2)
        Control and label of each repeat; for a series without controls the volume and -1, for a time-encoded one the first
        volume of its cycle and -1.
    group : ndarray of int, shape (N,)
        Which of the series' delays each repeat belongs to.
    lost : tuple of str, length N
        Why a repeat holds no measurement; empty where it does. The weights of one that does not are zero.
    cycle : ndarray of int, shape (N,)
        Repeats of one number are of one cycle: the same volumes, so that what is wrong with one is wrong with all.
    """

    weights: np.ndarray
    pairs: np.ndarray
    group: np.ndarray
    lost: tuple[str, ...]
    cycle: np.ndarray

    @property
    def number(self) -> int:
        """The number of repeats, N."""
        return len(self.pairs)

    @property
    def alive(self) -> np.ndarray:
        """The repeats that hold a measurement: ndarray of bool, shape (N,)."""
        return np.array([not reason for reason in self.lost], dtype=bool)

    def of_group(self, number: int) -> np.ndarray:
        """The repeats of one delay: ndarray of bool, shape (N,)."""
        return self.group == number


def differences(
    volumes: Volumes,
    method: str,
    group: Sequence[int] | np.ndarray,
    series: FilePath,
    encoding: Sequence[Sequence[int]] | None = None,
) -> Differences:
    """The repeats of a series.

    Parameters
    ----------
    volumes : pharmasl.perfusion.volumes.Volumes
    method : str
        A key of :data:`METHODS`; a series without controls is taken as it is.
    group : sequence of int
        Delay of each volume of the series, as a number from 0; of other volumes anything.
    series : path-like
        Named in errors.
    encoding : sequence of R sequences of B int, optional
        Of a time-encoded series: 1 where a volume of a cycle has a block as control, -1 where as label. A repeat is then one
        block of one cycle, those of a cycle in order of time, and its delay is that of :func:`pharmasl.perfusion.timing.timing`.

    Returns
    -------
    Differences

    Raises
    ------
    InputError
        If controls and labels do not alternate evenly, which interpolation to a control's time needs.
    """
    group = np.asarray(group)
    if encoding is not None:
        return _decoded(volumes, np.asarray(encoding, dtype=float), len(group))
    if volumes.kind != "pairs":
        chosen = volumes.acquired[:, 0]
        return _without_lost(np.eye(len(group))[chosen], volumes.acquired, group[chosen], volumes.lost)
    pairs = volumes.acquired
    alive = ~np.isin(pairs, list(volumes.lost)).any(axis=1)
    weights = np.zeros((len(pairs), len(group)))
    weights[np.arange(len(pairs)), pairs[:, 0]] = 1
    for row, (control, label) in enumerate(pairs):
        delay = group[pairs[:, 0]] == group[control]
        same = pairs[delay & alive, 1]
        if row not in np.flatnonzero(alive):
            weights[row, label] = -1
        elif method == "surround":
            before, after = same[same < control], same[same > control]
            nearest = [*before[-1:], *after[:1]]
            weights[row, nearest] -= 1 / len(nearest)
        elif method == "sinc":
            # Labels that are lost within the series would leave it uneven: they stay, and with them go those that need them.
            even = not np.ptp(np.diff(np.sort(same))) if len(same) > 1 else True
            np.add.at(weights[row], *_sinc(np.sort(same if even else pairs[delay, 1]), control, series))
        else:
            weights[row, label] -= 1
    return _without_lost(weights, pairs, group[pairs[:, 0]], volumes.lost)


def _decoded(volumes: Volumes, encoding: np.ndarray, count: int) -> Differences:
    """The blocks of all cycles of a time-encoded series of ``count`` volumes."""
    rows, blocks = encoding.shape
    cycles = len(volumes.acquired)
    weights = np.zeros((cycles, blocks, count))
    for number, members in enumerate(volumes.acquired):
        weights[number][:, members] = 2 / rows * encoding.T
    pairs = np.stack([np.repeat(volumes.acquired[:, 0], blocks), np.full(cycles * blocks, -1)], axis=1)
    # The last block has the shortest delay.
    group = np.tile(np.arange(blocks)[::-1], cycles)
    cycle = np.repeat(np.arange(cycles), blocks)
    return _without_lost(weights.reshape(-1, count), pairs, group, volumes.lost, cycle)


def _without_lost(
    weights: np.ndarray,
    pairs: np.ndarray,
    group: np.ndarray,
    lost: Mapping[int, str],
    cycle: np.ndarray | None = None,
) -> Differences:
    """The repeats, those that any lost volume would enter without weights and with the reason."""
    reasons = []
    for row in weights:
        entering = [int(number) for number in np.flatnonzero(row) if number in lost]
        reasons.append("; ".join(f"no measurement: volume {number} {lost[number]}" for number in entering))
        if entering:
            row[:] = 0
    return Differences(weights, pairs, group, tuple(reasons), np.arange(len(pairs)) if cycle is None else cycle)


def _sinc(labels: np.ndarray, control: int, series: FilePath) -> tuple[np.ndarray, np.ndarray]:
    """Labels and their weights (negative, summing to -1) that give the label's signal at a control's time."""
    spacing = np.diff(labels)
    if len(labels) > 1 and np.ptp(spacing):
        raise InputError(
            series,
            "volume_type",
            f"labels {sorted(set(spacing.tolist()))} volumes apart",
            "labels evenly spaced",
            "Sinc subtraction needs an even series: choose surround or pairwise in perfusion.subtraction.",
        )
    step = spacing[0] if len(labels) > 1 else 1
    place = (control - labels[0]) / step
    near = np.arange(np.floor(place) - SINC_SIDE + 1, np.floor(place) + SINC_SIDE + 1)
    distance = near - place
    weight = np.sinc(distance) * np.cos(np.pi * distance / (2 * SINC_SIDE)) ** 2
    # Beyond its ends the series is taken to stay as it is.
    return labels[np.clip(near, 0, len(labels) - 1).astype(int)], -weight / weight.sum()


def shared_noise(weights: np.ndarray) -> float:
    """How much noise that repeats share widens the standard error of their mean.

    Parameters
    ----------
    weights : ndarray of shape (N, T)
        Of the repeats that were averaged: rows of :attr:`Differences.weights`.

    Returns
    -------
    float
        The variance of their mean over what their standard deviation by the root of N implies, for volumes with independent
        noise: exactly 1 for pairwise differences; surround and sinc differences share labels. 1 for a single repeat.
    """
    number = len(weights)
    if number < 2:
        return 1.0
    mean = weights.mean(axis=0)
    spread = ((weights - mean) ** 2).sum() / (number - 1)
    return float(number * (mean @ mean) / spread)
