"""A small simulated trial through every rule, and what a change reruns."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import described_images
import finished
import nibabel
import numpy as np
import pytest
import yaml
from calling import Workflow
from loading import ROOT
from pharmasl.files import bids, tables
from pharmasl.records import verify
from pharmasl.workflow import output_levels

pytestmark = pytest.mark.slow

CHANGED = {
    "smoothing": (
        lambda config: config["perfusion"].update(smoothing_fwhm=9),
        {"quantify_perfusion"},
        {"align_perfusion", "segment_anatomy", "prepare_anatomy", "normalise_anatomy", "template"},
    ),
    "permutations": (
        lambda config: config["inference"].update(permutations=50 * 3),
        {"group_statistics"},
        {"session_contrast", "quantify_perfusion", "craving_model"},
    ),
    "craving range": (
        lambda config: config["craving"].update(range=[0, 200]),
        {"craving_scores"},
        {"group_statistics", "quantify_perfusion"},
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The repository copied elsewhere, with a finished run of a trial of four in coarse images."""
    folder = tmp_path_factory.mktemp("whole")
    finished.checkout(folder)
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["inference"]["permutations"] = 100
    config["anatomy"]["registration"] |= {"affine_iterations": "40x0x0", "warp_iterations": "30x0x0"}
    config["anatomy"]["bias"] = {"iterations": [20, 20]}
    config["template"]["resolution"] = 4
    # Four people leave no spread beside arm, age and sex: the planted baseline of cigarettes would be one number.
    del config["endpoints"]
    config["primary"]["secondary"].remove("cigarettes")
    config["simulate"] |= {
        "people": {"treatment": 2, "control": 2},
        "anatomy": {"voxel_size": 4},
        "perfusion": {"pairs": 2, "matrix": [32, 40, 20], "voxel_size": [6, 6, 7.5], "slice_time": 0.03},
    }
    workflow = Workflow(folder, root=folder)
    workflow.configure(config)
    workflow.config = config
    workflow.snakemake("--cores", "2", "--", "trial", snakefile="rules/simulate.smk", forked=True)
    workflow.snakemake("--cores", "2", forked=True)
    workflow.snakemake("--cores", "1", "--", "comparison", snakefile="rules/simulate.smk")
    return workflow


def planned(done):
    """Rules of a dry run's job table."""
    return set(re.findall(r"^(\w+)\s+\d+$", done.stdout, re.MULTILINE)) - {"total", "all"}


def dry(run, config=None):
    if config is not None:
        run.configure(config)
    try:
        return planned(run.snakemake("-n", "--quiet", "rules"))
    finally:
        run.configure(run.config)


def test_every_output_is_there(run):
    results = run.folder / "demo/results"
    page = (results / "report/index.html").read_text()
    assert "Demo trial" in page
    assert len(list(results.glob("sub-*/ses-*/perf/*_desc-smooth_cbf.nii.gz"))) == 4 * 2 * 3
    assert len(tables.read_table(results / "quality/scans.tsv")) == 24
    for analysis in ("rest_interaction", "cue_interaction", "dlpfc_to_cue"):
        assert (results / f"group/{analysis}/contrast-{bids.entity_label(analysis)}_clusters.tsv").is_file()
    assert tables.read_table(results / "craving/roi_craving.tsv")
    assert (run.folder / "demo/comparison.txt").read_text()
    assert all(path.stat().st_size < 200_000 for path in (results / "logs").rglob("*.log"))


def test_grey_matter_perfusion_is_what_was_simulated(run):
    found = [float(row["gm_cbf"]) for row in tables.read_table(run.folder / "demo/results/quality/scans.tsv")]
    # 60 in pure grey matter; the coarse voxels of this run mix in white matter and fluid.
    assert 40 < np.mean(found) < 70


def test_a_finished_run_has_nothing_to_do(run):
    assert dry(run) == set()


def test_a_finished_run_is_whole(run):
    """Every file is tied to the job that made it, sidecars of tables and images too."""
    assert verify.main([str(run.folder / "demo/results")]) == 0


