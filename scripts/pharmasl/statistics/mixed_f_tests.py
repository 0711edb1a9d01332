"""F tests of several contrasts of a random-intercept model at once, with small-sample degrees of freedom.

Kenward and Roger (1997, Biometrics 53:983) scale F and take its degrees of freedom so that its mean and variance are those of an F; with
the two exact cases that they match, the formulae are those of pbkrtest (Halekoh & Hojsgaard 2014, J Stat Softw 59(9)). Satterthwaite's
F is the mean square of the t tests of independent contrasts, with degrees of freedom from theirs (Fai & Cornelius 1996, J Stat
Comput Simul 54:363, as lmerTest has it). For one contrast both are the square of the t tests of
:mod:`pharmasl.statistics.mixed_model`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.statistics import mixed_model
from pharmasl.statistics.mixed_model import Fit


@dataclass(frozen=True)
class FTests:
    """F tests of many responses.

    Attributes
    ----------
    estimates : ndarray of shape (q, V)
        The tested contrasts.
    f, df2, p : ndarray of shape (V,)
        F (scaled, of Kenward and Roger), its denominator degrees of freedom, and p; NaN where the fit is degenerate.
    df1 : int
        Numerator degrees of freedom, q.
    """

    estimates: np.ndarray
    f: np.ndarray
    df1: int
    df2: np.ndarray
    p: np.ndarray


def _tests(model: Fit, weights: np.ndarray, f: np.ndarray, df2: np.ndarray) -> FTests:
    number = len(weights)
    p = special.fdtrc(number, np.where(df2 > 0, df2, np.nan), f)
    return FTests(estimates=weights @ model.coefficients, f=f, df1=number, df2=df2, p=p)


def kenward_roger(
    model: Fit, design: ArrayLike, subject: Sequence[Hashable] | np.ndarray, weights: ArrayLike
) -> FTests:
    """F test with Kenward and Roger's covariance, scaling and degrees of freedom.

    Parameters
    ----------
    model : Fit
    design : array_like of shape (n, p)
    subject : sequence of length n
        What the model was fitted with.
    weights : array_like of shape (q, p)
        The contrasts that are tested jointly; linearly independent.

    Returns
    -------
    FTests
    """
    design, weights = np.asarray(design, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    inverse = model.inverse * model.residual_variance[:, None, None]
    first, second, traces = mixed_model.derivatives(model, design, subject)
    product = inverse @ first
    spread = mixed_model.variances_covariance(model, product, np.einsum("vij,abvji->abv", inverse, second), traces)
    known = ~model.degenerate & np.isfinite(spread).all(axis=(1, 2))
    f, df2 = np.full((2, len(known)), np.nan)
    if known.any():
        information = Information(inverse[known], first[:, known], second[:, :, known], spread[known])
        f[known], df2[known] = scaled_f(information, model.coefficients[:, known], weights)
    return _tests(model, weights, f, df2)


@dataclass(frozen=True)
class Information:
    """What Kenward and Roger's corrections take of fits whose covariance is linear in its m parameters.

    Attributes
    ----------
    inverse : ndarray of shape (V, p, p)
        Covariance of the coefficients, the inverse of ``X' V^-1 X``.
    first : ndarray of shape (m, V, p, p)
        Derivatives of ``X' V^-1 X`` by the parameters.
    second : ndarray of shape (m, m, V, p, p)
        The forms ``X' V^-1 dV V^-1 dV V^-1 X``.
    spread : ndarray of shape (V, m, m)
        Covariance of the parameters' estimates, from the expected information.
    """

    inverse: np.ndarray
    first: np.ndarray
    second: np.ndarray
    spread: np.ndarray


def adjusted_covariance(information: Information) -> np.ndarray:
    """Kenward and Roger's covariance of the coefficients, (V, p, p)."""
    inverse, first = information.inverse, information.first
    inner = information.second - np.einsum("avij,vjk,bvkl->abvil", first, inverse, first, optimize=True)
    return inverse + 2 * inverse @ np.einsum("vab,abvij->vij", information.spread, inner) @ inverse


def scaled_f(information: Information, coefficients: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scaled F of weights (q, p) of coefficients (p, V), and its denominator degrees of freedom; each (V,)."""
    q, inverse, spread = len(weights), information.inverse, information.spread
    # Theta Phi dI Phi in the space of the contrasts: (L Phi L')^-1 L Phi dI Phi L'.
    covariance = weights @ inverse @ weights.T
    moved = weights @ (inverse @ information.first @ inverse) @ weights.T
    moved = np.linalg.solve(np.broadcast_to(covariance, moved.shape), moved)
    own = np.einsum("avii->va", moved)
    first_moment = np.einsum("vab,va,vb->v", spread, own, own)
    second_moment = np.einsum("vab,avij,bvji->v", spread, moved, moved)
    scale, df2 = _scale(q, first_moment, second_moment)
    estimates = (weights @ coefficients).T
    outer = weights @ adjusted_covariance(information) @ weights.T
    return scale * np.einsum("vi,vi->v", estimates, np.linalg.solve(outer, estimates[..., None])[..., 0]) / q, df2


def _scale(q: int, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor of F and its denominator degrees of freedom, from Kenward and Roger's A1 and A2; each (V,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        g = ((q + 1) * first - (q + 4) * second) / ((q + 2) * second)
        denominator = 3 * q + 2 * (1 - g)
        c1, c2, c3 = g / denominator, (q - g) / denominator, (q + 2 - g) / denominator
        b = (first + 6 * second) / (2 * q)
        parts = [np.where(np.abs(part) < 1e-10, 0.0, part) for part in (1 + c1 * b, 1 - c2 * b, 1 - c3 * b)]
        # For one contrast the mean and the second factor vanish together.
        mean = 1 - second / q
        ratio = np.where((np.abs(mean) < 1e-14) & (np.abs(parts[1]) < 1e-14), 1.0, mean / parts[1])
        rho = ratio**2 * parts[0] / parts[2] / q
        df2 = 4 + (q + 2) / (q * rho - 1)
        return np.where(np.abs(df2 - 2) < 1e-2, 1.0, df2 * mean / (df2 - 2)), df2


def satterthwaite(model: Fit, weights: ArrayLike) -> FTests:
    """F test with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    model : Fit
    weights : array_like of shape (q, p)
        The contrasts that are tested jointly; linearly independent.

    Returns
    -------
    FTests
    """
    weights = np.asarray(weights, dtype=np.float64)
    q = len(weights)
    _, vectors = np.linalg.eigh(weights @ model.inverse @ weights.T)
    tests = [mixed_model.contrast(model, vectors[:, :, k] @ weights) for k in range(q)]
    t, nu = np.stack([test.t for test in tests]), np.stack([test.df for test in tests])
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (nu / (nu - 2)).sum(axis=0)
        joint = np.where((nu > 2).all(axis=0), 2 * total / (total - q), 2.0)
    df2 = np.where(np.ptp(nu, axis=0) < 1e-8, nu.mean(axis=0), joint)
    return _tests(model, weights, (t**2).mean(axis=0), df2)
