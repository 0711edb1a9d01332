"""The random-intercept linear model, fitted exactly by restricted maximum likelihood (REML).

The model of observation j of subject i is ``y_ij = x_ij b + u_i + e_ij`` with ``u_i ~ N(0, s_u^2)`` and
``e_ij ~ N(0, s_e^2)``, any number of observations per subject. Its restricted likelihood has one free parameter once the
others are profiled out, the *variance ratio* ``l = s_u^2 / s_e^2``. In the basis of the residual space that
diagonalises the subjects' covariance (Kang et al. 2008, doi 10.1534/genetics.107.080101, without their kinship matrix)
the likelihood is a short sum, so that its maximum is found to rounding error, for one response or for every voxel.

Tests of fixed effects are t tests with Satterthwaite degrees of freedom from the analytic Hessian of the restricted
deviance (Giesbrecht & Burns 1985; Kuznetsova et al. 2017, doi 10.18637/jss.v082.i13, whose definition this follows).
Kenward and Roger's small-sample corrections are the alternative. statsmodels' MixedLM has neither, and fits one response at a
time.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.statistics import subject_spectrum
from pharmasl.statistics.subject_spectrum import Spectrum, Subjects
from pharmasl.statistics.t_tests import TTests, t_tests

# Variance ratios at which the profile is evaluated before it is refined; beyond the last one the residuals are nil.
_RATIOS = np.concatenate([[0.0], np.logspace(-4, 10, 57)])


@dataclass(frozen=True)
class Fit:
    """A fitted model; the last axis of the first arrays runs over the responses (V of them).

    Attributes
    ----------
    coefficients : ndarray of shape (p, V)
        Generalised least-squares estimates at the estimated variances, in the response's unit.
    subject_variance, residual_variance : ndarray of shape (V,)
        REML estimates of ``s_u^2`` and ``s_e^2``, the response's unit squared.
    log_likelihood : ndarray of shape (V,)
        Restricted log-likelihood with all constants, as lme4 gives it.
    boundary : ndarray of bool, shape (V,)
        True where the between-subject variance is estimated as zero. The model is then ordinary least squares over
        observations, and its test of a within-subject effect is *not* the paired one.
    degenerate : ndarray of bool, shape (V,)
        True where no residual variation is left (``s_e^2`` = 0): no test is possible.
    n_observations, n_subjects : int
    ratio : ndarray of shape (V,)
        ``s_u^2 / s_e^2``.
    inverse : ndarray of shape (V, p, p)
        Inverse of ``X' W X``, where ``s_e^2 W^-1`` is the covariance of the response.
    hessian : ndarray of shape (V, 3)
        Second derivatives of the deviance by (s_e^2, s_e^2), (s_e^2, l), (l, l).
    sizes, scatter : ndarray of shapes (C,), (C, p, p)
        The numbers of observations per subject that occur, and for each the sum over its subjects of ``t t'``, ``t`` the
        column sums of the subject's design rows.
    """

    coefficients: np.ndarray
    subject_variance: np.ndarray
    residual_variance: np.ndarray
    log_likelihood: np.ndarray
    boundary: np.ndarray
    degenerate: np.ndarray
    n_observations: int
    n_subjects: int
    ratio: np.ndarray
    inverse: np.ndarray
    hessian: np.ndarray
    sizes: np.ndarray
    scatter: np.ndarray


def _check(design: np.ndarray, response: np.ndarray, subject: Sequence[Hashable] | np.ndarray) -> None:
    n, p = design.shape
    if response.shape[0] != n or len(subject) != n:
        raise ValueError(f"{n} design rows, {response.shape[0]} responses and {len(subject)} subjects do not match")
    if not (np.isfinite(design).all() and np.isfinite(response).all()):
        raise ValueError("the design and the response must be finite: leave incomplete observations out")
    if n <= p or np.linalg.matrix_rank(design) < p:
        raise ValueError(f"the design of {n} observations and {p} columns has dependent columns or no residuals")


def _profile(ratio: np.ndarray | float, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Profile deviance and its derivative by the ratio, up to a constant, (V,)."""
    squares, counts, values = spectrum.squares, spectrum.counts, spectrum.values
    shrink = 1 / (1 + ratio * values)
    total = (squares * shrink).sum(axis=0)
    m = counts.sum()
    # log1p: near a ratio of zero 1 + ratio * value would lose the digits that decide the optimum.
    deviance = m * np.log(total) + (counts * np.log1p(ratio * values)).sum(axis=0)
    slope = (counts * values * shrink).sum(axis=0) - m * (squares * values * shrink**2).sum(axis=0) / total
    return deviance, slope


