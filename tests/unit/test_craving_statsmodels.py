"""Craving statistics against statsmodels (the only test file that pays for its import)."""

import math

import numpy as np
import pytest
from pharmasl import mixed_model
from pharmasl.craving import correlations, models

sm = pytest.importorskip("statsmodels.api")
MixedLM = pytest.importorskip("statsmodels.regression.mixed_linear_model")
multitest = pytest.importorskip("statsmodels.stats.multitest")


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


def test_ancova_is_ordinary_least_squares():
    rng = np.random.default_rng(2)
    arm = np.array(["a"] * 12 + ["b"] * 15)
    before = rng.normal(20, 8, 27)
    after = 5 + 0.6 * before - 7 * (arm == "a") + rng.normal(0, 4, 27)
    scores = [
        {"participant_id": f"sub-{k}", "arm": arm[k], "session": session, "cue_elicited": float(value[k])}
        for k in range(27)
        for session, value in (("T1", before), ("T2", after))
    ]
    rows = models.ancova(scores, {"treatment": "a", "control": "b"}, {"baseline": "T1", "followup": "T2"})
    design = np.column_stack([np.ones(27), arm == "a", before - before.mean()]).astype(float)
    fit = sm.OLS(after, design).fit()
    interval = fit.conf_int()
    for k, row in enumerate(rows):
        assert row["estimate"] == pytest.approx(fit.params[k], rel=1e-10)
        assert row["se"] == pytest.approx(fit.bse[k], rel=1e-10)
        assert row["p"] == pytest.approx(fit.pvalues[k], rel=1e-8)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(interval[k]), rel=1e-9)
        assert (row["df"], row["n"]) == (24, 27)


@pytest.mark.parametrize("seed", range(5))
def test_corrections_for_multiplicity(seed):
    rng = np.random.default_rng(seed)
    p = np.round(rng.uniform(0, 1, 13) ** 3, 3)
    p[4] = p[7]
    for method, ours in (("holm", correlations.holm), ("fdr_bh", correlations.benjamini_hochberg)):
        expected = multitest.multipletests(p, method=method)[1]
        np.testing.assert_allclose(ours(p), expected, rtol=1e-12)
        # A p that is n/a takes no part in the correction of the others.
        with_missing = ours(np.insert(p, 3, math.nan))
        np.testing.assert_allclose(np.delete(with_missing, 3), expected, rtol=1e-12)
        assert math.isnan(with_missing[3])


def test_partial_correlation_p_is_the_regression_slope_p():
    """The t test of a partial correlation equals that of the slope in the full regression."""
    rng = np.random.default_rng(5)
    arm = (np.arange(40) < 18).astype(float)
    age = rng.normal(40, 9, 40)
    x = rng.normal(size=40) + arm + 0.05 * age
    y = 0.5 * x - 2 * arm + 0.1 * age + rng.normal(size=40)
    nuisance = np.vstack([arm, age])
    r = float(correlations.partial_correlation(x, y, nuisance))
    fit = sm.OLS(y, np.column_stack([np.ones(40), x, arm, age])).fit()
    assert correlations.t_p_value(r, 36) == pytest.approx(fit.pvalues[1], rel=1e-9)
    assert r == pytest.approx(fit.tvalues[1] / math.sqrt(fit.tvalues[1] ** 2 + 36), rel=1e-9)
