"""The random-intercept model against lmerTest, closed forms and a plain evaluation of the restricted likelihood."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from loading import shared_data
from pharmasl.statistics import mixed_model
from scipy import stats

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "random_intercept.json").read_text())


def layout(group, covariate, missing, model):
    """Design rows (subject-major), subjects, kept (subject, session) pairs and the interaction's weights."""
    missing = {tuple(pair) for pair in missing}
    kept = [(s, t) for s in range(len(group)) for t in (0, 1) if (s, t) not in missing]
    subject, session = np.array(kept).T
    columns = [np.ones(len(kept)), group[subject], session, group[subject] * session]
    if model == "cov":
        columns += [covariate[subject], covariate[subject] * session]
    return np.column_stack(columns), subject, kept, [0, 0, 0, 1] + [0] * (len(columns) - 4)


def check_against(fits, model, test):
    """Tolerances: what lme4's optimiser leaves in its own numbers (about 1e-7 relative, 1e-6 in df)."""

    def stored(name):
        return np.array([float(fit[name]) for fit in fits])

    np.testing.assert_allclose(test.estimate, stored("estimate"), rtol=5e-7)
    np.testing.assert_allclose(test.se, stored("se"), rtol=5e-8)
    np.testing.assert_allclose(test.t, stored("t"), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(test.df, stored("df_satterthwaite"), atol=1e-6)
    np.testing.assert_allclose(test.p, stored("p_satterthwaite"), rtol=5e-7)
    np.testing.assert_allclose(model.residual_variance, stored("var_residual"), rtol=1e-7)
    np.testing.assert_allclose(model.subject_variance, stored("var_subject"), atol=1e-5)
    np.testing.assert_allclose(model.log_likelihood, stored("reml_loglik"), atol=1e-9)
    # An exact optimum cannot be below one that an optimiser found (stored with 12 digits, so to 5e-10).
    assert (model.log_likelihood - stored("reml_loglik") > -6e-10).all()


@pytest.mark.parametrize("case", ["complete", "incomplete"])
@pytest.mark.parametrize("form", ["plain", "cov"])
def test_stored_lmertest_fits(case, form):
    fits = [fit for fit in REFERENCE["fits"] if (fit["case"], fit["model"]) == (case, form)]
    group, age = np.array(REFERENCE["group"]), np.array(REFERENCE["age"])
    age = (age - age.mean()) / age.std(ddof=1)
    missing = REFERENCE["missing"] if case == "incomplete" else []
    design, subject, kept, weights = layout(group, age, missing, form)
    responses = np.array(REFERENCE["responses"])
    response = np.array([responses[:, s, t] for s, t in kept])
    model = mixed_model.fit(design, response, subject)
    check_against(fits, model, mixed_model.contrast(model, weights))
    assert model.boundary.tolist() == [fit["singular"] for fit in fits]
    assert any(model.boundary)
    assert not all(model.boundary)


@pytest.mark.parametrize("case", ["complete", "incomplete"])
@pytest.mark.parametrize("form", ["plain", "cov"])
def test_all_sixty_lmertest_fits(case, form):
    folder = shared_data("reference", "group-stats")
    with open(folder / "small_reference" / "lme.tsv", encoding="utf-8") as file:
        fits = [r for r in csv.DictReader(file, delimiter="\t") if (r["case"], r["model"]) == (case, form)]
    assert len(fits) == 60
    data = np.load(folder / "small" / "data.npz")
    covariate = data["covariates"][:, 0]
    covariate = (covariate - covariate.mean()) / covariate.std(ddof=1)
    missing = data["missing"] if case == "incomplete" else []
    design, subject, kept, weights = layout(data["drug"], covariate, missing, form)
    voxels = [int(fit["voxel"]) for fit in fits]
    response = np.array([data["Y"][s, t, voxels] for s, t in kept], dtype=np.float64)
    model = mixed_model.fit(design, response, subject)
    check_against(fits, model, mixed_model.contrast(model, weights))
    assert model.boundary.tolist() == [fit["singular"] == "1" for fit in fits]


def simulate(rng, n=(21, 22), between=8.0, within=6.0, responses=1):
    group = np.r_[np.ones(n[0]), np.zeros(n[1])]
    subject = np.repeat(np.arange(sum(n)), 2)
    session = np.tile([0.0, 1.0], sum(n))
    effect = rng.normal(50, between, (sum(n), responses))
    response = (
        effect[subject] + rng.normal(0, within, (2 * sum(n), responses)) - 5 * (group[subject] * session)[:, None]
    )
    design = np.column_stack([np.ones(len(subject)), group[subject], session, group[subject] * session])
    return design, response, subject, group


def test_complete_data_give_the_two_sample_t_on_differences():
    design, response, subject, group = simulate(np.random.default_rng(3), responses=200)
    model = mixed_model.fit(design, response, subject)
    test = mixed_model.contrast(model, [0, 0, 0, 1])
    change = response[1::2] - response[::2]
    expected = stats.ttest_ind(change[group == 1], change[group == 0])
    inner = ~model.boundary
    assert inner.sum() > 190
    np.testing.assert_allclose(test.t[inner], expected.statistic[inner], rtol=1e-9)
    np.testing.assert_allclose(test.p[inner], expected.pvalue[inner], rtol=1e-8)
    np.testing.assert_allclose(test.df[inner], 41, atol=1e-8)
    interval = expected.confidence_interval()
    np.testing.assert_allclose(test.ci_low[inner], interval.low[inner], rtol=1e-8)
    np.testing.assert_allclose(test.ci_high[inner], interval.high[inner], rtol=1e-8)


def test_boundary_is_ordinary_least_squares_and_reported():
    # Sessions anti-correlated within subjects: no between-subject variance can fit that.
    rng = np.random.default_rng(5)
    design, response, subject, _ = simulate(rng, between=0.0)
    shift = rng.normal(0, 5, len(response) // 2)
    response[::2, 0] += shift
    response[1::2, 0] -= shift
    model = mixed_model.fit(design, response, subject)
    assert model.boundary[0]
    assert model.subject_variance[0] == 0
    coefficients, residual, *_ = np.linalg.lstsq(design, response[:, 0])
    variance = residual[0] / (len(response) - 4)
    test = mixed_model.contrast(model, [0, 0, 0, 1]).single()
    np.testing.assert_allclose(test.estimate, coefficients[3], rtol=1e-10)
    np.testing.assert_allclose(test.se, np.sqrt(variance * np.linalg.inv(design.T @ design)[3, 3]), rtol=1e-10)
    assert test.df == len(response) - 4


def restricted_deviance(design, response, member, subject_variance, residual_variance):
    """Straight from the definition, with the full covariance matrix."""
    covariance = residual_variance * np.eye(len(response)) + subject_variance * member @ member.T
    inverse = np.linalg.inv(covariance)
    information = design.T @ inverse @ design
    coefficients = np.linalg.solve(information, design.T @ inverse @ response)
    residual = response - design @ coefficients
    n, p = design.shape
    return (
        np.linalg.slogdet(covariance)[1]
        + np.linalg.slogdet(information)[1]
        + residual @ inverse @ residual
        + (n - p) * np.log(2 * np.pi)
    )


def test_unbalanced_counts_against_the_definition():
    """One to four observations a subject: likelihood, stationarity and the Satterthwaite df by finite differences."""
    rng = np.random.default_rng(11)
    subject = np.repeat(np.arange(12), [1, 4, 2, 3, 2, 2, 4, 1, 3, 2, 4, 2])
    n = len(subject)
    design = np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, n)])
    response = rng.normal(0, 2, 12)[subject] + rng.normal(size=n) + design @ [1.0, 2.0, -1.0]
    member = (subject[:, None] == np.arange(12)).astype(float)
    model = mixed_model.fit(design, response, subject)
    theta = np.array([model.subject_variance[0], model.residual_variance[0]])
    assert not model.boundary[0]

    def deviance(theta):
        return restricted_deviance(design, response, member, *theta)

    assert -2 * model.log_likelihood[0] == pytest.approx(deviance(theta), abs=1e-9)
    for _ in range(200):
        assert deviance(theta * np.exp(rng.normal(0, 0.5, 2))) >= deviance(theta) - 1e-10

    weights = np.array([0.0, 1.0, 1.0])

    def variance(theta):
        covariance = theta[1] * np.eye(n) + theta[0] * member @ member.T
        return weights @ np.linalg.solve(design.T @ np.linalg.inv(covariance) @ design, weights)

    step = 1e-3 * theta
    unit = np.diag(step)
    gradient = np.array([(variance(theta + u) - variance(theta - u)) / (2 * u.max()) for u in unit])
    hessian = np.array(
        [
            [
                (deviance(theta + u + v) - deviance(theta + u - v) - deviance(theta - u + v) + deviance(theta - u - v))
                / (4 * u.max() * v.max())
                for v in unit
            ]
            for u in unit
        ]
    )
    df = 2 * variance(theta) ** 2 / (gradient @ (2 * np.linalg.inv(hessian)) @ gradient)
    test = mixed_model.contrast(model, weights).single()
    assert test.df == pytest.approx(df, rel=1e-4)
    assert test.se == pytest.approx(np.sqrt(variance(theta)), rel=1e-10)
    assert test.p == pytest.approx(2 * stats.t.sf(abs(test.t), test.df), rel=1e-10)


