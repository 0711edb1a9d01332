"""The mean in which no repeat counts more than once."""

import numpy as np
import pytest
from pharmasl.perfusion import robust_average
from scipy import stats
from statsmodels.robust import norms


def gaussian(seed, voxels, repeats, sd=30.0, level=60.0):
    return np.random.default_rng(seed).normal(level, sd, (voxels, repeats))


def scale(values):
    """The median absolute deviation, unbiased for a Gaussian beyond nine values."""
    n = len(values)
    return np.median(np.abs(values - np.median(values))) / stats.norm.ppf(0.75) * n / (n - 0.8)


def test_statsmodels_finds_the_same_location():
    rng = np.random.default_rng(0)
    series = gaussian(0, 40, 25)
    series[:, :3] += rng.normal(0, 200, (40, 3))
    found, _, _ = robust_average.mean(series)
    for values, value in zip(series, found):
        start = np.array(np.median(values))
        expected = norms.estimate_location(
            values, scale(values), norm=norms.TukeyBiweight(4.685), initial=start, maxiter=500, tol=1e-10
        )
        assert value == pytest.approx(float(expected), abs=1e-3)


def test_the_estimate_solves_its_equation():
    series = stats.t(2).rvs((30, 14), random_state=1)
    found, _, _ = robust_average.mean(series)
    for values, value in zip(series, found):
        u = (values - value) / (4.685 * scale(values))
        assert np.sum((values - value) * np.where(np.abs(u) < 1, (1 - u**2) ** 2, 0)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("repeats", "least", "most"), [(6, 0.87, 0.93), (12, 0.88, 0.94), (40, 0.91, 0.96), (200, 0.94, 0.98)]
)
def test_it_costs_little_where_nothing_is_wrong(repeats, least, most):
    voxels = 20000
    found, error, weight = robust_average.mean(gaussian(2, voxels, repeats))
    assert least < 30**2 / repeats / found.var() < most
    # The error that it states is the error that it has.
    assert np.sqrt((error**2).mean()) == pytest.approx(found.std(), rel=0.03)
    assert found.mean() == pytest.approx(60, abs=4 * found.std() / np.sqrt(voxels))
    assert weight.min() > 0.89


@pytest.mark.parametrize("repeats", [6, 7, 8, 9, 12, 30])
def test_the_scale_is_unbiased_for_few_repeats(repeats):
    values = gaussian(3, 20000, repeats, sd=1.0)
    mad = np.median(np.abs(values - np.median(values, axis=1, keepdims=True)), axis=1)
    factor = robust_average._FEW[repeats] if repeats < 10 else repeats / (repeats - 0.8)
    assert mad.mean() * robust_average._PER_MAD * factor == pytest.approx(1, abs=0.02)


def test_no_weight_exceeds_one():
    # A repeat that lies on the estimate: a weight of one over the residual would be without bound.
    series = np.tile([57.0, 58, 59, 60, 61, 62, 63, 60 + 1e-9, 500], (5, 1))
    found, _, weight = robust_average.mean(series)
    assert found == pytest.approx(60, abs=0.01)
    assert weight.max() <= 1
    assert weight[3] == pytest.approx(1)
    assert weight[7] == pytest.approx(1)
    assert weight[8] == 0


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_it_breaks_down_at_half(share):
    series = gaussian(4, 500, 40)
    bad = round(share * 40)
    series[:, :bad] += 1e6
    found, _, weight = robust_average.mean(series)
    assert np.abs(found - 60).max() < 60
    assert weight[:bad].max() == 0
    assert np.abs(series.mean(axis=1) - 60).min() > 1e4
    series[:, :21] = 1e6 + gaussian(5, 500, 21)
    assert robust_average.mean(series)[0].min() > 1e5


