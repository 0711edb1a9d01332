"""Threshold-free cluster enhancement (Smith and Nichols 2009, NeuroImage 44:83), exact: an integral, not a sum of steps.

With e(h) the size of the cluster of voxels at least h high that holds a voxel of height t,

    TFCE = integral from 0 to t of e(h)^E h^H dh.

e changes only where h passes a voxel's height, so the integral is a finite sum of e^E (h1^(H+1) - h0^(H+1)) / (H+1)
without any step size. Positive and negative voxels are enhanced apart; negative ones get negative values.

The whole map (:meth:`Enhancer.enhance`) comes from one sweep from the highest voxel down that keeps the tree of
clusters. A relabelling owes its maximum alone (:meth:`Enhancer.maximum`), and that needs no tree: voxels belong to the
basin of the peak that steepest ascent leads to; within a basin nothing merges, so a cluster is its voxels met so far,
and two basins merge at the highest pair of neighbours between them. Below a merge both halves gain alike, so only the
larger integral can lead to the maximum and the other is forgotten.
"""

import math
from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from scipy import special

from pharmasl.group.engine import clusters, glm

# Heights are single precision: two relabellings that only swap equal participants may differ in a voxel's last bit.
TIE = 1e-7

# Cells of the padded volume looked at in one go.
_LANES = 16

# Keys: the 31 bits of a height, complemented, above 32 bits of payload. Unsigned, as an index of signed numbers is
# checked for wrapping around.
_TOP, _UPPER, _LOWER = np.uint64(0x7FFFFFFF), np.uint64(32), np.uint64(0xFFFFFFFF)

# Nodes of the table of z in an octave of t, and the octaves.
_NODES, _LOWEST, _HIGHEST = 64, -7, 40


@dataclass(frozen=True)
class Enhancement:
    """What is integrated.

    Attributes
    ----------
    extent_power, height_power : float
        E and H; above 0.
    neighbours : int
        6 (as FSL, PALM and nilearn), 18 or 26.
    scale : str
        ``t``, or ``z``: the standard normal quantile with the tail probability of t, as PALM does.

    Raises
    ------
    ValueError
        For other values.
    """

    extent_power: float = 0.5
    height_power: float = 2.0
    neighbours: int = 6
    scale: str = "t"

    def __post_init__(self):
        if not (0 < self.extent_power < np.inf and 0 < self.height_power < np.inf):
            raise ValueError("extent_power and height_power must be above 0 and finite")
        if self.neighbours not in (6, 18, 26) or self.scale not in ("t", "z"):
            raise ValueError("neighbours must be 6, 18 or 26, and scale t or z")


class _Vectors:
    """The vectors of an intrinsic: plain LLVM, which any processor gets in the width that it has."""

    floats, integers = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.IntType(32), _LANES)

    def __init__(self, builder):
        self.builder = builder

    def _pointer(self, array, index, kind):
        return self.builder.bitcast(self.builder.gep(array.data, [index]), kind.as_pointer())

    def load(self, array, index, kind):
        return self.builder.load(self._pointer(array, index, kind), align=4)

    def store(self, value, array, index):
        self.builder.store(value, self._pointer(array, index, value.type), align=4)

    def constant(self, value):
        return ir.Constant(self.integers, [value] * _LANES)

    def spread(self, value):
        one = self.builder.insert_element(ir.Constant(self.integers, ir.Undefined), value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, one, self.constant(0))

    def height(self, bits):
        """Bits of the absolute value; as integers they are in the order of the values."""
        return self.builder.and_(bits, self.constant(0x7FFFFFFF))

    def lower(self, one, two):
        return self.builder.select(self.builder.icmp_signed("<", one, two), one, two)


