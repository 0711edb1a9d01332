"""The multi-delay fit of all voxels, compiled: each voxel's data, its best candidate, and what that is reported as."""

import math
from typing import NamedTuple

import numpy as np

from pharmasl.perfusion.kinetic_pieces import (
    ABSENT,
    CHANGE,
    INTERCEPT,
    SAME,
    SIGNAL,
    SLOPE,
    UNIT,
    WEIGHT,
    Decay,
    compiled,
    describe,
    find_arterial_signals,
    find_edges,
    inlined,
    linear,
    reach,
    same_rows,
    scratch,
    to_att,
    to_z,
)
from pharmasl.perfusion.kinetic_search import (
    ARTERIES_ALONE,
    AT_END,
    AT_START,
    COLLINEAR,
    SEARCHED,
    STEPS,
    Beliefs,
    best_of_tissue,
    best_with_arteries,
    costs_of,
)

# Columns of the result.
CBF, ATT, CBF_ERROR, ATT_ERROR, ABV, ABAT, RESIDUAL = range(7)


class Data(NamedTuple):
    """The data of all voxels; float64, delays and weights with one row where all voxels share it.

    Attributes
    ----------
    relative : ndarray of shape (V, P)
        DeltaM / M0.
    delays, weights : ndarray of shape (V, P) or (1, P)
        Seconds; number of repeats.
    bolus : ndarray of shape (P,)
        Seconds.
    noise : ndarray of shape (V,)
        Standard deviation of one repeat, NaN where unknown.
    t1_tissue : ndarray of shape (V,) or (1,)
        T1 with which label in tissue decays, seconds; NaN where unknown.
    transit_time : ndarray of shape (V,) or (1,)
        Mean of ATT's prior, seconds; NaN where unknown.
    scale : float
        The CBF at which the modelled deltaM equals M0, mL/100 g/min per unit of the model.
    """

    relative: np.ndarray
    delays: np.ndarray
    weights: np.ndarray
    bolus: np.ndarray
    noise: np.ndarray
    t1_tissue: np.ndarray
    transit_time: np.ndarray
    scale: float


class Solution(NamedTuple):
    """A voxel's best candidate as an estimate, and its sums: g the tissue's signal at a CBF of one, h that of arteries."""

    cbf: float
    volume: float
    att: float
    arriving: bool
    gg: float
    hg: float
    hh: float
    squares: float


@compiled
def fit_voxels(
    data: Data, continuous: bool, t1_blood: float, shared: Beliefs, with_arteries: bool, out: np.ndarray
) -> None:
    """Fit each voxel and write its row of ``out`` (V, 7); rows keep their values where delays are too few or a T1 or prior unknown.

    ``shared`` are the beliefs of all voxels, but for the prior's mean.
    """
    count = data.relative.shape[1]
    parameters = 4 if with_arteries else 2
    # The last row of arterial signals is scratch for comparisons with the others.
    arrays, grid = scratch(count), np.empty((2, STEPS + 1))
    for v in range(data.relative.shape[0]):
        decay, beliefs = _own(data, v, continuous, t1_blood, shared)
        if math.isnan(decay.t1_tissue + beliefs.mean):
            continue
        n, total = _read(data, v, decay, arrays.delays)
        if n < parameters:
            continue
        noise = data.noise[v] * data.scale
        costs = costs_of(noise, beliefs, total)
        if math.isnan(costs.pull + costs.arteries):
            continue
        extent = find_edges(arrays.delays, n, beliefs.least, beliefs.most, arrays.edges)
        best = best_of_tissue(arrays, extent, decay, beliefs, costs, grid)
        if with_arteries:
            find_arterial_signals(arrays, extent)
            best = best_with_arteries(arrays, extent, decay, beliefs, costs, grid, best)
        if best.piece < 0:
            continue
        solution = _solve(arrays, n, best, decay, beliefs.most)
        _write(arrays.delays, n, solution, data.scale, with_arteries, out[v])
        if best.arteries >= 0:
            _write_arteries(arrays, extent, best.arteries, solution, decay, out[v])
        if best.end == ARTERIES_ALONE:
            continue
        if math.isnan(noise) and n > parameters:
            noise = math.sqrt(solution.squares / (n - parameters))
        _write_errors(arrays, n, best.arteries, solution, noise, beliefs, costs.pull, out[v])


@inlined
def _own(data, v, continuous, t1_blood, shared):
    """How label decays in a voxel, and what is believed of it."""
    t1 = data.t1_tissue[v if len(data.t1_tissue) > 1 else 0]
    mean = data.transit_time[v if len(data.transit_time) > 1 else 0]
    rate = 0.0 if t1 == t1_blood else 1 / t1 - 1 / t1_blood
    beliefs = Beliefs(shared.least, shared.most, mean, shared.deviation, shared.arterial_gain)
    return Decay(continuous, t1_blood, t1, rate), beliefs


@inlined
def _read(data, v, decay, delays):
    """Read the delays that a voxel has; return their number and the weighted sum of squares."""
    row = v if data.delays.shape[0] > 1 else 0
    weight_row = v if data.weights.shape[0] > 1 else 0
    n = 0
    total = 0.0
    for i in range(data.relative.shape[1]):
        weight, relative = data.weights[weight_row, i], data.relative[v, i]
        if weight > 0 and math.isfinite(relative):
            signal = relative * data.scale
            delays[SIGNAL, n], delays[WEIGHT, n] = signal, weight
            describe(delays, n, data.delays[row, i], data.bolus[i], decay)
            total += weight * signal * signal
            n += 1
    return n, total


