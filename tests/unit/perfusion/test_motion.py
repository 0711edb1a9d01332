"""Realignment of a rendered head in known poses, and the figures of motion."""

import functools

import head
import numpy as np
import pytest
from pharmasl.perfusion import motion
from pharmasl.space import spline, transforms

GRID = head.centred((38, 44, 22), (4.0, 4.0, 6.0), shift=(1, -3, 2))
# Signal of grey matter, white matter, fluid, scalp: as with a long repetition time, and under background suppression.
PLAIN = np.array([900.0, 720.0, 1300.0, 500.0])
SUPPRESSED = np.array([180.0, 60.0, 420.0, 150.0])
M0 = np.array([900.0, 760.0, 1150.0, 420.0])


@functools.cache
def pose(translation, rotation):
    matrix = transforms.rigid_matrix(translation, rotation, (0, 0, 0))
    return matrix, head.scan(GRID, matrix)


def series(signal, poses, delta=9.0, noise=2.0, seed=0):
    """Controls and labels in turn; ``delta`` is the perfusion signal of grey matter, a third of that in white."""
    rng = np.random.default_rng(seed)
    volumes = []
    for number, (_, tissue) in enumerate(poses):
        labelled = signal - (delta * np.array([1, 0.33, 0, 0]) if number % 2 else 0)
        volumes.append((tissue @ labelled + rng.normal(0, noise, GRID.shape)).astype(np.float32))
    return volumes


def truth(poses, reference=0):
    # A point of the reference volume lies at the same place of the head in volume t.
    return [np.linalg.inv(matrix) @ poses[reference][0] for matrix, _ in poses]


def walk(n, seed, millimetres=1.0, radians=0.02):
    rng = np.random.default_rng(seed)
    steps = [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))]
    steps += [
        (tuple(rng.uniform(-millimetres, millimetres, 3)), tuple(rng.uniform(-radians, radians, 3)))
        for _ in range(n - 1)
    ]
    return [pose(*step) for step in steps]


def brain_weight():
    return pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))[1][..., :3].sum(axis=3)


@pytest.mark.parametrize("signal", [PLAIN, SUPPRESSED], ids=["plain", "suppressed"])
def test_planted_motion_is_recovered(signal):
    poses = walk(6, seed=4)
    volumes = series(signal, poses)
    found = motion.realign(volumes, GRID.affine, volumes[0], GRID.affine, motion.head(volumes[0]))
    errors = [head.distance(a, b) for a, b in zip(found, truth(poses))]
    assert max(errors) < 0.1
    # Not recovered at all, the head would be off by this much.
    assert max(head.distance(np.eye(4), b) for b in truth(poses)) > 1.0


def test_a_large_jump_is_recovered():
    poses = [pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), pose((6.0, -7.0, 8.0), (0.15, 0.1, -0.12))]
    volumes = series(PLAIN, poses)
    found = motion.realign(volumes, GRID.affine, volumes[0], GRID.affine, motion.head(volumes[0]))
    assert head.distance(found[1], truth(poses)[1]) < 0.15


def test_perfusion_is_not_mistaken_for_motion():
    # A still head, of which a slab sees the upper half: all that "moves" between control and label is perfusion.
    _, tissue = pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    control = (tissue @ SUPPRESSED).astype(np.float32)
    label = (tissue @ (SUPPRESSED - [9, 3, 0, 0])).astype(np.float32)
    weight = brain_weight() * (transforms.points(GRID)[..., 2] > 0)

    def apart(maps):
        found = motion.realign([label], GRID.affine, control, GRID.affine, weight, maps=maps, starts=[np.eye(4)])
        return head.distance(found[0], np.eye(4))

    assert apart(()) > 0.03
    assert apart([tissue[..., 0], tissue[..., 1]]) < 1e-4


def test_an_m0_of_another_contrast_is_aligned_to_suppressed_controls():
    here, there = pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), pose((2.0, -1.5, 2.5), (0.03, -0.04, 0.02))
    control = (here[1] @ SUPPRESSED).astype(np.float32)
    m0 = (there[1] @ M0).astype(np.float32)
    maps = [here[1][..., k] for k in range(3)]
    found = motion.realign_contrast(m0, GRID.affine, control, GRID.affine, brain_weight(), maps=maps, start=np.eye(4))
    assert head.distance(found, np.linalg.inv(there[0])) < 0.1


