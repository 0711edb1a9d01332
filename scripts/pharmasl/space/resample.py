"""Trilinear sampling of volumes at arbitrary points, and smoothing that leaves missing voxels out."""

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
