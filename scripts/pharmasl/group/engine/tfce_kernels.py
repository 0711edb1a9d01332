"""The compiled loops of threshold-free cluster enhancement: the maximum of a map, and the whole map.

They stand in one module because numba's file cache does not notice when a function of *another* module changes. The algorithm is
that of :mod:`pharmasl.group.engine.tfce`.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Cells of the padded volume looked at in one go.
LANES = 16

# Keys: the 31 bits of a height, complemented, above 32 bits of payload. Unsigned, as an index of signed numbers is
# checked for wrapping around.
_TOP, _UPPER, _LOWER = np.uint64(0x7FFFFFFF), np.uint64(32), np.uint64(0xFFFFFFFF)


class Cells(NamedTuple):
    """The voxels of a mask in the padded volume, and the links between neighbours.

    Attributes
    ----------
    place : ndarray of shape (V,), uint32
        Cell of each voxel.
    blocks : ndarray of int64
        Of :func:`blocks_of`.
    forward : ndarray of shape (O,), int64
        Distance to each neighbour that comes later.
    steps : ndarray of shape (O, 4), int64
        Distances between adjacent links of one direction.
    beside : ndarray of shape (O, 5, 2), int64
        Distances to the links that share a voxel with a link, and whether their direction comes before its own.
    """

    place: np.ndarray
    blocks: np.ndarray
    forward: np.ndarray
    steps: np.ndarray
    beside: np.ndarray


class Integrand(NamedTuple):
    """e^E by the size e of a cluster, ndarray of shape (V + 1,), and H."""

    powers: np.ndarray
    height_power: float


class Work(NamedTuple):
    """Work space of :func:`maximum`: of the volume's cells, of the voxels (basins are no more), and of the links."""

    up: np.ndarray
    to: np.ndarray
    basin: np.ndarray
    key: np.ndarray
    other: np.ndarray
    root: np.ndarray
    following: np.ndarray
    tail: np.ndarray
    size: np.ndarray
    total: np.ndarray
    last: np.ndarray
    positive: np.ndarray
    links: np.ndarray
    sorted_links: np.ndarray
    ends: np.ndarray

    @classmethod
    def allocate(cls, cells: int, voxels: int, links: int) -> "Work":
        """Room for a volume of so many cells, of them voxels of the mask, and so many links."""
        return cls(
            up=np.zeros(cells, np.int32),
            to=np.zeros(cells, np.uint32),
            basin=np.full(cells, -1, np.int32),
            key=np.empty(voxels + 1, np.uint64),
            other=np.empty(voxels + 1, np.uint64),
            root=np.empty(voxels + 1, np.uint32),
            following=np.empty(voxels + 1, np.uint32),
            tail=np.empty(voxels + 1, np.uint32),
            size=np.empty(voxels + 1, np.uint32),
            total=np.empty(voxels),
            last=np.empty(voxels),
            positive=np.empty(voxels + 1, np.bool_),
            links=np.empty(links, np.uint64),
            sorted_links=np.empty(links, np.uint64),
            ends=np.empty((links, 2), np.uint32),
        )


class _Vectors:
    """The vectors of an intrinsic: plain LLVM, which any processor gets in the width that it has."""

    floats, integers = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)

    def __init__(self, builder):
        self.builder = builder

    def _pointer(self, array, index, kind):
        return self.builder.bitcast(self.builder.gep(array.data, [index]), kind.as_pointer())

    def load(self, array, index, kind):
        return self.builder.load(self._pointer(array, index, kind), align=4)

    def store(self, value, array, index):
        self.builder.store(value, self._pointer(array, index, value.type), align=4)

    def constant(self, value):
        return ir.Constant(self.integers, [value] * LANES)

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
        return builder.zext(builder.bitcast(builder.load(kept), ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(f, basin, start, offset, steps, beside), codegen


@intrinsic
def _lowest_bit(typingctx, bits):
    """Which bit of a number other than 0 is its lowest."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), codegen


@njit(cache=True, nogil=True)
def blocks_of(place: np.ndarray) -> np.ndarray:
    """Starts of stretches of LANES cells that hold all of ``place``, each voxel in one."""
    starts = np.empty(place.size, np.int64)
    count, end = 0, np.int64(-1)
    for v in place:
        if v >= end:
            starts[count] = v
            count += 1
            end = v + LANES
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
def _links(f, basin, cells, key, ends):
    """List keys and basins of the links between basins that may be the highest; -1 for too little room, or how many."""
    blocks, forward, steps, beside = cells.blocks, cells.forward, cells.steps, cells.beside
    bits = f.view(np.uint32)
    listed = np.uint64(0)
    for o in range(forward.size):
        offset = np.uint64(forward[o])
        for start in blocks:
            if listed + np.uint64(LANES) > np.uint64(key.size):
                return -1
            which = _walls(f, basin, start, forward[o], steps[o], beside[o])
            while which != np.uint64(0):
                v = np.uint64(start) + _lowest_bit(which)
                which &= which - np.uint64(1)
                u = v + offset
                # The lower of the two, whose key is the larger.
                key[listed] = max(_key(bits[v], listed), _key(bits[u], listed))
                ends[listed, 0], ends[listed, 1] = basin[v], basin[u]
                listed += np.uint64(1)
    return np.int64(listed)


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
def _merges(links, listed, ends, number, parent):
    """Keep those of the sorted links that join what was apart; returns how many."""
    for k in range(number):
        parent[k] = k
    count = np.uint64(0)
    for k in range(listed):
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
def _sweep(n, count, number, integrand, work):
    """One way down over n voxels and count merges; afterwards ``total`` of a basin that is its own root is its integral to 0."""
    key, merges, ends = work.other, work.sorted_links, work.ends
    root, following, tail, size, total, last = work.root, work.following, work.tail, work.size, work.total, work.last
    powers, height_power = integrand.powers, integrand.height_power
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
def maximum(t: np.ndarray, f: np.ndarray, cells: Cells, integrand: Integrand, work: Work) -> tuple[float, float]:
    """Largest integral among positive and negative voxels; -1 first if there was too little room for links.

    Parameters
    ----------
    t : ndarray of shape (V,), float32
    f : ndarray of float32
        The padded volume, filled.
    cells : Cells
    integrand : Integrand
    work : Work
    """
    place = cells.place
    for k in range(place.size):
        f[place[k]] = t[k]
    for start in cells.blocks:
        _climb(f, start, cells.forward, work.up)  # type: ignore[call-arg]
    number, n = _basins(f, place, work.up, work.to, work.basin, work.positive, work.key)
    _sort(work.key, work.other, n)
    listed = _links(f, work.basin, cells, work.links, work.ends)
    if listed < 0:
        return -1.0, 0.0
    _sort(work.links, work.sorted_links, listed)
    count = _merges(work.sorted_links, listed, work.ends, number, work.root)
    _sweep(n, count, number, integrand, work)
    most, least = 0.0, 0.0
    for k in range(number):
        if work.root[k] == k:
            if work.positive[k]:
                most = max(most, work.total[k])
            else:
                least = max(least, work.total[k])
    return most, least


@njit(cache=True, nogil=True)
def whole_map(f: np.ndarray, place: np.ndarray, offsets: np.ndarray, integrand: Integrand, out: np.ndarray) -> None:
    """Fill ``out`` (V,) with every voxel's signed integral: the tree of clusters, highest voxels first."""
    powers, height_power = integrand.powers, integrand.height_power
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
