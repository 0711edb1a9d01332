"""The assumptions of a planned trial: a YAML file, checked, with each number's source.

The spread of a value comes from the file itself, from a preset of ``config/assumptions``, or from the table of repeatability of a
finished study.
"""

import functools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pharmasl.errors import FilePath, InputError, InputErrors, did_you_mean, nearest_path, similar
from pharmasl.files import blinding, tables
from pharmasl.statistics.trial_assumptions import Spread, Uncertain
from pharmasl.study import schemas, settings, written
from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.map_assumptions import MapAssumptions, Place

PRESETS = schemas.FOLDER.parent / "assumptions" / "literature.yaml"
REPEATABILITY = "tables/repeatability.tsv"
_FORMS = "one of preset, results, sd with correlation, within_sd with correlation"


@dataclass(frozen=True, kw_only=True)
class PlannedOutcome:
    """A planned result.

    Attributes
    ----------
    name, answer : str
        The analysis of the configuration whose model is fitted to a region's values, or the score or correlation, as ``primary`` names it.
    is_region : bool
        Whether it is an analysis.
    effect_range : pharmasl.statistics.trial_assumptions.Uncertain
        To be found, in the unit of the values; of a correlation, its size.
    others : tuple of float
        Further sizes to be looked at.
    effect_source : str
    basis : {"important", "realistic", "both"} or None
        What kind of difference the target is.
    reason : str or None
        Why the trial is planned by this result, where it is no primary answer.
    spread : pharmasl.statistics.trial_assumptions.Spread or None
        None of a correlation.
    spread_source, correlation_source : str or None
    spread_unit : str or None
        Unit of the spread, where its source has one of its own.
    caution : str or None
        What is to be said of the spread.
    places : mapping of str to Place
        Where the effect may be, the planned region first; empty where no maps are drawn.
    tests, covariates : int or None
        None where all results' assumptions or the configuration say it.
    retention : pharmasl.statistics.trial_assumptions.Uncertain or None
        Share with both values, where it is not that of all results.
    retention_source : str or None
    """

    name: str
    answer: str
    is_region: bool
    effect_range: Uncertain
    others: tuple[float, ...]
    effect_source: str
    basis: str | None
    reason: str | None
    spread: Spread | None
    spread_source: str | None
    correlation_source: str | None
    spread_unit: str | None
    caution: str | None
    places: Mapping[str, Place]
    tests: int | None
    covariates: int | None
    retention: Uncertain | None
    retention_source: str | None

    @property
    def effect(self) -> float:
        """The target."""
        return self.effect_range.value


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What a planned trial is taken to be like.

    Attributes
    ----------
    file : str
        Where they stand.
    study : str
        The planned study's configuration.
    output_dir : str
    people : tuple of int
        Randomised to treatment and to control.
    allocation_reason : str or None
        Why the arms are not equally large.
    retention : pharmasl.statistics.trial_assumptions.Uncertain
        Share with both sessions.
    retention_source : str
    power : float
        Wanted.
    tests, covariates : int or None
        Of regions; None where the configuration says it.
    scans_per_session : int
    cost_per_scan : float or None
    outcomes : tuple of PlannedOutcome
    maps : MapAssumptions or None
        None where no maps are drawn.
    """

    file: str
    study: str
    output_dir: str
    people: tuple[int, int]
    allocation_reason: str | None
    retention: Uncertain
    retention_source: str
    power: float
    tests: int | None
    covariates: int | None
    scans_per_session: int
    cost_per_scan: float | None
    outcomes: tuple[PlannedOutcome, ...]
    maps: MapAssumptions | None

    def retained(self, outcome: PlannedOutcome) -> Uncertain:
        """The share of people with both values of a result."""
        return outcome.retention or self.retention

    def complete(self, retention: float) -> tuple[int, int]:
        """People of both arms with both sessions, rounded down."""
        treatment, control = (math.floor(people * retention + 1e-9) for people in self.people)
        return treatment, control


@functools.cache
def presets() -> dict[str, Any]:
    """The presets by name: ``sd`` and ``correlation``, each with its interval and source."""
    return dict(yaml.safe_load(PRESETS.read_text(encoding="utf-8")))


def read(path: FilePath) -> Assumptions:
    """The assumptions of a file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Assumptions

    Raises
    ------
    InputError, InputErrors
        For a file that is not there, is no YAML or has a key twice; numbers that are not finite; unknown and missing fields; values out of bounds; a planning value outside its
        interval; a spread from two sources or none; a preset, results folder or region that is not there.
    """
    # A copy without parts in common: what a YAML anchor repeats is filled with each place's own defaults.
    content = schemas.as_wanted(_content(path), "power")
    errors = [*schemas.check(content, "power", path, fill=True), *written.not_finite(content, path)]
    if errors:
        raise InputErrors(errors)
    outcomes = []
    for name, part in content["outcomes"].items():
        try:
            outcomes.append(_outcome(str(name), part, path))
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
    whole = {"value": 1.0, "low": 1.0, "high": 1.0, "source": "not assumed: everyone randomised counts as complete"}
    retention = content.get("retention", whole)
    errors += _order(retention, "retention", path)
    study = Path(os.path.dirname(path), content["study"])
    if not study.is_file():
        fix = nearest_path(study, "Correct the path, which is read from the folder of the assumptions.")
        errors.append(InputError(path, "study", content["study"], "the configuration of the planned study", fix))
    if errors:
        raise InputErrors(errors)
    return Assumptions(
        file=os.fspath(path),
        study=os.fspath(study),
        output_dir=content["output_dir"],
        people=(content["people"]["treatment"], content["people"]["control"]),
        allocation_reason=content["people"].get("reason"),
        retention=_uncertain(retention),
        retention_source=retention["source"],
        power=content["power"],
        tests=content.get("tests"),
        covariates=content.get("covariates"),
        scans_per_session=content["scans_per_session"],
        cost_per_scan=content.get("cost_per_scan"),
        outcomes=tuple(outcomes),
        maps=settings.build(MapAssumptions, content["maps"]) if "maps" in content else None,
    )


def _content(path: FilePath) -> dict[str, Any]:
    if not os.path.isfile(path):
        fix = nearest_path(path, "Copy config/power.yaml, and put your own numbers in.")
        raise InputError(path, "(file)", "no such file", "assumptions, such as those of config/power.yaml", fix)
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(whole file)"
        fix = "Correct the line: mind the indentation (blanks, no tabs), the blank after each colon, and quotes round text with a colon."
        reason = str(getattr(problem, "problem", None) or problem)
        raise InputError(path, where, reason, "YAML in UTF-8", fix) from None
    if repeated := list(written.repeated_keys([path])):
        raise InputErrors(repeated)
    if not isinstance(content, dict):
        raise InputError(path, "(top level)", content, "settings, such as study: config.yaml", "See config/power.yaml.")
    return content


def _outcome(name: str, part: Mapping[str, Any], path: FilePath) -> PlannedOutcome:
    """A planned result, from the file, a preset or a finished study.

    Raises
    ------
    InputError, InputErrors
    """
    field = f"outcomes.{name}"
    named = [key for key in ("analysis", "answer") if key in part]
    if len(named) != 1:
        stated = " and ".join(named) or "neither"
        fix = "Name an analysis, for a region's values, or an endpoint or correlation as primary names it."
        raise InputError(path, field, stated, "analysis or answer", fix)
    is_region = named == ["analysis"]
    for key in ("preset", "results", "places"):
        if not is_region and key in part:
            fix = f"Take {key} out, or name an analysis."
            raise InputError(
                path, f"{field}.{key}", f"{key} of the answer {part['answer']}", f"no {key}: they are of CBF", fix
            )
    retention = part.get("retention")
    assumed = _assumed(part, field, path, is_needed=is_region)
    errors = _order(part["effect"], f"{field}.effect", path)
    if retention:
        errors += _order(retention, f"{field}.retention", path)
    if assumed:
        errors += _order(assumed.values[assumed.kind], f"{field}.{assumed.kind}", path)
        errors += _order(assumed.values["correlation"], f"{field}.correlation", path)
    if errors:
        raise InputErrors(errors)
    return PlannedOutcome(
        name=name,
        answer=part[named[0]],
        is_region=is_region,
        effect_range=_uncertain(part["effect"]),
        others=tuple(float(size) for size in part["effect"]["others"]),
        effect_source=part["effect"]["source"],
        basis=part["effect"].get("basis"),
        reason=part.get("reason"),
        spread=assumed.spread if assumed else None,
        spread_source=assumed.values[assumed.kind]["source"] if assumed else None,
        correlation_source=assumed.values["correlation"]["source"] if assumed else None,
        spread_unit=assumed.unit if assumed else None,
        caution=assumed.caution if assumed else None,
        places={
            str(place): settings.build(Place, {"name": str(place), **where})
            for place, where in part.get("places", {}).items()
        },
        tests=part.get("tests"),
        covariates=part.get("covariates"),
        retention=_uncertain(retention) if retention else None,
        retention_source=retention["source"] if retention else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Assumed:
    """How much a value varies, and from where that is known.

    Attributes
    ----------
    values : mapping
        By ``sd`` or ``within_sd`` and ``correlation``, each with its source.
    unit, caution : str or None
    """

    values: Mapping[str, Any]
    unit: str | None
    caution: str | None

    @property
    def kind(self) -> str:
        """``sd`` or ``within_sd``."""
        return "within_sd" if "within_sd" in self.values else "sd"

    @property
    def spread(self) -> Spread:
        """The same as numbers."""
        known = {kind: _uncertain(self.values[kind]) if kind in self.values else None for kind in ("sd", "within_sd")}
        return Spread(**known, correlation=_uncertain(self.values["correlation"]))


def _assumed(part: Mapping[str, Any], field: str, path: FilePath, *, is_needed: bool) -> _Assumed | None:
    """The spread of a result, from the file, a preset or a finished study; None where none is named or needed.

    Raises
    ------
    InputError
    """
    own = sorted(set(part) & {"preset", "results", "sd", "within_sd", "correlation"})
    if own == ["preset"]:
        known = presets()
        if part["preset"] not in known:
            fix = did_you_mean(similar(part["preset"], known), "Take one of them, or numbers of your own.")
            raise InputError(path, f"{field}.preset", part["preset"], f"one of {', '.join(known)}", fix)
        return _Assumed(values=known[part["preset"]], unit=CBF_UNIT, caution=None)
    if own == ["results"]:
        values, unit, caution = _of_results(part["results"], f"{field}.results", path)
        return _Assumed(values=values, unit=unit, caution=caution)
    if own in (["correlation", "sd"], ["correlation", "within_sd"]):
        return _Assumed(values={key: part[key] for key in own}, unit=None, caution=None)
    if not own and not is_needed:
        return None
    named = ", ".join(own) or "none"
    raise InputError(path, field, named, _FORMS, "Say once how much the value varies, and from where you know it.")


def _order(values: Mapping[str, Any], field: str, path: FilePath) -> list[InputError]:
    """What is wrong with a planning value and its interval."""
    low, high = values.get("low", values["value"]), values.get("high", values["value"])
    if low <= values["value"] <= high:
        return []
    return [
        InputError(
            path,
            field,
            f"{values['value']:g} with an interval of {low:g} to {high:g}",
            "a planning value within its interval",
            "Correct low, value or high.",
        )
    ]


def _uncertain(values: Mapping[str, Any]) -> Uncertain:
    value = float(values["value"])
    return Uncertain(value=value, low=float(values.get("low", value)), high=float(values.get("high", value)))


def _of_results(part: Mapping[str, Any], field: str, path: FilePath) -> tuple[dict[str, Any], str | None, str | None]:
    """The spread that a finished study's table of repeatability has, its unit, and what is to be said of it.

    Raises
    ------
    InputError
    """
    table = Path(os.path.dirname(path), part["folder"], REPEATABILITY)
    if not table.is_file():
        fix = nearest_path(Path(os.path.dirname(path), part["folder"]), "Name the results of a study of two sessions.")
        raise InputError(path, f"{field}.folder", part["folder"], f"a folder with {REPEATABILITY}", fix)
    sheet = tables.read_sheet(table)
    rows = [row for row in sheet.rows if row["contrast"] == part["contrast"]]
    if not rows:
        names = list(dict.fromkeys(str(row["contrast"]) for row in sheet.rows))
        fix = did_you_mean(similar(part["contrast"], names), "Name one of them.")
        raise InputError(path, f"{field}.contrast", part["contrast"], f"one of {', '.join(names)}", fix)
    named = [row for row in rows if row["name"] == part["region"]]
    if not named:
        names = [str(row["name"]) for row in rows if row["kind"] != "parcel"]
        near = did_you_mean(similar(part["region"], [str(row["name"]) for row in rows]), "Name one of them.")
        raise InputError(
            path, f"{field}.region", part["region"], f"one of {', '.join(names)}, or a parcel of the atlas", near
        )
    row = named[0]
    if row["within_sd"] is None or row["icc_consistency"] is None or not -1 < float(row["icc_consistency"] or 0) < 1:
        fix = "Take another region, or numbers of your own."
        raise InputError(
            table,
            f"{part['contrast']}, {part['region']}",
            row["note"] or "no values",
            "a within-person SD and an ICC",
            fix,
        )
    source = f"{row['n']} people of {table}, {part['contrast']}, {part['region']}"
    values = {
        "within_sd": {**_with_ends(row, "within_sd"), "source": source},
        "correlation": {**_with_ends(row, "icc_consistency"), "source": f"ICC(3,1) of {source}"},
    }
    cautions = []
    if row["people"] == "all" or blinding.MARK in sheet.columns:
        cautions.append(
            "people of all arms were taken together, so that what a drug changed in one arm counts as lack of repeatability"
        )
    if row["defined_by_same_data"] == "true":
        cautions.append("the region is a cluster of that study's own analysis")
    return values, row["unit"], f"{part['region']}: {'; '.join(cautions)}" if cautions else None


def _with_ends(row: Mapping[str, str | None], name: str) -> dict[str, float]:
    return {
        key: float(row[column] or "nan")
        for key, column in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high"))
    }
