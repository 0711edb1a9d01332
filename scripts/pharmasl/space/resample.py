"""Trilinear sampling of volumes at arbitrary points, and smoothing that leaves missing voxels out."""

from collections.abc import Sequence

import numpy as np
from nibabel.affines import voxel_sizes
from numba import njit
from scipy import ndimage

from pharmasl.space import spline

# Full width at half maximum of a Gaussian, in standard deviations: 2 sqrt(2 ln 2).
FWHM_PER_SIGMA = 2.3548200450309493


@njit(cache=True, nogil=True)
def _linear(volume, coordinates, matrix, fill, out):
    nx, ny, nz = volume.shape
    for i in range(coordinates.shape[0]):
        px, py, pz = coordinates[i, 0], coordinates[i, 1], coordinates[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
        # Half a voxel beyond the outermost centres is still inside the field of view: the edge value holds there.
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5):
            out[i] = fill
            continue
        x = min(max(x, 0.0), nx - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        z = min(max(z, 0.0), nz - 1.0)
        a, b, c = min(int(x), max(nx - 2, 0)), min(int(y), max(ny - 2, 0)), min(int(z), max(nz - 2, 0))
        a1, b1, c1 = min(a + 1, nx - 1), min(b + 1, ny - 1), min(c + 1, nz - 1)
        fx, fy, fz = x - a, y - b, z - c
        low = (volume[a, b, c] * (1 - fz) + volume[a, b, c1] * fz) * (1 - fy)
        low += (volume[a, b1, c] * (1 - fz) + volume[a, b1, c1] * fz) * fy
        high = (volume[a1, b, c] * (1 - fz) + volume[a1, b, c1] * fz) * (1 - fy)
        high += (volume[a1, b1, c] * (1 - fz) + volume[a1, b1, c1] * fz) * fy
        out[i] = low * (1 - fx) + high * fx


@njit(cache=True, nogil=True)
def _linear_many(volumes, coordinates, matrix, fill, out):
    """What :func:`_linear` gives of each volume, to the bit: the last axis of ``volumes`` and ``out`` counts them."""
    nx, ny, nz, count = volumes.shape
    for i in range(coordinates.shape[0]):
        px, py, pz = coordinates[i, 0], coordinates[i, 1], coordinates[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5):
            for n in range(count):
                out[i, n] = fill
            continue
        x = min(max(x, 0.0), nx - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        z = min(max(z, 0.0), nz - 1.0)
        a, b, c = min(int(x), max(nx - 2, 0)), min(int(y), max(ny - 2, 0)), min(int(z), max(nz - 2, 0))
        a1, b1, c1 = min(a + 1, nx - 1), min(b + 1, ny - 1), min(c + 1, nz - 1)
        fx, fy, fz = x - a, y - b, z - c
        for n in range(count):
            low = (volumes[a, b, c, n] * (1 - fz) + volumes[a, b, c1, n] * fz) * (1 - fy)
            low += (volumes[a, b1, c, n] * (1 - fz) + volumes[a, b1, c1, n] * fz) * fy
            high = (volumes[a1, b, c, n] * (1 - fz) + volumes[a1, b, c1, n] * fz) * (1 - fy)
            high += (volumes[a1, b1, c, n] * (1 - fz) + volumes[a1, b1, c1, n] * fz) * fy
            out[i, n] = low * (1 - fx) + high * fx


def resample_many(
    volumes: np.ndarray,
    affine: np.ndarray,
    coordinates: np.ndarray,
    matrix: np.ndarray | None = None,
    fill: float = np.nan,
) -> np.ndarray:
    """What :func:`resample` gives of several volumes of one grid, to the bit, for little more than the time of one.

    Parameters
    ----------
    volumes : ndarray of shape (X, Y, Z, N)
        The values of a voxel side by side in memory.
    affine, coordinates, matrix, fill
        As for :func:`resample`.

    Returns
    -------
    ndarray of shape ``(*coordinates.shape[:-1], N)``, float32
    """
    to_voxel = np.linalg.inv(affine) @ (np.eye(4) if matrix is None else matrix)
    flat = np.ascontiguousarray(coordinates).reshape(-1, 3)
    out = np.empty((len(flat), volumes.shape[-1]), dtype=np.float32)
    _linear_many(np.ascontiguousarray(volumes, dtype=np.float32), flat, to_voxel, np.float32(fill), out)
    return out.reshape((*coordinates.shape[:-1], volumes.shape[-1]))


# Points whose samples are worked out together: what they need of a volume stays in the processor's cache.
_TOGETHER = 64


@njit(cache=True, nogil=True)
def _linear_series(volumes, coordinates, matrices, weights, groups, out):
    """Weighted sums of what :func:`_linear_many` gives, zero outside, for a matrix after the other."""
    total = coordinates.shape[0]
    samples = np.empty((_TOGETHER, volumes.shape[3]), dtype=np.float32)
    for start in range(0, total, _TOGETHER):
        end = min(start + _TOGETHER, total)
        for t in range(matrices.shape[0]):
            _linear_many(volumes, coordinates[start:end], matrices[t], np.float32(0), samples)
            for i in range(start, end):
                value = np.float32(0)
                for n in range(volumes.shape[3]):
                    value += weights[t, groups[i], n] * samples[i - start, n]
                out[t, i] = value


def resample_series(
    volumes: np.ndarray,
    affine: np.ndarray,
    coordinates: np.ndarray,
    matrices: Sequence[np.ndarray],
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Sums of volumes at points that move little, as :func:`resample` gives them for a matrix after the other, to the bit; zero outside.

    All that some points need is sampled before the next ones: the volumes are read once, and not once for each matrix.

    Parameters
    ----------
    volumes : ndarray of shape (X, Y, Z, N)
        The values of a voxel side by side in memory.
    affine : ndarray of shape (4, 4)
    coordinates : ndarray of shape (P, 3)
    matrices : sequence of ndarray of shape (4, 4)
    weights : ndarray of shape (matrices, groups, N), float32, optional
        Of each volume in the sum, by the group of the point; one without them.
    groups : ndarray of int, shape (P,), optional

    Returns
    -------
    ndarray of shape (matrices, P), float32
    """
    to_voxel = np.array([np.linalg.inv(affine) @ matrix for matrix in matrices])
    if weights is None or groups is None:
        weights = np.ones((len(matrices), 1, volumes.shape[-1]), dtype=np.float32)
        groups = np.zeros(len(coordinates), dtype=np.intp)
    out = np.empty((len(matrices), len(coordinates)), dtype=np.float32)
    if len(matrices):
        _linear_series(
            np.ascontiguousarray(volumes, dtype=np.float32),
            np.ascontiguousarray(coordinates),
            to_voxel,
            np.ascontiguousarray(weights),
            groups,
            out,
        )
    return out


def resample(
    volume: np.ndarray,
    affine: np.ndarray,
    coordinates: np.ndarray,
    matrix: np.ndarray | None = None,
    fill: float = np.nan,
    shift: spline.Shift | None = None,
) -> np.ndarray:
    """Trilinear samples of a volume at arbitrary points.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of ``volume``.
    coordinates : ndarray of shape (..., 3)
        RAS+ mm.
    matrix : ndarray of shape (4, 4), optional
        Maps ``coordinates`` to ``volume``'s RAS+ space before sampling, so that a dense field and any number of
        matrices cost one interpolation.
    fill : float
        Value of points outside the field of view; by default NaN, so that missing data stay visible.
    shift : pharmasl.space.spline.Shift, optional
        Of as many points.

    Returns
    -------
    ndarray of shape ``coordinates.shape[:-1]``, float32
    """
    to_voxel = np.linalg.inv(affine) @ (np.eye(4) if matrix is None else matrix)
    flat = np.ascontiguousarray(coordinates).reshape(-1, 3)
    if shift is not None:
        flat, to_voxel = flat @ to_voxel[:3, :3].T + to_voxel[:3, 3], np.eye(4)
        flat[:, shift.axis] += shift.voxels
    out = np.empty(len(flat), dtype=np.float32)
    _linear(np.ascontiguousarray(volume, dtype=np.float32), flat, to_voxel, np.float32(fill), out)
    return out.reshape(coordinates.shape[:-1])


def smooth(
    volume: np.ndarray,
    affine: np.ndarray,
    fwhm: float,
    mask: np.ndarray | None = None,
    onto: np.ndarray | None = None,
) -> np.ndarray:
    """A volume after Gaussian smoothing within a mask by normalised convolution; non-finite voxels are left out.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    fwhm : float
        Full width at half maximum, mm; 0 returns a copy.
    mask : ndarray of bool, shape (X, Y, Z), optional
        Voxels that are averaged and returned; by default all.
    onto : ndarray of bool, shape (X, Y, Z), optional
        Voxels that are returned, if they are not those that are averaged: the others are extrapolated, as far as the
        kernel reaches (three standard deviations along each axis).

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN outside the mask and where ``volume`` is not finite; with ``onto``, outside it and beyond the kernel's reach.
    """
    inside = np.isfinite(volume)
    if mask is not None:
        inside &= mask
    return Smoothing(inside, affine, fwhm, onto).smoothed(volume)


class Smoothing:
    """The smoothing of :func:`smooth` for many volumes that have values in the same voxels.

    Parameters
    ----------
    inside : ndarray of bool, shape (X, Y, Z)
        Voxels that are averaged, and returned unless ``onto`` says otherwise.
    affine, fwhm, onto
        As for :func:`smooth`.
    """

    def __init__(self, inside: np.ndarray, affine: np.ndarray, fwhm: float, onto: np.ndarray | None = None) -> None:
        self._inside, self._returned = inside, inside
        self._sigma = fwhm / FWHM_PER_SIGMA / voxel_sizes(affine)
        if fwhm:
            self._weight = self._filtered(inside.astype(np.float32))
            self._returned = inside if onto is None else onto & (self._weight > 0)

    def _filtered(self, volume: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(volume, self._sigma, mode="constant", truncate=3)

    def smoothed(self, volume: np.ndarray) -> np.ndarray:
        """A volume of shape (X, Y, Z) after smoothing, float32, NaN where nothing is returned."""
        if not self._sigma.any():
            return np.where(self._inside, volume, np.nan).astype(np.float32)
        total = self._filtered(np.where(self._inside, volume, 0).astype(np.float32))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._returned, total / self._weight, np.nan).astype(np.float32)
