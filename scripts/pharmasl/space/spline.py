"""Cubic B-spline sampling of volumes, and the sums over the samples that least-squares realignment needs.

Linear interpolation of a displaced volume blurs it by an amount that depends on the displacement. Between a label and
a control that differ by a percent, at the edges of the brain, that difference of blur exceeds perfusion.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, uint64

from pharmasl.space import separable

_SIXTH = 1 / 6


@dataclass(frozen=True)
class Shift:
    """What is added to the voxel coordinate of points along one axis, after all other transforms: an image's distortion.

    Attributes
    ----------
    axis : int
        Of the image's voxels.
    voxels : ndarray of shape (N,)
        Of each point.
    """

    axis: int
    voxels: np.ndarray

    def at(self, chosen: np.ndarray) -> "Shift":
        """Those of some of the points: a mask or numbers."""
        return Shift(self.axis, self.voxels[chosen])


def coefficients(volume: np.ndarray) -> np.ndarray:
    """The B-spline coefficients of a volume, which the other functions sample: float32, C order."""
    return separable.spline_coefficients(volume)


@njit(cache=True, nogil=True, inline="always")
def _mirror(i, n):
    if i < 0:
        i = -i
    if i > n - 1:
        i = 2 * (n - 1) - i
    # A volume of one or two slices can need a second reflection.
    return min(max(i, 0), n - 1)


@njit(cache=True, nogil=True, inline="always")
def _weights(f):
    """The four cubic B-spline weights at a distance of 0 to 1 from the second knot."""
    w3 = f * f * f * _SIXTH
    w0 = _SIXTH + f * (f - 1) * 0.5 - w3
    w2 = f + w0 - 2 * w3
    return w0, 1 - w0 - w2 - w3, w2, w3


@njit(cache=True, nogil=True, inline="always")
def _inside(flat, start, row, plane, wx, wy, wz):
    """The spline where all 64 knots lie in the volume; ``start`` is the first one's place in ``flat``."""
    one, two, three = uint64(1), uint64(2), uint64(3)
    s0 = s1 = s2 = s3 = 0.0
    for a in range(4):
        here = start
        w = wx[a] * wy[0]
        s0 += w * flat[here]
        s1 += w * flat[here + one]
        s2 += w * flat[here + two]
        s3 += w * flat[here + three]
        for b in range(1, 4):
            here += row
            w = wx[a] * wy[b]
            s0 += w * flat[here]
            s1 += w * flat[here + one]
            s2 += w * flat[here + two]
            s3 += w * flat[here + three]
        start += plane
    return wz[0] * s0 + wz[1] * s1 + wz[2] * s2 + wz[3] * s3


# Apart, so that the loop over points holds nothing but what nearly all points need.
@njit(cache=True, nogil=True)
def _at_border(volume, x, y, z, rim):
    nx, ny, nz = volume.shape
    if not (-rim <= x <= nx - 1 + rim and -rim <= y <= ny - 1 + rim and -rim <= z <= nz - 1 + rim):
        return np.nan
    x = min(max(x, 0.0), nx - 1.0)
    y = min(max(y, 0.0), ny - 1.0)
    z = min(max(z, 0.0), nz - 1.0)
    i, j, k = int(x), int(y), int(z)
    wx, wy, wz = _weights(x - i), _weights(y - j), _weights(z - k)
    k0, k1, k2, k3 = _mirror(k - 1, nz), k, _mirror(k + 1, nz), _mirror(k + 2, nz)
    total = 0.0
    for a in range(4):
        ia = _mirror(i + a - 1, nx)
        plane = 0.0
        for b in range(4):
            row = volume[ia, _mirror(j + b - 1, ny)]
            plane += wy[b] * (wz[0] * row[k0] + wz[1] * row[k1] + wz[2] * row[k2] + wz[3] * row[k3])
        total += wx[a] * plane
    return total


