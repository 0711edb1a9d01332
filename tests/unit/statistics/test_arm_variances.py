"""A residual variance for each arm: Welch's test, two lines, a simulated truth and what cannot be tested."""

import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.statistics.arm_variances import ArmVariances, ratio
from scipy import stats

RNG = np.random.default_rng(7)
ARM = np.array(["b"] * 9 + ["a"] * 22)
TREATED = (ARM == "b").astype(float)


def test_two_arms_are_welchs_test():
    y = RNG.normal(0, 1 + 3 * TREATED) + TREATED
    found = ArmVariances(np.column_stack([np.ones(31), TREATED]), [0, 1], ARM).test(y)
    expected = stats.ttest_ind(y[:9], y[9:], equal_var=False)
    interval = expected.confidence_interval()
    assert (found.t, found.p, found.df) == pytest.approx((expected.statistic, expected.pvalue, expected.df), rel=1e-11)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-11)
    assert ratio(found.variances, "b", "a") == pytest.approx(y[:9].var(ddof=1) / y[9:].var(ddof=1), rel=1e-11)


def test_two_lines_are_their_own_regressions_combined_as_welch_does():
    x, y = RNG.normal(size=31), RNG.normal(0, 1 + 2 * TREATED)
    found = ArmVariances(np.column_stack([TREATED * x, x, TREATED, np.ones(31)]), [1, 0, 0, 0], ARM).test(y)
    own = [sm.OLS(y[arm == ARM], sm.add_constant(x[arm == ARM])).fit() for arm in ("b", "a")]
    variance = [fit.bse[1] ** 2 for fit in own]
    assert found.estimate == pytest.approx(own[0].params[1] - own[1].params[1], rel=1e-10)
    assert found.se == pytest.approx(np.sqrt(sum(variance)), rel=1e-10)
    df = sum(variance) ** 2 / sum(v**2 / fit.df_resid for v, fit in zip(variance, own))
    assert found.df == pytest.approx(df, rel=1e-10)


def test_one_arm_is_ordinary_least_squares():
    x, y = RNG.normal(size=(2, 31))
    found = ArmVariances(sm.add_constant(x), [0, 1], np.repeat("a", 31)).test(y)
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    assert (found.t, found.p, found.df) == pytest.approx((fit.tvalues[1], fit.pvalues[1], 29), rel=1e-10)


@pytest.mark.parametrize("deviation", [1 / 3, 1, 3])
def test_variance_of_a_shared_slope_is_right_on_average_and_its_test_nominal(deviation):
    """A slope and a covariate that both arms share, 6 against 30: the variance's mean, and the error in 4,000 studies."""
    rng = np.random.default_rng(3)
    arm = np.array(["b"] * 6 + ["a"] * 30)
    treated = (arm == "b").astype(float)
    design = np.column_stack([treated, np.ones(36), rng.normal(size=36)])
    model = ArmVariances(design, [1, 0, 0], arm)
    spread = np.where(arm == "b", deviation, 1.0)
    responses = rng.normal(size=(4000, 36)) * spread
    _, variance, _ = model.estimates(responses)
    assert variance.mean() == pytest.approx(float((model.weights**2) @ spread**2), rel=0.04)
    p = np.array([model.test(each).p for each in responses])
    assert abs((p <= 0.05).mean() - 0.05) < 0.0125
    np.testing.assert_allclose(model.t(responses[:5]), [model.test(each).t for each in responses[:5]], rtol=1e-12)


def test_without_variation_there_is_no_test_and_without_observations_no_model():
    design = np.column_stack([np.ones(31), TREATED])
    found = ArmVariances(design, [0, 1], ARM).test(0.1 + 0.7 * TREATED)
    assert found.estimate == pytest.approx(0.7)
    assert np.isnan([found.t, found.p, found.df, found.ci_low]).all()
    assert np.isnan(ratio(found.variances, "b", "a"))
    # One arm that does not vary leaves the other's variance and degrees of freedom.
    y = np.where(TREATED == 1, 2.0, RNG.normal(size=31))
    assert ArmVariances(design, [0, 1], ARM).test(y).df == pytest.approx(21)
    with pytest.raises(ValueError, match="dependent columns"):
        ArmVariances(np.column_stack([design, design[:, 1]]), [0, 1, 0], ARM)
    with pytest.raises(ValueError, match="arm c has too few observations"):
        ArmVariances(design[:4] + np.eye(4)[:, [3, 0]], [0, 1], ["a", "a", "a", "c"])
