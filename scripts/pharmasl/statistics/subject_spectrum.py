"""The residual space of a design, in the basis in which the covariance of a random intercept is diagonal.

With Z the indicator of the subjects, H the projection on the design and k the number of a subject's observations, the values of
``(I - H) Z Z' (I - H)`` that are not 0 are those of ``Z' (I - H) Z``, the diagonal of all k minus a matrix whose rank is at most the
number p of the design's columns. Among the subjects of one k only p directions are therefore mixed with others; all that is
orthogonal to these has the value k, and what lies within subjects has the value 0. So nothing larger than some p by p is
decomposed, and the work grows with the number of observations, not with its cube.
"""

import functools
from dataclasses import dataclass

import numpy as np

# Values below this share of the largest number of observations are 0, and values this close to one another are equal.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Spectrum:
    """The responses in the residual space, in the basis in which the subjects' covariance is diagonal.

    Attributes
    ----------
    squares : ndarray of shape (J, V)
        Sums of squares of the responses' coordinates, one row per distinct entry of the diagonal.
    counts, values : ndarray of shape (J, 1)
        How often each entry occurs, and the entry, in ascending order.
    """

    squares: np.ndarray
    counts: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Subjects:
    """Whose each observation is.

    Attributes
    ----------
    code : ndarray of int, shape (n,)
        The number of each observation's subject.
    sizes : ndarray of int, shape (subjects,)
        How many observations each subject has, at least one.
    """

    code: np.ndarray
    sizes: np.ndarray

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Sums of rows over each subject's observations, shape (subjects, ...)."""
        order = np.argsort(self.code, kind="stable")
        return np.add.reduceat(rows[order], np.cumsum(self.sizes) - self.sizes, axis=0)


@dataclass(frozen=True)
class _Basis:
    """What the design alone decides.

    Attributes
    ----------
    columns : ndarray of shape (n, p)
        Orthonormal columns that span the design.
    mixed : tuple of (ndarray of bool, ndarray)
        For each number of observations per subject its subjects, and orthonormal directions among them that hold all that is
        mixed with other values.
    values, vectors : ndarray of shapes (r,), (subjects, r)
        Those of the mixed directions whose value is not 0.
    """

    columns: np.ndarray
    mixed: tuple[tuple[np.ndarray, np.ndarray], ...]
    values: np.ndarray
    vectors: np.ndarray


@functools.lru_cache(maxsize=4)
def _basis(shape: tuple[int, int], design: bytes, code: bytes) -> _Basis:
    """The same for tile after tile of a brain."""
    columns = np.linalg.qr(np.frombuffer(design).reshape(shape))[0]
    own = np.frombuffer(code, dtype=np.int64)
    subjects = Subjects(own, np.bincount(own))
    sums = subjects.sums(columns)
    classes = [subjects.sizes == size for size in np.unique(subjects.sizes)]
    mixed = tuple((members, np.linalg.qr(sums[members])[0]) for members in classes)
    widths = [directions.shape[1] for _, directions in mixed]
    whole = np.zeros((len(sums), sum(widths)))
    for (members, directions), end in zip(mixed, np.cumsum(widths)):
        whole[members, end - directions.shape[1] : end] = directions
    explained = whole.T @ sums
    values, vectors = np.linalg.eigh((whole.T * subjects.sizes) @ whole - explained @ explained.T)
    kept = values >= _EQUAL * subjects.sizes.max()
    return _Basis(columns, mixed, values[kept], whole @ vectors[:, kept])


def spectrum(design: np.ndarray, response: np.ndarray, subjects: Subjects) -> Spectrum:
    """The responses' sums of squares in the residual space by the value of the subjects' covariance.

    Parameters
    ----------
    design : ndarray of shape (n, p)
        Columns independent.
    response : ndarray of shape (n, V)
    subjects : Subjects

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        If no subject has more than one observation.
    """
    basis = _basis(design.shape, design.tobytes(), subjects.code.astype(np.int64).tobytes())
    columns = basis.columns

    def residual(rows: np.ndarray) -> np.ndarray:
        return rows - columns @ (columns.T @ rows)

    # Twice: once leaves rounding errors of the size of the response, however small its residuals.
    left = residual(residual(response))
    sums = subjects.sums(left)
    along = basis.vectors.T @ sums
    squares, counts, values = [along**2 / basis.values[:, None]], [np.ones(len(basis.values))], [basis.values]
    between = basis.vectors @ (along / basis.values[:, None])
    for members, directions in basis.mixed:
        own, size = sums[members], float(subjects.sizes[members][0])
        apart = own - directions @ (directions.T @ own)
        between[members] += apart / size
        squares.append((apart**2).sum(axis=0, keepdims=True) / size)
        counts.append(np.array([directions.shape[0] - directions.shape[1]], dtype=np.float64))
        values.append(np.array([size]))
    within = left - residual(between[subjects.code])
    number = len(design) - design.shape[1] - sum(own.sum() for own in counts)
    squares.append((within**2).sum(axis=0, keepdims=True))
    return _joined(
        np.concatenate(squares),
        np.concatenate([*counts, [number]]),
        np.concatenate([*values, [0.0]]),
        _EQUAL * subjects.sizes.max(),
    )


def _joined(squares: np.ndarray, counts: np.ndarray, values: np.ndarray, near: float) -> Spectrum:
    """Rows of equal values as one: two for complete data, a few more for incomplete data."""
    there = np.flatnonzero(counts > 0)
    order = there[np.argsort(values[there], kind="stable")]
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, np.diff(ordered) > near])
    if len(starts) < 2:
        raise ValueError("no subject has several observations, which alone separate the variances within and between")
    return Spectrum(
        np.add.reduceat(squares[order], starts, axis=0),
        np.add.reduceat(counts[order], starts)[:, None],
        ordered[starts][:, None],
    )
