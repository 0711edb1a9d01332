"""The mean of several T1-weighted images of one person, midway between them.

Each pair of images is aligned rigidly, both moved by half the way, so that neither is the other's reference (after Reuter
et al. 2010, doi 10.1016/j.neuroimage.2010.07.020). The poses that agree best with all pairs are centred: their mean in the
group of rigid motions (Pennec and Arsigny 2013) is the identity. So no image is favoured, none keeps its sharp voxels while
the others are interpolated, and the order in which images are given does not matter.

A *pose* is the rigid matrix (4 x 4) that maps points of the midway space to points of an image, RAS+ mm.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from pharmasl.errors import InputError
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

# (spacing of the points compared, smoothing as full width at half maximum), mm, coarse to fine.
LEVELS = ((8.0, 12.0), (4.0, 6.0), (2.0, 3.0))
# Of the brains of two aligned images, smoothed by 3 mm: images of one person correlate by 0.94 or more, also where contrast
# or noise differ much; those of two people by 0.55 (two real heads) and 0.60 (two that were simulated).
LEAST_CORRELATION = 0.8
# One that is mirrored correlates by 0.72 and 0.75 with the image it is made of (the same two heads), by up to 0.80 where it
# is smoothed besides: below this, the mirror image is tried too.
SURE_CORRELATION = 0.9

_MARGIN = 20.0  # mm around the brain that the alignment sees
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


def mean(images):
    """Align images of one person and average them.

    Parameters
    ----------
    images : sequence of Image
        Two or more.

    Returns
    -------
    head : ndarray of shape (U, V, W), float32
        The mean over those images whose field of view holds the voxel, each sampled once (cubic B-spline).
    affine : ndarray of shape (4, 4)
    poses : ndarray of shape (N, 4, 4)
        Maps points of ``head`` to points of each image.
    correlations : ndarray of shape (N, N)
        Pearson correlation of each pair within the brain, once aligned.

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
                "Take the wrong one out of the dataset, or set anatomy.t1w to first.",
            )
    found = poses(between)
    grid = midway_grid(images, found)
    total, reached = np.zeros(grid.shape), np.zeros(grid.shape, dtype=np.uint8)
    for image, pose in zip(images, found):
        values, inside = _sampled(image, pose, grid)
        total += values
        reached += inside
    return (total / np.maximum(reached, 1)).astype(np.float32), grid.affine, found, correlations


def _refuse_mirrored(first, second, correlation):
    """Raise an error if the second image is like the first one once its left and right are exchanged, and only then."""
    _, other = align(first, replace(second, affine=np.diag([-1.0, 1.0, 1.0, 1.0]) @ second.affine))
    if other >= max(correlation, LEAST_CORRELATION):
        raise InputError(
            file=second.name,
            field="left and right",
            found=f"correlation {correlation:.2f} with {first.name}, and {other:.2f} of its mirror image",
            expected="images of one person with the same sides",
            fix="One of the two was mirrored when it was converted: find out which, convert it again, or take it out of the "
            "dataset.",
        )


