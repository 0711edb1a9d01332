"""Craving models against scipy and closed forms, on data with planted effects."""

import json
import math
from pathlib import Path

import complete_settings
import numpy as np
import pytest
from pharmasl.endpoints import mixed_models, models
from pharmasl.statistics import diagnostics, effect_sizes, mixed_model
from scipy import stats
from scored import endpoint_of, records

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms()


def make(rng, n=(21, 22), effect=-8.0, between=10.0, within=5.0):
    """Scores in which the treatment changes craving by ``effect``; an array (participants, 2) and its arms."""
    arm = np.array(["baclofen"] * n[0] + ["placebo"] * n[1])
    values = 20 + rng.normal(0, between, (sum(n), 1)) + rng.normal(0, within, (sum(n), 2))
    values[arm == "baclofen", 1] += effect
    return values, arm


def rows_of(values, arm):
    return [
        {
            "participant_id": f"sub-{k:02d}",
            "arm": arm[k],
            "session_id": session,
            "cue_elicited": None if math.isnan(values[k, j]) else float(values[k, j]),
        }
        for k in range(len(arm))
        for j, session in enumerate(("T1", "T2"))
    ]


def analyse(scores):
    return records(models.analyse(endpoint_of(scores, ARMS, SESSIONS)).models)


def mixed(scores):
    return records(mixed_models.mixed(endpoint_of(scores, ARMS, SESSIONS)).rows)


def find(rows, analysis, term, arm=None, session=None):
    found = [
        r
        for r in rows
        if (r["analysis"], r["term"]) == (analysis, term)
        and (arm is None or r["arm"] == arm)
        and (session is None or r["session_id"] == session)
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def case():
    values, arm = make(np.random.default_rng(7))
    values[3, 1] = values[10, 0] = values[30, 1] = np.nan
    return values, arm, analyse(rows_of(values, arm))


def test_descriptives(case):
    values, arm, rows = case
    for name in ("baclofen", "placebo"):
        for j, session in enumerate(("T1", "T2")):
            x = values[arm == name, j]
            x = x[np.isfinite(x)]
            mean = find(rows, "descriptive", "mean", name, session)
            assert mean["estimate"] == pytest.approx(x.mean(), rel=1e-12)
            assert mean["n"] == len(x)
            assert mean["se"] == pytest.approx(stats.sem(x), rel=1e-12)
            low, high = stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
            assert (mean["ci_low"], mean["ci_high"]) == pytest.approx((low, high), rel=1e-10)
            sd = find(rows, "descriptive", "sd", name, session)
            assert sd["estimate"] == pytest.approx(x.std(ddof=1), rel=1e-12)


def test_paired_t_within_arms(case):
    values, arm, rows = case
    for name in ("baclofen", "placebo"):
        x = values[(arm == name) & np.isfinite(values).all(axis=1)]
        expected = stats.ttest_rel(x[:, 1], x[:, 0])
        interval = expected.confidence_interval()
        row = find(rows, "paired_t", "change", name)
        assert row["n"] == len(x)
        assert row["df"] == expected.df
        assert row["estimate"] == pytest.approx((x[:, 1] - x[:, 0]).mean(), rel=1e-12)
        assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high), rel=1e-10)
        dz = find(rows, "paired_t", "dz", name)
        assert dz["estimate"] == pytest.approx(expected.statistic / math.sqrt(len(x)), rel=1e-12)
        # The interval's ends put the observed t on the tails of the noncentral t.
        for end, probability in ((dz["ci_low"], 0.975), (dz["ci_high"], 0.025)):
            cdf = stats.nct.cdf(expected.statistic, len(x) - 1, end * math.sqrt(len(x)))
            assert cdf == pytest.approx(probability, abs=1e-7)


