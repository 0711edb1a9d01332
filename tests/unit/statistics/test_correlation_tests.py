"""Comparisons of two arms' correlations and slopes against closed forms, their coverage and their level."""

import math

import numpy as np
import pytest
from pharmasl.statistics import correlation_intervals, correlation_tests, partial_correlation
from pharmasl.statistics.partial_correlation import Observations
from scipy import stats


def test_comparison_of_two_correlations():
    """z 1.975, p .048 for .5 in 21 against -.1 in 22, by Fisher's z worked by hand."""
    found = []
    for r, n in ((0.5, 21), (-0.1, 22)):
        low, high = correlation_intervals.fisher_interval(r, n)
        found.append(correlation_tests.Correlation(r, low, high, math.nan, math.nan, n))
    result = correlation_tests.difference(*found)
    z = (math.atanh(0.5) - math.atanh(-0.1)) / math.sqrt(1 / 18 + 1 / 19)
    assert z == pytest.approx(1.975, abs=5e-4)
    assert result.p == pytest.approx(2 * stats.norm.sf(z), rel=1e-12)
    assert result.estimate == pytest.approx(0.6)
    assert result.n == 43
    swapped = correlation_tests.difference(*found[::-1])
    assert (swapped.ci_low, swapped.ci_high) == pytest.approx((-result.ci_high, -result.ci_low))


def test_interval_of_the_difference_covers_in_simulation():
    rng = np.random.default_rng(8)
    trials = 4000
    r = []
    for rho, n in ((0.5, 21), (-0.1, 22)):
        x, noise = rng.normal(size=(2, trials, n))
        y = rho * x + math.sqrt(1 - rho**2) * noise
        found = partial_correlation.partial_correlation(x, y, np.empty((trials, 0, n)))
        r.append(
            [correlation_tests.Correlation(e, *correlation_intervals.fisher_interval(e, n), 0.5, 0.5, n) for e in found]
        )
    results = [correlation_tests.difference(*both) for both in zip(*r)]
    covered = np.mean([result.ci_low <= 0.6 <= result.ci_high for result in results])
    # Monte Carlo standard error 0.0034; Zou's interval is an approximation, close at these sizes.
    assert abs(covered - 0.95) < 4 * 0.0034


def test_slope_interaction_holds_its_level_and_finds_with_the_power_that_theory_gives():
    rng = np.random.default_rng(3)
    n, trials = 43, 150
    treated = np.arange(n) < 21
    none = np.empty((0, n))
    null = power = 0
    for _ in range(trials):
        x, noise = rng.normal(size=(2, n))
        null += correlation_tests.slope_interaction(x, 2 * treated + x + noise, treated, none, rng, 99).p <= 0.05
        power += correlation_tests.slope_interaction(x, 0.9 * treated * x + noise, treated, none, rng, 1).p_t <= 0.05
    assert abs(null / trials - 0.05) < 3.5 * 0.0178
    # The noncentral t at the expected information: n1 and n2 less one, halved harmonically.
    expected = 0.9 / math.sqrt(1 / 20 + 1 / 21)
    theory = stats.nct.sf(stats.t.ppf(0.975, 39), 39, expected) + stats.nct.cdf(-stats.t.ppf(0.975, 39), 39, expected)
    # Random x spreads the information, which costs a little power.
    assert theory - 0.06 - 3 * 0.037 < power / trials < theory + 3 * 0.037


@pytest.mark.parametrize(("n", "spread"), [((10, 33), 3.0), ((33, 10), 3.0), ((10, 33), 1.0), ((10, 10), 3.0)])
def test_intervals_and_p_hold_with_variances_that_differ_between_the_arms(n, spread):
    """Both variables scatter three times as much in the first arm; Fisher's interval covers .79 for 10 v 33."""
    rng = np.random.default_rng(4)
    arm = np.repeat([1.0, 0.0], n)
    size, studies, covered, small = np.where(arm > 0, spread, 1.0), 1000, 0, 0
    for _ in range(studies):
        x, noise = rng.normal(size=(2, len(arm))) * size
        y = 0.5 * x + math.sqrt(0.75) * noise
        r = float(partial_correlation.partial_correlation(x, y, arm[None]))
        left = [partial_correlation.residuals(v, arm[None]) for v in (x, y)]
        low, high = correlation_intervals.fisher_interval(
            r, len(arm), 1, scale=correlation_intervals.by_arm_scale(*left, r, arm, 1)
        )
        covered += low <= 0.5 <= high
        small += correlation_tests.by_arm_test(Observations(x, noise, arm[None], arm), "pearson").p <= 0.05
    error = math.sqrt(0.05 * 0.95 / studies)
    assert abs(covered / studies - 0.955) < 0.006 + 2.5 * error
    assert abs(small / studies - 0.05) < 0.006 + 2.5 * error


def test_an_arm_of_one_has_no_interval_over_both_arms_and_says_so():
    rng = np.random.default_rng(6)
    arm, (x, y) = np.repeat([1.0, 0.0], (1, 12)), rng.normal(size=(2, 13))
    found = correlation_tests.correlate(Observations(x, y, arm[None], arm), "pearson", rng, 99)
    assert math.isnan(found.ci_low)
    assert math.isnan(found.p_t)
    assert found.note.startswith("no interval: too few participants in an arm")
