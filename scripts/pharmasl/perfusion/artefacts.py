"""Artefacts in the repeats of a perfusion series: their figures, and which repeats make the mean.

A repeat is one estimate of perfusion: a label-control pair, or a deltaM or CBF volume. Detection is separate from
exclusion: every detector's figures are there for every repeat, whatever the rule. Every rule
(:mod:`pharmasl.perfusion.outlier_rules`) judges all repeats and always marks, however few it leaves: whatever happens to one
repeat, no rule is switched off by it, and a scan with fewer good repeats never counts more of them. Whether those that pass
are enough is the quality stage's to decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import InputError
from pharmasl.perfusion import repeat_measures
from pharmasl.perfusion.outlier_rules import PUBLISHED, RULES, Thresholds, apply
from pharmasl.study import settings

_ALONE = "whether the rule alone, applied to all repeats, would leave the repeat out"
COLUMNS = {
    "repeat": {"Description": "Number of the repeat, from 0, in order of acquisition"},
    "displacement": {
        "Description": "Framewise displacement between the repeat's control and label (labels, each by its weight); of a "
        "time-encoded cycle that of its positions, decoded as the signal is, in the worst block",
        "Units": "mm",
    },
    "slices_out_of_line": {
        "Description": "Slices of the repeat's volumes whose signal is out of line (_desc-confounds_timeseries.tsv)"
    },
    "gm_cbf": {"Description": "Mean CBF of grey matter", "Units": "mL/100 g/min"},
    "gm_deviation": {
        "Description": "Deviation of gm_cbf from the median over repeats, in robust standard deviations (median "
        "absolute deviation / 0.675)",
        "Units": "1",
    },
    "global_cbf": {"Description": "Mean CBF of the brain", "Units": "mL/100 g/min"},
    "mean_correlation": {
        "Description": "Correlation with the mean of the other repeats over grey matter, white matter and fluid",
        "Units": "1",
    },
    "residual_sd": {
        "Description": "Spatial standard deviation of the difference from the mean of the other repeats, over the same "
        "voxels",
        "Units": "mL/100 g/min",
    },
    "reached": {"Description": "Share of the brain's voxels that the repeat reaches", "Units": "1"},
    "motion_drop": {"Description": f"motion: {_ALONE}"},
    "score_drop": {"Description": f"score: {_ALONE}"},
    "enable_drop": {"Description": f"enable: {_ALONE}"},
    "global_drop": {"Description": f"global: {_ALONE}"},
    "slices_drop": {"Description": f"slices: {_ALONE}"},
    "passed": {"Description": "Whether the repeat holds a measurement and no rule in force marks it"},
    "excluded": {
        "Description": "Whether the repeat is left out of the mean: it does not pass, and others do. Where none passes, "
        "the mean is made of all that hold a measurement"
    },
    "reason": {"Description": "The first rule that marks it, and the figure by which it does"},
}


@dataclass(frozen=True)
class Choice:
    """Which repeats pass, and which make the mean.

    Attributes
    ----------
    passed : ndarray of bool, shape (N,)
    reasons : sequence of str
        Why a repeat does not pass; empty where it does.
    figures : sequence of dict
        What was measured, one per repeat.
    notes : sequence of str
        What could not be done as configured: a rule not applied, a tissue's threshold lowered.
    measured : ndarray of bool, shape (N,), optional
        Those that hold a measurement; None for all.
    """

    passed: np.ndarray
    reasons: Sequence[str]
    figures: Sequence[dict[str, Any]]
    notes: Sequence[str]
    measured: np.ndarray | None = None

    @property
    def kept(self) -> np.ndarray:
        """The repeats that make the mean, ndarray of bool, shape (N,): those that pass, or all measured where none does."""
        if self.passed.any():
            return self.passed
        return np.ones(len(self.passed), dtype=bool) if self.measured is None else self.measured

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per repeat, with the keys of :data:`COLUMNS`."""
        outcomes = zip(self.figures, self.passed, self.kept, self.reasons, strict=True)
        return [
            {**figures, "passed": bool(passed), "excluded": not kept, "reason": reason}
            for figures, passed, kept, reason in outcomes
        ]

    @property
    def mean_of(self) -> str:
        """The repeats of which the mean is made, in words."""
        count, passed = len(self.passed), int(self.passed.sum())
        if not passed:
            return f"{int(self.kept.sum())} of {count} repeats, none of which passes"
        return f"all {count} repeats" if passed == count else f"the {passed} of {count} repeats that pass"


