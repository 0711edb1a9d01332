import numpy as np
import pytest
from pharmasl.contrasts import contrast_maps
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images
from visits import Visit


def test_weights_signs_and_errors():
    smoking, neutral = np.full((2, 2, 2), 62.0), np.full((2, 2, 2), 50.0)
    errors = [np.full((2, 2, 2), 3.0), np.full((2, 2, 2), 4.0)]
    effect, error = contrast_maps.combine([smoking, neutral], errors, [np.ones((2, 2, 2), bool)] * 2, [1, -1])
    np.testing.assert_array_equal(effect, 12)
    np.testing.assert_array_equal(error, 5)  # 3, 4, 5: variances of independent scans add


def test_the_error_is_that_of_repeated_scans():
    rng = np.random.default_rng(0)
    scans = rng.normal(0, [[2.0], [5.0]], size=(2, 40000))
    effect, error = contrast_maps.combine(
        scans, np.array([[2.0], [5.0]]) * np.ones_like(scans), np.ones_like(scans, bool), [0.5, -1]
    )
    assert abs(effect.std() / error[0] - 1) < 0.02


def test_what_one_state_does_not_cover_is_missing():
    covered = [np.array([True, True, False]), np.array([True, False, True])]
    effect, error = contrast_maps.combine([np.ones(3)] * 2, [np.ones(3)] * 2, covered, [1, -1])
    assert np.isfinite(effect).tolist() == [True, False, False]
    assert np.isfinite(error).tolist() == [True, False, False]


def judged(*states):
    return [
        contrast_maps.JudgedScan(scan="", condition=condition, is_usable=usable == "yes")
        for condition, usable in states
    ]


def test_an_excluded_run_gives_its_weight_to_the_other_runs_of_its_state():
    quality = judged(("smoking", "yes"), ("smoking", "no"), ("smoking", "yes"), ("neutral", "yes"))
    assert contrast_maps.usable_weights([1 / 3, 1 / 3, 1 / 3, -1], quality) == [0.5, 0, 0.5, -1]


def test_weights_without_exclusion_are_the_same_objects():
    weights = [1 / 3, 1 / 3, 1 / 3, -0.1]
    quality = judged(*[("smoking", "yes")] * 3, ("neutral", "yes"))
    assert all(a is b for a, b in zip(contrast_maps.usable_weights(weights, quality), weights))


def test_a_state_without_usable_run_leaves_no_contrast():
    assert contrast_maps.usable_weights([0.5, 0.5, -1], judged(("a", "yes"), ("a", "yes"), ("b", "no"))) is None
    assert contrast_maps.usable_weights([0.5, 0.5, -1], judged(("a", "no"), ("a", "no"), ("b", "yes"))) is None


def test_files(tmp_path):
    visit = Visit(tmp_path, a=("smoking", 10), b=("neutral", 4))
    effect, error, sidecar = visit.contrast(1, -1)
    np.testing.assert_array_equal(effect, 6)
    np.testing.assert_allclose(error, np.sqrt(2), rtol=1e-6)
    np.testing.assert_array_equal(images.load(visit.effect)[1], visit.affine)
    assert sidecar["Missing"] is None
    assert [(each["Scan"], each["Weight"], each["Excluded"]) for each in sidecar["Scans"]] == [
        ("a", 1, None),
        ("b", -1, None),
    ]


def test_an_excluded_scan_leaves_an_empty_contrast_that_says_why(tmp_path):
    visit = Visit(tmp_path, a=("smoking", 10), b=("neutral", 4))
    visit.judge("b", "neutral", "registration not accepted")
    effect, error, sidecar = visit.contrast(1, -1)
    assert np.isnan(effect).all()
    assert np.isnan(error).all()
    assert effect.shape == (3, 3, 3)
    assert sidecar["Missing"] == "a state has no usable scan: b: registration not accepted"
    assert [each["Weight"] for each in sidecar["Scans"]] == [0, 0]


def test_an_excluded_run_has_no_say_not_even_by_what_it_does_not_cover(tmp_path):
    visit = Visit(tmp_path, a=("smoking", 10), b=("smoking", 99), c=("neutral", 4))
    visit.judge("b", "smoking", "motion")
    visit.cover("b", 0)
    effect, error, sidecar = visit.contrast(0.5, 0.5, -1)
    np.testing.assert_array_equal(effect, 6)
    np.testing.assert_allclose(error, np.sqrt(2), rtol=1e-6)
    assert sidecar["Missing"] is None
    assert sidecar["Scans"][1] == {"Scan": "b", "Condition": "smoking", "Weight": 0.0, "Excluded": "motion"}


def test_a_scan_that_nobody_judged_is_refused(tmp_path):
    visit = Visit(tmp_path, a=("rest", 10))
    tables.write_table(tmp_path / "a.tsv", [{"scan": "a"}], {"scan": "Scan"})
    with pytest.raises(InputError, match=r"a\.tsv: usable"):
        visit.contrast(1)
