"""A person's shape: an affine and a diffeomorphic warp between the person's millimetres and the template's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.simulate import smooth_noise
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

_SPACING = 5.0
# Doublings of the exponential: the first step of a 10 mm warp is then a tenth of a millimetre.
_DOUBLINGS = 7


def exponential(velocity: np.ndarray, grid: Grid) -> np.ndarray:
    """The displacement by a stationary velocity field in unit time, computed by scaling and squaring.

    Parameters
    ----------
    velocity : ndarray of shape (3, X, Y, Z)
        mm per unit time, zero at the grid's border.
    grid : images.Grid

    Returns
    -------
    ndarray of shape (3, X, Y, Z)
        mm; the point ``p`` moves to ``p + displacement(p)``.
    """
    points = transforms.points(grid)
    displacement = velocity / 2**_DOUBLINGS
    for _ in range(_DOUBLINGS):
        moved = points + np.moveaxis(displacement, 0, -1)
        displacement = displacement + sampled(displacement, grid, moved)
    return displacement


def sampled(displacement: np.ndarray, grid: Grid, points: np.ndarray) -> np.ndarray:
    """Displacements of shape (3, ...) at points of shape (..., 3); zero beyond the grid."""
    many = resample.resample_many(np.moveaxis(displacement, 0, -1), grid.affine, points, fill=0.0)
    return np.moveaxis(many, -1, 0)


@dataclass(frozen=True)
class Deformation:
    """The map between a person's T1w frame and the template.

    Attributes
    ----------
    matrix : ndarray of shape (4, 4)
        Maps T1w millimetres to the template's, before the warp.
    forward, inverse : ndarray of shape (3, X, Y, Z)
        Displacements (mm) of the warp and of its inverse, on ``grid``, in template space.
    grid : images.Grid
    """

    matrix: np.ndarray
    forward: np.ndarray
    inverse: np.ndarray
    grid: Grid

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Template points (mm) of T1w points (mm), both of shape (..., 3)."""
        straight = transforms.apply(self.matrix, points)
        return straight + np.moveaxis(sampled(self.forward, self.grid, straight), 0, -1)

    def from_template(self, points: ArrayLike) -> np.ndarray:
        """T1w points (mm) of template points (mm), both of shape (..., 3)."""
        targets = np.asarray(points, dtype=np.float64)
        warped = targets + np.moveaxis(sampled(self.inverse, self.grid, targets), 0, -1)
        # The two sampled fields are inverses to 0.2 mm; these steps solve warped + forward(warped) = points.
        for _ in range(3):
            warped = targets - np.moveaxis(sampled(self.forward, self.grid, warped), 0, -1)
        return transforms.apply(np.linalg.inv(self.matrix), warped)

    def jacobian(self) -> np.ndarray:
        """Determinant of the warp's Jacobian at the nodes of its grid: above zero where the warp can be inverted."""
        spacing = np.linalg.norm(self.grid.affine[:3, 0])
        gradient = np.stack([np.stack(np.gradient(part, spacing), axis=-1) for part in self.forward], axis=-2)
        return np.linalg.det(gradient + np.eye(3))


def draw(
    rng: np.random.Generator,
    low: ArrayLike,
    high: ArrayLike,
    centre: np.ndarray,
    warp: float,
    *,
    size: float = 0.04,
    tilt: float = 4.0,
    shift: float = 5.0,
) -> Deformation:
    """A person's shape, drawn at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    low, high : array_like of shape (3,)
        Corners (mm) of the box around the template's tissue; the warp fades to zero 40 mm outside it.
    centre : ndarray of shape (3,)
        The point (mm) about which the head is rotated and scaled.
    warp : float
        Root mean square displacement (mm) of the velocity field over the box.
    size : float
        Standard deviation of the size along each axis, as a share; its mean is 4 % below the template, which is larger
        than most brains.
    tilt : float
        Largest rotation about each axis, degrees.
    shift : float
        Largest translation along each axis, mm.

    Returns
    -------
    Deformation
    """
    first, last = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    grid = smooth_noise.box(first - 40, last + 40, _SPACING)
    # Two scales: lobes move as a whole, gyri relative to each other.
    velocity = np.stack(
        [smooth_noise.gaussian(rng, grid, 24.0) + 0.5 * smooth_noise.gaussian(rng, grid, 11.0) for _ in range(3)]
    )
    points = transforms.points(grid)
    outside = np.maximum(np.maximum(first - points, points - last), 0).max(axis=-1)
    velocity *= 0.5 + 0.5 * np.cos(np.pi * np.clip(outside / 35, 0, 1))
    velocity *= warp / np.sqrt((velocity[:, outside == 0] ** 2).sum(axis=0).mean())

    matrix = transforms.rigid_matrix(rng.uniform(-shift, shift, 3), np.deg2rad(rng.uniform(-tilt, tilt, 3)), centre)
    stretch = np.eye(4)
    stretch[:3, :3] = np.diag(np.exp(0.04 + size * np.clip(rng.standard_normal(3), -2, 2)))
    stretch[0, 1], stretch[0, 2], stretch[1, 2] = rng.uniform(-0.02, 0.02, 3)
    stretch[:3, 3] = centre - stretch[:3, :3] @ centre
    return Deformation(matrix @ stretch, exponential(velocity, grid), exponential(-velocity, grid), grid)
