"""The mean of several T1-weighted images of one person, midway between them.

Each pair of images is aligned rigidly, both moved by half the way, so that neither is the other's reference (after Reuter
et al. 2010, doi 10.1016/j.neuroimage.2010.07.020). The poses that agree best with all pairs are centred: their mean in the
group of rigid motions (Pennec and Arsigny 2013) is the identity. So no image is favoured, none keeps its sharp voxels while
the others are interpolated, and the order of the images does not matter.

A *pose* is the rigid matrix (4 x 4) that maps points of the midway space to points of an image, RAS+ mm.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.errors import InputError
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

# (spacing of the points compared, smoothing as full width at half maximum), mm, coarse to fine.
LEVELS = ((8.0, 12.0), (4.0, 6.0), (2.0, 3.0))
# Correlation of two aligned images within the brain, smoothed by 3 mm: of one person 0.94 or more, even where contrast or
# noise differ much; of two people 0.55 (two real heads) and 0.60 (two simulated ones).
LEAST_CORRELATION = 0.8
# A mirrored image correlates by 0.72 and 0.75 with its original (the same two heads), by up to 0.80 if it is also smoothed:
# below this, the mirror image is tried too.
SURE_CORRELATION = 0.9

_MARGIN = 20.0  # mm around the brain that the alignment uses
_TOLERANCE = 1e-3  # mm at the surface of the brain
_BRAIN_RADIUS = 75.0  # mm
_ITERATIONS = 20
_MEAN_ITERATIONS = 50


@dataclass(frozen=True)
class Image:
    """One bias-corrected T1-weighted image.

    Attributes
    ----------
    name : str
        Named in errors.
    head : ndarray of shape (X, Y, Z)
        Scaled to a common median of the brain.
    mask : ndarray of bool, shape (X, Y, Z)
        The brain.
    affine : ndarray of shape (4, 4)
    """

    name: str
    head: np.ndarray
    mask: np.ndarray
    affine: np.ndarray


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


def align(first: Image, second: Image) -> tuple[np.ndarray, float]:
    """The rigid motion between two images of one person.

    Gauss-Newton on the squared difference of both images within either's brain, both moved by half the motion. The part
    of the difference that is a smooth function of the intensity (another contrast, another scale), or the intensity times
    a smooth function of position (what is left of the bias fields), is no sign of motion and is fitted too. At the finest
    level, points near the border of the brain have less weight, since what lies beyond it (scalp, eyes, a removed face)
    may differ.

    Parameters
    ----------
    first, second : Image

    Returns
    -------
    matrix : ndarray of shape (4, 4)
        Maps points of ``first`` to points of ``second``. Exchanging the images gives the inverse.
    correlation : float
        Of both images, moved, within their brains.
    """
    pair = (_cut(first), _cut(second))
    centres = [_centroid(image) for image in (first, second)]
    matrix = np.eye(4)
    matrix[:3, 3] = centres[1] - centres[0]
    middle = 0.5 * (centres[0] + centres[1])
    reach = np.maximum(*(_reach(image, centre) for image, centre in zip((first, second), centres)))
    for spacing, fwhm in LEVELS:
        level = _Level.make(pair, _cube(middle, reach, spacing), middle, fwhm, finest=spacing == LEVELS[-1][0])
        for _ in range(_ITERATIONS):
            overlap = level.overlap(matrix)
            # The pseudo-inverse, for images that show nothing.
            step = np.linalg.pinv(overlap.normal, hermitian=True) @ overlap.right
            shift, turn = step[:3], step[3:6]
            update = transforms.rigid_exp(np.concatenate([shift - np.cross(turn, middle), turn]))
            matrix = overlap.half @ update @ overlap.half
            if np.linalg.norm(shift) + _BRAIN_RADIUS * np.linalg.norm(turn) < _TOLERANCE:
                break
    return matrix, overlap.correlation()


@dataclass(frozen=True)
class _Overlap:
    """Both images of a pair moved midway, and the normal equations of the motion that is left.

    Attributes
    ----------
    half : ndarray of shape (4, 4)
        Half of the motion so far.
    values : ndarray of shape (2, N)
        Of the points that both images show.
    weight : ndarray of shape (N,)
    normal, right : ndarray of shape (P, P) and (P,)
        Normal equations; the first six parameters are translation (mm) and rotation (radians).
    """

    half: np.ndarray
    values: np.ndarray
    weight: np.ndarray
    normal: np.ndarray
    right: np.ndarray

    def correlation(self) -> float:
        """Weighted Pearson correlation of the two images; 0 where one of them is constant."""
        both = self.values - np.average(self.values, axis=1, weights=self.weight)[:, None]
        (aa, ab), (_, bb) = np.einsum("in,n,jn->ij", both, self.weight, both)
        return float(ab / np.sqrt(aa * bb)) if aa * bb > 0 else 0.0


@dataclass(frozen=True)
class _Level:
    """A pair of images smoothed for one level of the alignment.

    Attributes
    ----------
    pair : tuple of two Image
        Cut to the surroundings of their brains.
    smooth : tuple of two ndarray
        Spline coefficients of the smoothed images.
    brain : tuple of two ndarray
        Weights of their voxels, 0 to 1.
    grid : images.Grid
        Points at which they are compared, midway between them.
    offset : ndarray of shape (X, Y, Z, 3)
        Of these points from the middle, mm.
    """

    pair: tuple[Image, Image]
    smooth: tuple[np.ndarray, np.ndarray]
    brain: tuple[np.ndarray, np.ndarray]
    grid: Grid
    offset: np.ndarray

    @classmethod
    def make(cls, pair: tuple[Image, Image], grid: Grid, middle: np.ndarray, fwhm: float, *, finest: bool) -> "_Level":
        """The level that compares two images, smoothed by ``fwhm`` (mm), on a grid."""
        first, second = pair
        return cls(
            pair=pair,
            smooth=(_smoothed(first.head, first.affine, fwhm), _smoothed(second.head, second.affine, fwhm)),
            brain=(_inner(first, fwhm), _inner(second, fwhm)) if finest else (first.mask, second.mask),
            grid=grid,
            offset=transforms.points(grid) - middle,
        )

    def overlap(self, matrix: np.ndarray) -> _Overlap:
        """The comparison of both images after the motion so far."""
        half = transforms.rigid_exp(0.5 * transforms.rigid_log(matrix))
        a, inside_a, brain_a = _moved(self.pair[0], self.smooth[0], self.brain[0], np.linalg.inv(half), self.grid)
        b, inside_b, brain_b = _moved(self.pair[1], self.smooth[1], self.brain[1], half, self.grid)
        weight = np.where(inside_a & inside_b, 0.5 * (brain_a + brain_b), 0)
        used = weight > 0
        design = self._design(a + b, used)
        return _Overlap(
            half=half,
            values=np.array([a[used], b[used]]),
            weight=weight[used],
            normal=np.einsum("na,n,nb->ab", design, weight[used], design),
            right=np.einsum("na,n,n->a", design, weight[used], (a - b)[used]),
        )

    def _design(self, total: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Columns that explain the difference of both images, given their sum: motion, contrast and shading."""
        spacing = self.grid.affine[0, 0]
        x, y, z = self.offset[used].T
        gx, gy, gz = (0.5 * part[used] / spacing for part in np.gradient(total))
        level = 0.005 * total[used]
        motion = [gx, gy, gz, y * gz - z * gy, z * gx - x * gz, x * gy - y * gx]
        contrast = [level**n for n in range(4)]
        u, v, w = x / _BRAIN_RADIUS, y / _BRAIN_RADIUS, z / _BRAIN_RADIUS
        shading = [level * form for form in (u, v, w, u * u, v * v, w * w, u * v, v * w, w * u)]
        return np.stack([*motion, *contrast, *shading], axis=1)


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
    centres = [transforms.apply(np.linalg.inv(pose), _centroid(image)) for image, pose in zip(images, poses)]
    away = np.mean(centres, axis=0) - np.mean([_centroid(image) for image in finest], axis=0)
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
    inside = _inside(image.head.shape, matrix, grid.shape)
    # A cubic spline swings below zero beside a bright edge; intensities do not.
    return np.where(inside, np.maximum(values, min(0.0, float(image.head.min()))), 0), inside


