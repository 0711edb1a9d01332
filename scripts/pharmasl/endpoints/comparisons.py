"""The arms compared by one number a participant: what changed, and how much it changed more after the cues than before.

Each term of a model of arm, session and (for ratings and cue types) a third factor is either the mean of one contrast of
a participant's own scores in the control arm, or the difference of that contrast's means between the arms. It is tested
as that: by Student's t within the arm, or by Welch's test between the arms. So it leans on no form of the scores'
covariance within participants (they may differ by participant, by participant and session, by participant and occasion),
nor on equal variances in the arms; with complete data it is the test of the mixed model that leaves the covariances
free and the arms their own. Who lacks a score that a contrast is made of takes no part in it, and is named.
"""

import itertools
import math

import numpy as np

from pharmasl.endpoints import scores as scoring
from pharmasl.endpoints.model_table import WITHOUT, make_row, pairs
from pharmasl.statistics import arm_variances
from pharmasl.statistics.diagnostics import extremes


def _compare(analysis, term, values, arm, arms, *, between, what="", left_out=()):
    """The row of one contrast a participant.

    Parameters
    ----------
    analysis, term : str
    values : ndarray of shape (n,)
    arm : ndarray of str, shape (n,)
    arms : dict
    between : bool
        Compare the arms; else the control arm's mean.
    what : str
        Put before the method.
    left_out : sequence of str
        Participants who have other scores, but not those of the contrast.

    Returns
    -------
    dict
    """
    if not between:
        values, arm = values[arm == arms["control"]], arm[arm == arms["control"]]
    treated = (arm == arms["treatment"]).astype(np.float64)
    about = {"n": len(values), "left_out": ", ".join(left_out) or None}
    sizes = [int(treated.sum()), int((1 - treated).sum())][0 if between else 1 :]
    if min(sizes) < 2:
        return make_row(
            analysis, term, **about, method=f"{what}fewer than 2 participants with the scores it takes in an arm"
        )
    design = np.column_stack([np.ones(len(values)), treated]) if between else np.ones((len(values), 1))
    model = arm_variances.ArmVariances(design, (0, 1) if between else (1,), arm)
    test = model.test(values)
    if not test.se > 0:
        return make_row(analysis, term, **about, method=f"{what}no variation within arms", estimate=test.estimate)
    method = "Welch's test" if between else "Student's t in the control arm"
    if between:
        about["variance_ratio"] = arm_variances.ratio(test.variances, arms["treatment"], arms["control"])
        still = [label for label, variance in test.variances.items() if not variance > 0]
        what += "".join(f"no variation in {label}: the other arm's variance alone; " for label in still)
    return make_row(analysis, term, **about, method=f"{what}{method}, one contrast a participant", test=test)


def difference_of_changes(scores, arms, sessions):
    """Change of cue-elicited craving in the treatment arm minus that in the control arm: the trial's endpoint.

    Parameters
    ----------
    scores : list of dict
        Rows of the craving scores.
    arms, sessions : dict

    Returns
    -------
    list of dict
        One row of ``model_table.COLUMNS``.
    """
    both = pairs(scores, sessions)
    complete = {participant for participant, *_ in both}
    partial = {row["participant_id"] for row in scores if row["cue_elicited"] is not None} - complete
    change = np.array([after - before for *_, before, after in both], dtype=np.float64)
    arm = np.array([each for _, each, *_ in both], dtype=object)
    row = _compare("difference_of_changes", "arm:session", change, arm, arms, between=True, left_out=sorted(partial))
    if row.get("p") is not None:
        without = [
            np.delete(change, k)[np.delete(arm, k) == arms["treatment"]].mean()
            - np.delete(change, k)[np.delete(arm, k) == arms["control"]].mean()
            for k in range(len(change))
        ]
        row.update((name, None if math.isnan(end) else end) for name, end in zip(WITHOUT, extremes(without)))
    return [row]


def _three_factors(analysis, third, cells, arm_by_participant, arms, what=""):
    """All terms of arm, session and a third factor.

    Parameters
    ----------
    analysis, third : str
    cells : dict
        Participant to ndarray of shape (2, 2), session by level of the third factor, NaN where missing.
    arm_by_participant : dict
    arms : dict
    what : str
        Put before each row's method.

    Returns
    -------
    list of dict
    """
    # Weights over (session, level) of what a participant contributes, in the coding 0 and 1 of both factors.
    contrasts = {
        "": [[1, 0], [0, 0]],
        "session": [[-1, 0], [1, 0]],
        third: [[-1, 1], [0, 0]],
        f"session:{third}": [[1, -1], [-1, 1]],
    }
    people = [name for name, own in cells.items() if np.isfinite(own).any()]
    scores = np.array([cells[name] for name in people], dtype=np.float64).reshape(len(people), 2, 2)
    arm = np.array([arm_by_participant[name] for name in people], dtype=object)
    rows = []
    for (name, weights), between in itertools.product(contrasts.items(), (False, True)):
        weights = np.array(weights, dtype=np.float64)
        there = np.isfinite(scores[:, weights != 0]).all(axis=1)
        value = (np.where(weights != 0, scores, 0) * weights).sum(axis=(1, 2))
        term = (f"arm:{name}" if name else "arm") if between else (name or "intercept")
        missing = sorted(
            who for who, own, known in zip(people, arm, there) if not known and (between or own == arms["control"])
        )
        rows.append(
            _compare(analysis, term, value[there], arm[there], arms, between=between, what=what, left_out=missing)
        )
    return rows


def _cells(scores, sessions, names):
    """Participants' scores by session and column, and their arms."""
    cells, arm = {}, {}
    place = {sessions["baseline"]: 0, sessions["followup"]: 1}
    for row in scores:
        own = cells.setdefault(row["participant_id"], np.full((2, 2), np.nan))
        arm[row["participant_id"]] = row["arm"]
        if row["session_id"] in place:
            own[place[row["session_id"]]] = [math.nan if row[name] is None else row[name] for name in names]
    return cells, arm


def ratings(scores, arms, sessions):
    """The ratings before and after the cues by arm, session and occasion; nothing where the scores hold no ratings.

    Parameters as :func:`difference_of_changes`; rows of ``model_table.COLUMNS``.
    """
    if not all("before" in row and "after" in row for row in scores):
        return []
    return _three_factors("contrasts_ratings", "occasion", *_cells(scores, sessions, ("before", "after")), arms)


def cues(scores, arms, sessions):
    """Cue-elicited craving by arm, session and cue type, against each further cue type; nothing without one.

    Parameters as :func:`difference_of_changes`; rows of ``model_table.COLUMNS``.
    """
    rows = []
    for condition in scoring.further_conditions(scores[0]) if scores else []:
        names = (scoring.column("cue_elicited", condition), "cue_elicited")
        rows += _three_factors(
            "contrasts_cues", "cue", *_cells(scores, sessions, names), arms, what=f"against {condition}: "
        )
    return rows
