"""A JSON file beside each map of an analysis: what its values are, in which unit, and where its threshold lies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import bids, tables
from pharmasl.space import images

_LOG10 = "-log10 of the {}: 1.3 is .05, 2 is .01, and larger is stronger evidence; {}"
_FAMILY_WISE = _LOG10.format("family-wise corrected p of {}", "corrected over the search volume (mask)")
# What each map of an analysis holds, by the name of the rule's output, and its unit (None: the effect's own).
_MAPS = {
    "effect": ("Estimate of the tested effect", None),
    "percent": ("Estimate of the tested effect in percent of the mean baseline CBF", "%"),
    "hedges_g": ("Estimate of the tested effect as Hedges' g", "1"),
    "called": (
        "Smallest estimate of the tested effect, without its sign, that would have been called significant: a height of the test (Criterion) times the "
        "voxel's standard error. Where a true effect is of this size, its estimate reaches that height in about half of studies",
        None,
    ),
    "t": ("t of the tested effect (v where each arm has a variance of its own)", "1"),
    "z": ("z with the same p as the t of the tested effect", "1"),
    "tfce": ("Threshold-free cluster enhancement of t, with t's sign", "1"),
    "voxel_pfwe": (_FAMILY_WISE.format("the voxel's statistic"), "1"),
    "cluster_pfwe": (_FAMILY_WISE.format("the extent of the voxel's cluster; 0 outside clusters"), "1"),
    "mass_pfwe": (_FAMILY_WISE.format("the mass of the voxel's cluster; 0 outside clusters"), "1"),
    "tfce_pfwe": (_FAMILY_WISE.format("the voxel's enhanced value"), "1"),
    "verdict": (
        _LOG10.format(
            "corrected p of the statistic that decides the analysis, or its q",
            "which one stands in the file of Details",
        ),
        "1",
    ),
    "qfdr": (_LOG10.format("q of the voxel", "false discovery rate over the voxels of the search volume (mask)"), "1"),
}
# With the voxel's own baseline among the terms the residual standard deviation is smaller than that of the outcome.
_ADJUSTED_G = (
    "Estimate of the tested effect as Hedges' g, in standard deviations of what the model with its maps leaves of the outcome",
    "1",
)
# The same where several effects are tested together.
_OF_F = {
    "effect": ("Of the tested effects the estimate that is largest in absolute value, with its sign", None),
    "percent": ("That estimate in percent of the mean baseline CBF", "%"),
    "hedges_g": ("Empty: several effects tested together have no one standardised difference", "1"),
    "called": ("Empty: several effects tested together have no one size", None),
    "t": ("F of the tested effects together", "1"),
    "z": ("z with the upper tail probability of F; 0 where that is a half or more", "1"),
    "tfce": ("Threshold-free cluster enhancement of F", "1"),
}


@dataclass(frozen=True)
class Sources:
    """What the maps of an analysis or a conjunction were made from.

    Attributes
    ----------
    maps : sequence of path-like
        The contrast maps of those analysed, or the maps of the analyses.
    template_mask : path-like
        Of the template on whose grid they lie, ``tpl-<space>_...``.
    """

    maps: Sequence[FilePath]
    template_mask: FilePath

    def block(self, details: FilePath) -> dict[str, Any]:
        """BIDS URIs of the maps, and the template's space, where ``details`` lies in ``group/<analysis>``."""
        root, space = Path(details).parents[2], images.space_name(self.template_mask)
        return {
            **({"Space": space} if space else {}),
            "SpatialReference": f"bids::{bids.place(self.template_mask, root)}",
            "Sources": [f"bids::{bids.place(path, root)}" for path in self.maps],
        }


