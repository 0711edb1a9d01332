import numpy as np
import pytest
from pharmasl.contrasts import contrast_maps, scaling
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images
from pharmasl.study import settings
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


def test_states_of_one_run_covary():
    """Variances 9 and 16 with a covariance of 6: the difference has 9 + 16 - 12, the sum 9 + 16 + 12."""
    maps, errors, inside = [np.full(4, 62.0), np.full(4, 50.0)], [np.full(4, 3.0), np.full(4, 4.0)], np.ones(4, bool)
    joint = {(0, 1): np.full(4, 6.0)}
    for weights, variance in (((1, -1), 13), ((1, 1), 37), ((0.5, -2), 0.25 * 9 + 4 * 16 - 2 * 6)):
        _, error = contrast_maps.combine(maps, errors, [inside] * 2, weights, joint)
        np.testing.assert_allclose(error, np.sqrt(variance), rtol=1e-6)


def _alternating(folder, runs, excluded=()):
    """The files of runs in which smoking and neutral cues alternate: CBF 12 and 10, errors 1, covariance 0.6."""
    grid, paths = np.diag([2.0, 2, 2, 1]), {"maps": [], "errors": [], "coverages": [], "quality": [], "covariances": []}
    states = []
    for run in runs:
        reason = "moved" if run in excluded else None
        row = {"scan": run, "condition": "smoking and neutral", "usable": "no" if reason else "yes"}
        tables.write_table(folder / f"{run}.tsv", [{**row, "exclusion_reason": reason}], COLUMNS)
        images.save(folder / f"{run}_covariance.nii.gz", np.full((3, 3, 3, 1), 0.6), grid)
        paths["covariances"].append(folder / f"{run}_covariance.nii.gz")
        for condition, value in (("smoking", 12.0), ("neutral", 10.0)):
            name = f"{run}_condition-{condition}"
            for kind, amount in (("maps", value), ("errors", 1.0), ("coverages", 1.0)):
                images.save(folder / f"{name}_{kind}.nii.gz", np.full((3, 3, 3), amount), grid)
                paths[kind].append(folder / f"{name}_{kind}.nii.gz")
            paths["quality"].append(folder / f"{run}.tsv")
            states.append(contrast_maps.State(scan=name, condition=condition))
    joint = [contrast_maps.Joint(first=2 * k, second=2 * k + 1, file=k, volume=0) for k in range(len(runs))]
    return contrast_maps.ScanFiles(**paths), states, joint


def _written(folder, files, states, joint, weights, relative=None):
    out = {name: folder / f"{name}.nii.gz" for name in ("effect", "error")}
    contrast_maps.write_contrast(
        files,
        weights,
        relative,
        effect_path=out["effect"],
        error_path=out["error"],
        sidecar_path=folder / "effect.json",
        states=states,
        joint=joint,
    )
    return *(images.load(path)[0] for path in out.values()), tables.read_json(folder / "effect.json")


def test_a_contrast_within_two_runs(tmp_path):
    """Each run's difference has a variance of 2 - 1.2, their mean half of it."""
    effect, error, sidecar = _written(tmp_path, *_alternating(tmp_path, ("one", "two")), [0.5, -0.5, 0.5, -0.5])
    np.testing.assert_allclose(effect, 2)
    np.testing.assert_allclose(error, np.sqrt(0.8 / 2), rtol=1e-6)
    assert [scan["Condition"] for scan in sidecar["Scans"]] == ["smoking", "neutral"] * 2
    assert sidecar["Scans"][3]["Scan"] == "two_condition-neutral"


def test_an_excluded_run_takes_its_covariance_with_it(tmp_path):
    files = _alternating(tmp_path, ("one", "two"), excluded=("one",))
    effect, error, sidecar = _written(tmp_path, *files, [0.5, -0.5, 0.5, -0.5])
    np.testing.assert_allclose(effect, 2)
    np.testing.assert_allclose(error, np.sqrt(0.8), rtol=1e-6)
    assert [scan["Weight"] for scan in sidecar["Scans"]] == [0, 0, 1, -1]


def test_covariances_are_scaled_with_their_maps(tmp_path):
    """Each map divided by its own mean times 50: errors 50/12 and 50/10, covariance 0.6 times their product."""
    relative = scaling.RelativeCbf(
        wanted=settings.Scaling(scaling="proportional", reference="brain"),
        reference=scaling.Reference(name="brain", voxels=np.ones((3, 3, 3), bool)),
        minimum_coverage=0.5,
    )
    _, error, _ = _written(tmp_path, *_alternating(tmp_path, ("one",)), [1, -1], relative)
    one, other = 50 / 12, 50 / 10
    np.testing.assert_allclose(error, np.sqrt(one**2 + other**2 - 2 * 0.6 * one * other), rtol=1e-6)
