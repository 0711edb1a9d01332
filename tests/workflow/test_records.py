"""Results know how they were made, whatever Snakemake remembers, and one run at a time writes them."""

import copy
import dataclasses
import inspect
import os
import shutil
import subprocess

import finished
import nibabel
import numpy as np
import pytest
import skeleton
from pharmasl.files import contents
from pharmasl.records import folder_lock, manifest, verify
from snakemake import api  # noqa: F401 - before snakemake.workflow, which imports it
from snakemake import workflow as snakemake_workflow
from snakemake.persistence import MetadataRecord, PersistenceBase

PARTICIPANTS = 4


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Finished results of a small trial with craving and a sensitivity analysis, whose maps are temporary."""
    config = skeleton.config("bids")
    config["rois"] = {"vmpfc": {"sphere": [0, 46, -8], "radius": 8}}
    config["craving"] = {
        "table": "phenotype/craving.tsv",
        "before": "craving_pre",
        "after": "craving_post",
        "range": [0, 100],
        "rois": ["vmpfc"],
        "contrast": "cue",
    }
    config["sensitivity"] = {"answers": {"cue": {"roi": "vmpfc", "contrast": "cue"}}, "scaling": ["global"]}
    return finished.make(tmp_path_factory.mktemp("records"), config, PARTICIPANTS)


@pytest.fixture
def study(kept, tmp_path):
    return kept.copy(tmp_path / "study")


def forgotten(study):
    shutil.rmtree(study.folder / ".snakemake")
    return study


def elsewhere(study):
    """The same results, from another folder and by absolute paths."""
    config = copy.deepcopy(study.config) | {
        name: str(study.folder / study.config[name]) for name in ("bids_dir", "output_dir")
    }
    other = finished.Study(study.folder.parent / "elsewhere", config, study.checkout)
    other.folder.mkdir()
    return other


def arms_exchanged(study):
    study.config["arms"] |= {"treatment": "placebo", "control": "baclofen"}


def smoothing(study):
    study.config["perfusion"] = {"smoothing_fwhm": 4}


def permutations(study):
    study.config["inference"] = {"permutations": 500}


def blinded(study):
    study.config["blinded"] = True


def sheet(study):
    path = study.folder / "bids/participants.tsv"
    path.write_text(path.read_text().replace("\t31\t", "\t41\t"))


def image(study):
    path = study.folder / "bids/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"
    before = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.full(before.shape, 7, np.float32), before.affine, before.header), path)
    os.utime(path, (1e9, 1e9))


def code(study):
    study.checkout = finished.checkout(study.folder.parent / "checkout", study.checkout)
    module = study.checkout / "scripts/pharmasl/group/engine/tfce.py"
    module.write_text(module.read_text() + "\n# Changed.\n")


CHANGES = {
    arms_exchanged: "group_statistics",
    smoothing: "quantify_perfusion",
    permutations: "group_statistics",
    blinded: "allocation_log",
    sheet: "participant_rows",
    image: "align_perfusion",
    code: "group_statistics",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_plan_is_the_same_with_and_without_snakemakes_memory(study, change):
    change(study)
    wanted, _ = study.plan()
    assert CHANGES[change] in wanted
    assert forgotten(study).plan()[0] == wanted
    away, _ = elsewhere(study).plan()
    # The study's tables name the dataset by its path from here; they and the page are quickly written.
    assert {
        name: count for name, count in away.items() if name not in ("study_tables", "participant_flow", "flow_figure")
    } == {
        name: count
        for name, count in {**wanted, "report": 1}.items()
        if name not in ("study_tables", "participant_flow", "flow_figure")
    }


def test_nothing_is_planned_where_nothing_changed(study):
    assert study.plan()[0] == {}
    assert forgotten(study).plan()[0] == {}
    study.config["output_dir"] = "./bids/../results/"
    assert study.plan()[0] == {}


def test_copies_without_dates_are_what_they_were(study, tmp_path):
    shutil.copytree(study.folder / "bids", tmp_path / "copy/bids", copy_function=shutil.copy)
    # In an order that would make everything older than what it was made from.
    for path in sorted((study.folder / "results").rglob("*"), reverse=True):
        if path.is_file():
            target = tmp_path / "copy" / path.relative_to(study.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    copied = finished.Study(tmp_path / "copy", study.config, study.checkout)
    assert copied.plan()[0] == {}
    smoothing(copied)
    smoothing(study)
    assert copied.plan()[0] == study.plan()[0]


def test_results_without_any_record_are_made_again(study):
    wanted, _ = finished.Study(study.folder, study.config, study.checkout).plan()
    assert wanted == {}
    forgotten(study)
    (study.folder / "results/manifest.json").unlink()
    jobs, text = study.plan()
    assert jobs["quantify_perfusion"] == 6 * PARTICIPANTS
    assert jobs["template"] == jobs["report"] == 1
    assert "no record says how they were made" in " ".join(text.split())
    # Told each time, until they are made.
    assert study.plan()[0] == jobs


def test_results_of_another_folders_run_are_not_taken_for_ones_own(study):
    """Two folders write to one results' folder in turn; what the first remembers is not what is there."""
    other = elsewhere(study)
    smoothing(other)
    path = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_cbf.nii.gz"
    skeleton.write(study.folder / "results" / path, "made by the other")
    status, text = other.run("--touch", "--cores", "1")
    assert status == 0, text[-2000:]
    assert study.plan()[0]["quantify_perfusion"] == 6 * PARTICIPANTS
    # Where smoothing is named in a path, files are missing that were not made.
    assert "quantify_perfusion" not in other.plan()[0]


