"""A study of CBF maps that another program made: what is read, and what is refused, before any job."""

import json
import shutil

import complete_settings
import nibabel
import numpy as np
import other_programs
import pytest
import skeleton
from pharmasl.errors import InputError, InputErrors
from pharmasl.study import reading, sheet_content

CONDITIONS = ("rest", "smoking", "neutral")
RUNS = [
    {"sub": f"{number:02d}", "ses": session, "acq": condition}
    for number in (1, 2, 3, 4)
    for session in ("T1", "T2")
    for condition in CONDITIONS
]
SPACE = "MNI152NLin2009aSym"
EXPLOREASL = {"name": "ExploreASL", "version": "1.11.0"}
OXASL = {"name": "oxasl", "version": "0.2.3"}


@pytest.fixture(scope="module")
def maps():
    return other_programs.of_runs(RUNS)


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids")


@pytest.fixture
def aslprep(tmp_path, maps):
    return other_programs.aslprep(tmp_path / "aslprep", maps)


def config(root, folder, sections=(), **source):
    derivatives = {"cbf": {"dir": str(folder), "space": SPACE, **source}}
    return {**skeleton.config(root), "derivatives": derivatives, **dict(sections)}


def read(root, folder, sections=(), **source):
    return complete_settings.read(config(root, folder, sections, **source))


def problems(root, folder, sections=(), **source):
    with pytest.raises((InputErrors, InputError)) as caught:
        read(root, folder, sections, **source)
    return caught.value.errors if isinstance(caught.value, InputErrors) else [caught.value]


def problem(*arguments, **source):
    (error,) = problems(*arguments, **source)
    return error


def map_of(folder, name="sub-01_ses-T1_acq-rest", end="cbf.nii.gz"):
    subject, session = name.split("_")[:2]
    return folder / subject / session / "perf" / f"{name}_space-{SPACE}_{end}"


def test_maps_of_aslprep_take_the_place_of_the_raw_runs(root, aslprep):
    study = read(root, aslprep)
    assert len(study.scans) == len(RUNS)
    scan = study.scans["sub-02/ses-T2/perf/sub-02_ses-T2_acq-smoking"]
    assert (scan.subject, scan.session, scan.condition) == ("02", "T2", "smoking")
    assert scan.asl == str(map_of(aslprep, "sub-02_ses-T2_acq-smoking"))
    assert scan.imported.mask == str(map_of(aslprep, "sub-02_ses-T2_acq-smoking", "desc-brain_mask.nii.gz"))
    assert (scan.imported.program.name, scan.imported.program.version) == ("ASLPrep", "26.0.3")
    assert (scan.imported.units, scan.imported.factor) == ("mL/100 g/min", pytest.approx(1))
    # By ASLPrep's columns qei_cbf, qei_cbf_rho_ss, qei_cbf_di and mean_fd.
    assert scan.imported.measures == {
        "qei": 0.7,
        "structural_similarity": 0.8,
        "dispersion_index": 9.5,
        "fd_mean": 0.12,
    }
    assert study.members("rest_interaction") == ["01", "02", "03", "04"]
    assert not study.t1w


def test_table_of_scans_says_where_the_maps_are(root, aslprep):
    row = next(sheet_content.scan_rows(read(root, aslprep)))
    assert row["asl"] is None
    assert row["imported_cbf"] == f"../aslprep/sub-01/ses-T1/perf/sub-01_ses-T1_acq-neutral_space-{SPACE}_cbf.nii.gz"
    assert row["anatomy"] == "none: the map is on the template"


def test_raw_images_are_not_needed(root, aslprep):
    for folder in root.glob("sub-*"):
        shutil.rmtree(folder)
    assert len(read(root, aslprep).scans) == len(RUNS)


