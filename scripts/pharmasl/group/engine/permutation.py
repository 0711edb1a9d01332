"""Permutation inference: null distributions of the maximum over the mask, and family-wise p.

The differences of participants are exchangeable between the arms when the drug does nothing; with covariates the
residuals are, in the scheme of Freedman and Lane (see :mod:`pharmasl.group.engine.glm`; Winkler et al. 2014, NeuroImage
92:381). The p of a voxel is the share of relabellings whose largest |t| in the whole mask is at least the voxel's;
the p of a cluster is the share whose largest cluster is at least as large or as heavy; the p of a voxel's TFCE is the
share whose largest TFCE is at least as large. The observed labelling is one of the relabellings, so no p is 0. One pass
over the relabellings serves all statistics and both signs.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.group.engine import differences, glm, integer_products, kernels, tfce
from pharmasl.group.engine.relabelling import flips, log10_distinct, relabellings, smallest_p

__all__ = [
    "Null",
    "critical_value",
    "family_wise_p",
    "flip_model",
    "flips",
    "log10_distinct",
    "null_distribution",
    "relabellings",
    "screening_error",
    "smallest_p",
]

# Two relabellings that only swap equal participants give one t up to the order of a sum in double precision.
TIE = 1e-9

# Permutations and voxels of one matrix product: its result stays in a core's cache. Whole maps take memory.
_BATCH, _TILE, _MAPS = 128, 512, 32

# Most bytes of data kept in 8 bits.
_PACKED = 2**30

# Stands for the residual sum of squares of a voxel that does not vary: its statistic is 0.
_DEAD = np.float32(1e30)


def flip_model(x, nuisance=None):
    """The model of a hypothesis about a mean, for which signs are flipped: the form of :func:`glm.model`.

    Parameters
    ----------
    x : array_like of shape (n,)
        The tested term: the constant, or the indicator of one arm.
    nuisance : array_like of shape (n, terms), optional
        The other terms, such as centred covariates. Their span does not hold the constant.

    Returns
    -------
    glm.Model

    Raises
    ------
    ValueError
        If the nuisance holds the constant: then the hypothesis is about a difference or a slope, and permutes.
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    nuisance = np.zeros((n, 0)) if nuisance is None else np.asarray(nuisance, dtype=np.float64)
    projector = np.zeros((n, 0))
    if nuisance.shape[1]:
        left, singular, _ = np.linalg.svd(nuisance / np.sqrt((nuisance**2).sum(axis=0)), full_matrices=False)
        projector = left[:, singular > 1e-10 * singular[0]]
    if np.linalg.norm(projector.sum(axis=0)) > (1 - 1e-10) * math.sqrt(n):
        raise ValueError("the nuisance terms hold the intercept: the hypothesis is not about a mean, permute")
    residual = x - projector @ (projector.T @ x)
    residual -= projector @ (projector.T @ residual)
    scale = float(np.linalg.norm(residual))
    return glm.Model(residual / scale, scale, np.ascontiguousarray(projector), projector, n - projector.shape[1] - 1)


@dataclass(frozen=True)
class Null:
    """Maxima over the mask, one a relabelling; the first is the observed labelling.

    Attributes
    ----------
    max_t, min_t : ndarray of shape (B,), float64
        Largest t (0 where none is positive), smallest t (0 where none is negative).
    extent_positive, extent_negative : ndarray of shape (B,), int64
        Voxels of the largest cluster of t > u, and of t < -u; 0 where there is none.
    mass_positive, mass_negative : ndarray of shape (B,), float64, or None
        Mass of the heaviest cluster of either sign; None where no mass was asked for.
    tfce_positive, tfce_negative : ndarray of shape (B,), float64, or None
        Largest TFCE among positive voxels, and among negative ones as a positive number; None where not asked for.
    """

    max_t: np.ndarray
    min_t: np.ndarray
    extent_positive: np.ndarray
    extent_negative: np.ndarray
    mass_positive: np.ndarray | None = None
    mass_negative: np.ndarray | None = None
    tfce_positive: np.ndarray | None = None
    tfce_negative: np.ndarray | None = None

    def largest_t(self, two_sided=True):
        """The largest |t| of each relabelling, or the largest t."""
        return np.maximum(self.max_t, -self.min_t) if two_sided else self.max_t

    def largest_extent(self, two_sided=True):
        """The largest cluster of each relabelling, of either sign or of t > u alone."""
        return np.maximum(self.extent_positive, self.extent_negative) if two_sided else self.extent_positive

    def largest_mass(self, two_sided=True):
        """The heaviest cluster of each relabelling, of either sign or of t > u alone."""
        return np.maximum(self.mass_positive, self.mass_negative) if two_sided else self.mass_positive

    def largest_tfce(self, two_sided=True):
        """The largest TFCE of each relabelling, of either sign or of positive t alone."""
        return np.maximum(self.tfce_positive, self.tfce_negative) if two_sided else self.tfce_positive


def screening_error(n):
    """How far a dot product of length ``n``, of vectors of length 1, can be off when made in single precision.

    No more than (n + 2) u, u = 2^-24, whatever the order of its sum (Higham 2002, Accuracy and Stability of Numerical
    Algorithms, eq. 3.5, the rounding of both vectors included). A quarter is added.
    """
    return 1.25 * (n + 4) * 2.0**-24


