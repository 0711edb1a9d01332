import json
import re

import complete_settings
import nibabel
import numpy as np
import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import sheet_content, sheets
from pharmasl.workflow.targets import patterns


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids")


def read(root, **changes):
    return complete_settings.read({**skeleton.config(root), **changes})


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
    # In the order of the scans, so that a contrast turned round is another list.
    pairs = study.contrast_scans(("01", "T1"), "cue")
    assert [(scan.condition, weight) for scan, weight in pairs] == [("neutral", -1), ("smoking", 1)]


def test_values_carry_their_source(root):
    edit(root, LabelingEfficiency=None)
    acquisition = read(root).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition.plain()
    assert acquisition["labeling_efficiency"] == 0.85
    assert acquisition["sources"]["labeling_efficiency"] == "calibration consensus (Alsop et al. 2015)"
    assert acquisition["sources"]["post_labeling_delay"].startswith("PostLabelingDelay of ")
    assert acquisition["t1_blood"] == 1.65


def test_the_configuration_overrides_sidecars(root):
    edit(root, PostLabelingDelay=None)
    study = read(root, perfusion={"override": {"PostLabelingDelay": 1.5}})
    acquisition = study.scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition.plain()
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
    assert error.fix


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
        root,
        ArterialSpinLabelingType="PASL",
        LabelingDuration=None,
        LabelingEfficiency=None,
        BolusCutOffFlag=True,
        BolusCutOffTechnique="QUIPSSII",
        BolusCutOffDelayTime=0.7,
    )
    acquisition = read(root).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].acquisition.plain()
    assert acquisition["bolus_cutoff_delay"] == 0.7
    assert acquisition["labeling_efficiency"] == 0.98
    assert acquisition["labeling_duration"] is None


def test_suppressed_controls_never_stand_in_for_m0(root):
    skeleton.run(root / "sub-01/ses-T1/perf", "sub-01_ses-T1_acq-rest", context=["control", "label"] * 3)
    edit(root, M0Type="Absent", BackgroundSuppression=True)
    assert "suppression the control" in problems(root)["M0Type"].expected


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
    assert scan.acquisition.plain()["m0_repetition_time"] == 8


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
    assert problems(root)["volume_type"].found == "tag (line 4, ...)"


def test_problems_of_all_scans_come_at_once(root):
    edit(root, number=1, PostLabelingDelay=1800)
    edit(root, number=2, LabelingEfficiency=2)
    assert {"PostLabelingDelay", "LabelingEfficiency"} <= set(problems(root))


def test_a_missing_t1w_is_named(root):
    (root / "sub-03/ses-T1/anat/sub-03_ses-T1_T1w.nii.gz").unlink()
    problem = problems(root)["anat/*_T1w.nii.gz"]
    assert "sub-03" in problem.file
    assert "anatomy.missing_t1w" in problem.fix


def test_the_template_may_stand_in_for_a_missing_t1w(root):
    (root / "sub-03/ses-T1/anat/sub-03_ses-T1_T1w.nii.gz").unlink()
    study = read(root, anatomy={"missing_t1w": "template"})
    found = complete_settings.targets(study)
    assert found.anatomies.made_by("image", "template") == ["sub-03/anat/sub-03"]
    assert set(found.anatomies.made_by("image", "own")) == {f"sub-{k}/anat/sub-{k}" for k in ("01", "02", "04")}
    for stem, scan in study.scans.items():
        assert found.anatomies.is_assumed(stem) == (scan.subject == "03")
    # The study's table of scans says so too.
    assert {row["participant_id"] for row in found.sheets()["scans"] if row["t1w"] is None} == {"sub-03"}


def t1w(root, subject, session, name=""):
    folder = root / f"sub-{subject}" / (f"ses-{session}/anat" if session else "anat")
    start = f"sub-{subject}_" + (f"ses-{session}_" if session else "")
    return str(skeleton.image(folder / f"{start}{name}T1w.nii.gz", (3, 3, 3)))


def test_all_t1w_of_a_participant_make_one_anatomy(root):
    first = t1w(root, "02", "T1")
    others = [t1w(root, "02", "T1", "run-2_"), t1w(root, "02", "T2")]
    t1w(root, "02", "T2", "part-phase_")
    t1w(root, "02", "T2", "ce-gad_")
    found = complete_settings.targets(read(root))
    here = "sub-02/anat/sub-02"
    assert sorted(found.anatomies.t1w(here)) == sorted([first, *others])
    assert found.anatomies.made_by("image", "own") == [f"sub-{k}/anat/sub-{k}" for k in ("01", "02", "03", "04")]
    rows = [row for row in found.sheets()["scans"] if row["participant_id"] == "sub-02"]
    assert {row["t1w"] for row in rows} == {
        " ".join(path.removeprefix(f"{root}/") for path in found.anatomies.t1w(here))
    }
    assert {row["anatomy"] for row in rows} == {"the participant's"}
    assert len(complete_settings.targets(read(root, anatomy={"t1w": "first"})).anatomies.t1w(here)) == 1


