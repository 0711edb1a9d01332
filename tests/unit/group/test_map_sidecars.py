import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from pharmasl.group import analysis, map_sidecars

SUMMARY = {
    "status": "run",
    "contrast": "rest",
    "alpha": 0.05,
    "participants": ["sub-01", "sub-02"],
    "effect": {"meaning": "the arms' changes", "unit": "mL/100 g/min"},
    "model": {"formula": "change ~ arm", "tested_term": "arm", "df": 17.0},
}


@pytest.fixture
def outputs(tmp_path):
    names, tmp_path = (*analysis.MAPS, "mask", "clusters"), tmp_path / "group/a"
    tmp_path.mkdir(parents=True)
    return SimpleNamespace(
        **{name: str(tmp_path / f"{name}.nii.gz") for name in names}, inference=str(tmp_path / "a_inference.json")
    )


def sources(outputs):
    root = Path(outputs.inference).parents[2]
    return map_sidecars.Sources([root / "sub-01/contrasts/a.nii.gz"], root / "template/tpl-MNI_desc-brain_mask.nii.gz")


def read(outputs, name):
    return json.loads(Path(getattr(outputs, name).replace(".nii.gz", ".json")).read_text())


def test_every_map_of_an_analysis_says_what_it_holds(outputs):
    map_sidecars.write(outputs, SUMMARY, sources(outputs))
    for name in (*analysis.MAPS, "mask", "clusters"):
        content = read(outputs, name)
        assert content["Description"]
        assert content["Effect"] == "the arms' changes"
        assert content["Participants"] == 2
        assert content["Sources"] == ["bids::sub-01/contrasts/a.nii.gz"]
        assert (content["Space"], content["SpatialReference"]) == (
            "MNI",
            "bids::template/tpl-MNI_desc-brain_mask.nii.gz",
        )
        # These are entities of BIDS' readers, which take the keys of a sidecar for them.
        assert not {"session", "run", "subject", "task", "space", "label", "desc"} & set(content)
    assert read(outputs, "effect")["Units"] == "mL/100 g/min"
    assert read(outputs, "percent")["Units"] == "%"
    assert read(outputs, "t")["DegreesOfFreedom"] == 17
    for name in ("voxel_pfwe", "cluster_pfwe", "mass_pfwe", "tfce_pfwe", "qfdr"):
        content = read(outputs, name)
        assert content["Description"].startswith("-log10 of the ")
        assert 10 ** -content["Threshold"] == pytest.approx(0.05, rel=1e-5)
    assert "Threshold" not in read(outputs, "t")


def test_an_analysis_that_was_not_run_says_so_beside_its_maps(outputs):
    map_sidecars.write(outputs, {**SUMMARY, "status": "not run: too few", "model": None}, sources(outputs))
    assert read(outputs, "t")["Status"] == "not run: too few"
    assert "DegreesOfFreedom" not in read(outputs, "t")


def test_the_maps_of_several_effects_say_that_they_hold_f(outputs):
    map_sidecars.write(
        outputs, {**SUMMARY, "model": {**SUMMARY["model"], "df_tested": 2, "maps": ["baseline"]}}, sources(outputs)
    )
    assert read(outputs, "t")["Description"] == "F of the tested effects together"
    assert read(outputs, "t")["DegreesOfFreedom"] == [2, 17]
    assert "largest in absolute value" in read(outputs, "effect")["Description"]
    assert read(outputs, "hedges_g")["Description"].startswith("Empty")


def test_an_adjusted_effect_says_which_standard_deviations_it_is_in(outputs):
    map_sidecars.write(outputs, {**SUMMARY, "model": {**SUMMARY["model"], "maps": ["baseline"]}}, sources(outputs))
    assert "what the model with its maps leaves" in read(outputs, "hedges_g")["Description"]


def test_degrees_of_freedom_that_are_no_number_are_left_out(outputs):
    map_sidecars.write(outputs, {**SUMMARY, "model": {"df": math.nan}}, sources(outputs))
    assert "DegreesOfFreedom" not in read(outputs, "t")


def test_the_maps_of_a_conjunction_too(tmp_path):
    folder = tmp_path / "results/group/both"
    folder.mkdir(parents=True)
    outputs = SimpleNamespace(
        z=str(folder / "c_stat-z_statmap.nii.gz"),
        pfwe=str(folder / "c_stat-logpfwe_statmap.nii.gz"),
        inference=str(folder / "c_inference.json"),
    )
    results = tmp_path / "results"
    made_from = [results / f"group/{name}/contrast-{name}_stat-z_statmap.nii.gz" for name in ("one", "other")]
    mask = results / "template/tpl-MNI152NLin2009aSym_desc-brain_mask.nii.gz"
    map_sidecars.write_conjunction(
        outputs, ["one", "other"], 0.01, map_sidecars.Sources(maps=made_from, template_mask=mask)
    )
    content = json.loads((folder / "c_stat-logpfwe_statmap.json").read_text())
    assert content["Threshold"] == 2
    assert content["Analyses"] == ["one", "other"]
    assert "-log10" in content["Description"]
    assert content["Space"] == "MNI152NLin2009aSym"
    assert content["Sources"][1] == "bids::group/other/contrast-other_stat-z_statmap.nii.gz"
    assert content["SpatialReference"].startswith("bids::template/")


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("t", {"df": 17.0}, ("t test", (17.0,))),
        ("t", {"df": 30.5, "df_tested": 2}, ("f test", (2.0, 30.5))),
        ("t", {"df": 16.2, "df_range": [9.0, 17.0]}, ("none", ())),
        ("t", {}, ("none", ())),
        ("z", {"df": 17.0}, ("z score", ())),
        ("effect", {"df": 17.0}, ("estimate", ())),
        ("cluster_pfwe", {"df": 17.0}, ("log10 p value", ())),
        ("verdict", {"df": 17.0}, ("log10 p value", ())),
        ("tfce", {"df": 17.0}, ("none", ())),
    ],
)
def test_the_header_of_a_map_says_what_it_holds_where_nifti_can(name, model, expected):
    assert map_sidecars.intent(name, model) == expected
