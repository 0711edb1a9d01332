"""Power of a trial of two arms, each person measured at baseline and at follow-up, in closed form.

A value has a standard deviation ``sd`` between people at one session and a correlation between the sessions; the drug shifts the
follow-up of its arm. By the arms' difference,

- of changes, the residual standard deviation is sd sqrt(2 (1 - correlation)),
- of follow-up adjusted for baseline (ANCOVA), sd sqrt(1 - correlation^2),
- of follow-up alone, sd;

N people and k covariates (the baseline among them) leave N - 2 - k degrees of freedom. The standard error is the residual standard
deviation times sqrt(1/n1 + 1/n2) / sqrt(b), b the share of the arms' difference that the covariates leave to it: of normal covariates and
random allocation it follows the beta distribution with (N - 1 - k) / 2 and k / 2. For a b, t is noncentral t; power is its mean over
b. (With the mean imbalance in its place, a standard error times sqrt(1 + k / (N - 3 - k)), it is the same to .0005 in 43 people and
one covariate, and up to .02 too small in 16 people and four.)

With a variance for each arm (Welch's test; with covariates :mod:`pharmasl.statistics.arm_variances`) the true variances are taken as
equal. A first arm's share w of the residual sum of squares then follows the beta distribution with nu1 / 2 and nu2 / 2, the arms' degrees
of freedom, and does not depend on the sum. For a w, the squared standard error is a multiple of the pooled one and the test's degrees of
freedom are known: its critical value is one of the pooled t, and power is the mean over w. Without covariates this is exact; k of them
take k n_a / N off an arm's degrees of freedom.

Assurance is power averaged over what is uncertain.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.statistics import noncentral_t, power_searches, uncertain_values
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, PlannedTest, Spread, Uncertain

# A power curve in an average: degree of its polynomial, points between which it is taken as straight, and how close to 1 its end is.
_DEGREE, _STEPS, _CERTAIN = 64, 4096, 1 - 1e-10
# Points of the covariates' chance imbalance, and people from which on its mean is enough.
_ALLOCATIONS, _MANY = 12, 1000
# Points of an arm's share of the residual sum of squares, and of an arm of less than so many degrees of freedom.
_SHARES, _SHARES_OF_FEW, _FEW = 8, 24, 2
# Degrees of freedom of an arm's own variance.
_LEAST = 0.5


def residual(method: str, sd: ArrayLike, correlation: ArrayLike) -> np.ndarray:
    """The residual standard deviation of what the arms are compared by.

    Parameters
    ----------
    method : {"change", "ancova", "followup"}
    sd, correlation : array_like
    """
    sd, correlation = np.asarray(sd, dtype=np.float64), np.asarray(correlation, dtype=np.float64)
    if method == CHANGE:
        return sd * np.sqrt(2 * (1 - correlation))
    return sd * np.sqrt(1 - np.square(correlation)) if method == ANCOVA else sd + 0 * correlation


def standard_error(method: str, sizes: tuple[float, float], sd: ArrayLike, correlation: ArrayLike) -> np.ndarray:
    """The standard error of the arms' difference where the covariates are balanced.

    Parameters
    ----------
    method : {"change", "ancova", "followup"}
    sizes : tuple of float
        People of the two arms with both values; of an arm of nobody it is infinite.
    sd, correlation : array_like
    """
    inverse = sum(1 / size for size in sizes) if min(sizes) > 0 else math.inf
    return residual(method, sd, correlation) * math.sqrt(inverse)


def power(
    test: PlannedTest, sizes: tuple[float, float], effect: ArrayLike, sd: ArrayLike, correlation: ArrayLike
) -> np.ndarray:
    """The probability that the arms differ significantly.

    Parameters
    ----------
    test : PlannedTest
    sizes : tuple of float
        People of the two arms with both values; together at least ``test.least``.
    effect : array_like
        The true difference.
    sd, correlation : array_like

    Returns
    -------
    ndarray
        Of the arrays' common shape; NaN below ``test.least`` people, one in an arm, or too few for a variance of an arm.
    """
    delta = np.asarray(effect, dtype=np.float64) / standard_error(test.method, sizes, sd, correlation)
    if _are_too_few(test, sizes):
        return np.full(delta.shape, np.nan)
    return _averaged(test, sizes, delta)


def _averaged(test: PlannedTest, sizes: tuple[float, float], delta: np.ndarray) -> np.ndarray:
    """Power at noncentralities of balanced covariates, averaged over allocations and the arms' residual variances."""
    people = sum(sizes)
    shares, weights = _left(people, test.adjusted)
    criticals, likely = _critical(test, sizes)
    shifted = delta[..., np.newaxis, np.newaxis] * np.sqrt(shares)[:, np.newaxis]
    powers = noncentral_t.power(shifted, test.df(people), criticals, two_sided=test.two_sided)
    return powers @ likely @ weights


