"""The compiled loops that join voxels to clusters."""

from typing import NamedTuple

import numpy as np
from numba import njit


class Suprathreshold(NamedTuple):
    """The voxels beyond a threshold.

    Attributes
    ----------
    voxels : ndarray of shape (K,), int32
        Their indices, ascending.
    t : ndarray of shape (K,), float64
        Only the sign is read.
    heights : ndarray of shape (K,), float64
        What each adds to its cluster's mass.
    """

    voxels: np.ndarray
    t: np.ndarray
    heights: np.ndarray


class Neighbourhood(NamedTuple):
    """Which voxels of a mask touch.

    Attributes
    ----------
    place : ndarray of shape (V,), int64
        Position of each mask voxel in the padded volume (C order).
    offsets : ndarray of int64
        Distance in the padded volume to each neighbour that comes earlier.
    slot : ndarray of int32
        The padded volume, -1 everywhere, on entry and on return of each function.
    """

    place: np.ndarray
    offsets: np.ndarray
    slot: np.ndarray


@njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def components(
    voxels: np.ndarray, t: np.ndarray, neighbourhood: Neighbourhood, parent: np.ndarray, merge: bool = False
) -> None:
    """Join neighbouring voxels of one sign: afterwards ``parent[k]`` is the first voxel of k's cluster.

    Parameters
    ----------
    voxels : ndarray of shape (K,), int32
        The suprathreshold voxels, ascending.
    t : ndarray of shape (K,), float64
        Their t; only the sign is read.
    neighbourhood : Neighbourhood
    parent : ndarray of shape (K,), int32
        Filled.
    merge : bool
        Join voxels of opposite sign too.
    """
    count, place, offsets, slot = voxels.size, neighbourhood.place, neighbourhood.offsets, neighbourhood.slot
    for k in range(count):
        here = place[voxels[k]]
        slot[here] = k
        parent[k] = k
        for offset in offsets:
            j = slot[here - offset]
            if j >= 0 and (merge or (t[j] > 0) == (t[k] > 0)):
                one, two = _root(parent, k), _root(parent, j)
                # The earlier voxel becomes the root, so the result does not depend on the order of joining.
                if one < two:
                    parent[two] = one
                else:
                    parent[one] = two
    for k in range(count):
        slot[place[voxels[k]]] = -1
        parent[k] = _root(parent, k)


@njit(cache=True, nogil=True)
def largest_clusters(
    above: Suprathreshold, neighbourhood: Neighbourhood, base: float, merge: bool, out: np.ndarray
) -> None:
    """Largest extent and mass of the clusters of either sign.

    Parameters
    ----------
    above : Suprathreshold
    neighbourhood : Neighbourhood
    base : float
        What is taken off a voxel's height for its cluster's mass.
    merge : bool
        Join voxels of opposite sign too.
    out : ndarray of shape (4,), float64
        Filled: extent of positive and of negative clusters, mass of both. Merged clusters count for both signs.
    """
    t, heights, count = above.t, above.heights, above.voxels.size
    parent = np.empty(count, np.int32)
    components(above.voxels, t, neighbourhood, parent, merge)
    size, mass = np.zeros(count, np.int32), np.zeros(count)
    out[:] = 0.0
    for k in range(count):
        root = parent[k]
        size[root] += 1
        mass[root] += abs(heights[k]) - base
    for k in range(count):
        if parent[k] == k:
            for side in range(2):
                if merge or (t[k] > 0) == (side == 0):
                    out[side] = max(out[side], size[k])
                    out[2 + side] = max(out[2 + side], mass[k])
