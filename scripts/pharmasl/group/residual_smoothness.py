"""Smoothness of a model's residuals, as SPM estimates it (Kiebel et al. 1999, NeuroImage 10:756)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from pharmasl.errors import InputError

_FOUR_LOG_TWO = 4 * np.log(2)

# Voxels whose residuals of all images are in memory at a time.
_TILE = 1024


class Smoothness(NamedTuple):
    """Smoothness of the standardised residuals.

    Attributes
    ----------
    fwhm : ndarray of shape (3,)
        Full width at half maximum along the three axes of the array, voxels. Its product is the volume of a resel.
    resels_per_voxel : float
        1 / product of ``fwhm``.
    voxels : int
        Voxels whose gradient was known.
    images : int
        Residual images used.
    """

    fwhm: np.ndarray
    resels_per_voxel: float
    voxels: int
    images: int


@njit(cache=True, nogil=True)
def _roughness(place, ahead, here, next_, total):
    """Add up the gradients of one plane of voxels; returns how many voxels counted.

    The root determinant and the three root diagonal elements of the gradients' covariance go to ``total``. ``place``
    and ``ahead`` (Y, Z) number the mask's voxels of this plane and the next, -1 outside; ``here`` and ``next_`` (W, n)
    are their standardised residuals. A voxel counts where the whole cube of 2 x 2 x 2 voxels ahead of it lies in the
    mask: SPM's trilinear derivative is unknown where any of the eight is.
    """
    counted = 0
    for j in range(place.shape[0] - 1):
        for k in range(place.shape[1] - 1):
            o, y, z = place[j, k], place[j + 1, k], place[j, k + 1]
            x = ahead[j, k]
            if min(o, x, y, z) < 0:
                continue
            if min(place[j + 1, k + 1], ahead[j + 1, k], ahead[j, k + 1], ahead[j + 1, k + 1]) < 0:
                continue
            xx = yy = zz = xy = xz = yz = 0.0
            for s in range(here.shape[1]):
                gx = next_[x, s] - here[o, s]
                gy = here[y, s] - here[o, s]
                gz = here[z, s] - here[o, s]
                xx += gx * gx
                yy += gy * gy
                zz += gz * gz
                xy += gx * gy
                xz += gx * gz
                yz += gy * gz
            determinant = xx * yy * zz + 2 * xy * xz * yz - xx * yz * yz - yy * xz * xz - zz * xy * xy
            total[0] += np.sqrt(max(determinant, 0.0))
            total[1] += np.sqrt(xx)
            total[2] += np.sqrt(yy)
            total[3] += np.sqrt(zz)
            counted += 1
    return counted


def smoothness(
    residuals: np.ndarray | Callable[[int, int], np.ndarray], mask: np.ndarray, n: int, most: int = 64
) -> Smoothness:
    """Estimate the smoothness of the errors from the residuals of a model.

    Two planes of voxels, of the images used for the gradients, are in memory at a time, whatever the number of
    participants.

    Parameters
    ----------
    residuals : callable or ndarray of shape (V, n)
        Residuals of the full model (whitened where the model is): the array, or a function of ``(start, stop)`` that
        gives the rows of those voxels of ``mask``, in C order, as an array of shape (stop - start, n). Each voxel may
        have any scale of its own: it is standardised here, so that the degrees of freedom drop out.
    mask : ndarray of bool, shape (X, Y, Z)
        Of voxels whose residuals vary.
    n : int
        Images: participants, or scans where the model is of scans.
    most : int
        At most so many images, evenly spread, are used for the gradients (SPM's ``stats.maxres``).

    Returns
    -------
    Smoothness

    Raises
    ------
    InputError
        If no voxel has neighbours, or the residuals do not vary from voxel to voxel.
    ValueError
        If the residuals have another shape.
    """
    mask = np.asarray(mask, dtype=bool)
    voxels = int(mask.sum())
    if isinstance(residuals, np.ndarray) and residuals.shape != (voxels, n):
        raise ValueError(f"residuals of shape {residuals.shape} for {voxels} voxels and {n} images")
    # As SPM picks them: evenly spaced numbers from the first to the last image, rounded half up.
    pick = np.floor(np.linspace(1, n, min(n, most)) + 0.5).astype(np.int64) - 1
    total, counted = np.zeros(4), 0
    place, here, first = _plane(residuals, mask, 0, 0, pick)
    for i in range(1, mask.shape[0]):
        ahead, next_, first = _plane(residuals, mask, i, first, pick)
        counted += _roughness(place, ahead, here, next_, total)
        place, here = ahead, next_
    if counted == 0 or not (total > 0).all():
        raise InputError(
            "analysis",
            "search volume",
            f"{voxels} voxels, {counted} of them with all neighbours and residuals that differ between them",
            "a volume at least two voxels thick with residuals that vary",
            "Use permutation inference, which needs no smoothness.",
        )
    # SPM takes the average over the images used times n / df, of residuals of unit variance; with rows of length 1 in
    # place of sqrt(df) this leaves n / images of the sum.
    factor = n / len(pick)
    volume = total[0] / counted * (factor / _FOUR_LOG_TWO) ** 1.5
    axes = total[1:] / counted * np.sqrt(factor / _FOUR_LOG_TWO)
    # Shape from the axes, volume from the determinant, which is unbiased.
    fwhm = 1 / (volume ** (1 / 3) * axes / axes.prod() ** (1 / 3))
    return Smoothness(fwhm, float(1 / fwhm.prod()), int(counted), len(pick))


def _plane(
    residuals: np.ndarray | Callable[[int, int], np.ndarray], mask: np.ndarray, i: int, first: int, pick: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """The number of each voxel of plane i within the plane, their standardised residuals, and the first voxel of the next plane."""
    place = np.full(mask.shape[1:], -1, dtype=np.int64)
    count = int(mask[i].sum())
    values, varies = np.empty((count, len(pick))), np.empty(count, dtype=bool)
    for start in range(0, count, _TILE):
        stop = min(start + _TILE, count)
        part = first + start, first + stop
        tile = residuals[slice(*part)] if isinstance(residuals, np.ndarray) else residuals(*part)
        tile = np.asarray(tile, dtype=np.float64)
        length = np.sqrt(np.einsum("vi,vi->v", tile, tile))
        with np.errstate(divide="ignore", invalid="ignore"):
            values[start:stop] = tile[:, pick] / length[:, None]
        varies[start:stop] = length > 0
    place[mask[i]] = np.where(varies, np.arange(count), -1)
    return place, values, first + count


def residual_rows(data: Callable[[int, int], np.ndarray], matrix: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """A function that gives the residuals of some voxels, for :func:`smoothness`, without a copy of the data.

    Parameters
    ----------
    data : callable
        Function of ``(start, stop)`` that gives those voxels' data, shape (stop - start, n): of an array of shape
        (V, n) ``lambda start, stop: data[start:stop]``, of one of shape (n, V) ``differences.Differences.tile``.
    matrix : ndarray of shape (n, p)
        The full design, the tested term included.

    Returns
    -------
    callable
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    left, singular, _ = np.linalg.svd(matrix / np.sqrt((matrix**2).sum(axis=0)), full_matrices=False)
    basis = left[:, singular > 1e-10 * singular[0]]

    def rows(start: int, stop: int) -> np.ndarray:
        tile = np.array(data(start, stop), dtype=np.float64)
        raw = np.einsum("vi,vi->v", tile, tile)
        # Twice: the second projection removes what rounding left of a large mean.
        for _ in range(2):
            tile -= (tile @ basis) @ basis.T
        # What is left of a voxel that does not vary is rounding, not a residual.
        tile[np.einsum("vi,vi->v", tile, tile) <= 1e-20 * raw] = 0
        return tile

    return rows
