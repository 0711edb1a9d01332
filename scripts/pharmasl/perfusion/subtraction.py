"""Perfusion differences as linear combinations of a series' volumes.

Each difference is a row of weights over the volumes, so that a volume is sampled once and added where it belongs, on any
grid, and the noise of what comes out follows from the weights.
"""

from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError

# Labels on each side of a control that sinc interpolation uses (six in all, as ASLtbx).
SINC_SIDE = 3

METHODS = {
    "pairwise": "control minus label, pair by pair",
    "surround": "control minus the mean of the labels before and after (Aguirre et al. 2002)",
    "sinc": "control minus the labels interpolated to its time (windowed sinc of six; Aguirre et al. 2002)",
}


@dataclass(frozen=True)
class Differences:
    """The perfusion estimates ("repeats") of a series.

    Attributes
    ----------
    weights : ndarray of shape (N, T)
        Of each volume in each repeat. For control-label series the rows sum to zero: static tissue cancels.
    pairs : ndarray of int, shape (N, 2)
        Control and label of each repeat; for a series without controls the volume and -1.
    group : ndarray of int, shape (N,)
        Which of the series' delays each repeat belongs to.
    """

    weights: np.ndarray
    pairs: np.ndarray
    group: np.ndarray

    @property
    def number(self):
        """N."""
        return len(self.pairs)

    def of_group(self, number):
        """The repeats of one delay: ndarray of bool, shape (N,)."""
        return self.group == number


def differences(volumes, method, group, series):
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

    Returns
    -------
    Differences

    Raises
    ------
    InputError
        If controls and labels do not alternate evenly, which interpolation to a control's time needs.
    """
    group = np.asarray(group)
    if volumes.kind != "pairs":
        chosen = volumes.deltam if volumes.kind == "deltam" else volumes.cbf
        pairs = np.stack([chosen, np.full(len(chosen), -1)], axis=1)
        return Differences(np.eye(len(group))[chosen], pairs, group[chosen])
    pairs = volumes.pairs
    weights = np.zeros((len(pairs), len(group)))
    weights[np.arange(len(pairs)), pairs[:, 0]] = 1
    for row, (control, label) in enumerate(pairs):
        same = pairs[group[pairs[:, 0]] == group[control], 1]
        if method == "surround":
            before, after = same[same < control], same[same > control]
            nearest = [*before[-1:], *after[:1]]
            weights[row, nearest] -= 1 / len(nearest)
        elif method == "sinc":
            np.add.at(weights[row], *_sinc(np.sort(same), control, series))
        else:
            weights[row, label] -= 1
    return Differences(weights, pairs, group[pairs[:, 0]])


def _sinc(labels, control, series):
    """Labels and their weights (negative, summing to -1) that give the label's signal at a control's time."""
    spacing = np.diff(labels)
    if len(labels) > 1 and np.ptp(spacing):
        raise InputError(
            series, "volume_type", f"labels {sorted(set(spacing.tolist()))} volumes apart", "labels evenly spaced",
            "Sinc subtraction needs an even series: choose surround or pairwise in perfusion.subtraction.",
        )  # fmt: skip
    step = spacing[0] if len(labels) > 1 else 1
    place = (control - labels[0]) / step
    near = np.arange(np.floor(place) - SINC_SIDE + 1, np.floor(place) + SINC_SIDE + 1)
    distance = near - place
    weight = np.sinc(distance) * np.cos(np.pi * distance / (2 * SINC_SIDE)) ** 2
    # Beyond its ends the series is taken to stay as it is.
    return labels[np.clip(near, 0, len(labels) - 1).astype(int)], -weight / weight.sum()


def shared_noise(weights):
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
