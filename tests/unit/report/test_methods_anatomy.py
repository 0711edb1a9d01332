"""The methods text of anatomies: the workflow's own, another program's, or some steps of either."""

import complete_settings
import pytest
from pharmasl.report import literature, methods_anatomy

OWN = [{"anatomy": "the participant's"}] * 2
IMPORTED = [{"anatomy": "the participant's", "anatomy_program": "fMRIPrep 25.2.7"}] * 2
TEMPLATE = {"space": "MNI152NLin2009cAsym", "t1w": "t.nii", "gm": "g.nii", "wm": "w.nii"}


def text(scans, *own, program=True):
    derivatives = {"anatomy": {"dir": "fmriprep", "own": list(own)}} if program else {}
    return methods_anatomy.anatomy(complete_settings.study(derivatives=derivatives, template=TEMPLATE), scans)


def test_own_anatomies_name_no_other_program():
    words = text(OWN, program=False)
    assert "deepbet" in words
    assert "greedy" in words
    assert "Gaussian mixture" in words
    assert "fMRIPrep" not in words


def test_imported_anatomies_name_the_program_its_version_and_its_template():
    words = text(IMPORTED)
    assert "T1-weighted images that fMRIPrep 25.2.7 (Esteban et al. 2019) had preprocessed" in words
    assert "its transforms to the MNI152NLin2009cAsym template" in words
    assert not any(name in words for name in ("deepbet", "N4", "greedy", "Gaussian mixture"))
    assert [reference.key for reference in literature.cited_in([words])] == ["esteban2019"]


@pytest.mark.parametrize(
    ("step", "there", "gone"),
    [("registration", "greedy", "its transforms"), ("segmentation", "Gaussian mixture", "its fractions")],
)
def test_steps_of_the_workflow_are_described_as_its_own(step, there, gone):
    words = text(IMPORTED, step)
    assert there in words
    assert gone not in words


def test_a_program_without_a_reference_is_named_all_the_same():
    words = text([{"anatomy": "the participant's", "anatomy_program": "PrepX 1.0"}])
    assert "T1-weighted images that PrepX 1.0 had preprocessed" in words
