"""Ordinary least squares of one response, with the weighted sums of coefficients that are tested.

statsmodels' OLS gives the same numbers (the tests compare them) at a hundred times the cost, which counts where a model is
fitted in every parcel of an atlas.
"""

from dataclasses import dataclass

import numpy as np

# What a design leaves of a response, as a share of its own length, if it is fitted perfectly.
_NOTHING = 1e-10
# A weighted sum of coefficients within this of the design's row space can be estimated.
_ESTIMABLE = 1e-8


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """Tested effects of a fitted model.

    Attributes
    ----------
    estimates, errors, t : ndarray of shape (q,)
        Weighted sums of coefficients, their standard errors, and Student's t.
    scales : ndarray of shape (q,)
        1 / sqrt(c (X'X)^-1 c'): t is the standardised effect times this.
    f : float
        F of all effects together, with q and ``df`` degrees of freedom.
    df : int
        Residual degrees of freedom.
    """

    estimates: np.ndarray
    errors: np.ndarray
    t: np.ndarray
    scales: np.ndarray
    f: float
    df: int


def fit(design: np.ndarray, response: np.ndarray, weights: np.ndarray) -> LeastSquares:
    """Fit a model and test weighted sums of its coefficients.

    Parameters
    ----------
    design : ndarray of shape (n, terms)
        Dependent columns are allowed where the tested effects do not depend on them.
    response : ndarray of shape (n,)
    weights : ndarray of shape (q, terms)

    Returns
    -------
    LeastSquares

    Raises
    ------
    ValueError
        If an effect cannot be estimated, no residual degrees of freedom are left, or the response does not vary.
    """
    # Columns of one length: a unit must not decide the rank.
    length = np.linalg.norm(design, axis=0)
    length = np.where(length > 0, length, 1.0)
    scaled, sums = design / length, weights / length
    left, singular, right = np.linalg.svd(scaled, full_matrices=False)
    kept = singular > 1e-10 * singular[0]
    left, singular, right = left[:, kept], singular[kept], right[kept]
    outside = sums - sums @ right.T @ right
    if (np.linalg.norm(outside, axis=1) > _ESTIMABLE * np.linalg.norm(sums, axis=1)).any():
        raise ValueError("the tested effect cannot be estimated from the participants who have a value")
    df = len(response) - int(kept.sum())
    if df < 1:
        raise ValueError(f"{len(response)} values for {int(kept.sum())} terms")
    rotated = left.T @ response
    residual = response - left @ rotated
    residual -= left @ (left.T @ residual)
    square = float(residual @ residual)
    if square <= _NOTHING**2 * float(response @ response):
        raise ValueError("the values do not vary beyond the model's terms")
    root = sums @ right.T / singular
    estimates, covariance = root @ rotated, root @ root.T
    variance = square / df
    errors = np.sqrt(np.diag(covariance) * variance)
    f = float(estimates @ np.linalg.solve(covariance, estimates)) / (len(weights) * variance)
    return LeastSquares(
        estimates=estimates,
        errors=errors,
        t=estimates / errors,
        scales=1 / np.sqrt(np.diag(covariance)),
        f=f,
        df=df,
    )
