"""Mixed models of incomplete trials against lme4, lmerTest and pbkrtest: t and F, on and off the boundary."""

import json
from pathlib import Path

import numpy as np
import pytest
from pharmasl.statistics import mixed_f_tests, mixed_model

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mixed_models.json").read_text())
CASES = ("visits", "arms", "constrained", "crossover")


def fitted(name):
    case = REFERENCE[name]
    design, response = np.array(case["design"]), np.array(case["responses"]).T
    model = mixed_model.fit(design, response, case["participants"])

    def stored(key):
        return np.array([fit[key] for fit in case["fits"]], dtype=float)

    return case, design, model, stored


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_t_tests_are_lme4s(name):
    case, design, model, stored = fitted(name)
    np.testing.assert_allclose(model.coefficients.T, stored("coefficients"), rtol=1e-6, atol=1e-6)
    variances = np.column_stack([model.subject_variance, model.residual_variance])
    np.testing.assert_allclose(variances, stored("variances"), rtol=2e-6, atol=2e-5)
    np.testing.assert_allclose(model.log_likelihood, stored("log_likelihood"), atol=1e-8)
    assert model.boundary.tolist() == [fit["singular"] for fit in case["fits"]]
    for k, unit in enumerate(np.eye(design.shape[1])):
        plain = mixed_model.contrast(model, unit)
        corrected = mixed_model.kenward_roger(model, design, case["participants"], unit)
        np.testing.assert_allclose(plain.se, stored("se")[:, k], rtol=1e-6)
        np.testing.assert_allclose(plain.df, stored("df")[:, k], rtol=1e-5)
        np.testing.assert_allclose(corrected.se, stored("se_kr")[:, k], rtol=1e-5)
        np.testing.assert_allclose(corrected.df, stored("df_kr")[:, k], rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_joint_tests_are_pbkrtests_and_lmertests(name):
    case, design, model, stored = fitted(name)
    weights = np.eye(design.shape[1])[case["tested"]]
    plain = mixed_f_tests.satterthwaite(model, weights)
    np.testing.assert_allclose(plain.f, stored("f"), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(plain.df2, stored("df2"), rtol=1e-5)
    corrected = mixed_f_tests.kenward_roger(model, design, case["participants"], weights)
    np.testing.assert_allclose(corrected.f, stored("f_kr"), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(corrected.df2, stored("df2_kr"), rtol=1e-5)
    np.testing.assert_allclose(corrected.p, stored("p_kr"), rtol=1e-5)
    assert corrected.df1 == len(case["tested"])


def test_one_contrast_is_the_square_of_its_t():
    case, design, model, _ = fitted("visits")
    weights = np.array([[0, 0, 0, 0, 1, 0.5]])
    t = mixed_model.kenward_roger(model, design, case["participants"], weights[0])
    f = mixed_f_tests.kenward_roger(model, design, case["participants"], weights)
    np.testing.assert_allclose(f.f, t.t**2, rtol=1e-8)
    np.testing.assert_allclose(f.df2, t.df, rtol=1e-8)
    np.testing.assert_allclose(f.p, t.p, rtol=1e-8)
    t, f = mixed_model.contrast(model, weights[0]), mixed_f_tests.satterthwaite(model, weights)
    np.testing.assert_allclose(f.f, t.t**2, rtol=1e-8)
    np.testing.assert_allclose(f.df2, t.df, rtol=1e-8)


def test_a_joint_test_does_not_depend_on_how_its_contrasts_are_written():
    case, design, model, _ = fitted("arms")
    weights = np.eye(design.shape[1])[case["tested"]]
    mixing = np.random.default_rng(3).normal(size=(len(weights), len(weights)))
    for test in (
        lambda rows: mixed_f_tests.kenward_roger(model, design, case["participants"], rows),
        lambda rows: mixed_f_tests.satterthwaite(model, rows),
    ):
        one, other = test(weights), test(mixing @ weights)
        np.testing.assert_allclose(other.f, one.f, rtol=1e-7)
    np.testing.assert_allclose(
        mixed_f_tests.kenward_roger(model, design, case["participants"], mixing @ weights).df2,
        mixed_f_tests.kenward_roger(model, design, case["participants"], weights).df2,
        rtol=1e-7,
    )


def test_a_degenerate_response_has_no_test():
    case, design, _, _ = fitted("visits")
    response = np.array(case["responses"]).T.copy()
    response[:, 1] = 50
    model = mixed_model.fit(design, response, case["participants"])
    weights = np.eye(design.shape[1])[case["tested"]]
    for test in (
        mixed_f_tests.kenward_roger(model, design, case["participants"], weights),
        mixed_f_tests.satterthwaite(model, weights),
    ):
        assert np.isnan(test.p).tolist() == [False, True, False, False, False]
