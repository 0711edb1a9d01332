"""Registrations to be looked at: two images in the same planes, of which the page shows one or the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.report.scans import sampling, tiles, voxel_pictures
from pharmasl.space.images import Volume

PIXEL = 1.6  # mm
MARGIN = 12.0  # mm beyond the brain
# Where the planes lie, as shares of the brain's extent from left, back and bottom.
_AXIAL, _CORONAL, _SAGITTAL = (0.25, 0.45, 0.6, 0.75), (0.35, 0.6), (0.3, 0.52)


@dataclass(frozen=True)
class Plane:
    """A plane through a head.

    Attributes
    ----------
    label : str
    points : ndarray of shape (W, H, 3)
        RAS+ mm, axes right (or anterior) and up.
    ends : tuple of str
        What lies left and right.
    """

    label: str
    points: np.ndarray
    ends: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image and how its points are reached.

    Attributes
    ----------
    volume : Volume
    matrix : ndarray of shape (4, 4) or None
        Maps points of the planes to points of the image.
    """

    volume: Volume
    matrix: np.ndarray | None = None

    def at(self, points: np.ndarray) -> np.ndarray:
        """The image at points (..., 3)."""
        return sampling.sample(self.volume.data, self.volume.affine, points, self.matrix)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Two images that take turns.

    Attributes
    ----------
    title, alt : str
    names : tuple of str
        Of the image below and above.
    outlined : str
        Whose brain the outline is.
    tiles : list of tiles.Tile
    facts : list of (str, str)
    """

    title: str
    alt: str
    names: tuple[str, str]
    outlined: str
    tiles: list[tiles.Tile]
    facts: list[tuple[str, str]]


def extent(mask: Volume) -> np.ndarray:
    """The corners of a mask in RAS+ mm: ndarray of shape (2, 3), lowest and highest; of the grid where it is empty."""
    inside = mask.data > 0.5
    if not inside.any():
        inside = np.ones_like(inside)
    places = np.array(
        [np.flatnonzero(inside.any(axis=tuple(k for k in range(3) if k != axis)))[[0, -1]] for axis in range(3)]
    )
    corners = np.array(np.meshgrid(*places, indexing="ij")).reshape(3, -1).T
    points = corners @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return np.stack([points.min(axis=0), points.max(axis=0)])


def planes(mask: Volume) -> list[Plane]:
    """Axial, coronal and sagittal planes through a brain."""
    low, high = extent(mask)
    size = high - low
    across = [np.arange(low[k] - MARGIN, high[k] + MARGIN, PIXEL) for k in range(3)]
    own = []
    for axis, shares, name in ((2, _AXIAL, "z"), (1, _CORONAL, "y"), (0, _SAGITTAL, "x")):
        first, second = (k for k in range(3) if k != axis)
        for share in shares:
            height = float(low[axis] + share * size[axis])
            points = np.empty((len(across[first]), len(across[second]), 3))
            points[..., first], points[..., second] = np.meshgrid(across[first], across[second], indexing="ij")
            points[..., axis] = height
            ends = ("P", "A") if axis == 0 else ("L", "R")
            own.append(Plane(f"{name} = {height:.0f} mm".replace("-", "\u2212"), points, ends))
    return own


def flicker(below: Image, above: Image, *, brain: Image, shown: Sequence[Plane]) -> list[tiles.Tile]:
    """Tiles of two images, the second over the first, with the brain's outline.

    Parameters
    ----------
    below, above : Image
        Each on a grey scale of its own within the brain.
    brain : Image
        A mask.
    shown : sequence of Plane
    """
    samples = [(below.at(plane.points), above.at(plane.points), brain.at(plane.points) > 0.5) for plane in shown]
    inside = np.concatenate([mask.ravel() for _, _, mask in samples])
    scales = [voxel_pictures.windowed(np.concatenate([own[k].ravel() for own in samples]), inside) for k in range(2)]
    made = []
    for plane, own in zip(shown, samples):
        images = [
            (name, voxel_pictures.encoded(scale.pixels(tiles.display(values)), exact=False))
            for name, scale, values in zip(("below", "above"), scales, own)
        ]
        around = tiles.frame(own[2].shape, (PIXEL, PIXEL), plane.ends)
        made.append(tiles.Tile(plane.label, around.svg(images, {"brain": tiles.outline(tiles.display(own[2]))})))
    return made