class _Residuals:
    """Residuals of length 1, (V, n) in double precision, in the place of :class:`differences.Differences`."""

    def __init__(self, values):
        self.values = values
        self.square = np.ones(len(values))
        self.raw = self.square

    def tile(self, start, stop):
        return self.values[start:stop]


def null_distribution(
    data,
    model,
    permutations,
    lattice,
    threshold=None,
    *,
    signs=None,
    mass=None,
    scale="t",
    merge=False,
    enhancement=None,
    threads=1,
    batch=_BATCH,
    tile=_TILE,
    integers=None,
):
    """The largest and smallest t, the largest clusters and the largest TFCE of every relabelling.

    The result is the same, to the last bit, for any ``threads``, ``batch`` and ``tile``, for data in memory or in a
    file, and for any set of statistics asked for.

    Parameters
    ----------
    data : ndarray of shape (V, n), float64, or differences.Differences
        Residuals of :func:`glm.fit`, or the fit of :func:`differences.fit`, which copies nothing.
    model : glm.Model
        Of :func:`glm.model`; of :func:`flip_model` where signs are flipped.
    permutations : ndarray of shape (B, n) or None
        Made by :func:`relabellings` or given.
    lattice : clusters.Lattice
    threshold : float, optional
        Cluster-forming t; no clusters without it.
    signs : ndarray of shape (B, n), optional
        1 or -1, made by :func:`flips` or given; instead of permutations, or together with them.
    mass : str, optional
        ``excess``: sum of abs(t) - threshold over a cluster (as nilearn); ``total``: sum of abs(t) (as FSL).
    scale : str
        ``t``, or ``z`` (as PALM): the scale of the mass. The threshold stays a t.
    merge : bool
        Let voxels of opposite sign join a cluster, as PALM's two-tailed test does.
    enhancement : tfce.Enhancement, optional
        TFCE too.
    threads : int
    batch, tile : int
        Permutations and voxels of one matrix product.
    integers : bool, optional
        Screen with products of 8-bit integers; by default where the processor has them.

    Returns
    -------
    Null

    Raises
    ------
    ValueError
        For relabellings of another length, no relabellings, or settings that contradict each other.
    """
    number, n = np.shape(signs if permutations is None else permutations)
    if n != len(model.x) or (signs is not None and np.shape(signs) != (number, n)):
        raise ValueError(f"relabellings of {n} participants, a model of {len(model.x)}")
    if mass not in (None, "excess", "total") or scale not in ("t", "z") or (mass and threshold is None):
        raise ValueError("mass must be excess or total and needs a threshold; scale t or z")
    source = data if isinstance(data, differences.Differences) else _Residuals(data)
    voxels, terms, df = len(source.square), 1 + model.basis.shape[1], float(model.df)
    if voxels != len(lattice.place):
        raise ValueError(f"{voxels} voxels of data, {len(lattice.place)} of the mask")
    forming = math.inf if threshold is None else float(threshold)
    base = 0.0
    if mass == "excess":
        base = forming if scale == "t" else float(glm.t_to_z(np.array(forming), df))
    ceiling = np.float32(math.inf if threshold is None else forming**2 / (df + forming**2))
    # Less a millionth: the screen's own sums are in single precision too.
    square32 = np.where(source.square > 0, source.square * (1 - 1e-6), _DEAD).astype(np.float32)
    projector = np.ascontiguousarray(model.projector)
    if enhancement is not None:
        batch = min(batch, _MAPS)
    batch = min(batch, number)
    out = np.zeros((number, 8))
    packed = None
    if enhancement is None:
        unit = np.ones(max(voxels, batch * terms), dtype=np.float32)
        delta = (screening_error(n) * np.sqrt(source.raw)).astype(np.float32)
        if integers is None:
            integers = integer_products.available() and voxels * n < _PACKED
        if integers:
            group = integer_products.GROUP
            tile = -(-tile // group) * group
            # Where weights sum to 0 in any order, a mean may go before 8 bits are spent on it.
            centre = signs is None and abs(np.append(model.basis.sum(axis=0), model.x.sum())).max() < 1e-9
            tiles = (source.tile(first, min(first + tile, voxels)) for first in range(0, voxels, tile))
            packed = integer_products.Packed(tiles, voxels, n, centre)

    def weights(b):
        order = slice(None) if permutations is None else permutations[b]
        x, basis = model.x[order], model.basis[order]
        if signs is not None:
            x, basis = x * signs[b], basis * signs[b][:, None]
        if isinstance(source, _Residuals):
            return np.concatenate([x[None], basis.T])
        return differences.weights(x, basis, projector)

    class Worker:
        def __init__(self):
            self.capacity = min(voxels, max(4096, voxels // 16)) if threshold is not None else 0
            self.lists = (np.empty((batch, self.capacity), np.int32), np.empty((batch, self.capacity)))
            self.slot = np.full(lattice.size, -1, dtype=np.int32)
            if enhancement is None:
                # Room for rows and voxels that are filled up to whole blocks.
                shape = (batch * terms + 4, min(tile, voxels + 64))
                self.products = np.empty(shape, dtype=np.float32 if packed is None else np.int32)
                self.rest = np.empty(shape[1], dtype=np.float32)
            else:
                self.maps = np.empty((batch, voxels), dtype=np.float32)
                self.enhancer = tfce.Enhancer(lattice.mask, enhancement, df)

        def voxelwise(self, weight, extremes, counts, lists, maps):
            """One pass over the data for a batch of relabellings."""
            rows = len(weight)
            if maps is None:
                best = np.zeros((rows, 2), dtype=np.float32)
                flat = weight.transpose(1, 0, 2).reshape(rows * terms, n)
                if packed is None:
                    single, scales, off = flat.astype(np.float32), (unit, unit), delta
                else:
                    small = integer_products.PackedWeights(flat)
                    scales = small.scale, packed.scale
                    # |w . y - w' . y'| <= |w| |y - y'| + |w - w'| |y'|, and a little for these bounds' own rounding.
                    off = np.float32(1.0001 * small.norm) * packed.error
                    off += np.float32(1.0001 * small.error + 1e-5) * packed.norm
            for first in range(0, voxels, tile):
                part = slice(first, min(first + tile, voxels))
                values = source.tile(part.start, part.stop)
                common = weight, source.square[part]
                if maps is None:
                    product = self.products[: len(flat), : len(values)]
                    if packed is None:
                        np.matmul(single, values.astype(np.float32, copy=False).T, out=product)
                    else:
                        packed.multiply(small, first, len(values), self.products)
                    kernels.screen(
                        product,
                        scales[0],
                        scales[1][part],
                        off[part],
                        square32[part],
                        ceiling,
                        best,
                        values,
                        *common,
                        df,
                        forming,
                        first,
                        extremes,
                        counts,
                        *lists,
                        self.rest,
                    )
                else:
                    kernels.whole_maps(values, *common, df, forming, first, extremes, counts, *lists, maps)

        def clusters(self, found, t, result):
            heights = t if mass is None or scale == "t" else glm.t_to_z(t, df)
            work = (np.empty(len(t), np.int32), np.empty(len(t), np.int32), np.empty(len(t)))
            kernels.largest_clusters(
                found, t, heights, base, len(t), merge, lattice.place, lattice.offsets, self.slot, *work, result
            )

        def run(self, start):
            stop = min(start + batch, number)
            weight = np.stack([weights(b) for b in range(start, stop)])
            rows = len(weight)
            extremes, counts = np.zeros((rows, 2)), np.zeros(rows, dtype=np.int64)
            maps = None if enhancement is None else self.maps[:rows]
            self.voxelwise(weight, extremes, counts, self.lists, maps)
            for p in range(rows):
                result = out[start + p]
                result[:2] = extremes[p]
                if threshold is not None:
                    found, t = self.lists[0][p], self.lists[1][p]
                    if counts[p] > self.capacity:
                        # More voxels than there was room for: this relabelling again, with room for all.
                        found, t = np.empty(voxels, np.int32), np.empty(voxels)
                        again = np.zeros((1, 2)), np.zeros(1, dtype=np.int64), (found[None], t[None])
                        self.voxelwise(weight[p : p + 1], *again, None if maps is None else maps[p : p + 1])
                    self.clusters(found[: counts[p]], t[: counts[p]], result[2:6])
                if maps is not None:
                    result[6:8] = self.enhancer.maximum(maps[p])

    starts = range(0, number, batch)

    def work(mine):
        worker = Worker()
        for start in mine:
            worker.run(start)

    # One BLAS thread a worker: products this small only lose by being divided.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [starts[w::threads] for w in range(threads)]))
    extents = out[:, 2:4].astype(np.int64)
    masses = (out[:, 4], out[:, 5]) if mass else (None, None)
    enhanced = (None, None) if enhancement is None else (out[:, 6], out[:, 7])
    return Null(out[:, 0], out[:, 1], extents[:, 0], extents[:, 1], *masses, *enhanced)


def family_wise_p(observed, null, tie=TIE):
    """The share of relabellings whose maximum is at least the observed value; equal values count.

    Parameters
    ----------
    observed : ndarray
        Larger is more extreme.
    null : ndarray of shape (B,)
        Maxima, the observed labelling's included.
    tie : float
        Relative difference up to which two values are equal; ``tfce.TIE`` for TFCE.

    Returns
    -------
    ndarray, float64
        Multiples of 1/B, at least 1/B where ``observed`` is no larger than the observed labelling's own maximum.
    """
    observed = np.asarray(observed, dtype=np.float64)
    below = np.searchsorted(np.sort(null), observed - tie * np.abs(observed), side="left")
    return (len(null) - below) / len(null)


def critical_value(null, alpha):
    """The smallest maximum of the null distribution whose family-wise p is at most ``alpha``; NaN if there is none."""
    ordered = np.sort(np.asarray(null, dtype=np.float64))
    good = ordered[family_wise_p(ordered, ordered) <= alpha + 1e-12]
    return float(good[0]) if len(good) else math.nan
