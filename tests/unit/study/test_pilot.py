"""A few people of a study, chosen to look at their scans."""

import pytest
import skeleton
from other_trial import dataset
from pharmasl.study import configuration, pilot
from pharmasl.workflow import plan


@pytest.fixture
def study(tmp_path):
    """A whole trial's configuration, and its dataset of another shape."""
    return {
        "bids_dir": str(dataset(tmp_path / "data")),
        "output_dir": str(tmp_path / "results"),
        "title": "A trial",
        "sessions": {"baseline": "ses-pre", "followup": "post"},
        "arms": {"column": "group", "treatment": "drug", "control": "sham"},
        "conditions": {"rest": {"run": 1}, "cue": {"run": 2}, "neutral": {"run": 3}},
        "contrasts": {"rest": {"rest": 1}, "cue": {"cue": 1, "neutral": -1}},
        "analyses": {"rest": {"contrast": "rest", "model": "followup ~ arm + baseline + age + sex", "test": "arm"}},
        "rois": {"top": {"analysis": "rest", "cluster": 1}, "middle": {"sphere": [0, 44, -12], "radius": 10}},
        "craving": {"table": "phenotype/ratings.tsv", "before": "vas_before", "after": "vas_after", "range": [0, 10]},
        "endpoints": {"cigarettes": {"table": "phenotype/ratings.tsv", "score": "cigarettes_per_day"}},
        "primary": {"answers": ["rest", "craving"]},
    }


@pytest.mark.parametrize("chosen", [["S101"], ["sub-S101", "S102"], "S101, sub-S103", ["S101", "S102", "S103", "S105"]])
def test_a_few_people_are_planned_without_what_they_cannot_answer(study, chosen):
    reading = plan.read({**study, "participants": chosen})
    assert plan.trial_problems(reading) == []
    settings = reading.study.settings
    assert not settings.analyses
    assert not settings.endpoints
    assert (settings.arms, settings.craving, settings.primary, settings.sensitivity) == (None, None, None, None)
    assert list(settings.rois) == ["middle"]
    assert list(settings.contrasts) == ["rest", "cue"]
    assert settings.sessions.baseline == "pre"
    assert settings.title.startswith("A trial (pilot: ")
    assert reading.note.endswith("The whole study takes over what is made now.")
    assert "without rest, primary, craving, cigarettes, which 4 people or fewer cannot answer" in reading.note


def test_more_people_make_a_trial(study):
    study["participants"] = ["S101", "S102", "S103", "S105", "S106"]
    study["anatomy"] = {"missing_t1w": "template"}
    assert configuration.resolve(study)["analyses"]
    assert plan.read(study).note == ""
    assert plan.read({name: part for name, part in study.items() if name != "participants"}).note == ""


def test_mistakes_of_the_trial_are_reported_in_a_pilot_too(study):
    study |= {"participants": ["S101"], "primary": {"answers": ["rst"]}}
    with pytest.raises(ValueError, match="rst"):
        configuration.resolve(study)


def test_a_pilot_without_analyses_leaves_nothing_out(tmp_path):
    config = skeleton.config(skeleton.dataset(tmp_path / "bids"), tmp_path / "results") | {"participants": ["01"]}
    del config["analyses"]
    assert pilot.note(configuration.whole(config)) == ""


def test_a_blinded_pilot_knows_no_arm(study):
    reading = plan.read({**study, "participants": ["S101", "S102"], "blinded": True})
    assert {name for row in reading.study.participants.values() for name in row} == {"participant_id"}
    assert set(reading.study.randomised.values()) == {None}
    assert reading.study.settings.blinded


def test_an_unknown_label_gets_the_nearest(study):
    with pytest.raises(ValueError, match=r"participants: found 's105'.*Did you mean S105"):
        plan.read({**study, "participants": ["s105"]})
