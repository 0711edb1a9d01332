"""Correlations, intervals and permutation p values against scipy, closed forms, enumeration and planted truth."""

import itertools
import json
import math
from pathlib import Path

import complete_settings
import numpy as np
import pytest
from pharmasl.endpoints import correlations, endpoint
from pharmasl.statistics import (
    bootstrap,
    correlation_intervals,
    correlation_tests,
    partial_correlation,
    percentage_bend,
)
from pharmasl.statistics.partial_correlation import Observations
from pharmasl.study.settings import RegionCorrelations
from scipy import stats
from scored import regions, visits
from statsmodels.stats.multitest import multipletests

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms()
NONE = np.empty((0, 30))


def pair(seed, n=30, rho=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)


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
        Observations(x, y, np.empty((0, 6)), np.zeros(6)), 40_000, np.random.default_rng(1)
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
    ours = partial_correlation.permutation_p_value(Observations(x, y, arm[None], arm), 40_000, np.random.default_rng(1))
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
        Observations(x, y, age[None], np.zeros(7)), 40_000, np.random.default_rng(2)
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
        small += partial_correlation.permutation_p_value(Observations(x, y, nuisance, arm), 199, rng) <= 0.1
    assert abs(small / trials - 0.1) < 3.5 * math.sqrt(0.09 / trials)


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


def trial(seed, rho=0.8, n=(21, 22)):
    """CBF and craving whose changes correlate by ``rho`` within each arm, both with a treatment effect."""
    rng = np.random.default_rng(seed)
    arm = np.array(["baclofen"] * n[0] + ["placebo"] * n[1])
    shared = rng.normal(size=sum(n))
    change = np.column_stack([shared, rho * shared + math.sqrt(1 - rho**2) * rng.normal(size=sum(n))])
    change = change * [5, 8] + np.where(arm == "baclofen", 1, 0)[:, None] * [12, -20]
    start = rng.normal(50, 6, (sum(n), 2))
    names = [f"sub-{k:02d}" for k in range(sum(n))]
    scores = [
        {
            "participant_id": name,
            "arm": arm[k],
            "session_id": session,
            "cue_elicited": float(start[k, 1] + (session == "T2") * change[k, 1]),
            "age": str(20 + k),
            "sex": "FM"[k % 2],
        }
        for k, name in enumerate(names)
        for session in ("T1", "T2")
    ]
    cbf = {
        (f"{k:02d}", session): float(start[k, 0] + (session == "T2") * change[k, 0])
        for k in range(sum(n))
        for session in ("T1", "T2")
    }
    return scores, cbf, change, arm


def analyse(scores, cbf, **craving):
    asked = {"rois": ["a"], "contrast": "cue", "resamples": 999, **craving}
    tables = {(roi, "cue"): cbf for roi in asked["rois"]}
    return relate(scores, tables, dict.fromkeys(asked["rois"], True), asked)


def relate(scores, cbf, defined, asked, left_out=None):
    settings = complete_settings.craving(RegionCorrelations, **asked)
    others = {name: visits(own) for name, own in (left_out or {}).items()}
    table = correlations.analyse(endpoint.frame(scores), regions(cbf, defined), settings, ARMS, SESSIONS, others)
    return table.to_dict("records")


def find(rows, timing, group, method, roi="a"):
    (row,) = [r for r in rows if (r["timing"], r["group"], r["method"], r["roi"]) == (timing, group, method, roi)]
    return row


