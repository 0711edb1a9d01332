"""One raw scan in memory, with all that is known of it, and its samples at given points."""

from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError
from pharmasl.perfusion import calibration, plausibility, series, subtraction
from pharmasl.perfusion import timing as parameters
from pharmasl.space import images, resample, spline, transforms


@dataclass(frozen=True)
class M0:
    """Where M0 comes from.

    Attributes
    ----------
    origin : str
        Of :func:`pharmasl.perfusion.calibration.source`.
    data : ndarray of shape (X, Y, Z, N)
        Its volumes; N is zero where M0 is a number or not needed.
    affine : ndarray of shape (4, 4)
    motion : ndarray of shape (N, 4, 4)
        Maps points of the series' reference to points of each volume.
    of_pair : bool
        Whether each pair is divided by its own control: ``data`` then holds the control of each repeat.
    factors : pharmasl.perfusion.calibration.Factors
    estimate : float or None
    settings : dict
        ``smoothing_fwhm`` and ``edge`` (mm).
    """

    origin: str
    data: np.ndarray
    affine: np.ndarray
    motion: np.ndarray
    of_pair: bool
    factors: object
    estimate: float | None
    settings: dict


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
    repeats : pharmasl.perfusion.subtraction.Differences
    motion : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    timing : pharmasl.perfusion.timing.Timing or None
        None for a series that the scanner quantified; so are ``constants``.
    constants : pharmasl.perfusion.timing.Constants or None
    m0 : M0
    unit : float
        What the values of a series that the scanner quantified are multiplied with to give mL/100 g/min; else 1.
    interpolation : {"cubic", "linear"}
        Between the voxels of raw volumes.
    """

    path: object
    data: np.ndarray
    affine: np.ndarray
    of: object
    repeats: object
    motion: np.ndarray
    timing: object
    constants: object
    m0: M0
    unit: float
    interpolation: str = "cubic"

    @property
    def grid(self):
        """Of the series: :class:`pharmasl.space.images.Grid`."""
        return images.Grid(self.data.shape[:3], self.affine)

    def samples(self, volume, affine, points, matrix):
        """A raw volume at points that ``matrix`` (4, 4) maps into its space: float32, NaN outside its field of view."""
        if self.interpolation == "linear":
            return resample.resample(volume, affine, points, matrix)
        return spline.sample(spline.coefficients(volume), affine, points, matrix)


def read(given, acquisition, settings):
    """Read a scan's images and transforms, and check that all that its quantification needs is there.

    Parameters
    ----------
    given : dict
        Paths: ``asl``, ``m0`` (list: one image or none), ``motion`` and ``m0_motion`` (ITK affines).
    acquisition : dict
        Of the scan, as the study stage resolves it.
    settings : dict
        ``perfusion`` of the configuration.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        If a parameter or M0 is missing or senseless.
    """
    path, types = given["asl"], acquisition["volume_types"]
    data, affine, of, timing = series.load_acquired(path, acquisition, settings["q2tips"])
    constants = None if timing is None else parameters.constants(acquisition, path)
    unit = 1.0
    if of.kind == "cbf":
        timing = constants = None
        unit = plausibility.unit_factor(acquisition.get("units"), path)
    group = np.zeros(len(types), dtype=int) if timing is None else timing.group
    repeats = subtraction.differences(of, settings["subtraction"], group, path)
    motion = affines(given["motion"], data.shape[3])
    m0 = _m0(given, acquisition, settings["m0"], data, affine, of, repeats, motion)
    return Scan(path, data, affine, of, repeats, motion, timing, constants, m0, unit, settings["interpolation"])


def affines(path, count):
    """The transforms of a series' volumes: ndarray of shape (``count``, 4, 4)."""
    found = transforms.read_affines(path)
    if len(found) != count:
        raise InputError(path, "transforms", len(found), f"{count}, one a volume", "Align the scan again.")
    return found


def _m0(given, acquisition, settings, data, affine, of, repeats, motion):
    path = given["asl"]
    origin = calibration.source(acquisition, of, path, given["m0"])
    factors = calibration.scale(acquisition, origin, path, settings)
    estimate = parameters.positive(acquisition, "m0_estimate", path) if origin == "estimate" else None
    of_pair = bool(acquisition.get("m0_of_pair")) and origin == "control"
    if origin == "separate":
        m0_data, affine = series.load_m0(given["m0"][0])
        motion = affines(given["m0_motion"], m0_data.shape[3])
    else:
        control = repeats.pairs[:, 0] if of_pair else of.control
        chosen = {"included": of.m0scan, "control": control}.get(origin, np.array([], dtype=int))
        m0_data, motion = data[..., chosen], motion[chosen]
    return M0(origin, m0_data, affine, motion, of_pair, factors, estimate, settings)


