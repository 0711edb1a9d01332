"""The answers on which a trial rests: their names, the role of every other, and what can be corrected together.

An answer is an analysis (by its name), the treatment's effect on craving (``craving``) or the declared correlation of a
region's CBF with craving (``craving.<roi>``). ``primary.answers`` decide the trial together, ``primary.secondary``
support them, each at its own level; whatever is in neither list, and everything where nothing is declared, is exploratory.
"""

from collections.abc import Iterator

from pharmasl.errors import InputError, did_you_mean, similar

FILE = "config"
CRAVING = "craving"
PRIMARY, SECONDARY, EXPLORATORY = "primary", "secondary", "exploratory"

# What analyses must have in common to be corrected jointly: their relabellings and designs are the same then.
_SHARED = ("method", "effect", "arm", "pair", "predictor", "seed", "site", "covariates")
_SHARED_INFERENCE = ("permutations", "seed")


def correlation(roi: str) -> str:
    """The name of the answer that is a region's correlation with craving."""
    return f"{CRAVING}.{roi}"


def known(config: dict) -> list[str]:
    """The names of all answers of a study."""
    craving = config.get("craving")
    endpoints = [CRAVING, *(correlation(roi) for roi in craving["rois"])] if craving else []
    return [*config["analyses"], *endpoints]


def role(config: dict, name: str) -> str:
    """The role of an answer, ``"primary"``, ``"secondary"`` or ``"exploratory"``."""
    asked = config.get("primary") or {"answers": [], "secondary": []}
    if name in asked["answers"]:
        return PRIMARY
    return SECONDARY if name in asked["secondary"] else EXPLORATORY


def of_analyses(config: dict, which: tuple[str, ...] = ("answers", "secondary")) -> list[str]:
    """The declared answers that are analyses, in their order."""
    asked = config.get("primary") or {}
    return [name for part in which for name in asked.get(part, []) if name in config["analyses"]]


def check(config: dict) -> Iterator[InputError]:
    """What is declared and cannot decide a trial.

    Parameters
    ----------
    config : dict
        Defaults filled in, its references to analyses and regions not checked.

    Yields
    ------
    InputError
    """
    asked = config.get("primary")
    if not asked:
        return
    names = known(config)
    if CRAVING in config["analyses"] and "craving" in config:
        yield InputError(
            FILE,
            f"analyses.{CRAVING}",
            CRAVING,
            "another name beside craving, which primary calls so",
            "Rename the analysis.",
        )
    for field in ("answers", "secondary"):
        for name in asked[field]:
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
            if field == "secondary" and name in asked["answers"]:
                yield InputError(FILE, "primary.secondary", name, "no primary answer", "Leave it in one of the lists.")
    for name in of_analyses(config, ("answers",)):
        if config["analyses"][name]["method"] == "mixed_model":
            yield InputError(
                FILE,
                "primary.answers",
                f"{name}, of method mixed_model",
                "analyses with a family-wise p",
                "Take the method differences, or name it in primary.secondary.",
            )
    if asked["correction"] == "joint":
        yield from _joint(config, asked["answers"])


def _joint(config, answers):
    """Answers that no relabelling has in common."""
    analyses = config["analyses"]
    for name in answers:
        what = "an endpoint" if name not in analyses else f"of method {analyses[name]['method']}"
        if name not in analyses or analyses[name]["method"] != "differences":
            yield InputError(
                FILE,
                "primary.correction",
                f"joint, and {name} is {what}",
                "analyses of method differences alone",
                "Take holm or sequence, or leave it out of primary.answers.",
            )
    first, *others = [name for name in answers if name in analyses] or [None]
    for name in others:
        for key, one, other in _differences(analyses[first], analyses[name], config["inference"]):
            yield InputError(
                FILE,
                "primary.correction",
                f"joint, and {key} is {_shown(one)} in {first}, {_shown(other)} in {name}",
                "analyses of the same people, design and relabellings",
                "Make them alike, or take holm or sequence.",
            )


def _differences(one, other, common):
    for key in _SHARED:
        if one.get(key) != other.get(key):
            yield key, one.get(key), other.get(key)
    for key in _SHARED_INFERENCE:
        values = [{**common, **each.get("inference", {})}[key] for each in (one, other)]
        if values[0] != values[1]:
            yield f"inference.{key}", *values


def _shown(value):
    return "nothing" if value in (None, []) else value
