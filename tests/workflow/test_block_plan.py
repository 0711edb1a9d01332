"""A study of cues that alternate in blocks: its plan, and what a change of the blocks makes it do again."""

import finished
import pytest
import skeleton
from loading import ROOT, benchmark
from pharmasl.workflow import plan

from tests import complete_settings
from tests.cases.blocks import PAIRS, table

CUES = ("smoking", "neutral")
PEOPLE, RUNS = 6, 6 * 2 * 2


def settings():
    """Rest in a run of its own, and cues that alternate in two runs."""
    config = skeleton.config("bids")
    cues = {cue: {"acquisition": "cues", "block": cue} for cue in CUES}
    config["conditions"] = {"rest": {"acquisition": "rest"}, **cues}
    config["blocks"] = {"table": "blocks.tsv"}
    config["analyses"]["cue_interaction"] = {"contrast": "cue", "effect": "group_by_time"}
    config["rois"] = {"vmpfc": {"sphere": [0, 44, -12], "radius": 10, "space": "native"}}
    return config


def with_runs(dataset):
    """Two runs of cues in place of one of each."""
    for path in [*dataset.rglob("*_acq-smoking_*"), *dataset.rglob("*_acq-neutral_*")]:
        path.unlink()
    for folder in dataset.rglob("perf"):
        who = "_".join(folder.parts[-3:-1])
        for run in (1, 2):
            skeleton.run(folder, f"{who}_acq-cues_run-{run}", context=["m0scan"] + ["control", "label"] * PAIRS)
    (dataset / "blocks.tsv").write_text(table())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return finished.make(tmp_path_factory.mktemp("finished"), settings(), PEOPLE, prepare=with_runs)


@pytest.fixture
def case(results, tmp_path):
    return results.copy(tmp_path / "study")


def test_nothing_is_planned_when_nothing_changed(case):
    jobs, text = case.plan()
    assert jobs == {}, text


def test_each_condition_of_a_run_has_maps_of_its_own(results):
    stem = results.folder / "results/sub-01/ses-T1/perf/sub-01_ses-T1_acq-cues_run-1"
    space = "space-MNI152NLin2009aSym"
    for cue in CUES:
        for end in (
            "cbf",
            f"{space}_desc-smooth_cbf",
            f"{space}_desc-standarderror_cbf",
            f"{space}_desc-coverage_mask",
        ):
            assert stem.with_name(f"{stem.name}_condition-{cue}_{end}.nii.gz").exists()
    assert stem.with_name(f"{stem.name}_{space}_desc-covariance_cbf.nii.gz").exists()
    assert not list(stem.parent.glob("*_acq-rest_condition-*"))
    native = sorted(path.name for path in results.folder.rglob("rois/native/**/*_regions.tsv"))
    assert len(native) == PEOPLE * 2 * (1 + 2 * len(CUES))


def test_a_slower_response_models_the_blocks_again_and_aligns_nothing(case):
    case.config["blocks"]["delay"] = 8
    jobs, _ = case.plan()
    assert jobs["block_responses"] == RUNS
    assert not {"align_perfusion", "quantify_perfusion", "scan_quality"} & set(jobs)
    # Rest takes no blocks; its region's values and maps stay.
    assert jobs["session_contrast"] == PEOPLE * 2
    assert jobs["native_regions"] == RUNS * len(CUES)


def test_other_blocks_are_a_change_of_the_runs_that_have_them(case):
    case.write("bids/blocks.tsv", table([(6 + 48.0 * k, 47.0, CUES[k % 2]) for k in range(10)]))
    jobs, _ = case.plan()
    assert jobs["block_responses"] == RUNS
    assert not {"align_perfusion", "quantify_perfusion"} & set(jobs)


def by_person(shorter=0):
    """The table with rows for each person, the first one's blocks shorter by so many seconds."""
    rows = []
    for person in range(1, PEOPLE + 1):
        for line in table().splitlines()[1:]:
            onset, duration, cue = line.split("\t")
            lasts = float(duration) - (shorter if person == 1 else 0)
            rows.append(f"sub-{person:02d}\t{onset}\t{lasts:g}\t{cue}")
    return "\n".join(["participant_id\tonset\tduration\ttrial_type", *rows, ""])


def written_by_person(case):
    case.write("bids/blocks.tsv", by_person())


def shorter_of_one_person(case):
    case.write("bids/blocks.tsv", by_person(shorter=2))


# Of one person: the model of four runs, their conditions' values and the contrast of both sessions, and what is made of all people's.
ONE_PERSON = {
    "block_responses": 4,
    "native_regions": 8,
    "scan_page": 4,
    "session_contrast": 2,
    "native_roi_values": 1,
    "global_values": 1,
    "global_effect": 2,
    "parcel_values": 1,
    "group_statistics": 1,
    "called_summary": 1,
    "cluster_table": 1,
    "cluster_values": 1,
    "group_figure": 2,
    "region_models": 2,
    "region_figure": 2,
    "repeatability": 1,
    "repeatability_maps": 1,
    "repeatability_figure": 1,
    "participant_flow": 1,
    "flow_figure": 1,
    "tidy_table": 1,
    "report": 1,
}
CHANGES = {
    "the same blocks, in rows for each person": (written_by_person, {}),
    "one person's blocks 2 s shorter, with the table's date kept": (shorter_of_one_person, ONE_PERSON),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_table_edited_does_again_what_hangs_on_it_and_nothing_else(case, name):
    change, wanted = CHANGES[name]
    change(case)
    jobs, text = case.plan()
    assert jobs == wanted, text


def test_a_contrast_knows_which_of_its_states_were_scanned_together(case):
    config = {**case.config, "bids_dir": str(case.folder / "bids"), "output_dir": str(case.folder / "results")}
    targets = complete_settings.targets(plan.read(config).study)
    visit = "sub-01/ses-T1/contrasts/sub-01_ses-T1"
    assert targets.contrasts.weights(visit, "cue") == [-0.5, 0.5, -0.5, 0.5]
    assert [state["condition"] for state in targets.contrasts.states(visit, "cue")] == ["neutral", "smoking"] * 2
    assert targets.contrasts.joint_states(visit, "cue") == [
        {"first": 0, "second": 1, "file": 0, "volume": 0},
        {"first": 2, "second": 3, "file": 1, "volume": 0},
    ]
    assert len(targets.contrasts.covariance_files("{scan}", visit, "cue")) == 2
    assert targets.contrasts.joint_states(visit, "rest") == []
    assert targets.contrasts.states(visit, "rest") == [{"scan": "sub-01_ses-T1_acq-rest", "condition": "rest"}]


def test_the_document_has_the_table():
    assert benchmark("reruns").table(CHANGES) in (ROOT / "docs/records.md").read_text()
