"""Studies of one session, and of one sample: what needs neither a follow-up nor arms, and what is refused."""

import copy

import pytest
from pharmasl.errors import InputErrors
from pharmasl.workflow import plan

from tests import complete_settings, skeleton

ARMS = {"contrast": "rest", "model": "baseline ~ arm + age", "test": "arm"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_session")
    skeleton.dataset(folder / "bids", participants=8, sessions=("T1",))
    config = skeleton.config(folder / "bids", folder / "results")
    return {**config, "sessions": {"baseline": "T1"}, "analyses": {"arms_apart": ARMS}}


def test_the_arms_are_compared_at_it(config):
    study = complete_settings.read(config)
    targets = complete_settings.targets(study)
    assert study.sessions.labels == ("T1",)
    assert len(targets.analyses.session_maps("baseline", "arms_apart")) == 8
    assert targets.analyses.session_maps("followup", "arms_apart") == []
    assert targets.analyses.members("arms_apart") == {"baseline": [f"sub-{n:02d}" for n in range(1, 9)], "followup": []}


@pytest.mark.parametrize(
    "more",
    [
        {"analyses": {"change": {"contrast": "rest", "effect": "group_by_time"}}},
        {"analyses": {"change": {"contrast": "rest", "model": "followup ~ arm + baseline", "test": "arm"}}},
        {"craving": {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post"}},
    ],
)
def test_what_compares_sessions_is_refused(config, more):
    with pytest.raises(InputErrors, match=r"sessions\.followup.*the follow-up session"):
        complete_settings.read({**copy.deepcopy(config), **more})


@pytest.fixture(scope="module")
def one_sample(tmp_path_factory):
    """Eight people in a dataset without sessions, of whom no arm is known."""
    folder = tmp_path_factory.mktemp("one_sample")
    for number in range(1, 9):
        person = folder / "bids" / f"sub-{number:02d}"
        skeleton.image(person / "anat" / f"{person.name}_T1w.nii.gz", (3, 3, 3))
        skeleton.run(person / "perf", f"{person.name}_acq-rest")
    skeleton.write(
        folder / "bids" / "participants.tsv",
        "participant_id\tage\n" + "".join(f"sub-{number:02d}\t{30 + number % 3}\n" for number in range(1, 9)),
    )
    return {
        "bids_dir": str(folder / "bids"),
        "output_dir": str(folder / "results"),
        "conditions": {"rest": {"acquisition": "rest"}},
        "contrasts": {"rest": {"rest": 1}},
        "analyses": {
            "mean": {"contrast": "rest", "model": "baseline ~ 1", "test": "1"},
            "ageing": {"contrast": "rest", "model": "baseline ~ age", "test": "age"},
        },
    }


def test_one_sample_needs_neither_arms_nor_sessions(one_sample):
    reading = plan.read(one_sample)
    assert plan.trial_problems(reading) == []
    targets = complete_settings.targets(reading.study)
    maps = targets.analyses.session_maps("baseline", "mean")
    assert (
        maps[0] == "results/sub-01/contrasts/sub-01_space-MNI152NLin2009aSym_contrast-rest_stat-effect_statmap.nii.gz"
    )
    assert len(maps) == 8
    assert targets.analyses.session_maps("followup", "ageing") == []
    assert targets.analyses.sessions("mean") == {"baseline": ""}
    assert targets.models["analyses/ageing"][0] == {"participant_id": "sub-01", "arm": None, "age": "31"}


@pytest.mark.parametrize(
    ("analysis", "missing"),
    [
        ({"contrast": "rest", "effect": "baseline_difference"}, "arms"),
        ({"contrast": "rest", "model": "baseline ~ arm", "test": "arm"}, "arms"),
        ({"contrast": "rest", "model": "change ~ age", "test": "age"}, "sessions"),
        ({"contrast": "rest", "model": "cbf ~ session + (1 | participant)", "test": "session"}, "arms"),
    ],
)
def test_what_one_sample_cannot_answer_is_refused(one_sample, analysis, missing):
    with pytest.raises(InputErrors, match=rf"{missing}: .*nothing.*the {missing}, for the analysis asked"):
        complete_settings.read({**one_sample, "analyses": {"asked": analysis}})


def test_one_sample_of_one_person_is_refused(one_sample, tmp_path):
    lonely = {"contrast": "rest", "model": "baseline ~ weight", "test": "weight"}
    rows = [f"sub-{number:02d}\t{'70' if number == 1 else 'n/a'}" for number in range(1, 9)]
    skeleton.write(tmp_path / "people.tsv", "\n".join(["participant_id\tweight", *rows]) + "\n")
    with pytest.raises(InputErrors, match="1 complete participant"):
        complete_settings.read(
            {**one_sample, "participants_table": str(tmp_path / "people.tsv"), "analyses": {"heavy": lonely}}
        )
