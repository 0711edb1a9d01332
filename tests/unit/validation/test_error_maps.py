"""Errors of scans, and what they are made of: planted components are recovered."""

from pathlib import Path

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images
from pharmasl.space.images import Grid
from pharmasl.validation import error_maps
from pharmasl.validation.error_maps import ErrorMaps

SESSIONS, CONDITIONS = ("T1", "T2"), ("neutral", "rest", "smoking")


def maps(errors, people, grey=None):
    scans = tuple((f"sub-{k:02d}", s, c) for k in range(people) for s in SESSIONS for c in CONDITIONS)
    mask = np.ones((errors.shape[1], 1, 1), dtype=bool)
    grey = np.ones(errors.shape[1], dtype=bool) if grey is None else grey
    return ErrorMaps(scans, errors.astype(np.float32), mask, Grid(mask.shape, np.eye(4)), grey)


def test_planted_components_of_variance_are_found_back():
    rng, people, voxels = np.random.default_rng(1), 60, 4000
    planted = {"common": 2.0, "person": 3.0, "session": 1.5, "run": 4.0}
    shape = (people, 2, 3, voxels)
    errors = np.sqrt(planted["common"]) * np.ones(shape)
    errors = errors + np.sqrt(planted["person"]) * rng.standard_normal((people, 1, 1, voxels))
    errors += np.sqrt(planted["session"]) * rng.standard_normal((people, 2, 1, voxels))
    errors += np.sqrt(planted["run"]) * rng.standard_normal(shape)
    own = error_maps.parts(maps(errors.reshape(-1, voxels), people))
    for name, value in planted.items():
        assert getattr(own, name) == pytest.approx(value, rel=0.05), name
    assert own.total == pytest.approx(sum(planted.values()), rel=0.03)


def test_people_without_all_scans_and_voxels_without_values_are_left_out():
    rng = np.random.default_rng(2)
    errors = rng.standard_normal((5 * 6, 50))
    whole = error_maps.parts(maps(errors[:24, 1:], 4))
    lacking = maps(errors, 5)
    lacking.errors[3, 0] = np.nan
    lacking = ErrorMaps(lacking.scans[:-1], lacking.errors[:-1], lacking.mask, lacking.grid, lacking.grey)
    assert error_maps.parts(lacking) == whole


def test_two_people_are_the_fewest():
    assert error_maps.parts(maps(np.zeros((6, 4)), 1)) is None


def test_a_file_gives_back_the_errors(tmp_path):
    own = maps(np.random.default_rng(3).standard_normal((12, 7)), 2, np.arange(7) > 2)
    own.write(tmp_path / "errors.npz")
    again = error_maps.read(tmp_path / "errors.npz")
    assert again.scans == own.scans
    assert np.array_equal(again.errors, own.errors)
    assert np.array_equal(again.grey, own.grey)
    assert np.array_equal(again.grid.affine, own.grid.affine)


@pytest.fixture
def study(tmp_path):
    """Two scans of the same truth: one found right, one 3 too high and a third that is not usable."""
    grid = np.diag([4.0, 4, 4, 1])
    shape = (16, 16, 16)
    brain = np.zeros(shape)
    brain[2:14, 2:14, 2:14] = 1
    truth = np.where(brain > 0, 50.0, np.nan)
    (tmp_path / "results/template").mkdir(parents=True)
    for ending in ("desc-brain_mask", "label-GM_probseg"):
        images.save(tmp_path / f"results/template/tpl-X_res-1_{ending}.nii.gz", brain, grid)
    rows = []
    for condition, offset in (("rest", 0.0), ("smoking", 3.0), ("neutral", 9.0)):
        stem = f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-{condition}_space-X"
        for folder, name, values in (("truth", "cbf", truth), ("results", "desc-smooth_cbf", truth + offset)):
            path = tmp_path / folder / f"{stem}_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            images.save(path, values, grid)
        usable = "no" if condition == "neutral" else "yes"
        own = {"participant_id": "sub-01", "session_id": "T1", "condition": condition, "usable": usable}
        rows.append({**own, "scan": f"sub-01_ses-T1_acq-{condition}"})
    (tmp_path / "results/quality").mkdir()
    tables.write_table(tmp_path / "results/quality/scans.tsv", rows, dict.fromkeys(rows[0], "-"))
    return tmp_path


def test_errors_are_those_of_the_usable_scans(study):
    own = error_maps.collect(study / "results", study / "truth", 8.0)
    assert own.scans == (("sub-01", "T1", "rest"), ("sub-01", "T1", "smoking"))
    assert own.errors.shape == (2, 12**3)
    # At the far edges of the brain a voxel beyond it takes part in the interpolation, and has no value.
    known = np.isfinite(own.errors).all(axis=0)
    assert known.sum() == 11**3
    assert np.allclose(own.errors[0, known], 0, atol=1e-4)
    assert np.allclose(own.errors[1, known], 3, atol=1e-4)


def test_a_map_that_is_not_there_is_named(study):
    next((study / "results").rglob("*acq-smoking*")).unlink()
    with pytest.raises(InputError, match="acq-smoking"):
        error_maps.collect(study / "results", study / "truth", 8.0)


def test_conditions_of_a_run_have_errors_of_their_own_and_runs_are_averaged(study):
    perf = Path("sub-01/ses-T1/perf")
    truth, affine = images.load(study / "truth" / perf / "sub-01_ses-T1_acq-rest_space-X_cbf.nii.gz")
    rows = tables.read_table(study / "results/quality/scans.tsv")[:1]
    for run, extra in ((1, 0.0), (2, 4.0)):
        scan = f"sub-01_ses-T1_acq-cues_run-{run}"
        rows.append({**rows[0], "scan": scan, "condition": "smoking and neutral"})
        for cue, offset in (("smoking", 2.0), ("neutral", -1.0)):
            stem = f"{scan}_condition-{cue}_space-X"
            images.save(study / "truth" / perf / f"{stem}_cbf.nii.gz", truth, affine)
            found = study / "results" / perf / f"{stem}_desc-smooth_cbf.nii.gz"
            images.save(found, truth + offset + extra, affine)
    tables.write_table(study / "results/quality/scans.tsv", rows, dict.fromkeys(rows[0], "-"))
    own = error_maps.collect(study / "results", study / "truth", 8.0)
    assert own.scans == tuple(("sub-01", "T1", condition) for condition in ("rest", "neutral", "smoking"))
    known = np.isfinite(own.errors).all(axis=0)
    for row, error in zip(own.errors, (0.0, 1.0, 4.0)):
        assert np.allclose(row[known], error, atol=1e-4)
    # A condition that was not analysed is named.
    found.unlink()
    with pytest.raises(InputError, match="condition-neutral"):
        error_maps.collect(study / "results", study / "truth", 8.0)
