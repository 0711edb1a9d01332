"""Correlations of two variables adjusted for others, and their permutation p values.

Pearson's r of the residuals from arm and covariates is the partial correlation; with ranks in place of values (covariates
ranked too) it is the partial Spearman correlation; the percentage bend correlation of the residuals resists single outliers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pharmasl.statistics import percentage_bend

# With fewer complete participants nothing is reported: Fisher's interval does not exist.
MINIMUM_N = 4
# Permutations are computed in blocks of this many, to bound memory.
BLOCK = 10_000
METHODS = ("pearson", "spearman", "percentage_bend")


@dataclass(frozen=True)
class Observations:
    """Two variables of the same participants, and what both are adjusted for.

    Attributes
    ----------
    x, y : ndarray of shape (n,)
        Finite, such as CBF and craving.
    nuisance : ndarray of shape (k, n)
        Variables to regress out of both (arm, covariates); k may be 0.
    strata : ndarray of shape (n,)
        Arm of each participant; permutations and bootstrap samples stay within it.
    """

    x: np.ndarray
    y: np.ndarray
    nuisance: np.ndarray
    strata: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def ranked(self) -> "Observations":
        """The same with ranks in place of all values."""
        return Observations(ranks(self.x), ranks(self.y), _ranked_rows(self.nuisance), self.strata)

    def statistic(self, method: str, index: np.ndarray | None = None) -> np.ndarray:
        """The partial correlation of these participants, or of samples of them.

        Parameters
        ----------
        method : str
            One of :data:`METHODS`.
        index : ndarray of int, shape (..., m), optional
            Participants of each sample.

        Returns
        -------
        ndarray of shape (...)
        """
        if index is None:
            return statistic(self.x, self.y, self.nuisance, method)
        return statistic(self.x[index], self.y[index], np.moveaxis(self.nuisance[:, index], 0, -2), method)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, ties averaged, of values of shape (..., n)."""
    return rankdata(values, axis=-1)


def _ranked_rows(nuisance: np.ndarray) -> np.ndarray:
    return ranks(nuisance) if nuisance.shape[-2] else nuisance


def residuals(values: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """Residuals of values (..., n) from an intercept and the nuisance variables (..., k, n)."""
    values = values - values.mean(axis=-1, keepdims=True)
    if nuisance.shape[-2] == 0:
        return values
    # Orthogonalised column by column, so that a bootstrap sample without one arm loses a column instead of failing.
    columns: list[np.ndarray] = []
    for k in range(nuisance.shape[-2]):
        column = nuisance[..., k, :] - nuisance[..., k, :].mean(axis=-1, keepdims=True)
        size = (column**2).sum(axis=-1, keepdims=True)
        for _ in range(2):
            for other in columns:
                column = column - (column * other).sum(axis=-1, keepdims=True) * other
        norm2 = (column**2).sum(axis=-1, keepdims=True)
        keep = norm2 > 1e-20 * size
        columns.append(np.where(keep, column / np.sqrt(np.where(keep, norm2, 1)), 0))
    for column in columns:
        values = values - (values * column).sum(axis=-1, keepdims=True) * column
    return values


def partial_correlation(x: np.ndarray, y: np.ndarray, nuisance: np.ndarray, rank: bool = False) -> np.ndarray:
    """Correlation of the residuals of two variables from an intercept and others; vectorised over leading axes.

    Parameters
    ----------
    x, y : ndarray of shape (..., n)
    nuisance : ndarray of shape (..., k, n)
        k may be 0.
    rank : bool
        Rank all variables first (Spearman).

    Returns
    -------
    ndarray of shape (...)
        NaN where a variable has no variation left.
    """
    if rank:
        x, y, nuisance = ranks(x), ranks(y), _ranked_rows(nuisance)
    variation = [(v - v.mean(axis=-1, keepdims=True)) for v in (x, y)]
    size = [(v**2).sum(axis=-1) for v in variation]
    left = [residuals(v, nuisance) for v in (x, y)]
    rest = [(v**2).sum(axis=-1) for v in left]
    usable = np.logical_and.reduce([r > 1e-16 * np.maximum(s, 1e-300) for r, s in zip(rest, size)])
    usable &= (size[0] > 0) & (size[1] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (left[0] * left[1]).sum(axis=-1) / np.sqrt(rest[0] * rest[1])
    return np.where(usable, np.clip(r, -1, 1), np.nan)


def statistic(x: np.ndarray, y: np.ndarray, nuisance: np.ndarray, method: str) -> np.ndarray:
    """The partial correlation by one of :data:`METHODS`; shapes as :func:`partial_correlation`."""
    if method != "percentage_bend":
        return partial_correlation(x, y, nuisance, rank=method == "spearman")
    return percentage_bend.percentage_bend(residuals(x, nuisance), residuals(y, nuisance))


def blocks(total: int) -> list[int]:
    """The sizes, at most :data:`BLOCK`, of the blocks in which so many permutations are computed."""
    return [min(BLOCK, total - start) for start in range(0, total, BLOCK)]


def orders_within(keys: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Orders of participants within strata, from random keys: equal keys give equal orders.

    Parameters
    ----------
    keys : ndarray of shape (B, n)
    strata : ndarray of shape (n,)

    Returns
    -------
    ndarray of int, shape (B, n)
    """
    order = np.empty(keys.shape, dtype=np.intp)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order[:, members] = members[np.argsort(keys[:, members], axis=1, kind="stable")]
    return order


def permuted(data: Observations, order: np.ndarray, method: str) -> np.ndarray:
    """Absolute partial correlations of permuted data.

    The residuals of ``y`` are permuted and adjusted anew (Freedman & Lane 1983). Permuting within arms leaves the
    arms' means in place, so that without further covariates the test is exact.

    Parameters
    ----------
    data : Observations
    order : ndarray of int, shape (B, n)
    method : str
        One of :data:`METHODS`.

    Returns
    -------
    ndarray of shape (B,)
    """
    data = data.ranked() if method == "spearman" else data
    shuffled = residuals(residuals(data.y, data.nuisance)[order], data.nuisance)
    x = residuals(data.x, data.nuisance)
    if method == "percentage_bend":
        x, shuffled = percentage_bend.bent_scores(x), percentage_bend.bent_scores(shuffled)
    return np.abs(percentage_bend.correlation_of_scores(shuffled, x))


def reaches(null: np.ndarray, observed: float) -> np.ndarray:
    """Whether absolute statistics reach the observed one; ties, frequent with ranks, count despite rounding."""
    return null >= abs(observed) * (1 - 1e-12) - 1e-15


def permutation_p_value(data: Observations, permutations: int, rng: np.random.Generator, method: str) -> float:
    """Two-sided p of a partial correlation by permuting participants within strata; see :func:`permuted`.

    Parameters
    ----------
    data : Observations
    permutations : int
        Random permutations in addition to the observed order.
    rng : numpy.random.Generator
    method : str
        One of :data:`METHODS`.

    Returns
    -------
    float
        At least 1 / (permutations + 1).
    """
    observed = float(data.statistic(method))
    reached = 1
    for size in blocks(permutations):
        order = orders_within(rng.random((size, len(data))), data.strata)
        reached += int(reaches(permuted(data, order, method), observed).sum())
    return reached / (permutations + 1)
