"""Craving models against scipy and closed forms, on data with planted effects."""

import math

import numpy as np
import pytest
from pharmasl.craving import models
from scipy import stats

SESSIONS = {"baseline": "T1", "followup": "T2"}
ARMS = {"treatment": "baclofen", "control": "placebo"}


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
            "session": session,
            "cue_elicited": None if math.isnan(values[k, j]) else float(values[k, j]),
        }
        for k in range(len(arm))
        for j, session in enumerate(("T1", "T2"))
    ]


def find(rows, analysis, term, arm=None, session=None):
    found = [
        r
        for r in rows
        if (r["analysis"], r["term"]) == (analysis, term)
        and (arm is None or r["arm"] == arm)
        and (session is None or r["session"] == session)
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def case():
    values, arm = make(np.random.default_rng(7))
    values[3, 1] = values[10, 0] = values[30, 1] = np.nan
    return values, arm, models.analyse(rows_of(values, arm), ARMS, SESSIONS)


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


@pytest.mark.parametrize(("t", "df", "nc"), [(2.3, 20, 1.0), (-3.1, 20, -4.0), (0.0, 2, 0.5), (12, 30, 11), (1, 1, 2)])
def test_noncentral_t(t, df, nc):
    assert models.noncentral_t_cdf(t, df, nc) == pytest.approx(stats.nct.cdf(t, df, nc), abs=1e-8)
    assert models.noncentral_t_cdf(t, df, 0) == pytest.approx(stats.t.cdf(t, df), abs=1e-8)


def test_effect_size_interval_covers_in_simulation():
    rng = np.random.default_rng(1)
    x = rng.normal(0.5, 1, (200, 15))
    t = x.mean(axis=1) / x.std(axis=1, ddof=1) * math.sqrt(15)
    ends = np.array([models.effect_size_interval(each, 15) for each in t])
    covered = ((ends[:, 0] < 0.5) & (ends[:, 1] > 0.5)).mean()
    # An exact interval: 0.95, with a Monte Carlo standard error of 0.0154.
    assert 0.95 - 3 * 0.0154 < covered < 0.95 + 3 * 0.0154


def test_mixed_model_of_complete_data_is_the_two_sample_t():
    values, arm = make(np.random.default_rng(4))
    rows = models.analyse(rows_of(values, arm), ARMS, SESSIONS)
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
    assert models.analyse(more, ARMS, SESSIONS) == rows


def test_planted_effect_is_recovered_without_bias():
    estimates, covered = [], []
    for seed in range(80):
        values, arm = make(np.random.default_rng(seed), effect=-8.0)
        values[[2, 30], [1, 0]] = np.nan
        row = find(models.mixed(rows_of(values, arm), ARMS, SESSIONS), "mixed_model", "arm:session")
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
    row = find(models.mixed(rows_of(values, arm), ARMS, SESSIONS), "mixed_model", "arm:session")
    assert "boundary" in row["method"]
    assert row["df"] == 82


def test_too_few_and_constant_data_are_n_a_with_a_reason():
    values, arm = make(np.random.default_rng(3), n=(1, 2))
    rows = models.analyse(rows_of(values, arm), ARMS, SESSIONS)
    assert "fewer than 2" in find(rows, "paired_t", "change", "baclofen")["method"]
    assert find(rows, "paired_t", "change", "placebo")["p"] is not None
    assert "fewer than 4" in find(rows, "ancova", "arm")["method"]
    assert find(rows, "descriptive", "sd", "baclofen", "T1")["estimate"] is None
    none = models.analyse(
        rows_of(np.full((4, 2), np.nan), ["baclofen", "baclofen", "placebo", "placebo"]), ARMS, SESSIONS
    )
    assert all(row.get("estimate") is None for row in none)
    assert "not fitted" in find(none, "mixed_model", "arm:session")["method"]
    values, arm = make(np.random.default_rng(3))
    values[:, 1] = values[:, 0] + 0.1
    same = models.analyse(rows_of(values, arm), ARMS, SESSIONS)
    change = find(same, "paired_t", "change", "placebo")
    assert change["estimate"] == pytest.approx(0.1)
    assert change["t"] is None
    assert "no residual variation" in find(same, "mixed_model", "arm:session")["method"]
    assert all(math.isfinite(v) for row in same for v in row.values() if isinstance(v, float))