def test_an_image_with_contrast_agent_is_taken_where_there_is_no_other(root):
    (root / "sub-02/ses-T1/anat/sub-02_ses-T1_T1w.nii.gz").unlink()
    path = t1w(root, "02", "T1", "ce-gad_")
    t1w(root, "02", "T1", "part-phase_")
    assert read(root).t1w["sub-02/anat/sub-02"] == (path,)


def test_each_session_has_its_own_anatomy_on_request(root):
    own = [t1w(root, "02", "T2"), t1w(root, "02", "T2", "run-2_")]
    study = read(root, anatomy={"per": "session"})
    found = complete_settings.targets(study)
    assert set(study.t1w) == {f"sub-{k}/ses-T1/anat/sub-{k}_ses-T1" for k in ("01", "02", "03", "04")} | {
        "sub-02/ses-T2/anat/sub-02_ses-T2"
    }
    assert sorted(study.t1w["sub-02/ses-T2/anat/sub-02_ses-T2"]) == sorted(own)
    pattern = "results/{anat}_desc-brain_mask.nii.gz"
    for stem, scan in study.scans.items():
        session = scan.session if scan.subject == "02" else "T1"
        expected = (
            f"results/sub-{scan.subject}/ses-{session}/anat/sub-{scan.subject}_ses-{session}_desc-brain_mask.nii.gz"
        )
        assert found.anatomies.file(pattern, stem) == expected
        assert not found.anatomies.is_assumed(stem)
    # Whose anatomy each scan uses is declared.
    words = {(row["participant_id"], row["session_id"]): row["anatomy"] for row in found.sheets()["scans"]}
    assert words["sub-02", "T2"] == words["sub-01", "T1"] == "the session's own"
    assert "sub-01_ses-T1" in words["sub-01", "T2"]
    assert "another session" in words["sub-01", "T2"]


def test_sessions_share_a_t1w_above_them_and_the_template_where_there_is_none(root):
    for path in (*root.glob("sub-03/ses-*/anat/*"), *root.glob("sub-04/ses-*/anat/*")):
        path.unlink()
    above = t1w(root, "03", None)
    settings = {"per": "session", "missing_t1w": "template"}
    study = read(root, anatomy=settings)
    assert study.t1w["sub-03/anat/sub-03"] == (above,)
    assert study.anatomy(("03", "T1")) == study.anatomy(("03", "T2")) == "sub-03/anat/sub-03"
    assert study.anatomy_origin(("03", "T1")) == "the participant's, of no session"
    assert study.t1w["sub-04/anat/sub-04"] == ()
    assert study.anatomy(("04", "T1")) == study.anatomy(("04", "T2")) == "sub-04/anat/sub-04"
    assert complete_settings.targets(study).anatomies.made_by("image", "template") == ["sub-04/anat/sub-04"]
    assert "sub-04" in " ".join(error.file for error in _errors(root, anatomy={"per": "session"}))


def _errors(root, **changes):
    with pytest.raises(InputErrors) as caught:
        read(root, **changes)
    return caught.value.errors


def own_template(folder, **changes):
    """A template's files in the configuration: the T1w, grey and white matter and a mask, on one grid."""
    shapes = {"t1w": (5, 6, 7), "gm": (5, 6, 7), "wm": (5, 6, 7), "mask": (5, 6, 7, 1), **changes}
    files = {
        kind: str(skeleton.image(folder / f"{kind}.nii.gz", shape))
        for kind, shape in shapes.items()
        if shape is not None
    }
    return {"space": "Own", "resolution": 2, **files}


def test_a_template_of_ones_own_is_named_and_found(root, tmp_path):
    template = own_template(tmp_path)
    found = complete_settings.targets(read(root, template=template))
    assert found.regions.own_template() == {kind: template[kind] for kind in ("t1w", "mask", "gm", "wm")}
    assert all("space-Own" in path for path in found.contrasts.maps())
    assert complete_settings.targets(read(root)).regions.own_template() == {}


@pytest.mark.parametrize(
    ("changes", "field", "found"),
    [
        ({"wm": None}, "template.wm", "nothing"),
        ({"t1w": None}, "template.t1w", "nothing"),
        ({"gm": (5, 6, 8)}, "template.gm", "shape (5, 6, 8), or another affine"),
        ({"gm": (5, 6, 7, 3)}, "template.gm", "shape (5, 6, 7, 3)"),
    ],
)
def test_what_is_wrong_with_a_template_is_named(root, tmp_path, changes, field, found):
    assert problems(root, template=own_template(tmp_path, **changes))[field].found == found


