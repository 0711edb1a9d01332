"""What every pass over the data has in common: the way through a batch of relabellings, and their largest clusters."""

import abc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.group.engine import components
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.maxima import MaximumStatistics

# Voxels beyond the threshold that there is room for, at least; a sixteenth of all where that is more.
LEAST_ROOM = 4096


@dataclass(frozen=True)
class Room:
    """Room for the results of a batch of relabellings.

    Attributes
    ----------
    extremes : ndarray of shape (B, 2), float64
        Largest and smallest height.
    counts : ndarray of shape (B,), int64
        Voxels beyond the threshold.
    voxels, t : ndarray of shape (B, capacity), int32 and float64
        Those voxels, ascending, and their heights.
    """

    extremes: np.ndarray
    counts: np.ndarray
    voxels: np.ndarray
    t: np.ndarray


class Task(Protocol):
    """What the workers share: data, model and what is taken of each relabelling's map.

    Attributes
    ----------
    statistics : pharmasl.group.engine.maxima.MaximumStatistics
    lattice : pharmasl.group.engine.clusters.Lattice
    batch : int
        Relabellings at a time.
    base : float
        What is taken off a voxel's height for its cluster's mass.
    voxels : int
    """

    @property
    def statistics(self) -> MaximumStatistics: ...  # noqa: D102

    @property
    def lattice(self) -> Lattice: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    @property
    def base(self) -> float: ...  # noqa: D102

    @property
    def voxels(self) -> int: ...  # noqa: D102

    def z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""


class Worker(abc.ABC):
    """One thread's work space, and its way through a batch of relabellings."""

    def __init__(self, task: Task) -> None:
        self.common = task
        clusters = task.statistics.threshold is not None
        self.capacity = min(task.voxels, max(LEAST_ROOM, task.voxels // 16)) if clusters else 0
        self.voxels = np.empty((task.batch, self.capacity), np.int32)
        self.t = np.empty((task.batch, self.capacity))
        self.neighbourhood = task.lattice.neighbourhood()

    @abc.abstractmethod
    def prepare(self, start: int, stop: int) -> None:
        """Relabel the model for relabellings from ``start`` to before ``stop``."""

    @abc.abstractmethod
    def pass_over(self, rows: slice, room: Room, first: int) -> None:
        """Fill the room from one pass over the data for these relabellings of the batch, the ``first`` of it and on."""

    @abc.abstractmethod
    def finish(self, p: int, result: np.ndarray) -> None:
        """Add what a relabelling's whole map gives to its row of the table of maxima."""

    def run(self, start: int, out: np.ndarray) -> None:
        """Fill the rows of a batch of relabellings in the table of maxima (B, 8)."""
        task = self.common
        stop = min(start + task.batch, len(out))
        self.prepare(start, stop)
        rows = stop - start
        room = Room(np.zeros((rows, 2)), np.zeros(rows, dtype=np.int64), self.voxels, self.t)
        self.pass_over(slice(0, rows), room, 0)
        for p in range(rows):
            result = out[start + p]
            result[:2] = room.extremes[p]
            if task.statistics.threshold is not None:
                count = room.counts[p]
                voxels, t = room.voxels[p], room.t[p]
                if count > self.capacity:
                    # More voxels than there was room for: this relabelling again, with room for all.
                    voxels, t = np.empty(task.voxels, np.int32), np.empty(task.voxels)
                    again = Room(np.zeros((1, 2)), np.zeros(1, dtype=np.int64), voxels[None], t[None])
                    self.pass_over(slice(p, p + 1), again, p)
                self._clusters(voxels[:count], t[:count], result[2:6])
            self.finish(p, result)

    def _clusters(self, voxels: np.ndarray, t: np.ndarray, result: np.ndarray) -> None:
        """Fill extent and mass of the largest clusters of either sign."""
        statistics = self.common.statistics
        heights = t if statistics.mass is None or statistics.scale == "t" else self.common.z(t)
        components.largest_clusters(
            components.Suprathreshold(voxels, t, heights),
            self.neighbourhood,
            self.common.base,
            statistics.merge,
            result,
        )


def maxima_of_all(make: Callable[[], Worker], number: int, batch: int, threads: int) -> np.ndarray:
    """The table of maxima, shape (number, 8), of all relabellings.

    Parameters
    ----------
    make : callable
        Makes a thread's worker.
    number, batch : int
        Relabellings in all, and at a time.
    threads : int
        The table is the same for any number.
    """
    out = np.zeros((number, 8))
    starts = range(0, number, batch)

    def work(own_starts: Iterable[int]) -> None:
        worker = make()
        for start in own_starts:
            worker.run(start, out)

    # One BLAS thread per worker: products this small only lose by being divided.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [starts[k::threads] for k in range(threads)]))
    return out
