"""The maps depth of a planned trial's power, from the assumptions and the study's configuration."""

from collections.abc import Iterator

from pharmasl.errors import InputError, InputErrors, did_you_mean, similar
from pharmasl.statistics.trial_assumptions import PlannedTest
from pharmasl.study import planned_tests, settings
from pharmasl.study.effect_kinds import DIFFERENCES
from pharmasl.study.map_assumptions import ABSOLUTE, MapAssumptions, Place
from pharmasl.study.planned_maps import PlannedMaps
from pharmasl.study.power_assumptions import Assumptions, PlannedOutcome
from pharmasl.study.settings import RegionDefinition, Settings


def read(assumptions: Assumptions, study: Settings) -> list[PlannedMaps]:
    """The maps depth of each outcome that says where its effect may be.

    Parameters
    ----------
    assumptions : Assumptions
    study : Settings
        Of the planned study.

    Returns
    -------
    list of PlannedMaps

    Raises
    ------
    InputErrors
        If the assumptions say nothing of maps or places; for a region that is not declared, or is a cluster of the study's own
        results; an analysis that is not by permutation of differences; a contrast of CBF that is scaled already; sessions that
        correlate negatively.
    """
    if assumptions.maps is None:
        raise InputError(
            assumptions.file,
            "maps",
            "nothing",
            "what is assumed of the maps: smoothness, global_share, mean",
            "Copy the section from config/power.yaml; without --maps the power in a region is reckoned.",
        )
    outcomes = [outcome for outcome in assumptions.outcomes if outcome.places]
    if not outcomes:
        raise InputError(
            assumptions.file,
            "outcomes",
            "no places",
            "places of an outcome: where its effect may be",
            "Add such as places: {dlPFC: {sphere: [42, 36, 28], radius: 12}}.",
        )
    problems = [problem for outcome in outcomes for problem in _problems(outcome, assumptions, study)]
    if problems:
        raise InputErrors(problems)
    return [_planned(outcome, assumptions, assumptions.maps, study) for outcome in outcomes]


def _problems(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> Iterator[InputError]:
    file, field = assumptions.file, f"outcomes.{outcome.name}"
    # Whether there is such an analysis, and whether it compares the arms.
    planned_tests.question(outcome, assumptions, study)
    analysis = study.analyses[outcome.answer]
    contrast = study.contrasts[analysis.contrast]
    if analysis.method != DIFFERENCES:
        fix = "Name an analysis of method differences; without --maps the power in a region is reckoned."
        stated = f"{analysis.name}, by {analysis.method}"
        yield InputError(file, f"{field}.analysis", stated, "a test by permutation", fix)
    if not contrast.is_absolute:
        fix = "Name an analysis of absolute CBF: what scaling does is shown beside it."
        yield InputError(file, f"{field}.analysis", f"{analysis.name}, of relative CBF", "one of absolute CBF", fix)
    if outcome.spread and outcome.spread.correlation.value < 0:
        stated = f"{outcome.spread.correlation.value:g}"
        fix = "Take places out of the outcome, or another correlation."
        yield InputError(file, f"{field}.correlation", stated, "0 or more, for maps to be drawn", fix)
    for place in outcome.places.values():
        yield from _place(place, f"{field}.places.{place.name}", assumptions, study)
    if analysis.within is not None and study.rois[analysis.within].analysis is not None:
        fix = "Name another analysis, or declare the region without data."
        yield InputError(file, f"{field}.analysis", f"a search within {analysis.within}", "a region without data", fix)


def _place(place: Place, field: str, assumptions: Assumptions, study: Settings) -> Iterator[InputError]:
    is_sphere = place.sphere is not None and place.radius is not None
    is_part = (place.sphere is None) != (place.radius is None)
    if is_part or is_sphere == (place.region is not None):
        named = ", ".join(name for name in ("region", "sphere", "radius") if getattr(place, name) is not None)
        fix = "Write for example {sphere: [42, 36, 28], radius: 12}."
        yield InputError(assumptions.file, field, named or "nothing", "region, or sphere with radius", fix)
    elif place.region is not None and place.region not in study.rois:
        fix = did_you_mean(similar(place.region, study.rois), "Name a region of the configuration.")
        expected = f"one of {', '.join(study.rois) or 'no region'} ({assumptions.study})"
        yield InputError(assumptions.file, f"{field}.region", place.region, expected, fix)
    elif place.region is not None and study.rois[place.region].analysis is not None:
        stated = f"{place.region}, a cluster of {study.rois[place.region].analysis}"
        fix = "Before the study it is nowhere: take a sphere or a label of the atlas."
        yield InputError(assumptions.file, f"{field}.region", stated, "a region that needs no data", fix)


def _definition(place: Place, study: Settings) -> RegionDefinition:
    if place.region is not None:
        return study.rois[place.region].definition
    return settings.build(RegionDefinition, {"sphere": place.sphere, "radius": place.radius})


def _planned(
    outcome: PlannedOutcome, assumptions: Assumptions, assumed: MapAssumptions, study: Settings
) -> PlannedMaps:
    question = planned_tests.question(outcome, assumptions, study)
    test, spread = question.test, outcome.spread
    # Places are refused where there is no analysis, which has both.
    assert isinstance(test, PlannedTest)
    assert spread is not None
    analysis = study.analyses[outcome.answer]
    is_cbf = study.quantity.is_cbf and study.contrasts[analysis.contrast].is_cbf
    assert study.arms is not None
    return PlannedMaps(
        outcome=outcome.name,
        unit=question.unit,
        analysis=analysis,
        arms=study.arms,
        sizes=assumptions.complete(assumptions.retained(outcome).value),
        method=test.method,
        covariates=test.covariates,
        region_alpha=test.alpha,
        sd=spread.planned_sd,
        correlation=spread.correlation.value,
        effects=(0.0, *sorted({outcome.effect, *outcome.others})),
        places={name: _definition(place, study) for name, place in outcome.places.items()},
        within=None if analysis.within is None else study.rois[analysis.within].definition,
        edge=study.perfusion.smoothing_fwhm,
        scalings=assumed.scalings if is_cbf else (ABSOLUTE,),
        drawing=assumed.drawing,
    )