def test_maps_of_exploreasl_by_a_pattern(root, tmp_path, maps):
    folder = other_programs.exploreasl(tmp_path / "xasl", maps, {"rest": 1, "smoking": 2, "neutral": 3})
    for path in root.glob("sub-*"):
        shutil.rmtree(path)
    (root / "phenotype" / "craving.tsv").unlink()
    sections = {
        "sessions": {"baseline": "1", "followup": "2"},
        "conditions": {"rest": {"run": 1}, "smoking": {"run": 2}, "neutral": {"run": 3}},
    }
    files = "Population/qCBF_sub-{participant}_{session}_ASL_{run}.nii"
    study = read(root, folder, sections, files=files, units="mL/100 g/min", generated_by=EXPLOREASL)
    scan = study.scans["sub-04/ses-2/perf/sub-04_ses-2_run-3"]
    assert scan.asl == str(folder / "Population" / "qCBF_sub-04_2_ASL_3.nii.gz")
    assert (scan.condition, scan.imported.mask, scan.imported.measures) == ("neutral", None, {})
    assert scan.imported.program.version == "1.11.0"


def test_maps_of_oxasl_by_a_pattern_with_masks(root, tmp_path, maps):
    folder = other_programs.oxasl(tmp_path / "oxasl", maps)
    below = "{participant}/{session}/{condition}/output/std"
    source = {"files": f"{below}/calib_voxelwise/perfusion.nii.gz", "mask": f"{below}/mask.nii.gz"}
    study = read(root, folder, units="ml/100g/min", generated_by=OXASL, **source)
    scan = study.scans["sub-03/ses-T1/perf/sub-03_ses-T1_acq-rest"]
    assert scan.imported.mask == str(folder / "03/T1/rest/output/std/mask.nii.gz")
    assert scan.acquisition.sources["units"] == "config derivatives.cbf.units"


def write_table(folder, rows, columns="participant_id\tsession_id\tcondition\tcbf\tmask\tfd_mean"):
    (folder / "maps.tsv").write_text("\n".join([columns, *rows]) + "\n")


def tabulated(folder):
    for run in RUNS:
        name = "_".join(f"{key}-{label}" for key, label in run.items())
        place = map_of(folder, name, "").relative_to(folder)
        cells = [f"sub-{run['sub']}", run["ses"], run["acq"], f"{place}cbf.nii.gz", f"{place}desc-brain_mask.nii.gz"]
        yield "\t".join([*cells, f"0.{run['sub']}"])


def test_maps_and_measures_by_a_table(root, aslprep):
    write_table(aslprep, tabulated(aslprep))
    study = read(root, aslprep, files="maps.tsv")
    scan = study.scans["sub-04/ses-T1/perf/sub-04_ses-T1_acq-smoking"]
    assert scan.asl == str(map_of(aslprep, "sub-04_ses-T1_acq-smoking"))
    assert scan.imported.measures == {"fd_mean": 0.04}
    assert scan.imported.mask.endswith("desc-brain_mask.nii.gz")


@pytest.mark.parametrize(
    ("cells", "field", "found"),
    [
        ("sub-01\tT1\tresting\tcbf.nii\t\t", "line 2, condition", "resting"),
        ("sub-01\tT1\trest\tcbf.nii\t\t", "line 2, cbf", "cbf.nii"),
        ("\tT1\trest\tcbf.nii\t\t", "line 2, participant_id", None),
        ("sub-0 1\tT1\trest\tcbf.nii\t\t", "line 2, sub", "0 1"),
    ],
)
def test_rows_of_a_table_that_cannot_be_are_named(root, aslprep, cells, field, found):
    write_table(aslprep, [cells])
    error = problem(root, aslprep, files="maps.tsv")
    assert (error.file, error.field) == (str(aslprep / "maps.tsv"), field)
    assert found is None or str(error.found).endswith(found)


def test_a_table_needs_its_columns(root, aslprep):
    write_table(aslprep, [], columns="participant\tcondition\tcbf")
    assert problem(root, aslprep, files="maps.tsv").field == "participant_id"


