"""CBF and arterial transit time of a scan with several delays or labelling durations, voxel by voxel, by least squares.

Between two of the transit times at which some delay changes sides (its label has not arrived, arrives, has wholly arrived),
the general kinetic model (:mod:`pharmasl.perfusion.kinetic_pieces`) is CBF * exp(k ATT) * (a + b z): vectors a and b over delays
that do not depend on ATT, z an increasing function of -ATT, k = 1 / T1 of tissue - 1 / T1 of blood. Its residual sum of
squares, profiled over CBF, then has one minimum, in closed form. The least over all such pieces and their ends is the least
of all: no starting values (so the weighted delay is not needed for one), no iterations, no local minima.

At the noise of a single voxel the least sum of squares is often that of a late arrival with a CBF far too high. A normal
prior of ATT, as Bayesian programs have it, keeps those from maps and means at the price of a pull towards its mean where
data say little. With it a piece is searched: those that cannot hold the best value are passed over by their closed form.

The arterial term (Woods et al. 2024, doi 10.1002/mrm.30091) is a boxcar in time. Which delays it reaches changes only at
the same times, so that the reachable sets of delays are few; each is tried with each piece above. Label in arteries alone
looks much like tissue from which label has gone, so that neither its volume nor the CBF fitted with it may be negative: on real
scans of six delays every other voxel would otherwise have a large volume less a large CBF.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError
from pharmasl.perfusion import kinetic_fit, kinetic_search, timing
from pharmasl.perfusion.kinetics import PER_MINUTE_AND_100_G

SERIES = "multi-delay series"


@dataclass(frozen=True)
class Fit:
    """Estimates of :func:`fit` in each voxel; float64 arrays of shape (V,), NaN where not known.

    Attributes
    ----------
    cbf : ndarray
        mL/100 g/min. May be negative: cut at zero, noise would raise the mean of regions and groups. It is not
        negative where label in arteries is fitted: a voxel of that alone has a CBF of 0, and NaN for its error.
    att : ndarray
        Arterial transit time, seconds. NaN where CBF is not above zero: no label, no time at which it arrives. Where all
        label has arrived before the first delay, ATT is only known to be at most that delay and reported as that delay.
    cbf_error, att_error : ndarray
        Standard errors, from the curvature of the sum of squares (with a prior, standard deviations from that of the
        posterior). ``att_error`` is NaN where ATT lies on a bound or before the first delay, or where the arterial term
        takes all that determines it; there ``cbf_error`` is that for a known ATT. Without a prior both are NaN where only one
        delay bears signal, so that a later arrival with a higher CBF explains it as well (the earliest is reported).
    abv : ndarray or None
        Arterial blood volume, fraction of the voxel; 0 where no arterial term improves the fit (enough).
    abat : ndarray or None
        Arrival in arteries, seconds; NaN where ``abv`` is 0. Data determine only an interval, the middle of which is
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


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is fitted, and what is believed beforehand.

    Attributes
    ----------
    arterial : bool
        Whether label in arteries is fitted too.
    att_bounds : (float, float)
        Least and largest ATT, seconds.
    att_prior : (float or ndarray of shape (V,), float) or None
        Mean and standard deviation of a normal prior of ATT, seconds; needs the noise. CBF and ATT are then those of the
        greatest posterior density, within 1e-7 s, CBF having no prior, and errors its curvature. Where ATT is known of
        another source, in each voxel, that is its mean.
    arterial_gain : float
        By how much label in arteries must lower the sum of squares in units of the noise's variance, or it is left out:
        two more parameters lower any. Akaike's criterion is 4. Above 0 it needs the noise.
    """

    arterial: bool
    att_bounds: tuple[float, float]
    att_prior: tuple[float | np.ndarray, float] | None = None
    arterial_gain: float = 0.0


def fit(
    relative: np.ndarray,
    delays: np.ndarray | Sequence[float],
    *,
    bolus: float | Sequence[float] | np.ndarray,
    constants: timing.Constants,
    options: Options,
    t1_tissue: float | np.ndarray | None = None,
    weights: np.ndarray | Sequence[float] | None = None,
    noise: np.ndarray | None = None,
) -> Fit:
    """The least-squares CBF and ATT of each voxel, exact to rounding, and the arterial term if wanted.

    Parameters
    ----------
    relative : ndarray of shape (V, P)
        DeltaM / M0, averaged over repeats of each delay. Values that are not finite count as missing.
    delays : ndarray of shape (P,) or (V, P)
        Post-labelling delays (continuous) or inversion times (pulsed), seconds; voxelwise with slice timing.
    bolus : float or ndarray of shape (P,)
        Labelling duration, or bolus duration (infinite without a cut-off), seconds.
    constants : pharmasl.perfusion.timing.Constants
    options : Options
    t1_tissue : float or ndarray of shape (V,), optional
        T1 with which label decays once it is in tissue, seconds. The default is that of blood (Woods 2024).
    weights : ndarray of shape (P,) or (V, P), optional
        Number of repeats in each average; 0 is missing. The default is 1.
    noise : ndarray of shape (V,), optional
        Standard deviation of one repeat. The default, for standard errors, is what residuals imply: NaN if there are as
        many parameters as delays.

    Returns
    -------
    Fit
        NaN in voxels with fewer delays than parameters (two, or four with the arterial term) and where ``t1_tissue``, the
        prior's mean or, with a prior or a gain, ``noise`` is NaN.

    Raises
    ------
    InputError
        If there are fewer delays than parameters, shapes do not match, or a value makes no sense.
    """
    relative, delays, bolus, weights = _checked(
        relative, delays, bolus, weights, pulsed=constants.pulsed, parameters=4 if options.arterial else 2
    )
    t1_blood = float(constants.t1_blood)
    _positive(constants.labeling_efficiency, "LabelingEfficiency", 1)
    _positive(t1_blood, "T1 of blood")
    _positive(constants.partition_coefficient, "blood-brain partition coefficient")
    voxels = len(relative)
    t1s = _by_voxel(t1_blood if t1_tissue is None else t1_tissue, "T1 of tissue", voxels)
    means = _by_voxel(0.0 if options.att_prior is None else options.att_prior[0], "prior of ATT", voxels, least=0)
    beliefs = _beliefs(options)
    noise = _noise(noise, voxels, options)
    # The CBF at which the modelled deltaM equals M0.
    scale = PER_MINUTE_AND_100_G * constants.partition_coefficient / (2 * constants.labeling_efficiency)
    out = np.full((voxels, 7), np.nan)
    kinetic_fit.fit_voxels(
        kinetic_fit.Data(relative, delays, weights, bolus, noise, t1s, means, scale),
        not constants.pulsed,
        t1_blood,
        beliefs,
        bool(options.arterial),
        out,
    )
    out[:, kinetic_fit.ABV] /= PER_MINUTE_AND_100_G
    cbf, att, cbf_error, att_error, abv, abat, residual = np.ascontiguousarray(out.T)
    if not options.arterial:
        return Fit(cbf, att, cbf_error, att_error, None, None, residual)
    return Fit(cbf, att, cbf_error, att_error, abv, abat, residual)


def _positive(value: float, field: str, most: float = math.inf) -> None:
    if not 0 < value <= most or math.isinf(value):
        limit = "a number above 0" if math.isinf(most) else f"a number above 0 and at most {most:g}"
        raise InputError(SERIES, field, value, limit, "Correct the acquisition parameters.")


def _by_voxel(values: float | np.ndarray, field: str, voxels: int, least: float = math.nextafter(0, 1)) -> np.ndarray:
    """A quantity of each voxel, or of all (1,): float64, NaN where an array has it unknown; checked."""
    own = np.atleast_1d(np.require(values, dtype=np.float64, requirements=("C", "W")))
    if own.shape not in ((1,), (voxels,)):
        raise InputError(SERIES, field, own.shape, f"one number, or ({voxels},)", "Give one value per voxel.")
    known = own if np.ndim(values) == 0 else own[~np.isnan(own)]
    if not ((known >= least) & np.isfinite(known)).all():
        wrong = float(known[~((known >= least) & np.isfinite(known))][0])
        expected = "a number above 0, in seconds" if least > 0 else "a number from 0, in seconds"
        raise InputError(SERIES, field, wrong, expected, "Correct it.")
    return own


def _beliefs(options: Options) -> kinetic_search.Beliefs:
    """The bounds, the prior's width (infinite for none) and the gain, checked; its mean is each voxel's own."""
    least, most = (float(bound) for bound in options.att_bounds)
    if not 0 <= least < most < math.inf:
        expected = "0 <= least < largest, in seconds"
        raise InputError(SERIES, "bounds of ATT", options.att_bounds, expected, "Correct the bounds.")
    deviation = math.inf
    if options.att_prior is not None:
        deviation = float(options.att_prior[1])
        if not 0 < deviation < math.inf:
            expected = "a standard deviation above 0"
            raise InputError(SERIES, "prior of ATT", deviation, expected, "Correct the prior.")
    gain = float(options.arterial_gain)
    if not 0 <= gain < math.inf:
        raise InputError(SERIES, "gain by label in arteries", gain, "a number from 0", "Correct the call.")
    return kinetic_search.Beliefs(least, most, math.nan, deviation, gain)


def _noise(noise: np.ndarray | None, voxels: int, options: Options) -> np.ndarray:
    """The noise of each voxel, NaN where it is unknown; refused if it is unknown and needed."""
    if noise is None:
        if options.att_prior is not None or options.arterial_gain > 0:
            expected = "the noise of each voxel, to weigh data against beliefs"
            raise InputError(SERIES, "noise", None, expected, "Give it.")
        noise = np.full(voxels, np.nan)
    noise = np.require(noise, dtype=np.float64, requirements=("C", "W"))
    if noise.shape != (voxels,):
        raise InputError(SERIES, "noise", noise.shape, f"shape ({voxels},)", "Give one value per voxel.")
    return noise


def _checked(
    relative: np.ndarray,
    delays: np.ndarray | Sequence[float],
    bolus: float | Sequence[float] | np.ndarray,
    weights: np.ndarray | Sequence[float] | None,
    *,
    pulsed: bool,
    parameters: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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
    rows = []
    for name, values in (("PostLabelingDelay", delays), ("weights", np.ones(count) if weights is None else weights)):
        row = np.atleast_2d(np.require(values, dtype=np.float64, requirements=("C", "W")))
        if row.shape not in ((1, count), (voxels, count)):
            expected = f"({count},) or ({voxels}, {count})"
            raise InputError(SERIES, name, row.shape, expected, "Give one value per delay.")
        if (row < 0).any() or not np.isfinite(row).all():
            raise InputError(SERIES, name, "a negative or missing value", "numbers from 0", "Correct the sidecar.")
        rows.append(row)
    durations = np.asarray(bolus, dtype=np.float64)
    if durations.shape not in ((), (1,), (count,)):
        raise InputError(SERIES, "bolus", durations.shape, f"one number, or {count}", "Give one value per delay.")
    if not (durations > 0).all() or (not pulsed and np.isinf(durations).any()):
        raise InputError(SERIES, "bolus", durations.tolist(), "durations above 0 in seconds", "Correct the sidecar.")
    return relative, rows[0], np.full(count, durations), rows[1]
