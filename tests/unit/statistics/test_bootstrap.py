"""Bootstrap intervals against scipy on the same draws, and their coverage."""

import math

import numpy as np
import pytest
from pharmasl.statistics import bootstrap, correlation_tests, partial_correlation
from pharmasl.statistics.partial_correlation import Observations
from scipy import stats
from scored import pair


def test_bca_interval_is_that_of_scipy_on_the_same_samples():
    x, y = pair(4, 25)
    resamples = 2000
    data = Observations(x, y, np.empty((0, 25)), np.zeros(25))
    drawn = bootstrap.Bootstrap(
        lambda index: data.statistic("spearman", index)[None], data.strata, resamples, np.random.default_rng(99)
    )
    resampled, ours = drawn.distributions[0], tuple(drawn.intervals()[0])

    def statistic(a, b, axis=-1):
        return partial_correlation.partial_correlation(a, b, np.empty((*a.shape[:-1], 0, a.shape[-1])), rank=True)

    expected = stats.bootstrap(
        (x, y),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        method="BCa",
        rng=np.random.default_rng(99),
    )
    # Same generator, same draws: the bootstrap distributions agree element by element, and so do the intervals.
    np.testing.assert_allclose(np.sort(resampled), np.sort(expected.bootstrap_distribution), rtol=1e-12)
    assert ours == pytest.approx(tuple(expected.confidence_interval), rel=1e-10)


def test_bca_interval_covers_in_simulation():
    """Population Spearman correlation of a normal pair: 6/pi arcsin(rho/2)."""
    rho, n, trials = 0.6, 40, 150
    truth = 6 / math.pi * math.asin(rho / 2)
    rng = np.random.default_rng(17)
    covered = 0
    for k in range(trials):
        x, y = pair(1000 + k, n, rho)
        result = correlation_tests.correlate(
            Observations(x, y, np.empty((0, n)), np.zeros(n)), "spearman", rng, resamples=600
        )
        covered += result.ci_low <= truth <= result.ci_high
    # Monte Carlo standard error 0.018; BCa at n = 40 is known to be near but not exactly nominal.
    assert 0.95 - 3 * 0.018 < covered / trials <= 1


def test_stratified_resampling_keeps_arm_sizes():
    strata, drawn = np.array(["a"] * 5 + ["b"] * 8), []

    def statistics(index):
        drawn.append(index)
        return index.mean(axis=-1)[None]

    bootstrap.Bootstrap(statistics, strata, 300, np.random.default_rng(0))
    index = next(each for each in drawn if each.shape == (300, 13))
    assert (strata[index] == strata).all()
    assert np.unique(index).size == 13


def test_samples_without_the_statistic_are_left_out_up_to_one_in_twenty():
    values = np.random.default_rng(5).normal(size=40)

    def statistics(index):
        mean = values[index].mean(axis=-1)
        # Undefined in some samples, never in the sample itself or without one participant.
        return np.stack([mean, np.where(values[index].min(axis=-1) > np.sort(values)[3], np.nan, mean)])

    drawn = bootstrap.Bootstrap(statistics, np.zeros(40), 999, np.random.default_rng(0))
    assert 0 < np.isnan(drawn.distributions[1]).mean() < 0.05
    kept = drawn.distributions[1][np.isfinite(drawn.distributions[1])]
    ends = drawn.intervals("percentile")
    np.testing.assert_allclose(ends[0], np.percentile(drawn.distributions[0], [2.5, 97.5]), rtol=1e-12)
    np.testing.assert_allclose(ends[1], np.percentile(kept, [2.5, 97.5]), rtol=1e-12)
    assert np.isfinite(drawn.intervals("BCa")).all()


def test_an_arm_of_one_is_drawn_as_itself_and_a_constant_has_no_bca_interval():
    strata = np.array(["a"] * 6 + ["b"])
    drawn = bootstrap.Bootstrap(
        lambda index: np.stack([index.max(axis=-1), 0.0 * index.sum(axis=-1)]), strata, 99, np.random.default_rng(1)
    )
    assert (drawn.distributions[0] == 6).all()
    assert np.isnan(drawn.intervals("BCa")[1]).all()
    np.testing.assert_array_equal(drawn.intervals("percentile")[1], [0, 0])
