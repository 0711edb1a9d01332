import numpy as np
from pharmasl import contrasts, images


def test_weights_signs_and_errors():
    smoking, neutral = np.full((2, 2, 2), 62.0), np.full((2, 2, 2), 50.0)
    errors = [np.full((2, 2, 2), 3.0), np.full((2, 2, 2), 4.0)]
    effect, error = contrasts.combine([smoking, neutral], errors, [np.ones((2, 2, 2), bool)] * 2, [1, -1])
    np.testing.assert_array_equal(effect, 12)
    np.testing.assert_array_equal(error, 5)  # 3, 4, 5: variances of independent scans add


def test_the_error_is_that_of_repeated_scans():
    rng = np.random.default_rng(0)
    scans = rng.normal(0, [[2.0], [5.0]], size=(2, 40000))
    effect, error = contrasts.combine(
        scans, np.array([[2.0], [5.0]]) * np.ones_like(scans), np.ones_like(scans, bool), [0.5, -1]
    )
    assert abs(effect.std() / error[0] - 1) < 0.02


def test_what_one_state_does_not_cover_is_missing():
    covered = [np.array([True, True, False]), np.array([True, False, True])]
    effect, error = contrasts.combine([np.ones(3)] * 2, [np.ones(3)] * 2, covered, [1, -1])
    assert np.isfinite(effect).tolist() == [True, False, False]
    assert np.isfinite(error).tolist() == [True, False, False]


def test_files(tmp_path):
    affine = np.diag([2.0, 2, 2, 1])
    paths = {}
    for name, value in (("a", 10), ("b", 4), ("e", 1), ("covered", 1)):
        paths[name] = tmp_path / f"{name}.nii.gz"
        images.save(paths[name], np.full((3, 3, 3), value), affine)
    out = tmp_path / "effect.nii.gz", tmp_path / "error.nii.gz"
    contrasts.write_contrast([paths["a"], paths["b"]], [paths["e"]] * 2, [paths["covered"]] * 2, [1, -1], *out)
    effect, read = images.load(out[0])
    np.testing.assert_array_equal(effect, 6)
    np.testing.assert_array_equal(read, affine)
