"""``./run power``: what it writes of the study in config/power.yaml, and what it refuses."""

import json
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
    assert {row["varied"] for row in rows} == {"planned", "effect", "sd", "correlation", "retention"}
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
        "target difference is 7.5 mL/100 g/min (assumed",
        "standard deviation between people at one session is taken as 11 (range 8.4 to 13.7)",
        "correlation of the sessions as 0.7",
        "21 to baclofen and 22 to placebo",
        "with 100 % of them with usable scans at both sessions",
        "The power is then 80 %, by the noncentral t distribution with 41 degrees of freedom",
        "(assurance)",
        "258 scans",
    ):
        assert words in text


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
