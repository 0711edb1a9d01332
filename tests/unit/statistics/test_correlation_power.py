"""Power of a correlation: simulated people, the engine's own permutation test, and an exact integral."""

import numpy as np
import pytest
from pharmasl.statistics import correlation_power, noncentral_t
from pharmasl.statistics.partial_correlation import Observations, orders_within, permuted, reaches
from pharmasl.statistics.trial_assumptions import PlannedCorrelation, Uncertain
from scipy import stats

PEOPLE = 40_000


def planned(covariates=0, group="all", alpha=0.05, two_sided=True):
    return PlannedCorrelation(timing="change", group=group, covariates=covariates, alpha=alpha, two_sided=two_sided)


# The standard error of a simulated power is .0025 at most.
@pytest.mark.parametrize(
    ("n", "adjusted", "rho"), [(43, 1, 0.4), (43, 1, 0.2), (43, 3, 0.3), (12, 1, 0.6), (6, 1, 0.8), (100, 2, 0.25)]
)
def test_the_closed_form_is_within_a_half_percent_of_simulated_people(n, adjusted, rho):
    rng = np.random.default_rng(n)
    nuisance = np.column_stack([np.ones(n), np.arange(n) < n // 2, rng.standard_normal((n, adjusted - 1))])
    left = np.eye(n) - nuisance @ np.linalg.pinv(nuisance)
    x = rng.standard_normal((PEOPLE, n))
    y = (rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((PEOPLE, n))) @ left
    x = x @ left
    r = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    df = n - 2 - adjusted
    p = 2 * stats.t.sf(np.abs(r) * np.sqrt(df / (1 - r * r)), df)
    own = correlation_power.power(planned(adjusted - 1), (n // 2, n - n // 2), rho)
    assert abs(own - (p <= 0.05).mean()) < 0.005


@pytest.mark.parametrize(("n", "rho"), [(43, 0.4), (15, 0.7), (320, 0.15)])
def test_power_is_the_mean_over_what_people_differ_by(n, rho):
    law = stats.chi2(n - 2)
    sums = law.ppf((np.arange(40_000) + 0.5) / 40_000)
    critical = noncentral_t.critical_t(n - 3, 0.05, two_sided=True)
    delta = rho / np.sqrt(1 - rho**2) * np.sqrt(sums)
    exact = noncentral_t.power(delta, n - 3, critical, two_sided=True).mean()
    assert np.isclose(correlation_power.power(planned(), (n // 2, n - n // 2), rho), exact, atol=1e-4)


@pytest.mark.slow
def test_the_permutation_test_of_the_workflow_finds_as_often():
    # 4,000 studies of 200 relabellings: standard error .0065, and p in steps of .005.
    rng, sizes, rho = np.random.default_rng(3), (21, 22), 0.45
    arm = np.repeat(["drug", "placebo"], sizes)
    treated = (arm == "drug").astype(float)[None]
    hits = 0
    for _ in range(4000):
        x = rng.standard_normal(43)
        # A difference of the arms in both, which the adjustment takes away.
        y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(43) + 2 * treated[0]
        data = Observations(x + treated[0], y, treated, arm)
        order = orders_within(rng.random((199, 43)), arm)
        reached = reaches(permuted(data, order, "pearson"), float(data.statistic("pearson"))).sum()
        hits += (reached + 1) / 200 <= 0.05
    assert abs(correlation_power.power(planned(), sizes, rho) - hits / 4000) < 3 * 0.0065


RHO = Uncertain(value=0.45, low=0.1, high=0.7)


# The standard error of a simulated assurance is .0014.
@pytest.mark.parametrize(
    ("own", "arms"), [(planned(1), [(21, 22), (20, 20), (15, 18)]), (planned(group="control"), [(21, 22), (4, 9)])]
)
def test_assurance_is_within_a_half_percent_of_drawn_people_and_correlations(own, arms):
    rng, studies = np.random.default_rng(4), 120_000 // len(arms)
    middle, low, high = np.arctanh([RHO.value, RHO.low, RHO.high])
    hits = 0
    for sizes in arms:
        n = int(own.people(sizes))
        normal = rng.standard_normal((studies, 1)) / stats.norm.ppf(0.975)
        rho = np.maximum(np.tanh(middle + normal * np.where(normal < 0, middle - low, high - middle)), 0)
        columns = [
            np.ones(n),
            *([np.arange(n) < n // 2] if own.group == "all" else []),
            *rng.standard_normal((own.covariates, n)),
        ]
        nuisance = np.column_stack(columns)
        left = np.eye(n) - nuisance @ np.linalg.pinv(nuisance)
        x = rng.standard_normal((studies, n))
        y = (rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((studies, n))) @ left
        x = x @ left
        r = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
        df = own.df(n)
        hits += (2 * stats.t.sf(np.abs(r) * np.sqrt(df / (1 - r * r)), df) <= 0.05).sum()
    assert abs(correlation_power.assurance(own, arms, RHO) - hits / studies / len(arms)) < 0.005


@pytest.mark.parametrize("high", [0.7, 0.999])
def test_assurance_is_the_mean_over_the_distribution_of_the_correlation(high):
    normal = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000) / stats.norm.ppf(0.975)
    middle, bottom, top = np.arctanh([0.45, 0.1, high])
    rho = np.maximum(np.tanh(middle + normal * np.where(normal < 0, middle - bottom, top - middle)), 0)
    exact = correlation_power.power(planned(), (21, 22), rho).mean()
    own = correlation_power.assurance(planned(), [(21, 22)], Uncertain(value=0.45, low=0.1, high=high))
    assert abs(own - exact) < 0.001


def test_assurance_of_what_is_known_is_power():
    known = Uncertain(value=0.45, low=0.45, high=0.45)
    own = correlation_power.assurance(planned(), [(21, 22)], known)
    assert np.isclose(own, correlation_power.power(planned(), (21, 22), 0.45))
    # Where too few people are left, nothing is found.
    assert np.isclose(correlation_power.assurance(planned(), [(21, 22), (1, 1)], known), own / 2)


def test_detectable_correlations_and_people_go_together():
    test = planned(2)
    rho = correlation_power.detectable(test, (21, 22), 0.8)
    assert np.isclose(correlation_power.power(test, (21, 22), rho), 0.8)
    first, second = correlation_power.people_needed(test, 22 / 21, rho, 0.8)
    assert (first, second) == (21, 22)
    assert correlation_power.people_needed(test, 1.0, 1e-4, 0.8) is None
    # In few people even the largest correlation that there is may be needed.
    assert 0.99 < correlation_power.detectable(planned(), (2, 2), 0.8) < 1


def test_in_one_arm_its_own_people_count():
    one = correlation_power.power(planned(group="treatment"), (30, 5), 0.5)
    assert np.isclose(one, correlation_power.power(planned(group="control"), (5, 30), 0.5))
    # Arm is no column there.
    assert planned(1, group="treatment").adjusted == 1
    assert planned(1).adjusted == 2
    assert correlation_power.people_needed(planned(group="control"), 0.5, 0.5, 0.8)[1] == 29


def test_too_few_people_have_no_power():
    assert np.isnan(correlation_power.power(planned(), (1, 2), 0.5))
    assert np.isnan(correlation_power.detectable(planned(3), (3, 3), 0.8))
    assert np.isfinite(correlation_power.power(planned(), (2, 2), 0.5))


def test_without_a_correlation_the_error_rate_is_left():
    for alpha in (0.05, 0.025):
        assert np.isclose(correlation_power.power(planned(alpha=alpha), (21, 22), 0.0), alpha)
    assert np.isclose(correlation_power.power(planned(two_sided=False), (21, 22), 0.0), 0.05)
