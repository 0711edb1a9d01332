"""The linear model at every voxel, in the form that permutation wants.

With x the tested term and Z the others (the intercept among them), let x~ be x without its projection on Z, scaled to
length 1, Q an orthonormal basis of what Z holds beside the intercept, and r a voxel's data without their projection on
Z, scaled to length 1. Student's t of x in ``y ~ x + Z`` is then

    t = b sqrt(df / (1 - a - b^2)),   b = x~ . r,   a = |Q' r|^2,

where a = 0 for the labels as observed. In the scheme of Freedman and Lane (1983, J Bus Econ Stat 1:292) the residuals
r are permuted against x and Z; permuting the rows of x~ and Q the other way round is the same, costs two small matrix
products per permutation and leaves the data in place (the intercept is the same in every order).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.group.engine import kernels

# Voxels residualised at a time: bounds the temporary memory.
_TILE = 16384


@dataclass(frozen=True)
class PartialForm:
    """A design in partial-correlation form.

    Attributes
    ----------
    x : ndarray of shape (n,)
        The tested term, orthogonal to all others, length 1.
    scale : float
        Length of the tested term before it was scaled, so that effect = x . y / scale.
    basis : ndarray of shape (n, k)
        Orthonormal basis of the other terms, the intercept removed.
    projector : ndarray of shape (n, k + 1)
        Orthonormal basis of the other terms with the intercept.
    df : int
        Residual degrees of freedom.
    """

    x: np.ndarray
    scale: float
    basis: np.ndarray
    projector: np.ndarray
    df: int


def partial_form(x: ArrayLike, nuisance: ArrayLike) -> PartialForm:
    """Bring a design into partial-correlation form.

    Parameters
    ----------
    x : array_like of shape (n,)
        The tested term.
    nuisance : array_like of shape (n, terms)
        The other terms; their span holds the constant.

    Returns
    -------
    PartialForm

    Raises
    ------
    ValueError
        If ``nuisance`` does not hold the constant: the algebra above would not hold.
    """
    x, nuisance = np.asarray(x, dtype=np.float64), np.asarray(nuisance, dtype=np.float64)
    n = len(x)
    # Column scales do not matter to the span but do to its numerical rank.
    left, singular, _ = np.linalg.svd(nuisance / np.sqrt((nuisance**2).sum(axis=0)), full_matrices=False)
    projector = left[:, singular > 1e-10 * singular[0]]
    one = np.full(n, 1 / np.sqrt(n))
    if abs(np.linalg.norm(projector.T @ one) - 1) > 1e-10:
        raise ValueError("the nuisance terms must hold the intercept")
    # The part of the span orthogonal to the constant: rotate the constant into the first direction and drop it.
    rotation = np.linalg.qr(np.column_stack([projector.T @ one, np.eye(projector.shape[1])]))[0]
    basis = projector @ rotation[:, 1:]
    residual = x - projector @ (projector.T @ x)
    residual -= projector @ (projector.T @ residual)
    scale = float(np.linalg.norm(residual))
    return PartialForm(residual / scale, scale, np.ascontiguousarray(basis), projector, n - projector.shape[1] - 1)


def mean_form(x: ArrayLike, nuisance: ArrayLike | None = None) -> PartialForm:
    """The model of a hypothesis about a mean, for which signs are flipped, in the form of :func:`partial_form`.

    Parameters
    ----------
    x : array_like of shape (n,)
        The tested term: the constant, or the indicator of one arm.
    nuisance : array_like of shape (n, terms), optional
        The other terms, such as centred covariates. Their span does not hold the constant.

    Returns
    -------
    PartialForm

    Raises
    ------
    ValueError
        If the nuisance holds the constant: then the hypothesis is about a difference or a slope, and permutes.
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    nuisance = np.zeros((n, 0)) if nuisance is None else np.asarray(nuisance, dtype=np.float64)
    projector = np.zeros((n, 0))
    if nuisance.shape[1]:
        left, singular, _ = np.linalg.svd(nuisance / np.sqrt((nuisance**2).sum(axis=0)), full_matrices=False)
        projector = left[:, singular > 1e-10 * singular[0]]
    if np.linalg.norm(projector.sum(axis=0)) > (1 - 1e-10) * math.sqrt(n):
        raise ValueError("the nuisance terms hold the intercept: the hypothesis is not about a mean, permute")
    residual = x - projector @ (projector.T @ x)
    residual -= projector @ (projector.T @ residual)
    scale = float(np.linalg.norm(residual))
    return PartialForm(residual / scale, scale, np.ascontiguousarray(projector), projector, n - projector.shape[1] - 1)


@dataclass(frozen=True)
class Fit:
    """What the model says at every voxel.

    Attributes
    ----------
    residuals : ndarray of shape (V, n), float64
        Data without the nuisance terms, each voxel of length 1 (0 where the data do not vary).
    effect : ndarray of shape (V,), float64
        Coefficient of the tested term.
    t : ndarray of shape (V,), float64
    varies : ndarray of bool, shape (V,)
        False where the data are the same for all participants once the nuisance terms are out: no t exists.
    """

    residuals: np.ndarray
    effect: np.ndarray
    t: np.ndarray
    varies: np.ndarray


def fit(data: np.ndarray, model: PartialForm) -> Fit:
    """Fit the model at every voxel.

    Parameters
    ----------
    data : ndarray of shape (V, n), float64
        One row per voxel, one column per participant. **Overwritten**: it becomes ``residuals``.
    model : PartialForm

    Returns
    -------
    Fit
    """
    voxels = len(data)
    length = np.empty(voxels)
    varies = np.empty(voxels, dtype=bool)
    for start in range(0, voxels, _TILE):
        tile = data[start : start + _TILE]
        raw = np.sqrt((tile * tile).sum(axis=1))
        # Twice: the second projection removes what rounding left of a large mean.
        for _ in range(2):
            tile -= (tile @ model.projector) @ model.projector.T
        size = np.sqrt((tile * tile).sum(axis=1))
        good = size > 1e-10 * raw
        tile[good] /= size[good, None]
        tile[~good] = 0
        length[start : start + _TILE], varies[start : start + _TILE] = size, good
    t, b = np.empty(voxels), np.empty(voxels)
    kernels.statistics(data, model.x, model.basis, float(model.df), t, b)
    return Fit(data, b * length / model.scale, t, varies)


def t_to_z(t: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """The standard normal quantile with the same tail probability as t, sign kept, accurate in the far tails.

    Parameters
    ----------
    t : ndarray
    df : float or ndarray

    Returns
    -------
    ndarray
    """
    # The lower tail of -|t| keeps its relative precision where 1 - p would round to 1.
    tail = np.maximum(special.stdtr(df, -np.abs(t)), np.finfo(np.float64).tiny)
    return np.where(np.isnan(t), np.nan, -np.sign(t) * special.ndtri(tail))


def f_to_z(f: np.ndarray, columns: int, df: float) -> np.ndarray:
    """The standard normal quantile with the same upper tail probability as F; below 0 where that is above a half.

    Parameters
    ----------
    f : ndarray
    columns, df : int, float
        Degrees of freedom of numerator and denominator.

    Returns
    -------
    ndarray
    """
    tail = np.maximum(special.fdtrc(columns, df, f), np.finfo(np.float64).tiny)
    # Where the tail rounds to 1 the other tail does not.
    below = np.maximum(special.fdtr(columns, df, f), np.finfo(np.float64).tiny)
    return np.where(tail < 0.5, -special.ndtri(tail), special.ndtri(below))
