"""The compiled loops that make each voxel's columns and its outcome orthonormal, voxels side by side.

Sums run over the participants in one order and never across voxels, so the bits do not depend on how many voxels a tile has.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _length(tile, out):
    out[:] = 0.0
    for i in range(tile.shape[0]):
        for j in range(out.size):
            out[j] += tile[i, j] * tile[i, j]
    for j in range(out.size):
        out[j] = np.sqrt(out[j])


@njit(cache=True, nogil=True)
def _take_basis(tile, basis, total):
    # Twice: the second projection removes what rounding left of a large mean.
    for _ in range(2):
        for c in range(basis.shape[1]):
            total[:] = 0.0
            for i in range(tile.shape[0]):
                for j in range(total.size):
                    total[j] += basis[i, c] * tile[i, j]
            for i in range(tile.shape[0]):
                for j in range(total.size):
                    tile[i, j] -= basis[i, c] * total[j]


@njit(cache=True, nogil=True)
def _take_columns(tile, columns, total):
    for _ in range(2):
        for c in range(columns.shape[0]):
            total[:] = 0.0
            for i in range(tile.shape[0]):
                for j in range(total.size):
                    total[j] += columns[c, i, j] * tile[i, j]
            for i in range(tile.shape[0]):
                for j in range(total.size):
                    tile[i, j] -= columns[c, i, j] * total[j]


@njit(cache=True, nogil=True)
def _dot(one, other, out):
    out[:] = 0.0
    for i in range(one.shape[0]):
        for j in range(out.size):
            out[j] += one[i, j] * other[i, j]


@njit(cache=True, nogil=True)
def _scale(tile, length):
    for i in range(tile.shape[0]):
        for j in range(length.size):
            tile[i, j] = tile[i, j] / length[j] if length[j] > 0.0 else 0.0


@njit(cache=True, nogil=True)
def centre(tile: np.ndarray, least: float, constant: np.ndarray) -> None:
    """Take each voxel's mean out of ``tile`` (n, W); ``constant`` (W,), bool, tells where hardly anything is left."""
    n, width = tile.shape
    total, size = np.zeros(width), np.zeros(width)
    for i in range(n):
        for j in range(width):
            size[j] = max(size[j], abs(tile[i, j]))
    for _ in range(2):
        total[:] = 0.0
        for i in range(n):
            for j in range(width):
                total[j] += tile[i, j]
        for i in range(n):
            for j in range(width):
                tile[i, j] -= total[j] / n
    total[:] = 0.0
    for i in range(n):
        for j in range(width):
            total[j] = max(total[j], abs(tile[i, j]))
    for j in range(width):
        constant[j] = total[j] <= least * size[j]


@njit(cache=True, nogil=True)
def prepare(
    outcome: np.ndarray,
    columns: np.ndarray,
    nuisance: int,
    projector: np.ndarray,
    tested: np.ndarray,
    rows: np.ndarray,
    lengths: np.ndarray,
    gram: np.ndarray,
    own_gram: np.ndarray,
) -> None:
    """Bring a tile of voxels into the form of :class:`pharmasl.group.engine.voxelwise_kernels.Voxels`; the bits do not depend on the number of voxels.

    Parameters
    ----------
    outcome : ndarray of shape (n, W), float64
        Overwritten.
    columns : ndarray of shape (k + r, n, W), float64
        Overwritten.
    nuisance : int
        k.
    projector : ndarray of shape (n, m)
    tested : ndarray of shape (n, q0)
    rows : ndarray of shape (W, 1 + k + r, n), float64
        Filled.
    lengths : ndarray of shape (1 + k + r, 3, W), float64
        Filled, for the outcome and each column: its length, that without the common nuisance, and that without all before it
        (of the outcome: without all nuisance).
    gram : ndarray of shape (q0, k, W), float64
        Filled: products of the common tested columns with the nuisance columns.
    own_gram : ndarray of shape (r, r, W), float64
        Filled above its diagonal: products of each tested column, of length 1, with the later ones before these are.
    """
    own, n = columns.shape[0], outcome.shape[0]
    total = np.empty(outcome.shape[1])
    for c in range(own):
        column = columns[c]
        _length(column, lengths[1 + c, 0])
        _take_basis(column, projector, total)
        _length(column, lengths[1 + c, 1])
        for d in range(nuisance, c):
            _dot(columns[d], column, own_gram[d - nuisance, c - nuisance])
        _take_columns(column, columns[:c], total)
        _length(column, lengths[1 + c, 2])
        _scale(column, lengths[1 + c, 2])
    _length(outcome, lengths[0, 0])
    _take_basis(outcome, projector, total)
    _length(outcome, lengths[0, 1])
    _take_columns(outcome, columns[:nuisance], total)
    _length(outcome, lengths[0, 2])
    _scale(outcome, lengths[0, 2])
    gram[:] = 0.0
    for j in range(gram.shape[0]):
        for c in range(nuisance):
            for i in range(n):
                for v in range(total.size):
                    gram[j, c, v] += tested[i, j] * columns[c, i, v]
    for v in range(total.size):
        for i in range(n):
            rows[v, 0, i] = outcome[i, v]
            for c in range(own):
                rows[v, 1 + c, i] = columns[c, i, v]
