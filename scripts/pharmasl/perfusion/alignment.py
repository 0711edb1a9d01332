"""The transforms of a perfusion scan: of every volume to the series' reference, and of that to the T1-weighted image."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.perfusion import (
    acceptance,
    calibration,
    confounds,
    coregistration,
    distortion_check,
    epi_shift,
    mirror,
    motion,
    series,
    template_size,
)
from pharmasl.perfusion.realigned_scan import M0Volumes, RealignedScan, realign
from pharmasl.perfusion.tissue_maps import Tissues, carry, reduce, stretched
from pharmasl.perfusion.tissue_model import DISPLACED
from pharmasl.space import images, transforms
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import Acquisition

log = logging.getLogger(__name__)

REGISTRATION = {
    "Image": "The image that was registered: M0, mean control, mean coded volume, deltaM or CBF",
    "Target": "T1w: the participant's own tissues, rigidly; template: those of other people, stretched to the "
    "scan; T1w in this transform's name then means the template, and the transform is affine",
    "Stretch": "How many times larger the template is than this head, along left-right, posterior-anterior, foot-head",
    "Unexplained": "Share of the image that the tissue model leaves over, 0 to 1, robustly counted",
    "Uncertainty": "Root mean square displacement of the brain that the residuals let expect: to compare images by",
    "Overlap": "Dice of the brain carried to the scan with the largest bright body that the scan itself shows; deltaM and CBF, "
    "whose white matter is dark, are smoothed and closed to one",
    "Contrast": "Share (partial R squared) of the variation within the brain that the pattern of grey and white matter "
    "accounts for, in the image where it is clearest (ContrastImage)",
    "ContrastImage": "That image",
    "ContrastDisplaced": f"The mean of such shares with the tissues {DISPLACED:g} mm away",
    "ContrastMirrored": "Contrast in that image of the tissues' mirror image, fitted anew; only where the tissues are the "
    "participant's own",
    "LeftRight": f"Whether left and right of T1w and scan {mirror.AGREE} (Contrast is at least {mirror.MARGIN} times "
    f"ContrastMirrored), {mirror.CONTRADICT} (the other way round), or are {mirror.UNDECIDED}",
    "Starts": "Number of places from which the registration was begun",
    "Accepted": f"Whether Overlap is at least {acceptance.LEAST_OVERLAP}, Contrast at least {acceptance.LEAST_CONTRAST} "
    f"and {acceptance.LEAST_RATIO} times ContrastDisplaced, and LeftRight does not {mirror.CONTRADICT}",
    "Reason": "Why it is not accepted",
}


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Paths that the alignment reads.

    Attributes
    ----------
    asl : path-like
        The raw series.
    m0 : sequence of path-like
        The separate M0 image, of echoes that are summed one of each; or empty.
    gm, wm, csf : path-like
        Tissue maps on the T1-weighted image's grid, 0 to 1; the template's, where there is no T1-weighted image.
    field : sequence of path-like
        The field on the series' grid, Hz; or empty.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.
    """

    asl: FilePath
    m0: Sequence[FilePath]
    gm: FilePath
    wm: FilePath
    csf: FilePath
    field: Sequence[FilePath] = ()
    later_echoes: Sequence[FilePath] = ()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Paths that the alignment writes.

    Attributes
    ----------
    motion, m0_motion, coregistration : path-like
        ITK affines: one per volume of the series, one per volume of M0 (one identity without any), one.
    registration : path-like
        JSON, :data:`REGISTRATION`.
    aslref : path-like
        Image by which the scan was registered.
    confounds : path-like
        Table of :func:`pharmasl.perfusion.confounds.columns`.
    """

    motion: FilePath
    coregistration: FilePath
    registration: FilePath
    m0_motion: FilePath
    aslref: FilePath
    confounds: FilePath


def align(
    inputs: Inputs,
    outputs: Outputs,
    *,
    acquisition: Acquisition,
    stretch: bool,
    correct: bool,
    distorted: Distortion | None = None,
) -> None:
    """Find and write the transforms of one perfusion scan.

    Controls and labels are realigned to the control that is most like their median, M0 volumes to the first of them;
    the means of both are registered to the tissue maps. Then, the tissues being known, every volume is fitted once
    more to the mean control, and the mean M0 is fitted to it in M0's own contrast. The scan's registration is that of
    the two images which the fit pins down better. It is judged (:mod:`pharmasl.perfusion.acceptance`); where it is not
    accepted all is done again from the best of many more starts, of every image of the scan, and if that does not help
    either, the first result stands and is marked as not accepted.

    Parameters
    ----------
    inputs : Inputs
    outputs : Outputs
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    stretch : bool
        The tissue maps are the template's: their size and shape are fitted to the scan too.
    correct : bool
        False leaves every volume of the series where it is. (A separate M0 image is aligned all the same.)
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, where there is a field.

    Raises
    ------
    InputError
        If the volumes are not what the acquisition says, M0 is missing, the slab is too thin to realign its volumes, or
        the tissues contradict the field map.
    """
    loaded = series.load_acquired(inputs.asl, acquisition, inputs.later_echoes)
    m0 = _m0_volumes(inputs, acquisition, loaded)
    log.info("%s: %d volumes, %d of M0", inputs.asl, loaded.data.shape[3], m0.data.shape[3])
    maps, (maps_affine, *_) = zip(*(images.load(path) for path in (inputs.gm, inputs.wm, inputs.csf)))
    tissues = reduce(maps, maps_affine)
    try:
        unwarping = epi_shift.read(inputs.field, distorted)
        aligned = solve(loaded, m0, tissues, correct=correct, stretch=stretch, unwarping=unwarping)
    except motion.TooThinError as error:
        raise InputError(
            inputs.asl,
            "dim",
            " x ".join(map(str, loaded.grid.shape)),
            "a slab thick enough to realign its volumes",
            "Set perfusion.motion.correct to false, or leave the scan out: a slab this thin does not show how the head moved.",
        ) from error

    if aligned.check is not None:
        distortion_check.judge(aligned.check, inputs.asl)
    transforms.write_affines(outputs.motion, aligned.motion)
    transforms.write_affines(outputs.m0_motion, aligned.m0_motion if len(aligned.m0_motion) else np.eye(4))
    transforms.write_affines(outputs.coregistration, np.linalg.inv(aligned.to_t1w))
    tables.write_json(outputs.registration, _registration(aligned))
    images.save(outputs.aslref, aligned.reference, loaded.affine)
    brain = carry(tissues.maps.sum(axis=0), tissues.affine, loaded.grid, aligned.to_t1w, parts=2)
    types = ["n/a" if number in loaded.volumes.lost else kind for number, kind in enumerate(acquisition.volume_types)]
    rows = confounds.confounds(loaded, aligned.motion, types, brain, unwarping)
    tables.write_table(outputs.confounds, rows, confounds.columns(loaded))


def _registration(aligned: "Alignment") -> dict[str, Any]:
    """The registration's sidecar."""
    if aligned.check is None:
        return {**aligned.registration, "Descriptions": REGISTRATION}
    descriptions = {**REGISTRATION, "FieldMap": distortion_check.RECORD}
    return {**aligned.registration, "FieldMap": aligned.check.record(), "Descriptions": descriptions}


