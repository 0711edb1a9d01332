"""Phase unwrapping in three dimensions: where phases jump by a turn, the turn is taken back.

Voxels are joined along the paths on which phase is most even first, as of Abdul-Rahman et al. (2007, doi
10.1364/AO.46.006623): a voxel's reliability is the inverse of its second differences, that of an edge the sum of its two
voxels', and edges are joined from the most reliable on, one body being shifted by whole turns onto the other.
"""

import itertools

import numpy as np
from numba import njit

_TURN = 2 * np.pi
# One of each pair of opposite directions to the 26 neighbours.
_DIRECTIONS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
# Second differences below this are noise: nothing is more reliable.
_LEAST = 1e-6


def unwrapped(phase: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Phase without jumps of a turn.

    Parameters
    ----------
    phase : ndarray of shape (X, Y, Z)
        Radians, known but for whole turns.
    mask : ndarray of bool, shape (X, Y, Z)
        Voxels whose phase is known. Bodies that do not touch are unwrapped each by itself.

    Returns
    -------
    ndarray of shape (X, Y, Z), float64
        The same phase plus whole turns, NaN outside the mask.
    """
    reliability = _reliability(phase, mask)
    number = np.full(mask.shape, -1, dtype=np.int64)
    number[mask] = np.arange(mask.sum())
    first, second = _edges(number)
    values = np.ascontiguousarray(phase[mask], dtype=np.float64)
    # A stable sort: the order of edges of one reliability is that of the voxels.
    order = np.argsort(-(reliability[first] + reliability[second]), kind="stable")
    turns = _turns(values, first[order], second[order])
    out = np.full(mask.shape, np.nan)
    out[mask] = values + _TURN * turns
    return out


def _reliability(phase: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of the mask's voxels: 0 at its edge, where second differences are not known."""
    padded = np.pad(np.where(mask, phase, np.nan), 1, constant_values=np.nan)
    inner = tuple(slice(1, -1) for _ in range(3))
    centre, total = padded[inner], np.zeros(mask.shape)
    for step in _DIRECTIONS:
        ahead, behind = (
            padded[tuple(slice(1 + sign * s, n - 1 + sign * s) for s, n in zip(step, padded.shape))] for sign in (1, -1)
        )
        total += (_within_a_turn(ahead - centre) - _within_a_turn(centre - behind)) ** 2
    return np.nan_to_num(1 / np.sqrt(np.maximum(total, _LEAST)), nan=0.0)[mask]


def _within_a_turn(difference: np.ndarray) -> np.ndarray:
    return difference - _TURN * np.round(difference / _TURN)


def _edges(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the voxels at both ends of every edge within the mask."""
    ends: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for axis in range(3):
        low, high = np.delete(number, -1, axis).ravel(), np.delete(number, 0, axis).ravel()
        both = (low >= 0) & (high >= 0)
        ends[0].append(low[both])
        ends[1].append(high[both])
    return np.concatenate(ends[0]), np.concatenate(ends[1])


@njit(cache=True, nogil=True)
def _root(parent, offset, voxel):
    """The body of a voxel, and its turns from that body's first voxel; the way there is shortened."""
    top, turns = voxel, 0
    while parent[top] != top:
        turns += offset[top]
        top = parent[top]
    left = turns
    while parent[voxel] != voxel:
        following, own = parent[voxel], offset[voxel]
        parent[voxel], offset[voxel] = top, left
        left -= own
        voxel = following
    return top, turns


@njit(cache=True, nogil=True)
def _turns(values, first, second):
    """Whole turns to be added to each value, edges being joined in their order."""
    count = values.shape[0]
    parent, offset, size = np.arange(count), np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    for edge in range(first.shape[0]):
        a, b = first[edge], second[edge]
        top_a, turns_a = _root(parent, offset, a)
        top_b, turns_b = _root(parent, offset, b)
        if top_a == top_b:
            continue
        # By how many turns the body of b is to be raised.
        raised = round((values[a] - values[b]) / (2 * np.pi)) + turns_a - turns_b
        if size[top_a] >= size[top_b]:
            parent[top_b], offset[top_b] = top_a, raised
            size[top_a] += size[top_b]
        else:
            parent[top_a], offset[top_a] = top_b, -raised
            size[top_b] += size[top_a]
    out = np.empty(count, dtype=np.int64)
    for voxel in range(count):
        _, out[voxel] = _root(parent, offset, voxel)
    return out
