"""CBF maps of a scan at one place: the mean over its repeats, or the fit over its delays."""

from dataclasses import dataclass

import numpy as np

from pharmasl.perfusion import multidelay, nuisance, robust_average, scan, subtraction

# Least share of the repeats used that must reach a voxel.
LEAST_REPEATS = 0.5
# Least share of the bolus that must have arrived by the last delay, at the longest arterial transit time considered: CBF of
# less is noise enlarged more than threefold.
LEAST_ARRIVED = 1 / 3
# Mean of the arterial transit time's prior, seconds: BASIL's (Chappell et al. 2009), for continuous and pulsed labelling.
TRANSIT = {"continuous": 1.3, "pulsed": 0.7}
# By Akaike's criterion, what two more parameters must gain.
ARTERIAL_GAIN = 4.0
AVERAGES = {
    "mean": "mean",
    "robust": "robust mean (Tukey's bisquare, weights of at most 1)",
    "scrub": "robust mean with a prior from the tissues (SCRUB; Dolui et al. 2016)",
}


@dataclass(frozen=True)
class Estimate:
    """CBF in the voxels of a place's mask; NaN where it is not known. Arrays of shape (V,) unless told.

    Attributes
    ----------
    cbf : ndarray
        mL/100 g/min.
    error : ndarray
        Its standard error.
    covered : ndarray of bool
        Where CBF is known.
    att : ndarray or None
        Arterial transit time, seconds; None for a single delay.
    abv : ndarray or None
        Arterial blood volume, as a share of the voxel; None without the arterial term.
    weight : ndarray of shape (N,)
        Mean weight of each repeat, 0 where it is left out.
    """

    cbf: np.ndarray
    error: np.ndarray
    covered: np.ndarray
    att: np.ndarray | None
    abv: np.ndarray | None
    weight: np.ndarray


def repeats(found, place):
    """Each repeat's CBF at a place, and its difference as a share of M0.

    For a series of several delays CBF is the apparent one: that of each delay by itself, as if its label had wholly
    arrived.

    Parameters
    ----------
    found : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place

    Returns
    -------
    cbf : ndarray of shape (V, N), float32
        mL/100 g/min.
    factor : ndarray of shape (V, N) or (1, N), float64
        CBF over deltaM / M0; 1 for a series that the scanner quantified.
    """
    differences = scan.differences_at(found, place)
    if found.timing is None:
        return differences * np.float32(found.unit), np.ones((1, found.repeats.number))
    offset = np.reshape(scan.delays_at(found, place), (-1, 1))
    timing, group = found.timing, found.repeats.group
    decay = timing.delay + offset if timing.fixed is None else np.full((1, len(timing.delay)), timing.fixed)
    # A bolus that nothing cuts off lasts until the readout.
    duration = np.where(np.isfinite(timing.duration), timing.duration, timing.delay)
    factor = found.constants.factor(decay, duration)[:, group]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (differences * (factor / scan.m0_at(found, place))).astype(np.float32), factor


def estimate(found, place, cbf, factor, kept, tissue, positions, settings):
    """The maps of a scan from its repeats.

    Parameters
    ----------
    found : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
    cbf, factor
        Of :func:`repeats`.
    kept : ndarray of bool, shape (N,)
        The repeats to use.
    tissue : tuple of 3 ndarray of shape (V,)
        Shares of grey matter, white matter and fluid.
    positions : ndarray of shape (T, 6)
        Where the head is in each volume: :func:`pharmasl.perfusion.motion.parameters`.
    settings : dict
        ``perfusion`` of the configuration.

    Returns
    -------
    Estimate
    regression : dict or None
        What :func:`pharmasl.perfusion.nuisance.regress` tells; None where it was not asked for.
    """
    several = found.timing is not None and found.timing.several
    regression = None
    if settings["motion"]["regress"]:
        if several or found.of.kind != "pairs":
            regression = {"applied": False, "reason": "several delays" if several else "no pairs of volumes"}
        else:
            cbf, regression = nuisance.regress(cbf, positions, found.repeats.pairs, kept)
    average = settings["outliers"]["average"]
    if several:
        return _fit(found, place, cbf, factor, kept, average, settings["delays"]), regression
    mean, error, weight, count = _average(cbf, found.repeats.weights, kept, average, tissue)
    if regression and regression["applied"]:
        error = error * np.sqrt(regression["variance_factor"])
    covered = (count >= max(1, LEAST_REPEATS * kept.sum())) & np.isfinite(mean)
    mean, error = (np.where(covered, values, np.nan) for values in (mean, error))
    return Estimate(mean, error, covered, None, None, weight), regression


