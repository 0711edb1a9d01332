"""Largest statistic over regions in each relabelling, each region with a design of its own.

The scheme is that of the maps (:mod:`pharmasl.group.engine`; Freedman and Lane 1983): with T the tested columns without their
projection on the others Z, both orthonormal, and e a region's residual on Z, a relabelling's products b = T*'e and a = Z*'e, the
star for relabelled rows, give

    F = (|b|^2 / q) / ((|e|^2 - |a|^2 - |b|^2) / df),   of one column t = b sqrt(df / (|e|^2 - |a|^2 - b^2)).

A column that is multiplied by a map is a region's own, and belongs to Z or T as any other. Regions are few: where the engine
screens hundreds of thousands of voxels, all products are made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.relabelling import Relabellings

# Relabellings at a time: bounds the temporary memory.
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class RegionForm:
    """A region in the form of the test.

    Attributes
    ----------
    tested, others : ndarray of shape (n, q) and (n, m)
        Orthonormal columns, the tested ones without their projection on the others.
    residual : ndarray of shape (n,)
        The outcome without its projection on the others, of length 1.
    """

    tested: np.ndarray
    others: np.ndarray
    residual: np.ndarray

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return len(self.residual) - self.tested.shape[1] - self.others.shape[1]

    @classmethod
    def make(cls, design: np.ndarray, weights: np.ndarray, outcome: np.ndarray) -> "RegionForm":
        """The form of a design (n, terms), tested weights (q, terms) that can be estimated, and an outcome (n,)."""
        length = np.linalg.norm(design, axis=0)
        length = np.where(length > 0, length, 1.0)
        scaled, sums = design / length, weights / length
        others = _orthonormal(scaled @ linalg.null_space(sums))
        tested = scaled @ np.linalg.pinv(sums)
        for _ in range(2):
            tested = tested - others @ (others.T @ tested)
        residual = outcome - others @ (others.T @ outcome)
        residual -= others @ (others.T @ residual)
        return cls(tested=_orthonormal(tested), others=others, residual=residual / np.linalg.norm(residual))

    def statistics(self, relabellings: Relabellings, rows: slice) -> np.ndarray:
        """Statistic (signed t, or F) of some relabellings, ndarray of shape (B,)."""
        permutations, signs = relabellings.permutations, relabellings.signs
        data = np.broadcast_to(self.residual, (rows.stop - rows.start, len(self.residual)))
        if signs is not None:
            data = data * signs[rows]
        if permutations is not None:
            # Participant i's data meet row p[i] of the design: row p[i] of the data is that of participant i.
            moved = np.empty(data.shape)
            np.put_along_axis(moved, permutations[rows].astype(np.int64), data, axis=1)
            data = moved
        b, a = data @ self.tested, data @ self.others
        explained = (b**2).sum(axis=1)
        rest = np.maximum(1 - (a**2).sum(axis=1) - explained, 1e-14) / self.df
        if self.tested.shape[1] == 1:
            return b[:, 0] / np.sqrt(rest)
        return explained / self.tested.shape[1] / rest

    def unchanged(self, relabellings: Relabellings, *, two_sided: bool) -> np.ndarray:
        """Relabellings that give the observed statistic whatever the data, ndarray of bool, shape (B,)."""
        same = np.zeros(relabellings.number, dtype=bool)
        q, m = self.tested.shape[1], self.others.shape[1]
        for b in range(relabellings.number):
            tested, others = relabellings.apply(b, self.tested, self.others) if m else (self.tested, self.others)
            overlap = tested.T @ self.tested
            reach = float((overlap**2).sum()) if two_sided or q > 1 else float(overlap[0, 0])
            same[b] = reach > q - 1e-9 and np.linalg.norm(others.T @ self.others) ** 2 > m - 1e-9
        return same


def apart(number: int) -> Lattice:
    """Regions as voxels of the maps' programs: a lattice of so many, none of which touch."""
    mask = np.zeros((1, 1, 2 * number), dtype=bool)
    mask[..., ::2] = True
    return Lattice(mask, 6)


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of some columns; (n, 0) of none."""
    if not columns.shape[1]:
        return columns
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.ascontiguousarray(left[:, singular > 1e-10 * singular[0]])


def largest(
    forms: Sequence[RegionForm], relabellings: Relabellings, *, two_sided: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The statistic of each region as observed, and the largest over the regions in each relabelling.

    Parameters
    ----------
    forms : sequence of RegionForm
    relabellings : pharmasl.group.engine.relabelling.Relabellings
        The observed labelling first.
    two_sided : bool
        Whether |t| counts; F has one side.

    Returns
    -------
    observed : ndarray of shape (R,)
    maxima : ndarray of shape (B,)
    """
    observed, maxima = np.empty(len(forms)), np.full(relabellings.number, -np.inf)
    # One BLAS thread: the bits of a sum, and so of the tables, do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        for k, form in enumerate(forms):
            for start in range(0, relabellings.number, _BATCH):
                rows = slice(start, min(start + _BATCH, relabellings.number))
                values = form.statistics(relabellings, rows)
                if two_sided:
                    values = np.abs(values)
                if start == 0:
                    observed[k] = values[0]
                maxima[rows] = np.maximum(maxima[rows], values)
    return observed, maxima
