"""A study in the lines of a terminal."""

import pytest
from other_trial import dataset
from pharmasl.commands import overview
from pharmasl.study import reading

CONFIG = {
    "output_dir": "results",
    "sessions": {"baseline": "pre", "followup": "post"},
    "arms": {"column": "group", "treatment": "drug", "control": "sham"},
    "conditions": {"rest": {"run": 1}, "cue": {"run": 2}, "neutral": {"run": 3}},
    "contrasts": {"rest": {"rest": 1}, "cue": {"cue": 1, "neutral": -1}},
    "anatomy": {"missing_t1w": "template"},
    "analyses": {
        "rest": {"contrast": "rest", "effect": "group_by_time"},
        "on_drug": {"contrast": "cue", "effect": "within_arm", "arm": "drug"},
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = dataset(tmp_path_factory.mktemp("other") / "data")
    result = reading.collect({**CONFIG, "bids_dir": str(folder)})
    assert not result.errors
    return result.study


def words(part):
    return [" ".join(line.split()) for line in part.lines]


def test_people_by_arm_and_session(study):
    part = overview.people(study)
    assert part.heading == "People: 10 with scans, 10 in participants.tsv"
    assert words(part) == ["pre post all sessions", "drug 5 4 4", "sham 5 5 5", "together 10 9 9"]


def test_states_with_what_their_runs_are_known_by(study):
    assert words(overview.states(study)) == [
        "runs with pre post",
        "rest run: 1 10 9",
        "cue run: 2 10 9",
        "neutral run: 3 10 9",
    ]


def test_who_is_incomplete_and_why(study):
    assert words(overview.incomplete(study)) == [
        "sub-S104 no T1w: the template takes its place",
        "sub-S107 not scanned at post",
    ]


def test_the_acquisition_at_a_glance(study):
    (line,) = overview.acquisition(study).lines
    assert line.startswith("PCASL, 3 T, 3D readout, labelling 1.8 s, delay 1.8 s")
    assert line.endswith("3 pairs: all 57 scans")


def test_scans_of_another_acquisition_are_named(tmp_path):
    folder = dataset(tmp_path / "data", number=4)
    path = folder / "sub-S102/ses-post/perf/sub-S102_ses-post_run-02_asl.json"
    path.write_text(path.read_text().replace('"PostLabelingDelay": 1.8', '"PostLabelingDelay": 1.5'))
    study = reading.collect({**CONFIG, "bids_dir": str(folder)}).study
    usual, other = overview.acquisition(study).lines
    assert usual.endswith("23 of 24 scans")
    assert other == "1: delay 1.5 s (sub-S102_ses-post_run-02)"


def test_analyses_with_their_people_and_the_smallest_p_they_allow(study):
    # Of 9 people 4 can be named in 126 ways; 4 people's signs in 16, of which all turned round is the same size.
    assert words(overview.analyses(study)) == [
        "rest 4 drug, 5 sham 126 relabellings: no p below 0.0079",
        "on_drug 4 drug 16 relabellings: no p below 0.12, so NOTHING CAN REACH alpha 0.05",
    ]


def test_what_is_left_out_is_told_with_the_reason(study):
    assert words(overview.left_out(study)) == [
        "rest: no rest at post (sub-S107)",
        "on_drug: no cue at post (sub-S107)",
    ]


def test_long_lists_are_counted():
    assert overview.shortened([str(k) for k in range(20)])[-1] == "... and 8 more"
    assert overview.named(["a", "b", "c", "d", "a"]) == "a, b, c and 1 more"
