"""Power by the noncentral t against numerical integration, statsmodels and a simulated t."""

import numpy as np
import pytest
from pharmasl.statistics import detectable_effects, noncentral_t
from scipy import integrate, special, stats
from statsmodels.stats.power import TTestIndPower


def exceeds(delta, df, critical):
    """P(|T| > critical) from the definition: the normal's tails averaged over the root of chi-square over df."""
    law = stats.chi(df, scale=df**-0.5)

    def at(u):
        return (special.ndtr(delta - critical * u) + special.ndtr(-delta - critical * u)) * law.pdf(u)

    ends = law.ppf([1e-13, 1 - 1e-13])
    inner = np.clip([delta / critical, (delta - 8) / critical, (delta + 8) / critical, law.mean()], *ends)
    return integrate.quad(at, *ends, points=np.unique(inner), limit=500, epsabs=1e-11)[0]


@pytest.mark.parametrize("df", [1, 2, 5, 9, 40, 41, 300, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 90, 0.2])
def test_power_is_the_integral_of_its_definition(df, alpha):
    critical = float(noncentral_t.critical_t(df, alpha, two_sided=True))
    assert np.isclose(critical, stats.t.isf(alpha / 2, df), rtol=1e-9)
    for delta in (0.0, 0.3, 1.0, 2.8, 4.0, 5.9, 6.1, 12.0):
        own = float(noncentral_t.power(delta, df, critical, two_sided=True))
        assert abs(own - exceeds(delta, df, critical)) < 2e-8
        assert own == float(noncentral_t.power(-delta, df, critical, two_sided=True))
    assert abs(float(noncentral_t.power(0.0, df, critical, two_sided=True)) - alpha) < 1e-9


@pytest.mark.parametrize("df", [1, 1.5, 2, 3, 10, 41, 200, 5000, np.inf])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001, 0.0001])
def test_an_effect_far_beyond_what_is_needed_is_never_missed(df, alpha):
    critical = float(noncentral_t.critical_t(df, alpha, two_sided=True))
    delta = np.append(np.linspace(0, 11 * (1 + critical), 300), [1e9, 1e300])
    for two_sided in (True, False):
        powers = noncentral_t.power(delta, df, critical, two_sided=two_sided)
        assert (np.diff(powers) > -1e-9).all()
        assert powers[-1] == 1


def test_power_of_two_samples_is_that_of_statsmodels():
    for n1, n2, d in ((21, 22, 0.8), (10, 30, 0.5), (6, 6, 2.0)):
        expected = TTestIndPower().power(effect_size=d, nobs1=n1, ratio=n2 / n1, alpha=0.05)
        df = n1 + n2 - 2
        critical = noncentral_t.critical_t(df, 0.05, two_sided=True)
        assert np.isclose(noncentral_t.power(d / np.sqrt(1 / n1 + 1 / n2), df, critical, two_sided=True), expected)


def test_a_one_sided_test_has_one_tail():
    critical = noncentral_t.critical_t(20, 0.05, two_sided=False)
    assert np.isclose(critical, stats.t.isf(0.05, 20))
    assert np.isclose(noncentral_t.power(0.0, 20, critical, two_sided=False), 0.05)
    assert noncentral_t.power(-2.0, 20, critical, two_sided=False) < 0.001


def test_a_normal_statistic_is_one_of_infinitely_many_degrees_of_freedom():
    critical = noncentral_t.critical_t(np.inf, 0.05, two_sided=True)
    assert np.isclose(critical, 1.959964, atol=1e-6)
    # (1.96 + .8416) standard errors, as every textbook has it.
    assert np.isclose(noncentral_t.noncentrality(np.inf, float(critical), 0.8, two_sided=True), 2.80158, atol=1e-4)
    effect = detectable_effects.detectable(0.5, np.inf, float(critical), two_sided=True, level=0.95)
    assert effect.low == effect.value == effect.high


@pytest.mark.parametrize("df", [1, 3, 9, 40, 500])
def test_the_noncentrality_has_the_power_that_was_asked_for(df):
    for goal in (0.3, 0.8, 0.95):
        critical = float(noncentral_t.critical_t(df, 0.05, two_sided=True))
        delta = noncentral_t.noncentrality(df, critical, goal, two_sided=True)
        assert abs(exceeds(delta, df, critical) - goal) < 1e-7


def test_a_design_in_which_nothing_is_significant_detects_nothing():
    for se, df, critical in ((1.0, 9, np.nan), (0.0, 9, 2.3), (np.nan, 9, 2.3), (1.0, np.nan, 2.3)):
        effect = detectable_effects.detectable(se, df, critical, two_sided=True, level=0.95)
        assert np.isnan([effect.value, effect.low, effect.high]).all()


def test_intervals_of_detectable_effects_cover():
    # 12 + 9 people, residual SD 3: the interval holds the effect that the true SD gives in 95 of 100 trials.
    rng, df, design = np.random.default_rng(3), 19, np.sqrt(1 / 12 + 1 / 9)
    critical = float(noncentral_t.critical_t(df, 0.05, two_sided=True))
    truth = detectable_effects.detectable(3 * design, df, critical, two_sided=True, level=0.95).value
    spreads = 3 * np.sqrt(rng.chisquare(df, 20000) / df)
    effects = [detectable_effects.detectable(s * design, df, critical, two_sided=True, level=0.95) for s in spreads]
    cover = np.mean([one.low <= truth <= one.high for one in effects])
    assert abs(cover - 0.95) < 0.005
