"""The configuration as it was written: what is taken as it was meant, and what is refused with one message."""

import os

import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import configuration, schemas, written


def config(tmp_path, **changes):
    bids = tmp_path / "bids"
    bids.mkdir(exist_ok=True)
    return {**skeleton.config(bids, tmp_path / "results"), **changes}


def problems(tmp_path, **changes):
    with pytest.raises(InputErrors) as caught:
        configuration.resolve(config(tmp_path, **changes))
    return caught.value.errors


def test_a_key_twice_is_named_with_its_lines(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "analyses:\n  a: {contrast: rest}\n  b: {}\n  a: {contrast: cue}\narms: {x: 1, x: 2}\nblinded: false\n"
    )
    found = {error.field: error.found for error in written.repeated_keys([path])}
    assert found == {"analyses.a": "twice, in lines 2 and 4", "arms.x": "twice, in lines 5 and 5"}
    path.write_text("a: {b: 1}\nc: {b: 1}\nd: [{b: 1}, {b: 2}]\n")
    assert list(written.repeated_keys([path])) == []


def test_text_of_the_command_line_is_taken_as_the_schema_wants_it(tmp_path):
    found = configuration.resolve(
        config(
            tmp_path,
            inference={"permutations": "500", "two_sided": "false", "alpha": "0.01", "statistics": "[mass]"},
            quality={"bands": {"fd_mean": ["null", "0.5"]}},
            title=2024,
            blinded="true",
            perfusion={"delays": {"transit_sd": "null"}, "smoothing_fwhm": "6"},
            template={"resolution": "3"},
        )
    )
    inference = found["inference"]
    assert (inference["permutations"], inference["two_sided"], inference["alpha"]) == (500, False, 0.01)
    assert inference["statistics"] == ["mass"]
    assert found["quality"]["bands"]["fd_mean"] == [None, 0.5]
    assert (found["title"], found["blinded"]) == ("2024", True)
    assert found["perfusion"]["delays"]["transit_sd"] is None
    assert found["perfusion"]["smoothing_fwhm"] == 6
    assert found["template"]["resolution"] == 3


def test_arms_may_be_numbers_in_yaml(tmp_path):
    found = configuration.resolve(config(tmp_path, arms={"column": "arm", "treatment": 1, "control": 0}))
    assert (found["arms"]["treatment"], found["arms"]["control"]) == ("1", "0")


def test_paths_are_written_out_and_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = configuration.resolve(config(tmp_path, output_dir="./results/../results/", bids_dir=f"{tmp_path}//bids/"))
    assert (found["output_dir"], found["bids_dir"]) == ("results", str(tmp_path / "bids"))
    found = configuration.resolve(config(tmp_path, output_dir="~/out", rois={"r": {"image": "~/r.nii.gz"}}))
    assert found["output_dir"] == str(tmp_path / "home/out")
    assert found["rois"]["r"]["image"] == str(tmp_path / "home/r.nii.gz")


@pytest.mark.parametrize(
    ("output", "accepted"),
    [
        ("bids", False),
        ("bids/sub-01", False),
        ("bids/results", False),
        ("bids/../bids", False),
        ("link", False),
        (".", False),
        ("file", False),
        ("bids/derivatives/pharmasl", True),
        ("bids_results", True),
        ("elsewhere/results", True),
    ],
)
def test_results_never_lie_in_the_raw_dataset(tmp_path, output, accepted):
    (tmp_path / "file").write_text("")
    (tmp_path / "bids").mkdir()
    os.symlink(tmp_path / "bids", tmp_path / "link")
    if accepted:
        configuration.resolve(config(tmp_path, output_dir=f"{tmp_path}/{output}"))
        return
    (error,) = problems(tmp_path, output_dir=f"{tmp_path}/{output}")
    assert error.field == "output_dir"
    assert "derivatives/pharmasl" in error.fix


