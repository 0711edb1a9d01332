"""Registration of a rendered perfusion image to tissue maps in known poses."""

import functools

import head
import numpy as np
import pytest
from pharmasl.perfusion import coregistration, stretch, template_size, tissue_maps
from pharmasl.space import images, transforms

T1W = head.centred((84, 100, 76), (2.0, 2.0, 2.0), shift=(3, 10, -5))
# Signal of grey matter, white matter, fluid, scalp.
CONTRASTS = {
    "m0": (900.0, 740.0, 1250.0, 400.0),
    "suppressed": (180.0, 60.0, 420.0, 120.0),
    "dark fluid": (300.0, 210.0, 40.0, 150.0),
    "perfusion": (10.0, 3.0, 0.0, 0.0),
}


@functools.cache
def maps():
    tissue = head.render(T1W)
    return tissue_maps.reduce([tissue[..., k] for k in range(3)], T1W.affine)


def image(contrast, matrix, shape=(44, 52, 20), voxel=(4.0, 4.0, 6.0), shift=(0, 0, 6), noise=0.02):
    grid = head.centred(shape, voxel, shift)
    points = transforms.points(grid)
    # A receive field that falls by a third across the head.
    field = 1 + 0.002 * points[..., 0] - 0.003 * points[..., 1] + 1e-5 * points[..., 2] ** 2
    data = head.scan(grid, matrix) @ np.array(CONTRASTS[contrast]) * field
    rng = np.random.default_rng(1)
    return (data + rng.normal(0, noise * np.percentile(data, 98), data.shape)).astype(np.float32), grid.affine


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_planted_pose_is_recovered_in_any_contrast(contrast):
    true = transforms.rigid_matrix((5, -7, 6), (0.1, -0.06, 0.08), (0, 0, 0))
    found = coregistration.coregister(*image(contrast, true), maps())
    assert head.distance(found.matrix, true) < 0.5
    assert head.distance(np.eye(4), true) > 9


