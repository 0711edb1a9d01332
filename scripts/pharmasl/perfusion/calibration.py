"""Where the equilibrium magnetisation M0 of a scan comes from, and its correction for incomplete recovery."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import timing as scan_timing
from pharmasl.perfusion.volumes import Volumes
from pharmasl.space import resample
from pharmasl.study import settings
from pharmasl.study.scan_acquisition import Acquisition

# A voxel whose M0 is below this share of the brain's median holds no tissue to speak of: its quotient is noise.
LEAST_SHARE = 0.1


def source(acquisition: Acquisition, volumes: Volumes, series: FilePath, m0: Sequence[FilePath]) -> str:
    """Where M0 is to be taken from, as the sidecar says, and whether that is there.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
        ``m0_type`` is BIDS' ``M0Type``: ``Separate`` (an image of its own), ``Included`` (volumes of the series),
        ``Estimate`` (one number), or ``Absent``: then the mean control serves, but only of a series without
        background suppression, whose controls show the static tissue.
    volumes : pharmasl.perfusion.volumes.Volumes
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
    kind = acquisition.m0_type
    missing = None
    if kind == "Separate":
        needed = len(acquisition.echo_weights or (1,))
        wanted = (
            "one M0 image (m0scan.nii.gz) for the series" if needed == 1 else f"{needed} M0 images, one for each echo"
        )
        missing = None if len(m0) == needed else wanted
    elif kind == "Included":
        missing = None if len(volumes.m0scan) else "at least one m0scan volume in the series"
    elif kind == "Estimate":
        scan_timing.positive(acquisition.m0_estimate, "m0_estimate", series)
    elif kind == "Absent":
        if acquisition.background_suppression is not False or not len(volumes.control):
            missing = (
                "an M0 image, M0 volume or M0 estimate: only controls without background suppression can stand in for "
                f"M0, and BackgroundSuppression is {acquisition.background_suppression!r}"
            )
    else:
        missing = "Separate, Included, Estimate or Absent"
    if missing:
        raise InputError(
            series, "M0Type", kind, missing, "Correct the sidecar, add the M0 image, or leave the scan out."
        )
    return {"Separate": "separate", "Included": "included", "Estimate": "estimate", "Absent": "control"}[str(kind)]


def recovery(repetition_time: float, t1_tissue: float) -> float:
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


def echo_factor(m0_echo_time: float | None, echo_time: float | None, t2_star: float | None) -> float:
    """What to multiply an M0 image with so that it has decayed as long as the labelled images have.

    Signal decays by ``exp(-TE / T2*)``. Images of one echo time have decayed alike, and their quotient is free of it;
    those of two differ by a factor of their own (ExploreASL corrects M0 by the same).

    Parameters
    ----------
    m0_echo_time, echo_time : float or None
        Of the M0 image and of the series, seconds; None where not known.
    t2_star : float or None
        Of tissue, seconds; not needed where an echo time is not known.

    Returns
    -------
    float
        ``exp((TE of M0 - TE of the series) / T2*)``; 1 where either echo time is not known.
    """
    if m0_echo_time is None or echo_time is None:
        return 1.0
    assert t2_star is not None
    return float(np.exp((m0_echo_time - echo_time) / t2_star))


@dataclass(frozen=True)
class Factors:
    """What a scan's M0 image is multiplied with, and why.

    Attributes
    ----------
    t1_recovery : float
        Of :func:`recovery`; 1 where switched off or not needed.
    echo_time : float
        Of :func:`echo_factor`; 1 where switched off, not needed or not known.
    scale : float
        The configured gain of the series over the M0 image.
    repetition_time : float or None
        The time that ``t1_recovery`` was computed with, seconds.
    echo_times : tuple of float or None
        Those of the M0 image and of the series that ``echo_time`` was computed with, seconds.
    t2_star : float or None
        That ``echo_time`` was computed with, seconds.
    echo_reason : str
        Why ``echo_time`` is what it is, for the record.
    """

    t1_recovery: float = 1.0
    echo_time: float = 1.0
    scale: float = 1.0
    repetition_time: float | None = None
    echo_times: tuple[float, float] | None = None
    t2_star: float | None = None
    echo_reason: str = "not needed: no M0 image"

    @property
    def product(self) -> float:
        """The one number that M0 is multiplied with."""
        return self.t1_recovery * self.echo_time * self.scale


