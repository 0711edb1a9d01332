"""A field map as a scan's distortion needs it: in Hz, without jumps, smooth, and known beyond the head."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import unwrap
from pharmasl.space import images, resample, transforms

log = logging.getLogger(__name__)

# Hz a tesla of protons: CODATA 2018, shielded in water.
_HERTZ_PER_TESLA = 42.57638507e6
# Of the smoothing within the head, mm; each kernel beyond it is wider by the factor.
_FWHM, _WIDER = 4.0, 1.6
# A kernel must rest on this much of the head before it may fill a voxel, up to the width (mm) at which any will do.
_LEAST_REST, _ANY_REST = 2e-3, 60.0
# Radians, with what rounding may add; and milliradians, as two manufacturers store phases.
_RADIANS = 2 * np.pi * 1.01
_MILLIRADIANS = (3100, 3150)
# Noise outside the head fills the range of stored phases to its ends, or nearly.
_FILLED = 0.9
# The middle half of a head lies within this of its resonance, Hz a tesla; outside, the map is not in the unit it says.
_HERTZ_PER_TESLA_MOST = 170.0
# From the 1st to the 99th percentile a head's field spans more than this, Hz a tesla: a map of less is one value
# throughout, or in parts per million.
_HERTZ_PER_TESLA_LEAST = 2.0
# Phases whose largest is about 1 may be shares of a turn, or of half a turn.
_SHARE = (0.98, 1.001)


@dataclass(frozen=True)
class Field:
    """The field's deviation on a grid.

    Attributes
    ----------
    hertz : ndarray of shape (X, Y, Z)
        Known at every voxel.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    """

    hertz: np.ndarray
    affine: np.ndarray

    def at(self, points: np.ndarray, matrix: np.ndarray | None = None) -> np.ndarray:
        """The field at points, Hz: beyond the grid that of its edge.

        Parameters
        ----------
        points : ndarray of shape (..., 3)
            RAS+ mm.
        matrix : ndarray of shape (4, 4), optional
            Maps the points to the field's space.
        """
        to_voxel = np.linalg.inv(self.affine) @ (np.eye(4) if matrix is None else matrix)
        at = np.moveaxis(transforms.apply(to_voxel, points), -1, 0)
        return ndimage.map_coordinates(self.hertz, at, order=1, mode="nearest", output=np.float64)


def read(
    files: Sequence[FilePath], kind: str, echo_difference: float | None, units: str | None, tesla: float | None = None
) -> Field:
    """The field of a map that was acquired, on its own grid.

    Parameters
    ----------
    files : sequence of path-like
        Of :attr:`pharmasl.study.distortion.FieldMap.files`.
    kind : str
        ``"phasediff"``, ``"phases"`` or ``"fieldmap"``.
    echo_difference : float or None
        Seconds; of phases.
    units : str or None
        Of the stored values.
    tesla : float, optional
        Field strength, by which a field that is none of a head is known.

    Returns
    -------
    Field

    Raises
    ------
    InputError
        If stored phases are in no scale that is known, the magnitude shows no head, or the field is what no head has.
    """
    count = 2 if kind == "phases" else 1
    stored = [images.load(path) for path in files[:count]]
    affine = stored[0].affine
    magnitude = _beside(files[count], stored[0]) if len(files) > count else None
    if kind == "fieldmap":
        hertz = _direct(stored[0].data, units, files[0])
        mask = (hertz != 0) & np.isfinite(hertz) if magnitude is None else head(magnitude, files[-1])
    else:
        assert magnitude is not None
        assert echo_difference is not None
        mask = head(magnitude, files[-1])
        phases = [radians(image.data, units, path) for image, path in zip(stored, files)]
        phase = phases[0] if count == 1 else np.angle(np.exp(1j * (phases[1] - phases[0])))
        phase = unwrap.unwrapped(phase, mask)
        # The frequency that the scanner was tuned to is the head's: of all whole turns, that nearest to it.
        phase -= 2 * np.pi * np.round(np.nanmedian(phase) / (2 * np.pi))
        hertz = phase / (2 * np.pi * echo_difference)
    weight = mask.astype(np.float64) if magnitude is None else magnitude.astype(np.float64)
    _judge(hertz[mask], tesla, files[0], units)
    return Field(_smooth(np.where(mask, hertz, np.nan), weight, voxel_sizes(affine)), affine)


def beside(files: Sequence[FilePath], kind: str) -> np.ndarray | None:
    """The magnitude image of a field map on the grid of the field: (X, Y, Z); None where there is none.

    Parameters
    ----------
    files, kind
        As for :func:`read`.
    """
    count = 2 if kind == "phases" else 1
    return _beside(files[count], images.load(files[0])) if len(files) > count else None


def on_grid(field: Field, grid: images.Grid, matrix: np.ndarray | None = None) -> Field:
    """A field on another grid, whose points a matrix maps to points of the field's own space."""
    return Field(field.at(transforms.points(grid), matrix), grid.affine)


