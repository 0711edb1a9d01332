"""The effect of an analysis on global CBF: its model with a scan's mean over the brain, or over grey matter, in place of a voxel.

Always absolute, also where the analysis is of relative CBF or adjusts for global CBF: what those take out of the maps is what
stands here. Columns of global CBF itself, and of maps that have no mean in the table of global CBF, are left out of the model.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.group.model import Model
from pharmasl.regions import region_columns, region_models, value_models, visit_values
from pharmasl.regions.region_models import Question
from pharmasl.regions.value_models import Family, RegionTest
from pharmasl.regions.visit_values import VisitValues
from pharmasl.study import map_terms, relative_cbf

REFERENCES = tuple(relative_cbf.REFERENCES)
_REFERENCE = {
    "reference": {
        "Description": "Where the mean of a scan is taken",
        "Levels": {
            "brain": "The template's brain",
            "grey_matter": "The template's voxels that are mostly grey matter",
        },
    }
}
# Of a family of regions; here each mean is told by itself.
_OF_FAMILIES = ("p_fwe", "corrected_by", "p_holm", "significant", "defined_by_same_data")


@dataclass(frozen=True, kw_only=True)
class GlobalEffectFiles:
    """What is read.

    Attributes
    ----------
    design, inference : path-like
        The analysis' ``_design.tsv`` and ``_inference.json``.
    global_values : path-like
        ``contrasts/global_values.tsv``.
    """

    design: FilePath
    inference: FilePath
    global_values: FilePath


def without(model: Model, terms: Sequence[str]) -> Model:
    """A model without the columns that some terms are part of.

    Parameters
    ----------
    model : Model
    terms : sequence of str
        Such as ``global`` or ``gm``.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If a tested effect has a weight on such a column.
    """
    voxelwise = model.voxelwise or ((),) * len(model.names)
    parts = [{*name.split(":"), *maps} for name, maps in zip(model.names, voxelwise)]
    kept = np.array([not own & set(terms) for own in parts])
    if kept.all():
        return model
    if np.any(model.weights[:, ~kept]):
        raise ValueError(f"{' and '.join(terms)} is what the analysis tests")
    return dataclasses.replace(
        model,
        names=[name for name, is_kept in zip(model.names, kept) if is_kept],
        matrix=model.matrix[:, kept],
        weights=model.weights[:, kept],
        voxelwise=tuple(maps for maps, is_kept in zip(voxelwise, kept) if is_kept) if model.voxelwise else (),
    )


def write(files: GlobalEffectFiles, table_path: FilePath, question: Question) -> None:
    """Write the effect of an analysis on global CBF.

    Parameters
    ----------
    files : GlobalEffectFiles
    table_path : path-like
        The table to write: a row per reference, of several effects more; none where the analysis was not run.
    question : pharmasl.regions.region_models.Question

    Raises
    ------
    InputError
        If the table of global CBF has no value of a visit that the analysis takes.
    """
    block = tables.read_json(files.inference)
    rows: list[dict[str, Any]] = []
    if block["status"] == "run":
        model, values = Model.read(files.design, block), references(GlobalValues.read(files.global_values))
        left_out = _left_out(model)
        try:
            own = without(model, left_out)
        except ValueError as error:
            reason = RegionTest(participants=[], note=f"not tested: {error}")
            family, means = Family(tests=(reason,) * len(REFERENCES), size=0, complete=0), [np.nan] * len(REFERENCES)
        else:
            family = region_models.family_of(own, values, question)
            means = list(region_models.baselines(own, values, question))
        for names, test, mean in zip(values.names, family.tests, means):
            note = "; ".join(filter(None, [test.note, f"not adjusted for {', '.join(left_out)}" if left_out else None]))
            critical = value_models.bonferroni_t(test.df, 1, question.analysis.inference)
            test = dataclasses.replace(test, note=note or None, critical=critical)
            common = {**names, "contrast": question.analysis.contrast}
            rows += [{**common, **row} for row in region_models.test_rows(test, False, mean, question)]
    columns = dictionary(block, question)
    tables.write_table(table_path, [{name: row.get(name) for name in columns} for row in rows], columns)


def _left_out(model: Model) -> list[str]:
    """The terms that a model of global CBF does not have: global CBF itself, and maps without a mean in its table."""
    maps = [name for name in model.maps if name in (map_terms.GREY_MATTER, map_terms.TRANSIT_TIME)]
    is_global = any(map_terms.GLOBAL in name.split(":") for name in model.names)
    return [*([map_terms.GLOBAL] if is_global else []), *maps]


def references(values: GlobalValues) -> VisitValues:
    """The global CBF of all visits as the values of two regions, the brain and grey matter."""
    return visit_values.of_references(
        {key: [_number(row[name]) for name in REFERENCES] for key, row in values.values.items()},
        REFERENCES,
        values.path,
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def dictionary(block: Mapping[str, Any], question: Question) -> dict[str, Any]:
    """The data dictionary of the table.

    Parameters
    ----------
    block : mapping
        Content of the analysis' ``_inference.json``.
    question : pharmasl.regions.region_models.Question
    """
    unit = block["effect"]["unit"]
    if "cbf_unit" in block:
        unit = unit.replace(block["cbf_unit"], relative_cbf.CBF_UNIT, 1)
    columns = region_columns.columns(
        _REFERENCE, unit=unit, alpha=question.analysis.inference.alpha, size=0, complete=0, relabelling={}
    )
    columns = {name: text for name, text in columns.items() if name not in _OF_FAMILIES}
    columns["contrast"] = (
        "Contrast of conditions whose global CBF is explained; absolute also where it is of relative CBF"
    )
    columns["critical"] = "The t from which on p is significant, not corrected for the two references"
    columns["p"] = "p by the distribution of the statistic, not corrected for the two references"
    return columns
