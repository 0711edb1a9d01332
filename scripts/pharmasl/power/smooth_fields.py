"""Smooth Gaussian fields on a grid, whose variances and correlations are known exactly."""

import math

import numpy as np
from scipy import ndimage

_FWHM = math.sqrt(8 * math.log(2))
# Standard deviations of the kernel after which it is cut off, and that lie between opposite faces of the box, which touch.
_REACH = 4.0


class SmoothNoise:
    """White noise smoothed by a Gaussian kernel, of unit variance at every voxel.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
        V voxels.
    voxel_size : float
        mm.
    fwhm : float
        Full width at half maximum of the kernel, mm.
    """

    def __init__(self, mask: np.ndarray, voxel_size: float, fwhm: float) -> None:
        corners = np.argwhere(mask)
        low = corners.min(axis=0)
        self._sigma = fwhm / _FWHM / voxel_size
        shape = corners.max(axis=0) - low + 1 + math.ceil(_REACH * self._sigma)
        self._shape = tuple(int(length) for length in shape)
        x, y, z = (corners - low).T
        self._places = (x * self._shape[1] + y) * self._shape[2] + z
        impulse = np.zeros(self._shape)
        impulse[0, 0, 0] = 1.0
        self._scale = 1 / math.sqrt(float((self._smoothed(impulse) ** 2).sum()))

    def _smoothed(self, volume: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(volume, self._sigma, mode="wrap", truncate=_REACH)

    def draw(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """So many independent fields, ndarray of shape (number, V), float32."""
        fields = np.empty((number, len(self._places)), dtype=np.float32)
        for row in fields:
            smoothed = self._smoothed(rng.standard_normal(self._shape, dtype=np.float32))
            row[:] = smoothed.ravel()[self._places]
        fields *= np.float32(self._scale)
        return fields

    def variance_of_mean(self, inside: np.ndarray) -> float:
        """The variance of a field's mean over some voxels: that of the noise, weighted by the smoothed region.

        Parameters
        ----------
        inside : ndarray of bool, shape (V,)
        """
        weights = np.zeros(self._shape)
        weights.ravel()[self._places[inside]] = self._scale / inside.sum()
        return float((self._smoothed(weights) ** 2).sum())
