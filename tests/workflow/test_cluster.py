"""The profiles for Slurm: their keys, groups of jobs, and what the jobs ask for. tests/workflow/test_slurm.py submits some."""

import os
import re
import subprocess

import pytest
import skeleton
import yaml
from calling import Workflow
from loading import ROOT
from pharmasl.records import provenance
from pharmasl.workflow.requests import Requests

FOLDER = ROOT / "profiles/slurm"
PROFILE = yaml.safe_load((FOLDER / "config.yaml").read_text())
PEOPLE = yaml.safe_load((ROOT / "profiles/slurm_people/config.yaml").read_text())


@pytest.fixture
def several_delays(small):
    """Four participants; one of the scans has several delays, so its CBF is made by another rule."""
    perf = small.folder / "bids/sub-01/ses-T1/perf"
    name = "sub-01_ses-T1_acq-rest"
    delays = [1.0, 1.0, 1.5, 1.5, 2.0, 2.0]
    sidecar = {**skeleton.SIDECAR, "PostLabelingDelay": [0, *delays], "LabelingDuration": [0] + [1.8] * 6}
    skeleton.run(perf, name, sidecar=sidecar)
    return small


def without_plugin(profile, folder):
    """A folder with a profile without what only the plugin knows."""
    folder.mkdir()
    kept = {key: value for key, value in profile.items() if key != "executor" and not key.startswith("slurm-")}
    (folder / "config.yaml").write_text(yaml.safe_dump(kept))
    return folder


@pytest.fixture
def profile(tmp_path):
    return without_plugin(PROFILE, tmp_path / "profile")


def submissions(workflow, profile):
    """How many Slurm jobs a plan submits, by the name of their group; those of no group under an empty name."""
    plan = workflow.snakemake("-n", "--quiet", "host", "--workflow-profile", str(profile)).stdout
    groups = re.findall(r"Group job (anatomy|scan|contrasts|regions|person)", plan)
    alone = re.findall(r"^Job \d+: ", plan, re.MULTILINE)
    return {**{name: groups.count(name) for name in set(groups)}, "": len(alone)}


