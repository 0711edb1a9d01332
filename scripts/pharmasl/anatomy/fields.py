"""Dense maps between spaces: reading them between their nodes, undoing them, and their Jacobian.

A *field* here is what :func:`pharmasl.transforms.read_field` returns: RAS+ coordinates (mm) of shape (X, Y, Z, 3) to
which the nodes of a grid are mapped. Between nodes the displacement is interpolated linearly; beyond the outermost nodes
it keeps its value there, so that a field is defined everywhere.
"""

import numpy as np
from numba import njit

from pharmasl import transforms
from pharmasl.images import Grid


@njit(cache=True, nogil=True)
def _read(displacement, voxel, steps, value, slope):
    """Displacement at one voxel coordinate, and its derivative by voxel coordinate where ``slope`` is wanted."""
    low = np.empty(3, dtype=np.int64)
    part = np.empty(3)
    for k in range(3):
        n = displacement.shape[k]
        inside = min(max(voxel[k], 0.0), n - 1.0)
        low[k] = min(int(inside), max(n - 2, 0))
        part[k] = inside - low[k]
    value[:] = 0.0
    slope[:] = 0.0
    for corner in range(8):
        a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
        x, y, z = part[0] if a else 1 - part[0], part[1] if b else 1 - part[1], part[2] if c else 1 - part[2]
        # An axis with a single node has no second corner; its weight there is 0.
        i = min(low[0] + a, displacement.shape[0] - 1)
        j = min(low[1] + b, displacement.shape[1] - 1)
        k = min(low[2] + c, displacement.shape[2] - 1)
        for component in range(3):
            d = displacement[i, j, k, component]
            value[component] += x * y * z * d
            if steps:
                slope[component, 0] += (d if a else -d) * y * z
                slope[component, 1] += (d if b else -d) * x * z
                slope[component, 2] += (d if c else -d) * x * y
    if steps:
        for axis in range(3):
            if voxel[axis] < 0 or voxel[axis] > displacement.shape[axis] - 1:
                slope[:, axis] = 0.0


@njit(cache=True, nogil=True)
def _sample(displacement, to_voxel, points, out):
    value, slope = np.empty(3), np.empty((3, 3))
    for n in range(points.shape[0]):
        _read(displacement, to_voxel[:3, :3] @ points[n] + to_voxel[:3, 3], False, value, slope)
        out[n] = points[n] + value


@njit(cache=True, nogil=True)
def _invert(displacement, to_voxel, targets, starts, tolerance, iterations, out):
    """Newton's method with backtracking for ``y + displacement(y) = target``; returns how many points did not converge."""
    value, slope, at = np.empty(3), np.empty((3, 3)), np.empty(3)
    failed = 0
    for n in range(targets.shape[0]):
        best = starts[n].copy()
        _read(displacement, to_voxel[:3, :3] @ best + to_voxel[:3, 3], True, value, slope)
        rest = targets[n] - best - value
        error = np.sqrt((rest**2).sum())
        for _ in range(iterations):
            if error <= tolerance:
                break
            jacobian = np.eye(3) + slope @ to_voxel[:3, :3]
            # A nearly flat or folded cell gives no usable Newton step; the plain fixed-point step does.
            step = np.linalg.solve(jacobian, rest) if np.linalg.det(jacobian) > 0.02 else 0.5 * rest
            length = np.sqrt((step**2).sum())
            if length > 20.0:
                step *= 20.0 / length
            scale, better = 1.0, False
            for _ in range(6):
                at[:] = best + scale * step
                _read(displacement, to_voxel[:3, :3] @ at + to_voxel[:3, 3], True, value, slope)
                trial = targets[n] - at - value
                trial_error = np.sqrt((trial**2).sum())
                if trial_error < error:
                    better = True
                    break
                scale *= 0.5
            if not better:
                break
            best[:], rest[:], error = at, trial, trial_error
        failed += error > tolerance
        out[n] = best
    return failed


def sample(field, affine, points):
    """Where a field maps points.

    Parameters
    ----------
    field : ndarray of shape (X, Y, Z, 3)
        RAS+ mm.
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    points : ndarray of shape (..., 3)
        RAS+ mm.

    Returns
    -------
    ndarray of shape (..., 3), float64
    """
    displacement = field - transforms.points(Grid(field.shape[:3], affine))
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    out = np.empty_like(flat)
    _sample(displacement, np.linalg.inv(affine), flat, out)
    return out.reshape(np.shape(points))


def invert(field, affine, points, tolerance=0.002, iterations=60):
    """The points that a field maps to given points.

    Parameters
    ----------
    field : ndarray of shape (X, Y, Z, 3)
        RAS+ mm.
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    points : ndarray of shape (..., 3)
        RAS+ mm, where the field ends.
    tolerance : float
        mm, between the field's value and the wanted point.
    iterations : int
        Newton steps at most.

    Returns
    -------
    starts : ndarray of shape (..., 3), float64
        RAS+ mm, where the field starts; the closest found where the tolerance was not reached.
    failed : int
        Number of points that did not reach it.
    """
    nodes = transforms.points(Grid(field.shape[:3], affine))
    displacement = field - nodes
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    # The affine map that fits the field best, undone, starts within a few voxels of the answer.
    from_nodes = np.column_stack([nodes.reshape(-1, 3)[::97], np.ones(len(nodes.reshape(-1, 3)[::97]))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(from_nodes, field.reshape(-1, 3)[::97], rcond=None)[0].T
    starts = transforms.apply(np.linalg.inv(matrix), flat)
    out = np.empty_like(flat)
    failed = _invert(displacement, np.linalg.inv(affine), flat, starts, tolerance, iterations, out)
    return out.reshape(np.shape(points)), int(failed)


def jacobian(field, affine):
    """Determinant of a field's Jacobian: the local volume of its image over its own, by central differences.

    Returns
    -------
    ndarray of shape (X, Y, Z)
        1 where volumes are kept; 0 or less where the field folds.
    """
    slopes = np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1)
    return np.linalg.det(slopes) / np.linalg.det(affine[:3, :3])


def rounded(field, affine, step=2.0**-9):
    """A field whose displacements are multiples of ``step`` (mm): half a step is lost, and the file is much smaller."""
    nodes = transforms.points(Grid(field.shape[:3], affine))
    return nodes + np.round((field - nodes) / step) * step
