"""Dense maps between spaces: interpolation, inversion and Jacobian.

A *field* is what :func:`pharmasl.space.transforms.read_field` returns: RAS+ coordinates (mm) of shape (X, Y, Z, 3) to
which the nodes of a grid are mapped. Between nodes the displacement is interpolated linearly. Beyond the outermost nodes
it keeps the value of the nearest one, so that a field is defined everywhere, unless a caller asks for missing values.
"""

from typing import Literal

import numpy as np
from numba import njit

from pharmasl.space import transforms
from pharmasl.space.images import Grid

_LONGEST_STEP = 20.0  # mm, of Newton's method


@njit(cache=True, nogil=True)
def _read(displacement, voxel, steps, value, slope):
    """Displacement at one voxel coordinate and, if ``steps``, its derivative by voxel coordinate (``slope``)."""
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
def _map(matrix, point, out):
    for k in range(3):
        out[k] = matrix[k, 0] * point[0] + matrix[k, 1] * point[1] + matrix[k, 2] * point[2] + matrix[k, 3]


@njit(cache=True, nogil=True)
def _sample(displacement, to_voxel, points, hold, out):
    value, slope, voxel = np.empty(3), np.empty((3, 3)), np.empty(3)
    for n in range(points.shape[0]):
        _map(to_voxel, points[n], voxel)
        if not hold:
            inside = True
            for k in range(3):
                inside &= -0.5 <= voxel[k] <= displacement.shape[k] - 0.5
            if not inside:
                out[n] = np.nan
                continue
        _read(displacement, voxel, False, value, slope)
        out[n] = points[n] + value


@njit(cache=True, nogil=True)
def _newton_step(slope, linear, rest, step):
    """Solve ``(identity + slope @ linear) step = rest``; False, and nothing solved, where that is nearly flat or folds."""
    m = np.empty((3, 3))
    for a in range(3):
        for b in range(3):
            m[a, b] = slope[a, 0] * linear[0, b] + slope[a, 1] * linear[1, b] + slope[a, 2] * linear[2, b]
        m[a, a] += 1.0
    c0 = m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1]
    c1 = m[1, 2] * m[2, 0] - m[1, 0] * m[2, 2]
    c2 = m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0]
    det = m[0, 0] * c0 + m[0, 1] * c1 + m[0, 2] * c2
    if det < 0.02:
        return False
    x, y, z = rest[0], rest[1], rest[2]
    step[0] = (x * c0 + y * (m[0, 2] * m[2, 1] - m[0, 1] * m[2, 2]) + z * (m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1])) / det
    step[1] = (x * c1 + y * (m[0, 0] * m[2, 2] - m[0, 2] * m[2, 0]) + z * (m[0, 2] * m[1, 0] - m[0, 0] * m[1, 2])) / det
    step[2] = (x * c2 + y * (m[0, 1] * m[2, 0] - m[0, 0] * m[2, 1]) + z * (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0])) / det
    return True


@njit(cache=True, nogil=True)
def _invert(displacement, to_voxel, targets, starts, tolerance, iterations, out):
    """Newton's method with backtracking for ``y + displacement(y) = target``; returns how many points did not converge."""
    value, slope, voxel = np.empty(3), np.empty((3, 3)), np.empty(3)
    at, best, rest, step = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    failed = 0
    for n in range(targets.shape[0]):
        best[:] = starts[n]
        error = np.inf
        step[:] = 0.0
        scale, halvings = 1.0, 0
        for _ in range(iterations):
            for k in range(3):
                at[k] = best[k] + scale * step[k]
            _map(to_voxel, at, voxel)
            _read(displacement, voxel, True, value, slope)
            square = 0.0
            for k in range(3):
                value[k] = targets[n, k] - at[k] - value[k]
                square += value[k] ** 2
            if np.sqrt(square) < error:
                error = np.sqrt(square)
                best[:] = at
                rest[:] = value
                if error <= tolerance:
                    break
                # A nearly flat or folded cell gives no usable Newton step; the plain fixed-point step does.
                if not _newton_step(slope, to_voxel, rest, step):
                    for k in range(3):
                        step[k] = 0.5 * rest[k]
                length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
                scale, halvings = min(1.0, _LONGEST_STEP / length), 0
            else:
                scale *= 0.5
                halvings += 1
                if halvings > 6:
                    break
        failed += error > tolerance
        out[n] = best
    return failed