def native(workflow):
    """The shipped study with regions read in the scans' own space."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"}
    for region in config["rois"].values():
        region |= {"space": "native", "statistic": "gm_weighted"}
    workflow.configure(config)
    return workflow


def test_what_waits_in_the_queue_is_a_scan_an_anatomy_or_a_sessions_contrasts(tmp_path):
    workflow = Workflow(tmp_path)
    skeleton.dataset(tmp_path / "bids", participants=12)
    native(workflow)
    by_scan = submissions(workflow, without_plugin(PROFILE, tmp_path / "by_scan"))
    by_person = submissions(workflow, without_plugin(PEOPLE, tmp_path / "by_person"))
    alone = by_scan.pop("")
    assert by_scan.pop("regions") == by_person.pop("regions") >= 12
    assert by_scan == {"anatomy": 12, "scan": 12 * 2 * 3, "contrasts": 12 * 2}
    assert by_person == {"person": 12, "": alone}


def test_what_is_of_no_person_does_not_grow_with_the_study(tmp_path):
    """So 500 people cost 500 submissions and these."""
    alone = set()
    for number in (8, 16):
        workflow = Workflow(tmp_path / str(number))
        workflow.folder.mkdir()
        skeleton.dataset(workflow.folder / "bids", participants=number)
        config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"}
        workflow.configure(config)
        found = submissions(workflow, without_plugin(PEOPLE, workflow.folder / "profile"))
        assert found["person"] == number
        alone.add(found[""])
    assert len(alone) == 1
    assert alone.pop() < 100


def test_the_profiles_for_slurm_differ_in_their_groups_alone():
    def rest(profile):
        return {key: value for key, value in profile.items() if not key.startswith("group")}

    assert rest(PROFILE) == rest(PEOPLE)
    grouped = [{entry.split("=")[0] for entry in profile["groups"]} for profile in (PROFILE, PEOPLE)]
    assert grouped[0] == grouped[1]


@pytest.mark.parametrize("profile", [PROFILE, PEOPLE], ids=["scans", "people"])
def test_a_first_attempt_fits_a_partition_of_an_hour(profile):
    """All rules of a group one after the other, in a study of 500 people."""
    text = "".join(
        path.read_text() for path in (ROOT / "rules").glob("*.smk") if path.name not in ("simulate.smk", "power.smk")
    )
    asked = {}
    for part in text.split("\nrule ")[1:]:
        if number := re.search(r"runtime=.*minutes\((\d+)\) \* attempt", part):
            asked[part.split(":")[0]] = Requests(3000).minutes(int(number[1]))
    assert len(asked) > 50
    group_of = dict(entry.split("=") for entry in profile["groups"])
    groups = {}
    for rule, number in asked.items():
        group = groups.setdefault(group_of.get(rule, rule), {})
        group[rule] = number
    for group in groups.values():
        # A scan is fitted, or quantified and its blocks modelled; and imported or computed.
        quantified = sum(group.pop(name, 0) for name in ("quantify_perfusion", "block_responses"))
        group["CBF"] = max(quantified, group.pop("fit_perfusion", 0))
        for name in [name for name in group if name.startswith(("import", "assume")) and len(group) > 1]:
            del group[name]
    assert max(sum(group.values()) for group in groups.values()) <= 60


def test_the_profiles_own_keys_and_groups_plan_a_study_with_one_and_with_several_delays(several_delays, profile):
    """Snakemake refuses a key that it does not know, and a group with a rule between two of its own outside it."""
    done = several_delays.snakemake("-n", "--quiet", "rules", "--workflow-profile", str(profile))
    assert "quantify_perfusion" in done.stdout
    assert "fit_perfusion" in done.stdout


def test_a_group_that_leaves_out_a_rule_between_its_own_is_refused(several_delays, profile):
    """The check above can fail."""
    path = profile / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["groups"].remove("fit_perfusion=scan")
    path.write_text(yaml.safe_dump(config))
    done = several_delays.snakemake("-n", "--workflow-profile", str(profile), check=False)
    assert done.returncode != 0
    assert "Error in group scan" in done.stdout + done.stderr


def test_the_plugin_takes_the_profile(small):
    done = small.snakemake("-n", "--quiet", "rules", "--workflow-profile", str(FOLDER))
    assert "study_tables" in done.stdout


def test_the_plugin_refuses_a_key_that_it_does_not_know(small, tmp_path):
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({**PROFILE, "slurm-status-comand": "squeue"}))
    assert small.snakemake("-n", "--workflow-profile", str(folder), check=False).returncode != 0


@pytest.mark.parametrize("name", ["generic", "lsf", "sge"])
@pytest.mark.parametrize("groups", ["slurm", "slurm_people"])
def test_a_scheduler_is_laid_over_the_groups(small, name, groups):
    """One home for groups, memory and retries: such a profile names the scheduler and its own keys alone."""
    own = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    shared = set(PROFILE) - {"executor"}
    assert {key for key in own if key.startswith(own["executor"])} | {"executor"} >= set(own) - {
        "seconds-between-status-checks"
    }
    assert not set(own) & shared
    over = ["--profile", str(ROOT / "profiles" / groups), "--workflow-profile", str(ROOT / "profiles" / name)]
    plan = small.snakemake("-n", "--quiet", "host", *over).stdout
    number = len(re.findall(r"Group job (?:anatomy|scan|contrasts)", plan)), len(re.findall("Group job person", plan))
    assert number == ((4 + 4 * 2 * 3 + 4 * 2, 0) if groups == "slurm" else (0, 4))


@pytest.mark.parametrize("name", ["generic", "lsf", "sge"])
def test_a_plugin_refuses_a_key_that_it_does_not_know(small, tmp_path, name):
    own = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({**own, f"{own['executor']}-comand": "x"}))
    over = ["--profile", str(FOLDER), "--workflow-profile", str(folder)]
    assert small.snakemake("-n", *over, check=False).returncode != 0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("JobId=7 JobName=x JobState=RUNNING Reason=None", "running"),
        ("JobId=7 JobState=PENDING", "running"),
        ("JobId=7 JobState=COMPLETED", "success"),
        ("JobId=7 JobState=OUT_OF_MEMORY", "failed"),
        ("JobId=7 JobState=CANCELLED", "failed"),
        ("slurm_load_jobs error: Invalid job id specified", "failed"),
        # Taken for dead, the job would be submitted twice.
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "running"),
    ],
)
def test_the_state_of_a_job_is_one_word(tmp_path, said, expected):
    for name, answer in (("scontrol", f"echo '{said}'"), ("sacct", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "profiles/generic/status.sh", "7"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{expected}\n"


def test_the_profiles_leave_changes_of_code_to_the_digests():
    """Snakemake tells a changed script by its date; a checkout is not a change."""
    for name in ("default", "slurm"):
        triggers = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())["rerun-triggers"]
        assert set(triggers) == {"mtime", "params", "input", "software-env"}


def test_the_environments_versions_are_read_from_their_files():
    """With --sdm conda they compute, not the packages beside Snakemake."""
    found = provenance.pinned(["imaging.yaml", "ants.yaml"])
    assert found["SimpleITK"] == "2.5.7"
    assert found["numpy"] == "2.4.6 (imaging), 2.3.5 (ants)"
    assert found["antspyx"] == "0.6.3"
    assert found["python"] == "3.12"
    assert found["snakemake"] == provenance.versions()["snakemake"]
    assert "statsmodels" not in provenance.pinned(["imaging.yaml"])
    assert found["pharmasl"] == provenance.versions()["pharmasl"]
