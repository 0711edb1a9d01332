"""Power of a t test, and the noncentrality at which it has a wanted power.

A t of an estimate is noncentral t with the true effect over the estimate's standard error as noncentrality. The distribution
function is scipy's (of Boost). From a noncentrality on at which it is under 1e-13 it is not a number (at the critical value and at its
negative, of 1 to 5,000 degrees of freedom and two-sided error rates of .2 to .0001); it counts as 0 there. Noncentralities are taken up to ten times
the critical value and 1, beyond which nothing is missed.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

_HALVINGS = 60
_FAR = 10


def critical_t(df: ArrayLike, alpha: ArrayLike, *, two_sided: bool) -> np.ndarray:
    """The t above which a test is significant.

    Parameters
    ----------
    df : array_like
        Degrees of freedom; infinite ones are those of a normal statistic.
    alpha : array_like
    two_sided : bool

    Returns
    -------
    ndarray
    """
    tail = np.asarray(alpha, dtype=np.float64) / (2 if two_sided else 1)
    df = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(df)
    return np.where(finite, -special.stdtrit(np.where(finite, df, 1.0), tail), -special.ndtri(tail))


def power(noncentrality: ArrayLike, df: ArrayLike, critical: ArrayLike, *, two_sided: bool) -> np.ndarray:
    """The probability that t exceeds a critical value.

    Parameters
    ----------
    noncentrality : array_like
        The true effect over its standard error; negative as positive where the test is two-sided.
    df : array_like
        Degrees of freedom; may be infinite.
    critical : array_like
        Above 0.
    two_sided : bool

    Returns
    -------
    ndarray
        Of the arrays' common shape.
    """
    delta, df, critical = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (noncentrality, df, critical))
    )
    if two_sided:
        delta = np.abs(delta)
    delta = np.minimum(delta, _FAR * (1 + critical))
    upper = 1 - _below(delta, df, critical)
    return upper + _below(delta, df, -critical) if two_sided else upper


def _below(delta: np.ndarray, df: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Probability of a noncentral t below a value."""
    finite = np.isfinite(df)
    below = np.where(finite, special.nctdtr(np.where(finite, df, 1.0), delta, value), special.ndtr(value - delta))
    return np.where(np.isnan(below) & np.isfinite(delta), 0.0, below)


@lru_cache(maxsize=512)
def noncentrality(df: float, critical: float, goal: float, *, two_sided: bool) -> float:
    """The noncentrality above 0 at which a test has a wanted power, by bisection.

    Parameters
    ----------
    df, critical : float
    goal : float
        Power, above the test's error rate and below 1.
    two_sided : bool

    Returns
    -------
    float
        NaN where ``df`` or ``critical`` is none.
    """
    if not (df > 0 and np.isfinite(critical)):
        return float("nan")
    low, high = 0.0, 1.0
    while power(high, df, critical, two_sided=two_sided) < goal:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if power(middle, df, critical, two_sided=two_sided) < goal:
            low = middle
        else:
            high = middle
    return (low + high) / 2
