"""Partial correlations and their permutation p values against scipy, closed forms and enumeration."""

import itertools
import math

import numpy as np
import pytest
from pharmasl.statistics import (
    correlation_intervals,
    partial_correlation,
)
from pharmasl.statistics.partial_correlation import Observations
from scipy import stats
from scored import pair

NONE = np.empty((0, 30))


def test_ranks_with_ties():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (50, 17)).astype(float)
    np.testing.assert_array_equal(partial_correlation.ranks(values), stats.rankdata(values, axis=1))
    values = rng.normal(size=(3, 4, 9))
    np.testing.assert_array_equal(partial_correlation.ranks(values), stats.rankdata(values, axis=-1))


def test_pearson_and_its_interval():
    x, y = pair(1)
    expected = stats.pearsonr(x, y)
    interval = expected.confidence_interval()
    r = float(partial_correlation.partial_correlation(x, y, NONE))
    assert r == pytest.approx(expected.statistic, rel=1e-12)
    assert correlation_intervals.fisher_interval(r, 30) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert correlation_intervals.t_p_value(r, 28) == pytest.approx(expected.pvalue, rel=1e-10)


def test_spearman_with_ties():
    x, y = pair(2)
    x, y = np.round(x, 1), np.round(y)
    expected = stats.spearmanr(x, y)
    rho = float(partial_correlation.partial_correlation(x, y, NONE, rank=True))
    assert rho == pytest.approx(expected.statistic, rel=1e-12)
    assert correlation_intervals.t_p_value(rho, 28) == pytest.approx(expected.pvalue, rel=1e-10)


def test_partial_correlation_is_that_of_residuals():
    rng = np.random.default_rng(3)
    nuisance = rng.normal(size=(2, 30))
    nuisance[0] = nuisance[0] > 0
    x, y = rng.normal(size=(2, 30)) + nuisance.sum(axis=0)
    design = np.column_stack([np.ones(30), nuisance.T])

    def residual(v):
        return v - design @ np.linalg.lstsq(design, v)[0]

    expected = stats.pearsonr(residual(x), residual(y)).statistic
    assert partial_correlation.partial_correlation(x, y, nuisance) == pytest.approx(expected, rel=1e-12)
    # A nuisance that repeats another one takes nothing more away.
    doubled = np.vstack([nuisance, nuisance[0] * 3 - 1])
    assert partial_correlation.partial_correlation(x, y, doubled) == pytest.approx(expected, rel=1e-10)
    # A first-order partial correlation has a closed form of the three correlations.
    rxy, rxz, ryz = (stats.pearsonr(*p).statistic for p in ((x, y), (x, nuisance[1]), (y, nuisance[1])))
    closed = (rxy - rxz * ryz) / math.sqrt((1 - rxz**2) * (1 - ryz**2))
    assert partial_correlation.partial_correlation(x, y, nuisance[1:]) == pytest.approx(closed, rel=1e-12)


def test_permutation_p_against_enumeration():
    """All 720 orders of six participants; the random p lies within its sampling error of the exact one."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 6))
    x[2] += 2
    y[2] += 2
    orders = np.array(list(itertools.permutations(range(6))))
    null = np.abs([stats.pearsonr(x, y[order]).statistic for order in orders])
    exact = (null >= abs(stats.pearsonr(x, y).statistic) - 1e-12).mean()
    ours = partial_correlation.permutation_p_value(
        Observations(x, y, np.empty((0, 6)), np.zeros(6)), 40_000, np.random.default_rng(1), "pearson"
    )
    assert ours == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))


def test_permutation_within_arms_against_enumeration():
    """Adjusted for arm: the 24 x 24 orders within two arms of four."""
    rng = np.random.default_rng(12)
    arm = np.repeat([0.0, 1.0], 4)
    x, y = rng.normal(size=(2, 8)) + 3 * arm
    orders = list(itertools.permutations(range(4)))
    observed = abs(float(partial_correlation.partial_correlation(x, y, arm[None])))
    null = [
        abs(float(partial_correlation.partial_correlation(x, y[[*a, *(4 + k for k in b)]], arm[None])))
        for a in orders
        for b in orders
    ]
    exact = (np.array(null) >= observed - 1e-12).mean()
    ours = partial_correlation.permutation_p_value(
        Observations(x, y, arm[None], arm), 40_000, np.random.default_rng(1), "pearson"
    )
    assert ours == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))


def test_freedman_lane_against_enumeration():
    """All 5,040 orders of the reduced model's residuals, the full model refitted for each.

    Here permuting ``y`` itself, or not adjusting the permuted residuals anew, gives .336 and .291 in place of .362.
    """
    rng = np.random.default_rng(0)
    age = rng.normal(size=7)
    x = rng.normal(size=7) + age
    y = rng.normal(size=7) + 3 * age + 0.8 * x
    reduced = np.column_stack([np.ones(7), age])
    residual = y - reduced @ np.linalg.lstsq(reduced, y)[0]
    full = np.column_stack([reduced, x])
    inverse = np.linalg.inv(full.T @ full)

    def t(response):
        coefficients = np.linalg.lstsq(full, response)[0]
        left = response - full @ coefficients
        return abs(coefficients[2] / np.sqrt((left**2).sum(axis=0) / 4 * inverse[2, 2]))

    orders = np.array(list(itertools.permutations(range(7))))
    null = np.array([t(residual[order]) for order in orders])
    exact = (null >= t(y) * (1 - 1e-9)).mean()
    ours = partial_correlation.permutation_p_value(
        Observations(x, y, age[None], np.zeros(7)), 40_000, np.random.default_rng(2), "pearson"
    )
    assert ours == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_permutation_p_is_uniform_under_the_null_with_arm_and_covariate(method):
    rng = np.random.default_rng(31)
    n, trials = 24, 400
    arm = (np.arange(n) < 11).astype(float)
    small = 0
    for _ in range(trials):
        age = rng.normal(size=n)
        x = rng.normal(size=n) + 2 * arm + age
        y = rng.standard_t(4, size=n) - 3 * arm - age
        nuisance = np.vstack([arm, age])
        if method == "spearman":
            x, y, nuisance = (
                partial_correlation.ranks(x),
                partial_correlation.ranks(y),
                partial_correlation.ranks(nuisance),
            )
        small += partial_correlation.permutation_p_value(Observations(x, y, nuisance, arm), 199, rng, "pearson") <= 0.1
    assert abs(small / trials - 0.1) < 3.5 * math.sqrt(0.09 / trials)


def test_familywise_error_of_p_max_under_the_null():
    """Four regions that share noise, nothing related to craving: at most 5 % of trials have any p_max below .05."""
    hits, trials, resamples = 0, 120, 99
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        n = 16
        x = rng.normal(size=(4, n)) + rng.normal(size=n)
        y = rng.normal(size=n)
        keys = rng.random((resamples, n))
        order = partial_correlation.orders_within(keys, np.repeat([0, 1], n // 2))
        arm = np.repeat([[0.0, 1.0]], n // 2, axis=1).reshape(1, n)
        null = np.max(
            [partial_correlation.permuted(Observations(each, y, arm, arm[0]), order, "pearson") for each in x], axis=0
        )
        best = max(abs(float(partial_correlation.partial_correlation(each, y, arm))) for each in x)
        hits += (1 + partial_correlation.reaches(null, best).sum()) / (resamples + 1) <= 0.05
    # Monte Carlo standard error 0.020.
    assert abs(hits / trials - 0.05) < 3.5 * 0.020
