"""Rubin's rules and imputations against closed forms."""

import numpy as np
import pytest
from pharmasl.statistics import equivalence, multiple_imputation
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind


def test_rubins_rules_by_hand():
    """Three estimates: mean 2, variance of estimates 1, mean variance 3; Barnard and Rubin's degrees of freedom of 20."""
    pooled = multiple_imputation.rubin(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]), 20)
    between, total = 4 / 3, 13 / 3
    share = between / total
    many, own = 2 / share**2, 21 / 23 * 20 * (1 - share)
    df = 1 / (1 / many + 1 / own)
    assert (pooled.estimate, pooled.se, pooled.df) == pytest.approx((2, np.sqrt(total), df))
    assert pooled.p == pytest.approx(2 * stats.t.sf(2 / np.sqrt(total), df))
    ratio = between / 3
    assert pooled.missing_information == pytest.approx((ratio + 2 / (df + 3)) / (ratio + 1))


def test_degrees_of_freedom_have_rubins_limit_and_never_exceed_those_of_complete_data():
    estimates, variances = np.array([1.0, 2.0, 3.0, 2.0]), np.full(4, 2.0)
    share = 5 / 4 * estimates.var(ddof=1) / (5 / 4 * estimates.var(ddof=1) + 2)
    # Rubin (1987): of infinitely many observations.
    assert multiple_imputation.rubin(estimates, variances, 1e12).df == pytest.approx(3 / share**2, rel=1e-6)
    assert multiple_imputation.rubin(np.ones(4), variances, 17).df == pytest.approx(18 / 20 * 17)


def test_imputed_values_have_the_posterior_predictive_distribution():
    """Of one group's mean: Student's t with n - 1 degrees of freedom, scale s times the root of 1 + 1 / n."""
    rng = np.random.default_rng(1)
    seen = rng.normal(10, 2, 12)
    values = np.append(seen, np.nan)[:, None]
    draws = multiple_imputation.impute(values, np.ones((13, 1)), rng, 20_000)[:, -1, 0]
    scale = seen.std(ddof=1) * np.sqrt(1 + 1 / 12)
    assert stats.kstest((draws - seen.mean()) / scale, stats.t(11).cdf).pvalue > 0.01
    assert draws.mean() == pytest.approx(seen.mean(), abs=4 * scale / np.sqrt(20_000))


def test_a_pattern_that_is_not_monotone_keeps_the_variables_correlation():
    rng = np.random.default_rng(2)
    both = rng.multivariate_normal([0, 5], [[1, 0.8], [0.8, 1]], 400)
    both[:80, 0], both[80:160, 1] = np.nan, np.nan
    assert not multiple_imputation.is_monotone(np.isnan(both))
    draws = multiple_imputation.impute(both, np.ones((400, 1)), rng, 20)
    correlations = [np.corrcoef(draw.T)[0, 1] for draw in draws]
    # The maximum likelihood's own error is about (1 - r^2) / root n.
    assert np.mean(correlations) == pytest.approx(0.8, abs=3 * 0.36 / np.sqrt(240))
    assert np.isfinite(draws).all()
    assert (draws[:, 160:] == both[160:]).all()


def test_one_seed_gives_the_same_bytes_and_too_few_values_are_refused():
    values = np.array([[1.0, 2], [2, np.nan], [3, 5], [4, 4], [6, 7], [5, 6], [7, 9]])
    first, second = (multiple_imputation.impute(values, np.ones((7, 1)), np.random.default_rng(3), 5) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    with pytest.raises(ValueError, match="too few"):
        multiple_imputation.impute(values[:4], np.ones((4, 1)), np.random.default_rng(3), 5)


def test_equivalence_is_that_of_statsmodels():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.3, 1, 20), rng.normal(0, 1, 23)
    pooled = (19 * first.var(ddof=1) + 22 * second.var(ddof=1)) / 41
    se = np.sqrt(pooled * (1 / 20 + 1 / 23))
    result = equivalence.two_one_sided(first.mean() - second.mean(), se, 41, margin=0.9, alpha=0.05)
    p, *_ = ttost_ind(first, second, -0.9, 0.9)
    assert result.p == pytest.approx(p)
    # The interval lies within the margin where both tests reject.
    assert (result.p < 0.05) == (result.ci_low > -0.9 and result.ci_high < 0.9)
