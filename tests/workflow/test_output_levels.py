"""Levels of output: which files a run leaves, that their absence plans nothing, and what a change then plans."""

import finished
import plans
import pytest
import skeleton
from complete_settings import study as settings_of
from pharmasl.records import verify
from pharmasl.workflow import output_levels

SCANS, PEOPLE = 24, 4
OF_SCANS = {"align_perfusion": SCANS, "quantify_perfusion": SCANS}
OF_ANATOMIES = {"prepare_anatomy": PEOPLE, "normalise_anatomy": PEOPLE, "segment_anatomy": PEOPLE}
ON_REQUEST = {"realigned_series": SCANS, "cbf_series": SCANS, "invert_registration": PEOPLE}


def config_of(level):
    config = skeleton.config("bids")
    config["rois"] = {"vmpfc": {"sphere": [0, 46, -8], "radius": 8}}
    config["outputs"] = level
    return config


def removed(config):
    stated = {key: value for key, value in config.items() if key in ("outputs", "rois", "contrasts", "conditions")}
    return output_levels.OutputLevels(settings_of(**stated), "results").is_removed


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Finished results at each level, made when they are asked for."""
    made = {}

    def at(level):
        if level not in made:
            config = config_of(level)
            made[level] = finished.make(tmp_path_factory.mktemp(level), config, PEOPLE, removed=removed(config))
        return made[level]

    return at


def names(study):
    return {
        path.relative_to(study.folder / "results").as_posix() for path in (study.folder / "results").rglob("*.nii.gz")
    }


@pytest.mark.parametrize("level", output_levels.LEVELS)
def test_a_finished_run_has_nothing_to_do_and_is_whole(kept, level):
    study = kept(level)
    assert study.plan()[0] == {}
    assert verify.main([str(study.folder / "results")]) == 0


def test_what_stays_at_each_level(kept):
    minimal, default, full = (names(kept(level)) for level in output_levels.LEVELS)
    assert minimal < default < full
    more = {output_levels.kind_of(path).name for path in full - default}
    assert more == {"realigned series", "series of CBF", "inverse deformations"}
    assert len(full - default) == 2 * SCANS + PEOPLE
    assert {output_levels.kind_of(path).level for path in default - minimal} == {"default"}
    assert {output_levels.kind_of(path).level for path in minimal} == {"minimal"}
    assert len([path for path in minimal if path.endswith("_desc-smooth_cbf.nii.gz")]) == SCANS


def changed(study, tmp_path, **changes):
    own = study.copy(tmp_path / "study")
    own.config |= changes
    return own


ANALYSIS = {"analyses": {"cue_interaction": {"contrast": "cue", "effect": "group_by_time"}}}


@pytest.mark.parametrize("level", ["minimal", "default"])
def test_another_question_is_answered_from_what_stayed(kept, tmp_path, level):
    own = changed(kept(level), tmp_path)
    own.config["analyses"] = {**own.config["analyses"], **ANALYSIS["analyses"]}
    own.config["rois"] = {"vmpfc": {"sphere": [0, 46, -8], "radius": 10}}
    wanted = own.plan()[0]
    assert {"group_statistics", "roi_values"} <= set(wanted)
    assert not {*OF_SCANS, *OF_ANATOMIES, *ON_REQUEST, "scan_quality", "scan_page", "session_contrast"} & set(wanted)


@pytest.mark.parametrize(("level", "anatomies"), [("minimal", OF_ANATOMIES), ("default", {})])
def test_another_processing_of_scans_begins_where_its_input_is(kept, tmp_path, level, anatomies):
    wanted = changed(kept(level), tmp_path, perfusion={"smoothing_fwhm": 4}).plan()[0]
    assert wanted["quantify_perfusion"] == SCANS
    assert {rule: wanted[rule] for rule in OF_ANATOMIES if rule in wanted} == anatomies


@pytest.mark.parametrize("level", ["minimal", "default"])
def test_limits_of_quality_cost_the_pages_alone_where_scans_stay(kept, tmp_path, level):
    wanted = changed(kept(level), tmp_path, quality={"bands": {"gm_cbf": [20, 90]}}).plan()[0]
    assert wanted["scan_page"] == SCANS
    assert ("quantify_perfusion" in wanted) == (level == "minimal")


def test_another_person_reruns_no_one_elses_scans(tmp_path):
    config = config_of("minimal") | {"participants": ["01", "02", "03"]}
    study = finished.make(tmp_path, config, PEOPLE, removed=removed(config))
    del study.config["participants"]
    wanted = study.plan()[0]
    assert {rule: wanted[rule] for rule in (*OF_SCANS, *OF_ANATOMIES, "scan_page")} == {
        **dict.fromkeys((*OF_SCANS, "scan_page"), SCANS // PEOPLE),
        **dict.fromkeys(OF_ANATOMIES, 1),
    }
    assert wanted["global_values"] == wanted["group_statistics"] == 1


def test_a_higher_level_makes_what_is_missing(kept, tmp_path):
    assert changed(kept("default"), tmp_path / "a", outputs="full").plan()[0] == ON_REQUEST
    wanted = changed(kept("minimal"), tmp_path / "b", outputs="default").plan()[0]
    assert {rule: wanted[rule] for rule in (*OF_SCANS, *OF_ANATOMIES)} == {**OF_SCANS, **OF_ANATOMIES}


def test_a_lower_level_runs_nothing_and_one_command_removes_the_rest(kept, tmp_path):
    assert changed(kept("full"), tmp_path / "a", outputs="default").plan()[0] == {}
    own = changed(kept("default"), tmp_path / "b", outputs="minimal")
    assert own.plan()[0] == {}
    assert names(own) == names(kept("default"))
    status, text = own.run("--delete-temp-output")
    assert status == 0, text
    assert names(own) == names(kept("minimal"))
    assert own.plan()[0] == {}
    own.run("--cores", "1")
    assert verify.main([str(own.folder / "results")]) == 0


@pytest.mark.parametrize(
    ("name", "rule"), [("desc-preproc_asl", "realigned_series"), ("desc-timeseries_cbf", "cbf_series")]
)
def test_a_file_on_request_brings_nothing_else(kept, name, rule):
    study = kept("default")
    path = f"results/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_{name}.nii.gz"
    status, text = study.run("-n", "--quiet", "host", "--", path)
    assert (status, plans.jobs(text)) == (0, {rule: 1})


def test_regions_of_scans_keep_what_they_are_read_in():
    settings = settings_of(outputs="minimal", rois={"own": {"sphere": [0, 46, -8], "radius": 8, "space": "native"}})
    levels = output_levels.OutputLevels(settings, "results")
    assert not levels.is_removed("{scan}_cbf.nii.gz")
    assert not levels.is_removed("{anat}_from-T1w_to-X_mode-image_xfm.nii.gz")
    assert levels.is_removed("{anat}_desc-preproc_T1w.nii.gz")
