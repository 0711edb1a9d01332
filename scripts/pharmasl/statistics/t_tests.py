"""Student's t test of an estimate with its standard error, for one estimate or for many."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class TTest:
    """A two-sided t test of one estimate, with its confidence interval.

    Attributes
    ----------
    estimate, se : float
        In the unit of the response.
    df, t, p : float
        Degrees of freedom, ``estimate / se``, and the two-sided p; NaN where nothing varies.
    ci_low, ci_high : float
        Ends of the confidence interval.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class TTests:
    """The fields of :class:`TTest` for many responses, each an ndarray of shape (V,)."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    t: np.ndarray
    p: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray

    def single(self) -> TTest:
        """The test of a single response.

        Raises
        ------
        ValueError
            If there are several responses.
        """
        return TTest(**{name: value.item() for name, value in vars(self).items()})


def t_test(estimate: float, se: float, df: float, level: float = 0.95) -> TTest:
    """Test one estimate against 0.

    Parameters
    ----------
    estimate, se : float
    df : float
        Degrees of freedom of ``se``.
    level : float
        Coverage of the interval.

    Returns
    -------
    TTest
        Without variation (``se`` not above 0) t, p and the interval are NaN.
    """
    if not se > 0:
        return TTest(estimate, se, df, math.nan, math.nan, math.nan, math.nan)
    t = estimate / se
    half = float(stdtrit(df, (1 + level) / 2)) * se
    return TTest(estimate, se, df, t, float(2 * stdtr(df, -abs(t))), estimate - half, estimate + half)


def t_tests(estimate: np.ndarray, se: np.ndarray, df: np.ndarray, level: float = 0.95) -> TTests:
    """Test many estimates against 0.

    Parameters
    ----------
    estimate, se, df : ndarray of shape (V,)
        As for :func:`t_test`; NaN stays NaN.
    level : float
        Coverage of the intervals.

    Returns
    -------
    TTests
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        t = estimate / se
    half = stdtrit(df, (1 + level) / 2) * se
    return TTests(estimate, se, df, t, 2 * stdtr(df, -np.abs(t)), estimate - half, estimate + half)
