"""One raw scan in memory, with all that is known of it, and its samples at given points."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import calibration, epi_shift, known_maps, plausibility, series, subtraction
from pharmasl.perfusion import timing as scan_timing
from pharmasl.perfusion import volumes as scan_volumes
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.known_maps import KnownMaps
from pharmasl.space import images, resample, spline, transforms
from pharmasl.study import settings
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import Acquisition


@dataclass(frozen=True)
class RawFiles:
    """Paths of a raw scan and of the transforms of its volumes.

    Attributes
    ----------
    asl : path-like
        The series.
    m0 : sequence of path-like
        The separate M0 image, of echoes that are summed one of each; or empty.
    motion, m0_motion : path-like
        ITK affines: from the series' reference to each volume of the series and of M0.
    field : sequence of path-like
        The field on the series' grid, Hz; or empty.
    transit_time, t1 : sequence of path-like
        Known arterial transit time and T1 of tissue on the series' grid, seconds; or empty.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.
    """

    asl: FilePath
    m0: Sequence[FilePath]
    motion: FilePath
    m0_motion: FilePath
    field: Sequence[FilePath] = ()
    transit_time: Sequence[FilePath] = ()
    t1: Sequence[FilePath] = ()
    later_echoes: Sequence[FilePath] = ()


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
        M0 as a number, in the units of the images.
    settings : pharmasl.study.settings.M0
    """

    origin: str
    data: np.ndarray
    affine: np.ndarray
    motion: np.ndarray
    of_pair: bool
    factors: calibration.Factors
    estimate: float | None
    settings: settings.M0


@dataclass(frozen=True)
class Scan:
    """A raw scan, its volumes and what is known of them.

    Attributes
    ----------
    path : path-like
        The series, named in errors.
    data : ndarray of shape (X, Y, Z, T)
    affine : ndarray of shape (4, 4)
    volumes : pharmasl.perfusion.volumes.Volumes
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
    unwarping : pharmasl.perfusion.epi_shift.Unwarping or None
        Of distorted volumes; None where they are not corrected.
    tissue : pharmasl.perfusion.known_maps.KnownMaps or None
        Known transit times and T1; None where there are none.
    echo_levels : tuple of float
        Of echoes that were summed: signal of the head in each over that of the first.
    """

    path: FilePath
    data: np.ndarray
    affine: np.ndarray
    volumes: scan_volumes.Volumes
    repeats: subtraction.Differences
    motion: np.ndarray
    timing: scan_timing.Timing | None
    constants: scan_timing.Constants | None
    m0: M0
    unit: float
    interpolation: str
    unwarping: Unwarping | None = None
    tissue: KnownMaps | None = None
    echo_levels: tuple[float, ...] = ()

    @property
    def grid(self) -> images.Grid:
        """The series' grid."""
        return images.Grid(self.data.shape[:3], self.affine)

    @property
    def several_delays(self) -> bool:
        """Whether the series has more than one delay."""
        return self.timing is not None and self.timing.several

    def samples(
        self,
        volume: np.ndarray,
        affine: np.ndarray,
        points: np.ndarray,
        matrix: np.ndarray,
        shift: spline.Shift | None = None,
    ) -> np.ndarray:
        """A raw volume at points: float32, NaN outside its field of view.

        Parameters
        ----------
        volume : ndarray of shape (X, Y, Z)
        affine : ndarray of shape (4, 4)
            Voxel to RAS+ mm of the volume.
        points : ndarray of shape (..., 3)
            RAS+ mm.
        matrix : ndarray of shape (4, 4)
            Maps the points into the volume's space.
        shift : pharmasl.space.spline.Shift, optional
            Of as many points.
        """
        return _samples(volume, affine, points, matrix, self.interpolation, shift)


def _samples(
    volume: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    matrix: np.ndarray,
    interpolation: str,
    shift: spline.Shift | None = None,
) -> np.ndarray:
    if interpolation == "linear":
        return resample.resample(volume, affine, points, matrix, shift=shift)
    return spline.sample(spline.coefficients(volume), affine, points, matrix, shift)


