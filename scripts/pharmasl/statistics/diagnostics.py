"""Do a model's assumptions hold, and does one participant decide its result? Residuals and influence.

The influence in the mixed model is by deletion of whole participants with the model refitted, variances included, not by a
one-step formula. Cook's distance of participant i is ``(b - b_i)' V^-1 (b - b_i) / p``, where b are the fixed effects of all
participants, V their covariance, and b_i the fixed effects without participant i.

Equal variances are tested where observations are independent, one per participant: of the changes and of each session's
scores by arm (Breusch and Pagan 1979 in the form of Koenker 1981, which does not rest on normal errors), and of the two
sessions by the correlation of each participant's sum and difference (Pitman 1939, Morgan 1939). The two residuals of a
participant in the random-intercept model are not independent: they are nearly opposite.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.diagnostic import het_breuschpagan

from pharmasl.statistics import mixed_model


@dataclass(frozen=True)
class Influence:
    """The residuals of a mixed model, one per observation, and the influence of each participant.

    Attributes
    ----------
    fitted, residual, standardised : ndarray of shape (n,)
        ``standardised`` over the residual standard deviation; ``fitted`` with the predicted random intercept.
    participants : tuple of str
    intercepts, cooks_distance, estimates, p : ndarray of shape (participants,)
        Predicted random intercept; Cook's distance; ``estimates`` and ``p`` of the tested contrast without the participant,
        NaN where the model cannot be fitted without them.
    """

    fitted: np.ndarray
    residual: np.ndarray
    standardised: np.ndarray
    participants: tuple[str, ...]
    intercepts: np.ndarray
    cooks_distance: np.ndarray
    estimates: np.ndarray
    p: np.ndarray


def mixed_model_influence(
    model: mixed_model.Fit,
    design: np.ndarray,
    response: np.ndarray,
    subject: Sequence[str] | np.ndarray,
    weights: ArrayLike,
) -> Influence:
    """Residuals and influence of a random-intercept model.

    Parameters
    ----------
    model : mixed_model.Fit
        Of the arrays below, a single response.
    design : ndarray of shape (n, p)
    response : ndarray of shape (n,)
    subject : sequence of length n
    weights : array_like of shape (p,)
        The contrast whose estimates are returned.

    Returns
    -------
    Influence
    """
    subject = np.asarray(subject)
    participants = tuple(dict.fromkeys(subject.tolist()))
    b = model.coefficients[:, 0]
    ratio, variance = float(model.ratio[0]), float(model.residual_variance[0])
    marginal = response - design @ b
    intercepts = np.empty(len(participants))
    fitted = design @ b
    for k, name in enumerate(participants):
        own = subject == name
        intercepts[k] = ratio / (1 + own.sum() * ratio) * marginal[own].sum()
        fitted[own] += intercepts[k]
    precision = np.linalg.inv(model.inverse[0]) / variance
    distance, estimates, p = (np.full(len(participants), np.nan) for _ in range(3))
    for k, name in enumerate(participants):
        keep = subject != name
        try:
            without = mixed_model.fit(design[keep], response[keep], subject[keep])
        except ValueError:
            continue
        if without.degenerate[0]:
            continue
        moved = b - without.coefficients[:, 0]
        distance[k] = moved @ precision @ moved / len(b)
        test = mixed_model.kenward_roger(without, design[keep], subject[keep], weights).single()
        estimates[k], p[k] = test.estimate, test.p
    residual = response - fitted
    return Influence(
        fitted=fitted,
        residual=residual,
        standardised=residual / np.sqrt(variance),
        participants=participants,
        intercepts=intercepts,
        cooks_distance=distance,
        estimates=estimates,
        p=p,
    )


def breusch_pagan(residual: np.ndarray, regressors: np.ndarray) -> tuple[float, float]:
    """Test whether the variance of a regression's residuals depends on some variables, in Koenker's form.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Of ordinary least squares, independent under the hypothesis.
    regressors : ndarray of shape (n, k)
        Without the intercept.

    Returns
    -------
    statistic, p : float
        The Lagrange multiplier, n R2 of the squared residuals, and its p by the chi-square distribution with k degrees of
        freedom; NaN where the squares do not vary.
    """
    square = np.asarray(residual, dtype=np.float64) ** 2
    total = float(((square - square.mean()) ** 2).sum())
    if not total > 1e-20 * float((square**2).sum()):
        return np.nan, np.nan
    statistic, p, *_ = het_breuschpagan(residual, np.column_stack([np.ones(len(square)), regressors]))
    return float(statistic), float(p)


def pitman_morgan(first: np.ndarray, second: np.ndarray, nuisance: np.ndarray) -> tuple[float, float, float]:
    """Test whether two measurements of the same participants have equal variances: the correlation of sum and difference.

    Parameters
    ----------
    first, second : ndarray of shape (n,)
    nuisance : ndarray of shape (n, k)
        What their means depend on, the intercept included.

    Returns
    -------
    ratio, t, p : float
        Residual variance of ``second`` over that of ``first``; Student's t and two-sided p with n - k - 1 degrees of
        freedom. NaN where nothing varies.
    """
    both = np.column_stack([first, second]).astype(np.float64)
    size = (both**2).sum(axis=0)
    both -= nuisance @ np.linalg.lstsq(nuisance, both)[0]
    squares = (both**2).sum(axis=0)
    df = len(both) - nuisance.shape[1] - 1
    if df < 1 or not (squares > 1e-20 * size).all():
        return np.nan, np.nan, np.nan
    total, difference = both.sum(axis=1), both[:, 1] - both[:, 0]
    length = float((total @ total) * (difference @ difference))
    if not length > 1e-20 * float(squares.sum() ** 2):
        return np.nan, np.nan, np.nan
    r = float(total @ difference) / np.sqrt(length)
    t = r * np.sqrt(df / max(1 - r * r, 1e-300))
    return float(squares[1] / squares[0]), float(t), float(2 * stdtr(df, -abs(t)))


def estimates_without_one(design: np.ndarray, response: np.ndarray, weights: ArrayLike) -> np.ndarray:
    """A contrast of an ordinary least-squares fit with each observation left out in turn.

    Parameters
    ----------
    design : ndarray of shape (n, p)
    response : ndarray of shape (n,)
    weights : array_like of shape (p,)

    Returns
    -------
    ndarray of shape (n,)
        NaN where the design has dependent columns without the observation.
    """
    model = OLS(response, design)
    fit = model.fit()
    influence, weights = fit.get_influence(), np.asarray(weights, dtype=np.float64)
    # In closed form by the press residuals e / (1 - h): statsmodels' own params_not_obsi refits n times.
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (weights @ model.pinv_wexog) * influence.resid_press
    return np.where(influence.hat_matrix_diag < 1 - 1e-10, weights @ fit.params - moved, np.nan)


def extremes(values: ArrayLike) -> tuple[float, float]:
    """Least and greatest of the leave-one-out estimates, NaN if one is unknown."""
    values = np.asarray(values)
    return (float(values.min()), float(values.max())) if len(values) and np.isfinite(values).all() else (np.nan, np.nan)
