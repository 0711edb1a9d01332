"""Taking over a contrast map of another program: values as they are on its grid, samples on another, a record of both."""

import numpy as np
import pytest
from pharmasl.contrasts import imported_contrast
from pharmasl.contrasts.imported_contrast import ImportRecord
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images
from pharmasl.study.derivatives import Program

SHAPE, AFFINE = (8, 9, 7), np.array([[-2.0, 0, 0, 8], [0, 2, 0, -6], [0, 0, 2, -4], [0, 0, 0, 1]])
RECORD = ImportRecord(
    place="sub-01/con_0001.nii",
    program=Program(name="SPM", version="25.01"),
    dataset=None,
    space="MNI152NLin6Asym",
    measure="BOLD response",
    unit="percent signal change",
    factor=1.0,
)


@pytest.fixture
def mask(tmp_path):
    images.save(tmp_path / "mask.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
    return tmp_path / "mask.nii.gz"


def taken(folder, mask, values, affine=AFFINE, record=RECORD):
    images.save(folder / "con.nii.gz", values, affine)
    imported_contrast.write(folder / "out.nii.gz", folder / "out.json", folder / "con.nii.gz", mask, record)
    return images.load(folder / "out.nii.gz")[0], tables.read_json(folder / "out.json")


def test_values_stay_as_they_are(tmp_path, mask):
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    values[0], values[1, 0] = 0, np.nan
    data, record = taken(tmp_path, mask, values)
    missing = ~np.isfinite(values) | (values == 0)
    assert np.array_equal(data[~missing], values[~missing])
    assert np.isnan(data[missing]).all()
    assert record["Transform"] == "none: the map's own values, on its own grid"
    assert record["GeneratedBy"] == [{"Name": "SPM", "Version": "25.01"}]
    assert (record["Units"], record["Measure"]) == ("percent signal change", "BOLD response")
    assert record["Coverage"] == pytest.approx(1 - missing.mean(), abs=1e-4)
    assert record["Spread"] == pytest.approx(np.std(values[~missing].astype(float)), rel=1e-5)


def test_values_stay_as_they_are_in_any_order_of_axes(tmp_path):
    """The template is written along right, anterior and superior; the maps need not be."""
    straight = np.diag([2.0, 2, 2, 1])
    straight[:3, 3] = -6, -6, -4
    images.save(tmp_path / "mask.nii.gz", np.ones(SHAPE), straight, dtype=np.uint8)
    values = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    mirrored = np.array([[0, -2.0, 0, 10], [-2, 0, 0, 8], [0, 0, 2, -4], [0, 0, 0, 1]])
    mirrored[:2] = mirrored[[1, 0]]
    data, record = taken(tmp_path, tmp_path / "mask.nii.gz", values[::-1, ::-1], mirrored)
    assert np.array_equal(data, values)
    assert record["Transform"].startswith("none: the map's own values")


def test_other_grid_is_sampled_where_the_voxels_lie(tmp_path, mask):
    """A plane in space keeps its values on any grid; beside a voxel without a value there is none."""
    coarse = np.array([[3.0, 0, 0, -9], [0, 3, 0, -9], [0, 0, 3, -9], [0, 0, 0, 1]])
    x, y, z = np.meshgrid(*(np.arange(9) * 3 - 9,) * 3, indexing="ij")
    values = (1 + 0.5 * x - 0.25 * y + 2 * z + 100).astype(np.float32)
    values[4, 4, 4] = 0
    data, record = taken(tmp_path, mask, values, coarse)
    place = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    expected = 101 + place @ [0.5, -0.25, 2]
    known = np.isfinite(data)
    np.testing.assert_allclose(data[known], expected[known], rtol=1e-5)
    hole = (np.abs(place - [3, 3, 3]) < 3).all(axis=-1)
    assert np.array_equal(~known, hole)
    assert record["Transform"].startswith("none: sampled trilinearly on the grid of MNI152NLin6Asym")


def test_cbf_in_another_unit_is_scaled(tmp_path, mask):
    import dataclasses

    record = dataclasses.replace(RECORD, measure="CBF", unit="mL/100 g/min", factor=100.0)
    values = np.linspace(0.5, 1, np.prod(SHAPE)).reshape(SHAPE)
    data, sidecar = taken(tmp_path, mask, values, record=record)
    np.testing.assert_allclose(data, 100 * values, rtol=1e-6)
    assert (sidecar["Units"], sidecar["ScaledBy"]) == ("mL/100 g/min", 100.0)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_map_that_holds_nothing_of_the_brain_is_refused(tmp_path, mask, elsewhere):
    values, affine = (np.ones(SHAPE), AFFINE + np.diag([0, 0, 0, 0.0])) if elsewhere else (np.zeros(SHAPE), AFFINE)
    affine = affine.copy()
    affine[0, 3] += 500 if elsewhere else 0
    with pytest.raises(InputError, match="values in 0 % of the brain of MNI152NLin6Asym"):
        taken(tmp_path, mask, values, affine)


@pytest.mark.parametrize("value", [1.0, -0.25])
def test_map_of_one_value_is_refused_whatever_lies_outside_the_brain(tmp_path, mask, value):
    values = np.full(SHAPE, value)
    values[:2] = np.nan
    with pytest.raises(InputError, match=f"voxels: found 'the value {value:g} in all of them'"):
        taken(tmp_path, mask, values)
    assert not (tmp_path / "out.nii.gz").exists()
