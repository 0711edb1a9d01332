"""Null distributions of models whose columns differ from voxel to voxel, or of which several columns are tested.

The way is that of :mod:`pharmasl.group.engine.permutation`: products in low precision screen, and what may matter is decided in double
precision; TFCE needs every voxel.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine import (
    integer_products,
    permutation,
    row_products,
    tfce,
    voxel_fit,
    voxelwise_kernels,
)
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.kernels import Found
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.permutation import Stride
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.engine.voxel_fit import VoxelFit
from pharmasl.group.engine.voxelwise_kernels import Relabelled, Screened, Voxels
from pharmasl.group.engine.workers import Room, Worker, maxima_of_all

# Relabellings and voxels of one product: its results, common ones and the voxel's own, stay in a core's cache.
_STRIDE = Stride(batch=128, tile=1024)
# Relabellings of which whole maps are kept at a time.
_MAPS = 32
# Most bytes of data kept in 8 bits, and of voxels kept in the form of the engine; beyond that they are formed anew each time.
_PACKED, _KEPT = 2**30, 1_500_000_000


def null_distribution(
    fit: VoxelFit,
    relabellings: Relabellings,
    lattice: Lattice,
    statistics: MaximumStatistics,
    *,
    threads: int = 1,
    stride: Stride | None = None,
    kept_bytes: int = _KEPT,
) -> Null:
    """The largest and smallest t (of several columns the largest F), clusters and TFCE of every relabelling.

    The result is the same, to the last bit, for any ``threads``, ``stride`` and ``kept_bytes``.

    Parameters
    ----------
    fit : pharmasl.group.engine.voxel_fit.VoxelFit
    relabellings : pharmasl.group.engine.relabelling.Relabellings
        Permutations, or signs where the design is flipped.
    lattice : pharmasl.group.engine.clusters.Lattice
    statistics : pharmasl.group.engine.maxima.MaximumStatistics
        With several columns the threshold is an F, and mass and TFCE are of F, or of its z.
    threads : int
    stride : pharmasl.group.engine.permutation.Stride, optional
    kept_bytes : int
        Most bytes of voxels kept in the form of the engine.

    Returns
    -------
    pharmasl.group.engine.maxima.Null

    Raises
    ------
    ValueError
        For relabellings of another length, or that flip where the design does not, or voxels that are not those of the mask.
    """
    task = _Task.prepare(fit, relabellings, lattice, statistics, stride or _STRIDE, kept_bytes)
    enhancement = statistics.enhancement

    def make() -> Worker:
        return _Screening(task) if enhancement is None else _WholeMaps(task, enhancement)

    out = maxima_of_all(make, relabellings.number, task.batch, threads)
    return Null.from_table(out, statistics)


@dataclass(frozen=True, kw_only=True)
class _Tile:
    """A tile of voxels.

    Attributes
    ----------
    first : int
        Index of its first voxel.
    rows : ndarray of shape (W, 1 + k + r, n), float64
    mixing : ndarray of shape (q0, q0 + k, W) or (0, 0, W)
        As of :class:`pharmasl.group.engine.voxelwise_kernels.Voxels`.
    single_mixing : ndarray of float32
        The same in single precision.
    outcome, columns : ndarray
        Strip by strip, as of :func:`pharmasl.group.engine.row_products.multiply` or ``multiply_integers``.
    """

    first: int
    rows: np.ndarray
    mixing: np.ndarray
    single_mixing: np.ndarray
    outcome: np.ndarray
    columns: np.ndarray

    @property
    def voxels(self) -> Voxels:
        """In double precision."""
        return Voxels(self.rows, self.mixing, self.first)

    @property
    def place(self) -> slice:
        """Its voxels among all."""
        return slice(self.first, self.first + len(self.rows))


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What the workers have in common.

    Attributes
    ----------
    fit, relabellings, lattice, statistics
        As for :func:`null_distribution`.
    forming : float
        Cluster-forming height; infinite for none.
    base : float
        What is taken off a voxel's height for its cluster's mass.
    batch, width : int
        Relabellings and voxels at a time.
    kept : list of _Tile, or None
        All tiles, where they are kept.
    integers : bool
        Whether integers screen.
    packed : pharmasl.group.engine.integer_products.Packed or None
        The outcome in 8 bits, where these screen.
    """

    fit: VoxelFit
    relabellings: Relabellings
    lattice: Lattice
    statistics: MaximumStatistics
    forming: float
    base: float
    batch: int
    width: int
    kept: list[_Tile] | None
    integers: bool
    packed: integer_products.Packed | None

    @classmethod
    def prepare(
        cls,
        fit: VoxelFit,
        relabellings: Relabellings,
        lattice: Lattice,
        statistics: MaximumStatistics,
        stride: Stride,
        kept_bytes: int,
    ) -> "_Task":
        design, n = fit.design, relabellings.participants
        if n != design.participants or (relabellings.signs is not None) != design.flipped:
            raise ValueError(f"relabellings of {n} participants do not fit a model of {design.participants}")
        if fit.voxels != len(lattice.place):
            raise ValueError(f"{fit.voxels} voxels of data, {len(lattice.place)} of the mask")
        forming = math.inf if statistics.threshold is None else float(statistics.threshold)
        base = 0.0
        if statistics.mass == "excess":
            base = forming if statistics.scale == "t" else float(voxel_fit.to_z(np.array(forming), design))
        width = -(-stride.tile // integer_products.GROUP) * integer_products.GROUP
        wanted = stride.integers
        if wanted is None:
            wanted = row_products.integers_available() and fit.voxels * n < _PACKED
        wanted = wanted and statistics.enhancement is None
        size = fit.voxels * n * (8 * (1 + design.own) + 4 * (1 + design.own * (1 + design.flipped)))
        kept = None
        if size <= kept_bytes:
            kept = [_tile(fit, start, width, wanted) for start in range(0, fit.voxels, width)]
        packed = None
        if wanted and design.tested.shape[1] + design.basis.shape[1]:
            tiles = kept or (_tile(fit, start, width, wanted) for start in range(0, fit.voxels, width))
            outcomes = (np.ascontiguousarray(tile.rows[:, 0]) for tile in tiles)
            packed = integer_products.Packed(outcomes, fit.voxels, n, False)
        return cls(
            fit=fit,
            relabellings=relabellings,
            lattice=lattice,
            statistics=statistics,
            forming=forming,
            base=base,
            batch=min(stride.batch, relabellings.number, stride.batch if statistics.enhancement is None else _MAPS),
            width=width,
            kept=kept,
            integers=wanted,
            packed=packed,
        )

    @property
    def voxels(self) -> int:
        """V."""
        return self.fit.voxels

    def z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""
        return voxel_fit.to_z(heights, self.fit.design)

    def relabelled(self, start: int, stop: int) -> Relabelled:
        """The design under some of the relabellings."""
        permutations, signs = self.relabellings.permutations, self.relabellings.signs
        return voxel_fit.relabelled(
            self.fit.design,
            None if permutations is None else permutations[start:stop],
            None if signs is None else signs[start:stop],
            self.forming,
        )

    def tiles(self) -> Iterable[_Tile]:
        """The voxels, tile by tile."""
        if self.kept is not None:
            return self.kept
        return (_tile(self.fit, start, self.width, self.integers) for start in range(0, self.voxels, self.width))


def _tile(fit: VoxelFit, start: int, width: int, integers: bool) -> _Tile:
    stop = min(start + width, fit.voxels)
    form, n, strip = fit.form(start, stop), fit.design.participants, row_products.STRIP
    strips, rows = -(-(stop - start) // strip), n * (1 + fit.design.flipped)
    columns = np.zeros((strips, fit.design.own, rows, strip), dtype=np.int16 if integers else np.float32)
    if integers:
        outcome = np.zeros((strips, -(-n // 2), 2, strip), dtype=np.int16)
        row_products.pack(form.rows, outcome, columns)
    else:
        outcome = np.zeros((strips, n, strip), dtype=np.float32)
        row_products.side_by_side(form.rows, outcome, columns)
    return _Tile(
        first=start,
        rows=form.rows,
        mixing=form.mixing,
        single_mixing=form.mixing.astype(np.float32),
        outcome=outcome,
        columns=columns,
    )


def _some(relabelled: Relabelled, rows: slice) -> Relabelled:
    """The same of some relabellings of the batch."""
    if rows.start == 0 and rows.stop == len(relabelled.weights):
        return relabelled
    orders = np.zeros((row_products.ROWS, relabelled.orders.shape[1]), dtype=np.int32)
    orders[: rows.stop - rows.start] = relabelled.orders[rows]
    return relabelled._replace(weights=relabelled.weights[rows], orders=orders)


class _Screening(Worker):
    """Only voxels that may matter are computed in double precision."""

    def __init__(self, task: _Task) -> None:
        super().__init__(task)
        self.task, design = task, task.fit.design
        n, terms = design.participants, design.tested.shape[1] + design.basis.shape[1]
        threshold, columns = task.forming, design.columns
        ratio = threshold**2 if columns == 1 else columns * threshold
        self.ceiling = np.float32(math.inf if math.isinf(ratio) else ratio / (design.df + ratio) * (1 - 1e-6))
        self.error = np.float32(permutation.screening_error(n))
        self.own_scale, self.own_error = np.float32(1), self.error
        if task.integers:
            self.own_scale, self.own_error = row_products.STEP, np.float32(row_products.rounding(n)) + self.error
        rows = -(-task.batch // row_products.ROWS) * row_products.ROWS
        kind = np.float32 if task.packed is None else np.int32
        self.common_products = np.zeros((task.batch * terms + integer_products.ROWS, task.width), dtype=kind)
        self.own_products = np.zeros(design.own * rows * task.width, dtype=np.int32 if task.integers else np.float32)
        self.work = np.empty((5 + design.tested.shape[1], task.width), dtype=np.float32)
        self.unit = np.ones(max(task.width, task.batch * terms), dtype=np.float32)

    def prepare(self, start: int, stop: int) -> None:
        """Relabel the model for a batch."""
        self.relabelled = self.task.relabelled(start, stop)

    def pass_over(self, rows: slice, room: Room, first: int) -> None:
        """Fill the room from one pass over the data."""
        task, relabelled = self.task, _some(self.relabelled, rows)
        number, terms, n = relabelled.weights.shape
        flat = np.ascontiguousarray(relabelled.weights.transpose(1, 0, 2).reshape(number * terms, n))
        single, small = flat.astype(np.float32), None
        if task.packed is not None:
            small = integer_products.PackedWeights(flat)
        best = np.zeros((number, 2), dtype=np.float32)
        kept = Found(room.extremes, room.counts, room.voxels, room.t)
        shape = (task.fit.design.own, len(relabelled.orders), task.width)
        own = self.own_products[: math.prod(shape)].reshape(shape)
        orders = relabelled.orders
        if task.integers and n % 2:
            # One too many, whose outcome is 0.
            orders = np.concatenate([orders, np.zeros((len(orders), 1), dtype=np.int32)], axis=1)
        for tile in task.tiles():
            width = len(tile.rows)
            if small is not None and task.packed is not None:
                task.packed.multiply(small, tile.first, len(tile.rows), self.common_products)
                row_scale, scale = small.scale, task.packed.scale[tile.place]
                # |w . y - w' . y'| <= |w| |y - y'| + |w - w'| |y'|, and a little for these bounds' own rounding.
                delta = np.float32(1.0001 * small.norm) * task.packed.error[tile.place]
                delta += np.float32(1.0001 * small.error + 1e-5) * task.packed.norm[tile.place]
            else:
                np.matmul(single, tile.rows[:, 0].T.astype(np.float32), out=self.common_products[: len(single), :width])
                row_scale = scale = self.unit
                delta = self.error * self.unit[:width]
            if task.integers:
                row_products.multiply_integers(tile.columns, tile.outcome, orders, own)
            else:
                row_products.multiply(tile.columns, tile.outcome, orders, own)
            voxelwise_kernels.screen(
                Screened(self.common_products, row_scale, scale, delta, own, self.own_scale, self.own_error),
                tile.single_mixing,
                self.ceiling,
                tile.voxels,
                relabelled,
                kept,
                best,
                self.work,
            )

    def finish(self, p: int, result: np.ndarray) -> None:
        """Nothing: no whole map is made."""


class _WholeMaps(Worker):
    """Every voxel's statistic is computed in double precision, for TFCE."""

    def __init__(self, task: _Task, enhancement: tfce.Enhancement) -> None:
        super().__init__(task)
        self.task, design = task, task.fit.design
        self.maps = np.empty((task.batch, task.voxels), dtype=np.float32)
        self.enhancer = tfce.Enhancer(task.lattice.mask, enhancement, design.df, design.columns)
        terms, rows = design.tested.shape[1] + design.basis.shape[1], -(-task.batch // row_products.ROWS)
        self.common_products = np.empty((task.batch * terms, task.width))
        self.own_products = np.empty(design.own * rows * row_products.ROWS * task.width)

    def prepare(self, start: int, stop: int) -> None:
        """Relabel the model for a batch."""
        self.relabelled = self.task.relabelled(start, stop)

    def pass_over(self, rows: slice, room: Room, first: int) -> None:
        """Fill the room and the whole maps."""
        relabelled = _some(self.relabelled, rows)
        kept = Found(room.extremes, room.counts, room.voxels, room.t)
        maps = self.maps[first : first + len(relabelled.weights)]
        number, terms, n = relabelled.weights.shape
        flat, flipped = relabelled.weights.reshape(number * terms, n), self.task.fit.design.flipped
        shape = (self.task.fit.design.own, len(relabelled.orders), self.task.width)
        own, common = self.own_products[: math.prod(shape)].reshape(shape), self.common_products[: len(flat)]
        for tile in self.task.tiles():
            row_products.multiply_whole(tile.rows, flipped, flat, relabelled.orders, common, own)
            voxelwise_kernels.whole_maps(tile.voxels, relabelled, common, own, kept, maps)

    def finish(self, p: int, result: np.ndarray) -> None:
        """Add the largest TFCE."""
        result[6:8] = self.enhancer.maximum(self.maps[p])
