"""The compiled loops of the permutation test.

They stand in one module because numba's file cache does not notice when a function of *another* module changes.

A permutation's maximum and clusters are decided in double precision with sums in one fixed order, so they do not
depend on the batch, the tile or the number of threads. Single-precision matrix products only *screen*: a voxel is
dropped when its statistic is below what matters by more than the products can err.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Smallest residual share of variance: keeps t finite where a model fits a voxel perfectly.
_LEAST = 1e-14

# Voxels that one pass of `whole_maps` keeps in the cache.
STRIP = 64

# Numbers of a vector, and the rows of weights and vectors whose sums one pass keeps in registers.
_LANES, _ROWS, _VECTORS = 8, 4, 4


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
def statistics(residuals, x, basis, df, t, b):
    """Fill ``t`` and ``b`` (V,) from ``residuals`` (V, n), each voxel of length 1 or 0."""
    # The same sums in the same order as a permutation's: the identity gives these very bits.
    weights = np.empty((1 + basis.shape[1], x.size))
    weights[0] = x
    weights[1:] = basis.T
    for v in range(residuals.shape[0]):
        t[v], b[v] = _statistic(residuals[v], weights, 1.0, df)


@njit(cache=True, nogil=True)
def without_projection(vector, projector, out):
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
def measure(data, projector, weights, df, least, square, raw, t, b):
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
def _may(b, c, with_c, b_scale, c_scale, scale, delta, rest, positive, negative):
    """Whether a voxel may surpass what matters."""
    value = np.float32(b) * (b_scale * scale)
    # Where the sign is not certain, the lower of the two limits.
    limit = positive if value > np.float32(0) else negative
    limit = limit if abs(value) > delta else min(positive, negative)
    most = abs(value) + delta
    other = (abs(np.float32(c) * (c_scale * scale)) + delta) * with_c
    return most * most >= limit * (rest - other * other)


@njit(cache=True, nogil=True, fastmath=True)
def _matters(b, c, with_c, b_scale, c_scale, scale, delta, rest, positive, negative):
    """Whether any of a stretch of voxels may; a set of bits is reduced faster than a maximum."""
    hit = np.int32(0)
    for j in range(b.size):
        hit |= np.int32(_may(b[j], c[j], with_c, b_scale, c_scale, scale[j], delta[j], rest[j], positive, negative))
    return hit != 0


@njit(cache=True, nogil=True)
def screen(
    products,
    row_scale,
    scale,
    delta,
    square32,
    ceiling,
    best,
    data,
    weights,
    square,
    df,
    threshold,
    first,
    extremes,
    counts,
    voxels,
    values,
    work,
):
    """Decide, for each permutation, the voxels of a tile that may be its maximum or in a cluster.

    Parameters
    ----------
    products : ndarray of shape (permutations * terms, W), float32 or int32
        b of each permutation, then each basis vector's product, for W voxels.
    row_scale, scale : ndarray of shape (permutations * terms,) and (W,), float32
        What the products are to be multiplied with.
    delta : ndarray of shape (W,), float32
        How far a product, so multiplied, may be off.
    square32 : ndarray of shape (W,), float32
        Residual sum of squares, less what rounding may do to the screen itself; very large where nothing varies.
    ceiling : float32
        b^2 / (square - a) at the cluster-forming threshold.
    best : ndarray of shape (permutations, 2), float32
        Lower bounds of the largest b^2 / (square - a) among positive and negative b; updated.
    data : ndarray of shape (W, n)
    weights : ndarray of shape (permutations, terms, n), float64
    square : ndarray of shape (W,), float64
    df, threshold : float
        Degrees of freedom; cluster-forming t, infinite for none.
    first : int
        Index of the tile's first voxel.
    extremes : ndarray of shape (permutations, 2), float64
        Largest and smallest t; updated.
    counts : ndarray of shape (permutations,), int64
        Voxels beyond the threshold; updated. More than ``voxels`` holds means that some were not stored.
    voxels, values : ndarray of shape (permutations, capacity), int32 and float64
        Those voxels, ascending, and their t; updated.
    work : ndarray of shape (W,) or more, float32
        Work space.
    """
    width = products.shape[1]
    permutations, terms = weights.shape[0], weights.shape[1]
    capacity = voxels.shape[1]
    block = 64
    with_c = np.float32(terms > 1)
    rest = square32 if terms < 3 else work[:width]
    for p in range(permutations):
        # The last term is taken in the same go as b, the others before.
        q = p + permutations * (terms - 1)
        b, c = products[p], products[q]
        if terms > 2:
            rest[:] = square32
            for k in range(p + permutations, q, permutations):
                _take_most(products[k], row_scale[k], scale, delta, rest)
        scales = with_c, row_scale[p], row_scale[q]
        # Most tiles hold nothing that matters; the others are searched in blocks.
        positive, negative = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
        if not _matters(b, c, *scales, scale, delta, rest, positive, negative):
            continue
        for start in range(0, width, block):
            part = slice(start, min(start + block, width))
            positive, negative = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
            if not _matters(b[part], c[part], *scales, scale[part], delta[part], rest[part], positive, negative):
                continue
            for j in range(part.start, part.stop):
                positive, negative = min(ceiling, best[p, 0]), min(ceiling, best[p, 1])
                if not _may(b[j], c[j], *scales, scale[j], delta[j], rest[j], positive, negative):
                    continue
                t, _ = _statistic(data[j], weights[p], square[j], df)
                if t > extremes[p, 0]:
                    extremes[p, 0] = t
                    best[p, 0] = np.float32(t * t / (df + t * t) * (1 - 1e-6))
                elif t < extremes[p, 1]:
                    extremes[p, 1] = t
                    best[p, 1] = np.float32(t * t / (df + t * t) * (1 - 1e-6))
                if abs(t) > threshold:
                    if counts[p] < capacity:
                        voxels[p, counts[p]] = first + j
                        values[p, counts[p]] = t
                    counts[p] += 1


@intrinsic
def _products(typingctx, columns, weights, out, row, column):
    """Products of _ROWS rows of ``weights`` (rows, n) and _LANES * _VECTORS voxels of ``columns`` (n, STRIP)."""

    def codegen(context, builder, signature, arguments):
        index, kind = ir.IntType(64), ir.VectorType(ir.DoubleType(), _LANES)
        data, factors, result = (
            context.make_array(signature.args[k])(context, builder, arguments[k]) for k in range(3)
        )
        n, stretch = (builder.extract_value(data.shape, k) for k in range(2))
        width = builder.extract_value(result.shape, 1)

        def at(array, place, further):
            place = builder.add(place, index(_LANES * further))
            return builder.bitcast(builder.gep(array.data, [place]), kind.as_pointer())

        rows = [builder.add(arguments[3], index(r)) for r in range(_ROWS)]
        zero = ir.Constant(kind, [0.0] * _LANES)
        sums = [[cgutils.alloca_once(builder, kind) for _ in range(_VECTORS)] for _ in range(_ROWS)]
        for r in range(_ROWS):
            for v in range(_VECTORS):
                builder.store(zero, sums[r][v])
        with cgutils.for_range(builder, n) as loop:
            place = builder.add(builder.mul(loop.index, stretch), arguments[4])
            parts = [builder.load(at(data, place, v), align=8) for v in range(_VECTORS)]
            for r in range(_ROWS):
                factor = builder.add(builder.mul(rows[r], n), loop.index)
                factor = builder.load(builder.gep(factors.data, [factor]))
                factor = builder.insert_element(ir.Constant(kind, ir.Undefined), factor, ir.IntType(32)(0))
                lanes = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
                factor = builder.shuffle_vector(factor, factor, lanes)
                for v in range(_VECTORS):
                    # In the order of the participants, one rounding a term where the processor can: as `_product`.
                    term = builder.fmul(factor, parts[v], flags=("contract",))
                    builder.store(builder.fadd(builder.load(sums[r][v]), term, flags=("contract",)), sums[r][v])
        for r in range(_ROWS):
            place = builder.add(builder.mul(rows[r], width), arguments[4])
            for v in range(_VECTORS):
                builder.store(builder.load(sums[r][v]), at(result, place, v), align=8)
        return context.get_dummy_value()

    return types.void(columns, weights, out, types.int64, types.int64), codegen


@njit(cache=True, nogil=True)
def _take_square(rest, total):
    for j in range(rest.size):
        rest[j] -= total[j] * total[j]


# As C divides: a check for 0 at every voxel would keep the loop from being vectorised.
@njit(cache=True, nogil=True, error_model="numpy")
def _finish(b, rest, square, df, t, height):
    for j in range(t.size):
        alive = square[j] > 0.0
        least = _LEAST * square[j] if alive else 1.0
        value = b[j] * np.sqrt(df / max(rest[j] - b[j] * b[j], least))
        value = value if alive else 0.0
        t[j] = value
        height[j] = value


@njit(cache=True, nogil=True)
def _beyond(t, high, low):
    hit = np.int32(0)
    for j in range(t.size):
        hit |= np.int32((t[j] > high) | (t[j] < low))
    return hit != 0


@njit(cache=True, nogil=True)
def whole_maps(data, weights, square, df, threshold, first, extremes, counts, voxels, values, maps):
    """The t of every voxel of a tile and permutation; the bits are those of :func:`screen`.

    Parameters
    ----------
    data : ndarray of shape (W, n)
    weights, square, df, threshold, first, extremes, counts, voxels, values : see :func:`screen`
    maps : ndarray of shape (permutations, V), float32
        Filled from voxel ``first`` on.
    """
    n, capacity = data.shape[1], voxels.shape[1]
    permutations, terms = weights.shape[0], weights.shape[1]
    rows = -(-permutations * terms // _ROWS) * _ROWS
    flat, products = np.zeros((rows, n)), np.empty((rows, STRIP))
    flat[: permutations * terms] = weights.reshape(permutations * terms, n)
    columns, left, values_of_t = np.zeros((n, STRIP)), np.empty(STRIP), np.empty(STRIP)
    for start in range(0, data.shape[0], STRIP):
        stop = min(start + STRIP, data.shape[0])
        width = stop - start
        for j in range(width):
            for i in range(n):
                columns[i, j] = data[start + j, i]
        for column in range(0, width, _LANES * _VECTORS):
            for row in range(0, rows, _ROWS):
                _products(columns, flat, products, row, column)
        rest, t = left[:width], values_of_t[:width]
        for p in range(permutations):
            rest[:] = square[start:stop]
            for q in range(1, terms):
                _take_square(rest, products[p * terms + q, :width])
            _finish(products[p * terms], rest, square[start:stop], df, t, maps[p, first + start : first + stop])
            # Most strips hold nothing that matters.
            if not _beyond(t, min(threshold, extremes[p, 0]), max(-threshold, extremes[p, 1])):
                continue
            for j in range(width):
                extremes[p, 0], extremes[p, 1] = max(extremes[p, 0], t[j]), min(extremes[p, 1], t[j])
                if abs(t[j]) > threshold:
                    if counts[p] < capacity:
                        voxels[p, counts[p]] = first + start + j
                        values[p, counts[p]] = t[j]
                    counts[p] += 1


@njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def components(voxels, t, count, place, offsets, slot, parent, merge=False):
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
    merge : bool
        Join voxels of opposite sign too.
    """
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
def largest_clusters(voxels, t, heights, base, count, merge, place, offsets, slot, parent, size, mass, out):
    """Largest extent and mass of the clusters of either sign.

    Parameters
    ----------
    voxels, t, count, place, offsets, slot, parent, merge : see :func:`components`
    heights : ndarray of float64
        What a voxel adds to its cluster's mass, before ``base`` is taken off, in the order of ``voxels``.
    base : float
    size, mass : ndarray, int32 and float64
        Work space, ``count`` long at least.
    out : ndarray of shape (4,), float64
        Filled: extent of positive and of negative clusters, mass of both. Merged clusters count for both signs.
    """
    components(voxels, t, count, place, offsets, slot, parent, merge)
    for k in range(count):
        size[k], mass[k] = 0, 0.0
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