@intrinsic
def _climb(typingctx, f, start, forward, up):
    """Distance of each voxel's highest neighbour of its sign, 0 at a peak; of equals the last in scan order."""

    def codegen(context, builder, signature, arguments):
        vectors = _Vectors(builder)
        heights, offsets, out = (
            context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 3)
        )
        here = vectors.load(heights, arguments[1], vectors.integers)
        sign = builder.and_(here, vectors.constant(0x80000000))
        top, to = cgutils.alloca_once(builder, vectors.floats), cgutils.alloca_once(builder, vectors.integers)
        builder.store(builder.bitcast(vectors.height(here), vectors.floats), top)
        builder.store(vectors.constant(0), to)
        # A plateau is left forwards only, so no path runs in a circle.
        for compare, turn in ((">", builder.neg), (">=", lambda offset: offset)):
            with cgutils.for_range(builder, builder.extract_value(offsets.shape, 0)) as loop:
                offset = turn(builder.load(builder.gep(offsets.data, [loop.index])))
                there = vectors.load(heights, builder.add(arguments[1], offset), vectors.integers)
                value, best = builder.bitcast(builder.xor(there, sign), vectors.floats), builder.load(top)
                higher = builder.fcmp_ordered(compare, value, best)
                builder.store(builder.select(higher, value, best), top)
                way = vectors.spread(builder.trunc(offset, ir.IntType(32)))
                builder.store(builder.select(higher, way, builder.load(to)), to)
        alive = builder.icmp_signed("!=", vectors.height(here), vectors.constant(0))
        vectors.store(builder.select(alive, builder.load(to), vectors.constant(0)), out, arguments[1])
        return context.get_dummy_value()

    return types.void(f, start, forward, up), codegen


@intrinsic
def _walls(typingctx, f, basin, start, offset, steps, beside):
    """Bits of the voxels whose link to the neighbour at ``offset`` no adjacent link of the same basins surpasses."""

    def codegen(context, builder, signature, arguments):
        vectors = _Vectors(builder)
        heights, basins, steps, beside = (
            context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 1, 4, 5)
        )
        start, offset = arguments[2], arguments[3]

        def at(place):
            return vectors.load(heights, place, vectors.integers), vectors.load(basins, place, vectors.integers)

        end = builder.add(start, offset)
        (one, b_one), (two, b_two) = at(start), at(end)
        h_one, h_two = vectors.height(one), vectors.height(two)
        height = vectors.lower(h_one, h_two)
        keep = builder.icmp_signed("!=", b_one, b_two)
        for condition in (
            builder.icmp_signed(">=", builder.xor(one, two), vectors.constant(0)),
            builder.icmp_signed(">", height, vectors.constant(0)),
        ):
            keep = builder.and_(keep, condition)
        kept = cgutils.alloca_once_value(builder, keep)

        def drop(*conditions):
            every = conditions[0]
            for condition in conditions[1:]:
                every = builder.and_(every, condition)
            builder.store(builder.and_(builder.load(kept), builder.not_(every)), kept)

        for k in range(4):
            step = builder.load(builder.gep(steps.data, [ir.IntType(64)(k)]))
            (x, b_x), (y, b_y) = at(builder.add(start, step)), at(builder.add(end, step))
            other = vectors.lower(vectors.height(x), vectors.height(y))
            drop(
                builder.icmp_signed(">", other, height),
                builder.icmp_signed("==", b_x, b_one),
                builder.icmp_signed("==", b_y, b_two),
            )
        for k in range(5):
            step = builder.load(builder.gep(beside.data, [ir.IntType(64)(2 * k)]))
            # Of equals the first direction stays.
            first = builder.load(builder.gep(beside.data, [ir.IntType(64)(2 * k + 1)]))
            first = vectors.spread(builder.trunc(first, ir.IntType(32)))
            for place, own, theirs in (
                (builder.add(start, step), h_one, b_two),
                (builder.sub(end, step), h_two, b_one),
            ):
                x, b_x = at(place)
                other = builder.add(vectors.lower(vectors.height(x), own), first)
                drop(builder.icmp_signed(">", other, height), builder.icmp_signed("==", b_x, theirs))
        return builder.zext(builder.bitcast(builder.load(kept), ir.IntType(_LANES)), ir.IntType(64))

    return types.uint64(f, basin, start, offset, steps, beside), codegen