def test_many_responses_equal_one_at_a_time_and_order_is_free():
    design, response, subject, _ = simulate(np.random.default_rng(8), responses=6)
    keep = np.delete(np.arange(len(subject)), [3, 10, 31])
    together = mixed_model.contrast(mixed_model.fit(design[keep], response[keep], subject[keep]), [0, 0, 0, 1])
    shuffled = np.random.default_rng(0).permutation(keep)
    for k in range(6):
        alone = mixed_model.contrast(
            mixed_model.fit(design[shuffled], response[shuffled, k], [f"sub-{s}" for s in subject[shuffled]]),
            [0, 0, 0, 1],
        ).single()
        assert isinstance(alone.t, float)
        assert alone.t == pytest.approx(together.t[k], rel=1e-9)
        assert alone.df == pytest.approx(together.df[k], rel=1e-7)


def test_scale_and_shift_of_the_response_change_nothing():
    design, response, subject, _ = simulate(np.random.default_rng(9))
    one = mixed_model.contrast(mixed_model.fit(design, response, subject), [0, 0, 0, 1]).single()
    two = mixed_model.contrast(mixed_model.fit(design, 1e-4 * response + 3, subject), [0, 0, 0, 1]).single()
    assert two.t == pytest.approx(one.t, rel=1e-7)
    assert two.df == pytest.approx(one.df, rel=1e-6)


