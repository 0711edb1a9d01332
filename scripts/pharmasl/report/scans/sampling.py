"""Samples of volumes at the points of a few planes, in NumPy alone: a compiled sampler takes longer to load than this to run."""

import itertools

import numpy as np


def sample(volume: np.ndarray, affine: np.ndarray, points: np.ndarray, matrix: np.ndarray | None = None) -> np.ndarray:
    """Trilinear samples, 0 outside the grid.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of ``volume``.
    points : ndarray of shape (..., 3)
        RAS+ mm.
    matrix : ndarray of shape (4, 4), optional
        Maps ``points`` into the volume's space.

    Returns
    -------
    ndarray of shape ``points.shape[:-1]``, float32
    """
    to_voxel = np.linalg.inv(affine) @ (np.eye(4) if matrix is None else matrix)
    place = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    limit = np.array(volume.shape) - 1
    inside = ((place > -0.5) & (place < limit + 0.5)).all(axis=-1)
    place = np.clip(place[inside], 0, limit)
    low = np.minimum(place.astype(np.intp), np.maximum(limit - 1, 0))
    share = (place - low).astype(np.float32)
    values, strides = np.ascontiguousarray(volume).reshape(-1), np.array([limit[1] + 1, 1]) * (limit[2] + 1)
    first = low[:, 0] * strides[0] + low[:, 1] * strides[1] + low[:, 2]
    # Along an axis of a single voxel there is no second one.
    steps = np.where(limit > 0, [*strides, 1], 0)
    total = np.zeros(len(place), dtype=np.float32)
    for corner in itertools.product((0, 1), repeat=3):
        x, y, z = (share[:, axis] if upper else 1 - share[:, axis] for axis, upper in enumerate(corner))
        total += x * y * z * values[first + int(steps @ corner)]
    out = np.zeros(points.shape[:-1], dtype=np.float32)
    out[inside] = total
    return out