@njit(cache=True, nogil=True, inline="always")
def _value(volume, flat, x, y, z, rim):
    nx, ny, nz = volume.shape
    if 1 <= x < nx - 2 and 1 <= y < ny - 2 and 1 <= z < nz - 2:
        i, j, k = int(x), int(y), int(z)
        start = ((i - 1) * ny + j - 1) * nz + k - 1
        return _inside(
            flat, uint64(start), uint64(nz), uint64(ny * nz), _weights(x - i), _weights(y - j), _weights(z - k)
        )
    return _at_border(volume, x, y, z, rim)


@njit(cache=True, nogil=True)
def _sample(volume, points, matrix, out):
    flat = volume.ravel()
    for i in range(points.shape[0]):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
        # Half a voxel beyond the outermost centres is still inside the field of view: the edge value holds there.
        out[i] = _value(volume, flat, x, y, z, 0.5)


@njit(cache=True, nogil=True)
def _sample_shifted(volume, points, matrix, axis, shift, out):
    flat = volume.ravel()
    along = np.zeros(3)
    along[axis] = 1.0
    for i in range(points.shape[0]):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3] + along[0] * shift[i]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3] + along[1] * shift[i]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3] + along[2] * shift[i]
        out[i] = _value(volume, flat, x, y, z, 0.5)


@njit(cache=True, nogil=True)
def _project(volume, points, matrix, design, weight, right, lost):
    n, p = design.shape
    flat = volume.ravel()
    right[:] = 0.0
    lost[:] = 0.0
    total = 0.0
    for i in range(n):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
        # An edge value that does not change with position would be evidence against motion.
        value = _value(volume, flat, x, y, z, 0.0)
        if np.isnan(value):
            for a in range(p):
                for b in range(p):
                    lost[a, b] += weight[i] * design[i, a] * design[i, b]
        else:
            scaled = weight[i] * value
            total += scaled * value
            for a in range(p):
                right[a] += scaled * design[i, a]
    return total


def sample(
    volume: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    matrix: np.ndarray | None = None,
    shift: Shift | None = None,
) -> np.ndarray:
    """Cubic samples of a volume at arbitrary points.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
        :func:`coefficients` of the image.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of the image.
    points : ndarray of shape (..., 3)
        RAS+ mm.
    matrix : ndarray of shape (4, 4), optional
        Maps ``points`` to the image's space before sampling.
    shift : Shift, optional
        Of as many points.

    Returns
    -------
    ndarray of shape ``points.shape[:-1]``, float32
        NaN outside the field of view.
    """
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    out = np.empty(len(flat), dtype=np.float32)
    to_voxel = np.linalg.inv(affine) @ (np.eye(4) if matrix is None else matrix)
    if shift is None:
        _sample(volume, flat, to_voxel, out)
    else:
        _sample_shifted(volume, flat, to_voxel, shift.axis, np.ascontiguousarray(shift.voxels), out)
    return out.reshape(points.shape[:-1])


def project(
    volume: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    matrix: np.ndarray,
    *,
    design: np.ndarray,
    weight: np.ndarray,
    shift: Shift | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """The sums over a volume's samples that the normal equations of a weighted regression on a design need.

    Parameters
    ----------
    volume, affine, points, matrix
        As for :func:`sample`; ``points`` of shape (N, 3).
    design : ndarray of shape (N, P)
    weight : ndarray of shape (N,)
    shift : Shift, optional
        Of the N points.

    Returns
    -------
    right : ndarray of shape (P,)
        Sum over points of weight * design * sample; points outside the field of view are left out.
    lost : ndarray of shape (P, P)
        Sum of weight * design * design over the points left out.
    total : float
        Sum of weight * sample squared.
    """
    right, lost = np.empty(design.shape[1]), np.empty((design.shape[1], design.shape[1]))
    to_voxel = np.linalg.inv(affine) @ matrix
    if shift is not None:
        # Once for all: the points of a fit are few.
        points, to_voxel = points @ to_voxel[:3, :3].T + to_voxel[:3, 3], np.eye(4)
        points[:, shift.axis] += shift.voxels
    total = _project(volume, points, to_voxel, design, weight, right, lost)
    return right, lost, total