def _average(cbf, weights, kept, average, tissue):
    """Mean over the repeats kept, its standard error, the repeats' weights, and how many reach each voxel."""
    values = cbf[:, kept]
    here = np.isfinite(values)
    count = here.sum(axis=1)
    if average != "mean":
        prior = robust_average.tissue_prior(cbf, kept, *tissue) if average == "scrub" else None
        return *robust_average.mean(cbf, kept, prior=prior), count
    total = np.where(here, values, 0).sum(axis=1, dtype=np.float64)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    squares = (np.where(here, values - mean[:, None], 0) ** 2).sum(axis=1)
    # One repeat has no standard deviation.
    spread = np.where(count > 1, squares / np.maximum(count - 1, 1) / np.maximum(count, 1), np.nan)
    return mean, np.sqrt(spread * subtraction.shared_noise(weights[kept])), kept.astype(float), count


def _fit(found, place, cbf, factor, kept, average, settings):
    """Several delays: the mean of each, then the kinetic model."""
    timing, group = found.timing, found.repeats.group
    relative = np.full((len(cbf), len(timing.delay)), np.nan)
    count = np.zeros(relative.shape)
    weight = np.zeros(len(kept))
    squares, degrees = np.zeros(len(cbf)), np.zeros(len(cbf))
    quotient = cbf / factor
    for number in range(len(timing.delay)):
        members = kept & (group == number)
        values = quotient[:, members]
        here = np.isfinite(values)
        count[:, number] = here.sum(axis=1)
        if average == "mean" or members.sum() < 2:
            total = np.where(here, values, 0).sum(axis=1)
            relative[:, number] = np.where(count[:, number] > 0, total / np.maximum(count[:, number], 1), np.nan)
            weight[members] = 1
        else:
            # Each delay has its own perfusion, so no one prior holds for all.
            relative[:, number], _, weights = robust_average.mean(quotient, members)
            weight[members] = weights[members]
        squares += (np.where(here, values - relative[:, [number]], 0) ** 2).sum(axis=1)
        degrees += np.maximum(count[:, number] - 1, 0)
        count[count[:, number] < LEAST_REPEATS * members.sum(), number] = 0
    constants = found.constants
    kind = "pulsed" if constants.pulsed else "continuous"
    offset = np.reshape(scan.delays_at(found, place), (-1, 1))
    beside = {"weights": count, "att_bounds": (0.0, min(settings["longest_transit"], longest_transit(timing, kind)))}
    # A series of one repeat a delay has only its residuals to tell the noise: nothing to weigh a prior by.
    known = degrees > 0
    if known.any():
        noise = np.sqrt(squares / np.maximum(degrees, 1))
        beside["noise"] = np.where(known & (noise > 0), noise, max(np.median(noise[known]), np.finfo(float).tiny))
        if settings["transit_sd"] is not None:
            beside["att_prior"] = (TRANSIT[kind], settings["transit_sd"])
        if settings["arterial"]:
            beside["arterial_gain"] = ARTERIAL_GAIN
    fit = multidelay.fit(
        relative,
        np.broadcast_to(timing.delay + offset, relative.shape),
        kind=kind,
        bolus=timing.duration,
        labeling_efficiency=constants.labeling_efficiency,
        t1_blood=constants.t1_blood,
        partition_coefficient=constants.partition_coefficient,
        arterial=settings["arterial"],
        **beside,
    )
    return Estimate(fit.cbf, fit.cbf_error, np.isfinite(fit.cbf), fit.att, fit.abv, weight)


def longest_transit(timing, kind):
    """The longest arterial transit time that a series can tell CBF at, seconds: see :data:`LEAST_ARRIVED`."""
    pulsed = kind == "pulsed"
    bolus = np.minimum(timing.duration, timing.delay) if pulsed else timing.duration
    end = timing.delay if pulsed else timing.delay + bolus
    return float((end - LEAST_ARRIVED * bolus).max())
