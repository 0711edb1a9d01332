"""The mean CBF of scans and contrasts over the brain and over grey matter."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.contrasts import global_values
from pharmasl.contrasts.contrast_maps import JudgedScan
from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.contrasts.scaling import ScanMean
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images

AFFINE = np.diag([2.0, 2, 2, 1])
SHAPE = (4, 4, 4)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:3] = True
GREY = np.zeros(SHAPE)
GREY[1] = 0.9
# Grey matter, white matter: in the brain's halves.
SCANS = {
    "sub-01_rest": (60.0, 20.0),
    "sub-01_smoking-1": (66.0, 22.0),
    "sub-01_smoking-2": (72.0, 24.0),
    "sub-01_neutral": (50.0, 18.0),
}


@pytest.fixture
def case(tmp_path):
    """Files of four scans at one visit, and a function that runs the script."""
    paths = {"maps": [], "coverages": [], "quality": []}

    def judge(name, reason=None):
        row = {"participant_id": "sub-01", "session_id": "T1", "condition": name[7:].split("-")[0], "scan": name}
        row |= {"usable": "no" if reason else "yes", "exclusion_reason": reason}
        tables.write_table(tmp_path / f"{name}.tsv", [row], COLUMNS)

    for name, (grey, white) in SCANS.items():
        volume = np.full(SHAPE, 999.0)
        volume[1], volume[2] = grey, white
        images.save(tmp_path / f"{name}.nii.gz", volume, AFFINE)
        images.save(tmp_path / f"{name}_cov.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
        judge(name)
        for kind, end in (("maps", ".nii.gz"), ("coverages", "_cov.nii.gz"), ("quality", ".tsv")):
            paths[kind].append(str(tmp_path / f"{name}{end}"))
    images.save(tmp_path / "mask.nii.gz", BRAIN, AFFINE, dtype=np.uint8)
    images.save(tmp_path / "gm.nii.gz", GREY, AFFINE)
    paths["template"] = [str(tmp_path / "mask.nii.gz"), str(tmp_path / "gm.nii.gz")]
    who = {"participant_id": "sub-01", "session_id": "T1"}
    rows = [
        {**who, "contrast": "rest", "scans": [0], "weights": [1]},
        {**who, "contrast": "cue", "scans": [1, 2, 3], "weights": [0.5, 0.5, -1]},
    ]

    def run():
        output = SimpleNamespace(scans=tmp_path / "scans.tsv", contrasts=tmp_path / "contrasts.tsv")
        states = [{"scan": name, "condition": name[7:].split("-")[0]} for name in SCANS]
        params = SimpleNamespace(rows=rows, minimum_coverage=0.5, states=states)
        script("global_values").main(SimpleNamespace(input=SimpleNamespace(**paths), output=output, params=params))
        return tables.read_table(output.scans), tables.read_table(output.contrasts)

    return SimpleNamespace(folder=tmp_path, judge=judge, run=run)


def test_means_of_scans_and_contrasts_by_hand(case):
    scans, contrasts = case.run()
    assert [row["scan"] for row in scans] == list(SCANS)
    assert [float(row["brain"]) for row in scans] == [40, 44, 48, 34]
    assert [float(row["grey_matter"]) for row in scans] == [60, 66, 72, 50]
    assert {row["brain_voxels"] for row in scans} == {"32"}
    assert {row["grey_matter_voxels"] for row in scans} == {"16"}
    assert [float(row["brain"]) for row in contrasts] == [40, 46 - 34]
    assert [float(row["grey_matter"]) for row in contrasts] == [60, 69 - 50]
    assert {row["brain_coverage"] for row in contrasts} == {"1.0"}
    columns = tables.read_json(case.folder / "contrasts.json")
    assert columns["grey_matter"]["Units"] == "mL/100 g/min"


def test_a_contrasts_mean_is_that_of_its_map(case):
    """The mean of the weighted sum is the weighted sum of the means."""
    _, contrasts = case.run()
    weights = {"sub-01_smoking-1": 0.5, "sub-01_smoking-2": 0.5, "sub-01_neutral": -1}
    volume = sum(w * images.load(case.folder / f"{name}.nii.gz")[0] for name, w in weights.items())
    assert float(contrasts[1]["brain"]) == pytest.approx(volume[BRAIN].mean())


def test_excluded_scans_follow_the_rule_of_the_contrast_maps(case):
    case.judge("sub-01_smoking-2", "motion")
    scans, contrasts = case.run()
    assert float(contrasts[1]["brain"]) == 44 - 34
    assert [row["usable"] for row in scans] == ["yes", "yes", "no", "yes"]
    case.judge("sub-01_neutral", "motion")
    _, contrasts = case.run()
    assert contrasts[1]["brain"] is None
    assert float(contrasts[0]["brain"]) == 40


def test_a_scan_that_covers_too_little_leaves_no_value(case):
    covered = np.zeros(SHAPE)
    covered[2], covered[1, 0] = 1, 1
    images.save(case.folder / "sub-01_rest_cov.nii.gz", covered, AFFINE, dtype=np.uint8)
    scans, contrasts = case.run()
    assert float(scans[0]["brain"]) == pytest.approx((4 * 60 + 16 * 20) / 20)
    assert float(contrasts[0]["brain"]) == pytest.approx((4 * 60 + 16 * 20) / 20)
    assert contrasts[0]["grey_matter"] is None
    assert float(contrasts[0]["grey_matter_coverage"]) == 0.25


def test_values_are_read_by_participant_session_and_contrast(case):
    case.judge("sub-01_neutral", "motion")
    case.run()
    values = GlobalValues.read(case.folder / "contrasts.tsv")
    assert values.at(["sub-01"], ["T1"], "rest", "grey_matter") == [60]
    assert math.isnan(values.at(["sub-01"], ["T1"], "cue", "brain")[0])
    with pytest.raises(InputError, match="sub-02 at T1"):
        values.at(["sub-02"], ["T1"], "rest", "brain")
    assert global_values.read_scans(case.folder / "scans.tsv")["sub-01_rest"]["brain"] == ScanMean(40.0, 32, 1.0)


def test_a_mean_that_is_not_known_is_not_left_out_of_the_sum():
    scans = [JudgedScan(scan="", condition=state, is_usable=True) for state in ("a", "b")]
    means = [ScanMean(50.0, 9, 1.0), ScanMean(None, 0, 0.0)]
    assert global_values.combine(means, [1, -1], scans, 0.0) == ScanMean(None, 0, 0.0)
