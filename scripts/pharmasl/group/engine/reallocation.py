"""Maxima over relabellings of the F or t of a random-intercept model at every voxel, any scans missing.

With the covariance V = I + l Z Z' of a voxel's scans (Z: which participant a scan is of), C the columns that no relabelling changes, D
those that it gives (nuisance first, the q tested last), r the whitened residuals of the null model, of length 1, and s = V^-1/2 r,

    g = D's,   G = D'V^-1 D - D'V^-1 C (C'V^-1 C)^-1 C'V^-1 D = L L',   u = L^-1 g,
    F = (sum of tested u^2 / q) / ((1 - sum of all u^2) / df),   df = n - c - d,

the generalised least-squares F at this l. The ratio l is estimated once per voxel, by REML under the null model, and moved to the nearest
of a grid of variance ratios (as FEMA does, Fan et al. 2022, Hum Brain Mapp 43:2217), so that every voxel of a bin has one G. As the null model
does not know the labels (see :mod:`pharmasl.group.engine.exchange`), neither l nor the grid takes anything from the exactness of the test: they
are weights that decide its power. D is linear in the relabelling's weights, participant by participant, so g is one product of the weights
with participants' sums of s, and G is linear and quadratic in them: no matrix of the size of the scans is made per relabelling.

Voxels may lack scans: those of one pattern of available scans have a G of their own, and degrees of freedom of their own, so that all
heights are compared as z.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.group.engine import height_tables, reallocation_kernels, tfce
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.components import Suprathreshold, largest_clusters
from pharmasl.group.engine.exchange import Exchange
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.statistics import mixed_model

# Relabellings and voxels of one product. Constants: the bits of a product may depend on its shape.
_BATCH, _TILE = 64, 1024
# The between-participant share of variance, l / (1 + l), of the bins.
SHARES = np.concatenate([np.arange(0, 0.96, 0.04), [0.975, 0.99, 0.998]])
# Pivots smaller than this share of their column's own square are of terms that a relabelling cannot estimate.
_LEAST_PIVOT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The maps as the relabellings want them.

    Attributes
    ----------
    exchange : pharmasl.group.engine.exchange.Exchange
    scans : ndarray of shape (n, V), float32
        s of every voxel; 0 where a scan lacks the voxel.
    group : ndarray of shape (V,), int32
        Which pattern and bin a voxel has; -1 where nothing varies.
    ratio : ndarray of shape (V,)
        l as estimated under the null model; NaN where nothing varies.
    base, gram, cross, inverse : ndarray
        Of the groups: D'V^-1 D of weights 0, (groups, d, d), and what each weight adds, (steps * P, groups * d * d); D'V^-1 C alike,
        (groups, c, d) and (steps * P, groups * c * d); the inverse of C'V^-1 C, (groups, c, c).
    base_cross : ndarray of shape (groups, c, d)
    table : ndarray of int, shape (groups,)
        The table of heights of each group.
    heights : height_tables.HeightTables
    """

    exchange: Exchange
    scans: np.ndarray
    group: np.ndarray
    ratio: np.ndarray
    base: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    inverse: np.ndarray
    base_cross: np.ndarray
    table: np.ndarray
    heights: height_tables.HeightTables

    @property
    def varies(self) -> np.ndarray:
        """Voxels that are tested, ndarray of bool, shape (V,)."""
        return self.group >= 0

    def kept(self, keep: np.ndarray) -> "Prepared":
        """The same of fewer voxels, ``keep`` (V,) of bool."""
        fields = dict(vars(self))
        fields |= {
            "scans": np.ascontiguousarray(self.scans[:, keep]),
            "group": self.group[keep],
            "ratio": self.ratio[keep],
        }
        return Prepared(**fields)


@dataclass(frozen=True)
class _Group:
    """Voxels of one pattern of available scans and one bin of variance ratios.

    Attributes
    ----------
    rows : ndarray of int
        The scans that are there.
    shrink : ndarray of shape (P,)
        l / (1 + m l) of each participant with m of these scans.
    """

    rows: np.ndarray
    shrink: np.ndarray