def test_planted_correlation_is_recovered_and_not_the_arms_effect():
    scores, cbf, change, arm = trial(1)
    rows = analyse(scores, cbf)
    assert len(rows) == 3 * 3 * 3 + 2
    everyone = find(rows, "change", "all", "pearson")
    # Without adjustment the opposite treatment effects would turn the sign.
    assert stats.pearsonr(*change.T).statistic < 0
    centred = change - np.array([change[arm == a].mean(axis=0) for a in arm])
    assert everyone["estimate"] == pytest.approx(stats.pearsonr(*centred.T).statistic, rel=1e-9)
    assert everyone["ci_low"] < 0.8 < everyone["ci_high"]
    assert (everyone["n"], everyone["adjusted_for"]) == (43, "arm")
    # Within an arm Fisher's interval; over both the variance of z is made of the arms' own (each moment written out).
    own = find(rows, "change", "baclofen", "pearson")
    half = math.atanh(own["ci_high"]) - math.atanh(own["estimate"])
    assert half == pytest.approx(1.959963984540054 / math.sqrt(21 - 3), rel=1e-9)
    r = everyone["estimate"]
    x, y = (each / math.sqrt((each**2).sum() / 41) for each in centred.T)
    parts = []
    for name, left in (("baclofen", 20), ("placebo", 21)):
        sxx, syy, sxy = ((a[arm == name] * b[arm == name]).sum() / left for a, b in ((x, x), (y, y), (x, y)))
        of_product, of_squares = sxx * syy + sxy**2, 2 * sxx**2 + 2 * syy**2 + 4 * sxy**2
        variance = of_product + r**2 / 4 * of_squares - r * (2 * sxx * sxy + 2 * syy * sxy)
        parts.append((left, left / 41 * variance / (1 - r * r) ** 2))
    total = sum(part for _, part in parts)
    df = total**2 / sum(part**2 / left for left, part in parts)
    half = (
        1.959963984540054 / math.sqrt(43 - 1 - 3) * math.sqrt(total) * stats.t.ppf(0.975, df) / stats.t.ppf(0.975, 41)
    )
    assert math.atanh(everyone["ci_high"]) - math.atanh(everyone["estimate"]) == pytest.approx(half, rel=1e-9)
    for name, n in (("baclofen", 21), ("placebo", 22)):
        expected = stats.pearsonr(*change[arm == name].T)
        row = find(rows, "change", name, "pearson")
        assert (row["estimate"], row["p_t"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8)
        assert row["n"] == n
        rank = find(rows, "change", name, "spearman")
        assert rank["estimate"] == pytest.approx(stats.spearmanr(*change[arm == name].T).statistic, rel=1e-9)
        assert rank["ci_low"] < rank["estimate"] < rank["ci_high"]
    assert find(rows, "change", "all", "spearman")["p"] == 1 / 1000
    assert all(row["roi_defined_by_same_data"] for row in rows)
    # Nothing is planted in the level at baseline.
    assert abs(find(rows, "baseline", "all", "pearson")["estimate"]) < 0.45


def test_the_declared_test_of_all_regions_is_the_family_and_the_rest_describe():
    scores, cbf, _, _ = trial(2, rho=0.3)
    rows = analyse(scores, cbf, rois=["a", "b"])
    tested = [row for row in rows if row["role"] == "tested"]
    assert [(row["roi"], row["timing"], row["group"], row["method"]) for row in tested] == [
        ("a", "change", "all", "pearson"),
        ("b", "change", "all", "pearson"),
    ]
    assert {(row["family"], row["family_size"]) for row in tested} == {("change, all participants, pearson", 2)}
    row, twin = tested
    assert row["p_holm"] == pytest.approx(min(1, 2 * min(row["p"], twin["p"])))
    for row in rows:
        if row["role"] == "described":
            assert row["family"] is row["family_size"] is None
            assert math.isnan(row["p_holm"])
            assert math.isnan(row["p_fdr"])
            assert row["p_max"] is None or math.isnan(row["p_max"])
            assert math.isfinite(row["p"])


def test_another_declared_test_has_the_same_p_and_a_family_of_its_own():
    scores, cbf, _, _ = trial(2, rho=0.3)
    plain = analyse(scores, cbf, rois=["a", "b"])
    for test, key in (
        ({"timing": "baseline", "group": "treatment", "method": "spearman"}, ("baseline", "baclofen", "spearman")),
        ({"method": "slope_interaction"}, ("change", "baclofen - placebo", "slope_interaction")),
    ):
        rows = analyse(scores, cbf, rois=["a", "b"], test=test)
        tested = [row for row in rows if row["role"] == "tested"]
        assert {(row["timing"], row["group"], row["method"]) for row in tested} == {key}
        assert [row["family_size"] for row in tested] == [2, 2]
        for row in tested:
            assert row["p"] == find(plain, *key, roi=row["roi"])["p"]


def test_where_everything_is_asked_everything_is_one_family():
    scores, cbf, _, _ = trial(2, rho=0.3)
    rows = analyse(scores, cbf, rois=["a", "b"], family="all")
    assert {row["role"] for row in rows} == {"tested"}
    assert {row["family_size"] for row in rows} == {len(rows)} == {58}
    expected = multipletests([row["p"] for row in rows], method="holm")[1]
    np.testing.assert_allclose([row["p_holm"] for row in rows], expected, rtol=1e-12)


def test_results_of_a_region_do_not_depend_on_the_others_and_repeat():
    scores, cbf, _, _ = trial(3)
    alone = analyse(scores, cbf)
    together = analyse(scores, cbf, rois=["b", "a"])
    for row in alone:
        other = find(together, row["timing"], row["group"], row["method"])
        assert (row["p"], row["ci_low"], row["ci_high"]) == (other["p"], other["ci_low"], other["ci_high"])
    reseeded = find(analyse(scores, cbf, seed=1), "change", "all", "spearman")
    assert reseeded["ci_low"] != find(alone, "change", "all", "spearman")["ci_low"]


def test_covariates_are_taken_out():
    scores, cbf, change, arm = trial(4)
    rows = analyse(scores, cbf, covariates=["age", "sex"])
    row = find(rows, "change", "all", "pearson")
    k = np.arange(43)
    design = np.column_stack([np.ones(43), arm == "baclofen", 20 + k, k % 2]).astype(float)
    left = change - design @ np.linalg.lstsq(design, change)[0]
    assert row["estimate"] == pytest.approx(stats.pearsonr(*left.T).statistic, rel=1e-9)
    assert row["adjusted_for"] == "arm, age, sex"
    scores[0]["age"] = scores[1]["age"] = None
    assert find(analyse(scores, cbf, covariates=["age"]), "change", "all", "pearson")["n"] == 42


def test_missing_values_leave_participants_out():
    scores, cbf, change, arm = trial(5)
    cbf["00", "T2"] = math.nan
    del cbf["01", "T1"]
    scores[2 * 30]["cue_elicited"] = None
    rows = analyse(scores, cbf)
    keep = ~np.isin(np.arange(43), [0, 1, 30])
    counts = {(r["timing"], r["group"]): r["n"] for r in rows}
    assert counts["change", "all"] == 40
    assert counts["change", "baclofen"] == 19
    assert counts["baseline", "all"] == 41
    assert counts["followup", "all"] == 42
    expected = stats.pearsonr(*change[keep & (arm == "baclofen")].T).statistic
    assert find(rows, "change", "baclofen", "pearson")["estimate"] == pytest.approx(expected, rel=1e-9)


def test_participants_without_an_arm_take_no_part():
    scores, cbf, _, _ = trial(5)
    without = [{**row, "arm": None} if row["participant_id"] == "sub-00" else row for row in scores]
    counts = {r["group"]: r["n"] for r in analyse(without, cbf) if r["timing"] == "change"}
    assert counts == {"all": 42, "baclofen": 20, "placebo": 22, "baclofen - placebo": 42}


def test_too_few_constant_or_no_values_are_n_a_with_a_reason():
    scores, cbf, _, _ = trial(6, n=(3, 4))
    rows = analyse(scores, cbf, family="all")
    assert "fewer than 4" in find(rows, "change", "baclofen", "pearson")["note"]
    assert math.isnan(find(rows, "change", "baclofen", "pearson")["p_holm"])
    # It was asked: the family keeps its size.
    assert find(rows, "change", "all", "pearson")["family_size"] == len(rows)
    assert math.isfinite(find(rows, "change", "placebo", "pearson")["estimate"])
    assert "one of the arms" in find(rows, "change", "baclofen - placebo", "pearson_difference")["note"]
    scores, cbf, _, _ = trial(6)
    flat = analyse(scores, dict.fromkeys(cbf, 50.0))
    assert {row["note"] for row in flat if " - " not in row["group"]} == {
        "a variable does not vary beyond what is adjusted for"
    }
    empty = analyse(scores, dict.fromkeys(cbf, math.nan))
    assert {row["n"] for row in empty} == {0}
    assert all(math.isnan(row["estimate"]) for row in empty)


def test_perfect_correlation_does_not_fail():
    scores, cbf, _, _ = trial(7, rho=1.0)
    row = find(analyse(scores, cbf), "change", "baclofen", "pearson")
    assert row["estimate"] == pytest.approx(1, abs=1e-12)


REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "craving.json").read_text())


