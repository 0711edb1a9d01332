"""Loops over the lines of two images of opposed phase encoding: the phase encoding is the last axis of every array."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _cubic(line, at):
    """Value and slope of a cubic B-spline along a line of coefficients, mirrored at its ends; beyond them the end's value."""
    n = line.shape[0]
    inside = min(max(at, 0.0), n - 1.0)
    j = min(int(inside), n - 2)
    f = inside - j
    e = 1 - f
    a, b, c, d = line[abs(j - 1)], line[j], line[j + 1], line[j + 2 if j + 2 < n else 2 * (n - 1) - (j + 2)]
    value = (e * e * e * a + (4 - 3 * f * f * (1 + e)) * b + (4 - 3 * e * e * (1 + f)) * c + f * f * f * d) / 6
    if inside != at:
        return value, 0.0
    return value, (f * (3 * f - 4) * b - e * (3 * e - 4) * c - e * e * a + f * f * d) / 2


@njit(cache=True, nogil=True, inline="always")
def _slope(line, j):
    """The derivative along a line, over one voxel at its ends, and that many voxels."""
    up, down = min(j + 1, line.shape[0] - 1), max(j - 1, 0)
    return (line[up] - line[down]) / (up - down), up, down


@njit(cache=True, nogil=True)
def residual(
    first: np.ndarray,
    second: np.ndarray,
    gain: np.ndarray,
    weight: np.ndarray,
    u: np.ndarray,
    factors: tuple[float, float],
    rest: np.ndarray,
    derivatives: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> float:
    """What the two images differ by once both are unwarped, and its derivatives; returns half the sum of squares.

    Each image is read at y + its factor * u, and is multiplied with its stretch; the second with ``gain`` too. All is times ``weight``.
    ``rest`` is written, and the ``derivatives``: of u, of u', and of the gain's logarithm.
    """
    nx, nz, ny = u.shape
    total = 0.0
    one, two = factors
    by_place, by_slope, by_gain = derivatives
    for i in range(nx):
        for k in range(nz):
            line = u[i, k]
            for j in range(ny):
                slope, _, _ = _slope(line, j)
                value, change = _cubic(first[i, k], j + one * line[j])
                other, other_change = _cubic(second[i, k], j + two * line[j])
                other *= gain[i, k, j]
                other_change *= gain[i, k, j]
                stretch, other_stretch = 1 + one * slope, 1 + two * slope
                w = weight[i, k, j]
                left = w * (value * stretch - other * other_stretch)
                rest[i, k, j] = left
                by_place[i, k, j] = w * (one * change * stretch - two * other_change * other_stretch)
                by_slope[i, k, j] = w * (one * value - two * other)
                by_gain[i, k, j] = -w * other * other_stretch
                total += 0.5 * left * left
    return total


@njit(cache=True, nogil=True)
def product(v: np.ndarray, by_place: np.ndarray, by_slope: np.ndarray, rest: np.ndarray) -> None:
    """``rest`` becomes J v, the change of the residual with a displacement v."""
    nx, nz, ny = v.shape
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                slope, _, _ = _slope(v[i, k], j)
                rest[i, k, j] = by_place[i, k, j] * v[i, k, j] + by_slope[i, k, j] * slope


@njit(cache=True, nogil=True)
def transposed(rest: np.ndarray, by_place: np.ndarray, by_slope: np.ndarray, out: np.ndarray) -> None:
    """J' of a residual is added to ``out``."""
    nx, nz, ny = rest.shape
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                _, up, down = _slope(rest[i, k], j)
                out[i, k, j] += by_place[i, k, j] * rest[i, k, j]
                share = by_slope[i, k, j] * rest[i, k, j] / (up - down)
                out[i, k, up] += share
                out[i, k, down] -= share


@njit(cache=True, nogil=True)
def barrier(u: np.ndarray, strength: float, curvature: np.ndarray, out: np.ndarray) -> float:
    """Energy of strength * q^2 / (1 - q), q = u'^2: infinite where an image would fold.

    Its gradient is added to ``out``, and its curvature by u' written.
    """
    nx, nz, ny = u.shape
    energy = 0.0
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                slope, up, down = _slope(u[i, k], j)
                q = slope * slope
                if q >= 1.0:
                    return np.inf
                energy += strength * q * q / (1 - q)
                first = strength * (4 * slope * q - 2 * slope * q * q) / (1 - q) ** 2
                curvature[i, k, j] = strength * (12 * q - 6 * q * q + 2 * q**3) / (1 - q) ** 3
                out[i, k, up] += first / (up - down)
                out[i, k, down] -= first / (up - down)
    return energy


@njit(cache=True, nogil=True)
def bend(v: np.ndarray, curvature: np.ndarray, out: np.ndarray) -> None:
    """The barrier's curvature times v is added to ``out``."""
    nx, nz, ny = v.shape
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                slope, up, down = _slope(v[i, k], j)
                share = curvature[i, k, j] * slope / (up - down)
                out[i, k, up] += share
                out[i, k, down] -= share


@njit(cache=True, nogil=True)
def roughness(v: np.ndarray, weights: np.ndarray, out: np.ndarray) -> float:
    """Half the weighted sum of squared differences of neighbours along each axis; its gradient is added to ``out``."""
    nx, nz, ny = v.shape
    energy = 0.0
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                here = v[i, k, j]
                if i + 1 < nx:
                    step = v[i + 1, k, j] - here
                    energy += 0.5 * weights[0] * step * step
                    out[i + 1, k, j] += weights[0] * step
                    out[i, k, j] -= weights[0] * step
                if k + 1 < nz:
                    step = v[i, k + 1, j] - here
                    energy += 0.5 * weights[1] * step * step
                    out[i, k + 1, j] += weights[1] * step
                    out[i, k, j] -= weights[1] * step
                if j + 1 < ny:
                    step = v[i, k, j + 1] - here
                    energy += 0.5 * weights[2] * step * step
                    out[i, k, j + 1] += weights[2] * step
                    out[i, k, j] -= weights[2] * step
    return energy
