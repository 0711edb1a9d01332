"""Permutation inference: relabellings, null distributions of the maximum, family-wise p.

The differences of participants are exchangeable between the arms when the drug does nothing; with covariates the
residuals are, in the scheme of Freedman and Lane (see :mod:`pharmasl.group.glm`; Winkler et al. 2014, NeuroImage
92:381). The p of a voxel is the share of relabellings whose largest |t| in the whole mask is at least the voxel's;
the p of a cluster is the share whose largest cluster is at least as large. The observed labelling is one of the
relabellings, so no p is 0.
"""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.group import kernels

# Two relabellings that only swap equal participants give one t up to the order of a sum in double precision.
_TIE = 1e-9

# Permutations and voxels of one matrix product: its result stays in a core's cache.
_BATCH, _TILE = 128, 1024


def _kinds(rows):
    """Number the distinct rows of a design, in order of their first appearance."""
    # Rounded: a row that came out of a decomposition equals its twin to 15 digits only.
    keys = [tuple(row) for row in np.round(np.asarray(rows, dtype=np.float64), 9) + 0.0]
    first = {}
    return np.array([first.setdefault(key, len(first)) for key in keys])


def log10_distinct(rows):
    """Decimal logarithm of the number of distinct orders of a design's rows: n! / (m1! m2! ...) for m equal rows.

    Parameters
    ----------
    rows : array_like of shape (n, terms)

    Returns
    -------
    float
    """
    counts = np.bincount(_kinds(rows))
    return (math.lgamma(counts.sum() + 1) - sum(math.lgamma(m + 1) for m in counts)) / math.log(10)


def _arrangements(free, groups):
    """Every way to deal the positions ``free`` to groups of given members; members keep their order."""
    if not groups:
        yield {}
        return
    members, *others = groups
    for places in itertools.combinations(free, len(members)):
        rest = [place for place in free if place not in places]
        for remainder in _arrangements(rest, others):
            yield {**dict(zip(places, members)), **remainder}


def relabellings(rows, number, seed):
    """The permutations of an analysis, the identity first.

    All distinct ones where there are no more than ``number`` (for two arms without covariates: n! / (n1! n2!)),
    otherwise the identity and ``number - 1`` random ones.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
        The design. Equal rows are interchangeable.
    number : int
    seed : int

    Returns
    -------
    permutations : ndarray of shape (B, n), int32
        Participant i's data meet row ``permutations[b, i]`` of the design.
    exhaustive : bool
    """
    kinds = _kinds(rows)
    n = len(kinds)
    if log10_distinct(rows) <= math.log10(number) + 1e-9:
        groups = [np.flatnonzero(kinds == kind).tolist() for kind in range(kinds.max() + 1)]
        every = np.array(
            [[deal[i] for i in range(n)] for deal in _arrangements(list(range(n)), groups)], dtype=np.int32
        )
        observed = int(np.flatnonzero((every == np.arange(n)).all(axis=1))[0])
        return np.concatenate([every[observed : observed + 1], np.delete(every, observed, axis=0)]), True
    keys = np.random.default_rng(seed).random((number, n))
    permutations = np.argsort(keys, axis=1, kind="stable").astype(np.int32)
    permutations[0] = np.arange(n)
    return permutations, False


def smallest_p(model, permutations, two_sided=True):
    """The smallest p these relabellings can give, whatever the data.

    Relabellings that give the observed |t| in any data (equal arms swapped, a random one met twice) count with it.

    Parameters
    ----------
    model : glm.Model
    permutations : ndarray of shape (B, n)
    two_sided : bool

    Returns
    -------
    float
    """
    cosine = model.x[permutations] @ model.x
    same = np.flatnonzero((np.abs(cosine) if two_sided else cosine) > 1 - 1e-9)
    overlap = [np.linalg.norm(model.basis[permutations[b]].T @ model.basis) ** 2 for b in same]
    return float(np.sum(np.array(overlap) > model.basis.shape[1] - 1e-9) / len(permutations))


@dataclass(frozen=True)
class Null:
    """Maxima over the mask, one a relabelling; the first is the observed labelling.

    Attributes
    ----------
    max_t, min_t : ndarray of shape (B,), float64
        Largest t (0 where none is positive), smallest t (0 where none is negative).
    extent_positive, extent_negative : ndarray of shape (B,), int64
        Voxels of the largest cluster of t > u, and of t < -u; 0 where there is none.
    """

    max_t: np.ndarray
    min_t: np.ndarray
    extent_positive: np.ndarray
    extent_negative: np.ndarray

    def largest_t(self, two_sided=True):
        """The largest |t| of each relabelling, or the largest t."""
        return np.maximum(self.max_t, -self.min_t) if two_sided else self.max_t

    def largest_extent(self, two_sided=True):
        """The largest cluster of each relabelling, of either sign or of t > u alone."""
        return np.maximum(self.extent_positive, self.extent_negative) if two_sided else self.extent_positive