def intent(name: str, model: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """The NIfTI intent of a map and its parameters.

    Parameters
    ----------
    name : str
        Of the rule's output: ``t``, ``voxel_pfwe`` ...
    model : mapping
        The block ``model`` of ``_inference.json``; empty for an analysis that was not run.

    Returns
    -------
    intent : str
        ``none`` where no intent is true: a t whose degrees of freedom differ between voxels, enhanced values.
    parameters : tuple of float
        Degrees of freedom of t and F.
    """
    df = model.get("df")
    if name == "t" and isinstance(df, (int, float)) and math.isfinite(df) and "df_range" not in model:
        if (tested := model.get("df_tested")) is not None:
            return "f test", (float(tested), float(df))
        return "t test", (float(df),)
    if name.endswith("pfwe") or name in ("qfdr", "verdict"):
        return "log10 p value", ()
    return {
        "z": "z score",
        "effect": "estimate",
        "percent": "estimate",
        "hedges_g": "estimate",
        "called": "estimate",
    }.get(name, "none"), ()


def write(outputs: Any, summary: Mapping[str, Any], sources: Sources) -> None:
    """Write the sidecars of an analysis' maps, of the search volume and of the clusters.

    Parameters
    ----------
    outputs : object
        An attribute for each map, with its path.
    summary : mapping
        Content of the analysis' ``_inference.json``: ``status``, ``contrast``, ``effect``, ``alpha`` and, if it was run,
        ``model``.
    sources : Sources
    """
    model = summary.get("model") or {}
    common = {
        "Status": summary["status"],
        "Contrast": summary["contrast"],
        "Effect": summary["effect"]["meaning"],
        "Participants": len(summary["participants"]),
        "Details": Path(outputs.inference).name,
        **sources.block(outputs.inference),
    }
    texts = dict(_MAPS)
    if model.get("df_tested") is not None:
        texts |= _OF_F
    elif model.get("maps"):
        texts["hedges_g"] = _ADJUSTED_G
    for name, (text, unit) in texts.items():
        content = {"Description": text, "Units": unit or summary["effect"]["unit"], **common}
        if "formula" in model:
            content["Model"], content["TestedTerm"] = model["formula"], model.get("tested_term")
        if name == "t" and isinstance(model.get("df"), (int, float)) and math.isfinite(model["df"]):
            content["DegreesOfFreedom"] = model["df"]
            if model.get("df_tested") is not None:
                content["DegreesOfFreedom"] = [model["df_tested"], model["df"]]
        if name == "called":
            content |= _criterion(summary.get("smallest_called") or {"status": summary["status"]})
        if text.startswith("-log10"):
            content |= {"Alpha": summary["alpha"], "Threshold": round(-math.log10(summary["alpha"]), 6)}
        tables.write_json(bids.sidecar(getattr(outputs, name)), content)
    tables.write_json(
        bids.sidecar(outputs.mask), {"Description": "Search volume: 1 where the effect was tested", **common}
    )
    tables.write_json(
        bids.sidecar(outputs.clusters),
        {"Description": "Number of the voxel's cluster in the table of clusters, largest first; 0 outside", **common},
    )


def _criterion(called: Mapping[str, Any]) -> dict[str, Any]:
    """From where on the test calls, or why the map is empty."""
    if called["status"] != "known":
        return {"Criterion": called["status"]}
    return {
        "Criterion": called["criterion"],
        "CriticalHeight": called["height"],
        "CriticalHeightScale": called["scale"],
        "DecidingStatistic": called["statistic"],
    }


def write_conjunction(outputs: Any, analyses: Sequence[str], alpha: float, sources: Sources) -> None:
    """Write the sidecars of a conjunction's two maps, which are made from the z and the deciding p of its analyses."""
    common = {
        "Analyses": list(analyses),
        "Details": Path(outputs.inference).name,
        **sources.block(outputs.inference),
    }
    tables.write_json(
        bids.sidecar(outputs.z),
        {"Description": "The z nearest to 0 where all analyses have one sign, 0 elsewhere", "Units": "1", **common},
    )
    text = _LOG10.format("largest of the analyses' deciding p", "of an effect in every one of them")
    threshold = {"Alpha": alpha, "Threshold": round(-math.log10(alpha), 6)}
    tables.write_json(bids.sidecar(outputs.pfwe), {"Description": text, "Units": "1", **common, **threshold})
