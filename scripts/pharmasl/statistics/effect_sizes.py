"""Effect sizes: in the maps' unit, in per cent of baseline, and in standard deviations of change.

- The coefficient of the tested term, mL/100 g/min, with its confidence interval.
- Per cent of baseline: the coefficient over the mean baseline of *all* participants analysed, both arms, at that voxel
  (or over that cluster). The baseline is taken as known: the limits of the interval are divided by it too.
- Hedges' g: the difference of two arms' mean changes over the pooled standard deviation *of the changes*, corrected for
  small-sample bias by the exact factor (Hedges 1981, J Educ Stat 6:107). With covariates the adjusted difference over
  the residual standard deviation. Whether changes vary more or less than baseline values depends on the correlation of the
  sessions: a g of change scores must not be compared with a g of raw scores (Morris 2008, doi 10.1177/1094428106291059).
- Its interval is exact under the model: t follows the noncentral t distribution, whose noncentrality is the population
  effect over the ``scale`` of the design (Hedges and Olkin 1985; Steiger and Fouladi 1997). It is an interval for the
  population's effect and is not multiplied by the bias factor. The limits are found by bisection of the distribution
  function: scipy.special.nctdtrinc, its inverse, is right to about seven digits, and to four for a t of some hundreds.

An effect size averaged over a cluster defined by the same data is too large (selection); one in a region chosen in advance
is not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

# Up to this many values are solved one by one; more are taken from a Chebyshev series through this many solved values.
_DIRECT, _NODES = 400, 120


@dataclass(frozen=True)
class StandardisedEffect:
    """Standardised effects; arrays in the shape of t.

    Attributes
    ----------
    g : ndarray
        Hedges' g, unbiased.
    d : ndarray
        Without the correction for bias (Cohen's d with pooled standard deviation).
    low, high : ndarray
        Confidence limits of the population's standardised effect.
    """

    g: np.ndarray
    d: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bias_factor(df: ArrayLike) -> np.ndarray:
    """Hedges' exact factor J: gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2)).

    Parameters
    ----------
    df : array_like
        Above 1.

    Returns
    -------
    ndarray
    """
    df = np.asarray(df, dtype=np.float64)
    return np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)


# Above this t the series of the distribution function needs ever more terms, in the end without converging; the limit is then
# computed from the one at this t.
_LARGE = 1000.0
# A model that leaves less than this share of the variance has no standard deviation to measure an effect by.
_NOTHING_LEFT = 1e-12


def _solve(t: np.ndarray, df: np.ndarray, probability: float) -> np.ndarray:
    """Noncentrality at which a noncentral t below ``t`` has this probability; t and df of one shape.

    A noncentral t is (d + Z) / U, U^2 a chi-square over its degrees of freedom. Where d is large, Z matters little and the
    limit is t times U's quantile u; more precisely, d^2 = t^2 u^2 - c with a c that depends on t by a relative amount of
    the order of t^-4 only. So a t above :data:`_LARGE` takes its c from the limit there.
    """
    edge = np.clip(t, -_LARGE, _LARGE)
    limit = _bisect(edge, df, probability)
    # U above u where t is above 0, below it where t is below.
    tail = np.where(t > 0, probability, 1 - probability)
    u = np.sqrt(special.chdtri(df, tail) / df)
    square = limit**2 + (t**2 - edge**2) * u**2
    return np.where(np.abs(t) > _LARGE, np.sign(t) * np.sqrt(square), limit)


def _bisect(t: np.ndarray, df: np.ndarray, probability: float) -> np.ndarray:
    """Noncentrality at which a noncentral t below ``t`` has this probability, by bisection; t not above :data:`_LARGE`."""
    # Normal approximation of the limit, then widened until it brackets: the probability falls as noncentrality grows.
    reach = 4 * np.sqrt(1 + t * t / (2 * df))
    low, high = t - reach, t + reach
    for _ in range(60):
        short = special.nctdtr(df, low, t) < probability
        long = special.nctdtr(df, high, t) > probability
        if not (short.any() or long.any()):
            break
        low, high = np.where(short, low - reach, low), np.where(long, high + reach, high)
    for _ in range(60):
        middle = (low + high) / 2
        above = special.nctdtr(df, middle, t) > probability
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def noncentrality_interval(t: ArrayLike, df: ArrayLike, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Confidence limits of the noncentrality of an observed t.

    Parameters
    ----------
    t : array_like
        NaN stays NaN.
    df : float or array_like
        One for all, or one per t.
    level : float

    Returns
    -------
    low, high : ndarray
        Shape of ``t``. For many t with one df the limits are interpolated, to about 1e-9.
    """
    t = np.asarray(t, dtype=np.float64)
    df = np.asarray(df, dtype=np.float64)
    known = np.isfinite(t)
    values, out = t[known], np.full((2, *t.shape), np.nan)
    degrees = df if df.ndim == 0 else np.broadcast_to(df, t.shape)[known]
    for side, probability in enumerate(((1 + level) / 2, (1 - level) / 2)):
        if values.size <= _DIRECT or df.ndim or values.min() == values.max():
            out[side, known] = _solve(values, np.broadcast_to(degrees, values.shape), probability)
            continue
        # The limit is smooth in t, and smoother in its hyperbolic arcsine where t is large.
        place = np.arcsinh(values)
        ends = place.min(), place.max()
        nodes = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
        at = np.sinh(ends[0] + (nodes + 1) / 2 * (ends[1] - ends[0]))
        solved = _solve(at, np.full(_NODES, float(df)), probability)
        series = np.polynomial.chebyshev.chebfit(nodes, solved, _NODES - 1)
        out[side, known] = np.polynomial.chebyshev.chebval(2 * (place - ends[0]) / (ends[1] - ends[0]) - 1, series)
    return out[0], out[1]


def hedges_g(t: ArrayLike, scale: float | np.ndarray, df: float, level: float = 0.95) -> StandardisedEffect:
    """Standardised effects of a linear model's tested term.

    Parameters
    ----------
    t : array_like
        Student's t of the term.
    scale : float or ndarray
        Length of the tested term after the other terms are regressed out, ``glm.Model.scale``: 1 / sqrt(c (X'X)^-1 c'). For two
        arms without covariates that is sqrt(n1 n2 / (n1 + n2)).
    df : float
        Residual degrees of freedom, above 1.
    level : float
        Coverage of the interval.

    Returns
    -------
    StandardisedEffect
        NaN where the model leaves no residual variance: there is no standard deviation to measure by.
    """
    t = np.asarray(t, dtype=np.float64)
    with np.errstate(divide="ignore"):
        t = np.where(np.isfinite(t) & (np.asarray(df) / np.square(t) > _NOTHING_LEFT), t, np.nan)
    low, high = noncentrality_interval(t, df, level)
    d = t / scale
    return StandardisedEffect(g=bias_factor(df) * d, d=d, low=low / scale, high=high / scale)


def two_groups(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> StandardisedEffect:
    """Hedges' g of two independent groups' change scores, ``first`` minus ``second``.

    Parameters
    ----------
    first, second : array_like of shape (n1,) or (n1, ...), (n2,) or (n2, ...)
        Changes, participants first.
    level : float

    Returns
    -------
    StandardisedEffect

    Raises
    ------
    ValueError
        If there are fewer than four participants in all, or none in a group.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n1, n2 = len(first), len(second)
    if min(n1, n2) < 1 or n1 + n2 < 4:
        raise ValueError(f"groups of {n1} and {n2} are too small for a standard deviation")
    df = n1 + n2 - 2
    squares = ((first - first.mean(axis=0)) ** 2).sum(axis=0) + ((second - second.mean(axis=0)) ** 2).sum(axis=0)
    scale = np.sqrt(n1 * n2 / (n1 + n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(squares / df) * scale
    return hedges_g(t, scale, df, level)


def interval(
    effect: ArrayLike, t: ArrayLike, df: float | np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Confidence interval of a coefficient, in its own unit.

    Parameters
    ----------
    effect, t : array_like
        The coefficient and its t; their ratio is the standard error.
    df : float or ndarray
    level : float

    Returns
    -------
    low, high : ndarray
        NaN where t is 0: the ratio is undefined there.
    """
    effect, t = np.asarray(effect, dtype=np.float64), np.asarray(t, dtype=np.float64)
    error = np.divide(effect, t, out=np.full(effect.shape, np.nan), where=t != 0)
    half = special.stdtrit(df, (1 + level) / 2) * error
    return effect - half, effect + half


def percent_of_baseline(effect: ArrayLike, baseline: ArrayLike, least: float) -> np.ndarray:
    """The effect in per cent of the mean baseline.

    Parameters
    ----------
    effect : array_like
        mL/100 g/min; also its confidence limits.
    baseline : array_like
        Mean over the participants analysed, both arms, of the baseline session's CBF there,
        mL/100 g/min. For a cluster pass the means of both over its voxels, so that the result is a ratio of means.
    least : float
        Baselines below this, mL/100 g/min, give NaN: a ratio to almost no perfusion is meaningless. For CBF maps a value
        below any tissue's is suitable, such as 10. A contrast of two states has no baseline in this sense: divide by that
        of the CBF itself.

    Returns
    -------
    ndarray
    """
    effect, baseline = np.broadcast_arrays(np.asarray(effect, np.float64), np.asarray(baseline, np.float64))
    if not least > 0:
        raise ValueError(f"least must be above 0, not {least}")
    return np.divide(100 * effect, baseline, out=np.full(effect.shape, np.nan), where=baseline >= least)


def cluster_means(data: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Each participant's mean over each cluster; ``glm.fit`` of them gives the cluster's effect, t and g.

    Parameters
    ----------
    data : ndarray of shape (V, n)
    labels : ndarray of int, shape (V,)
        0 outside clusters; 1 to ``number``.
    number : int

    Returns
    -------
    ndarray of shape (number, n), float64
        NaN for a label without voxels.
    """
    out = np.full((number, data.shape[1]), np.nan)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(1, number + 2))
    for k in range(number):
        if bounds[k] < bounds[k + 1]:
            out[k] = data[order[bounds[k] : bounds[k + 1]]].mean(axis=0, dtype=np.float64)
    return out
