"""Echo-planar readouts of a head with a field: signal displaced along the phase encoding, piled up or thinned out, and lost.

A point at voxel y is read at y plus the field times the readout time (:attr:`pharmasl.study.distortion.PhaseEncoding.voxels_per_hertz`), and its
extent goes with it, so that no signal is lost or gained. Fine columns along the phase encoding are pushed so, and the scanner's point
spread then blurs what has been displaced, as the encoding does: where signal is thinned out the image resolves more, and where it is piled up, less.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.space import resample
from pharmasl.space.images import Grid
from pharmasl.study.distortion import PhaseEncoding

# Fine voxels in one of the image, along the phase encoding; odd, so that one of them lies in the middle.
FINE = 5


@dataclass(frozen=True)
class Readout:
    """The readout of a head with a field.

    Attributes
    ----------
    encoding : PhaseEncoding
    hertz : ndarray of shape (X, Y, Z)
        The field, which moves with the head.
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    """

    encoding: PhaseEncoding
    hertz: np.ndarray
    affine: np.ndarray

    def fine(self, grid: Grid) -> Grid:
        """The grid of the fine columns of an image."""
        axis, parts = self.encoding.axis, np.ones(3, dtype=int)
        parts[axis] = FINE
        affine = grid.affine @ np.diag([*(1 / parts), 1.0])
        affine[:3, 3] += grid.affine[:3, axis] * (0.5 / FINE - 0.5)
        return Grid(tuple(int(n) for n in np.array(grid.shape) * parts), affine)

    def image(self, signal: np.ndarray, points: np.ndarray, to_head: np.ndarray) -> np.ndarray:
        """An image of signal on the fine grid.

        Parameters
        ----------
        signal : ndarray of the fine grid's shape
        points : ndarray of shape (..., 3)
            Those of the fine grid.
        to_head : ndarray of shape (4, 4)
            Maps the points to the field's space.

        Returns
        -------
        ndarray of the image's shape, float32
        """
        axis = self.encoding.axis
        hertz = resample.resample(self.hertz, self.affine, points, to_head, fill=0.0)
        shift = np.moveaxis(hertz, axis, -1) * np.float32(self.encoding.voxels_per_hertz * FINE)
        pushed = np.zeros(shift.shape, dtype=np.float64)
        push(np.ascontiguousarray(np.moveaxis(signal, axis, -1)), np.ascontiguousarray(shift), pushed)
        # The width at half maximum of the point spread is a voxel.
        blurred = ndimage.gaussian_filter1d(pushed, FINE / resample.FWHM_PER_SIGMA, mode="constant", truncate=3)
        return np.moveaxis(blurred[..., FINE // 2 :: FINE], -1, axis).astype(np.float32)


@njit(cache=True, nogil=True)
def push(signal: np.ndarray, shift: np.ndarray, out: np.ndarray) -> None:
    """Move the signal of voxels along the last axis, their extent with it, so that their sum stays.

    Parameters
    ----------
    signal, shift : ndarray of shape (X, Y, Z)
        ``shift`` in voxels; an edge between two moves by the mean of theirs, so that signal has no gaps.
    out : ndarray of shape (X, Y, Z)
        What is moved is added to it; what leaves the field of view is lost.
    """
    rows, columns, count = signal.shape
    for i in range(rows):
        for k in range(columns):
            for j in range(count):
                value = signal[i, k, j]
                if value == 0:
                    continue
                own = shift[i, k, j]
                before, after = shift[i, k, max(j - 1, 0)], shift[i, k, min(j + 1, count - 1)]
                left, right = j - 0.5 + 0.5 * (before + own), j + 0.5 + 0.5 * (own + after)
                if right < left:
                    left, right = right, left
                width = max(right - left, 1e-6)
                first, last = int(np.floor(left + 0.5)), int(np.floor(left + width + 0.5))
                for n in range(max(first, 0), min(last, count - 1) + 1):
                    part = min(left + width, n + 0.5) - max(left, n - 0.5)
                    if part > 0:
                        out[i, k, n] += value * part / width


def kept(hertz: np.ndarray, affine: np.ndarray, across: np.ndarray, echo_time: float) -> np.ndarray:
    """The share of the signal that the phases of a gradient echo leave of a slice.

    The field changes from one face of the slice to the other by g Hz; phases from -pi g TE to pi g TE add up to sin(pi g TE) / (pi g TE).

    Parameters
    ----------
    hertz : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Of the field's grid.
    across : ndarray of shape (3,)
        The slice's thickness as a vector, mm.
    echo_time : float
        Seconds.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
    """
    steps = np.linalg.inv(affine[:3, :3]) @ across
    change = np.zeros(hertz.shape, dtype=np.float32)
    for axis, step in enumerate(steps):
        change += np.float32(step) * np.gradient(hertz, axis=axis)
    return np.abs(np.sinc(change * np.float32(echo_time))).astype(np.float32)