def test_intensity_changes_are_not_motion():
    still = [pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))] * 2
    volumes = series(PLAIN, still, delta=0)
    found = motion.realign([3.7 * volumes[1]], GRID.affine, volumes[0], GRID.affine, motion.head(volumes[0]))
    assert head.distance(found[0], np.eye(4)) < 0.05


def test_volumes_without_a_head_stay_where_they_are():
    volume = series(PLAIN, [pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))])[0]
    found = motion.realign([np.zeros_like(volume), volume], GRID.affine, volume, GRID.affine, motion.head(volume))
    assert np.array_equal(found[0], np.eye(4))
    assert head.distance(found[1], np.eye(4)) < 1e-3


def test_realignment_repeats_to_the_bit():
    volumes = series(PLAIN, walk(3, seed=1))
    args = (volumes, GRID.affine, volumes[0], GRID.affine, motion.head(volumes[0]))
    assert np.array_equal(motion.realign(*args), motion.realign(*args))


def test_framewise_displacement_is_power_2012():
    parameters = np.zeros((4, 6))
    parameters[1] = [1, -2, 0.5, 0, 0, 0]
    parameters[2] = [1, -2, 0.5, 0.01, 0, -0.02]
    parameters[3] = parameters[2]
    found = motion.framewise_displacement(parameters)
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx([3.5, 50 * 0.03, 0])
    assert np.isnan(motion.framewise_displacement(np.zeros((1, 6)))).all()


def test_dvars_compares_volumes_of_one_type():
    types = ["control", "label", "control", "label"]
    values = np.tile([100.0, 90.0, 100.0, 90.0], (64, 1))
    values[:, 2] += 2.0 * (-1.0) ** np.arange(64)
    found = motion.dvars(values, types)
    assert np.isnan(found[:2]).all()
    assert found[2:] == pytest.approx([2.0, 0.0])
    assert np.isnan(motion.dvars(np.empty((0, 4)), types)).all()


def test_parameters_are_those_of_the_rigid_matrix():
    centre = np.array([4.0, -10.0, 22.0])
    matrix = transforms.rigid_matrix((1, 2, 3), (0.05, -0.1, 0.02), centre)
    assert motion.parameters([matrix], centre)[0] == pytest.approx([1, 2, 3, 0.05, -0.1, 0.02], abs=1e-12)


def test_spline_returns_voxels_and_reproduces_cubics():
    rng = np.random.default_rng(5)
    affine = head.centred((9, 8, 7), (2.0, 3.0, 4.0)).affine
    volume = rng.normal(100, 10, (9, 8, 7))
    points = transforms.points(((9, 8, 7), affine))
    assert spline.sample(spline.coefficients(volume), affine, points) == pytest.approx(volume, rel=2e-6)
    i, j, k = np.indices((24, 24, 24)).astype(float)
    cubic = 1e-3 * (i - 11) ** 3 + 0.05 * j**2 - 0.2 * k * (i - 11) + 3
    inner = rng.uniform(8, 15, (200, 3))
    x, y, z = inner.T
    true = 1e-3 * (x - 11) ** 3 + 0.05 * y**2 - 0.2 * z * (x - 11) + 3
    # What the mirrored edge costs has decayed by 0.27 a voxel.
    assert spline.sample(spline.coefficients(cubic), np.eye(4), inner) == pytest.approx(true, abs=2e-4)


def test_spline_misses_outside_the_field_of_view():
    cube = spline.coefficients(np.full((5, 5, 1), 7.0))
    found = spline.sample(cube, np.eye(4), np.array([[2.0, 2, 0], [4.4, 2, 0], [4.6, 2, 0], [2, 2, 0.6]]))
    assert found[:2] == pytest.approx([7, 7])
    assert np.isnan(found[2:]).all()


def test_mean_counts_only_the_volumes_that_reach_a_voxel():
    volumes = [np.full(GRID.shape, 10.0), np.full(GRID.shape, 20.0)]
    shift = transforms.rigid_matrix((0, 0, 12.0), (0, 0, 0), (0, 0, 0))
    found = motion.mean(volumes, GRID.affine, [np.eye(4), shift], GRID)
    assert found[..., :-2] == pytest.approx(15)
    assert found[..., -2:] == pytest.approx(10)
