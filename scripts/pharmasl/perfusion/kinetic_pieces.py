"""The general kinetic model as pieces of transit time on each of which it is linear: kernels of the multi-delay fit.

Between two of the transit times at which some delay changes sides (its label has not arrived, arrives, has wholly arrived),
the model is CBF * exp(rate * ATT) * (intercept + slope * z): intercept and slope are vectors over delays that do not depend
on ATT, z increases with -ATT, rate = 1 / T1 of tissue - 1 / T1 of blood. The pieces' ends are called edges.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

# Seconds. Times closer than this (0.3 + 0.7 and 1.0) are one; far below what any scanner resolves.
SAME = 1e-8

# Rows of :attr:`Scratch.delays`. Read: deltaM / M0 in units of CBF; number of repeats; the ATT before which the delay's label has
# all arrived, that from which none has; its signal at a CBF of one over exp(rate * ATT), all arrived, and as intercept and
# slope over z while it arrives; its signal while in arteries, at a blood volume of one.
SIGNAL, WEIGHT, ARRIVED, ABSENT, PLATEAU, INITIAL, GRADIENT, ARTERIAL = range(8)
# Of a piece: intercept at its start and slope. Of the solution: signal at a CBF of one, and its derivative by ATT.
INTERCEPT, SLOPE, UNIT, CHANGE = range(8, 12)
# Rows of :attr:`Scratch.sums`: weighted sums of squares of the arterial signal and of its products with the data; 1 where
# the piece's arterial signal is there and differs from that of the piece before.
HH, HY, TRIED = range(3)

# Inlined where arrays travel in a tuple, whose items' reference counts would otherwise cost half the speed.
compiled = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, nogil=True, error_model="numpy", inline="always")


class Decay(NamedTuple):
    """How label decays.

    Attributes
    ----------
    continuous : bool
        Whether labelling is continuous (or pseudo-continuous), not pulsed.
    t1_blood, t1_tissue : float
        Seconds.
    rate : float
        1 / T1 of tissue - 1 / T1 of blood, per second; exactly 0 where they are the same.
    """

    continuous: bool
    t1_blood: float
    t1_tissue: float
    rate: float


class Scratch(NamedTuple):
    """The data of one voxel and the model's vectors over its delays: arrays used again for each voxel.

    Attributes
    ----------
    delays : ndarray of shape (12, P)
        By the rows :data:`SIGNAL` and the like; the first columns are those of the delays that the voxel has.
    edges : ndarray of shape (2 P + 3,)
        Ascending times at which some delay changes sides, seconds.
    reached : ndarray of shape (2 P + 3, P)
        Arterial signal of each delay, for label that reaches arteries in each piece.
    sums : ndarray of shape (3, 2 P + 3)
        By the rows :data:`HH`, :data:`HY` and :data:`TRIED`.
    """

    delays: np.ndarray
    edges: np.ndarray
    reached: np.ndarray
    sums: np.ndarray


class Extent(NamedTuple):
    """Number of a voxel's delays, and its pieces: from ``first``, the one that begins at the least ATT, to before ``last``."""

    delays: int
    first: int
    last: int


@compiled
def scratch(count: int) -> Scratch:
    """Scratch arrays for voxels of ``count`` delays."""
    most = 2 * count + 3
    return Scratch(np.empty((12, count)), np.empty(most), np.empty((most, count)), np.empty((3, most)))


@compiled
def grown(rate: float, time: float) -> float:
    """The integral of exp(rate * s) over s from 0 to ``time``."""
    product = rate * time
    if abs(product) < 1e-9:
        return time * (1 + product / 2)
    return math.expm1(product) / rate


@compiled
def to_z(att: float, decay: Decay) -> float:
    """The variable over which the model is linear, at an ATT."""
    return math.exp(-att / decay.t1_tissue) if decay.continuous else -grown(-decay.rate, att)


@compiled
def to_att(z: float, decay: Decay) -> float:
    """The ATT, seconds, at which :func:`to_z` is ``z``."""
    if decay.continuous:
        return -decay.t1_tissue * math.log(z)
    if abs(decay.rate * z) < 1e-9:
        return -z * (1 - decay.rate * z / 2)
    return -math.log1p(decay.rate * z) / decay.rate


