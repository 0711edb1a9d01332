"""The shipped twin of a trial and its variants: complete, and each different in what it says."""

import copy
import dataclasses

import numpy as np
import pytest
import yaml
from loading import ROOT
from pharmasl.simulate import planned_trial, susceptibility, territories
from pharmasl.simulate.simulation_settings import ParticipantSettings
from pharmasl.space import images, transforms
from pharmasl.space.packaged import nilearn_file
from pharmasl.study import configuration, settings

VARIANTS = sorted(path.stem for path in (ROOT / "config/twin").glob("*.yaml"))


def merged(base, other):
    """One configuration over another, as Snakemake takes two files."""
    if not (isinstance(base, dict) and isinstance(other, dict)):
        return copy.deepcopy(other)
    return {**base, **{key: merged(base.get(key), value) for key, value in other.items()}}


def configured(*variants):
    config = yaml.safe_load((ROOT / "config/twin.yaml").read_text(encoding="utf-8"))
    for name in variants:
        config = merged(config, yaml.safe_load((ROOT / f"config/twin/{name}.yaml").read_text(encoding="utf-8")))
    return config


def effects(section):
    """All amounts by which the arms differ on average."""
    planted = [effect["amount"] for effect in section["planted"].values() if effect["arm"] != "both"]
    return {
        "local": section["effects"]["resting_rise"],
        "planted": planted,
        "transit": section["transit"]["drug"],
        "craving": section["craving"]["slope"] * section["effects"]["slope"] * section["effects"]["resting_rise"],
        "cigarettes": section["cigarettes"]["effect"],
    }


def test_the_variants_are_those_that_the_page_names():
    assert VARIANTS == ["2d", "encoded", "field_map", "global_flow", "null", "null_cues", "opposed", "transit"]
    text = (ROOT / "docs/simulation.md").read_text(encoding="utf-8")
    assert all(f"config/twin/{name}.yaml" in text for name in VARIANTS)


@pytest.mark.parametrize("variants", [(), *((name,) for name in VARIANTS), ("2d", "null")], ids="+".join)
def test_it_is_a_whole_study_whose_questions_can_be_compared(variants):
    config = configured(*variants)
    section = planned_trial.complete(config["simulate"])
    study = settings.read(configuration.resolve(config))
    compare = section["compare"]
    assert {compare["rest"], compare["association"]} <= set(study.analyses)
    assert {compare["insula"], compare["vmpfc"]} <= set(study.rois)
    assert not section["exact"]
    assert planned_trial.groups(section, study.arms, study.sessions)[0].runs == tuple(range(6))


def test_the_null_and_the_confounded_twins_have_no_local_effect_of_the_drug():
    none = {"local": 0, "planted": [], "transit": 0, "craving": 0, "cigarettes": 0}
    amounts = {name: effects(planned_trial.complete(configured(name)["simulate"])) for name in VARIANTS}
    assert amounts["null"] == none
    assert amounts["global_flow"] == {**none, "planted": [-6]}
    assert amounts["transit"] == {**none, "transit": 0.3}
    assert amounts["2d"]["local"] == 8
    everywhere = configured("global_flow")["simulate"]["planted"]["drug"]
    assert everywhere["everywhere"]


@pytest.mark.parametrize(("name", "images_of_it"), [("field_map", 3), ("opposed", 2)])
def test_a_distorted_twin_has_a_field_and_a_map_of_it(name, images_of_it):
    section = planned_trial.complete(configured(name)["simulate"])
    asked = settings.build(susceptibility.Susceptibility, section["distortion"])
    assert asked.planted
    assert asked.dropout
    assert section["perfusion"]["slice_time"] > 0
    assert len(susceptibility.field_names(asked)) == images_of_it
    assert 6 < asked.hertz * susceptibility.millimetres(asked, section["perfusion"]["voxel_size"]) < 7


def test_what_a_single_delay_makes_of_a_drug_that_changes_transit_alone():
    """The figures of docs/simulation.md: in grey matter of the template, over 400 people, at 1.8 s."""
    section = planned_trial.complete(configured("transit")["simulate"])
    asked = settings.build(ParticipantSettings, {name: section[name] for name in planned_trial.PARTICIPANT})
    scanner = dataclasses.replace(asked.perfusion, matrix=(1, 1, 1))
    grey = images.load(nilearn_file("gm"))
    points = transforms.apply(grey.affine, np.argwhere(grey.data > 0.7 * 255)[::101].astype(float))
    times = {name: getattr(asked.transit, name) for name in ("anterior", "middle", "posterior", "cerebellar")}
    typical = territories.transit(times, asked.transit.border, territories.shares(points))
    people = np.random.default_rng(1).normal(0, np.hypot(asked.transit.people, asked.transit.sessions), 400)

    first = np.zeros(len(typical), dtype=int)

    def share(added):
        return np.mean([scanner.arrived(typical + own + added, first) for own in people], axis=0)

    change = share(asked.transit.drug) / share(0) - 1
    assert 100 * change.mean() == pytest.approx(-5.1, abs=0.3)
    assert (change < -0.1).mean() == pytest.approx(0.2, abs=0.02)
    assert 100 * change.min() == pytest.approx(-28, abs=1)
