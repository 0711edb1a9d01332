"""Clinical endpoints: scores by hand, models against R (tests/unit/reference/endpoints.R)."""

import json
import math
from pathlib import Path

import measured
import numpy as np
import pytest
from pharmasl.endpoints import measure_models, measure_scores
from pharmasl.endpoints.measure_scores import ScoreFiles, Trial
from pharmasl.errors import InputErrors
from pharmasl.files import tables
from scipy import stats

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "endpoints.json").read_text())

MIXED = "score ~ arm * session + stratum + (1 | participant)"


def _reference():
    columns = {name: REFERENCE[name] for name in ("stratum", "age")}
    return measured.measured(REFERENCE["arm"], REFERENCE["scores"], others=("T3",), **columns)


def _answers(data, **changes):
    return measure_models.answers(measured.endpoint(**changes).question, data, "scores.tsv")


def _only(rows, analysis, **values):
    own = [row for row in rows if row.analysis == analysis and all(getattr(row, k) == v for k, v in values.items())]
    assert len(own) == 1
    return own[0]


def test_ancova_is_that_of_lm():
    rows = _answers(_reference(), strata=["stratum"], covariates=["age"])
    row = _only(rows, "test")
    assert row.term == "baclofen - placebo"
    assert [row.estimate, row.se, row.t, row.p, row.df] == pytest.approx(REFERENCE["ancova"], rel=1e-9)
    for arm, reference in REFERENCE["means"].items():
        mean = _only(rows, "adjusted_mean", arm=arm)
        assert [mean.estimate, mean.se] == pytest.approx(reference, rel=1e-9)
        assert math.isnan(mean.p)


def test_a_formula_says_the_same_and_the_robust_error_is_hc3():
    model = "followup ~ arm + baseline + stratum + age"
    row = _only(_answers(_reference(), model=model, variance="robust"), "test")
    assert [row.estimate, row.se] == pytest.approx([REFERENCE["ancova"][0], REFERENCE["hc3"]], rel=1e-9)