def scale(acquisition: Acquisition, origin: str, series: FilePath, m0: settings.M0) -> Factors:
    """The factors of a scan's M0 image: recovery, echo time, and the configured gain.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
        ``repetition_time`` (a control as M0) or ``m0_repetition_time``, ``t1_tissue``, ``m0_echo_time``, ``echo_time``
        and ``t2_star``; the echo times may be missing.
    origin : str
        Of :func:`source`. M0 that is a number (``"estimate"``) is taken as it stands: no factor applies to it.
    series : path-like
        Named in errors.
    m0 : pharmasl.study.settings.M0

    Returns
    -------
    Factors

    Raises
    ------
    InputError
        If a value that a factor needs is missing or not above zero. (A repetition time of zero would make CBF zero
        everywhere.) Echo times that are missing are no error: the factor is 1 and ``echo_reason`` says why.
    """
    if origin in ("estimate", "none"):
        return Factors()
    gain = scan_timing.positive(m0.scale, "m0_scale", series)
    time, recovered = None, 1.0
    if m0.t1_recovery:
        name = "repetition_time" if origin == "control" else "m0_repetition_time"
        time = scan_timing.positive(getattr(acquisition, name), name, series)
        recovered = float(recovery(time, scan_timing.positive(acquisition.t1_tissue, "t1_tissue", series)))
    factors = Factors(recovered, scale=gain, repetition_time=time)
    return _with_echo(factors, acquisition, origin, series, m0)


def _with_echo(factors: Factors, acquisition: Acquisition, origin: str, series: FilePath, m0: settings.M0) -> Factors:
    if not m0.echo_time_correction:
        return dataclasses.replace(factors, echo_reason="switched off")
    if origin != "separate":
        return dataclasses.replace(factors, echo_reason="not needed: M0 is of the series itself")
    if acquisition.echoes is not None:
        return dataclasses.replace(
            factors, echo_reason="not needed: the echoes of M0 are summed as those of the series are"
        )
    known = {"m0_echo_time": acquisition.m0_echo_time, "echo_time": acquisition.echo_time}
    missing = [scan_timing.FIELDS[name][0] for name, time in known.items() if time is None]
    if missing:
        return dataclasses.replace(factors, echo_reason=f"not corrected: no {' and no '.join(missing)} is given")
    own, labelled = (scan_timing.positive(time, name, series) for name, time in known.items())
    factors = dataclasses.replace(factors, echo_times=(own, labelled))
    if own == labelled:
        return dataclasses.replace(factors, echo_reason="not needed: the echo times are the same")
    t2_star = scan_timing.positive(acquisition.t2_star, "t2_star", series)
    return dataclasses.replace(
        factors,
        echo_time=echo_factor(own, labelled, t2_star),
        t2_star=t2_star,
        echo_reason="corrected: the echo times differ",
    )


def prepare(
    m0: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    *,
    smoothing_fwhm: float,
    factor: float,
    series: FilePath,
    edge: float,
) -> np.ndarray:
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
        :attr:`Factors.product`.
    series : path-like
        Named in errors.
    edge : float
        mm. Voxels of the mask whose centre lies no further than this from the nearest centre outside are taken to be
        darkened by what is not brain (partial volume, motion): they do not enter, and are filled from the brain
        further inside, by the same smoothing, and beyond its reach by the nearest value. The edge of the field of view
        is no edge of the brain. 0 takes every voxel as it is.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN outside the mask, where ``m0`` is missing, and below :data:`LEAST_SHARE` of the brain's median.

    Raises
    ------
    InputError
        If the brain holds no signal, or ``edge`` leaves nothing of it.
    """
    if edge > 0:
        smoothed = _from_inside(m0, affine, mask, smoothing_fwhm, edge, series)
    else:
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


def _from_inside(
    m0: np.ndarray, affine: np.ndarray, mask: np.ndarray, smoothing_fwhm: float, edge: float, series: FilePath
) -> np.ndarray:
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    sampled = mask & np.isfinite(m0)
    # Without a voxel outside, there is no distance to it.
    core = sampled if mask.all() else sampled & (ndimage.distance_transform_edt(mask, sampling=size) > edge)
    if not core.any():
        raise InputError(
            series,
            "perfusion.m0.edge",
            edge,
            "fewer mm, so that some of the brain is left within its edge",
            "Lower it.",
        )
    smoothed = resample.smooth(m0, affine, smoothing_fwhm, core, onto=sampled)
    beyond = sampled & ~np.isfinite(smoothed)
    if beyond.any():
        nearest = ndimage.distance_transform_edt(~core, sampling=size, return_distances=False, return_indices=True)
        smoothed[beyond] = smoothed[tuple(nearest[:, beyond])]
    return smoothed
