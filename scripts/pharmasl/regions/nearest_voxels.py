"""Which voxel of an image a point lies in."""

from typing import cast

import numpy as np

from pharmasl.space import images, transforms


def nearest_index(coordinates: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The voxel in which each point lies.

    Parameters
    ----------
    coordinates : ndarray of shape (..., 3)
        mm; NaN lies nowhere.
    affine : ndarray of shape (4, 4)
        Voxel to mm.
    shape : tuple of int

    Returns
    -------
    ndarray of int, shape ``coordinates.shape[:-1]``
        Flat index (the last axis runs fastest); -1 outside the field of view.
    """
    matrix = np.linalg.inv(affine)
    voxel = np.einsum("ij,...j->...i", matrix[:3, :3], coordinates) + matrix[:3, 3]
    # A centre midway between two voxels goes to the upper one, whatever the rounding error of the affines.
    voxel = np.floor(np.round(voxel, 4) + 0.5)
    inside = ((voxel >= 0) & (voxel < shape)).all(axis=-1)
    index = np.where(inside[..., None], voxel, 0).astype(np.intp)
    flat = np.ravel_multi_index(cast(tuple[np.ndarray, ...], tuple(np.moveaxis(index, -1, 0))), shape)
    return np.where(inside, flat, -1)


def nearest(volume: np.ndarray, affine: np.ndarray, grid: images.Grid) -> np.ndarray:
    """Nearest-neighbour samples of a volume at the voxel centres of a grid.

    Parameters
    ----------
    volume : ndarray of shape (A, B, C)
    affine : ndarray of shape (4, 4)
        Voxel to mm of ``volume``.
    grid : images.Grid

    Returns
    -------
    ndarray of shape ``grid.shape``
        Of the volume's dtype; 0 outside its field of view.
    """
    if volume.shape == grid.shape and np.allclose(affine, grid.affine, atol=1e-5):
        return volume
    index = nearest_index(transforms.points(grid), affine, volume.shape)
    return np.where(index >= 0, volume.ravel()[index], np.zeros(1, dtype=volume.dtype))