def prepare(
    values: Callable[[int, int], np.ndarray],
    voxels: int,
    exchange: Exchange,
    patterns: tuple[np.ndarray, np.ndarray] | None = None,
) -> Prepared:
    """Estimate the variance ratios under the null model, and whiten.

    Parameters
    ----------
    values : callable
        Of ``(start, stop)``: the maps of these voxels, (n, stop - start), any float type.
    voxels : int
        V.
    exchange : Exchange
    patterns : tuple of ndarray, optional
        The patterns of scans that have a voxel, of bool, (patterns, n), and which of them each voxel has, of int, (V,); all scans
        have all where None. Each pattern must leave the null model and the tested columns estimable.

    Returns
    -------
    Prepared
    """
    n = len(exchange.participant)
    kinds, number = (np.ones((1, n), dtype=bool), np.zeros(voxels, dtype=np.int64)) if patterns is None else patterns
    scans, ratio = np.zeros((n, voxels), dtype=np.float32), np.full(voxels, np.nan)
    bins = np.full(voxels, -1, dtype=np.int64)
    for start in range(0, voxels, _TILE * 4):
        stop = min(start + _TILE * 4, voxels)
        tile = np.asarray(values(start, stop), dtype=np.float64)
        for kind in np.unique(number[start:stop]):
            own = np.flatnonzero(number[start:stop] == kind)
            rows = np.flatnonzero(kinds[kind])
            whitened, own_ratio, level = _whiten(tile[np.ix_(rows, own)], rows, exchange)
            scans[np.ix_(rows, start + own)] = whitened
            ratio[start + own], bins[start + own] = own_ratio, level
    keys = np.where(bins < 0, -1, number * len(SHARES) + bins)
    used, group = np.unique(keys, return_inverse=True)
    place = (group.ravel() - int(used[0] < 0)).astype(np.int32)
    groups = [_group(kinds[key // len(SHARES)], key % len(SHARES), exchange) for key in used if key >= 0]
    return _prepared(exchange, scans, place, ratio, groups)


def _group(available: np.ndarray, level: int, exchange: Exchange) -> _Group:
    rows = np.flatnonzero(available)
    return _Group(rows, _shrink(rows, level, exchange))


def _shrink(rows: np.ndarray, level: int, exchange: Exchange) -> np.ndarray:
    sizes = np.bincount(exchange.participant[rows], minlength=exchange.participants)
    ratio = SHARES[level] / (1 - SHARES[level])
    return ratio / (1 + sizes * ratio)


def _whiten(tile: np.ndarray, rows: np.ndarray, exchange: Exchange) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maps s (rows, W), the ratio and its bin (-1 where nothing varies) of voxels whose scans are these rows."""
    null, participant = exchange.null[rows], exchange.participant[rows]
    # A pattern may leave columns of the null model empty.
    left, singular, _ = np.linalg.svd(null, full_matrices=False)
    null = left[:, singular > _LEAST_PIVOT * singular[0]]
    fitted = mixed_model.fit(null, tile, participant)
    ratio = fitted.ratio
    share = np.where(fitted.degenerate, 0.0, ratio / (1 + ratio))
    level = np.abs(share[:, None] - SHARES).argmin(axis=1)
    sizes = np.bincount(participant, minlength=exchange.participants)[participant]
    member = (participant[:, None] == np.arange(exchange.participants)).astype(np.float64)
    means = member / np.maximum(member.sum(axis=0), 1)
    out = np.zeros_like(tile)
    for one in np.unique(level):
        own = (level == one) & ~fitted.degenerate
        # V^-1/2 takes this share of a participant's mean off each scan.
        part = (1 - (1 + sizes * SHARES[one] / (1 - SHARES[one])) ** -0.5)[:, None]

        def whitened(data: np.ndarray, part: np.ndarray = part) -> np.ndarray:
            return data - part * (member @ (means.T @ data))

        basis = np.linalg.qr(whitened(null))[0]
        rest = whitened(tile[:, own])
        # Twice: the second projection removes what rounding left of a large mean.
        for _ in range(2):
            rest -= basis @ (basis.T @ rest)
        length = np.sqrt((rest**2).sum(axis=0))
        out[:, own] = whitened(rest / np.where(length > 0, length, 1.0))
    return out, ratio, np.where(fitted.degenerate, -1, level)


def _prepared(
    exchange: Exchange, scans: np.ndarray, group: np.ndarray, ratio: np.ndarray, groups: list[_Group]
) -> Prepared:
    """The groups' products of columns, participant by participant."""
    participants, d, c = exchange.participants, exchange.columns.shape[2], exchange.fixed.shape[1]
    steps, number = len(exchange.steps), len(groups)
    base, base_cross = np.zeros((number, d, d)), np.zeros((number, c, d))
    gram = np.zeros((steps, participants, number, d, d))
    cross, inverse = np.zeros((steps, participants, number, c, d)), np.zeros((number, c, c))
    freedom = np.zeros(number)
    for k, one in enumerate(groups):
        rows, owner = one.rows, exchange.participant[one.rows]
        member = (owner == np.arange(participants)[:, None]).astype(np.float64)

        def product(left: np.ndarray, right: np.ndarray, member: np.ndarray = member, one: _Group = one) -> np.ndarray:
            """Products left' V^-1 right of each participant, (P, columns, columns)."""
            own = np.einsum("pi,ij,ik->pjk", member, left, right, optimize=True)
            sums = np.einsum("pj,pk->pjk", member @ left, member @ right)
            return own - one.shrink[:, None, None] * sums

        fixed = exchange.fixed[rows]
        first = exchange.base[rows]
        squares, crosses = product(first, first), product(fixed, first)
        base[k], base_cross[k] = squares.sum(axis=0), crosses.sum(axis=0)
        for j, step in enumerate(exchange.steps):
            other = first + step[rows]
            gram[j, :, k] = product(other, other) - squares
            cross[j, :, k] = product(fixed, other) - crosses
        inverse[k] = np.linalg.pinv(product(fixed, fixed).sum(axis=0), rcond=1e-12, hermitian=True)
        freedom[k] = len(rows) - exchange.terms
    tables, table = np.unique(freedom, return_inverse=True)
    return Prepared(
        exchange=exchange,
        scans=scans,
        group=group,
        ratio=ratio,
        base=base,
        gram=gram.reshape(steps * participants, -1),
        cross=cross.reshape(steps * participants, -1),
        inverse=inverse,
        base_cross=base_cross,
        table=table.ravel().astype(np.int64),
        heights=height_tables.make(exchange.tested, tables),
    )


class Reallocation:
    """The heights of relabellings of prepared maps: z of t for one tested column, z of F for several.

    Parameters
    ----------
    prepared : Prepared
        All of its voxels vary.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.base = np.ascontiguousarray(prepared.exchange.base)
        self.steps = np.ascontiguousarray(prepared.exchange.steps)

    def _factors_of(self, weights: np.ndarray) -> np.ndarray:
        prepared = self.prepared
        batch, (groups, d, _), c = len(weights), prepared.base.shape, prepared.inverse.shape[1]
        if prepared.exchange.kind == "signs":
            # A whole participant's sign leaves every product within participants as it is.
            weights = np.ones((1, weights.shape[1]))
        gram = prepared.base + (weights @ prepared.gram).reshape(-1, groups, d, d)
        if c:
            cross = prepared.base_cross + (weights @ prepared.cross).reshape(-1, groups, c, d)
            gram = gram - np.swapaxes(cross, -1, -2) @ (prepared.inverse @ cross)
        out = np.empty((len(gram), groups, d, d))
        reallocation_kernels.factors(np.ascontiguousarray(gram), _LEAST_PIVOT, out)
        return out if len(out) == batch else np.ascontiguousarray(np.broadcast_to(out, (batch, groups, d, d)))

    def _heights(self, weights: np.ndarray, out: np.ndarray) -> None:
        """Fill the heights of a batch of relabellings, (B, V)."""
        prepared, exchange = self.prepared, self.prepared.exchange
        factors, voxels = self._factors_of(weights), len(prepared.group)
        tables = (prepared.heights.nodes, prepared.heights.per_unit, prepared.heights.df, prepared.table)
        d, participant = self.base.shape[1], exchange.participant
        room = np.empty((weights.shape[1], d, _TILE))
        for start in range(0, voxels, _TILE):
            stop = min(start + _TILE, voxels)
            scans = np.ascontiguousarray(prepared.scans[:, start:stop], dtype=np.float64)
            parts = room if stop - start == _TILE else np.empty((weights.shape[1], d, stop - start))
            reallocation_kernels.sum_scans(scans, self.steps, participant, parts)
            sums = (weights @ parts.reshape(len(parts), -1)).reshape(len(weights), d, stop - start)
            if exchange.kind != "signs":
                sums += self.base.T @ scans
            reallocation_kernels.finish(
                sums, prepared.group[start:stop], factors, exchange.tested, tables, out[:, start:stop]
            )

    def observed(self) -> np.ndarray:
        """The heights of the observed labelling, (V,), by the very products that :meth:`null` makes of them."""
        weights = self.prepared.exchange.weights(0, _BATCH)
        out = np.empty((len(weights), len(self.prepared.group)), dtype=np.float32)
        with threadpool_limits(1, user_api="blas"):
            self._heights(weights, out)
        return out[0].astype(np.float64)

    def null(self, lattice: Lattice, statistics: MaximumStatistics, *, threads: int = 1) -> Null:
        """The maxima of every relabelling.

        Parameters
        ----------
        lattice : pharmasl.group.engine.clusters.Lattice
        statistics : pharmasl.group.engine.maxima.MaximumStatistics
            Threshold, mass and enhancement are of z, whatever the scale.
        threads : int
            The result is the same, to the last bit, for any number.

        Returns
        -------
        pharmasl.group.engine.maxima.Null
            ``max_t`` and ``min_t`` are of z.
        """
        exchange = self.prepared.exchange
        number = exchange.number
        out = np.zeros((number, 8))
        finishers = [_Maxima(lattice, statistics) for _ in range(threads)]

        def run(worker: int) -> None:
            room = np.empty((min(_BATCH, number), len(self.prepared.group)), dtype=np.float32)
            for start in _starts(number, worker, threads):
                weights = exchange.weights(start, start + _BATCH)
                self._heights(weights, room[: len(weights)])
                for result, z in zip(out[start : start + len(weights)], room):
                    finishers[worker](z, result)

        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(threads)))
        return Null.from_table(out, statistics)


def _starts(number: int, worker: int, threads: int) -> Iterator[int]:
    starts: Iterable[int] = range(0, number, _BATCH)
    return iter(list(starts)[worker::threads])


class _Maxima:
    """One thread's work space for what is taken of a map of heights."""

    def __init__(self, lattice: Lattice, statistics: MaximumStatistics) -> None:
        self.threshold = np.inf if statistics.threshold is None else float(statistics.threshold)
        self.base = self.threshold if statistics.mass == "excess" else 0.0
        self.neighbourhood = lattice.neighbourhood()
        enhancement = statistics.enhancement
        self.enhancer = None if enhancement is None else tfce.Enhancer(lattice.mask, enhancement)

    def __call__(self, z: np.ndarray, result: np.ndarray) -> None:
        result[0], result[1] = max(z.max(initial=0.0), 0.0), min(z.min(initial=0.0), 0.0)
        above = np.flatnonzero(np.abs(z) > self.threshold).astype(np.int32)
        heights = z[above].astype(np.float64)
        largest_clusters(Suprathreshold(above, heights, heights), self.neighbourhood, self.base, False, result[2:6])
        if self.enhancer is not None:
            result[6:8] = self.enhancer.maximum(z)
