"""Craving statistics against statsmodels."""

import math

import complete_settings
import numpy as np
import pytest
from pharmasl.endpoints import followup_models
from pharmasl.statistics import correlation_intervals, diagnostics, mixed_model, partial_correlation
from scored import endpoint_of, records

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms(treatment="a", control="b")
sm = pytest.importorskip("statsmodels.api")
MixedLM = pytest.importorskip("statsmodels.regression.mixed_linear_model")


def test_mixed_model_optimum_is_the_one_of_statsmodels():
    rng = np.random.default_rng(21)
    subject = np.delete(np.repeat(np.arange(43), 2), [5, 20, 61])
    session = np.delete(np.tile([0.0, 1.0], 43), [5, 20, 61])
    arm = (subject < 21).astype(float)
    design = np.column_stack([np.ones(83), arm, session, arm * session])
    response = rng.normal(0, 6, 43)[subject] + rng.normal(0, 5, 83) + design @ [20, 1, -2, -6]
    ours = mixed_model.fit(design, response, subject)
    theirs = MixedLM.MixedLM(response, design, groups=subject).fit(reml=True, method="bfgs")
    assert ours.ratio[0] == pytest.approx(theirs.cov_re.item() / theirs.scale, rel=1e-4)
    np.testing.assert_allclose(ours.coefficients[:, 0], theirs.fe_params, rtol=1e-5)
    assert ours.residual_variance[0] == pytest.approx(theirs.scale, rel=1e-4)
    # By statsmodels' own likelihood our optimum is at least as good as the one that it found.
    parameters = MixedLM.MixedLMParams.from_components(ours.coefficients[:, 0], ours.ratio.reshape(1, 1))
    assert theirs.model.loglike(parameters) >= theirs.llf - 1e-9
    assert ours.log_likelihood[0] == pytest.approx(theirs.llf, abs=1e-6)


def test_ancova_is_least_squares_with_a_variance_for_each_arm():
    """Estimates are those of ordinary least squares; the arms' variances solve the two equations of their squares."""
    rng = np.random.default_rng(2)
    arm = np.array(["a"] * 12 + ["b"] * 15)
    before = rng.normal(20, 8, 27)
    after = 5 + 0.6 * before - 7 * (arm == "a") + rng.normal(0, 4, 27) * np.where(arm == "a", 3, 1)
    scores = [
        {"participant_id": f"sub-{k}", "arm": arm[k], "session_id": session, "cue_elicited": float(value[k])}
        for k in range(27)
        for session, value in (("T1", before), ("T2", after))
    ]
    rows = records(followup_models.ancova(endpoint_of(scores, ARMS, SESSIONS)))
    design = np.column_stack([np.ones(27), arm == "a", before - before.mean()]).astype(float)
    fit = sm.OLS(after, design).fit()
    hat = fit.model.pinv_wexog
    maker = np.eye(27) - design @ hat
    inside = [arm == "a", arm == "b"]
    expected = [[(maker[np.ix_(one, two)] ** 2).sum() for two in inside] for one in inside]
    variance = np.linalg.solve(expected, [(fit.resid[each] ** 2).sum() for each in inside])
    ses = np.sqrt((hat**2) @ np.where(inside[0], *variance))
    for k, row in enumerate(rows):
        assert row["estimate"] == pytest.approx(fit.params[k], rel=1e-10)
        assert row["se"] == pytest.approx(ses[k], rel=1e-9)
        assert row["variance_ratio"] == pytest.approx(variance[0] / variance[1], rel=1e-9)
        assert row["n"] == 27
    # The smaller arm, which varies more, has 11 or a little more.
    assert 11 < rows[1]["df"] < 13


def test_partial_correlation_p_is_the_regression_slope_p():
    """The t test of a partial correlation equals that of the slope in the full regression."""
    rng = np.random.default_rng(5)
    arm = (np.arange(40) < 18).astype(float)
    age = rng.normal(40, 9, 40)
    x = rng.normal(size=40) + arm + 0.05 * age
    y = 0.5 * x - 2 * arm + 0.1 * age + rng.normal(size=40)
    nuisance = np.vstack([arm, age])
    r = float(partial_correlation.partial_correlation(x, y, nuisance))
    fit = sm.OLS(y, np.column_stack([np.ones(40), x, arm, age])).fit()
    assert correlation_intervals.t_p_value(r, 36) == pytest.approx(fit.pvalues[1], rel=1e-9)
    assert r == pytest.approx(fit.tvalues[1] / math.sqrt(fit.tvalues[1] ** 2 + 36), rel=1e-9)