def radians(stored: np.ndarray, units: str | None, path: FilePath) -> np.ndarray:
    """Stored phases as radians.

    Parameters
    ----------
    stored : ndarray
        Radians; milliradians (GE, Philips); or of 2 to the n steps a turn, from minus half of them (Siemens: -4096 to 4094
        in steps of 2) or from 0 to one less (Siemens: 0 to 4095).
    units : str or None
        ``rad``, if the sidecar says so.
    path : path-like
        Named in errors.

    Returns
    -------
    ndarray, float64

    Raises
    ------
    InputError
        If the values are in none of these.
    """
    finite = np.isfinite(stored)
    if not finite.any():
        raise InputError(path, "voxels", "no finite value", "phases", "Convert the image again.")
    low, high = float(stored[finite].min()), float(stored[finite].max())
    largest = max(abs(low), high)
    values = np.where(finite, stored, 0).astype(np.float64)
    is_share = units != "rad" and _SHARE[0] <= largest <= _SHARE[1]
    if largest <= _RADIANS and (units in ("rad", None) or largest > 1) and not is_share:
        return values
    if units != "rad":
        if low < 0 and _MILLIRADIANS[0] <= largest <= _MILLIRADIANS[1]:
            return values / 1000
        # One more than the largest value of a range that begins at 0.
        scale = 2.0 ** np.ceil(np.log2(largest + (low >= 0)))
        if scale >= 256 and largest >= _FILLED * scale:
            return values * (np.pi / scale) if low < 0 else (values / scale * 2 - 1) * np.pi
    raise InputError(
        path,
        "voxels",
        f"phases from {low:g} to {high:g}" + (" and Units rad" if units == "rad" else ""),
        "radians (-3.14 to 3.14), milliradians, or a scanner's whole scale, such as -4096 to 4094 or 0 to 4095",
        "Convert the image to radians and write Units rad into its sidecar.",
    )


def head(magnitude: np.ndarray, path: FilePath) -> np.ndarray:
    """Where a magnitude image tells of a phase: above Otsu's threshold of its logarithm, the largest body, holes closed.

    Parameters
    ----------
    magnitude : ndarray of shape (X, Y, Z)
    path : path-like
        Named in errors.

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)

    Raises
    ------
    InputError
        If the image is empty, or has no signal above 0.
    """
    smooth = ndimage.gaussian_filter(np.nan_to_num(magnitude, posinf=0.0, neginf=0.0).astype(np.float64), 0.7)
    if not np.ptp(smooth) > 0 or not smooth.max() > 0:
        raise InputError(path, "voxels", f"{smooth.flat[0]:g} throughout", "a head", "Look at the image.")
    values = np.log(np.maximum(smooth, 0)[smooth > 0] + 1)
    counts, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middle)
    between = (sums[-1] * below / counts.sum() - sums[:-1]) ** 2 / np.maximum(below * (counts.sum() - below), 1)
    bright = smooth > np.exp(middle[np.argmax(between)]) - 1
    labels, number = ndimage.label(bright)
    largest = 1 + int(np.argmax(ndimage.sum_labels(bright, labels, range(1, number + 1))))
    return ndimage.binary_fill_holes(ndimage.binary_closing(labels == largest) | (labels == largest))


def _beside(path: FilePath, image: images.Volume) -> np.ndarray:
    """A magnitude image on the grid of the phase."""
    magnitude = images.load(path)
    if magnitude.data.shape == image.data.shape and np.allclose(magnitude.affine, image.affine, atol=1e-3):
        return magnitude.data
    sampled = resample.resample(magnitude.data, magnitude.affine, transforms.points(image.grid), fill=0)
    return np.nan_to_num(sampled)


def _direct(stored: np.ndarray, units: str | None, path: FilePath) -> np.ndarray:
    """Stored values of a direct field map in Hz."""
    factor = {"Hz": 1.0, "rad/s": 1 / (2 * np.pi), "T": _HERTZ_PER_TESLA}[str(units)]
    hertz = stored.astype(np.float64) * factor
    if not np.isfinite(hertz).any() or not hertz.any():
        raise InputError(path, "voxels", "zero throughout", "a field", "Look at the image.")
    return np.nan_to_num(hertz, posinf=0.0, neginf=0.0)


def _judge(hertz: np.ndarray, tesla: float | None, path: FilePath, units: str | None) -> None:
    """Refuse a field that is none of a head."""
    spread = float(np.subtract(*np.percentile(hertz, [75, 25])))
    most = _HERTZ_PER_TESLA_MOST * (tesla or 3.0)
    log.info("%s: the middle half of the field lies within %.1f Hz", path, spread)
    if spread > most:
        raise InputError(
            path,
            "Units" if units else "voxels",
            f"a field whose middle half spans {spread:.0f} Hz",
            f"at most {most:.0f} Hz",
            "Correct its unit, or its echo times.",
        )
    span, least = float(np.subtract(*np.percentile(hertz, [99, 1]))), _HERTZ_PER_TESLA_LEAST * (tesla or 3.0)
    if span < least:
        raise InputError(
            path,
            "Units" if units and span else "voxels",
            f"a field that spans {span:.2g} Hz over the head",
            f"at least {least:.2g} Hz",
            "Correct its unit, or convert the map again.",
        )


def _smooth(hertz: np.ndarray, magnitude: np.ndarray, voxel: np.ndarray) -> np.ndarray:
    """The field smoothed within the head, and continued from there outwards.

    The variance of a phase is the inverse square of the magnitude, which weights it.
    """
    known = np.isfinite(hertz)
    weight = np.where(known, np.maximum(magnitude, 0), 0).astype(np.float64) ** 2
    weight /= max(float(np.percentile(weight[known], 99)), 1e-12)
    values, out = np.where(known, hertz, 0) * weight, np.full(hertz.shape, np.nan)
    width = _FWHM
    while np.isnan(out).any() and width <= 4 * _ANY_REST:
        sigma = width / resample.FWHM_PER_SIGMA / voxel
        total = ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=3)
        mean = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3) / np.maximum(total, 1e-12)
        new = np.isnan(out) & ((total > _LEAST_REST) | (width > _ANY_REST) & (total > 1e-9))
        out[new] = mean[new]
        width *= _WIDER
    return np.where(np.isnan(out), np.median(hertz[known]), out)
