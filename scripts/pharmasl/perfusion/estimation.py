"""CBF maps of a scan at one place: the mean over its repeats, or the fit over its delays."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from pharmasl.perfusion import known_factor, multidelay, nuisance, robust_average, subtraction
from pharmasl.perfusion.scan import Place, Scan, delays_at, differences_at, m0_at
from pharmasl.perfusion.timing import Timing
from pharmasl.study import settings
from pharmasl.study.physiology import LEAST_ARRIVED

# Least share of the repeats used that must reach a voxel.
LEAST_REPEATS = 0.5
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
    """CBF in the voxels of a place's mask; NaN where it is not known. Arrays of shape (V,) unless stated.

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
    prior_sd : float or None
        Standard deviation of the transit time's prior, seconds; None where there was none.
    """

    cbf: np.ndarray
    error: np.ndarray
    covered: np.ndarray
    att: np.ndarray | None
    abv: np.ndarray | None
    weight: np.ndarray
    prior_sd: float | None = None


@dataclass(frozen=True)
class Repeats:
    """CBF of each repeat at a place.

    Attributes
    ----------
    cbf : ndarray of shape (V, N), float32
        mL/100 g/min. For a series of several delays the apparent one: that of each delay by itself, as if its label had
        wholly arrived.
    factor : ndarray of shape (V, N) or (1, N), float64
        CBF over deltaM / M0; 1 for a series that the scanner quantified.
    """

    cbf: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Sample:
    """What decides how a scan's repeats are averaged, apart from the settings.

    Attributes
    ----------
    kept : ndarray of bool, shape (N,)
        The repeats to use.
    tissue : tuple of 3 ndarray of shape (V,)
        Shares of grey matter, white matter and fluid at the place.
    positions : ndarray of shape (T, 6)
        Where the head is in each volume: :func:`pharmasl.perfusion.motion.parameters`.
    """

    kept: np.ndarray
    tissue: tuple[np.ndarray, np.ndarray, np.ndarray]
    positions: np.ndarray


def repeats(raw: Scan, place: Place) -> Repeats:
    """Each repeat's CBF at a place, and its ratio to the difference as a share of M0."""
    differences = differences_at(raw, place)
    if raw.timing is None or raw.constants is None:
        return Repeats(differences * np.float32(raw.unit), np.ones((1, raw.repeats.number)))
    group = raw.repeats.group
    factor, m0 = known_factor.factor(raw, place), m0_at(raw, place)
    with np.errstate(invalid="ignore", divide="ignore"):
        if m0.shape[1] == 1:
            # One ratio for each delay, not for each repeat.
            _multiply(differences, factor / m0, group)
        else:
            _multiply(differences, factor[:, group] / m0, np.arange(len(group)))
    return Repeats(differences, factor[:, group])


