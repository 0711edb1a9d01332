"""What the sheets tell before the first job: covariates and ratings, and only what the targets need."""

import dataclasses
import subprocess
import sys

import pytest
import skeleton
from pharmasl.endpoints import scores as scoring
from pharmasl.errors import InputErrors
from pharmasl.files import tables
from pharmasl.workflow import plan

CRAVING = {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post", "range": [0, 100]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return skeleton.dataset(tmp_path_factory.mktemp("plan") / "bids", participants=6, conditions=("rest",))


@pytest.fixture
def study(dataset, tmp_path):
    """A configuration that reads its own two tables beside the scans that all tests share."""
    (tmp_path / "participants.tsv").write_text((dataset / "participants.tsv").read_text())
    (tmp_path / "craving.tsv").write_text((dataset / "phenotype/craving.tsv").read_text())
    config = skeleton.config(dataset, tmp_path / "results")
    return {
        **config,
        "conditions": {"rest": {"acquisition": "rest"}},
        "contrasts": {"rest": {"rest": 1}},
        "participants_table": str(tmp_path / "participants.tsv"),
        "craving": {**CRAVING, "table": str(tmp_path / "craving.tsv")},
    }


def analyses(study, *covariates, **more):
    part = {"contrast": "rest", "effect": "group_by_time", "covariates": list(covariates), **more}
    return {**study, "analyses": {"a": part}}


def problems(config):
    reading = plan.read(config)
    with pytest.raises(InputErrors) as caught:
        plan.check_trial(reading)
    return caught.value.errors


def sound(config):
    reading = plan.read(config)
    plan.check_trial(reading)
    return reading.study


def columns(study, **values):
    """Lay columns over the participants' table, a value each of the six."""
    path = study["participants_table"]
    with open(path) as file:
        header, *rows = [line.rstrip("\n").split("\t") for line in file]
    for name, column in values.items():
        if name not in header:
            header.append(name)
            rows = [[*row, ""] for row in rows]
        for row, value in zip(rows, column):
            row[header.index(name)] = str(value)
    with open(path, "w") as file:
        file.write("\n".join("\t".join(row) for row in [header, *rows]) + "\n")


def ratings(study, old, new):
    path = study["craving"]["table"]
    with open(path) as file:
        text = file.read()
    assert old in text
    with open(path, "w") as file:
        file.write(text.replace(old, new))


def test_a_sound_study_is_read(study):
    found = sound(analyses(study, "age", "sex"))
    assert found.members("a") == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        (["M", "F", "NA", "F", "M", "F"], "NA for sub-03", "n/a where it is missing"),
        (["M", "F", "nan", "F", "M", "F"], "nan for sub-03", "n/a where it is missing"),
        (["M", "F", "N/A", "F", "M", "F"], "N/A for sub-03", "n/a where it is missing"),
        (["M", "F", "-", "F", "M", "F"], "- for sub-03", "n/a where it is missing"),
        (["M", "F", "m", "F", "M", "F"], "m for sub-03", "one spelling"),
        (["M", "F", "Male", "F", "M", "F"], "Male for sub-03", "one spelling"),
        (["site A", "site B", "site_a", "site B", "site A", "site B"], "site_a for sub-03", "one spelling"),
        (["3,5", "4,5", "3,5", "4,5", "3,5", "4,5"], "3,5 for sub-01", "decimal point"),
        (["31 y", "32 y", "33 y", "31 y", "30 y", "31 y"], "31 y for sub-01", "without a unit"),
        ([31, 32, "33,5", 30, 31, 32], "33,5 for sub-03", "a number, as the other"),
        ([31, 32, "NA", 30, 31, 32], "NA for sub-03", "a number, as the other"),
        ([31, 32, "inf", 30, 31, 32], "inf for sub-03", "a number, as the other"),
        (["a", "b", "c", "d", "e", "e"], "5 different words for 6 participants", "a few levels"),
        ([5, 5, 5, 5, 5, 5], "one value for all participants", "a term that varies"),
        (["x", "x", "x", "x", "x", "x"], "x for all participants", "two levels"),
        ([0, 1, 0, 1, 0, 1], "confounded", "told apart"),
    ],
)
def test_a_covariate_that_is_none_is_found_at_the_plan(study, values, found, expected):
    columns(study, extra=values)
    (error,) = problems(analyses(study, "extra"))
    assert error.file == study["participants_table"]
    assert "extra" in error.field
    assert found in error.found
    assert expected in error.expected


