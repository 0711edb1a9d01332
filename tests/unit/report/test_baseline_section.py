"""Table 1: each arm at baseline."""

import pytest
from pharmasl.report import baseline_section
from pharmasl.report.baseline_section import BaselineTables
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms

ARMS = Arms(column="arm", treatment="drug", control="sham", others=("third",))
LABELS = Labels(
    sessions={"T1": "before"},
    arms={"drug": "baclofen 60 mg"},
    conditions={},
    contrasts={},
    analyses={},
    regions={},
    answers={},
)
PEOPLE = [
    {"participant_id": "sub-1", "arm": "drug", "sex": "F", "age": "20", "pack_years": "1"},
    {"participant_id": "sub-2", "arm": "drug", "sex": "M", "age": "30", "pack_years": "3"},
    {"participant_id": "sub-3", "arm": "sham", "sex": "F", "age": None, "pack_years": "5"},
]


def scan(who, session, cbf, usable="yes"):
    return {"participant_id": who, "session_id": session, "condition": "rest", "gm_cbf": cbf, "usable": usable}


def made(**changes):
    nothing = {"participants": PEOPLE, "quality": [], "craving": [], "endpoints": {}}
    content = BaselineTables(**{**nothing, **changes})
    return baseline_section.table(content, ["pack_years", "age"], arms=ARMS, baseline="T1", labels=LABELS)


def rows(table):
    return {row[0]: list(row[1:]) for row in table.rows}


def test_age_and_sex_come_first_by_arm_and_without_any_p():
    table = made()
    assert table.heads == ["", "baclofen 60 mg", "sham"]  # an arm without participants has no column
    assert [row[0] for row in table.rows] == [
        "Participants",
        "Age (years), 1 value missing",
        "Sex: F",
        "Sex: M",
        "Pack years",
    ]
    cells = rows(table)
    assert cells["Participants"] == ["2", "1"]
    assert cells["Age (years), 1 value missing"] == ["25.0 (7.1)", "n/a"]
    assert cells["Sex: F"] == ["1 (50 %)", "1 (100 %)"]
    assert cells["Sex: M"] == ["1 (50 %)", "0 (0 %)"]
    assert cells["Pack years"] == ["2.0 (1.4)", "5.0"]
    assert "before" in table.caption
    assert not any(head == "p" for head in table.heads)


def test_cbf_is_that_of_usable_scans_at_baseline_a_participant_once():
    quality = [
        scan("sub-1", "T1", "50"),
        scan("sub-1", "T1", "54"),
        scan("sub-2", "T1", "60"),
        scan("sub-2", "T2", "90"),
        scan("sub-3", "T1", "10", usable="no"),
    ]
    assert rows(made(quality=quality))["Grey-matter CBF, rest (mL/100 g/min)"] == ["56.0 (5.7)", "n/a"]


def test_scores_are_those_of_the_first_session():
    craving = [
        {"participant_id": "sub-1", "session_id": "T1", "cue_elicited": "10"},
        {"participant_id": "sub-3", "session_id": "T2", "cue_elicited": "99"},
    ]
    observed = {"analysis": "observed", "arm": "sham", "session_id": "T1", "estimate": "18", "sd": "3.3"}
    cells = rows(made(craving=craving, endpoints={"Smoking (a day)": [observed, {**observed, "session_id": "T2"}]}))
    assert cells["Cue-elicited craving (points)"] == ["10.0", "n/a"]
    assert cells["Smoking (a day)"] == ["n/a", "18.0 (3.3)"]


@pytest.mark.parametrize("people", [PEOPLE, []])
def test_without_arms_all_stand_in_one_column(people):
    content = BaselineTables(participants=people, quality=[], craving=[], endpoints={})
    table = baseline_section.table(content, [], arms=None, baseline=None, labels=LABELS)
    assert table.heads == ["", "All"]
    assert table.rows[0] == ["Participants", str(len(people))]