def _m0_volumes(inputs: Inputs, acquisition: Acquisition, loaded: series.Series) -> M0Volumes:
    """The M0 volumes that are to be aligned."""
    origin = calibration.source(acquisition, loaded.volumes, inputs.asl, inputs.m0)
    if origin == "separate":
        return M0Volumes(*series.load_m0(inputs.m0, acquisition.echo_weights), separate=True)
    chosen = loaded.volumes.m0scan if origin == "included" else np.array([], dtype=int)
    return M0Volumes(loaded.data[..., chosen], loaded.affine, separate=False)


@dataclass(frozen=True)
class Alignment:
    """Where everything lies.

    Attributes
    ----------
    motion : ndarray of shape (T, 4, 4)
        Maps points of the series' reference to points of each volume.
    m0_motion : ndarray of shape (N, 4, 4)
        The same for each M0 volume.
    to_t1w : ndarray of shape (4, 4)
        Maps points of the reference to points of the T1-weighted image.
    reference : ndarray of shape (X, Y, Z)
        The image by which the scan was registered, on the series' grid.
    registration : dict
        Keys of :data:`REGISTRATION`.
    shown : dict of str to ndarray of shape (X, Y, Z)
        The images by which the registration was judged, on the series' grid.
    check : pharmasl.perfusion.distortion_check.Check or None
        Whether the tissues confirm the field map; None without one.
    """

    motion: np.ndarray
    m0_motion: np.ndarray
    to_t1w: np.ndarray
    reference: np.ndarray
    registration: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, np.ndarray] = field(default_factory=dict)
    check: distortion_check.Check | None = None


