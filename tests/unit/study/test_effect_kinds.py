"""The record of each effect against the schema of the configuration and the designs."""

from pathlib import Path

import pytest
import yaml
from pharmasl.group import effects
from pharmasl.study.effect_kinds import KINDS

SCHEMA = Path(__file__).parents[3] / "config" / "schemas" / "config.schema.yaml"
ANALYSIS = yaml.safe_load(SCHEMA.read_text())["properties"]["analyses"]["additionalProperties"]


def kinds_of(condition):
    """The names that a condition of the schema on the effect lets through."""
    named = next((part for part in condition.get("anyOf", ()) if "properties" in part), condition)
    effect = named["properties"]["effect"]
    return set(effect.get("enum", [effect.get("const")]))


def test_the_schema_lists_the_effects_there_are():
    assert ANALYSIS["properties"]["effect"]["enum"] == list(KINDS)


@pytest.mark.parametrize("setting", ["arm", "pair", "predictor", "seed"])
def test_the_schema_asks_for_what_an_effect_needs(setting):
    required, allowed = set(), set(KINDS)
    for rule in ANALYSIS["allOf"]:
        names = kinds_of(rule["if"])
        if setting in rule.get("then", {}).get("required", []):
            required |= names
        if setting in rule.get("else", {}).get("not", {}).get("required", []):
            allowed &= names
    assert required == {kind.name for kind in KINDS.values() if setting in kind.needs}
    assert allowed == {kind.name for kind in KINDS.values() if setting in kind.needs + kind.takes}


def test_the_methods_are_those_of_the_schema():
    methods = ANALYSIS["properties"]["method"]
    assert methods["default"] == "differences"
    assert set(methods["enum"]) == {method for kind in KINDS.values() for method in kind.methods}
    assert all(methods["default"] in kind.methods for kind in KINDS.values())


def test_each_effect_has_a_design():
    assert list(effects.EFFECTS) == list(KINDS)


def test_headlines_and_findings_are_sentences_of_the_analysis():
    inference = {
        "contrast": "rest",
        "arms": {"treatment": "drug", "control": "placebo"},
        "arm": None,
        "pair": None,
        "predictor": "age",
        "seed": {"roi": "right_dlpfc", "contrast": "cue"},
    }
    assert KINDS["association"].headline(inference) == "Change in CBF (rest) with change in right dlpfc (cue)"
    within = {**inference, "arm": "drug"}
    assert KINDS["association"].headline(within).endswith("right dlpfc (cue) on drug")
    assert KINDS["regression"].headline(within) == "Change in CBF (rest) with age on drug"
    assert KINDS["group_by_time"].finding(inference, size=-3.26, positive=False) == (
        "the mean change in CBF was 3.3 mL/100 g/min lower on drug than on placebo"
    )
    pair = {**inference, "pair": ["high", "low"]}
    assert KINDS["between_arms"].headline(pair) == "Change in CBF (rest): high versus low"
    assert KINDS["between_arms"].finding(pair, size=3.26, positive=True).endswith("higher on high than on low")
    assert KINDS["association"].finding(within, size=0.5, positive=False) == (
        "CBF fell by 0.50 mL/100 g/min for each rise of 1 mL/100 g/min in the seed region, on drug"
    )
