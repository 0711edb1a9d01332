import json
from types import SimpleNamespace

import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import sheets, trial
from pharmasl.study.targets import Targets


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids")


def read(root, **changes):
    return trial.read_study({**skeleton.config(root), **changes})


def problems(root, **changes):
    with pytest.raises(InputErrors) as caught:
        read(root, **changes)
    return {error.field: error for error in caught.value.errors}


def edit(root, number=1, session="T1", condition="rest", **fields):
    """Change fields of one sidecar; None removes a field."""
    path = root / f"sub-{number:02d}/ses-{session}/perf/sub-{number:02d}_ses-{session}_acq-{condition}_asl.json"
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def test_every_scan_is_found_and_mapped(root):
    study = read(root)
    assert len(study.scans) == 4 * 2 * 3
    scan = study.scans["sub-02/ses-T2/perf/sub-02_ses-T2_acq-smoking"]
    assert (scan.subject, scan.session, scan.condition) == ("02", "T2", "smoking")
    assert study.participants["02"]["arm"] == "baclofen"
    assert study.members("rest_interaction") == ["01", "02", "03", "04"]
    assert [weight for _, weight in study.contrast_scans(("01", "T1"), "cue")] == [1, -1]


def test_values_carry_their_source(root):
    edit(root, LabelingEfficiency=None)
    acquisition = read(root).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition
    assert acquisition["labeling_efficiency"] == 0.85
    assert acquisition["sources"]["labeling_efficiency"] == "calibration consensus (Alsop et al. 2015)"
    assert acquisition["sources"]["post_labeling_delay"].startswith("PostLabelingDelay of ")
    assert acquisition["t1_blood"] == 1.65


def test_the_configuration_overrides_sidecars(root):
    edit(root, PostLabelingDelay=None)
    study = read(root, perfusion={"override": {"PostLabelingDelay": 1.5}})
    acquisition = study.scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition
    assert acquisition["post_labeling_delay"] == 1.5
    assert acquisition["sources"]["post_labeling_delay"] == "PostLabelingDelay of config perfusion.override"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("PostLabelingDelay", None),
        ("PostLabelingDelay", 1800),
        ("PostLabelingDelay", 0),
        ("PostLabelingDelay", [0, 1.8, 1.8]),
        ("PostLabelingDelay", [0, 1, 1, 2, 2, 3, 2]),
        ("PostLabelingDelay", [0, 1, 1, 2, 2, 0, 0]),
        ("LookLocker", True),
        ("LabelingDuration", None),
        ("LabelingDuration", 1800),
        ("LabelingEfficiency", 85),
        ("ArterialSpinLabelingType", "VSASL"),
        ("BackgroundSuppression", None),
        ("M0Type", "Separate"),
        ("RepetitionTimePreparation", 0),
        ("RepetitionTimePreparation", None),
        ("MagneticFieldStrength", None),
        ("MagneticFieldStrength", 9.4),
    ],
)
def test_an_impossible_field_is_named_with_file_and_mend(root, field, value):
    path = edit(root, **{field: value})
    error = problems(root)[field]
    assert error.file == str(path)
    assert error.expected
    assert error.mend


def test_a_slice_timing_that_does_not_fit_is_named(root):
    edit(root, MRAcquisitionType="2D", SliceTiming=[0, 0.1])
    assert "3 values" in problems(root)["SliceTiming"].expected


def test_2d_without_slice_timing_is_refused(root):
    edit(root, MRAcquisitionType="2D")
    assert "SliceTiming" in problems(root)


@pytest.mark.parametrize(
    "changes",
    [
        {"BolusCutOffFlag": None},
        {"BolusCutOffFlag": True},
        {"BolusCutOffFlag": True, "BolusCutOffTechnique": "QUIPSSII", "BolusCutOffDelayTime": 2.5},
        {"BolusCutOffFlag": True, "BolusCutOffTechnique": "VSASL", "BolusCutOffDelayTime": 0.7},
    ],
)
def test_pasl_needs_a_known_bolus(root, changes):
    edit(root, ArterialSpinLabelingType="PASL", **changes)
    assert any(field.startswith("BolusCutOff") for field in problems(root))