def solve(
    loaded: series.Series,
    m0: M0Volumes,
    tissues: Tissues,
    *,
    correct: bool,
    stretch: bool = False,
    unwarping: epi_shift.Unwarping | None = None,
) -> Alignment:
    """The transforms of a scan: see :func:`align`.

    Parameters
    ----------
    loaded : pharmasl.perfusion.series.Series
    m0 : pharmasl.perfusion.realigned_scan.M0Volumes
    tissues : pharmasl.perfusion.tissue_maps.Tissues
    correct : bool
        Whether volumes are realigned.
    stretch : bool
        Whether the tissues are the template's. ``to_t1w`` is then an affine map to the template.
    unwarping : pharmasl.perfusion.epi_shift.Unwarping, optional
        By which images are freed of distortion before they are registered.

    Returns
    -------
    Alignment
    """
    scan = realign(loaded, m0, correct=correct, unwarping=unwarping)
    shape = _shape(scan, tissues) if stretch else np.eye(4)
    aligned = _attempt(scan, stretched(tissues, shape))
    starts = aligned.registration["Starts"]
    if not aligned.registration["Accepted"]:
        log.warning("registration in doubt: %s. Many more starts are tried", aligned.registration["Reason"])
        other_shape = _shape(scan, tissues, wide=True) if stretch else shape
        target = stretched(tissues, other_shape)
        fits = [(name, coregistration.coregister(*image, target, wide=True)) for name, image in scan.images().items()]
        starts += sum(fit.starts for _, fit in fits)
        for name, fit in sorted(fits, key=lambda pair: pair[1].uncertainty):
            other = _attempt(scan, target, fit, name)
            if other.registration["Accepted"]:
                aligned, shape = other, other_shape
                break
    if not stretch:
        verdict = mirror.confront(aligned.registration, aligned.shown, tissues, scan.grid, aligned.to_t1w)
        aligned = replace(aligned, registration=verdict)
    record = {**aligned.registration, "Target": "template" if stretch else "T1w", "Starts": starts}
    if stretch:
        record["Stretch"] = [round(float(value), 4) for value in np.diag(shape)[:3]]
    if not record["Accepted"]:
        log.warning("the registration is not accepted: %s", record["Reason"])
    record = {key: record[key] for key in REGISTRATION if key in record}
    if unwarping is not None:
        checked = _checked(scan, unwarping, stretched(tissues, shape), aligned.to_t1w)
        aligned = replace(aligned, check=checked)
    return replace(aligned, to_t1w=shape @ aligned.to_t1w, registration=record)


def _checked(
    scan: RealignedScan, unwarping: epi_shift.Unwarping, tissues: Tissues, to_t1w: np.ndarray
) -> distortion_check.Check:
    """Whether the tissues confirm the field map: by the mean of the series, or by M0 that is of the series itself.

    M0 has more of the static tissue's signal than a control after suppression pulses.
    """
    affine = scan.grid.affine
    if scan.m0_volumes and not scan.separate:
        image = motion.mean(scan.m0_volumes, affine, scan.m0_matrices, scan.grid)
    else:
        image = scan.distorted_mean()
    return distortion_check.check(image, affine, unwarping, tissues, to_t1w)


def _shape(scan: RealignedScan, tissues: Tissues, wide: bool = False) -> np.ndarray:
    """The stretch from this head to the template, by the image which then shows the tissues' pattern most clearly.

    A sharp outline is not enough: that of M0 may be the meninges'.
    """
    average = template_size.average_size(tissues)
    candidates = []
    for image in scan.images().values():
        start = average @ coregistration.coregister(*image, stretched(tissues, average), wide=wide).matrix
        stretch, rigid = template_size.fit_stretch(*image, tissues, start)
        clear, _ = coregistration.contrast(*image, stretched(tissues, stretch), rigid)
        candidates.append((clear, stretch))
    return max(candidates, key=lambda pair: pair[0])[1]


def _attempt(
    scan: RealignedScan, tissues: Tissues, start: coregistration.Fit | None = None, image: str | None = None
) -> Alignment:
    """The registration, and the second pass that follows from it; from a start if there is one.

    ``image`` names the image which ``start`` is the registration of. By deltaM the scan is registered only then: it has
    the clearest pattern, but often little signal.
    """
    starts = None if start is None else [start.matrix]
    by_deltam = start if image == "deltaM" else None
    if not scan.m0_volumes:
        by_mean = by_deltam or _register("the series", scan.mean, scan.grid.affine, tissues, starts)
        matrices = scan.matrices.copy()
        if scan.realigned:
            matrices = scan.realigned_by(_anatomy(tissues, scan.grid, by_mean.matrix))
        judged = _record(scan, tissues, by_mean, image or scan.mean_name, matrices, None)
        return Alignment(matrices, np.empty((0, 4, 4)), by_mean.matrix, scan.mean, *judged)
    by_m0 = _register("M0", scan.m0_mean, scan.m0_affine, tissues, starts)
    # Differences have too little contrast of their own: they are taken to lie where M0 lies.
    if not scan.volumes.show_the_head:
        return _with_m0(scan, tissues, scan.matrices.copy(), scan.m0_matrices, by_m0, "M0")
    return _attempt_with_m0(scan, tissues, by_m0, by_deltam)


