"""An analysis' model in every declared region and in every parcel of the atlas, from files to two tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.files.bids import bare_label
from pharmasl.group import results, verdict
from pharmasl.group.model import Model
from pharmasl.regions import mixed_values, region_columns, value_models
from pharmasl.regions.value_models import Estimate, Family, RegionTest, Values
from pharmasl.study.effect_kinds import MIXED_MODEL
from pharmasl.study.settings import Analysis

# The one map of a model whose value in a region is in the same table as the outcome.
_BASELINE = "baseline"
_CHOSEN = "a cluster of an analysis of this trial, chosen by these data: a description, p withheld"
_JOINTLY = "jointly"


@dataclass(frozen=True, kw_only=True)
class RegionFiles:
    """What is read.

    Attributes
    ----------
    design, inference : path-like
        The analysis' ``_design.tsv`` and ``_inference.json``.
    region_values, sidecars : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json`` of the declared regions, in one order.
    parcels : path-like
        The parcels' values.
    """

    design: FilePath
    inference: FilePath
    region_values: Sequence[FilePath]
    sidecars: Sequence[FilePath]
    parcels: FilePath


@dataclass(frozen=True, kw_only=True)
class RegionTables:
    """What is written."""

    regions: FilePath
    parcels: FilePath


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of the regions.

    Attributes
    ----------
    analysis : pharmasl.study.settings.Analysis
    sessions : mapping
        ``baseline`` and ``followup`` (or others) to session labels.
    is_cbf : bool
        Whether the contrast is a CBF, of which a percentage has a meaning.
    """

    analysis: Analysis
    sessions: Mapping[str, str]
    is_cbf: bool

    @property
    def seed(self) -> str | None:
        """The seed region, whose own change is the predictor."""
        return None if self.analysis.seed is None else self.analysis.seed.roi


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Regions of one table: a column of values per region, and what names each.

    Attributes
    ----------
    names : list of dict
        The columns that name a region.
    values : DataFrame
        CBF of the analysis' contrast by participant and session (rows, bare labels) and region (columns, their places).
    chosen : ndarray of bool
        Whether a region is a cluster of an analysis of this trial.
    """

    names: list[dict[str, Any]]
    values: pd.DataFrame
    chosen: np.ndarray


def write(files: RegionFiles, outputs: RegionTables, question: Question) -> None:
    """Test the analysis' model in the declared regions and in the parcels, and write both tables.

    Parameters
    ----------
    files : RegionFiles
    outputs : RegionTables
    question : Question

    Raises
    ------
    InputError
        If a table holds no value of a visit that the analysis takes.
    """
    block = tables.read_json(files.inference)
    model = Model.read(files.design, block) if block["status"] == "run" else None
    for path, which, read in (
        (outputs.regions, region_columns.REGION, _declared),
        (outputs.parcels, region_columns.PARCEL, _parcels),
    ):
        rows: list[dict[str, Any]] = []
        family = Family(tests=(), size=0, complete=0)
        if model is not None:
            table = read(files, question)
            family = _test(model, table, question)
            for names, chosen, one, mean in zip(
                table.names, table.chosen, family.tests, _baselines(model, table, question)
            ):
                common = {**names, "contrast": question.analysis.contrast}
                if "roi" in names:
                    common["defined_by_same_data"] = bool(chosen)
                rows += [{**common, **row} for row in _rows(one, bool(chosen), mean, question)]
        tables.write_table(path, rows, _dictionary(which, family, block, question))


def _dictionary(
    which: Mapping[str, str], family: Family, block: Mapping[str, Any], question: Question
) -> dict[str, Any]:
    relabelling = {}
    if family.relabellings is not None:
        seed = question.analysis.inference.seed
        relabelling = {"Relabellings": family.relabellings, "Seed": seed, "SmallestP": family.smallest_p}
    return region_columns.columns(
        which,
        unit=block["effect"]["unit"],
        alpha=question.analysis.inference.alpha,
        size=family.size,
        complete=family.complete,
        relabelling=relabelling,
    )


def _long(frame: pd.DataFrame, key: str, contrast: str) -> pd.DataFrame:
    """Values of a contrast, a row per participant, session and region."""
    own = frame[frame["contrast"] == contrast]
    return pd.DataFrame(
        {
            "participant": [bare_label(name, "sub") for name in own["participant_id"]],
            "session": ["" if pd.isna(name) else bare_label(name, "ses") for name in own["session_id"]],
            "region": own[key].to_numpy(),
            "cbf": own["cbf"].astype(float).to_numpy(),
        }
    )


def _wide(long: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """One column per region, in their order."""
    wide = long.pivot(index=["participant", "session"], columns="region", values="cbf")
    return wide.reindex(columns=list(regions))


def _declared(files: RegionFiles, question: Question) -> _Table:
    """The declared regions, but for the seed."""
    names, chosen, own = [], [], list[tables.Row]()
    for values, sidecar in zip(files.region_values, files.sidecars, strict=True):
        roi = Path(values).name.removesuffix("_values.tsv")
        if roi != question.seed:
            names.append(roi)
            own += tables.read_table(values)
            chosen.append(bool(tables.read_json(sidecar)["analysis_defined"]))
    columns = ["participant_id", "session_id", "contrast", "roi", "cbf"]
    long = _long(pd.DataFrame(own, columns=columns), "roi", question.analysis.contrast)
    return _Table(
        names=[{"roi": name} for name in names],
        values=_wide(long, names),
        chosen=np.array(chosen, dtype=bool),
    )


def _parcels(files: RegionFiles, question: Question) -> _Table:
    """The atlas' parcels, in the order of their labels."""
    # By pandas: of a large trial the table has a million rows.
    frame = pd.read_csv(files.parcels, sep="\t", dtype=str, keep_default_na=False, na_values=[tables.MISSING])
    known = dict(zip(frame["label"], frame["parcel"]))
    return _Table(
        names=[{"label": int(label), "parcel": name} for label, name in known.items()],
        values=_wide(_long(frame, "label", question.analysis.contrast), list(known)),
        chosen=np.zeros(len(known), dtype=bool),
    )


