"""Grey matter and arterial transit time as terms of a model: smoothed as CBF is, combined as the contrast's CBF is."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images
from scipy import ndimage

AFFINE = np.diag([2.0, 2, 2, 1])
SHAPE = (12, 11, 10)
RNG = np.random.default_rng(5)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[2:10, 2:9, 2:8] = True
FWHM = 6


def normalised(volume, inside):
    """Smoothing within a mask by its definition: the smoothed sum over the smoothed weight."""
    sigma = FWHM / (2 * np.sqrt(2 * np.log(2))) / 2
    blur = lambda data: ndimage.gaussian_filter(data.astype(float), sigma, mode="constant", truncate=3)  # noqa: E731
    return np.where(inside, blur(np.where(inside, volume, 0)) / np.where(inside, blur(inside), 1), np.nan)


def test_grey_matter_is_smoothed_within_the_brain(tmp_path):
    share = RNG.uniform(0, 1, SHAPE).astype(np.float32)
    images.save(tmp_path / "gm.nii.gz", share, AFFINE)
    images.save(tmp_path / "mask.nii.gz", BRAIN, AFFINE, dtype=np.uint8)
    output = SimpleNamespace(image=tmp_path / "out.nii.gz", sidecar=tmp_path / "out.json")
    script("smooth_grey_matter").main(
        SimpleNamespace(
            input=SimpleNamespace(grey_matter=tmp_path / "gm.nii.gz", template_mask=tmp_path / "mask.nii.gz"),
            output=output,
            params=SimpleNamespace(fwhm=FWHM),
        )
    )
    smooth = images.load(output.image)[0]
    np.testing.assert_allclose(smooth, normalised(share, BRAIN), atol=1e-5)
    assert tables.read_json(output.sidecar)["SmoothingFWHM"] == FWHM


class Scans:
    """Transit times of three scans: two runs of smoking and one of neutral."""

    def __init__(self, folder):
        self.folder, self.att = folder, {}
        for name, condition in (("a", "smoking"), ("b", "smoking"), ("c", "neutral")):
            self.att[name] = RNG.uniform(0.8, 1.8, SHAPE).astype(np.float32)
            images.save(folder / f"{name}_att.nii.gz", np.where(BRAIN, self.att[name], np.nan), AFFINE)
            images.save(folder / f"{name}_coverage.nii.gz", BRAIN, AFFINE, dtype=np.uint8)
            self.judge(name, condition)

    def judge(self, name, condition, reason=None):
        row = {"scan": name, "condition": condition, "usable": "no" if reason else "yes", "exclusion_reason": reason}
        tables.write_table(self.folder / f"{name}.tsv", [row], COLUMNS)

    def run(self, fwhm=0):
        paths = {
            kind: [str(self.folder / f"{name}{end}") for name in self.att]
            for kind, end in (("att", "_att.nii.gz"), ("coverages", "_coverage.nii.gz"), ("quality", ".tsv"))
        }
        output = SimpleNamespace(image=self.folder / "out.nii.gz", sidecar=self.folder / "out.json")
        script("session_transit_time").main(
            SimpleNamespace(
                input=SimpleNamespace(**paths),
                output=output,
                params=SimpleNamespace(weights=[0.5, 0.5, -1], fwhm=fwhm),
            )
        )
        return images.load(output.image)[0], tables.read_json(output.sidecar)


def test_the_transit_time_of_a_contrast_has_its_weights(tmp_path):
    scans = Scans(tmp_path)
    image, sidecar = scans.run()
    expected = (scans.att["a"] + scans.att["b"]) / 2 - scans.att["c"]
    np.testing.assert_allclose(image[BRAIN], expected[BRAIN], atol=1e-6)
    assert np.isnan(image[~BRAIN]).all()
    assert sidecar["Units"] == "s"
    # Smoothing is linear: before or after the sum.
    smooth, _ = scans.run(FWHM)
    np.testing.assert_allclose(smooth, normalised(expected, BRAIN), atol=1e-5)


def test_an_excluded_run_leaves_its_weight_and_an_excluded_state_no_map(tmp_path):
    scans = Scans(tmp_path)
    scans.judge("b", "smoking", "motion")
    image, sidecar = scans.run()
    np.testing.assert_allclose(image[BRAIN], (scans.att["a"] - scans.att["c"])[BRAIN], atol=1e-6)
    assert [scan["Weight"] for scan in sidecar["Scans"]] == [1, 0, -1]
    scans.judge("c", "neutral", "motion")
    image, _ = scans.run()
    assert np.isnan(image).all()


def test_a_voxel_without_a_fit_is_missing_not_zero(tmp_path):
    scans = Scans(tmp_path)
    hole = np.where(BRAIN, scans.att["a"], np.nan)
    hole[5, 5, 5] = np.nan
    images.save(tmp_path / "a_att.nii.gz", hole, AFFINE)
    image, _ = scans.run()
    assert np.isnan(image[5, 5, 5])
    assert np.isfinite(image[BRAIN]).sum() == BRAIN.sum() - 1
    # Equal transit times leave a difference of exactly nothing, which is a value.
    for name in ("b", "c"):
        images.save(tmp_path / f"{name}_att.nii.gz", hole, AFFINE)
    image, _ = scans.run()
    assert image[6, 5, 5] == pytest.approx(0, abs=1e-7)
