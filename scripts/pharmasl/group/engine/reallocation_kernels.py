"""The compiled loops of relabelled mixed models: see :mod:`pharmasl.group.engine.reallocation` for the algebra."""

import numpy as np
from numba import njit

# Smallest residual share of variance: keeps F finite where a model fits a voxel perfectly.
_LEAST = 1e-14


@njit(cache=True, nogil=True)
def factors(gram: np.ndarray, least: float, out: np.ndarray) -> None:
    """Fill ``out`` with the inverses of the Cholesky factors of ``gram``; rows of 0 where a column cannot be estimated.

    Parameters
    ----------
    gram : ndarray of shape (B, groups, d, d)
    least : float
        Share of a column's own square below which nothing of it is left beside the columns before it.
    out : ndarray of shape (B, groups, d, d)
        Filled.
    """
    batch, groups, d = gram.shape[0], gram.shape[1], gram.shape[2]
    lower = np.empty((d, d))
    for b in range(batch):
        for k in range(groups):
            for i in range(d):
                for j in range(i + 1):
                    rest = gram[b, k, i, j]
                    for m in range(j):
                        rest -= lower[i, m] * lower[j, m]
                    if i > j:
                        lower[i, j] = rest / lower[j, j] if lower[j, j] > 0.0 else 0.0
                    else:
                        lower[i, i] = np.sqrt(rest) if rest > least * gram[b, k, i, i] else 0.0
            for i in range(d):
                for j in range(d):
                    out[b, k, i, j] = 0.0
                if lower[i, i] <= 0.0:
                    continue
                out[b, k, i, i] = 1.0 / lower[i, i]
                for j in range(i):
                    rest = 0.0
                    for m in range(j, i):
                        rest -= lower[i, m] * out[b, k, m, j]
                    out[b, k, i, j] = rest / lower[i, i]


@njit(cache=True, nogil=True)
def sum_scans(scans: np.ndarray, steps: np.ndarray, participant: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out`` with what each weight of a relabelling adds to D's.

    Parameters
    ----------
    scans : ndarray of shape (n, W)
    steps : ndarray of shape (steps, n, d)
    participant : ndarray of int, shape (n,)
    out : ndarray of shape (steps * P, d, W)
        Filled.
    """
    out[:] = 0.0
    labels, n, d = steps.shape
    people = out.shape[0] // labels
    for k in range(labels):
        for i in range(n):
            row = k * people + participant[i]
            for m in range(d):
                factor = steps[k, i, m]
                if factor != 0.0:
                    for j in range(scans.shape[1]):
                        out[row, m, j] += factor * scans[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def finish(
    sums: np.ndarray,
    group: np.ndarray,
    inverses: np.ndarray,
    tested: int,
    tables: tuple[np.ndarray, float, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    """Fill ``out`` with the heights of a batch of relabellings.

    Parameters
    ----------
    sums : ndarray of shape (B, d, W)
        D's.
    group : ndarray of int, shape (W,)
        -1 where nothing varies: the height is 0.
    inverses : ndarray of shape (B, groups, d, d)
        Of :func:`factors`.
    tested : int
        q, the last columns.
    tables : tuple
        Nodes, nodes in a unit and degrees of freedom of the tables, and each group's table.
    out : ndarray of shape (B, W)
        Filled.
    """
    nodes, per_unit, df, table = tables
    batch, d, width = sums.shape
    last = nodes.shape[1] - 1
    for b in range(batch):
        for j in range(width):
            k = group[j]
            if k < 0:
                out[b, j] = 0.0
                continue
            nuisance, explained, u = 0.0, 0.0, 0.0
            for i in range(d):
                u = 0.0
                for m in range(i + 1):
                    u += inverses[b, k, i, m] * sums[b, m, j]
                if i < d - tested:
                    nuisance += u * u
                else:
                    explained += u * u
            rest = max(1.0 - nuisance - explained, _LEAST)
            height = np.sqrt(explained * df[table[k]] / rest) * per_unit
            at = min(int(height), last - 1)
            part = min(height - at, 1.0)
            low, high = nodes[table[k], at], nodes[table[k], at + 1]
            z = low + part * (high - low)
            if tested == 1:
                out[b, j] = -z if u < 0.0 else z
            else:
                out[b, j] = max(z, 0.0)
