"""Anatomies of fMRIPrep at the plan: which files stand for which visit, and what is refused."""

import json
from pathlib import Path

import complete_settings
import fmriprep
import numpy as np
import pytest
import skeleton
from pharmasl.commands import overview
from pharmasl.errors import InputErrors
from pharmasl.study import sheet_content

PEOPLE = ("01", "02", "03", "04")


@pytest.fixture
def root(tmp_path):
    """A trial, and fMRIPrep's derivatives of it with transforms to the study's own template."""
    fmriprep.skeleton(tmp_path / "fmriprep", PEOPLE, spaces=("MNI152NLin2009aSym", "MNI152NLin6Asym"))
    return skeleton.dataset(tmp_path / "bids")


def config(root, own=(), stated=None, **changes):
    stated = {"dir": str(root.parent / "fmriprep"), "own": list(own), **(stated or {})}
    return {**skeleton.config(root), "derivatives": {"anatomy": stated}, **changes}


def read(root, **changes):
    return complete_settings.read(config(root, **changes))


def problems(root, **changes):
    with pytest.raises(InputErrors) as caught:
        read(root, **changes)
    return caught.value.errors


def the_problem(root, **changes):
    (error,) = problems(root, **changes)
    return error


def folder(root, subject="02"):
    return root.parent / f"fmriprep/sub-{subject}/anat"


def test_files_are_those_in_the_space_of_the_t1w(root):
    study = read(root)
    imported = study.imported_anatomies
    assert imported.dataset.words == "fMRIPrep 25.2.7"
    assert list(imported.files) == [f"sub-{label}/anat/sub-{label}" for label in PEOPLE]
    files = imported.files["sub-02/anat/sub-02"]
    assert {kind: Path(path).name for kind, path in vars(files).items()} == {
        "t1w": "sub-02_desc-preproc_T1w.nii.gz",
        "mask": "sub-02_desc-brain_mask.nii.gz",
        "gm": "sub-02_label-GM_probseg.nii.gz",
        "wm": "sub-02_label-WM_probseg.nii.gz",
        "csf": "sub-02_label-CSF_probseg.nii.gz",
        "transform": "sub-02_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5",
    }
    assert study.anatomy(("02", "T2")) == "sub-02/anat/sub-02"


def test_raw_t1w_are_not_read(root):
    for path in root.rglob("*_T1w.nii.gz"):
        path.unlink()
    row = next(iter(sheet_content.scan_rows(read(root))))
    assert row["t1w"] == "sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"
    assert (row["anatomy"], row["anatomy_program"]) == ("the participant's", "fMRIPrep 25.2.7")


def test_steps_of_the_workflow_need_no_files(root):
    for label in PEOPLE:
        for path in [*folder(root, label).glob("*_xfm.*"), *folder(root, label).glob("*probseg*")]:
            path.unlink()
    study = read(root, own=["registration", "segmentation"])
    files = study.imported_anatomies.files["sub-03/anat/sub-03"]
    assert (files.transform, files.gm, files.wm, files.csf) == (None, None, None, None)
    targets = complete_settings.targets(study)
    ways = {step: targets.anatomies.made_by(step, "imported") for step in ("image", "registration", "segmentation")}
    assert ways == {"image": list(study.t1w), "registration": [], "segmentation": []}
    assert targets.anatomies.made_by("registration", "own") == list(study.t1w)
    assert targets.anatomies.made_by("image", "own") == targets.anatomies.made_by("image", "template") == []


def test_a_session_has_its_own_anatomy_where_the_program_made_one(root):
    for label in PEOPLE:
        for path in folder(root, label).iterdir():
            path.unlink()
    for session in ("T1", "T2"):
        fmriprep.skeleton(root.parent / "fmriprep", PEOPLE, session=session, spaces=("MNI152NLin2009aSym",))
    study = read(root, anatomy={"per": "session"})
    assert study.anatomy(("03", "T2")) == "sub-03/ses-T2/anat/sub-03_ses-T2"
    assert study.anatomy_origin(("03", "T2")) == "the session's own"
    errors = problems(root)
    assert len(errors) == len(PEOPLE)
    assert all("Set anatomy.per to session" in error.fix for error in errors)


def test_everyone_without_an_anatomy_is_named_at_once(root):
    for label in ("02", "04"):
        for path in folder(root, label).iterdir():
            path.unlink()
    error = the_problem(root)
    assert error.found == "no such file of sub-02, sub-04"
    assert "not mixed in one study" in error.fix
    assert read(root, participants=["01", "03"]).imported_anatomies.files.keys() == {
        f"sub-{label}/anat/sub-{label}" for label in ("01", "03")
    }


def test_a_raw_t1w_or_the_template_do_not_take_the_place_of_an_anatomy(root):
    for path in folder(root).iterdir():
        path.unlink()
    assert the_problem(root, anatomy={"missing_t1w": "template"}).found == "no such file of sub-02"


def test_names_of_old_versions_are_recognised(root):
    for label in PEOPLE:
        for path in folder(root, label).iterdir():
            path.unlink()
        skeleton.image(folder(root, label) / f"sub-{label}_T1w_preproc.nii.gz", (3, 3, 3))
    assert "names of versions before BIDS derivatives" in the_problem(root).found


