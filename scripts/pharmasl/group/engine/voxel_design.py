"""The design of every voxel: columns that all voxels share, and columns that a map of each participant makes the voxel's own.

With W the weights of the tests (q rows), the coefficients' weighted sums W b are those of the columns M W+ in a model whose other
columns are M N, where W+ is the pseudo-inverse and N spans the null space of W. Where W weighs columns that all voxels share, the
tested columns are common and each voxel's own columns are nuisance; otherwise the tested columns are the voxel's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg


@dataclass(frozen=True, kw_only=True)
class VoxelDesign:
    """The columns of every voxel, the tested ones apart.

    Attributes
    ----------
    tested : ndarray of shape (n, q0)
        Tested columns that all voxels share, orthonormal, without their projection on the common nuisance.
    scale : float
        Length of the one tested column before it was scaled to 1; NaN where there are several, or it is the voxel's own.
    estimates : ndarray of shape (q0, q0)
        Makes the tested coefficients from the outcome's products with those columns.
    basis : ndarray of shape (n, m)
        Orthonormal basis of the common nuisance, the intercept removed where it holds that.
    projector : ndarray of shape (n, m or m + 1)
        Orthonormal basis of the common nuisance.
    terms : tuple of tuple of str
        Maps whose product, each centred at its mean over the participants, is a raw column of a voxel; one for each such column.
    multipliers : ndarray of shape (len(terms), n)
        What the product is multiplied with.
    nuisance, own_tested : int
        Columns of a voxel that are nuisance, k, and that are tested, r: first the ones, then the others.
    combination : ndarray of shape (k + r, len(terms)) or None
        Makes these columns from the raw ones; None where they are the raw ones.
    offset : ndarray of shape (k + r, n)
        Added to them: shares of columns that all voxels have in common.
    flipped : bool
        Whether relabellings flip signs: the nuisance does not hold the constant then.
    mixed : bool
        Whether a tested combination weighs common columns and the voxel's own.
    """

    tested: np.ndarray
    scale: float
    estimates: np.ndarray
    basis: np.ndarray
    projector: np.ndarray
    terms: tuple[tuple[str, ...], ...]
    multipliers: np.ndarray
    nuisance: int
    own_tested: int
    combination: np.ndarray | None
    offset: np.ndarray
    flipped: bool
    mixed: bool

    @property
    def participants(self) -> int:
        """Rows of the design, n."""
        return len(self.tested)

    @property
    def columns(self) -> int:
        """All columns tested, q: one makes a t, several an F."""
        return self.tested.shape[1] + self.own_tested

    @property
    def own(self) -> int:
        """Columns that are the voxel's own, k + r."""
        return self.nuisance + self.own_tested

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return self.participants - self.projector.shape[1] - self.nuisance - self.columns

    @property
    def maps(self) -> list[str]:
        """The maps that are needed, each once, in order of their first appearance."""
        return list(dict.fromkeys(name for term in self.terms for name in term))


def design(
    matrix: ArrayLike,
    weights: ArrayLike,
    voxelwise: Sequence[Sequence[str]] = (),
    *,
    flipped: bool = False,
) -> VoxelDesign:
    """The design of every voxel, from a model.

    Parameters
    ----------
    matrix : array_like of shape (n, terms)
        Columns; of a voxelwise one the multiplier.
    weights : array_like of shape (q, terms)
        Of the coefficients, a row for each tested combination; linearly independent.
    voxelwise : sequence of sequence of str
        The maps of each column, none for a column that all voxels share; empty where no column has any.
    flipped : bool
        Whether relabellings flip signs.

    Returns
    -------
    VoxelDesign

    Raises
    ------
    ValueError
        If the weights are linearly dependent, or the nuisance does not hold the constant where rows are permuted (or holds it
        where signs are flipped).
    """
    matrix, weights = np.asarray(matrix, dtype=np.float64), np.atleast_2d(np.asarray(weights, dtype=np.float64))
    terms = [tuple(names) for names in voxelwise] or [()] * matrix.shape[1]
    own = np.array([bool(names) for names in terms], dtype=bool)
    if np.linalg.matrix_rank(weights) < len(weights):
        raise ValueError("the rows of the tests' weights are linearly dependent")
    # Columns of equal length: badly scaled ones would cost digits.
    length = np.where(own, 1.0, np.linalg.norm(matrix, axis=0))
    common, raw = (matrix / length)[:, ~own], matrix[:, own].T
    tests, others = _partition(weights / length, own)
    tested_columns, nuisance_columns = common @ tests[~own], common @ others[0][~own]
    n = len(matrix)
    nuisance_own, tested_own = others[1], tests if own.any() and np.abs(tests[own]).max() > 0 else tests[:, :0]
    if tested_own.shape[1]:
        tested_columns = np.zeros((n, 0))
    projector, basis = _nuisance(nuisance_columns, flipped)
    residual = tested_columns - projector @ (projector.T @ tested_columns)
    residual -= projector @ (projector.T @ residual)
    scale = float(np.linalg.norm(residual)) if residual.shape[1] == 1 else np.nan
    tested, estimates = _orthonormal(residual)
    made = np.concatenate([nuisance_own, tested_own], axis=1)
    combination: np.ndarray | None = made[own].T
    if combination is not None and np.array_equal(combination, np.eye(len(raw))):
        combination = None
    return VoxelDesign(
        tested=tested,
        scale=scale,
        estimates=estimates,
        basis=basis,
        projector=projector,
        terms=tuple(names for names in terms if names),
        multipliers=np.ascontiguousarray(raw),
        nuisance=nuisance_own.shape[1],
        own_tested=tested_own.shape[1],
        combination=combination,
        offset=made[~own].T @ common.T,
        flipped=flipped,
        mixed=bool(tested_own.shape[1] and np.abs(weights[:, ~own]).sum()),
    )


