"""Dense maps against closed forms: affine fields, a smooth warp with a known derivative, a planted fold."""

import numpy as np
import pytest
from pharmasl.space import fields, resample, transforms
from pharmasl.space.images import Grid

AFFINE = np.array([[-3.0, 0.2, 0, 40], [0, 3.1, -0.3, -50], [0.1, 0.2, 2.9, -30], [0, 0, 0, 1]])
GRID = Grid((24, 28, 22), AFFINE)
STRETCH = transforms.rigid_matrix([5, -8, 3], [0.2, -0.1, 0.3], [0, 0, 0]) @ np.diag([1.1, 0.9, 1.05, 1])


def warped(points, height=4.0, length=25.0):
    """Shear waves along each axis: p + height sin(next coordinate / length); smooth, and one-to-one below length."""
    return points + height * np.sin(np.roll(points, -1, axis=-1) / length)


@pytest.fixture(scope="module")
def wave():
    return transforms.apply(STRETCH, warped(transforms.points(GRID)))


def inner(seed, n=2000, margin=2):
    rng = np.random.default_rng(seed)
    return transforms.apply(AFFINE, rng.uniform(margin, np.array(GRID.shape) - 1 - margin, (n, 3)))


def test_between_nodes_an_affine_field_is_exact():
    points = inner(0)
    field = transforms.apply(STRETCH, transforms.points(GRID))
    np.testing.assert_allclose(
        fields.sample(field, AFFINE, points), transforms.apply(STRETCH, points), rtol=0, atol=1e-11
    )


def test_beyond_the_outermost_node_the_displacement_goes_on():
    field = transforms.apply(STRETCH, transforms.points(GRID))
    edge = transforms.apply(AFFINE, np.array([23.0, 10.5, 4.0]))
    far = transforms.apply(AFFINE, np.array([40.0, 10.5, 4.0]))
    expected = far + transforms.apply(STRETCH, edge) - edge
    np.testing.assert_allclose(fields.sample(field, AFFINE, far[None])[0], expected, rtol=0, atol=1e-11)


def test_beyond_the_outermost_node_points_are_missing_on_request(wave):
    """Just where a volume's samples are: half a node's distance out."""
    rng = np.random.default_rng(4)
    points = transforms.apply(AFFINE, rng.uniform(-2, np.array(GRID.shape) + 1, (2000, 3)))
    held, missing = fields.sample(wave, AFFINE, points), fields.sample(wave, AFFINE, points, beyond="missing")
    outside = np.isnan(resample.resample(np.ones(GRID.shape), AFFINE, points))
    assert 100 < outside.sum() < 1900
    assert np.isnan(missing[outside]).all()
    np.testing.assert_array_equal(missing[~outside], held[~outside])
    # Component by component, it is what the sampling of volumes makes of the displacement.
    displacement = wave - transforms.points(GRID)
    for axis in range(3):
        expected = points[:, axis] + resample.resample(displacement[..., axis], AFFINE, points)
        np.testing.assert_allclose(missing[:, axis], expected, rtol=0, atol=1e-4)


def test_the_inverse_of_an_affine_field_is_the_inverse_matrix():
    field = transforms.apply(STRETCH, transforms.points(GRID))
    points = inner(1)
    found, failed = fields.invert(field, AFFINE, transforms.apply(STRETCH, points))
    assert failed == 0
    np.testing.assert_allclose(found, points, rtol=0, atol=0.01)


def test_the_inverse_of_a_warp_finds_where_points_came_from(wave):
    points = inner(2)
    found, failed = fields.invert(wave, AFFINE, fields.sample(wave, AFFINE, points), tolerance=1e-6)
    assert failed == 0
    np.testing.assert_allclose(found, points, rtol=0, atol=1e-5)


def test_the_inverse_reaches_points_outside_the_grid(wave):
    outside = np.array([[200.0, -150.0, 90.0], [-120.0, 100.0, -100.0]])
    found, failed = fields.invert(wave, AFFINE, fields.sample(wave, AFFINE, outside))
    assert failed == 0
    np.testing.assert_allclose(found, outside, rtol=0, atol=0.01)


def test_the_jacobian_of_an_affine_field_is_its_determinant():
    field = transforms.apply(STRETCH, transforms.points(GRID))
    np.testing.assert_allclose(fields.jacobian(field, AFFINE), 1.1 * 0.9 * 1.05, rtol=1e-10)


def test_the_jacobian_of_a_warp_is_the_closed_form():
    height, length = 4.0, 25.0
    points = transforms.points(GRID)
    slope = height / length * np.cos(np.roll(points, -1, axis=-1) / length)
    # I + C with C cyclic: det = 1 + product of the three slopes.
    expected = 1 + slope.prod(axis=-1)
    found = fields.jacobian(warped(points, height, length), AFFINE)
    np.testing.assert_allclose(found[1:-1, 1:-1, 1:-1], expected[1:-1, 1:-1, 1:-1], rtol=0, atol=2e-4)


def test_a_planted_fold_is_counted():
    grid = Grid((20, 20, 20), np.eye(4))
    field = transforms.points(grid)
    field[8:12, :, :, 0] = field[8:12, :, :, 0][::-1]  # four planes in reverse order
    folded = fields.jacobian(field, np.eye(4)) <= 0
    # Central differences of 7 11 10 9 8 12 are 1.5, -0.5 twice, -1, -1, ...: planes 9 and 10 fold for sure, 0-6 never.
    assert folded[9:11].all()
    assert not folded[:7].any()
    assert not folded[13:].any()


def test_rounding_moves_no_point_by_more_than_half_a_step(wave):
    rounded = fields.rounded(wave, AFFINE, 2.0**-8)
    assert 0 < np.abs(rounded - wave).max() <= 2.0**-9 + 1e-12


def test_the_affine_part_of_an_affine_field_is_itself():
    field = transforms.apply(STRETCH, transforms.points(GRID))
    np.testing.assert_allclose(fields.affine_part(field, AFFINE), STRETCH, rtol=0, atol=1e-10)
