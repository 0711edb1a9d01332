"""The compiled loops that fit a voxel's statistic, and that screen a permutation's map for what matters.

They stand in one module because numba's file cache does not notice when a function of *another* module changes.

A permutation's maximum and clusters are decided in double precision with sums in one fixed order, so they do not depend on the
batch, the tile or the number of threads. Single-precision matrix products only *screen*: a voxel is dropped when its statistic is
below what matters by more than the products can err.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Smallest residual share of variance: keeps t finite where a model fits a voxel perfectly.
_LEAST = 1e-14


class Tile(NamedTuple):
    """The data of some voxels.

    Attributes
    ----------
    data : ndarray of shape (W, n)
    square : ndarray of shape (W,), float64
        Residual sums of squares; 0 where nothing varies.
    first : int
        Index of the first of these voxels.
    """

    data: np.ndarray
    square: np.ndarray
    first: int


class Relabelled(NamedTuple):
    """A model under a batch of relabellings.

    Attributes
    ----------
    weights : ndarray of shape (permutations, terms, n), float64
        Of the tested term, then of the basis of the others.
    df, threshold : float
        Degrees of freedom; cluster-forming t, infinite for none.
    """

    weights: np.ndarray
    df: float
    threshold: float


class Found(NamedTuple):
    """What a pass over the data leaves of each permutation; updated in place.

    Attributes
    ----------
    extremes : ndarray of shape (permutations, 2), float64
        Largest and smallest t.
    counts : ndarray of shape (permutations,), int64
        Voxels beyond the threshold. More than there is capacity for means that some were not stored.
    voxels, t : ndarray of shape (permutations, capacity), int32 and float64
        Those voxels, ascending, and their t.
    """

    extremes: np.ndarray
    counts: np.ndarray
    voxels: np.ndarray
    t: np.ndarray


class Products(NamedTuple):
    """Products of weights and data in low precision, and how far they may be off.

    Attributes
    ----------
    products : ndarray of shape (permutations * terms, W), float32 or int32
        b of each permutation, then each basis vector's product, for W voxels.
    row_scale, scale : ndarray of shape (permutations * terms,) and (W,), float32
        What the products are to be multiplied with.
    delta : ndarray of shape (W,), float32
        How far a product, so multiplied, may be off.
    square : ndarray of shape (W,), float32
        Residual sums of squares, less what rounding may do to the screen itself; very large where nothing varies.
    """

    products: np.ndarray
    row_scale: np.ndarray
    scale: np.ndarray
    delta: np.ndarray
    square: np.ndarray


@njit(cache=True, nogil=True)
def _without(rest, c):
    # A function of its own: in callers that may contract a product and a sum into one rounding this one stays two.
    return rest - c * c


@njit(cache=True, nogil=True)
def _student(b, rest, square, df):
    """Student's t from b and from the voxel's sum of squares with the nuisance out (``rest``) and in (``square``)."""
    if square <= 0.0:
        return 0.0
    return b * np.sqrt(df / max(rest - b * b, _LEAST * square))


@njit(cache=True, nogil=True, fastmath={"contract"})
def _product(row, weight):
    # In order, one rounding a term where the processor can: `whole_maps` adds alike, so both give the same bits.
    total = 0.0
    for i in range(row.size):
        total += weight[i] * row[i]
    return total


@njit(cache=True, nogil=True)
def _statistic(row, weights, square, df):
    """Student's t of a voxel's data ``row`` (n,) against ``weights`` (1 + k, n); and b = weights[0] . row."""
    rest = square
    for q in range(1, weights.shape[0]):
        rest = _without(rest, _product(row, weights[q]))
    b = _product(row, weights[0])
    return _student(b, rest, square, df), b


@njit(cache=True, nogil=True)
def statistics(
    residuals: np.ndarray, x: np.ndarray, basis: np.ndarray, df: float, t: np.ndarray, b: np.ndarray
) -> None:
    """Fill ``t`` and ``b`` (V,) from ``residuals`` (V, n), each voxel of length 1 or 0."""
    # The same sums in the same order as a permutation's: the identity gives these very bits.
    weights = np.empty((1 + basis.shape[1], x.size))
    weights[0] = x
    weights[1:] = basis.T
    for v in range(residuals.shape[0]):
        t[v], b[v] = _statistic(residuals[v], weights, 1.0, df)


@njit(cache=True, nogil=True)
def without_projection(vector: np.ndarray, projector: np.ndarray, out: np.ndarray) -> None:
    """``out`` (n,) becomes ``vector`` less its part in the orthonormal columns of ``projector`` (n, m)."""
    n, m = projector.shape
    for i in range(n):
        out[i] = vector[i]
    # Twice: the second projection removes what rounding left of a large mean.
    for _ in range(2):
        for j in range(m):
            total = 0.0
            for i in range(n):
                total += projector[i, j] * out[i]
            for i in range(n):
                out[i] -= total * projector[i, j]


@njit(cache=True, nogil=True)
def measure(
    data: np.ndarray,
    projector: np.ndarray,
    weights: np.ndarray,
    df: float,
    least: float,
    square: np.ndarray,
    raw: np.ndarray,
    t: np.ndarray,
    b: np.ndarray,
) -> None:
    """Sums of squares, t and b of a tile of voxels under the observed labelling.

    Parameters
    ----------
    data : ndarray of shape (W, n)
    projector : ndarray of shape (n, m)
    weights : ndarray of shape (1 + k, n)
    df : float
    least : float
        A voxel whose residuals are no longer than this share of its data does not vary.
    square, raw, t, b : ndarray of shape (W,)
        Filled: residual sum of squares (0 where nothing varies), the data's own, Student's t, weights[0] . data.
    """
    residual, row = np.empty(data.shape[1]), np.empty(data.shape[1])
    for v in range(data.shape[0]):
        total = 0.0
        for i in range(row.size):
            row[i] = data[v, i]
            total += row[i] * row[i]
        without_projection(row, projector, residual)
        left = 0.0
        for i in range(row.size):
            left += residual[i] * residual[i]
        raw[v] = total
        square[v] = left if left > least * least * total else 0.0
        t[v], b[v] = _statistic(data[v], weights, square[v], df)


@njit(cache=True, nogil=True, fastmath=True)
def _take_most(product, row_scale, scale, delta, rest):
    for j in range(rest.size):
        most = abs(np.float32(product[j]) * (row_scale * scale[j])) + delta[j]
        rest[j] -= most * most


@njit(cache=True, nogil=True, fastmath=True)
def _may(b, c, scales, scale, delta, rest, limits):
    """Whether a voxel may surpass what matters."""
    with_c, b_scale, c_scale = scales
    positive, negative = limits
    value = np.float32(b) * (b_scale * scale)
    # Where the sign is not certain, the lower of the two limits.
    limit = positive if value > np.float32(0) else negative
    limit = limit if abs(value) > delta else min(positive, negative)
    most = abs(value) + delta
    other = (abs(np.float32(c) * (c_scale * scale)) + delta) * with_c
    return most * most >= limit * (rest - other * other)


@njit(cache=True, nogil=True, fastmath=True)
def _matters(b, c, scales, scale, delta, rest, limits):
    """Whether any voxel of a stretch may; a set of bits is reduced faster than a maximum."""
    hit = np.int32(0)
    for j in range(b.size):
        hit |= np.int32(_may(b[j], c[j], scales, scale[j], delta[j], rest[j], limits))
    return hit != 0


@njit(cache=True, nogil=True)
def screen(
    products: Products,
    ceiling: float | np.floating,
    tile: Tile,
    relabelled: Relabelled,
    kept: Found,
    best: np.ndarray,
    work: np.ndarray,
) -> None:
    """Decide, for each permutation, the voxels of a tile that may be its maximum or in a cluster.

    Parameters
    ----------
    products : Products
    ceiling : float32
        b^2 / (square - a) at the cluster-forming threshold.
    tile : Tile
    relabelled : Relabelled
    kept : Found
        Updated.
    best : ndarray of shape (permutations, 2), float32
        Lower bounds of the largest b^2 / (square - a) among positive and negative b; updated.
    work : ndarray of shape (W,) or more, float32
        Work space.
    """
    weights, df, threshold = relabelled.weights, relabelled.df, relabelled.threshold
    scale, delta, row_scale, product = products.scale, products.delta, products.row_scale, products.products
    width = product.shape[1]
    permutations, terms = weights.shape[0], weights.shape[1]
    capacity = kept.voxels.shape[1]
    block = 64
    with_c = np.float32(terms > 1)
    rest = products.square if terms < 3 else work[:width]
    for p in range(permutations):
        # The last term is taken in the same go as b, the others before.
        q = p + permutations * (terms - 1)
        b, c = product[p], product[q]
        if terms > 2:
            rest[:] = products.square
            for k in range(p + permutations, q, permutations):
                _take_most(product[k], row_scale[k], scale, delta, rest)
        scales = with_c, row_scale[p], row_scale[q]
        # Most tiles hold nothing that matters; the others are searched in blocks.
        limits = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
        if not _matters(b, c, scales, scale, delta, rest, limits):
            continue
        for start in range(0, width, block):
            part = slice(start, min(start + block, width))
            limits = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
            if not _matters(b[part], c[part], scales, scale[part], delta[part], rest[part], limits):
                continue
            for j in range(part.start, part.stop):
                limits = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
                if not _may(b[j], c[j], scales, scale[j], delta[j], rest[j], limits):
                    continue
                t, _ = _statistic(tile.data[j], weights[p], tile.square[j], df)
                if t > kept.extremes[p, 0]:
                    kept.extremes[p, 0] = t
                    best[p, 0] = np.float32(t * t / (df + t * t) * (1 - 1e-6))
                elif t < kept.extremes[p, 1]:
                    kept.extremes[p, 1] = t
                    best[p, 1] = np.float32(t * t / (df + t * t) * (1 - 1e-6))
                if abs(t) > threshold:
                    if kept.counts[p] < capacity:
                        kept.voxels[p, kept.counts[p]] = tile.first + j
                        kept.t[p, kept.counts[p]] = t
                    kept.counts[p] += 1
