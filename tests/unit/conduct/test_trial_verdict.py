"""The verdict of a trial against closed forms, enumeration and hand-made files."""

import itertools
import math
from types import SimpleNamespace

import complete_settings
import measured
import numpy as np
import pytest
import scored
from loading import script
from pharmasl.conduct import answers, joint, trial_verdict
from pharmasl.endpoints import correlations, endpoint, measure_models, measure_rows
from pharmasl.errors import InputError
from pharmasl.files import blinding, tables
from pharmasl.study import settings

ARMS = {"column": "arm", "others": [], "treatment": "baclofen", "control": "placebo"}
DECLARED = {"timing": "change", "group": "all", "method": "pearson"}
NULL = (
    "max_t",
    "min_t",
    "extent_positive",
    "extent_negative",
    "mass_positive",
    "mass_negative",
    "tfce_positive",
    "tfce_negative",
)
PEOPLE = [f"sub-{k}" for k in range(8)]
# All 70 ways to deal 4 of 8 people to the treatment, the observed one first.
DEALS = np.array(list(itertools.combinations(range(8), 4)))


def inference(path, p, *, statistic="extent", **changes):
    block = {
        "status": "run",
        "participants": PEOPLE,
        "alpha": 0.05,
        "model": {"relabelled_sha256": "d0"},
        "permutation": {"number": 70, "seed": None},
        "tests": {"two_sided": True},
        "verdict": {
            "statistic": statistic,
            "error_rate": "family-wise error",
            "alpha": 0.05,
            "p": p,
            "smallest_attainable_p": 1 / 70,
            "can_reach_alpha": True,
            "significant": p is not None and p <= 0.05,
        },
    }
    tables.write_json(path, block | changes)
    return path


def null(path, values):
    """A table of maxima of one statistic, the observed labelling first: ``values`` of shape (B, V), a voxel a column."""
    rows = [
        {
            "relabelling": b,
            "max_t": float(max(row.max(), 0)),
            "min_t": float(min(row.min(), 0)),
            "extent_positive": int((row > 1.5).sum()),
            "extent_negative": int((row < -1.5).sum()),
        }
        for b, row in enumerate(values)
    ]
    tables.write_table(path, rows, dict.fromkeys(("relabelling", *NULL), ""))
    return path


