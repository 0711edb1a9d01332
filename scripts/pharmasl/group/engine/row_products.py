"""Products of columns that differ from voxel to voxel with outcomes that do too, for many relabellings at once.

A relabelling asks of a voxel for the sum over the participants of v[order[i]] e[i]. The order is the same for all voxels, so that
with a participant's values of neighbouring voxels side by side nothing is gathered: rows are multiplied by rows. Plain LLVM, which
any processor gets in the width that it has.

Where the processor has the instruction VPDPWSSD (AVX-512 VNNI), products that only screen are made of 16-bit integers, two
participants at once. All rows have length 1, so that how far rounding can move a product is known:
|v . e - v' . e'| <= |e - e'| + |v - v'| |e'|.
"""

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pharmasl.group.engine import integer_products

# Relabellings and vectors whose sums one pass over the participants keeps in registers.
ROWS, _VECTORS = 8, 2
# Voxels of a pass in single and in double precision.
STRIP, _STRIP_DOUBLE = 32, 16
# The integer that stands for 1, and the value of 1 in a product of two.
UNIT = 2**14
STEP = np.float32(UNIT**-2.0)


def integers_available() -> bool:
    """Whether this processor multiplies pairs of 16-bit integers, and numba compiles for this very processor."""
    return integer_products.available() and bool(binding.get_host_cpu_features().get("avx512bw"))


def rounding(n: int) -> float:
    """The most that rounding to 16 bits moves a product of two vectors of length 1 and ``n`` numbers."""
    lost = 0.5 * n**0.5 / UNIT
    return 1.001 * (2 * lost + lost**2)


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


_single_products = _elementwise(ir.FloatType(), 16, 4)
_double_products = _elementwise(ir.DoubleType(), 8, 8)


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
                _single_products(columns[strip, k], outcome[strip], orders, out[k], row, place)


