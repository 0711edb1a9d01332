"""Effect sizes against mpmath, MBESS, pingouin, statsmodels and their own coverage."""

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.group.engine import glm
from pharmasl.statistics import effect_sizes
from scipy import special, stats

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "effect_sizes.json").read_text())


def test_limits_are_those_of_mpmath():
    t, df, low, high = np.array(REFERENCE["limits"]).T
    found = effect_sizes.noncentrality_interval(t, df)
    np.testing.assert_allclose(found, [low, high], atol=1e-9)


def test_limits_are_those_printed_by_mbess():
    # conf.limits.nct(ncp = 2.83, df = 126), the example of its manual.
    low, high = effect_sizes.noncentrality_interval(2.83, 126)
    assert low == pytest.approx(0.8337502, abs=1e-7)
    assert high == pytest.approx(4.815359, abs=1e-6)


@pytest.mark.parametrize("df", [4, 12, 40, 300])
def test_a_maps_limits_are_those_of_its_voxels(df):
    rng = np.random.default_rng(df)
    t = np.concatenate([rng.standard_t(df, 20000), [12.5, -20, 0, 1e-9], np.full(3, np.nan)])
    found = effect_sizes.noncentrality_interval(t, df)
    some = np.r_[0:200, len(t) - 7 : len(t)]
    direct = effect_sizes.noncentrality_interval(t[some], df)
    np.testing.assert_allclose(np.array(found)[:, some], direct, atol=2e-9)
    # And they are limits: the probability below t is what it should be.
    sound = np.abs(t) < 10
    np.testing.assert_allclose(special.nctdtr(df, found[0][sound], t[sound]), 0.975, atol=1e-9)
    np.testing.assert_allclose(special.nctdtr(df, found[1][sound], t[sound]), 0.025, atol=1e-9)


def test_the_bias_factor_is_exact():
    df, factor = np.array(REFERENCE["factors"]).T
    np.testing.assert_allclose(effect_sizes.bias_factor(df), factor, rtol=1e-12)


def test_two_groups_are_pingouins():
    groups = REFERENCE["groups"]
    found = effect_sizes.two_groups(groups["first"], groups["second"])
    assert found.d == pytest.approx(groups["d"], rel=1e-12)
    df = len(groups["first"]) + len(groups["second"]) - 2
    # The limits are of the population's d, not shrunk as g is: at them the observed t has its tail probabilities.
    t, scale = stats.ttest_ind(groups["first"], groups["second"]).statistic, np.sqrt(9 * 12 / 21)
    assert stats.nct.cdf(t, df, found.low * scale) == pytest.approx(0.975, abs=1e-9)
    assert stats.nct.cdf(t, df, found.high * scale) == pytest.approx(0.025, abs=1e-9)
    # pingouin's factor is the usual approximation, here 2e-4 off.
    assert found.g == pytest.approx(found.d * effect_sizes.bias_factor(df), rel=1e-14)
    assert found.g == pytest.approx(groups["g_approximate"], rel=1e-3)
    assert groups["g_approximate"] == pytest.approx(found.d * (1 - 3 / (4 * df - 1)), rel=1e-12)


def test_voxels_clusters_and_scalars_agree():
    rng = np.random.default_rng(1)
    first, second = rng.normal(-3, 5, (9, 30)), rng.normal(0, 5, (12, 30))
    sizes = effect_sizes.two_groups(first, second)
    model = glm.partial_form(np.repeat([1.0, 0.0], [9, 12]), np.ones((21, 1)))
    fit = glm.fit(np.concatenate([first, second]).T.copy(), model)
    sizes = vars(sizes).values()
    for found, expected in zip(vars(effect_sizes.hedges_g(fit.t, model.scale, model.df)).values(), sizes):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for found, expected in zip(vars(effect_sizes.two_groups(first[:, 4], second[:, 4])).values(), sizes):
        np.testing.assert_allclose(found, expected[4], rtol=1e-12)


def test_with_covariates_it_is_the_adjusted_difference_over_the_residual_deviation():
    rng = np.random.default_rng(2)
    arm, age = np.repeat([1.0, 0.0], [10, 13]), rng.normal(40, 9, 23)
    change = -4 * arm + 0.3 * age + rng.normal(0, 5, 23)
    fitted = sm.OLS(change, np.column_stack([arm, np.ones(23), age])).fit()
    model = glm.partial_form(arm, np.column_stack([np.ones(23), age]))
    fit = glm.fit(change[None].copy(), model)
    size = effect_sizes.hedges_g(fit.t, model.scale, model.df)
    assert size.d[0] == pytest.approx(fitted.params[0] / np.sqrt(fitted.mse_resid), rel=1e-10)
    low, high = effect_sizes.interval(fit.effect, fit.t, model.df)
    np.testing.assert_allclose([low[0], high[0]], fitted.conf_int()[0], rtol=1e-9)
    # The interval of g excludes 0 exactly where that of the coefficient does, and where p < .05.
    assert (size.low[0] > 0 or size.high[0] < 0) == (low[0] > 0 or high[0] < 0) == (fitted.pvalues[0] < 0.05)


