"""Clusters: voxels of one sign above a threshold that touch by faces (6 neighbours), edges (18) or corners (26)."""

from itertools import product

import numpy as np

from pharmasl.group.engine import components
from pharmasl.group.engine.components import Neighbourhood


class Lattice:
    """Which voxels of a mask touch.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    neighbours : int
        6, 18 (as SPM) or 26 (as FSL and PALM).

    Attributes
    ----------
    place : ndarray of shape (V,), int64
        Position of each mask voxel, in C order, in a volume padded by one voxel.
    offsets : ndarray of int64
        Distances in that volume to the neighbours that come earlier.
    size : int
        Voxels of the padded volume.
    mask : ndarray of bool, shape (X, Y, Z)
        As given.
    strides : tuple of int
        Distances in the padded volume to the next plane, row and voxel.
    """

    def __init__(self, mask: np.ndarray, neighbours: int) -> None:
        reach = {6: 1, 18: 2, 26: 3}[neighbours]
        self.mask = mask
        corners = np.argwhere(mask)
        # Only the box that holds the mask: an image is half empty.
        least = corners.min(axis=0) if len(corners) else np.zeros(3, dtype=np.int64)
        shape = tuple(int(n) + 3 for n in (corners.max(axis=0) if len(corners) else least) - least)
        strides = np.array([shape[1] * shape[2], shape[2], 1])
        self.strides = tuple(int(stride) for stride in strides)
        steps = np.array([s for s in product((-1, 0, 1), repeat=3) if 0 < np.abs(s).sum() <= reach])
        distances = steps @ strides
        self.offsets = np.sort(distances[distances > 0]).astype(np.int64)
        self.place = (corners - least + 1) @ strides
        self.size = int(np.prod(shape))

    def neighbourhood(self) -> Neighbourhood:
        """Which voxels touch, in the form of the compiled loops, with a work space of its own."""
        return Neighbourhood(self.place, self.offsets, np.full(self.size, -1, dtype=np.int32))


def label(t: np.ndarray, threshold: float, lattice: Lattice, merge: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Label the clusters of a map.

    Parameters
    ----------
    t : ndarray of shape (V,)
        Statistic of each voxel of the lattice's mask.
    threshold : float
        Clusters are of voxels with t > threshold, and of voxels with t < -threshold, apart.
    lattice : Lattice
    merge : bool
        Let voxels of opposite sign touch, as PALM's two-tailed test does.

    Returns
    -------
    labels : ndarray of shape (V,), int32
        0 outside clusters; 1 is the largest cluster; of clusters of one size the one with the larger peak |t| first.
    sizes : ndarray of shape (K,), int64
        Voxels of cluster 1, 2, ...
    """
    labels = np.zeros(len(t), dtype=np.int32)
    voxels = np.flatnonzero(np.abs(t) > threshold)
    labels[voxels], sizes = label_voxels(voxels, t[voxels], lattice.neighbourhood(), merge)
    return labels, sizes


def label_voxels(
    voxels: np.ndarray, t: np.ndarray, neighbourhood: components.Neighbourhood, merge: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Label the clusters of the voxels beyond a threshold, in time by their number alone.

    Parameters
    ----------
    voxels : ndarray of int, shape (K,)
        Their indices in the lattice's mask, ascending.
    t : ndarray of shape (K,)
        Their statistic.
    neighbourhood : Neighbourhood
        Of the lattice; its work space may serve many calls, one after the other.
    merge : bool
        As in :func:`label`.

    Returns
    -------
    labels : ndarray of shape (K,), int32
        1 is the largest cluster; of clusters of one size the one with the larger peak in absolute value first.
    sizes : ndarray of int
        Voxels of cluster 1, 2, ...
    """
    values = np.ascontiguousarray(t, dtype=np.float64)
    parent = np.empty(len(voxels), dtype=np.int32)
    components.components(voxels.astype(np.int32), values, neighbourhood, parent, merge)
    first = parent == np.arange(len(parent))
    roots, member = np.flatnonzero(first), (np.cumsum(first) - 1)[parent]
    sizes = np.bincount(member, minlength=len(roots))
    peaks = np.zeros(len(roots))
    np.maximum.at(peaks, member, np.abs(values))
    order = np.lexsort((roots, -peaks, -sizes))
    rank = np.empty(len(roots), dtype=np.int32)
    rank[order] = np.arange(1, len(roots) + 1)
    return rank[member], sizes[order]


def masses(labels: np.ndarray, heights: np.ndarray, base: float) -> np.ndarray:
    """The mass of each cluster: the sum over its voxels of abs(height) - base.

    Parameters
    ----------
    labels : ndarray of shape (V,)
        Of :func:`label`.
    heights : ndarray of shape (V,)
        t, or z.
    base : float
        The cluster-forming threshold, in that scale; 0 for the plain sum.

    Returns
    -------
    ndarray of shape (K,), float64
        Of cluster 1, 2, ...
    """
    inside = np.flatnonzero(labels)
    # bincount adds in the order of the voxels, as the permutations do.
    return np.bincount(labels[inside], np.abs(heights[inside]) - base, labels.max(initial=0) + 1)[1:]
