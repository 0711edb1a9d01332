"""Cerebral blood flow of one scan, on its own grid and on the template's.

On either grid every raw volume is sampled once, through all transforms composed into one, and controls and labels are
subtracted after that. A voxel is quantified where it lies in the brain, where M0 is not next to nothing, and where at
least half of the pairs reach it (a head that moved leaves gaps at the edge of the field of view); elsewhere maps are
zero, and the brain and coverage masks tell which zeros are missing values.
"""

import functools
import logging
from dataclasses import dataclass

import numpy as np

import pharmasl
from pharmasl import images, resample, tables, transforms
from pharmasl.errors import InputError
from pharmasl.perfusion import acquisition as parameters
from pharmasl.perfusion import calibration, coregistration, kinetics, series, spline

log = logging.getLogger(__name__)

# Least share of the pairs that must reach a voxel.
LEAST_PAIRS = 0.5


@dataclass(frozen=True)
class Scan:
    """A raw scan, its volumes and what is known of them.

    Attributes
    ----------
    path : path-like
        The series, named in errors.
    data : ndarray of shape (X, Y, Z, T)
    affine : ndarray of shape (4, 4)
    of : pharmasl.perfusion.volumes.Volumes
    motion : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    m0_data : ndarray of shape (X, Y, Z, N), or None where M0 is a number or not needed
    m0_affine : ndarray of shape (4, 4)
    m0_motion : ndarray of shape (N, 4, 4)
    """

    path: object
    data: np.ndarray
    affine: np.ndarray
    of: object
    motion: np.ndarray
    m0_data: np.ndarray
    m0_affine: np.ndarray
    m0_motion: np.ndarray


@dataclass(frozen=True)
class Model:
    """What turns differences into CBF.

    Attributes
    ----------
    equation : str
    values : dict
        Constants of the equation.
    delays : ndarray of shape (Z,)
        Post-labelling delay of each slice, seconds.
    origin : str
        Of :func:`pharmasl.perfusion.calibration.source`.
    m0_factor : float
        Of :func:`pharmasl.perfusion.calibration.scale`.
    m0_estimate : float or None
    m0_fwhm : float
        mm
    """

    equation: str
    values: dict
    delays: np.ndarray
    origin: str
    m0_factor: float
    m0_estimate: float | None
    m0_fwhm: float


