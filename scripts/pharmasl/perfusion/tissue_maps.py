"""Maps of grey matter, white matter and fluid on a grid of their own, and what is carried from them to a scan's grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from pharmasl.errors import InputError
from pharmasl.space import images, resample, transforms

# Grid of the tissue maps while fitting: finer than any perfusion voxel.
MAP_SPACING = 2.0
# Full widths at half maximum to which maps and image are brought, mm; and how many points each level uses.
LEVELS = ((14.0, 3000), (8.0, 8000), (5.0, 20000))
# Tissue masks of the mean CBF (OSIPI challenge entries: GM > 0.7, WM > 0.9). Perfusion voxels are large, so thin tissue
# may hardly reach them; the mask then falls back in these steps, and the row says which one was used.
GM_THRESHOLDS = (0.7, 0.6, 0.5)
WM_THRESHOLDS = (0.9, 0.8, 0.7)
MINIMUM_VOXELS = 50


@dataclass(frozen=True)
class Tissues:
    """Tissue maps on a coarse grid of their own.

    Attributes
    ----------
    maps : ndarray of shape (K, X, Y, Z), float32
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    blurred : tuple of ndarray of shape (K, X, Y, Z), float32
        The maps at the width of each of :data:`LEVELS`.
    """

    maps: np.ndarray
    affine: np.ndarray
    blurred: tuple[np.ndarray, ...]


def reduce(maps: Sequence[np.ndarray], affine: np.ndarray, spacing: float = MAP_SPACING) -> Tissues:
    """Tissue maps cropped to where they are not zero and averaged onto a coarser grid.

    Parameters
    ----------
    maps : sequence of ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    spacing : float
        Voxels are joined in blocks up to about this size, mm.

    Returns
    -------
    Tissues

    Raises
    ------
    InputError
        If the maps are empty.
    """
    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    boxes = ndimage.find_objects(np.any([m > 0.01 for m in maps], axis=0).astype(np.uint8))
    if not boxes:
        raise InputError(
            "tissue maps",
            "values",
            "zero everywhere",
            "shares of tissue from 0 to 1",
            "Look at the brain mask of the T1w.",
        )
    box = boxes[0]
    block = np.maximum(1, np.floor(spacing / voxel + 0.2)).astype(int)
    # Whole blocks, with room around for the blurs.
    margin = np.ceil(16.0 / (block * voxel)).astype(int) * block
    first = np.array([s.start for s in box]) - margin
    blocks = np.ceil((np.array([s.stop for s in box]) + margin - first) / block).astype(int)
    out = np.zeros((len(maps), *blocks), dtype=np.float32)
    inside = tuple(slice(max(0, -f), max(0, -f) + s.stop - max(0, f)) for f, s in zip(first, box))
    for number, image in enumerate(maps):
        padded = np.zeros(blocks * block, dtype=np.float32)
        # first is at most the box's start, so that the box always lies within.
        part = image[tuple(slice(max(0, f), s.stop) for f, s in zip(first, box))]
        padded[inside] = part
        split = padded.reshape(blocks[0], block[0], blocks[1], block[1], blocks[2], block[2])
        out[number] = split.mean(axis=(1, 3, 5))
    coarse = affine.copy()
    coarse[:3, :3] = affine[:3, :3] * block
    coarse[:3, 3] = transforms.apply(affine, first + (block - 1) / 2)
    size = block * voxel
    return Tissues(out, coarse, tuple(_beside([blur(image, fwhm, size) for image in out]) for fwhm, _ in LEVELS))


def _beside(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Maps as one array of shape (K, X, Y, Z) whose values of a voxel lie beside one another in memory, as a fit reads them."""
    out = np.empty((*maps[0].shape, len(maps)), dtype=np.float32)
    for number, image in enumerate(maps):
        out[..., number] = image
    return np.moveaxis(out, -1, 0)


def blur(image: np.ndarray, fwhm: float, voxel: np.ndarray) -> np.ndarray:
    """An image brought to a full width at half maximum; a voxel counts as a blur of its own size.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    fwhm : float
        mm.
    voxel : ndarray of shape (3,)
        mm.
    """
    sigma = np.sqrt(np.maximum(0, fwhm**2 - voxel**2)) / resample.FWHM_PER_SIGMA / voxel
    return ndimage.gaussian_filter(image, sigma, truncate=2.5)


def stretched(tissues: Tissues, matrix: np.ndarray) -> Tissues:
    """The same maps in another space, whose points ``matrix`` (4, 4) maps to points of the present one."""
    return replace(tissues, affine=np.linalg.inv(matrix) @ tissues.affine)


def middle(tissues: Tissues) -> np.ndarray:
    """The centre of mass of tissue maps, RAS+ mm: ndarray of shape (3,)."""
    return transforms.apply(tissues.affine, np.array(ndimage.center_of_mass(tissues.maps.sum(axis=0))))


def carry(
    image: np.ndarray,
    affine: np.ndarray,
    grid: images.Grid,
    matrix: np.ndarray,
    *,
    where: np.ndarray | None = None,
    parts: int = 3,
) -> np.ndarray:
    """Average a finer image over the voxels of a coarser grid: a tissue map on the perfusion grid.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of ``image``.
    grid : pharmasl.space.images.Grid
    matrix : ndarray of shape (4, 4)
        Maps points of ``grid`` to points of ``image``.
    where : ndarray of bool, shape ``grid.shape``, optional
        The voxels wanted; the others stay zero.
    parts : int
        A voxel's mean is that of at most this many points along each axis.

    Returns
    -------
    ndarray of shape ``grid.shape``, float32
        What lies outside the image's field of view counts as zero.
    """
    coarse = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))
    fine = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).min()
    count = np.clip(np.round(coarse / fine), 1, parts).astype(int)
    where = np.ones(grid.shape, dtype=bool) if where is None else where
    points = transforms.points(grid)[where]
    # Once, not for every part: the order in memory in which it is sampled.
    image = np.ascontiguousarray(image, dtype=np.float32)
    total = np.zeros(len(points))
    for part in np.ndindex(*count):
        # The centre of each of count equal parts of the voxel, as an offset from the voxel's centre.
        offset = np.eye(4)
        offset[:3, 3] = grid.affine[:3, :3] @ ((np.array(part) + 0.5) / count - 0.5)
        total += resample.resample(image, affine, points, matrix @ offset, fill=0)
    out = np.zeros(grid.shape, dtype=np.float32)
    out[where] = total / count.prod()
    return out


def tissue_mask(
    probability: np.ndarray, inside: np.ndarray, thresholds: Sequence[float], minimum: int = MINIMUM_VOXELS
) -> tuple[np.ndarray, float]:
    """Voxels of a tissue, by the strictest threshold that leaves enough of them.

    Parameters
    ----------
    probability : ndarray of shape (...)
        Share of the voxel that is the tissue, 0 to 1.
    inside : ndarray of bool, shape (...)
    thresholds : sequence of float
        From strict to lenient; a voxel must lie above.
    minimum : int
        Least number of voxels.

    Returns
    -------
    mask : ndarray of bool, shape (...)
    threshold : float
        The one used; the most lenient if none leaves enough.
    """
    for threshold in thresholds:
        mask = inside & (probability > threshold)
        if mask.sum() >= minimum:
            break
    return mask, threshold