@pytest.mark.parametrize(
    "values",
    [
        ["3T", "1.5T", "3T", "1.5T", "3T", "3T"],
        ["none", "some", "none", "some", "some", "some"],
        ["AB", "A", "A", "AB", "B", "A"],
        ["1e1", "20", "30.5", "-4", "5", "6"],
    ],
)
def test_levels_and_numbers_are_taken(study, values):
    columns(study, extra=values)
    sound(analyses(study, "extra"))


def test_more_terms_than_people_are_found(study):
    columns(study, a=[1, 5, 3, 2, 4, 7], b=[2, 1, 4, 4, 1, 9], c=[1, 0, 0, 5, 2, 2])
    (error,) = problems(analyses(study, "a", "b", "c", "age"))
    assert "6 for 6 terms" in error.found


def test_a_site_in_two_spellings_is_found(study):
    columns(study, site=["Kiel", "kiel", "Bonn", "Bonn", "Bonn", "Kiel"])
    (error,) = problems(analyses(study, site="site"))
    assert "kiel for sub-02" in error.found


def test_one_cause_in_two_analyses_is_one_problem(study):
    columns(study, extra=["M", "F", "NA", "F", "M", "F"])
    config = analyses(study, "extra")
    config["analyses"]["b"] = config["analyses"]["a"]
    assert len(problems(config)) == 1


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("sub-01\tT1\t21\t49", "sub-01\tT1\t21\t999", "line 2, craving_post"),
        ("sub-01\tT1\t21\t49", "sub-01\tT1\t21\tinf", "line 2, craving_post"),
        ("sub-01\tT1\t21\t49", "sub-01\tT1\t21,5\t49", "line 2, craving_pre"),
        ("sub-01\tT1\t21\t49", "sub-01\tT1\t21\t\t49", "rows"),
        ("sub-01\tT1\t21\t49", "sub-01\tT2\t21\t49", "line 3"),
        ("sub-01\tT1\t21\t49", "sub-1\tT1\t21\t49", "line 2, participant_id"),
        ("sub-01\tT1\t21\t49", "sub-01\tT9\t21\t49", "line 2, session"),
        ("craving_post", "craving_pre", "header"),
        ("craving_post", "craving_Post", "column craving_post"),
    ],
)
def test_the_ratings_are_read_at_the_plan(study, old, new, field):
    ratings(study, old, new)
    (error,) = problems(study)
    assert error.file == study["craving"]["table"]
    assert error.field == field


def test_the_columns_of_sessions_and_labels_may_be_written_as_bids_does(study):
    ratings(study, "\tsession\t", "\tsession_id\t")
    ratings(study, "\tT1\t", "\tses-T1\t")
    ratings(study, "sub-", "")
    sound(study)


def test_a_missing_craving_table_names_the_key(study):
    study["craving"] = {**CRAVING, "table": "phenotype/none.tsv"}
    (error,) = problems(study)
    assert error.field == "craving.table"


def test_scans_alone_need_no_analyses(study):
    columns(study, arm=["x"] * 6, age=["NA"] * 6)
    ratings(study, "49", "999")
    assert problems(analyses(study))
    assert len(plan.read(analyses(study)).study.participants) == 6


def test_a_choice_of_too_few_people_of_an_arm_is_refused(study):
    study["participants"] = ["01", "02", "03", "04", "05"]
    columns(study, arm=["baclofen", *["placebo"] * 5])
    (error,) = problems(analyses(study))
    assert (error.found, error.expected) == (
        "1 complete participants of baclofen and 4 complete participants of placebo",
        "2 or more in each",
    )


def test_a_blinded_run_that_cannot_be_dealt_has_no_arms(study):
    """Where the trial is not asked for, its errors are not raised: the real arms must not come through."""
    columns(study, arm=["baclofen", "placebo", "typo", "placebo", "baclofen", "baclofen"])
    config = {**analyses(study), "blinded": True}
    assert "typo" in str(problems(config)[0])
    found = plan.read(config).study
    assert {row["arm"] for row in found.participants.values()} == {None}
    assert set(found.randomised.values()) == {None}


