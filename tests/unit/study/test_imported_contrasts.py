"""Contrast maps of other programs: found by patterns and tables as those programs name them, and what is refused."""

import json

import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputErrors
from pharmasl.study import configuration, settings
from pharmasl.workflow import plan

from tests import complete_settings, skeleton

SHAPE, AFFINE = (6, 7, 5), np.diag([-20.0, 20, 20, 1])
SPACE = "MNI152NLin2009cAsym"
PEOPLE = [f"{number:02d}" for number in range(1, 7)]
MEAN = {"model": "baseline ~ 1", "test": "1"}


def image(path, seed=0, shape=SHAPE, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(np.random.default_rng(seed).normal(1, 1, shape).astype(np.float32), affine).to_filename(path)
    return path


def described(folder, name="FitLins", version="0.11.0"):
    content = {"Name": name, "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    skeleton.write(folder / "dataset_description.json", content | {"GeneratedBy": [{"Name": name, "Version": version}]})


@pytest.fixture
def spm(tmp_path):
    """First-level folders as SPM writes them, a contrast a number; no description, no sessions."""
    for number, who in enumerate(PEOPLE):
        for contrast in (1, 2):
            image(tmp_path / "spm" / f"sub-{who}" / f"con_000{contrast}.nii", 10 * number + contrast)
    image(tmp_path / "mask.nii.gz")
    return {
        "output_dir": str(tmp_path / "results"),
        "derivatives": {
            "contrasts": {
                "dir": str(tmp_path / "spm"),
                "generated_by": {"name": "SPM", "version": "25.01"},
                "space": SPACE,
                "unit": "percent signal change",
                "measure": "BOLD response",
                "files": {"cue": "sub-{participant}/con_0001.nii", "rest": "sub-{participant}/con_0002.nii"},
            }
        },
        "template": {"space": SPACE, "mask": str(tmp_path / "mask.nii.gz")},
        "analyses": {"cue_mean": {"contrast": "cue", **MEAN}},
    }


@pytest.fixture
def fitlins(tmp_path):
    """A trial's two sessions as FitLins names its maps, with the arms in the raw dataset's table."""
    for number, who in enumerate(PEOPLE):
        for at, session in enumerate(("T1", "T2")):
            name = f"sub-{who}_ses-{session}_task-cues_space-{SPACE}_contrast-cue_stat-effect_statmap.nii.gz"
            image(tmp_path / "fitlins" / f"sub-{who}" / f"ses-{session}" / name, 10 * number + at)
    described(tmp_path / "fitlins")
    rows = [f"sub-{who}\t{'ab'[number % 2]}" for number, who in enumerate(PEOPLE)] + ["sub-99\ta"]
    skeleton.write(tmp_path / "bids" / "participants.tsv", "\n".join(["participant_id\tarm", *rows]) + "\n")
    image(tmp_path / "mask.nii.gz")
    stem = "sub-{participant}/ses-{session}/sub-{participant}_ses-{session}_task-cues"
    return {
        "bids_dir": str(tmp_path / "bids"),
        "output_dir": str(tmp_path / "results"),
        "derivatives": {
            "contrasts": {
                "dir": str(tmp_path / "fitlins"),
                "space": SPACE,
                "unit": "a.u.",
                "files": {"cue": f"{stem}_space-{SPACE}_contrast-cue_stat-effect_statmap.nii.gz"},
            }
        },
        "template": {"space": SPACE, "mask": str(tmp_path / "mask.nii.gz")},
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": {"column": "arm", "treatment": "a", "control": "b"},
        "analyses": {"cue_change": {"contrast": "cue", "effect": "group_by_time"}},
    }


def contrasts_of(config, **changes):
    """The configuration with other settings of the door; None takes one out."""
    door = {**config["derivatives"]["contrasts"], **changes}
    return {
        **config,
        "derivatives": {"contrasts": {name: value for name, value in door.items() if value is not None}},
    }


def test_maps_of_spm_by_patterns(spm):
    study = complete_settings.read(spm)
    targets = complete_settings.targets(study)
    assert study.contrast_source.words == "SPM 25.01"
    assert len(targets.contrasts.maps()) == 12
    name = f"sub-01_space-{SPACE}_contrast-cue_stat-effect_statmap.nii.gz"
    assert targets.analyses.session_maps("baseline", "cue_mean")[0] == f"results/sub-01/contrasts/{name}"
    assert targets.ready_made.map("sub-01/contrasts/sub-01", "rest").endswith("spm/sub-01/con_0002.nii")
    record = targets.ready_made.record("sub-03/contrasts/sub-03", "cue")
    assert record["place"] == "sub-03/con_0001.nii"
    assert record["program"] == {"name": "SPM", "version": "25.01"}
    assert (record["measure"], record["unit"], record["factor"]) == ("BOLD response", "percent signal change", 1.0)
    assert not targets.analyses.is_cbf("cue_mean")
    assert targets.regions.rows()[0] == {
        "participant_id": "sub-01",
        "session_id": None,
        "arm": None,
        "contrast": "cue",
        "unit": "percent signal change",
    }


def test_maps_of_a_trial_by_fitlins(fitlins):
    reading = plan.read(fitlins)
    assert plan.trial_problems(reading) == []
    study = reading.study
    assert study.contrast_source.words == "FitLins 0.11.0"
    assert study.members("cue_change") == PEOPLE
    assert study.settings.quantity.measure == "signal"
    # Whoever is in the table alone was randomised, and has no map.
    assert {"participant_id": "sub-99", "reason": "no contrast map"} in study.exclusions
    sheets = complete_settings.targets(study).sheets()
    assert [row["scanned"] for row in sheets["randomised"]] == [True] * 6 + [False]
    assert sheets["scans"][1]["map"].startswith("sub-01/ses-T2/")


def test_person_without_a_session_does_not_enter_and_is_named(fitlins, tmp_path):
    next((tmp_path / "fitlins").rglob("sub-02_ses-T2*")).unlink()
    study = complete_settings.read(fitlins)
    assert "02" not in study.members("cue_change")
    assert {"participant_id": "sub-02", "analysis": "cue_change", "reason": "no cue at T2"} in study.incomplete()


def table(folder, rows, header=("participant_id", "contrast", "file")):
    skeleton.write(folder / "maps.tsv", "\n".join("\t".join(row) for row in [header, *rows]) + "\n")


def test_maps_by_a_table(spm, tmp_path):
    rows = [(f"sub-{who}", "cue", f"sub-{who}/con_0001.nii") for who in PEOPLE]
    table(tmp_path / "spm", rows)
    study = complete_settings.read(contrasts_of(spm, files=None, table="maps.tsv"))
    assert list(study.settings.contrasts) == ["cue"]
    assert [subject for (subject, _), _ in study.contrast_maps] == PEOPLE


def test_units_of_cbf_in_any_notation_are_cbf(spm):
    door = contrasts_of(spm, unit="ml/g/min", measure=None)
    study = complete_settings.read(door)
    assert study.settings.quantity.is_cbf
    targets = complete_settings.targets(study)
    assert targets.analyses.session_maps("baseline", "cue_mean")[0].endswith("contrast-cue_stat-effect_statmap.nii.gz")
    assert targets.ready_made.record("sub-01/contrasts/sub-01", "cue")["factor"] == 100.0
    # Of which states a ready-made map is, nobody says: a percentage has no meaning.
    assert not targets.analyses.is_cbf("cue_mean")


def test_settings_are_complete_once_more_as_the_report_reads_them(spm):
    again = settings.read(configuration.resolve(spm))
    assert again.derivatives.contrasts.files["cue"] == "sub-{participant}/con_0001.nii"
    assert settings.read(json.loads(json.dumps(configuration.resolve(spm)))) == again


def refused(config):
    with pytest.raises(InputErrors) as caught:
        complete_settings.read(config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {"cue": "sub-{participant}/con_0009.nii"}}, r"no file has such a path"),
        ({"files": {"cue": "sub-{subject}/con_0001.nii"}}, r"{subject}"),
        ({"space": "MNI152NLin6Asym"}, r"Declare the template of the maps the study's"),
        ({"generated_by": None}, r"name the program by derivatives.contrasts.generated_by"),
        ({"dir": "nowhere"}, r"derivatives.contrasts.dir"),
        ({"table": "maps.tsv"}, r"Choose one of the forms"),
        ({"files": None, "table": "absent.tsv"}, r"an existing table below dir"),
    ],
)
def test_settings_that_find_no_maps_are_refused(spm, changes, message):
    assert message in refused(contrasts_of(spm, **changes))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"conditions": {"rest": {}}}, "a study is of scans or of ready-made contrast maps"),
        ({"contrasts": {"cue": {"rest": 1}}}, "a study is of scans or of ready-made contrast maps"),
        ({"rois": {"a": {"sphere": [0, 0, 0], "radius": 6, "space": "native"}}}, "no scan of its own space"),
        ({"rois": {"a": {"sphere": [0, 0, 0], "radius": 6, "statistic": "gm_weighted"}}}, "gm_weighted"),
        ({"analyses": {"a": {"contrast": "cue", "model": "baseline ~ gm", "test": "gm"}}}, "gm, with derivatives"),
        ({"sessions": {"baseline": "T1"}}, "they have none; put {session} into the pattern"),
        ({"participants": ["01", "02", "77"]}, "77"),
        ({"template": {"space": SPACE}}, "Give the files of another template"),
    ],
)
def test_what_ready_made_maps_cannot_answer_is_refused(spm, more, message):
    assert message in refused({**spm, **more})


