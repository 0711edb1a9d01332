"""Confidence intervals and p values of correlations by Fisher's z and the t distribution."""

import math

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit


def fisher_interval(
    r: float, n: int, adjusted: int = 0, level: float = 0.95, scale: float = 1.0
) -> tuple[float, float]:
    """Confidence interval of a (partial) Pearson correlation by Fisher's z.

    Parameters
    ----------
    r : float
    n : int
        Number of observations.
    adjusted : int
        Number of variables regressed out.
    level : float
    scale : float
        Factor of the half-width on the scale of z (:func:`by_arm_scale`).

    Returns
    -------
    low, high : float
        NaN if n - adjusted - 3 is not positive; ``r`` itself for a perfect correlation.
    """
    if n - adjusted - 3 <= 0:
        return math.nan, math.nan
    if abs(r) >= 1:
        return r, r
    half = float(ndtri((1 + level) / 2)) / math.sqrt(n - adjusted - 3) * scale
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def by_arm_scale(x: np.ndarray, y: np.ndarray, r: float, strata: np.ndarray, adjusted: int) -> float:
    """The factor by which Fisher's interval widens when each arm has its own variances.

    The influence of a participant on z is the quadratic form ``(x y - r (x^2 + y^2) / 2) / (1 - r^2)`` of the standardised
    residuals; its variance for normal data is ``2 tr(A S A S)``, S the arm's own covariance of the two, and 1 where the
    arms have the same covariance. The sum over arms replaces that 1; t quantiles with Satterthwaite's degrees of
    freedom for it, over those for equal variances, replace the normal quantiles.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Residuals.
    r : float
        Their correlation, not 1 or -1.
    strata : ndarray of shape (n,)
        Arm of each participant; a single arm gives 1.
    adjusted : int
        Number of variables regressed out, the arm among them.

    Returns
    -------
    float
        NaN where an arm has less than one degree of freedom for its variances.
    """
    arms, code = np.unique(strata, return_inverse=True)
    n, df = len(x), len(x) - 1 - adjusted
    if len(arms) == 1:
        return 1.0
    both = np.stack([x / math.sqrt(x @ x / df), y / math.sqrt(y @ y / df)])
    form = np.array([[-r, 1], [1, -r]]) / 2
    total = squares = 0.0
    for k in range(len(arms)):
        own = both[:, code == k]
        size = own.shape[1]
        # The covariates' degrees of freedom are shared out by size.
        left = size - 1 - (adjusted - len(arms) + 1) * size / n
        if left < 1:
            return math.nan
        product = form @ (own @ own.T / left)
        variance = left / df * 2 * float(np.trace(product @ product)) / (1 - r * r) ** 2
        total += variance
        squares += variance**2 / left
    return math.sqrt(total) * float(stdtrit(total**2 / squares, 0.975) / stdtrit(df, 0.975))


def t_p_value(r: float, df: float) -> float:
    """Two-sided p of a correlation by ``t = r sqrt(df / (1 - r^2))``, ``df`` = n - 2 - (variables regressed out)."""
    if df <= 0 or math.isnan(r):
        return math.nan
    if abs(r) >= 1:
        return 0.0
    return float(2 * stdtr(df, -abs(r) * math.sqrt(df / (1 - r * r))))