@pytest.mark.parametrize("lost", [False, True])
def test_a_result_that_was_edited_damaged_or_deleted_is_made_again(study, lost):
    results = study.folder / "results"
    edited = results / "rois/vmpfc_values.tsv"
    before = edited.stat()
    edited.write_text(edited.read_text().replace("vmpfc", "another"))
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    with open(results / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_cbf.nii.gz", "ab") as file:
        file.write(b"more")
    (results / "group/rest_interaction/contrast-restInteraction_stat-tfce_statmap.nii.gz").unlink()
    if lost:
        forgotten(study)
    jobs, text = study.plan()
    assert jobs["quantify_perfusion"] == jobs["group_statistics"] == jobs["roi_values"] == jobs["report"] == 1
    assert "align_perfusion" not in jobs
    assert "2 file(s) of which no record" in " ".join(text.split())


def test_a_second_run_is_refused_wherever_it_starts(study):
    permutations(study)
    other = elsewhere(study)
    lock = folder_lock.FolderLock(study.folder / "results")
    lock.acquire()
    for start in (study, other):
        status, text = start.run("--cores", "1")
        assert status
        said = " ".join(text.split())
        assert f"found 'process {os.getpid()} on " in said
        assert "no other run" in said
        assert "Traceback" not in text
        assert start.plan()[0]["group_statistics"] == 1
    lock.release()
    assert not (study.folder / "results/.lock").exists()


def test_what_a_run_made_is_written_down_and_known_without_its_memory(study):
    sheet(study)
    target = "results/study/participants.tsv"
    status, text = study.run("--cores", "1", target)
    assert status == 0, text[-2000:]
    results = study.folder / "results"
    known = manifest.read(results)
    assert known.files["study/participants.tsv"].content.sha256 == contents.read(results / "study/participants.tsv")
    assert known.sidecars["study/participants.json"].sha256 == contents.read(results / "study/participants.json")
    assert verify.main([str(results)]) == 0
    forgotten(study)
    _, text = study.run("-n", target)
    assert "Nothing to be done" in text


def test_what_was_deleted_and_is_not_needed_is_missed_until_the_next_run(study, capsys):
    """The series of a scan, made by name and deleted; with nothing to be done, the run takes note all the same."""
    results = study.folder / "results"
    scan = results / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"
    series = scan.with_name(f"{scan.name}_desc-preproc_asl.nii.gz")
    series.write_bytes(scan.with_name(f"{scan.name}_aslref.nii.gz").read_bytes())
    known = manifest.read(results)
    path, reference = (
        image.relative_to(results).as_posix() for image in (series, scan.with_name(f"{scan.name}_aslref.nii.gz"))
    )
    manifest.write(str(results), dataclasses.replace(known, files={**known.files, path: known.files[reference]}))
    series.unlink()
    assert verify.main([str(results)]) != 0
    assert path in capsys.readouterr().out
    # One target alone says nothing of the rest.
    for target, is_whole in (("results/study/participants.tsv", False), ("all", True)):
        status, text = study.run("--cores", "1", target)
        assert (status, "Nothing to be done" in text) == (0, True), text[-2000:]
        assert (verify.main([str(results)]) == 0) == is_whole, capsys.readouterr().out


EARLIER = "of an earlier configuration or version"


def test_what_an_earlier_version_left_is_named_and_what_was_asked_for_by_name_is_not(study):
    """A map under the name of before (t for F), and scans' files of before another program's maps took their place."""
    status, text = study.run("--cores", "1")
    assert (status, EARLIER in text) == (0, False)
    folder = study.folder / "results/group/rest_interaction"
    skeleton.write(folder / "contrast-restInteraction_stat-F_statmap.nii.gz", "map")
    skeleton.write(folder / "contrast-restInteraction_stat-F_statmap.json", "{}")
    asked = study.folder / "results/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_desc-preproc_asl"
    skeleton.write(asked.with_name(f"{asked.name}.nii.gz"), "series")
    skeleton.write(asked.with_name(f"{asked.name}.json"), "{}")
    status, text = study.run("--cores", "1")
    assert status == 0
    said = " ".join(text.split())
    assert f"results: 2 file(s) {EARLIER}" in said
    assert "group/rest_interaction/contrast-restInteraction_stat-F_statmap.nii.gz" in said
    assert "preproc_asl" not in said[said.index(EARLIER) :]


def test_results_of_an_analysis_that_is_asked_for_no_more_are_named(study):
    del study.config["craving"]
    study.config["sensitivity"] = None
    study.config = {key: value for key, value in study.config.items() if value is not None}
    status, text = study.run("--cores", "1", "--touch")
    assert status == 0, text
    status, text = study.run("--cores", "1")
    said = " ".join(text.split())
    assert EARLIER in said
    assert "craving/" in said[said.index(EARLIER) :]


def test_verify_tells_without_snakemake(study, capsys):
    results = study.folder / "results"
    forgotten(study)
    assert verify.main([str(results)]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    name = "group/rest_interaction/contrast-restInteraction_stat-t_statmap.nii.gz"
    assert verify.main([str(results), name]) == 0
    said = capsys.readouterr().out
    for part in ("rule: group_statistics", "code: ", "    arms: ", "contrasts/", "numpy "):
        assert part in said


def test_the_command_needs_no_workflow(study):
    """It is the run script's, in an environment that is there."""
    path = study.folder / "results/report/index.html"
    path.unlink()
    run = subprocess.run(
        ["python", "-m", "pharmasl.records.verify", "results"],
        cwd=study.folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(study.checkout / "scripts")},
    )
    assert run.returncode == 1
    assert "1 missing" in run.stdout
    assert "report/index.html" in run.stdout


def test_the_manifest_names_no_machine_and_no_arm(kept):
    text = (kept.folder / "results/manifest.json").read_text()
    assert str(kept.folder) not in text
    assert "placebo" not in text
    known = manifest.read(kept.folder / "results")
    inputs = {name for entry in known.files.values() for name in entry.making.inputs}
    assert all(name.startswith("bids::") or name in known.files for name in inputs)
    assert manifest.listing(kept.folder / "results").keys() == {
        path for path, entry in known.files.items() if entry.content
    }


def test_snakemake_still_has_what_the_records_are_put_back_by():
    """The workflow wraps a method of Snakemake's and writes its records; a new version may call these otherwise."""
    assert "self._prepare_dag(" in inspect.getsource(snakemake_workflow.Workflow.execute)
    assert "self._build_dag(" in inspect.getsource(snakemake_workflow.Workflow.execute)
    assert "self._persistence = " in inspect.getsource(snakemake_workflow.Workflow._prepare_dag)
    needed = {
        "rule",
        "params",
        "input",
        "log",
        "software_stack_hash",
        "input_checksums",
        "endtime",
        "record_format_version",
    }
    assert needed <= set(MetadataRecord.model_fields)
    for name in ("_read_record", "_write_record", "_clear_cache"):
        assert callable(getattr(PersistenceBase, name))
