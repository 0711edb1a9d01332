"""Which specifications there are, what each takes, and the maps of the image alternatives."""

import copy
import dataclasses
from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.files import tables
from pharmasl.sensitivity import alternative_maps, specification_data, specifications
from pharmasl.sensitivity.specification import ImageAlternative, Specification
from pharmasl.space import images, transforms
from pharmasl.study import configuration, settings
from quantified import TEMPLATE, Files


def configured(root="bids", **sensitivity):
    config = skeleton.config(root)
    config["analyses"]["seeded"] = {
        "contrast": "cue",
        "effect": "association",
        "seed": {"roi": "found", "contrast": "rest"},
        "covariates": ["age"],
    }
    config["rois"] = {
        "found": {"analysis": "rest_interaction", "cluster": 1},
        "ball": {"sphere": [0, 44, -12], "radius": 10, "statistic": "gm_weighted"},
    }
    config["craving"] = {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post"}
    asked = {
        "answers": {
            "rest": {"analysis": "rest_interaction", "roi": "ball"},
            "cue": {"analysis": "seeded", "roi": "ball"},
            "craving": {"roi": "ball", "contrast": "cue"},
        }
    }
    return {**config, "sensitivity": {**asked, **sensitivity}}


def typed(config):
    return settings.build(settings.Settings, configuration.resolve(config))


ALL = {
    "scaling": ["global", "absolute"],
    "smoothing_fwhm": [4, 6.0, 7.5],
    "partial_volume": [True, False],
    "quality": {"strict": {"exclude": ["fd_mean"], "least_pairs": 3}},
    "covariates": {"none": [], "sex": ["sex"]},
}


def test_the_studys_own_choice_is_first_in_each_dimension_and_stands_once():
    assert specifications.dimensions(typed(configured(**ALL))) == {
        "scaling": ["absolute", "global"],
        "smoothing_fwhm": ["6", "4", "7.5"],
        "partial_volume": ["false", "true"],
        "quality": ["own", "strict"],
        "covariates": ["own", "none", "sex"],
    }


def test_all_values_are_crossed_and_one_specification_is_the_main_one():
    config = typed(configured(**ALL))
    rows = specifications.all_choices(config)
    assert len(rows) == len(set(rows)) == 2 * 3 * 2 * 2 * 3
    assert [specifications.is_main(config, row) for row in rows] == [True] + [False] * 71
    assert len(specifications.image_alternatives(config)) == 12
    assert list(specifications.dimensions(config)) == [field.name for field in dataclasses.fields(rows[0])]
    values = [value for row in rows for value in dataclasses.astuple(row)]
    assert all(set(value) <= set("abcdefghijklmnopqrstuvwxyz_0123456789.") for value in values)


def test_without_alternatives_there_is_the_main_specification_alone():
    config = typed(configured())
    (row,) = specifications.all_choices(config)
    assert specifications.is_main(config, row)
    assert not specifications.corrects_partial_volume(config)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answers": {"a": {"analysis": "nothing", "roi": "ball"}}}, "sensitivity.answers.a.analysis"),
        ({"answers": {"a": {"analysis": "rest_interaction", "roi": "no"}}}, "sensitivity.answers.a.roi"),
        ({"answers": {"a": {"contrast": "no", "roi": "ball"}}}, "sensitivity.answers.a.contrast"),
        ({"answers": {"a": {"analysis": "full", "roi": "ball"}}}, "sensitivity.answers.a.analysis"),
        ({"answers": {"a": {"roi": "ball"}}}, "sensitivity.answers.a"),
        ({"answers": {}}, "sensitivity.answers"),
        ({"quality": {"own": {"least_pairs": 3}}}, "sensitivity.quality"),
        ({"quality": {"strict": {"bands": {}}}}, "sensitivity.quality.strict"),
        ({"quality": {"strict": {"exclude": ["qei"]}}}, "sensitivity.quality.strict.exclude"),
        ({"covariates": {"own": []}}, "sensitivity.covariates"),
        ({"covariates": {"site": ["centre"]}}, "sensitivity.covariates"),
    ],
)
def test_what_cannot_be_varied_is_refused_by_name(change, field):
    config = configured(**change)
    config["quality"] = {"bands": {"qei": None}}
    config["analyses"]["rest_interaction"]["site"] = "centre"
    config["analyses"]["full"] = {"contrast": "rest", "effect": "group_by_time", "method": "full_factorial"}
    with pytest.raises(InputErrors) as errors:
        configuration.resolve(config)
    assert [error.field for error in errors.value.errors] == [field]


