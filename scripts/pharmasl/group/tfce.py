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
from numba import njit
from scipy import special

from pharmasl.group import clusters, glm

# Heights are single precision: two relabellings that only swap equal participants may differ in a voxel's last bit.
TIE = 1e-7

# Links looked at in one go.
_CHUNK = 2048

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


@njit(cache=True, nogil=True)
def _steepest(f, offsets, low, high, best, up):
    """Distance of each voxel's highest neighbour of its sign, 0 at a peak; of equals the last in scan order."""
    chunk = 2048
    for start in range(low, high, chunk):
        stop = min(start + chunk, high)
        here, top, to = f[start:stop], best[start:stop], up[start:stop]
        for j in range(here.size):
            top[j] = abs(here[j])
            to[j] = 0
        for offset in offsets:
            there = f[start + offset : stop + offset]
            # A plateau is left forwards only, so no path runs in a circle.
            if offset > 0:
                for j in range(here.size):
                    x = there[j] if here[j] > 0 else -there[j]
                    higher = x >= top[j]
                    top[j] = x if higher else top[j]
                    to[j] = offset if higher else to[j]
            else:
                for j in range(here.size):
                    x = there[j] if here[j] > 0 else -there[j]
                    higher = x > top[j]
                    top[j] = x if higher else top[j]
                    to[j] = offset if higher else to[j]


@njit(cache=True, nogil=True)
def _basins(f, place, up, to, basin, positive):
    """Number the basins in scan order, -1 where f is 0; ``to`` is work space. Returns how many there are."""
    count = np.int32(0)
    # Paths are shortened on the way, without branches: first those that go backwards, then those that go forwards.
    for v in place:
        nothing = f[v] == 0
        peak = (up[v] == 0) & (not nothing)
        basin[v] = count if peak else np.int32(-1)
        positive[count] = f[v] > 0
        count += peak
        next_one = v if nothing else v + up[v]
        to[v] = to[next_one] if next_one < v else next_one
    for k in range(place.size - 1, -1, -1):
        v = place[k]
        to[v] = to[to[v]]
    for v in place:
        x = to[v]
        while to[x] != x:
            x = to[x]
        basin[v] = basin[x]
    return count


@njit(cache=True, nogil=True)
def _between(f, basin, offset, low, high, height):
    """Height of each voxel's link to its neighbour at ``offset``; 0 within a basin and between signs."""
    chunk = 2048
    for start in range(low, high, chunk):
        stop = min(start + chunk, high)
        f0, f1 = f[start:stop], f[start + offset : stop + offset]
        b0, b1 = basin[start:stop], basin[start + offset : stop + offset]
        out = height[start:stop]
        for j in range(out.size):
            least = min(abs(f0[j]), abs(f1[j]))
            out[j] = least if (b0[j] != b1[j]) & ((f0[j] > 0) == (f1[j] > 0)) else np.float32(0)


@njit(cache=True, nogil=True)
def _candidates(height, basin, offset, steps, low, high, keep, found):
    """List the links that no adjacent link between the same two basins surpasses; returns how many there are."""
    chunk = keep.size
    words = keep.view(np.uint64)
    count = 0
    for start in range(low, high, chunk):
        stop = min(start + chunk, high)
        h = height[start:stop]
        b0, b1 = basin[start:stop], basin[start + offset : stop + offset]
        width = h.size
        for j in range(width):
            keep[j] = np.uint8(h[j] > 0)
        for step in steps:
            h2 = height[start + step : stop + step]
            c0, c1 = basin[start + step : stop + step], basin[start + step + offset : stop + step + offset]
            for j in range(width):
                keep[j] &= np.uint8((h2[j] <= h[j]) | (b0[j] != c0[j]) | (b1[j] != c1[j]))
        for j in range(width, chunk):
            keep[j] = 0
        for w in range(words.size):
            if words[w] != 0:
                if count + 8 > found.size:
                    return -1
                for j in range(8 * w, 8 * w + 8):
                    found[count] = start + j
                    count += keep[j]
    return count


