"""The typed settings: the schema's defaults and no others."""

import dataclasses
import typing

import complete_settings
import pytest
import yaml
from loading import ROOT
from pharmasl.study import configuration, schemas, settings

CLASSES = [value for value in vars(settings).values() if dataclasses.is_dataclass(value)]


def resolved(path):
    config = configuration.resolve(yaml.safe_load(path.read_text()))
    return {name: value for name, value in config.items() if name != "simulate"}


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_settings_hold_the_whole_configuration_and_come_back_plain(name):
    config = resolved(ROOT / "config" / name)
    study = settings.build(settings.Settings, config)
    assert settings.build(settings.Settings, settings.plain(study)) == study
    assert study.inference.permutations == config["inference"]["permutations"]
    assert {analysis.name: analysis.contrast for analysis in study.analyses.values()} == {
        name: analysis["contrast"] for name, analysis in config["analyses"].items()
    }


def test_no_setting_has_a_default_of_its_own():
    for section in CLASSES:
        for field in dataclasses.fields(section):
            assert field.default is dataclasses.MISSING, (section, field.name)
            assert field.default_factory is dataclasses.MISSING, (section, field.name)


def test_every_setting_is_in_the_schema():
    sections = {name for name in schemas.properties("config") if name != "simulate"}
    assert set(typing.get_type_hints(settings.Settings)) == sections


def test_one_name_may_stand_without_a_list():
    craving = complete_settings.study(
        sessions=complete_settings.SESSIONS,
        arms=complete_settings.ARMS,
        craving={"table": "c.tsv", "before": "pre", "after": ["a", "b"]},
    ).craving
    assert craving.before == ("pre",)
    assert craving.after == ("a", "b")


@pytest.mark.parametrize(
    ("values", "words"), [({}, "needs baseline"), ({"baseline": "1", "followup": "2", "third": "3"}, "third")]
)
def test_what_is_missing_or_unknown_is_named(values, words):
    with pytest.raises(TypeError, match=words):
        settings.build(settings.SessionPair, values)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("atlases/AAL3.nii", "AAL3"),
        ("own/tpl-MNI152NLin6Asym_atlas-Schaefer2018_res-01_dseg.nii.gz", "Schaefer2018"),
        ("own/aal_for_SPM12.nii.gz", "aalforSPM12"),
        ("own/__.nii", "own"),
    ],
)
def test_an_atlas_has_a_label_for_names_of_files(image, label):
    assert settings.Atlas(package=None, image=image, labels="labels.tsv").label == label