def test_craving_is_needed_where_no_analysis_is_named():
    config = configured()
    del config["craving"]
    with pytest.raises(InputErrors, match=r"sensitivity\.answers\.craving"):
        configuration.resolve(config)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = skeleton.dataset(tmp_path_factory.mktemp("bids"), participants=6)
    path = root / "participants.tsv"
    # One without a sex: complete for the study's own covariates, not for the alternative.
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows[:-1], rows[-1][:-1] + "n/a"]) + "\n")
    return complete_settings.read(configured(root, **ALL))


def chosen(study, **values):
    main = specifications.all_choices(study.settings)[0]
    return specifications.specification(study, dataclasses.replace(main, **values))


def test_the_main_specification_is_the_studys_own(study):
    main = chosen(study)
    assert main.main
    rest, cue, craving = main.questions
    assert list(rest.members) == list(cue.members) == [f"sub-{who}" for who in study.members("rest_interaction")]
    assert len(rest.members) == 6
    assert rest.model.covariates == ("age",)
    assert rest.inference == dataclasses.replace(
        study.settings.analyses["rest_interaction"].inference, statistics=("extent",), permutations=1000
    )
    assert (craving.analysis, craving.contrast) == (None, "cue")
    assert (main.rules, main.exclude_scans, main.accept_scans) == (rules(), {}, {})
    assert main.regions == {"ball": "gm_weighted", "found": "mean"}
    first = main.visits[0]
    assert list(first.scans) == [f"sub-01_ses-T1_acq-{name}" for name in ("neutral", "rest", "smoking")]
    weights = {name: [dataclasses.astuple(part) for part in parts] for name, parts in first.contrasts.items()}
    assert weights == {"cue": [(0, -1), (2, 1)], "rest": [(1, 1)]}


def test_a_specification_survives_a_rules_params(study):
    main = chosen(study)
    assert settings.build(Specification, settings.plain(main)) == main


def test_other_covariates_choose_their_own_participants(study):
    before = copy.deepcopy(study.config)
    other = chosen(study, covariates="sex")
    assert other.questions[0].model.covariates == other.craving_covariates == ("sex",)
    assert "sub-06" not in other.questions[0].members
    assert len(other.questions[0].members) == 5
    assert chosen(study, covariates="none").questions[0].model.covariates == ()
    assert not other.main
    assert study.config == before


def test_another_rule_of_exclusion_is_laid_over_the_studys_own(study):
    assert chosen(study, quality="strict").rules == rules(exclude=["fd_mean"], least_pairs=3)


@pytest.mark.parametrize("change", [{"covariates": {"more": ["height"]}}, {"covariates": {"c": ["age - height"]}}])
def test_a_covariate_that_the_table_lacks_is_refused(tmp_path, change):
    with pytest.raises(InputErrors, match="height"):
        complete_settings.read(configured(skeleton.dataset(tmp_path), **change))


def test_a_misspelt_scan_of_an_alternative_is_refused(tmp_path):
    quality = {"eye": {"exclude_scans": {"sub-01_ses-T1_acq-rset": "label lost"}}}
    with pytest.raises(InputErrors, match=r"sensitivity\.quality\.eye\.exclude_scans.*sub-01_ses-T1_acq-rest"):
        complete_settings.read(configured(skeleton.dataset(tmp_path), quality=quality))


def quality_table(path, **values):
    row = {
        "scan": "sub-01_acq-rest",
        "condition": "rest",
        "flags": "fd_mean:high,qei:low",
        "pairs_used": 3,
        "pairs": 8,
        "registration": "accepted",
        "usable": "yes",
        "exclusion_reason": None,
        "left_out_by": None,
        "implausible": None,
        "gm_cbf": 50.0,
        "template_correlation": 0.5,
        **values,
    }
    tables.write_table(path, [row], dict.fromkeys(row, ""))
    return path