@intrinsic
def _integer_products(typingctx, columns, pairs, orders, out, row, place):
    """Products of ROWS permutations of a column (n, STRIP) with the outcome (n / 2, 2, STRIP), 16-bit integers of one strip."""

    def codegen(context, builder, signature, arguments):
        i16, i32, index = ir.IntType(16), ir.IntType(32), ir.IntType(64)
        words, sums_of = ir.VectorType(i16, STRIP), ir.VectorType(i32, STRIP // 2)
        dot = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(sums_of, [sums_of] * 3), "llvm.x86.avx512.vpdpwssd.512"
        )
        column, data, order, result = (
            context.make_array(signature.args[k])(context, builder, arguments[k]) for k in range(4)
        )
        steps, n = builder.extract_value(data.shape, 0), builder.extract_value(order.shape, 1)
        width = builder.extract_value(result.shape, 1)
        # Within each 128 bits the lower four voxels' pairs, and the upper four's.
        masks = [
            [8 * lane + 4 * half + j + STRIP * parity for lane in range(4) for j in range(4) for parity in range(2)]
            for half in range(2)
        ]

        def constant(values):
            return ir.Constant(ir.VectorType(i32, len(values)), values)

        def load(array, start):
            return builder.load(builder.bitcast(builder.gep(array.data, [start]), words.as_pointer()), align=2)

        rows = [builder.add(arguments[4], index(r)) for r in range(ROWS)]
        sums = [[cgutils.alloca_once(builder, sums_of) for _ in range(2)] for _ in range(ROWS)]
        for r in range(ROWS):
            for half in range(2):
                builder.store(ir.Constant(sums_of, [0] * (STRIP // 2)), sums[r][half])
        with cgutils.for_range(builder, steps) as loop:
            begin = builder.mul(loop.index, index(2 * STRIP))
            parts = [load(data, builder.add(begin, index(STRIP * half))) for half in range(2)]
            parts = [builder.bitcast(part, sums_of) for part in parts]
            for r in range(ROWS):
                at = builder.add(builder.mul(rows[r], n), builder.mul(loop.index, index(2)))
                own = []
                for parity in range(2):
                    which = builder.load(builder.gep(order.data, [builder.add(at, index(parity))]))
                    own.append(load(column, builder.mul(builder.sext(which, index), index(STRIP))))
                for half in range(2):
                    both = builder.shuffle_vector(own[0], own[1], constant(masks[half]))
                    total = builder.call(
                        dot, [builder.load(sums[r][half]), parts[half], builder.bitcast(both, sums_of)]
                    )
                    builder.store(total, sums[r][half])
        for r in range(ROWS):
            low, high = (builder.load(sums[r][half]) for half in range(2))
            for k in range(2):
                # Back in the order of the voxels: four of the one, four of the other.
                mask = [16 * half + 8 * k + 4 * lane + j for lane in range(2) for half in range(2) for j in range(4)]
                start = builder.add(builder.mul(rows[r], width), builder.add(arguments[5], index(16 * k)))
                pointer = builder.bitcast(builder.gep(result.data, [start]), sums_of.as_pointer())
                builder.store(builder.shuffle_vector(low, high, constant(mask)), pointer, align=4)
        return context.get_dummy_value()

    return types.void(columns, pairs, orders, out, types.int64, types.int64), codegen


@njit(cache=True, nogil=True)
def multiply_integers(columns: np.ndarray, pairs: np.ndarray, orders: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out`` (k, B', S * STRIP), int32, as :func:`multiply` does, in units of :data:`STEP`.

    Parameters
    ----------
    columns : ndarray of shape (S, k, n or 2 n, STRIP), int16
    pairs : ndarray of shape (S, half of n, 2, STRIP), int16
        Of :func:`pack`.
    orders : ndarray of shape (B', n or n + 1), int32
        An even number of participants: of one too many the outcome is 0.
    out : ndarray of shape (k, B', W)
    """
    for strip in range(pairs.shape[0]):
        for k in range(columns.shape[1]):
            for row in range(0, orders.shape[0], ROWS):
                place = strip * STRIP
                _integer_products(columns[strip, k], pairs[strip], orders, out[k], row, place)  # type: ignore[call-arg]


@njit(cache=True, nogil=True)
def pack(rows: np.ndarray, pairs: np.ndarray, columns: np.ndarray) -> None:
    """Fill ``pairs`` and ``columns`` of :func:`multiply_integers` from ``rows`` (W, 1 + k, n) of length 1."""
    n = rows.shape[2]
    for v in range(rows.shape[0]):
        strip, place = v // STRIP, v % STRIP
        lane, j = place // 8, place % 8
        for i in range(n):
            pairs[strip, i // 2, j // 4, 8 * lane + 2 * (j % 4) + i % 2] = np.int16(np.rint(rows[v, 0, i] * UNIT))
        for c in range(columns.shape[1]):
            for i in range(n):
                value = np.int16(np.rint(rows[v, 1 + c, i] * UNIT))
                columns[strip, c, i, place] = value
                if columns.shape[2] > n:
                    columns[strip, c, n + i, place] = -value


@njit(cache=True, nogil=True)
def side_by_side(rows: np.ndarray, outcome: np.ndarray, columns: np.ndarray) -> None:
    """Fill ``outcome`` (S, n, STRIP) and ``columns`` (S, k + r, n or 2 n, STRIP), float32, from ``rows`` (W, 1 + k + r, n)."""
    n = outcome.shape[1]
    for v in range(rows.shape[0]):
        strip, place = v // STRIP, v % STRIP
        for i in range(n):
            outcome[strip, i, place] = np.float32(rows[v, 0, i])
        for c in range(columns.shape[1]):
            for i in range(n):
                columns[strip, c, i, place] = np.float32(rows[v, 1 + c, i])
                if columns.shape[2] > n:
                    columns[strip, c, n + i, place] = -columns[strip, c, i, place]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _common_products(outcome, weights, out):
    """Fill ``out`` (rows, W) in the order of the participants: as the statistic of a voxel does."""
    out[:] = 0.0
    for r in range(weights.shape[0]):
        row = out[r]
        for i in range(outcome.shape[0]):
            factor, values = weights[r, i], outcome[i]
            for j in range(row.size):
                row[j] += factor * values[j]


@njit(cache=True, nogil=True)
def _fill_columns(rows, flipped, outcome, columns):
    """Voxels side by side: outcome (n, _STRIP_DOUBLE) and columns (k + r, n or 2 n, _STRIP_DOUBLE)."""
    n = outcome.shape[0]
    for v in range(rows.shape[0]):
        for i in range(n):
            outcome[i, v] = rows[v, 0, i]
            for c in range(columns.shape[0]):
                columns[c, i, v] = rows[v, 1 + c, i]
                if flipped:
                    columns[c, n + i, v] = -rows[v, 1 + c, i]


@njit(cache=True, nogil=True)
def multiply_whole(
    rows: np.ndarray, flipped: bool, weights: np.ndarray, orders: np.ndarray, common: np.ndarray, own: np.ndarray
) -> None:
    """All products of a tile of voxels in double precision, in the order of the participants.

    Parameters
    ----------
    rows : ndarray of shape (W, 1 + k, n)
        The outcome, and the columns.
    flipped : bool
        Whether orders flip signs.
    weights : ndarray of shape (R, n)
        Common weights.
    orders : ndarray of shape (B', n), int32
    common : ndarray of shape (R, W'), float64
        Filled. W' is W filled up to a multiple of 16.
    own : ndarray of shape (k, B', W'), float64
        Filled.
    """
    columns, n = own.shape[0], rows.shape[2]
    outcome, column = np.zeros((n, _STRIP_DOUBLE)), np.zeros((columns, n * (1 + flipped), _STRIP_DOUBLE))
    for start in range(0, rows.shape[0], _STRIP_DOUBLE):
        stop = min(start + _STRIP_DOUBLE, rows.shape[0])
        _fill_columns(rows[start:stop], flipped, outcome, column)
        _common_products(outcome, weights, common[:, start : start + _STRIP_DOUBLE])
        for c in range(columns):
            for row in range(0, orders.shape[0], ROWS):
                _double_products(column[c], outcome, orders, own[c], row, start)