def _attempt_with_m0(
    scan: RealignedScan, tissues: Tissues, by_m0: coregistration.Fit, by_deltam: coregistration.Fit | None
) -> Alignment:
    """The better registration of M0 and of the series' mean, or that by deltaM where there is one."""
    affine, matrices = scan.grid.affine, scan.matrices.copy()
    by_mean = _register("the series", scan.mean, affine, tissues, [by_m0.matrix])
    by_mean = replace(by_mean, starts=by_m0.starts)
    by_series = by_deltam or by_mean
    brain = _anatomy(tissues, scan.grid, by_series.matrix)
    if scan.realigned:
        matrices = scan.realigned_by(brain)
    link = np.eye(4)
    if scan.correct or scan.separate:
        # From points of the series to points of M0: through the T1-weighted image at first, then directly.
        link = np.linalg.inv(by_m0.matrix) @ by_mean.matrix
        weight = np.clip(sum(brain), 0, 1)
        link = motion.realign_contrast(scan.m0_mean, scan.m0_affine, scan.mean, affine, weight, maps=brain, start=link)
    chosen, name = replace(by_m0, matrix=by_m0.matrix @ link), "M0"
    if by_deltam is not None or by_mean.uncertainty <= by_m0.uncertainty:
        chosen, name = by_series, scan.mean_name if by_deltam is None else "deltaM"
    return _with_m0(scan, tissues, matrices, scan.m0_matrices @ link, chosen, name)


def _with_m0(
    scan: RealignedScan,
    tissues: Tissues,
    matrices: np.ndarray,
    m0_matrices: np.ndarray,
    chosen: coregistration.Fit,
    name: str,
) -> Alignment:
    """The alignment of a scan with M0 volumes by the registration of the image of this name, judged."""
    if not scan.separate:
        matrices[scan.volumes.m0scan] = m0_matrices
    shift = scan.shift(scan.separate)
    m0_mean = motion.mean(scan.m0_volumes, scan.m0_affine, m0_matrices, scan.grid, shift)
    m0_mean = scan.evened(m0_mean, scan.separate)
    judged = _record(scan, tissues, chosen, name, matrices, m0_mean)
    return Alignment(matrices, m0_matrices, chosen.matrix, m0_mean if name == "M0" else scan.mean, *judged)


def _record(
    scan: RealignedScan,
    tissues: Tissues,
    fit: coregistration.Fit,
    name: str,
    matrices: np.ndarray,
    m0: np.ndarray | None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the scan's sidecar says of its registration, and the images that it is judged by.

    deltaM is made only where the other images do not convince.
    """
    shown = {} if m0 is None else {"M0": m0}
    if scan.volumes.show_the_head or m0 is None:
        shown[scan.mean_name] = scan.mean
    verdict = acceptance.judge(shown, tissues, scan.grid, fit.matrix)
    if not verdict["Accepted"] and scan.volumes.kind == "pairs":
        shown["deltaM"] = scan.deltam(matrices)
        verdict = acceptance.judge(shown, tissues, scan.grid, fit.matrix)
    uncertainty = round(fit.uncertainty, 4) if np.isfinite(fit.uncertainty) else None
    record = {
        "Image": name,
        "Unexplained": round(fit.unexplained, 4),
        "Uncertainty": {"Value": uncertainty, "Unit": "mm"},
        "Starts": fit.starts,
        **verdict,
    }
    return record, shown


def _anatomy(tissues: Tissues, grid: images.Grid, to_t1w: np.ndarray) -> list[np.ndarray]:
    return [carry(image, tissues.affine, grid, to_t1w, parts=2) for image in tissues.maps]


def _register(
    name: str, image: np.ndarray, affine: np.ndarray, tissues: Tissues, starts: Sequence[np.ndarray] | None
) -> coregistration.Fit:
    fit = coregistration.coregister(image, affine, tissues, starts)
    log.info(
        "%s to T1w: the tissues leave %.0f%% of the image unexplained, uncertainty %.2f mm",
        name,
        100 * fit.unexplained,
        fit.uncertainty,
    )
    return fit
