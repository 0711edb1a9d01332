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

from pharmasl.errors import InputError
from pharmasl.perfusion import kinetic_fit, kinetic_pieces, kinetic_search
from pharmasl.perfusion.kinetics import PER_MINUTE_AND_100_G

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
    # The CBF at which the modelled deltaM equals M0.
    scale = PER_MINUTE_AND_100_G * partition_coefficient / (2 * labeling_efficiency)
    rate = 0.0 if t1_tissue == t1_blood else 1 / t1_tissue - 1 / t1_blood
    out = np.full((len(relative), 7), np.nan)
    kinetic_fit.fit_voxels(
        kinetic_fit.Data(relative, delays, weights, bolus, noise, scale),
        kinetic_pieces.Decay(kind == "continuous", float(t1_blood), float(t1_tissue), rate),
        kinetic_search.Beliefs(least, most, mean, deviation, float(arterial_gain)),
        bool(arterial),
        out,
    )
    out[:, kinetic_fit.ABV] /= PER_MINUTE_AND_100_G
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
