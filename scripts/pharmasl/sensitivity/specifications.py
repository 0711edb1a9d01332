"""Which specifications a sensitivity analysis has, and what each of them takes.

All values of the choices are crossed. The study's own is the first value of each; the specification that is the study's own
in all is the *main* one, whose answers are those of the rest of the study.
"""

import dataclasses
import itertools
from collections.abc import Iterable

from pharmasl.sensitivity.specification import (
    Choices,
    ImageAlternative,
    Question,
    ScanWeight,
    Specification,
    VisitScans,
)
from pharmasl.study import settings
from pharmasl.study.trial import Study, Visit

# The name of the study's own value among those that have names.
OWN = "own"


def _sensitivity(study: settings.Settings) -> settings.Sensitivity:
    if study.sensitivity is None:
        raise ValueError("the study declares no sensitivity analysis")
    return study.sensitivity


def dimensions(study: settings.Settings) -> dict[str, list[str]]:
    """The values of each choice, the study's own first, by the names of :class:`Choices`."""
    declared, perfusion = _sensitivity(study), study.perfusion
    values = {
        "scaling": ["absolute", *declared.scaling],
        "smoothing_fwhm": [f"{fwhm:g}" for fwhm in (perfusion.smoothing_fwhm, *declared.smoothing_fwhm)],
        "partial_volume": [str(use).lower() for use in (perfusion.partial_volume.use, *declared.partial_volume)],
        "quality": [OWN, *declared.quality],
        "covariates": [OWN, *declared.covariates],
    }
    return {name: list(dict.fromkeys(own)) for name, own in values.items()}


def _crossed(study: settings.Settings, names: Iterable[str]) -> list[dict[str, str]]:
    values, names = dimensions(study), list(names)
    return [dict(zip(names, chosen)) for chosen in itertools.product(*(values[name] for name in names))]


def image_alternatives(study: settings.Settings) -> list[ImageAlternative]:
    """All image alternatives, the study's own first."""
    names = [field.name for field in dataclasses.fields(ImageAlternative)]
    return [ImageAlternative(**chosen) for chosen in _crossed(study, names)]


def all_choices(study: settings.Settings) -> list[Choices]:
    """The choices of all specifications, those of the main one first."""
    return [Choices(**chosen) for chosen in _crossed(study, dimensions(study))]


def is_main(study: settings.Settings, choices: Choices) -> bool:
    """Whether choices are the study's own in all."""
    return all(getattr(choices, name) == values[0] for name, values in dimensions(study).items())


def corrects_partial_volume(study: settings.Settings) -> bool:
    """Whether any image alternative is of corrected grey-matter CBF."""
    return "true" in dimensions(study)["partial_volume"]


def regions(study: settings.Settings) -> list[str]:
    """The regions whose values or masks the answers take: their own, their seeds, and those searched; each once."""
    declared = _sensitivity(study)
    names: dict[str, None] = {}
    for answer in declared.answers.values():
        names[answer.roi] = None
        analysis = study.analyses[answer.analysis] if answer.analysis else None
        if analysis and analysis.seed:
            names[analysis.seed.roi] = None
        if analysis and analysis.within and declared.whole_brain:
            names[analysis.within] = None
    return list(names)


def takes_grey_matter(study: settings.Settings) -> bool:
    """Whether the value of any of those regions is weighted by grey matter, or a scan's mean is taken over it."""
    references = {contrast.reference for contrast in study.contrasts.values() if not contrast.is_absolute}
    return "grey_matter" in references or any(study.rois[name].statistic == "gm_weighted" for name in regions(study))


def relates_craving(study: settings.Settings) -> bool:
    """Whether any answer relates CBF to craving."""
    return any(answer.analysis is None for answer in _sensitivity(study).answers.values())


def quality_rules(study: settings.Settings, name: str) -> settings.QualityRules:
    """The study's rules of quality, or those with an alternative laid over them."""
    if name == OWN:
        return study.quality
    alternative = settings.plain(_sensitivity(study).quality[name])
    del alternative["name"]
    return settings.build(settings.QualityRules, {**settings.plain(study.quality), **alternative})


def specification(study: Study, choices: Choices) -> Specification:
    """What a specification takes, besides files.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    choices : Choices
        One of :func:`all_choices`.

    Returns
    -------
    Specification
    """
    own = study.settings
    declared, craving = _sensitivity(own), own.craving
    craving_covariates = craving.covariates if craving else ()
    if choices.covariates != OWN:
        craving_covariates = declared.covariates[choices.covariates]
        study = study.with_covariates(craving_covariates)
    rules = quality_rules(own, choices.quality)
    questions = tuple(_question(study, answer) for answer in declared.answers.values())
    contrasts = {question.contrast for question in questions}
    contrasts |= {question.model.seed.contrast for question in questions if question.model and question.model.seed}
    return Specification(
        choices=choices,
        main=is_main(own, choices),
        visits=tuple(_visit(study, visit, sorted(contrasts)) for visit in study.visits),
        rules=rules.scan_rules,
        exclude_scans=rules.exclude_scans,
        accept_scans=rules.accept_scans,
        poor_scans=study.poor,
        questions=questions,
        regions={name: own.rois[name].statistic for name in regions(own)},
        craving_covariates=craving_covariates if relates_craving(own) else None,
        sessions=settings.narrowed(settings.SessionPair, study.sessions),
        arms=study.arms,
        minimum_coverage=own.minimum_roi_coverage,
        relative={
            name: settings.narrowed(settings.Scaling, own.contrasts[name])
            for name in sorted(contrasts)
            if not own.contrasts[name].is_absolute
        },
    )


def _question(study: Study, answer: settings.Answer) -> Question:
    if answer.analysis is None:
        if answer.contrast is None:
            raise ValueError(f"{answer.name}: neither an analysis nor a contrast")
        return Question(
            name=answer.name,
            roi=answer.roi,
            contrast=answer.contrast,
            analysis=None,
            model=None,
            inference=None,
            members=(),
            sessions={},
        )
    analysis, declared = study.settings.analyses[answer.analysis], _sensitivity(study.settings)
    inference = dataclasses.replace(analysis.inference, statistics=("extent",), permutations=declared.permutations)
    return Question(
        name=answer.name,
        roi=answer.roi,
        contrast=analysis.contrast,
        analysis=answer.analysis,
        model=settings.narrowed(settings.ModelSettings, analysis),
        inference=inference if declared.whole_brain else None,
        members=tuple(f"sub-{subject}" for subject in study.members(answer.analysis)),
        sessions=study.analysis_sessions(answer.analysis),
    )


def _visit(study: Study, visit: Visit, contrasts: Iterable[str]) -> VisitScans:
    scans = study.state_scans(visit)
    place = {scan.map_stem: number for number, scan in enumerate(scans)}
    weights = {name: study.contrast_scans(visit, name) for name in contrasts}
    participant, session = visit
    return VisitScans(
        participant_id=f"sub-{participant}",
        session_id=session,
        scans=tuple(scan.name for scan in scans),
        conditions=tuple(scan.condition for scan in scans),
        contrasts={
            name: tuple(ScanWeight(scan=place[scan.map_stem], weight=weight) for scan, weight in pairs)
            for name, pairs in weights.items()
            if pairs
        },
    )
