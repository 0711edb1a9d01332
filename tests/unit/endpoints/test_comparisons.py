"""Comparisons of the arms by one contrast a participant, against R's mixed models, t tests and planted covariances."""

import json
import math
from pathlib import Path

import complete_settings
import numpy as np
import pytest
from pharmasl.conduct import answers
from pharmasl.endpoints import comparisons, mixed_models, models
from scipy import stats
from scored import endpoint_of, records

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms(treatment="drug")
REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "three_factors.json").read_text())


def scores_of(ratings, n):
    """Rows of craving scores from ratings of shape (people, session, occasion), NaN where missing."""
    rows = []
    for k, own in enumerate(ratings):
        for s, session in enumerate(("T1", "T2")):
            before, after = (None if math.isnan(v) else float(v) for v in own[s])
            rows.append(
                {
                    "participant_id": f"sub-{k:02d}",
                    "arm": "drug" if k < n[0] else "placebo",
                    "session_id": session,
                    "before": before,
                    "after": after,
                    "cue_elicited": None if None in (before, after) else after - before,
                }
            )
    return rows


def by_term(rows):
    return {row["term"]: row for row in rows}


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=["12 v 12", "9 v 15"])
def test_the_double_difference_is_that_of_the_mixed_model_with_all_variances(case):
    """Complete data: lme4's model with participant by session and by occasion, in each arm, gives the same numbers."""
    n = case["n"]
    rows = by_term(
        records(comparisons.ratings(endpoint_of(scores_of(np.reshape(case["ratings"], (-1, 2, 2)), n), ARMS, SESSIONS)))
    )
    assert len(rows) == 8
    drug, placebo = (case[name]["session:occasion"] for name in ("drug", "placebo"))
    own = rows["session:occasion"]
    names = ("estimate", "se", "df", "t", "p")
    # lme4's optimiser leaves its standard errors right to about six digits; t.test below has all of them.
    assert [own[name] for name in names] == pytest.approx(placebo, rel=5e-6)
    # The likelihood with variances by arm splits: the arms' difference is that of the two fits.
    row = rows["arm:session:occasion"]
    assert row["estimate"] == pytest.approx(drug[0] - placebo[0], rel=1e-6)
    assert row["se"] == pytest.approx(math.hypot(drug[1], placebo[1]), rel=5e-6)
    assert row["df"] == pytest.approx(
        row["se"] ** 4 / (drug[1] ** 4 / drug[2] + placebo[1] ** 4 / placebo[2]), rel=2e-5
    )
    assert [row[name] for name in ("t", "df", "p")] == pytest.approx(case["welch"], rel=1e-9)
    assert row["variance_ratio"] == pytest.approx(drug[1] ** 2 * n[0] / (placebo[1] ** 2 * n[1]), rel=1e-5)
    if n[0] == n[1]:
        # Equal sizes: also with one covariance for both arms, but for the degrees of freedom.
        together = case["both"]["arm:session:occasion"]
        assert [row[name] for name in ("estimate", "se", "t")] == pytest.approx(
            [together[k] for k in (0, 1, 3)], rel=5e-6
        )


def test_every_term_is_the_t_test_of_its_contrast_and_names_who_is_left_out():
    rng = np.random.default_rng(2)
    n = (9, 14)
    ratings = rng.normal(40, 9, (23, 1, 1)) + rng.normal(0, 6, (23, 2, 2))
    ratings[2, 1, 1] = ratings[15, 0, 0] = math.nan
    ratings[20] = math.nan
    rows = by_term(records(comparisons.ratings(endpoint_of(scores_of(ratings, n), ARMS, SESSIONS))))
    arm = np.arange(23) < 9
    values = {
        "intercept": ratings[:, 0, 0],
        "session": ratings[:, 1, 0] - ratings[:, 0, 0],
        "occasion": ratings[:, 0, 1] - ratings[:, 0, 0],
        "session:occasion": ratings[:, 1, 1] - ratings[:, 1, 0] - ratings[:, 0, 1] + ratings[:, 0, 0],
    }
    lost = {"intercept": [15], "session": [15], "occasion": [15], "session:occasion": [2, 15]}
    for name, value in values.items():
        known = np.isfinite(value)
        row = rows["arm" if name == "intercept" else f"arm:{name}"]
        expected = stats.ttest_ind(value[known & arm], value[known & ~arm], equal_var=False)
        assert (row["t"], row["df"], row["p"]) == pytest.approx(
            (expected.statistic, expected.df, expected.pvalue), rel=1e-9
        )
        assert row["n"] == known.sum()
        # Someone without any score has nothing to be left out of.
        assert row["left_out"] == ", ".join(f"sub-{k:02d}" for k in lost[name])
        own = rows[name]
        expected = stats.ttest_1samp(value[known & ~arm], 0)
        assert (own["t"], own["df"], own["p"]) == pytest.approx(
            (expected.statistic, expected.df, expected.pvalue), rel=1e-9
        )
        assert own["left_out"] == "sub-15"


