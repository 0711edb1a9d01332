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
def product(
    v: np.ndarray,
    change: np.ndarray,
    derivatives: tuple[np.ndarray, np.ndarray, np.ndarray],
    curvature: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
    other: np.ndarray,
) -> float:
    """The Gauss-Newton matrix times a displacement v and a ``change`` of the gain, and what that is along them.

    ``out`` and ``other`` are written: what belongs to the displacement and to the gain. ``derivatives`` are those of
    :func:`residual`; the gain's is by its logarithm, a polynomial of -1 to 1 along each axis: constant, x, z, y and, of ten terms, xx,
    xz, xy, zz, zy, yy. The barrier's curvature and the roughness are added to the data's.
    """
    nx, nz, ny = v.shape
    by_place, by_slope, by_gain = derivatives
    terms, sums = np.zeros(10), np.zeros(10)
    count = change.shape[0]
    terms[:count] = change
    # Padded by a voxel at each end, where there is nothing.
    steep = np.zeros(ny + 2)
    rest = np.empty(ny)
    across, up_ward, along = weights[0], weights[1], weights[2]
    step_x, step_z, step_y = 2 / max(nx - 1, 1), 2 / max(nz - 1, 1), 2 / max(ny - 1, 1)
    total = 0.0
    for i in range(nx):
        x = step_x * i - 1
        for k in range(nz):
            z = step_z * k - 1
            flat = terms[0] + terms[1] * x + terms[2] * z + terms[4] * x * x + terms[5] * x * z + terms[7] * z * z
            tilt, bow = terms[3] + terms[6] * x + terms[8] * z, terms[9]
            line = v[i, k]
            before_x, after_x = v[max(i - 1, 0), k], v[min(i + 1, nx - 1), k]
            before_z, after_z = v[i, max(k - 1, 0)], v[i, min(k + 1, nz - 1)]
            zero, one, two = 0.0, 0.0, 0.0
            for j in range(ny):
                slope, width = 0.0, 0.5
                if 0 < j < ny - 1:
                    slope = 0.5 * (line[j + 1] - line[j - 1])
                else:
                    slope, width = _slope(line, j)[0], 1.0
                y = step_y * j - 1
                g = by_gain[i, k, j]
                value = by_place[i, k, j] * line[j] + by_slope[i, k, j] * slope + g * (flat + (tilt + bow * y) * y)
                rest[j] = by_place[i, k, j] * value
                steep[j + 1] = width * (by_slope[i, k, j] * value + curvature[i, k, j] * slope)
                g *= value
                zero += g
                one += g * y
                two += g * y * y
            sums[0] += zero
            sums[1] += x * zero
            sums[2] += z * zero
            sums[3] += one
            sums[4] += x * x * zero
            sums[5] += x * z * zero
            sums[6] += x * one
            sums[7] += z * z * zero
            sums[8] += z * one
            sums[9] += two
            # At its ends a slope is that to the one neighbour there is.
            first, last = steep[1], steep[ny]
            for j in range(ny):
                here = line[j]
                value = rest[j] + steep[j] - steep[j + 2]
                value += across * (2 * here - before_x[j] - after_x[j]) + up_ward * (
                    2 * here - before_z[j] - after_z[j]
                )
                value += along * (2 * here - line[max(j - 1, 0)] - line[min(j + 1, ny - 1)])
                out[i, k, j] = value
                total += here * value
            out[i, k, 0] -= first
            out[i, k, ny - 1] += last
            total += line[ny - 1] * last - line[0] * first
    other[:] = sums[:count]
    for number in range(count):
        total += change[number] * other[number]
    return total


@njit(cache=True, nogil=True)
def advance(
    x: np.ndarray, left: np.ndarray, direction: np.ndarray, out: np.ndarray, diagonal: np.ndarray, length: float
) -> float:
    """Move x along a direction, and what is ``left`` loses the matrix times that: its square by the preconditioner."""
    nx, nz, ny = x.shape
    power = 0.0
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                x[i, k, j] += length * direction[i, k, j]
                rest = left[i, k, j] - length * out[i, k, j]
                left[i, k, j] = rest
                power += rest * rest / diagonal[i, k, j]
    return power


@njit(cache=True, nogil=True)
def turn(direction: np.ndarray, left: np.ndarray, diagonal: np.ndarray, share: float) -> None:
    """The next direction: what is left by the preconditioner, and a share of the direction before."""
    nx, nz, ny = direction.shape
    for i in range(nx):
        for k in range(nz):
            for j in range(ny):
                direction[i, k, j] = left[i, k, j] / diagonal[i, k, j] + share * direction[i, k, j]


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
