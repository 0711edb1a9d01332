"""The mean of several T1w of one head: planted poses, order, noise, grids, and images that do not belong together."""

import itertools

import head
import numpy as np
import pytest
from pharmasl.anatomy import average, rigid_alignment
from pharmasl.errors import InputError
from pharmasl.space import transforms

LEVELS = np.array([66.0, 100.0, 22.0, 80.0])
GRID = head.centred((72, 88, 68), (2.2, 2.2, 2.2))
POSES = [
    transforms.rigid_matrix([3, -2, 4], [0.03, -0.05, 0.08], [0, 0, 0]),
    transforms.rigid_matrix([-9, 6, -12], [-0.15, 0.1, 0.05], [0, 0, 0]),
    transforms.rigid_matrix([14, 10, 5], [0.1, 0.2, -0.2], [0, 0, 0]),
]


def image(name, grid, pose, noise=0.0, seed=0, parts=1):
    """A head rendered on a grid whose points ``pose`` maps to the head's own."""
    tissue = head.render(grid, pose, parts=parts)
    mask = tissue[..., :3].sum(axis=-1) > 0.5
    data = tissue @ LEVELS
    data *= 100 / np.median(data[mask])
    data = data + np.random.default_rng(seed).normal(0, noise, data.shape)
    return rigid_alignment.Image(name, data.astype(np.float32), mask, grid.affine)


@pytest.fixture(scope="module")
def heads():
    return [image(f"{k}", GRID, pose, noise=5.0, seed=k) for k, pose in enumerate(POSES)]


@pytest.fixture(scope="module")
def found(heads):
    return average.mean(heads)


def apart(matrix, true):
    """Distance over the brain (mm) and angle (degrees) between two rigid matrices."""
    rest = np.linalg.inv(true) @ matrix
    return head.distance(matrix, true), np.degrees(np.linalg.norm(transforms.rigid_log(rest)[3:]))


def test_planted_motion_is_found(found):
    poses, correlations = found[2:]
    for i, j in itertools.permutations(range(3), 2):
        between = poses[j] @ np.linalg.inv(poses[i])
        distance, angle = apart(between, np.linalg.inv(POSES[j]) @ POSES[i])
        assert distance < 0.1
        assert angle < 0.1
        assert 0.97 < correlations[i, j] < 1


def test_the_mean_lies_midway(found):
    """The poses' logarithms add up to zero, so none is nearer to the mean than what its own motion makes it."""
    motions = np.array([transforms.rigid_log(pose) for pose in found[2]])
    np.testing.assert_allclose(motions.sum(axis=0), 0, atol=1e-9)
    assert (np.abs(motions).max(axis=1) > 1).all()


def test_the_mean_shows_the_head_where_its_poses_say(found):
    """Rendered without noise at the mean's own place, the head is what the mean shows, but for noise and interpolation."""
    mean, affine, poses, _ = found
    here = image("truth", head.images.Grid(mean.shape, affine), POSES[0] @ poses[0])
    deep = here.mask & (np.linalg.norm(transforms.points(head.images.Grid(mean.shape, affine)), axis=-1) < 60)
    rest = (mean - here.head)[deep]
    assert abs(rest.mean()) < 0.3
    assert rest.std() < 0.75 * 5.0