@pytest.mark.parametrize("translation", [(0, 36, 12), (-20, -30, 0), (10, 0, 45)])
def test_headers_centimetres_apart_do_not_matter(translation):
    # OpenNeuro ds000240 has them 36 mm apart.
    true = transforms.rigid_matrix(translation, (0.15, 0, 0.03), (0, 0, 0))
    middle = transforms.apply(np.linalg.inv(true), np.array([0.0, 0, 8]))
    found = coregistration.coregister(*image("m0", true, shift=middle), maps())
    assert head.distance(found.matrix, true) < 0.5


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_planted_size_and_shape_of_a_template_are_recovered(contrast):
    """The maps are another head's: the scan's is smaller by 6 to 14 %, sheared, turned and centimetres away."""
    stretch = np.eye(4)
    stretch[:3, :3] = [[1.06, 0.01, 0.0], [0.01, 1.14, 0.02], [0.0, 0.02, 1.1]]
    rigid = transforms.rigid_matrix((6, -20, 14), (0.15, -0.05, 0.06), (0, 0, 0))
    true = stretch @ rigid
    middle = transforms.apply(np.linalg.inv(true), np.zeros(3))
    scan = image(contrast, true, shift=middle)
    average = template_size.average_size(maps())
    start = average @ coregistration.coregister(*scan, tissue_maps.stretched(maps(), average)).matrix
    found, rest = template_size.fit_stretch(*scan, maps(), start)
    assert head.distance(found @ rest, true) < 0.5
    assert head.distance(start, true) > 1.5
    # What is left is rigid: that of any image of the same scan.
    assert rest[:3, :3] @ rest[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    assert found[:3, :3] == pytest.approx(stretch[:3, :3], abs=0.03)


def test_a_size_that_the_image_does_not_show_is_the_average():
    empty = np.zeros((20, 20, 10), dtype=np.float32)
    found, _ = template_size.fit_stretch(empty, np.diag([8.0, 8, 10, 1]), maps(), np.eye(4))
    assert np.diag(found)[:3] == pytest.approx(np.exp(stretch.SIZE))
    noise = np.random.default_rng(0).normal(1, 1, (44, 52, 20)).astype(np.float32)
    affine = head.centred((44, 52, 20), (4, 4, 6)).affine
    found, _ = template_size.fit_stretch(noise, affine, maps(), template_size.average_size(maps()))
    values = np.linalg.eigvalsh(found[:3, :3])
    assert stretch.STRETCH[0] - 1e-9 <= values[0]
    assert values[2] <= stretch.STRETCH[1] + 1e-9


@pytest.mark.parametrize("contrast", ["m0", "suppressed"])
def test_the_tissues_pattern_is_clear_where_they_belong_and_nowhere_else(contrast):
    true = transforms.rigid_matrix((4, 3, -5), (0.05, 0.05, 0), (0, 0, 0))
    here, elsewhere = coregistration.contrast(*image(contrast, true), maps(), true)
    assert here > 0.5
    assert elsewhere < 0.5 * here
    moved = transforms.rigid_matrix((0, 16, 0), (0.1, 0, 0), (0, 0, 0)) @ true
    assert coregistration.contrast(*image(contrast, true), maps(), moved)[0] < 0.3 * here


def test_a_thin_slab_is_enough():
    true = transforms.rigid_matrix((4, 3, -5), (0.05, 0.05, 0), (0, 0, 0))
    found = coregistration.coregister(*image("m0", true, shape=(44, 52, 9), voxel=(4, 4, 7.5)), maps())
    assert head.distance(found.matrix, true) < 0.5


def test_the_share_unexplained_tells_a_head_from_a_sphere():
    true = transforms.rigid_matrix((4, 3, -5), (0.05, 0.05, 0), (0, 0, 0))
    good = coregistration.coregister(*image("m0", true), maps())
    grid = head.centred((44, 52, 20), (4, 4, 6))
    sphere = (np.linalg.norm(transforms.points(grid), axis=-1) < 50) * 800.0
    bad = coregistration.coregister(sphere, grid.affine, maps())
    assert good.unexplained < 0.5 * bad.unexplained


def test_an_empty_image_does_not_stop_the_stage():
    grid = head.centred((20, 20, 10), (8, 8, 10))
    found = coregistration.coregister(np.zeros(grid.shape, dtype=np.float32), grid.affine, maps())
    assert np.isfinite(found.matrix).all()


def test_registration_repeats_to_the_bit():
    data, affine = image("suppressed", transforms.rigid_matrix((2, 1, 3), (0.02, 0, 0), (0, 0, 0)))
    first, second = (coregistration.coregister(data, affine, maps()) for _ in range(2))
    assert np.array_equal(first.matrix, second.matrix)


def test_reduced_maps_keep_their_amount():
    affine = np.diag([1.0, 1.0, 1.2, 1.0]) @ transforms.rigid_matrix((3, 4, 5), (0.1, 0.2, 0.3), (0, 0, 0))
    affine[:3, :3] = transforms.rigid_matrix((0, 0, 0), (0.1, 0.2, 0.3), (0, 0, 0))[:3, :3] @ np.diag([1.0, 1.0, 1.2])
    data = np.zeros((40, 38, 33), dtype=np.float32)
    data[7:30, 9:33, 4:31] = np.random.default_rng(0).uniform(0.1, 1, (23, 24, 27))
    found = tissue_maps.reduce([data], affine)
    cells = np.abs(np.linalg.det(found.affine)), np.abs(np.linalg.det(affine))
    assert found.maps.sum(dtype=float) * cells[0] == pytest.approx(data.sum(dtype=float) * cells[1], rel=1e-5)


def test_reduced_maps_keep_their_place():
    fine = head.centred((40, 38, 33), (1.0, 1.0, 1.2), shift=(4, -7, 11))
    inside = np.zeros(fine.shape, dtype=bool)
    inside[7:31, 9:33, 4:30] = True
    ramp = np.where(inside, transforms.points(fine) @ np.array([0.2, 0.5, -0.3]) + 60, 0).astype(np.float32)
    found = tissue_maps.reduce([ramp], fine.affine)
    # Blocks that lie wholly inside hold the ramp's value at their own centre.
    whole = tissue_maps.reduce([inside.astype(np.float32)], fine.affine).maps[0] == 1
    expected = transforms.points(images.Grid(found.maps.shape[1:], found.affine)) @ np.array([0.2, 0.5, -0.3]) + 60
    assert whole.sum() > 500
    assert found.maps[0][whole] == pytest.approx(expected[whole], abs=1e-4)


def test_carried_maps_are_means_over_voxels():
    fine = head.centred((40, 40, 40), (1.0, 1.0, 1.0))
    ramp = transforms.points(fine)[..., 0].astype(np.float32)
    coarse = head.centred((8, 8, 6), (3.0, 3.0, 4.0))
    matrix = transforms.rigid_matrix((1.5, -2, 1), (0, 0, 0), (0, 0, 0))
    found = tissue_maps.carry(ramp, fine.affine, coarse, matrix)
    assert found == pytest.approx(transforms.points(coarse)[..., 0] + 1.5, abs=1e-4)
    # Half of a voxel across an edge.
    half = (transforms.points(fine)[..., 0] > 0).astype(np.float32)
    edge = tissue_maps.carry(half, fine.affine, head.centred((9, 3, 3), (3.0, 3.0, 3.0)), np.eye(4))
    assert edge[4] == pytest.approx(0.5, abs=1e-6)
    assert np.all(edge[:4] == 0)
    assert np.all(edge[5:] == 1)
