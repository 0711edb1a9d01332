"""What a region, a seed or a contrast shares with what is tested against it, derived from the definitions themselves.

Contrasts are compared by the states that they take, not by their names: `rest` and `smoking - rest` share the rest scan,
whose noise then stands in both; a second name of one contrast is the same contrast. A region that is a cluster of an
analysis carries all that chose it, through however many clusters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.study.settings import Analysis, Settings

FILE = "config"


def states(study: Settings, contrast: str) -> set[str]:
    """The states whose scans a contrast takes."""
    return set(study.contrasts[contrast].weights) if contrast in study.contrasts else set()


def same(study: Settings, one: str, other: str) -> bool:
    """Whether two contrasts are one, up to a factor."""
    if one not in study.contrasts or other not in study.contrasts:
        return False
    contrasts = [study.contrasts[name] for name in (one, other)]
    scalings = {(contrast.scaling, None if contrast.is_absolute else contrast.reference) for contrast in contrasts}
    first, second = (contrast.weights for contrast in contrasts)
    if set(first) != set(second) or len(scalings) > 1:
        return False
    ratios = [first[state] / second[state] for state in first]
    return all(abs(ratio - ratios[0]) <= 1e-12 * abs(ratios[0]) for ratio in ratios)


def chain(study: Settings, region: str) -> list[str]:
    """The analyses that chose a region: the one whose cluster it is, those that chose that one's seed or search, and so on.

    Parameters
    ----------
    study : Settings
        References need not exist.
    region : str

    Returns
    -------
    list of str
        The nearest first; empty for a region that no analysis chose.
    """
    chosen_by: list[str] = []
    edge = [region]
    while edge:
        defined = study.rois.get(edge.pop(0))
        name = defined.analysis if defined else None
        if name is not None and name in study.analyses and name not in chosen_by:
            chosen_by.append(name)
            analysis = study.analyses[name]
            edge += [*(seed.roi for seed in analysis.seeds), *([analysis.within] if analysis.within else [])]
    return chosen_by


def of_analysis(study: Settings, name: str) -> list[str]:
    """What an analysis shares with its own seed and its own search region.

    Parameters
    ----------
    study : Settings
    name : str

    Returns
    -------
    list of str
        Sentences without a full stop, each with its remedy; empty where nothing is shared.
    """
    analysis = study.analyses[name]
    contrast, sentences = analysis.contrast, []
    for seed in analysis.seeds:
        common = sorted(states(study, contrast) & states(study, seed.contrast))
        if same(study, contrast, seed.contrast):
            sentences.append(
                "seed and outcome are the same contrast: inside and around the seed region the outcome goes with itself; read "
                "what lies elsewhere, or take a seed of other scans"
            )
        elif common:
            sentences.append(
                f"seed and outcome share the scans of {' and '.join(common)}: their noise stands in both, so that a slope in and "
                "around the seed region, and wherever a scan is brighter as a whole, is expected without any effect; take a seed "
                "and an outcome of different scans"
            )
    sentences += _shared_terms(study, analysis)
    if analysis.within:
        for chosen_by in chain(study, analysis.within):
            if states(study, contrast) & states(study, study.analyses[chosen_by].contrast):
                sentences.append(
                    f"the region searched was chosen by the analysis {chosen_by} in scans that this one tests again: its p is too "
                    "small; take a region of other data"
                )
    return sentences


def _shared_terms(study: Settings, analysis: Analysis) -> list[str]:
    """The maps of other contrasts that are terms of an analysis and take scans of its outcome."""
    sentences = []
    for factor in analysis.formula.factors if analysis.formula else ():
        if factor.function != "cbf":
            continue
        if common := sorted(states(study, analysis.contrast) & states(study, factor.variables[0])):
            sentences.append(
                f"the term {factor.text} and the outcome share the scans of {' and '.join(common)}: their noise stands in both, so "
                "that a slope between them is expected without any effect, and what treatment did to these scans is taken out of its "
                "effect; take the map of a contrast of other scans"
            )
    return sentences


@dataclass(frozen=True, kw_only=True)
class _Related:
    """A region that is related to a score: where that is asked, and what is taken out of both."""

    field: str
    roi: str
    score: str
    section: str
    covariates: tuple[str, ...]


def _related(study: Settings) -> Iterator[_Related]:
    """Every region whose CBF is related to craving or to an endpoint."""
    craving = study.craving
    asked: list[tuple[str, str]] = []
    if craving:
        asked += [("craving.rois", roi) for roi in craving.rois]
        mediators = craving.mediation.mediators if craving.mediation else ()
        asked += [("craving.mediation", mediator.roi) for mediator in mediators]
    if study.sensitivity:
        answers = study.sensitivity.answers.values()
        asked += [(f"sensitivity.answers.{answer.name}", answer.roi) for answer in answers if answer.analysis is None]
    taken_out = craving.covariates if craving else ()
    for field, roi in asked:
        yield _Related(field=field, roi=roi, score="craving", section="craving", covariates=taken_out)
    for endpoint in study.endpoints.values():
        section = f"endpoints.{endpoint.name}.relations"
        for roi in endpoint.relations.rois if endpoint.relations else ():
            covariates = endpoint.relations.covariates if endpoint.relations else ()
            yield _Related(
                field=f"{section}.rois", roi=roi, score=endpoint.name, section=section, covariates=covariates
            )


def check(study: Settings) -> Iterator[InputError]:
    """Circles that no mark makes good.

    Parameters
    ----------
    study : Settings

    Yields
    ------
    InputError
        For a region that was chosen by its relation to a number of each participant and is related to craving, unless that
        number is among the covariates of the correlation; and for a primary answer that shares data with its seed or region.
    """
    for related in _related(study):
        for name in chain(study, related.roi):
            predictor = study.analyses[name].predictor
            if predictor and predictor not in related.covariates:
                yield InputError(
                    FILE,
                    related.field,
                    f"{related.roi}, a cluster that {name} chose by its relation to {predictor}",
                    "a region that no participant's number chose",
                    f"Where {predictor} goes with {related.score}, so does the region, whatever the brain does: take a region of the "
                    f"atlas or of an analysis of the arms, or add {predictor} to {related.section}.covariates.",
                )
    for name in study.primary.answers if study.primary else ():
        if name in study.analyses and (shared := of_analysis(study, name)):
            yield InputError(
                FILE,
                "primary.answers",
                f"{name}: {shared[0].split(';')[0]}",
                "analyses that share no data with what they test",
                f"{shared[0].split('; ')[-1].capitalize()}, or name it in primary.secondary.",
            )
