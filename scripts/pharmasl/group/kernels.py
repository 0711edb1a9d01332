"""The compiled loops of the permutation test.

They stand in one module because numba's file cache does not notice when a function of *another* module changes.

A permutation's maximum and clusters are decided in double precision with sums in one fixed order, so they do not
depend on the batch, the tile or the number of threads. Single-precision matrix products only *screen*: a voxel is
dropped when its statistic is below what matters by more than the products can err.
"""

import numpy as np
from numba import njit

# Smallest residual share of variance: keeps t finite where a model fits a voxel perfectly.
_LEAST = 1e-14


@njit(cache=True, nogil=True)
def _statistic(row, x, basis, df):
    """Student's t of a voxel's residuals ``row`` (n,) against ``x`` (n,) and ``basis`` (n, k); and b = x . row."""
    b = 0.0
    for i in range(row.size):
        b += x[i] * row[i]
    rest = 1.0 - b * b
    for j in range(basis.shape[1]):
        c = 0.0
        for i in range(row.size):
            c += basis[i, j] * row[i]
        rest -= c * c
    return b * np.sqrt(df / max(rest, _LEAST)), b


@njit(cache=True, nogil=True)
def statistics(residuals, x, basis, df, t, b):
    """Fill ``t`` and ``b`` (V,) from ``residuals`` (V, n)."""
    # The same sums in the same order as a permutation's: the identity gives these very bits.
    for v in range(residuals.shape[0]):
        t[v], b[v] = _statistic(residuals[v], x, basis, df)


@njit(cache=True, nogil=True, fastmath=True)
def screen(products, permutations, terms, first, ceiling, error, best, counts, candidates, margin):
    """Collect the voxels of a tile that may be a permutation's maximum or in a cluster.

    Parameters
    ----------
    products : ndarray of shape (permutations * terms, W), float32
        b of each permutation, then each basis vector's product, for W voxels.
    permutations, terms : int
    first : int
        Index of the tile's first voxel.
    ceiling : float32
        b^2 / (1 - a) at the cluster-forming threshold.
    error : float32
        How far b^2 and a may be off.
    best : ndarray of shape (permutations, 2), float32
        Certain lower bounds of the largest b^2 / (1 - a) among positive and negative b; updated.
    counts : ndarray of shape (permutations,), int64
        Candidates found; updated. More than ``candidates`` holds means that some were not stored.
    candidates : ndarray of shape (permutations, capacity), int32
        Voxel indices, ascending; updated.
    margin : ndarray of shape (W,), float32
        Work space.
    """
    width = products.shape[1]
    capacity = candidates.shape[1]
    one, zero = np.float32(1), np.float32(0)
    block = 64
    for p in range(permutations):
        b = products[p]
        rest = margin
        for j in range(width):
            rest[j] = one
        for q in range(1, terms):
            c = products[q * permutations + p]
            for j in range(width):
                rest[j] -= c[j] * c[j]
        count = counts[p]
        for start in range(0, width, block):
            stop = min(start + block, width)
            positive, negative = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
            top = np.float32(-2)
            for j in range(start, stop):
                limit = positive if b[j] > zero else negative
                top = max(top, b[j] * b[j] - limit * rest[j])
            if top < -error * (one + max(positive, negative)):
                continue
            for j in range(start, stop):
                side = 0 if b[j] > zero else 1
                limit = min(ceiling, best[p, side])
                square = b[j] * b[j]
                if square - limit * rest[j] < -error * (one + limit):
                    continue
                if count < capacity:
                    candidates[p, count] = first + j
                count += 1
                least = (square - error) / (max(rest[j], zero) + error)
                best[p, side] = max(best[p, side], least)
        counts[p] = count


@njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def components(voxels, t, count, place, offsets, slot, parent):
    """Join neighbouring voxels of one sign: afterwards ``parent[k]`` leads to the first voxel of k's cluster.

    Parameters
    ----------
    voxels : ndarray of int32
        The first ``count`` are the suprathreshold voxels, ascending.
    t : ndarray of float64
        Their t, in the same order; only the sign is read.
    count : int
    place : ndarray of shape (V,), int64
        Position of each mask voxel in the padded volume (C order).
    offsets : ndarray of int64
        Distance in the padded volume to each neighbour that comes earlier.
    slot : ndarray of int32
        The padded volume, -1 everywhere, on entry and on return.
    parent : ndarray of int32
        Work space and result, ``count`` long at least.
    """
    for k in range(count):
        here = place[voxels[k]]
        slot[here] = k
        parent[k] = k
        for offset in offsets:
            j = slot[here - offset]
            if j >= 0 and (t[j] > 0) == (t[k] > 0):
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
def decide(residuals, x, basis, df, threshold, voxels, count, place, offsets, slot, above, t, parent, size, out):
    """One permutation's largest t, smallest t, and largest cluster extent of either sign, from its candidates.

    Parameters
    ----------
    residuals : ndarray of shape (V, n), float64
    x, basis : ndarray of shape (n,), (n, k), float64
        Permuted.
    df, threshold : float
        Degrees of freedom; cluster-forming t.
    voxels : ndarray of int32
        The first ``count`` are the candidates.
    place, offsets, slot, parent : see :func:`components`
    above, size : ndarray of shape (V,), int32
    t : ndarray of shape (V,), float64
        Work space.
    out : ndarray of shape (4,), float64
        Filled: max t (at least 0), min t (at most 0), extent of positive and of negative clusters.
    """
    most, least, found = 0.0, 0.0, 0
    for k in range(count):
        value, _ = _statistic(residuals[voxels[k]], x, basis, df)
        most, least = max(most, value), min(least, value)
        if abs(value) > threshold:
            above[found], t[found] = voxels[k], value
            found += 1
    components(above, t, found, place, offsets, slot, parent)
    for k in range(found):
        size[k] = 0
    positive, negative = 0, 0
    for k in range(found):
        root = parent[k]
        size[root] += 1
        if t[k] > 0:
            positive = max(positive, size[root])
        else:
            negative = max(negative, size[root])
    out[0], out[1], out[2], out[3] = most, least, positive, negative