def test_doors_of_earlier_stages_are_refused_beside(spm):
    door = {**spm["derivatives"], "anatomy": {"dir": "fmriprep"}}
    assert "derivatives.anatomy: found 'a section', expected nothing" in refused({**spm, "derivatives": door})


def test_template_may_be_a_mask_alone_only_here(spm):
    scans = {name: value for name, value in spm.items() if name not in ("derivatives", "analyses")}
    assert "a file beside template.mask" in refused({**scans, "bids_dir": "bids", "conditions": {"rest": {}}})


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([("sub-01", "cue", "sub-01/con_0001.nii"), ("sub-02", "cue", "sub-02/none.nii")], "line 3, file"),
        ([("01 ", "cue", "sub-01/con_0001.nii"), ("sub 2", "cue", "sub-02/con_0001.nii")], "line 3, participant_id"),
        ([("sub-01", "cue", "sub-01/con_0001.nii"), ("sub-02", "1st", "sub-02/con_0001.nii")], "line 3, contrast"),
        ([("sub-01", "cue", "sub-01/con_0001.nii"), ("01", "cue", "sub-01/con_0002.nii")], "one map of a contrast"),
    ],
)
def test_faults_of_a_table_are_named_by_line(spm, tmp_path, rows, field):
    table(tmp_path / "spm", rows)
    assert field in refused(contrasts_of(spm, files=None, table="maps.tsv"))


