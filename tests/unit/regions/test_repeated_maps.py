"""Maps of repeatability: each voxel as the table has a region of it, coverage, and what their sidecars and summary say."""

from types import SimpleNamespace

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import bids, tables
from pharmasl.regions import repeated_maps, repeated_values
from pharmasl.regions.repeated_maps import RepeatedMapFiles
from pharmasl.regions.repeated_people import RepeatedContrast, RepeatedPeople
from pharmasl.space import images

SHAPE, PEOPLE = (4, 5, 3), 8
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
REST = RepeatedContrast(name="rest", unit="mL/100 g/min", is_cbf=True, is_cbf_absolute=True)
CUE = RepeatedContrast(name="cue", unit="mL/100 g/min", is_cbf=False, is_cbf_absolute=False)
MASK = np.ones(SHAPE, dtype=bool)
MASK[0] = False


def drawn(people=PEOPLE):
    rng = np.random.default_rng(11)
    return rng.normal(50, 8, (people, 1, *SHAPE)) + rng.normal(0, 4, (people, 2, *SHAPE))


def mapped(folder, values, contrast=REST, arm="placebo"):
    """The maps of values of shape (n, 2, X, Y, Z), their paths, and the rows of the summary by map and place."""
    paths = [[folder / f"sub-{who}_ses-{session}.nii" for who in range(len(values))] for session in (1, 2)]
    for who, pair in enumerate(values):
        for session, volume in enumerate(pair):
            images.save(paths[session][who], volume, AFFINE)
    images.save(folder / "mask.nii", MASK, AFFINE, dtype=np.uint8)
    grey = np.where(np.arange(SHAPE[2]) < 2, 0.8, 0.1) * np.ones(SHAPE)
    images.save(folder / "gm.nii", grey, AFFINE)
    names = ("within_sd", "within_cv", "icc", "people")
    outputs = SimpleNamespace(**{name: folder / f"{name}.nii.gz" for name in names}, table=folder / "summary.tsv")
    repeated_maps.write(
        RepeatedMapFiles(baseline=paths[0], followup=paths[1], template_mask=folder / "mask.nii", gm=folder / "gm.nii"),
        outputs,
        RepeatedPeople(arm=arm, participants=tuple(f"sub-{who}" for who in range(len(values))), sessions=("T1", "T2")),
        contrast,
    )
    rows = {(row["map"], row["place"]): row for row in tables.read_table(outputs.table)}
    return {name: images.load(getattr(outputs, name))[0] for name in names}, outputs, rows


def test_a_voxel_has_what_the_table_has_of_a_region_of_that_voxel(tmp_path):
    values = drawn().astype(np.float32)
    values[2, 1, 1, 2, 1] = np.nan
    values[3, 0, 2, 2, 1] = -1
    volumes, _, _ = mapped(tmp_path, values)
    for place in np.argwhere(MASK):
        row = repeated_values.measured(values[(slice(None), slice(None), *place)].astype(np.float64), is_cbf=True)
        one = {name: volume[tuple(place)] for name, volume in volumes.items()}
        assert one["people"] == row["n"]
        assert one["within_sd"] == pytest.approx(row["within_sd"], rel=1e-6)
        assert one["icc"] == pytest.approx(row["icc_consistency"], rel=1e-5, abs=1e-6)
        assert one["within_cv"] == pytest.approx(row["within_cv"], rel=1e-6, nan_ok=True)
    assert np.isnan(volumes["within_cv"][2, 2, 1])
    assert np.isnan(volumes["within_sd"][~MASK]).all()
    assert (volumes["people"][~MASK] == 0).all()


def test_too_few_people_make_no_value_and_zero_is_not_covered(tmp_path):
    values = drawn()
    # Three quarters of eight are six.
    values[:2, 0, 1, 0, 0] = 0
    values[:3, 0, 1, 1, 0] = np.nan
    volumes, outputs, _ = mapped(tmp_path, values)
    assert volumes["people"][1, :2, 0].tolist() == [6, 5]
    assert np.isfinite(volumes["within_sd"][1, 0, 0])
    assert np.isnan([volumes[name][1, 1, 0] for name in ("within_sd", "within_cv", "icc")]).all()
    assert tables.read_json(bids.sidecar(outputs.icc))["LeastParticipants"] == 6


