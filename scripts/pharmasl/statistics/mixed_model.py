"""The random-intercept linear model, fitted exactly by restricted maximum likelihood (REML).

The model of observation j of subject i is ``y_ij = x_ij b + u_i + e_ij`` with ``u_i ~ N(0, s_u^2)`` and
``e_ij ~ N(0, s_e^2)``, any number of observations a subject. Its restricted likelihood has one free parameter once the
others are profiled out, the *variance ratio* ``l = s_u^2 / s_e^2``. In the basis of the residual space that
diagonalises the subjects' covariance (Kang et al. 2008, doi 10.1534/genetics.107.080101, without their kinship matrix)
that likelihood is a short sum, so that the optimum is found to rounding error, for one response or for every voxel.

Tests of fixed effects are t tests with Satterthwaite degrees of freedom from the analytic Hessian of the restricted
deviance (Giesbrecht & Burns 1985; Kuznetsova et al. 2017, doi 10.18637/jss.v082.i13, whose definition this follows).
Kenward and Roger's small-sample form is offered beside it.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

# Variance ratios at which the profile is scanned before it is refined; beyond the last one residuals are nil.
_RATIOS = np.concatenate([[0.0], np.logspace(-4, 10, 57)])


class Fit(NamedTuple):
    """A fitted model; the last axis of each array runs over the responses (V of them).

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
        Numbers of observations a subject that occur, and the sums over such subjects of ``t t'``, ``t`` the column
        sums of the subject's design rows.
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