def test_breusch_pagan_is_that_of_statsmodels():
    het = pytest.importorskip("statsmodels.stats.diagnostic")
    rng = np.random.default_rng(31)
    design = sm.add_constant(rng.normal(size=(40, 2)))
    residual = sm.OLS(rng.normal(size=40) * np.exp(0.5 * design[:, 1]), design).fit().resid
    expected = het.het_breuschpagan(residual, design, robust=True)
    assert diagnostics.breusch_pagan(residual, design[:, 1:]) == pytest.approx(expected[:2], rel=1e-9)
    assert np.isnan(diagnostics.breusch_pagan(np.ones(8), np.arange(8.0)[:, None])).all()


def scattered(rng, n, sd):
    """Scores of 2 n participants, first arm a: ``sd`` of arm a and arm b at baseline, of arm a and arm b at follow-up."""
    level = rng.normal(30, 8, 2 * n)
    value = [level + rng.normal(size=2 * n) * np.repeat(both, n) for both in (sd[:2], sd[2:])]
    arm = np.repeat(["a", "b"], n)
    scores = [
        {"participant_id": f"sub-{k}", "arm": arm[k], "session_id": session, "cue_elicited": float(value[s][k])}
        for k in range(2 * n)
        for s, session in enumerate(("T1", "T2"))
    ]
    return scores, np.array(value), arm == "a"


def test_equal_variances_are_asked_of_independent_observations():
    het = pytest.importorskip("statsmodels.stats.diagnostic")
    scores, value, treated = scattered(np.random.default_rng(32), 15, (3, 3, 9, 3))
    del scores[7]  # the second session of a participant of arm a
    rows = records(followup_models.equal_variance(endpoint_of(scores, ARMS, SESSIONS)))
    found = {row["term"]: row for row in rows}
    pair = np.arange(30) != 3
    for term, (values, arm) in {
        "variance of change": ((value[1] - value[0])[pair], treated[pair]),
        "variance at baseline": (value[0], treated),
        "variance at follow-up": (value[1][pair], treated[pair]),
    }.items():
        design = sm.add_constant(arm.astype(float))
        expected = het.het_breuschpagan(sm.OLS(values, design).fit().resid, design)[1]
        assert found[term]["p"] == pytest.approx(expected, rel=1e-9)
        assert found[term]["estimate"] == pytest.approx(values[arm].var(ddof=1) / values[~arm].var(ddof=1), rel=1e-9)
        assert found[term]["n"] == len(arm)
    row = found["variance by session"]
    one, two = value[:, pair]
    design = np.column_stack([two - one, np.ones(29), treated[pair]]).astype(float)
    expected = sm.OLS(one + two, design).fit()
    assert (row["t"], row["p"]) == pytest.approx((expected.tvalues[0], expected.pvalues[0]), rel=1e-8)
    assert row["df"] == expected.df_resid == 26


def test_tests_of_equal_variance_keep_their_level_and_find_what_differs():
    rng = np.random.default_rng(33)

    def p(sd, number):
        found = [
            records(followup_models.equal_variance(endpoint_of(scattered(rng, 20, sd)[0], ARMS, SESSIONS)))
            for _ in range(number)
        ]
        return {row["term"]: np.array([rows[k]["p"] for rows in found]) for k, row in enumerate(found[0])}

    for term, values in p((4, 4, 4, 4), 300).items():
        assert abs((values <= 0.1).mean() - 0.1) < 3.3 * np.sqrt(0.1 * 0.9 / 300), term
    # A drug that spreads its own arm's follow-up: changes and follow-up differ by arm, baselines do not.
    found = {term: (values <= 0.05).mean() for term, values in p((2, 2, 16, 2), 60).items()}
    assert found["variance of change"] > 0.8
    assert found["variance by session"] > 0.8
    assert found["variance at baseline"] < 0.2


def test_without_enough_participants_equal_variance_says_so():
    scores = scattered(np.random.default_rng(34), 2, (1, 1, 1, 1))[0]
    rows = records(followup_models.equal_variance(endpoint_of(scores, ARMS, SESSIONS)))
    assert [row["method"].split(";")[0] for row in rows] == ["fewer than 3 participants in an arm"] * 3 + [
        "ratio of variances"
    ]
    same = [{**row, "cue_elicited": 5.0} for row in scattered(np.random.default_rng(34), 5, (1, 1, 1, 1))[0]]
    rows = records(followup_models.equal_variance(endpoint_of(same, ARMS, SESSIONS)))
    assert [row["method"] for row in rows] == ["no variation"] * 4
    assert all(row.get("p") is None for row in rows)
