"""A job's own Snakemake reads whom the job is about, and plans it as the whole study's does."""

import json
import shutil
import subprocess

import fmriprep
import other_programs
import pytest
import skeleton
import yaml
from calling import Workflow
from loading import ROOT
from pharmasl.workflow import kept_reading, plan

PERSONAL = ("anat", "scan", "scan_name", "visit")
PERSON = "02"
RULES = {
    "shipped": {
        "align_perfusion",
        "quantify_perfusion",
        "scan_quality",
        "scan_page",
        "session_contrast",
        "scan_parcels",
    },
    "unlike": {"fit_perfusion", "assume_anatomy", "native_regions"},
    "sensitivity": {"alternative_maps"},
    "fmriprep": {"import_anatomy", "import_registration", "import_segmentation"},
    "aslprep": {"import_cbf", "imported_quality"},
}


@pytest.fixture
def workflow(tmp_path):
    """Eight people, with ratings of two scans and a haematocrit of everyone."""
    made = Workflow(tmp_path)
    root = skeleton.dataset(tmp_path / "bids", participants=8)
    rows = [line.split("\t") for line in (root / "participants.tsv").read_text().splitlines()]
    rows = [[*row, "haematocrit" if number == 0 else f"0.4{number}"] for number, row in enumerate(rows)]
    skeleton.write(root / "participants.tsv", "".join("\t".join(row) + "\n" for row in rows))
    skeleton.write(
        root / "ratings.tsv",
        "scan\trating\treason\nsub-02_ses-T2_acq-rest\tpoor\tmotion\nsub-05_ses-T1_acq-rest\tpoor\tx\n",
    )
    return made


def perfusion(root, label, session="T1"):
    return root / f"sub-{label}/ses-{session}/perf"


def shipped(**changes):
    return yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"} | changes


def of_the_trial(root):
    """The shipped study with ratings, exclusions, other states of the same scans and values of blood of each participant."""
    config = shipped(blinded=True)
    config["quality"] |= {"ratings": str(root / "ratings.tsv"), "exclude_scans": {"sub-03_ses-T1_acq-rest": "asleep"}}
    config["quality"]["accept_scans"] = {"sub-02_ses-T1_acq-rest": "looked at"}
    config["perfusion"]["haematocrit"] = "haematocrit"
    config["perfusion"]["override"] = [
        {"where": {"participant": "02", "session": "T2"}, "fields": {"LabelingEfficiency": 0.7}},
        {"where": {"participant": "05"}, "fields": {"LabelingEfficiency": 0.6}},
    ]
    return config


def unlike_one_another(root):
    """A study whose participants are made by different rules, with regions in the scans' own space and relative CBF."""
    delays = {**skeleton.SIDECAR, "PostLabelingDelay": [0, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0]}
    skeleton.run(perfusion(root, PERSON), f"sub-{PERSON}_ses-T1_acq-rest", sidecar=delays)
    shutil.rmtree(root / f"sub-{PERSON}/ses-T1/anat")
    shutil.rmtree(perfusion(root, "05", "T2"))
    skeleton.write(root / "acq-neutral_asl.json", {"LabelingEfficiency": 0.8, "EchoTime": 0.013})
    config = shipped(anatomy={"missing_t1w": "template"})
    for region in config["rois"].values():
        region |= {"space": "native", "statistic": "gm_weighted"}
    config["contrasts"]["relative"] = {"weights": {"rest": 1}, "scaling": "proportional", "reference": "grey_matter"}
    return config


def of_a_sensitivity_analysis(root):
    config = shipped()
    config["sensitivity"] = {
        "answers": {"rest": {"analysis": "rest_interaction", "roi": "dlpfc_cluster"}},
        "smoothing_fwhm": [4],
        "partial_volume": [True],
    }
    return config


def with_anatomies_of_another_program(root):
    labels = [f"{number:02d}" for number in range(1, 9)]
    fmriprep.skeleton(root / "derivatives/fmriprep", labels, spaces=("MNI152NLin2009aSym",))
    return shipped(derivatives={"anatomy": {"dir": "bids/derivatives/fmriprep"}})


def with_maps_of_another_program(root):
    runs = [
        {"sub": f"{number:02d}", "ses": session, "acq": condition}
        for number in range(1, 9)
        for session in ("T1", "T2")
        for condition in ("rest", "smoking", "neutral")
    ]
    other_programs.aslprep(root / "derivatives/aslprep", other_programs.of_runs(runs))
    stated = {"dir": "bids/derivatives/aslprep", "space": "MNI152NLin2009aSym"}
    return {**skeleton.config("bids"), "derivatives": {"cbf": stated}}


def called(workflow, *arguments):
    """A plan, and the file with its jobs."""
    file = workflow.folder / "jobs.json"
    program = [*workflow.python, str(ROOT / "tests/planned_jobs.py"), str(file)]
    call = ["-s", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "-n", "--quiet", "all", *arguments]
    done = subprocess.run(
        [*program, *call], cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True
    )
    return done, file