def test_the_order_of_the_images_does_not_matter(heads, found):
    mean, affine, poses, _ = found
    again, again_affine, again_poses, _ = average.mean([heads[2], heads[0], heads[1]])
    np.testing.assert_allclose(again_poses, poses[[2, 0, 1]], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(again_affine, affine)
    np.testing.assert_allclose(again, mean, rtol=0, atol=1e-3)


def test_noise_falls_with_the_square_root_of_their_number():
    """Images without motion, so that interpolation smooths nothing away."""
    clean = image("clean", GRID, np.eye(4))
    # A part of the brain will do for the alignment.
    ball = np.linalg.norm(transforms.points(GRID), axis=-1) < 45
    noisy = [image(f"{k}", GRID, np.eye(4), noise=6.0, seed=10 + k) for k in range(3)]
    noisy = [rigid_alignment.Image(one.name, one.head, one.mask & ball, one.affine) for one in noisy]
    levels = []
    for count in (2, 3):
        mean, affine, _, _ = average.mean(noisy[:count])
        np.testing.assert_array_equal(affine, GRID.affine)
        # Well away from edges, where a hundredth of a millimetre shows.
        still = clean.mask & ball & (np.linalg.norm(np.gradient(clean.head), axis=0) < 2)
        levels.append((mean - clean.head)[still].std())
    np.testing.assert_allclose(levels, [6 / np.sqrt(2), 6 / np.sqrt(3)], rtol=0.03)


def test_the_grid_is_the_finest_ones_whatever_the_order():
    # Thick slices of small volume are not finer than cubes.
    grids = [head.centred((54, 62, 48), (3, 3, 3)), head.centred((60, 74, 56), (2.6, 2.6, 2.6), shift=(4, -3, 8))]
    grids.append(head.centred((90, 110, 38), (1.8, 1.8, 4)))
    heads = [image(f"{k}", grid, pose, parts=(1, 1, 2)) for k, (grid, pose) in enumerate(zip(grids, POSES))]
    mean, affine, poses, _ = average.mean(heads)
    assert min(heads, key=average._fineness) is heads[1]
    assert mean.shape == grids[1].shape
    np.testing.assert_array_equal(affine[:3, :3], grids[1].affine[:3, :3])
    moved = np.linalg.inv(grids[1].affine) @ affine[:, 3]
    np.testing.assert_allclose(moved, np.round(moved), atol=1e-9)
    for i, j in itertools.combinations(range(3), 2):
        distance, angle = apart(poses[j] @ np.linalg.inv(poses[i]), np.linalg.inv(POSES[j]) @ POSES[i])
        assert distance < 0.1
        assert angle < 0.1


def test_the_whole_brain_stays_in_view_when_the_sessions_lie_far_apart():
    """One session's table stood 8 cm off: its scanner's coordinates are others."""
    pose = transforms.rigid_matrix([0, -10, -80], [0, 0, 0.1], [0, 0, 0])
    away = image("away", head.centred(GRID.shape, (2.2,) * 3, shift=(0, 10, 80)), pose)
    mean, affine, poses, _ = average.mean([image("here", GRID, np.eye(4)), away])
    distance, angle = apart(poses[1] @ np.linalg.inv(poses[0]), np.linalg.inv(pose))
    assert distance < 0.1
    assert angle < 0.1
    here = image("truth", head.images.Grid(mean.shape, affine), poses[0])
    assert here.mask.sum() == pytest.approx(away.mask.sum(), rel=0.01)


def test_consistent_pairs_give_their_poses_and_inconsistent_ones_a_compromise():
    centred = np.array(POSES) @ np.linalg.inv(average.rigid_mean(np.array(POSES)))
    between = np.array([[b @ np.linalg.inv(a) for b in centred] for a in centred])
    np.testing.assert_allclose(average.poses(between), centred, rtol=0, atol=1e-9)
    # One pair is off by 0.3 mm along x: each of its images is moved by a third of that at the most.
    error = transforms.rigid_matrix([0.3, 0, 0], [0, 0, 0], [0, 0, 0])
    between[0, 1], between[1, 0] = error @ between[0, 1], np.linalg.inv(error @ between[0, 1])
    rest = [head.distance(a, b) for a, b in zip(average.poses(between), centred)]
    assert max(rest) == pytest.approx(0.1, abs=0.01)


def test_the_mean_of_rigid_motions_is_that_of_their_logarithms_where_these_commute():
    turns = np.array(
        [transforms.rigid_matrix([0, 0, z], [0, 0, angle], [0, 0, 0]) for z, angle in ((2, 0.1), (5, 0.9), (-1, 0.2))]
    )
    expected = transforms.rigid_matrix([0, 0, 2], [0, 0, 0.4], [0, 0, 0])
    np.testing.assert_allclose(average.rigid_mean(turns), expected, atol=1e-12)


def test_another_contrast_and_another_surrounding_do_not_move_the_brain():
    """What scanner and sequence change between sessions: a steeper scale of greys, and a face that was removed."""
    turned = POSES[0]
    one, other = image("one", GRID, np.eye(4), noise=3), image("other", GRID, turned, noise=3, seed=1)
    changed = 100 * np.clip(other.head / 100, 0, None) ** 0.7
    face = transforms.apply(turned, transforms.points(GRID))[..., 1] > 50
    changed[face & ~other.mask] = 0
    changed = rigid_alignment.Image("changed", changed.astype(np.float32), other.mask, other.affine)
    matrix, correlation = rigid_alignment.align(one, changed)
    distance, angle = apart(matrix, np.linalg.inv(turned))
    assert distance < 0.1
    assert angle < 0.1
    assert correlation > 0.9


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_a_mirrored_image_is_refused_by_that_name(heads, tilt):
    turn = transforms.rigid_matrix([5, 0, 3], [0, tilt, 0.5 * tilt], [0, 0, 0])
    affine = turn @ np.diag([-1.0, 1, 1, 1]) @ heads[1].affine
    mirrored = rigid_alignment.Image("mirrored", heads[1].head, heads[1].mask, affine)
    with pytest.raises(InputError, match=r"mirrored: left and right: found 'correlation 0\.\d+ with 0, and 0\.9\d"):
        average.mean([heads[0], mirrored])


def test_images_that_do_not_show_one_brain_are_refused():
    one = image("sub-01_T1w.nii.gz", GRID, np.eye(4))
    # A part of the brain will do.
    ball = np.linalg.norm(transforms.points(GRID), axis=-1) < 35
    one = rigid_alignment.Image(one.name, one.head, one.mask & ball, one.affine)
    noise = np.random.default_rng(0).normal(100, 20, one.head.shape).astype(np.float32)
    with pytest.raises(InputError, match="correlation with sub-01_T1w") as caught:
        average.mean([one, rigid_alignment.Image("other", noise, one.mask, one.affine)])
    assert "anatomy.t1w" in caught.value.fix