def test_table_without_its_columns_is_refused(spm, tmp_path):
    table(tmp_path / "spm", [("sub-01", "cue")], ("participant_id", "kontrast"))
    assert "contrast: found 'no such column" in refused(contrasts_of(spm, files=None, table="maps.tsv"))


def test_person_twice_is_refused(spm, tmp_path):
    image(tmp_path / "spm" / "sub-03" / "con_0001.nii.gz", 77)
    assert "cue of sub-03 again" in refused(spm)


def test_copy_of_another_persons_map_is_refused(spm, tmp_path):
    here = tmp_path / "spm"
    (here / "sub-05" / "con_0001.nii").write_bytes((here / "sub-04" / "con_0001.nii").read_bytes())
    assert "the same content as" in refused(spm)


def test_map_of_another_grid_is_refused(spm, tmp_path):
    image(tmp_path / "spm" / "sub-04" / "con_0001.nii", 5, (7, 7, 5))
    assert "sub-04/con_0001.nii: grid: found 'shape (7, 7, 5)'" in refused(spm)
    image(tmp_path / "spm" / "sub-04" / "con_0001.nii", 5, affine=np.diag([20.0, 20, 20, 1]))
    assert "sub-04/con_0001.nii: grid: found 'another affine'" in refused(spm)


def test_maps_on_the_grid_of_another_template_are_refused(spm, tmp_path):
    """Two templates called MNI152, told apart by where their grids lie."""
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -90, -126, -72
    for number, path in enumerate(sorted((tmp_path / "spm").rglob("con_*.nii"))):
        image(path, number, (91, 109, 91), affine)
    image(tmp_path / "mask.nii.gz")
    assert "found 'the grid of MNI152NLin6Asym', expected that of MNI152NLin2009cAsym" in refused(spm)


def test_series_and_damaged_file_are_refused(spm, tmp_path):
    image(tmp_path / "spm" / "sub-04" / "con_0001.nii", 5, (*SHAPE, 3))
    assert "one volume: a contrast map" in refused(spm)
    (tmp_path / "spm" / "sub-04" / "con_0001.nii").write_bytes(b"")
    assert "an empty file" in refused(spm)


def test_map_named_for_another_space_is_refused(fitlins, tmp_path):
    for path in list((tmp_path / "fitlins").rglob("*statmap*")):
        path.rename(path.with_name(path.name.replace(SPACE, "MNI152NLin6Asym")))
    door = fitlins["derivatives"]["contrasts"]["files"]["cue"].replace(SPACE, "MNI152NLin6Asym")
    assert "MNI152NLin6Asym" in (message := refused(contrasts_of(fitlins, files={"cue": door})))
    assert "templates called MNI differ by millimetres" in message


def test_sessions_of_the_maps_must_be_named(fitlins):
    config = {name: value for name, value in fitlins.items() if name not in ("sessions", "analyses")}
    assert "the maps' sessions, T1, T2" in refused(config)
    assert "a session of the maps: T1, T2" in refused({**fitlins, "sessions": {"baseline": "T1", "followup": "T3"}})