def test_effect_size_interval_covers_in_simulation():
    rng = np.random.default_rng(1)
    x = rng.normal(0.5, 1, (200, 15))
    t = x.mean(axis=1) / x.std(axis=1, ddof=1) * math.sqrt(15)
    ends = np.array(effect_sizes.noncentrality_interval(t, 14)).T / math.sqrt(15)
    covered = ((ends[:, 0] < 0.5) & (ends[:, 1] > 0.5)).mean()
    # An exact interval: 0.95, with a Monte Carlo standard error of 0.0154.
    assert 0.95 - 3 * 0.0154 < covered < 0.95 + 3 * 0.0154


def test_mixed_model_of_complete_data_is_the_two_sample_t():
    values, arm = make(np.random.default_rng(4))
    rows = analyse(rows_of(values, arm))
    change = values[:, 1] - values[:, 0]
    expected = stats.ttest_ind(change[arm == "baclofen"], change[arm == "placebo"])
    row = find(rows, "mixed_model", "arm:session")
    means = change[arm == "baclofen"].mean() - change[arm == "placebo"].mean()
    assert row["estimate"] == pytest.approx(means, rel=1e-10)
    assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8)
    assert row["df"] == pytest.approx(41, abs=1e-7)
    assert row["n"] == 86
    # Coding: each term is the difference of cell means that its description says.
    for term, value in {
        "intercept": values[arm == "placebo", 0].mean(),
        "arm": values[arm == "baclofen", 0].mean() - values[arm == "placebo", 0].mean(),
        "session": change[arm == "placebo"].mean(),
        "session in treatment": change[arm == "baclofen"].mean(),
    }.items():
        assert find(rows, "mixed_model", term)["estimate"] == pytest.approx(value, rel=1e-9)
    within = find(rows, "mixed_model", "variance within participants")["estimate"]
    pooled = sum((change[arm == a].var(ddof=1) * (sum(arm == a) - 1)) for a in ("baclofen", "placebo")) / 41
    assert within == pytest.approx(pooled / 2, rel=1e-9)


def test_mixed_model_uses_participants_with_one_session(case):
    values, arm, rows = case
    row = find(rows, "mixed_model", "arm:session")
    assert row["n"] == 83
    change = values[:, 1] - values[:, 0]
    change_of = {a: change[(arm == a) & np.isfinite(change)] for a in ("baclofen", "placebo")}
    pairs_only = change_of["baclofen"].mean() - change_of["placebo"].mean()
    assert row["estimate"] != pytest.approx(pairs_only, rel=1e-6)
    assert 38 < row["df"] < 41


def test_participants_without_an_arm_take_no_part(case):
    values, arm, rows = case
    more = rows_of(np.vstack([values, [[0.0, 99.0]]]), [*arm, None])
    assert analyse(more) == rows


def test_planted_effect_is_recovered_without_bias():
    estimates, covered = [], []
    for seed in range(80):
        values, arm = make(np.random.default_rng(seed), effect=-8.0)
        values[[2, 30], [1, 0]] = np.nan
        row = find(mixed(rows_of(values, arm)), "mixed_model", "arm:session")
        estimates.append(row["estimate"])
        covered.append(row["ci_low"] <= -8 <= row["ci_high"])
    error = np.std(estimates) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) + 8) < 3.5 * error
    assert 0.95 - 3.5 * 0.0244 < np.mean(covered) <= 1


def test_boundary_is_told():
    rng = np.random.default_rng(3)
    values, arm = make(rng, between=0.0)
    shift = rng.normal(0, 6, len(arm))
    values += np.column_stack([shift, -shift])
    rows = mixed(rows_of(values, arm))
    assert all("boundary" in row["method"] for row in rows)
    # Kenward and Roger's degrees of freedom stay those of the paired comparison, lmerTest's default leaves them.
    assert find(rows, "mixed_model", "arm:session")["df"] == pytest.approx(41, abs=1e-7)
    assert find(rows, "mixed_model_satterthwaite", "arm:session")["df"] == 82


