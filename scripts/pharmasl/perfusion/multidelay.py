"""CBF and arterial transit time of a scan with several delays or labelling durations, voxel by voxel, by least squares.

Between two of the transit times at which some delay changes sides (its label has not arrived, arrives, has wholly arrived),
the general kinetic model (:mod:`pharmasl.perfusion.kinetics`) is CBF * exp(k ATT) * (a + b z): vectors a and b over delays
that do not depend on ATT, z an increasing function of -ATT, k = 1 / T1 of tissue - 1 / T1 of blood. Its residual sum of
squares, profiled over CBF, then has one minimum, in closed form. The least over all such pieces and their ends is the least
of all: no starting values (so the weighted delay is not needed for one), no iterations, no local minima.

At the noise of a single voxel the least sum of squares is often that of a late arrival with a CBF far too high. A normal
prior of ATT, as Bayesian programs have it, keeps those from maps and means at the price of a pull towards its mean where
data say little. With it a piece is searched: those that cannot hold the best value are passed over by their closed form.

The arterial term (Woods et al. 2024, doi 10.1002/mrm.30091) is a boxcar in time. Which delays it reaches changes only at
the same times, so that the reachable sets of delays are few; each is tried with each piece above. Label in arteries alone
looks much like tissue from which label has gone, so that neither its volume nor, beside it, CBF may be negative: on real
scans of six delays every other voxel would otherwise have a large volume less a large CBF.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from pharmasl.errors import InputError
from pharmasl.perfusion.kinetics import PER_MINUTE_AND_100_G

# Seconds. Times closer than this (0.3 + 0.7 and 1.0) are one; far below what any scanner resolves.
SAME = 1e-8
# A later candidate must explain this share of the data more than an earlier one, beyond rounding.
MARGIN = 1e-13
# Squared sine of the angle between two model vectors below which data cannot tell them apart.
COLLINEAR = 1e-12

# A piece is searched on a grid of so many steps, then by golden section about each of its maxima.
STEPS = 8
GOLDEN = (math.sqrt(5) - 1) / 2

SERIES = "multi-delay series"


@dataclass(frozen=True)
class Fit:
    """What :func:`fit` finds in each voxel; float64 arrays of shape (V,), NaN where not known.

    Attributes
    ----------
    cbf : ndarray
        mL/100 g/min. May be negative: cut at zero, noise would raise the mean of regions and groups. It is not beside
        label in arteries: a voxel of that alone has a CBF of 0, and NaN for its error.
    att : ndarray
        Arterial transit time, seconds. NaN where CBF is not above zero: no label, no time at which it arrives. Where all
        label has arrived before the first delay, ATT is only known to be at most that delay and reported as that delay.
    cbf_error, att_error : ndarray
        Standard errors, from the curvature of the sum of squares (with a prior, standard deviations from that of the
        posterior). ``att_error`` is NaN where ATT lies on a bound or before the first delay, or where the arterial term
        takes all that tells it; there ``cbf_error`` is that for a known ATT. Without a prior both are NaN where only one
        delay bears signal, so that a later arrival with a higher CBF explains it as well (the earliest is reported).
    abv : ndarray or None
        Arterial blood volume, fraction of the voxel; 0 where no arterial term improves the fit (enough).
    abat : ndarray or None
        Arrival in arteries, seconds; NaN where ``abv`` is 0. Data tell only an interval, the middle of which is
        reported, or of its part before ATT; under continuous labelling ``abv`` is scaled by exp(abat / T1 of blood) and is
        as uncertain as that.
    residual : ndarray
        Weighted root mean square of residuals, in the units of the data.
    """

    cbf: np.ndarray
    att: np.ndarray
    cbf_error: np.ndarray
    att_error: np.ndarray
    abv: np.ndarray | None
    abat: np.ndarray | None
    residual: np.ndarray


def fit(
    relative,
    delays,
    *,
    kind,
    bolus,
    labeling_efficiency,
    t1_blood,
    partition_coefficient,
    t1_tissue=None,
    arterial=False,
    weights=None,
    noise=None,
    att_bounds=(0.0, 3.0),
    att_prior=None,
    arterial_gain=0.0,
):
    """The least-squares CBF and ATT of each voxel, exact to rounding, and the arterial term if wanted.

    Parameters
    ----------
    relative : ndarray of shape (V, P)
        DeltaM / M0, averaged over repeats of each delay. Values that are not finite count as not there.
    delays : ndarray of shape (P,) or (V, P)
        Post-labelling delays (continuous) or inversion times (pulsed), seconds; voxelwise with slice timing.
    kind : str
        ``"continuous"`` or ``"pulsed"``.
    bolus : float or ndarray of shape (P,)
        Labelling duration, or bolus duration (infinite without a cut-off), seconds.
    labeling_efficiency : float
        0 to 1, with the loss by background suppression.
    t1_blood : float
        Seconds.
    partition_coefficient : float
        mL/g
    t1_tissue : float, optional
        Seconds; the default is ``t1_blood`` (Woods 2024).
    arterial : bool
        Whether to fit label in arteries besides.
    weights : ndarray of shape (P,) or (V, P), optional
        Number of repeats in each average; 0 is not there. The default is 1.
    noise : ndarray of shape (V,), optional
        Standard deviation of one repeat. The default, for standard errors, is what residuals imply: NaN if there are as
        many parameters as delays.
    att_bounds : (float, float)
        Least and largest ATT, seconds.
    att_prior : (float, float), optional
        Mean and standard deviation of a normal prior of ATT, seconds; asks for ``noise``. CBF and ATT are then those of
        the greatest posterior density, within 1e-7 s, CBF having none, and errors its curvature. The default is none.
    arterial_gain : float
        By how much label in arteries must lower the sum of squares in units of ``noise`` squared, or it is left out:
        two more parameters lower any. Akaike's criterion is 4. Above 0 it asks for ``noise``.

    Returns
    -------
    Fit
        NaN where fewer delays are there than parameters: two, or four with the arterial term; with a prior or a gain, where
        ``noise`` is NaN besides.

    Raises
    ------
    InputError
        If there are fewer delays than parameters, shapes do not match, or a value makes no sense.
    """
    relative, delays, bolus, weights = _checked(relative, delays, kind, bolus, weights, 4 if arterial else 2)
    t1_tissue = t1_blood if t1_tissue is None else t1_tissue
    _positive(labeling_efficiency, "LabelingEfficiency", 1)
    _positive(t1_blood, "T1 of blood")
    _positive(t1_tissue, "T1 of tissue")
    _positive(partition_coefficient, "blood-brain partition coefficient")
    least, most = _bounds(att_bounds)
    mean, deviation = (0.0, math.inf) if att_prior is None else (float(value) for value in att_prior)
    if att_prior is not None and not (math.isfinite(mean) and 0 < deviation < math.inf):
        raise InputError(
            SERIES, "prior of ATT", att_prior, "a mean and a standard deviation above 0", "Correct the prior."
        )
    if not 0 <= arterial_gain < math.inf:
        raise InputError(SERIES, "gain by label in arteries", arterial_gain, "a number from 0", "Correct the call.")
    if (att_prior is not None or arterial_gain > 0) and noise is None:
        raise InputError(SERIES, "noise", None, "the noise of each voxel, to weigh data against beliefs", "Give it.")
    if noise is None:
        noise = np.full(len(relative), np.nan)
    noise = np.require(noise, dtype=np.float64, requirements=("C", "W"))
    if noise.shape != (len(relative),):
        raise InputError(SERIES, "noise", noise.shape, f"shape ({len(relative)},)", "Give one value a voxel.")
    # CBF of one for which the model below is one.
    scale = PER_MINUTE_AND_100_G * partition_coefficient / (2 * labeling_efficiency)
    out = np.full((len(relative), 7), np.nan)
    _fit(
        relative,
        delays,
        bolus,
        weights,
        noise,
        kind == "continuous",
        float(t1_blood),
        float(t1_tissue),
        bool(arterial),
        least,
        most,
        mean,
        deviation,
        float(arterial_gain),
        scale,
        out,
    )
    out[:, 4] /= PER_MINUTE_AND_100_G
    cbf, att, cbf_error, att_error, abv, abat, residual = np.ascontiguousarray(out.T)
    if not arterial:
        abv = abat = None
    return Fit(cbf, att, cbf_error, att_error, abv, abat, residual)


def _positive(value, field, most=math.inf):
    if not 0 < value <= most or math.isinf(value):
        limit = "a number above 0" if math.isinf(most) else f"a number above 0 and at most {most:g}"
        raise InputError(SERIES, field, value, limit, "Correct the acquisition parameters.")


def _bounds(given):
    least, most = (float(bound) for bound in given)
    if not 0 <= least < most < math.inf:
        raise InputError(SERIES, "bounds of ATT", given, "0 <= least < largest, in seconds", "Correct the bounds.")
    return least, most


def _checked(relative, delays, kind, bolus, weights, parameters):
    """The arrays as the compiled code takes them: two-dimensional, float64, one row where all voxels share it."""
    # A read-only array would have the code below compiled for itself.
    relative = np.require(relative, dtype=np.float64, requirements=("C", "W"))
    if relative.ndim != 2 or relative.shape[1] < parameters:
        raise InputError(
            SERIES,
            "delays",
            relative.shape,
            f"(voxels, delays) with at least {parameters} delays, as many as parameters",
            "Use the single-delay formula, or leave out the arterial term.",
        )
    voxels, count = relative.shape
    if kind not in ("continuous", "pulsed"):
        raise InputError(SERIES, "kind", kind, "continuous or pulsed", "Correct the call.")
    weights = np.ones(count) if weights is None else weights
    shared = []
    for name, values in (("PostLabelingDelay", delays), ("weights", weights)):
        values = np.atleast_2d(np.require(values, dtype=np.float64, requirements=("C", "W")))
        if values.shape not in ((1, count), (voxels, count)):
            expected = f"({count},) or ({voxels}, {count})"
            raise InputError(SERIES, name, values.shape, expected, "Give one value a delay.")
        if (values < 0).any() or not np.isfinite(values).all():
            raise InputError(SERIES, name, "a negative or missing value", "numbers from 0", "Correct the sidecar.")
        shared.append(values)
    bolus = np.asarray(bolus, dtype=np.float64)
    if bolus.shape not in ((), (1,), (count,)):
        raise InputError(SERIES, "bolus", bolus.shape, f"one number, or {count}", "Give one value a delay.")
    if not (bolus > 0).all() or (kind == "continuous" and np.isinf(bolus).any()):
        raise InputError(SERIES, "bolus", bolus.tolist(), "durations above 0 in seconds", "Correct the sidecar.")
    return relative, shared[0], np.full(count, bolus), shared[1]


@njit(cache=True, nogil=True)
def _grown(rate, time):
    """The integral of exp(rate * s) over s from 0 to ``time``."""
    product = rate * time
    if abs(product) < 1e-9:
        return time * (1 + product / 2)
    return math.expm1(product) / rate


@njit(cache=True, nogil=True)
def _to_z(att, continuous, t1, k):
    return math.exp(-att / t1) if continuous else -_grown(-k, att)


@njit(cache=True, nogil=True)
def _to_att(z, continuous, t1, k):
    if continuous:
        return -t1 * math.log(z)
    if abs(k * z) < 1e-9:
        return -z * (1 - k * z / 2)
    return -math.log1p(k * z) / k


@njit(cache=True, nogil=True)
def _describe(delay, bolus, continuous, t1_blood, t1, k, model):
    """One delay: ATT before which its label has all arrived, ATT from which none has; its signal at a CBF of one, by
    exp(k ATT): all arrived, and as intercept and slope over z while it arrives."""
    if continuous:
        model[0] = delay
        model[1] = delay + bolus
        model[2] = t1 * math.exp(-delay / t1) * -math.expm1(-bolus / t1)
        model[3] = -t1 * math.exp(-(delay + bolus) / t1)
        model[4] = t1
    else:
        decay = math.exp(-delay / t1)
        model[0] = delay - bolus
        model[1] = delay
        model[2] = 0.0 if math.isinf(bolus) else decay * _grown(k, bolus)
        model[3] = decay * _grown(k, delay)
        model[4] = math.exp(-delay / t1_blood)


@njit(cache=True, nogil=True)
def _pieces(model, n, least, most, edges):
    """The times in [0, most] at which some delay changes sides, ascending, with ``least``; returns their number."""
    edges[0], edges[1], edges[2] = 0.0, least, most
    count = 3
    for i in range(n):
        for j in range(2):
            if 0 < model[i, j] < most:
                edges[count] = model[i, j]
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
    return kept


@njit(cache=True, nogil=True)
def _linear(model, n, low, high, z0, a, b):
    """Signal of each delay for ATT in [low, high] as a + b * (z - z0); returns whether some delay's label is arriving."""
    middle = (low + high) / 2
    arriving = False
    for i in range(n):
        if model[i, 1] <= middle:
            a[i] = b[i] = 0.0
        elif model[i, 0] >= middle:
            a[i] = model[i, 2]
            b[i] = 0.0
        else:
            a[i] = model[i, 3] + model[i, 4] * z0
            b[i] = model[i, 4]
            arriving = True
    return arriving