ANALYSIS = {"contrast": "rest", "effect": "group_by_time"}
RATED = {"table": "c.tsv", "before": "a", "after": "b"}


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"sessions": {"baseline": "T1", "followup": "T1"}}, "sessions.followup", "would be 0"),
        ({"sessions": {"baseline": "T1", "followup": "T2", "others": ["T2"]}}, "sessions.others", "beside"),
        (
            {"analyses": {"a": {**ANALYSIS, "sessions": {"baseline": "T2", "followup": "T2"}}}},
            "analyses.a.sessions.followup",
            "would be 0",
        ),
        ({"contrasts": {"rest": {"rest": 0}}}, "contrasts.rest", "other than 0"),
        ({"contrasts": {"rest": {"rest": 1, "neutral": 0}}}, "contrasts.rest", "other than 0"),
        ({"contrasts": {"rest": {"rest": float("nan")}}}, "contrasts.rest.weights.rest", "finite"),
        ({"contrasts": {"rest": {"rest": float("inf")}}}, "contrasts.rest.weights.rest", "finite"),
        ({"perfusion": {"smoothing_fwhm": float("nan")}}, "perfusion.smoothing_fwhm", "finite"),
        ({"analyses": {"Rest": ANALYSIS, "rest": ANALYSIS}}, "analyses.rest", "case"),
        ({"analyses": {"a": ANALYSIS, "c": ANALYSIS}, "conjunctions": {"A": ["a", "c"]}}, "analyses.A", "case"),
        (
            {"rois": {"v": {"sphere": [0, 0, 0], "radius": 5}, "V": {"sphere": [0, 0, 0], "radius": 5}}},
            "rois.V",
            "case",
        ),
        (
            {"rois": {"v": {"sphere": [0, 0, 0], "radius": 5}, "v_leftout": {"sphere": [0, 0, 0], "radius": 5}}},
            "rois.v_leftout",
            "_leftout",
        ),
        ({"analyses": {"a" * 61: ANALYSIS}}, "analyses", "60"),
        ({"analyses": {"x" + "ab" * 20: ANALYSIS}}, f"analyses.x{'ab' * 20}", "ab twenty times"),
        ({"title": "Study {date}"}, "title", "braces"),
        ({"output_dir": "results_{date}"}, "output_dir", "braces"),
        ({"rois": {"v": {"image": "a{b}.nii"}}}, "rois.v.image", "braces"),
        ({"craving": {**RATED, "after": "a"}}, "craving.after", "other columns"),
        (
            {"inference": {"primary": "tfce", "statistics": ["extent"]}, "analyses": {"a": ANALYSIS}},
            "analyses.a.inference.primary",
            "Add tfce to statistics",
        ),
        (
            {"analyses": {"a": {**ANALYSIS, "method": "full_factorial", "inference": {"primary": "any"}}}},
            "analyses.a.inference.primary",
            "extent or voxel",
        ),
        (
            {"inference": {"permutations": 100, "alpha": 0.005}, "analyses": {"a": ANALYSIS}},
            "inference.permutations",
            "no p could reach alpha",
        ),
        ({"craving": {**RATED, "before": ["a", "b"], "after": ["c", "b"]}}, "craving.after", "other columns"),
        ({"craving": {**RATED, "range": [100, 0]}}, "craving.range", "Exchange"),
        ({"quality": {"bands": {"qei": [1, 0]}}}, "quality.bands.qei", "Exchange"),
        ({"perfusion": {"outliers": {"global_limits": [150, -40]}}}, "perfusion.outliers.global_limits", "Exchange"),
        ({"perfusion": {"partial_volume": {"kernel": [4, 5, 1]}}}, "perfusion.partial_volume.kernel", "odd"),
        ({"rois": {"v": {"sphere": [0, 0, 0], "radius": 5, "x_above": 2, "x_below": -2}}}, "rois.v", "Exchange"),
        (
            {
                "analyses": {"a": ANALYSIS, "b": {**ANALYSIS, "method": "mixed_model"}},
                "conjunctions": {"c": ["a", "b"]},
            },
            "conjunctions.c",
            "mixed_model",
        ),
        ({"conditions": {"rest": {"acquisition": 1}}}, "conditions.rest.acquisition", 'such as acquisition: "01"'),
        ({"participants": [8]}, "participants.0", "YAML reads 01 as 1"),
        ({"sessions": {"baseline": False, "followup": "T2"}}, "sessions.baseline", "off as false"),
        ({"smothing": 3, "analysis": {}}, "(top level)", "Did you mean analyses"),
        ({"perfusion": {"smoothing_fwm": 3}}, "perfusion", "Did you mean smoothing_fwhm?"),
        (
            {"analyses": {"a": {**ANALYSIS, "effect": "group_by_tim"}}},
            "analyses.a.effect",
            "Did you mean group_by_time?",
        ),
        ({"inference": {"permutations": "many"}}, "inference.permutations", "integer"),
    ],
)
def test_what_cannot_be_meant_is_one_message(tmp_path, changes, field, text):
    base = {} if "conditions" not in changes else {"contrasts": {}, "analyses": {}}
    (error,) = problems(tmp_path, **base, **changes)
    assert error.field == field
    assert text in str(error)


def test_names_separated_by_commas_are_a_list():
    """As the command line gives them: --config quality.exclude=qei,fd_mean."""
    complete = schemas.as_wanted(
        {"quality": {"exclude": "qei, fd_mean"}, "perfusion": {"outliers": {"rules": "motion"}}}, "config"
    )
    assert complete == {"quality": {"exclude": ["qei", "fd_mean"]}, "perfusion": {"outliers": {"rules": ["motion"]}}}
    # Numbers keep their brackets, and a text that may be one stays one.
    assert schemas.as_wanted({"craving": {"range": "0, 10", "before": "a,b"}}, "config")["craving"] == {
        "range": "0, 10",
        "before": "a,b",
    }
