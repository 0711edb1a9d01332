"""Rigid alignment of two T1-weighted images of one person."""

from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

# (spacing of the points compared, smoothing as full width at half maximum), mm, coarse to fine.
LEVELS = ((8.0, 12.0), (4.0, 6.0), (2.0, 3.0))
_MARGIN = 20.0  # mm around the brain that the alignment uses
_TOLERANCE = 1e-3  # mm at the surface of the brain
_BRAIN_RADIUS = 75.0  # mm
_ITERATIONS = 20


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
    centres = [centroid(image) for image in (first, second)]
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


def in_view(shape: tuple[int, ...], matrix: np.ndarray, grid_shape: tuple[int, ...]) -> np.ndarray:
    """The voxels of a grid that lie in a volume's field of view: up to half a voxel beyond the outermost centres.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.
    matrix : ndarray of shape (4, 4)
        Maps voxel indices of the grid to those of the volume.
    grid_shape : tuple of int

    Returns
    -------
    ndarray of bool, of the grid's shape
    """
    inside = np.ones(grid_shape, dtype=bool)
    i, j, k = np.ogrid[: grid_shape[0], : grid_shape[1], : grid_shape[2]]
    for axis, n in enumerate(shape):
        place = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + matrix[axis, 3]
        # Rounding must not remove the border of an image that lies on the grid itself.
        inside &= (place >= -0.5 - 1e-6) & (place <= n - 0.5 + 1e-6)
    return inside


def centroid(image: Image) -> np.ndarray:
    """The brain's centre, RAS+ mm: ndarray of shape (3,)."""
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
    return values, in_view(image.head.shape, matrix, grid.shape), brain
