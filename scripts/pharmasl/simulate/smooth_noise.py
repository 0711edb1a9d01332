"""Smooth random fields, drawn on coarse grids and sampled where they are wanted."""

import numpy as np
from scipy import ndimage

from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid


def box(low, high, spacing):
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
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    return Grid(tuple(int(n) for n in np.ceil((high - low) / spacing) + 1), affine)


def gaussian(rng, grid, scale):
    """White noise smoothed to a given scale, with mean zero and standard deviation one over the grid.

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


def sample(rng, points, scale, low, high):
    """A new field of unit standard deviation at some points.

    Parameters
    ----------
    rng : numpy.random.Generator
    points : ndarray of shape (..., 3)
        RAS+ mm.
    scale : float
        Standard deviation of the Gaussian kernel, mm.
    low, high : array_like of shape (3,)
        The box (mm) over which the field is drawn; outside, its edge value holds.

    Returns
    -------
    ndarray of shape (...), float32
    """
    grid = box(low, high, scale / 2)
    inside = np.clip(points, grid.affine[:3, 3], transforms.apply(grid.affine, np.array(grid.shape) - 1.0))
    return resample.resample(gaussian(rng, grid, scale), grid.affine, inside)
