"""The table of correlations with craving: planted truth, families, missing values and left-out regions."""

import itertools
import math

import complete_settings
import numpy as np
import pytest
from pharmasl.endpoints import correlations, endpoint
from pharmasl.study.settings import RegionCorrelations
from scipy import stats
from scored import regions, visits
from statsmodels.stats.multitest import multipletests

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms()


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