@lru_cache(maxsize=512)
def _critical(test: PlannedTest, sizes: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Values of the pooled t above which the test is significant, with their weights: several where each arm has a variance."""
    df = test.df(sum(sizes))
    if not test.by_arm:
        return np.array([noncentral_t.critical_t(df, test.alpha, two_sided=test.two_sided)]), np.ones(1)
    own = _freedoms(test, sizes)
    # In the share's probability: its density has poles at 0 and 1 in small arms, and no height in double precision in large ones.
    points, weights = np.polynomial.legendre.leggauss(_SHARES_OF_FEW if min(own) < _FEW else _SHARES)
    first = special.betaincinv(own[0] / 2, own[1] / 2, (points + 1) / 2)
    # Of each arm, the variance of its mean in units of the pooled variance.
    parts = [df * share / (freedom * size) for share, freedom, size in zip((first, 1 - first), own, sizes)]
    freedoms = sum(parts) ** 2 / sum(part**2 / freedom for part, freedom in zip(parts, own))
    widths = np.sqrt(sum(parts) / sum(1 / size for size in sizes))
    return noncentral_t.critical_t(freedoms, test.alpha, two_sided=test.two_sided) * widths, weights / 2


def df_by_arm(test: PlannedTest, sizes: tuple[float, float]) -> float:
    """Satterthwaite's degrees of freedom where both arms have the same sample variance; NaN where an arm has none."""
    own = _freedoms(test, sizes)
    if min(own) <= 0:
        return math.nan
    return float(sum(1 / size for size in sizes) ** 2 / sum(1 / (size**2 * df) for size, df in zip(sizes, own)))


def _are_too_few(test: PlannedTest, sizes: tuple[float, float]) -> bool:
    """Whether there is no test; a variance for each arm takes half a degree of freedom, as the test itself does."""
    if sum(sizes) < test.least or min(sizes) < 1:
        return True
    return test.by_arm and min(_freedoms(test, sizes)) < _LEAST


def _freedoms(test: PlannedTest, sizes: tuple[float, float]) -> list[float]:
    """The arms' residual degrees of freedom; of nobody, none."""
    people = max(sum(sizes), 1)
    return [size - 1 - test.adjusted * size / people for size in sizes]


@lru_cache(maxsize=512)
def _left(people: float, covariates: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the arms' difference that covariates leave to it, with their weights: Gauss-Jacobi points of the beta distribution.

    In a thousand people its width no longer matters: the mean imbalance stands for all.
    """
    if not covariates:
        return np.ones(1), np.ones(1)
    if people > _MANY:
        return np.array([(people - 3 - covariates) / (people - 3)]), np.ones(1)
    points, weights = special.roots_jacobi(_ALLOCATIONS, covariates / 2 - 1, (people - 1 - covariates) / 2 - 1)
    return (points + 1) / 2, weights / weights.sum()


def detectable(test: PlannedTest, sizes: tuple[float, float], sd: float, correlation: float, goal: float) -> float:
    """The effect that is significant with a probability; NaN where :func:`power` is."""
    if _are_too_few(test, sizes):
        return math.nan
    delta = power_searches.crossing(lambda own: float(_averaged(test, sizes, np.array(own))), goal)
    return delta * float(standard_error(test.method, sizes, sd, correlation))


def people_needed(
    test: PlannedTest, ratio: float, effect: float, sd: float, correlation: float, goal: float
) -> tuple[int, int] | None:
    """The smallest arms, in a ratio of sizes, that have a wanted power: :func:`pharmasl.statistics.power_searches.arms_needed`."""
    return power_searches.arms_needed(lambda sizes: float(power(test, sizes, effect, sd, correlation)), ratio, goal)


def assurance(test: PlannedTest, arms: Sequence[tuple[int, int]], effect: Uncertain, spread: Spread) -> float:
    """Power averaged over what is uncertain: people, effect, standard deviation and correlation, each independent of the others.

    Each is at the middles of equal shares of its distribution (:mod:`pharmasl.statistics.uncertain_values`): no number is drawn. An effect that
    would be below 0 counts as none.

    Parameters
    ----------
    test : PlannedTest
    arms : sequence of tuple of int
        People of the two arms with both values, equally likely. Where they are too few for a test, nothing is found.
    effect : Uncertain
    spread : Spread

    Returns
    -------
    float
    """
    deviations = uncertain_values.of_logarithm(spread.assumed)
    correlations = uncertain_values.of_correlation(spread.correlation)
    effects = np.maximum(uncertain_values.of_number(effect), 0.0)[:, np.newaxis, np.newaxis]
    sds = spread.sd_at(deviations[:, np.newaxis], correlations)
    powers = [
        _mean_power(test, sizes, effects / standard_error(test.method, sizes, sds, correlations)) for sizes in arms
    ]
    return float(np.mean(powers))


def _mean_power(test: PlannedTest, sizes: tuple[int, int], delta: np.ndarray) -> float:
    """Mean power over noncentralities of balanced covariates."""
    if _are_too_few(test, sizes):
        return 0.0
    if delta.size <= _DEGREE:
        return float(_averaged(test, sizes, delta).mean())
    return float(np.interp(delta, *_curve(test, sizes)).mean())


@lru_cache(maxsize=512)
def _curve(test: PlannedTest, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Noncentralities from 0 to where power is next to 1, and the power at each, by a polynomial (Chebyshev's) through few of them."""
    most = 4.0
    while float(_averaged(test, sizes, np.array(most))) < _CERTAIN:
        most *= 1.25
    nodes = chebyshev.chebpts1(_DEGREE + 1)
    coefficients = chebyshev.chebfit(nodes, _averaged(test, sizes, (nodes + 1) / 2 * most), _DEGREE)
    places = np.linspace(-1, 1, _STEPS)
    return (places + 1) / 2 * most, chebyshev.chebval(places, coefficients)
