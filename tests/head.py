"""An analytic head: tissue shares at any point, so that images can be rendered on any grid, in any pose, uninterpolated."""

import functools

import numpy as np
from pharmasl.space import images, transforms

# Half axes of the brain, mm.
_AXES = np.array([62.0, 78.0, 55.0])


def _inside(distance, width):
    """1 well inside a surface (distance negative, mm), 0 outside, soft over about twice the width."""
    return 0.5 * (1 - np.tanh(distance / width))


def shares(points, blur):
    """Grey matter, white matter, fluid and scalp at points (RAS+ mm): ndarray of shape (..., 4).

    ``blur`` is that of the scanner, mm: a perfusion image shows no edge sharper than its voxels, or it would alias.
    """
    inside = functools.partial(_inside, width=blur)
    x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    radius = np.sqrt((x / _AXES[0]) ** 2 + (y / _AXES[1]) ** 2 + (z / _AXES[2]) ** 2)
    mean_axis = 63.0
    around, above = np.arctan2(y, x), np.arcsin(np.clip(z / np.maximum(np.sqrt(x**2 + y**2 + z**2), 1e-9), -1, 1))
    # Gyri of unequal width, so that no rotation maps the head onto itself.
    folds = 4.0 * np.sin(7 * around + 2 * above + 0.5) * np.cos(5 * above + 0.3) + 2.5 * np.sin(4 * around - 3 * above)
    depth = (radius - 1) * mean_axis
    brain = inside(depth)
    pial = inside(depth + 2.5 + 0.5 * folds)
    white = inside(depth + 9.0 + folds)
    ventricle = inside((np.sqrt((np.abs(x) - 9) ** 2 / 36 + (y + 4) ** 2 / 400 + (z - 4) ** 2 / 100) - 1) * 9)
    nucleus = inside((np.sqrt((np.abs(x) - 22) ** 2 / 49 + (y - 8) ** 2 / 196 + (z + 2) ** 2 / 81) - 1) * 9)
    fluid = np.clip(brain - pial, 0, 1) * (1 - ventricle) + ventricle
    grey = (np.clip(pial - white, 0, 1) + np.minimum(white, pial) * nucleus) * (1 - ventricle)
    matter = np.minimum(white, pial) * (1 - nucleus) * (1 - ventricle)
    scalp = inside(depth - 16) * (1 - inside(depth - 8)) * (1 + 0.4 * np.sin(3 * around))
    return np.stack([grey, matter, fluid, scalp], axis=-1)


def render(grid, matrix=None, blur=0.7, parts=2):
    """Tissue shares of a grid's voxels, averaged over ``parts`` points along each axis: ndarray of shape (X, Y, Z, 4).

    ``matrix`` maps points of the grid to points of the head.
    """
    matrix = np.eye(4) if matrix is None else matrix
    points = transforms.points(grid)
    total = 0
    for part in np.ndindex(*np.broadcast_to(parts, 3)):
        offset = grid.affine[:3, :3] @ ((np.array(part) + 0.5) / parts - 0.5)
        total = total + shares(transforms.apply(matrix, points + offset), blur)
    return total / np.prod(np.broadcast_to(parts, 3))


def scan(grid, matrix=None):
    """Tissue shares as a scanner with thick slices sees them: ndarray of shape (X, Y, Z, 4).

    In the plane, spatial frequencies beyond the voxel's are cut off, as k-space is; a slice is a mean over its thickness.
    """
    (nx, ny, nz), affine = grid
    assert nx % 2 == ny % 2 == 0
    fine = affine @ np.diag([0.5, 0.5, 1, 1])
    tissue = render(images.Grid((2 * nx, 2 * ny, nz), fine), matrix, blur=1.5, parts=(1, 1, 3))
    frequencies = np.fft.fftn(tissue, axes=(0, 1))
    for axis, n in enumerate((nx, ny)):
        frequencies = np.take(frequencies, np.r_[0 : n // 2, 2 * n - n // 2 : 2 * n], axis=axis)
    return np.fft.ifftn(frequencies, axes=(0, 1)).real / 4


def centred(shape, voxel, shift=(0, 0, 0)):
    """A grid of given voxel size whose middle lies at ``shift``."""
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = np.array(shift) - np.array(voxel) * (np.array(shape) - 1) / 2
    return images.Grid(tuple(shape), affine)


def distance(found, true, radius=0.9):
    """Root mean square distance between two maps over the brain, mm."""
    side = np.linspace(-1, 1, 9)
    ball = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    points = ball[(ball**2).sum(axis=1) < radius**2] * _AXES
    return float(np.sqrt(((transforms.apply(found, points) - transforms.apply(true, points)) ** 2).sum(axis=1).mean()))
