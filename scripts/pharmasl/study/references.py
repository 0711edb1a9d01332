"""What a configuration names and nothing defines: contrasts, conditions, analyses, regions, arms and sessions."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.study import arms, endpoint_checks, formula_references
from pharmasl.study.effect_kinds import BASELINE
from pharmasl.study.settings import Analysis, Answer, Sensitivity, Settings

FILE = "config"
# Methods that remove sites from the data before a test which does not know of it.
_HARMONISATIONS = ("combat", "neurocombat", "longcombat", "longitudinal_combat")


def check(study: Settings) -> Iterator[InputError]:
    """Every name that nothing defines, and what cannot be asked together.

    Parameters
    ----------
    study : Settings
        Complete; its references need not exist.

    Yields
    ------
    InputError
    """
    for name, contrast in study.contrasts.items():
        yield from _undefined(f"contrasts.{name}", contrast.weights, study.conditions, "conditions")
    for analysis in study.analyses.values():
        yield from _analysis(study, analysis)
    yield from _conjunctions(study)
    yield from _labels(study)
    for region in study.rois.values():
        yield from _undefined(f"rois.{region.name}.analysis", _if_named(region.analysis), study.analyses, "analyses")
    yield from _craving(study)
    yield from endpoint_checks.check(study)
    yield from _sensitivity(study)
    yield from _circles(study)


def _if_named(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _undefined(field: str, names: Any, defined: Mapping[str, Any], kind: str) -> Iterator[InputError]:
    for name in names:
        if name not in defined:
            known = ", ".join(defined) or "none"
            hint = did_you_mean(similar(name, defined), f"Correct the name or add it to {kind}.")
            yield InputError(FILE, field, name, f"one of the {kind}: {known}", hint)


def _part(study: Settings, name: str, who: str, remedy: str) -> Iterator[InputError]:
    """The error of a study without arms or sessions that something needs."""
    if getattr(study, name) is None:
        yield InputError(FILE, name, "nothing", f"the {name}, for {who}", f"Add {name}, or remove {remedy}.")


def _followup(study: Settings, who: str) -> Iterator[InputError]:
    """The error of a study of one session where something compares two."""
    if study.sessions and study.sessions.followup is None:
        yield InputError(
            FILE,
            "sessions.followup",
            "nothing",
            f"the follow-up session, for {who}",
            "Add it, or compare the arms at the one session by baseline ~ arm.",
        )


def _analysis(study: Settings, analysis: Analysis) -> Iterator[InputError]:
    field = f"analyses.{analysis.name}"
    # A dataset without sessions has one visit per participant, and one sample needs no arms.
    lacking = [("sessions", analysis.kind.sessions != (BASELINE,)), ("arms", arms.needed(analysis))]
    for part in (name for name, is_needed in lacking if is_needed):
        yield from _part(study, part, f"the analysis {analysis.name}", "the analysis")
    if "followup" in analysis.kind.sessions and not analysis.sessions:
        yield from _followup(study, f"the analysis {analysis.name}")
    yield from _undefined(f"{field}.contrast", [analysis.contrast], study.contrasts, "contrasts")
    yield from _undefined(f"{field}.within", _if_named(analysis.within), study.rois, "rois")
    yield from _arms_and_sessions(study, analysis)
    yield from _method(analysis)
    yield from _harmonised(analysis)
    if analysis.formula:
        yield from formula_references.check(study, analysis, analysis.formula)
    if analysis.seed:
        yield from _undefined(f"{field}.seed.contrast", [analysis.seed.contrast], study.contrasts, "contrasts")
        yield from _undefined(f"{field}.seed.roi", [analysis.seed.roi], study.rois, "rois")


def _harmonised(analysis: Analysis) -> Iterator[InputError]:
    """Sites that are to be harmonised before the test."""
    if analysis.site is not None and analysis.site.lower() in _HARMONISATIONS:
        yield InputError(
            FILE,
            f"analyses.{analysis.name}.site",
            f"{analysis.site}, a harmonisation of sites before the test",
            "the column of the participants' table that holds the site",
            "Name the column: its levels are terms, and people are exchanged within sites. docs/statistics.md says what "
            "harmonisation would cost.",
        )


def _method(analysis: Analysis) -> Iterator[InputError]:
    """What the method of an analysis does not take."""
    field, method = f"analyses.{analysis.name}", analysis.method
    if analysis.formula:
        return
    if method != "differences" and (method not in analysis.kind.methods or analysis.site is not None):
        yield InputError(
            FILE,
            f"{field}.method",
            method,
            "differences, but for group_by_time without a site",
            "Take the default.",
        )
    if method == "mixed_model" and any(" - " in term for term in analysis.covariates):
        yield InputError(
            FILE,
            f"{field}.covariates",
            list(analysis.covariates),
            "columns that do not change, with mixed_model",
            "Remove them, or take the method differences.",
        )
    if method == "full_factorial" and analysis.covariates:
        yield InputError(
            FILE, f"{field}.covariates", list(analysis.covariates), "none with full_factorial", "Remove them."
        )


def _arms_and_sessions(study: Settings, analysis: Analysis) -> Iterator[InputError]:
    """Arms and sessions that an analysis names and the study does not."""
    if study.arms:
        for field, labels in (("arm", _if_named(analysis.arm)), ("pair", analysis.pair or ())):
            yield from _no_label(analysis, field, labels, study.arms.labels, "arms", "Correct the name")
    if study.sessions and analysis.sessions:
        labels = (analysis.sessions.baseline, analysis.sessions.later)
        yield from _no_label(analysis, "sessions", labels, study.sessions.labels, "sessions", "Correct the label")


def _no_label(
    analysis: Analysis, field: str, labels: Any, known: tuple[str, ...], kind: str, fix: str
) -> Iterator[InputError]:
    for label in labels:
        if label not in known:
            yield InputError(
                FILE,
                f"analyses.{analysis.name}.{field}",
                label,
                f"one of the {kind}: {', '.join(known)}",
                did_you_mean(similar(label, known), f"{fix} or add it to {kind}.others."),
            )


def _conjunctions(study: Settings) -> Iterator[InputError]:
    for name, analyses in study.conjunctions.items():
        yield from _undefined(f"conjunctions.{name}", analyses, study.analyses, "analyses")
        if name in study.analyses:
            yield InputError(FILE, f"conjunctions.{name}", name, "another name than an analysis", "Rename it.")


def _labels(study: Settings) -> Iterator[InputError]:
    """Words for names that the study does not have, and the same words for two of a kind."""
    defined: dict[str, Iterable[str]] = {
        "sessions": study.sessions.labels if study.sessions else (),
        "arms": study.arms.labels if study.arms else (),
        "conditions": study.conditions,
        "contrasts": study.contrasts,
        "analyses": study.analyses,
        "regions": study.rois,
        "answers": study.sensitivity.answers if study.sensitivity else (),
    }
    for kind, names in defined.items():
        words = getattr(study.labels, kind)
        yield from _undefined(f"labels.{kind}", words, dict.fromkeys(names), "rois" if kind == "regions" else kind)
        for text in sorted({text for text in words.values() if list(words.values()).count(text) > 1}):
            yield InputError(FILE, f"labels.{kind}", f"{text} (twice)", "its own words for each name", "Change one.")


def _craving(study: Settings) -> Iterator[InputError]:
    craving = study.craving
    if not craving:
        return
    for part in ("sessions", "arms"):
        yield from _part(study, part, "craving", "craving")
    yield from _followup(study, "craving")
    yield from _undefined("craving.rois", craving.rois, study.rois, "rois")
    for mediator in craving.mediation.mediators if craving.mediation else ():
        yield from _undefined("craving.mediation", [mediator.roi], study.rois, "rois")
        yield from _undefined("craving.mediation", [mediator.contrast], study.contrasts, "contrasts")
    if craving.rois:
        yield from _undefined("craving.contrast", [craving.contrast], study.contrasts, "contrasts")


def _sensitivity(study: Settings) -> Iterator[InputError]:
    """What the sensitivity analysis names and nothing defines, or cannot be varied."""
    varied = study.sensitivity
    if not varied:
        return
    terms = {term for covariates in varied.covariates.values() for term in covariates}
    for answer in varied.answers.values():
        yield from _answer(study, answer, terms)
    yield from _scaled_twice(study, varied)
    for dimension, names in (("quality", varied.quality), ("covariates", varied.covariates)):
        if "own" in names:
            yield InputError(
                FILE, f"sensitivity.{dimension}", "own", "another name: own is the study's own choice", "Rename it."
            )
    for name, rules in varied.quality.items():
        for measure in rules.exclude or ():
            # The band may be taken away by the configuration: then no scan could be excluded by it.
            if study.quality.bands.get(measure, ()) is None:
                yield InputError(
                    FILE,
                    f"sensitivity.quality.{name}.exclude",
                    measure,
                    "a measure with a band",
                    f"Give limits in quality.bands.{measure}.",
                )


def _scaled_twice(study: Settings, varied: Sensitivity) -> Iterator[InputError]:
    """Answers on relative CBF where the sensitivity analysis scales the maps itself."""
    if "global" not in varied.scaling:
        return
    for answer in varied.answers.values():
        analysis = study.analyses.get(answer.analysis or "")
        names = analysis.contrasts if analysis else (answer.contrast or "",)
        relative = [name for name in names if name in study.contrasts and not study.contrasts[name].is_absolute]
        if relative:
            yield InputError(
                FILE,
                f"sensitivity.answers.{answer.name}",
                f"{relative[0]}, a contrast of relative CBF, where sensitivity.scaling names global",
                "a contrast of absolute CBF, which the alternatives scale",
                "Ask it of the contrast of absolute CBF, or take global out of sensitivity.scaling.",
            )


def _answer(study: Settings, answer: Answer, covariates: Container[str]) -> Iterator[InputError]:
    field = f"sensitivity.answers.{answer.name}"
    yield from _undefined(f"{field}.roi", [answer.roi], study.rois, "rois")
    if answer.roi in study.rois and study.rois[answer.roi].space == "native":
        yield InputError(
            FILE,
            f"{field}.roi",
            f"{answer.roi}, read in native space",
            "a region read in template space",
            "Its alternatives are maps on the template: add the same region with space: template, and name that.",
        )
    if answer.analysis is None:
        yield from _undefined(f"{field}.contrast", _if_named(answer.contrast), study.contrasts, "contrasts")
        if not study.craving:
            yield InputError(
                FILE, "craving", "nothing", f"the craving ratings, for {field}", "Add craving, or name an analysis."
            )
        return
    yield from _undefined(f"{field}.analysis", [answer.analysis], study.analyses, "analyses")
    analysis = study.analyses.get(answer.analysis)
    if not analysis:
        return
    if analysis.method != "differences" or analysis.formula:
        kind = "with a formula" if analysis.formula else f"of method {analysis.method}"
        yield InputError(
            FILE,
            f"{field}.analysis",
            f"{answer.analysis}, {kind}",
            "an analysis of a named effect, of method differences",
            "Name another, or add one of that method.",
        )
    for key, term in (("site", analysis.site), ("predictor", analysis.predictor)):
        if term in covariates:
            yield InputError(
                FILE,
                "sensitivity.covariates",
                term,
                f"no {key} of {answer.analysis}",
                "Take it out: it is in the model anyway.",
            )


def _circles(study: Settings) -> Iterator[InputError]:
    """An analysis whose seed or search region is a cluster of an analysis ... whose seed is a cluster of the first."""

    def needed(name: str) -> set[str]:
        analysis = study.analyses.get(name)
        if not analysis:
            return set()
        named = [*(seed.roi for seed in analysis.seeds), *_if_named(analysis.within)]
        regions = [study.rois.get(roi) for roi in named]
        return {region.analysis for region in regions if region and region.analysis}

    for start in study.analyses:
        # Breadth first, each analysis with the way by which it was reached.
        ways: dict[str, list[str]] = {}
        edge = [[start]]
        while edge:
            edge = [[*way, name] for way in edge for name in sorted(needed(way[-1])) if name not in ways]
            ways |= {way[-1]: way for way in edge}
        if start in ways:
            yield InputError(
                FILE,
                f"analyses.{start}",
                " -> ".join(ways[start]),
                "a seed and a region that do not depend on the analysis",
                "Take another ROI.",
            )
