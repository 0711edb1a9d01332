"""The best CBF and transit time of one voxel: closed forms and searches over the pieces of the kinetic model.

Weighted sums over a voxel's delays have two letters: a the model's intercept, b its slope over z, h label in arteries, y the
signal. ``ab``, for instance, is the sum of weight * intercept * slope.
"""

import math
from typing import NamedTuple

import numpy as np

from pharmasl.perfusion.kinetic_pieces import (
    HH,
    HY,
    INTERCEPT,
    SAME,
    SIGNAL,
    SLOPE,
    TRIED,
    WEIGHT,
    Decay,
    Extent,
    Scratch,
    compiled,
    inlined,
    linear,
    to_z,
)

# A later candidate must explain this share of the data more than an earlier one, beyond rounding.
MARGIN = 1e-13
# Squared sine of the angle between two model vectors below which data cannot distinguish them.
COLLINEAR = 1e-12

# A piece is searched on a grid of so many steps, then by golden section about each of its maxima.
STEPS = 8
GOLDEN = (math.sqrt(5) - 1) / 2

# Where in its piece the best ATT lies: at the start, between the ends or at the end by the closed forms, where the search
# over a prior found it, or nowhere, because label in arteries explains all.
AT_START, INSIDE, AT_END, SEARCHED, ARTERIES_ALONE = range(5)
NO_ARTERIES = -1


class Beliefs(NamedTuple):
    """What is believed before the data of any voxel.

    Attributes
    ----------
    least, most : float
        Bounds of ATT, seconds.
    mean, deviation : float
        Normal prior of ATT, seconds; the deviation is infinite without one.
    arterial_gain : float
        What label in arteries must explain more, in units of the noise's variance.
    """

    least: float
    most: float
    mean: float
    deviation: float
    arterial_gain: float


class Costs(NamedTuple):
    """The beliefs in units of one voxel's sum of squares, and that sum.

    Attributes
    ----------
    pull : float
        What a second of distance from the prior's mean costs, squared; 0 without a prior.
    arteries : float
        What label in arteries costs.
    total : float
        The data's sum of squares.
    """

    pull: float
    arteries: float
    total: float


class Piece(NamedTuple):
    """A piece of transit time and the model's sums there, intercept and slope being those at its start."""

    number: int
    start: float
    stop: float
    z0: float
    reach: float
    arriving: bool
    ay: float
    by: float
    aa: float
    ab: float
    bb: float


class Arteries(NamedTuple):
    """Label that reaches arteries within a piece, and its sums; number -1 and zeros for none."""

    number: int
    hh: float
    hy: float
    ah: float
    bh: float


class Best(NamedTuple):
    """The best candidate so far.

    Attributes
    ----------
    value : float
        What it explains of the sum of squares, less the costs.
    piece, arteries : int
        Numbers of the pieces in which label reaches tissue and arteries; -1 for none.
    end : int
        Where in the piece: :data:`AT_START` and the like.
    shift : float
        z less that at the piece's start.
    att : float
        Seconds, where the search found it.
    """

    value: float
    piece: int
    arteries: int
    end: int
    shift: float
    att: float


@inlined
def costs_of(noise: float, beliefs: Beliefs, total: float) -> Costs:
    """The beliefs' costs in a voxel whose noise has this standard deviation (NaN where unknown)."""
    pull = 0.0 if math.isinf(beliefs.deviation) else (noise / beliefs.deviation) ** 2
    arteries = beliefs.arterial_gain * noise**2 if beliefs.arterial_gain > 0 else 0.0
    return Costs(pull, arteries, total)


@inlined
def best_of_tissue(
    arrays: Scratch, extent: Extent, decay: Decay, beliefs: Beliefs, costs: Costs, grid: np.ndarray
) -> Best:
    """The best candidate without label in arteries; ``grid`` is scratch for a search."""
    delays, edges = arrays.delays, arrays.edges
    best = Best(-np.inf, -1, NO_ARTERIES, AT_START, 0.0, 0.0)
    none = Arteries(NO_ARTERIES, 0.0, 0.0, 0.0, 0.0)
    for number in range(extent.first, extent.last):
        piece = _piece(delays, extent.delays, edges[number], edges[number + 1], number, decay)
        best = _improved(piece, none, number == extent.first, decay, beliefs, costs, grid, best)
    return best