RULE = {"bands": {}, "exclude": [], "least_pairs": 2, "exclude_failed_registration": True, "exclude_implausible": True}


def rules(**changes):
    return settings.build(settings.ScanRules, {"bands": {}, **RULE, **changes})


def judged(path, rule=(), scans=(), accepted=(), poor=()):
    """The columns of the verdict on a scan under another specification."""
    (row,) = tables.read_table(path)
    other = SimpleNamespace(
        rules=rules(**dict(rule)), exclude_scans=dict(scans), accept_scans=dict(accepted), poor_scans=dict(poor)
    )
    return specification_data.judge_again(row, other).row()


@pytest.mark.parametrize(
    ("rule", "scans", "reason"),
    [
        ({}, {}, None),
        ({"exclude": ["fd_mean"]}, {}, "mean framewise displacement high"),
        ({"exclude": ["coverage"]}, {}, None),
        ({"least_pairs": 4}, {}, "3 of 8 repeats usable, fewer than 4"),
        ({}, {"sub-01_acq-rest": "label lost"}, "label lost"),
    ],
)
def test_a_scan_is_judged_again_by_another_rule(tmp_path, rule, scans, reason):
    path = quality_table(tmp_path / "q.tsv")
    row = judged(path, rule, scans)
    assert (row["usable"], row["exclusion_reason"]) == (("yes", "") if reason is None else ("no", reason))


def test_too_few_repeats_are_told_with_their_cause_under_another_rule_too(tmp_path):
    path = quality_table(tmp_path / "q.tsv", left_out_by="motion 4, far off 1")
    row = judged(path, {"least_pairs": 4})
    assert row["exclusion_reason"] == "3 of 8 repeats usable, fewer than 4: motion, far off"


def test_a_scan_that_the_study_excludes_may_be_taken_under_another_rule(tmp_path):
    path = quality_table(tmp_path / "q.tsv", registration="not accepted", usable="no", exclusion_reason="x", flags=None)
    assert judged(path)["exclusion_reason"] == "registration not accepted"
    assert judged(path, {"exclude_failed_registration": False})["usable"] == "yes"


def test_what_is_implausible_or_accepted_by_hand_is_so_under_another_rule_too(tmp_path):
    path = quality_table(tmp_path / "q.tsv", implausible="below zero; M0 dark", flags=None)
    assert judged(path)["exclusion_reason"] == "below zero; M0 dark"
    assert judged(path, {"exclude_implausible": False})["usable"] == "yes"
    accepted = {"sub-01_acq-rest": "seen"}
    row = judged(path, accepted=accepted)
    assert (row["usable"], row["accepted_by_hand"], row["overruled"]) == ("yes", "seen", "below zero; M0 dark")
    assert judged(path, scans={"sub-01_acq-rest": "bad"}, accepted=accepted)["usable"] == "no"
    row = judged(quality_table(tmp_path / "r.tsv", flags=None), poor={"sub-01_acq-rest": "rated poor: ghosts"})
    assert (row["usable"], row["exclusion_reason"]) == ("no", "rated poor: ghosts")
    empty = quality_table(tmp_path / "e.tsv", implausible="no CBF", gm_cbf=None)
    assert judged(empty, accepted=accepted)["exclusion_reason"] == "no CBF"


# Maps.

OWN = [(0, False), (6, False), (0, True), (6, True)]


