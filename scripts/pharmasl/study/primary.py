"""The answers on which a trial rests: their names, the role of every other, and what can be corrected together.

An answer is an analysis (by its name), the treatment's effect on craving (``craving``), the declared correlation of a
region's CBF with craving (``craving.<roi>``) the tested effect on an endpoint (by its name), or
a region's declared correlation with an endpoint (``<endpoint>.<roi>``). ``primary.answers`` decide the trial together, ``primary.secondary``
support them, each at its own level; whatever is in neither list, and everything where nothing is declared, is exploratory.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.study.settings import Analysis, Primary, Seed, Settings, build, plain

FILE = "config"
CRAVING = "craving"
PRIMARY, SECONDARY, EXPLORATORY = "primary", "secondary", "exploratory"

# What analyses must have in common to be corrected jointly: their relabellings and designs are the same then.
# What is tested of one model may differ: pairs of arms, say.
_SHARED = ("method", "effect", "model", "constrained_baseline", "arm", "predictor", "seed", "site", "covariates")
_SHARED_INFERENCE = ("permutations", "seed")


def correlation(roi: str, score: str = CRAVING) -> str:
    """The name of the answer that is a region's correlation with craving, or with an endpoint."""
    return f"{score}.{roi}"


def known(study: Settings) -> list[str]:
    """The names of all answers of a study."""
    craving = [CRAVING, *(correlation(roi) for roi in study.craving.rois)] if study.craving else []
    related = [(name, own.relations.rois) for name, own in study.endpoints.items() if own.relations]
    relations = [correlation(roi, name) for name, rois in related for roi in rois]
    return [*study.analyses, *craving, *study.endpoints, *relations]


def declared(config: Mapping[str, Any]) -> Primary | None:
    """What a complete configuration declares."""
    return build(Primary, config["primary"]) if config.get("primary") else None


def role(declared: Primary | None, name: str) -> str:
    """The role of an answer, ``"primary"``, ``"secondary"`` or ``"exploratory"``."""
    if declared and name in declared.answers:
        return PRIMARY
    return SECONDARY if declared and name in declared.secondary else EXPLORATORY


def declared_analyses(study: Settings) -> list[str]:
    """The primary and then the secondary answers that are analyses, in their order."""
    declared = study.primary
    return [name for name in (*declared.answers, *declared.secondary) if name in study.analyses] if declared else []


def declared_endpoints(study: Settings) -> list[str]:
    """The primary and then the secondary answers that are endpoints by their own name, in their order."""
    declared = study.primary
    return [name for name in (*declared.answers, *declared.secondary) if name in study.endpoints] if declared else []


def declared_relations(study: Settings) -> list[str]:
    """The endpoints of whose relations to regions one is a declared answer."""
    declared = study.primary
    names = (*declared.answers, *declared.secondary) if declared else ()
    return [
        name
        for name, own in study.endpoints.items()
        if own.relations and any(correlation(roi, name) in names for roi in own.relations.rois)
    ]


def check(study: Settings) -> Iterator[InputError]:
    """What is declared and cannot decide a trial.

    Parameters
    ----------
    study : Settings
        References to analyses and regions need not exist.

    Yields
    ------
    InputError
    """
    declared = study.primary
    if not declared:
        return
    names = known(study)
    if CRAVING in study.analyses and study.craving:
        yield InputError(
            FILE,
            f"analyses.{CRAVING}",
            CRAVING,
            "another name beside craving, which primary calls so",
            "Rename the analysis.",
        )
    for field, answers in (("answers", declared.answers), ("secondary", declared.secondary)):
        for name in answers:
            if name not in names:
                yield InputError(
                    FILE,
                    f"primary.{field}",
                    name,
                    f"one of: {', '.join(names) or 'none'}",
                    did_you_mean(
                        similar(name, names), "Correct the name, or add the analysis or the region to craving.rois."
                    ),
                )
            if field == "secondary" and name in declared.answers:
                yield InputError(FILE, "primary.secondary", name, "no primary answer", "Leave it in one of the lists.")
    for name in declared.answers:
        analysis = study.analyses.get(name)
        if analysis is not None and analysis.method == "mixed_model" and analysis.formula is None:
            yield InputError(
                FILE,
                "primary.answers",
                f"{name}, of method mixed_model",
                "analyses with a family-wise p",
                "Take the method differences, write it as a formula, or name it in primary.secondary.",
            )
    if declared.correction == "joint":
        yield from _joint(study, declared.answers)


def _joint(study: Settings, answers: tuple[str, ...]) -> Iterator[InputError]:
    """Answers that no relabelling has in common."""
    analyses = study.analyses
    for name in answers:
        what = "an endpoint" if name not in analyses else f"of method {analyses[name].method}"
        if name not in analyses or analyses[name].method != "differences":
            yield InputError(
                FILE,
                "primary.correction",
                f"joint, and {name} is {what}",
                "analyses of method differences alone",
                "Take holm or sequence, or leave it out of primary.answers.",
            )
    common = [name for name in answers if name in analyses]
    for first, name in itertools.product(common[:1], common[1:]):
        for key, one, other in _differences(analyses[first], analyses[name]):
            yield InputError(
                FILE,
                "primary.correction",
                f"joint, and {key} is {_shown(one)} in {first}, {_shown(other)} in {name}",
                "analyses of the same people, design and relabellings",
                "Make them alike, or take holm or sequence.",
            )


def _differences(one: Analysis, other: Analysis) -> Iterator[tuple[str, Any, Any]]:
    for key in _SHARED:
        if getattr(one, key) != getattr(other, key):
            yield key, getattr(one, key), getattr(other, key)
    if one.kind.exchange != other.kind.exchange:
        yield "what is relabelled", one.kind.exchange, other.kind.exchange
    for key in _SHARED_INFERENCE:
        values = [getattr(analysis.inference, key) for analysis in (one, other)]
        if values[0] != values[1]:
            yield f"inference.{key}", *values


def _shown(value: Any) -> Any:
    if value is None or value == ():
        return "nothing"
    if isinstance(value, Seed):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value