def align(first, second):
    """The rigid motion between two images of one person.

    Gauss-Newton on the squared difference of both images within either's brain, both moved by half the motion. A part of
    the difference that is a smooth function of the intensity (another contrast, another scale), or the intensity times a
    smooth function of the place (what is left of the bias fields), tells of no motion and is fitted beside it; at the finest level points near the border of the brain count less, for what lies beyond it (scalp,
    eyes, a removed face) may differ.

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
    cut = [_cut(image) for image in (first, second)]
    centres = [_centroid(image) for image in (first, second)]
    matrix = np.eye(4)
    matrix[:3, 3] = centres[1] - centres[0]
    middle = 0.5 * (centres[0] + centres[1])
    reach = np.maximum(*(_reach(image, centre) for image, centre in zip((first, second), centres)))
    for spacing, fwhm in LEVELS:
        grid = _cube(middle, reach, spacing)
        smooth = [_smoothed(image.head, image.affine, fwhm) for image in cut]
        brain = [image.mask if spacing > LEVELS[-1][0] else _inner(image, fwhm) for image in cut]
        offset = transforms.points(grid) - middle
        for _ in range(_ITERATIONS):
            half = transforms.rigid_exp(0.5 * transforms.rigid_log(matrix))
            a, inside_a, brain_a = _moved(cut[0], smooth[0], brain[0], np.linalg.inv(half), grid)
            b, inside_b, brain_b = _moved(cut[1], smooth[1], brain[1], half, grid)
            weight = np.where(inside_a & inside_b, 0.5 * (brain_a + brain_b), 0)
            used = weight > 0
            slope = [0.5 * part[used] / spacing for part in np.gradient(a + b)]
            x, y, z = offset[used].T
            gx, gy, gz = slope
            level = 0.005 * (a + b)[used]
            motion = [gx, gy, gz, y * gz - z * gy, z * gx - x * gz, x * gy - y * gx]
            contrast = [level**n for n in range(4)]
            u, v, w = x / _BRAIN_RADIUS, y / _BRAIN_RADIUS, z / _BRAIN_RADIUS
            shading = [level * form for form in (u, v, w, u * u, v * v, w * w, u * v, v * w, w * u)]
            design = np.stack([*motion, *contrast, *shading], axis=1)
            normal = np.einsum("na,n,nb->ab", design, weight[used], design)
            right = np.einsum("na,n,n->a", design, weight[used], (a - b)[used])
            # The pseudo-inverse, for images that show nothing.
            step = np.linalg.pinv(normal, hermitian=True) @ right
            shift, turn = step[:3], step[3:6]
            update = transforms.rigid_exp(np.concatenate([shift - np.cross(turn, middle), turn]))
            matrix = half @ update @ half
            if np.linalg.norm(shift) + _BRAIN_RADIUS * np.linalg.norm(turn) < _TOLERANCE:
                break
    both = np.array([a[used], b[used]])
    both = both - np.average(both, axis=1, weights=weight[used])[:, None]
    (aa, ab), (_, bb) = np.einsum("in,n,jn->ij", both, weight[used], both)
    return matrix, float(ab / np.sqrt(aa * bb)) if aa * bb > 0 else 0.0


def poses(between):
    """The centred poses that agree best with all pairs.

    Parameters
    ----------
    between : ndarray of shape (N, N, 4, 4)
        ``between[i, j]`` maps points of image i to points of image j.

    Returns
    -------
    ndarray of shape (N, 4, 4)
        Each is the mean of what the pairs say of it, given the others; their own mean is the identity.
    """
    count = len(between)
    found = np.array([between[0, j] for j in range(count)])
    for _ in range(_MEAN_ITERATIONS):
        renewed = np.array(
            [rigid_mean(np.array([between[i, j] @ found[i] for i in range(count)])) for j in range(count)]
        )
        change = max(np.abs(transforms.rigid_log(np.linalg.inv(a) @ b)).max() for a, b in zip(found, renewed))
        found = renewed
        if change < 1e-10:
            break
    return found @ np.linalg.inv(rigid_mean(found))


def rigid_mean(matrices):
    """The mean of rigid matrices in their group, from which their logarithms add up to zero: ndarray of shape (4, 4)."""
    middle = matrices[0]
    for _ in range(_MEAN_ITERATIONS):
        step = np.mean([transforms.rigid_log(np.linalg.inv(middle) @ matrix) for matrix in matrices], axis=0)
        middle = middle @ transforms.rigid_exp(step)
        if np.abs(step).max() < 1e-13:
            break
    return middle


def midway_grid(images, found):
    """The grid of the mean: that of the image with the finest voxels, moved by whole voxels to hold the mean's brain.

    Its axes are not turned with that image, and it is moved by whole voxels only: else that image alone would keep its
    voxels while the others are interpolated.
    """
    keys = [_fineness(image) for image in images]
    finest = [image for image, key in zip(images, keys) if key == min(keys)]
    centres = [transforms.apply(np.linalg.inv(pose), _centroid(image)) for image, pose in zip(images, found)]
    away = np.mean(centres, axis=0) - np.mean([_centroid(image) for image in finest], axis=0)
    shift = np.linalg.inv(finest[0].affine[:3, :3]) @ away
    affine = finest[0].affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.round(shift)
    return Grid(finest[0].head.shape, affine)


def _fineness(image):
    """What images are ordered by, the finest first: largest edge and volume of the voxel; then anything but their order."""
    size = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    return round(size.max(), 4), round(size.prod(), 4), image.head.shape, tuple(np.round(image.affine, 4).ravel())


def _sampled(image, pose, grid):
    """An image's values on a grid, 0 where its field of view ends, and where it does not."""
    matrix = np.linalg.inv(image.affine) @ pose @ grid.affine
    coefficients = ndimage.spline_filter(image.head, order=3, output=np.float32, mode="mirror")
    values = ndimage.affine_transform(
        coefficients, matrix[:3, :3], matrix[:3, 3], grid.shape, np.float32, order=3, mode="mirror", prefilter=False
    )
    inside = _inside(image.head.shape, matrix, grid.shape)
    # A cubic spline swings below zero beside a bright edge; intensities don't.
    return np.where(inside, np.maximum(values, min(0.0, float(image.head.min()))), 0), inside


