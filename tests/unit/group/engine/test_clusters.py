"""Clusters against scipy.ndimage.label."""

import numpy as np
import pytest
from pharmasl.group.engine import clusters
from scipy import ndimage


def field(seed, shape=(17, 12, 14), smooth=1.2):
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=shape), smooth)
    # Holes and ragged borders, and voxels on the faces of the volume: neighbours must not wrap around.
    return values / values.std(), rng.random(shape) > 0.1


@pytest.mark.parametrize("neighbours", [6, 18, 26])
@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_scipys(neighbours, seed):
    values, mask = field(seed)
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[neighbours])
    labels, sizes = clusters.label(values[mask], 0.8, clusters.Lattice(mask, neighbours))
    volume = np.zeros(mask.shape, int)
    volume[mask] = labels
    partition = set()
    for part in ((values > 0.8) & mask, (values < -0.8) & mask):
        found, number = ndimage.label(part, structure)
        partition |= {tuple(np.flatnonzero(found.ravel() == k)) for k in range(1, number + 1)}
    ours = [tuple(np.flatnonzero(volume.ravel() == k)) for k in range(1, len(sizes) + 1)]
    assert set(ours) == partition
    assert [len(cluster) for cluster in ours] == sizes.tolist()


def test_order_is_by_size_then_peak():
    mask = np.ones((12, 3, 3), bool)
    values = np.zeros(mask.shape)
    values[0, 0, 0], values[3, 1, 1], values[6:9, 1, 1], values[11, 2, 2] = 5, -9, -3, 7
    labels, sizes = clusters.label(values[mask], 2.0, clusters.Lattice(mask, 18))
    volume = labels.reshape(mask.shape)
    assert sizes.tolist() == [3, 1, 1, 1]
    assert (volume[7, 1, 1], volume[3, 1, 1], volume[11, 2, 2], volume[0, 0, 0]) == (1, 2, 3, 4)


def test_opposite_signs_that_touch_stay_apart_and_nothing_is_fine():
    mask = np.ones((4, 4, 4), bool)
    values = np.where(np.arange(4)[:, None, None] < 2, 4.0, -4.0) * mask
    _, sizes = clusters.label(values[mask], 2.0, clusters.Lattice(mask, 26))
    assert sizes.tolist() == [32, 32]
    labels, sizes = clusters.label(np.zeros(64), 2.0, clusters.Lattice(mask, 18))
    assert not labels.any()
    assert len(sizes) == 0


@pytest.mark.parametrize("neighbours", [6, 18, 26])
@pytest.mark.parametrize("merge", [False, True])
def test_masses_and_merged_signs_are_scipys(neighbours, merge):
    values, mask = field(9)
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[neighbours])
    labels, sizes = clusters.label(values[mask], 0.8, clusters.Lattice(mask, neighbours), merge)
    expected = []
    parts = [np.abs(values) > 0.8] if merge else [values > 0.8, values < -0.8]
    for part in parts:
        found, number = ndimage.label(part & mask, structure)
        index = np.arange(1, number + 1)
        expected += zip(ndimage.sum_labels(np.abs(values) - 0.8, found, index), np.bincount(found.ravel())[1:])
    masses = clusters.masses(labels, values[mask], 0.8)
    np.testing.assert_allclose(sorted(masses), sorted(mass for mass, _ in expected), rtol=1e-12)
    assert sorted(sizes.tolist()) == sorted(int(size) for _, size in expected)
    np.testing.assert_allclose(clusters.masses(labels, values[mask], 0.0), masses + 0.8 * sizes, rtol=1e-12)


def test_lattice_is_of_the_box_that_holds_the_mask():
    mask = np.zeros((50, 40, 30), bool)
    mask[10:13, 20:24, 5:10] = True
    lattice = clusters.Lattice(mask, 18)
    assert lattice.size == 5 * 6 * 7
    assert len(clusters.Lattice(np.zeros((3, 3, 3), bool), 18).place) == 0
    assert clusters.masses(np.zeros(5, np.int32), np.zeros(5), 1.0).shape == (0,)