def _inside(shape: tuple[int, ...], matrix: np.ndarray, grid_shape: tuple[int, ...]) -> np.ndarray:
    """The voxels of a grid that lie in a volume's field of view: up to half a voxel beyond the outermost centres."""
    inside = np.ones(grid_shape, dtype=bool)
    i, j, k = np.ogrid[: grid_shape[0], : grid_shape[1], : grid_shape[2]]
    for axis, n in enumerate(shape):
        place = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + matrix[axis, 3]
        # Rounding must not remove the border of an image that lies on the grid itself.
        inside &= (place >= -0.5 - 1e-6) & (place <= n - 0.5 + 1e-6)
    return inside


def _centroid(image: Image) -> np.ndarray:
    return transforms.apply(image.affine, np.argwhere(image.mask).mean(axis=0))


def _reach(image: Image, centre: np.ndarray) -> np.ndarray:
    """Largest distance along each axis of space from the brain's centre to its border, mm."""
    corners = np.argwhere(image.mask[::2, ::2, ::2]) * 2.0
    return np.abs(transforms.apply(image.affine, corners) - centre).max(axis=0)


def _cube(middle: np.ndarray, reach: np.ndarray, spacing: float) -> Grid:
    """A grid along the axes of space, symmetric about a point."""
    side = np.ceil(reach / spacing).astype(int) + 1
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = middle - spacing * side
    return Grid(tuple(2 * side + 1), affine)