def quantify(given, made, *, acquisition, m0, smoothing_fwhm):
    """Quantify one scan and write its maps and its sidecar.

    Parameters
    ----------
    given : dict
        Paths: ``asl`` (raw series), ``m0`` (list: one image or none), ``motion``, ``m0_motion``, ``coregistration``
        (ITK affines), ``forward`` (ITK field, T1w to template), ``gm``, ``wm``, ``csf``, ``mask`` (on the T1w grid),
        ``reference`` (an image on the template grid wanted), ``template_mask`` (on that grid).
    made : dict
        Paths of what to write: ``cbf``, ``sidecar``, ``preproc``, ``timeseries``, ``brain_mask``, ``gm``, ``wm``, ``csf``
        (on the scan's grid), ``template_cbf``, ``smooth``, ``coverage``, ``error`` (on the template's).
    acquisition : dict
        Of the scan, as the study stage resolves it.
    m0 : dict
        ``t1_recovery`` (bool) and ``smoothing_fwhm`` (mm).
    smoothing_fwhm : float
        Of the smoothed template map, mm.

    Raises
    ------
    InputError
        If a parameter or M0 is missing or senseless; nothing is written then.
    """
    scan, model, repetition_time = read(given, acquisition, m0)
    of, grid = scan.of, images.Grid(scan.data.shape[:3], scan.affine)
    to_t1w = np.linalg.inv(transforms.read_affines(given["coregistration"])[0])

    tissue, head = {}, None
    for name in ("mask", "gm", "wm", "csf"):
        image, affine = images.load(given[name])
        tissue[name] = coregistration.carry(image, affine, grid, to_t1w, where=head)
        # No tissue lies outside the brain.
        head = tissue["mask"] > 0
    brain = tissue["mask"] >= 0.5

    preproc = native_series(scan)
    native = estimate(scan, model, transforms.points(grid), brain, scan.affine, np.eye(4), series=preproc, keep=True)
    template_mask, template_affine = images.load(given["template_mask"])
    template_mask = template_mask > 0.5
    reference = images.grid(given["reference"])
    if reference.shape != template_mask.shape:
        raise InputError(
            given["template_mask"], "shape", template_mask.shape, f"{reference.shape}, the reference's", "Remake it."
        )
    in_t1w = field_at(given["forward"], transforms.points(reference)[template_mask])
    template = estimate(
        scan, model, in_t1w, template_mask, template_affine, transforms.read_affines(given["coregistration"])[0]
    )
    smooth = resample.smooth(template.cbf, template_affine, smoothing_fwhm, template.covered)

    save = functools.partial(images.save, affine=scan.affine)
    step = acquisition.get("repetition_time")
    save(made["preproc"], np.nan_to_num(preproc), time_step=step)
    save(made["cbf"], np.nan_to_num(native.cbf))
    # A pair takes two repetitions.
    save(made["timeseries"], np.nan_to_num(native.repeats), time_step=step and step * (2 if of.kind == "pairs" else 1))
    save(made["brain_mask"], brain, dtype=np.uint8)
    for name in ("gm", "wm", "csf"):
        save(made[name], tissue[name])
    save = functools.partial(images.save, affine=template_affine)
    save(made["template_cbf"], np.nan_to_num(template.cbf))
    save(made["smooth"], np.nan_to_num(smooth))
    save(made["coverage"], template.covered, dtype=np.uint8)
    # An error that is not known (a single pair) must not look like one of zero.
    save(made["error"], np.where(template.covered, template.error, 0))
    record = sidecar(scan, model, acquisition, repetition_time, smoothing_fwhm)
    record["MeanBrainCBF"] = float(np.nanmean(native.cbf)) if native.covered.any() else None
    record["TemplateCoverage"] = float(template.covered.sum() / max(template_mask.sum(), 1))
    tables.write_json(made["sidecar"], record)
    if native.covered.any() and record["MeanBrainCBF"] < 0:
        log.warning("mean CBF is below zero: are controls and labels exchanged in the aslcontext.tsv?")


def read(given, acquisition, m0):
    """Read a scan's images and transforms, and check that all that its quantification needs is there.

    Returns
    -------
    scan : Scan
    model : Model
    repetition_time : float or None
        That of the M0 recovery factor.
    """
    path = given["asl"]
    data, affine, of = series.load(path, list(acquisition["volume_types"]))
    origin = calibration.source(acquisition, of, path, given["m0"])
    if of.kind == "cbf":
        equation, values, delays = "CBF as the scanner computed it", {}, None
    else:
        equation, values = parameters.constants(acquisition, path, data.shape[2])
        delays = kinetics.slice_delays(values["post_labeling_delay"], values.get("slice_timing"), data.shape[2])
    factor, time = calibration.scale(acquisition, origin, path, m0["t1_recovery"])
    value = parameters.positive(acquisition, "m0_estimate", path) if origin == "estimate" else None
    motion = _affines(given["motion"], data.shape[3])
    if origin == "separate":
        m0_data, m0_affine = series.load_m0(given["m0"][0])
        m0_motion = _affines(given["m0_motion"], m0_data.shape[3])
    else:
        chosen = {"included": of.m0scan, "control": of.control}.get(origin, np.array([], dtype=int))
        m0_data, m0_affine, m0_motion = data[..., chosen], affine, motion[chosen]
    model = Model(equation, values, delays, origin, factor, value, float(m0["smoothing_fwhm"]))
    return Scan(path, data, affine, of, motion, m0_data, m0_affine, m0_motion), model, time


def _affines(path, count):
    found = transforms.read_affines(path)
    if len(found) != count:
        raise InputError(path, "transforms", len(found), f"{count}, one a volume", "Align the scan again.")
    return found