def _inside(shape, matrix, grid_shape):
    """Which voxels of a grid fall into a volume's field of view, half a voxel beyond the outermost centres."""
    inside = np.ones(grid_shape, dtype=bool)
    i, j, k = np.ogrid[: grid_shape[0], : grid_shape[1], : grid_shape[2]]
    for axis, n in enumerate(shape):
        place = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + matrix[axis, 3]
        # Rounding must not take away the border of an image that lies on the grid itself.
        inside &= (place >= -0.5 - 1e-6) & (place <= n - 0.5 + 1e-6)
    return inside


def _centroid(image):
    return transforms.apply(image.affine, np.argwhere(image.mask).mean(axis=0))


def _reach(image, centre):
    """Largest distance along each axis of space from the brain's centre to its border, mm."""
    corners = np.argwhere(image.mask[::2, ::2, ::2]) * 2.0
    return np.abs(transforms.apply(image.affine, corners) - centre).max(axis=0)


def _cube(middle, reach, spacing):
    """A grid along the axes of space, symmetric about a point."""
    side = np.ceil(reach / spacing).astype(int) + 1
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = middle - spacing * side
    return Grid(tuple(2 * side + 1), affine)


def _cut(image):
    """An image's brain and what is near it."""
    size = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    (box,) = ndimage.find_objects(image.mask.astype(np.int8))
    margin = np.ceil(_MARGIN / size).astype(int)
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin))
    affine = image.affine.copy()
    affine[:3, 3] = transforms.apply(affine, np.array([s.start for s in box], dtype=np.float64))
    return Image(image.name, image.head[box], image.mask[box].astype(np.float32), affine)


def _inner(image, fwhm):
    """A weight that falls from 1 to 0 towards the border of the brain, as far as smoothing brings in what lies beyond it."""
    size = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    soft = ndimage.gaussian_filter(image.mask, fwhm / resample.FWHM_PER_SIGMA / size, truncate=3)
    return np.maximum(2 * soft - 1, 0)


def _smoothed(head, affine, fwhm):
    """Spline coefficients of an image smoothed as one of perfectly fine voxels would be by ``fwhm``."""
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    # A voxel is a blur already: images of different voxel size are brought to one sharpness.
    sigma = np.sqrt(np.maximum(fwhm**2 - size**2, 0)) / resample.FWHM_PER_SIGMA / size
    smooth = ndimage.gaussian_filter(head.astype(np.float32), sigma, truncate=3)
    return ndimage.spline_filter(smooth, order=3, output=np.float32, mode="mirror")


def _moved(image, coefficients, weight, pose, grid):
    """Smoothed values, where the field of view holds, and a weight, on a grid."""
    matrix = np.linalg.inv(image.affine) @ pose @ grid.affine
    part = matrix[:3, :3], matrix[:3, 3], grid.shape, np.float64
    values = ndimage.affine_transform(coefficients, *part, order=3, mode="mirror", prefilter=False)
    brain = ndimage.affine_transform(weight, *part, order=1, mode="constant")
    return values, _inside(image.head.shape, matrix, grid.shape), brain