class Test(NamedTuple):
    """A contrast of the coefficients: each field an ndarray of shape (V,), or a float for a single response."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    t: np.ndarray
    p: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray


def _check(design, response, subject):
    n, p = design.shape
    if response.shape[0] != n or len(subject) != n:
        raise ValueError(f"{n} design rows, {response.shape[0]} responses and {len(subject)} subjects do not match")
    if not (np.isfinite(design).all() and np.isfinite(response).all()):
        raise ValueError("the design and the response must be finite: leave incomplete observations out")
    if n <= p or np.linalg.matrix_rank(design) < p:
        raise ValueError(f"the design of {n} observations and {p} columns has dependent columns or no residuals")


def _profile(ratio, squares, counts, values):
    """Profile deviance and its derivative by the ratio, up to a constant; ``ratio`` broadcasts with (J, V)."""
    shrink = 1 / (1 + ratio * values)
    total = (squares * shrink).sum(axis=0)
    m = counts.sum()
    # log1p: near a ratio of zero 1 + ratio * value would lose the digits that decide the optimum.
    deviance = m * np.log(total) + (counts * np.log1p(ratio * values)).sum(axis=0)
    slope = (counts * values * shrink).sum(axis=0) - m * (squares * values * shrink**2).sum(axis=0) / total
    return deviance, slope


def _optimum(squares, counts, values):
    """Variance ratio of the least profile deviance, for every column of ``squares`` (J, V)."""
    best = np.full(squares.shape[1], np.inf)
    at = np.zeros(squares.shape[1], dtype=int)
    for k, ratio in enumerate(_RATIOS):
        deviance, _ = _profile(ratio, squares, counts, values)
        better = deviance < best
        best[better], at[better] = deviance[better], k
    _, slope = _profile(_RATIOS[at], squares, counts, values)
    low = np.where(slope > 0, _RATIOS[np.maximum(at - 1, 0)], _RATIOS[at])
    high = np.where(slope > 0, _RATIOS[at], _RATIOS[np.minimum(at + 1, len(_RATIOS) - 1)])
    # Bisection of the slope's sign keeps every bit that the slope can tell; 54 halvings exhaust float64.
    for _ in range(54):
        middle = (low + high) / 2
        _, slope = _profile(middle, squares, counts, values)
        rising = slope > 0
        high = np.where(rising, middle, high)
        low = np.where(rising, low, middle)
    ratio = (low + high) / 2
    deviance, _ = _profile(ratio, squares, counts, values)
    return np.where((at == 0) & (_profile(0.0, squares, counts, values)[1] >= 0), 0.0, ratio)


def fit(design, response, subject):
    """Fit the random-intercept model to one response or many.

    Parameters
    ----------
    design : ndarray of shape (n, p)
        Fixed effects, one row an observation, columns independent.
    response : ndarray of shape (n,) or (n, V)
        One column a response (a score, or a voxel).
    subject : sequence of length n
        The subject of each observation.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If lengths differ, a value is missing, the design has dependent columns, or the observations cannot tell the
        two variances apart (no subject with more than one observation).
    """
    design = np.asarray(design, dtype=np.float64)
    response = np.asarray(response, dtype=np.float64)
    response = response.reshape(len(response), -1)
    _check(design, response, subject)
    n, p = design.shape
    names, code, sizes_of = np.unique(np.asarray(subject), return_inverse=True, return_counts=True)
    member = (code[:, None] == np.arange(len(names))).astype(np.float64)

    # Residual space, in the basis in which the subjects' covariance is diagonal with entries ``values``.
    residual_basis = np.linalg.qr(design, mode="complete")[0][:, p:]
    values, vectors = np.linalg.eigh((residual_basis.T @ member) @ (member.T @ residual_basis))
    squares = (vectors.T @ (residual_basis.T @ response)) ** 2
    values[values < 1e-9 * sizes_of.max()] = 0
    # Equal entries share one term: two terms for complete data, a few more for incomplete data.
    starts = np.flatnonzero(np.r_[True, np.diff(values) > 1e-9 * sizes_of.max()])
    counts = np.diff(np.r_[starts, len(values)])[:, None].astype(np.float64)
    squares = np.add.reduceat(squares, starts, axis=0)
    values = values[starts][:, None]
    if len(values) < 2:
        raise ValueError("no subject has observations that tell within- from between-subject variance")

    m = n - p
    scale = squares.sum(axis=0)
    size = (response**2).sum(axis=0)
    # A response that the design fits exactly, or whose subjects' observations differ by nothing but the design.
    within = squares[values[:, 0] == 0].sum(axis=0)
    degenerate = (scale <= 1e-24 * size) | (scale == 0)
    if (values[:, 0] == 0).any():
        degenerate |= within <= 1e-20 * size
    usable = np.where(degenerate, 1.0, squares)
    ratio = _optimum(usable, counts, values)
    shrink = 1 / (1 + ratio * values)
    residual_variance = np.where(degenerate, np.nan, (usable * shrink).sum(axis=0) / m)
    ratio = np.where(degenerate, np.nan, ratio)

    sums = member.T @ design
    response_sums = member.T @ response
    sizes = np.unique(sizes_of)
    scatter = np.stack([sums[sizes_of == k].T @ sums[sizes_of == k] for k in sizes])
    information = np.broadcast_to(design.T @ design, (len(ratio), p, p)).copy()
    moment = design.T @ response
    filled = np.where(degenerate, 0.0, ratio)
    for k, each in zip(sizes, scatter):
        weight = filled / (1 + k * filled)
        information -= weight[:, None, None] * each
        moment = moment - weight * (sums[sizes_of == k].T @ response_sums[sizes_of == k])
    inverse = np.linalg.inv(information)
    coefficients = np.einsum("vij,jv->iv", inverse, moment)

    variance = residual_variance
    hessian = np.stack(
        [
            m / variance**2,
            (squares * values * shrink**2).sum(axis=0) / variance**2,
            2 * (squares * values**2 * shrink**3).sum(axis=0) / variance - (counts * values**2 * shrink**2).sum(axis=0),
        ],
        axis=1,
    )
    log_determinant = (counts * np.log1p(ratio * values)).sum(axis=0) + np.linalg.slogdet(design.T @ design)[1]
    log_likelihood = -0.5 * (m * (1 + np.log(2 * np.pi * variance)) + log_determinant)
    return Fit(
        coefficients=coefficients,
        subject_variance=ratio * variance,
        residual_variance=variance,
        log_likelihood=log_likelihood,
        boundary=ratio == 0,
        degenerate=degenerate,
        n_observations=n,
        n_subjects=len(names),
        ratio=ratio,
        inverse=inverse,
        hessian=hessian,
        sizes=sizes,
        scatter=scatter,
    )


def contrast(model, weights, level=0.95):
    """Two-sided t test and confidence interval of a weighted sum of coefficients.

    The degrees of freedom are Satterthwaite's: twice the squared variance of the estimate over the variance of that
    variance, the latter by the delta method from the observed information of (s_e^2, ratio). On the boundary only the
    residual variance is estimated and they are ``n - p``, as in lmerTest.

    Parameters
    ----------
    model : Fit
    weights : sequence of length p
    level : float
        Coverage of the interval.

    Returns
    -------
    Test
        With floats where the model has a single response; NaN where the fit is degenerate.
    """
    weights = np.asarray(weights, dtype=np.float64)
    estimate = weights @ model.coefficients
    direction = model.inverse @ weights
    variance = model.residual_variance * (direction @ weights)
    # d variance / d ratio, by d(X'WX)^-1 = (X'WX)^-1 X'W (ZZ') W X (X'WX)^-1.
    by_ratio = np.zeros_like(variance)
    for k, each in zip(model.sizes, model.scatter):
        by_ratio += np.einsum("vi,ij,vj->v", direction, each, direction) / (1 + k * model.ratio) ** 2
    by_ratio *= model.residual_variance
    by_residual = variance / model.residual_variance
    a, b, c = model.hessian.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (by_residual**2 * c - 2 * by_residual * by_ratio * b + by_ratio**2 * a) / (a * c - b**2)
        df = np.where(model.boundary, model.n_observations - len(weights), variance**2 / spread)
        df = np.where(df > 0, df, np.nan)
        se = np.sqrt(variance)
        t = estimate / se
    p = 2 * stdtr(df, -np.abs(t))
    half = stdtrit(df, (1 + level) / 2) * se
    fields = [estimate, se, df, t, p, estimate - half, estimate + half]
    if len(estimate) == 1:
        fields = [float(field[0]) for field in fields]
    return Test(*fields)


def kenward_roger(model, design, subject, weights, level=0.95):
    """The test of :func:`contrast` with the small-sample corrections of Kenward and Roger (1997, Biometrics 53:983).

    The standard error allows for the variances being estimated, and the degrees of freedom come from the *expected*
    information, also on the boundary. For a single contrast their formulae reduce to a t with Satterthwaite's form of
    degrees of freedom and no further scaling. With complete data nothing changes off the boundary.

    Parameters
    ----------
    model : Fit
    design : ndarray of shape (n, p)
    subject : sequence of length n
        What the model was fitted with.
    weights : sequence of length p
    level : float
        Coverage of the interval.

    Returns
    -------
    Test
        With floats where the model has a single response; NaN where the fit is degenerate.
    """
    design, weights = np.asarray(design, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    ratio, s = model.ratio, model.residual_variance
    _, sizes_of = np.unique(np.asarray(subject), return_counts=True)
    number = np.array([(sizes_of == k).sum() for k in model.sizes], dtype=np.float64)[:, None]
    sizes = model.sizes[:, None].astype(np.float64)
    shrink = 1 / (1 + sizes * ratio)
    gram = design.T @ design

    def form(power):
        """X' V^-power X without its factor s^-power: of a subject only the sum is shrunk."""
        return gram + np.einsum("kv,kij->vij", (shrink**power - 1) / sizes, model.scatter)

    def through(power):
        """X' V^-a Z Z' V^-b X for a + b = power, without s^-power."""
        return np.einsum("kv,kij->vij", shrink**power, model.scatter)

    inverse = model.inverse * s[:, None, None]
    # Derivatives of the information by the two variances (residual, subject), and the second-order forms.
    first = np.stack([-form(2), -through(2)]) / s[:, None, None] ** 2
    both = through(3)
    second = np.stack(
        [np.stack([form(3), both]), np.stack([both, np.einsum("kv,kij->vij", sizes * shrink**3, model.scatter)])]
    )
    second = second / s[:, None, None] ** 3
    traces = (
        np.array(
            [
                [(number * (sizes - 1 + shrink**2)).sum(axis=0), (number * sizes * shrink**2).sum(axis=0)],
                [(number * sizes * shrink**2).sum(axis=0), (number * (sizes * shrink) ** 2).sum(axis=0)],
            ]
        )
        / s**2
    )
    product = inverse @ first
    information = 0.5 * (
        traces - 2 * np.einsum("vij,abvji->abv", inverse, second) + np.einsum("avij,bvji->abv", product, product)
    )
    known = ~model.degenerate
    spread = np.full((len(s), 2, 2), np.nan)
    spread[known] = np.linalg.inv(np.moveaxis(information, 2, 0)[known])
    direction = inverse @ weights
    moved = np.einsum("avij,vj->avi", first, direction)
    variance = direction @ weights
    slopes = np.einsum("avi,vi->va", moved, direction)
    curvature = np.einsum("vi,abvij,vj->vab", direction, second, direction) - np.einsum(
        "avi,vij,bvj->vab", moved, inverse, moved
    )
    df = 2 * variance**2 / np.einsum("va,vab,vb->v", slopes, spread, slopes)
    estimate = weights @ model.coefficients
    se = np.sqrt(variance + 2 * (spread * curvature).sum(axis=(1, 2)))
    t = estimate / se
    half = stdtrit(df, (1 + level) / 2) * se
    fields = [estimate, se, df, t, 2 * stdtr(df, -np.abs(t)), estimate - half, estimate + half]
    if len(estimate) == 1:
        fields = [float(field[0]) for field in fields]
    return Test(*fields)