@inlined
def best_with_arteries(
    arrays: Scratch, extent: Extent, decay: Decay, beliefs: Beliefs, costs: Costs, grid: np.ndarray, best: Best
) -> Best:
    """The best candidate with label in arteries, or the one so far: arteries must improve on it."""
    delays, edges, reached, sums = arrays.delays, arrays.edges, arrays.reached, arrays.sums
    n = extent.delays
    for j in range(extent.last):
        if sums[TRIED, j] > 0 and sums[HY, j] > 0:
            nearest = min(max(beliefs.mean, beliefs.least, edges[j]), beliefs.most)
            value = sums[HY, j] ** 2 / sums[HH, j] - costs.pull * (nearest - beliefs.mean) ** 2 - costs.arteries
            if value > best.value + MARGIN * costs.total:
                best = Best(value, j, j, ARTERIES_ALONE, best.shift, best.att)
    for number in range(extent.first, extent.last):
        piece = _piece(delays, n, edges[number], edges[number + 1], number, decay)
        # Label reaches arteries no later than tissue.
        for j in range(number + 1):
            if sums[TRIED, j] > 0:
                ah = bh = 0.0
                for i in range(n):
                    ah += delays[WEIGHT, i] * reached[j, i] * delays[INTERCEPT, i]
                    bh += delays[WEIGHT, i] * reached[j, i] * delays[SLOPE, i]
                arteries = Arteries(j, sums[HH, j], sums[HY, j], ah, bh)
                best = _improved(piece, arteries, number == extent.first, decay, beliefs, costs, grid, best)
    return best


@inlined
def _piece(delays, n, start, stop, number, decay):
    """A piece of transit time; writes the model's vectors there into ``delays``."""
    z0 = to_z(start, decay)
    reach = to_z(stop, decay) - z0
    arriving = linear(delays, n, start, stop, z0)
    ay = by = aa = ab = bb = 0.0
    for i in range(n):
        weight, a, b, y = delays[WEIGHT, i], delays[INTERCEPT, i], delays[SLOPE, i], delays[SIGNAL, i]
        ay += weight * a * y
        by += weight * b * y
        aa += weight * a * a
        ab += weight * a * b
        bb += weight * b * b
    return Piece(number, start, stop, z0, reach, arriving, ay, by, aa, ab, bb)


@inlined
def _improved(piece, arteries, is_first, decay, beliefs, costs, grid, best):
    """The better of the best candidate so far and the best within a piece."""
    start, near = piece.start, 0.0
    if arteries.number == piece.number:
        # Label reaches arteries after the start of this piece, and tissue no earlier.
        start += SAME / 2
        near = to_z(start, decay) - piece.z0
    # The start of a piece is the end of the one before, unless there is none or a search needs its value.
    with_start = is_first or arteries.number == piece.number or costs.pull > 0
    best, most_explained = _closed_forms(piece, arteries, near, with_start, costs, best)
    if costs.pull > 0:
        nearest = min(max(beliefs.mean, start), piece.stop)
        if arteries.number >= 0:
            most_explained -= costs.arteries
        # Pieces that cannot hold the best value are passed over.
        if most_explained - costs.pull * (nearest - beliefs.mean) ** 2 > best.value + MARGIN * costs.total:
            att, value = _search(piece, arteries, start, decay, costs.pull, beliefs.mean, grid)
            if arteries.number >= 0:
                value -= costs.arteries
            if value > best.value + MARGIN * costs.total:
                best = Best(value, piece.number, arteries.number, SEARCHED, best.shift, att)
    return best