def t_maps(data):
    """Student's t of the arms' difference at each voxel in each of the 70 deals, (70, V)."""
    out = []
    for deal in DEALS:
        treated = np.isin(np.arange(8), deal)
        first, second = data[treated], data[~treated]
        pooled = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
        out.append((first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(pooled / 2))
    return np.array(out)


def asked(*names, correction="holm", secondary=(), alpha=0.05):
    return {"answers": list(names), "correction": correction, "secondary": list(secondary), "alpha": alpha}


def run(tmp_path, question, analyses, *, endpoints=(), relations=None, **paths):
    given = {"inferences": [tmp_path / f"{name}.json" for name in analyses]}
    given |= {
        "nulls": [tmp_path / f"{name}_null.tsv" for name in analyses],
        "endpoint_models": [],
        "endpoint_relations": [],
        "craving_model": [],
        "roi_craving": [],
        **paths,
    }
    params = SimpleNamespace(
        analyses=list(analyses),
        endpoints=list(endpoints),
        relations=dict(relations or {}),
        primary=question,
        craving={"test": DECLARED, "resamples": 999},
        arms=ARMS,
    )
    output = SimpleNamespace(table=tmp_path / "verdict.tsv")
    script("trial_verdict").main(SimpleNamespace(input=SimpleNamespace(**given), output=output, params=params))
    return {row["answer"]: row for row in tables.read_table(output.table)}


def test_the_joint_p_is_that_of_every_relabelling_counted_by_hand(tmp_path):
    """Two contrasts of eight people whose noise is shared in part: all 70 relabellings of both at once."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(8, 5))
    maps = {
        name: t_maps(shared + rng.normal(size=(8, 5)) + effect * np.isin(np.arange(8), DEALS[0])[:, None])
        for name, effect in (("a", 2.0), ("b", 0.8))
    }
    largest = np.stack([np.abs(maps[name]).max(axis=1) for name in "ab"], axis=1)
    single = (largest[:, None] >= largest[None] - 1e-9).mean(axis=0)  # [r, k]: p of analysis k, had r been observed
    for k, name in enumerate("ab"):
        null(tmp_path / f"{name}_null.tsv", maps[name])
        inference(tmp_path / f"{name}.json", float(single[0, k]), statistic="voxel")
    first, last = np.argsort(single[0], kind="stable")
    expected = {}
    expected[first] = np.mean([min(row) <= single[0, first] for row in single])
    expected[last] = max(expected[first], np.mean([row[last] <= single[0, last] for row in single]))
    assert single[0, first] < expected[first] <= 2 * single[0, first]
    found = run(tmp_path, asked("a", "b", correction="joint"), "ab")
    for k, name in enumerate("ab"):
        assert float(found[name]["p"]) == pytest.approx(single[0, k], abs=1e-12)
        assert float(found[name]["p_corrected"]) == pytest.approx(expected[k], abs=1e-12)
    # Whichever labelling is the observed one: the share of the 70 with a corrected p of at most alpha is at most alpha.
    least = single.min(axis=1)
    rate = np.mean([(least <= value).mean() <= 0.05 for value in least])
    assert rate <= 0.05


@pytest.mark.parametrize("statistic", ["voxel", "extent", "any"])
def test_the_p_of_a_relabelling_is_by_the_primary_statistic(tmp_path, statistic):
    maps = t_maps(np.random.default_rng(4).normal(size=(8, 30)))
    path = null(tmp_path / "n.tsv", maps)
    t, extent = np.abs(maps).max(axis=1), np.maximum((maps > 1.5).sum(axis=1), (maps < -1.5).sum(axis=1))
    each = [(x[None] >= x[:, None] - 1e-9).mean(axis=1) for x in (t, extent)]
    expected = {"voxel": each[0], "extent": each[1], "any": None}[statistic]
    if statistic == "any":
        # The table has two statistics; their least p against the least p of all relabellings.
        least = np.minimum(*each)
        expected = (least[None] <= least[:, None]).mean(axis=1)
    np.testing.assert_allclose(joint.relabelling_p(path, statistic, True), expected, rtol=0, atol=1e-12)
    positive = joint.relabelling_p(path, "voxel", False)
    assert positive[0] == (np.maximum(maps, 0).max(axis=1) >= max(maps[0].max(), 0) - 1e-9).mean()


def test_two_identical_analyses_are_one(tmp_path):
    maps = t_maps(np.random.default_rng(5).normal(size=(8, 6)) + 1.5 * np.isin(np.arange(8), DEALS[0])[:, None])
    for name in "ab":
        p = joint.relabelling_p(null(tmp_path / f"{name}_null.tsv", maps), "voxel", True)[0]
        inference(tmp_path / f"{name}.json", float(p), statistic="voxel")
    found = run(tmp_path, asked("a", "b", correction="joint"), "ab")
    assert {row["p_corrected"] for row in found.values()} == {found["a"]["p"]}
    assert {float(row["p_corrected"]) for row in run(tmp_path, asked("a", "b"), "ab").values()} == {min(1, 2 * p)}


def test_what_is_not_alike_is_not_corrected_jointly_and_says_why(tmp_path):
    maps = t_maps(np.random.default_rng(6).normal(size=(8, 6)))
    for name in "abc":
        p = float(joint.relabelling_p(null(tmp_path / f"{name}_null.tsv", maps), "voxel", True)[0])
        inference(tmp_path / f"{name}.json", p, statistic="voxel")
    question = asked("a", "b", correction="joint")
    inference(tmp_path / "b.json", p, statistic="voxel", participants=PEOPLE[:7])
    found = run(tmp_path, question, "ab")
    assert {row["status"] for row in found.values()} == {
        "not run: no joint correction, since a and b differ in participants: sub-7 in one alone"
    }
    assert {row["p_corrected"] for row in found.values()} == {None}
    assert {row["significant"] for row in found.values()} == {"no"}
    for part in ({"model": {"relabelled_sha256": "d1"}}, {"permutation": {"number": 70, "seed": 3}}):
        inference(tmp_path / "b.json", p, statistic="voxel", **part)
        assert "a and b differ in" in run(tmp_path, question, "ab")["a"]["status"]
    # An analysis that was not run shows nothing and stays in the family; the others are as they are.
    inference(tmp_path / "b.json", None, status="not run: no scans", participants=[])
    found = run(tmp_path, asked("a", "b", "c", correction="joint"), "abc")
    assert (found["b"]["p_corrected"], found["b"]["significant"], found["b"]["status"]) == (
        None,
        "no",
        "not run: no scans",
    )
    assert float(found["a"]["p_corrected"]) == pytest.approx(p)
    for name in "ac":
        inference(tmp_path / f"{name}.json", None, status="not run: no scans", participants=[])
    assert "none of the analyses was run" in run(tmp_path, question, "ab")["a"]["status"]


def test_a_table_of_maxima_of_another_run_is_refused(tmp_path):
    maps = t_maps(np.random.default_rng(6).normal(size=(8, 6)))
    for name in "ab":
        null(tmp_path / f"{name}_null.tsv", maps)
        inference(tmp_path / f"{name}.json", 1 / 70, statistic="voxel")
    with pytest.raises(InputError, match="relabelling 0"):
        run(tmp_path, asked("a", "b", correction="joint"), "ab")


def files(tmp_path, **p):
    """Analyses with these p; the craving model and one region's correlations."""
    for name, value in p.items():
        inference(tmp_path / f"{name}.json", value)
    model = [
        {"analysis": "paired_t", "term": "change", "arm": "baclofen", "p": 0.001, "method": None},
        {"analysis": "difference_of_changes", "term": "arm:session", "arm": None, "p": 0.02, "method": "REML"},
    ]
    tables.write_table(tmp_path / "model.tsv", model, dict.fromkeys(model[0], ""))
    row = {
        "roi": "vmpfc",
        "contrast": "cue",
        "timing": "change",
        "group": "all",
        "method": "pearson",
        "region_of": "all",
    }
    rows = [
        row | {"role": "tested", "p": 0.03, "note": None},
        row | {"role": "described", "timing": "baseline", "p": 0.001},
    ]
    rows += [row | {"roi": "empty", "role": "tested", "p": None, "note": "fewer than 4 participants"}]
    tables.write_table(tmp_path / "roi.tsv", rows, dict.fromkeys([*row, "role", "p", "note"], ""))
    return {"craving_model": [tmp_path / "model.tsv"], "roi_craving": [tmp_path / "roi.tsv"]}


def test_holm_over_analyses_endpoint_and_correlation(tmp_path):
    given = files(tmp_path, rest=0.012, cue=0.4)
    names = ("rest", "cue", "craving", "craving.vmpfc")
    found = run(tmp_path, asked(*names, secondary=["craving.empty"]), ("rest", "cue"), **given)
    # 4 x 0.012, 0.4, 3 x 0.02, 2 x 0.03.
    corrected = [float(found[name]["p_corrected"]) for name in names]
    assert corrected == pytest.approx([0.048, 0.4, 0.06, 0.06])
    assert [found[name]["significant"] for name in names] == ["yes", "no", "no", "no"]
    assert [found[name]["kind"] for name in names] == ["analysis", "analysis", "endpoint", "correlation"]
    assert found["craving.empty"]["role"] == "secondary"
    assert found["craving.empty"]["status"] == "not answered: fewer than 4 participants"
    assert found["craving.empty"]["p_corrected"] is found["craving.empty"]["significant"] is None
    assert found["rest"]["test"] == "cluster extent, family-wise error"


def test_a_sequence_stops_at_the_first_that_is_not_shown(tmp_path):
    given = files(tmp_path, rest=0.04, cue=0.2, other=0.001)
    names = ("rest", "craving", "cue", "other")
    found = run(tmp_path, asked(*names, correction="sequence"), ("rest", "cue", "other"), **given)
    assert [float(found[name]["p_corrected"]) for name in names] == [0.04, 0.04, 0.2, 0.2]
    assert [found[name]["significant"] for name in names] == ["yes", "yes", "no", "no"]


@pytest.mark.parametrize("correction", ["holm", "sequence"])
def test_what_could_not_be_answered_stays_in_the_family(tmp_path, correction):
    given = files(tmp_path, rest=0.03, cue=0.01)
    inference(tmp_path / "rest.json", None, status="not run: the region searched is empty")
    found = run(tmp_path, asked("rest", "cue", correction=correction), ("rest", "cue"), **given)
    assert found["rest"]["status"] == "not run: the region searched is empty"
    assert (found["rest"]["significant"], found["rest"]["p_corrected"]) == ("no", None)
    assert float(found["cue"]["p_corrected"]) == (0.02 if correction == "holm" else 1)


def test_an_answer_that_could_not_reach_the_level_says_so(tmp_path):
    given = files(tmp_path, rest=1 / 70)
    found = run(tmp_path, asked("rest", alpha=0.01), ("rest",), **given)["rest"]
    assert found["status"] == "could not reach 0.01: its smallest attainable p is 0.014"
    assert found["significant"] == "no"


def test_a_level_that_the_correction_puts_out_of_reach_is_told(tmp_path):
    """Three answers whose p are multiples of 1/40: Holm's first step asks for .05/3, which is less."""
    given = files(tmp_path, a=1 / 40, b=1 / 40, c=0.5)
    for name, p in (("a", 1 / 40), ("b", 1 / 40), ("c", 0.5)):
        block = tables.read_json(tmp_path / f"{name}.json")["verdict"]
        inference(tmp_path / f"{name}.json", p, verdict={**block, "smallest_attainable_p": 1 / 40})
    found = run(tmp_path, asked("a", "b", "c"), "abc", **given)
    assert {row["status"] for row in found.values()} == {"could not reach 0.05: its smallest attainable p is 0.075"}
    # A sequence pays nothing; and with craving, whose p has no least, the others' turn comes.
    assert {
        row["status"] for row in run(tmp_path, asked("a", "b", "c", correction="sequence"), "abc", **given).values()
    } == {"answered"}
    found = run(tmp_path, asked("a", "b", "craving"), "ab", **given)
    assert {row["status"] for row in found.values()} == {"answered"}


def test_a_rate_of_false_discoveries_is_no_family_wise_p(tmp_path):
    given = files(tmp_path, rest=0.01)
    block = {"statistic": "false_discovery", "error_rate": "false discovery rate", "alpha": 0.05, "p": None}
    inference(tmp_path / "mixed.json", None, verdict={**block, "smallest_attainable_p": None, "significant": True})
    found = run(tmp_path, asked("rest", secondary=["mixed"]), ("rest", "mixed"), **given)
    assert found["mixed"]["status"] == "no family-wise p: false discovery rate"
    assert found["mixed"]["p"] is None


def test_a_blinded_verdict_carries_the_mark(tmp_path):
    given = files(tmp_path, rest=0.01)
    with blinding.marking(True):
        rows = run(tmp_path, asked("rest"), ("rest",), **given)
    assert (
        all(blinding.MARK in str(row) for row in rows.values())
        or blinding.MARK in (tmp_path / "verdict.json").read_text()
    )


def test_an_endpoint_answers_by_its_tested_effect_in_the_first_population(tmp_path):
    pairs = [[1, 2], [2, 4], [3, 3], [4, 7], [5, 4], [6, 8], [7, None], [8, 7]]
    arms = ["baclofen", "placebo"] * 4
    results = measure_models.answers(measured.endpoint().question, measured.measured(arms, pairs), "scores.tsv")
    rows = [result.row(measure_rows.MODEL_COLUMNS) for result in results]
    tables.write_table(tmp_path / "cigarettes_model.tsv", rows, measure_rows.MODEL_COLUMNS)
    paths = {"endpoint_models": [tmp_path / "cigarettes_model.tsv"]}
    answer = run(tmp_path, asked("cigarettes"), "", endpoints=["cigarettes"], **paths)["cigarettes"]
    # Of the coefficient of the arm, which is the test.
    (row,) = [row for row in rows if row["term"] == "arm[baclofen]"]
    assert (float(answer["p"]), answer["kind"], answer["status"]) == (row["p"], "endpoint", "answered")
    assert answer["test"].startswith("baclofen - placebo, followup ~ arm + baseline")


def test_the_rows_are_those_that_the_stages_write(tmp_path):
    """The declared correlation of a table that the correlations' own function wrote."""
    rng = np.random.default_rng(1)
    names = [f"{k:02d}" for k in range(12)]
    scores = [
        {
            "participant_id": f"sub-{n}",
            "arm": ("baclofen", "placebo")[k % 2],
            "session_id": s,
            "cue_elicited": float(rng.normal()),
        }
        for k, n in enumerate(names)
        for s in ("T1", "T2")
    ]
    cbf = {("vmpfc", "cue"): {(n, s): float(rng.normal()) for n in names for s in ("T1", "T2")}}
    craving = {"rois": ["vmpfc"], "contrast": "cue", "resamples": 199}
    asked = complete_settings.craving(settings.RegionCorrelations, **craving)
    values = scored.regions(cbf, {"vmpfc": False})
    table = correlations.analyse(
        endpoint.frame(scores), values, asked, complete_settings.arms(), complete_settings.sessions()
    )
    rows = table.to_dict("records")
    tables.write_table(tmp_path / "roi.tsv", rows, correlations.COLUMNS)
    (tested,) = [row for row in rows if row["role"] == "tested"]
    tested_in_all = answers.CorrelationTest(
        declared=settings.build(settings.DeclaredCorrelation, DECLARED),
        resamples=craving["resamples"],
        arms=settings.build(settings.Arms, ARMS),
    )
    found = answers.correlation("craving.vmpfc", tmp_path / "roi.tsv", tested_in_all)
    assert (found.p, found.least, found.status) == (tested["p"], 1 / 200, "answered")


def test_error_of_the_verdict_of_independent_answers():
    """Without any effect: Holm 1 - (1 - alpha / m)^m, a sequence alpha, of uniform independent p."""
    rng, m, studies = np.random.default_rng(7), 3, 20_000
    p = rng.random((studies, m))
    for correction, nominal in (("holm", 1 - (1 - 0.05 / m) ** m), ("sequence", 0.05)):
        hits = np.array([(trial_verdict.corrected(row, correction) <= 0.05).any() for row in p])
        assert abs(hits.mean() - nominal) < 3.5 * math.sqrt(nominal * (1 - nominal) / studies)
