"""Correlations of two variables adjusted for others: estimates, intervals, permutation p values.

Pearson's r of residuals from arm and covariates is the partial correlation; with ranks in place of values (covariates
ranked too) it is the partial Spearman correlation; the percentage bend correlation of those residuals withstands single
wild values.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pharmasl.statistics import arm_variances, diagnostics, percentage_bend

# Below this number of complete participants nothing is reported: Fisher's interval does not exist.
MINIMUM_N = 4
RESAMPLES = 9999
SEED = 20200218
# Resamples are drawn and computed in blocks of this many, to bound memory.
BLOCK = 10_000


class Correlation(NamedTuple):
    """An estimate with its 95 % interval, two p values, the number of observations and, where n/a, the reason."""

    estimate: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p: float = math.nan
    p_t: float = math.nan
    n: int = 0
    note: str | None = None
    bca_low: float = math.nan
    bca_high: float = math.nan
    without_one_low: float = math.nan
    without_one_high: float = math.nan
    variance_ratio: float = math.nan


def ranks(values):
    """Ranks along the last axis, ties averaged, of values of shape (..., n)."""
    # Imported where it is needed: it costs half a second, and most who use this module rank nothing.
    from scipy.stats import rankdata

    return rankdata(values, axis=-1)


def residuals(values, nuisance):
    """Take an intercept and the nuisance, (..., k, n), out of values, (..., n)."""
    values = values - values.mean(axis=-1, keepdims=True)
    if nuisance.shape[-2] == 0:
        return values
    # Orthogonalised column by column, so that a resample without one arm loses a column instead of failing.
    columns = []
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


def partial_correlation(x, y, nuisance, rank=False):
    """Correlation of what an intercept and the nuisance leave of two variables; vectorised over leading axes.

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
        x, y = ranks(x), ranks(y)
        nuisance = ranks(nuisance) if nuisance.shape[-2] else nuisance
    variation = [(v - v.mean(axis=-1, keepdims=True)) for v in (x, y)]
    size = [(v**2).sum(axis=-1) for v in variation]
    left = [residuals(v, nuisance) for v in (x, y)]
    rest = [(v**2).sum(axis=-1) for v in left]
    usable = np.logical_and.reduce([r > 1e-16 * np.maximum(s, 1e-300) for r, s in zip(rest, size)])
    usable &= (size[0] > 0) & (size[1] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (left[0] * left[1]).sum(axis=-1) / np.sqrt(rest[0] * rest[1])
    return np.where(usable, np.clip(r, -1, 1), np.nan)


def fisher_interval(r, n, adjusted=0, level=0.95, scale=1.0):
    """Confidence interval of a (partial) Pearson correlation by Fisher's z.

    Parameters
    ----------
    r : float
    n : int
        Observations.
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


def by_arm_scale(x, y, r, strata, adjusted):
    """How much wider Fisher's interval becomes when each arm has variances of its own.

    The influence of a participant on z is the quadratic form ``(x y - r (x^2 + y^2) / 2) / (1 - r^2)`` of the standardised
    residuals; its variance for normal data is ``2 tr(A S A S)``, S the arm's own covariance of the two, and 1 where the
    arms have one covariance. The sum over arms takes the place of that 1; t quantiles with Satterthwaite's degrees of
    freedom for it, over those for equal variances, take the place of the normal's.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Residuals.
    r : float
        Their correlation, not 1 or -1.
    strata : ndarray of shape (n,)
        Arm of each participant; one arm alone gives 1.
    adjusted : int
        Number of variables regressed out, the arm among them.

    Returns
    -------
    float
        NaN where an arm leaves less than one observation to tell its variances from.
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


def t_p_value(r, df):
    """Two-sided p of a correlation by ``t = r sqrt(df / (1 - r^2))``, ``df`` = n - 2 - (variables regressed out)."""
    if df <= 0 or math.isnan(r):
        return math.nan
    if abs(r) >= 1:
        return 0.0
    return float(2 * stdtr(df, -abs(r) * math.sqrt(df / (1 - r * r))))


def blocks(total):
    return [min(BLOCK, total - start) for start in range(0, total, BLOCK)]


def resample_indices(strata, resamples, rng):
    """Bootstrap samples: observations drawn with replacement within each stratum.

    Parameters
    ----------
    strata : ndarray of shape (n,)
        The arm of each observation.
    resamples : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (resamples, n)
    """
    out = np.empty((resamples, len(strata)), dtype=np.intp)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        out[:, members] = members[rng.integers(0, len(members), size=(resamples, len(members)))]
    return out


def bca_interval(estimate, resampled, jackknife, level=0.95):
    """Bias-corrected and accelerated bootstrap interval (Efron 1987, doi 10.1080/01621459.1987.10478410).

    Parameters
    ----------
    estimate : float
        The statistic of the sample.
    resampled : ndarray of shape (B,)
        Of the bootstrap samples.
    jackknife : ndarray of shape (n,)
        Of the samples with one observation left out.
    level : float

    Returns
    -------
    low, high : float
        NaN if the statistic does not vary over the bootstrap samples, or if more than 5 % of them have none.
    """
    kept = resampled[np.isfinite(resampled)]
    if len(kept) < 0.95 * len(resampled) or not np.isfinite(jackknife).all():
        return math.nan, math.nan
    below = ((kept < estimate).mean() + (kept <= estimate).mean()) / 2
    deviation = jackknife.mean() - jackknife
    spread = (deviation**2).sum()
    if not 0 < below < 1 or spread == 0:
        return math.nan, math.nan
    bias = ndtri(below)
    acceleration = (deviation**3).sum() / (6 * spread**1.5)
    ends = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        z = bias + ndtri(probability)
        ends.append(float(np.percentile(kept, 100 * ndtr(bias + z / (1 - acceleration * z)))))
    return ends[0], ends[1]


def orders_within(keys, strata):
    """Orders of participants within strata from random keys: equal keys give equal orders.

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


def permuted(x, y, nuisance, order, method="pearson"):
    """Absolute partial correlations of permuted data.

    The residuals of ``y`` are permuted and adjusted anew (Freedman & Lane 1983). Permuting within arms leaves the
    arms' means in place, so that without further covariates the test is exact.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    nuisance : ndarray of shape (k, n)
    order : ndarray of int, shape (B, n)
    method : str

    Returns
    -------
    ndarray of shape (B,)
    """
    if method == "spearman":
        x, y, nuisance = ranks(x), ranks(y), ranks(nuisance) if len(nuisance) else nuisance
    shuffled = residuals(residuals(y, nuisance)[order], nuisance)
    x = residuals(x, nuisance)
    if method == "percentage_bend":
        x, shuffled = percentage_bend.bent(x), percentage_bend.bent(shuffled)
    return np.abs(percentage_bend.correlation_of_scores(shuffled, x))


def reaches(null, observed):
    """Whether absolute correlations reach the observed one; ties, frequent with ranks, count despite rounding."""
    return null >= abs(observed) * (1 - 1e-12) - 1e-15


def permutation_p_value(x, y, nuisance, strata, permutations, rng, method="pearson"):
    """Two-sided p of a partial correlation by permuting observations within strata; see :func:`permuted`.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    nuisance : ndarray of shape (k, n)
    strata : ndarray of shape (n,)
    permutations : int
        Random permutations drawn beside the observed order.
    rng : numpy.random.Generator
    method : str
        Of :func:`statistic`.

    Returns
    -------
    float
        At least 1 / (permutations + 1).
    """
    observed = float(statistic(x, y, nuisance, method))
    reached = 1
    for size in blocks(permutations):
        order = orders_within(rng.random((size, len(y))), strata)
        reached += int(reaches(permuted(x, y, nuisance, order, method), observed).sum())
    return reached / (permutations + 1)


def statistic(x, y, nuisance, method):
    """One of the methods' partial correlations; shapes as :func:`partial_correlation`."""
    if method != "percentage_bend":
        return partial_correlation(x, y, nuisance, method == "spearman")
    return percentage_bend.percentage_bend(residuals(x, nuisance), residuals(y, nuisance))


def _by_arm_test(x, y, nuisance, strata, method):
    """The t test of a correlation with a residual variance of y for each arm, or None where there is none."""
    if method == "percentage_bend":
        return None
    if method == "spearman":
        x, y, nuisance = ranks(x), ranks(y), ranks(nuisance) if len(nuisance) else nuisance
    design = np.column_stack([x, np.ones(len(x)), nuisance.T])
    try:
        return arm_variances.ArmVariances(design, np.eye(design.shape[1])[0], strata).test(y)
    except ValueError:
        return None


def correlate(x, y, nuisance, strata, method, rng, resamples=RESAMPLES, p=None, treatment=None):
    """One correlation with its intervals, its range with one participant left out, and p values.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        CBF and craving, finite.
    nuisance : ndarray of shape (k, n)
        Variables to regress out of both (arm, covariates).
    strata : ndarray of shape (n,)
        Arm of each participant; permutations and bootstrap samples keep to it.
    method : str
        ``"pearson"``, ``"spearman"`` or ``"percentage_bend"``.
    rng : numpy.random.Generator
    resamples : int
        Bootstrap samples, and permutations.
    p : float, optional
        The permutation p, where it was found before.
    treatment : str, optional
        Label of the treatment arm among ``strata``, for the ratio of variances.

    Returns
    -------
    Correlation
        With NaN and a note where there are too few participants or a variable does not vary.
    """
    n, k = len(x), len(nuisance)
    if n < MINIMUM_N or n - k - 3 <= 0:
        need = max(MINIMUM_N, k + 4)
        return Correlation(n=n, note=f"fewer than {need} participants with both values")
    # That a variable varies at all is asked of the values themselves: bent scores of equal values have no unit.
    r = float(partial_correlation(x, y, nuisance, method == "spearman"))
    if math.isnan(r):
        return Correlation(n=n, note="a variable does not vary beyond what is adjusted for")
    r = float(statistic(x, y, nuisance, method))
    if math.isnan(r):
        return Correlation(n=n, note="too many equal values for a percentage bend correlation")
    resampled = []
    for size in blocks(resamples):
        index = resample_indices(strata, size, rng)
        resampled.append(statistic(x[index], y[index], np.moveaxis(nuisance[:, index], 0, 1), method))
    without = np.array([np.delete(np.arange(n), i) for i in range(n)])
    jackknife = statistic(x[without], y[without], np.moveaxis(nuisance[:, without], 0, 1), method)
    bca = bca_interval(r, np.concatenate(resampled), jackknife)
    note = None
    if math.isnan(bca[0]):
        note = "no bootstrap interval: the statistic is undefined or constant in too many bootstrap samples"
    low, high = bca
    if method == "pearson":
        scale = by_arm_scale(residuals(x, nuisance), residuals(y, nuisance), r, strata, k) if abs(r) < 1 else 1.0
        low, high = fisher_interval(r, n, k, scale=scale)
        if math.isnan(scale):
            note = "no interval: too few participants in an arm to tell its variance"
    ends = (
        (float(np.min(jackknife)), float(np.max(jackknife))) if np.isfinite(jackknife).all() else (math.nan, math.nan)
    )
    if p is None:
        p = permutation_p_value(x, y, nuisance, strata, resamples, rng, method)
    labels = [str(each) for each in np.unique(strata)]
    p_t, ratio = t_p_value(r, n - 2 - k) if len(labels) == 1 or abs(r) >= 1 else math.nan, math.nan
    if len(labels) > 1 and abs(r) < 1:
        test = _by_arm_test(x, y, nuisance, strata, method)
        if test is not None:
            p_t = test.p
            if treatment in labels and len(labels) == 2 and method == "pearson":
                (control,) = (each for each in labels if each != treatment)
                ratio = arm_variances.ratio(test.variances, treatment, control)
    return Correlation(r, low, high, p, p_t, n, note, *bca, *ends, ratio)


def slope_interaction(x, y, treated, covariates, rng, resamples=RESAMPLES):
    """Difference of two arms' slopes of y on x, treatment minus control: the arm-by-x interaction.

    ``y ~ arm + x + arm:x + covariates`` by least squares, a residual variance for each arm. This is the test of "does the
    relation differ between the arms" that stays with the data's units; it also serves a seed region's change (x) and a
    target's (y).

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Finite.
    treated : ndarray of bool, shape (n,)
    covariates : ndarray of shape (k, n)
    rng : numpy.random.Generator
    resamples : int
        Permutations within arms of what the model without the interaction leaves (Freedman & Lane), the t of each with
        its own variances.

    Returns
    -------
    Correlation
        ``estimate`` is the difference of slopes, unit of y over unit of x; its range with one participant left out.
    """
    n, arm = len(x), treated.astype(np.float64)
    if min(arm.sum(), n - arm.sum()) < 3 or n - 4 - len(covariates) < 1:
        return Correlation(n=n, note="fewer than 3 participants in one of the arms")
    tested = arm * x
    nuisance = np.vstack([arm, x, covariates])
    left = residuals(tested, nuisance)
    if left @ left <= 1e-12 * float(((tested - tested.mean()) ** 2).sum()) or not left.any():
        return Correlation(n=n, note="CBF does not vary in one of the arms")
    design = np.column_stack([tested, np.ones(n), nuisance.T])
    try:
        model = arm_variances.ArmVariances(design, np.eye(design.shape[1])[0], treated)
    except ValueError as error:
        return Correlation(n=n, note=f"not tested: {error}")
    test = model.test(y)
    if not test.se > 0:
        return Correlation(test.estimate, test.estimate, test.estimate, n=n, note="no p: the fit is perfect")
    rest, reached = residuals(y, nuisance), 1
    for block in blocks(resamples):
        null = model.t(rest[orders_within(rng.random((block, n)), treated)])
        reached += int(reaches(np.abs(null), test.t).sum())
    without = diagnostics.least_squares_without(design, y, np.eye(design.shape[1])[0])
    ends = diagnostics.extremes(without)
    return Correlation(
        test.estimate,
        test.ci_low,
        test.ci_high,
        reached / (resamples + 1),
        test.p,
        n,
        without_one_low=ends[0],
        without_one_high=ends[1],
        variance_ratio=arm_variances.ratio(test.variances, "True", "False"),
    )


def compare(first, second, adjusted=(0, 0)):
    """Difference of two Pearson correlations in independent groups.

    p by Fisher's z; interval from the two correlations' own (Zou 2007, doi 10.1037/1082-989X.12.4.399).

    Parameters
    ----------
    first, second : Correlation
        With their Fisher intervals.
    adjusted : (int, int)
        Number of variables regressed out in each.

    Returns
    -------
    Correlation
        ``n`` is the sum.
    """
    n = first.n + second.n
    if math.isnan(first.estimate) or math.isnan(second.estimate):
        return Correlation(n=n, note="no correlation in one of the arms")
    difference = first.estimate - second.estimate
    low = difference - math.hypot(first.estimate - first.ci_low, second.ci_high - second.estimate)
    high = difference + math.hypot(first.ci_high - first.estimate, second.estimate - second.ci_low)
    if max(abs(first.estimate), abs(second.estimate)) >= 1:
        return Correlation(difference, low, high, n=n, note="no p: a correlation is perfect")
    variance = 1 / (first.n - adjusted[0] - 3) + 1 / (second.n - adjusted[1] - 3)
    z = (math.atanh(first.estimate) - math.atanh(second.estimate)) / math.sqrt(variance)
    return Correlation(difference, low, high, float(2 * ndtr(-abs(z))), math.nan, n)
