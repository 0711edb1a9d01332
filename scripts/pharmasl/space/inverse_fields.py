"""The way back from a T1-weighted image to the template: the inverse of its field, computed where it is needed.

Of a registration the field over the template is kept; its inverse, a file twice as large, follows from that alone. It lies
on a grid of :data:`SPACING` over the T1w image. A node's value does not depend on which other nodes are computed.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from pharmasl.errors import FilePath
from pharmasl.space import fields, images, transforms
from pharmasl.space.images import Grid, Volume

SPACING = 2.0  # mm, of the nodes


class Inverse(NamedTuple):
    """An inverse field.

    Attributes
    ----------
    field : images.Volume
        (X, Y, Z, 3), RAS+ mm in the template of each node over the T1w image; NaN where it was not computed.
    unconverged : float
        Share of the computed nodes where the inversion stopped above its tolerance.
    """

    field: Volume
    unconverged: float


def invert(forward: Volume, head: Grid, points: np.ndarray | None = None, reach: float = 0.0) -> Inverse:
    """The inverse of a field over the template, on a grid over the T1w image.

    Parameters
    ----------
    forward : images.Volume
        (U, V, W, 3), RAS+ mm in the T1w image of each node over the template.
    head : images.Grid
        The T1w image's.
    points : ndarray of shape (..., 3), optional
        Where the inverse is to be sampled, RAS+ mm in the T1w image; by default everywhere.
    reach : float
        How far from those points it is sampled too, mm.

    Returns
    -------
    Inverse
    """
    grid = images.spaced(head, SPACING)
    nodes = transforms.points(grid)
    where = np.ones(grid.shape, dtype=bool) if points is None else _around(grid, points, reach)
    field = np.full(nodes.shape, np.nan)
    field[where], failed = fields.invert(*forward, nodes[where])
    # A field's file holds displacements rounded likewise.
    return Inverse(Volume(fields.rounded(field, grid.affine), grid.affine), failed / max(int(where.sum()), 1))


def read(forward: FilePath, head: FilePath, points: np.ndarray, reach: float = 0.0) -> Volume:
    """The inverse of a field in a file, at least around some points of the T1w image.

    Parameters
    ----------
    forward : path-like
        ITK field over the template.
    head : path-like
        An image on the T1w image's grid.
    points, reach
        As for :func:`invert`.

    Returns
    -------
    images.Volume
        As :attr:`Inverse.field`.
    """
    field, grid = transforms.read_field(forward)
    return invert(Volume(field, grid.affine), images.grid(head), points, reach).field


def write(path: FilePath, forward: FilePath, head: FilePath) -> None:
    """Write the whole inverse of a field as an ITK displacement field.

    Parameters
    ----------
    path : path-like
    forward, head : path-like
        As for :func:`read`.
    """
    field, grid = transforms.read_field(forward)
    transforms.write_field(path, *invert(Volume(field, grid.affine), images.grid(head)).field)


def _around(grid: Grid, points: np.ndarray, reach: float) -> np.ndarray:
    """The nodes between which points are interpolated, and those as far from them as ``reach``: bool, the grid's shape."""
    voxels = transforms.apply(np.linalg.inv(grid.affine), points.reshape(-1, 3))
    # As fields are sampled: a point beyond the outermost nodes is held at them.
    # A point on a node, but for rounding, may lie in the cell on either side.
    lowest = np.clip(np.floor(voxels + 1e-6), 0, np.maximum(np.array(grid.shape) - 2, 0)).astype(int)
    where = np.zeros(grid.shape, dtype=bool)
    where[tuple(lowest.T)] = True
    further = np.ceil(reach / np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))).astype(int)
    # The second node of each axis, too.
    size = tuple(2 * (1 + further) + 1)
    return ndimage.maximum_filter(where, size=size, mode="constant")
