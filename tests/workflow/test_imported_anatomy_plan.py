"""Plans of studies whose anatomies another program made."""

import fmriprep
import pytest
import skeleton
from calling import Workflow
from plans import jobs

OWN = {"prepare_anatomy", "normalise_anatomy", "segment_anatomy", "assume_anatomy"}


@pytest.fixture
def study(tmp_path):
    skeleton.dataset(tmp_path / "bids")
    labels = [f"{number:02d}" for number in range(1, 5)]
    fmriprep.skeleton(tmp_path / "bids/derivatives/fmriprep", labels, spaces=("MNI152NLin2009aSym",))
    return Workflow(tmp_path)


def planned(study, **anatomy):
    stated = {"dir": "bids/derivatives/fmriprep", **anatomy}
    study.configure({**skeleton.config("bids"), "derivatives": {"anatomy": stated}})
    return study.snakemake("-n")


def test_imports_stand_in_for_the_three_rules_of_an_anatomy(study):
    counts = jobs(planned(study).stdout)
    assert counts["import_anatomy"] == counts["import_registration"] == counts["import_segmentation"] == 4
    assert not OWN & set(counts)
    assert counts["align_perfusion"] == counts["quantify_perfusion"] == 4 * 2 * 3


def test_steps_of_the_workflow_stay_its_own(study):
    counts = jobs(planned(study, own=["registration"]).stdout)
    assert counts["import_anatomy"] == counts["normalise_anatomy"] == counts["import_segmentation"] == 4
    assert not {"prepare_anatomy", "import_registration", "segment_anatomy"} & set(counts)


def test_half_a_dataset_stops_the_plan_with_one_message(study):
    for path in (study.folder / "bids/derivatives/fmriprep/sub-03/anat").iterdir():
        path.unlink()
    study.configure({**skeleton.config("bids"), "derivatives": {"anatomy": {"dir": "bids/derivatives/fmriprep"}}})
    done = study.snakemake(check=False)
    assert done.returncode != 0
    assert "no such file of sub-03" in done.stderr
    assert "Traceback" not in done.stderr
