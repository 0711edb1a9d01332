"""Sidecars of images: what the job wrote stays, and what is true of all images is added."""

import re
import types
from functools import partial
from pathlib import Path

import pytest
from loading import ROOT
from pharmasl.files import bids, tables
from pharmasl.workflow import image_kinds, image_sidecars

SPACE = "MNI152NLin2009aSym"
REFERENCE = f"template/tpl-{SPACE}_res-3_desc-brain_mask.nii.gz"


class Named(list):
    """Files of a job as Snakemake gives them: a list, with names."""

    def __init__(self, **files):
        super().__init__(one for value in files.values() for one in ([value] if isinstance(value, str) else value))
        self.files = files

    def items(self):
        return self.files.items()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study's folder, in which jobs run, and what they know of the results."""
    monkeypatch.chdir(tmp_path)
    for folder in ("results/sub-01/anat", "results/sub-01/perf", "results/template", "results/rois", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    datasets = {"raw": "bids", "anatomy": "bids/derivatives/fmriprep"}
    return {"root": "results", "space": SPACE, "reference": REFERENCE, "datasets": datasets}


def complete(study, inputs, **outputs):
    job = types.SimpleNamespace(input=Named(**inputs), output=Named(**outputs), config={image_sidecars.KEY: study})
    image_sidecars.complete(job)
    return [tables.read_json(path.replace(".nii.gz", ".json")) for path in job.output if path.endswith(".nii.gz")]


def test_anatomies_of_another_program_name_its_folder_and_not_the_one_around_it(study):
    stem = "results/sub-01/anat/sub-01"
    tables.write_json(f"{stem}_desc-preproc_T1w.json", {"Description": "Of another program", "Imported": True})
    t1w = "bids/derivatives/fmriprep/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"
    inputs = {"t1w": t1w, "mask": t1w.replace("preproc_T1w", "brain_mask")}
    image, mask = complete(
        study,
        inputs,
        preproc=f"{stem}_desc-preproc_T1w.nii.gz",
        mask=f"{stem}_desc-brain_mask.nii.gz",
        sidecar=f"{stem}_desc-preproc_T1w.json",
    )
    sources = [
        "bids:anatomy:sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
        "bids:anatomy:sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    ]
    assert image == {"Description": "Of another program", "Imported": True, "Sources": sources}
    assert mask == {
        "Description": "1 in the brain",
        "Type": "Brain",
        "SpatialReference": "bids::sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
        "Sources": sources,
    }


def test_maps_of_a_scan_name_what_each_is_made_of(study):
    stem = "results/sub-01/perf/sub-01_acq-rest"
    inputs = {
        "asl": "bids/sub-01/perf/sub-01_acq-rest_asl.nii.gz",
        "m0": [],
        "forward": f"results/sub-01/anat/sub-01_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz",
        "template_mask": f"results/{REFERENCE}",
    }
    cbf, on_template = complete(study, inputs, cbf=f"{stem}_cbf.nii.gz", smooth=f"{stem}_space-{SPACE}_cbf.nii.gz")
    assert cbf["Sources"] == ["bids:raw:sub-01/perf/sub-01_acq-rest_asl.nii.gz"]
    assert cbf["SpatialReference"] == "bids::sub-01/perf/sub-01_acq-rest_aslref.nii.gz"
    assert "Space" not in cbf
    assert on_template["Sources"] == [
        "bids:raw:sub-01/perf/sub-01_acq-rest_asl.nii.gz",
        f"bids::sub-01/anat/sub-01_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz",
        f"bids::{REFERENCE}",
    ]
    assert (on_template["Space"], on_template["SpatialReference"]) == (SPACE, f"bids::{REFERENCE}")
    assert cbf["Units"] == on_template["Units"] == "mL/100 g/min"


def test_a_file_of_no_dataset_is_named_without_its_folder(study):
    image = f"results/template/tpl-{SPACE}_res-3_T1w.nii.gz"
    (content,) = complete(study, {"t1w": "elsewhere/my T1w.nii"}, t1w=image)
    assert content["OtherSources"] == ["my T1w.nii"]
    assert "Sources" not in content


def test_a_place_with_a_blank_is_a_uri_all_the_same(study):
    results = image_sidecars.Results(**study)
    assert results.uri("bids/sub-01/con 1.nii") == "bids:raw:sub-01/con%201.nii"
    assert results.uri("bids2/sub-01/con.nii") is None


def test_an_image_of_no_kind_is_refused(study):
    with pytest.raises(LookupError, match="no kind of image has such a name"):
        complete(study, {}, image="results/rois/lesion_map.nii.gz")


def test_maps_of_alternatives_have_none(study):
    job = types.SimpleNamespace(
        input=Named(), output=Named(map="results/sensitivity/maps/a/x.nii.gz"), config={image_sidecars.KEY: study}
    )
    image_sidecars.complete(job)
    assert not list(Path("results").rglob("*.json"))


def test_images_outside_the_results_and_jobs_without_results_are_left_alone(study):
    inputs, outputs = Named(), Named(image="elsewhere/a.nii.gz")
    image_sidecars.complete(types.SimpleNamespace(input=inputs, output=outputs, config={image_sidecars.KEY: study}))
    image_sidecars.complete(types.SimpleNamespace(input=inputs, output=outputs, config={}))
    image_sidecars.complete(types.SimpleNamespace(input=inputs, output=outputs))
    assert not list(Path("elsewhere").iterdir())


def test_each_pattern_is_of_some_image_that_no_pattern_before_it_takes():
    names = [
        f"sub-1/anat/sub-1_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz",
        f"sub-1/anat/sub-1_from-{SPACE}_to-T1w_mode-image_xfm.nii.gz",
        f"sub-1/anat/sub-1_space-{SPACE}_desc-preproc_T1w.nii.gz",
        "sub-1/anat/sub-1_desc-preproc_T1w.nii.gz",
        "sub-1/anat/sub-1_desc-brain_mask.nii.gz",
        *(f"sub-1/anat/sub-1_label-{label}_probseg.nii.gz" for label in ("GM", "WM", "CSF")),
        "sub-1/perf/sub-1_aslref.nii.gz",
        "sub-1/perf/sub-1_fieldmap.nii.gz",
        "sub-1/perf/sub-1_from-orig_to-aslref_mode-image_desc-distortion_xfm.nii.gz",
        "sub-1/perf/sub-1_desc-preproc_asl.nii.gz",
        "sub-1/perf/sub-1_desc-timeseries_cbf.nii.gz",
        f"sub-1/perf/sub-1_condition-a_space-{SPACE}_desc-standarderror_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-covariance_cbf.nii.gz",
        f"sub-1/perf/sub-1_condition-a_space-{SPACE}_desc-smooth_cbf.nii.gz",
        f"sub-1/perf/sub-1_condition-a_space-{SPACE}_desc-pvcGM_cbf.nii.gz",
        "sub-1/perf/sub-1_condition-a_desc-pvcGM_cbf.nii.gz",
        f"sub-1/perf/sub-1_condition-a_space-{SPACE}_cbf.nii.gz",
        "sub-1/perf/sub-1_condition-a_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-pvcGM_cbf.nii.gz",
        "sub-1/perf/sub-1_desc-pvcGM_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-pvcWM_cbf.nii.gz",
        "sub-1/perf/sub-1_desc-pvcWM_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-smooth_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-standarderror_cbf.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_cbf.nii.gz",
        "sub-1/perf/sub-1_cbf.nii.gz",
        "sub-1/perf/sub-1_desc-known_att.nii.gz",
        "sub-1/perf/sub-1_desc-known_T1map.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_att.nii.gz",
        "sub-1/perf/sub-1_att.nii.gz",
        f"sub-1/perf/sub-1_space-{SPACE}_desc-coverage_mask.nii.gz",
        "sub-1/perf/sub-1_desc-brain_mask.nii.gz",
        *(f"sub-1/perf/sub-1_label-{label}_probseg.nii.gz" for label in ("GM", "WM", "CSF")),
        f"sub-1/contrasts/sub-1_space-{SPACE}_contrast-rest_stat-standarderror_statmap.nii.gz",
        f"sub-1/contrasts/sub-1_space-{SPACE}_contrast-rest_stat-effect_statmap.nii.gz",
        f"sub-1/contrasts/sub-1_space-{SPACE}_contrast-rest_att.nii.gz",
        f"template/tpl-{SPACE}_res-1_T1w.nii.gz",
        f"template/tpl-{SPACE}_res-1_desc-brain_mask.nii.gz",
        *(f"template/tpl-{SPACE}_res-1_label-{label}_probseg.nii.gz" for label in ("GM", "WM", "CSF")),
        f"template/tpl-{SPACE}_atlas-AAL3_dseg.nii.gz",
        "rois/vmpfc_mask.nii.gz",
        *(
            f"repeatability/contrast-rest_stat-{label}_statmap.nii.gz"
            for label in ("withinsd", "withincv", "icc", "people")
        ),
        "group/rest/contrast-rest_stat-t_statmap.nii.gz",
        "neurovault/rest_effect.nii.gz",
    ]
    assert [image_kinds.kind_of(name) for name in names] == list(image_kinds.KINDS)


def test_every_image_that_a_rule_names_has_a_kind():
    """By the rules' text: the stems of scans, anatomies, visits and the template with what follows them."""
    of = {"scan": "sub-1/perf/sub-1", "anat": "sub-1/anat/sub-1", "visit": "sub-1/contrasts/sub-1"}
    names = {name: partial(bids.derivative, "r", stem) for name, stem in of.items()}
    names["template"] = partial(bids.derivative, "r/template", f"tpl-{SPACE}")
    settings = types.SimpleNamespace(atlas=types.SimpleNamespace(label="AAL3"))
    images = set()
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for call in re.findall(r'\b(?:scan|anat|visit|template)\("[^()]*\)', path.read_text()):
            named = eval(call, {**names, "SPACE": SPACE, "RESOLUTION": "3", "SETTINGS": settings})
            images |= {named.removeprefix("r/")} if named.endswith(".nii.gz") else set()
    assert len(images) > 35
    for image in images:
        assert image_kinds.kind_of(image).description
