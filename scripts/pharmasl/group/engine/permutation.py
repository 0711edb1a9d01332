"""Permutation inference: null distributions of the maximum over the mask.

The differences of participants are exchangeable between the arms when the drug does nothing; with covariates the
residuals are, in the scheme of Freedman and Lane (see :mod:`pharmasl.group.engine.glm`; Winkler et al. 2014, NeuroImage
92:381). One pass over the relabellings serves all statistics and both signs.

Without TFCE the maps of the relabellings are never made: products in low precision screen for the voxels that may be a maximum or
lie in a cluster (:class:`_Screening`). TFCE needs every voxel (:class:`_WholeMaps`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine import differences, glm, integer_products, kernels, tfce, whole_maps
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.differences import Differences
from pharmasl.group.engine.glm import PartialForm
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.engine.workers import Room, Worker, maxima_of_all

# Permutations and voxels of one matrix product: its result stays in a core's cache. Whole maps take memory.
_BATCH, _TILE, _MAPS = 128, 512, 32

# Most bytes of data kept in 8 bits.
_PACKED = 2**30

# Stands for the residual sum of squares of a voxel that does not vary: its statistic is 0.
_DEAD = np.float32(1e30)


def screening_error(n: int) -> float:
    """The largest error of a dot product of length ``n``, of vectors of length 1, that is made in single precision.

    No more than (n + 2) u, u = 2^-24, whatever the order of its sum (Higham 2002, Accuracy and Stability of Numerical
    Algorithms, eq. 3.5, the rounding of both vectors included). A quarter is added.
    """
    return 1.25 * (n + 4) * 2.0**-24


class _Residuals:
    """Residuals of length 1, (V, n) in double precision, in the place of :class:`differences.Differences`."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.square = np.ones(len(values))
        self.raw = self.square

    def tile(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]


@dataclass(frozen=True, kw_only=True)
class Stride:
    """How many relabellings and voxels one matrix product takes: of memory and time, without influence on the result.

    Attributes
    ----------
    batch, tile : int
    integers : bool or None
        Screen with products of 8-bit integers; None where the processor decides.
    """

    batch: int = _BATCH
    tile: int = _TILE
    integers: bool | None = None


