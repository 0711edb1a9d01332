"""Power of a planned trial in closed form: R (tests/unit/reference/power.R), simulated trials, and exact integrals."""

import json
from pathlib import Path

import numpy as np
import pytest
from pharmasl.endpoints import measure_fits
from pharmasl.statistics import noncentral_t, trial_power
from pharmasl.statistics.arm_variances import ArmVariances
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, METHODS, PlannedTest, Spread, Uncertain
from scipy import stats

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "power.json").read_text())
TRIALS = 40_000


def planned(method, covariates=0, alpha=0.05, two_sided=True):
    return PlannedTest(method=method, covariates=covariates, alpha=alpha, two_sided=two_sided)


def test_change_and_followup_are_those_of_r():
    for cell in REFERENCE["cells"]:
        for method in (CHANGE, FOLLOWUP):
            own = trial_power.power(planned(method), (cell["n"],) * 2, cell["effect"], cell["sd"], cell["rho"])
            assert np.isclose(own, cell[method], atol=1e-7)
    needed = trial_power.people_needed(planned(CHANGE), 1.0, 5.0, 11.0, 0.7, 0.8)
    assert needed == (REFERENCE["needed"],) * 2


def simulated(rho, sizes, sd, effect, seed):
    """Share of trials in which each comparison is significant, each fitted by least squares of its own columns."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    arm = np.repeat([1.0, 0.0], sizes)
    first = rng.standard_normal((TRIALS, n))
    second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal((TRIALS, n))
    before, after = sd * first, sd * second + effect * arm
    return {method: float((p_values(method, before, after, arm) < 0.05).mean()) for method in METHODS}


def p_values(method, before, after, arm):
    """P of each trial, a row of values of both sessions."""
    if method != ANCOVA:
        value = after - before if method == CHANGE else after
        return stats.ttest_ind(value[:, arm == 1], value[:, arm == 0], axis=1).pvalue
    # ANCOVA by the partial correlation of follow-up and arm at the baseline: the same t.
    matrix = {"b": before, "a": after, "g": np.broadcast_to(arm, before.shape)}
    centred = {name: part - part.mean(axis=1, keepdims=True) for name, part in matrix.items()}

    def r(one, other):
        x, y = centred[one], centred[other]
        return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))

    partial = (r("a", "g") - r("a", "b") * r("g", "b")) / np.sqrt((1 - r("a", "b") ** 2) * (1 - r("g", "b") ** 2))
    df = len(arm) - 3
    return 2 * stats.t.sf(np.abs(partial * np.sqrt(df / (1 - partial**2))), df)


# Three models at five correlations: 15 cells. The standard error of a simulated power is .0025 at most.
@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_closed_forms_are_within_a_half_percent_of_simulated_trials(rho):
    # An effect at which the three models' powers lie between .2 and .97.
    found = simulated(rho, (21, 22), 10.0, 5.0, seed=round(100 * rho))
    for method in METHODS:
        own = float(trial_power.power(planned(method), (21, 22), 5.0, 10.0, rho))
        assert abs(own - found[method]) < 0.005


def by_arm(method, covariates=0):
    return PlannedTest(method=method, covariates=covariates, alpha=0.05, two_sided=True, by_arm=True)


# The standard error of a simulated power is .0013.
@pytest.mark.parametrize("sizes", [(21, 22), (10, 33), (33, 10), (10, 10), (5, 8)])
def test_welchs_test_is_within_a_half_percent_of_simulated_trials(sizes):
    rng, effect, trials = np.random.default_rng(sum(sizes)), 2.9 * np.sqrt(1 / sizes[0] + 1 / sizes[1]), 2 * TRIALS
    arms = [rng.standard_normal((trials, size)) for size in sizes]
    p = stats.ttest_ind(arms[0] + effect, arms[1], axis=1, equal_var=False).pvalue
    own = trial_power.power(by_arm(FOLLOWUP), sizes, effect, 1.0, 0.0)
    assert abs(own - (p < 0.05).mean()) < 0.005
    # Of the right size, and not that of one variance, from which it differs by more in arms of different sizes.
    assert own < trial_power.power(planned(FOLLOWUP), sizes, effect, 1.0, 0.0)


# Down to two people in an arm, and up to what once had no number: by each arm's mean and variance. Standard error .0011.
@pytest.mark.parametrize("alpha", [0.05, 0.0167])
@pytest.mark.parametrize("sizes", [(2, 2), (2, 5), (2, 200), (3, 20), (4, 4), (20, 2000), (1500, 1500)])
def test_welchs_test_of_very_small_and_large_arms(sizes, alpha):
    rng, trials = np.random.default_rng(sum(sizes)), 200_000
    mean = 3 * np.sqrt(sum(1 / size for size in sizes)) + sum(rng.standard_normal(trials) / np.sqrt(n) for n in sizes)
    parts = [rng.chisquare(n - 1, trials) / (n - 1) / n for n in sizes]
    df = sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes))
    p = 2 * stats.t.sf(np.abs(mean) / np.sqrt(sum(parts)), df)
    test = PlannedTest(method=FOLLOWUP, covariates=0, alpha=alpha, two_sided=True, by_arm=True)
    own = trial_power.power(test, sizes, 3 * np.sqrt(sum(1 / size for size in sizes)), 1.0, 0.0)
    assert abs(own - (p <= alpha).mean()) < 0.005


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(21, 22), (10, 33), (10, 10)])
def test_a_variance_for_each_arm_beside_a_baseline_is_within_a_half_percent_of_its_own_test(sizes):
    rng, rho, n, trials = np.random.default_rng(7), 0.5, sum(sizes), 30_000
    effect = 2.6 * np.sqrt(1 / sizes[0] + 1 / sizes[1])
    arm = np.repeat([1.0, 0.0], sizes)
    hits = 0
    for _ in range(trials):
        before = rng.standard_normal(n)
        after = rho * before + np.sqrt(1 - rho**2) * rng.standard_normal(n) + effect * arm
        own = ArmVariances(np.column_stack([np.ones(n), arm, before]), [0, 1, 0], arm).test(after)
        hits += own.p <= 0.05
    assert abs(trial_power.power(by_arm(ANCOVA), sizes, effect, 1.0, rho) - hits / trials) < 0.005


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_a_mixed_models_interaction_finds_as_often_as_the_change(rho):
    # By the fits of the endpoints, with Kenward and Roger's degrees of freedom.
    rng, sizes = np.random.default_rng(11), (21, 22)
    n = sum(sizes)
    arm, session = np.tile(np.repeat([1.0, 0.0], sizes), 2), np.repeat([0.0, 1.0], n)
    effect = 2.9 * np.sqrt(2 * (1 - rho)) * np.sqrt(sum(1 / size for size in sizes))
    before = rng.standard_normal((n, TRIALS))
    after = rho * before + np.sqrt(1 - rho**2) * rng.standard_normal((n, TRIALS)) + effect * arm[:n, None]
    design = np.column_stack([np.ones(2 * n), arm, session, arm * session])
    names = [f"sub-{number}" for number in range(n)] * 2
    fits = measure_fits.contrasts(design, np.vstack([before, after]), np.array([0, 0, 0, 1.0]), participants=names)
    assert abs(trial_power.power(planned(CHANGE), sizes, effect, 1.0, rho) - (fits.p <= 0.05).mean()) < 0.005


def test_a_variance_for_each_arm_takes_enough_people_in_each():
    assert np.isnan(trial_power.power(by_arm(CHANGE), (1, 20), 5.0, 11.0, 0.7))
    assert np.isnan(trial_power.detectable(by_arm(ANCOVA, 3), (2, 5), 11.0, 0.7, 0.8))
    effect = trial_power.detectable(by_arm(CHANGE), (10, 33), 11.0, 0.7, 0.8)
    assert np.isclose(trial_power.power(by_arm(CHANGE), (10, 33), effect, 11.0, 0.7), 0.8)
    # Welch's degrees of freedom of equal sample variances; of equal arms all of them.
    assert np.isclose(trial_power.df_by_arm(by_arm(CHANGE), (12, 12)), 22)
    assert np.isclose(trial_power.df_by_arm(by_arm(CHANGE), (10, 33)), (1 / 10 + 1 / 33) ** 2 / (1 / 900 + 1 / 34848))


@pytest.mark.parametrize("sizes", [(21, 22), (12, 12), (8, 8)])
@pytest.mark.parametrize("covariates", [0, 1, 3])
def test_power_is_the_mean_over_all_allocations(sizes, covariates):
    # Exactly: the share of the arm that k normal covariates leave is a beta variable, and the power is its mean over it.
    test = planned(ANCOVA, covariates)
    n, k = sum(sizes), covariates + 1
    law = stats.beta((n - 1 - k) / 2, k / 2)
    left = law.ppf((np.arange(40_000) + 0.5) / 40_000)
    critical = noncentral_t.critical_t(n - 2 - k, 0.05, two_sided=True)
    for effect in (3.0, 6.0, 9.0, 12.0):
        plain = 11 * np.sqrt(1 - 0.7**2) * np.sqrt(1 / sizes[0] + 1 / sizes[1])
        exact = noncentral_t.power(effect / plain * np.sqrt(left), n - 2 - k, critical, two_sided=True).mean()
        assert abs(trial_power.power(test, sizes, effect, 11.0, 0.7) - exact) < 1e-5


def test_in_a_thousand_people_the_mean_imbalance_stands_for_all():
    test, plain = planned(ANCOVA, 3), 11 * np.sqrt(1 - 0.7**2)
    for half in (500, 501):
        n = 2 * half
        delta = 1.4 / (plain * np.sqrt(2 / half) * np.sqrt(1 + 4 / (n - 7)))
        critical = noncentral_t.critical_t(n - 6, 0.05, two_sided=True)
        expected = noncentral_t.power(delta, n - 6, critical, two_sided=True)
        assert abs(trial_power.power(test, (half, half), 1.4, 11.0, 0.7) - expected) < 1e-5


@pytest.mark.parametrize(
    ("sd", "rho", "change", "ancova"),
    [(11, 0.7, 7.5, 7.0), (4, 0.3, 4.1, 3.4), (4, 0.05, 4.8, 3.5), (7.5, 0.65, 5.5, 5.1)],
)
def test_effects_that_43_people_find(sd, rho, change, ancova):
    found = [trial_power.detectable(planned(method), (21, 22), sd, rho, 0.8) for method in (CHANGE, ANCOVA)]
    assert np.allclose(found, [change, ancova], atol=0.05)
    for method, effect in zip((CHANGE, ANCOVA), found):
        assert np.isclose(trial_power.power(planned(method), (21, 22), effect, sd, rho), 0.8)


def test_fewer_people_have_less_power_than_the_smallest_number_that_is_enough():
    for method in METHODS:
        for ratio in (1.0, 22 / 21, 2.0):
            first, second = trial_power.people_needed(planned(method, 2), ratio, 5.0, 11.0, 0.7, 0.9)
            assert second == int(np.ceil(first * ratio - 1e-9))
            assert trial_power.power(planned(method, 2), (first, second), 5.0, 11.0, 0.7) >= 0.9
            fewer = (first - 1, int(np.ceil((first - 1) * ratio - 1e-9)))
            assert trial_power.power(planned(method, 2), fewer, 5.0, 11.0, 0.7) < 0.9


def test_no_number_is_enough_for_next_to_no_effect():
    assert trial_power.people_needed(planned(CHANGE), 1.0, 1e-4, 11.0, 0.7, 0.8) is None


def test_too_few_people_have_no_power():
    assert np.isnan(trial_power.power(planned(ANCOVA, 3), (4, 3), 5.0, 11.0, 0.7))
    assert np.isnan(trial_power.detectable(planned(CHANGE), (3, 0), 11.0, 0.7, 0.8))
    assert np.isfinite(trial_power.power(planned(ANCOVA, 3), (4, 4), 5.0, 11.0, 0.7))


def known(value):
    return Uncertain(value=value, low=value, high=value)


def test_assurance_is_power_averaged_over_what_is_uncertain():
    test = planned(ANCOVA)
    certain = Spread(sd=known(11.0), within_sd=None, correlation=known(0.7))
    own = trial_power.assurance(test, [(21, 22)], known(7.0), certain)
    assert np.isclose(own, trial_power.power(test, (21, 22), 7.0, 11.0, 0.7))


def drawn(rng, draws, known, of=lambda x: x, back=lambda x: x):
    """Values of an uncertain number: normal, with a deviation of each side, on a scale of its own."""
    middle, low, high = of(known.value), of(known.low), of(known.high)
    normal = rng.standard_normal(draws) / stats.norm.ppf(0.975)
    return back(middle + normal * np.where(normal < 0, middle - low, high - middle))


EFFECT = Uncertain(value=7.0, low=2.0, high=10.0)
SD = Uncertain(value=11.0, low=8.0, high=15.0)
RHO = Uncertain(value=0.7, low=0.4, high=0.8)


def shares(rng, draws):
    """People of two arms with both sessions, of whom a share between .7 and 1 stays, by trial."""
    share = np.minimum(drawn(rng, draws, Uncertain(value=0.9, low=0.7, high=1.0)), 1.0)
    return np.floor(np.multiply.outer((21, 22), share) + 1e-9).astype(int)


@pytest.mark.parametrize(
    "test", [planned(CHANGE), planned(ANCOVA, 2), by_arm(CHANGE)], ids=["change", "ancova", "welch"]
)
def test_assurance_is_the_mean_power_of_drawn_assumptions(test):
    rng, draws = np.random.default_rng(5), 40_000
    sds, rhos = drawn(rng, draws, SD, np.log, np.exp), drawn(rng, draws, RHO, np.arctanh, np.tanh)
    effects, sizes = np.maximum(drawn(rng, draws, EFFECT), 0), shares(rng, draws)
    arms = [tuple(own) for own in sizes.T.tolist()]
    total = 0.0
    for own in set(arms):
        these = np.array([arm == own for arm in arms])
        total += trial_power.power(test, own, effects[these], sds[these], rhos[these]).sum()
    spread = Spread(sd=SD, within_sd=None, correlation=RHO)
    # The people that such shares leave, each as often.
    assert abs(trial_power.assurance(test, arms[:2000], EFFECT, spread) - total / draws) < 0.005


# The standard error of a simulated assurance is .0014.
@pytest.mark.slow
@pytest.mark.parametrize("method", [CHANGE, ANCOVA])
def test_assurance_is_within_a_half_percent_of_trials_of_drawn_assumptions(method):
    rng, trials = np.random.default_rng(17), 120_000
    sizes = shares(rng, trials)
    sds, rhos = drawn(rng, trials, SD, np.log, np.exp), drawn(rng, trials, RHO, np.arctanh, np.tanh)
    effects = np.maximum(drawn(rng, trials, EFFECT), 0)
    hits = 0
    for own in np.unique(sizes, axis=1).T:
        these = (sizes == own[:, np.newaxis]).all(axis=0)
        sd, rho, effect = (part[these][:, np.newaxis] for part in (sds, rhos, effects))
        arm = np.repeat([1.0, 0.0], own)
        before = rng.standard_normal((these.sum(), own.sum()))
        after = rho * before + np.sqrt(1 - rho**2) * rng.standard_normal(before.shape) + effect / sd * arm
        hits += (p_values(method, before, after, arm) < 0.05).sum()
    spread = Spread(sd=SD, within_sd=None, correlation=RHO)
    arms = [tuple(own) for own in shares(np.random.default_rng(18), 2000).T.tolist()]
    assert abs(trial_power.assurance(planned(method), arms, EFFECT, spread) - hits / trials) < 0.005


def test_an_arm_of_nobody_has_no_power():
    certain = Spread(sd=known(11.0), within_sd=None, correlation=known(0.7))
    for test in (planned(CHANGE), planned(ANCOVA), by_arm(CHANGE)):
        for sizes in ((0, 0), (0, 40), (40, 0)):
            assert np.isnan(trial_power.power(test, sizes, 7.0, 11.0, 0.7))
            assert np.isnan(trial_power.detectable(test, sizes, 11.0, 0.7, 0.8))
            assert trial_power.assurance(test, [sizes], known(7.0), certain) == 0


def test_people_too_few_for_a_test_find_nothing():
    certain = Spread(sd=known(11.0), within_sd=None, correlation=known(0.7))
    own = trial_power.assurance(planned(CHANGE), [(21, 22), (1, 2)], known(7.0), certain)
    assert np.isclose(own, trial_power.power(planned(CHANGE), (21, 22), 7.0, 11.0, 0.7) / 2)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 4), (21, 22), (200, 200), (600, 600)])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_curve_of_an_average_is_the_power(sizes, alpha):
    test = planned(CHANGE, alpha=alpha)
    delta = np.append(np.linspace(0, 60, 5001), 1e4)
    own = np.interp(delta, *trial_power._curve(test, sizes))
    assert np.allclose(own, trial_power._averaged(test, sizes, delta), atol=1e-5)


def test_a_within_person_deviation_fixes_the_change_whatever_the_correlation():
    spread = Spread(sd=None, within_sd=known(6.0), correlation=known(0.7))
    assert np.isclose(spread.planned_sd, 6 / np.sqrt(0.3))
    for correlation in (0.2, 0.7, 0.9):
        own = trial_power.residual(CHANGE, spread.known("correlation", correlation).planned_sd, correlation)
        assert np.isclose(own, 6 * np.sqrt(2))


def test_a_one_sided_test_and_holms_first_step_are_taken_as_they_are():
    one = trial_power.power(planned(CHANGE, two_sided=False), (21, 22), 7.5, 11.0, 0.7)
    assert np.isclose(one, trial_power.power(planned(CHANGE, alpha=0.1), (21, 22), 7.5, 11.0, 0.7), atol=1e-4)
    se = 11 * np.sqrt(0.6) * np.sqrt(1 / 21 + 1 / 22)
    shared = trial_power.power(planned(CHANGE, alpha=0.05 / 3), (21, 22), 7.5, 11.0, 0.7)
    assert np.isclose(shared, stats.nct.sf(stats.t.isf(0.05 / 6, 41), 41, 7.5 / se), atol=1e-6)
