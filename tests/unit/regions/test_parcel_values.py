"""Values of parcels against a loop over an atlas drawn here."""

import numpy as np
import pytest
from nilearn.maskers import NiftiLabelsMasker
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import parcel_values
from pharmasl.regions.region_values import VisitContrast
from pharmasl.space import images

SHAPE = (6, 5, 4)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def files(tmp_path):
    """An atlas of twice the grid's resolution: label 1 left, 2 right, 5 (unnamed) in one corner, 9 beyond the maps, 7 nowhere."""
    fine = np.zeros((14, 10, 8))
    fine[:6], fine[6:12], fine[13:] = 1, 2, 9
    fine[:2, :2, :2] = 5
    images.save(tmp_path / "atlas.nii.gz", fine, np.diag([1.0, 1.0, 1.0, 1.0]), dtype=np.int32)
    rows = [
        {"index": 1, "name": "left"},
        {"index": 2, "name": "side"},
        {"index": 9, "name": "side"},
        {"index": 7, "name": "free"},
    ]
    tables.write_table(tmp_path / "atlas.tsv", rows, {"index": "", "name": ""})
    rng = np.random.default_rng(4)
    data = rng.normal(50, 5, (2, *SHAPE))
    data[1, 3:] = np.nan
    data[1, 0, 0, 0] = np.nan
    for k in range(2):
        images.save(tmp_path / f"map{k}.nii.gz", data[k], AFFINE)
    return tmp_path, data


def read(folder, **changes):
    settings = {"minimum_coverage": 0.5, "maps": [folder / "map0.nii.gz", folder / "map1.nii.gz"], **changes}
    contrasts = [
        VisitContrast(participant_id="sub-01", session_id=session, arm=None, contrast="rest") for session in "ab"
    ]
    atlas = parcel_values.AtlasFiles(image=folder / "atlas.nii.gz", labels=folder / "atlas.tsv")
    reference = folder / "map0.nii.gz"
    parcel_values.write(folder / "parcels.tsv", atlas, reference=reference, contrasts=contrasts, **settings)
    return tables.read_table(folder / "parcels.tsv")


def test_each_parcel_is_the_mean_of_its_voxels(files):
    folder, data = files
    rows = read(folder)
    assert [row["index"] for row in rows] == ["1", "2", "5", "9"] * 2
    assert [row["parcel"] for row in rows[:4]] == ["left", "side (2)", "label 5", "side (9)"]
    # The atlas voxel nearest to the centre of a voxel of the grid.
    labels = np.where(np.arange(6)[:, None, None] < 3, 1, 2) * np.ones(SHAPE, int)
    labels[0, 0, 0] = 5
    for number, row in zip([1, 2, 5], rows):
        assert np.isclose(float(row["cbf"]), data[0].astype(np.float32)[labels == number].mean(dtype=float))
        assert int(row["parcel_voxels"]) == (labels == number).sum()
    without = rows[3]
    assert (without["cbf"], without["coverage"], without["parcel_voxels"]) == (None, None, "0")


def test_a_parcel_that_is_hardly_covered_has_no_value(files):
    folder, _ = files
    second = {row["index"]: row for row in read(folder)[4:]}
    assert second["1"]["cbf"] is not None
    assert (second["2"]["cbf"], second["2"]["coverage"], second["2"]["n_voxels"]) == (None, "0.0", "0")
    assert second["5"]["cbf"] is None
    sidecar = tables.read_json(folder / "parcels.json")
    assert sidecar["cbf"]["LeastCoverage"] == 0.5


def test_a_map_on_another_grid_is_refused(files):
    folder, _ = files
    images.save(folder / "map1.nii.gz", np.zeros((5, 5, 4)), AFFINE)
    with pytest.raises(InputError, match="grid"):
        read(folder)


def test_scans_are_read_as_nilearn_reads_them(files):
    """Within the coverage of each scan, whatever the map holds outside it; and gathered in one table."""
    folder, data = files
    coverage = np.ones(SHAPE, np.uint8)
    coverage[2:4] = 0
    images.save(folder / "coverage.nii.gz", coverage, AFFINE)
    whole = data[0].astype(np.float32)
    images.save(folder / "map0.nii.gz", np.where(coverage, whole, 0), AFFINE)
    scans = [
        parcel_values.ScanMap(
            participant_id="sub-01",
            session_id=None,
            condition="rest",
            scan=f"sub-01/perf/sub-01_run-{run}",
            cbf=folder / "map0.nii.gz",
            coverage=folder / "coverage.nii.gz",
        )
        for run in (1, 2)
    ]
    atlas = parcel_values.AtlasFiles(image=folder / "atlas.nii.gz", labels=folder / "atlas.tsv")
    for name, part in (("one.tsv", scans[:1]), ("two.tsv", scans[1:])):
        parcel_values.write_scans(
            folder / name, atlas, reference=folder / "map0.nii.gz", scans=part, minimum_coverage=0.3
        )
    parcel_values.gather_scans(folder / "all.tsv", [folder / "one.tsv", folder / "two.tsv"])
    rows = tables.read_table(folder / "all.tsv")
    assert [row["scan"][-1] for row in rows] == ["1"] * 4 + ["2"] * 4
    assert tables.read_json(folder / "all.json")["cbf"]["LeastCoverage"] == 0.3
    # nilearn on the labels of the grid's own voxels (the atlas voxel nearest to each centre).
    labels = np.where(np.arange(6)[:, None, None] < 3, 1, 2) * np.ones(SHAPE, int)
    labels[0, 0, 0] = 5
    images.save(folder / "labels.nii.gz", labels, AFFINE, dtype=np.int32)
    masker = NiftiLabelsMasker(folder / "labels.nii.gz", mask_img=folder / "coverage.nii.gz", standardize=False)
    expected = masker.fit_transform(folder / "map0.nii.gz").ravel()
    np.testing.assert_allclose([float(row["cbf"]) for row in rows[:3]], expected, rtol=1e-6)
    assert [row["coverage"][:6] for row in rows[:2]] == ["0.6610", "0.6666"]
    assert rows[3]["cbf"] is None