def test_planning_stays_light():
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in ("numba", "scipy", "matplotlib"))
    path = str(plan.__file__).rsplit("/pharmasl/", 1)[0]
    subprocess.run([sys.executable, "-c", f"import sys; {hidden}import pharmasl.workflow.plan"], cwd=path, check=True)


def test_analyses_of_other_people_are_not_corrected_jointly(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=6)
    for path in (root / "sub-03/ses-T2/perf").glob("*acq-smoking*"):
        path.unlink()
    part = {"effect": "group_by_time", "covariates": ["age"]}
    config = skeleton.config(root, tmp_path / "results")
    config["analyses"] = {"rest": {"contrast": "rest", **part}, "cue": {"contrast": "cue", **part}}
    config["primary"] = {"answers": ["rest", "cue"], "correction": "joint"}
    (error,) = problems(config)
    assert (error.field, error.found) == ("primary.correction", "joint, and sub-03 in rest or cue alone")
    sound({**config, "primary": {"answers": ["rest", "cue"]}})
    sound({**config, "participants": ["01", "02", "04", "05", "06"]})


@pytest.mark.parametrize(
    ("covariates", "words"),
    [
        (["w1"], None),
        (["w2 - w1"], None),
        (["w1", "w3"], "confounded.*w3 = "),
        (["w2 - w9"], "w9"),
        (["same"], "one value for all participants"),
    ],
)
def test_covariates_of_craving_are_checked_together_and_may_be_changes(tmp_path, covariates, words):
    """w3 is 2 w1 + 3; `same` does not vary."""
    root = skeleton.dataset(tmp_path / "bids", participants=8)
    path = root / "participants.tsv"
    head, *lines = path.read_text().splitlines()
    lines = [f"{line}\t{60 + k}\t{61 + 2 * k % 5}\t{2 * (60 + k) + 3}\t7" for k, line in enumerate(lines)]
    path.write_text("\n".join([f"{head}\tw1\tw2\tw3\tsame", *lines]) + "\n")
    ratings = [f"sub-{k:02d}\t{at}\t{40 + k}\t{50 + k * 2 % 7}" for k in range(1, 9) for at in ("T1", "T2")]
    (root / "phenotype").mkdir(exist_ok=True)
    (root / "phenotype/craving.tsv").write_text("\n".join(["participant_id\tsession_id\tpre\tpost", *ratings]) + "\n")
    craving = {"table": "phenotype/craving.tsv", "before": "pre", "after": "post", "rois": [], "covariates": covariates}
    reading = plan.read({**skeleton.config(root), "craving": craving})
    if words is None:
        plan.check_trial(reading)
        rows = [{**row, "arm": row["arm"]} for row in reading.study.participants.values()]
        scores = scoring.read_scores(
            root / "phenotype/craving.tsv",
            write_rows(tmp_path / "p.tsv", rows),
            dataclasses.replace(reading.study.settings.craving, range=(0, 100)),
            reading.study.settings.sessions,
            reading.study.settings.arms,
        )
        if covariates == ["w2 - w1"]:
            assert float(scores[0]["w2 - w1"]) == 61 - 60
        return
    with pytest.raises(InputErrors, match=words):
        plan.check_trial(reading)


def write_rows(path, rows):
    tables.write_table(path, rows, dict.fromkeys(rows[0], "c"))
    return path


def test_effects_tested_together_have_no_sign_that_analyses_could_share(study):
    config = analyses(study)
    config["analyses"]["together"] = {"contrast": "rest", "model": "change ~ arm + age", "test": ["arm", "age"]}
    config["analyses"]["alone"] = {"contrast": "rest", "model": "change ~ arm + age", "test": "arm"}
    sound({**config, "conjunctions": {"both": ["a", "alone"]}})
    (error,) = problems({**config, "conjunctions": {"both": ["a", "together"]}})
    assert error.field == "conjunctions.both"
    assert "several effects together" in error.found
