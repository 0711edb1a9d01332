"""What the maps depth takes from assumptions and configuration, and what it refuses."""

import drawn_studies
import pytest
import yaml
from pharmasl.commands import planned_study
from pharmasl.errors import InputError, InputErrors
from pharmasl.study.map_assumptions import Shares

OWN = {"value": 0.5, "source": "pilot"}


def refused(folder, match, **changes):
    path = drawn_studies.write(folder, **changes)
    with pytest.raises((InputError, InputErrors), match=match):
        planned_study.maps(*planned_study.read(path))


def places(**where):
    return drawn_studies.outcome(places={"one": where})


def test_the_test_is_that_of_the_configuration(tmp_path):
    one = drawn_studies.planned(tmp_path)
    assert (one.method, one.methods, one.statistics) == ("change", ("change", "ancova"), ("extent", "mass"))
    assert (one.sizes, one.effects[0], one.edge) == ((21, 22), 0.0, 6)


def test_more_studies_leave_the_jobs_of_the_first_as_they_are():
    def numbers(studies):
        shares = Shares(studies=studies, studies_per_job=25)
        return [range(shares.first(job), shares.first(job) + shares.of_job(job)) for job in range(1, shares.jobs + 1)]

    assert numbers(200) == [range(first, first + 25) for first in range(0, 200, 25)]
    assert numbers(300)[:8] == numbers(200)
    # A job of a few studies is done again.
    assert numbers(210)[8:] == [range(200, 210)]
    assert [number for own in numbers(210) for number in own] == list(range(210))


def test_the_primary_statistic_is_tested_whatever_it_takes(tmp_path):
    path = drawn_studies.write(tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    for primary, expected in (
        ("tfce", ("extent", "mass", "tfce")),
        ("any", ("extent", "mass", "tfce")),
        ("voxel", ("extent", "mass")),
    ):
        config["inference"]["primary"] = primary
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        assert planned_study.maps(*planned_study.read(path))[0].statistics == expected


def test_a_declared_region_is_a_place(tmp_path):
    path = drawn_studies.write(tmp_path, **places(region="vmpfc"))
    one = planned_study.maps(*planned_study.read(path))[0]
    assert one.places["one"].sphere == (0, 44, -12)


def test_contrasts_of_states_are_not_scaled(tmp_path):
    path = drawn_studies.write(tmp_path, **drawn_studies.outcome(analysis="cue_interaction"))
    assert planned_study.maps(*planned_study.read(path))[0].scalings == ("absolute",)


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ({"region": "nowhere"}, "one.region: found 'nowhere', expected one of"),
        ({"region": "dlpfc_cluster"}, "a cluster of rest_interaction"),
        ({"sphere": [0, 0, 0]}, "expected region, or sphere with radius"),
        ({"region": "vmpfc", "sphere": [0, 0, 0], "radius": 9}, "found 'region, sphere, radius'"),
        ({"sphere": [0, 0, 500], "radius": 9}, r"outcomes\.one\.places\.one"),
        ({"sphere": [0, 0, 0], "radius": 1}, r"2 mm or more: half a voxel"),
        ({"sphere": [0, 0, 0], "radios": 9}, "Did you mean radius"),
    ],
)
def test_places_that_are_none_are_refused(tmp_path, where, match):
    refused(tmp_path, match, **places(**where))


def test_what_cannot_be_drawn_is_refused(tmp_path):
    refused(tmp_path, "power.yaml: maps: found 'nothing'", maps=None)
    refused(tmp_path, "places of an outcome", **drawn_studies.outcome(places=None))
    negative = {"sd": {"value": 9, "source": "pilot"}, "correlation": {"value": -0.2, "source": "pilot"}}
    refused(tmp_path, "0 or more, for maps to be drawn", **drawn_studies.outcome(preset=None, **negative))
    without = {key: value for key, value in drawn_studies.GOOD["maps"].items() if key != "mean"}
    refused(tmp_path, "maps.mean: found 'nothing'", maps=without)
    refused(tmp_path, "voxel_size", maps={**drawn_studies.GOOD["maps"], "voxel_size": 1})
    share = {"between": OWN, "within": {"value": 1, "source": "pilot"}}
    refused(tmp_path, "global_share.within.value: found 1", maps={**drawn_studies.GOOD["maps"], "global_share": share})


def test_relative_cbf_and_other_methods_are_refused(tmp_path):
    path = drawn_studies.write(tmp_path, **drawn_studies.outcome(analysis="other"))
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["analyses"]["other"] = {"contrast": "rest", "effect": "group_by_time", "method": "full_factorial"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(InputErrors, match="other, by full_factorial', expected a test by permutation"):
        planned_study.maps(*planned_study.read(path))
