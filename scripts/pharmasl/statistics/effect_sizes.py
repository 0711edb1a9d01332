"""How large is an effect: in the maps' unit, in per cent of baseline, and in standard deviations of change.

- The coefficient of the tested term, mL/100 g/min, with its confidence interval.
- Per cent of baseline: the coefficient over the mean baseline of *all* participants analysed, both arms, at that voxel
  (or over that cluster). The baseline is taken as known: the interval carries over by the same division.
- Hedges' g: the difference of two arms' mean changes over the pooled standard deviation *of the changes*, free of its
  small-sample bias by the exact factor (Hedges 1981, J Educ Stat 6:107). With covariates the adjusted difference over
  the residual standard deviation. Standard deviations of change are smaller or larger than those of baseline as the
  sessions correlate: a g of change scores is not one of raw scores and must not be compared with one (Morris 2008,
  doi 10.1177/1094428106291059).
- Its interval is exact under the model: t follows the noncentral t distribution, whose noncentrality is the population
  effect over the ``scale`` of the design (Hedges and Olkin 1985; Steiger and Fouladi 1997). It is an interval for the
  population's effect and is not multiplied by the bias factor.

A size averaged over a cluster that was found in the same data is too large (selection); one in a region chosen before
is not.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

# Up to so many values are solved one by one; more are read off a Chebyshev series fitted to so many solved ones.
_DIRECT, _NODES = 400, 120


class Size(NamedTuple):
    """Standardised effects; arrays in the shape of t.

    Attributes
    ----------
    g : ndarray
        Hedges' g, unbiased.
    d : ndarray
        The same without the correction (Cohen's d with pooled standard deviation).
    low, high : ndarray
        Confidence limits of the population's standardised effect.
    """

    g: np.ndarray
    d: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bias_factor(df):
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


# Above this t the distribution function takes ever more terms, in the end without an end; the limit is then known otherwise.
_LARGE = 1000.0
# A model that leaves less than this share of the variance has no standard deviation to measure an effect by.
_NOTHING_LEFT = 1e-12


def _solve(t, df, probability):
    """Noncentrality at which a noncentral t below ``t`` has this probability; t and df of one shape.

    A noncentral t is (d + Z) / U, U^2 a chi-square over its degrees of freedom. Where d is large, Z matters little and the
    limit is t times U's quantile u; more nearly, d^2 = t^2 u^2 - c with a c that does not depend on t, but for a share of
    the order of t^-4. So a t above :data:`_LARGE` takes its c from the limit there.
    """
    edge = np.clip(t, -_LARGE, _LARGE)
    limit = _bisect(edge, df, probability)
    # U above u where t is above 0, below it where t is below.
    tail = np.where(t > 0, probability, 1 - probability)
    u = np.sqrt(special.chdtri(df, tail) / df)
    square = limit**2 + (t**2 - edge**2) * u**2
    return np.where(np.abs(t) > _LARGE, np.sign(t) * np.sqrt(square), limit)


def _bisect(t, df, probability):
    """The same by bisection of the distribution function."""
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


def noncentrality_interval(t, df, level=0.95):
    """Confidence limits of the noncentrality of an observed t.

    Parameters
    ----------
    t : array_like
        NaN stays NaN.
    df : float or array_like
        One for all, or one a t.
    level : float

    Returns
    -------
    low, high : ndarray
        Shape of ``t``. Of many t with one df the limits are interpolated, to about 1e-9.
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


def hedges_g(t, scale, df, level=0.95):
    """Standardised effects of a linear model's tested term.

    Parameters
    ----------
    t : array_like
        Student's t of the term.
    scale : float
        Length of the tested term once the other terms are out, ``glm.Model.scale``: 1 / sqrt(c (X'X)^-1 c'). For two
        arms without covariates that is sqrt(n1 n2 / (n1 + n2)).
    df : float
        Residual degrees of freedom, above 1.
    level : float
        Coverage of the interval.

    Returns
    -------
    Size
        NaN where the model leaves no residual variance: there is no standard deviation to measure by.
    """
    t = np.asarray(t, dtype=np.float64)
    with np.errstate(divide="ignore"):
        t = np.where(np.isfinite(t) & (np.asarray(df) / np.square(t) > _NOTHING_LEFT), t, np.nan)
    low, high = noncentrality_interval(t, df, level)
    d = t / scale
    return Size(bias_factor(df) * d, d, low / scale, high / scale)


def two_groups(first, second, level=0.95):
    """Hedges' g of two independent groups' change scores, ``first`` minus ``second``.

    Parameters
    ----------
    first, second : array_like of shape (n1,) or (n1, ...), (n2,) or (n2, ...)
        Changes, participants first.
    level : float

    Returns
    -------
    Size

    Raises
    ------
    ValueError
        If there are fewer than four participants in all or one in a group.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n1, n2 = len(first), len(second)
    if min(n1, n2) < 1 or n1 + n2 < 4:
        raise ValueError(f"groups of {n1} and {n2} have no standard deviation to speak of")
    df = n1 + n2 - 2
    squares = ((first - first.mean(axis=0)) ** 2).sum(axis=0) + ((second - second.mean(axis=0)) ** 2).sum(axis=0)
    scale = np.sqrt(n1 * n2 / (n1 + n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(squares / df) * scale
    return hedges_g(t, scale, df, level)


def interval(effect, t, df, level=0.95):
    """Confidence interval of a coefficient, in its own unit.

    Parameters
    ----------
    effect, t : array_like
        The coefficient and its t; their ratio is the standard error.
    df : float
    level : float

    Returns
    -------
    low, high : ndarray
        NaN where t is 0: the ratio tells nothing there.
    """
    effect, t = np.asarray(effect, dtype=np.float64), np.asarray(t, dtype=np.float64)
    error = np.divide(effect, t, out=np.full(effect.shape, np.nan), where=t != 0)
    half = special.stdtrit(df, (1 + level) / 2) * error
    return effect - half, effect + half


def percent_of_baseline(effect, baseline, least):
    """The effect in per cent of the mean baseline.

    Parameters
    ----------
    effect : array_like
        mL/100 g/min; also its confidence limits.
    baseline : array_like
        Mean over the participants analysed, both arms, of the baseline session's CBF there,
        mL/100 g/min. Of a cluster give the means over its voxels of both, so that the result is a ratio of means.
    least : float
        Baselines below this, mL/100 g/min, give NaN: a ratio to nearly nothing says nothing. For CBF maps a value
        below any tissue's, such as 10, serves. Contrasts of two states have no baseline in this sense: divide by that
        of the CBF itself.

    Returns
    -------
    ndarray
    """
    effect, baseline = np.broadcast_arrays(np.asarray(effect, np.float64), np.asarray(baseline, np.float64))
    if not least > 0:
        raise ValueError(f"least must be above 0, not {least}")
    return np.divide(100 * effect, baseline, out=np.full(effect.shape, np.nan), where=baseline >= least)


def cluster_means(data, labels, number):
    """Each participant's mean over each cluster: give them to ``glm.fit`` for the cluster's effect, t and g.

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
