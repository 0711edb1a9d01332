"""The scripts roi_mask and roi_values, for each kind of region, and a cluster that was not found."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-10, -10, -10]


@pytest.fixture
def files(tmp_path):
    images.save(tmp_path / "reference.nii.gz", np.zeros((11, 11, 11)), AFFINE)
    # Of a brain, all but the two uppermost planes.
    brain = np.ones((11, 11, 11))
    brain[..., 9:] = 0
    images.save(tmp_path / "brain.nii.gz", brain, AFFINE, dtype=np.uint8)
    clusters = np.zeros((11, 11, 11))
    clusters[2:5, 2:5, 2:5] = 1
    images.save(tmp_path / "dseg.nii.gz", clusters, AFFINE, dtype=np.int16)
    images.save(tmp_path / "atlas.nii.gz", clusters * 7, AFFINE, dtype=np.int16)
    (tmp_path / "atlas.txt").write_text("7 Frontal_Mid_2_R\n8 Frontal_Mid_2_L\n")
    return tmp_path


def make(folder, definition, name="roi", **inputs):
    """Run roi_mask; returns the mask's path and the sidecar."""
    given = {"atlas": [], "clusters": [], "image": [], **inputs}
    script("roi_mask").main(
        SimpleNamespace(
            input=SimpleNamespace(
                reference=str(folder / "reference.nii.gz"), template_mask=str(folder / "brain.nii.gz"), **given
            ),
            output=SimpleNamespace(mask=str(folder / f"{name}_mask.nii.gz"), sidecar=str(folder / f"{name}_mask.json")),
            params=SimpleNamespace(roi=definition, minimum_coverage=0.5),
        )
    )
    return folder / f"{name}_mask.nii.gz", tables.read_json(folder / f"{name}_mask.json")


def values(folder, mask, maps, rows):
    script("roi_values").main(
        SimpleNamespace(
            input=SimpleNamespace(mask=str(mask), maps=[str(path) for path in maps], gm=[]),
            output=SimpleNamespace(table=str(folder / "values.tsv")),
            params=SimpleNamespace(rows=rows, roi="roi", minimum_coverage=0.5, statistic="mean"),
        )
    )
    return tables.read_table(folder / "values.tsv")


def test_cluster_atlas_and_image_name_the_same_voxels(files):
    found = {
        "cluster": make(files, {"analysis": "rest", "cluster": 1}, "c", clusters=[str(files / "dseg.nii.gz")]),
        "atlas": make(
            files, {"atlas": ["Frontal_Mid_2_R"]}, "a", atlas=[str(files / "atlas.nii.gz"), str(files / "atlas.txt")]
        ),
        "image": make(files, {"image": "x", "label": 7}, "i", image=[str(files / "atlas.nii.gz")]),
    }
    for name, (mask, sidecar) in found.items():
        assert images.load(mask)[0].sum() == 27
        assert (sidecar["Voxels"], sidecar["Volume"]) == (27, 216)
        assert sidecar["CentreOfMass"] == [-4, -4, -4]
        assert sidecar["AnalysisDefined"] == (name == "cluster")
    assert len({images.load(files / f"{k}_mask.nii.gz")[0].tobytes() for k in "cai"}) == 1


def test_cluster_that_was_not_found_gives_an_empty_mask_and_values_n_a(files):
    mask, sidecar = make(files, {"analysis": "rest", "cluster": 2}, clusters=[str(files / "dseg.nii.gz")])
    assert sidecar["Empty"] is True
    assert sidecar["CentreOfMass"] is None
    assert images.load(mask)[0].sum() == 0
    images.save(files / "map.nii.gz", np.full((11, 11, 11), 50), AFFINE)
    row = {"participant_id": "sub-01", "session_id": "T1", "arm": "baclofen", "contrast": "rest"}
    (line,) = values(files, mask, [files / "map.nii.gz"], [row])
    assert (line["cbf"], line["coverage"], line["n_voxels"]) == (None, None, "0")


def test_values_of_a_sphere(files):
    mask, _ = make(files, {"sphere": [0, 0, 0], "radius": 4})
    x = np.arange(11) * 2.0 - 10
    images.save(files / "map.nii.gz", np.broadcast_to(x[:, None, None], (11, 11, 11)) + 40, AFFINE)
    row = {"participant_id": "sub-01", "session_id": "T1", "arm": "baclofen", "contrast": "rest"}
    (line,) = values(files, mask, [files / "map.nii.gz"], [row])
    assert float(line["cbf"]) == pytest.approx(40)
    assert line["n_voxels"] == "33"


def test_no_mask_is_written_for_an_unknown_region(files):
    with pytest.raises(InputError, match="Frontal_Mid_2_R"):
        make(files, {"atlas": ["Frontal_Mid_R"]}, atlas=[str(files / "atlas.nii.gz"), str(files / "atlas.txt")])
    assert not (files / "roi_mask.nii.gz").exists()


def test_a_region_outside_the_brain_is_refused(files):
    # Planes z = 8 and 10 are outside.
    with pytest.raises(InputError, match=r"0 % of .* within the template's brain.*minimum_roi_coverage"):
        make(files, {"sphere": [0, 0, 10], "radius": 2})
    # Centre and four neighbours on z = 8, one below and one above it: 1 of 7 within.
    with pytest.raises(InputError, match="14 % of"):
        make(files, {"sphere": [0, 0, 8], "radius": 2})
    # One plane lower it is 6 of 7.
    assert make(files, {"sphere": [0, 0, 6], "radius": 2})[1]["Voxels"] == 7