def test_too_few_and_constant_data_are_n_a_with_a_reason():
    values, arm = make(np.random.default_rng(3), n=(1, 2))
    rows = analyse(rows_of(values, arm))
    assert "fewer than 2" in find(rows, "paired_t", "change", "baclofen")["method"]
    assert find(rows, "paired_t", "change", "placebo")["p"] is not None
    assert "fewer than 4" in find(rows, "ancova", "arm")["method"]
    assert find(rows, "descriptive", "sd", "baclofen", "T1")["estimate"] is None
    none = analyse(rows_of(np.full((4, 2), np.nan), ["baclofen", "baclofen", "placebo", "placebo"]))
    assert all(row.get("estimate") is None for row in none if row["term"] != "missing")
    assert find(none, "descriptive", "missing", "placebo", "T2")["estimate"] == 2
    assert "not fitted" in find(none, "mixed_model", "arm:session")["method"]
    values, arm = make(np.random.default_rng(3))
    values[:, 1] = values[:, 0] + 0.1
    same = analyse(rows_of(values, arm))
    change = find(same, "paired_t", "change", "placebo")
    assert change["estimate"] == pytest.approx(0.1)
    assert change["t"] is None
    assert "no residual variation" in find(same, "mixed_model", "arm:session")["method"]
    assert all(math.isfinite(v) for row in same for v in row.values() if isinstance(v, float))


REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "craving.json").read_text())


def test_ratings_and_their_differences_agree_and_are_described():
    stored = REFERENCE["three_way"]
    scores = [
        {
            "participant_id": f"sub-{k}",
            "arm": "baclofen" if arm else "placebo",
            "session_id": session,
            "before": own[s][0],
            "after": own[s][1],
            "cue_elicited": own[s][1] - own[s][0],
        }
        for k, (arm, own) in enumerate(zip(stored["arm"], stored["ratings"]))
        for s, session in enumerate(("T1", "T2"))
    ]
    rows = analyse(scores)
    # Least squares with participants as columns gives the same estimates; its se take all residuals as one kind.
    for term in ("session:occasion", "arm:session:occasion"):
        assert find(rows, "contrasts_ratings", term)["estimate"] == pytest.approx(stored["terms"][term][0], rel=1e-6)
    two_way, three_way = (
        find(rows, "difference_of_changes", "arm:session"),
        find(rows, "contrasts_ratings", "arm:session:occasion"),
    )
    for name in ("estimate", "se", "df", "p", "n"):
        assert three_way[name] == pytest.approx(two_way[name], rel=1e-9)
    # A rating without its partner takes part where its contrast needs no other.
    scores[0]["after"] = scores[0]["cue_elicited"] = None
    rows = analyse(scores)
    assert find(rows, "contrasts_ratings", "arm:session")["n"] == 24
    assert find(rows, "contrasts_ratings", "arm:occasion")["n"] == 23
    assert find(rows, "contrasts_ratings", "arm:session:occasion")["left_out"] == "sub-0"
    assert find(rows, "mixed_model", "arm")["n"] == 47
    # The ratings themselves are described, each with its own missing ones.
    own = [each["before"] for each in scores if (each["arm"], each["session_id"]) == ("placebo", "T2")]
    row = find(rows, "descriptive_before", "mean", "placebo", "T2")
    assert row["estimate"] == pytest.approx(np.mean(own), rel=1e-12)
    assert find(rows, "descriptive_before", "missing", scores[0]["arm"], "T1")["estimate"] == 0
    assert find(rows, "descriptive_after", "missing", scores[0]["arm"], "T1")["estimate"] == 1
    assert find(rows, "descriptive", "missing", scores[0]["arm"], "T1")["estimate"] == 1


