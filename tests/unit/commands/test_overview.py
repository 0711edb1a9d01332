"""A study in the lines of a terminal."""

import pytest
from other_trial import dataset
from pharmasl.commands import overview
from pharmasl.study import reading

from tests.skeleton import image

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
        "on_drug 4 drug 16 relabellings: no p below 0.12",
    ]


def test_what_is_left_out_is_told_with_the_reason(study):
    assert words(overview.left_out(study)) == [
        "rest: no rest at post (sub-S107)",
        "on_drug: no cue at post (sub-S107)",
    ]


def test_long_lists_are_counted():
    assert overview.shortened([str(k) for k in range(20)])[-1] == "... and 8 more"
    assert overview.named(["a", "b", "c", "d", "a"]) == "a, b, c and 1 more"


def test_what_is_worth_a_second_look(study):
    assert overview.warnings(study).lines == [
        "on_drug can show nothing: with so few people no p can be below 0.12",
        "no answer is declared as primary, so that all are exploratory",
        "blinded is false: a run uses the trial's own allocation, and puts its first use on record",
    ]


def test_what_is_assumed_and_what_differs_between_the_sessions(tmp_path):
    folder = dataset(tmp_path / "data", number=4)
    for path in folder.rglob("*_asl.json"):
        text = path.read_text().replace(', "LabelingEfficiency": 0.85', "")
        path.write_text(
            text.replace('"PostLabelingDelay": 1.8', '"PostLabelingDelay": 2.0') if "post" in path.name else text
        )
    config = {name: part for name, part in CONFIG.items() if name != "analyses"}
    study = reading.collect({**config, "bids_dir": str(folder)}).study
    assert overview.warnings(study).lines == [
        "the labelling efficiency is assumed to be 0.85: no sidecar says so",
        "most scans of the sessions were acquired differently, which can look like an effect (pre: delay 1.8 s; post: delay 2 s)",
    ]


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Ready-made contrast maps of a study without arms or sessions; one person lacks one of two contrasts."""
    folder = tmp_path_factory.mktemp("maps")
    for who in ("01", "02", "03"):
        for contrast in ("cue", "rest"):
            if (who, contrast) != ("02", "rest"):
                image(folder / f"sub-{who}_{contrast}.nii.gz", (3, 3, 4))
    image(folder / "mask.nii.gz", (3, 3, 4))
    door = {
        "dir": str(folder),
        "generated_by": {"name": "SPM", "version": "25.01"},
        "space": "MNI152NLin6Asym",
        "unit": "percent signal change",
        "files": {name: f"sub-{{participant}}_{name}.nii.gz" for name in ("cue", "rest")},
    }
    result = reading.collect(
        {
            "output_dir": "results",
            "derivatives": {"contrasts": door},
            "template": {"space": "MNI152NLin6Asym", "mask": str(folder / "mask.nii.gz")},
            "analyses": {"mean": {"contrast": "rest", "model": "baseline ~ 1", "test": "1"}},
        }
    )
    return result.study


def test_ready_made_maps_in_place_of_scans(maps):
    assert [str(part.heading) for part in overview.parts(maps)] == [
        "People: 3 with contrast maps, no table of them",
        "Contrasts: 5 ready-made maps of 2, made by SPM 25.01",
        "Incomplete: 1",
        "Analyses, if every scan is usable",
        "Left out",
        "Warnings: 2",
    ]
    assert words(overview.states(maps)) == ["maps", "cue 3", "rest 2"]
    assert words(overview.incomplete(maps)) == ["sub-02 no rest"]
    assert words(overview.analyses(maps)) == ["mean 2 participants 4 relabellings: no p below 0.5"]
    assert words(overview.left_out(maps)) == ["mean: no rest (sub-02)"]
    assert words(overview.warnings(maps))[0].startswith("mean can show nothing")
