"""Columns of the table of correlations between regional CBF and a clinical score."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The score that is related to CBF.

    Attributes
    ----------
    column : str
        Of the scores.
    words : str
        What it is called in the table's dictionary.
    unit : str
        Of a slope on CBF: ``Points of craving``.
    field : str
        Of the configuration that asks for the relations, for messages.
    """

    column: str
    words: str
    unit: str
    field: str


CRAVING = Outcome(column="cue_elicited", words="cue-elicited craving", unit="Points of craving", field="craving")

COLUMNS = {
    "roi": "Region of interest",
    "contrast": "Contrast of conditions whose CBF was averaged in the region",
    "timing": {
        "Description": "Which values were correlated",
        "Levels": {
            "change": "Follow-up minus baseline, of CBF and of cue-elicited craving",
            "baseline": "Both at baseline",
            "followup": "Both at follow-up",
        },
    },
    "group": "all (adjusted for arm), the arm within which, or 'treatment - control' the arms that are compared",
    "method": {
        "Description": "Statistic",
        "Levels": {
            "pearson": "Pearson's r of what arm and covariates leave; interval by Fisher's z, over both arms with "
            "variances of each arm's own",
            "spearman": "Spearman's rho of what the ranks of arm and covariates leave; interval by the BCa bootstrap",
            "percentage_bend": "Percentage bend correlation (Wilcox 1994, bend 0.2) of what arm and covariates leave; "
            "interval by the BCa bootstrap",
            "pearson_difference": "Pearson's r in the treatment arm minus that in the control arm; interval by Zou "
            "(2007), p by Fisher's z",
            "slope_interaction": "Points of craving per mL/100 g/min, treatment arm minus control arm, in one regression "
            "with arm and covariates; a residual variance for each arm; interval by the t distribution, p by permutation of t (Freedman "
            "& Lane)",
        },
    },
    "estimate": "Correlation, difference of correlations, or difference of slopes",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "bca_low": "Lower end of the 95 % BCa bootstrap interval, participants drawn within arms",
    "bca_high": "Upper end of the 95 % BCa bootstrap interval",
    "without_one_low": "Least estimate with one participant left out",
    "without_one_high": "Greatest estimate with one participant left out",
    "p": "Two-sided p, uncorrected: by permutation of participants (within arms), the observed order counted; for "
    "pearson_difference by Fisher's z",
    "p_t": "Two-sided p by the t distribution, uncorrected; over both arms with a residual variance of craving for each, "
    "and n/a for the percentage bend correlation, which has no such form",
    "variance_ratio": "Residual variance of craving in the treatment arm over that in the control arm (pearson over both "
    "arms, slope_interaction)",
    "n": "Participants with both values",
    "adjusted_for": "What was regressed out of both variables",
    "role": {
        "Description": "What the row is for",
        "Levels": {
            "tested": "A test of the family, whose p is corrected",
            "described": "Stands beside the tests: estimate, interval and uncorrected p, of which none is a test",
        },
    },
    "family": "Tests that were corrected together: the declared test of every region, or all; n/a for a description",
    "family_size": "Number of tests in the family; one that could not be answered stays in it",
    "p_holm": "p corrected for the family by Holm's method (family-wise error); n/a for a description",
    "p_fdr": "p corrected for the family by the method of Benjamini and Hochberg (false discovery rate); n/a for a "
    "description",
    "p_max": "p corrected for the family by permutation: share of orders in which the largest absolute correlation of the "
    "family reaches this one; n/a for comparisons of the arms and for a description",
    "region_of": {
        "Description": "Whose region each participant's CBF was read from",
        "Levels": {
            "all": "One region for all participants",
            "others": "The cluster found again without the participant, which takes the bias of selection out of the "
            "correlation; the permutations are valid since craving took no part in the choice",
        },
    },
    "roi_defined_by_same_data": "true: the region is a cluster of an analysis of this trial, so that its CBF was "
    "chosen by the data it is tested on; take such a correlation as a description",
    "note": "Why a value is n/a",
}


def columns(outcome: Outcome) -> dict[str, Any]:
    """The columns of a score's table, as a data dictionary has them."""
    described = {
        name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()
    }
    return described if outcome == CRAVING else {name: _renamed(text, outcome) for name, text in described.items()}


def _renamed(text: Any, outcome: Outcome) -> Any:
    """Texts that name the score in the place of craving."""
    if isinstance(text, dict):
        return {name: _renamed(part, outcome) for name, part in text.items()}
    for old, new in ((CRAVING.unit, outcome.unit), (CRAVING.words, outcome.words), ("craving", outcome.words)):
        text = text.replace(old, new)
    return text
