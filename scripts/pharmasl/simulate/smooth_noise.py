"""Smooth random fields, drawn on coarse grids and sampled at arbitrary points."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid


def box(low: ArrayLike, high: ArrayLike, spacing: float) -> Grid:
    """A grid of cubes that covers a box of RAS+ millimetres.

    Parameters
    ----------
    low, high : array_like of shape (3,)
        mm.
    spacing : float
        mm.

    Returns
    -------
    images.Grid
    """
    first, last = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = first
    return Grid(tuple(int(n) for n in np.ceil((last - first) / spacing) + 1), affine)


def gaussian(rng: np.random.Generator, grid: Grid, scale: float) -> np.ndarray:
    """Smoothed white noise with mean zero and standard deviation one over the grid.

    Parameters
    ----------
    rng : numpy.random.Generator
    grid : images.Grid
        With isotropic voxels.
    scale : float
        Standard deviation of the Gaussian kernel, mm.

    Returns
    -------
    ndarray of shape ``grid.shape``, float64
    """
    spacing = np.linalg.norm(grid.affine[:3, 0])
    field = ndimage.gaussian_filter(rng.standard_normal(grid.shape), scale / spacing, mode="wrap", truncate=3)
    field -= field.mean()
    return field / field.std()


def sample(rng: np.random.Generator, points: np.ndarray, scale: float, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Values of a new field of unit standard deviation.

    Parameters
    ----------
    rng : numpy.random.Generator
    points : ndarray of shape (..., 3)
        RAS+ mm.
    scale : float
        Standard deviation of the Gaussian kernel, mm.
    low, high : array_like of shape (3,)
        The box (mm) over which the field is drawn; outside, it has the value at the nearest point of the box.

    Returns
    -------
    ndarray of shape (...), float32
    """
    grid = box(low, high, scale / 2)
    inside = np.clip(points, grid.affine[:3, 3], transforms.apply(grid.affine, np.array(grid.shape) - 1.0))
    return resample.resample(gaussian(rng, grid, scale), grid.affine, inside)
