"""Do a model's assumptions hold, and does one participant make its result? Residuals and influence.

Influence is by deletion of whole participants with the model refitted, variances included, not by a one-step formula.
Cook's distance of participant i is ``(b - b_i)' V^-1 (b - b_i) / p``, b the fixed effects of all participants, V their
covariance, b_i those without participant i.

Whether scores scatter alike is asked where observations are independent, one a participant: of the changes and of each
session's scores by arm (Breusch and Pagan 1979 in the form of Koenker 1981, which does not lean on normal errors), and
of the two sessions by the correlation of a participant's sum with their difference (Pitman 1939, Morgan 1939). The two
residuals of a participant in the random-intercept model are no such observations: they are nearly opposite.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, stdtr

from pharmasl.statistics import mixed_model

COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "session_id": "Session label, without ses-",
    "cue_elicited": "Cue-elicited craving, points",
    "fitted": "Fitted by the random-intercept model, the participant's predicted intercept included, points",
    "residual": "Cue-elicited craving minus fitted, points",
    "residual_standardised": "Residual over the residual standard deviation",
    "random_intercept": "Predicted intercept of the participant (best linear unbiased prediction), points",
    "cooks_distance": "Cook's distance of the participant, all fixed effects together, the model refitted without them",
    "estimate_without": "Group-by-time interaction without the participant, points",
    "p_without": "Two-sided p of the interaction without the participant (Kenward-Roger)",
    "note": "Why values are n/a",
}


class Influence(NamedTuple):
    """A fitted model's residuals, one an observation, and each participant's influence, one a participant.

    Attributes
    ----------
    fitted, residual, standardised : ndarray of shape (n,)
    participants : list
    intercepts, cooks_distance, estimates, p : ndarray of shape (participants,)
        ``estimates`` and ``p`` of the tested contrast without the participant; NaN where no model is left.
    """

    fitted: np.ndarray
    residual: np.ndarray
    standardised: np.ndarray
    participants: list
    intercepts: np.ndarray
    cooks_distance: np.ndarray
    estimates: np.ndarray
    p: np.ndarray


def of_mixed_model(model, design, response, subject, weights):
    """Residuals and influence of a random-intercept model.

    Parameters
    ----------
    model : mixed_model.Fit
        Of the arrays below, one response.
    design : ndarray of shape (n, p)
    response : ndarray of shape (n,)
    subject : sequence of length n
    weights : sequence of length p
        The contrast whose estimates are wanted.

    Returns
    -------
    Influence
    """
    subject = np.asarray(subject)
    participants = list(dict.fromkeys(subject.tolist()))
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
        test = mixed_model.kenward_roger(without, design[keep], subject[keep], weights)
        estimates[k], p[k] = test.estimate, test.p
    residual = response - fitted
    return Influence(fitted, residual, residual / np.sqrt(variance), participants, intercepts, distance, estimates, p)


def breusch_pagan(residual, regressors):
    """Whether the variance of a regression's residuals goes with some variables: n R2 of the squared residuals.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Of ordinary least squares, independent under the hypothesis.
    regressors : ndarray of shape (n, k)
        Without the intercept.

    Returns
    -------
    statistic, p : float
        By the chi-square distribution with k degrees of freedom; NaN where the squares do not vary.
    """
    square = np.asarray(residual, dtype=np.float64) ** 2
    total = float(((square - square.mean()) ** 2).sum())
    if not total > 1e-20 * float((square**2).sum()):
        return np.nan, np.nan
    design = np.column_stack([np.ones(len(square)), regressors])
    rest = square - design @ np.linalg.lstsq(design, square)[0]
    statistic = len(square) * (1 - float(rest @ rest) / total)
    return statistic, float(chdtrc(np.linalg.matrix_rank(design) - 1, statistic))


def pitman_morgan(first, second, nuisance):
    """Whether two measurements of the same participants have one variance: the partial correlation of sum and difference.

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


def least_squares_without(design, response, weights):
    """A contrast of an ordinary least-squares fit without each observation.

    Parameters
    ----------
    design : ndarray of shape (n, p)
    response : ndarray of shape (n,)
    weights : sequence of length p

    Returns
    -------
    ndarray of shape (n,)
        NaN where the design has dependent columns without the observation.
    """
    inverse = np.linalg.inv(design.T @ design)
    hat = inverse @ design.T
    leverage = (design * hat.T).sum(axis=1)
    b = hat @ response
    left = np.where(leverage < 1 - 1e-10, 1 - leverage, np.nan)
    return np.asarray(weights) @ b - (np.asarray(weights) @ hat) * (response - design @ b) / left


def extremes(values):
    """Least and greatest of the leave-one-out estimates, NaN if one is unknown."""
    values = np.asarray(values)
    return (float(values.min()), float(values.max())) if len(values) and np.isfinite(values).all() else (np.nan, np.nan)