def planned(workflow, *arguments):
    """The jobs that a Snakemake plans."""
    done, file = called(workflow, *arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(file.read_text())


def is_of(person, job):
    values = [job["wildcards"].get(name, "") for name in PERSONAL]
    return any(value.startswith((f"sub-{person}/", f"sub-{person}_")) for value in values)


def targets(jobs):
    """Arguments of Snakemake for some jobs, as it writes them for a group of jobs on a cluster."""
    named = [f"{job['rule']}:{','.join(f'{k}={v}' for k, v in job['wildcards'].items())}" for job in jobs]
    rules = dict.fromkeys(job["rule"] for job in jobs)
    return ["--mode", "remote", "--force", "--nolock", "--target-jobs", *named, "--allowed-rules", *rules]


def by_output(jobs):
    return {job["output"][0]: job for job in jobs}


@pytest.mark.parametrize(
    ("study", "rules"),
    [
        (of_the_trial, RULES["shipped"]),
        (unlike_one_another, RULES["unlike"]),
        (of_a_sensitivity_analysis, RULES["sensitivity"]),
        (with_anatomies_of_another_program, RULES["fmriprep"]),
        (with_maps_of_another_program, RULES["aslprep"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_persons_jobs_are_planned_as_in_the_whole_study(workflow, study, rules):
    workflow.configure(study(workflow.folder / "bids"))
    whole = planned(workflow)
    own = [job for job in whole if is_of(PERSON, job)]
    assert rules <= {job["rule"] for job in own}
    assert by_output(planned(workflow, *targets(own))) == by_output(own)


def test_a_job_reads_its_own_sheets_anew_and_nobody_elses(workflow):
    root = workflow.folder / "bids"
    workflow.configure(skeleton.config("bids"))
    scan = f"sub-{PERSON}/ses-T1/perf/sub-{PERSON}_ses-T1_acq-rest"
    job, study = ({"rule": "align_perfusion", "wildcards": {"scan": scan}}, {"rule": "study_quality", "wildcards": {}})
    for label in ("05", PERSON):
        stem = perfusion(root, label) / f"sub-{label}_ses-T1_acq-rest_asl.json"
        wrong = {**skeleton.SIDECAR, "PostLabelingDelay": 1800}
        skeleton.write(stem, wrong)
        own, whole = called(workflow, *targets([job]))[0], called(workflow, *targets([study]))[0]
        assert whole.returncode != 0
        assert f"bids/sub-{label}" in whole.stdout + whole.stderr
        assert (own.returncode != 0) == (label == PERSON), own.stderr
        skeleton.write(stem, skeleton.SIDECAR)
    assert f"bids/sub-{PERSON}" in own.stdout + own.stderr


def test_a_job_on_the_study_takes_what_its_run_has_read(workflow, monkeypatch):
    """The run's own reading is planned with, though a sidecar has changed since; without it, the study is read anew."""
    root = workflow.folder / "bids"
    config = shipped()
    workflow.configure(config)
    whole = [job for job in planned(workflow) if not any(name in job["wildcards"] for name in PERSONAL)]
    study = [job for job in whole if job["rule"] in ("study_quality", "group_statistics", "report", "study_tables")]
    assert len(study) > 4
    monkeypatch.chdir(workflow.folder)
    kept = kept_reading.KeptReading(config)
    kept.save(plan.read(config))
    sidecar = perfusion(root, "05") / "sub-05_ses-T1_acq-rest_asl.json"
    skeleton.write(sidecar, {**skeleton.SIDECAR, "PostLabelingDelay": 1800})
    assert by_output(planned(workflow, *targets(study))) == by_output(study)
    kept.remove()
    done = called(workflow, *targets(study))[0]
    assert done.returncode != 0
    assert sidecar.name in done.stdout + done.stderr


def test_a_submitted_job_on_the_study_finds_what_its_run_has_read(workflow):
    """A run submits a job, and before it starts a sidecar becomes one that a study is refused for."""
    config = skeleton.config("bids")
    workflow.configure(config)
    (template,) = [job["output"][0] for job in planned(workflow) if job["rule"] == "template"]
    sidecar = perfusion(workflow.folder / "bids", "05") / "sub-05_ses-T1_acq-rest_asl.json"
    skeleton.write(workflow.folder / "wrong.json", {**skeleton.SIDECAR, "PostLabelingDelay": 1800})
    submit = workflow.folder / "submit"
    submit.write_text(f'#!/bin/sh\ncp wrong.json "{sidecar}"\nsh "$1" >job.txt 2>&1\necho 1\n')
    submit.chmod(0o755)
    scheduler = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit), "--jobs", "1"]
    done = workflow.snakemake(*scheduler, "--latency-wait", "1", "--until", "template", template, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + (workflow.folder / "job.txt").read_text()[-2000:]
    assert (workflow.folder / template).is_file()
    # Another run of the same study reads it anew.
    again = called(workflow)[0]
    assert again.returncode != 0
    assert sidecar.name in again.stdout + again.stderr