@pytest.fixture(scope="module")
def quantified(tmp_path_factory):
    """One scan quantified under each (smoothing, partial volumes): what a study of that choice would have."""
    found = {}
    for fwhm, use in OWN:
        files = Files(tmp_path_factory.mktemp("scan"))
        # Grey matter in one half alone, so that corrected CBF covers less of the brain than CBF does.
        gm, affine = images.load(files.path("gm"))
        gm[: gm.shape[0] // 2] *= 0.05
        images.save(files.path("gm"), gm, affine)
        found[fwhm, use] = files, files.quantify(smoothing_fwhm=fwhm, partial_volume={"use": use})
    return found


def given(files, made):
    return {
        "cbf": [made["template_cbf"]],
        "coverage": [made["coverage"]],
        "grey": [made["template_gm_cbf"]],
        "gm_cbf": [made["gm_cbf"]],
        "gm": [made["gm"]],
        "coregistration": [files.path("coregistration", ".txt")],
        "forward": [files.path("forward")],
        "template_mask": files.path("template_mask"),
    }


def alternatives(wanted):
    return [ImageAlternative(**each) for each in wanted]


@pytest.mark.parametrize("own", OWN)
def test_every_alternative_is_to_the_last_bit_the_map_of_a_study_that_chose_it(tmp_path, quantified, own):
    files, made = quantified[own]
    wanted = [
        {"scaling": "absolute", "smoothing_fwhm": f"{fwhm:g}", "partial_volume": str(use).lower()} for fwhm, use in OWN
    ]
    outputs = [tmp_path / f"{number}.nii.gz" for number in range(len(OWN))]
    alternative_maps.write(outputs, alternative_maps.VisitFiles(**given(files, made)), alternatives(wanted))
    for path, choice in zip(outputs, OWN):
        found, affine = images.load(path)
        smooth, _ = images.load(quantified[choice][1]["smooth"])
        covered = images.load(quantified[choice][1]["coverage"])[0] > 0
        assert covered.sum() > 100
        np.testing.assert_array_equal(np.isfinite(found), covered)
        np.testing.assert_array_equal(np.nan_to_num(found), smooth)
        np.testing.assert_allclose(affine, TEMPLATE.affine)
    sizes = [np.isfinite(images.load(path)[0]).sum() for path in outputs]
    assert sizes[3] < sizes[1]


def test_the_global_mean_of_the_covered_brain_becomes_fifty():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1:3] = True
    volume = np.full((4, 4, 4), 1000.0)
    volume[1], volume[2], volume[2, 0, 0] = 30.0, 60.0, np.nan
    found = alternative_maps.scaled(volume, mask)
    mean = (16 * 30 + 15 * 60) / 31
    assert found[1, 0, 0] == pytest.approx(50 * 30 / mean, rel=1e-6)
    assert found[mask & np.isfinite(volume)].mean() == pytest.approx(50, rel=1e-6)
    assert np.isnan(found[2, 0, 0])
    # It takes a scan's unit away.
    np.testing.assert_allclose(alternative_maps.scaled(volume * 3, mask), found, rtol=1e-6)


@pytest.mark.parametrize("value", [9.9, -40.0, np.nan])
def test_a_scan_without_perfusion_has_no_scaled_map(value):
    assert np.isnan(alternative_maps.scaled(np.full((2, 2, 2), value), np.ones((2, 2, 2), dtype=bool))).all()


def test_scans_are_volumes_in_order_each_scaled_by_its_own_mean(tmp_path, quantified):
    files, made = quantified[6, False]
    double = tmp_path / "double.nii.gz"
    data, affine = images.load(made["template_cbf"])
    images.save(double, 2 * data, affine)
    lists = {key: [] for key in ("grey", "gm_cbf", "gm", "coregistration", "forward")}
    paths = {"cbf": [made["template_cbf"], str(double)], "coverage": [made["coverage"]] * 2}
    outputs = [tmp_path / "absolute.nii.gz", tmp_path / "global.nii.gz"]
    base = {"smoothing_fwhm": "6", "partial_volume": "false"}
    wanted = [{**base, "scaling": "absolute"}, {**base, "scaling": "global"}]
    visit = alternative_maps.VisitFiles(**lists, **paths, template_mask=files.path("template_mask"))
    alternative_maps.write(outputs, visit, alternatives(wanted))
    absolute, scaled = (images.load(path)[0] for path in outputs)
    assert absolute.shape == (*TEMPLATE.shape, 2)
    np.testing.assert_array_equal(absolute[..., 1], 2 * absolute[..., 0])
    np.testing.assert_allclose(scaled[..., 1], scaled[..., 0], rtol=1e-6)
    assert np.nanmean(scaled[..., 0]) == pytest.approx(50, rel=1e-5)
    assert transforms.points(TEMPLATE).shape[:3] == scaled.shape[:3]
