"""A residual variance for each arm: the Aspin-Welch v at every voxel, and its maxima over relabellings.

With the tested term first in an orthonormal basis Q of the design (n, p), c = Q'y the coefficients, e the residuals of
least squares, and for each group g of rows (an arm) RSS_g the sum of e^2 and R_g the sum of the residual-forming matrix'
diagonal over it (Winkler et al. 2014, NeuroImage 92:381, section on variance groups; the v of PALM),

    W_g = R_g / RSS_g,   v = c_1 / sqrt([(sum_g W_g Q_g'Q_g)^-1]_11),   1 / df = sum_g (1 - W_g n_g / sum_h W_h n_h)^2 / R_g.

For two arms without covariates v and df are Welch's. As df differs from voxel to voxel and from relabelling to relabelling,
v is compared as the z of its own df (Hill 1970, Commun ACM 13:617, to about 1e-4): maxima, clusters, mass and TFCE are of z.

Rows of the design and their groups are permuted together against the data's residuals (Freedman and Lane 1983), as in
:mod:`pharmasl.group.engine.permutation`. Under unequal variances such a permutation is exact no more, but right for many participants,
since v has the same distribution whatever the variances (Janssen 1997; Chung and Romano 2013, Ann Stat 41:484).
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from pharmasl.errors import InputError
from pharmasl.group.engine import components, tfce
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.components import Neighbourhood, Suprathreshold
from pharmasl.group.engine.differences import Differences
from pharmasl.group.engine.glm import PartialForm
from pharmasl.group.engine.maxima import MaximumStatistics, Null

# Relabellings and voxels of one matrix product. Constants: the bits of a product may depend on its shape.
_BATCH, _TILE = 32, 1024
# A group with fewer residual degrees of freedom has no variance to speak of.
LEAST_FREEDOM = 1.0
# Smallest share of a voxel's sum of squares that is left to a group: keeps v finite where a model fits it perfectly.
_LEAST = 1e-14


@njit(cache=True, nogil=True)
def _normal(v, df):
    """The z of a t of ``df`` degrees of freedom (Hill 1970)."""
    a = max(df - 0.5, 0.5)
    b = 48.0 * a * a
    y = a * np.log1p(v * v / df)
    w = np.sqrt(y)
    z = (
        w
        + w * (y + 3.0) / b
        - w * (((4.0 * y + 33.0) * y + 240.0) * y + 855.0) / (10.0 * b * (b + 0.8 * y * y + 100.0))
    )
    return z if v >= 0.0 else -z


@njit(cache=True, nogil=True)
def _first_of_inverse(matrix, work):
    """Element 1, 1 of the inverse of a positive definite matrix (p, p), by elimination from the last row on."""
    p = matrix.shape[0]
    for i in range(p):
        for j in range(p):
            work[i, j] = matrix[i, j]
    for k in range(p - 1, 0, -1):
        for i in range(k):
            factor = work[i, k] / work[k, k]
            for j in range(k):
                work[i, j] -= factor * work[k, j]
    return 1.0 / work[0, 0]


@njit(cache=True, nogil=True)
def _finish(sums, squares, total, groups_of_rows, z, v, df, ratio):
    """Fill z, v, df (B, W), and the groups' variances ``ratio`` (B, G, W).

    ``sums`` (B, G, p - 1, W): products of each basis vector's rows of a group with the residuals. ``squares`` (B, G, W): a
    group's sum of their squares. ``total`` (W,): all. ``groups_of_rows``: parts (G, p, p), which are Q_g'Q_g, the constant last;
    residual degrees of freedom (G,); sizes (G,).
    """
    parts, freedom, sizes = groups_of_rows
    batch, groups, terms, width = sums.shape
    p = terms + 1
    matrix, work = np.empty((p, p)), np.empty((p, p))
    c, weight = np.empty(terms), np.empty(groups)
    for b in range(batch):
        for j in range(width):
            if total[j] <= 0.0:
                z[b, j], v[b, j], df[b, j] = 0.0, 0.0, 1.0
                ratio[b, :, j] = 0.0
                continue
            for k in range(terms):
                c[k] = 0.0
                for g in range(groups):
                    c[k] += sums[b, g, k, j]
            everyone = 0.0
            for g in range(groups):
                rest = squares[b, g, j]
                for k in range(terms):
                    inner = 0.0
                    for m in range(terms):
                        inner += parts[g, k, m] * c[m]
                    rest += c[k] * (inner - 2.0 * sums[b, g, k, j])
                rest = max(rest, _LEAST * total[j])
                weight[g] = freedom[g] / rest
                ratio[b, g, j] = rest / freedom[g]
                everyone += weight[g] * sizes[g]
            for k in range(p):
                for m in range(p):
                    value = 0.0
                    for g in range(groups):
                        value += weight[g] * parts[g, k, m]
                    matrix[k, m] = value
            inverse = 0.0
            for g in range(groups):
                other = 1.0 - weight[g] * sizes[g] / everyone
                inverse += other * other / freedom[g]
            df[b, j] = 1.0 / inverse
            v[b, j] = c[0] / np.sqrt(_first_of_inverse(matrix, work))
            z[b, j] = _normal(v[b, j], df[b, j])


@dataclass(frozen=True)
class Observed:
    """The observed labelling.

    Attributes
    ----------
    v, z : ndarray of shape (V,)
        v, and the z of the same tail probability; 0 where nothing varies.
    df : ndarray of shape (V,)
        Degrees of freedom of v.
    variances : ndarray of shape (G, V)
        Residual variance of each group.
    """

    v: np.ndarray
    z: np.ndarray
    df: np.ndarray
    variances: np.ndarray


class ByArm:
    """The v of a model with a residual variance for each group of rows.

    Parameters
    ----------
    data : pharmasl.group.engine.differences.Differences
    model : pharmasl.group.engine.glm.PartialForm
        Of :func:`pharmasl.group.engine.glm.partial_form`: the nuisance holds the constant.
    groups : ndarray of int, shape (n,)
        0, 1, ...: the group of each row.
    names : list of str
        Of the groups, for messages.

    Raises
    ------
    InputError
        If a group has less than :data:`LEAST_FREEDOM` residual degrees of freedom.
    """

    def __init__(self, data: Differences, model: PartialForm, groups: np.ndarray, names: list[str]):
        self.data, self.model, self.groups, self.names = data, model, np.asarray(groups), list(names)
        n = len(model.x)
        self.basis = np.column_stack([model.x, model.basis])
        whole = np.column_stack([self.basis, np.full(n, n**-0.5)])
        self.number = int(self.groups.max()) + 1
        members = [self.groups == g for g in range(self.number)]
        self.parts = np.stack([whole[own].T @ whole[own] for own in members])
        self.sizes = np.array([own.sum() for own in members], dtype=np.float64)
        self.freedom = np.array([own.sum() - (whole[own] ** 2).sum() for own in members])
        for name, size, freedom in zip(names, self.sizes, self.freedom):
            if freedom < LEAST_FREEDOM:
                raise InputError(
                    "configuration",
                    "inference.variance",
                    f"by_arm, and {size:.0f} participants of {name}",
                    "enough participants for a variance of their own beside the model's terms",
                    "Take fewer covariates, or variance: equal.",
                )

    def fitted_to(self, data: Differences) -> "ByArm":
        """The same model of other data of the same rows."""
        return ByArm(data, self.model, self.groups, self.names)

    def _weights(self, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows for the products of a batch of relabellings: with the residuals, and with their squares."""
        group = self.groups[orders]
        inside = (group[:, None, :] == np.arange(self.number)[None, :, None]).astype(np.float64)
        basis = self.basis[orders].transpose(0, 2, 1)
        weights = inside[:, :, None, :] * basis[:, None]
        n = weights.shape[-1]
        return weights.reshape(-1, n), inside.reshape(-1, n)

    def _batch(self, orders: np.ndarray, z: np.ndarray) -> Observed:
        """Fill z (B, V) of a batch of relabellings; all there is of the first of them."""
        batch, terms = len(orders), self.basis.shape[1]
        weights, inside = self._weights(orders)
        projector, voxels = self.model.projector, len(self.data.square)
        first = Observed(np.empty(voxels), z[0], np.empty(voxels), np.empty((self.number, voxels)))
        for start in range(0, voxels, _TILE):
            stop = min(start + _TILE, voxels)
            residuals = self.data.tile(start, stop).astype(np.float64).T
            # Twice: the second projection removes what rounding left of a large mean.
            for _ in range(2):
                residuals = residuals - projector @ (projector.T @ residuals)
            sums = (weights @ residuals).reshape(batch, self.number, terms, stop - start)
            squares = (inside @ residuals**2).reshape(batch, self.number, stop - start)
            # Of the size of a tile: only z is kept for every relabelling.
            v, df = np.empty((2, batch, stop - start))
            variances = np.empty((batch, self.number, stop - start))
            _finish(
                sums,
                squares,
                self.data.square[start:stop],
                (self.parts, self.freedom, self.sizes),
                z[:, start:stop],
                v,
                df,
                variances,
            )
            first.v[start:stop], first.df[start:stop], first.variances[:, start:stop] = v[0], df[0], variances[0]
        return first

    def observed(self, permutations: np.ndarray) -> Observed:
        """The observed labelling, the first of the relabellings, by the very products that :meth:`null` makes of them.

        Parameters
        ----------
        permutations : ndarray of shape (B, n)
            The identity alone will do where no null distribution is compared with it.
        """
        orders = permutations[:_BATCH]
        with threadpool_limits(1, user_api="blas"):
            first = self._batch(orders, np.empty((len(orders), len(self.data.square))))
        return Observed(first.v, first.z.copy(), first.df, first.variances)

    def null(
        self,
        permutations: np.ndarray,
        lattice: Lattice,
        statistics: MaximumStatistics,
        *,
        threads: int = 1,
    ) -> Null:
        """The maxima of z of every relabelling.

        Parameters
        ----------
        permutations : ndarray of shape (B, n)
            The observed labelling first.
        lattice : pharmasl.group.engine.clusters.Lattice
        statistics : pharmasl.group.engine.maxima.MaximumStatistics
            With a threshold. Threshold, mass and enhancement are of z, whatever the scale.
        threads : int
            The result is the same, to the last bit, for any number.

        Returns
        -------
        pharmasl.group.engine.maxima.Null
            ``max_t`` and ``min_t`` are of z.
        """
        number = len(permutations)
        out = np.zeros((number, 8))
        threshold, enhancement = float(statistics.threshold or 0.0), statistics.enhancement
        base = threshold if statistics.mass == "excess" else 0.0

        def run(starts: Iterable[int]) -> None:
            room = np.empty((min(_BATCH, number), len(self.data.square)))
            neighbourhood = lattice.neighbourhood()
            enhancer = None if enhancement is None else tfce.Enhancer(lattice.mask, enhancement)
            for start in starts:
                orders = permutations[start : start + _BATCH]
                self._batch(orders, room[: len(orders)])
                for result, z in zip(out[start : start + len(orders)], room):
                    _maxima(z, threshold, base, neighbourhood, result)
                    if enhancer is not None:
                        result[6:8] = enhancer.maximum(z.astype(np.float32))

        starts = range(0, number, _BATCH)
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, [starts[k::threads] for k in range(threads)]))
        return Null.from_table(out, statistics)


def _maxima(z: np.ndarray, threshold: float, base: float, neighbourhood: Neighbourhood, result: np.ndarray) -> None:
    """Fill the largest and smallest z, and extent and mass of the largest clusters."""
    result[0], result[1] = max(z.max(initial=0.0), 0.0), min(z.min(initial=0.0), 0.0)
    above = np.flatnonzero(np.abs(z) > threshold).astype(np.int32)
    heights = z[above]
    components.largest_clusters(Suprathreshold(above, heights, heights), neighbourhood, base, False, result[2:6])