@pytest.mark.parametrize("k", range(len(REFERENCE["percentage_bend"])))
def test_percentage_bend_is_pingouins(k):
    stored = REFERENCE["percentage_bend"][k]
    x, y = np.array(stored["x"]), np.array(stored["y"])
    assert float(percentage_bend.percentage_bend(x, y)) == pytest.approx(stored["r"], abs=1e-12)
    # Many at once are each alone.
    both = percentage_bend.percentage_bend(np.stack([x, -x, y]), np.stack([y, y, y]))
    np.testing.assert_allclose(both, [stored["r"], -stored["r"], 1], atol=1e-12)


def test_percentage_bend_withstands_what_turns_pearson_over():
    x, y = pair(3, 40, 0.7)
    wild = y.copy()
    wild[np.argmax(x)] = -40
    assert stats.pearsonr(x, wild).statistic < 0 < 0.4 < float(percentage_bend.percentage_bend(x, wild))
    assert math.isnan(float(percentage_bend.percentage_bend(np.r_[np.zeros(38), 1, 2], y)))


def test_the_familys_largest_r_against_enumeration():
    """Two regions, one craving score: all 720 orders of six participants, for both regions alike."""
    rng = np.random.default_rng(2)
    y, noise = rng.normal(size=(2, 6))
    regions = np.stack([y + noise, rng.normal(size=6)])
    orders = np.array(list(itertools.permutations(range(6))))
    null = np.array([[abs(stats.pearsonr(x, y[order]).statistic) for x in regions] for order in orders])
    observed = [abs(stats.pearsonr(x, y).statistic) for x in regions]
    exact = [(null.max(axis=1) >= each - 1e-12).mean() for each in observed]
    scores = [
        {"participant_id": f"sub-{k}", "arm": "baclofen", "session_id": session, "cue_elicited": float(later * y[k])}
        for k in range(6)
        for later, session in enumerate(("T1", "T2"))
    ]
    cbf = {
        (name, "cue"): {(str(k), s): float(later * x[k]) for k in range(6) for later, s in enumerate(("T1", "T2"))}
        for name, x in zip("ab", regions)
    }
    settings = {"rois": ["a", "b"], "contrast": "cue", "resamples": 20_000}
    rows = relate(scores, cbf, {"a": False, "b": False}, settings)
    for name, truth in zip("ab", exact):
        row = find(rows, "change", "all", "pearson", name)
        assert row["p_max"] == pytest.approx(truth, abs=4 * math.sqrt(truth * (1 - truth) / 20_000))
        assert row["p_max"] >= row["p"]


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
        null = np.max([partial_correlation.permuted(Observations(each, y, arm, arm[0]), order) for each in x], axis=0)
        best = max(abs(float(partial_correlation.partial_correlation(each, y, arm))) for each in x)
        hits += (1 + partial_correlation.reaches(null, best).sum()) / (resamples + 1) <= 0.05
    # Monte Carlo standard error 0.020.
    assert abs(hits / trials - 0.05) < 3.5 * 0.020