def test_cue_types_are_compared():
    values, arm = make(np.random.default_rng(5))
    scores = rows_of(values, arm)
    rng = np.random.default_rng(6)
    for row in scores:
        row |= {"before_neutral": 0.0, "after_neutral": 0.0, "cue_elicited_neutral": float(rng.normal(2, 3))}
    row = find(analyse(scores), "contrasts_cues", "arm:session:cue")
    wide = {}
    for each in scores:
        wide[each["participant_id"], each["session_id"]] = each["cue_elicited"] - each["cue_elicited_neutral"]
    change = np.array([wide[f"sub-{k:02d}", "T2"] - wide[f"sub-{k:02d}", "T1"] for k in range(43)])
    expected = change[arm == "baclofen"].mean() - change[arm == "placebo"].mean()
    assert row["estimate"] == pytest.approx(expected, rel=1e-9)
    assert "against neutral" in row["method"]


def test_effect_sizes_are_those_of_t_and_their_intervals_cover():
    values, arm = make(np.random.default_rng(7))
    rows = analyse(rows_of(values, arm))
    change = values[:, 1] - values[:, 0]
    t = stats.ttest_ind(change[arm == "baclofen"], change[arm == "placebo"]).statistic
    correction = math.gamma(41 / 2) / math.sqrt(41 / 2) / math.gamma(40 / 2)
    scale = math.sqrt(21 * 22 / 43)
    row = find(rows, "effect_size", "g of change")
    assert row["estimate"] == pytest.approx(t / scale * correction, rel=1e-10)
    for end, probability in ((row["ci_low"], 0.975), (row["ci_high"], 0.025)):
        assert stats.nct.cdf(t, 41, end * scale) == pytest.approx(probability, abs=1e-6)
    adjusted, term = find(rows, "effect_size", "g at follow-up"), find(rows, "ancova", "arm")
    design = np.column_stack([np.ones(43), arm == "baclofen", values[:, 0]]).astype(float)
    rest = np.linalg.lstsq(design, values[:, 1])[1][0]
    ratio = math.gamma(20) / math.sqrt(20) / math.gamma(39 / 2)
    assert adjusted["estimate"] == pytest.approx(term["estimate"] / math.sqrt(rest / 40) * ratio, rel=1e-9)
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        first, second = rng.normal(0.8, 1, 21), rng.normal(0, 1, 22)
        size = effect_sizes.two_groups(first, second)
        covered += size.low <= 0.8 <= size.high
    assert abs(covered / 150 - 0.95) < 3.5 * 0.0178


def test_influence_by_refits(case, tmp_path):
    values, arm, rows = case
    scores = rows_of(values, arm)
    table = records(models.analyse(endpoint_of(scores, ARMS, SESSIONS)).influence)
    # Without participant 12 by hand: the table of the others.
    others = [row for row in scores if row["participant_id"] != "sub-12"]
    without = find(mixed(others), "mixed_model", "arm:session")
    (row, _) = [row for row in table if row["participant_id"] == "sub-12"]
    assert (row["estimate_without"], row["p_without"]) == pytest.approx((without["estimate"], without["p"]), rel=1e-9)
    interaction = find(rows, "mixed_model", "arm:session")
    every = [row["estimate_without"] for row in table if row.get("estimate_without") is not None]
    assert (interaction["without_one_low"], interaction["without_one_high"]) == (min(every), max(every))
    # Missing scores have a row that says so.
    assert [row["note"] for row in table if row["cue_elicited"] is None] == ["no score"] * 3
    assert len(table) == 86
    known = [row for row in table if row["cue_elicited"] is not None]
    assert all(row["fitted"] + row["residual"] == pytest.approx(row["cue_elicited"]) for row in known)
    # Predicted intercepts sum to zero within an arm of complete data (the fixed effects have taken the means).
    full, other = make(np.random.default_rng(11))
    complete = rows_of(full, other)
    found = mixed_models.mixed(endpoint_of(complete, ARMS, SESSIONS)).influence
    assert abs(found.intercepts[other == "baclofen"].sum()) < 1e-8
    model = find(mixed(complete), "mixed_model", "variance between participants")["estimate"]
    within = find(mixed(complete), "mixed_model", "variance within participants")["estimate"]
    mean = full[0].mean() - full[other == "baclofen"].mean()
    assert found.intercepts[0] == pytest.approx(mean * 2 * model / (2 * model + within), rel=1e-6)


