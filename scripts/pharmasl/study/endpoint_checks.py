"""What the configuration of endpoints names and nothing defines, and what cannot be asked together."""

from collections.abc import Iterator

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import Endpoint, Population, Settings

FILE = "config"
# The population of everyone who was randomised to an arm.
EVERYONE = "all"
CRAVING = "craving"


def check(study: Settings) -> Iterator[InputError]:
    """Every fault of the populations and of the endpoints.

    Parameters
    ----------
    study : Settings
        Complete; its references need not exist.

    Yields
    ------
    InputError
    """
    for population in study.populations.values():
        yield from _population(population)
    for endpoint in study.endpoints.values():
        yield from _name(study, endpoint.name)
        yield from _score(endpoint)
        yield from _binary(endpoint)
        yield from _question(study, endpoint)


def _population(population: Population) -> Iterator[InputError]:
    field = f"populations.{population.name}"
    if population.name == EVERYONE:
        yield InputError(
            FILE, field, EVERYONE, "another name: all is everyone who was randomised to an arm", "Rename it."
        )
    if population.value is not None and population.column is None:
        yield InputError(
            FILE, f"{field}.value", population.value, "a value of a column", "Name the column, or drop it."
        )


def _name(study: Settings, name: str) -> Iterator[InputError]:
    if name == CRAVING and study.craving:
        what = "the section craving"
    elif name in study.analyses or name in study.conjunctions:
        what = "an analysis"
    else:
        return
    yield InputError(
        FILE, f"endpoints.{name}", name, f"another name than {what}, which primary calls so", "Rename the endpoint."
    )


def _score(endpoint: Endpoint) -> Iterator[InputError]:
    """What is wrong with the way from a table to scores."""
    field, items = f"endpoints.{endpoint.name}", endpoint.items or ()
    for item in endpoint.reverse:
        if item not in items:
            hint = did_you_mean(similar(item, items), "Correct it, or name it in items too.")
            yield InputError(FILE, f"{field}.reverse", item, f"one of the items: {', '.join(items) or 'none'}", hint)
    if endpoint.reverse and endpoint.range is None:
        yield InputError(
            FILE, f"{field}.range", "nothing", "the range of an item, to reverse it", "Add range: [lowest, highest]."
        )
    if endpoint.prorate and not endpoint.prorate.least <= len(items):
        expected = f"at most the {len(items)} items" if items else "items, whose sum is prorated"
        yield InputError(
            FILE, f"{field}.prorate.least", endpoint.prorate.least, expected, "Correct it, or drop prorate."
        )
    if endpoint.range and not endpoint.range[0] < endpoint.range[1]:
        yield InputError(
            FILE, f"{field}.range", list(endpoint.range), "the lower limit before the higher", "Exchange them."
        )


def _binary(endpoint: Endpoint) -> Iterator[InputError]:
    """What a score of two values does not have."""
    field = f"endpoints.{endpoint.name}"
    if endpoint.kind != BINARY:
        if endpoint.missing.counted_as is not None:
            yield InputError(
                FILE, f"{field}.missing.counted_as", endpoint.missing.counted_as, "a binary score", "Take it out."
            )
        return
    without = {
        "items": endpoint.items,
        "transform": endpoint.transform != "none",
        "equivalence": endpoint.equivalence,
        "missing.deltas": endpoint.missing.deltas,
        "relations": endpoint.relations,
    }
    for name in (name for name, value in without.items() if value):
        yield InputError(
            FILE, f"{field}.{name}", name, f"no {name} with kind: binary", "Take it out, or set kind: number."
        )
    if endpoint.model and endpoint.model.split("~")[0].strip() != "followup":
        yield InputError(
            FILE, f"{field}.model", endpoint.model, "followup ~ ... with kind: binary", "Explain the follow-up."
        )


def _question(study: Settings, endpoint: Endpoint) -> Iterator[InputError]:
    field = f"endpoints.{endpoint.name}"
    for part in ("sessions", "arms"):
        if getattr(study, part) is None and not (part == "sessions" and endpoint.sessions):
            yield InputError(
                FILE, part, "nothing", f"the {part}, for the endpoint {endpoint.name}", f"Add {part}, or remove it."
            )
    if study.sessions and study.sessions.followup is None and not endpoint.sessions:
        yield InputError(
            FILE,
            "sessions.followup",
            "nothing",
            f"the follow-up session, for the endpoint {endpoint.name}",
            f"Add it, or name {field}.sessions.",
        )
        return
    yield from _sessions(study, endpoint)
    terms = {"covariates": endpoint.covariates, "strata": endpoint.strata, "site": endpoint.site}
    if endpoint.model is not None and (beside := [name for name, value in terms.items() if value]):
        yield InputError(
            FILE,
            f"{field}.model",
            f"a model, and {' and '.join(beside)} beside it",
            "a formula that has all its terms, or no formula",
            "Write them as terms of the model.",
        )
    known = (EVERYONE, *study.populations)
    for name in endpoint.populations:
        if name not in known:
            hint = did_you_mean(similar(name, known), "Correct the name, or add it to populations.")
            yield InputError(FILE, f"{field}.populations", name, f"one of {', '.join(known)}", hint)
    relations = endpoint.relations
    for key, names, defined in (
        ("rois", relations.rois if relations else (), study.rois),
        ("contrast", (relations.contrast,) if relations else (), study.contrasts),
    ):
        for name in names:
            if name not in defined:
                hint = did_you_mean(similar(name, list(defined)), "Correct the name, or define it.")
                yield InputError(
                    FILE, f"{field}.relations.{key}", name, f"one of: {', '.join(defined) or 'none'}", hint
                )


def _sessions(study: Settings, endpoint: Endpoint) -> Iterator[InputError]:
    field, sessions = f"endpoints.{endpoint.name}", endpoint.sessions or study.sessions
    if sessions is None:
        return
    if len(set(sessions.labels)) < len(sessions.labels):
        yield InputError(FILE, f"{field}.sessions", list(sessions.labels), "each session once", "Correct the labels.")
    columns = endpoint.score if not isinstance(endpoint.score, str) else None
    for label in columns or ():
        if label not in sessions.labels:
            yield InputError(
                FILE,
                f"{field}.score",
                label,
                f"one of the sessions: {', '.join(sessions.labels)}",
                "Correct the label, or name it in sessions.others.",
            )
    if columns and (absent := {sessions.baseline, sessions.later} - set(columns)):
        yield InputError(
            FILE, f"{field}.score", sorted(columns), f"a column for {', '.join(sorted(absent))} too", "Add it."
        )
    relations = endpoint.relations
    pair = study.sessions
    if relations and pair and (sessions.baseline, sessions.followup) != (pair.baseline, pair.followup):
        yield InputError(
            FILE,
            f"{field}.relations",
            f"sessions {sessions.baseline} and {sessions.followup}",
            f"those of the scans, {pair.baseline} and {pair.followup}",
            "Drop relations, or take the study's sessions.",
        )