def _partition(weights: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Combinations of columns: the tested ones (terms, q); the other common ones and the other own ones, (terms, ...) each."""
    terms = len(own)
    if not np.abs(weights[:, own]).sum():
        tests = np.zeros((terms, len(weights)))
        tests[~own] = _inverse(weights[:, ~own])
        return tests, (_padded(_null_space(weights[:, ~own]), ~own), _padded(np.eye(int(own.sum())), own))
    tests = _inverse(weights)
    common = _padded(_null_space(weights[:, ~own]), ~own)
    if not np.abs(weights[:, ~own]).sum():
        return tests, (common, _padded(_null_space(weights[:, own]), own))
    # What else is in the null space of all weights beside combinations of common columns alone.
    whole = _null_space(weights)
    rest = whole - common @ (common.T @ whole)
    left, singular, _ = np.linalg.svd(rest, full_matrices=False)
    return tests, (common, left[:, singular > 1e-9])


def _inverse(weights: np.ndarray) -> np.ndarray:
    """The pseudo-inverse; a selection of columns stays exact."""
    if set(np.unique(weights)) <= {0.0, 1.0} and (np.abs(weights).sum(axis=1) == 1).all():
        return weights.T
    return np.linalg.pinv(weights)


def _null_space(weights: np.ndarray) -> np.ndarray:
    """Orthonormal combinations (terms, ...) that the weights take to 0; of a selection of columns the other columns."""
    used = np.abs(weights).sum(axis=0) > 0
    rest = np.eye(weights.shape[1])[:, ~used]
    if not used.any():
        return rest
    inner = _padded(linalg.null_space(weights[:, used]), used)
    return np.concatenate([rest, inner], axis=1)


def _padded(combinations: np.ndarray, where: np.ndarray) -> np.ndarray:
    out = np.zeros((len(where), combinations.shape[1]))
    out[where] = combinations
    return out


def _orthonormal(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of columns, and what makes their coefficients from products with it."""
    size = np.linalg.norm(columns, axis=0)
    if columns.shape[1] < 2:
        return np.ascontiguousarray(columns / size), np.diag(1 / size)
    basis, triangle = np.linalg.qr(columns / size)
    return np.ascontiguousarray(basis), np.linalg.inv(triangle) / size[:, None]


def _nuisance(columns: np.ndarray, flipped: bool) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal bases of the common nuisance: with the constant, and without it where it is a part of it."""
    n = len(columns)
    projector = np.zeros((n, 0))
    columns = columns[:, np.linalg.norm(columns, axis=0) > 0]
    if columns.shape[1]:
        left, singular, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
        projector = left[:, singular > 1e-10 * singular[0]]
    one = np.full(n, n**-0.5)
    held = float(np.linalg.norm(projector.T @ one))
    if flipped:
        if held > 1 - 1e-10:
            raise ValueError("the nuisance terms hold the intercept: the hypothesis is not about a mean, permute")
        return np.ascontiguousarray(projector), np.ascontiguousarray(projector)
    if abs(held - 1) > 1e-10:
        raise ValueError("the nuisance terms must hold the intercept")
    rotation = np.linalg.qr(np.column_stack([projector.T @ one, np.eye(projector.shape[1])]))[0]
    return np.ascontiguousarray(projector), np.ascontiguousarray(projector @ rotation[:, 1:])


def raw_columns(design: VoxelDesign, maps: Mapping[str, np.ndarray]) -> np.ndarray:
    """The voxels' own columns before any projection.

    Parameters
    ----------
    design : VoxelDesign
    maps : mapping
        Map to its values centred at the mean of the participants, ndarray of shape (n, W), float64.

    Returns
    -------
    ndarray of shape (k + r, n, W), float64
    """
    raw = []
    for names, multiplier in zip(design.terms, design.multipliers):
        product = maps[names[0]]
        for name in names[1:]:
            product = product * maps[name]
        raw.append(product * multiplier[:, None])
    if design.combination is None:
        return np.stack(raw)
    out = np.empty((design.own, *raw[0].shape))
    for column, factors, added in zip(out, design.combination, design.offset):
        # One after the other: the bits of a matrix product may depend on its shape.
        column[:] = added[:, None]
        for factor, values in zip(factors, raw):
            if factor:
                column += factor * values
    return out