@njit(cache=True, nogil=True)
def _sort(a, b, n):
    """Radix sort of the upper 31 bits of ``a[:n]``, stable; the result is in ``b``, and ``a`` is overwritten."""
    first, second, third = np.zeros(2048, np.int64), np.zeros(2048, np.int64), np.zeros(512, np.int64)
    for i in range(n):
        key = a[i] >> 32
        first[key & 2047] += 1
        second[(key >> 11) & 2047] += 1
        third[key >> 22] += 1
    for counts in (first, second, third):
        total = 0
        for i in range(counts.size):
            total, counts[i] = total + counts[i], total
    for i in range(n):
        digit = (a[i] >> 32) & 2047
        b[first[digit]] = a[i]
        first[digit] += 1
    for i in range(n):
        digit = (b[i] >> 43) & 2047
        a[second[digit]] = b[i]
        second[digit] += 1
    for i in range(n):
        digit = a[i] >> 54
        b[third[digit]] = a[i]
        third[digit] += 1


@njit(cache=True, nogil=True)
def _primitive(h, power):
    """The integral of h^power from 0."""
    if power == 2.0:
        return h * h * h / 3.0
    return h ** (power + 1.0) / (power + 1.0)


@njit(cache=True, nogil=True)
def _height(key):
    return np.float64(np.int32(0x7FFFFFFF - key).view(np.float32))


@njit(cache=True, nogil=True)
def _keys(f, place, basin, key):
    """Keys that ascend as heights fall, each with its basin; voxels of height 0 belong nowhere."""
    bits = f.view(np.int32)
    n = 0
    for v in place:
        key[n] = (np.int64(0x7FFFFFFF - (bits[v] & np.int32(0x7FFFFFFF))) << 32) | np.int64(basin[v] & 0x7FFFFFFF)
        n += basin[v] >= 0
    return n


@njit(cache=True, nogil=True)
def _sweep(key, n, links, ends, found, number, powers, height_power, root, following, tail, size, total, last):
    """One way down over voxels and links; afterwards ``total`` of a basin that is its own root is its integral to 0."""
    for k in range(number):
        root[k], following[k], tail[k], size[k], total[k], last[k] = k, -1, k, 0, 0.0, 0.0
    link = 0
    end = np.int64(1) << 62
    next_link = links[0] >> 32 if found else end
    for k in range(n + 1):
        now = key[k] >> 32 if k < n else end
        while next_link < now:
            which = links[link] & 0xFFFFFFFF
            one, two = root[ends[which, 0]], root[ends[which, 1]]
            if one != two:
                level = _primitive(_height(next_link), height_power)
                first = total[one] + powers[size[one]] * (last[one] - level)
                second = total[two] + powers[size[two]] * (last[two] - level)
                if size[two] > size[one]:
                    one, two = two, one
                # The smaller side's basins learn their new root at once, so that a voxel finds its own in one step.
                member = two
                while member >= 0:
                    root[member] = one
                    member = following[member]
                following[tail[one]] = two
                tail[one] = tail[two]
                size[one] += size[two]
                total[one], last[one] = max(first, second), level
            link += 1
            next_link = links[link] >> 32 if link < found else end
        if k < n:
            own = root[key[k] & 0xFFFFFFFF]
            level = _primitive(_height(now), height_power)
            total[own] += powers[size[own]] * (last[own] - level)
            size[own] += 1
            last[own] = level
    for k in range(number):
        total[k] += powers[size[k]] * last[k]


