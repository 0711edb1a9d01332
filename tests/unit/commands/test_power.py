"""``./run power``: what it writes of the study in config/power.yaml, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from pharmasl.commands import power
from pharmasl.errors import InputError, InputErrors
from pharmasl.export import power_table
from pharmasl.files import tables
from pharmasl.regions import repeated_values
from pharmasl.study import power_assumptions

CONFIG = Path(__file__).parents[3] / "config"
GOOD = yaml.safe_load((CONFIG / "power.yaml").read_text())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((CONFIG / "config.yaml").read_text())
    return tmp_path


def written(here, **changes):
    """The file of assumptions with other fields in place of some; None removes one."""
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path = here / "power.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def outcome(**changes):
    own = {**GOOD["outcomes"]["dlPFC at rest"], **changes}
    return {"outcomes": {"one": {key: value for key, value in own.items() if value is not None}}}


def test_the_example_is_reckoned_in_full(here, capsys):
    assert power.main([written(here)]) == 0
    rows = tables.read_table(here / "power" / "power.tsv")
    first = rows[0]
    assert (first["outcome"], first["model"], first["planned"], first["varied"]) == (
        "dlPFC at rest",
        "change",
        "yes",
        "planned",
    )
    assert np.isclose(float(first["detectable"]), 7.459, atol=1e-3)
    assert (first["needed_treatment"], first["needed_control"], first["scans"]) == ("21", "22", "258")
    assert {row["varied"] for row in rows} == {"planned", "effect", "effect_end", "sd", "correlation", "retention"}
    # Fewer people with both sessions: the power falls, and more have to be randomised for the same number.
    lost = next(row for row in rows if row["varied"] == "retention")
    assert (lost["complete_treatment"], lost["complete_control"]) == ("16", "17")
    assert float(lost["power"]) < float(first["power"])
    assert (lost["needed_treatment"], lost["randomised_treatment"]) == ("21", "27")
    assert list(json.loads((here / "power" / "power.json").read_text())) == list(power_table.COLUMNS)
    page = (here / "power" / "power.html").read_text()
    assert page.count("<svg") >= 2
    assert "doi 10.1371/journal.pone.0132929" in page
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert text in " ".join(capsys.readouterr().out.split()).replace("\u00a0", " ")
    # What DELTA2 asks for.
    for words in (
        "The outcome is CBF in the region (dlPFC at rest)",
        "two-sided test at 0.05",
        "Its analysis (rest_interaction) is a primary answer of the trial.",
        "target difference is 7.5 mL/100 g/min (assumed",
        "a standardised effect of 0.682 (over the standard deviation between people at one session, 11 mL/100 g/min)",
        "That difference is taken to be a realistic one.",
        "43 people are randomised in a ratio of 1:1, as nearly as their number allows, 21 to baclofen and 22 to placebo",
        "(craving.vmpfc) is a secondary answer of the trial; the calculation rests on it because it is the link",
        "standard deviation between people at one session is taken as 11 mL/100 g/min (range 8.4 to 13.7; assumed",
        "correlation of the sessions as 0.7",
        "with 100 % of them with usable scans at both sessions",
        "The power is then 80 %, by the noncentral t distribution with 41 degrees of freedom",
        "(assurance)",
        "258 scans",
    ):
        assert words in text


def test_what_delta2_asks_for_and_the_assumptions_do_not_say_is_left_to_be_added(here):
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    del config["primary"]
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    effect = {"value": 7.5, "source": "assumed"}
    power.main([written(here, people={"treatment": 30, "control": 20}, **outcome(effect=effect))])
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "The trial declares no primary answer." in text
    assert "in a ratio of 3:2, 30 to baclofen and 20 to placebo" in text
    assert text.endswith(
        "[To be added, as DELTA2 asks: whether the target difference is an important or a realistic one (effect: basis), why the "
        "calculation rests on an outcome that is not primary (reason) and why the arms are not equally large (people: reason).]"
    )
    said = {"people": {"treatment": 30, "control": 20, "reason": "more is to be learned of the drug"}}
    power.main([written(here, **said, **outcome(effect={**effect, "basis": "both"}, reason="it is a pilot"))])
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "The trial declares no primary answer; the calculation rests on it because it is a pilot." in text
    assert "in a ratio of 3:2 because more is to be learned of the drug, 30 to" in text
    assert "taken to be both important and realistic" in text
    assert "To be added" not in text


def test_the_same_bytes_come_again(here):
    path, names = written(here), ("power.tsv", "power.svg", "power.html", "protocol.txt")
    power.main([path])
    first = [(here / "power" / name).read_bytes() for name in names]
    power.main([path])
    assert [(here / "power" / name).read_bytes() for name in names] == first


def test_model_covariates_and_regions_come_from_the_configuration(here):
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    config["analyses"]["adjusted"] = {
        "contrast": "rest",
        "model": "followup ~ arm + baseline + age + sex",
        "test": "arm",
    }
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    power.main([written(here, tests=None, covariates=None, **outcome(analysis="adjusted"))])
    first = tables.read_table(here / "power" / "power.tsv")[0]
    # 43 people, arm, mean, baseline, age and sex; two regions are no clusters of these data.
    assert (first["model"], float(first["df"]), float(first["alpha"])) == ("ancova", 38.0, 0.025)
    power.main([written(here, tests=None, covariates=None)])
    first = tables.read_table(here / "power" / "power.tsv")[0]
    assert (first["model"], float(first["df"])) == ("change", 39.0)


def test_a_region_is_tested_with_the_variance_of_its_analysis(here):
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    config["inference"]["variance"] = "by_arm"
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    own = {"retention": None, **outcome()}
    power.main([written(here, people={"treatment": 8, "control": 30}, **own)])
    by_arm = tables.read_table(here / "power" / "power.tsv")[0]
    config["inference"]["variance"] = "equal"
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    power.main([written(here, people={"treatment": 8, "control": 30}, **own)])
    equal = tables.read_table(here / "power" / "power.tsv")[0]
    assert (by_arm["variance"], equal["variance"], float(equal["df"])) == ("by_arm", "equal", 36)
    assert float(by_arm["df"]) < 15
    assert float(by_arm["power"]) < float(equal["power"]) - 0.01


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_losses_of_everyone_are_said(here, share):
    power.main([written(here, retention={"value": share, "source": "a flood"})])
    assert {row["power"] for row in tables.read_table(here / "power" / "power.tsv")} == {None}
    assert (here / "power" / "protocol.txt").read_text().count("too few people are left") == 4


def test_relative_cbf_has_its_own_unit_and_takes_no_spread_of_absolute_cbf(here):
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    config["contrasts"]["relative"] = {"weights": {"rest": 1}, "scaling": "proportional", "reference": "grey_matter"}
    config["analyses"]["relative"] = {"contrast": "relative", "effect": "group_by_time"}
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(InputError, match="a spread in mL/100 g/min'"):
        power.main([written(here, **outcome(analysis="relative"))])
    own = {"sd": {"value": 7.5, "source": "pilot"}, "correlation": {"value": 0.65, "source": "pilot"}}
    power.main([written(here, **outcome(analysis="relative", preset=None, **own))])
    first = tables.read_table(here / "power" / "power.tsv")[0]
    assert first["unit"].startswith("mL/100 g/min of relative CBF")
    assert np.isclose(float(first["detectable"]), 5.5, atol=0.05)
    assert "of relative CBF" in (here / "power" / "protocol.txt").read_text()


ENDPOINTS = {
    "cigarettes": {
        "table": "phenotype/smoking.tsv",
        "score": "day",
        "unit": "cigarettes a day",
        "covariates": ["age", "sex"],
    },
    "logged": {
        "table": "phenotype/smoking.tsv",
        "score": "day",
        "unit": "ppm",
        "transform": "log",
        "variance": "by_arm",
    },
    "dependence": {
        "table": "phenotype/ftnd.tsv",
        "score": "total",
        "unit": "points",
        "model": "score ~ arm * session + age + (1 | participant)",
        "test": "arm:session",
        "relations": {"rois": ["vmpfc"], "contrast": "cue", "covariates": ["age"]},
    },
    "robust": {"table": "phenotype/ftnd.tsv", "score": "total", "variance": "robust"},
    "abstinent": {"table": "phenotype/co.tsv", "score": "abstinent", "kind": "binary"},
    "slopes": {"table": "phenotype/co.tsv", "score": "ppm", "model": "followup ~ arm * baseline", "test": "arm"},
}
SPREAD = {"sd": {"value": 5, "source": "pilot"}, "correlation": {"value": 0.7, "source": "pilot"}}


def with_endpoints(here, craving=None, primary=None):
    """The shipped configuration with endpoints, and other settings of craving and of the trial's own answers."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    config["endpoints"] = ENDPOINTS
    config["craving"] |= craving or {}
    config["primary"] |= primary or {}
    (here / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def answer(name, *, value=3, spread=SPREAD, **changes):
    """The file's outcomes: one answer."""
    own = {"answer": name, "effect": {"value": value, "source": "assumed"}, **spread, **changes}
    return {"outcomes": {"one": own}}


@pytest.mark.parametrize(
    ("name", "model", "variance", "unit", "df", "alpha"),
    [
        ("cigarettes", "ancova", "equal", "cigarettes a day", 38, 0.05),
        ("logged", "ancova", "by_arm", "log ppm", 39.91, 0.05),
        # The interaction of a mixed model is the t test of the changes, from which age drops out.
        ("dependence", "change", "equal", "points", 41, 0.05),
        # Welch's test, and one of the trial's three answers.
        ("craving", "change", "by_arm", "points", 40.91, 0.05 / 3),
        # Arm, and one of two regions.
        ("craving.vmpfc", "pearson", None, "correlation", 40, 0.025),
        # Arm and age.
        ("dependence.vmpfc", "pearson", None, "correlation", 39, 0.05),
    ],
)
def test_scores_are_compared_as_their_own_models_say(here, name, model, variance, unit, df, alpha):
    with_endpoints(here)
    related = model == "pearson"
    power.main([written(here, **answer(name, value=0.4 if related else 3, spread={} if related else SPREAD))])
    rows = tables.read_table(here / "power" / "power.tsv")
    first = rows[0]
    own = [first[key] for key in ("answer", "model", "planned", "variance", "unit")]
    assert own == [name, model, "yes", variance, unit]
    assert np.allclose([float(first["df"]), float(first["alpha"])], [df, alpha], atol=5e-3)
    assert {row["model"] for row in rows} == ({"pearson"} if related else {"change", "ancova", "followup"})
    assert (first["sd"] is None) == related
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    words = {
        "pearson": "The target correlation is 0.4 (assumed)",
        "ancova": "adjusted for the person's own baseline",
    }
    assert words.get(model, "the change from baseline to follow-up") in text
    assert ("with a variance for each arm" in text) == (variance == "by_arm")
    assert ("one: a correlation of" if related else "one: a difference of") in (
        here / "power" / "power.html"
    ).read_text()


def test_the_range_of_a_target_is_averaged_over_and_its_ends_are_looked_at(here):
    with_endpoints(here)
    effect = {"value": 0.4, "low": 0.2, "high": 0.6, "others": [0.3, 0.4, 0.3], "source": "three studies"}
    power.main([written(here, retention=None, **answer("craving.vmpfc", spread={}, effect=effect))])
    rows = tables.read_table(here / "power" / "power.tsv")
    # A size that is named twice is reckoned once.
    assert [(row["varied"], row["effect"]) for row in rows] == [
        ("planned", "0.4"),
        ("effect", "0.3"),
        ("effect_end", "0.2"),
        ("effect_end", "0.6"),
    ]
    low, high = (float(row["power"]) for row in rows[2:])
    assert low < float(rows[0]["assurance"]) < float(rows[0]["power"]) < high
    # Another size is taken as known, as is everything else here.
    assert np.isclose(float(rows[1]["assurance"]), float(rows[1]["power"]))
    assert [row["assurance"] for row in rows[2:]] == [None, None]
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "The target correlation is 0.4 (range 0.2 to 0.6; three studies)" in text
    assert "averaged over the range of the target correlation (assurance)" in text


def test_assurance_is_averaged_over_losses_too(here):
    own = {"preset": None, "sd": {"value": 11, "source": "pilot"}, "correlation": {"value": 0.7, "source": "pilot"}}
    lost = {"value": 0.9, "low": 0.5, "high": 1, "source": "two trials"}
    power.main([written(here, retention=lost, **outcome(**own))])
    first = tables.read_table(here / "power" / "power.tsv")[0]
    assert float(first["assurance"]) < float(first["power"]) - 0.01
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "averaged over the range of the share of people with both values (assurance)" in text


def test_small_units_keep_their_digits(here):
    with_endpoints(here)
    small = {
        "sd": {"value": 0.0042, "low": 0.0031, "source": "pilot"},
        "correlation": {"value": 0.7, "source": "pilot"},
    }
    power.main([written(here, **answer("logged", value=0.003, spread=small))])
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "is taken as 0.0042 log ppm (range 0.0031 to 0.0042; pilot)" in text
    assert "A difference of 0.0027 log ppm is found" in text


def test_a_score_has_its_own_losses_tests_and_covariates(here):
    with_endpoints(here)
    own = {"retention": {"value": 0.95, "low": 0.9, "source": "scores come by mail"}, "tests": 2, "covariates": 0}
    lost = {"value": 0.8, "source": "scans"}
    power.main([written(here, retention=lost, tests=1, covariates=3, **answer("cigarettes", **own))])
    rows = tables.read_table(here / "power" / "power.tsv")
    first = rows[0]
    assert (first["complete_treatment"], first["complete_control"]) == ("19", "20")
    assert (float(first["df"]), float(first["alpha"])) == (36, 0.025)
    assert [row["retention"] for row in rows if row["varied"] == "retention"] == ["0.9"]
    text = " ".join((here / "power" / "protocol.txt").read_text().split())
    assert "with 95 % of them with values at both sessions (scores come by mail), 19 and 20" in text
    assert "0.025 (0.05 over 2 planned results, Holm's first step)" in text


def test_an_answer_of_the_trial_is_corrected_as_the_trials_answers(here):
    for correction, name, spread, alpha in (
        ("sequence", "craving", SPREAD, 0.04),
        ("holm", "craving", SPREAD, 0.02),
        ("holm", "craving.vmpfc", {}, 0.02),
    ):
        with_endpoints(
            here,
            primary={"answers": [name, "rest_interaction"], "correction": correction, "alpha": 0.04, "secondary": []},
        )
        power.main([written(here, **answer(name, value=0.4, spread=spread))])
        assert np.isclose(float(tables.read_table(here / "power" / "power.tsv")[0]["alpha"]), alpha)


@pytest.mark.parametrize(
    ("change", "craving", "field", "expected"),
    [
        (answer("cigaretes"), {}, "answer", "craving.vmpfc, cigarettes"),
        (answer("rest_interaction"), {}, "answer", "one of craving"),
        (answer("cigarettes", spread={}), {}, "", "sd or within_sd"),
        (answer("cigarettes", spread={"preset": "rest_region"}), {}, ".preset", "no preset"),
        (answer("cigarettes", places={"a": {"region": "vmpfc"}}), {}, ".places", "no places"),
        (answer("robust"), {}, "answer", "no closed form"),
        (answer("abstinent"), {}, "answer", "a number as score"),
        (answer("slopes"), {}, "answer", "a number as score"),
        (answer("craving.vmpfc", value=0.4), {}, "", "a correlation has no unit"),
        (answer("craving.vmpfc", spread={}), {}, ".effect", "below 1"),
        (answer("craving.vmpfc", value=0.4, spread={}), {"family": "all"}, "answer", "the declared test alone"),
        (
            answer("craving.vmpfc", value=0.4, spread={}),
            {"test": {"timing": "change", "group": "all", "method": "spearman"}},
            "answer",
            "Pearson's r",
        ),
        (answer("cigarettes", analysis="rest_interaction"), {}, "", "analysis or answer"),
        (outcome(analysis=None), {}, "", "analysis or answer"),
        (answer("cigarettes", retention={"value": 0.9, "low": 0.95, "source": "hope"}), {}, ".retention", "within"),
    ],
)
def test_an_answer_that_has_no_power_is_refused(here, change, craving, field, expected):
    with_endpoints(here, craving=craving)
    path = written(here, **change)
    with pytest.raises((InputError, InputErrors)) as refused:
        power.main([path])
    (error,) = getattr(refused.value, "errors", [refused.value])
    assert (error.file, error.field) == (path, f"outcomes.one{'.' * (field == 'answer')}{field}")
    assert expected in error.expected
    assert error.fix
    assert not (here / "power").exists()


def finished(here, **row):
    columns = repeated_values.dictionary()
    own = dict.fromkeys(columns) | {
        "contrast": "rest",
        "kind": "region",
        "name": "vmpfc",
        "people": "placebo",
        "n": 22,
        "unit": "mL/100 g/min",
    }
    own |= {"within_sd": 6.0, "within_sd_low": 4.6, "within_sd_high": 8.6, "icc_consistency": 0.7}
    own |= {"icc_consistency_low": 0.4, "icc_consistency_high": 0.86, "defined_by_same_data": False} | row
    (here / "results" / "tables").mkdir(parents=True, exist_ok=True)
    tables.write_table(here / "results" / "tables" / "repeatability.tsv", [own], columns)
    return {"folder": "results", "contrast": "rest", "region": "vmpfc"}


def test_a_finished_studys_repeatability_is_taken(here):
    path = written(here, **outcome(preset=None, results=finished(here)))
    (one,) = power_assumptions.read(path).outcomes
    assert np.isclose(one.spread.planned_sd, 6 / np.sqrt(0.3))
    assert (one.spread.within_sd.low, one.spread.correlation.high, one.caution) == (4.6, 0.86, None)
    assert "22 people" in one.spread_source
    pooled = power_assumptions.read(written(here, **outcome(preset=None, results=finished(here, people="all"))))
    assert "people of all arms" in pooled.outcomes[0].caution


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"people": {"treatment": 21}}, "people.control", "People randomised|people randomised"),
        ({"people": {"treatment": 1, "control": 22}}, "people.treatment", "at least 2"),
        ({"retention": {"value": 1.2, "source": "hope"}}, "retention.value", "at most 1"),
        ({"retention": {"value": 0.9}}, "retention.source", "where the value comes from"),
        ({"retention": {"value": 0.5, "low": 0.8, "source": "x y"}}, "retention", "within its interval"),
        ({"power": 80}, "power", "below|wanted power"),
        ({"studdy": "config.yaml"}, "(top level)", "only "),
        ({"study": "konfig.yaml"}, "study", "configuration of the planned study"),
        (outcome(preset="rest_regoin"), "outcomes.one.preset", "one of rest_region"),
        (outcome(preset=None), "outcomes.one", "one of preset, results"),
        (outcome(sd={"value": 3, "source": "pilot"}), "outcomes.one", "one of preset, results"),
        (outcome(effect={"value": -3, "source": "pilot"}), "outcomes.one.effect.value", "above 0"),
        (outcome(effect={"value": 3}), "outcomes.one.effect.source", "where the value comes from"),
        (outcome(effect={"value": 3, "source": "   "}), "outcomes.one.effect.source", "where the value comes from"),
        (outcome(effect={"value": 3, "low": 4, "source": "pilot"}), "outcomes.one.effect", "within its interval"),
        (outcome(effect={"value": 3, "low": -1, "source": "pilot"}), "outcomes.one.effect.low", "at least 0"),
        (
            outcome(preset=None, sd={"value": 3, "source": "pilot"}, correlation={"value": 1, "source": "pilot"}),
            "outcomes.one.correlation.value",
            "planning value",
        ),
        (
            outcome(
                preset=None, sd={"value": 3, "low": 4, "source": "pilot"}, correlation={"value": 0, "source": "abc"}
            ),
            "outcomes.one.sd",
            "within its interval",
        ),
        (outcome(analysis="rest_interactoin"), "outcomes.one.analysis", "one of rest_interaction"),
        (outcome(analysis="dlpfc_to_cue"), "outcomes.one.analysis", "a comparison of treatment and control"),
        (
            outcome(preset=None, results={"folder": "nowhere", "contrast": "rest", "region": "vmpfc"}),
            "outcomes.one.results.folder",
            "tables/repeatability.tsv",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_file_and_field(here, changes, field, expected):
    path = written(here, **changes)
    with pytest.raises((InputError, InputErrors)) as refused:
        power.main([path])
    errors = getattr(refused.value, "errors", [refused.value])
    assert [error.field for error in errors] == [field]
    assert errors[0].file == path
    assert any(words in errors[0].expected for words in expected.split("|"))
    assert errors[0].fix
    assert not (here / "power").exists()


@pytest.mark.parametrize(("wrong", "field"), [("contrast", "contrast"), ("region", "region")])
def test_a_region_that_the_finished_study_lacks_is_refused(here, wrong, field):
    part = {**finished(here), wrong: "vmpfcc"}
    with pytest.raises(InputErrors) as refused:
        power_assumptions.read(written(here, **outcome(preset=None, results=part)))
    assert refused.value.errors[0].field == f"outcomes.one.results.{field}"


def test_a_region_without_values_is_refused(here):
    empty = finished(here, within_sd=None, note="not computed of fewer than 3 people")
    with pytest.raises(InputErrors, match="not computed of fewer than 3 people"):
        power_assumptions.read(written(here, **outcome(preset=None, results=empty)))


def test_no_file_and_no_yaml_are_refused(here):
    with pytest.raises(InputError, match="no such file"):
        power.main([])
    (here / "power.yaml").write_text("study: [\n")
    with pytest.raises(InputError, match="line 2"):
        power.main([])
    with pytest.raises(InputError, match="one file of assumptions"):
        power.main(["power.yaml", "--cores", "2"])


def test_the_values_depth_imports_none_of_what_takes_seconds():
    code = (
        "import sys; import pharmasl.commands.power; "
        "print(sorted({'numba', 'pandas', 'scipy.stats', 'scipy.ndimage', 'statsmodels', 'formulaic'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(CONFIG.parent / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_too_few_people_are_said_to_be_too_few(here):
    power.main([written(here, people={"treatment": 2, "control": 2}, covariates=3)])
    rows = tables.read_table(here / "power" / "power.tsv")
    assert rows[0]["power"] is None
    assert "too few people are left" in (here / "power" / "power.html").read_text()


def test_every_preset_can_be_used():
    for name, part in power_assumptions.presets().items():
        for values in part.values():
            assert values["low"] <= values["value"] <= values["high"], name
            assert values["source"]
