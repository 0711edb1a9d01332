"""No voxel that shows something is left out of the sampling, however the head moves."""

import numpy as np
import pytest
from pharmasl.simulate.sight import Sight, occupied
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

FINE = Grid((60, 70, 50), np.diag([1.5, 1.5, 1.5, 1.0]))
COARSE = Grid(
    (14, 16, 9),
    transforms.rigid_matrix([-9.0, 4.0, 6.0], np.deg2rad([8.0, -5.0, 12.0]), np.zeros(3))
    @ np.diag([8.0, 8.0, 9.0, 1.0]),
)


@pytest.mark.parametrize("motion", [0.0, 1.0, 12.0])
def test_what_is_sampled_is_what_sampling_everywhere_gives(motion):
    rng = np.random.default_rng(3)
    volume = np.zeros(FINE.shape, dtype=np.float32)
    # Two parts, one of them at the edge of the image, where the edge's value holds for half a voxel more.
    volume[20:33, 30:41, 18:29] = rng.random((13, 11, 11))
    volume[55:, :4, 40:] = 1
    points = transforms.points(COARSE)
    places = [
        transforms.rigid_matrix(
            motion * rng.standard_normal(3), np.deg2rad(motion * rng.standard_normal(3)), np.full(3, 40.0)
        )
        for _ in range(12)
    ]
    seen = Sight(points, FINE.affine, places).seen(volume, occupied(volume))
    series, shown = seen.through(places), 0
    for place, sampled in zip(places, series):
        whole = resample.resample(volume, FINE.affine, points, place, fill=0.0)
        found = np.zeros(whole.size, dtype=np.float32)
        found[seen.where] = sampled
        np.testing.assert_array_equal(found, whole.ravel())
        shown += np.count_nonzero(whole)
    assert shown > 100
    # Motion of 12 mm and degrees reaches everywhere.
    assert motion > 10 or len(seen.where) < points[..., 0].size / 2


def test_another_volume_is_seen_where_the_first_is_empty():
    empty, other = (np.zeros(FINE.shape, dtype=np.float32) for _ in range(2))
    other[30, 30, 30] = 1
    sight = Sight(transforms.points(FINE), FINE.affine, [np.eye(4)])
    seen = sight.seen(empty, occupied(other))
    assert seen.volume is empty
    assert np.ravel_multi_index((30, 30, 30), FINE.shape) in seen.where
    assert len(sight.seen(empty, occupied(empty)).where) == 0