@inlined
def _closed_forms(piece, arteries, near, with_start, costs, best):
    """The better of the best so far and the piece's ends and stationary point, and the most that any of these explains.

    With a prior these are no candidates, for it moves the best ATT within the piece; the most explained bounds the search.
    """
    ay, by, aa, ab, bb, base = piece.ay, piece.by, piece.aa, piece.ab, piece.bb, 0.0
    if arteries.number >= 0:
        # What is orthogonal to the signal of arteries.
        hh, hy, ah, bh = arteries.hh, arteries.hy, arteries.ah, arteries.bh
        base = hy * hy / hh
        ay -= ah * hy / hh
        by -= bh * hy / hh
        aa -= ah * ah / hh
        ab -= ah * bh / hh
        bb -= bh * bh / hh
    most_explained = -np.inf
    for end in range(3):
        if end == AT_START:
            if not (piece.arriving and with_start):
                continue
            shift = near
        elif end == INSIDE:
            curvature = ay * bb - by * ab
            if not piece.arriving or curvature == 0:
                continue
            shift = (by * aa - ay * ab) / curvature
            if not piece.reach < shift < near:
                continue
        else:
            shift = piece.reach
        norm = piece.aa + 2 * piece.ab * shift + piece.bb * shift * shift
        left = aa + 2 * ab * shift + bb * shift * shift
        if norm <= 0:
            continue
        if left <= COLLINEAR * norm:
            most_explained = np.inf
            continue
        cbf = (ay + by * shift) / left
        explained = base + cbf * (ay + by * shift)
        most_explained = max(most_explained, explained)
        if costs.pull > 0:
            continue
        if arteries.number >= 0:
            if cbf <= 0 or arteries.hy - cbf * (arteries.ah + arteries.bh * shift) <= 0:
                continue
            explained -= costs.arteries
        if explained > best.value + MARGIN * costs.total:
            best = Best(explained, piece.number, arteries.number, end, shift, best.att)
    return best, most_explained


@compiled
def _posterior(att, piece, arteries, decay, pull, mean):
    """What the model explains of the sum of squares at an ATT, with no arterial blood volume below zero, less the prior."""
    shift = to_z(att, decay) - piece.z0
    norm = piece.aa + 2 * piece.ab * shift + piece.bb * shift * shift
    if norm <= 0:
        return -np.inf
    product = piece.ay + piece.by * shift
    explained = product * product / norm
    hh, hy = arteries.hh, arteries.hy
    if hh > 0:
        shared = arteries.ah + arteries.bh * shift
        left = norm - shared * shared / hh
        if left > COLLINEAR * norm:
            product -= shared * hy / hh
            cbf = product / left
            if hy > 0 and cbf <= 0:
                explained = hy * hy / hh
            elif hy - cbf * shared > 0:
                explained = hy * hy / hh + cbf * product
    return explained - pull * (att - mean) ** 2


@compiled
def _search(piece, arteries, start, decay, pull, mean, grid):
    """The ATT in [start, the piece's end] of the greatest posterior density, and that density's value."""
    points, values, stop = grid[0], grid[1], piece.stop
    best = 0
    for number in range(STEPS + 1):
        points[number] = stop if number == STEPS else start + (stop - start) / STEPS * number
        values[number] = _posterior(points[number], piece, arteries, decay, pull, mean)
        if values[number] > values[best]:
            best = number
    att, value = points[best], values[best]
    for number in range(STEPS + 1):
        before, after = max(number - 1, 0), min(number + 1, STEPS)
        if values[number] < values[before] or values[number] < values[after]:
            continue
        x0, x3 = points[before], points[after]
        x1, x2 = x3 - GOLDEN * (x3 - x0), x0 + GOLDEN * (x3 - x0)
        f1 = _posterior(x1, piece, arteries, decay, pull, mean)
        f2 = _posterior(x2, piece, arteries, decay, pull, mean)
        while x3 - x0 > SAME:
            if f1 >= f2:
                x3, x2, f2 = x2, x1, f1
                x1 = x3 - GOLDEN * (x3 - x0)
                f1 = _posterior(x1, piece, arteries, decay, pull, mean)
            else:
                x0, x1, f1 = x1, x2, f2
                x2 = x0 + GOLDEN * (x3 - x0)
                f2 = _posterior(x2, piece, arteries, decay, pull, mean)
        if f1 > value:
            att, value = x1, f1
        if f2 > value:
            att, value = x2, f2
    return att, value
