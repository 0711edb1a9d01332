"""Products of weights and data in 8-bit integers, four times as many at once as in single precision.

They only screen (see :mod:`pharmasl.group.engine.kernels`): how far rounding to 8 bits can move a product is known for every
voxel, because |w . y - w' . y'| <= |w| |y - y'| + |w - w'| |y'|, so nothing that matters is dropped and the answer keeps its
bits. This needs the instruction VPDPBUSD of processors with AVX-512 VNNI; without it the products are made in single
precision.
"""

from collections.abc import Iterable

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Rows of weights, and vectors of 16 voxels, that one pass keeps in registers.
ROWS, VECTORS = 4, 4
GROUP = 16 * VECTORS


def available() -> bool:
    """Whether this processor has the instruction and numba compiles for this very processor."""
    if any(vars(config)[name] for name in ("DISABLE_JIT", "CPU_NAME", "CPU_FEATURES")):
        return False
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512vnni") and features.get("avx512f"))


@intrinsic
def _block(typingctx, data, weights, start, products, row, column):
    """Products of ROWS rows of weights and GROUP voxels; ``data`` is (steps, ...) of one group, see :class:`Packed`."""

    def codegen(context, builder, signature, arguments):
        i32, i64 = ir.IntType(32), ir.IntType(64)
        vector = ir.VectorType(i32, 16)
        dot = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.x86.avx512.vpdpbusd.512"
        )
        y, w, first, out = (
            context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args[:4], arguments[:4])
        )
        steps = builder.extract_value(y.shape, 0)
        width = builder.extract_value(w.shape, 1)
        stretch = builder.extract_value(out.shape, 1)

        def at(array, index, kind):
            base = builder.bitcast(array.data, kind.as_pointer())
            return builder.gep(base, [index])

        def spread(value):
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(i32, 0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, 16), [0] * 16))

        rows = [builder.add(arguments[4], ir.Constant(i64, r)) for r in range(ROWS)]
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(VECTORS)] for _ in range(ROWS)]
        for r in range(ROWS):
            value = spread(builder.load(at(first, rows[r], i32)))
            for v in range(VECTORS):
                builder.store(value, sums[r][v])
        with cgutils.for_range(builder, steps) as loop:
            place = builder.mul(loop.index, ir.Constant(i64, 16 * VECTORS))
            parts = []
            for v in range(VECTORS):
                pointer = builder.bitcast(at(y, builder.add(place, ir.Constant(i64, 16 * v)), i32), vector.as_pointer())
                parts.append(builder.load(pointer, align=1))
            for r in range(ROWS):
                index = builder.add(builder.mul(rows[r], width), loop.index)
                value = spread(builder.load(at(w, index, i32)))
                for v in range(VECTORS):
                    builder.store(builder.call(dot, [builder.load(sums[r][v]), parts[v], value]), sums[r][v])
        for r in range(ROWS):
            for v in range(VECTORS):
                index = builder.add(builder.mul(rows[r], stretch), arguments[5])
                index = builder.add(index, ir.Constant(i64, 16 * v))
                pointer = builder.bitcast(at(out, index, i32), vector.as_pointer())
                builder.store(builder.load(sums[r][v]), pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, weights, start, products, types.int64, types.int64), codegen


@njit(cache=True, nogil=True)
def multiply(data: np.ndarray, weights: np.ndarray, start: np.ndarray, products: np.ndarray) -> None:
    """Fill ``products`` (rows, W), int32, with the products of packed weights and voxels.

    Parameters
    ----------
    data : ndarray of shape (W / GROUP, steps, GROUP), int32
        Of :class:`Packed`: four participants per number.
    weights : ndarray of shape (rows, steps), int32
        Of :class:`PackedWeights`; rows are a multiple of ROWS.
    start : ndarray of shape (rows,), int32
    products : ndarray of shape (rows, W), int32
    """
    for group in range(data.shape[0]):
        for row in range(0, weights.shape[0], ROWS):
            _block(data[group], weights, start, products, row, group * GROUP)  # type: ignore[call-arg]


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(data, centre, packed, scale, error, norm):
    n = data.shape[1]
    row, rounded = np.empty(n, np.float32), np.empty(n, np.float32)
    for v in range(data.shape[0]):
        mean = 0.0
        if centre:
            for i in range(n):
                mean += data[v, i]
            mean /= n
        most = np.float32(0)
        for i in range(n):
            row[i] = np.float32(data[v, i] - mean)
            most = max(most, abs(row[i]))
        step = most / np.float32(127)
        inverse = np.float32(1) / step if step > np.float32(1e-30) else np.float32(0)
        lost, left = np.float32(0), np.float32(0)
        for i in range(n):
            rounded[i] = np.rint(row[i] * inverse)
            value = rounded[i] * step
            lost += (row[i] - value) * (row[i] - value)
            left += value * value
        part, column = packed[v // GROUP], v % GROUP
        for i in range(n):
            part[i // 4, column, i % 4] = np.uint8(np.int32(rounded[i]) + 128)
        scale[v] = step
        error[v], norm[v] = np.sqrt(lost), np.sqrt(left)


class Packed:
    """All voxels in 8 bits.

    Parameters
    ----------
    tiles : iterable of ndarray of shape (W, n)
        The data, in order; W a multiple of GROUP but for the last.
    voxels, n : int
    centre : bool
        Take each voxel's mean out first: for weights that sum to 0, to which it makes no difference.

    Attributes
    ----------
    scale, error, norm : ndarray of shape (V,), float32
        The value of 1; the length of what rounding took from a voxel's data; the length of what is left.
    """

    def __init__(self, tiles: Iterable[np.ndarray], voxels: int, n: int, centre: bool) -> None:
        groups = -(-voxels // GROUP)
        # 128 is 0; participants beyond n and voxels beyond V are 0.
        data = np.full((groups, -(-n // 4), GROUP, 4), 128, dtype=np.uint8)
        self.scale, self.error, self.norm = (np.empty(voxels, np.float32) for _ in range(3))
        first = 0
        for tile in tiles:
            part = slice(first, first + len(tile))
            _pack(tile, centre, data[first // GROUP :], self.scale[part], self.error[part], self.norm[part])
            first += len(tile)
        self.groups = data.view(np.int32)[..., 0]

    def multiply(self, weights: "PackedWeights", first: int, width: int, products: np.ndarray) -> None:
        """Fill ``products[:, :width]`` with the products of :class:`PackedWeights` and voxels from ``first`` on."""
        some = self.groups[first // GROUP : -(-(first + width) // GROUP)]
        multiply(some, weights.packed, weights.start, products)


class PackedWeights:
    """Rows of weights in 8 bits.

    Parameters
    ----------
    weights : ndarray of shape (rows, n), float64

    Attributes
    ----------
    scale : ndarray of shape (rows,), float32
    norm, error : float
        The longest row, and the most that rounding took from one.
    """

    def __init__(self, weights: np.ndarray) -> None:
        rows, n = weights.shape
        step = np.maximum(np.abs(weights).max(axis=1), 1e-30) / 127
        rounded = np.rint(weights / step[:, None])
        self.scale = step.astype(np.float32)
        self.norm = float(np.sqrt((weights**2).sum(axis=1).max()))
        self.error = float(np.sqrt(((weights - rounded * self.scale[:, None]) ** 2).sum(axis=1).max()))
        packed = np.zeros((-(-rows // ROWS) * ROWS, -(-n // 4) * 4), dtype=np.int8)
        packed[:rows, :n] = rounded
        self.packed = packed.view(np.int32)
        # The data's 0 is 128.
        self.start = -128 * packed.sum(axis=1, dtype=np.int32)
