"""A correlation with everything that is reported of it, and the two comparisons of the arms: of correlations, and of slopes."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pharmasl.statistics import arm_variances, diagnostics
from pharmasl.statistics.bootstrap import Bootstrap
from pharmasl.statistics.correlation_intervals import by_arm_scale, fisher_interval, t_p_value
from pharmasl.statistics.partial_correlation import (
    MINIMUM_N,
    Observations,
    blocks,
    orders_within,
    partial_correlation,
    permutation_p_value,
    reaches,
    residuals,
)


@dataclass(frozen=True)
class Correlation:
    """An estimate with its 95 % intervals, p values and number of participants.

    Attributes
    ----------
    estimate, ci_low, ci_high : float
        A correlation, a difference of correlations or a difference of slopes, with the interval to report.
    p, p_t : float
        Two-sided p by permutation (or Fisher's z), and by the t distribution.
    n : int
    note : str or None
        Why a value is NaN.
    bca_low, bca_high : float
        BCa bootstrap interval.
    without_one_low, without_one_high : float
        Least and greatest estimate with one participant left out.
    variance_ratio : float
        Residual variance of y in the treatment arm over that in the control arm.
    """

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


def too_few(n: int, adjusted: int) -> str | None:
    """Why so many participants give no correlation adjusted for so many variables; None where they do."""
    if n < MINIMUM_N or n - adjusted - 3 <= 0:
        return f"fewer than {max(MINIMUM_N, adjusted + 4)} participants with both values"
    return None


def by_arm_test(data: Observations, method: str) -> arm_variances.ArmsTest | None:
    """The t test of a correlation with a residual variance of y in each arm.

    Parameters
    ----------
    data : Observations
    method : str
        One of ``partial_correlation.METHODS``.

    Returns
    -------
    arm_variances.ArmsTest or None
        None for the percentage bend correlation, which has no such form, and where an arm is too small.
    """
    if method == "percentage_bend":
        return None
    data = data.ranked() if method == "spearman" else data
    design = np.column_stack([data.x, np.ones(len(data)), data.nuisance.T])
    try:
        return arm_variances.ArmVariances(design, np.eye(design.shape[1])[0], data.strata).test(data.y)
    except ValueError:
        return None


def _p_t_and_ratio(data: Observations, method: str, r: float, treatment: str | None) -> tuple[float, float]:
    """P by the t distribution, and the ratio of the arms' residual variances (Pearson over two arms)."""
    labels = [str(label) for label in np.unique(data.strata)]
    if len(labels) == 1 or abs(r) >= 1:
        return t_p_value(r, len(data) - 2 - len(data.nuisance)), math.nan
    test = by_arm_test(data, method)
    if test is None:
        return math.nan, math.nan
    if treatment not in labels or len(labels) != 2 or method != "pearson":
        return test.p, math.nan
    (control,) = (label for label in labels if label != treatment)
    return test.p, arm_variances.ratio(test.variances, treatment, control)


def correlate(
    data: Observations,
    method: str,
    rng: np.random.Generator,
    resamples: int,
    *,
    p: float | None = None,
    treatment: str | None = None,
) -> Correlation:
    """One correlation with its intervals, its range with one participant left out, and p values.

    Parameters
    ----------
    data : Observations
    method : str
        One of ``partial_correlation.METHODS``.
    rng : numpy.random.Generator
    resamples : int
        Number of bootstrap samples, and of permutations.
    p : float, optional
        The permutation p, where it is known already.
    treatment : str, optional
        Label of the treatment arm among the strata, for the ratio of variances.

    Returns
    -------
    Correlation
        With NaN and a note where there are too few participants or a variable does not vary.
    """
    n, k = len(data), len(data.nuisance)
    if note := too_few(n, k):
        return Correlation(n=n, note=note)
    # Whether a variable varies at all is checked on the values themselves: bent scores of equal values have no unit.
    if np.isnan(partial_correlation(data.x, data.y, data.nuisance, rank=method == "spearman")):
        return Correlation(n=n, note="a variable does not vary beyond what is adjusted for")
    r = float(data.statistic(method))
    if math.isnan(r):
        return Correlation(n=n, note="too many equal values for a percentage bend correlation")
    drawn = Bootstrap(lambda index: data.statistic(method, index)[None], data.strata, resamples, rng)
    bca = low, high = drawn.intervals()[0].tolist()
    note = None
    if math.isnan(low):
        note = "no bootstrap interval: the statistic is undefined or constant in too many bootstrap samples"
    if method == "pearson":
        x, y = residuals(data.x, data.nuisance), residuals(data.y, data.nuisance)
        scale = by_arm_scale(x, y, r, data.strata, k) if abs(r) < 1 else 1.0
        low, high = fisher_interval(r, n, k, scale=scale)
        if math.isnan(scale):
            note = "no interval: too few participants in an arm to tell its variance"
    without = diagnostics.extremes(drawn.jackknife[0])
    p_t, ratio = _p_t_and_ratio(data, method, r, treatment)
    return Correlation(
        estimate=r,
        ci_low=low,
        ci_high=high,
        p=permutation_p_value(data, resamples, rng, method) if p is None else p,
        p_t=p_t,
        n=n,
        note=note,
        bca_low=bca[0],
        bca_high=bca[1],
        without_one_low=without[0],
        without_one_high=without[1],
        variance_ratio=ratio,
    )


def slope_interaction(
    x: np.ndarray,
    y: np.ndarray,
    treated: np.ndarray,
    covariates: np.ndarray,
    rng: np.random.Generator,
    resamples: int,
) -> Correlation:
    """Difference of two arms' slopes of y on x, treatment minus control: the arm-by-x interaction.

    ``y ~ arm + x + arm:x + covariates`` by least squares, with a residual variance in each arm. It tests in the units of the
    data whether the relation differs between the arms; x and y may also be the changes of a seed region and of a target.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Finite.
    treated : ndarray of bool, shape (n,)
    covariates : ndarray of shape (k, n)
    rng : numpy.random.Generator
    resamples : int
        Permutations, within arms, of the residuals of the model without the interaction (Freedman & Lane); the t of each
        has its own variances.

    Returns
    -------
    Correlation
        ``estimate`` is the difference of slopes, in the unit of y over the unit of x.
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
    weights = np.eye(design.shape[1])[0]
    try:
        model = arm_variances.ArmVariances(design, weights, treated)
    except ValueError as error:
        return Correlation(n=n, note=f"not tested: {error}")
    test = model.test(y)
    if not test.se > 0:
        return Correlation(test.estimate, test.estimate, test.estimate, n=n, note="no p: the fit is perfect")
    rest, reached = residuals(y, nuisance), 1
    for block in blocks(resamples):
        null = model.t(rest[orders_within(rng.random((block, n)), treated)])
        reached += int(reaches(np.abs(null), test.t).sum())
    without = diagnostics.extremes(diagnostics.estimates_without_one(design, y, weights))
    return Correlation(
        estimate=test.estimate,
        ci_low=test.ci_low,
        ci_high=test.ci_high,
        p=reached / (resamples + 1),
        p_t=test.p,
        n=n,
        without_one_low=without[0],
        without_one_high=without[1],
        variance_ratio=arm_variances.ratio(test.variances, treatment="True", control="False"),
    )


def difference(first: Correlation, second: Correlation, adjusted: tuple[int, int] = (0, 0)) -> Correlation:
    """Difference of two Pearson correlations in independent groups, ``first`` minus ``second``.

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
    estimate = first.estimate - second.estimate
    low = estimate - math.hypot(first.estimate - first.ci_low, second.ci_high - second.estimate)
    high = estimate + math.hypot(first.ci_high - first.estimate, second.estimate - second.ci_low)
    result = Correlation(estimate, low, high, n=n)
    if max(abs(first.estimate), abs(second.estimate)) >= 1:
        return dataclasses.replace(result, note="no p: a correlation is perfect")
    variance = 1 / (first.n - adjusted[0] - 3) + 1 / (second.n - adjusted[1] - 3)
    z = (math.atanh(first.estimate) - math.atanh(second.estimate)) / math.sqrt(variance)
    return dataclasses.replace(result, p=float(2 * ndtr(-abs(z))))
