"""The random-intercept models of cue-elicited craving, and what each participant contributes to their result.

The arm is coded 0 for control and 1 for treatment, the session 0 for baseline and 1 for follow-up. The intercept is therefore
the control arm's mean at baseline, ``arm`` the difference between the arms at baseline, ``session`` the change in the control
arm, and ``arm:session`` the difference between the arms' changes (treatment minus control), which is the trial's question.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pharmasl.endpoints.endpoint import Endpoint
from pharmasl.endpoints.model_table import INFLUENCE_COLUMNS, ModelRow, make_row
from pharmasl.statistics import diagnostics, mixed_model
from pharmasl.statistics.t_tests import TTest, t_test

TERMS = {
    "intercept": (1, 0, 0, 0),
    "arm": (0, 1, 0, 0),
    "session": (0, 0, 1, 0),
    "arm:session": (0, 0, 0, 1),
    "session in treatment": (0, 0, 1, 1),
}
_METHOD = "random-intercept model, REML"
_VARIANCES = ("variance between participants", "variance within participants")


@dataclass(frozen=True)
class _Observations:
    """The known scores.

    Attributes
    ----------
    response, arm, session : ndarray of shape (n,)
        Arm and session are 0 and 1.
    participants : ndarray of str, shape (n,)
    """

    response: np.ndarray
    participants: np.ndarray
    arm: np.ndarray
    session: np.ndarray

    def __len__(self) -> int:
        return len(self.response)

    @property
    def design(self) -> np.ndarray:
        """Columns of :data:`TERMS`, shape (n, 4)."""
        return np.column_stack([np.ones(len(self)), self.arm, self.session, self.arm * self.session])


def _observations(endpoint: Endpoint) -> _Observations:
    known = endpoint.known
    return _Observations(
        response=known["cue_elicited"].to_numpy(np.float64),
        participants=known["participant_id"].to_numpy(str),
        arm=(known["arm"] == endpoint.arms.treatment).to_numpy(np.float64),
        session=(known["session_id"] == endpoint.followup).to_numpy(np.float64),
    )


@dataclass(frozen=True)
class MixedModels:
    """The rows of the mixed models, and the influence in the first; None where it could not be fitted."""

    rows: list[ModelRow]
    influence: diagnostics.Influence | None


def _not_fitted(n: int, why: str) -> MixedModels:
    rows = [make_row("mixed_model", term, why, n=n) for term in (*TERMS, *_VARIANCES)]
    others = ("mixed_model_satterthwaite", "mixed_model_by_arm")
    return MixedModels([*rows, *(make_row(name, "arm:session", why, n=n) for name in others)], None)


def mixed(endpoint: Endpoint) -> MixedModels:
    """Random-intercept models of cue-elicited craving by arm, session and their interaction.

    Where the variance between participants is estimated as zero the method says so: the estimate then treats the scores as
    independent.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    MixedModels
    """
    data = _observations(endpoint)
    n, design = len(data), data.design
    try:
        model = mixed_model.fit(design, data.response, data.participants)
    except ValueError as error:
        return _not_fitted(n, f"not fitted: {error}")
    if model.degenerate[0]:
        return _not_fitted(n, f"{_METHOD}: no residual variation")
    boundary = ""
    if model.boundary[0]:
        boundary = "; boundary: variance between participants estimated as 0, so the scores count as independent"
    tested = TERMS["arm:session"]
    influence = diagnostics.mixed_model_influence(model, design, data.response, data.participants, tested)
    rows = []
    for term, weights in TERMS.items():
        test = mixed_model.kenward_roger(model, design, data.participants, weights).single()
        row = make_row("mixed_model", term, f"{_METHOD}, Kenward-Roger{boundary}", n=n, test=test)
        rows.append(row.without_one(diagnostics.extremes(influence.estimates)) if term == "arm:session" else row)
    variances = (float(model.subject_variance[0]), float(model.residual_variance[0]))
    rows += [
        make_row("mixed_model", term, f"{_METHOD}{boundary}", n=n, estimate=variance)
        for term, variance in zip(_VARIANCES, variances)
    ]
    test = mixed_model.contrast(model, tested).single()
    method = f"{_METHOD}, Satterthwaite degrees of freedom{boundary}"
    rows.append(make_row("mixed_model_satterthwaite", "arm:session", method, n=n, test=test))
    return MixedModels([*rows, _by_arm(data)], influence)


def _by_arm(data: _Observations) -> ModelRow:
    """The interaction with all variances by arm: the likelihood splits, so the arms are fitted one by one."""
    analysis, term, n = "mixed_model_by_arm", "arm:session", len(data)
    method = "a random-intercept model in each arm, REML, Kenward-Roger; their difference by Welch and Satterthwaite"
    tests: list[TTest] = []
    variances = []
    for value in (1, 0):
        own = data.arm == value
        names = data.participants[own]
        design = np.column_stack([np.ones(own.sum()), data.session[own]])
        try:
            model = mixed_model.fit(design, data.response[own], names)
        except ValueError as error:
            return make_row(analysis, term, f"not fitted: {error}", n=n)
        if model.degenerate[0]:
            return make_row(analysis, term, f"{method}: no residual variation in an arm", n=n)
        if model.boundary[0] and "boundary" not in method:
            method += (
                "; boundary: variance between an arm's participants estimated as 0, so its scores count as independent"
            )
        tests.append(mixed_model.kenward_roger(model, design, names, (0, 1)).single())
        variances.append(float(model.residual_variance[0]))
    squares = [test.se**2 for test in tests]
    df = sum(squares) ** 2 / sum(square**2 / test.df for square, test in zip(squares, tests))
    test = t_test(tests[0].estimate - tests[1].estimate, math.sqrt(sum(squares)), df)
    return make_row(analysis, term, method, n=n, test=test, variance_ratio=variances[0] / variances[1])


def influence_table(endpoint: Endpoint, influence: diagnostics.Influence | None) -> pd.DataFrame:
    """Residuals and influence in the mixed model.

    Parameters
    ----------
    endpoint : Endpoint
    influence : Influence or None

    Returns
    -------
    DataFrame
        One row per participant and session, missing scores included; columns of ``model_table.INFLUENCE_COLUMNS``.
    """
    table = endpoint.scores.reindex(columns=list(INFLUENCE_COLUMNS)).astype(object)
    known = endpoint.scores["cue_elicited"].notna()
    table.loc[~known, "note"] = "no score"
    if influence is None:
        table.loc[known, "note"] = "no model was fitted"
        return table
    of_scores = {
        "fitted": influence.fitted,
        "residual": influence.residual,
        "residual_standardised": influence.standardised,
    }
    of_participants = {
        "random_intercept": influence.intercepts,
        "cooks_distance": influence.cooks_distance,
        "estimate_without": influence.estimates,
        "p_without": influence.p,
    }
    for name, values in of_scores.items():
        table.loc[known, name] = values
    for name, values in of_participants.items():
        table.loc[known, name] = table.loc[known, "participant_id"].map(dict(zip(influence.participants, values)))
    return table
