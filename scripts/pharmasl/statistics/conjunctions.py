"""Conjunctions of analyses: an effect in *each* of several maps.

The minimum statistic is tested against the conjunction null (Nichols et al. 2005, NeuroImage 25:653), so that the p value is
the largest of the single p values.
"""

import numpy as np
from numpy.typing import ArrayLike


def _same_sign(statistics: np.ndarray) -> np.ndarray:
    return np.asarray((statistics > 0).all(axis=0) | (statistics < 0).all(axis=0))


def minimum_statistic(statistics: ArrayLike) -> np.ndarray:
    """The minimum statistic of several analyses, with its sign.

    Parameters
    ----------
    statistics : array_like of shape (K, ...)
        One map per analysis, on one scale: t with equal degrees of freedom, or z.

    Returns
    -------
    ndarray of shape (...)
        The statistic nearest to 0 where all have the same sign, 0 where the signs differ, NaN where one is NaN.
    """
    values = np.asarray(statistics, dtype=np.float64)
    least = np.abs(values).min(axis=0)
    return np.where(np.isnan(least), np.nan, np.where(_same_sign(values), np.sign(values[0]) * least, 0.0))


def largest_p(p: ArrayLike, statistics: ArrayLike | None = None) -> np.ndarray:
    """The p value of "an effect in every analysis": the largest of the single p values.

    An intersection-union test (Berger 1982): its level holds whatever the dependence between the analyses, both for
    uncorrected p and for family-wise p of voxels. It does not hold for p of clusters: two overlapping clusters need not share
    an effect in any one voxel.

    Parameters
    ----------
    p : array_like of shape (K, ...)
        Of one kind: all one-sided, or all two-sided; all uncorrected, or all family-wise over one search volume.
    statistics : array_like of shape (K, ...), optional
        The signed statistics behind two-sided p: where their signs differ there is no common effect, and p is 1.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        If ``p`` and ``statistics`` differ in shape.
    """
    values = np.asarray(p, dtype=np.float64)
    largest = values.max(axis=0)
    if statistics is None:
        return largest
    signed = np.asarray(statistics, dtype=np.float64)
    if signed.shape != values.shape:
        raise ValueError(f"p of shape {values.shape} and statistics of shape {signed.shape}")
    return np.where(_same_sign(signed) | np.isnan(largest), largest, 1.0)