def _at(table: _Table, question: Question, model: Model, which: str) -> np.ndarray:
    """The regions' values of the model's participants at a session, shape (n, R); NaN where missing."""
    label = question.sessions.get(which, which)
    visits = [(bare_label(name, "sub"), bare_label(label, "ses")) for name in model.participants]
    return _visits(table, visits)


def _visits(table: _Table, visits: Sequence[tuple[str, str]]) -> np.ndarray:
    if missing := [visit for visit in visits if visit not in table.values.index]:
        raise InputError(
            file="the table of values",
            field="participant_id, session_id",
            found=f"no row of {', '.join('sub-{} ses-{}'.format(*visit) for visit in missing[:3])}",
            expected="a row for each visit that the analysis takes",
            fix="Make the table again.",
        )
    return table.values.reindex(pd.MultiIndex.from_tuples(visits)).to_numpy(dtype=np.float64)


def _outcome(model: Model, table: _Table, question: Question) -> np.ndarray:
    """What the model explains, of each of its rows and each region, shape (n, R)."""
    if model.sessions is not None:
        labels = [question.sessions.get(name, name) for name in model.session_labels]
        visits = [
            (bare_label(name, "sub"), bare_label(labels[number], "ses"))
            for name, number in zip(model.participants, model.sessions)
        ]
        return _visits(table, visits)
    if model.outcome == "change":
        return _at(table, question, model, "followup") - _at(table, question, model, "baseline")
    return _at(table, question, model, model.outcome)


def _test(model: Model, table: _Table, question: Question) -> Family:
    """The tests of all regions of a table."""
    if not table.names:
        return Family(tests=(), size=0, complete=0)
    if lacking := [name for name in model.maps if name != _BASELINE]:
        reason = f"not tested: {', '.join(lacking)} of the model is a map that is not read in regions"
        return Family(tests=(RegionTest(participants=[], note=reason),) * len(table.names), size=0, complete=0)
    maps = {name: _at(table, question, model, "baseline") for name in model.maps}
    values = Values(outcome=_outcome(model, table, question), maps=maps)
    inference, tested = question.analysis.inference, ~table.chosen
    if question.analysis.method == MIXED_MODEL:
        return mixed_values.test(model, values, inference, tested)
    return value_models.test(model, values, inference, tested)


def _baselines(model: Model, table: _Table, question: Question) -> np.ndarray:
    """Mean CBF at baseline of the model's participants, shape (R,); NaN where a percentage has no meaning."""
    if not table.names or not question.is_cbf or model.kind.is_slope or "baseline" not in question.sessions:
        return np.full(len(table.names), np.nan)
    people = model
    if model.sessions is not None:
        people = model.of_rows(model.sessions == 0)
    values = _at(table, question, people, "baseline")
    known = np.isfinite(values)
    return np.divide(
        np.nansum(values, axis=0), known.sum(axis=0), out=np.full(len(table.names), np.nan), where=known.any(axis=0)
    )


def _rows(one: RegionTest, chosen: bool, baseline: float, question: Question) -> Iterator[dict[str, Any]]:
    """The rows of one region: its test, and below a test of several effects each of them."""
    notes = [note for note in (_CHOSEN if chosen else None, one.note) if note]
    row: dict[str, Any] = {"n": len(one.participants), "note": "; ".join(notes) or None}
    joint = one.statistic == "F"
    whole = {
        "statistic": one.statistic if one.estimates else None,
        "value": one.value,
        "df_effect": None if math.isnan(one.df_effect) else int(one.df_effect),
        "df": one.df,
        "p": one.p,
        "p_fwe": one.p_corrected,
        "corrected_by": one.corrected_by,
        "p_holm": one.p_holm,
    }
    if math.isfinite(one.p_corrected):
        whole["significant"] = "yes" if verdict.passes(one.p_corrected, question.analysis.inference.alpha) else "no"
    if chosen:
        whole |= dict.fromkeys(("p", "p_fwe", "corrected_by", "p_holm", "significant"))
    if joint:
        yield {**row, **whole, "effect": _JOINTLY}
        for estimate in one.estimates:
            alone = {"statistic": "t", "value": estimate.t, "df_effect": 1, "df": one.df}
            yield {**row, **alone, "p": None if chosen else estimate.p, **_sizes(estimate, baseline)}
    elif one.estimates:
        yield {**row, **whole, **_sizes(one.estimates[0], baseline)}
    else:
        yield row


def _sizes(estimate: Estimate, baseline: float) -> dict[str, Any]:
    """An estimate's columns."""
    return {
        "effect": estimate.name,
        "estimate": estimate.value,
        "se": estimate.se,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "hedges_g": estimate.g,
        "hedges_g_low": estimate.g_low,
        "hedges_g_high": estimate.g_high,
        "percent": float(results.percent(np.array(estimate.value), np.array(baseline))),
    }
