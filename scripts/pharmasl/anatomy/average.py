"""The mean of several T1-weighted images of one person, midway between them.

Each pair of images is aligned rigidly, both moved half the way, so that neither is the other's reference (after Reuter
et al. 2010, doi 10.1016/j.neuroimage.2010.07.020). The poses that agree best with all pairs are centred: their mean in the
group of rigid motions (Pennec and Arsigny 2013) is the identity. So no image is favoured, none keeps its sharp voxels while
the others are interpolated, and the order of the images does not matter.

A *pose* is the rigid matrix (4 x 4) that maps points of the midway space to points of an image, RAS+ mm.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.anatomy.rigid_alignment import Image, align, centroid, in_view
from pharmasl.errors import InputError
from pharmasl.space import transforms
from pharmasl.space.images import Grid

# Correlation of two aligned images within the brain, smoothed by 3 mm: of one person 0.94 or more, even where contrast or
# noise differ much; of two people 0.55 (two real heads) and 0.60 (two simulated ones).
LEAST_CORRELATION = 0.8
# A mirrored image correlates by 0.72 and 0.75 with its original (the same two heads), by up to 0.80 if it is also smoothed:
# below this, the mirror image is tried too.
SURE_CORRELATION = 0.9

_MEAN_ITERATIONS = 50


class Mean(NamedTuple):
    """The mean of several images.

    Attributes
    ----------
    head : ndarray of shape (U, V, W), float32
        The mean over those images whose field of view includes the voxel, each sampled once (cubic B-spline).
    affine : ndarray of shape (4, 4)
    poses : ndarray of shape (N, 4, 4)
        Map points of ``head`` to points of the images.
    correlations : ndarray of shape (N, N)
        Pearson correlation of each pair within the brain, once aligned.
    """

    head: np.ndarray
    affine: np.ndarray
    poses: np.ndarray
    correlations: np.ndarray


def mean(images: Sequence[Image]) -> Mean:
    """The mean of images of one person, aligned.

    Parameters
    ----------
    images : sequence of Image
        Two or more.

    Returns
    -------
    Mean

    Raises
    ------
    InputError
        If two images are too unlike to be aligned, or one is like the other's mirror image.
    """
    count = len(images)
    between = np.broadcast_to(np.eye(4), (count, count, 4, 4)).copy()
    correlations = np.eye(count)
    for i, j in itertools.combinations(range(count), 2):
        between[i, j], correlations[i, j] = align(images[i], images[j])
        between[j, i], correlations[j, i] = np.linalg.inv(between[i, j]), correlations[i, j]
        if correlations[i, j] < SURE_CORRELATION:
            _refuse_mirrored(images[i], images[j], correlations[i, j])
        if not correlations[i, j] >= LEAST_CORRELATION:
            raise InputError(
                file=images[j].name,
                field=f"correlation with {images[i].name} after their alignment",
                found=f"{correlations[i, j]:.2f}",
                expected=f"at least {LEAST_CORRELATION}, as images of one brain have",
                fix="Look at both: another participant's image, another contrast or strong motion must not enter the mean. "
                "Remove the wrong one from the dataset, or set anatomy.t1w to first.",
            )
    centred = poses(between)
    grid = midway_grid(images, centred)
    total, reached = np.zeros(grid.shape), np.zeros(grid.shape, dtype=np.uint8)
    for image, pose in zip(images, centred):
        values, inside = _sampled(image, pose, grid)
        total += values
        reached += inside
    return Mean((total / np.maximum(reached, 1)).astype(np.float32), grid.affine, centred, correlations)


def _refuse_mirrored(first: Image, second: Image, correlation: float) -> None:
    """Raise an error if the mirror image of the second image, but not the image itself, is like the first one."""
    _, other = align(first, replace(second, affine=np.diag([-1.0, 1.0, 1.0, 1.0]) @ second.affine))
    if other >= max(correlation, LEAST_CORRELATION):
        raise InputError(
            file=second.name,
            field="left and right",
            found=f"correlation {correlation:.2f} with {first.name}, and {other:.2f} of its mirror image",
            expected="images of one person with the same sides",
            fix="One of the two was mirrored when it was converted: find out which, convert it again, or remove it from the "
            "dataset.",
        )


def poses(between: np.ndarray) -> np.ndarray:
    """The centred poses that agree best with all pairs.

    Parameters
    ----------
    between : ndarray of shape (N, N, 4, 4)
        ``between[i, j]`` maps points of image i to points of image j.

    Returns
    -------
    ndarray of shape (N, 4, 4)
        Each is the mean of its poses according to the pairs and the other poses; the mean of all is the identity.
    """
    count = len(between)
    current = np.array([between[0, j] for j in range(count)])
    for _ in range(_MEAN_ITERATIONS):
        renewed = np.array(
            [rigid_mean(np.array([between[i, j] @ current[i] for i in range(count)])) for j in range(count)]
        )
        change = max(np.abs(transforms.rigid_log(np.linalg.inv(a) @ b)).max() for a, b in zip(current, renewed))
        current = renewed
        if change < 1e-10:
            break
    return current @ np.linalg.inv(rigid_mean(current))


def rigid_mean(matrices: np.ndarray) -> np.ndarray:
    """The mean of rigid matrices in their group: the matrix (4 x 4) from which their logarithms add up to zero."""
    middle = matrices[0]
    for _ in range(_MEAN_ITERATIONS):
        step = np.mean([transforms.rigid_log(np.linalg.inv(middle) @ matrix) for matrix in matrices], axis=0)
        middle = middle @ transforms.rigid_exp(step)
        if np.abs(step).max() < 1e-13:
            break
    return middle


def midway_grid(images: Sequence[Image], poses: np.ndarray) -> Grid:
    """The grid of the mean: that of the image with the finest voxels, moved by whole voxels so that the brain lies in it.

    Its axes are not rotated with that image, and it is moved by whole voxels only: otherwise that image alone would keep
    its voxels while the others are interpolated.
    """
    keys = [_fineness(image) for image in images]
    finest = [image for image, key in zip(images, keys) if key == min(keys)]
    centres = [transforms.apply(np.linalg.inv(pose), centroid(image)) for image, pose in zip(images, poses)]
    away = np.mean(centres, axis=0) - np.mean([centroid(image) for image in finest], axis=0)
    shift = np.linalg.inv(finest[0].affine[:3, :3]) @ away
    affine = finest[0].affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.round(shift)
    return Grid(finest[0].head.shape, affine)


def _fineness(image: Image) -> tuple[float, float, tuple[int, ...], tuple[float, ...]]:
    """The sort key of the finest image: largest edge and volume of the voxel; then properties other than the order."""
    size = voxel_sizes(image.affine)
    return round(size.max(), 4), round(size.prod(), 4), image.head.shape, tuple(np.round(image.affine, 4).ravel())


def _sampled(image: Image, pose: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """An image's values on a grid, 0 outside its field of view, and the voxels inside it."""
    matrix = np.linalg.inv(image.affine) @ pose @ grid.affine
    coefficients = ndimage.spline_filter(image.head, order=3, output=np.float32, mode="mirror")
    values = ndimage.affine_transform(
        coefficients,
        matrix[:3, :3],
        matrix[:3, 3],
        grid.shape,
        output=np.float32,
        order=3,
        mode="mirror",
        prefilter=False,
    )
    inside = in_view(image.head.shape, matrix, grid.shape)
    # A cubic spline swings below zero beside a bright edge; intensities do not.
    return np.where(inside, np.maximum(values, min(0.0, float(image.head.min()))), 0), inside