def test_another_template_is_one_error_that_names_what_there_is(root):
    for path in (root.parent / "fmriprep").rglob("*NLin2009aSym*"):
        path.unlink()
    error = the_problem(root)
    assert error.field == "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm"
    assert error.found == "transforms to MNI152NLin6Asym alone"
    assert "template.space: MNI152NLin6Asym" in error.fix
    assert "derivatives.anatomy.own: [registration]" in error.fix
    assert read(root, own=["registration"]).imported_anatomies.own == ("registration",)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("desc-brain_mask.nii.gz", "desc-brain_mask.nii.gz"),
        ("label-CSF_probseg.nii.gz", "label-CSF_probseg.nii.gz"),
        ("from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5", "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm"),
    ],
)
def test_half_an_anatomy_is_refused_by_file(root, name, field):
    (folder(root) / f"sub-02_{name}").unlink()
    error = the_problem(root)
    assert (error.file, error.field, error.found) == (str(folder(root)), field, "no such file")


def test_two_anatomies_of_one_person_are_refused(root):
    skeleton.image(folder(root) / "sub-02_acq-fast_desc-preproc_T1w.nii.gz", (3, 3, 3))
    assert the_problem(root).found == "sub-02_acq-fast_desc-preproc_T1w.nii.gz and sub-02_desc-preproc_T1w.nii.gz"


def test_a_file_of_another_person_is_refused(root):
    here = folder(root) / "sub-02_desc-brain_mask.nii.gz"
    here.rename(folder(root) / "sub-03_desc-brain_mask.nii.gz")
    fields = {error.field: error for error in problems(root)}
    assert fields["sub"].found == "sub-03 in the name"
    assert fields["desc-brain_mask.nii.gz"].found == "no such file"


def test_one_anatomy_under_two_names_is_refused(root):
    there = folder(root, "03") / "sub-03_desc-preproc_T1w.nii.gz"
    there.write_bytes((folder(root) / "sub-02_desc-preproc_T1w.nii.gz").read_bytes())
    assert "the same content as" in the_problem(root).found


def test_images_of_one_anatomy_share_a_grid(root):
    skeleton.image(folder(root) / "sub-02_label-GM_probseg.nii.gz", (3, 3, 4))
    error = the_problem(root)
    assert (error.field, error.expected) == ("grid", "that of sub-02_desc-preproc_T1w.nii.gz: (3, 3, 3)")


def test_a_transform_that_was_not_fetched_is_refused(root):
    path = folder(root) / "sub-02_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5"
    path.write_bytes(b"/annex/objects/SHA256E-s1--0.h5")
    assert the_problem(root).found == "a file that begins with '/annex/objects/SHA256E-s'"


def test_the_raw_dataset_is_no_source(root):
    (root.parent / "fmriprep/dataset_description.json").write_text(json.dumps({"DatasetType": "raw", "Name": "x"}))
    assert the_problem(root).field == "DatasetType"


def test_a_folder_above_the_dataset_is_refused(root):
    fmriprep.description(root.parent)
    error = the_problem(root, derivatives={"anatomy": {"dir": str(root.parent)}})
    assert error.fix == "Point derivatives.anatomy.dir at the dataset's root."


def test_check_says_which_program_made_the_anatomies(root):
    part = overview.other_programs(read(root, own=["registration"]))
    assert part.lines == ["4 anatomies of fMRIPrep 25.2.7; registration by this workflow"]
    assert overview.other_programs(complete_settings.read(skeleton.config(root))).lines == []


def test_files_of_another_template_than_the_study_names_are_refused(root):
    own = {kind: str(root.parent / f"{kind}.nii.gz") for kind in ("t1w", "gm", "wm")}
    affine = np.diag([4.0, 4, 4, 1])
    # The field of view of MNI152NLin6Asym at 1 mm.
    affine[:3, 3] = (-89.5, -124.5, -70.5)
    for path in own.values():
        fmriprep.save(path, np.ones((46, 55, 46)), affine)
    errors = problems(root, template={"space": "MNI152NLin2009cAsym", **own}, own=["registration"])
    assert [(error.field, error.found) for error in errors] == [("template.t1w", "the grid of MNI152NLin6Asym")]
    assert read(root, template={"space": "MNI152NLin6Asym", **own}).imported_anatomies is not None


def test_a_stated_transform_leads_from_another_template(root):
    onward = root.parent / "from-MNI152NLin6Asym_to-MNI152NLin2009aSym_xfm.h5"
    onward.write_bytes(fmriprep.HDF5)
    study = read(root, stated={"space": "MNI152NLin6Asym", "transform": str(onward)})
    files = study.imported_anatomies.files["sub-02/anat/sub-02"]
    assert Path(files.transform).name == "sub-02_from-T1w_to-MNI152NLin6Asym_mode-image_xfm.h5"
    targets = complete_settings.targets(study)
    assert targets.anatomies.transforms("sub-02/anat/sub-02") == [str(onward), files.transform]


@pytest.mark.parametrize(
    ("stated", "own", "field"),
    [
        ({"space": "MNI152NLin6Asym"}, [], "derivatives.anatomy.space"),
        ({"transform": "x.h5"}, [], "derivatives.anatomy.transform"),
        ({"space": "MNI152NLin6Asym", "transform": "absent.h5"}, [], "derivatives.anatomy.transform"),
        ({"space": "MNI152NLin6Asym", "transform": "x.h5"}, ["registration"], "derivatives.anatomy.transform"),
    ],
)
def test_templates_are_not_mixed_without_a_transform(root, stated, own, field):
    assert the_problem(root, stated=stated, own=own).field == field