@njit(cache=True, nogil=True)
def _maximum(
    t, f, place, offsets, forward, steps, powers, height_power, best, up, basin, height, keep, key, other,
    root, following, tail, size, total, last, positive, places, links, links2, ends,
):  # fmt: skip
    """Largest integral among positive and negative voxels; -1 first if there was too little room for links."""
    low, high = place[0], place[-1] + 1
    for k in range(place.size):
        f[place[k]] = t[k]
    _steepest(f, offsets, low, high, best, up)
    number = _basins(f, place, up, height.view(np.int32), basin, positive)
    n = _keys(f, place, basin, key)
    _sort(key, other, n)
    found = 0
    link_bits = height.view(np.int32)
    height[:low] = 0
    height[high:] = 0
    for o in range(forward.size):
        offset = forward[o]
        _between(f, basin, offset, low, high, height)
        more = _candidates(height, basin, offset, steps[o], low, high, keep, places)
        if more < 0 or found + more > links.size:
            return -1.0, 0.0
        for k in range(more):
            i = places[k]
            links[found] = ((np.int64(0x7FFFFFFF) - np.int64(link_bits[i])) << 32) | np.int64(found)
            ends[found, 0], ends[found, 1] = basin[i], basin[i + offset]
            found += 1
    _sort(links, links2, found)
    _sweep(other, n, links2, ends, found, number, powers, height_power, root, following, tail, size, total, last)
    most, least = 0.0, 0.0
    for k in range(number):
        if root[k] == k:
            if positive[k]:
                most = max(most, total[k])
            else:
                least = max(least, total[k])
    return most, least


@njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def _whole(f, place, offsets, powers, height_power, out):
    """Fill ``out`` (V,) with every voxel's signed integral: the tree of clusters, highest voxels first."""
    voxels = place.size
    bits = f.view(np.int32)
    key, other = np.empty(voxels, np.int64), np.empty(voxels, np.int64)
    n = 0
    for k in range(voxels):
        out[k] = 0.0
        if f[place[k]] != 0:
            key[n] = ((np.int64(0x7FFFFFFF) - np.int64(bits[place[k]] & np.int32(0x7FFFFFFF))) << 32) | k
            n += 1
    _sort(key, other, n)
    rank = np.full(f.size, -1, np.int32)
    parent, size, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    born, under = np.empty(n, np.int32), np.full(n, -1, np.int32)
    for k in range(n):
        here = place[other[k] & 0xFFFFFFFF]
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
        level = _primitive(_height(other[k] >> 32), height_power)
        if under[k] < 0:
            sums[k] = powers[born[k]] * level
        else:
            below = under[k]
            sums[k] = sums[below] + powers[born[k]] * (level - _primitive(_height(other[below] >> 32), height_power))
        v = other[k] & 0xFFFFFFFF
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
        self.place = lattice.place.astype(np.int32)
        self.forward = lattice.offsets
        self.offsets = np.concatenate([-lattice.offsets, lattice.offsets])
        self.height_power = float(enhancement.height_power)
        self.powers = np.arange(len(self.place) + 1, dtype=np.float64) ** enhancement.extent_power
        self.scale = _Scale(df) if enhancement.scale == "z" else None
        plane, row, column = lattice.strides
        # Room behind the end for the neighbour of a neighbour.
        self.volume = np.zeros(lattice.size + 2 * plane, dtype=np.float32)
        across = {plane: (row, column), row: (plane, column), column: (plane, row)}
        pairs = [across.get(int(offset), (row, column)) for offset in self.forward]
        self.steps = np.array([(a, -a, b, -b) for a, b in pairs], dtype=np.int64)
        self.work = None

    def _scaled(self, t):
        # Single precision first: a map and a relabelling's map are scaled from the same bits.
        values = np.ascontiguousarray(t, dtype=np.float32)
        return values if self.scale is None else self.scale(values)

    def _allocate(self, links):
        cells, voxels = self.volume.size, len(self.place)
        self.work = (
            np.empty(cells, np.float32), np.zeros(cells, np.int32), np.full(cells, -1, np.int32),
            np.zeros(cells, np.float32), np.empty(_CHUNK, np.uint8),
            np.empty(voxels + 1, np.int64), np.empty(voxels + 1, np.int64),
            *(np.empty(voxels + 1, np.int32) for _ in range(4)), np.empty(voxels), np.empty(voxels),
            np.empty(voxels + 1, np.bool_), np.empty(links, np.int32),
            np.empty(links, np.int64), np.empty(links, np.int64), np.empty((links, 2), np.int32),
        )  # fmt: skip

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
                heights, self.volume, self.place, self.offsets, self.forward, self.steps, self.powers,
                self.height_power, *self.work,
            )  # fmt: skip
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
            _whole(self.volume, self.place, self.offsets, self.powers, self.height_power, out)
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