def test_repeats_missing_or_left_out_take_no_part():
    series = gaussian(6, 50, 20)
    series[:, 3] += 900
    kept = np.arange(20) % 5 != 1
    expected, error, _ = robust_average.mean(series[:, kept])
    found, same, weight = robust_average.mean(series, kept)
    assert np.array_equal(found, expected)
    assert np.array_equal(same, error)
    assert not weight[~kept].any()
    holes = np.where(kept, series, np.nan)
    assert np.array_equal(robust_average.mean(holes)[0], expected)
    assert np.isnan(robust_average.mean(np.full((2, 9), np.nan))[0]).all()


@pytest.mark.parametrize("repeats", [1, 2, 5])
def test_few_repeats_have_an_ordinary_mean(repeats):
    series = gaussian(7, 20, repeats)
    found, error, weight = robust_average.mean(series)
    assert found == pytest.approx(series.mean(axis=1))
    assert np.array_equal(weight, np.ones(repeats))
    if repeats == 1:
        assert np.isnan(error).all()
    else:
        assert error == pytest.approx(series.std(axis=1, ddof=1) / np.sqrt(repeats))


def test_equal_values_have_an_ordinary_mean():
    found, error, _ = robust_average.mean(np.array([[5.0] * 8, [5.0] * 7 + [13.0]]))
    assert found == pytest.approx([5, 6])
    assert error[0] == 0


def tissue(voxels):
    gm = np.where(np.arange(voxels) % 2, 0.97, 0.02)
    return gm, 0.99 - gm, np.full(voxels, 0.01)


@pytest.mark.parametrize("repeats", [12, 50, 130])
def test_the_prior_is_that_of_scrub(repeats):
    gm, wm, csf = tissue(2000)
    level = 60 * gm + 20 * wm
    series = level[:, None] + gaussian(8, 2000, repeats, level=0)
    series[:200] *= 3
    series[200:220] *= 12
    prior = robust_average.tissue_prior(series, np.ones(repeats, dtype=bool), gm, wm, csf)
    degrees = repeats - 1
    variance = series.var(axis=1, ddof=1)
    usual = np.median(variance[gm > 0.95]) * degrees / stats.chi2(degrees).median()
    limit, q = stats.chi2(degrees).ppf(0.9999) / degrees, variance / usual
    expected = np.where(q > limit, np.where(q < 10 * limit, q - limit, q**2 / (20 * limit) + 4 * limit), 0)
    # Wilson and Hilferty's quantiles are approximations.
    assert prior.weight == pytest.approx(expected, rel=0.02, abs=0.05)
    assert (prior.weight[220:] > 0).sum() <= 3
    assert (prior.weight[200:220] > 0).all()
    assert (prior.weight[:200] > 0).mean() > 0.9
    assert prior.value == pytest.approx(level, abs=1.5)


def test_the_prior_leaves_ordinary_voxels_alone_and_mends_the_others():
    gm, wm, csf = tissue(2000)
    level = 60 * gm + 20 * wm
    series = level[:, None] + gaussian(9, 2000, 30, level=0)
    series[:100, :5] += 600
    kept = np.ones(30, dtype=bool)
    prior = robust_average.tissue_prior(series, kept, gm, wm, csf)
    found, error, weight = robust_average.mean(series, kept, prior=prior)
    plain = series.mean(axis=1)
    ordinary = prior.weight == 0
    assert found[ordinary] == pytest.approx(plain[ordinary])
    assert np.isfinite(error).all()
    assert weight.max() <= 1
    assert np.sqrt(np.mean((found - level)[:100] ** 2)) < 0.1 * np.sqrt(np.mean((plain - level)[:100] ** 2))
    assert robust_average.tissue_prior(series, kept, gm * 0, wm * 0, csf) is None
    assert robust_average.tissue_prior(series, np.arange(30) < 2, gm, wm, csf) is None


def test_single_precision_is_summed_in_double():
    series = gaussian(10, 200, 20).astype(np.float32)
    for one, other in zip(robust_average.mean(series), robust_average.mean(series.astype(np.float64))):
        assert np.array_equal(one, other)
    assert np.array_equal(robust_average.mean(np.array([[1, 2, 3]]))[0], [2.0])