def screening_error(model):
    """How far b^2 and a can be off when their dot products are made in single precision.

    A dot product of length n of vectors of length 1 errs by no more than (n + 2) u, u = 2^-24, whatever the order of
    its sum (Higham 2002, Accuracy and Stability of Numerical Algorithms, eq. 3.5, the rounding of both vectors
    included); b^2 then by twice that, a sum of k such squares by sqrt(k) times that. A quarter is added.
    """
    n, k = model.basis.shape
    return 2.5 * (n + 4 + k) * 2.0**-24 * math.sqrt(max(k, 1))


def null_distribution(residuals, model, permutations, lattice, threshold, *, threads=1, batch=_BATCH, tile=_TILE):
    """The largest and smallest t and the largest clusters of every relabelling.

    The result is the same, to the last bit, for any ``threads``, ``batch`` and ``tile``.

    Parameters
    ----------
    residuals : ndarray of shape (V, n), float64
        From :func:`glm.fit`.
    model : glm.Model
    permutations : ndarray of shape (B, n)
    lattice : clusters.Lattice
    threshold : float
        Cluster-forming t.
    threads : int
    batch, tile : int
        Permutations and voxels of one matrix product.

    Returns
    -------
    Null
    """
    voxels, k = len(residuals), model.basis.shape[1]
    single = residuals.astype(np.float32)
    ceiling = np.float32(threshold**2 / (model.df + threshold**2))
    error = np.float32(screening_error(model))
    capacity = min(voxels, max(4096, voxels // 16))
    everywhere = np.arange(voxels, dtype=np.int32)
    out = np.zeros((len(permutations), 4))

    def work(starts):
        candidates = np.empty((batch, capacity), dtype=np.int32)
        products = np.empty((batch * (1 + k), min(tile, voxels)), dtype=np.float32)
        margin = np.empty(tile, dtype=np.float32)
        slot = np.full(lattice.size, -1, dtype=np.int32)
        above, parent, size = (np.empty(voxels, dtype=np.int32) for _ in range(3))
        t = np.empty(voxels)
        for start in starts:
            chosen = permutations[start : start + batch]
            rows = len(chosen)
            x = model.x[chosen]
            weights = np.concatenate([x, *(model.basis[:, q][chosen] for q in range(k))]).astype(np.float32)
            best = np.zeros((rows, 2), dtype=np.float32)
            counts = np.zeros(rows, dtype=np.int64)
            for first in range(0, voxels, tile):
                part = single[first : first + tile].T
                product = np.matmul(weights, part, out=products[: len(weights), : part.shape[1]])
                kernels.screen(product, rows, 1 + k, first, ceiling, error, best, counts, candidates, margin)
            for p in range(rows):
                # More candidates than there was room for: look at every voxel.
                some = (candidates[p], counts[p]) if counts[p] <= capacity else (everywhere, voxels)
                basis = np.ascontiguousarray(model.basis[chosen[p]])
                kernels.decide(
                    residuals, x[p], basis, float(model.df), threshold, *some,
                    lattice.place, lattice.offsets, slot, above, t, parent, size, out[start + p],
                )  # fmt: skip

    starts = range(0, len(permutations), batch)
    # One BLAS thread a worker: products this small only lose by being divided.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [starts[w::threads] for w in range(threads)]))
    return Null(out[:, 0], out[:, 1], out[:, 2].astype(np.int64), out[:, 3].astype(np.int64))


def family_wise_p(observed, null):
    """The share of relabellings whose maximum is at least the observed value; equal values count.

    Parameters
    ----------
    observed : ndarray
        Larger is more extreme.
    null : ndarray of shape (B,)
        Maxima, the observed labelling's included.

    Returns
    -------
    ndarray, float64
        Multiples of 1/B, at least 1/B where ``observed`` is no larger than the observed labelling's own maximum.
    """
    observed = np.asarray(observed, dtype=np.float64)
    below = np.searchsorted(np.sort(null), observed - _TIE * np.abs(observed), side="left")
    return (len(null) - below) / len(null)


def critical_value(null, alpha):
    """The smallest maximum of the null distribution whose family-wise p is at most ``alpha``; NaN if there is none."""
    ordered = np.sort(np.asarray(null, dtype=np.float64))
    good = ordered[family_wise_p(ordered, ordered) <= alpha + 1e-12]
    return float(good[0]) if len(good) else math.nan
