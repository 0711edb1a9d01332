"""The linear model with a random intercept and random slopes of each subject, fitted by restricted maximum likelihood.

The observations of subject i are ``y_i = X_i b + Z_i u_i + e_i`` with ``u_i ~ N(0, G)``, ``e_i ~ N(0, s^2 I)``; Z_i holds 1 and the slopes'
variables, and G is any covariance. It has the parameters ``s^2`` and the elements of G, in which the covariance of y is linear. G is
searched as ``s^2 L L'``, L a lower triangle, so that the search stays within covariances; its optimum is refined by Newton's method
in the parameters themselves where G is not singular.

Tests are Kenward and Roger's (1997, Biometrics 53:983) and, of one contrast, Satterthwaite's as lmerTest has it. One response at a time: for a
region or an endpoint, not for the brain.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from pharmasl.statistics import mixed_f_tests
from pharmasl.statistics.mixed_f_tests import FTests, Information
from pharmasl.statistics.t_tests import TTest, t_test

# Diagonal elements of L below this share of the largest make G singular.
_SINGULAR = 1e-4
_STEPS = 30


@dataclass(frozen=True)
class SlopeFit:
    """A fitted model.

    Attributes
    ----------
    coefficients : ndarray of shape (p,)
    covariance : ndarray of shape (r, r)
        G, the subjects' covariance of intercept and slopes.
    residual_variance : float
    log_likelihood : float
        Restricted log-likelihood with all constants, as lme4 gives it.
    singular : bool
        Whether G is estimated as singular: a variance of 0, or a correlation of 1 or -1.
    factor : ndarray of shape (r, r)
        L, of ``G = s^2 L L'``.
    design : ndarray of shape (n, p)
    response : ndarray of shape (n,)
    random : ndarray of shape (n, subjects * r)
        Z of all subjects.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    residual_variance: float
    log_likelihood: float
    singular: bool
    factor: np.ndarray
    design: np.ndarray
    response: np.ndarray
    random: np.ndarray


