"""Relabellings: what is exchangeable when the tested effect is absent.

A question about *arms* or about a *slope* permutes: whole differences of participants meet other rows of the design,
within exchangeability blocks such as sites where these are given. A question about a *mean* (does an arm change at
all?) has nothing to permute; it flips the signs of whole differences, which needs errors that are symmetric about 0
(Winkler et al. 2014, NeuroImage 92:381). Which of the two a design wants is decided by the hypothesis and never by the
columns it happens to have: a design of arms that names its intercept is still permuted.
"""

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.group.engine.glm import PartialForm
from pharmasl.group.engine.voxel_design import VoxelDesign

# Random relabellings made at a time: bounds the temporary memory, and does not change them.
_ROWS = 256


@dataclass(frozen=True)
class Relabellings:
    """Relabellings of n participants, the observed labelling first.

    Attributes
    ----------
    permutations : ndarray of shape (B, n), or None
        Participant i's data meet row ``permutations[b, i]`` of the design.
    signs : ndarray of shape (B, n), or None
        1 or -1 for each participant's whole difference; instead of permutations, or together with them.

    Raises
    ------
    ValueError
        If there are none, or the two differ in shape.
    """

    permutations: np.ndarray | None = None
    signs: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {np.shape(part) for part in (self.permutations, self.signs) if part is not None}
        if len(shapes) != 1:
            raise ValueError(f"relabellings of shapes {sorted(shapes)}")

    @property
    def shape(self) -> tuple[int, int]:
        """(B, n)."""
        drawn = self.signs if self.permutations is None else self.permutations
        if drawn is None:
            raise ValueError("no relabellings")
        number, participants = np.shape(drawn)
        return number, participants

    @property
    def number(self) -> int:
        """B, the observed labelling included."""
        return self.shape[0]

    @property
    def participants(self) -> int:
        """N."""
        return self.shape[1]

    def apply(self, b: int, x: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tested term, (n,) or (n, q), and the basis of the others (n, k) under relabelling b."""
        if self.permutations is not None:
            x, basis = x[self.permutations[b]], basis[self.permutations[b]]
        if self.signs is not None:
            x, basis = (x.T * self.signs[b]).T, basis * self.signs[b][:, None]
        return x, basis


def _kinds(rows: ArrayLike) -> np.ndarray:
    """Number the distinct rows of a design, in order of their first appearance."""
    rows = np.asarray(rows, dtype=np.float64)
    # A column's unit must not matter: each is measured by its own range. Rounded, because a row that came out of a
    # decomposition equals its twin to 15 digits only; a range within that rounding is none.
    least, spread = rows.min(axis=0), np.ptp(rows, axis=0)
    spread = np.where(spread > 1e-13 * np.abs(rows).max(axis=0), spread, np.inf)
    keys = [tuple(row) for row in np.round((rows - least) / spread, 9) + 0.0]
    first: dict[tuple[float, ...], int] = {}
    return np.array([first.setdefault(key, len(first)) for key in keys])


def _members(blocks: Sequence[Hashable] | np.ndarray | None, n: int) -> list[np.ndarray]:
    """Positions of each block's participants, blocks in order of their first appearance; one block if None."""
    if blocks is None:
        return [np.arange(n)]
    blocks = list(blocks)
    if len(blocks) != n:
        raise ValueError(f"{len(blocks)} blocks for {n} participants")
    first: dict[object, int] = {}
    numbers = np.array([first.setdefault(block, len(first)) for block in blocks])
    return [np.flatnonzero(numbers == k) for k in range(len(first))]


def log10_distinct(rows: ArrayLike, blocks: Sequence[Hashable] | np.ndarray | None = None) -> float:
    """Decimal logarithm of the number of distinct orders of a design's rows: n! / (m1! m2! ...) for m equal rows.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
    blocks : sequence of length n, optional
        Exchangeability block of each participant; the orders within them multiply.

    Returns
    -------
    float
    """
    kinds = _kinds(rows)
    total = 0.0
    for members in _members(blocks, len(kinds)):
        counts = np.bincount(kinds[members])
        total += math.lgamma(len(members) + 1) - sum(math.lgamma(m + 1) for m in counts)
    return total / math.log(10)


def _arrangements(free: list[int], groups: list[list[int]]) -> Iterator[dict[int, int]]:
    """Every way to assign the positions ``free`` to groups of these members; members keep their order."""
    if not groups:
        yield {}
        return
    members, *others = groups
    for places in itertools.combinations(free, len(members)):
        rest = [place for place in free if place not in places]
        for remainder in _arrangements(rest, others):
            yield {**dict(zip(places, members)), **remainder}


def relabellings(
    rows: ArrayLike, number: int, seed: int, blocks: Sequence[Hashable] | np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """The permutations of an analysis, the identity first.

    All distinct ones where there are no more than ``number`` (for two arms without covariates: n! / (n1! n2!)),
    otherwise the identity and ``number - 1`` random ones.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
        The design. Equal rows are interchangeable.
    number : int
    seed : int
    blocks : sequence of length n, optional
        Exchangeability block of each participant, such as the site: rows are permuted within blocks only.

    Returns
    -------
    permutations : ndarray of shape (B, n), int32
        Participant i's data meet row ``permutations[b, i]`` of the design.
    exhaustive : bool

    Raises
    ------
    ValueError
        If ``blocks`` has another length.
    """
    kinds = _kinds(rows)
    n = len(kinds)
    every_block = _members(blocks, n)
    if log10_distinct(rows, blocks) <= math.log10(number) + 1e-9:
        within = []
        for members in every_block:
            groups = [members[kinds[members] == kind].tolist() for kind in range(kinds.max() + 1)]
            within.append(list(_arrangements(members.tolist(), [group for group in groups if group])))
        every = np.empty((math.prod(len(arrangements) for arrangements in within), n), dtype=np.int32)
        for b, combined in enumerate(itertools.product(*within)):
            for arrangement in combined:
                every[b, list(arrangement)] = list(arrangement.values())
        observed = int(np.flatnonzero((every == np.arange(n)).all(axis=1))[0])
        return np.concatenate([every[observed : observed + 1], np.delete(every, observed, axis=0)]), True
    rng = np.random.default_rng(seed)
    permutations = np.empty((number, n), dtype=np.int32)
    for start in range(0, number, _ROWS):
        keys = rng.random((min(_ROWS, number - start), n))
        for members in every_block:
            order = np.argsort(keys[:, members], axis=1, kind="stable")
            permutations[start : start + len(keys), members] = members[order]
    permutations[0] = np.arange(n)
    return permutations, False


def flips(rows: ArrayLike, number: int, seed: int) -> tuple[np.ndarray, bool]:
    """The sign flips of an analysis of a mean, no flip first.

    All distinct ones where there are no more than ``number`` (2^n for n participants who count), otherwise no flip and
    ``number - 1`` random ones.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
        The design. A participant whose row is 0 throughout is never flipped: it would change nothing.
    number : int
    seed : int

    Returns
    -------
    signs : ndarray of shape (B, n), int8
        1 or -1 for each participant's whole difference.
    exhaustive : bool
    """
    rows = np.asarray(rows, dtype=np.float64)
    # Measured column by column: a column in a small unit counts as any other.
    size = np.abs(rows)
    free = np.flatnonzero((size > 1e-9 * size.max(axis=0)).any(axis=1))
    n, m = len(rows), len(free)
    if m * math.log10(2) <= math.log10(number) + 1e-9:
        signs = np.ones((2**m, n), dtype=np.int8)
        signs[:, free] -= 2 * ((np.arange(2**m)[:, None] >> np.arange(m)) & 1).astype(np.int8)
        return signs, True
    rng = np.random.default_rng(seed)
    signs = np.ones((number, n), dtype=np.int8)
    signs[:, free] -= 2 * rng.integers(0, 2, (number, m), dtype=np.int8)
    signs[0] = 1
    return signs, False


def smallest_p(model: PartialForm, relabellings: Relabellings, two_sided: bool) -> float:
    """The smallest p these relabellings can give, whatever the data.

    Relabellings that give the observed |t| in any data (equal arms swapped, a random one met twice) count with it.

    Parameters
    ----------
    model : glm.PartialForm
    relabellings : Relabellings
    two_sided : bool

    Returns
    -------
    float
    """
    hits = 0
    for b in range(relabellings.number):
        x, basis = relabellings.apply(b, model.x, model.basis)
        cosine = x @ model.x
        if (abs(cosine) if two_sided else cosine) > 1 - 1e-9:
            overlap = np.linalg.norm(basis.T @ model.basis) ** 2
            hits += overlap > model.basis.shape[1] - 1e-9
    return float(hits / relabellings.number)


def smallest_p_of_columns(design: VoxelDesign, relabellings: Relabellings, two_sided: bool) -> float:
    """The smallest p of a model whose columns differ from voxel to voxel, or of which several are tested.

    With maps among the columns no two participants are alike: only the observed labelling itself gives the observed statistic in any
    data, and that with all signs flipped where both signs count.

    Parameters
    ----------
    design : pharmasl.group.engine.voxel_design.VoxelDesign
    relabellings : Relabellings
    two_sided : bool
        Of one column; F has one side.
    """
    if design.own:
        same = np.ones(relabellings.number, dtype=bool)
        if relabellings.permutations is not None:
            same &= (relabellings.permutations == np.arange(relabellings.participants)).all(axis=1)
        if relabellings.signs is not None:
            signs = relabellings.signs
            same &= (signs == 1).all(axis=1) | ((two_sided or design.columns > 1) & (signs == -1).all(axis=1))
        return float(same.mean())
    hits = 0
    for b in range(relabellings.number):
        tested, basis = relabellings.apply(b, design.tested, design.basis)
        overlap = np.linalg.norm(tested.T @ design.tested) ** 2
        if overlap > design.columns - 1e-9:
            hits += np.linalg.norm(basis.T @ design.basis) ** 2 > basis.shape[1] - 1e-9
    return float(hits / relabellings.number)
