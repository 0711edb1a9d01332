"""Cases of the assumptions of a planned trial's power."""

from wrong_input import POWER, Case


def _set(dotted, value):
    """Set a key (dots between levels) of the assumptions; ``...`` takes it away."""

    def change(trial):
        *parents, last = dotted.split(".")
        part = trial.assumptions
        for name in parents:
            part = part[name]
        if value is ...:
            del part[last]
        else:
            part[last] = value

    return change


def _case(name, key, value, words):
    return Case(f"planned trial: {name}", POWER, _set(key, value), "refused", words)


def _config(name, key, value, words):
    def change(trial):
        *parents, last = key.split(".")
        part = trial.config
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value

    return Case(f"planned trial: {name}", POWER, change, "refused", words)


NUMBER = {"value": 10, "source": "pilot"}


def _anchors(trial):
    """One number for all: YAML writes an anchor."""
    for outcome in ("rest", "craving"):
        trial.assumptions["outcomes"][outcome] |= {"effect": NUMBER, "sd": NUMBER}
    trial.assumptions["maps"]["smoothness"] = {"between": NUMBER, "within": NUMBER}


def _reckons(reckoned):
    return [one.test.method for one in reckoned if one.is_planned and one.varied == "planned"] == [
        "change",
        "change",
        "pearson",
    ]


CASES = [
    Case("planned trial: a number by a YAML anchor in several places", POWER, _anchors, "accepted", holds=_reckons),
    _case("a number without its source", "outcomes.rest.effect", {"value": 5}, "outcomes.rest.effect.source"),
    _case("an effect that is no number", "outcomes.rest.effect.value", float("nan"), "outcomes.rest.effect.value"),
    _case("an infinite spread", "outcomes.craving.sd.value", float("inf"), "outcomes.craving.sd.value"),
    _case("an effect of 0", "outcomes.rest.effect.value", 0, "above 0"),
    _case("a key misspelt", "retenton", {"value": 0.9, "source": "pilot"}, "retention"),
    _case("losses in percent", "retention", {"value": 90, "source": "pilot"}, "retention.value.*at most 1"),
    _case("a value outside its range", "outcomes.rest.sd", {**NUMBER, "low": 11}, "within its interval"),
    _case("a correlation of 1", "outcomes.rest.correlation.value", 1, "correlation"),
    _case("no spread", "outcomes.rest.sd", ..., "one of preset, results"),
    _case("two spreads", "outcomes.rest.preset", "rest_region", "one of preset, results"),
    _case(
        "a preset misspelt",
        "outcomes.rest",
        {"analysis": "rest_change", "effect": NUMBER, "preset": "rest_regio"},
        "rest_region",
    ),
    _case("no such configuration", "study", "confg.yaml", "config.yaml"),
    _case("no such analysis", "outcomes.rest.analysis", "rest_chnge", "rest_change"),
    _case("an analysis as answer", "outcomes.craving.answer", "rest_change", "analysis"),
    _case("no such answer", "outcomes.relation.answer", "craving.vmpcf", "craving.vmpfc"),
    _case("an analysis and an answer", "outcomes.craving.analysis", "rest_change", "analysis or answer"),
    _case("a score without its spread", "outcomes.craving", {"answer": "craving", "effect": NUMBER}, "sd or within_sd"),
    _case("a preset of CBF for a score", "outcomes.craving.preset", "rest_region", "no preset"),
    _case("places of a score", "outcomes.craving.places", {"one": {"region": "vmpfc"}}, "no places"),
    _case(
        "a spread of a correlation",
        "outcomes.relation",
        {
            "answer": "craving.vmpfc",
            "effect": {**NUMBER, "value": 0.5},
            "sd": NUMBER,
            "correlation": {**NUMBER, "value": 0.5},
        },
        "no unit",
    ),
    _case("a correlation in percent", "outcomes.relation.effect.value", 50, "below 1"),
    _config("a correlation without a closed form", "craving.test", {"method": "spearman"}, "Pearson's r"),
    _config("a family whose size is not declared", "craving.family", "all", "the declared test alone"),
    _case("a sphere outside the brain", "outcomes.rest.places.sphere.sphere", [90, 36, 28], "places.sphere"),
    _case("a sphere without a radius", "outcomes.rest.places.sphere", {"sphere": [42, 36, 28]}, "radius"),
    _case("no such region", "outcomes.rest.places.sphere", {"region": "vmpcf"}, "vmpfc"),
    _case("voxels of 1 mm", "maps.voxel_size", 1, "voxel_size.*at least 2"),
    _case("too few studies", "maps.studies", 5, "studies.*at least 20"),
    _case("no mean of the brain", "maps.mean", ..., "mean"),
    _config("a test that is not by permutation", "analyses.rest_change.method", "mixed_model", "by permutation"),
]