@inlined
def describe(delays: np.ndarray, i: int, delay: float, bolus: float, decay: Decay) -> None:
    """Write the description of a delay (seconds) into column ``i`` of the voxel's delays."""
    t1 = decay.t1_tissue
    if decay.continuous:
        delays[ARRIVED, i] = delay
        delays[ABSENT, i] = delay + bolus
        delays[PLATEAU, i] = t1 * math.exp(-delay / t1) * -math.expm1(-bolus / t1)
        delays[INITIAL, i] = -t1 * math.exp(-(delay + bolus) / t1)
        delays[GRADIENT, i] = t1
        delays[ARTERIAL, i] = 1.0
    else:
        remaining = math.exp(-delay / t1)
        delays[ARRIVED, i] = delay - bolus
        delays[ABSENT, i] = delay
        delays[PLATEAU, i] = 0.0 if math.isinf(bolus) else remaining * grown(decay.rate, bolus)
        delays[INITIAL, i] = remaining * grown(decay.rate, delay)
        delays[GRADIENT, i] = math.exp(-delay / decay.t1_blood)
        delays[ARTERIAL, i] = math.exp(-delay / decay.t1_blood)


@inlined
def find_edges(delays: np.ndarray, n: int, least: float, most: float, edges: np.ndarray) -> Extent:
    """Write the times in [0, most] at which some delay changes sides, ascending, with ``least``; return the extent."""
    edges[0], edges[1], edges[2] = 0.0, least, most
    count = 3
    for i in range(n):
        for side in (ARRIVED, ABSENT):
            if 0 < delays[side, i] < most:
                edges[count] = delays[side, i]
                count += 1
    edges[:count].sort()
    kept = 1
    for i in range(1, count):
        if edges[i] - edges[kept - 1] > SAME:
            edges[kept] = edges[i]
            kept += 1
        elif edges[i] == least or edges[i] == most:
            # Of times that are one the bound stays.
            edges[kept - 1] = edges[i]
    first = 0
    while edges[first] < least:
        first += 1
    return Extent(n, first, kept - 1)


@inlined
def linear(delays: np.ndarray, n: int, low: float, high: float, z0: float) -> bool:
    """Write each delay's signal for ATT in [low, high] as intercept + slope * (z - z0); return whether some label arrives."""
    middle = (low + high) / 2
    arriving = False
    for i in range(n):
        if delays[ABSENT, i] <= middle:
            delays[INTERCEPT, i] = delays[SLOPE, i] = 0.0
        elif delays[ARRIVED, i] >= middle:
            delays[INTERCEPT, i] = delays[PLATEAU, i]
            delays[SLOPE, i] = 0.0
        else:
            delays[INTERCEPT, i] = delays[INITIAL, i] + delays[GRADIENT, i] * z0
            delays[SLOPE, i] = delays[GRADIENT, i]
            arriving = True
    return arriving


@inlined
def reach(delays: np.ndarray, n: int, low: float, high: float, reached: np.ndarray, row: int) -> bool:
    """Write into a row the arterial signal of each delay for an arrival in (low, high); return whether there is any."""
    middle = (low + high) / 2
    some = False
    for i in range(n):
        reached[row, i] = delays[ARTERIAL, i] if delays[ARRIVED, i] < middle < delays[ABSENT, i] else 0.0
        some = some or reached[row, i] > 0
    return some


@compiled
def same_rows(values: np.ndarray, one: int, other: int, n: int) -> bool:
    """Whether two rows have the same first ``n`` values."""
    same = True
    for i in range(n):
        same = same and values[one, i] == values[other, i]
    return same


@inlined
def find_arterial_signals(arrays: Scratch, extent: Extent) -> None:
    """Write the arterial signal of each piece, its sums, and whether it is worth trying."""
    delays, edges, reached, sums = arrays.delays, arrays.edges, arrays.reached, arrays.sums
    n = extent.delays
    for j in range(extent.last):
        tried = reach(delays, n, edges[j], edges[j + 1], reached, j)
        hh = hy = 0.0
        for i in range(n):
            hh += delays[WEIGHT, i] * reached[j, i] * reached[j, i]
            hy += delays[WEIGHT, i] * reached[j, i] * delays[SIGNAL, i]
        sums[HH, j], sums[HY, j] = hh, hy
        if j > 0 and tried and sums[TRIED, j - 1] > 0:
            # The same delays as one piece earlier explain no more.
            tried = not same_rows(reached, j, j - 1, n)
        sums[TRIED, j] = 1.0 if tried else 0.0