@intrinsic
def _lowest_bit(typingctx, bits):
    """Which bit of a number other than 0 is its lowest."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), codegen


@njit(cache=True, nogil=True)
def _blocks(place):
    """Starts of stretches of _LANES cells that hold all of ``place``, each voxel in one."""
    starts = np.empty(place.size, np.int64)
    count, end = 0, np.int64(-1)
    for v in place:
        if v >= end:
            starts[count] = v
            count += 1
            end = v + _LANES
    return starts[:count].copy()


@njit(cache=True, nogil=True)
def _key(bits, payload):
    """A number that ascends as the height of these bits falls."""
    return ((_TOP ^ (np.uint64(bits) & _TOP)) << _UPPER) | np.uint64(payload)


@njit(cache=True, nogil=True)
def _height(key):
    return np.float64(np.uint32((key >> _UPPER) ^ _TOP).view(np.float32))


@njit(cache=True, nogil=True)
def _basins(f, place, up, to, basin, positive, key):
    """Number the basins in scan order, -1 where f is 0, and list the keys of all other voxels, each with its basin.

    Returns how many basins and keys there are; ``to`` is work space.
    """
    bits = f.view(np.uint32)
    number, n = np.uint64(0), np.uint64(0)
    # Four steps up, then four times as many: most have arrived, and no voxel waits for the one before.
    for v in place:
        x = np.uint64(v)
        for _ in range(4):
            x = np.uint64(np.int64(x) + up[x])
        to[v] = x
        basin[v] = -1
        if x == v and f[v] != 0:
            basin[v] = number
            positive[number] = f[v] > 0
            number += np.uint64(1)
    for v in place:
        x = to[to[to[v]]]
        while to[x] != x:
            x = to[x]
        basin[v] = basin[x]
    for v in place:
        own = basin[v]
        key[n] = _key(bits[v], np.uint32(own))
        n += np.uint64(own >= 0)
    return number, n


@njit(cache=True, nogil=True)
def _links(f, basin, blocks, forward, steps, beside, key, ends):
    """List keys and basins of the links between basins that may be the highest; -1 for too little room, or how many."""
    bits = f.view(np.uint32)
    found = np.uint64(0)
    for o in range(forward.size):
        offset = np.uint64(forward[o])
        for start in blocks:
            if found + np.uint64(_LANES) > np.uint64(key.size):
                return -1
            which = _walls(f, basin, start, forward[o], steps[o], beside[o])
            while which != np.uint64(0):
                v = np.uint64(start) + _lowest_bit(which)
                which &= which - np.uint64(1)
                u = v + offset
                # The lower of the two, whose key is the larger.
                key[found] = max(_key(bits[v], found), _key(bits[u], found))
                ends[found, 0], ends[found, 1] = basin[v], basin[u]
                found += np.uint64(1)
    return np.int64(found)


@njit(cache=True, nogil=True)
def _sort(a, b, n):
    """Radix sort of the upper 31 bits of ``a[:n]``, stable; the result is in ``b``, and ``a`` is overwritten."""
    first, second, third = np.zeros(2048, np.uint32), np.zeros(2048, np.uint32), np.zeros(512, np.uint32)
    digit, low, middle, high = np.uint64(2047), np.uint64(32), np.uint64(43), np.uint64(54)
    for i in range(n):
        x = a[i]
        first[(x >> low) & digit] += np.uint32(1)
        second[(x >> middle) & digit] += np.uint32(1)
        third[x >> high] += np.uint32(1)
    for counts in (first, second, third):
        total = np.uint32(0)
        for i in range(counts.size):
            total, counts[i] = total + counts[i], total
    for i in range(n):
        x = a[i]
        d = (x >> low) & digit
        to = first[d]
        b[to] = x
        first[d] = to + np.uint32(1)
    for i in range(n):
        x = b[i]
        d = (x >> middle) & digit
        to = second[d]
        a[to] = x
        second[d] = to + np.uint32(1)
    for i in range(n):
        x = a[i]
        d = x >> high
        to = third[d]
        b[to] = x
        third[d] = to + np.uint32(1)


@njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def _merges(links, found, ends, number, parent):
    """Keep those of the sorted links that join what was apart; returns how many."""
    for k in range(number):
        parent[k] = k
    count = np.uint64(0)
    for k in range(found):
        which = links[k] & _LOWER
        one, two = _root(parent, ends[which, 0]), _root(parent, ends[which, 1])
        if one != two:
            parent[two] = one
            links[count] = links[k]
            count += np.uint64(1)
    return count


@njit(cache=True, nogil=True)
def _primitive(h, power):
    """The integral of h^power from 0."""
    if power == 2.0:
        return h * h * h / 3.0
    return h ** (power + 1.0) / (power + 1.0)


@njit(cache=True, nogil=True)
def _sweep(key, n, merges, count, ends, number, powers, height_power, root, following, tail, size, total, last):
    """One way down over voxels and merges; afterwards ``total`` of a basin that is its own root is its integral to 0."""
    for k in range(number):
        root[k], following[k], tail[k], size[k], total[k], last[k] = k, number, k, 0, 0.0, 0.0
    k = np.uint64(0)
    for m in range(count + np.uint64(1)):
        merge = merges[m] if m < count else ~np.uint64(0)
        while k < n and key[k] >> _UPPER <= merge >> _UPPER:
            own = root[key[k] & _LOWER]
            level = _primitive(_height(key[k]), height_power)
            total[own] += powers[size[own]] * (last[own] - level)
            size[own] += np.uint32(1)
            last[own] = level
            k += np.uint64(1)
        if m == count:
            break
        which = merge & _LOWER
        one, two = root[ends[which, 0]], root[ends[which, 1]]
        level = _primitive(_height(merge), height_power)
        first = total[one] + powers[size[one]] * (last[one] - level)
        second = total[two] + powers[size[two]] * (last[two] - level)
        if size[two] > size[one]:
            one, two = two, one
        # The smaller side's basins learn their new root at once, so that a voxel finds its own in one step.
        member = two
        while member < number:
            root[member] = one
            member = following[member]
        following[tail[one]] = two
        tail[one] = tail[two]
        size[one] += size[two]
        total[one], last[one] = max(first, second), level
    for k in range(number):
        total[k] += powers[size[k]] * last[k]


@njit(cache=True, nogil=True)
def _maximum(
    t,
    f,
    place,
    blocks,
    forward,
    steps,
    beside,
    powers,
    height_power,
    up,
    to,
    basin,
    key,
    other,
    root,
    following,
    tail,
    size,
    total,
    last,
    positive,
    links,
    links2,
    ends,
):
    """Largest integral among positive and negative voxels; -1 first if there was too little room for links."""
    for k in range(place.size):
        f[place[k]] = t[k]
    for start in blocks:
        _climb(f, start, forward, up)
    number, n = _basins(f, place, up, to, basin, positive, key)
    _sort(key, other, n)
    found = _links(f, basin, blocks, forward, steps, beside, links, ends)
    if found < 0:
        return -1.0, 0.0
    _sort(links, links2, found)
    count = _merges(links2, found, ends, number, root)
    _sweep(other, n, links2, count, ends, number, powers, height_power, root, following, tail, size, total, last)
    most, least = 0.0, 0.0
    for k in range(number):
        if root[k] == k:
            if positive[k]:
                most = max(most, total[k])
            else:
                least = max(least, total[k])
    return most, least


@njit(cache=True, nogil=True)
def _whole(f, place, offsets, powers, height_power, out):
    """Fill ``out`` (V,) with every voxel's signed integral: the tree of clusters, highest voxels first."""
    voxels = place.size
    bits = f.view(np.uint32)
    key, other = np.empty(voxels, np.uint64), np.empty(voxels, np.uint64)
    n = 0
    for k in range(voxels):
        out[k] = 0.0
        if f[place[k]] != 0:
            key[n] = _key(bits[place[k]], k)
            n += 1
    _sort(key, other, n)
    rank = np.full(f.size, -1, np.int32)
    parent, size, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    born, under = np.empty(n, np.int32), np.full(n, -1, np.int32)
    for k in range(n):
        here = place[other[k] & _LOWER]
        rank[here] = k
        parent[k], size[k], node[k] = k, 1, k
        root = k
        for offset in offsets:
            q = rank[here + offset]
            if q < 0 or (f[here + offset] > 0) != (f[here] > 0):
                continue
            q = _root(parent, q)
            if q == root:
                continue
            under[node[q]] = k
            if size[q] > size[root]:
                root, q = q, root
            parent[q] = root
            size[root] += size[q]
        node[root] = k
        # Equal heights make nodes of no height, which add nothing: ties need no care.
        born[k] = size[root]
    sums = np.empty(n)
    for k in range(n - 1, -1, -1):
        level = _primitive(_height(other[k]), height_power)
        if under[k] < 0:
            sums[k] = powers[born[k]] * level
        else:
            below = under[k]
            sums[k] = sums[below] + powers[born[k]] * (level - _primitive(_height(other[below]), height_power))
        v = other[k] & _LOWER
        out[v] = sums[k] if f[place[v]] > 0 else -sums[k]