def test_a_raw_run_without_a_map_is_refused_or_left_out(root, aslprep):
    for path in aslprep.glob("sub-02/ses-T2/perf/*"):
        path.unlink()
    error = problem(root, aslprep)
    assert error.file == str(aslprep)
    assert error.found == "none of sub-02_ses-T2_acq-neutral, sub-02_ses-T2_acq-rest, sub-02_ses-T2_acq-smoking"
    assert "ASLPrep 26.0.3" in error.fix
    study = read(root, aslprep, {"analyses": {}}, missing="exclude")
    assert len(study.scans) == len(RUNS) - 3
    row = next(row for row in study.exclusions if row.get("condition") == "rest")
    assert (row["participant_id"], row["session_id"]) == ("sub-02", "T2")
    assert row["reason"] == "ASLPrep 26.0.3 has no CBF map of sub-02_ses-T2_acq-rest"


def test_maps_in_another_space_are_named_with_what_is_there(root, tmp_path, maps):
    folder = other_programs.aslprep(tmp_path / "other", maps, space="MNI152NLin6Asym")
    error = problem(root, folder)
    assert "space-MNI152NLin6Asym" in error.found
    assert error.expected == f"maps with space-{SPACE}"


def test_templates_are_not_mixed(root, aslprep):
    error = problem(root, aslprep, space="MNI152NLin2009cAsym")
    assert (error.field, error.found) == ("derivatives.cbf.space", "MNI152NLin2009cAsym")
    assert error.expected == f"{SPACE}, the study's template"


def test_a_grid_of_another_template_than_the_name_says_is_refused(root, aslprep):
    shape, affine = other_programs.grid("MNI152NLin6Asym", 4.0)
    other_programs.save(map_of(aslprep), np.ones(shape), affine)
    errors = problems(root, aslprep)
    assert errors[0].field == "space"
    assert f"{SPACE} in its name, and the grid of MNI152NLin6Asym" in errors[0].found


def test_a_map_on_the_scans_own_grid_is_refused(root, aslprep):
    shape, affine = other_programs.grid()
    turned = affine @ nibabel.affines.from_matvec([[0.996, -0.087, 0], [0.087, 0.996, 0], [0, 0, 1]])
    other_programs.save(map_of(aslprep), np.ones(shape), turned)
    assert "axes that are tilted" in problems(root, aslprep)[0].found


def test_a_series_of_cbf_is_refused(root, aslprep):
    shape, affine = other_programs.grid()
    other_programs.save(map_of(aslprep), np.ones((*shape, 3)), affine)
    error = problems(root, aslprep)[0]
    assert (error.field, error.found) == ("dim", "3 volumes")


def test_names_of_old_versions_are_recognised(root, tmp_path, maps):
    folder = other_programs.aslprep(tmp_path / "old", maps[:1], version="0.2.8")
    path = map_of(folder)
    path.rename(path.with_name(path.name.replace("_cbf", "_mean_cbf")))
    for other in folder.glob("sub-*/ses-*/perf/*_cbf.nii.gz"):
        if "mean" not in other.name:
            other.unlink()
    assert "as ASLPrep before 0.3 named them" in problem(root, folder).fix


@pytest.mark.parametrize(
    ("units", "field", "found"), [("1/s", "Units", "1/s"), (None, "Units", "no such field"), ("s", "Units", "s")]
)
def test_units_that_are_none_of_cbf_are_refused(root, aslprep, units, field, found):
    path = map_of(aslprep, end="cbf.json")
    path.write_text(json.dumps({} if units is None else {"Units": units}))
    error = problem(root, aslprep)
    assert (error.file, error.field, error.found) == (str(path), field, found)


def test_other_units_are_converted(root, aslprep):
    map_of(aslprep, end="cbf.json").write_text(json.dumps({"Units": "mL/g/min"}))
    scan = read(root, aslprep).scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"]
    assert scan.imported.factor == pytest.approx(100)


def test_two_statements_of_the_unit_are_not_chosen_from(root, aslprep):
    errors = problems(root, aslprep, units="mL/g/min")
    assert {error.expected for error in errors} == {"mL/g/min, as derivatives.cbf.units has it"}


def test_a_mask_on_another_grid_is_refused(root, aslprep):
    path = map_of(aslprep, end="desc-brain_mask.nii.gz")
    other_programs.save(path, np.ones((20, 20, 20)), np.diag([8, 8, 8, 1]), np.uint8)
    assert problem(root, aslprep).file == str(path)


