"""Designs: terms, coding, ranks, and what is said when a design cannot be used."""

import json
from pathlib import Path

import designs
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import design
from pharmasl.group.engine import glm

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "group_statistics.json").read_text())
ARMS = {"column": "group", "treatment": "baclofen", "control": "placebo"}
NAMES = [f"sub-{k:02d}" for k in range(1, 13)]


def build(effect, names, table, covariates, file, seed=None):
    return designs.build(effect, names, table, ARMS, file, covariates, seed_change=seed)


def people(**columns):
    """Rows of participants.tsv of the reference's participants, as a table holds them: text."""
    columns = {"participant_id": NAMES, "arm": REFERENCE["arm"], **columns}
    return [dict(zip(columns, map(str, values))) for values in zip(*columns.values())]


def full_table():
    return people(age=REFERENCE["age"], sex=REFERENCE["sex"], site=REFERENCE["site"])


@pytest.mark.parametrize(
    ("name", "effect", "covariates", "terms"),
    [
        ("plain", "group_by_time", [], ["arm", "intercept"]),
        ("covariates", "group_by_time", ["age", "sex"], ["arm", "intercept", "age", "sex[M]"]),
        ("levels", "group_by_time", ["site"], ["arm", "intercept", "site[b]", "site[c]"]),
        ("association", "association", ["age"], ["seed_change", "arm", "intercept", "age"]),
    ],
)
def test_effect_t_and_df_are_those_of_statsmodels(name, effect, covariates, terms):
    plan = build(effect, NAMES, full_table(), covariates, "p.tsv", np.array(REFERENCE["seed_change"]))
    expected = REFERENCE["results"][name]
    fit = glm.fit(np.array(REFERENCE["change"]).T.copy(), glm.partial_form(*plan.partition()))
    assert plan.names == terms
    assert plan.df == expected["df"]
    np.testing.assert_allclose(fit.effect, expected["effect"], rtol=1e-11)
    np.testing.assert_allclose(fit.t, expected["t"], rtol=1e-11)


def test_maps_decide_the_order_and_prefixes_do_not_matter():
    chosen = ["12", "sub-03", "01", "sub-11"]
    plan = build("group_by_time", chosen, full_table(), [], "p.tsv")
    assert plan.participants == chosen
    assert plan.partition()[0].tolist() == [0, 1, 1, 0]


def test_covariates_are_centred_over_those_analysed():
    plan = build("group_by_time", NAMES[1:], full_table(), ["age", "sex"], "p.tsv")
    assert np.allclose(plan.matrix[:, 2:].mean(axis=0), 0)
    ages = np.array(REFERENCE["age"][1:], float)
    np.testing.assert_allclose(plan.matrix[:, 2], ages - ages.mean())


def refused(table, covariates=(), effect="group_by_time", names=NAMES, seed=None):
    with pytest.raises(InputError) as caught:
        build(effect, list(names), table, list(covariates), "participants.tsv", seed)
    return str(caught.value)


def test_a_missing_value_is_named_with_its_participant():
    table = full_table()
    table[3]["age"] = table[7]["age"] = None
    assert "age: found 'n/a for sub-04, sub-08'" in refused(table, ["age"])


def test_a_word_among_numbers_is_named():
    table = full_table()
    table[3]["age"] = "forty"
    assert "forty for sub-04" in refused(table, ["age"])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_number_that_is_none_is_named(value):
    table = full_table()
    table[3]["age"] = value
    assert f"{value} for sub-04" in refused(table, ["age"])


def test_confounded_terms_are_named_and_others_are_not():
    site = ["x" if arm == "baclofen" else "y" for arm in REFERENCE["arm"]]
    message = refused(people(age=REFERENCE["age"], centre=site), ["age", "centre"])
    assert "arm, intercept, centre[y]" in message
    assert "age" not in message.split("found")[0]


def test_two_names_of_one_covariate_are_confounded():
    months = [12 * age for age in REFERENCE["age"]]
    message = refused(people(age=REFERENCE["age"], months=months, sex=REFERENCE["sex"]), ["sex", "age", "months"])
    assert "design terms age, months" in message