def read(
    files: RawFiles,
    acquisition: Acquisition,
    quantification: settings.Quantification,
    distorted: Distortion | None = None,
) -> Scan:
    """A scan's images and transforms, checked to hold all that its quantification needs.

    Parameters
    ----------
    files : RawFiles
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    quantification : pharmasl.study.settings.Quantification
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, where there is a field.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        If a parameter or M0 is missing or senseless.
    """
    loaded = series.load_acquired(files.asl, acquisition, files.later_echoes)
    timing, constants, unit = loaded.timing, None, 1.0
    if timing is not None:
        timing = dataclasses.replace(timing, fixed=scan_timing.fixed_decay(acquisition, quantification.q2tips))
        constants = scan_timing.constants(acquisition, files.asl)
    if loaded.volumes.kind == "cbf":
        timing = constants = None
        unit = plausibility.unit_factor(acquisition.units, files.asl)
    group = np.zeros(len(acquisition.volume_types), dtype=int) if timing is None else timing.group
    repeats = subtraction.differences(
        loaded.volumes, quantification.subtraction, group, files.asl, acquisition.encoding
    )
    motion = affines(files.motion, loaded.data.shape[3])
    return Scan(
        path=files.asl,
        data=loaded.data,
        affine=loaded.affine,
        volumes=loaded.volumes,
        repeats=repeats,
        motion=motion,
        timing=timing,
        constants=constants,
        m0=_m0(files, acquisition, quantification.m0, loaded, repeats, motion),
        unit=unit,
        interpolation=quantification.interpolation,
        unwarping=epi_shift.read(files.field, distorted),
        tissue=known_maps.read(files.transit_time, files.t1),
        echo_levels=loaded.echo_levels,
    )


def affines(path: FilePath, count: int) -> np.ndarray:
    """The transforms of a series' volumes: ndarray of shape (``count``, 4, 4).

    Raises
    ------
    InputError
        If the file holds another number.
    """
    matrices = transforms.read_affines(path)
    if len(matrices) != count:
        raise InputError(path, "transforms", len(matrices), f"{count}, one per volume", "Align the scan again.")
    return matrices


def _m0(
    files: RawFiles,
    acquisition: Acquisition,
    m0: settings.M0,
    loaded: series.Series,
    repeats: subtraction.Differences,
    motion: np.ndarray,
) -> M0:
    path, volumes = files.asl, loaded.volumes
    origin = calibration.source(acquisition, volumes, path, files.m0)
    factors = calibration.scale(acquisition, origin, path, m0)
    estimate = None
    if origin == "estimate":
        estimate = scan_timing.positive(acquisition.m0_estimate, "m0_estimate", path)
    of_pair = bool(acquisition.m0_of_pair) and origin == "control"
    if origin == "separate":
        data, affine = series.load_m0(files.m0, acquisition.echo_weights)
        motion = affines(files.m0_motion, data.shape[3])
    else:
        control = repeats.pairs[:, 0] if of_pair else volumes.control
        chosen = {"included": volumes.m0scan, "control": control}.get(origin, np.array([], dtype=int))
        data, affine, motion = loaded.data[..., chosen], loaded.affine, motion[chosen]
    return M0(origin, data, affine, motion, of_pair, factors, estimate, m0)


def realigned(
    data: np.ndarray,
    affine: np.ndarray,
    motion: np.ndarray,
    interpolation: str,
    unwarping: Unwarping | None = None,
) -> np.ndarray:
    """A series realigned on its own grid, each volume sampled once.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)
    affine : ndarray of shape (4, 4)
    motion : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    interpolation : {"cubic", "linear"}
    unwarping : pharmasl.perfusion.epi_shift.Unwarping, optional
        Of distorted volumes.

    Returns
    -------
    ndarray of shape (X, Y, Z, T)
        NaN where a volume does not reach.
    """
    points = transforms.points(images.Grid(data.shape[:3], affine))
    shift = unwarping.shift(points, affine) if unwarping else None
    out = np.empty_like(data)
    for number, matrix in enumerate(motion):
        # A volume that stays where it is stays what it is.
        still = shift is None and np.array_equal(matrix, np.eye(4))
        volume = data[..., number]
        out[..., number] = volume if still else _samples(volume, affine, points, matrix, interpolation, shift)
    return out


def realigned_within(scan: Scan, mask: np.ndarray) -> np.ndarray:
    """The series realigned on its own grid as :func:`realigned`, at the voxels of a mask alone.

    Parameters
    ----------
    scan : Scan
    mask : ndarray of bool, shape (X, Y, Z)
        V voxels.

    Returns
    -------
    ndarray of shape (T, V), float32
        NaN where a volume does not reach.
    """
    points = transforms.points(scan.grid)[mask]
    out = np.empty((len(scan.motion), len(points)), dtype=np.float32)
    shown = _shown(scan, points, np.eye(4))
    for number, matrix in enumerate(scan.motion):
        volume, still = scan.data[..., number], shown is None and np.array_equal(matrix, np.eye(4))
        out[number] = volume[mask] if still else _seen(scan, volume, scan.affine, points, matrix, shown)
    return out


@dataclass(frozen=True)
class _Shown:
    """Where a distorted image shows points, and what its samples are multiplied with."""

    shift: spline.Shift
    modulation: np.ndarray


def _shown(scan: Scan, points: np.ndarray, matrix: np.ndarray, *, of_m0: bool = False) -> _Shown | None:
    """For the series, or the separate M0 image; None without a correction. ``matrix`` maps points to the reference."""
    if scan.unwarping is None:
        return None
    separate = of_m0 and scan.m0.origin == "separate"
    affine = scan.m0.affine if separate else scan.affine
    shift = scan.unwarping.shift(points, affine, matrix, separate=separate)
    return _Shown(shift, scan.unwarping.modulation(points, affine, matrix, separate=separate).astype(np.float32))


