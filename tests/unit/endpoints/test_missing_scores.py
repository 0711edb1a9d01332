"""Missing scores of an endpoint: imputation, delta and the tipping point against closed forms."""

import measured
import numpy as np
import pytest
from pharmasl.endpoints import measure_fits, measure_imputation, measure_models, measure_sensitivity
from pharmasl.endpoints.measure_imputation import Completed
from pharmasl.statistics import multiple_imputation
from scipy import optimize, stats
from statsmodels.regression.linear_model import OLS


def _trial(seed, n=40, effect=-4.0, lost=(3, 7, 12, 20, 27)):
    rng = np.random.default_rng(seed)
    arms = ["baclofen", "placebo"] * (n // 2)
    baseline = rng.normal(20, 5, n)
    followup = 5 + 0.7 * baseline + rng.normal(0, 3, n) + effect * (np.array(arms) == "baclofen")
    pairs = [[a, None if k in lost else b] for k, (a, b) in enumerate(zip(baseline, followup))]
    return measured.measured(arms, pairs)


def _rows(data, **changes):
    rows = measure_sensitivity.alternatives(measured.endpoint(**changes).question, data, "scores.tsv")
    return rows, {row.analysis: row for row in rows}


@pytest.mark.parametrize("variance", ["equal", "robust"])
def test_many_responses_are_tested_as_statsmodels_tests_each(variance):
    rng = np.random.default_rng(1)
    design, responses = np.column_stack([np.ones(15), rng.normal(size=(15, 2))]), rng.normal(size=(15, 3))
    weights = np.array([0, 1.0, -1])
    tests = measure_fits.contrasts(design, responses, weights, participants=None, variance=variance)
    for k, response in enumerate(responses.T):
        fit = OLS(response, design).fit()
        fit = fit.get_robustcov_results("HC3", use_t=True) if variance == "robust" else fit
        one = fit.t_test(weights)
        assert (tests.estimate[k], tests.se[k], tests.p[k]) == pytest.approx(
            (one.effect.item(), one.sd.item(), one.pvalue.item())
        )


def test_a_variance_for_each_arm_without_covariates_is_welchs_test():
    data = _trial(9)
    rows, _ = _rows(data, model="followup ~ arm", variance="by_arm", missing={"imputations": 5})
    by_arm = {
        arm: [
            score
            for who in data.people
            if data.people[who]["arm"] == arm and (score := data.score(who, "T2")) is not None
        ]
        for arm in ("baclofen", "placebo")
    }
    welch = stats.ttest_ind(by_arm["baclofen"], by_arm["placebo"], equal_var=False)
    assert (rows[0].t, rows[0].df, rows[0].p) == pytest.approx((welch.statistic, welch.df, welch.pvalue))
    imputed = next(row for row in rows if row.analysis == "multiple_imputation")
    assert imputed.p == pytest.approx(rows[0].p, abs=0.05)


def test_the_declared_model_stands_first_and_alternatives_beside_it():
    data = _trial(2)
    rows, by_name = _rows(data, missing={"imputations": 200, "deltas": [2, 4]})
    assert [row.analysis for row in rows][:6] == [
        "model",
        "other_variance",
        "other_variance",
        "mixed_model",
        "multiple_imputation",
        "delta",
    ]
    answer = measure_models.answers(measured.endpoint().question, data, "scores.tsv")[0]
    assert (by_name["model"].estimate, by_name["model"].p) == (answer.estimate, answer.p)
    assert by_name["multiple_imputation"].imputed == 5
    assert by_name["multiple_imputation"].n == 40
    # Follow-ups missing at random given arm and baseline, both in the model: imputing them adds nothing but noise.
    assert by_name["multiple_imputation"].estimate == pytest.approx(answer.estimate, abs=0.25 * answer.se)
    assert by_name["mixed_model"].estimate == pytest.approx(answer.estimate, abs=2 * answer.se)


def test_an_estimate_moves_by_the_share_of_imputed_scores_times_delta():
    """Of a model of the arm alone: with 3 of 20 treated follow-ups imputed, by exactly delta times 3 / 20."""
    rows, _ = _rows(_trial(3, lost=(2, 8, 20)), model="followup ~ arm", missing={"imputations": 20, "deltas": [2, 10]})
    base = next(row for row in rows if row.analysis == "multiple_imputation")
    for row in (row for row in rows if row.analysis == "delta"):
        assert row.estimate - base.estimate == pytest.approx(row.delta * 3 / 20, rel=1e-9)


def test_the_tipping_delta_is_that_of_its_closed_form():
    """Two arms, no covariates, scores of one arm missing: the expected variances of infinitely many imputations."""
    rng = np.random.default_rng(4)
    seen, control, lost = rng.normal(-2.2, 2, 15), rng.normal(0, 2, 20), 5
    n = len(seen) + lost
    treated = np.r_[np.ones(n), np.zeros(20)]
    values = np.r_[seen, np.full(lost, np.nan), control][:, None]
    design = np.column_stack([np.ones(n + 20), treated])
    draws = multiple_imputation.impute(values, design, np.random.default_rng(5), 4000)
    completed = Completed(
        designs=(design,),
        responses=draws[:, :, 0].T,
        shifted=np.isnan(values[:, 0]).astype(float),
        weights=np.array([0.0, 1.0]),
        participants=None,
        variance="equal",
        arms=(),
        level=0.95,
        people=n + 20,
        imputed=lost,
    )
    squares = ((seen - seen.mean()) ** 2).sum() + ((control - control.mean()) ** 2).sum()
    df = len(seen) + 20 - 2
    drawn = squares / (df - 2)  # expected residual variance of a draw
    between = drawn * lost / (n * len(seen))

    def excess(delta):
        apart = drawn * (1 / len(seen) + 1 / lost) + delta**2
        own = squares + (lost - 1) * drawn + len(seen) * lost / n * apart
        within = own / (n + 20 - 2) * (1 / n + 1 / 20)
        total = within + between
        complete = n + 20 - 2
        own_df = (complete + 1) / (complete + 3) * complete * (1 - between / total)
        estimate = seen.mean() - control.mean() + delta * lost / n
        return abs(estimate) / np.sqrt(total) - stats.t.ppf(0.975, own_df)

    assert excess(0) > 0
    expected = optimize.brentq(excess, 0, 8)
    down, up = measure_imputation.tipping_points(completed.pooled, [-2, 2, 4, 6, 8], 0.05)
    assert (down.delta, down.farthest) == (None, -2)
    # The imputations are 4000: the error of their mean is a sixtieth of the root of the variance between them.
    assert up.delta == pytest.approx(expected, abs=4 * np.sqrt(between / 4000) * n / lost)
    assert completed.pooled(up.delta).p == pytest.approx(0.05, abs=1e-4)


def test_without_missing_scores_nothing_is_imputed():
    _, by_name = _rows(_trial(5, lost=()), missing={"deltas": [1]})
    assert by_name["multiple_imputation"].method == "no score is missing"
    assert "tipping_point" not in by_name


def test_missing_baselines_are_imputed_too():
    data = _trial(6)
    del data.scores["sub-01", "T1"], data.scores["sub-02", "T1"]
    _, by_name = _rows(data, missing={"imputations": 10})
    assert (by_name["multiple_imputation"].imputed, by_name["multiple_imputation"].n) == (7, 40)


def test_a_mixed_model_is_imputed_and_tips():
    data = _trial(7)
    changes = {"model": "score ~ arm * session + (1 | participant)", "test": "arm:session"}
    rows, by_name = _rows(data, **changes, missing={"imputations": 20, "deltas": [5, 40]})
    assert [row.analysis for row in rows] == ["model", "multiple_imputation", "delta", "delta", "tipping_point"]
    assert 0 < by_name["tipping_point"].delta <= 40
    assert by_name["model"].significant != rows[3].significant