def _random_design(subject: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    names, code = np.unique(subject, return_inverse=True)
    own = np.column_stack([np.ones(len(code)), slopes])
    out = np.zeros((len(code), len(names), own.shape[1]))
    out[np.arange(len(code)), code.ravel()] = own
    return out.reshape(len(code), -1)


def _lower(theta: np.ndarray, rank: int) -> np.ndarray:
    factor = np.zeros((rank, rank))
    factor[np.tril_indices(rank)] = theta
    return factor


def _whitened(
    fit_of: tuple[np.ndarray, np.ndarray, np.ndarray], factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Design and response whitened by I + Z L L' Z', and its log determinant; ``fit_of`` is design, response and Z."""
    design, response, random = fit_of
    rank = len(factor)
    spread = (random.reshape(len(random), -1, rank) @ factor).reshape(random.shape)
    lower = np.linalg.cholesky(np.eye(len(design)) + spread @ spread.T)
    both = np.linalg.solve(lower, np.column_stack([design, response]))
    return both[:, :-1], both[:, -1], 2 * float(np.log(np.diag(lower)).sum())


def _deviance(theta: np.ndarray, data: tuple[np.ndarray, np.ndarray, np.ndarray], rank: int) -> float:
    """Restricted deviance with the residual variance profiled out, without its constants."""
    design, response, determinant = _whitened(data, _lower(theta, rank))
    q, r = np.linalg.qr(design)
    rest = response - q @ (q.T @ response)
    n, p = design.shape
    return determinant + 2 * float(np.log(np.abs(np.diag(r))).sum()) + (n - p) * float(np.log(rest @ rest))


def fit(
    design: ArrayLike, response: ArrayLike, subject: Sequence[Hashable] | np.ndarray, slopes: ArrayLike
) -> SlopeFit:
    """Fit the model with a random intercept and slopes.

    Parameters
    ----------
    design : array_like of shape (n, p)
        Fixed effects, columns independent.
    response : array_like of shape (n,)
    subject : sequence of length n
    slopes : array_like of shape (n,) or (n, number of slopes)
        The variables on which each subject has a slope of its own.

    Returns
    -------
    SlopeFit

    Raises
    ------
    ValueError
        If lengths differ, a value is missing, the design has dependent columns, or the subjects have too few observations to tell
        their slopes from the residuals.
    """
    design, response = np.asarray(design, dtype=np.float64), np.asarray(response, dtype=np.float64)
    n, p = design.shape
    slopes = np.asarray(slopes, dtype=np.float64).reshape(len(slopes), -1)  # type: ignore[arg-type]
    if len(response) != n or len(subject) != n or len(slopes) != n:
        raise ValueError(f"{n} design rows, {len(response)} responses, {len(subject)} subjects, {len(slopes)} slopes")
    if not all(np.isfinite(part).all() for part in (design, response, slopes)):
        raise ValueError("the design, the response and the slopes must be finite: leave incomplete observations out")
    if n <= p or np.linalg.matrix_rank(design) < p:
        raise ValueError(f"the design of {n} observations and {p} columns has dependent columns or no residuals")
    random = _random_design(np.asarray(subject), slopes)
    # lme4's own condition, and that each subject's slope can be told.
    if n <= random.shape[1] or np.linalg.matrix_rank(random) < random.shape[1] - _fewer(np.asarray(subject), random):
        raise ValueError(
            f"{n} observations cannot tell {random.shape[1]} random effects from the residuals: the subjects have too few "
            "observations for slopes of their own"
        )
    data = (design, response, random)
    factor = _search(data, 1 + slopes.shape[1])
    return _finish(data, factor)


def _fewer(subject: np.ndarray, random: np.ndarray) -> int:
    """Random effects that subjects with fewer observations than effects cannot tell by themselves."""
    _, counts = np.unique(subject, return_counts=True)
    rank = random.shape[1] // len(counts)
    return int(np.maximum(rank - counts, 0).sum())


def _search(data: tuple[np.ndarray, np.ndarray, np.ndarray], rank: int) -> np.ndarray:
    """L of the least deviance, from several starts."""
    random = data[2].reshape(len(data[0]), -1, rank)
    size = np.sqrt((random**2).sum(axis=(0, 1)) / len(random))
    rows, columns = np.tril_indices(rank)
    unit = 1 / size[rows]
    bounds = [(0.0, None) if row == column else (None, None) for row, column in zip(rows, columns)]
    best = None
    for start in (1.0, 0.3, 3.0):
        begin = np.where(rows == columns, start, 0.0)
        optimum = optimize.minimize(
            lambda scaled: _deviance(scaled * unit, data, rank), begin, method="L-BFGS-B", bounds=bounds
        )
        # The simplex ends where the line searches' rounding does not.
        optimum = optimize.minimize(
            lambda scaled: _deviance(np.where(rows == columns, np.abs(scaled), scaled) * unit, data, rank),
            optimum.x,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000},
        )
        if best is None or optimum.fun < best.fun:
            best = optimum
    if best is None:
        raise ValueError("no start")
    theta = np.where(rows == columns, np.abs(best.x), best.x)
    factor = _lower(theta * unit, rank)
    diagonal = np.diag(factor) * size
    factor[np.diag_indices(rank)] = np.where(diagonal > _SINGULAR * max(diagonal.max(), 1e-8), np.diag(factor), 0.0)
    return factor


def _parts(random: np.ndarray, rank: int) -> list[np.ndarray]:
    """The derivatives of the covariance of y by the residual variance and the elements of G, each (n, n)."""
    own = random.reshape(len(random), -1, rank)
    parts = [np.eye(len(random))]
    for row, column in zip(*np.tril_indices(rank)):
        product = own[:, :, row] @ own[:, :, column].T
        parts.append(product if row == column else product + product.T)
    return parts


def _finish(data: tuple[np.ndarray, np.ndarray, np.ndarray], factor: np.ndarray) -> SlopeFit:
    design, response, random = data
    (n, p), rank = design.shape, len(factor)
    white, y, _ = _whitened(data, factor)
    coefficients = np.linalg.lstsq(white, y, rcond=None)[0]
    variance = float(((y - white @ coefficients) ** 2).sum() / (n - p))
    covariance = variance * factor @ factor.T
    singular = bool((np.diag(factor) == 0).any())
    if not singular:
        variance, covariance = _refine(data, variance, covariance)
        factor = np.linalg.cholesky(covariance / variance)
        white, y, _ = _whitened(data, factor)
        coefficients = np.linalg.lstsq(white, y, rcond=None)[0]
    deviance = _deviance(factor[np.tril_indices(rank)], data, rank)
    constant = (n - p) * (1 + np.log(2 * np.pi / (n - p)))
    return SlopeFit(
        coefficients=coefficients,
        covariance=covariance,
        residual_variance=variance,
        log_likelihood=-0.5 * float(deviance + constant),
        singular=singular,
        factor=factor,
        design=design,
        response=response,
        random=random,
    )


def _refine(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], variance: float, covariance: np.ndarray
) -> tuple[float, np.ndarray]:
    """Newton's steps to the root of the restricted likelihood's derivatives, kept where they stay within covariances."""
    design, response, random = data
    rank = len(covariance)
    places, parts = np.tril_indices(rank), _parts(random, rank)
    theta = np.concatenate([[variance], covariance[places]])
    for _ in range(_STEPS):
        total = np.einsum("a,aij->ij", theta, np.stack(parts))
        precision = np.linalg.inv(total)
        moved = precision @ design
        projector = precision - moved @ np.linalg.solve(design.T @ moved, moved.T)
        rest = projector @ response
        products = [projector @ part for part in parts]
        score = np.array([rest @ part @ rest - np.trace(own) for part, own in zip(parts, products)])
        hessian = np.array(
            [
                [np.sum(one * other.T) - 2 * rest @ a @ projector @ b @ rest for b, other in zip(parts, products)]
                for a, one in zip(parts, products)
            ]
        )
        step = np.linalg.solve(hessian, -score)
        following = theta + step
        if following[0] <= 0 or np.linalg.eigvalsh(_symmetric(following[1:], rank))[0] <= 0:
            break
        theta = following
        if (np.abs(step) <= 1e-13 * np.abs(theta).max()).all():
            break
    return float(theta[0]), _symmetric(theta[1:], rank)


def _symmetric(elements: np.ndarray, rank: int) -> np.ndarray:
    lower = _lower(elements, rank)
    return lower + np.tril(lower, -1).T


def _information(model: SlopeFit) -> Information:
    design, rank = model.design, len(model.covariance)
    parts = _parts(model.random, rank)
    own = model.random.reshape(len(design), -1, rank)
    total = model.residual_variance * parts[0] + np.einsum("isa,ab,jsb->ij", own, model.covariance, own, optimize=True)
    precision = np.linalg.inv(total)
    moved = [precision @ part for part in parts]
    base = precision @ design
    inverse = np.linalg.inv(design.T @ base)
    first = np.stack([-base.T @ part @ base for part in parts])
    second = np.stack([np.stack([base.T @ one @ precision @ other @ base for other in parts]) for one in parts])
    traces = np.array([[np.sum(one * other.T) for other in moved] for one in moved])
    product = inverse @ first
    information = 0.5 * (
        traces - 2 * np.einsum("ij,abji->ab", inverse, second) + np.einsum("aij,bji->ab", product, product)
    )
    return Information(inverse[None], first[:, None], second[:, :, None], np.linalg.inv(information)[None])


def kenward_roger(model: SlopeFit, weights: ArrayLike) -> FTests:
    """F test with Kenward and Roger's corrections; fields of one response.

    Parameters
    ----------
    model : SlopeFit
    weights : array_like of shape (q, p)
        The contrasts that are tested jointly; linearly independent.
    """
    weights = np.asarray(weights, dtype=np.float64)
    f, df2 = mixed_f_tests.scaled_f(_information(model), model.coefficients[:, None], weights)
    return FTests(
        estimates=(weights @ model.coefficients)[:, None],
        f=f,
        df1=len(weights),
        df2=df2,
        p=special.fdtrc(len(weights), df2, f),
    )


def contrast(model: SlopeFit, weights: ArrayLike, level: float = 0.95) -> TTest:
    """The t test and interval of one contrast, weights (p,), with Kenward and Roger's standard error and degrees of freedom."""
    weights = np.asarray(weights, dtype=np.float64)
    information = _information(model)
    _, df = mixed_f_tests.scaled_f(information, model.coefficients[:, None], weights[None])
    variance = weights @ mixed_f_tests.adjusted_covariance(information)[0] @ weights
    return t_test(float(weights @ model.coefficients), float(np.sqrt(variance)), float(df[0]), level)
