"""The table of a planned trial's power."""

import math
from collections.abc import Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, PEARSON, PlannedCorrelation
from pharmasl.study.planned_power import CORRELATION, EFFECT, EFFECT_END, PLANNED, RETENTION, SPREAD, Reckoning

COLUMNS: dict[str, Any] = {
    "outcome": "Planned result",
    "answer": "Analysis of the configuration whose model is fitted to a region's values, or the score or correlation that is tested, as primary names it",
    "model": {
        "Description": "How the arms are compared, or a region related to a score",
        "Levels": {
            CHANGE: "follow-up minus baseline",
            ANCOVA: "follow-up, adjusted for baseline",
            FOLLOWUP: "follow-up alone",
            PEARSON: "Pearson's r, adjusted for arm and covariates",
        },
    },
    "planned": "Whether that is the model of the configuration: yes or no",
    "variance": {
        "Description": "Residual variance of the arms",
        "Levels": {"equal": "one for all", "by_arm": "one for each arm; without covariates, Welch's test"},
    },
    "varied": {
        "Description": "Which assumption is not at its planning value",
        "Levels": {
            PLANNED: "none",
            EFFECT: "the effect, another size that was named",
            EFFECT_END: "the effect, at an end of its range",
            SPREAD: "the standard deviation",
            CORRELATION: "the correlation of the sessions",
            RETENTION: "the share of people with both sessions",
        },
    },
    "unit": "Unit of effect, sd and detectable; of a correlation, that word",
    "effect": {"Description": "True difference of the arms, or correlation"},
    "sd": {"Description": "Standard deviation between people at one session; n/a of a correlation"},
    "correlation": "Correlation of the sessions; n/a of a correlation with a score",
    "retention": "Share of those randomised who have both values",
    "complete_treatment": "People of the treatment arm with both sessions",
    "complete_control": "People of the control arm with both sessions",
    "df": "Residual degrees of freedom; with a variance for each arm, those of equal sample variances",
    "alpha": "Error rate of the test, its correction for others included",
    "power": "Probability of a significant result; n/a where too few people are left",
    "assurance": "Power averaged over the ranges of effect, standard deviation, correlation and share of people; another size of the effect is taken as known; n/a where an assumption is at an end of its range",
    "detectable": {"Description": "Effect that is found with the wanted power"},
    "needed_treatment": "People of the treatment arm with both sessions for the wanted power at the arms' planned ratio",
    "needed_control": "The same of the control arm",
    "randomised_treatment": "People to be randomised to treatment for them, after the expected losses",
    "randomised_control": "The same of the control arm",
    "scans": "Perfusion scans of all who are randomised, in both sessions",
    "cost": "Their cost, in the currency of the assumptions",
}


def write(path: FilePath, reckonings: Sequence[Reckoning]) -> None:
    """Write the table.

    Parameters
    ----------
    path : path-like
    reckonings : sequence of Reckoning
    """
    tables.write_table(path, [_row(one) for one in reckonings], COLUMNS)


def _row(one: Reckoning) -> dict[str, Any]:
    needed = one.needed
    return {
        "outcome": one.outcome.name,
        "answer": one.outcome.answer,
        "model": one.test.method,
        "planned": "yes" if one.is_planned else "no",
        "variance": None if isinstance(one.test, PlannedCorrelation) else "by_arm" if one.test.by_arm else "equal",
        "varied": one.varied,
        "unit": one.question.unit,
        "effect": one.effect,
        "sd": one.sd,
        "correlation": one.correlation,
        "retention": one.retention,
        "complete_treatment": one.complete[0],
        "complete_control": one.complete[1],
        "df": _finite(one.df),
        "alpha": one.test.alpha,
        "power": _finite(one.power),
        "assurance": None if one.assurance is None else _finite(one.assurance),
        "detectable": _finite(one.detectable),
        "needed_treatment": needed.complete[0] if needed else None,
        "needed_control": needed.complete[1] if needed else None,
        "randomised_treatment": needed.randomised[0] if needed else None,
        "randomised_control": needed.randomised[1] if needed else None,
        "scans": needed.scans if needed else None,
        "cost": needed.cost if needed else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