def test_the_deciding_row_is_welchs_test_of_the_changes():
    rng = np.random.default_rng(3)
    n = (10, 33)
    ratings = rng.normal(30, 8, (43, 2, 2))
    ratings[:10] = 30 + 3 * (ratings[:10] - 30)
    ratings[4, 1, 0] = math.nan
    scores = scores_of(ratings, n)
    (row,) = (
        row
        for row in records(models.analyse(endpoint_of(scores, ARMS, SESSIONS)).models)
        if all(row[key] == value for key, value in answers.CRAVING_TEST.items())
    )
    elicited = ratings[:, :, 1] - ratings[:, :, 0]
    change = elicited[:, 1] - elicited[:, 0]
    first, second = change[:10][np.isfinite(change[:10])], change[10:]
    expected = stats.ttest_ind(first, second, equal_var=False)
    interval = expected.confidence_interval()
    assert (row["t"], row["df"], row["p"]) == pytest.approx(
        (expected.statistic, expected.df, expected.pvalue), rel=1e-9
    )
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert row["variance_ratio"] == pytest.approx(first.var(ddof=1) / second.var(ddof=1), rel=1e-9)
    assert (row["n"], row["left_out"]) == (42, "sub-04")
    without = [np.delete(first, k).mean() - second.mean() for k in range(9)]
    without += [first.mean() - np.delete(second, k).mean() for k in range(33)]
    assert (row["without_one_low"], row["without_one_high"]) == pytest.approx((min(without), max(without)), rel=1e-9)


def test_an_arm_without_variation_is_told():
    ratings = np.random.default_rng(1).normal(30, 5, (12, 2, 2))
    ratings[6:, 1] = ratings[6:, 0] + 2
    (row,) = records(comparisons.difference_of_changes(endpoint_of(scores_of(ratings, (6, 6)), ARMS, SESSIONS)))
    assert row["df"] == pytest.approx(5)
    assert row["variance_ratio"] is None
    assert row["method"].startswith("no variation in placebo: the other arm's variance alone; Welch's test")


def test_what_cannot_be_compared_says_why():
    same = np.full((6, 2, 2), 3.0)
    (row,) = records(comparisons.difference_of_changes(endpoint_of(scores_of(same, (3, 3)), ARMS, SESSIONS)))
    assert (row.get("p"), row["method"]) == (None, "no variation within arms")
    (row,) = records(comparisons.difference_of_changes(endpoint_of(scores_of(same, (1, 5)), ARMS, SESSIONS)))
    assert "fewer than 2 participants" in row["method"]
    assert records(comparisons.ratings(endpoint_of(scores_of(same[:0], (0, 0)), ARMS, SESSIONS)))[0][
        "method"
    ].startswith("fewer than 2")


def test_interaction_of_fits_by_arm_is_welchs_with_complete_data_and_uses_those_who_came_once():
    rng = np.random.default_rng(5)
    ratings = rng.normal(30, 12, (30, 1, 1)) + rng.normal(0, 4, (30, 2, 2))

    def fitted(data):
        rows = records(mixed_models.mixed(endpoint_of(scores_of(data, (12, 18)), ARMS, SESSIONS)).rows)
        return next(row for row in rows if row["analysis"] == "mixed_model_by_arm")

    # The cue-elicited part needs a variance between participants to be off the boundary.
    ratings[:, :, 1] += rng.normal(0, 9, (30, 1))
    (welch,) = records(comparisons.difference_of_changes(endpoint_of(scores_of(ratings, (12, 18)), ARMS, SESSIONS)))
    row = fitted(ratings)
    for name in ("estimate", "se", "df", "t", "p"):
        assert row[name] == pytest.approx(welch[name], rel=1e-6)
    assert row["variance_ratio"] == pytest.approx(welch["variance_ratio"], rel=1e-6)
    ratings[3, 1] = math.nan
    less = fitted(ratings)
    (welch,) = records(comparisons.difference_of_changes(endpoint_of(scores_of(ratings, (12, 18)), ARMS, SESSIONS)))
    assert less["n"] == 59
    assert less["estimate"] != pytest.approx(welch["estimate"], rel=1e-6)


@pytest.mark.parametrize("shape", ["participant", "session", "occasion"])
def test_error_is_nominal_whatever_the_covariance_within_participants(shape):
    rng = np.random.default_rng(8)
    n, hits, studies = (10, 10), 0, 400
    for _ in range(studies):
        ratings = rng.normal(0, 5, (20, 1, 1)) + rng.normal(0, 2, (20, 2, 2))
        ratings = ratings + (rng.normal(0, 6, (20, 2, 1)) if shape == "session" else 0)
        ratings = ratings + (rng.normal(0, 6, (20, 1, 2)) if shape == "occasion" else 0)
        rows = by_term(records(comparisons.ratings(endpoint_of(scores_of(ratings, n), ARMS, SESSIONS))))
        hits += rows["arm:session:occasion"]["p"] <= 0.05
    # The model with a random intercept alone gives less than .01 for the latter two.
    assert abs(hits / studies - 0.05) < 3.3 * math.sqrt(0.05 * 0.95 / studies)