def native_series(scan):
    """The realigned series on its own grid, each volume sampled once: ndarray like ``scan.data``, NaN where not reached."""
    points = transforms.points(scan.grid)
    out = np.empty_like(scan.data)
    for number, matrix in enumerate(scan.motion):
        # A volume that stays where it is stays what it is.
        still = np.array_equal(matrix, np.eye(4))
        volume = scan.data[..., number]
        out[..., number] = volume if still else scan.samples(volume, scan.affine, points, matrix)
    return out


@dataclass(frozen=True)
class Place:
    """Where a scan is to be sampled.

    Attributes
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
        The brain on the grid of the maps; V voxels lie in it.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of that grid.
    points : ndarray of shape (V, 3)
        RAS+ mm.
    matrix : ndarray of shape (4, 4)
        Maps ``points`` to points of the series' reference.
    series : ndarray of shape (X, Y, Z, T) or None
        The series on the grid of the maps, if it has been sampled already.
    """

    mask: np.ndarray
    affine: np.ndarray
    points: np.ndarray
    matrix: np.ndarray
    series: np.ndarray | None = None

    def on_grid(self, values):
        """Values of the mask's voxels on the grid, NaN elsewhere, float32."""
        out = np.full(self.mask.shape, np.nan, dtype=np.float32)
        out[self.mask] = values
        return out


def differences_at(scan, place):
    """The scan's perfusion differences at a place, each raw volume sampled once.

    Returns
    -------
    ndarray of shape (V, N), float32
        NaN where a volume of a repeat does not reach.
    """
    # A repeat's values lie together while volumes are added to them, a voxel's while they are averaged.
    out = np.zeros((scan.repeats.number, len(place.points)), dtype=np.float32)
    for number in np.flatnonzero(scan.repeats.weights.any(axis=0)):
        if place.series is not None:
            values = place.series[..., number][place.mask]
        else:
            matrix = scan.motion[number] @ place.matrix
            values = scan.samples(scan.data[..., number], scan.affine, place.points, matrix)
        for row in np.flatnonzero(scan.repeats.weights[:, number]):
            out[row] += np.float32(scan.repeats.weights[row, number]) * values
    out[~scan.repeats.alive] = np.nan
    return np.ascontiguousarray(out.T)


def delays_at(scan, place):
    """The delay by which each point is read later than the first slice, between slices interpolated, seconds.

    Returns
    -------
    float or ndarray of shape (V,)
    """
    offset = scan.timing.offset
    if np.ptp(offset) == 0:
        return float(offset[0])
    to_voxel = np.linalg.inv(scan.affine) @ place.matrix
    axis = scan.timing.axis
    height = place.points @ to_voxel[axis, :3] + to_voxel[axis, 3]
    return np.interp(height, np.arange(len(offset)), offset)


def m0_at(scan, place):
    """M0 at a place, as it divides the differences.

    Returns
    -------
    ndarray of shape (V, 1), or (V, N) where each repeat has its own; float64
        NaN where it is missing or too small.
    """
    m0 = scan.m0
    if m0.estimate is not None:
        return np.full((len(place.points), 1), m0.estimate)
    used = np.arange(len(m0.motion)) if not m0.of_pair else np.flatnonzero(scan.repeats.alive)
    sampled = [
        scan.samples(m0.data[..., number], m0.affine, place.points, m0.motion[number] @ place.matrix) for number in used
    ]
    if not m0.of_pair:
        stack = np.stack(sampled)
        count = np.isfinite(stack).sum(axis=0)
        mean = np.nansum(stack, axis=0, dtype=np.float64) / np.maximum(count, 1)
        sampled = [np.where(count > 0, mean, np.nan)]
    prepared = [
        calibration.prepare(
            place.on_grid(values),
            place.affine,
            place.mask,
            m0.settings["smoothing_fwhm"],
            m0.factors.product,
            scan.path,
            edge=m0.settings["edge"],
        )[place.mask]
        for values in sampled
    ]
    if not m0.of_pair:
        return prepared[0][:, np.newaxis].astype(np.float64)
    out = np.full((len(place.points), scan.repeats.number), np.nan)
    out[:, used] = np.stack(prepared, axis=1)
    return out