def test_a_templates_files_and_name_are_asked_for(root, tmp_path):
    template = own_template(tmp_path)
    nameless = {key: value for key, value in template.items() if key != "space"}
    assert "template.space" in problems(root, template=nameless)
    assert "template.space" in problems(root, template={"space": "Own"})
    assert problems(root, template={**template, "gm": "no.nii"})["template.gm"].found == "no.nii"
    text = tmp_path / "text.nii.gz"
    text.write_text("no image")
    assert (
        problems(root, template={**template, "wm": str(text)})["template.wm"].found
        == "sizeof_hdr a file that begins with 'no image'"
    )
    # Another affine is another grid.
    image = nibabel.load(template["gm"])
    moved = image.affine + np.array([[0, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), moved), tmp_path / "moved.nii.gz")
    assert "template.gm" in problems(root, template={**template, "gm": str(tmp_path / "moved.nii.gz")})


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
        ({"analyses": {"a": {"contrast": "cue", "effect": "association_by_arm", "arm": "placebo"}}}, "analyses.a"),
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
    error = problems(root, analyses=analyses, rois={"r": {"analysis": "a", "cluster": 1}})["analyses.a"]
    assert error.found == "a -> a"


def test_several_runs_of_a_state_share_its_weight(tmp_path):
    folder = tmp_path / "sub-01/perf"
    skeleton.image(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", (3, 3, 3))
    skeleton.run(folder, "sub-01_run-1")
    skeleton.run(folder, "sub-01_run-2")
    study = complete_settings.read(
        {"bids_dir": str(tmp_path), "output_dir": "r", "conditions": {"rest": {}}, "contrasts": {"rest": {"rest": 1}}}
    )
    assert [weight for _, weight in study.contrast_scans(("01", None), "rest")] == [0.5, 0.5]


def test_sheets_hold_a_row_a_scan(root, tmp_path):
    content = sheet_content.content(read(root))
    paths = [
        tmp_path / name
        for name in ("dataset_description.json", "scans.tsv", "participants.tsv", "randomised.tsv", "exclusions.tsv")
    ]
    names = ("description", "scans", "participants", "randomised", "exclusions")
    sheets.write_sheets(content, **dict(zip(names, paths)), readme=tmp_path / "README.md")
    assert len(paths[1].read_text().splitlines()) == 1 + 24
    assert json.loads(paths[1].with_suffix(".json").read_text())["post_labeling_delay"]["Units"] == "s"
    assert json.loads(paths[0].read_text())["DatasetType"] == "derivative"


def test_a_byte_order_mark_and_crlf_are_read(root):
    path = root / "participants.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read(root).participants) == 4


def test_wildcards_match_only_the_studys_own_names(root):
    targets = complete_settings.targets(read(root))
    assert patterns.any_of(["a.b", "c"]) == r"a\.b|c"
    assert patterns.any_of([]) == "(?!)"
    stems = re.compile(targets.stems.pattern("perf"))
    assert all(stems.fullmatch(stem) for stem in targets.study.scans)
    assert not stems.fullmatch("sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_desc-smooth")
    assert not stems.fullmatch("sub-01/ses-T1/anat/sub-01_ses-T1")
    # Where another rule makes the other scans' files, these are named one by one.
    assert targets.stems.pattern("perf", ["a.b"]) == r"a\.b"
    assert targets.stems.pattern("perf", list(targets.study.scans)) == targets.stems.pattern("perf")
    with pytest.raises(SystemExit, match="sub-99"):
        targets.scans.asl("sub-99/perf/sub-99")


def test_scans_stand_in_the_order_of_the_trials_sessions(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=4)
    config = skeleton.config(root)
    usual = [(scan.subject, scan.session) for scan in complete_settings.read(config).scans.values()]
    later = {
        **config["sessions"],
        "baseline": config["sessions"]["followup"],
        "followup": config["sessions"]["baseline"],
    }
    turned = [
        (scan.subject, scan.session) for scan in complete_settings.read({**config, "sessions": later}).scans.values()
    ]
    people = list(dict.fromkeys(subject for subject, _ in usual))
    assert list(dict.fromkeys(subject for subject, _ in turned)) == people
    first = later["baseline"]
    for subject in people:
        own = [session for who, session in turned if who == subject]
        assert own == sorted(own, key=lambda session: session != first)
        assert own != [session for who, session in usual if who == subject]


def test_a_label_that_repeats_itself_until_snakemake_stops_is_refused(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=4)
    for path in sorted(root.rglob("*acq-rest*")):
        path.rename(path.with_name(path.name.replace("acq-rest", "acq-" + "ab" * 20)))
    config = skeleton.config(root)
    config["conditions"]["rest"] = {"acquisition": "ab" * 20}
    with pytest.raises(InputErrors, match="ab twenty times or more"):
        complete_settings.read(config)
