"""Separable filters of volumes in single precision: the Gaussian, and the B-spline prefilter.

They do what :func:`scipy.ndimage.gaussian_filter` (mode ``reflect``) and :func:`scipy.ndimage.spline_filter` (order 3, mode
``mirror``) do, in less time: a scan's realignment filters each of its volumes several times, and here a whole row of neighbours
is filtered at once where SciPy copies line after line.
"""

from collections.abc import Sequence

import numpy as np
from numba import float32, njit

# Pole of the cubic B-spline's recursive filter (Unser et al. 1993, doi 10.1109/78.193220).
_POLE = float(np.sqrt(3) - 2)
# Powers of the pole beyond this one are below single precision.
_HORIZON = 16


def gaussian(volume: np.ndarray, sigma: float | Sequence[float] | np.ndarray, truncate: float) -> np.ndarray:
    """A volume smoothed by a Gaussian, reflected at its borders.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
    sigma : float or sequence of 3 floats
        Standard deviation, voxels; an axis of 0 is left as it is.
    truncate : float
        Where the kernel ends, standard deviations.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32, C order
    """
    out = np.array(volume, dtype=np.float32, order="C")
    work = np.empty_like(out)
    for axis, width in enumerate(np.broadcast_to(sigma, 3)):
        if width > 0:
            reach = np.arange(int(truncate * width + 0.5) + 1)
            weights = np.exp(-0.5 * (reach / width) ** 2)
            weights /= weights[0] + 2 * weights[1:].sum()
            _smooth(out, work, axis, weights.astype(np.float32))
            out, work = work, out
    return out


def spline_coefficients(volume: np.ndarray) -> np.ndarray:
    """The cubic B-spline coefficients of a volume that is mirrored at its outermost voxels.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)

    Returns
    -------
    ndarray of shape (X, Y, Z), float32, C order
    """
    out = np.array(volume, dtype=np.float32, order="C")
    _prefilter(out)
    return out


@njit(cache=True, nogil=True, inline="always")
def _reflect(i, n):
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@njit(cache=True, nogil=True)
def _smooth_rows(rows, out, weights):
    """Smooth along the first axis of ``rows`` (N, M)."""
    n, m = rows.shape
    for i in range(n):
        here, there = rows[i], out[i]
        weight = weights[0]
        for j in range(m):
            there[j] = weight * here[j]
        for k in range(1, len(weights)):
            weight, below, above = weights[k], rows[_reflect(i - k, n)], rows[_reflect(i + k, n)]
            for j in range(m):
                there[j] += weight * (below[j] + above[j])


@njit(cache=True, nogil=True)
def _turn(plane, turned):
    """Copy a plane with its axes exchanged."""
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            turned[j, i] = plane[i, j]


@njit(cache=True, nogil=True)
def _smooth(volume, out, axis, weights):
    """Smooth along one axis."""
    nx, ny, nz = volume.shape
    if axis == 0:
        _smooth_rows(volume.reshape(nx, ny * nz), out.reshape(nx, ny * nz), weights)
        return
    turned, smooth = np.empty((nz, ny), np.float32), np.empty((nz, ny), np.float32)
    for i in range(nx):
        if axis == 1:
            _smooth_rows(volume[i], out[i], weights)
        else:
            _turn(volume[i], turned)
            _smooth_rows(turned, smooth, weights)
            _turn(smooth, out[i])


@njit(cache=True, nogil=True)
def _prefilter_rows(rows):
    """Filter along the first axis of ``rows`` (N, M), in place: a causal and an anticausal recursion."""
    n, m = rows.shape
    if n < 2:
        return
    pole = float32(_POLE)
    far = float32(_POLE ** (n - 1))
    first, last = rows[0], rows[n - 1]
    # The signal mirrored without end is a geometric series.
    for j in range(m):
        first[j] += far * last[j]
    for i in range(1, min(n - 1, _HORIZON)):
        power, near, opposite = float32(_POLE**i), rows[i], rows[n - 1 - i]
        for j in range(m):
            first[j] += power * (near[j] + far * opposite[j])
    scale = float32(6 / (1 - _POLE ** (2 * (n - 1))))
    for j in range(m):
        first[j] *= scale
    for i in range(1, n):
        before, here = rows[i - 1], rows[i]
        for j in range(m):
            here[j] = 6 * here[j] + pole * before[j]
    scale, before = float32(_POLE / (_POLE**2 - 1)), rows[n - 2]
    for j in range(m):
        last[j] = scale * (pole * before[j] + last[j])
    for i in range(n - 2, -1, -1):
        here, after = rows[i], rows[i + 1]
        for j in range(m):
            here[j] = pole * (after[j] - here[j])


@njit(cache=True, nogil=True)
def _prefilter(volume):
    """Filter along all axes, in place."""
    nx, ny, nz = volume.shape
    _prefilter_rows(volume.reshape(nx, ny * nz))
    turned = np.empty((nz, ny), np.float32)
    for i in range(nx):
        _prefilter_rows(volume[i])
        _turn(volume[i], turned)
        _prefilter_rows(turned)
        _turn(turned, volume[i])
