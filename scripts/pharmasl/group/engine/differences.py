"""The differences of all participants as they lie in memory or in a file, and the model fitted to them in place.

Nothing of the size of the data is allocated: a voxel's residuals are never stored. With R the matrix that takes the nuisance
terms out, x' R y = (R x)' y, so it is the few weights of a permutation that are residualised, and single-precision
data as read serve all permutations. Two thousand participants at 2 mm are 1.9 GB on disk and are read tile by tile.
"""

import math
from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine import kernels
from pharmasl.group.engine.glm import PartialForm

_TILE = 4096

# A voxel whose residuals are no longer than this share of its data does not vary.
_LEAST = 1e-10


@dataclass(frozen=True)
class Differences:
    """Differences and the model fitted to them at every voxel.

    Attributes
    ----------
    values : ndarray or memmap of shape (n, V), float32 or float64
        As they were read. Fastest where its transpose is contiguous.
    effect : ndarray of shape (V,), float64
        Coefficient of the tested term.
    t : ndarray of shape (V,), float64
    square : ndarray of shape (V,), float64
        Residual sum of squares without the nuisance terms; 0 where nothing varies.
    raw : ndarray of shape (V,), float64
        Sum of squares of the data.
    """

    values: np.ndarray
    effect: np.ndarray
    t: np.ndarray
    square: np.ndarray
    raw: np.ndarray

    @property
    def varies(self) -> np.ndarray:
        """False where the data are the same once the nuisance terms are out: t is 0 there, and no cluster has it."""
        return self.square > 0

    def tile(self, start: int, stop: int) -> np.ndarray:
        """The data of some voxels, (W, n), contiguous."""
        return _tile(self.values, start, stop)


def _tile(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.ascontiguousarray(values[:, start:stop].T)


def weights(x: np.ndarray, basis: np.ndarray, projector: np.ndarray) -> np.ndarray:
    """Residualised weights of one relabelling.

    Parameters
    ----------
    x : ndarray of shape (n,)
    basis : ndarray of shape (n, k)
        Relabelled.
    projector : ndarray of shape (n, m)

    Returns
    -------
    ndarray of shape (1 + k, n), float64
    """
    out = np.empty((1 + basis.shape[1], len(x)))
    kernels.without_projection(x, projector, out[0])
    for q in range(basis.shape[1]):
        kernels.without_projection(np.ascontiguousarray(basis[:, q]), projector, out[1 + q])
    return out


def fit(values: np.ndarray, model: PartialForm, tile: int = _TILE) -> Differences:
    """Fit the model at every voxel without changing or copying the data.

    The result is the same, to the last bit, for any ``tile`` and any memory layout.

    Parameters
    ----------
    values : ndarray or memmap of shape (n, V), float32 or float64
        One row per participant, finite.
    model : glm.PartialForm
    tile : int
        Voxels at a time.

    Returns
    -------
    Differences

    Raises
    ------
    ValueError
        If ``values`` has another shape or type.
    """
    n = len(model.x)
    if values.ndim != 2 or len(values) != n or values.dtype not in (np.float32, np.float64):
        raise ValueError(f"differences must be ({n}, V) of float32 or float64, not {values.shape} {values.dtype}")
    voxels = values.shape[1]
    t, b, square, raw = (np.empty(voxels) for _ in range(4))
    projector = np.ascontiguousarray(model.projector)
    observed = weights(model.x, model.basis, projector)
    for start in range(0, voxels, tile):
        part = slice(start, min(start + tile, voxels))
        kernels.measure(
            _tile(values, part.start, part.stop),
            projector,
            observed,
            float(model.df),
            _LEAST,
            square[part],
            raw[part],
            t[part],
            b[part],
        )
    if not math.isfinite(raw.sum()):
        raise ValueError("differences must be finite")
    return Differences(values, np.where(square > 0, b / model.scale, 0.0), t, square, raw)