@njit(cache=True, nogil=True)
def _reached(model, n, low, high, h, out):
    """The arterial signal of each delay for an arrival in (low, high); returns whether there is any."""
    middle = (low + high) / 2
    some = False
    for i in range(n):
        out[i] = h[i] if model[i, 0] < middle < model[i, 1] else 0.0
        some = some or out[i] > 0
    return some


@njit(cache=True, nogil=True)
def _equal(one, two, n):
    return np.all(one[:n] == two[:n])


@njit(cache=True, nogil=True)
def _posterior(att, z0, continuous, t1, k, pull, mean, sums):
    """What the model explains of the sum of squares at an ATT, with no arterial blood volume below zero, less the prior."""
    d = _to_z(att, continuous, t1, k) - z0
    norm = sums[2] + 2 * sums[3] * d + sums[4] * d * d
    if norm <= 0:
        return -np.inf
    product = sums[0] + sums[1] * d
    explained = product * product / norm
    hh, hy = sums[5], sums[6]
    if hh > 0:
        shared = sums[7] + sums[8] * d
        left = norm - shared * shared / hh
        if left > COLLINEAR * norm:
            product -= shared * hy / hh
            u = product / left
            if hy > 0 and u <= 0:
                explained = hy * hy / hh
            elif hy - u * shared > 0:
                explained = hy * hy / hh + u * product
    return explained - pull * (att - mean) ** 2


