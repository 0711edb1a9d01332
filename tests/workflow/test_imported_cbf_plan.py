"""Plans of studies of whose CBF another program made the maps."""

import other_programs
import pytest
import skeleton
from calling import Workflow
from plans import jobs

SPACE = "MNI152NLin2009aSym"
RUNS = [
    {"sub": f"{number:02d}", "ses": session, "acq": condition}
    for number in range(1, 5)
    for session in ("T1", "T2")
    for condition in ("rest", "smoking", "neutral")
]


@pytest.fixture
def study(tmp_path):
    skeleton.dataset(tmp_path / "bids")
    other_programs.aslprep(tmp_path / "bids/derivatives/aslprep", other_programs.of_runs(RUNS))
    return Workflow(tmp_path)


def configure(study, sections=(), **source):
    stated = {"dir": "bids/derivatives/aslprep", "space": SPACE, **source}
    study.configure({**skeleton.config("bids"), "derivatives": {"cbf": stated}, **dict(sections)})


def test_imports_stand_in_for_anatomy_perfusion_and_quality(study):
    configure(study)
    counts = jobs(study.snakemake("-n").stdout)
    assert counts["import_cbf"] == counts["imported_quality"] == counts["imported_page"] == len(RUNS)
    assert counts["review_page"] == 1
    assert counts["session_contrast"] == 4 * 2 * 2
    assert counts["group_statistics"] == counts["report"] == 1
    own = {"prepare_anatomy", "align_perfusion", "quantify_perfusion", "scan_quality", "scan_page"}
    assert not own & set(counts)


def test_maps_on_the_scans_own_grids_need_no_other_rules(study):
    configure(study, grid="scan")
    assert jobs(study.snakemake("-n").stdout)["import_cbf"] == len(RUNS)


def test_half_a_dataset_and_rules_that_cannot_apply_stop_the_plan_with_one_message(study):
    for path in (study.folder / "bids/derivatives/aslprep/sub-03/ses-T2/perf").glob("*_cbf.nii.gz"):
        path.unlink()
    configure(study, {"quality": {"exclude": ["registration_overlap"]}})
    done = study.snakemake("-n", check=False)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "none of sub-03_ses-T2_acq-neutral, sub-03_ses-T2_acq-rest, sub-03_ses-T2_acq-smoking" in said
    assert "registration_overlap, which 21 of 21 imported CBF maps do not have" in said
    assert "Traceback" not in said