def _cut(image: Image) -> Image:
    """The brain of an image and its surroundings."""
    size = voxel_sizes(image.affine)
    (box,) = ndimage.find_objects(image.mask.astype(np.int8))
    margin = np.ceil(_MARGIN / size).astype(int)
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin))
    affine = image.affine.copy()
    affine[:3, 3] = transforms.apply(affine, np.array([s.start for s in box], dtype=np.float64))
    return Image(image.name, image.head[box], image.mask[box].astype(np.float32), affine)


def _inner(image: Image, fwhm: float) -> np.ndarray:
    """A weight that falls from 1 to 0 near the border of the brain, where smoothing mixes in what lies beyond it."""
    size = voxel_sizes(image.affine)
    soft = ndimage.gaussian_filter(image.mask, fwhm / resample.FWHM_PER_SIGMA / size, truncate=3)
    return np.maximum(2 * soft - 1, 0)


def _smoothed(head: np.ndarray, affine: np.ndarray, fwhm: float) -> np.ndarray:
    """Spline coefficients of an image, smoothed to the sharpness of one of infinitely small voxels smoothed by ``fwhm``."""
    size = voxel_sizes(affine)
    # A voxel is itself a blur: images of different voxel sizes are brought to one sharpness.
    sigma = np.sqrt(np.maximum(fwhm**2 - size**2, 0)) / resample.FWHM_PER_SIGMA / size
    smooth = ndimage.gaussian_filter(head.astype(np.float32), sigma, truncate=3)
    return ndimage.spline_filter(smooth, order=3, output=np.float32, mode="mirror")


def _moved(
    image: Image, coefficients: np.ndarray, weight: np.ndarray, pose: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smoothed values, voxels inside the field of view, and weights of an image in a pose on a grid."""
    matrix = np.linalg.inv(image.affine) @ pose @ grid.affine
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    values = ndimage.affine_transform(
        coefficients, linear, offset, grid.shape, output=np.float64, order=3, mode="mirror", prefilter=False
    )
    brain = ndimage.affine_transform(weight, linear, offset, grid.shape, output=np.float64, order=1, mode="constant")
    return values, _inside(image.head.shape, matrix, grid.shape), brain
