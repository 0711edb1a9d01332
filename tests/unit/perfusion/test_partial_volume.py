"""Partial volume correction against planted tissue values, a least-squares routine and the noise that algebra predicts."""

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import partial_volume
from scipy import ndimage

SHAPE = (20, 22, 4)


def tissues(seed=0, shape=SHAPE):
    """Smooth shares of grey and white matter in a ball, with fluid for the rest."""
    rng = np.random.default_rng(seed)
    fields = np.exp(3 * np.stack([ndimage.gaussian_filter(rng.standard_normal(shape), (1.5, 1.5, 0.7)) for _ in "gwc"]))
    gm, wm = fields[:2] ** 2 / (fields**2).sum(axis=0)
    axes = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape[:2])]
    return gm, wm, np.broadcast_to((axes[0] ** 2 + axes[1] ** 2 < 0.9)[..., None], shape).copy()


def window(at, shape, kernel):
    return tuple(slice(max(0, c - k // 2), min(n, c + k // 2 + 1)) for c, n, k in zip(at, shape, kernel))


def by_least_squares(cbf, gm, wm, mask, kernel):
    """An independent solution, voxel by voxel, and its noise: numpy's lstsq and the pseudo-inverse."""
    values, noise = np.full((2, *cbf.shape), np.nan), np.full((2, *cbf.shape), np.inf)
    for at in np.argwhere(mask & np.isfinite(cbf)):
        part = window(at, cbf.shape, kernel)
        use = mask[part] & np.isfinite(cbf[part])
        design = np.stack([gm[part][use], wm[part][use]], axis=1)
        if np.linalg.matrix_rank(design) == 2:
            values[(slice(None), *at)] = np.linalg.lstsq(design, cbf[part][use], rcond=None)[0]
            noise[(slice(None), *at)] = np.linalg.norm(np.linalg.pinv(design), axis=1)
    return values, noise


@pytest.mark.parametrize("kernel", [(5, 5, 1), (3, 3, 1), (5, 3, 3), (7, 7, 3)])
def test_it_equals_least_squares_in_every_window_also_at_the_edges(kernel):
    gm, wm, mask = tissues()
    cbf = 60 * gm + 20 * wm + 5 * np.random.default_rng(1).standard_normal(SHAPE)
    cbf[np.random.default_rng(2).random(SHAPE) < 0.05] = np.nan
    values, noise = by_least_squares(cbf, gm, wm, mask, kernel)
    found = partial_volume.correct(cbf, gm, wm, mask, kernel=kernel)
    for tissue, share, expected, spread in zip(found, (gm, wm), values, noise):
        determined = mask & (share >= partial_volume.LEAST_SHARE) & (spread < partial_volume.MOST_NOISE)
        assert determined.sum() > 200
        assert np.array_equal(np.isfinite(tissue), determined)
        assert tissue[determined] == pytest.approx(expected[determined], rel=0, abs=1e-9)
        # The window of a voxel in a corner of the volume or of the mask counts too.
        rim = determined & ~ndimage.binary_erosion(mask, np.ones((3, 3, 1)))
        assert rim.sum() > 50


@pytest.mark.parametrize("kernel", [(5, 5, 1), (5, 5, 3)])
def test_planted_values_come_back_exactly_without_noise(kernel):
    gm, wm, mask = tissues()
    found = partial_volume.correct(60 * gm + 20 * wm, gm, wm, mask, kernel=kernel)
    for tissue, truth in zip(found, (60, 20)):
        known = np.isfinite(tissue)
        assert known.sum() > 0.5 * mask.sum()
        assert tissue[known] == pytest.approx(truth, rel=0, abs=1e-9)


def test_it_is_unbiased_under_noise_and_as_noisy_as_algebra_says():
    gm, wm, mask = tissues()
    repeats, sigma = 400, 6.0
    noise = sigma * np.random.default_rng(3).standard_normal((*SHAPE, repeats))
    found = partial_volume.correct((60 * gm + 20 * wm)[..., None] + noise, gm, wm, mask, kernel=(5, 5, 1))
    _, predicted = by_least_squares(60 * gm + 20 * wm, gm, wm, mask, (5, 5, 1))
    for tissue, truth, spread in zip(found, (60, 20), predicted):
        known = np.isfinite(tissue).all(axis=3)
        # Each repeat's mean over voxels is a draw by itself.
        means = tissue[known].mean(axis=0)
        assert abs(means.mean() - truth) < 4 * means.std(ddof=1) / np.sqrt(repeats)
        assert means.std(ddof=1) / np.sqrt(repeats) < 0.05
        ratio = tissue[known].var(axis=1, ddof=1) / (sigma * spread[known]) ** 2
        # A ratio of variances has a standard deviation of the root of 2 over 399; voxels within a window share theirs.
        assert abs(ratio.mean() - 1) < 0.02


def test_what_is_not_determined_is_missing_and_never_zero():
    gm, wm, mask = tissues()
    cbf = 60 * gm + 20 * wm
    cbf[10, 10, 1] = np.nan
    gm_cbf, wm_cbf = partial_volume.correct(cbf, gm, wm, mask, kernel=(5, 5, 1))
    assert np.isnan(gm_cbf[~mask]).all()
    assert np.isnan(wm_cbf[~mask]).all()
    assert np.isnan(gm_cbf[10, 10, 1])
    assert np.isnan(gm_cbf[mask & (gm < partial_volume.LEAST_SHARE)]).all()
    assert np.isnan(wm_cbf[mask & (wm < partial_volume.LEAST_SHARE)]).all()
    # Proportional shares: any mixture explains the window.
    flat = np.full(SHAPE, 0.5)
    both = partial_volume.correct(20 * flat, flat, 0.6 * flat, mask, kernel=(5, 5, 1))
    assert np.isnan(both).all()
    # Nearly proportional ones: a number would come out, with noise beyond all use.
    nearly = flat + 1e-3 * np.random.default_rng(4).standard_normal(SHAPE)
    assert np.isnan(partial_volume.correct(20 * flat, flat, nearly, mask, kernel=(5, 5, 1))).all()
    assert np.isnan(partial_volume.correct(cbf, gm, wm, np.zeros(SHAPE, dtype=bool), kernel=(5, 5, 1))).all()


def test_one_tissue_alone_needs_no_other():
    mask = np.ones(SHAPE, dtype=bool)
    gm = np.full(SHAPE, 0.8)
    for trace in (0.0, 5e-4):
        gm_cbf, wm_cbf = partial_volume.correct(60 * gm + 20 * trace, gm, np.full(SHAPE, trace), mask, kernel=(5, 5, 1))
        # A trace that is left out counts as grey matter's: 20 * 0.0005 / 0.8.
        assert gm_cbf == pytest.approx(60 + 20 * trace / 0.8, rel=1e-12)
        assert np.isnan(wm_cbf).all()
        wm_cbf, gm_cbf = partial_volume.correct(
            20 * gm + 60 * trace, np.full(SHAPE, trace), gm, mask, kernel=(5, 5, 1)
        )[::-1]
        assert wm_cbf == pytest.approx(20 + 60 * trace / 0.8, rel=1e-12)
        assert np.isnan(gm_cbf).all()


def test_volumes_are_corrected_each_by_itself_and_the_same_again():
    gm, wm, mask = tissues()
    series = np.random.default_rng(5).normal(50, 10, (*SHAPE, 3))
    series[8:12, 8:12, :, 1] = np.nan
    gm_cbf, wm_cbf = partial_volume.correct(series, gm, wm, mask, kernel=(5, 5, 1))
    assert gm_cbf.shape == wm_cbf.shape == series.shape
    for number in range(3):
        one = partial_volume.correct(series[..., number], gm, wm, mask, kernel=(5, 5, 1))
        assert np.array_equal(one[0], gm_cbf[..., number], equal_nan=True)
        assert np.array_equal(one[1], wm_cbf[..., number], equal_nan=True)
    assert np.isnan(gm_cbf[8:12, 8:12, :, 1]).all()
    assert np.isfinite(gm_cbf[8:12, 8:12, :, 0]).any()
    again = partial_volume.correct(series, gm, wm, mask, kernel=(5, 5, 1))
    assert gm_cbf.tobytes() == again[0].tobytes()


def test_the_scale_of_the_image_does_not_matter():
    # An M0 image of thousands: linear in the image, and no constant of CBF is built in.
    gm, wm, mask = tissues()
    cbf = 60 * gm + 20 * wm + np.random.default_rng(6).standard_normal(SHAPE)
    small, large = (
        partial_volume.correct(cbf, gm, wm, mask, kernel=(5, 5, 1)),
        partial_volume.correct(1024 * cbf, gm, wm, mask, kernel=(5, 5, 1)),
    )
    assert np.array_equal(1024 * small[0], large[0], equal_nan=True)
    assert np.array_equal(1024 * small[1], large[1], equal_nan=True)


def test_a_missing_share_is_no_zero():
    gm, wm, mask = tissues()
    cbf = 60 * gm + 20 * wm
    holed = gm.copy()
    holed[9, 9, 2] = np.nan
    gm_cbf, wm_cbf = partial_volume.correct(cbf, holed, wm, mask, kernel=(5, 5, 1))
    assert np.isnan([gm_cbf[9, 9, 2], wm_cbf[9, 9, 2]]).all()
    assert gm_cbf[np.isfinite(gm_cbf)] == pytest.approx(60, abs=1e-9)


@pytest.mark.parametrize("kernel", [(4, 5, 1), (5, 5), (0, 5, 1), (-3, 3, 1), (2.5, 3, 1), 5, ("a", 3, 1), None])
def test_senseless_kernels_are_named(kernel):
    gm, wm, mask = tissues()
    with pytest.raises(InputError, match=r"partial_volume\.kernel"):
        partial_volume.correct(gm, gm, wm, mask, kernel=kernel)


def test_images_of_different_shapes_are_refused():
    gm, wm, mask = tissues()
    with pytest.raises(ValueError, match="do not fit"):
        partial_volume.correct(gm[:-1], gm, wm, mask, kernel=(5, 5, 1))
