"""An analysis' model in every declared region and in every parcel of the atlas, from files to two tables."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.group import covariate_maps, results, verdict
from pharmasl.group.covariate_maps import TermFiles
from pharmasl.group.model import Model
from pharmasl.regions import mixed_values, region_columns, term_values, value_models, visit_values
from pharmasl.regions.term_values import TermMeans
from pharmasl.regions.value_models import Estimate, Family, RegionTest, Values
from pharmasl.regions.visit_values import Visit, VisitValues
from pharmasl.statistics import detectable_effects
from pharmasl.study import map_terms
from pharmasl.study.effect_kinds import MIXED_MODEL
from pharmasl.study.settings import Analysis

# Maps whose values in a region are in the same table as the outcome.
_CBF = ("baseline", "cbf")
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
    terms, masks, atlas : sequence of path-like
        For a model with other maps than CBF: these maps, as :func:`pharmasl.group.covariate_maps.term_maps` takes them; the masks of
        the regions, in their order; the atlas' image and table of names.
    """

    design: FilePath
    inference: FilePath
    region_values: Sequence[FilePath]
    sidecars: Sequence[FilePath]
    parcels: FilePath
    terms: Sequence[FilePath]
    masks: Sequence[FilePath]
    atlas: Sequence[FilePath]


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
    def own_terms(self) -> set[str]:
        """Regions whose value of the outcome's own contrast is a term of the model."""
        return {seed.roi for seed in self.analysis.seeds if seed.contrast == self.analysis.contrast}


