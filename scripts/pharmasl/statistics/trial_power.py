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
one covariate, and up to .02 too small in 16 people and four.) Assurance is power averaged over what is uncertain.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.statistics import noncentral_t
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, PlannedTest, Spread

# Points of each uncertain assumption over which power is averaged.
_NODES = 32
# Points of the covariates' chance imbalance, and people from which on its mean is enough.
_ALLOCATIONS, _MANY = 12, 1000
_HALVINGS = 50
# A search for people ends here.
_MOST = 100_000
_NORMAL_95 = 1.959963984540054


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
        People of the two arms with both values.
    sd, correlation : array_like
    """
    return residual(method, sd, correlation) * math.sqrt(sum(1 / size for size in sizes))


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
        Of the arrays' common shape; NaN below ``test.least`` people, or one in an arm.
    """
    delta = np.asarray(effect, dtype=np.float64) / standard_error(test.method, (1, 1), sd, correlation)
    if sum(sizes) < test.least or min(sizes) < 1:
        return np.full(delta.shape, np.nan)
    return _averaged(test, sum(sizes), delta * math.sqrt(2 / sum(1 / size for size in sizes)))


def _averaged(test: PlannedTest, people: float, delta: np.ndarray) -> np.ndarray:
    """Power at noncentralities of balanced covariates, averaged over allocations."""
    df = test.df(people)
    critical = noncentral_t.critical_t(df, test.alpha, two_sided=test.two_sided)
    shares, weights = _left(people, test.adjusted)
    powers = noncentral_t.power(delta[..., np.newaxis] * np.sqrt(shares), df, critical, two_sided=test.two_sided)
    return powers @ weights


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
    """The effect that is significant with a probability, by bisection; NaN below ``test.least`` people."""
    if sum(sizes) < test.least or min(sizes) < 1:
        return math.nan

    def probability(delta: float) -> float:
        return float(_averaged(test, sum(sizes), np.array(delta)))

    low, high = 0.0, 1.0
    while probability(high) < goal:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < goal else (low, middle)
    return (low + high) / 2 * float(standard_error(test.method, sizes, sd, correlation))


def people_needed(
    test: PlannedTest, ratio: float, effect: float, sd: float, correlation: float, goal: float
) -> tuple[int, int] | None:
    """The smallest arms, in a ratio of sizes, that have a wanted power.

    Parameters
    ----------
    test : PlannedTest
    ratio : float
        Size of the second arm over that of the first.
    effect, sd, correlation, goal : float

    Returns
    -------
    tuple of int or None
        None where :data:`_MOST` people in an arm are too few.
    """

    def sizes(first: int) -> tuple[int, int]:
        return first, max(math.ceil(first * ratio - 1e-9), 1)

    def reaches(first: int) -> bool:
        own = float(power(test, sizes(first), effect, sd, correlation))
        return math.isfinite(own) and own >= goal

    low, high = 0, 2
    while not reaches(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return sizes(high)


def assurance(test: PlannedTest, sizes: tuple[float, float], effect: float, spread: Spread) -> float:
    """Power averaged over the uncertain standard deviation and correlation.

    The logarithm of the standard deviation and Fisher's z of the correlation are taken as normal on either side of the planning value,
    so that it is their median and the interval's ends are their 2.5th and 97.5th percentiles; both are independent. The mean is taken
    over the middles of equal shares of probability: no number is drawn.
    """
    assumed, correlation = spread.assumed, spread.correlation
    spreads = np.exp(_quantiles(math.log(assumed.value), math.log(assumed.low), math.log(assumed.high)))
    z = [math.atanh(end) for end in (correlation.value, correlation.low, correlation.high)]
    correlations = np.tanh(_quantiles(*z))
    grid, other = np.meshgrid(spreads, correlations, indexing="ij")
    return float(power(test, sizes, effect, spread.sd_at(grid, other), other).mean())


def _quantiles(middle: float, low: float, high: float) -> np.ndarray:
    """Quantiles of a normal with another standard deviation on either side of its median."""
    normal = special.ndtri((np.arange(_NODES) + 0.5) / _NODES)
    side = np.where(normal < 0, middle - low, high - middle)
    return middle + normal / _NORMAL_95 * side