def _optimum(spectrum: Spectrum) -> np.ndarray:
    """Variance ratio of the least profile deviance, (V,)."""
    best = np.full(spectrum.squares.shape[1], np.inf)
    at = np.zeros(spectrum.squares.shape[1], dtype=int)
    for k, ratio in enumerate(_RATIOS):
        deviance, _ = _profile(ratio, spectrum)
        better = deviance < best
        best[better], at[better] = deviance[better], k
    _, slope = _profile(_RATIOS[at], spectrum)
    low = np.where(slope > 0, _RATIOS[np.maximum(at - 1, 0)], _RATIOS[at])
    high = np.where(slope > 0, _RATIOS[at], _RATIOS[np.minimum(at + 1, len(_RATIOS) - 1)])
    # Bisection of the slope's sign keeps every bit that the slope can tell; 54 halvings exhaust float64.
    for _ in range(54):
        middle = (low + high) / 2
        _, slope = _profile(middle, spectrum)
        rising = slope > 0
        high = np.where(rising, middle, high)
        low = np.where(rising, low, middle)
    return np.where((at == 0) & (_profile(0.0, spectrum)[1] >= 0), 0.0, (low + high) / 2)


def _degenerate(spectrum: Spectrum, response: np.ndarray) -> np.ndarray:
    """Where the design fits the response exactly, or a subject's observations differ by nothing but the design; (V,)."""
    scale, size = spectrum.squares.sum(axis=0), (response**2).sum(axis=0)
    degenerate = (scale <= 1e-24 * size) | (scale == 0)
    within = spectrum.values[:, 0] == 0
    if within.any():
        degenerate |= spectrum.squares[within].sum(axis=0) <= 1e-20 * size
    return degenerate


def fit(design: ArrayLike, response: ArrayLike, subject: Sequence[Hashable] | np.ndarray) -> Fit:
    """Fit the random-intercept model to one response or many.

    Parameters
    ----------
    design : array_like of shape (n, p)
        Fixed effects, one row per observation, columns independent.
    response : array_like of shape (n,) or (n, V)
        One column per response (a score, or a voxel).
    subject : sequence of length n
        The subject of each observation.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If lengths differ, a value is missing, the design has dependent columns, or no subject has more than one
        observation, so that the two variances cannot be separated.
    """
    design = np.asarray(design, dtype=np.float64)
    response = np.asarray(response, dtype=np.float64)
    response = response.reshape(len(response), -1)
    _check(design, response, subject)
    n, p = design.shape
    names, code, sizes_of = np.unique(np.asarray(subject), return_inverse=True, return_counts=True)
    subjects = Subjects(code, sizes_of)
    spectrum = subject_spectrum.spectrum(design, response, subjects)
    degenerate, m = _degenerate(spectrum, response), n - p
    usable = Spectrum(np.where(degenerate, 1.0, spectrum.squares), spectrum.counts, spectrum.values)
    ratio = _optimum(usable)
    shrink = 1 / (1 + ratio * spectrum.values)
    variance = np.where(degenerate, np.nan, (usable.squares * shrink).sum(axis=0) / m)
    ratio = np.where(degenerate, np.nan, ratio)

    sums, response_sums = subjects.sums(design), subjects.sums(response)
    sizes = np.unique(sizes_of)
    scatter = np.stack([sums[sizes_of == k].T @ sums[sizes_of == k] for k in sizes])
    information = np.broadcast_to(design.T @ design, (len(ratio), p, p)).copy()
    moment = design.T @ response
    filled = np.where(degenerate, 0.0, ratio)
    for k, outer in zip(sizes, scatter):
        weight = filled / (1 + k * filled)
        information -= weight[:, None, None] * outer
        moment = moment - weight * (sums[sizes_of == k].T @ response_sums[sizes_of == k])
    inverse = np.linalg.inv(information)
    log_determinant = (spectrum.counts * np.log1p(ratio * spectrum.values)).sum(axis=0)
    log_determinant = log_determinant + np.linalg.slogdet(design.T @ design)[1]
    return Fit(
        coefficients=np.einsum("vij,jv->iv", inverse, moment),
        subject_variance=ratio * variance,
        residual_variance=variance,
        log_likelihood=-0.5 * (m * (1 + np.log(2 * np.pi * variance)) + log_determinant),
        boundary=ratio == 0,
        degenerate=degenerate,
        n_observations=n,
        n_subjects=len(names),
        ratio=ratio,
        inverse=inverse,
        hessian=_hessian(spectrum, ratio, variance, m),
        sizes=sizes,
        scatter=scatter,
    )