def test_pasl_with_quipss_ii(root):
    edit(
        root, ArterialSpinLabelingType="PASL", LabelingDuration=None, LabelingEfficiency=None, BolusCutOffFlag=True,
        BolusCutOffTechnique="QUIPSSII", BolusCutOffDelayTime=0.7,
    )  # fmt: skip
    acquisition = read(root).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition
    assert acquisition["bolus_cutoff_delay"] == 0.7
    assert acquisition["labeling_efficiency"] == 0.98
    assert acquisition["labeling_duration"] is None


def test_suppressed_controls_never_stand_in_for_m0(root):
    edit(root, M0Type="Absent", BackgroundSuppression=True)
    assert "M0" in problems(root)["M0Type"].expected


def test_the_separate_m0_is_found_by_intended_for(root):
    folder = root / "sub-01/ses-T1/perf"
    edit(root, M0Type="Separate")
    for name in ("acq-rest", "acq-smoking"):
        skeleton.image(folder / f"sub-01_ses-T1_{name}_m0scan.nii.gz", (3, 3, 3))
        skeleton.write(folder / f"sub-01_ses-T1_{name}_m0scan.json", {"RepetitionTimePreparation": 10})
    skeleton.write(
        folder / "sub-01_ses-T1_acq-smoking_m0scan.json",
        {"RepetitionTimePreparation": 8, "IntendedFor": "bids::sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"},
    )
    scan = read(root).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"]
    assert scan.m0.endswith("sub-01_ses-T1_acq-smoking_m0scan.nii.gz")
    assert scan.acquisition["m0_repetition_time"] == 8


def test_a_context_of_another_length_is_named(root):
    path = root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslcontext.tsv"
    path.write_text("volume_type\ncontrol\nlabel\n")
    error = problems(root)["volume_type"]
    assert error.file == str(path)
    assert error.found == "2 rows"


def test_a_missing_context_is_named(root):
    path = root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslcontext.tsv"
    path.unlink()
    assert problems(root)["(whole file)"].file == str(path)


def test_an_unknown_volume_type_is_named_with_its_line(root):
    path = root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslcontext.tsv"
    path.write_text("volume_type\nm0scan\n" + "control\ntag\n" * 3)
    assert problems(root)["line 4, volume_type"].found == "tag"


def test_problems_of_all_scans_come_at_once(root):
    edit(root, number=1, PostLabelingDelay=1800)
    edit(root, number=2, LabelingEfficiency=2)
    assert {"PostLabelingDelay", "LabelingEfficiency"} <= set(problems(root))


def test_a_missing_t1w_is_named(root):
    (root / "sub-03/ses-T1/anat/sub-03_ses-T1_T1w.nii.gz").unlink()
    problem = problems(root)["anat/*_T1w.nii.gz"]
    assert "sub-03" in problem.file
    assert "anatomy.missing_t1w" in problem.mend


def test_the_template_may_stand_in_for_a_missing_t1w(root):
    (root / "sub-03/ses-T1/anat/sub-03_ses-T1_T1w.nii.gz").unlink()
    study = read(root, anatomy={"missing_t1w": "template"})
    found = Targets(study, "results")
    assert found.anatomies(assumed=True) == ["sub-03/anat/sub-03"]
    assert set(found.anatomies(assumed=False)) == {f"sub-{k}/anat/sub-{k}" for k in ("01", "02", "04")}
    for stem, scan in study.scans.items():
        assert found.assumed(SimpleNamespace(scan=stem)) == (scan.subject == "03")
    # The study's table of scans says so too.
    assert {row["participant_id"] for row in found.sheets()["scans"] if row["t1w"] is None} == {"sub-03"}


def test_an_arm_that_the_configuration_does_not_know_is_named(root):
    path = root / "participants.tsv"
    path.write_text(path.read_text().replace("sub-01\tplacebo", "sub-01\tPlacebo"))
    assert problems(root)["arm of sub-01"].found == "Placebo"


