"""Right stays right: one image stored with its axes in every order and direction is read as the same image."""

import functools
import itertools

import head
import nibabel
import numpy as np
import pytest
from pharmasl.perfusion import coregistration, series, tissue_maps
from pharmasl.space import header, images, resample, transforms

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
# Oblique, as a scanner's; no two axes alike in length or voxel size.
SHAPE = (14, 17, 12)
AFFINE = transforms.rigid_matrix((3, -8, 11), (0.1, -0.2, 0.15), (0, 0, 0)) @ np.array(
    [[4.0, 0, 0, -26], [0, 3.5, 0, -28], [0, 0, 5, -30], [0, 0, 0, 1]]
)
RIGHT, LEFT = 82.0, 30.0


@functools.cache
def planted():
    """82 to the right of the middle, 30 to the left, brighter towards the front and the top."""
    x, y, z = np.moveaxis(transforms.points(images.Grid(SHAPE, AFFINE)), -1, 0)
    return (np.where(x > 0, RIGHT, LEFT) + 0.2 * y + 0.3 * z).astype(np.float32)


def stored(data, affine, order, signs):
    """The same image with its axes in another order and direction."""
    moved = np.transpose(data, (*order, *range(3, data.ndim)))
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for axis, (old, sign) in enumerate(zip(order, signs)):
        matrix[old, axis] = sign
        if sign < 0:
            moved = np.flip(moved, axis)
            matrix[old, 3] = moved.shape[axis] - 1
    return moved, affine @ matrix


def write(path, data, affine, kind, order, form):
    raw = (nibabel.Nifti1Header if kind == 1 else nibabel.Nifti2Header)(endianness=order)
    image = (nibabel.Nifti1Image if kind == 1 else nibabel.Nifti2Image)(np.ascontiguousarray(data), affine, raw)
    image.set_qform(affine, code=0 if form == "sform" else 1)
    image.set_sform(affine, code=0 if form == "qform" else 1)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("form", ["sform", "qform", "both"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [1, 2])
def test_every_orientation_is_resampled_to_the_same_image(tmp_path, kind, order, form):
    grid = images.Grid((30, 30, 30), np.array([[-2.0, 0, 0, 29], [0, 2, 0, -29], [0, 0, 2, -29], [0, 0, 0, 1]]))
    points = transforms.points(grid)
    expected = resample.resample(planted(), AFFINE, points)
    inside = np.isfinite(expected)
    assert inside.sum() > 5000
    for number, (axes, signs) in enumerate(ORIENTATIONS):
        # Compressed or not makes no difference: every other one is.
        path = tmp_path / f"{number}.nii{'.gz' if number % 2 else ''}"
        write(path, *stored(planted(), AFFINE, axes, signs), kind, order, form)
        data, affine = images.load(path)
        assert images.grid(path).shape == data.shape
        np.testing.assert_array_equal(images.grid(path).affine, affine)
        found = resample.resample(data, affine, points)
        # The border of the field of view, where rounding decides between inside and outside, may differ.
        both = inside & np.isfinite(found)
        assert both.sum() > 0.99 * inside.sum()
        np.testing.assert_allclose(found[both], expected[both], atol=2e-3)
        for side, value in ((12, RIGHT), (-12, LEFT)):
            place = np.array([side, 5.0, 3.0])
            there = resample.resample(data, affine, place[None])[0]
            assert there == pytest.approx(value + 0.2 * place[1] + 0.3 * place[2], abs=0.01)


@pytest.mark.parametrize("unit", [1, 3])
def test_every_orientation_in_metres_and_microns(tmp_path, unit):
    factor = {1: 1000.0, 3: 0.001}[unit]
    for number, (axes, signs) in enumerate(ORIENTATIONS):
        data, affine = stored(planted(), AFFINE, axes, signs)
        raw = nibabel.Nifti1Header()
        image = nibabel.Nifti1Image(np.ascontiguousarray(data), np.diag([1 / factor] * 3 + [1]) @ affine, raw)
        image.set_qform(image.affine, code=1)
        image.header.set_xyzt_units({1: "meter", 3: "micron"}[unit], "sec")
        nibabel.save(image, tmp_path / f"{number}.nii")
        np.testing.assert_allclose(header.read(tmp_path / f"{number}.nii").affine, affine, atol=1e-4)


@pytest.mark.parametrize("number", [0, 7, 13, 22, 30, 47])
def test_a_scan_of_any_orientation_is_registered_to_the_same_place(tmp_path, number):
    fine = head.centred((84, 100, 76), (2.0, 2.0, 2.0), shift=(3, 10, -5))
    grid = head.centred((44, 52, 20), (4.0, 4.0, 6.0), shift=(0, 0, 6))
    true = transforms.rigid_matrix((5, -7, 6), (0.1, -0.06, 0.08), (0, 0, 0))
    tissue = head.render(fine)
    tissues = tissue_maps.reduce([tissue[..., k] for k in range(3)], fine.affine)
    m0 = (head.scan(grid, true) @ np.array([900.0, 740.0, 1250.0, 400.0])).astype(np.float32)
    path = write(tmp_path / "m0.nii.gz", *stored(m0, grid.affine, *ORIENTATIONS[number]), 1, "<", "both")
    data, affine = series.load_m0([path])
    found = coregistration.coregister(data[..., 0], affine, tissues).matrix
    assert head.distance(found, true) < 0.5


def test_a_series_keeps_its_volumes_in_every_orientation(tmp_path):
    volumes = np.stack([planted() * gain for gain in (1, 2, 3)], axis=-1)
    for number, (axes, signs) in enumerate(ORIENTATIONS):
        path = tmp_path / f"{number}.nii.gz"
        write(path, *stored(volumes, AFFINE, axes, signs), 1, "<", "both")
        data, affine = images.load(path)
        there = transforms.apply(np.linalg.inv(affine), np.array([12.0, 5.0, 3.0]))
        values = data[tuple(np.round(there).astype(int))]
        np.testing.assert_allclose(values / values[0], [1, 2, 3], rtol=1e-6)
        assert values[0] > 60
