"""The arms compared by one number per participant: what changed, and how much it changed more after the cues than before.

Each term of a model of arm, session and (for ratings and cue types) a third factor is either the mean of one contrast of
a participant's own scores in the control arm, or the difference of that contrast's means between the arms. It is tested
as that: by Student's t within the arm, or by Welch's test between the arms. So it assumes no structure of the scores'
covariance within participants (they may differ by participant, by participant and session, by participant and occasion),
nor equal variances in the arms; with complete data it is the test of the mixed model with an unstructured covariance in each
arm. Participants who lack a score that a contrast needs take no part in its test, and are named.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from pharmasl.endpoints import scores as scoring
from pharmasl.endpoints.endpoint import Endpoint
from pharmasl.endpoints.model_table import ModelRow, deviation, make_row
from pharmasl.statistics.diagnostics import extremes
from pharmasl.statistics.t_tests import t_test


@dataclass(frozen=True)
class _Contrast:
    """One number per participant.

    Attributes
    ----------
    treated, control : ndarray
        The arms' values.
    left_out : tuple of str
        Participants who have other scores, but not those of the contrast.
    """

    treated: np.ndarray
    control: np.ndarray
    left_out: tuple[str, ...] = ()


def _within_control(analysis: str, term: str, contrast: _Contrast, what: str) -> ModelRow:
    """The control arm's mean by Student's t; ``what`` stands before the method."""
    values = contrast.control
    about: dict[str, Any] = {"n": len(values), "left_out": ", ".join(contrast.left_out) or None}
    if len(values) < 2:
        return make_row(analysis, term, f"{what}fewer than 2 participants with the scores it takes in an arm", **about)
    mean = float(values.mean())
    if not deviation(values):
        return make_row(analysis, term, f"{what}no variation within arms", **about, estimate=mean)
    test = t_test(mean, float(DescrStatsW(values).std_mean), len(values) - 1)
    return make_row(
        analysis, term, f"{what}Student's t in the control arm, one contrast a participant", **about, test=test
    )


def _between_arms(analysis: str, term: str, contrast: _Contrast, endpoint: Endpoint, what: str = "") -> ModelRow:
    """The difference of the arms' means by Welch's test; ``what`` stands before the method."""
    treated, control, arms = contrast.treated, contrast.control, endpoint.arms
    about: dict[str, Any] = {"n": len(treated) + len(control), "left_out": ", ".join(contrast.left_out) or None}
    if min(len(treated), len(control)) < 2:
        return make_row(analysis, term, f"{what}fewer than 2 participants with the scores it takes in an arm", **about)
    difference = float(treated.mean() - control.mean())
    spread = {arms.treatment: deviation(treated), arms.control: deviation(control)}
    if not any(spread.values()):
        return make_row(analysis, term, f"{what}no variation within arms", **about, estimate=difference)
    means = CompareMeans(DescrStatsW(treated), DescrStatsW(control))
    test = t_test(difference, float(means.std_meandiff_separatevar), float(means.dof_satt()))
    still = [label for label in sorted(spread) if not spread[label]]
    what += "".join(f"no variation in {label}: the other arm's variance alone; " for label in still)
    ratio = (spread[arms.treatment] / spread[arms.control]) ** 2 if spread[arms.control] else None
    method = f"{what}Welch's test, one contrast a participant"
    return make_row(analysis, term, method, **about, test=test, variance_ratio=ratio)


def difference_of_changes(endpoint: Endpoint) -> list[ModelRow]:
    """Change in cue-elicited craving in the treatment arm minus that in the control arm: the trial's endpoint.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
        A single row.
    """
    pairs = endpoint.pairs
    partial = sorted(set(endpoint.known["participant_id"]) - set(pairs["participant_id"]))
    change, arm = pairs["change"].to_numpy(np.float64), pairs["treated"].to_numpy(bool)
    contrast = _Contrast(change[arm], change[~arm], tuple(partial))
    row = _between_arms("difference_of_changes", "arm:session", contrast, endpoint)
    if row.p is not None:
        treated, control = ((own.sum() - own) / (len(own) - 1) for own in (contrast.treated, contrast.control))
        without = [*(treated - contrast.control.mean()), *(contrast.treated.mean() - control)]
        row = row.without_one(extremes(without))
    return [row]


def _three_factors(
    endpoint: Endpoint, analysis: str, third: str, columns: Sequence[str], what: str = ""
) -> list[ModelRow]:
    """All terms of arm, session and a third factor.

    Parameters
    ----------
    endpoint : Endpoint
    analysis : str
    third : str
        Name of the third factor.
    columns : sequence of str
        The scores at its two levels.
    what : str
        Put before each row's method.

    Returns
    -------
    list of ModelRow
    """
    # Weights over (session, level) of what a participant contributes, in the coding 0 and 1 of both factors.
    contrasts = {
        "": [[1, 0], [0, 0]],
        "session": [[-1, 0], [1, 0]],
        third: [[-1, 1], [0, 0]],
        f"session:{third}": [[1, -1], [-1, 1]],
    }
    people, scores, treated = _cells(endpoint, columns)
    rows = []
    for (name, cells), between in itertools.product(contrasts.items(), (False, True)):
        weights = np.array(cells, dtype=np.float64)
        known = np.isfinite(scores[:, weights != 0]).all(axis=1)
        value = (np.where(weights != 0, scores, 0) * weights).sum(axis=(1, 2))
        concerned = np.ones(len(people), dtype=bool) if between else ~treated
        contrast = _Contrast(
            value[known & treated], value[known & ~treated], tuple(sorted(people[~known & concerned].tolist()))
        )
        if between:
            term = f"arm:{name}" if name else "arm"
            rows.append(_between_arms(analysis, term, contrast, endpoint, what))
        else:
            rows.append(_within_control(analysis, name or "intercept", contrast, what))
    return rows


def _cells(endpoint: Endpoint, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Participants (n,) with any of the scores, the scores (n, session, column), and who is in the treatment arm (n,)."""
    people = endpoint.scores[["participant_id", "arm"]].drop_duplicates("participant_id").set_index("participant_id")
    sessions = [endpoint.baseline, endpoint.followup]
    levels = [
        endpoint.scores.pivot(index="participant_id", columns="session_id", values=column)
        .reindex(index=people.index, columns=sessions)
        .to_numpy(np.float64)
        for column in columns
    ]
    scores = np.stack(levels, axis=-1)
    some = np.isfinite(scores).any(axis=(1, 2))
    treated = (people["arm"] == endpoint.arms.treatment).to_numpy(bool)
    return people.index.to_numpy(str)[some], scores[some], treated[some]


def ratings(endpoint: Endpoint) -> list[ModelRow]:
    """The ratings before and after the cues by arm, session and occasion; nothing where the scores hold no ratings.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    columns = ("before", "after")
    if not set(columns) <= set(endpoint.scores):
        return []
    return _three_factors(endpoint, "contrasts_ratings", "occasion", columns)


def cues(endpoint: Endpoint) -> list[ModelRow]:
    """Cue-elicited craving by arm, session and cue type, against each further cue type; nothing without one.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    rows = []
    for condition in scoring.further_conditions(list(endpoint.scores.columns)):
        columns = (scoring.column("cue_elicited", condition), "cue_elicited")
        rows += _three_factors(endpoint, "contrasts_cues", "cue", columns, what=f"against {condition}: ")
    return rows