def test_slope_interaction_is_that_of_the_full_regression():
    scores, cbf, change, arm = trial(9, rho=0.6)
    change[arm == "baclofen", 1] *= 2
    for k in range(43):
        scores[2 * k + 1]["cue_elicited"] = scores[2 * k]["cue_elicited"] + change[k, 1]
    row = find(analyse(scores, cbf), "change", "baclofen - placebo", "slope_interaction")
    treated = (arm == "baclofen").astype(float)
    # Two lines with variances of their own: each arm's regression by itself, put together as Welch does.
    lines = [stats.linregress(*change[treated == value].T) for value in (1, 0)]
    squares = [line.stderr**2 for line in lines]
    df = sum(squares) ** 2 / (squares[0] ** 2 / 19 + squares[1] ** 2 / 20)
    difference, error = lines[0].slope - lines[1].slope, math.sqrt(sum(squares))
    assert row["estimate"] == pytest.approx(difference, rel=1e-7)
    assert row["p_t"] == pytest.approx(2 * stats.t.sf(abs(difference / error), df), rel=1e-6)
    rest = [
        change[treated == v, 1] - line.intercept - line.slope * change[treated == v, 0]
        for v, line in zip((1, 0), lines)
    ]
    assert row["variance_ratio"] == pytest.approx((rest[0] @ rest[0] / 19) / (rest[1] @ rest[1] / 20), rel=1e-6)
    half = stats.t.ppf(0.975, df) * error
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((difference - half, difference + half), rel=1e-6)
    assert row["p"] == pytest.approx(row["p_t"], abs=0.04)
    design = np.column_stack([np.ones(43), treated, change[:, 0], treated * change[:, 0]])
    without = [np.linalg.lstsq(np.delete(design, i, 0), np.delete(change[:, 1], i))[0][3] for i in range(43)]
    assert (row["without_one_low"], row["without_one_high"]) == pytest.approx((min(without), max(without)), rel=1e-6)


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


