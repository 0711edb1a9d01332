"""The smallest effect that a finished design would have found with a wanted probability.

The effect is the standard error of the estimate times the noncentrality at which a t with the design's degrees of freedom exceeds its
critical value with that probability. It depends on the design and on the residual standard deviation, not on the effect that
was estimated: it is no power at the estimate, which is a function of p and adds nothing to it (Hoenig and Heisey 2001, doi
10.1198/000313001300339897). It is known as well as the residual standard deviation is: its interval is that by the chi-square
distribution.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.statistics import noncentral_t

# The probability that effects are told for.
GOAL = 0.8


@dataclass(frozen=True, kw_only=True)
class DetectableEffect:
    """An effect without its sign, in the estimate's unit, and its confidence limits; NaN where there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


def detectable(
    se: float, df: float, critical: float, *, two_sided: bool, level: float, goal: float = GOAL
) -> DetectableEffect:
    """The smallest effect found with a probability.

    Parameters
    ----------
    se : float
        Standard error of the estimate.
    df : float
        Degrees of freedom of the residual variance; infinite where it is taken as known.
    critical : float
        The t above which the test is significant, after its correction for other tests.
    two_sided : bool
    level : float
        Coverage of the interval.
    goal : float
        The probability.

    Returns
    -------
    DetectableEffect
        Without values where nothing varies, and where no t is significant.
    """
    if not (math.isfinite(se) and se > 0):
        return DetectableEffect()
    value = se * noncentral_t.noncentrality(float(df), float(critical), goal, two_sided=two_sided)
    low, high = spread_factors(float(df), level)
    return DetectableEffect(value=value, low=value * low, high=value * high)


def spread_factors(df: float, level: float) -> tuple[float, float]:
    """Confidence limits of a standard deviation over its estimate, by the chi-square distribution of ``df`` degrees of freedom."""
    if not math.isfinite(df):
        return 1.0, 1.0
    tail = (1 - level) / 2
    return math.sqrt(df / special.chdtri(df, tail)), math.sqrt(df / special.chdtri(df, 1 - tail))


def t_of_z(z: float, df: float) -> float:
    """The t whose upper tail is that of a z: a critical value of z on the scale of t."""
    return float(-special.stdtrit(df, special.ndtr(-z))) if np.isfinite(z) else math.nan