def native_series(scan):
    """The realigned series on its own grid, each volume sampled once: ndarray like ``scan.data``, NaN where not reached."""
    points = transforms.points(images.Grid(scan.data.shape[:3], scan.affine))
    out = np.empty_like(scan.data)
    for number, matrix in enumerate(scan.motion):
        # A volume that stays where it is stays what it is.
        still = np.array_equal(matrix, np.eye(4))
        volume = scan.data[..., number]
        out[..., number] = volume if still else spline.sample(spline.coefficients(volume), scan.affine, points, matrix)
    return out


@dataclass(frozen=True)
class Estimate:
    """CBF on one grid, mL/100 g/min; NaN where it is not known.

    Attributes
    ----------
    cbf : ndarray of shape (X, Y, Z)
        Mean over the pairs that reach a voxel.
    error : ndarray of shape (X, Y, Z)
        Standard error of that mean: standard deviation over pairs by the root of their number.
    covered : ndarray of bool, shape (X, Y, Z)
    repeats : ndarray of shape (X, Y, Z, N) or None
        Each pair's CBF.
    """

    cbf: np.ndarray
    error: np.ndarray
    covered: np.ndarray
    repeats: np.ndarray


def estimate(scan, model, points, mask, affine, matrix, *, series=None, keep=False):
    """CBF at given points.

    Parameters
    ----------
    scan : Scan
    model : Model
    points : ndarray of shape (X, Y, Z, 3) or (number of voxels in ``mask``, 3)
        RAS+ mm; in the first case those in ``mask`` are used.
    mask : ndarray of bool, shape (X, Y, Z)
        The brain on the grid of the maps.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of that grid.
    matrix : ndarray of shape (4, 4)
        Maps ``points`` to points of the series' reference.
    series : ndarray of shape (X, Y, Z, T), optional
        The series on the grid of the maps, if it has been sampled already.
    keep : bool
        Whether to keep each pair's map.

    Returns
    -------
    Estimate
    """
    if points.ndim == 4:
        points = points[mask]

    def volume(number):
        if series is not None:
            return series[..., number][mask]
        cube = spline.coefficients(scan.data[..., number])
        return spline.sample(cube, scan.affine, points, scan.motion[number] @ matrix)

    def on_grid(values):
        out = np.full(mask.shape, np.nan, dtype=np.float32)
        out[mask] = values
        return out

    if model.origin == "none":
        quotient = np.ones(len(points))
    else:
        factor = parameters.factor(model.values, _delays_at(scan, model.delays, points, matrix))
        quotient = factor / _m0_at(scan, model, points, mask, affine, matrix, on_grid)
    repeats = []
    total, squares, count = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points))
    for control, label in _differences(scan.of):
        difference = volume(control).astype(np.float64)
        if label is not None:
            difference -= volume(label)
        here = np.isfinite(difference)
        value = np.where(here, difference, 0) * quotient
        total += value
        squares += value * value
        count += here
        if keep:
            repeats.append(on_grid(np.where(here, value, np.nan)))
    enough = (count >= max(1, LEAST_PAIRS * scan.of.repeats)) & np.isfinite(quotient)
    mean = np.where(enough, total / np.maximum(count, 1), np.nan)
    spread = np.maximum(squares - count * np.where(enough, mean, 0) ** 2, 0) / np.maximum(count - 1, 1)
    # One pair has no standard deviation.
    error = np.where(enough & (count > 1), np.sqrt(spread / np.maximum(count, 1)), np.nan)
    covered = np.zeros(mask.shape, dtype=bool)
    covered[mask] = enough
    return Estimate(on_grid(mean), on_grid(error), covered, np.stack(repeats, axis=3) if keep else None)


def _differences(of):
    if of.kind == "pairs":
        return [(int(control), int(label)) for control, label in of.pairs]
    return [(int(number), None) for number in (of.deltam if of.kind == "deltam" else of.cbf)]


def _delays_at(scan, delays, points, matrix):
    """The delay of the slice in which each point lies, between slices interpolated."""
    if np.ptp(delays) == 0:
        return float(delays[0])
    to_voxel = np.linalg.inv(scan.affine) @ matrix
    height = (
        points[:, 0] * to_voxel[2, 0] + points[:, 1] * to_voxel[2, 1] + points[:, 2] * to_voxel[2, 2] + to_voxel[2, 3]
    )
    return np.interp(height, np.arange(len(delays)), delays)