def _seen(
    scan: Scan, volume: np.ndarray, affine: np.ndarray, points: np.ndarray, matrix: np.ndarray, shown: _Shown | None
) -> np.ndarray:
    """A raw volume at points, without its distortion: NaN outside its field of view and where it is folded."""
    if shown is None:
        return scan.samples(volume, affine, points, matrix)
    return scan.samples(volume, affine, points, matrix, shown.shift) * shown.modulation


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
    series : ndarray of shape (T, V) or None
        The series at ``points``, if it has been sampled already.
    """

    mask: np.ndarray
    affine: np.ndarray
    points: np.ndarray
    matrix: np.ndarray
    series: np.ndarray | None = None

    def on_grid(self, values: np.ndarray) -> np.ndarray:
        """Values of the mask's voxels on the grid, NaN elsewhere, float32."""
        out = np.full(self.mask.shape, np.nan, dtype=np.float32)
        out[self.mask] = values
        return out


def own_place(scan: Scan, brain: np.ndarray) -> Place:
    """The brain on the scan's own grid, with the realigned series in it.

    Parameters
    ----------
    scan : Scan
    brain : ndarray of bool, shape (X, Y, Z)
    """
    points = transforms.points(scan.grid)[brain]
    return Place(brain, scan.affine, points, np.eye(4), realigned_within(scan, brain))


def series_at(scan: Scan, place: Place, volumes: np.ndarray) -> np.ndarray:
    """Some raw volumes of a scan at a place, each sampled once.

    Returns
    -------
    ndarray of shape (N, V), float32
        NaN where a volume does not reach.
    """
    if place.series is not None:
        return place.series[volumes]
    shown = _shown(scan, place.points, place.matrix)
    out = np.empty((len(volumes), len(place.points)), dtype=np.float32)
    for row, number in enumerate(volumes):
        matrix = scan.motion[number] @ place.matrix
        out[row] = _seen(scan, scan.data[..., number], scan.affine, place.points, matrix, shown)
    return out


def differences_at(scan: Scan, place: Place) -> np.ndarray:
    """The scan's perfusion differences at a place, each raw volume sampled once.

    Returns
    -------
    ndarray of shape (V, N), float32
        NaN where a volume of a repeat does not reach.
    """
    # A repeat's values lie together while volumes are added to them, a voxel's while they are averaged.
    out = np.zeros((scan.repeats.number, len(place.points)), dtype=np.float32)
    shown = None if place.series is not None else _shown(scan, place.points, place.matrix)
    for number in np.flatnonzero(scan.repeats.weights.any(axis=0)):
        if place.series is not None:
            values = place.series[number]
        else:
            matrix = scan.motion[number] @ place.matrix
            values = _seen(scan, scan.data[..., number], scan.affine, place.points, matrix, shown)
        for row in np.flatnonzero(scan.repeats.weights[:, number]):
            out[row] += np.float32(scan.repeats.weights[row, number]) * values
    out[~scan.repeats.alive] = np.nan
    return _turned(out)


def _turned(rows: np.ndarray) -> np.ndarray:
    """The transpose in C order, written a block at a time that stays in the processor's cache."""
    turned = np.empty(rows.shape[::-1], dtype=rows.dtype)
    for start in range(0, rows.shape[1], 1024):
        turned[start : start + 1024] = rows[:, start : start + 1024].T
    return turned


def delays_at(scan: Scan, place: Place) -> float | np.ndarray:
    """The delay by which each point is read later than the first slice, between slices interpolated, seconds.

    Returns
    -------
    float or ndarray of shape (V,)
    """
    assert scan.timing is not None
    offset = scan.timing.offset
    if np.ptp(offset) == 0:
        return float(offset[0])
    to_voxel = np.linalg.inv(scan.affine) @ place.matrix
    axis = scan.timing.axis
    height = place.points @ to_voxel[axis, :3] + to_voxel[axis, 3]
    return np.interp(height, np.arange(len(offset)), offset)


def m0_at(scan: Scan, place: Place) -> np.ndarray:
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
    shown = _shown(scan, place.points, place.matrix, of_m0=True)
    sampled = [
        _seen(scan, m0.data[..., number], m0.affine, place.points, m0.motion[number] @ place.matrix, shown)
        for number in used
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
            smoothing_fwhm=m0.settings.smoothing_fwhm,
            factor=m0.factors.product,
            series=scan.path,
            edge=m0.settings.edge,
        )[place.mask]
        for values in sampled
    ]
    if not m0.of_pair:
        return prepared[0][:, np.newaxis].astype(np.float64)
    out = np.full((len(place.points), scan.repeats.number), np.nan)
    out[:, used] = np.stack(prepared, axis=1)
    return out