def ratio(raw: Scan, place: Place) -> np.ndarray:
    """CBF over deltaM at a place, (V,), of a scan of a single delay; where each repeat has its own M0, by their mean."""
    m0 = m0_at(raw, place)
    known = np.isfinite(m0)
    mean = np.where(known, m0, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    with np.errstate(divide="ignore"):
        return np.where(known.any(axis=1), known_factor.factor(raw, place)[:, 0] / mean, np.nan)


@njit(cache=True, nogil=True)
def _multiply(values, ratio, column):
    """Multiply values (V, N) by the columns of ``ratio`` (V, P) that belong to theirs, in place."""
    for v in range(values.shape[0]):
        for n in range(values.shape[1]):
            values[v, n] *= ratio[v, column[n]]


def estimate(
    raw: Scan, place: Place, measured: Repeats, sample: Sample, quantification: settings.Quantification
) -> tuple[Estimate, nuisance.Regression | None]:
    """The maps of a scan from its repeats.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
    measured : Repeats
        Of :func:`repeats`, at the same place.
    sample : Sample
    quantification : pharmasl.study.settings.Quantification

    Returns
    -------
    Estimate
    regression : pharmasl.perfusion.nuisance.Regression or None
        None where the regression of motion is switched off.
    """
    kept, average, regression = sample.kept, quantification.outliers.average, None
    if quantification.motion.regress:
        if raw.several_delays or raw.volumes.kind != "pairs":
            reason = "several delays" if raw.several_delays else "no pairs of volumes"
            regression = nuisance.not_applied(reason, kept)
        else:
            cbf, regression = nuisance.regress(measured.cbf, sample.positions, raw.repeats.pairs, kept)
            measured = Repeats(cbf, measured.factor)
    if raw.several_delays:
        return fitted(raw, place, measured, kept, quantification), regression
    mean, error, weight, count = _average(measured.cbf, raw.repeats.weights, kept, average, sample.tissue)
    if regression is not None and regression.applied:
        error = error * np.sqrt(regression.variance_factor)
    covered = (count >= max(1, LEAST_REPEATS * kept.sum())) & np.isfinite(mean)
    mean, error = (np.where(covered, values, np.nan) for values in (mean, error))
    return Estimate(mean, error, covered, None, None, weight), regression


def _average(
    cbf: np.ndarray,
    weights: np.ndarray,
    kept: np.ndarray,
    average: str,
    tissue: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the repeats kept, its standard error, the repeats' weights, and how many reach each voxel."""
    if average != "mean":
        prior = robust_average.tissue_prior(cbf, kept, *tissue) if average == "scrub" else None
        return *robust_average.mean(cbf, kept, prior=prior), np.isfinite(cbf[:, kept]).sum(axis=1)
    count, mean, squares = np.empty(len(cbf), dtype=np.int64), np.empty(len(cbf)), np.empty(len(cbf))
    _moments(cbf, np.flatnonzero(kept), count, mean, squares)
    # One repeat has no standard deviation.
    spread = np.where(count > 1, squares / np.maximum(count - 1, 1) / np.maximum(count, 1), np.nan)
    return mean, np.sqrt(spread * subtraction.shared_noise(weights[kept])), kept.astype(float), count


@njit(cache=True, nogil=True)
def _moments(values, kept, count, mean, squares):
    """Of each row's finite values in the columns kept: their number, mean (NaN without any), and squares about it."""
    for v in range(values.shape[0]):
        number, total, square = 0, 0.0, 0.0
        for n in kept:
            if np.isfinite(values[v, n]):
                number += 1
                total += values[v, n]
        average = total / number if number else np.nan
        for n in kept:
            if np.isfinite(values[v, n]):
                square += (values[v, n] - average) ** 2
        count[v], mean[v], squares[v] = number, average, square


@dataclass(frozen=True)
class _DelayMeans:
    """Averages over the repeats of each of P delays.

    ``relative`` (V, P) is deltaM / M0, ``count`` (V, P) the repeats in it (0 where too few reach), ``weight`` (N,) each
    repeat's weight, and ``squares`` (V,) the sum of squares about the means, of ``degrees`` (V,) degrees of freedom.
    """

    relative: np.ndarray
    count: np.ndarray
    weight: np.ndarray
    squares: np.ndarray
    degrees: np.ndarray


def _delay_means(quotient: np.ndarray, group: np.ndarray, delays: int, kept: np.ndarray, average: str) -> _DelayMeans:
    voxels = len(quotient)
    relative, count = np.full((voxels, delays), np.nan), np.zeros((voxels, delays))
    weight, squares, degrees = np.zeros(len(kept)), np.zeros(voxels), np.zeros(voxels)
    for number in range(delays):
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
    return _DelayMeans(relative, count, weight, squares, degrees)


def fitted(
    raw: Scan,
    place: Place,
    measured: Repeats,
    kept: np.ndarray,
    quantification: settings.Quantification,
    *,
    later: float = 0.0,
    longer: float = 0.0,
) -> Estimate:
    """The maps of a scan of several delays: the mean of each, then the kinetic model.

    A known T1 is that with which label decays in tissue; a known transit time, as everything that is believed of it before the
    data, is the mean of its prior.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
    measured : Repeats
    kept : ndarray of bool, shape (N,)
    quantification : pharmasl.study.settings.Quantification
    later, longer : float
        What is added to the known transit time, and to the known T1, seconds.
    """
    timing, constants, delays = raw.timing, raw.constants, quantification.delays
    assert timing is not None
    assert constants is not None
    average = quantification.outliers.average
    means = _delay_means(measured.cbf / measured.factor, raw.repeats.group, len(timing.delay), kept, average)
    time = None if raw.tissue is None else raw.tissue.transit_time_at(place.points, place.matrix)
    t1 = None if raw.tissue is None else raw.tissue.t1_at(place.points, place.matrix)
    kind = "pulsed" if constants.pulsed else "continuous"
    offset = np.reshape(delays_at(raw, place), (-1, 1))
    noise, prior, gain = None, None, 0.0
    # A series of one repeat per delay has only its residuals to estimate the noise: nothing to weigh a prior by.
    known = means.degrees > 0
    if known.any():
        noise = np.sqrt(means.squares / np.maximum(means.degrees, 1))
        noise = np.where(known & (noise > 0), noise, max(np.median(noise[known]), np.finfo(float).tiny))
        if delays.transit_sd is not None:
            prior = (TRANSIT[kind] if time is None else time + later, delays.transit_sd)
        if delays.arterial:
            gain = ARTERIAL_GAIN
    fit = multidelay.fit(
        means.relative,
        np.broadcast_to(timing.delay + offset, means.relative.shape),
        bolus=timing.duration,
        constants=constants,
        options=multidelay.Options(
            arterial=delays.arterial,
            att_bounds=(0.0, min(delays.longest_transit, longest_transit(timing, pulsed=constants.pulsed))),
            att_prior=prior,
            arterial_gain=gain,
        ),
        t1_tissue=None if t1 is None else t1 + longer,
        weights=means.count,
        noise=noise,
    )
    prior_sd = None if prior is None else delays.transit_sd
    return Estimate(fit.cbf, fit.cbf_error, np.isfinite(fit.cbf), fit.att, fit.abv, means.weight, prior_sd)


def longest_transit(timing: Timing, *, pulsed: bool) -> float:
    """The longest arterial transit time at which a series can estimate CBF, seconds: see :data:`LEAST_ARRIVED`."""
    bolus = np.minimum(timing.duration, timing.delay) if pulsed else timing.duration
    end = timing.delay if pulsed else timing.delay + bolus
    return float((end - LEAST_ARRIVED * bolus).max())
