"""Measures across the repeats of a scan, and the series they are taken of: planted values, through the files."""

import math

import numpy as np
import pytest
from pharmasl.files import tables
from pharmasl.perfusion import across_repeats
from pharmasl.space import images
from quantified import ACQUISITION, Files
from scipy import stats


def grey_matter(voxels=200):
    """Shares of grey matter, half of the voxels above every threshold."""
    return np.repeat(np.float32([0.9, 0.2]), voxels // 2)


def test_of_repeats_of_several_delays_each_is_compared_with_its_own():
    rng = np.random.default_rng(0)
    first = 50 + rng.normal(0, 4, (200, 5))
    one = across_repeats.measure(first.mean(axis=1), first, grey_matter(), np.ones(5, bool), np.ones(5))
    both = np.concatenate([first, 0.5 * first], axis=1)
    delays = np.repeat([1.0, 2.0], 5)
    two = across_repeats.measure(both.mean(axis=1), both, grey_matter(), np.ones(10, bool), delays)
    # Mean 0.75 of the first delay's, squared deviations 1 and 0.25 of its: by 4 and 8 degrees of freedom.
    assert two.temporal_snr == pytest.approx(0.75 * one.temporal_snr / math.sqrt(1.25 * 4 / 8), rel=1e-12)


def test_only_the_repeats_kept_and_only_grey_voxels_that_all_reach_count():
    rng = np.random.default_rng(1)
    series = 50 + rng.normal(0, 4, (200, 6))
    kept = np.array([True] * 5 + [False])
    expected = across_repeats.measure(series.mean(axis=1), series[:, :5], grey_matter(), kept[:5], np.zeros(5))
    z = stats.norm.isf(stats.ttest_1samp(series[:100, :5].mean(axis=0), 0, alternative="greater").pvalue)
    assert expected.gm_cbf_z == pytest.approx(z, rel=1e-8)
    spoilt = series.copy()
    spoilt[:, 5] *= 40
    spoilt[100:] = 1e6
    assert across_repeats.measure(series.mean(axis=1), spoilt, grey_matter(), kept, np.zeros(6)) == expected
    # Taken in, the sixth would show: this is no test that cannot fail.
    assert across_repeats.measure(series.mean(axis=1), spoilt, grey_matter(), kept | True, np.zeros(6)) != expected
    gap = series[:, :5].copy()
    gap[:3, 2] = np.nan
    gap[3, 4] = 0
    one = across_repeats.measure(series.mean(axis=1), gap, grey_matter(), kept[:5], np.zeros(5))
    inside = gap[4:100]
    assert one.temporal_snr == pytest.approx(np.median(inside.mean(axis=1) / inside.std(axis=1, ddof=1)), rel=1e-12)


def test_what_cannot_be_formed_is_not_known():
    nothing = across_repeats.measure(np.zeros(200), np.zeros((200, 5)), grey_matter(), np.ones(5, bool), np.zeros(5))
    assert nothing.record() == {"GreyMatterZ": None, "TemporalSNR": None}
    single = across_repeats.measure(np.ones(200), np.ones((200, 1)), grey_matter(), np.ones(1, bool), np.zeros(1))
    assert single.record() == {"GreyMatterZ": None, "TemporalSNR": None}


def test_the_sidecar_has_the_measures_of_the_series_that_is_written_on_request(tmp_path):
    types = ["m0scan", *["control", "label"] * 4]
    files = Files(tmp_path, acquisition={**ACQUISITION, "volume_types": types})
    data, affine = images.load(files.path("asl"))
    # Each pair has its own perfusion, and each voxel its own noise.
    data[..., 2::2] -= np.arange(4)
    data += np.random.default_rng(2).normal(0, 0.5, data.shape)
    images.save(files.path("asl"), data, affine)
    # Grey matter is what the masks of quality ask for.
    t1w = images.load(files.path("gm"))
    images.save(files.path("gm"), t1w[0] / 0.6 * 0.85, t1w[1])
    images.save(files.path("wm"), t1w[0] / 0.6 * 0.1, t1w[1])
    images.save(files.path("csf"), t1w[0] / 0.6 * 0.05, t1w[1])
    made = files.quantify(outliers={"rules": []})
    series = files.of_repeats(outliers={"rules": []})
    cbf, gm, brain = (images.load(made[name])[0] for name in ("cbf", "gm", "brain_mask"))
    inside = brain > 0
    assert series.shape == (*brain.shape, 4)
    assert not series[~inside].any()
    assert series[inside].mean(axis=1) == pytest.approx(cbf[inside], rel=1e-5)
    grey = series[inside & (gm > 0.7) & (cbf != 0)].astype(np.float64)
    assert len(grey) > 500
    record = tables.read_json(made["sidecar"])["AcrossRepeats"]
    snr = np.median(grey.mean(axis=1) / grey.std(axis=1, ddof=1))
    assert record["TemporalSNR"] == pytest.approx(snr, rel=1e-9)
    p = stats.ttest_1samp(grey.mean(axis=0), 0, alternative="greater").pvalue
    assert record["GreyMatterZ"] == pytest.approx(stats.norm.isf(p), rel=1e-8)