def write(
    files: RegionFiles,
    outputs: RegionTables,
    question: Question,
    *,
    terms: Sequence[TermFiles] = (),
    members: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Test the analysis' model in the declared regions and in the parcels, and write both tables.

    Parameters
    ----------
    files : RegionFiles
    outputs : RegionTables
    question : Question
    terms : sequence of pharmasl.group.covariate_maps.TermFiles
        What ``files.terms`` are.
    members : mapping
        Session to its members.

    Raises
    ------
    InputError
        If a table holds no value of a visit that the analysis takes.
    """
    block = tables.read_json(files.inference)
    model = Model.read(files.design, block) if block["status"] == "run" else None
    maps = covariate_maps.term_maps(files.terms, terms, members)
    for path, which, read, voxels in (
        (
            outputs.regions,
            region_columns.REGION,
            lambda: visit_values.declared(files.region_values, files.sidecars),
            lambda: term_values.of_masks(files.masks),
        ),
        (
            outputs.parcels,
            region_columns.PARCEL,
            lambda: visit_values.parcels(files.parcels),
            lambda: term_values.of_atlas(files.atlas, files.terms[0]),
        ),
    ):
        rows: list[dict[str, Any]] = []
        family = Family(tests=(), size=0, complete=0)
        if model is not None:
            values = read()
            means_of = TermMeans(maps, voxels() if maps and values.names else [])
            family = family_of(model, values, question, means_of)
            for names, chosen, one, mean in zip(
                values.names, values.chosen, family.tests, baselines(model, values, question)
            ):
                common = {**names, "contrast": question.analysis.contrast}
                if "roi" in names:
                    common["defined_by_same_data"] = bool(chosen)
                rows += [{**common, **row} for row in test_rows(one, bool(chosen), mean, question)]
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


def _visits(model: Model, question: Question, which: str | None = None) -> list[Visit]:
    """The visit of each of the model's rows: at a session, or the row's own where a row is a scan."""
    if which is None and model.sessions is not None:
        labels = [question.sessions.get(name, name) for name in model.session_labels]
        return visit_values.visits(model.participants, [labels[number] for number in model.sessions])
    label = question.sessions.get(str(which), str(which))
    return visit_values.visits(model.participants, [label] * len(model.participants))


def _read(model: Model, values: VisitValues, question: Question, contrast: str, sessions: Sequence[str]) -> np.ndarray:
    """A contrast of each of the model's rows, (n, R): at one session, the change between two, or, without, of each scan."""
    at = [values.at(contrast, _visits(model, question, which)) for which in sessions or (None,)]
    return at[0] if len(at) == 1 else at[1] - at[0]


def _maps(
    model: Model, values: VisitValues, question: Question, means_of: TermMeans | None
) -> dict[str, np.ndarray] | str:
    """The maps of the model's columns in the regions, (n, R) each, or which of them are not read there."""
    formula = question.analysis.formula
    terms = {term.text: term for term in map_terms.terms(formula, question.analysis.contrast)} if formula else {}
    maps = {}
    for name in model.maps:
        if terms[name].kind in _CBF:
            maps[name] = _read(model, values, question, terms[name].contrast, terms[name].sessions)
        elif means_of is None or name not in means_of.maps:
            return name
        else:
            maps[name] = means_of(name, model.participants)
    return maps


def family_of(model: Model, values: VisitValues, question: Question, means_of: TermMeans | None = None) -> Family:
    """The tests of all regions of a table.

    Parameters
    ----------
    model : Model
    values : VisitValues
    question : Question
    means_of : pharmasl.regions.term_values.TermMeans, optional
        Means of the model's maps other than CBF; without, a model that has such maps is not tested.
    """
    if not values.names:
        return Family(tests=(), size=0, complete=0)
    maps = _maps(model, values, question, means_of)
    if isinstance(maps, str):
        lacking = RegionTest(participants=[], note=f"not tested: the map {maps} of the model is not read in regions")
        return Family(tests=(lacking,) * len(values.names), size=0, complete=0)
    sessions = {"change": ("baseline", "followup"), "cbf": ()}.get(model.outcome, (model.outcome,))
    if model.sessions is not None:
        sessions = ()
    outcome = _read(model, values, question, question.analysis.contrast, sessions)
    terms = [names.get("roi") in question.own_terms for names in values.names]
    known = Values(outcome=np.where(terms, np.nan, outcome), maps=maps)
    inference, tested = question.analysis.inference, ~values.chosen
    mixed = question.analysis.method == MIXED_MODEL
    family = (mixed_values if mixed else value_models).test(model, known, inference, tested)
    tests = [
        dataclasses.replace(one, note="not tested: its own value is a term of the model") if own else one
        for own, one in zip(terms, family.tests)
    ]
    return dataclasses.replace(family, tests=tuple(tests))


def baselines(model: Model, values: VisitValues, question: Question) -> np.ndarray:
    """Mean CBF at baseline of the model's participants, shape (R,); NaN where a percentage has no meaning.

    Parameters
    ----------
    model : Model
    values : VisitValues
    question : Question
    """
    none = np.full(len(values.names), np.nan)
    if not values.names or not question.is_cbf or model.kind.is_slope or "baseline" not in question.sessions:
        return none
    people = model if model.sessions is None else model.of_rows(model.sessions == 0)
    cbf = _read(people, values, question, question.analysis.contrast, ("baseline",))
    known = np.isfinite(cbf)
    return np.divide(np.nansum(cbf, axis=0), known.sum(axis=0), out=none, where=known.any(axis=0))


def test_rows(one: RegionTest, chosen: bool, baseline: float, question: Question) -> Iterator[dict[str, Any]]:
    """The rows of one region: its test, and below a test of several effects each of them.

    Parameters
    ----------
    one : RegionTest
    chosen : bool
        Whether the region is a cluster of an analysis of this trial.
    baseline : float
        Mean CBF at baseline, of which the effect is told in percent; NaN for none.
    question : Question
    """
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
        # A region chosen by these data has a residual variance that was chosen with it.
        smallest = {} if chosen else _detectable(one, question)
        yield {**row, **whole, **_sizes(one.estimates[0], baseline), **smallest}
    else:
        yield row


def _detectable(one: RegionTest, question: Question) -> dict[str, float]:
    """What the test could have found, as columns."""
    inference = question.analysis.inference
    effect = detectable_effects.detectable(
        abs(one.estimates[0].se), one.df, one.critical, two_sided=inference.two_sided, level=1 - inference.alpha
    )
    return {
        "detectable": effect.value,
        "detectable_low": effect.low,
        "detectable_high": effect.high,
        "critical": one.critical,
    }


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