def errors_of_the_validator(results):
    """What the standard's own validator refuses of a folder; skips the test where it is not installed."""
    validator = shutil.which(
        "bids-validator-deno", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run([validator, "--json", results], capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [issue for issue in issues if issue["severity"] == "error"]
    assert (done.returncode == 0) == (not errors)
    return errors


def test_the_standards_validator_finds_no_error(run):
    assert errors_of_the_validator(run.folder / "demo/results") == []


@pytest.mark.parametrize("level", ["minimal", "full"])
def test_results_of_another_level_are_whole_described_and_valid(run, tmp_path, level):
    shutil.copytree(run.folder, tmp_path / "run", symlinks=True)
    own = Workflow(tmp_path / "run", root=tmp_path / "run")
    # Several effects tested together by F, and a conjunction: maps of other names.
    joint = {"contrast": "rest", "model": "baseline ~ age + sex", "test": ["age", "sex"]}
    own.configure(
        {
            **run.config,
            "outputs": level,
            "analyses": {**run.config["analyses"], "age_and_sex": joint},
            "conjunctions": {"both": ["rest_interaction", "cue_interaction"]},
        }
    )
    if level == "minimal":
        own.snakemake("--cores", "1", "--delete-temp-output")
    own.snakemake("--cores", "1", forked=True)
    results = own.folder / "demo/results"
    series = list(results.glob("sub-*/ses-*/perf/*_desc-preproc_asl.nii.gz"))
    native = list(results.glob("sub-*/ses-*/perf/*_acq-rest_cbf.nii.gz"))
    assert (len(series), len(native)) == ((0, 0) if level == "minimal" else (24, 8))
    assert (results / "group/age_and_sex/contrast-ageAndSex_stat-F_statmap.nii.gz").is_file()
    assert (results / "group/both/contrast-both_stat-z_statmap.nii.gz").is_file()
    assert verify.main([str(results)]) == 0
    assert errors_of_the_validator(results) == []
    faults = described_images.faults(results, lambda path: output_levels.kind_of(path).level == "default")
    assert faults == []
    print(output_levels.size_line(results, level))


def test_pybids_opens_the_results_alone_and_beside_the_raw_data(run):
    layouts = pytest.importorskip("bids", reason="pybids is not installed")
    results = run.folder / "demo/results"
    alone = layouts.BIDSLayout(results, validate=False, is_derivative=True)
    smooth = alone.get(suffix="cbf", desc="smooth", space="MNI152NLin2009aSym", extension=".nii.gz")
    assert len(smooth) == 24
    assert {image.get_metadata()["Units"] for image in smooth} == {"mL/100 g/min"}
    assert alone.get(desc="pvcGM", suffix="cbf", extension=".nii.gz")[0].get_metadata()["Units"] == "mL/100 g/min"
    effects = [path for path in alone.get(suffix="statmap", return_type="filename") if "stat-t_statmap.nii.gz" in path]
    t = alone.get_file(next(path for path in effects if "contrast-restInteraction" in path))
    assert t.get_metadata()["Participants"] == 4
    assert alone.get_sessions() == ["T1", "T2"]
    both = layouts.BIDSLayout(run.folder / "demo/bids", derivatives=results)
    assert len(both.get(suffix="cbf", desc="smooth", extension=".nii.gz", scope="derivatives")) == 24
    assert len(both.get(suffix="asl", extension=".nii.gz", scope="raw")) == 24


def test_every_image_says_what_it_is_where_it_lies_and_what_it_was_made_from(run):
    results = run.folder / "demo/results"
    assert described_images.faults(results) == []
    cbf = tables.read_json(results / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_cbf.json")
    assert cbf["Sources"][0] == "bids:raw:sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"
    assert not [uri for uri in cbf["Sources"] if "template" in uri]


def test_headers_say_in_which_space_a_map_is_and_what_it_holds(run):
    results = run.folder / "demo/results"
    header = nibabel.load(results / "group/rest_interaction/contrast-restInteraction_stat-t_statmap.nii.gz").header
    summary = json.loads((results / "group/rest_interaction/contrast-restInteraction_inference.json").read_text())
    assert header.get_intent() == ("t test", (summary["model"]["df"],), "")
    in_template = [
        *results.glob("group/*/*.nii.gz"),
        *results.glob("template/*.nii.gz"),
        *results.glob("rois/*.nii.gz"),
    ]
    in_template += results.glob("sub-*/**/*_space-MNI152NLin2009aSym_*.nii.gz")
    native = set(results.glob("sub-*/ses-*/perf/*.nii.gz")) - set(in_template)
    assert in_template
    assert native
    for paths, code in ((in_template, 4), (native, 2)):
        for path in paths:
            header = nibabel.load(path).header
            assert (int(header["qform_code"]), int(header["sform_code"])) == (code, code), path


def test_maps_for_neurovault_are_made_on_request(run):
    run.snakemake("--cores", "1", "--", "neurovault")
    folder = run.folder / "demo/results/neurovault"
    table = (folder / "metadata.tsv").read_text().splitlines()
    assert len(table) == 1 + 2 * len(run.config["analyses"])
    assert {line.split("\t")[0] for line in table[1:]} == {path.name for path in folder.glob("*.nii.gz")}
    assert described_images.faults(run.folder / "demo/results") == []


def test_snakemake_reports_the_results_and_nothing_changes(run):
    done = run.snakemake("--report", "report.html")
    for name in (
        "index.html",
        "contrast-restInteraction_figure.html",
        "craving_model.tsv",
        "specifications.svg",
        "flow.svg",
    ):
        assert f"Adding {name} " in done.stdout + done.stderr
    page = (run.folder / "report.html").read_text()
    assert "Missing metadata" not in done.stdout + done.stderr
    assert page.count("change ~ arm + intercept") > 5
    assert dry(run) == set()


def test_a_touched_module_reruns_nothing(run):
    (run.folder / "scripts/pharmasl/contrasts/contrast_maps.py").touch()
    assert dry(run) == set()


def test_an_edited_module_reruns_the_rules_that_use_it(run):
    path = run.folder / "scripts/pharmasl/contrasts/contrast_maps.py"
    before = path.read_text()
    path.write_text(before + "\n# edited\n")
    try:
        rules = dry(run)
    finally:
        path.write_text(before)
    assert "session_contrast" in rules
    assert not {"quantify_perfusion", "align_perfusion", "scan_quality", "craving_model"} & rules


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_setting_reruns_the_rules_that_use_it(run, change):
    edit, used, unused = CHANGED[change]
    config = json.loads(json.dumps(run.config))
    edit(config)
    rules = dry(run, config)
    assert used <= rules
    assert not unused & rules


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("sub-01", "group", "rois", "craving", "study", "report")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and "sub-02" not in path.name
    }


def marked(path):
    """Whether an output says that it rests on a sham allocation; None for a kind of file that cannot."""
    if path.name.endswith(".nii.gz"):
        return b"BLINDED" in nibabel.load(path).header["descrip"].item()
    if path.suffix in (".tsv", ".json", ".html", ".svg", ".md", ".tex"):
        return "BLINDED" in path.read_text()
    return None


def remove(path):
    """Remove a file or a folder; the names of the files that are gone."""
    files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    for file in files:
        file.unlink()
    return files


@dataclass(frozen=True)
class Unblinded:
    """Digests of the results before, of the blinded run, and after; and what was seen between and after.

    Attributes
    ----------
    before, blinded, after : dict of str to str
        Path below the results to digest.
    kinds : dict
        Paths of the blinded run's files by what :func:`marked` says of them.
    entries : list of dict
        The record of the blinded run's allocations.
    lost : list of pathlib.Path
        Files that were removed before the second run.
    kept : set of str
        Files of ``after`` that the second run did not write.
    """

    before: dict[str, str]
    blinded: dict[str, str]
    after: dict[str, str]
    kinds: dict[bool | None, list[str]]
    entries: list[dict]
    lost: list[Path]
    kept: set[str]


@pytest.fixture(scope="module")
def unblinded(run):
    """The run blinded, and then unblinded where all of participant 1 and files of others had been lost.

    The latter on one core, each script in a Python of its own.
    """
    results = run.folder / "demo/results"
    before = digests(results)
    run.configure({**run.config, "blinded": True})
    run.snakemake("--cores", "2", forked=True)
    blinded = digests(results)
    kinds = {}
    for path in results.rglob("*"):
        # A figure of which there is nothing to draw is an empty file, and has nothing to be marked.
        if path.is_file() and path.stat().st_size:
            kinds.setdefault(marked(path), []).append(path.relative_to(results).as_posix())
    entries = tables.read_json(results / "study/allocation_log.json")["Entries"]
    lost = [
        file
        for path in (
            results / "sub-01",
            results / "rois",
            results / "report/index.html",
            *sorted((results / "report/scans").glob("sub-01*")),
            # As after a run that stopped before it wrote them.
            *sorted(results.glob("sub-03/ses-T2/perf/*acq-rest*cbf*")),
        )
        for file in remove(path)
    ]
    run.configure(run.config)
    began = time.time_ns()
    run.snakemake("--cores", "1")
    after = digests(results)
    kept = {name for name in after if (results / name).stat().st_mtime_ns < began}
    return Unblinded(before, blinded, after, kinds, entries, lost, kept)


def test_lost_outputs_are_made_again(run, unblinded):
    results = run.folder / "demo/results"
    lost = {path.relative_to(results).parts[0] for path in unblinded.lost}
    assert lost == {"sub-01", "sub-03", "rois", "report"}
    assert sum("sub-03" in path.name for path in unblinded.lost) > 7
    assert [path for path in unblinded.lost if not path.is_file()] == []
    assert dry(run) == set()


def test_one_core_and_a_key_that_came_late_give_the_same_bytes(unblinded):
    """Participant 1 and all that is computed from the group; the record alone remembers that the run was blinded."""
    before, after = unblinded.before, unblinded.after
    assert {name for name in before.keys() | after.keys() if after.get(name) != before.get(name)} == {
        "study/allocation_log.json"
    }
    # All of it was made anew but what knows neither participant 1 nor the arms.
    assert {name for name in unblinded.kept if not name.startswith(("study/", "report/scans/sub-0"))} == set()
    assert [name for name in unblinded.kept if "sub-01" in name] == []


def test_a_blinded_run_is_marked_throughout_and_one_key_unblinds_it(run, unblinded):
    before, blinded = unblinded.before, unblinded.blinded
    # The arms of the trial and the sham ones are not the same, so neither is anything that follows from them.
    assert {name for name in before if before[name] != blinded[name]} >= {
        "study/participants.tsv",
        "group/rest_interaction/contrast-restInteraction_stat-t_statmap.nii.gz",
        "craving/craving_model.tsv",
        "report/index.html",
    }
    apart = {"study/scans.tsv", "study/scans.json", "study/allocation_log.json", "report/CITATION.bib"}
    # A sphere, an atlas' label, the values of all parcels, and the pages of scans, which know no arm.
    armless = ("rois/vmpfc_mask", "rois/anterior_ventral_insula_mask", "rois/parcels.", "report/scans/")
    with_arms = {
        kind: [
            name
            for name in names
            if name.split("/")[0] in ("study", "group", "rois", "craving", "sensitivity", "report")
            and name not in apart
            and not name.startswith(armless)
        ]
        for kind, names in unblinded.kinds.items()
    }
    assert len(with_arms.pop(True)) > 80
    assert [name for names in with_arms.values() for name in names] == []
    scans = [name for name in unblinded.kinds[True] if name.startswith("report/scans/")]
    assert [
        name for name in unblinded.kinds[True] if name.startswith("sub-01/") and name.endswith(".json")
    ] + scans == []
    entries = unblinded.entries
    assert [entry["allocation"] for entry in entries][-1] == "sham"
    record = tables.read_json(run.folder / "demo/results/study/allocation_log.json")
    assert [entry["allocation"] for entry in record["Entries"]] == [*(entry["allocation"] for entry in entries), "real"]
