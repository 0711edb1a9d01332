"""The percentage bend correlation (Wilcox 1994, Psychometrika 59:601): values far from the median have bounded influence."""

import numpy as np
from numpy.typing import ArrayLike

BEND = 0.2


def bent_scores(values: ArrayLike, bend: float = BEND) -> np.ndarray:
    """Scores whose correlation is the percentage bend correlation; vectorised over leading axes.

    A value is measured from the percentage bend midpoint in units of ``omega``, the (1 - bend) quantile of the
    distances from the median, and cut at -1 and 1.

    Parameters
    ----------
    values : array_like of shape (..., n)
    bend : float
        Share of the values, 0 to 0.5, that may be cut; 0.2 is Wilcox's.

    Returns
    -------
    ndarray of shape (..., n)
        NaN where more than 1 - ``bend`` of the values are equal, so that there is no unit.
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.shape[-1]
    median = np.median(values, axis=-1, keepdims=True)
    distance = np.abs(values - median)
    rank = int(np.floor((1 - bend) * n + 0.5)) - 1
    omega = np.partition(distance, rank, axis=-1)[..., rank : rank + 1]
    # Rounding leaves a distance of 1e-16 between equal values, which is no unit.
    omega = np.where(omega > 1e-14 * np.abs(values).max(axis=-1, keepdims=True), omega, np.nan)
    with np.errstate(invalid="ignore"):
        psi = (values - median) / omega
        below, above = psi < -1, psi > 1
    low, high = below.sum(axis=-1, keepdims=True), above.sum(axis=-1, keepdims=True)
    inner = np.where(below | above, 0, values).sum(axis=-1, keepdims=True)
    midpoint = (inner + omega * (high - low)) / (n - low - high)
    return np.clip((values - midpoint) / omega, -1, 1)


def correlation_of_scores(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``sum(a b) / sqrt(sum(a^2) sum(b^2))`` along the last axis: the scores are centred by their midpoint, not mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(axis=-1) / np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.clip(r, -1, 1)


def percentage_bend(x: ArrayLike, y: ArrayLike, bend: float = BEND) -> np.ndarray:
    """Percentage bend correlation of two variables; vectorised over leading axes.

    Parameters
    ----------
    x, y : array_like of shape (..., n)
    bend : float

    Returns
    -------
    ndarray of shape (...)
        NaN where the scores of :func:`bent_scores` are.
    """
    return correlation_of_scores(bent_scores(x, bend), bent_scores(y, bend))
