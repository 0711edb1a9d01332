"""The columns of the tables of an analysis' regions and parcels."""

from collections.abc import Mapping
from typing import Any

from pharmasl.statistics.detectable_effects import GOAL

REGION = {"roi": "Region of interest, as the configuration declares it"}
PARCEL = {"index": "Label of the parcel in the atlas' image", "parcel": "Name of the parcel"}

_COMMON: Mapping[str, Any] = {
    "contrast": "Contrast of conditions whose CBF is explained",
    "effect": "Tested effect; 'jointly' where the row tests all effects of the analysis together by F",
    "estimate": {"Description": "The effect; positive as the analysis' definition says"},
    "se": {"Description": "Standard error of the estimate"},
    "ci_low": {"Description": "Lower end of the confidence interval, not corrected for the number of regions"},
    "ci_high": {"Description": "Upper end of the confidence interval, not corrected for the number of regions"},
    "statistic": "t, F (several effects together), or v (t with a residual variance per arm)",
    "value": "Value of that statistic",
    "df_effect": "Degrees of freedom of the effect: 1 of t and v",
    "df": "Degrees of freedom of the residual variance",
    "p": "Uncorrected p by the distribution of the statistic; n/a where it is withheld",
    "p_fwe": {"Description": "p corrected over the regions of this table: family-wise error; n/a where p is withheld"},
    "corrected_by": {
        "Description": "How p_fwe was corrected",
        "Levels": {
            "max-T": "largest statistic over the regions in each relabelling of the analysis' maps",
            "Bonferroni": "p times the number of regions: a participant lacks a value in this one",
            "Holm": "Holm's step-down method: the analysis has no relabellings",
        },
    },
    "p_holm": "p corrected over the same regions by Holm's method, a check that needs no relabelling",
    "significant": "yes: p_fwe is at most the analysis' alpha; n/a where there is none",
    "hedges_g": "Hedges' g: the estimate in residual standard deviations, without small-sample bias; n/a for slopes",
    "hedges_g_low": "Lower end of its confidence interval, by the noncentral t distribution",
    "hedges_g_high": "Upper end of its confidence interval",
    "percent": {
        "Description": "The estimate in percent of the participants' mean CBF at baseline in the region",
        "Units": "%",
    },
    "detectable": {
        "Description": "Smallest true effect, of either sign, for which a test with this standard error, these degrees of freedom and this critical "
        "value is significant with the probability Power: what the design could find, not power at the estimate; n/a of several effects "
        "together, and where p is"
    },
    "detectable_low": {
        "Description": "Lower end of its confidence interval, by the chi-square distribution of the residual variance"
    },
    "detectable_high": {"Description": "Upper end of its confidence interval"},
    "critical": "The t from which on p is significant after its correction; of Holm's method, at its first step",
    "n": "Participants fitted",
    "defined_by_same_data": "true: the region is a cluster of an analysis of this trial, chosen by the data it is tested on: "
    "its estimate is a description, and its p is withheld",
    "note": "Why something is n/a, and who is lacking",
}


def columns(
    which: Mapping[str, Any], *, unit: str, alpha: float, size: int, complete: int, relabelling: Mapping[str, Any]
) -> dict[str, Any]:
    """The data dictionary of a table.

    Parameters
    ----------
    which : mapping
        :data:`REGION` or :data:`PARCEL`.
    unit : str
        Of the estimates.
    alpha : float
    size, complete : int
        Regions over which p are corrected, and those in which every participant has a value.
    relabelling : mapping
        ``relabellings``, ``seed`` and ``smallest_p``; empty where there are none.

    Returns
    -------
    dict
    """
    common = {name: dict(text) if isinstance(text, Mapping) else text for name, text in _COMMON.items()}
    for name in ("estimate", "se", "ci_low", "ci_high", "detectable", "detectable_low", "detectable_high"):
        common[name]["Units"] = unit
    level = round(100 * (1 - alpha), 6)
    for name in ("ci_low", "ci_high", "detectable_low", "detectable_high"):
        common[name]["Level"] = f"{level:g} %"
    common["detectable"]["Power"] = GOAL
    common["p_fwe"] |= {"Regions": size, "CompleteRegions": complete, "Alpha": alpha, **relabelling}
    both = {**which, **common}
    if "parcel" in which:
        del both["defined_by_same_data"]
    return both
