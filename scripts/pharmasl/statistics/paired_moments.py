"""Repeatability of two sessions, person by person: what :func:`pharmasl.statistics.repeatability.repeatability` computes of all at once.

Of two sessions the mean squares are those of differences and sums: for a person's values x and y, with d = y - x and s = x + y, the
residual one is var(d) / 2, that between people var(s) / 2, that between sessions n mean(d)^2 / 2. Mean and variance are brought up to
date with each person (Welford 1962, doi 10.1080/00401706.1962.10490022), so that a map needs no more room for two thousand people than for three.
"""

from dataclasses import dataclass

import numpy as np

from pharmasl.statistics.repeatability import MeanSquares

SESSIONS = 2


@dataclass
class _Moments:
    """Mean of each voxel's values so far, and the sum of their squared distances from it; shape (V,)."""

    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def none(cls, voxels: int) -> "_Moments":
        return cls(np.zeros(voxels), np.zeros(voxels))

    def add(self, values: np.ndarray, count: np.ndarray, where: np.ndarray) -> None:
        """One person's values; ``count`` includes that person in the voxels ``where`` there is a value."""
        step = np.where(where, values - self.mean, 0.0)
        self.mean += step / np.maximum(count, 1)
        self.squares += step * np.where(where, values - self.mean, 0.0)


class PairedMoments:
    """Mean squares of V voxels in two sessions, of people who are added one after the other.

    Parameters
    ----------
    voxels : int

    Attributes
    ----------
    count : ndarray of int, shape (V,)
        People with a value in both sessions.
    positive : ndarray of bool, shape (V,)
        Whether all those values are above 0.
    """

    def __init__(self, voxels: int) -> None:
        self.count = np.zeros(voxels, dtype=np.int64)
        self.positive = np.ones(voxels, dtype=bool)
        self._changes, self._sums, self._logarithms = (_Moments.none(voxels) for _ in range(3))

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add a person: values of both sessions, shape (V,); NaN where there is none."""
        first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
        known = np.isfinite(first) & np.isfinite(second)
        above = known & (first > 0) & (second > 0)
        self.count += known
        self.positive &= above | ~known
        first, second = np.where(known, first, 0.0), np.where(known, second, 0.0)
        self._changes.add(second - first, self.count, known)
        self._sums.add(first + second, self.count, known)
        logarithms = np.log(np.where(above, second, 1.0)) - np.log(np.where(above, first, 1.0))
        # Of no use, and not read, where a value is not above 0.
        self._logarithms.add(logarithms, self.count, above)

    def mean(self) -> np.ndarray:
        """Mean over people and sessions; 0 of nobody."""
        return self._sums.mean / SESSIONS

    def squares(self) -> MeanSquares:
        """Mean squares of the values; NaN of fewer than two people."""
        return MeanSquares(
            people=self.count,
            sessions=SESSIONS,
            between_people=self._variance(self._sums) / SESSIONS,
            between_sessions=self.count * np.square(self._changes.mean) / SESSIONS,
            residual=self._variance(self._changes) / SESSIONS,
        )

    def logarithmic_residual(self) -> np.ndarray:
        """Residual mean square of the values' logarithms; NaN where a value is not above 0."""
        return np.where(self.positive, self._variance(self._logarithms) / SESSIONS, np.nan)

    def _variance(self, moments: _Moments) -> np.ndarray:
        return np.where(self.count > 1, moments.squares / np.maximum(self.count - 1, 1), np.nan)