@njit(cache=True, nogil=True)
def _z_of_t(t, values, slopes, nodes, lowest, out):
    """Cubic Hermite interpolation of z between nodes that divide each octave of t evenly."""
    for i in range(t.size):
        a = abs(np.float64(t[i]))
        if a == 0.0:
            out[i] = 0.0
            continue
        fraction, exponent = math.frexp(a)
        # a = fraction 2^exponent, fraction from 0.5 to 1: the node below lies (2 fraction - 1) of the octave along.
        octave = exponent - 1 - lowest
        if octave < 0:
            k, left, width = 0, 0.0, 2.0**lowest
        else:
            along = int((2.0 * fraction - 1.0) * nodes)
            k = 1 + octave * nodes + along
            if k > values.size - 2:
                out[i] = values[-1] if t[i] > 0 else -values[-1]
                continue
            width = 2.0 ** (exponent - 1) / nodes
            left = 2.0 ** (exponent - 1) + along * width
        u = (a - left) / width
        p = values[k] * (1 + 2 * u) * (1 - u) ** 2 + values[k + 1] * u * u * (3 - 2 * u)
        p += width * (slopes[k] * u * (1 - u) ** 2 + slopes[k + 1] * u * u * (u - 1))
        out[i] = p if t[i] > 0 else -p


