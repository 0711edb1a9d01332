"""The tables of the craving models and of their influence: columns and rows."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pharmasl.statistics.t_tests import TTest

COLUMNS: dict[str, str | dict[str, Any]] = {
    "analysis": {
        "Description": "Which analysis the row belongs to",
        "Levels": {
            "descriptive": "Mean and standard deviation of cue-elicited craving in an arm and session",
            "descriptive_before": "The same of the rating before the cues",
            "descriptive_after": "The same of the rating after the cues",
            "paired_t": "Change in cue-elicited craving within one arm, over participants with both sessions. A "
            "difference between the arms' p values is no test of a difference between the arms",
            "difference_of_changes": "Change in cue-elicited craving in the treatment arm minus that in the control arm, "
            "over participants with both sessions, by Welch's test: the row that decides, whatever the arms' variances",
            "mixed_model": "Cue-elicited craving by arm, session and their interaction, with a random intercept for "
            "each participant; participants with one session take part, and the arms' variances are taken to be equal. "
            "Standard errors and degrees of freedom by Kenward and Roger",
            "mixed_model_satterthwaite": "The interaction of that model with Satterthwaite's degrees of freedom",
            "mixed_model_by_arm": "The same interaction with both variances estimated in each arm by itself. Slightly "
            "too often significant (.06 for .05) where the scores of a participant hardly go together",
            "contrasts_ratings": "The ratings themselves by arm, session, occasion (0 before, 1 after the cues) and "
            "all interactions: each term by one contrast a participant, in the control arm (Student's t) or between "
            "the arms (Welch)",
            "contrasts_cues": "Cue-elicited craving by arm, session, cue (0 the further cue type, 1 the one that all "
            "analyses use) and all interactions, in the same way",
            "effect_size": "Hedges' g of the arms' difference, free of its small-sample bias; exact interval by the "
            "noncentral t distribution, for the population's standardised difference",
            "equal_variance": "Do scores scatter alike in both arms, and at both sessions? What the mixed model assumes, "
            "asked of one observation a participant",
            "ancova": "Follow-up score by arm, adjusted for the baseline score, over participants with both sessions; "
            "a residual variance for each arm",
        },
    },
    "term": {
        "Description": "Arms code 0 control, 1 treatment; sessions code 0 baseline, 1 follow-up",
        "Levels": {
            "mean": "Mean (descriptive)",
            "sd": "Standard deviation, n - 1 in the denominator (descriptive)",
            "missing": "Number of participants of the arm without a score at the session (descriptive)",
            "change": "Mean of follow-up minus baseline (paired_t)",
            "dz": "Mean change over the standard deviation of the changes (paired_t); interval by the noncentral t",
            "intercept": "mixed_model: mean of the control arm at baseline; ancova: mean follow-up score of the "
            "control arm at the average baseline score",
            "arm": "mixed_model: treatment minus control at baseline; ancova: treatment minus control at follow-up, "
            "at equal baseline scores",
            "session": "Follow-up minus baseline in the control arm (mixed_model)",
            "arm:session": "Change in the treatment arm minus change in the control arm (difference_of_changes, "
            "mixed_model)",
            "session in treatment": "Follow-up minus baseline in the treatment arm (mixed_model)",
            "variance between participants": "Variance of the random intercept (mixed_model)",
            "variance within participants": "Residual variance (mixed_model)",
            "baseline": "Slope of the follow-up score on the baseline score, common to both arms (ancova)",
            "g of change": "Difference of the arms' mean changes over the pooled standard deviation of the changes "
            "(effect_size); not to be compared with a g of raw scores",
            "g at follow-up": "ANCOVA's difference over its residual standard deviation (effect_size)",
            "variance of change": "Variance of the changes in the treatment arm over that in the control arm; p by "
            "Breusch and Pagan (equal_variance)",
            "variance at baseline": "The same of the scores at baseline (equal_variance)",
            "variance at follow-up": "The same of the scores at follow-up (equal_variance)",
            "variance by session": "Variance at follow-up over that at baseline, within arms; t and p by Pitman and "
            "Morgan (equal_variance)",
            "occasion": "After minus before the cues, control arm, baseline (contrasts_ratings)",
            "arm:occasion": "Arms' difference of that at baseline (contrasts_ratings)",
            "session:occasion": "Change of that in the control arm (contrasts_ratings)",
            "arm:session:occasion": "Arms' difference of the change in cue-elicited craving (contrasts_ratings)",
            "cue": "Analysed minus further cue type, control arm, baseline (contrasts_cues)",
            "arm:cue": "Arms' difference of that at baseline (contrasts_cues)",
            "session:cue": "Change of that in the control arm (contrasts_cues)",
            "arm:session:cue": "Arms' difference of the change, analysed minus further cue type: is the effect of "
            "treatment one on these cues (contrasts_cues)",
        },
    },
    "arm": "Arm that the row is about, where it is about one",
    "session_id": "Session that the row is about, where it is about one",
    "estimate": "Estimate, in points of the craving scale; dz, the slope and ratios of variances have no unit, variances "
    "are squared points",
    "se": "Standard error of the estimate",
    "df": "Degrees of freedom; Kenward and Roger's in the mixed models unless the analysis says otherwise",
    "t": "Estimate over standard error",
    "p": "Two-sided p of t, not corrected for the number of rows",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "without_one_low": "Least estimate with one participant left out and the model refitted",
    "without_one_high": "Greatest estimate with one participant left out",
    "n": "Number of scores (descriptive), of pairs (paired_t, difference_of_changes, ancova, "
    "effect_size), of participants (contrasts_ratings, contrasts_cues) or of scores in the model (mixed_model)",
    "variance_ratio": "Variance in the treatment arm over that in the control arm, of what the test compares",
    "left_out": "Participants of the arms compared who have other scores but not all that the row takes, and so take no "
    "part in it",
    "method": "Method, and why a value is n/a",
}

INFLUENCE_COLUMNS = {
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


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A row of the models' table; the fields are those of :data:`COLUMNS`, None where there is no (finite) value."""

    analysis: str
    term: str
    arm: str | None = None
    session_id: str | None = None
    estimate: float | None = None
    se: float | None = None
    df: float | None = None
    t: float | None = None
    p: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    without_one_low: float | None = None
    without_one_high: float | None = None
    n: int | None = None
    variance_ratio: float | None = None
    left_out: str | None = None
    method: str | None = None

    def with_values(self, **values: Any) -> "ModelRow":
        """The row with other values, None for those that are not finite."""
        return dataclasses.replace(self, **{name: _finite(value) for name, value in values.items()})

    def without_one(self, ends: tuple[float, float]) -> "ModelRow":
        """The row with the least and the greatest estimate with one participant left out."""
        return self.with_values(without_one_low=ends[0], without_one_high=ends[1])


def _finite(value: Any) -> Any:
    # An infinite t (no variation) is of no use to a reader.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_row(analysis: str, term: str, method: str, *, test: TTest | None = None, **values: Any) -> ModelRow:
    """A row of the models' table.

    Parameters
    ----------
    analysis, term, method : str
    test : TTest, optional
        Gives estimate, standard error, t, p and interval.
    **values
        Other fields of :class:`ModelRow`.

    Returns
    -------
    ModelRow
    """
    if test is not None:
        names = [field.name for field in dataclasses.fields(TTest)]
        values |= {name: getattr(test, name) for name in names}
    return ModelRow(analysis=analysis, term=term, method=method).with_values(**values)


def frame(rows: Iterable[ModelRow]) -> pd.DataFrame:
    """The rows as a table with the columns of :data:`COLUMNS`; missing values are None."""
    return pd.DataFrame([vars(row) for row in rows], columns=list(COLUMNS), dtype=object)


def deviation(values: np.ndarray) -> float:
    """Standard deviation with n - 1 in the denominator, exactly 0 for values that differ by rounding only."""
    sd = float(values.std(ddof=1))
    return sd if sd > 1e-12 * float(np.abs(values).max()) else 0.0
