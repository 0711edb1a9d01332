"""Series, M0 and T1w are looked at before the first job: what cannot be used is named in one round."""

import gzip

import complete_settings
import nibabel
import numpy as np
import pytest
import skeleton
from pharmasl.errors import InputErrors

SERIES = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"
M0 = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_m0scan.nii.gz"
T1W = "sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii.gz"


@pytest.fixture
def root(tmp_path):
    """A trial in which one run has a separate M0, on a grid of its own and of several volumes, as is legal."""
    root = skeleton.dataset(tmp_path / "bids")
    skeleton.run(
        root / "sub-01/ses-T1/perf",
        "sub-01_ses-T1_acq-rest",
        {**skeleton.SIDECAR, "M0Type": "Separate"},
        ["control", "label"] * 3,
    )
    skeleton.image(root / M0, (5, 6, 4, 2))
    skeleton.write(root / M0.replace(".nii.gz", ".json"), {"RepetitionTimePreparation": 6.0, "EchoTime": 0.012})
    return root


def problems(root):
    with pytest.raises(InputErrors) as caught:
        complete_settings.read(skeleton.config(root))
    return {(str(error.file).removeprefix(f"{root}/"), error.field): error for error in caught.value.errors}


def write(path, data, **codes):
    image = nibabel.Nifti1Image(data, np.diag([4.0, 4, 4, 1]))
    image.set_sform(image.affine, code=codes.get("code", 1))
    image.set_qform(image.affine, code=codes.get("code", 1))
    nibabel.save(image, path)


def test_a_sound_dataset_plans(root):
    assert complete_settings.read(skeleton.config(root)).scans


@pytest.mark.parametrize("name", [SERIES, M0, T1W])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (lambda whole: b"", "an empty file"),
        (lambda whole: whole[:-20], "cut off"),
        (lambda whole: gzip.compress(gzip.decompress(whole)[:-8]), "cut off"),
        (lambda whole: b"/annex/objects/MD5E-s100--d41d8.nii.gz\n", "git-annex"),
    ],
)
def test_a_damaged_file_is_named(root, name, content, found):
    (root / name).write_bytes(content((root / name).read_bytes()))
    errors = problems(root)
    assert list(errors) == [(name, "(whole file)")]
    assert found in errors[name, "(whole file)"].found


@pytest.mark.parametrize("name", [SERIES, M0, T1W])
def test_left_and_right_unknown_and_single_slices(root, name):
    shape = nibabel.load(root / name).shape
    write(root / name, np.ones(shape, np.float32), code=0)
    assert list(problems(root)) == [(name, "qform_code, sform_code")]
    write(root / name, np.ones((*shape[:2], 1, *shape[3:]), np.float32))
    assert problems(root)[name, "dim"].found.endswith(" x 1")


def test_a_series_and_its_t1w_are_named_in_one_round(root):
    for name in (SERIES, M0, T1W):
        (root / name).write_bytes(b"")
    assert set(problems(root)) == {(name, "(whole file)") for name in (SERIES, M0, T1W)}


def test_time_on_the_fifth_axis_is_a_series(root):
    write(root / SERIES, np.ones((3, 3, 3, 1, 6), np.float32))
    assert complete_settings.read(skeleton.config(root)).scans
    write(root / SERIES, np.ones((3, 3, 3, 2, 6), np.float32))
    assert list(problems(root)) == [(SERIES, "dim")]


def test_a_t1w_is_one_volume(root):
    write(root / T1W, np.ones((3, 3, 3, 4), np.float32))
    assert problems(root)[T1W, "dim"].found == "4 volumes"
