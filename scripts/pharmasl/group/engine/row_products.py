"""Products of columns that differ from voxel to voxel with outcomes that do too, for many relabellings at once.

A relabelling asks of a voxel for the sum over the participants of v[order[i]] e[i]. The order is the same for all voxels, so that
with a participant's values of neighbouring voxels side by side nothing is gathered: rows are multiplied by rows. Plain LLVM, which
any processor gets in the width that it has.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Relabellings and vectors whose sums one pass over the participants keeps in registers.
ROWS, _VECTORS = 4, 4
# Voxels of a pass in single precision.
STRIP = 64


def _elementwise(kind, lanes, alignment):
    """An intrinsic: products of ROWS permutations of a column (n, STRIP) with the outcome, for ``lanes * _VECTORS`` voxels.

    They are the first of the strip; the result's place is that of the first of them.
    """

    @intrinsic
    def multiply(typingctx, columns, outcome, orders, out, row, place):
        def codegen(context, builder, signature, arguments):
            index, vector = ir.IntType(64), ir.VectorType(kind, lanes)
            column, data, order, result = (
                context.make_array(signature.args[k])(context, builder, arguments[k]) for k in range(4)
            )
            n, stretch = (builder.extract_value(data.shape, k) for k in range(2))
            width = builder.extract_value(result.shape, 1)

            def at(array, start, further):
                start = builder.add(start, index(lanes * further))
                return builder.bitcast(builder.gep(array.data, [start]), vector.as_pointer())

            rows = [builder.add(arguments[4], index(r)) for r in range(ROWS)]
            zero = ir.Constant(vector, [0.0] * lanes)
            sums = [[cgutils.alloca_once(builder, vector) for _ in range(_VECTORS)] for _ in range(ROWS)]
            for r in range(ROWS):
                for v in range(_VECTORS):
                    builder.store(zero, sums[r][v])
            with cgutils.for_range(builder, n) as loop:
                start = builder.mul(loop.index, stretch)
                parts = [builder.load(at(data, start, v), align=alignment) for v in range(_VECTORS)]
                for r in range(ROWS):
                    which = builder.add(builder.mul(rows[r], n), loop.index)
                    which = builder.sext(builder.load(builder.gep(order.data, [which])), index)
                    begin = builder.mul(which, stretch)
                    for v in range(_VECTORS):
                        # In the order of the participants, one rounding a term where the processor can: as `the statistic of a voxel does`.
                        own = builder.load(at(column, begin, v), align=alignment)
                        term = builder.fmul(own, parts[v], flags=("contract",))
                        builder.store(builder.fadd(builder.load(sums[r][v]), term, flags=("contract",)), sums[r][v])
            for r in range(ROWS):
                start = builder.add(builder.mul(rows[r], width), arguments[5])
                for v in range(_VECTORS):
                    builder.store(builder.load(sums[r][v]), at(result, start, v), align=alignment)
            return context.get_dummy_value()

        return types.void(columns, outcome, orders, out, types.int64, types.int64), codegen

    return multiply


single_products = _elementwise(ir.FloatType(), 16, 4)
double_products = _elementwise(ir.DoubleType(), 8, 8)


@njit(cache=True, nogil=True)
def multiply(columns: np.ndarray, outcome: np.ndarray, orders: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out`` (k, B', S * STRIP), float32, with the products of relabelled columns and the outcome.

    Parameters
    ----------
    columns : ndarray of shape (S, k, n or 2 n, STRIP), float32
        A strip of voxels lies together, so that it stays in the cache next to the core.
    outcome : ndarray of shape (S, n, STRIP), float32
    orders : ndarray of shape (B', n), int32
        B' a multiple of :data:`ROWS`.
    out : ndarray of shape (k, B', W)
    """
    for strip in range(outcome.shape[0]):
        for k in range(columns.shape[1]):
            for row in range(0, orders.shape[0], ROWS):
                place = strip * STRIP
                single_products(columns[strip, k], outcome[strip], orders, out[k], row, place)
