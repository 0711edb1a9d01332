"""The linear model of a perfusion run in which conditions alternate: what its volumes show of perfusion, BOLD and drift.

A volume is static signal, drift and the BOLD response of each condition, plus perfusion with the sign of its label: +1/2 in a
control, -1/2 in a label. Perfusion's own response to a condition is therefore the product of sign and response, which the raw
series tells apart from BOLD and no series of differences can (Liu and Wong 2005, doi 10.1016/j.neuroimage.2004.09.047;
Mumford et al. 2006, doi 10.1016/j.neuroimage.2006.05.040).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Shape of the response's gamma distribution: a whole number, so that its distribution function is a finite sum.
SHAPE = 4
# The longest period of drift that is taken out is this at least, seconds, and this many times the conditions' cycle.
LEAST_CUTOFF, CUTOFF_CYCLES = 128.0, 2.5
# Blocks of a condition below which it cannot be told from drift, and by how much drift may inflate a contrast's variance.
LEAST_BLOCKS, MOST_INFLATION = 3, 2.0
BASELINE = "perfusion"


def rise(since: np.ndarray, delay: float) -> np.ndarray:
    """The share of the response that has come, from 0 to 1, without an undershoot.

    Parameters
    ----------
    since : ndarray
        Seconds since the onset; below 0 before it.
    delay : float
        Mean of the gamma distribution, seconds; 0 for a response at once.

    Returns
    -------
    ndarray
        Its distribution function, of shape parameter :data:`SHAPE`.
    """
    if delay == 0:
        return (since >= 0).astype(float)
    scaled = SHAPE * np.maximum(since, 0.0) / delay
    term, total = np.ones_like(scaled), np.zeros_like(scaled)
    for k in range(SHAPE):
        total += term
        term = term * scaled / (k + 1)
    return 1 - np.exp(-scaled) * total


def response(times: np.ndarray, blocks: np.ndarray, delay: float) -> np.ndarray:
    """The response to a condition at some times, 1 where it has wholly come.

    Parameters
    ----------
    times : ndarray of shape (T,)
        Seconds.
    blocks : ndarray of shape (B, 2)
        Onset and duration of each block, seconds, on the same clock.
    delay : float
        See :func:`rise`.

    Returns
    -------
    ndarray of shape (T,)
        Exact: differences of the distribution function.
    """
    since = times[:, np.newaxis] - blocks[:, 0]
    return (rise(since, delay) - rise(since - blocks[:, 1], delay)).sum(axis=1)


def drift_cutoff(blocks: Mapping[str, np.ndarray]) -> float:
    """The longest period of drift that is taken out, seconds: longer than the conditions' own cycle.

    Parameters
    ----------
    blocks : mapping of str to ndarray of shape (B, 2)
        Onset and duration of each condition's blocks, seconds.
    """
    gaps = [float(np.diff(np.sort(own[:, 0])).max()) for own in blocks.values() if len(own) > 1]
    return max(LEAST_CUTOFF, CUTOFF_CYCLES * max(gaps, default=0.0))


@dataclass(frozen=True)
class Design:
    """Columns of the model of a run.

    Attributes
    ----------
    names : tuple of str
        ``perfusion`` is the baseline's; ``perfusion_<condition>`` and ``bold_<condition>`` are the conditions'.
    matrix : ndarray of shape (T, P)
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    def of_conditions(self, weights: Mapping[str, float]) -> np.ndarray:
        """The weights (P,) of the columns that give a weighted sum of the conditions' perfusion, each baseline and effect."""
        out = np.zeros(len(self.names))
        for condition, weight in weights.items():
            out[self.names.index(BASELINE)] += weight
            out[self.names.index(f"{BASELINE}_{condition}")] += weight
        return out

    def with_columns(self, names: tuple[str, ...], columns: np.ndarray) -> "Design":
        """The design with further columns, ndarray of shape (T, N)."""
        return Design((*self.names, *names), np.column_stack([self.matrix, columns]))

    def variance(self, weights: np.ndarray, *, drift: bool = True) -> float:
        """The variance of a weighted sum of the coefficients at independent noise of variance 1; infinite where it is not determined.

        Parameters
        ----------
        weights : ndarray of shape (P,)
        drift : bool
            False leaves the columns of drift out.
        """
        chosen = np.array([drift or "drift" not in name for name in self.names])
        matrix, weights = self.matrix[:, chosen], weights[chosen]
        scale = np.linalg.norm(matrix, axis=0)
        scale[scale == 0] = 1
        inverse = np.linalg.pinv(matrix / scale, rcond=1e-9)
        own = weights / scale
        if not np.allclose(own @ (inverse @ (matrix / scale)), own, atol=1e-6 * np.abs(own).max()):
            return float("inf")
        return float(np.square(own @ inverse).sum())

    def inflation(self, weights: np.ndarray) -> float:
        """By what factor drift increases the variance of a weighted sum of the coefficients."""
        return self.variance(weights) / self.variance(weights, drift=False)


def design(
    sign: np.ndarray, times: np.ndarray, blocks: Mapping[str, np.ndarray], *, delay: float, cutoff: float
) -> Design:
    """The model of a run, without motion.

    Parameters
    ----------
    sign : ndarray of shape (T,)
        +1/2 for a control, -1/2 for a label.
    times : ndarray of shape (T,)
        Readout of each volume, seconds.
    blocks : mapping of str to ndarray of shape (B, 2)
        Onset and duration of each condition's blocks, seconds, on the same clock.
    delay : float
        Mean delay of the response, seconds.
    cutoff : float
        Longest period of drift, seconds.

    Returns
    -------
    Design
        Perfusion of the baseline and of each condition, perfusion's slowest drift, BOLD of each condition, cosines of drift
        and a constant.
    """
    step = float(np.median(np.diff(times)))
    span = times[-1] - times[0] + step
    number = int(np.floor(2 * span / cutoff))
    phase = (times - times[0] + step / 2) / span
    slow = [np.cos(np.pi * k * phase) for k in range(1, number + 1)]
    shapes = {condition: response(times, own, delay) for condition, own in blocks.items()}
    columns = {BASELINE: sign}
    columns |= {f"{BASELINE}_{condition}": sign * shape for condition, shape in shapes.items()}
    columns |= {f"{BASELINE} drift": sign * column for column in slow[:1]}
    columns |= {f"bold_{condition}": shape for condition, shape in shapes.items()}
    columns |= {f"drift {k}": column for k, column in enumerate(slow, start=1)}
    columns["static"] = np.ones(len(sign))
    return Design(tuple(columns), np.column_stack(list(columns.values())))