def _m0_at(scan, model, points, mask, affine, matrix, on_grid):
    if model.m0_estimate is not None:
        return np.full(len(points), model.m0_estimate)
    total, count = np.zeros(len(points)), np.zeros(len(points))
    for number, motion in enumerate(scan.m0_motion):
        cube = spline.coefficients(scan.m0_data[..., number])
        values = spline.sample(cube, scan.m0_affine, points, motion @ matrix)
        here = np.isfinite(values)
        total[here] += values[here]
        count += here
    m0 = on_grid(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return calibration.prepare(m0, affine, mask, model.m0_fwhm, model.m0_factor, scan.path)[mask].astype(np.float64)


def field_at(path, points):
    """Where a dense ITK field maps points to, between its voxels interpolated.

    Parameters
    ----------
    path : path-like
        Displacement field.
    points : ndarray of shape (N, 3)
        RAS+ mm, in the field's reference space.

    Returns
    -------
    ndarray of shape (N, 3)
        RAS+ mm; NaN outside the field.
    """
    displacement, affine = images.load(path)
    out = points.copy()
    for axis, sign in enumerate((-1, -1, 1)):
        out[:, axis] += sign * resample.resample(displacement[..., 0, axis], affine, points)
    return out


def sidecar(scan, model, acquisition, repetition_time, smoothing_fwhm):
    """Everything by which a scan's CBF was computed, for its JSON sidecar.

    Returns
    -------
    dict
        ``Equation``, ``Units``, ``Constants`` (each with value, unit and source), ``M0``, the volumes used and left
        over, the sampling and the code's version.
    """
    told = acquisition.get("sources") or {}

    def constant(name, value):
        field, unit = parameters.FIELDS[name]
        told_as = "bolus_cutoff_delay" if name == "bolus_duration" else name
        return {"Value": value, "Unit": unit, "Field": field, "Source": told.get(told_as, "not recorded")}

    pairs = _differences(scan.of)
    m0 = {
        "Source": {
            "separate": "separate M0 image",
            "included": "m0scan volumes of the series",
            "estimate": "M0Estimate",
            "control": "mean control of a series without background suppression",
            "none": "not needed",
        }[model.origin],
        "Volumes": int(scan.m0_data.shape[3]),
        "T1RecoveryFactor": model.m0_factor,
        "SmoothingFWHM": {"Value": model.m0_fwhm, "Unit": "mm"},
        "LeastShareOfBrainMedian": calibration.LEAST_SHARE,
    }
    if repetition_time is not None:
        name = "repetition_time" if model.origin == "control" else "m0_repetition_time"
        m0["RepetitionTime"] = constant(name, repetition_time)
        m0["T1Tissue"] = constant("t1_tissue", float(acquisition["t1_tissue"]))
    if model.m0_estimate is not None:
        m0["Estimate"] = constant("m0_estimate", model.m0_estimate)
    return {
        "Units": "mL/100 g/min",
        "Equation": model.equation,
        "Reference": "Alsop et al. 2015, doi 10.1002/mrm.25197",
        "Constants": {name: constant(name, value) for name, value in model.values.items()},
        "SliceDelays": None if model.delays is None else [float(d) for d in model.delays],
        "M0": m0,
        "Subtraction": {"pairs": "control minus label, pair by pair", "deltam": "done by the scanner", "cbf": "none"}[
            scan.of.kind
        ],
        "NumberOfPairs": len(pairs),
        "PairedVolumes": [[c] if k is None else [c, k] for c, k in pairs],
        "UnpairedVolumes": [int(n) for n in scan.of.unpaired],
        "Resampling": "each raw volume once, cubic B-spline, through all transforms composed; subtraction after it",
        "LeastShareOfPairs": LEAST_PAIRS,
        "TemplateSmoothingFWHM": {"Value": float(smoothing_fwhm), "Unit": "mm"},
        "CodeVersion": pharmasl.__version__,
    }