def test_the_mixed_model_is_that_of_lmer_with_kenward_and_rogers_tests():
    contrast = {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T2": 1, "T1": -1}}
    rows = _answers(_reference(), model=MIXED, test=contrast)
    row = _only(rows, "test")
    # lmer's optimum is known to fewer digits than ours.
    assert [row.estimate, row.se, row.df, row.t, row.p] == pytest.approx(REFERENCE["mixed"], rel=1e-5)
    joint = _only(_answers(_reference(), model=MIXED, test="arm:session"), "test")
    assert [joint.f, joint.df_numerator, joint.df] == pytest.approx(
        [REFERENCE["joint"][0] * REFERENCE["joint"][3], *REFERENCE["joint"][1:3]], rel=1e-5
    )
    assert joint.p == pytest.approx(REFERENCE["joint"][4], rel=1e-5)
    cells = [(mean.arm, mean.session_id) for mean in rows if mean.analysis == "adjusted_mean"]
    assert cells == [(arm, session) for arm in ("placebo", "baclofen") for session in ("T1", "T2", "T3")]


def test_equivalence_is_two_one_sided_tests():
    rows = _answers(_reference(), model="change ~ arm", equivalence={"margin": 3})
    # R's rows are those with the scores of both sessions, as the model's are.
    row = _only(rows, "equivalence")
    assert [row.p, row.ci_low, row.ci_high] == pytest.approx(
        [max(REFERENCE["tost"][:2]), *REFERENCE["tost"][2:]], rel=1e-9
    )
    assert row.level == pytest.approx(0.9)
    assert "not shown to be equivalent" in row.method


def test_intervals_cover_one_minus_alpha():
    wide, narrow = (_only(_answers(_reference(), alpha=alpha), "test") for alpha in (0.01, 0.2))
    assert (wide.level, narrow.level) == (0.99, 0.8)
    assert wide.ci_high - wide.ci_low > 1.5 * (narrow.ci_high - narrow.ci_low)


def test_the_detectable_effect_is_found_in_four_of_five_trials():
    row = _only(_answers(_reference(), alpha=0.01), "test")
    delta, critical = row.detectable / row.se, stats.t.isf(0.005, row.df)
    found = stats.nct.sf(critical, row.df, delta) + stats.nct.cdf(-critical, row.df, delta)
    assert np.isclose(found, 0.8, atol=1e-9)
    ends = np.sqrt(row.df / stats.chi2.isf([0.005, 0.995], row.df))
    assert np.allclose([row.detectable_low, row.detectable_high], row.detectable * ends)
    joint = _only(_answers(_reference(), model=MIXED, test="arm:session"), "test")
    assert (joint.detectable is None) == (joint.f is not None)


def test_the_logarithm_gives_a_ratio_of_geometric_means():
    data = measured.measured(["baclofen", "placebo"] * 3, [[1, math.log(v)] for v in (2, 8, 3, 9, 4, 7)])
    rows = _answers(data, model="followup ~ arm", transform="log")
    ratio = _only(rows, "ratio")
    assert ratio.estimate == pytest.approx((2 * 3 * 4 / (8 * 9 * 7)) ** (1 / 3))


def test_several_arms_are_tested_together():
    arms = ["baclofen", "placebo", "baclofen", "placebo"]
    data = measured.measured(arms * 3, [[1, v] for v in range(12)], site=list("aabbaccbbcca"))
    rows = _answers(data, model="followup ~ arm + site", test="site")
    joint = _only(rows, "test")
    parts = [row for row in rows if row.analysis == "part"]
    assert (joint.df_numerator, len(parts), joint.df) == (2, 2, 8.0)
    assert joint.estimate is None
    assert joint.p == pytest.approx(1 - _f(data, joint))


def _f(data, joint):
    """Share of F's distribution below the F of two nested least-squares fits."""
    from scipy import stats

    y = np.array([data.score(who, "T2") for who in data.people])
    arm = np.array([row["arm"] == "baclofen" for row in data.people.values()], float)
    sites = np.array([[row["site"] == name for name in "bc"] for row in data.people.values()], float)
    squares = []
    for design in (np.column_stack([np.ones(12), arm]), np.column_stack([np.ones(12), arm, sites])):
        squares.append(((y - design @ np.linalg.lstsq(design, y)[0]) ** 2).sum())
    f = (squares[0] - squares[1]) / 2 / (squares[1] / 8)
    assert joint.f == pytest.approx(f)
    return stats.f.cdf(f, 2, 8)


TABLE = "participant_id\tsession\tq1\tq2\tq3\tq4\n01\tT1\t0\t4\t1\t3\n01\tT2\t1\tn/a\t2\t4\nsub-02\tses-T1\t1\tn/a\tn/a\t0\n"


def _scores(tmp_path, text=TABLE, populations=None, chosen=("all",), **changes):
    (tmp_path / "measure.tsv").write_text(text)
    own = measured.endpoint(**changes)
    people = [{"participant_id": f"sub-0{k}", "arm": arm, "pp": "yes"} for k, arm in ((1, "baclofen"), (2, "placebo"))]
    trial = Trial(
        people=people, file="participants.tsv", arms=measured.measured([], []).arms, sessions=measured.sessions()
    )
    files = ScoreFiles(table=tmp_path / "measure.tsv", scores=tmp_path / "scores.tsv")
    measure_scores.write(files, own.measure, trial, populations or {}, chosen, field="endpoints.measure")
    return [row["score"] for row in tables.read_table(tmp_path / "scores.tsv")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["8.0", None, None, None]),
        # By hand: 4 - 1 for the reversed item; (1 + 2 + 4) / 3 * 4 with one of four missing.
        ({"reverse": ["q3"]}, ["10.0", None, None, None]),
        ({"prorate": {"least": 3}}, ["8.0", repr(7 / 3 * 4), None, None]),
        ({"prorate": {"least": 2}, "reverse": ["q1"]}, ["12.0", "12.0", "6.0", None]),
    ],
)
def test_sums_are_reversed_and_prorated_as_declared(tmp_path, changes, expected):
    assert _scores(tmp_path, items=["q1", "q2", "q3", "q4"], range=[0, 4], **changes) == expected


def test_a_wide_table_has_a_column_per_session(tmp_path):
    text = "participant_id\tcigs_1\tcigs_2\nsub-01\t20\t10\nsub-02\t15\tn/a\n"
    assert _scores(tmp_path, text, score={"T1": "cigs_1", "T2": "cigs_2"}) == ["20.0", "10.0", "15.0", None]
    with pytest.raises(InputErrors, match=r"sub-01|01, T1 again"):
        _scores(tmp_path, f"{text}sub-01\t1\t2\nsub-03\t1\t2\n", score={"T1": "cigs_1", "T2": "cigs_2"})


def test_written_scores_are_read_as_they_were(tmp_path):
    _scores(tmp_path, items=["q1", "q2", "q3", "q4"], prorate={"least": 2})
    data = measure_scores.read(tmp_path / "scores.tsv", measured.sessions(), measured.measured([], []).arms)
    assert data.scores == {("sub-01", "T1"): 8.0, ("sub-01", "T2"): 7 / 3 * 4, ("sub-02", "T1"): 2.0}
    assert data.members("all") == ["sub-01", "sub-02"]