class _Scale:
    """z of t for given degrees of freedom, from a table: 1e-9 of z at worst, at a fiftieth of the price."""

    def __init__(self, df):
        octaves = 2.0 ** np.arange(_LOWEST, _HIGHEST)[:, None]
        t = np.concatenate([[0.0], (octaves * (1 + np.arange(_NODES) / _NODES)).ravel()])
        self.values = glm.t_to_z(t, df)
        # dz/dt = density of t / normal density of z, in logarithms; 0 where z has reached the end of its range.
        log_t = (
            special.gammaln((df + 1) / 2)
            - special.gammaln(df / 2)
            - 0.5 * np.log(df * np.pi)
            - (df + 1) / 2 * np.log1p(t * t / df)
        )
        self.slopes = np.exp(log_t + 0.5 * self.values**2 + 0.5 * np.log(2 * np.pi))
        self.slopes[self.values >= self.values[-1]] = 0

    def __call__(self, t):
        out = np.empty(len(t), dtype=np.float32)
        _z_of_t(t, self.values, self.slopes, _NODES, _LOWEST, out)
        return out


class Enhancer:
    """TFCE on one mask, with its work space: not to be shared by threads.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    enhancement : Enhancement
    df : float, optional
        Degrees of freedom of t; needed by the scale z.
    """

    def __init__(self, mask, enhancement, df=None):
        lattice = clusters.Lattice(mask, enhancement.neighbours)
        self.place = lattice.place.astype(np.uint32)
        self.blocks = _blocks(self.place)
        self.forward = lattice.offsets
        self.height_power = float(enhancement.height_power)
        self.powers = np.arange(len(self.place) + 1, dtype=np.float64) ** enhancement.extent_power
        self.scale = _Scale(df) if enhancement.scale == "z" else None
        plane, row, column = lattice.strides
        # Room behind the end for the neighbour of a neighbour of a block's last cell.
        self.volume = np.zeros(lattice.size + 2 * plane + _LANES, dtype=np.float32)
        across = {plane: (row, column), row: (plane, column), column: (plane, row)}
        pairs = [across.get(int(offset), (row, column)) for offset in self.forward]
        self.steps = np.array([(a, -a, b, -b) for a, b in pairs], dtype=np.int64)
        # The links that share a voxel with a link: by the faces, and whether their direction comes before its own.
        beside = [
            [(sign * face, int(face < offset)) for face in lattice.strides for sign in (1, -1) if sign * face != offset]
            for offset in map(int, self.forward)
        ]
        self.beside = np.array([b[:5] for b in beside], dtype=np.int64)
        self.work = None

    def _scaled(self, t):
        # Single precision first: a map and a relabelling's map are scaled from the same bits.
        values = np.ascontiguousarray(t, dtype=np.float32)
        return values if self.scale is None else self.scale(values)

    def _allocate(self, links):
        cells, voxels = self.volume.size, len(self.place)
        self.work = (
            np.zeros(cells, np.int32),
            np.zeros(cells, np.uint32),
            np.full(cells, -1, np.int32),
            np.empty(voxels + 1, np.uint64),
            np.empty(voxels + 1, np.uint64),
            *(np.empty(voxels + 1, np.uint32) for _ in range(4)),
            np.empty(voxels),
            np.empty(voxels),
            np.empty(voxels + 1, np.bool_),
            np.empty(links, np.uint64),
            np.empty(links, np.uint64),
            np.empty((links, 2), np.uint32),
        )

    def maximum(self, t):
        """The largest integral of either sign.

        Parameters
        ----------
        t : ndarray of shape (V,)
            Finite. Used in single precision.

        Returns
        -------
        positive, negative : float
            The largest of the positive voxels, and minus the smallest of the negative ones; 0 where there are none.
        """
        if not len(self.place):
            return 0.0, 0.0
        if self.work is None:
            self._allocate(len(self.place) // 4 + 4096)
        heights = self._scaled(t)
        while True:
            found = _maximum(
                heights,
                self.volume,
                self.place,
                self.blocks,
                self.forward,
                self.steps,
                self.beside,
                self.powers,
                self.height_power,
                *self.work,
            )
            if found[0] >= 0:
                return found
            # Rough maps have more links; there are never more than neighbours.
            self._allocate(4 * len(self.work[-1]))

    def enhance(self, t):
        """Every voxel's integral, with the sign of its t.

        Parameters
        ----------
        t : ndarray of shape (V,)
            Finite. Used in single precision.

        Returns
        -------
        ndarray of shape (V,), float64
        """
        out = np.zeros(len(self.place))
        if len(self.place):
            self.volume[self.place] = self._scaled(t)
            _whole(
                self.volume,
                self.place,
                np.concatenate([-self.forward, self.forward]),
                self.powers,
                self.height_power,
                out,
            )
        return out


def enhance(t, mask, enhancement=None, df=None):
    """The exact TFCE map of one map of t.

    Parameters
    ----------
    t : ndarray of shape (V,)
        Statistic of each voxel of ``mask``, in C order; finite.
    mask : ndarray of bool, shape (X, Y, Z)
    enhancement : Enhancement, optional
    df : float, optional
        Degrees of freedom of t; needed by the scale z.

    Returns
    -------
    ndarray of shape (V,), float64
        Negative where t is.
    """
    return Enhancer(mask, enhancement or Enhancement(), df).enhance(t)
