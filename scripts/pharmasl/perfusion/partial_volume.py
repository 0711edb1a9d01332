"""Partial volume correction: the CBF of grey and of white matter separately, by regression over a voxel's surroundings."""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from pharmasl.errors import InputError

# Least share of a voxel that a tissue must take up for the tissue's value to be given there.
LEAST_SHARE = 0.1
# Most noise of a value, in that of one voxel, beyond which the window does not determine it. It is infinite where the
# two tissues' shares are proportional to one another (a singular window) and grows as there is less of the tissue.
MOST_NOISE = 2.0
# A tissue whose root mean square share over the window is below this is not there: a uniform trace of white matter must
# not make a window of grey matter singular. The trace's CBF, at most this share of it, is counted as the other's.
TRACE = 1e-3


@njit(cache=True, nogil=True, inline="always")
def _sums(values, gm, wm, usable, x_range, y_range, z_range):
    """Sums over a window of the products of the two shares and the value, and the number of voxels."""
    gg, ww, gw, gv, wv, count = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for i in range(x_range[0], x_range[1]):
        for j in range(y_range[0], y_range[1]):
            for k in range(z_range[0], z_range[1]):
                v = values[i, j, k]
                if usable[i, j, k] and np.isfinite(v):
                    g, w = gm[i, j, k], wm[i, j, k]
                    gg += g * g
                    ww += w * w
                    gw += g * w
                    gv += g * v
                    wv += w * v
                    count += 1
    return gg, ww, gw, gv, wv, count


@njit(cache=True, nogil=True)
def _solve(gg, ww, gw, gv, wv, count, gm_here, wm_here):
    """Values of both tissues from a window's sums, NaN where not determined; the shares are those of the voxel itself."""
    gm_value, wm_value = np.nan, np.nan
    least = TRACE * TRACE * count
    g_there, w_there = gg > least, ww > least
    if g_there and w_there:
        determinant = gg * ww - gw * gw
        # The inverse's diagonal, the squared noise, without the quotient that a singular window forbids.
        limit = MOST_NOISE * MOST_NOISE * determinant
        if gm_here >= LEAST_SHARE and ww < limit:
            gm_value = (ww * gv - gw * wv) / determinant
        if wm_here >= LEAST_SHARE and gg < limit:
            wm_value = (gg * wv - gw * gv) / determinant
    elif g_there:
        if gm_here >= LEAST_SHARE and MOST_NOISE * MOST_NOISE * gg > 1:
            gm_value = gv / gg
    elif w_there and wm_here >= LEAST_SHARE and MOST_NOISE * MOST_NOISE * ww > 1:
        wm_value = wv / ww
    return gm_value, wm_value


@njit(cache=True, nogil=True)
def _regress(values, gm, wm, usable, reach, gm_out, wm_out):
    nx, ny, nz = values.shape
    rx, ry, rz = reach
    for x in range(nx):
        x_range = max(x - rx, 0), min(x + rx + 1, nx)
        for y in range(ny):
            y_range = max(y - ry, 0), min(y + ry + 1, ny)
            for z in range(nz):
                gm_out[x, y, z] = np.nan
                wm_out[x, y, z] = np.nan
                if usable[x, y, z] and np.isfinite(values[x, y, z]):
                    z_range = max(z - rz, 0), min(z + rz + 1, nz)
                    gg, ww, gw, gv, wv, count = _sums(values, gm, wm, usable, x_range, y_range, z_range)
                    both = _solve(gg, ww, gw, gv, wv, count, gm[x, y, z], wm[x, y, z])
                    gm_out[x, y, z], wm_out[x, y, z] = both


def correct(
    cbf: np.ndarray, gm: np.ndarray, wm: np.ndarray, mask: np.ndarray, *, kernel: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """CBF of pure grey and of pure white matter, by linear regression over a window (Asllani 2008).

    In a voxel, CBF is ``gm * gm_cbf + wm * wm_cbf`` (cerebrospinal fluid has none). Both are taken to be the same
    throughout the window around a voxel, and found by least squares over the window's voxels that lie in the mask and
    are not missing; at the edges of mask and volume the window is what is left of it. Any image that mixes linearly (a
    difference, an M0 image of negligible fluid) can stand for CBF.

    Parameters
    ----------
    cbf : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        NaN where missing, in each volume by itself.
    gm, wm : ndarray of shape (X, Y, Z)
        Shares of the tissues, 0 to 1, on the same grid and as blurred as ``cbf``.
    mask : ndarray of bool, shape (X, Y, Z)
        The brain.
    kernel : sequence of 3 odd int
        The window, voxels along each axis. Asllani's is a single plane, such as (5, 5, 1): slices of 2D scans are taken at
        different delays.

    Returns
    -------
    gm_cbf, wm_cbf : ndarray of ``cbf``'s shape, float64
        In ``cbf``'s unit. NaN, never 0, where not determined: outside the mask, where ``cbf`` or a share is missing,
        where the voxel holds less than :data:`LEAST_SHARE` of the tissue, and where the estimate would be noisier than
        :data:`MOST_NOISE` times a voxel of ``cbf``: that noise is the root of the tissue's element on the diagonal of
        the inverse of the window's normal equations. A tissue of which the window holds only a trace (:data:`TRACE`) is
        left out of the regression.

    Raises
    ------
    InputError
        If ``kernel`` is not three odd sizes.
    ValueError
        If the shapes do not fit together.

    References
    ----------
    Asllani, Borogovac & Brown 2008, doi 10.1002/mrm.21670.
    """
    reach = _reach(kernel)
    cbf = np.asarray(cbf)
    gm, wm = (np.ascontiguousarray(share, dtype=np.float64) for share in (gm, wm))
    mask = np.asarray(mask)
    if cbf.ndim not in (3, 4) or not cbf.shape[:3] == gm.shape == wm.shape == mask.shape:
        raise ValueError(f"shapes {cbf.shape}, {gm.shape}, {wm.shape} and {mask.shape} do not fit together")
    usable = (mask > 0) & np.isfinite(gm) & np.isfinite(wm)
    gm_cbf, wm_cbf = np.empty(cbf.shape), np.empty(cbf.shape)
    for volume in np.ndindex(cbf.shape[3:]):
        at = (..., *volume)
        values = np.ascontiguousarray(cbf[at], dtype=np.float64)
        grey, white = np.empty(gm.shape), np.empty(gm.shape)
        _regress(values, gm, wm, usable, reach, grey, white)
        gm_cbf[at], wm_cbf[at] = grey, white
    return gm_cbf, wm_cbf


def _reach(kernel: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = [float(size) for size in kernel]
    except (TypeError, ValueError):
        sizes = []
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 and size % 2 == 1 for size in sizes):
        raise InputError(
            "configuration",
            "perfusion.partial_volume.kernel",
            kernel,
            "three odd numbers of voxels, such as [5, 5, 1]",
            "Correct the configuration.",
        )
    return tuple(int(size) // 2 for size in sizes)