def test_intervals_cover_the_planted_effect_and_g_is_unbiased():
    rng = np.random.default_rng(3)
    delta, n1, n2, voxels = 0.9, 7, 8, 40000
    size = effect_sizes.two_groups(rng.normal(delta * 5, 5, (n1, voxels)), rng.normal(0, 5, (n2, voxels)))
    covered = ((size.low <= delta) & (delta <= size.high)).mean()
    assert abs(covered - 0.95) < 3.3 * np.sqrt(0.95 * 0.05 / voxels)
    error = size.g.std() / np.sqrt(voxels)
    assert abs(size.g.mean() - delta) < 3.3 * error
    assert size.d.mean() - delta > 5 * error


def test_one_level_is_another():
    low, high = effect_sizes.noncentrality_interval([2.0], 20, 0.9)
    assert stats.nct.cdf(2, 20, low[0]) == pytest.approx(0.95, abs=1e-10)
    assert stats.nct.cdf(2, 20, high[0]) == pytest.approx(0.05, abs=1e-10)


def test_per_cent_is_of_the_groups_mean_baseline():
    maps = np.array([[50.0, 20.0, 3.0], [70.0, 40.0, 1.0]])
    baseline = maps.mean(axis=0)
    found = effect_sizes.percent_of_baseline([-6.0, 3.0, 1.0], baseline, least=10)
    np.testing.assert_allclose(found, [-10, 10, np.nan])
    assert effect_sizes.percent_of_baseline(-6.0, 60.0, least=10) == pytest.approx(-10)
    with pytest.raises(ValueError, match="least"):
        effect_sizes.percent_of_baseline(1.0, 60.0, least=0)


def test_cluster_means_are_means_over_voxels():
    data = np.arange(24.0).reshape(6, 4)
    found = effect_sizes.cluster_means(data, np.array([0, 2, 1, 2, 0, 4]), 4)
    np.testing.assert_array_equal(found[0], data[2])
    np.testing.assert_array_equal(found[1], data[[1, 3]].mean(axis=0))
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(found[3], data[5])


def test_what_does_not_vary_has_no_size():
    with pytest.raises(ValueError, match="standard deviation"):
        effect_sizes.two_groups([1.0], [2.0, 3.0])
    found = effect_sizes.two_groups(np.ones((3, 2)), np.ones((3, 2)))
    assert np.isnan(found.g).all()
    assert np.isnan(found.low).all()
    low, _ = effect_sizes.interval([0.0, 2.0], [0.0, 4.0], 10)
    assert np.isnan(low[0])
    assert np.isfinite(low[1])


@pytest.mark.parametrize("df", [3, 10, 41])
def test_limits_of_a_large_t_join_those_of_a_small_one_and_go_as_chi(df):
    """Beyond 1,000 the limits follow d^2 = t^2 u^2 - c: held to bisection at 3,000 to 6,000, and to the quantile far out."""
    t = np.array([1500.0, 3000.0, 6000.0])
    for side, probability in enumerate((0.975, 0.025)):
        exact = effect_sizes._bisect(t, np.full(3, float(df)), probability)
        assert effect_sizes.noncentrality_interval(t, df)[side] == pytest.approx(exact, rel=2e-8)
        assert effect_sizes.noncentrality_interval(-t, df)[1 - side] == pytest.approx(-exact, rel=2e-8)
        far = effect_sizes.noncentrality_interval(np.array([1e6]), df)[side][0]
        u = np.sqrt(stats.chi2.isf(probability, df) / df)
        assert far == pytest.approx(1e6 * u, rel=1e-8)


def test_where_no_variance_is_left_there_is_no_standardised_size():
    size = effect_sizes.two_groups([5.0, 5.0, 5.0], [0.5, 0.5, 0.5])
    assert all(np.isnan(value) for value in (size.g, size.d, size.low, size.high))
    size = effect_sizes.hedges_g(np.array([2.0, 1e9, -1e9, np.inf]), 1.5, 20)
    assert np.isfinite(size.g[0])
    assert np.isnan([size.g[1:], size.low[1:], size.high[1:]]).all()
