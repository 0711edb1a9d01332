"""Endpoints of two values against R's glm (tests/unit/reference/endpoint_binary.R)."""

import json
import math
from pathlib import Path

import measured
import pytest
from pharmasl.endpoints import measure_models, measure_sensitivity
from scipy import stats

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "endpoint_binary.json").read_text())


def _rows(arms, scores, module="models", columns=None, **changes):
    data = measured.measured(arms, [[0, value] for value in scores], **(columns or {}))
    question = measured.endpoint(kind="binary", **changes).question
    if module == "models":
        return measure_models.answers(question, data, "scores.tsv")
    return measure_sensitivity.alternatives(question, data, "scores.tsv")


def _of(rows, analysis, **values):
    return next(
        row for row in rows if row.analysis == analysis and all(getattr(row, k) == v for k, v in values.items())
    )


def test_the_odds_ratio_and_standardised_risks_are_those_of_r():
    columns = {name: REFERENCE[name] for name in ("stratum", "age")}
    rows = _rows(REFERENCE["arm"], REFERENCE["score"], columns=columns, strata=["stratum"], covariates=["age"])
    test = _of(rows, "test")
    assert (test.term, test.n, test.left_out) == ("baclofen - placebo", 57, "sub-07, sub-18, sub-31")
    assert [test.estimate, test.se, test.t, test.p] == pytest.approx(REFERENCE["logit"], rel=1e-6)
    assert _of(rows, "ratio").estimate == pytest.approx(math.exp(test.estimate))
    # R's derivatives are numerical.
    difference = _of(rows, "risk_difference")
    assert [difference.estimate, difference.se] == pytest.approx(REFERENCE["risks"]["difference"], rel=1e-6)
    for arm in ("placebo", "baclofen"):
        risk = _of(rows, "adjusted_mean", arm=arm)
        assert [risk.estimate, risk.se] == pytest.approx(REFERENCE["risks"][arm], rel=1e-6)


def test_without_covariates_it_is_the_two_by_two_table():
    """20 of 30 against 9 of 30: the likelihood ratio of the table, the plain difference of proportions."""
    scores = [1] * 20 + [0] * 10 + [1] * 9 + [0] * 21
    rows = _rows(["baclofen"] * 30 + ["placebo"] * 30, scores)
    g = stats.chi2_contingency([[20, 10], [9, 21]], correction=False, lambda_="log-likelihood")
    assert _of(rows, "test").p == pytest.approx(g.pvalue)
    assert _of(rows, "ratio").estimate == pytest.approx(20 * 21 / (10 * 9))
    difference = _of(rows, "risk_difference")
    se = math.sqrt(20 / 30 * 10 / 30 / 30 + 9 / 30 * 21 / 30 / 30)
    assert [difference.estimate, difference.se] == pytest.approx([11 / 30, se])


def test_missing_scores_are_counted_as_declared():
    scores = [1] * 6 + [0] * 3 + [None] + [1] * 2 + [0] * 6 + [None] * 2
    rows = _rows(["baclofen"] * 10 + ["placebo"] * 10, scores, "sensitivity", missing={"counted_as": 0})
    assert [row.analysis for row in rows] == ["model", "missing_counted"]
    counted = _rows(["baclofen"] * 10 + ["placebo"] * 10, [value or 0 for value in scores])
    assert rows[1].estimate == pytest.approx(_of(counted, "test").estimate)
    assert (rows[1].imputed, rows[1].n) == (3, 20)


def test_outcomes_that_the_arm_separates_have_no_estimate():
    test = _of(_rows(["baclofen"] * 6 + ["placebo"] * 6, [1] * 6 + [0] * 6), "test")
    assert math.isnan(test.p)
    assert "separate the outcomes" in test.method