def test_an_outlier_is_seen_in_cooks_distance():
    values, arm = make(np.random.default_rng(13))
    values[7, 1] += 80
    scores = rows_of(values, arm)
    found = mixed_models.mixed(endpoint_of(scores, ARMS, SESSIONS)).influence
    assert int(np.nanargmax(found.cooks_distance)) == 7
    assert found.cooks_distance[7] > 4 * np.sort(found.cooks_distance)[-2]


def test_least_squares_without_each_is_statsmodels():
    stored = REFERENCE["influence"]
    ours = diagnostics.estimates_without_one(np.array(stored["design"]), np.array(stored["y"]), (0, 1, 0))
    np.testing.assert_allclose(ours, stored["without"], rtol=1e-9)


def test_ancova_and_paired_ranges_without_one(case):
    values, arm, rows = case
    keep = np.isfinite(values).all(axis=1)
    before, after = values[keep].T
    treated = (arm[keep] == "baclofen").astype(float)
    design = np.column_stack([np.ones(keep.sum()), treated, before])
    without = [np.linalg.lstsq(np.delete(design, i, 0), np.delete(after, i))[0][1] for i in range(keep.sum())]
    row = find(rows, "ancova", "arm")
    assert (row["without_one_low"], row["without_one_high"]) == pytest.approx((min(without), max(without)), rel=1e-8)
    change = (after - before)[treated > 0]
    means = [np.delete(change, i).mean() for i in range(len(change))]
    row = find(rows, "paired_t", "change", "baclofen")
    assert (row["without_one_low"], row["without_one_high"]) == pytest.approx((min(means), max(means)), rel=1e-9)


def test_false_positives_and_power_of_the_interaction():
    """Incomplete data: 5 % under the null, and the power of the paired comparison under the planted effect."""
    rng, trials = np.random.default_rng(1), 3000
    _, arm = make(rng)
    treated = (arm == "baclofen").astype(float)
    between, within = rng.normal(0, 10, (43, 1, trials)), rng.normal(0, 5, (43, 2, trials))
    keep = np.ones((43, 2), dtype=bool)
    keep[[2, 30, 12], [1, 0, 1]] = False
    subject, session = np.nonzero(keep)
    design = np.column_stack([np.ones(83), treated[subject], session, treated[subject] * session])
    for effect, expected in ((0, 0.05), (-5, None)):
        response = (between + within)[keep] + effect * design[:, 3:]
        model = mixed_model.fit(design, response, subject)
        p = mixed_model.kenward_roger(model, design, subject, mixed_models.TERMS["arm:session"]).p
        if expected is None:
            # Changes have a standard deviation of 5 sqrt(2); 19 and 21 pairs, and a little from the three single scores.
            noncentrality = 5 / (5 * math.sqrt(2) * math.sqrt(1 / 19 + 1 / 21))
            critical = stats.t.ppf(0.975, 38)
            expected = stats.nct.sf(critical, 38, noncentrality) + stats.nct.cdf(-critical, 38, noncentrality)
        # A hundredth beyond the Monte Carlo error: what the single scores add to the power.
        error = math.sqrt(expected * (1 - expected) / trials)
        assert abs((p <= 0.05).mean() - expected) < 3.5 * error + 0.01 * (effect != 0)


def test_no_g_where_its_bias_factor_does_not_exist():
    values, arm = make(np.random.default_rng(1), n=(2, 2))
    row = find(analyse(rows_of(values, arm)), "effect_size", "g at follow-up")
    assert row.get("estimate") is None
    assert "fewer than 5" in row["method"]