def test_masks_of_some_maps_alone_are_refused(root, aslprep):
    map_of(aslprep, end="desc-brain_mask.nii.gz").unlink()
    error = problem(root, aslprep)
    assert (error.field, error.found) == ("mask", "none of sub-01_ses-T1_acq-rest")


def test_a_map_of_another_person_in_a_folder_is_refused(root, aslprep):
    path = map_of(aslprep)
    path.rename(aslprep / "sub-02" / "ses-T1" / "perf" / path.name)
    assert any(error.field == "sub" and "sub-01" in str(error.found) for error in problems(root, aslprep))


def test_two_maps_of_one_scan_are_refused(root, aslprep):
    path = map_of(aslprep)
    shutil.copy(path, path.with_suffix(""))
    error = problem(root, aslprep)
    assert error.expected == "one map of each scan"


def test_a_copy_of_a_map_under_another_name_is_refused(root, aslprep):
    shutil.copy(map_of(aslprep), map_of(aslprep, "sub-03_ses-T1_acq-rest"))
    assert any("the same content as" in str(error.found) for error in problems(root, aslprep))


def test_a_damaged_table_of_quality_is_named(root, aslprep):
    path = aslprep / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_desc-qualitycontrol_cbf.tsv"
    path.write_text("qei_cbf\tmean_fd\ngood\t0.1\n")
    error = problem(root, aslprep)
    assert (error.file, error.field, error.found) == (str(path), "qei_cbf", "good")


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"perfusion": {"override": {"PostLabelingDelay": 1.8}}}, "perfusion.override"),
        ({"perfusion": {"partial_volume": {"use": True}}}, "perfusion.partial_volume.use"),
        ({"rois": {"vmpfc": {"sphere": [0, 44, -12], "radius": 10, "space": "native"}}}, "rois.vmpfc.space"),
        (
            {"analyses": {"own": {"contrast": "rest", "model": "change ~ arm + gm", "test": "arm"}}},
            "analyses.own.model",
        ),
    ],
)
def test_what_maps_cannot_answer_is_refused(root, aslprep, sections, field):
    assert problem(root, aslprep, sections).field == field


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"files": "sub-{participant}.nii", "desc": "basil"}, "derivatives.cbf.desc"),
        ({"mask": "sub-{participant}_mask.nii"}, "derivatives.cbf.mask"),
        ({"files": "{person}.nii"}, "derivatives.cbf.files"),
        ({"files": "nowhere/{participant}.nii"}, "nowhere/{participant}.nii"),
        ({"dir": "nowhere"}, "derivatives.cbf.dir"),
    ],
)
def test_sources_that_mean_nothing_are_refused(root, aslprep, source, field):
    assert problem(root, aslprep, **source).field == field


def test_an_anatomy_beside_maps_on_the_template_is_refused(root, aslprep):
    derivatives = {"cbf": {"dir": str(aslprep), "space": SPACE}, "anatomy": {"dir": str(aslprep)}}
    assert problem(root, aslprep, {"derivatives": derivatives}).field == "derivatives.anatomy"


def test_a_map_by_its_label(root, aslprep):
    for path in list(aslprep.glob(f"sub-*/ses-*/perf/*_space-{SPACE}_cbf.*")):
        path.rename(path.with_name(path.name.replace("_cbf.", "_desc-basil_cbf.")))
    columns = "qei_cbf_basil\tqei_cbf_basil_rho_ss\tqei_cbf_basil_di\tmean_fd\n0.6\t0.5\tn/a\t0.2\n"
    for path in aslprep.glob("sub-*/ses-*/perf/*_desc-qualitycontrol_cbf.tsv"):
        path.write_text(columns)
    study = read(root, aslprep, desc="basil")
    measures = study.scans["sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"].imported.measures
    assert measures == {"qei": 0.6, "structural_similarity": 0.5, "fd_mean": 0.2}


