"""Where the equilibrium magnetisation M0 of a scan comes from, and its correction for incomplete recovery."""

import numpy as np

from pharmasl import resample
from pharmasl.errors import InputError
from pharmasl.perfusion import acquisition as parameters

# A voxel whose M0 is below this share of the brain's median holds no tissue to speak of: its quotient is noise.
LEAST_SHARE = 0.1


def source(acquisition, volumes, series, m0):
    """Where M0 is to be taken from, as the sidecar says, and whether that is there.

    Parameters
    ----------
    acquisition : dict
        ``m0_type`` is BIDS' ``M0Type``: ``Separate`` (an image of its own), ``Included`` (volumes of the series),
        ``Estimate`` (one number), or ``Absent``: then the mean control serves, but only of a series without
        background suppression, whose controls show the static tissue.
    volumes : volumes.Volumes
    series : path-like
        Named in errors.
    m0 : sequence of path-like
        The M0 image, or empty.

    Returns
    -------
    str
        ``"separate"``, ``"included"``, ``"estimate"``, ``"control"`` or, for a series that already holds CBF, ``"none"``.

    Raises
    ------
    InputError
    """
    if volumes.kind == "cbf":
        return "none"
    kind = acquisition.get("m0_type")
    missing = None
    if kind == "Separate":
        missing = None if len(m0) == 1 else "one M0 image (m0scan.nii.gz) for the series"
    elif kind == "Included":
        missing = None if len(volumes.m0scan) else "at least one m0scan volume in the series"
    elif kind == "Estimate":
        parameters.positive(acquisition, "m0_estimate", series)
    elif kind == "Absent":
        if acquisition.get("background_suppression") is not False or not len(volumes.control):
            missing = (
                "an M0 image, M0 volume or M0 estimate: only controls without background suppression can stand in for "
                f"M0, and BackgroundSuppression is {acquisition.get('background_suppression')!r}"
            )
    else:
        missing = "Separate, Included, Estimate or Absent"
    if missing:
        raise InputError(series, "M0Type", kind, missing, "Mend the sidecar, add the M0 image, or leave the scan out.")
    return {"Separate": "separate", "Included": "included", "Estimate": "estimate", "Absent": "control"}[kind]


def recovery(repetition_time, t1_tissue):
    """What to multiply a proton density image with to undo its incomplete T1 recovery (Alsop 2015).

    The consensus asks for it at repetition times below 5 s; the formula is as true above, so it is used at any.

    Parameters
    ----------
    repetition_time : float
        Seconds between excitations.
    t1_tissue : float
        Seconds.

    Returns
    -------
    float
        ``1 / (1 - exp(-TR / T1))``.
    """
    return -1 / np.expm1(-repetition_time / t1_tissue)


def scale(acquisition, origin, series, t1_recovery):
    """The factor of :func:`recovery` for a scan's M0, or 1 where it is switched off or M0 is a number.

    Returns
    -------
    factor : float
    repetition_time : float or None
        The time used.

    Raises
    ------
    InputError
        If the repetition time or the T1 is missing or not above zero. (A time of zero would make CBF zero everywhere.)
    """
    if not t1_recovery or origin in ("estimate", "none"):
        return 1.0, None
    name = "repetition_time" if origin == "control" else "m0_repetition_time"
    time = parameters.positive(acquisition, name, series)
    return float(recovery(time, parameters.positive(acquisition, "t1_tissue", series))), time


def prepare(m0, affine, mask, smoothing_fwhm, factor, series):
    """M0 as it divides deltaM: smoothed within the brain, corrected for recovery, missing where it is too small.

    Parameters
    ----------
    m0 : ndarray of shape (X, Y, Z)
        NaN where not sampled.
    affine : ndarray of shape (4, 4)
    mask : ndarray of bool, shape (X, Y, Z)
        The brain. Smoothing stays within, so that neither air nor scalp leaks in at the edge.
    smoothing_fwhm : float
        mm; 0 for none.
    factor : float
        Of :func:`scale`.
    series : path-like
        Named in errors.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN outside the mask, where ``m0`` is missing, and below :data:`LEAST_SHARE` of the brain's median.

    Raises
    ------
    InputError
        If the brain holds no signal.
    """
    smoothed = resample.smooth(m0, affine, smoothing_fwhm, mask)
    inside = np.isfinite(smoothed)
    middle = float(np.median(smoothed[inside])) if inside.any() else 0.0
    if not middle > 0:
        raise InputError(
            series,
            "M0",
            middle,
            "a median above zero in the brain",
            "Look at the M0 image and at the alignment of the scan with its T1-weighted image.",
        )
    with np.errstate(invalid="ignore"):
        return np.where(smoothed >= LEAST_SHARE * middle, smoothed * np.float32(factor), np.nan).astype(np.float32)