def null_distribution(
    data: np.ndarray | Differences,
    model: PartialForm,
    relabellings: Relabellings,
    lattice: Lattice,
    statistics: MaximumStatistics,
    *,
    threads: int = 1,
    stride: Stride | None = None,
) -> Null:
    """The largest and smallest t, the largest clusters and the largest TFCE of every relabelling.

    The result is the same, to the last bit, for any ``threads`` and ``stride``, for data in memory or in a file, and for any
    set of statistics.

    Parameters
    ----------
    data : ndarray of shape (V, n), float64, or differences.Differences
        Residuals of :func:`glm.fit`, or the fit of :func:`differences.fit`, which copies nothing.
    model : glm.PartialForm
        Of :func:`glm.partial_form`; of :func:`glm.mean_form` where signs are flipped.
    relabellings : relabelling.Relabellings
    lattice : clusters.Lattice
    statistics : maxima.MaximumStatistics
    threads : int
    stride : Stride, optional

    Returns
    -------
    Null

    Raises
    ------
    ValueError
        For relabellings of another length, or voxels that are not those of the mask.
    """
    task = _Task.prepare(data, model, relabellings, lattice, statistics, stride or Stride())
    enhancement = statistics.enhancement
    screen = _Screen.prepare(task) if enhancement is None else None

    def make() -> Worker:
        if enhancement is not None:
            return _WholeMaps(task, enhancement)
        assert screen is not None
        return _Screening(task, screen)

    out = maxima_of_all(make, relabellings.number, task.batch, threads)
    return Null.from_table(out, statistics)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What the workers have in common: data, model, relabellings and statistics.

    Attributes
    ----------
    source : Differences or _Residuals
    model, relabellings, lattice, statistics
        As for :func:`null_distribution`.
    projector : ndarray of shape (n, m)
    df : float
    forming : float
        Cluster-forming t; infinite for none.
    base : float
        What is taken off a voxel's height for its cluster's mass.
    batch, tile : int
        Relabellings and voxels at a time.
    integers : bool
        Whether 8-bit integers screen.
    """

    source: Differences | _Residuals
    model: PartialForm
    relabellings: Relabellings
    lattice: Lattice
    statistics: MaximumStatistics
    projector: np.ndarray
    df: float
    forming: float
    base: float
    batch: int
    tile: int
    integers: bool

    @classmethod
    def prepare(
        cls,
        data: np.ndarray | Differences,
        model: PartialForm,
        relabellings: Relabellings,
        lattice: Lattice,
        statistics: MaximumStatistics,
        stride: Stride,
    ) -> "_Task":
        n = relabellings.participants
        if n != len(model.x):
            raise ValueError(f"relabellings of {n} participants, a model of {len(model.x)}")
        source = data if isinstance(data, Differences) else _Residuals(data)
        voxels, df = len(source.square), float(model.df)
        if voxels != len(lattice.place):
            raise ValueError(f"{voxels} voxels of data, {len(lattice.place)} of the mask")
        forming = math.inf if statistics.threshold is None else float(statistics.threshold)
        base = 0.0
        if statistics.mass == "excess":
            base = forming if statistics.scale == "t" else float(glm.t_to_z(np.array(forming), df))
        batch, tile, integers = stride.batch, stride.tile, False
        if statistics.enhancement is not None:
            batch = min(batch, _MAPS)
        else:
            integers = stride.integers is True
            if stride.integers is None:
                integers = integer_products.available() and voxels * n < _PACKED
        if integers:
            tile = -(-tile // integer_products.GROUP) * integer_products.GROUP
        return cls(
            source=source,
            model=model,
            relabellings=relabellings,
            lattice=lattice,
            statistics=statistics,
            projector=np.ascontiguousarray(model.projector),
            df=df,
            forming=forming,
            base=base,
            batch=min(batch, relabellings.number),
            tile=tile,
            integers=integers,
        )

    @property
    def voxels(self) -> int:
        """V."""
        return len(self.source.square)

    @property
    def terms(self) -> int:
        """Rows of weights per relabelling: the tested term and the basis of the others."""
        return 1 + self.model.basis.shape[1]

    def weights(self, b: int) -> np.ndarray:
        """The weights of a relabelling, shape (terms, n)."""
        x, basis = self.relabellings.apply(b, self.model.x, self.model.basis)
        if isinstance(self.source, _Residuals):
            return np.concatenate([x[None], basis.T])
        return differences.weights(x, basis, self.projector)

    def z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""
        return glm.t_to_z(heights, self.df)

    def tiles(self) -> Iterable[slice]:
        """The voxels, tile by tile."""
        return (slice(start, min(start + self.tile, self.voxels)) for start in range(0, self.voxels, self.tile))


@dataclass(frozen=True, kw_only=True)
class _Screen:
    """How far products in low precision may be off, and when a voxel matters; the same for all relabellings.

    Attributes
    ----------
    square : ndarray of shape (V,), float32
        Residual sums of squares, less a millionth: the screen's own sums are in single precision too.
    ceiling : float32
        b^2 / (square - a) at the cluster-forming threshold.
    unit : ndarray of float32
        Ones: the scale of products in single precision.
    delta : ndarray of shape (V,), float32
        How far such a product may be off.
    packed : integer_products.Packed or None
        The data in 8 bits, where these screen.
    """

    square: np.ndarray
    ceiling: np.float32
    unit: np.ndarray
    delta: np.ndarray
    packed: integer_products.Packed | None

    @classmethod
    def prepare(cls, task: _Task) -> "_Screen":
        source, model, n = task.source, task.model, len(task.model.x)
        threshold = task.statistics.threshold
        packed = None
        if task.integers:
            # Where weights sum to 0 in any order, a mean may go before 8 bits are spent on it.
            sums = np.append(model.basis.sum(axis=0), model.x.sum())
            centre = task.relabellings.signs is None and abs(sums).max() < 1e-9
            tiles = (source.tile(part.start, part.stop) for part in task.tiles())
            packed = integer_products.Packed(tiles, task.voxels, n, centre)
        return cls(
            square=np.where(source.square > 0, source.square * (1 - 1e-6), _DEAD).astype(np.float32),
            ceiling=np.float32(math.inf if threshold is None else threshold**2 / (task.df + threshold**2)),
            unit=np.ones(max(task.voxels, task.batch * task.terms), dtype=np.float32),
            delta=(screening_error(n) * np.sqrt(source.raw)).astype(np.float32),
            packed=packed,
        )


class _Screening(Worker):
    """Only voxels that may matter are computed in double precision."""

    def __init__(self, task: _Task, screen: _Screen) -> None:
        super().__init__(task)
        self.task, self.screen = task, screen
        # Room for rows and voxels that are filled up to whole blocks.
        shape = (task.batch * task.terms + 4, min(task.tile, task.voxels + 64))
        self.products = np.empty(shape, dtype=np.float32 if screen.packed is None else np.int32)
        self.rest = np.empty(shape[1], dtype=np.float32)

    def prepare(self, start: int, stop: int) -> None:
        """Take the weights of a batch."""
        self.weights = np.stack([self.task.weights(b) for b in range(start, stop)])

    def pass_over(self, rows: slice, room: Room, first: int) -> None:
        """Fill the room from one pass over the data."""
        task, screen, weights = self.task, self.screen, self.weights[rows]
        number, n = len(weights), weights.shape[-1]
        flat = weights.transpose(1, 0, 2).reshape(number * task.terms, n)
        row_scale, scale, delta = screen.unit, screen.unit, screen.delta
        small = single = None
        if screen.packed is None:
            single = flat.astype(np.float32)
        else:
            small = integer_products.PackedWeights(flat)
            row_scale, scale = small.scale, screen.packed.scale
            # |w . y - w' . y'| <= |w| |y - y'| + |w - w'| |y'|, and a little for these bounds' own rounding.
            delta = np.float32(1.0001 * small.norm) * screen.packed.error
            delta += np.float32(1.0001 * small.error + 1e-5) * screen.packed.norm
        best = np.zeros((number, 2), dtype=np.float32)
        relabelled = kernels.Relabelled(weights, task.df, task.forming)
        kept = kernels.Found(room.extremes, room.counts, room.voxels, room.t)
        for part in task.tiles():
            values = task.source.tile(part.start, part.stop)
            product = self.products[: len(flat), : len(values)]
            if single is not None:
                np.matmul(single, values.astype(np.float32, copy=False).T, out=product)
            elif small is not None and screen.packed is not None:
                screen.packed.multiply(small, part.start, len(values), self.products)
            kernels.screen(
                kernels.Products(product, row_scale, scale[part], delta[part], screen.square[part]),
                screen.ceiling,
                kernels.Tile(values, task.source.square[part], part.start),
                relabelled,
                kept,
                best,
                self.rest,
            )

    def finish(self, p: int, result: np.ndarray) -> None:
        """Nothing: no whole map is made."""


class _WholeMaps(Worker):
    """Every voxel's t is computed in double precision, for TFCE."""

    def __init__(self, task: _Task, enhancement: tfce.Enhancement) -> None:
        super().__init__(task)
        self.task = task
        self.maps = np.empty((task.batch, task.voxels), dtype=np.float32)
        self.enhancer = tfce.Enhancer(task.lattice.mask, enhancement, task.df)

    def prepare(self, start: int, stop: int) -> None:
        """Take the weights of a batch."""
        self.weights = np.stack([self.task.weights(b) for b in range(start, stop)])

    def pass_over(self, rows: slice, room: Room, first: int) -> None:
        """Fill the room and the whole maps."""
        task, weights = self.task, self.weights[rows]
        maps = self.maps[first : first + len(weights)]
        relabelled = kernels.Relabelled(weights, task.df, task.forming)
        kept = kernels.Found(room.extremes, room.counts, room.voxels, room.t)
        for part in task.tiles():
            values = task.source.tile(part.start, part.stop)
            whole_maps.whole_maps(kernels.Tile(values, task.source.square[part], part.start), relabelled, kept, maps)

    def finish(self, p: int, result: np.ndarray) -> None:
        result[6:8] = self.enhancer.maximum(self.maps[p])