def test_no_residual_variation_has_no_test():
    design, response, subject, _ = simulate(np.random.default_rng(2))
    response[1::2] = response[::2] + 3
    model = mixed_model.fit(design, response, subject)
    assert model.degenerate[0]
    assert np.isnan(mixed_model.contrast(model, [0, 0, 0, 1]).single().t)


def test_refusals():
    design, response, subject, _ = simulate(np.random.default_rng(2))
    with pytest.raises(ValueError, match="do not match"):
        mixed_model.fit(design, response[:-1], subject)
    with pytest.raises(ValueError, match="finite"):
        mixed_model.fit(design, np.where(response > 60, np.nan, response), subject)
    with pytest.raises(ValueError, match="dependent"):
        mixed_model.fit(np.column_stack([design, design[:, 1]]), response, subject)
    with pytest.raises(ValueError, match="variances within and between"):
        mixed_model.fit(design, response, np.arange(len(subject)))


@pytest.mark.parametrize("case", ["complete", "incomplete"])
@pytest.mark.parametrize("form", ["plain", "cov"])
def test_kenward_roger_is_pbkrtests(case, form):
    folder = shared_data("reference", "group-stats")
    with open(folder / "small_reference" / "lme.tsv", encoding="utf-8") as file:
        fits = [r for r in csv.DictReader(file, delimiter="\t") if (r["case"], r["model"]) == (case, form)]
    data = np.load(folder / "small" / "data.npz")
    covariate = data["covariates"][:, 0]
    covariate = (covariate - covariate.mean()) / covariate.std(ddof=1)
    missing = data["missing"] if case == "incomplete" else []
    design, subject, kept, weights = layout(data["drug"], covariate, missing, form)
    voxels = [int(fit["voxel"]) for fit in fits]
    response = np.array([data["Y"][s, t, voxels] for s, t in kept], dtype=np.float64)
    model = mixed_model.fit(design, response, subject)
    test = mixed_model.kenward_roger(model, design, subject, weights)

    def stored(name):
        return np.array([float(fit[name]) for fit in fits])

    np.testing.assert_allclose(test.se, stored("se_kr"), rtol=1e-6)
    np.testing.assert_allclose(test.df, stored("df_kr"), rtol=1e-6)
    np.testing.assert_allclose(test.t, stored("t_kr"), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(test.p, stored("p_kr"), rtol=1e-6)
    # A single response gives numbers, not arrays.
    one = mixed_model.kenward_roger(mixed_model.fit(design, response[:, 7], subject), design, subject, weights).single()
    assert one.p == pytest.approx(test.p[7], rel=1e-12)