def test_range_without_one_participant_and_bca_of_pearson():
    scores, cbf, change, arm = trial(10, rho=0.5)
    row = find(analyse(scores, cbf), "change", "baclofen", "pearson")
    own = change[arm == "baclofen"]
    without = [stats.pearsonr(*np.delete(own, i, 0).T).statistic for i in range(len(own))]
    assert (row["without_one_low"], row["without_one_high"]) == pytest.approx((min(without), max(without)), rel=1e-9)
    expected = stats.bootstrap(
        own.T,
        lambda a, b: stats.pearsonr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=999,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (row["bca_low"], row["bca_high"]) == pytest.approx((expected.low, expected.high), abs=0.06)


def test_left_out_values_stand_beside_those_of_the_region_of_all():
    scores, cbf, _, _ = trial(11, rho=0.5)
    settings = {"rois": ["a", "b"], "contrast": "cue", "resamples": 199}
    found = {("a", "cue"): cbf, ("b", "cue"): cbf}
    rng = np.random.default_rng(0)
    left_out = {("a", "cue"): {key: value + rng.normal() for key, value in cbf.items()}}
    defined = {"a": True, "b": False}
    rows = relate(scores, found, defined, settings, left_out)
    others = [row for row in rows if row["region_of"] == "others"]
    assert {row["roi"] for row in others} == {"a"}
    assert len(others) == 29
    # The region is tested as it is read without each participant; its reading in everybody's cluster describes.
    tested = [(row["roi"], row["region_of"]) for row in rows if row["role"] == "tested"]
    assert tested == [("b", "all"), ("a", "others")]
    everything = relate(scores, found, defined, {**settings, "family": "all"}, left_out)
    assert {(row["roi"], row["region_of"]) for row in everything if row["role"] == "described"} == {("a", "all")}
    # Those of all participants are what they are without them.
    plain = relate(scores, found, defined, settings)
    kept = [row for row in rows if row["region_of"] == "all"]
    for ours, before in zip(kept, plain, strict=True):
        np.testing.assert_array_equal(
            [ours[name] for name in ("p", "ci_low")], [before[name] for name in ("p", "ci_low")]
        )


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