def sample(
    field: np.ndarray, affine: np.ndarray, points: np.ndarray, beyond: Literal["hold", "missing"] = "hold"
) -> np.ndarray:
    """The points to which a field maps points.

    Parameters
    ----------
    field : ndarray of shape (X, Y, Z, 3)
        RAS+ mm.
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    points : ndarray of shape (..., 3)
        RAS+ mm.
    beyond : {"hold", "missing"}
        Points beyond the outermost nodes get the displacement of the nearest ones; or NaN, if they lie farther out than
        half the distance of two nodes, as samples of a volume outside its field of view.

    Returns
    -------
    ndarray of shape (..., 3), float64
    """
    displacement = field - transforms.points(Grid(field.shape[:3], affine))
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    out = np.empty_like(flat)
    _sample(displacement, np.linalg.inv(affine), flat, {"hold": True, "missing": False}[beyond], out)
    return out.reshape(np.shape(points))


def invert(
    field: np.ndarray, affine: np.ndarray, points: np.ndarray, tolerance: float = 0.002, iterations: int = 60
) -> tuple[np.ndarray, int]:
    """The points that a field maps to other points.

    Parameters
    ----------
    field : ndarray of shape (X, Y, Z, 3)
        RAS+ mm.
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    points : ndarray of shape (..., 3)
        RAS+ mm, to which the field maps.
    tolerance : float
        Largest distance (mm) between the field's value and the point.
    iterations : int
        Largest number of Newton steps.

    Returns
    -------
    starts : ndarray of shape (..., 3), float64
        RAS+ mm, from which the field maps; the closest ones where the tolerance was not reached.
    failed : int
        Number of points at which it was not.
    """
    nodes = transforms.points(Grid(field.shape[:3], affine))
    displacement = field - nodes
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    starts = transforms.apply(np.linalg.inv(affine_part(field, affine)), flat)
    out = np.empty_like(flat)
    failed = _invert(displacement, np.linalg.inv(affine), flat, starts, tolerance, iterations, out)
    return out.reshape(np.shape(points)), int(failed)


def affine_part(field: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The affine map (4 x 4) closest to a field, by least squares over its nodes."""
    nodes = transforms.points(Grid(field.shape[:3], affine)).reshape(-1, 3)
    ends = field.reshape(-1, 3)
    centre, end_centre = nodes.mean(axis=0), ends.mean(axis=0)
    # einsum, not @: a matrix library's sums over many rows depend on its threads.
    square = np.einsum("ni,nj->ij", nodes - centre, nodes - centre)
    mixed = np.einsum("ni,nj->ij", ends - end_centre, nodes - centre)
    matrix = np.eye(4)
    matrix[:3, :3] = mixed @ np.linalg.inv(square)
    matrix[:3, 3] = end_centre - matrix[:3, :3] @ centre
    return matrix


def jacobian(field: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Determinant of a field's Jacobian by central differences: the factor by which it changes volumes.

    Returns
    -------
    ndarray of shape (X, Y, Z)
        1 where volumes are unchanged; 0 or less where the field folds.
    """
    slopes = np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1)
    return np.linalg.det(slopes) / np.linalg.det(affine[:3, :3])


def rounded(field: np.ndarray, affine: np.ndarray, step: float = 2.0**-8) -> np.ndarray:
    """A field with its displacements rounded to multiples of ``step`` (mm), which makes its file much smaller."""
    nodes = transforms.points(Grid(field.shape[:3], affine))
    return nodes + np.round((field - nodes) / step) * step
