"""Linear models whose noise is autoregressive of first order, voxel by voxel, as nilearn's ``run_glm`` fits them."""

from dataclasses import dataclass

import numpy as np

# Steps of the autoregressive coefficient: voxels of one step share one whitening.
STEPS = 100
# Voxels that are fitted at once.
_CHUNK = 16384


@dataclass(frozen=True)
class Fit:
    """Weighted sums of a model's coefficients.

    Attributes
    ----------
    effect : ndarray of shape (K, V)
    covariance : ndarray of shape (K, K, V)
        Of the sums' estimates.
    coefficient : ndarray of shape (V,)
        Of autoregression.
    degrees : int
        Of freedom of the residuals.
    """

    effect: np.ndarray
    covariance: np.ndarray
    coefficient: np.ndarray
    degrees: int


def fit(series: np.ndarray, design: np.ndarray, weights: np.ndarray) -> Fit:
    """Fit a model to many series at once, each with its own autoregression.

    Ordinary least squares give residuals, these the coefficient of each series (Yule and Walker's, in steps of 1/100 towards
    0), and least squares of what that whitens the estimates.

    Parameters
    ----------
    series : ndarray of shape (T, V)
        Finite.
    design : ndarray of shape (T, P)
    weights : ndarray of shape (K, P)
        Each row sums the coefficients.

    Returns
    -------
    Fit
        A series without residuals has no error.

    Raises
    ------
    ValueError
        If the design leaves no degree of freedom.
    """
    degrees = len(design) - int(np.linalg.matrix_rank(design))
    if degrees < 1:
        raise ValueError(f"{design.shape[1]} columns for {len(design)} volumes")
    voxels, sums = series.shape[1], len(weights)
    effect, covariance = np.empty((sums, voxels)), np.empty((sums, sums, voxels))
    coefficient = np.empty(voxels)
    basis = _basis(design)
    whitenings: dict[int, _Whitened] = {}
    for start in range(0, voxels, _CHUNK):
        own = slice(start, min(start + _CHUNK, voxels))
        values = np.asarray(series[:, own], dtype=np.float64)
        steps = _steps(values - basis @ (basis.T @ values))
        coefficient[own] = steps / STEPS
        for step in np.unique(steps):
            if step not in whitenings:
                whitenings[int(step)] = _Whitened.at(design, weights, step / STEPS)
            members = np.flatnonzero(steps == step)
            white = _whiten(values[:, members], step / STEPS)
            known = whitenings[int(step)]
            explained = known.basis.T @ white
            # Never negative: what rounding leaves of a series that the model wholly explains.
            left = np.maximum(np.square(white).sum(axis=0) - np.square(explained).sum(axis=0), 0)
            effect[:, start + members] = known.sums @ white
            covariance[:, :, start + members] = known.covariance[..., np.newaxis] * (left / degrees)
    return Fit(effect, covariance, coefficient, degrees)


@dataclass(frozen=True)
class _Whitened:
    """A whitened design: an orthonormal basis (T, R), the sums' weights of whitened volumes (K, T), their covariance (K, K)."""

    basis: np.ndarray
    sums: np.ndarray
    covariance: np.ndarray

    @classmethod
    def at(cls, design: np.ndarray, weights: np.ndarray, coefficient: float) -> "_Whitened":
        white = _whiten(design, coefficient)
        sums = weights @ np.linalg.pinv(white)
        return cls(_basis(white), sums, sums @ sums.T)


def _whiten(values: np.ndarray, coefficient: float) -> np.ndarray:
    white = values.copy()
    white[1:] -= coefficient * values[:-1]
    return white


def _basis(matrix: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a matrix' columns."""
    left, singular, _ = np.linalg.svd(matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300), full_matrices=False)
    return left[:, singular > singular[0] * len(matrix) * np.finfo(float).eps]


def _steps(residuals: np.ndarray) -> np.ndarray:
    """The coefficient of each column in steps, by Yule and Walker's equation; 0 without residuals."""
    length = len(residuals)
    power = np.square(residuals).sum(axis=0) / length
    lagged = (residuals[1:] * residuals[:-1]).sum(axis=0) / (length - 1)
    return np.trunc(STEPS * np.divide(lagged, power, out=np.zeros_like(power), where=power > 0)).astype(int)