@inlined
def _solve(arrays, n, best, decay, longest):
    """The estimate of the best candidate; writes the signal at a CBF of one, and its derivative by ATT, into the delays."""
    delays, reached = arrays.delays, arrays.reached
    low, high = arrays.edges[best.piece], arrays.edges[best.piece + 1]
    z0 = to_z(low, decay)
    arriving = linear(delays, n, low, high, z0)
    shift = best.shift
    if best.end == SEARCHED:
        att = best.att
        shift = to_z(att, decay) - z0
    elif best.end == AT_END:
        att = high
    elif best.end == AT_START:
        att = low if best.arteries < 0 else low + SAME / 2
    else:
        att = min(max(to_att(z0 + shift, decay), low), high)
    rate, t1 = decay.rate, decay.t1_tissue
    dz = -math.exp(-att / t1) / t1 if decay.continuous else -math.exp(-rate * att)
    growth = math.exp(rate * att)
    gg = gy = hg = hh = hy = 0.0
    for i in range(n):
        weight, y = delays[WEIGHT, i], delays[SIGNAL, i]
        g = growth * (delays[INTERCEPT, i] + delays[SLOPE, i] * shift)
        delays[UNIT, i] = g
        delays[CHANGE, i] = rate * g + growth * delays[SLOPE, i] * dz
        gg += weight * g * g
        gy += weight * g * y
        if best.arteries >= 0:
            h = reached[best.arteries, i]
            hg += weight * h * g
            hh += weight * h * h
            hy += weight * h * y
    if best.end == ARTERIES_ALONE:
        cbf, volume, att = 0.0, hy / hh, longest
    elif best.arteries >= 0:
        cbf = (gy - hg * hy / hh) / (gg - hg * hg / hh)
        volume = (hy - cbf * hg) / hh
    else:
        cbf, volume = gy / gg, 0.0
    squares = 0.0
    for i in range(n):
        arterial = volume * reached[best.arteries, i] if best.arteries >= 0 else 0.0
        left = delays[SIGNAL, i] - cbf * delays[UNIT, i] - arterial
        squares += delays[WEIGHT, i] * left * left
    return Solution(cbf, volume, att, arriving, gg, hg, hh, squares)


@inlined
def _write(delays, n, solution, scale, with_arteries, out):
    """Write what is known without arteries: CBF, ATT where there is perfusion, and the residual."""
    repeats = 0.0
    for i in range(n):
        repeats += delays[WEIGHT, i]
    out[CBF] = solution.cbf
    out[RESIDUAL] = math.sqrt(solution.squares / repeats) / scale
    if solution.cbf > 0:
        out[ATT] = solution.att
    if with_arteries:
        out[ABV] = 0.0


@inlined
def _write_arteries(arrays, extent, number, solution, decay, out):
    """Write the arterial blood volume and the middle of the interval in which label reaches arteries."""
    edges = arrays.edges
    lower, upper = number, number + 1
    # Pieces that reach the same delays are one interval.
    while lower > 0 and _same_delays(arrays, extent.delays, lower - 1, number):
        lower -= 1
    while upper < extent.last and _same_delays(arrays, extent.delays, upper, number):
        upper += 1
    abat = (edges[lower] + min(edges[upper], solution.att)) / 2
    out[ABAT] = abat
    out[ABV] = solution.volume * math.exp(abat / decay.t1_blood) if decay.continuous else solution.volume


@inlined
def _same_delays(arrays, n, one, other):
    """Whether label that reaches arteries in either of two pieces gives the same signal, and any."""
    edges, reached = arrays.edges, arrays.reached
    some = reach(arrays.delays, n, edges[one], edges[one + 1], reached, len(reached) - 1)
    return some and same_rows(reached, len(reached) - 1, other, n)


@inlined
def _write_errors(arrays, n, number, solution, noise, beliefs, pull, out):
    """Write the standard errors, from the curvature of the sum of squares and of the prior."""
    delays, reached = arrays.delays, arrays.reached
    cbf, att, gg = solution.cbf, solution.att, solution.gg
    gs = ss = hs = 0.0
    only, several = -1.0, False
    for i in range(n):
        weight, absent, change = delays[WEIGHT, i], delays[ABSENT, i], delays[CHANGE, i]
        if absent > att + SAME:
            several = several or (only >= 0 and abs(absent - only) > SAME)
            only = absent
        gs += weight * delays[UNIT, i] * change
        ss += weight * change * change
        if number >= 0:
            hs += weight * reached[number, i] * change
    full_ss = ss
    if number >= 0:
        gg -= solution.hg * solution.hg / solution.hh
        gs -= solution.hg * hs / solution.hh
        ss -= hs * hs / solution.hh
    if not solution.arriving or att <= beliefs.least or att >= beliefs.most or ss <= COLLINEAR * full_ss:
        out[CBF_ERROR] = noise / math.sqrt(gg)
    elif pull > 0:
        out[CBF_ERROR] = noise / math.sqrt(gg - (cbf * gs) ** 2 / (cbf * cbf * ss + pull))
        if cbf > 0:
            out[ATT_ERROR] = noise / math.sqrt(cbf * cbf * (ss - gs * gs / gg) + pull)
    elif several and gg * ss - gs * gs > COLLINEAR * gg * ss:
        # What the data say of each of the two beyond the other; the derivative by ATT is CBF times the change.
        out[CBF_ERROR] = noise / math.sqrt(gg - gs * gs / ss)
        if cbf > 0:
            out[ATT_ERROR] = noise / (cbf * math.sqrt(ss - gs * gs / gg))