def test_maps_on_the_scans_own_grids_come_with_their_transforms(root, aslprep):
    scan = read(root, aslprep, grid="scan").scans["sub-02/ses-T1/perf/sub-02_ses-T1_acq-rest"]
    folder = aslprep / "sub-02"
    assert scan.asl == str(folder / "ses-T1/perf/sub-02_ses-T1_acq-rest_cbf.nii.gz")
    assert scan.imported.mask == str(folder / "ses-T1/perf/sub-02_ses-T1_acq-rest_desc-brain_mask.nii.gz")
    assert scan.imported.transforms == (
        str(folder / f"anat/sub-02_from-T1w_to-{SPACE}_mode-image_xfm.h5"),
        str(folder / "ses-T1/perf/sub-02_ses-T1_acq-rest_from-aslref_to-T1w_mode-image_xfm.txt"),
    )


def test_the_anatomy_of_the_session_goes_before_that_of_the_participant(root, aslprep):
    own = aslprep / f"sub-02/ses-T2/anat/sub-02_ses-T2_from-T1w_to-{SPACE}_mode-image_xfm.h5"
    own.parent.mkdir()
    shutil.copy(aslprep / f"sub-02/anat/sub-02_from-T1w_to-{SPACE}_mode-image_xfm.h5", own)
    scans = read(root, aslprep, grid="scan").scans
    assert scans["sub-02/ses-T2/perf/sub-02_ses-T2_acq-rest"].imported.transforms[0] == str(own)
    assert scans["sub-02/ses-T1/perf/sub-02_ses-T1_acq-rest"].imported.transforms[0] != str(own)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"sub-03/anat/sub-03_from-T1w_to-{SPACE}_mode-image_xfm.h5", f"from-T1w_to-{SPACE}_mode-image_xfm.h5"),
        (
            "sub-03/ses-T1/perf/sub-03_ses-T1_acq-rest_from-aslref_to-T1w_mode-image_xfm.txt",
            "from-aslref_to-T1w_mode-image_xfm.txt",
        ),
    ],
)
def test_a_missing_transform_is_named(root, aslprep, path, name):
    (aslprep / path).unlink()
    assert problems(root, aslprep, grid="scan")[0].field == name


def test_a_stated_transform_leads_from_another_template(root, tmp_path, maps):
    folder = other_programs.aslprep(tmp_path / "cAsym", maps, space="MNI152NLin2009cAsym")
    path = tmp_path / f"from-MNI152NLin2009cAsym_to-{SPACE}_mode-image_xfm.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    for own in folder.glob("sub-*/ses-*/perf/*_space-*_cbf.nii.gz"):
        own.unlink()
    for own in other_programs.of_runs(RUNS, "MNI152NLin2009cAsym"):
        place = folder / f"sub-{own.entities['sub']}/ses-{own.entities['ses']}/perf"
        other_programs.save(place / f"{own.name}_space-MNI152NLin2009cAsym_cbf.nii.gz", own.data, own.affine)
        other_programs.save(
            place / f"{own.name}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz", own.mask, own.affine, np.uint8
        )
    study = read(root, folder, space="MNI152NLin2009cAsym", transform=str(path))
    assert {scan.imported.transforms for scan in study.scans.values()} == {(str(path),)}


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"transform": "x_xfm.h5"}, "derivatives.cbf.transform"),
        ({"transform": "x_xfm.nii.gz", "space": "MNI152NLin2009cAsym"}, "derivatives.cbf.transform"),
        ({"grid": "scan", "files": "sub-{participant}.nii"}, "derivatives.cbf.grid"),
    ],
)
def test_transforms_that_lead_nowhere_are_refused(root, aslprep, source, field):
    assert problem(root, aslprep, **source).field == field


def test_a_study_of_raw_runs_is_read_as_before(root):
    assert all(scan.imported is None for scan in reading.collect(skeleton.config(root)).study.scans.values())


def test_ratings_exclude_imported_maps(root, aslprep, tmp_path):
    ratings = tmp_path / "ratings.tsv"
    ratings.write_text(
        "scan\trating\treason\trater\nsub-01_ses-T1_acq-rest\tpoor\tvessels\tjd\nsub-02_ses-T1_acq-rest\tgood\tn/a\tjd\n"
    )
    study = read(root, aslprep, {"quality": {"ratings": str(ratings)}})
    assert study.poor == {"sub-01_ses-T1_acq-rest": "rated poor: vessels"}
