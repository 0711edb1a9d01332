"""Unthresholded maps of the analyses for NeuroVault, which shares them, with the table that it asks for."""

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables

# Of NeuroVault's fields those that a run knows, in the table's order; the cognitive paradigm is left for the authors.
COLUMNS = (
    "Filename",
    "name",
    "description",
    "map_type",
    "modality",
    "analysis_level",
    "number_of_subjects",
    "statistic_parameters",
    "contrast_definition",
    "target_template_image",
    "cognitive_paradigm_cogatlas",
)
# NeuroVault takes no longer definition of a contrast.
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class AnalysisMaps:
    """The maps of an analysis, and what was tested.

    Attributes
    ----------
    name : str
        The analysis' name, which the copies' names begin with.
    words : str
        What the pages call it.
    effect, t, z, inference : path-like
        Maps and ``_inference.json``.
    """

    name: str
    words: str
    effect: FilePath
    t: FilePath
    z: FilePath
    inference: FilePath


@dataclass(frozen=True, kw_only=True)
class SharedFiles:
    """Where they are written: per analysis a copy of the statistic's map and of the effect's, and the table."""

    statistics: Sequence[FilePath]
    effects: Sequence[FilePath]
    table: FilePath


def write(analyses: Sequence[AnalysisMaps], outputs: SharedFiles, *, space: str, blinded: bool) -> None:
    """Copy the maps and write their table.

    Parameters
    ----------
    analyses : sequence of AnalysisMaps
    outputs : SharedFiles
    space : str
        The template's name.
    blinded : bool
        Whether the allocation is a sham.

    Raises
    ------
    InputError
        If it is.
    """
    if blinded:
        raise InputError(
            "config",
            "blinded",
            "true",
            "the trial's own allocation: maps of a sham allocation are not for sharing",
            "Unblind the run first (blinded: false).",
        )
    rows: list[dict[str, Any]] = []
    for analysis, statistic, effect in zip(analyses, outputs.statistics, outputs.effects, strict=True):
        summary = tables.read_json(analysis.inference)
        kind, parameter = map_type(summary.get("model") or {})
        unit = summary["effect"]["unit"]
        own = [
            _row(statistic, analysis, summary, space) | {"map_type": kind, "statistic_parameters": parameter},
            _row(effect, analysis, summary, space, f" (effect, {unit})") | {"map_type": "univariate-beta map"},
        ]
        _copy(analysis.z if kind == "Z map" else analysis.t, statistic, own[0], "1")
        _copy(analysis.effect, effect, own[1], unit)
        rows += own
    with open(outputs.table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _copy(source: FilePath, copy: FilePath, row: Mapping[str, Any], unit: str) -> None:
    """Copy a map, and say in its sidecar what the table's row says."""
    shutil.copyfile(source, copy)
    uri = f"bids::{bids.place(source, Path(copy).parents[1])}"
    described = {"Description": f"{row['name']}: {row['description']}", "Units": unit, "Sources": [uri]}
    tables.write_json(bids.sidecar(copy), described)


def map_type(model: Mapping[str, Any]) -> tuple[str, float | str]:
    """NeuroVault's word for the statistic that is shared, and its degrees of freedom where one number says them.

    Parameters
    ----------
    model : mapping
        The block ``model`` of ``_inference.json``; empty for an analysis that was not run.

    Returns
    -------
    map_type : str
        ``Z map`` where the degrees of freedom differ between voxels: of z nothing else has to be known.
    statistic_parameters : float or str
        Empty for F, which has two, and for z.
    """
    df = model.get("df")
    if not isinstance(df, (int, float)) or not math.isfinite(df) or "df_range" in model:
        return "Z map", ""
    return ("F map", "") if model.get("df_tested") is not None else ("T map", float(df))


def _row(
    path: FilePath, analysis: AnalysisMaps, summary: Mapping[str, Any], space: str, what: str = ""
) -> dict[str, Any]:
    model, number = summary.get("model") or {}, len(summary["participants"])
    status = "" if summary["status"] == "run" else f" ({summary['status']})"
    tested = f"Model {model['formula']}, tested: {model.get('tested_term')}. " if "formula" in model else ""
    if model.get("df_tested") is not None:
        tested += f"Degrees of freedom {model['df_tested']} and {model['df']:g}. "
    definition = f"{summary['contrast']}: {summary['effect']['meaning']}"
    return {
        "Filename": str(path).rsplit("/", 1)[-1],
        "name": f"{analysis.words}{what}{status}",
        "description": f"{summary['effect']['meaning']}. {tested}Unthresholded, {number} participants, on {space}.",
        "modality": "Other" if "quantity" in summary else "fMRI-CBF",
        "analysis_level": "group",
        "number_of_subjects": number,
        "contrast_definition": definition if len(definition) <= _LONGEST else f"{definition[: _LONGEST - 3]}...",
        "target_template_image": "GenericMNI" if space.startswith("MNI") else "",
    }
