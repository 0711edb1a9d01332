"""What a region, a seed or a contrast shares with what is tested against it, found from the definitions themselves.

Contrasts are compared by the states that they take, not by their names: `rest` and `smoking - rest` share the rest scan,
whose noise then stands in both; a second name of one contrast is the same contrast. A region that is a cluster of an
analysis carries all that chose it, through however many clusters.
"""

from collections.abc import Iterator, Mapping

from pharmasl.errors import InputError

FILE = "config"


def is_cbf(weights: Mapping[str, float]) -> bool:
    """Whether a contrast is a CBF, of which a percentage has a meaning: a sum of states without a difference."""
    return all(weight > 0 for weight in weights.values())


def states(config: Mapping, contrast: str) -> set[str]:
    """The states whose scans a contrast takes."""
    return set(config["contrasts"].get(contrast, ()))


def same(config: Mapping, one: str, other: str) -> bool:
    """Whether two contrasts are one, up to a factor."""
    first, second = (config["contrasts"].get(name, {}) for name in (one, other))
    if set(first) != set(second) or not first:
        return False
    ratios = [first[state] / second[state] for state in first]
    return all(abs(ratio - ratios[0]) <= 1e-12 * abs(ratios[0]) for ratio in ratios)


def chain(config: Mapping, region: str) -> list[str]:
    """The analyses that chose a region: the one whose cluster it is, those that chose that one's seed or search, and so on.

    Parameters
    ----------
    config : dict
        Its references may be wrong.
    region : str

    Returns
    -------
    list of str
        The nearest first; empty for a region that no analysis chose.
    """
    found, edge = [], [region]
    while edge:
        name = config["rois"].get(edge.pop(0), {}).get("analysis")
        if name in config["analyses"] and name not in found:
            found.append(name)
            part = config["analyses"][name]
            edge += [each for each in (part.get("seed", {}).get("roi"), part.get("within")) if each]
    return found


def of_analysis(config: Mapping, name: str) -> list[str]:
    """What an analysis shares with its own seed and its own search region.

    Parameters
    ----------
    config : dict
        Complete.
    name : str

    Returns
    -------
    list of str
        Sentences without a full stop, each with its remedy; empty where nothing is shared.
    """
    part = config["analyses"][name]
    contrast, told = part["contrast"], []
    if seed := part.get("seed"):
        common = sorted(states(config, contrast) & states(config, seed["contrast"]))
        if same(config, contrast, seed["contrast"]):
            told.append(
                "seed and outcome are the same contrast: inside and around the seed region the outcome goes with itself; read "
                "what lies elsewhere, or take a seed of other scans"
            )
        elif common:
            told.append(
                f"seed and outcome share the scans of {' and '.join(common)}: their noise stands in both, so that a slope in and "
                "around the seed region, and wherever a scan is brighter as a whole, is expected without any effect; take a seed "
                "and an outcome of different scans"
            )
    if within := part.get("within"):
        for chosen_by in chain(config, within):
            if states(config, contrast) & states(config, config["analyses"][chosen_by]["contrast"]):
                told.append(
                    f"the region searched was chosen by the analysis {chosen_by} in scans that this one tests again: its p is too "
                    "small; take a region of other data"
                )
    return told


def check(config: Mapping) -> Iterator[InputError]:
    """Circles that no mark makes good.

    Parameters
    ----------
    config : dict
        Complete.

    Yields
    ------
    InputError
        For a region that was chosen by its relation to a number of each participant and is related to craving, unless that
        number is among the covariates of the correlation; and for a primary answer that shares data with its seed or region.
    """
    craving = config.get("craving") or {}
    asked = [("craving.rois", roi) for roi in craving.get("rois", [])]
    asked += [("craving.mediation", part["roi"]) for part in craving.get("mediation", {}).get("mediators", [])]
    asked += [
        (f"sensitivity.answers.{name}", answer["roi"])
        for name, answer in config.get("sensitivity", {}).get("answers", {}).items()
        if "analysis" not in answer
    ]
    for field, roi in asked:
        for name in chain(config, roi):
            predictor = config["analyses"][name].get("predictor")
            if predictor and predictor not in craving.get("covariates", []):
                yield InputError(
                    FILE,
                    field,
                    f"{roi}, a cluster that {name} chose by its relation to {predictor}",
                    "a region that no participant's number chose",
                    f"Where {predictor} goes with craving, so does the region, whatever the brain does: take a region of the atlas "
                    f"or of an analysis of the arms, or add {predictor} to craving.covariates.",
                )
    for name in (config.get("primary") or {}).get("answers", []):
        if name in config["analyses"] and (shared := of_analysis(config, name)):
            yield InputError(
                FILE,
                "primary.answers",
                f"{name}: {shared[0].split(';')[0]}",
                "analyses that share no data with what they test",
                f"{shared[0].split('; ')[-1].capitalize()}, or name it in primary.secondary.",
            )