def _hessian(spectrum: Spectrum, ratio: np.ndarray, variance: np.ndarray, m: int) -> np.ndarray:
    """Second derivatives of the deviance by residual variance and ratio, (V, 3); see :class:`Fit`."""
    squares, counts, values = spectrum.squares, spectrum.counts, spectrum.values
    shrink = 1 / (1 + ratio * values)
    return np.stack(
        [
            m / variance**2,
            (squares * values * shrink**2).sum(axis=0) / variance**2,
            2 * (squares * values**2 * shrink**3).sum(axis=0) / variance - (counts * values**2 * shrink**2).sum(axis=0),
        ],
        axis=1,
    )


def contrast(model: Fit, weights: ArrayLike, level: float = 0.95) -> TTests:
    """Two-sided t test and confidence interval of a weighted sum of coefficients.

    The degrees of freedom are Satterthwaite's: twice the squared variance of the estimate over the variance of that
    variance, the latter by the delta method from the observed information of (s_e^2, ratio). On the boundary only the
    residual variance is estimated and they are ``n - p``, as in lmerTest.

    Parameters
    ----------
    model : Fit
    weights : array_like of shape (p,), or (V, p) for other weights at every response
    level : float
        Coverage of the interval.

    Returns
    -------
    TTests
        Of shape (V,); NaN where the fit is degenerate.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim == 1:
        direction = model.inverse @ weights
        variance, estimate = model.residual_variance * (direction @ weights), weights @ model.coefficients
    else:
        direction = (model.inverse @ weights[..., None])[..., 0]
        variance = model.residual_variance * (direction * weights).sum(axis=1)
        estimate = (weights.T * model.coefficients).sum(axis=0)
    # d variance / d ratio, by d(X'WX)^-1 = (X'WX)^-1 X'W (ZZ') W X (X'WX)^-1.
    by_ratio = np.zeros_like(variance)
    for k, outer in zip(model.sizes, model.scatter):
        by_ratio += np.einsum("vi,ij,vj->v", direction, outer, direction) / (1 + k * model.ratio) ** 2
    by_ratio *= model.residual_variance
    by_residual = variance / model.residual_variance
    a, b, c = model.hessian.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (by_residual**2 * c - 2 * by_residual * by_ratio * b + by_ratio**2 * a) / (a * c - b**2)
        df = np.where(model.boundary, model.n_observations - weights.shape[-1], variance**2 / spread)
        df = np.where(df > 0, df, np.nan)
        se = np.sqrt(variance)
    return t_tests(estimate, se, df, level)


def kenward_roger(
    model: Fit,
    design: ArrayLike,
    subject: Sequence[Hashable] | np.ndarray,
    weights: ArrayLike,
    level: float = 0.95,
) -> TTests:
    """The test of :func:`contrast` with the small-sample corrections of Kenward and Roger (1997, Biometrics 53:983).

    The standard error allows for the variances being estimated, and the degrees of freedom come from the *expected*
    information, also on the boundary. For a single contrast their formulae reduce to a t with Satterthwaite's form of
    degrees of freedom and no further scaling. With complete data nothing changes off the boundary.

    Parameters
    ----------
    model : Fit
    design : array_like of shape (n, p)
    subject : sequence of length n
        What the model was fitted with.
    weights : array_like of shape (p,)
    level : float
        Coverage of the interval.

    Returns
    -------
    TTests
        Of shape (V,); NaN where the fit is degenerate.
    """
    design, weights = np.asarray(design, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    inverse = model.inverse * model.residual_variance[:, None, None]
    first, second, traces = derivatives(model, design, subject)
    spread = variances_covariance(model, inverse @ first, np.einsum("vij,abvji->abv", inverse, second), traces)
    direction = inverse @ weights
    moved = np.einsum("avij,vj->avi", first, direction)
    variance = direction @ weights
    slopes = np.einsum("avi,vi->va", moved, direction)
    curvature = np.einsum("vi,abvij,vj->vab", direction, second, direction) - np.einsum(
        "avi,vij,bvj->vab", moved, inverse, moved
    )
    df = 2 * variance**2 / np.einsum("va,vab,vb->v", slopes, spread, slopes)
    se = np.sqrt(variance + 2 * (spread * curvature).sum(axis=(1, 2)))
    return t_tests(weights @ model.coefficients, se, df, level)


def variances_covariance(model: Fit, product: np.ndarray, second: np.ndarray, traces: np.ndarray) -> np.ndarray:
    """Covariance of the two variances' estimates from the expected information, shape (V, 2, 2); NaN where degenerate.

    Parameters
    ----------
    model : Fit
    product : ndarray of shape (2, V, p, p)
        The covariance of the coefficients times the first derivatives of their information.
    second : ndarray of shape (2, 2, V)
        Traces of that covariance times the second forms of :func:`derivatives`.
    traces : ndarray of shape (2, 2, V)
    """
    information = 0.5 * (traces - 2 * second + np.einsum("avij,bvji->abv", product, product))
    known = ~model.degenerate
    spread = np.full((len(known), 2, 2), np.nan)
    spread[known] = np.linalg.inv(np.moveaxis(information, 2, 0)[known])
    return spread


def derivatives(
    model: Fit, design: np.ndarray, subject: Sequence[Hashable] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How the information ``X' V^-1 X`` depends on the residual variance and the subjects' variance.

    Returns
    -------
    first : ndarray of shape (2, V, p, p)
        Derivatives of the information by each variance.
    second : ndarray of shape (2, 2, V, p, p)
        The forms ``X' V^-1 dV V^-1 dV V^-1 X``.
    traces : ndarray of shape (2, 2, V)
        The traces of ``V^-1 dV V^-1 dV``.
    """
    ratio, s = model.ratio, model.residual_variance
    _, sizes_of = np.unique(np.asarray(subject), return_counts=True)
    number = np.array([(sizes_of == k).sum() for k in model.sizes], dtype=np.float64)[:, None]
    sizes = model.sizes[:, None].astype(np.float64)
    shrink = 1 / (1 + sizes * ratio)
    gram = design.T @ design

    def form(power: int) -> np.ndarray:
        """X' V^-power X without its factor s^-power: of each subject only the sum is shrunk."""
        return gram + np.einsum("kv,kij->vij", (shrink**power - 1) / sizes, model.scatter)

    def through(power: int) -> np.ndarray:
        """X' V^-a Z Z' V^-b X for a + b = power, without s^-power."""
        return np.einsum("kv,kij->vij", shrink**power, model.scatter)

    first = np.stack([-form(2), -through(2)]) / s[:, None, None] ** 2
    both = through(3)
    second = np.stack(
        [np.stack([form(3), both]), np.stack([both, np.einsum("kv,kij->vij", sizes * shrink**3, model.scatter)])]
    )
    traces = np.array(
        [
            [(number * (sizes - 1 + shrink**2)).sum(axis=0), (number * sizes * shrink**2).sum(axis=0)],
            [(number * sizes * shrink**2).sum(axis=0), (number * (sizes * shrink) ** 2).sum(axis=0)],
        ]
    )
    return first, second / s[:, None, None] ** 3, traces / s**2