def test_whoever_has_no_usable_scan_in_a_session_does_not_count(tmp_path):
    values = drawn()
    values[1, 0] = np.nan
    (tmp_path / "all").mkdir()
    (tmp_path / "without").mkdir()
    volumes, outputs, rows = mapped(tmp_path / "all", values)
    others, _, _ = mapped(tmp_path / "without", np.delete(values, 1, axis=0))
    for name, volume in volumes.items():
        np.testing.assert_array_equal(volume, others[name])
    assert rows["icc", "brain"]["n"] == "7"
    assert tables.read_json(bids.sidecar(outputs.icc))["Participants"] == 7


def test_the_summary_is_that_of_the_voxels(tmp_path):
    volumes, _, rows = mapped(tmp_path, drawn())
    spread = volumes["within_sd"]
    grey = spread[1:, :, :2]
    row = rows["within_sd", "grey_matter"]
    assert int(row["voxels"]) == grey.size
    assert float(row["median"]) == pytest.approx(np.median(grey), rel=1e-6)
    assert float(row["percentile_90"]) == pytest.approx(np.percentile(grey, 90), rel=1e-6)
    assert float(rows["within_sd", "brain"]["median"]) == pytest.approx(np.nanmedian(spread), rel=1e-6)


def test_the_limits_of_a_voxel_are_its_value_times_those_of_the_sidecar(tmp_path):
    values = drawn().astype(np.float32)
    volumes, outputs, _ = mapped(tmp_path, values)
    content = tables.read_json(bids.sidecar(outputs.within_sd))
    row = repeated_values.measured(values[:, :, 1, 1, 1].astype(np.float64), is_cbf=True)
    own = volumes["within_sd"][1, 1, 1]
    assert [own * factor for factor in content["ConfidenceLimitsFactors"]] == pytest.approx(
        [row["within_sd_low"], row["within_sd_high"]], rel=1e-5
    )
    assert own * content["SmallestDetectableChangeFactor"] == pytest.approx(row["detectable_change"], rel=1e-5)
    assert content["Units"] == "mL/100 g/min"
    assert content["People"] == "placebo"


def test_a_difference_of_conditions_has_no_coefficient_of_variation(tmp_path):
    volumes, outputs, rows = mapped(tmp_path, drawn(), CUE, arm=None)
    assert np.isnan(volumes["within_cv"]).all()
    assert rows["within_cv", "brain"]["note"].startswith("a difference of conditions")
    assert rows["within_sd", "brain"]["note"] is None
    assert rows["within_sd", "brain"]["people"] == "all"
    assert tables.read_json(bids.sidecar(outputs.within_cv))["Description"].startswith("Empty")


@pytest.mark.parametrize("people", [0, 2])
def test_of_too_few_people_the_maps_are_empty_and_say_why(tmp_path, people):
    volumes, outputs, rows = mapped(tmp_path, drawn(people))
    assert np.isnan(volumes["within_sd"]).all()
    assert rows["icc", "brain"]["median"] is None
    assert rows["icc", "brain"]["note"] == "not computed of fewer than 3 people with maps of both sessions"
    assert "fewer than 3" in tables.read_json(bids.sidecar(outputs.icc))["Note"]


def test_a_map_on_another_grid_is_refused(tmp_path):
    values = drawn()
    mapped(tmp_path, values)
    images.save(tmp_path / "sub-3_ses-2.nii", values[3, 1, :, :, :2], AFFINE)
    files = RepeatedMapFiles(
        baseline=[tmp_path / "sub-3_ses-1.nii"],
        followup=[tmp_path / "sub-3_ses-2.nii"],
        template_mask=tmp_path / "mask.nii",
        gm=tmp_path / "gm.nii",
    )
    with pytest.raises(InputError, match=r"sub-3_ses-2\.nii"):
        repeated_maps.write(
            files, SimpleNamespace(), RepeatedPeople(arm=None, participants=(), sessions=("1", "2")), REST
        )
