"""What jobs are expected to take, from what a plan knows: the demo's as measured, and those of a study of 1 mm images."""

import dataclasses
from pathlib import Path

import complete_settings
import pytest
import yaml
from other_trial import dataset
from pharmasl.commands import job_sizes
from pharmasl.study import reading
from pharmasl.workflow import stages

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = 197 * 233 * 189

# A simulated person as of a study: a T1w of 1 mm, series of 64 x 64 x 24 x 101, the default settings.
REAL = dataclasses.replace(
    job_sizes.DEMO,
    series=64 * 64 * 24 * 101,
    t1w=204 * 250 * 240,
    registration=9.375,
    template=TEMPLATE / 8,
    sampled=TEMPLATE / 8 * 101,
)
# Processor seconds of its jobs when they were measured, in November 2026, kernels compiled or nearly so.
MEASURED = {
    "prepare_anatomy": 9.7,
    "normalise_anatomy": 26.2,
    "segment_anatomy": 7.5,
    "align_perfusion": 4.8,
    "quantify_perfusion": 5.2,
    "scan_quality": 0.17,
    "scan_page": 1.2,
}


def test_jobs_of_the_demo_take_what_is_stated_of_them():
    assert {rule: job_sizes.seconds(rule, job_sizes.DEMO) for rule in stages.SECONDS} == pytest.approx(stages.SECONDS)


@pytest.mark.parametrize("rule", MEASURED)
def test_jobs_of_a_study_at_1_mm_are_expected_within_a_third(rule):
    assert job_sizes.seconds(rule, REAL) == pytest.approx(MEASURED[rule], rel=1 / 3)


def test_the_shares_of_a_rule_leave_something_that_is_the_same_for_all():
    assert set(job_sizes.SHARES) <= set(stages.SECONDS)
    assert all(sum(shares.values()) < 1 for shares in job_sizes.SHARES.values())
    names = {field.name for field in dataclasses.fields(job_sizes.JobSizes)}
    assert names == {name for shares in job_sizes.SHARES.values() for name in shares}


def test_the_stated_sizes_are_those_of_the_demo():
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    simulated = config["simulate"]
    x, y, z = simulated["perfusion"]["matrix"]
    volumes = 1 + 2 * simulated["perfusion"]["pairs"]
    template = TEMPLATE / config["template"]["resolution"] ** 3
    people = sum(simulated["people"].values())
    demo = job_sizes.DEMO
    assert demo.series == x * y * z * volumes
    assert (demo.template, demo.sampled) == (template, template * volumes)
    assert demo.relabelled == template * config["inference"]["permutations"]
    assert demo.alternatives == template * config["sensitivity"]["permutations"]
    assert demo.left_out == demo.relabelled * people
    assert (demo.people, demo.scans) == (people, people * 2 * len(config["conditions"]))
    assert demo.registration == job_sizes.work_of(complete_settings.registration(**config["anatomy"]["registration"]))


def test_iterations_at_levels_finer_than_the_fit_are_not_run():
    coarse = complete_settings.registration(resolution=2, affine_iterations="64x8x5", warp_iterations="0x0x0")
    assert job_sizes.work_of(coarse) == 2
    assert job_sizes.work_of(dataclasses.replace(coarse, resolution=1)) == 7


def test_sizes_of_a_study_are_read_from_headers_and_settings(tmp_path):
    config = {
        "sessions": {"baseline": "pre", "followup": "post"},
        "conditions": {"rest": {"run": 1}},
        "contrasts": {"rest": {"rest": 1}},
        "anatomy": {"missing_t1w": "template"},
        "analyses": {"rest": {"contrast": "rest", "effect": "group_by_time"}},
        "arms": {"column": "group", "treatment": "drug", "control": "sham"},
        "inference": {"permutations": 100, "statistics": []},
    }
    folders = {"bids_dir": str(dataset(tmp_path / "data")), "output_dir": str(tmp_path / "results")}
    study = reading.collect(config | folders).study
    sizes = job_sizes.of_study(study)
    assert sizes.t1w == 27
    assert sizes.series == 27 * len(next(iter(study.scans.values())).acquisition.volume_types)
    assert sizes.template == TEMPLATE / 8
    # Relabellings without threshold-free enhancement count a twentieth.
    assert sizes.relabelled == pytest.approx(TEMPLATE / 8 * 100 / 20)
    assert (sizes.people, sizes.scans) == (len(study.participants), len(study.scans))
    assert sizes.alternatives == 0
