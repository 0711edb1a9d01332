"""Sorting and pairing of volumes, and where M0 comes from."""

import itertools

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import calibration, volumes
from pharmasl.study import scan_acquisition


@pytest.mark.parametrize("first", ["control", "label"])
def test_pairs_follow_the_order_of_acquisition(first):
    second = {"control": "label", "label": "control"}[first]
    of = volumes.sort(["m0scan", "n/a", *[first, second] * 3], "x")
    assert of.kind == "pairs"
    shift = first == "label"
    assert of.pairs.tolist() == [[2 + shift, 3 - shift], [4 + shift, 5 - shift], [6 + shift, 7 - shift]]
    assert of.m0scan.tolist() == [0]
    assert of.moving.tolist() == [2, 3, 4, 5, 6, 7]
    assert of.unpaired.tolist() == []


def test_all_labels_before_all_controls_pair_by_occurrence():
    assert volumes.sort(["label"] * 3 + ["control"] * 3, "x").pairs.tolist() == [[3, 0], [4, 1], [5, 2]]


def test_a_lost_volume_leaves_its_partner_over():
    # exploreasl issue 2054: removed dummies left an uneven number, and the run crashed.
    of = volumes.sort(["control", "label", "control", "control", "label", "control", "label"], "x")
    assert of.pairs.tolist() == [[0, 1], [3, 4], [5, 6]]
    assert of.unpaired.tolist() == [2]


def test_pairing_is_the_best_of_all_that_keep_order():
    rng = np.random.default_rng(3)
    for _ in range(40):
        order = rng.permutation(10)
        control, label = np.sort(order[:6]), np.sort(order[6 : 6 + rng.integers(1, 5)])
        found = volumes.pair(control, label)
        assert np.all(np.diff(found, axis=0) > 0)
        best = min(
            sum(abs(c - k) for c, k in zip(chosen, label)) for chosen in itertools.combinations(control, len(label))
        )
        assert np.abs(found[:, 0] - found[:, 1]).sum() == best


def test_control_and_label_come_before_deltam_before_cbf():
    assert volumes.sort(["deltam", "control", "label", "cbf"], "x").kind == "pairs"
    assert volumes.sort(["deltam", "control", "cbf"], "x").kind == "deltam"
    assert volumes.sort(["cbf", "m0scan"], "x").kind == "cbf"


@pytest.mark.parametrize("types", [["m0scan", "n/a"], ["control", "control"], ["control", "lable"], []])
def test_series_without_perfusion_are_errors(types):
    with pytest.raises(InputError, match="volume_type"):
        volumes.sort(types, "x")


PAIRS = volumes.sort(["control", "label"], "x")
WITH_M0 = volumes.sort(["m0scan", "control", "label"], "x")


def source(acquisition, of, series, m0):
    return calibration.source(scan_acquisition.build({"volume_types": [], **acquisition}), of, series, m0)


def test_m0_of_each_kind():
    assert source({"m0_type": "Separate"}, PAIRS, "x", ["m0"]) == "separate"
    assert source({"m0_type": "Included"}, WITH_M0, "x", []) == "included"
    assert source({"m0_type": "Estimate", "m0_estimate": 1000.0}, PAIRS, "x", []) == "estimate"
    assert source({"m0_type": "Absent", "background_suppression": False}, PAIRS, "x", []) == "control"


@pytest.mark.parametrize(
    ("acquisition", "of"),
    [
        # A suppressed control is a tenth of M0: CBF would be tenfold.
        ({"m0_type": "Absent", "background_suppression": True}, PAIRS),
        ({"m0_type": "Absent", "background_suppression": None}, PAIRS),
        ({"m0_type": "Absent"}, PAIRS),
        ({"m0_type": "Absent", "background_suppression": False}, volumes.sort(["deltam"], "x")),
        ({"m0_type": "Separate"}, PAIRS),
        ({"m0_type": "Included"}, PAIRS),
        ({"m0_type": None}, WITH_M0),
    ],
)
def test_m0_is_never_made_up(acquisition, of):
    with pytest.raises(InputError, match="M0Type"):
        source(acquisition, of, "x", [])


def test_an_estimate_must_be_a_number():
    with pytest.raises(InputError, match="M0Estimate"):
        source({"m0_type": "Estimate", "m0_estimate": None}, PAIRS, "x", [])


def test_m0_is_smoothed_within_the_brain_only():
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[3:9, 3:9, 3:9] = True
    m0 = np.where(mask, 100.0, 5000.0)
    found = calibration.prepare(m0, np.diag([3.0, 3, 3, 1]), mask, smoothing_fwhm=5.0, factor=1.1, series="x", edge=0)
    assert found[mask] == pytest.approx(110.0, rel=1e-6)
    assert np.isnan(found[~mask]).all()


def test_voxels_without_magnetisation_are_missing_and_an_empty_image_is_an_error():
    mask = np.ones((6, 6, 6), dtype=bool)
    m0 = np.full(mask.shape, 100.0)
    m0[0] = 9.0
    found = calibration.prepare(m0, np.eye(4), mask, smoothing_fwhm=0.0, factor=1.0, series="x", edge=0)
    assert np.isnan(found[0]).all()
    assert np.all(found[1:] == 100)
    with pytest.raises(InputError, match="M0"):
        calibration.prepare(np.zeros(mask.shape), np.eye(4), mask, smoothing_fwhm=0.0, factor=1.0, series="x", edge=0)
