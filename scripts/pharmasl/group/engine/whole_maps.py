"""The compiled loop that computes the whole t maps of a batch of permutations.

Products are made with vectors whose sums stay in registers: plain LLVM, which any processor gets in the width that it has.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pharmasl.group.engine.kernels import Found, Relabelled, Tile

# Smallest residual share of variance: keeps t finite where a model fits a voxel perfectly.
_LEAST = 1e-14

# Voxels that one pass of `whole_maps` keeps in the cache.
STRIP = 64

# Numbers of a vector, and the rows of weights and vectors whose sums one pass keeps in registers.
_LANES, _ROWS, _VECTORS = 8, 4, 4


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
def whole_maps(tile: Tile, relabelled: Relabelled, kept: Found, maps: np.ndarray) -> None:
    """The t of every voxel of a tile and permutation; the bits are those of :func:`pharmasl.group.engine.kernels.screen`.

    Parameters
    ----------
    tile : kernels.Tile
    relabelled : kernels.Relabelled
    kept : kernels.Found
        Updated.
    maps : ndarray of shape (permutations, V), float32
        Filled from the tile's first voxel on.
    """
    data, square, first = tile.data, tile.square, tile.first
    weights, df, threshold = relabelled.weights, relabelled.df, relabelled.threshold
    extremes, counts, voxels, values = kept.extremes, kept.counts, kept.voxels, kept.t
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
                _products(columns, flat, products, row, column)  # type: ignore[call-arg]
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
