"""Reading and checking craving ratings."""

import dataclasses

import complete_settings
import pytest
from pharmasl.endpoints import endpoint, scores
from pharmasl.errors import InputError, InputErrors
from pharmasl.files import tables
from pharmasl.study import settings
from scored import records

SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms()
CRAVING = {"before": "craving_pre", "after": "craving_post", "range": [0, 100]}


@pytest.fixture
def participants(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tarm\tage\nsub-01\tbaclofen\t30\nsub-02\tplacebo\t41\nsub-03\tplacebo\tn/a\n")
    return path


def table(tmp_path, *lines, header="participant_id\tsession\tcraving_pre\tcraving_post"):
    path = tmp_path / "craving.tsv"
    path.write_text("\n".join([header, *(line.replace(" ", "\t") for line in lines)]) + "\n")
    return path


def read_written(path):
    return records(endpoint.read_scores(path))


def asked(**changes):
    stated = {name: value for name, value in {**CRAVING, **changes}.items() if value is not None}
    return complete_settings.craving(settings.Ratings, **stated)


def read(path, participants, **changes):
    return scores.read_scores(path, participants, asked(**changes), SESSIONS, ARMS)


def test_difference_order_and_missing(tmp_path, participants):
    path = table(tmp_path, "02 ses-T2 10 35.5", "sub-01 T1 20 15", "sub-01 ses-T2 n/a 3", "sub-02 T1 0 100")
    rows = read(path, participants)
    assert [(r["participant_id"], r["session_id"]) for r in rows] == [
        (f"sub-0{k}", session) for k in (1, 2, 3) for session in ("T1", "T2")
    ]
    assert [r["cue_elicited"] for r in rows] == [-5, None, 100, 25.5, None, None]
    assert [r["arm"] for r in rows] == ["baclofen"] * 2 + ["placebo"] * 4
    assert (rows[1]["before"], rows[1]["after"]) == (None, 3)


def test_sessions_of_the_config_may_carry_their_prefix(tmp_path, participants):
    path = table(tmp_path, "01 T1 20 30")
    rows = scores.read_scores(
        path, participants, asked(), dataclasses.replace(SESSIONS, baseline="ses-T1", followup="ses-T2"), ARMS
    )
    assert rows[0]["cue_elicited"] == 10


def test_condition_selects_rows(tmp_path, participants):
    header = "participant_id\tsession\tcondition\tcraving_pre\tcraving_post"
    lines = ["01 T1 smoking 10 30", "01 T1 neutral 10 11", "02 T1 neutral 5 6"]
    path = table(tmp_path, *lines, header=header)
    assert read(path, participants, condition="smoking")[0]["cue_elicited"] == 20
    assert read(path, participants, condition="neutral")[0]["cue_elicited"] == 1
    with pytest.raises(InputError, match=r"craving\.condition"):
        read(path, participants)
    with pytest.raises(InputError, match="neutral"):
        read(path, participants, condition="drinking")


@pytest.mark.parametrize("value", ["-1", "100.1", "seven", "nan", "inf", "12,5"])
def test_a_rating_off_the_scale_or_no_number(tmp_path, participants, value):
    with pytest.raises(InputError) as caught:
        read(table(tmp_path, "01 T1 20 30", f"01 T2 {value} 30"), participants)
    assert caught.value.found == value
    assert caught.value.field == "line 3, craving_pre"


def test_no_range_given_takes_any_number(tmp_path, participants):
    assert read(table(tmp_path, "01 T1 -20 130"), participants, range=None)[0]["cue_elicited"] == 150


def test_all_problems_are_found_in_one_pass(tmp_path, participants):
    path = table(tmp_path, "01 T1 20 30", "01 ses-T1 1 2", "04 T1 1 2", "02 T3 1 2", "03 T1 200 -7")
    with pytest.raises(InputErrors) as caught:
        read(path, participants)
    fields = [error.field for error in caught.value.errors]
    assert fields == [
        "line 3",
        "line 4, participant_id",
        "line 5, session",
        "line 6, craving_pre",
        "line 6, craving_post",
    ]


def test_unknown_rows_may_be_ignored(tmp_path, participants):
    path = table(tmp_path, "01 T1 20 30", "04 T1 1 2", "02 T3 1 2")
    assert read(path, participants, unknown="ignore")[0]["cue_elicited"] == 10
    with pytest.raises(InputErrors):
        read(path, participants)


def test_missing_columns_and_rows(tmp_path, participants):
    with pytest.raises(InputErrors, match="craving_post"):
        read(table(tmp_path, "01 T1 20", header="participant_id\tsession\tcraving"), participants)
    with pytest.raises(InputError, match="one row"):
        read(table(tmp_path), participants)


def test_arm_and_covariates_of_the_study(tmp_path, participants):
    path = table(tmp_path, "01 T1 20 30")
    assert read(path, participants, covariates=["age"])[0]["age"] == "30"
    with pytest.raises(InputError, match="weight"):
        read(path, participants, covariates=["weight"])
    participants.write_text("participant_id\tarm\nsub-01\tsham\n")
    with pytest.raises(InputError, match="sham"):
        read(path, participants)


def test_a_participant_without_an_arm_is_kept(tmp_path, participants):
    participants.write_text("participant_id\tarm\nsub-01\tn/a\nsub-02\tplacebo\n")
    rows = read(table(tmp_path, "01 T1 20 30", "02 T1 1 2"), participants)
    assert [row["arm"] for row in rows] == [None, None, "placebo", "placebo"]


def test_written_table_counts_the_missing(tmp_path, participants):
    path = table(tmp_path, "01 T1 20 30", "01 T2 n/a 3", "02 T1 1 2")
    out = tmp_path / "scores.tsv"
    scores.write_scores(path, participants, out, asked(covariates=["age"]), SESSIONS, ARMS)
    header = out.read_text().splitlines()[0].split("\t")
    assert header == ["participant_id", "arm", "session_id", "before", "after", "cue_elicited", "age"]
    sidecar = tables.read_json(out.with_suffix(".json"))
    assert [sidecar[name]["Missing"] for name in ("before", "after", "cue_elicited")] == [4, 3, 4]
    rows = read_written(out)
    assert [row["cue_elicited"] for row in rows] == [10, None, 1, None, None, None]


def test_nothing_is_written_for_bad_input(tmp_path, participants):
    out = tmp_path / "scores.tsv"
    with pytest.raises(InputError):
        scores.write_scores(table(tmp_path, "09 T1 20 30"), participants, out, asked(), SESSIONS, ARMS)
    assert not out.exists()


def test_items_are_summed_and_a_missing_item_makes_the_sum_missing(tmp_path, participants):
    header = "participant_id\tsession\ta1\ta2\ta3\tb1\tb2\tb3"
    lines = ["01 T1 1 2 3 4 5 6", "01 T2 1 n/a 3 4 5 7", "02 T1 n/a n/a n/a 1 1 1", "02 T2 7 7 7 1 1 1"]
    path = table(tmp_path, *lines, header=header)
    craving = {"before": ["a1", "a2", "a3"], "after": ["b1", "b2", "b3"], "range": [1, 7]}
    rows = scores.read_scores(path, participants, asked(**craving), SESSIONS, ARMS)
    assert [(r["before"], r["after"], r["cue_elicited"]) for r in rows[:4]] == [
        (6, 15, 9),
        (None, 16, None),
        (None, 3, None),
        (21, 3, -18),
    ]
    scores.write_scores(path, participants, tmp_path / "out.tsv", asked(**craving), SESSIONS, ARMS)
    sidecar = tables.read_json(tmp_path / "out.json")
    # Two sums want items, and the participant without rows has none at all.
    assert (sidecar["before"]["Missing"], sidecar["after"]["Missing"], sidecar["cue_elicited"]["Missing"]) == (4, 2, 4)
    assert sidecar["before"]["Units"] == "points, sum of 3 items from 1 to 7 (3 to 21)"
    assert sidecar["before"]["Items"] == ["a1", "a2", "a3"]
    # The range is each item's: a sum of 21 is no error, an item of 8 is.
    path = table(tmp_path, "01 T1 1 2 8 4 5 6", header=header)
    with pytest.raises(InputError, match="a3"):
        scores.read_scores(path, participants, asked(**craving), SESSIONS, ARMS)
    with pytest.raises(InputError, match=r"craving\.after"):
        scores.read_scores(path, participants, asked(**craving | {"after": ["b1"]}), SESSIONS, ARMS)
    with pytest.raises(InputErrors, match="c9"):
        scores.read_scores(path, participants, asked(**craving | {"before": ["a1", "c9", "a3"]}), SESSIONS, ARMS)


def test_further_cue_types_have_columns_of_their_own(tmp_path, participants):
    header = "participant_id\tsession\tcondition\tcraving_pre\tcraving_post"
    lines = ["01 T1 smoking 10 30", "01 T1 neutral 10 11", "02 T1 neutral 5 n/a", "02 T1 smoking 6 9"]
    path = table(tmp_path, *lines, header=header)
    craving = {**CRAVING, "condition": ["smoking", "neutral"]}
    scores.write_scores(path, participants, tmp_path / "out.tsv", asked(**craving), SESSIONS, ARMS)
    rows = read_written(tmp_path / "out.tsv")
    assert len(rows) == 6
    assert (rows[0]["cue_elicited"], rows[0]["cue_elicited_neutral"]) == (20.0, 1.0)
    assert (rows[2]["cue_elicited"], rows[2]["before_neutral"], rows[2]["cue_elicited_neutral"]) == (3.0, 5.0, None)
    assert scores.further_conditions(list(rows[0])) == ["neutral"]
    sidecar = tables.read_json(tmp_path / "out.json")
    assert sidecar["cue_elicited"]["Cues"] == "smoking"
    assert "neutral" in sidecar["cue_elicited_neutral"]["Description"]
    with pytest.raises(InputError, match="drinking"):
        read(path, participants, condition=["smoking", "drinking"])


def test_other_arms_and_sessions_of_the_study_are_no_mistake(tmp_path, participants):
    participants.write_text(participants.read_text() + "sub-04\tnaltrexone\t33\n")
    path = table(tmp_path, "01 T1 20 30", "01 T3 20 99", "04 T1 1 2")
    with pytest.raises(InputErrors):
        read(path, participants)
    arms, sessions = complete_settings.arms(others=["naltrexone"]), dataclasses.replace(SESSIONS, others=("ses-T3",))
    rows = scores.read_scores(path, participants, asked(), sessions, arms)
    assert {row["session_id"] for row in rows} == {"T1", "T2"}
    assert [row["cue_elicited"] for row in rows if row["participant_id"] == "sub-04"] == [1, None]