def choose(
    series: np.ndarray,
    shares: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    displacement: np.ndarray,
    slices: np.ndarray | None = None,
    outliers: settings.Outliers,
    thresholds: Thresholds = PUBLISHED,
) -> Choice:
    """The repeats of a series that the rules in force leave, and the figures of all.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        CBF of each repeat in the voxels of the brain, mL/100 g/min; NaN where the repeat does not reach.
    shares : tuple of 3 ndarray of shape (V,)
        Shares of grey matter, white matter and fluid, 0 to 1.
    displacement : ndarray of shape (N,)
        Between control and label, mm; NaN where unknown.
    slices : ndarray of shape (N,), optional
        Slices out of line in the volumes of each repeat: see :func:`pharmasl.perfusion.repeat_measures.measure`.
    outliers : pharmasl.study.settings.Outliers
        Each of its rules judges all repeats, so that their order matters only for the reason stated for a repeat that
        several mark.
    thresholds : Thresholds

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If a rule or setting is unknown or senseless.
    """
    check(outliers, thresholds)
    measured = repeat_measures.measure(series, shares, displacement, slices, thresholds.score_threshold)
    marks = {name: apply(name, measured, outliers, thresholds) for name in RULES}
    reasons = [""] * measured.repeats
    notes: list[str] = []
    for name in outliers.rules:
        if name == "score":
            notes += measured.notes
        notes += [marks[name].note] if marks[name].note else []
        for number, reason in marks[name].reasons.items():
            reasons[number] = reasons[number] or reason
    figures: list[dict[str, Any]] = [
        {"repeat": number}
        | {name: float(values[number]) for name, values in measured.figures.items()}
        | {f"{name}_drop": number in marks[name].reasons for name in RULES}
        for number in range(measured.repeats)
    ]
    return Choice(np.array([not reason for reason in reasons], dtype=bool), reasons, figures, notes)


def check(outliers: settings.Outliers, thresholds: Thresholds) -> None:
    """Refuse unknown rules and senseless numbers.

    Raises
    ------
    InputError
    """
    rules, (low, high) = outliers.rules, outliers.global_limits
    if not set(rules) <= set(RULES) or len(set(rules)) < len(rules):
        raise _wrong("rules", rules, f"none, or one or several of {', '.join(RULES)}, each once")
    if not outliers.motion_limit > 0:
        raise _wrong("motion_limit", outliers.motion_limit, "a displacement above 0 mm")
    if not low < high:
        raise _wrong("global_limits", outliers.global_limits, "a lower and a higher limit")
    if not 0.5 <= thresholds.score_threshold < 1:
        # A share of exactly 1 is hardly ever reached where maps have been resampled.
        raise _wrong("score_threshold", thresholds.score_threshold, "a share of at least 0.5 and below 1")
    if thresholds.enable_least < 3:
        raise _wrong("enable_least", thresholds.enable_least, "at least 3 repeats")
    if not 0 <= thresholds.enable_gain < 1 or not 0 < thresholds.enable_share <= 1:
        shares = [thresholds.enable_gain, thresholds.enable_share]
        raise _wrong("enable_gain, enable_share", shares, "shares of 0 to 1")


def _wrong(field: str, value: Any, expected: str) -> InputError:
    return InputError("config", f"perfusion.outliers.{field}", value, expected, "Correct the configuration.")