def test_a_missing_row_or_column_of_the_participants_table_is_named(root):
    path = root / "participants.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    assert "sub-04" in problems(root)["participant_id"].found
    path.write_text("\n".join(line.rsplit("\t", 3)[0] for line in lines) + "\n")
    assert "arm" in problems(root)


def test_an_incomplete_participant_is_left_out_of_the_analysis_with_the_reason(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=5)
    for path in (root / "sub-05/ses-T2/perf").glob("*rest*"):
        path.unlink()
    study = read(root)
    assert study.members("rest_interaction") == ["01", "02", "03", "04"]
    assert study.incomplete() == [
        {"participant_id": "sub-05", "analysis": "rest_interaction", "reason": "no rest at T2"}
    ]


def test_a_missing_covariate_leaves_a_participant_out_visibly(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=5)
    path = root / "participants.tsv"
    path.write_text(path.read_text().replace("sub-05\tplacebo\t35", "sub-05\tplacebo\tn/a"))
    assert "no age" in read(root).incomplete()[0]["reason"]


def test_unmatched_runs_and_sessions_are_listed(root):
    skeleton.run(root / "sub-01/ses-T1/perf", "sub-01_ses-T1_acq-other")
    skeleton.run(root / "sub-01/ses-T3/perf", "sub-01_ses-T3_acq-rest")
    reasons = [row["reason"] for row in read(root).exclusions]
    assert any("acq-other" in reason for reason in reasons)
    assert any("none of T1, T2" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "(top level)"),
        ({"contrasts": {"rest": {"resting": 1}}}, "contrasts.rest"),
        ({"analyses": {"a": {"contrast": "cu", "effect": "group_by_time"}}}, "analyses.a.contrast"),
        ({"analyses": {"a": {"contrast": "cue", "effect": "association"}}}, "analyses.a.seed"),
        ({"perfusion": {"smoothing_fwhm": -1}}, "perfusion.smoothing_fwhm"),
        ({"conditions": {"bad name": {}}}, "conditions"),
        ({"participants": ["09"]}, "participants"),
        ({"conditions": {"rest": {"acquisition": "rest"}, "again": {"acquisition": "rest"}}}, "conditions"),
    ],
)
def test_a_wrong_configuration_is_named(root, change, field):
    if "conditions" in change:
        change = {**change, "contrasts": {}, "analyses": {}}
    assert field in problems(root, **change)


def test_a_circle_of_seeds_is_refused(root):
    analyses = {"a": {"contrast": "cue", "effect": "association", "seed": {"roi": "r", "contrast": "rest"}}}
    error = problems(root, analyses=analyses, rois={"r": {"analysis": "a", "cluster": 1}})["analyses.a.seed"]
    assert error.found == "a -> a"


def test_several_runs_of_a_state_share_its_weight(tmp_path):
    folder = tmp_path / "sub-01/perf"
    skeleton.image(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", (3, 3, 3))
    skeleton.run(folder, "sub-01_run-1")
    skeleton.run(folder, "sub-01_run-2")
    study = trial.read_study(
        {"bids_dir": str(tmp_path), "output_dir": "r", "conditions": {"rest": {}}, "contrasts": {"rest": {"rest": 1}}}
    )
    assert [weight for _, weight in study.contrast_scans(("01", None), "rest")] == [0.5, 0.5]


def test_sheets_hold_a_row_a_scan(root, tmp_path):
    content = sheets.content(read(root))
    paths = [
        tmp_path / name for name in ("dataset_description.json", "scans.tsv", "participants.tsv", "exclusions.tsv")
    ]
    sheets.write_sheets(content, *paths)
    assert len(paths[1].read_text().splitlines()) == 1 + 24
    assert json.loads(paths[1].with_suffix(".json").read_text())["post_labeling_delay"]["Units"] == "s"
    assert json.loads(paths[0].read_text())["DatasetType"] == "derivative"


def test_a_byte_order_mark_and_crlf_are_read(root):
    path = root / "participants.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read(root).participants) == 4


def test_wildcards_match_only_the_studys_own_names(root):
    targets = Targets(read(root), "results")
    assert targets.pattern(["a.b", "c"]) == r"a\.b|c"
    assert targets.pattern([]) == "(?!)"