@njit(cache=True, nogil=True)
def _search(start, stop, z0, continuous, t1, k, pull, mean, sums, points, values):
    """The ATT in [start, stop] of the greatest posterior density, and that density's value."""
    best = 0
    for number in range(STEPS + 1):
        points[number] = stop if number == STEPS else start + (stop - start) / STEPS * number
        values[number] = _posterior(points[number], z0, continuous, t1, k, pull, mean, sums)
        if values[number] > values[best]:
            best = number
    at, value = points[best], values[best]
    for number in range(STEPS + 1):
        before, after = max(number - 1, 0), min(number + 1, STEPS)
        if values[number] < values[before] or values[number] < values[after]:
            continue
        x0, x3 = points[before], points[after]
        x1, x2 = x3 - GOLDEN * (x3 - x0), x0 + GOLDEN * (x3 - x0)
        f1 = _posterior(x1, z0, continuous, t1, k, pull, mean, sums)
        f2 = _posterior(x2, z0, continuous, t1, k, pull, mean, sums)
        while x3 - x0 > SAME:
            if f1 >= f2:
                x3, x2, f2 = x2, x1, f1
                x1 = x3 - GOLDEN * (x3 - x0)
                f1 = _posterior(x1, z0, continuous, t1, k, pull, mean, sums)
            else:
                x0, x1, f1 = x1, x2, f2
                x2 = x0 + GOLDEN * (x3 - x0)
                f2 = _posterior(x2, z0, continuous, t1, k, pull, mean, sums)
        if f1 > value:
            at, value = x1, f1
        if f2 > value:
            at, value = x2, f2
    return at, value


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(
    relative,
    delays,
    bolus,
    weights,
    noise,
    continuous,
    t1_blood,
    t1,
    arterial,
    least,
    most,
    mean,
    spread,
    gain,
    scale,
    out,
):
    columns = relative.shape[1]
    k = 0.0 if t1 == t1_blood else 1 / t1 - 1 / t1_blood
    parameters = 4 if arterial else 2
    model, h = np.empty((columns, 5)), np.empty(columns)
    y, w, a, b, g = np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns)
    slope = np.empty(columns)
    edges = np.empty(2 * columns + 3)
    arteries = np.empty((2 * columns + 3, columns))
    arterial_sums = np.empty((2 * columns + 3, 2))
    some = np.zeros(2 * columns + 3, dtype=np.bool_)
    other = np.empty(columns)
    points, values, sums = np.empty(STEPS + 1), np.empty(STEPS + 1), np.empty(9)
    for v in range(relative.shape[0]):
        row, weight_row = (v if delays.shape[0] > 1 else 0), (v if weights.shape[0] > 1 else 0)
        n = 0
        total = 0.0
        for i in range(columns):
            if weights[weight_row, i] > 0 and math.isfinite(relative[v, i]):
                y[n], w[n] = relative[v, i] * scale, weights[weight_row, i]
                _describe(delays[row, i], bolus[i], continuous, t1_blood, t1, k, model[n])
                h[n] = 1.0 if continuous else math.exp(-delays[row, i] / t1_blood)
                total += w[n] * y[n] * y[n]
                n += 1
        if n < parameters:
            continue
        last = _pieces(model, n, least, most, edges) - 1
        first = 0
        while edges[first] < least:
            first += 1

        if arterial:
            for j in range(last):
                some[j] = _reached(model, n, edges[j], edges[j + 1], h, arteries[j])
                hh = hy = 0.0
                for i in range(n):
                    hh += w[i] * arteries[j, i] * arteries[j, i]
                    hy += w[i] * arteries[j, i] * y[i]
                arterial_sums[j, 0], arterial_sums[j, 1] = hh, hy
                if j > 0 and some[j] and some[j - 1]:
                    # The same delays as one piece earlier explain no more.
                    some[j] = not _equal(arteries[j], arteries[j - 1], n)

        deviation = noise[v] * scale
        # What a second of distance from the prior's mean costs, squared: nothing without a prior.
        pull = 0.0 if math.isinf(spread) else (deviation / spread) ** 2
        least_gain = gain * deviation**2 if gain > 0 else 0.0
        if math.isnan(pull + least_gain):
            continue
        best, best_piece, best_d, best_end, best_artery, best_att = -np.inf, -1, 0.0, 0, -1, 0.0
        # The model of tissue alone first: label in arteries must improve on it.
        for with_artery in range(2 if arterial else 1):
            if with_artery == 1:
                for j in range(last):
                    if some[j] and arterial_sums[j, 1] > 0:
                        nearest = min(max(mean, least, edges[j]), most)
                        value = (
                            arterial_sums[j, 1] ** 2 / arterial_sums[j, 0] - pull * (nearest - mean) ** 2 - least_gain
                        )
                        if value > best + MARGIN * total:
                            best, best_piece, best_end, best_artery = value, j, 4, j
            for m in range(first, last):
                z0 = _to_z(edges[m], continuous, t1, k)
                reach = _to_z(edges[m + 1], continuous, t1, k) - z0
                arriving = _linear(model, n, edges[m], edges[m + 1], z0, a, b)
                p0 = q0 = r0 = s0 = t0 = 0.0
                for i in range(n):
                    p0 += w[i] * a[i] * y[i]
                    q0 += w[i] * b[i] * y[i]
                    r0 += w[i] * a[i] * a[i]
                    s0 += w[i] * a[i] * b[i]
                    t0 += w[i] * b[i] * b[i]
                for j in range(-1 if with_artery == 0 else 0, 0 if with_artery == 0 else m + 1):
                    p, q, r, s, t = p0, q0, r0, s0, t0
                    base = ah = bh = hh = hy = 0.0
                    near, start = 0.0, edges[m]
                    if j >= 0:
                        if not some[j]:
                            continue
                        hh, hy = arterial_sums[j, 0], arterial_sums[j, 1]
                        for i in range(n):
                            ah += w[i] * arteries[j, i] * a[i]
                            bh += w[i] * arteries[j, i] * b[i]
                        base = hy * hy / hh
                        p -= ah * hy / hh
                        q -= bh * hy / hh
                        r -= ah * ah / hh
                        s -= ah * bh / hh
                        t -= bh * bh / hh
                        if j == m:
                            # Label reaches arteries after the start of this piece, and tissue no earlier.
                            start += SAME / 2
                            near = _to_z(start, continuous, t1, k) - z0
                    most_explained = -np.inf
                    for end in range(3):
                        if end == 0:
                            # The start of a piece is the end of the one before, unless there is none.
                            if not arriving or (m > first and j != m and pull == 0):
                                continue
                            d = near
                        elif end == 1:
                            curvature = p * t - q * s
                            if not arriving or curvature == 0:
                                continue
                            d = (q * r - p * s) / curvature
                            if not reach < d < near:
                                continue
                        else:
                            d = reach
                        norm = r0 + 2 * s0 * d + t0 * d * d
                        left = r + 2 * s * d + t * d * d
                        if norm <= 0:
                            continue
                        if left <= COLLINEAR * norm:
                            most_explained = np.inf
                            continue
                        u = (p + q * d) / left
                        most_explained = max(most_explained, base + u * (p + q * d))
                        if pull > 0:
                            continue
                        explained = base + u * (p + q * d)
                        if j >= 0:
                            if u <= 0 or hy - u * (ah + bh * d) <= 0:
                                continue
                            explained -= least_gain
                        if explained > best + MARGIN * total:
                            best, best_piece, best_d, best_end, best_artery = explained, m, d, end, j
                    if pull > 0:
                        stop = edges[m + 1]
                        nearest = min(max(mean, start), stop)
                        if j >= 0:
                            most_explained -= least_gain
                        if most_explained - pull * (nearest - mean) ** 2 <= best + MARGIN * total:
                            continue
                        sums[0], sums[1], sums[2], sums[3], sums[4] = p0, q0, r0, s0, t0
                        sums[5], sums[6], sums[7], sums[8] = hh, hy, ah, bh
                        at, value = _search(start, stop, z0, continuous, t1, k, pull, mean, sums, points, values)
                        if j >= 0:
                            value -= least_gain
                        if value > best + MARGIN * total:
                            best, best_piece, best_att, best_end, best_artery = value, m, at, 3, j
        if best_piece < 0:
            continue

        low, high = edges[best_piece], edges[best_piece + 1]
        z0 = _to_z(low, continuous, t1, k)
        arriving = _linear(model, n, low, high, z0, a, b)
        if best_end == 3:
            att = best_att
            best_d = _to_z(att, continuous, t1, k) - z0
        elif best_end == 2:
            att = high
        elif best_end == 0:
            att = low if best_artery < 0 else low + SAME / 2
        else:
            att = min(max(_to_att(z0 + best_d, continuous, t1, k), low), high)
        slope_z = -math.exp(-att / t1) / t1 if continuous else -math.exp(-k * att)
        growth = math.exp(k * att)
        artery = arteries[best_artery]
        gg = gy = hg = hh = hy = 0.0
        for i in range(n):
            g[i] = growth * (a[i] + b[i] * best_d)
            slope[i] = k * g[i] + growth * b[i] * slope_z
            gg += w[i] * g[i] * g[i]
            gy += w[i] * g[i] * y[i]
            if best_artery >= 0:
                hg += w[i] * artery[i] * g[i]
                hh += w[i] * artery[i] * artery[i]
                hy += w[i] * artery[i] * y[i]
        if best_end == 4:
            cbf, volume, att = 0.0, hy / hh, most
        elif best_artery >= 0:
            cbf = (gy - hg * hy / hh) / (gg - hg * hg / hh)
            volume = (hy - cbf * hg) / hh
        else:
            cbf, volume = gy / gg, 0.0
        squares = repeats = 0.0
        for i in range(n):
            left = y[i] - cbf * g[i] - (volume * artery[i] if best_artery >= 0 else 0.0)
            squares += w[i] * left * left
            repeats += w[i]
        out[v, 0] = cbf
        out[v, 6] = math.sqrt(squares / repeats) / scale
        if cbf > 0:
            out[v, 1] = att
        if arterial:
            out[v, 4] = 0.0
        if best_artery >= 0:
            lower, upper = best_artery, best_artery + 1
            # Pieces that reach the same delays are one interval.
            while (
                lower > 0 and _reached(model, n, edges[lower - 1], edges[lower], h, other) and _equal(other, artery, n)
            ):
                lower -= 1
            while (
                upper < last
                and _reached(model, n, edges[upper], edges[upper + 1], h, other)
                and _equal(other, artery, n)
            ):
                upper += 1
            abat = (edges[lower] + min(edges[upper], att)) / 2
            out[v, 5] = abat
            out[v, 4] = volume * math.exp(abat / t1_blood) if continuous else volume

        if best_end == 4:
            continue
        if math.isnan(deviation) and n > parameters:
            deviation = math.sqrt(squares / (n - parameters))
        gs = ss = hs = 0.0
        only, several = -1.0, False
        for i in range(n):
            if model[i, 1] > att + SAME:
                several = several or (only >= 0 and abs(model[i, 1] - only) > SAME)
                only = model[i, 1]
            gs += w[i] * g[i] * slope[i]
            ss += w[i] * slope[i] * slope[i]
            if best_artery >= 0:
                hs += w[i] * artery[i] * slope[i]
        full_ss = ss
        if best_artery >= 0:
            gg -= hg * hg / hh
            gs -= hg * hs / hh
            ss -= hs * hs / hh
        if not arriving or att <= least or att >= most or ss <= COLLINEAR * full_ss:
            out[v, 2] = deviation / math.sqrt(gg)
        elif pull > 0:
            out[v, 2] = deviation / math.sqrt(gg - (cbf * gs) ** 2 / (cbf * cbf * ss + pull))
            if cbf > 0:
                out[v, 3] = deviation / math.sqrt(cbf * cbf * (ss - gs * gs / gg) + pull)
        elif several and gg * ss - gs * gs > COLLINEAR * gg * ss:
            # What each of the two tells beyond the other; the derivative by ATT is CBF times the slope.
            out[v, 2] = deviation / math.sqrt(gg - gs * gs / ss)
            if cbf > 0:
                out[v, 3] = deviation / (cbf * math.sqrt(ss - gs * gs / gg))