def test_what_does_not_vary_is_refused():
    assert "sex: found 'F for all participants'" in refused(people(sex=["F"] * 12), ["sex"])
    assert "design term age" in refused(people(age=[30] * 12), ["age"])
    assert "design term seed_change" in refused(full_table(), effect="association", seed=[2.5] * 12)


def test_a_saturated_design_and_a_lonely_arm_are_refused():
    codes = [f"c{k}" for k in range(12)]
    assert "a few levels" in refused(people(code=codes), ["code"])
    numbers = {f"x{j}": [str((k * j) % 13) for k in range(12)] for j in range(1, 12)}
    assert "more participants than terms" in refused(people(**numbers), list(numbers))
    assert "arm baclofen: found '1 participant(s)'" in refused(full_table(), names=NAMES[4:])


def test_unknown_people_arms_columns_and_effects_are_named():
    table = full_table()
    assert "no row for sub-99" in refused(table, names=[*NAMES, "sub-99"])
    assert "weight: found 'columns participant_id" in refused(table, ["weight"])
    assert "used twice" in refused(table, ["age", "age"])
    assert "main_effect" in refused(table, effect="main_effect")
    table[0]["arm"] = "open label"
    assert "sub-01: open label" in refused(table)


def test_the_digest_tells_designs_apart_and_the_table_holds_the_numbers(tmp_path):
    plan = build("group_by_time", NAMES, full_table(), ["age"], "p.tsv")
    same = build("group_by_time", NAMES, full_table(), ["age"], "p.tsv")
    other = build("group_by_time", NAMES, full_table(), ["sex"], "p.tsv")
    assert plan.digest() == same.digest() != other.digest()
    plan.write(tmp_path / "a_design.tsv")
    rows = tables.read_table(tmp_path / "a_design.tsv")
    assert [row["participant_id"] for row in rows] == NAMES
    np.testing.assert_array_equal([[float(row[term]) for term in plan.names] for row in rows], plan.matrix)
    assert set(tables.read_json(tmp_path / "a_design.json")) == {"participant_id", *plan.names}


def seed_table(path, rows):
    columns = dict.fromkeys(("participant_id", "session_id", "arm", "contrast", "roi", "cbf", "coverage"), "")
    tables.write_table(path, [dict(zip(columns, row)) for row in rows], columns)
    return path


def test_seed_changes_are_followup_minus_baseline_of_the_contrast(tmp_path):
    rows = [
        ("sub-01", "ses-T1", "a", "rest", "r", 50.0, 1),
        ("sub-01", "ses-T2", "a", "rest", "r", 43.5, 1),
        ("sub-01", "ses-T1", "a", "cue", "r", 1.0, 1),
        ("sub-01", "ses-T2", "a", "cue", "r", 2.0, 1),
        ("sub-02", "ses-T1", "a", "rest", "r", None, 0),
        ("sub-02", "ses-T2", "a", "rest", "r", 40.0, 1),
    ]
    path = seed_table(tmp_path / "r_values.tsv", rows)
    sessions = {"baseline": "T1", "followup": "T2"}
    np.testing.assert_array_equal(design.region_values(path, ["02", "01"], "rest", sessions, "change"), [np.nan, -6.5])
    np.testing.assert_array_equal(design.region_values(path, ["sub-01"], "cue", sessions, "change"), [1.0])
    with pytest.raises(InputError, match=r"no row \('02', 'T2', 'cue'\)"):
        design.region_values(path, ["sub-02"], "cue", sessions, "change")
    seed_table(path, [*rows, rows[0]])
    with pytest.raises(InputError, match="one row each"):
        design.region_values(path, ["sub-01"], "rest", sessions, "change")


def test_a_regions_value_at_each_scan(tmp_path):
    path = tmp_path / "values.tsv"
    lines = ["participant_id session_id contrast cbf", "sub-01 T1 rest 50", "sub-01 T2 rest 43.5", "sub-02 T3 rest n/a"]
    path.write_text("".join(line.replace(" ", "\t") + "\n" for line in lines))
    values = design.scan_region_values(path, ["sub-01", "01", "02"], "rest", ["T2", "ses-T1", "T3"])
    np.testing.assert_array_equal(values, [43.5, 50, np.nan])
