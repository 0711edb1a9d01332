"""The answer of one specification by least squares: ``response ~ tested + nuisance`` of its own participants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from pharmasl.statistics import effect_sizes
from pharmasl.statistics.correlation_intervals import fisher_interval

ALPHA = 0.05
# z of a perfect fit: the largest that a double's tail probability gives.
_LARGEST_Z = 38.0
_RELATIVE = 1e-9

Kind = Literal["effect", "correlation"]


class NotEstimableError(ValueError):
    """A specification whose model has no answer; the message says why, in words."""


@dataclass(frozen=True)
class Fit:
    """One specification's answer, and what its relabelling needs.

    Attributes
    ----------
    participants : tuple of str
    kind : {"effect", "correlation"}
    estimate, se, t, p : float
        Coefficient of the tested variable or partial correlation, its standard error, ``t = estimate / se``, and the
        two-sided p.
    ci_low, ci_high : float
        95 % confidence interval: by Student's t, of a correlation by Fisher's z.
    df : int
        Participants minus the rank of the model.
    partial_r, partial_r_low, partial_r_high : float
        Partial correlation of response and tested variable, ``t / sqrt(t^2 + df)``, free of units; the interval inverts
        the noncentral t distribution and so excludes 0 exactly where p < 0.05; of a correlation it is the estimate's.
    residual : ndarray of shape (n,)
        Residuals of the response on the nuisance.
    directions : ndarray of shape (n, 1 + k)
        Orthonormal: the residual of the tested variable on the nuisance, and the nuisance.
    """

    participants: tuple[str, ...]
    kind: Kind
    estimate: float
    se: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    df: int
    partial_r: float
    partial_r_low: float
    partial_r_high: float
    residual: np.ndarray
    directions: np.ndarray


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns' span, (n, k) to (n, rank)."""
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > 0] / size[size > 0]
    if columns.shape[1] == 0:
        return columns
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > _RELATIVE * values[0]]


def _partial_r_interval(t: float, df: int) -> tuple[float, float]:
    """95 % interval of ``t / sqrt(t^2 + df)``, from the noncentralities that put t at 97.5 and 2.5 %."""
    if not math.isfinite(t):
        return math.copysign(1.0, t), math.copysign(1.0, t)
    low, high = (float(end) for end in effect_sizes.noncentrality_interval(t, df, 1 - ALPHA))
    return low / math.sqrt(low**2 + df), high / math.sqrt(high**2 + df)


def _residual(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What an orthonormal basis leaves of values."""
    # Twice: a second projection takes away what rounding left of the first.
    for _ in range(2):
        values = values - basis @ (basis.T @ values)
    return values


def _norm_left(values: np.ndarray, residual: np.ndarray, name: str) -> float:
    """The length of a variable's residual.

    Raises
    ------
    NotEstimableError
        If it is 0 up to rounding.
    """
    length = float(np.linalg.norm(residual))
    if length <= _RELATIVE * np.linalg.norm(values) or length == 0:
        raise NotEstimableError(f"the {name} does not vary beyond what the model adjusts for")
    return length


def fit(
    participants: Sequence[str],
    *,
    response: ArrayLike,
    tested: ArrayLike,
    nuisance: ArrayLike,
    kind: Kind = "effect",
) -> Fit:
    """The answer of one specification by least squares.

    Parameters
    ----------
    participants : sequence of str, length n
    response, tested : array_like of shape (n,)
    nuisance : array_like of shape (n, k)
        All other columns of the model, its intercept included; k may be 0. A correlation always has an intercept, named or
        not.
    kind : {"effect", "correlation"}

    Returns
    -------
    Fit

    Raises
    ------
    NotEstimableError
        If no degree of freedom is left, or the nuisance explains the tested variable or the response.
    """
    y, x = np.asarray(response, dtype=np.float64), np.asarray(tested, dtype=np.float64)
    n = len(y)
    columns = np.asarray(nuisance, dtype=np.float64).reshape(n, -1)
    if kind == "correlation":
        columns = np.column_stack([np.ones(n), columns])
    basis = _basis(columns)
    df = n - basis.shape[1] - 1
    if df < 1:
        raise NotEstimableError(f"{n} participants for a model of {basis.shape[1] + 1} terms")

    left, residual = _residual(x, basis), _residual(y, basis)
    length, size = _norm_left(x, left, "tested variable"), _norm_left(y, residual, "response")
    direction = left / length
    r = float(np.clip(direction @ residual / size, -1, 1))
    unexplained = 1 - r * r
    perfect = unexplained < 1e-14
    t = math.copysign(math.inf, r) if perfect else r * math.sqrt(df / unexplained)
    scale = size / length if kind == "effect" else 1.0
    estimate, se = r * scale, 0.0 if perfect else scale * math.sqrt(unexplained / df)
    if kind == "correlation":
        # Fisher's n counts what is regressed out beside the intercept.
        ends = r_ends = fisher_interval(r, n, n - 2 - df)
    else:
        half = float(stdtrit(df, 1 - ALPHA / 2)) * se
        ends, r_ends = (estimate - half, estimate + half), _partial_r_interval(t, df)
    return Fit(
        participants=tuple(participants),
        kind=kind,
        estimate=estimate,
        se=se,
        t=t,
        p=float(2 * stdtr(df, -abs(t))),
        ci_low=ends[0],
        ci_high=ends[1],
        df=df,
        partial_r=r,
        partial_r_low=r_ends[0],
        partial_r_high=r_ends[1],
        residual=residual,
        directions=np.column_stack([direction, basis]),
    )


def z_of_t(t: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Normal deviate with the tail probability of t, its sign kept.

    Parameters
    ----------
    t, df : array_like

    Returns
    -------
    ndarray
    """
    t, df = np.asarray(t, dtype=np.float64), np.asarray(df, dtype=np.float64)
    return np.sign(t) * np.minimum(-ndtri(stdtr(df, -np.abs(t))), _LARGEST_Z)
