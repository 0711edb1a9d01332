"""Random slopes against lme4 and pbkrtest, and against the random intercept where there is one observation too few."""

import json
from pathlib import Path

import numpy as np
import pytest
from pharmasl.statistics import mixed_model, random_slopes

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mixed_models.json").read_text())["slopes"]
DESIGN, PEOPLE = np.array(REFERENCE["design"]), np.array(REFERENCE["participants"])
WEEK = DESIGN[:, 2]


@pytest.mark.parametrize("number", range(3))
def test_fits_and_tests_are_lme4s_and_pbkrtests(number):
    stored = REFERENCE["fits"][number]
    model = random_slopes.fit(DESIGN, REFERENCE["responses"][number], PEOPLE, WEEK)
    assert model.singular is stored["singular"]
    np.testing.assert_allclose(model.coefficients, stored["coefficients"], rtol=2e-6, atol=1e-6)
    assert model.log_likelihood == pytest.approx(stored["log_likelihood"], abs=1e-7)
    # An optimum cannot be below one that another optimiser found.
    assert model.log_likelihood > stored["log_likelihood"] - 1e-8
    variances = [model.covariance[0, 0], model.covariance[1, 1], model.covariance[0, 1], model.residual_variance]
    np.testing.assert_allclose(variances, stored["variances"], rtol=2e-4)
    weights = np.eye(4)[REFERENCE["tested"]]
    test = random_slopes.kenward_roger(model, weights)
    assert test.f[0] == pytest.approx(stored["f_kr"], rel=1e-4)
    assert test.df2[0] == pytest.approx(stored["df2_kr"], rel=1e-4)
    assert test.p[0] == pytest.approx(stored["p_kr"], rel=1e-4)
    for k, unit in enumerate(np.eye(4)):
        t = random_slopes.contrast(model, unit)
        assert t.se == pytest.approx(stored["se_kr"][k], rel=1e-4)
        assert t.df == pytest.approx(stored["df_kr"][k], rel=1e-4)
    joint = random_slopes.kenward_roger(model, np.eye(4)[[1, 3]])
    assert joint.df1 == 2
    assert 0 < joint.p[0] < 1


def test_the_scale_and_unit_of_a_slope_change_nothing():
    one = random_slopes.fit(DESIGN, REFERENCE["responses"][0], PEOPLE, WEEK)
    days = DESIGN * [1, 1, 7, 7]
    other = random_slopes.fit(days, 100 * np.array(REFERENCE["responses"][0]) + 5, PEOPLE, days[:, 2])
    first, second = (random_slopes.contrast(model, np.eye(4)[3]) for model in (one, other))
    assert second.t == pytest.approx(first.t, rel=1e-7)
    assert second.df == pytest.approx(first.df, rel=1e-6)


def test_without_slopes_that_vary_the_fit_is_that_of_the_random_intercept():
    """Slopes that all subjects share: G has a slope variance of 0, and the likelihood is the random intercept's."""
    rng = np.random.default_rng(3)
    response = rng.normal(40, 6, PEOPLE.max() + 1)[PEOPLE] + rng.normal(0, 3, len(PEOPLE))
    intercept = mixed_model.fit(DESIGN, response, PEOPLE)
    model = random_slopes.fit(DESIGN, response, PEOPLE, WEEK)
    assert model.log_likelihood >= intercept.log_likelihood[0] - 1e-9
    if model.singular:
        assert model.log_likelihood - intercept.log_likelihood[0] < 2


def test_what_cannot_be_fitted_is_refused():
    response = np.array(REFERENCE["responses"][0])
    with pytest.raises(ValueError, match="finite"):
        random_slopes.fit(DESIGN, np.where(response > 45, np.nan, response), PEOPLE, WEEK)
    with pytest.raises(ValueError, match="dependent"):
        random_slopes.fit(np.column_stack([DESIGN, DESIGN[:, 1]]), response, PEOPLE, WEEK)
    with pytest.raises(ValueError, match="40 subjects"):
        random_slopes.fit(DESIGN, response, PEOPLE[:40], WEEK)
    twice = np.flatnonzero(np.isin(WEEK, [0, 1]))
    with pytest.raises(ValueError, match="too few"):
        random_slopes.fit(DESIGN[twice], response[twice], PEOPLE[twice], WEEK[twice])
