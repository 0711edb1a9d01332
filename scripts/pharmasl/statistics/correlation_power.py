"""Power of the test of a correlation between two values that people differ by, in closed form.

Both values are normal and adjusted for the same k columns. Given one of them, t of the other's regression on it is noncentral t with
N - 2 - k degrees of freedom and noncentrality rho / sqrt(1 - rho^2) times the root of its sum of squares, in units of its variance; that
sum follows the chi-square distribution with N - 1 - k degrees of freedom. Power is the mean over it, by Gauss and Laguerre's points: it is
exact for the t test of Pearson's r (Fisher 1915), whose permutation test comes to the same with normal values. Assurance is power averaged over what is uncertain.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.statistics import noncentral_t, power_searches, uncertain_values
from pharmasl.statistics.trial_assumptions import PlannedCorrelation, Uncertain

_POINTS = 24
_MANY = 300


def power(test: PlannedCorrelation, sizes: tuple[float, float], rho: ArrayLike) -> np.ndarray:
    """The probability that a correlation is significant.

    Parameters
    ----------
    test : PlannedCorrelation
    sizes : tuple of float
        People of the two arms with all values.
    rho : array_like
        The true correlation, adjusted for the test's columns, between -1 and 1.

    Returns
    -------
    ndarray
        Of rho's shape; NaN where no degree of freedom is left.
    """
    rho = np.asarray(rho, dtype=np.float64)
    df = test.df(test.people(sizes))
    if df < 1:
        return np.full(rho.shape, np.nan)
    roots, weights = _roots_of_sums(df + 1)
    delta = (rho / np.sqrt(1 - np.square(rho)))[..., np.newaxis] * roots
    critical = noncentral_t.critical_t(df, test.alpha, two_sided=test.two_sided)
    return noncentral_t.power(delta, df, critical, two_sided=test.two_sided) @ weights


def detectable(test: PlannedCorrelation, sizes: tuple[float, float], goal: float) -> float:
    """The correlation that is significant with a probability; NaN where :func:`power` is."""
    if test.df(test.people(sizes)) < 1:
        return float("nan")
    return power_searches.crossing(lambda rho: float(power(test, sizes, rho)), goal, most=1 - 1e-12)


def people_needed(test: PlannedCorrelation, ratio: float, rho: float, goal: float) -> tuple[int, int] | None:
    """The smallest arms, in a ratio of sizes, that have a wanted power: :func:`pharmasl.statistics.power_searches.arms_needed`."""
    return power_searches.arms_needed(lambda sizes: float(power(test, sizes, rho)), ratio, goal)


def assurance(test: PlannedCorrelation, arms: Sequence[tuple[int, int]], rho: Uncertain) -> float:
    """Power averaged over the uncertain correlation and people, as :func:`pharmasl.statistics.trial_power.assurance`.

    Parameters
    ----------
    test : PlannedCorrelation
    arms : sequence of tuple of int
        People of the two arms with all values, equally likely. Where they are too few for a test, nothing is found.
    rho : Uncertain
        The true correlation; one that would be below 0 counts as none.

    Returns
    -------
    float
    """
    values = np.maximum(uncertain_values.of_correlation(rho), 0.0)
    return float(np.mean([np.nan_to_num(power(test, sizes, values), nan=0.0) for sizes in arms]))


@lru_cache(maxsize=512)
def _roots_of_sums(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Roots of a chi-square variable at its points, with their weights; of many degrees of freedom, of equal shares."""
    if df > _MANY:
        middles = (np.arange(_POINTS) + 0.5) / _POINTS
        return np.sqrt(2 * special.gammaincinv(df / 2, middles)), np.full(_POINTS, 1 / _POINTS)
    points, weights = special.roots_genlaguerre(_POINTS, df / 2 - 1)
    return np.sqrt(2 * points), weights / weights.sum()
