"""Maps for NeuroVault and their table."""

import csv
import json

import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.group import neurovault
from pharmasl.space import images

MEANING = "Group-by-time interaction"
SUMMARY = {
    "status": "run",
    "contrast": "rest",
    "effect": {"meaning": MEANING, "unit": "mL/100 g/min"},
    "participants": [f"sub-{number:02}" for number in range(12)],
    "model": {"formula": "change ~ arm", "tested_term": "arm", "df": 10.0},
}


def shared(folder, summaries, **options):
    """What is written for analyses named a, b ...; its table's rows, and the first voxels of its maps."""
    analyses, statistics, effects = [], [], []
    for name, summary in zip("abc", summaries, strict=False):
        for value, kind in enumerate(("effect", "t", "z")):
            images.save(folder / f"{name}_{kind}.nii.gz", np.full((2, 2, 2), value), np.eye(4))
        (folder / f"{name}.json").write_text(json.dumps(summary))
        paths = {kind: folder / f"{name}_{kind}.nii.gz" for kind in ("effect", "t", "z")}
        analyses.append(neurovault.AnalysisMaps(name=name, words=name, inference=folder / f"{name}.json", **paths))
        statistics.append(folder / f"{name}_statistic.nii.gz")
        effects.append(folder / f"{name}_shared.nii.gz")
    outputs = neurovault.SharedFiles(statistics=statistics, effects=effects, table=folder / "metadata.tsv")
    neurovault.write(analyses, outputs, **{"space": "MNI152NLin2009aSym", "blinded": False} | options)
    with open(outputs.table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return rows, [float(nibabel.load(path).dataobj[0, 0, 0]) for path in statistics]


def test_each_map_has_a_row_in_neurovaults_words(tmp_path):
    rows, _ = shared(tmp_path, [SUMMARY])
    assert tuple(rows[0]) == neurovault.COLUMNS
    statistic, effect = rows
    assert statistic["Filename"] == "a_statistic.nii.gz"
    assert (statistic["map_type"], statistic["statistic_parameters"]) == ("T map", "10.0")
    assert (effect["map_type"], effect["statistic_parameters"]) == ("univariate-beta map", "")
    for row in rows:
        assert (row["modality"], row["analysis_level"], row["number_of_subjects"]) == ("fMRI-CBF", "group", "12")
        assert row["target_template_image"] == "GenericMNI"
        assert row["contrast_definition"] == f"rest: {MEANING}"
    assert "change ~ arm" in statistic["description"]
    sidecars = [json.loads((tmp_path / f"a_{kind}.json").read_text()) for kind in ("statistic", "shared")]
    assert [sidecar["Units"] for sidecar in sidecars] == ["1", "mL/100 g/min"]
    assert [sidecar["Description"] for sidecar in sidecars] == [f"{row['name']}: {row['description']}" for row in rows]
    folder = tmp_path.name
    assert [sidecar["Sources"] for sidecar in sidecars] == [
        [f"bids::{folder}/a_t.nii.gz"],
        [f"bids::{folder}/a_effect.nii.gz"],
    ]


def test_f_is_named_and_t_of_several_degrees_of_freedom_gives_way_to_z(tmp_path):
    model = SUMMARY["model"]
    summaries = [
        SUMMARY,
        {**SUMMARY, "model": {**model, "df_tested": 2}},
        {**SUMMARY, "model": {**model, "df_range": [8.0, 10.0]}},
    ]
    rows, values = shared(tmp_path, summaries)
    assert [row["map_type"] for row in rows[::2]] == ["T map", "F map", "Z map"]
    assert values == [1, 1, 2]
    assert "Degrees of freedom 2 and 10" in rows[2]["description"]


def test_what_was_not_run_and_what_is_no_cbf_says_so(tmp_path):
    not_run = {**SUMMARY, "status": "not run: too few", "model": None, "quantity": {"unit": "%"}}
    rows, _ = shared(tmp_path, [not_run], space="ours")
    assert "not run: too few" in rows[0]["name"]
    assert (rows[0]["modality"], rows[0]["target_template_image"]) == ("Other", "")


def test_a_long_definition_is_cut_to_what_neurovault_takes(tmp_path):
    rows, _ = shared(tmp_path, [{**SUMMARY, "effect": {"meaning": "x" * 300, "unit": "1"}}])
    assert len(rows[0]["contrast_definition"]) == 200


def test_maps_of_a_sham_allocation_are_not_shared(tmp_path):
    with pytest.raises(InputError, match="sham allocation"):
        shared(tmp_path, [SUMMARY], blinded=True)
    assert not (tmp_path / "metadata.tsv").exists()
