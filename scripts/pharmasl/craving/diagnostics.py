"""Do a model's assumptions hold, and does one participant make its result? Residuals and influence.

Influence is by deletion of whole participants with the model refitted, variances included, not by a one-step formula.
Cook's distance of participant i is ``(b - b_i)' V^-1 (b - b_i) / p``, b the fixed effects of all participants, V their
covariance, b_i those without participant i.
"""

from typing import NamedTuple

import numpy as np

from pharmasl import mixed_model

COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "session": "Session label, without ses-",
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
