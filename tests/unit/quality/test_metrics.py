"""Every quality measure against a closed form, a planted truth or an independent computation."""

import math

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import across_repeats, tissue_maps
from pharmasl.quality import flags, measure_columns, metrics
from pharmasl.quality.assessment import CONSISTENCY
from pharmasl.quality.scan_maps import Motion, NativeMaps, Repeats, TemplateMaps
from scipy import ndimage, stats


@pytest.fixture
def brain():
    """A ball of grey matter around white matter around fluid, on voxels of 3 x 3 x 4 mm."""
    shape, affine = (24, 24, 18), np.diag([3.0, 3, 4, 1])
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3]
    radius = np.linalg.norm(index - index.mean(axis=(0, 1, 2)), axis=-1)
    gm, wm, csf = (radius > 20) & (radius <= 30), (radius > 10) & (radius <= 20), radius <= 10
    return affine, radius <= 30, gm.astype(np.float32), wm.astype(np.float32), csf.astype(np.float32)


def scan(brain, cbf, series=None, **changes):
    affine, inside, gm, wm, csf = brain
    series = cbf[..., np.newaxis] if series is None else series
    kept = changes.pop("kept", np.ones(series.shape[3], dtype=bool))
    on_template = {name: changes.pop(name, default) for name, default in (("template_cbf", cbf), ("coverage", inside))}
    own = series[inside].reshape(-1, len(kept))
    across = across_repeats.measure(cbf[inside], own, gm[inside], kept, np.zeros(len(kept)))
    native = NativeMaps(
        **{
            **{"cbf": cbf, "brain": inside, "gm": gm, "wm": wm, "csf": csf, "affine": affine},
            **changes,
        }
    )
    return metrics.scan_metrics(
        native=native,
        repeats=Repeats(
            passed=kept, delays=np.zeros(len(kept)), gm_cbf_z=across.gm_cbf_z, temporal_snr=across.temporal_snr
        ),
        motion=Motion(displacement=np.array([np.nan, 0.1, 0.4]), dvars=np.array([np.nan, 2.0, 4.0])),
        template=TemplateMaps(
            cbf=on_template["template_cbf"], coverage=on_template["coverage"], brain=inside, gm=gm, affine=affine
        ),
    )


def qei(cbf, affine, inside, gm, wm, csf):
    native = NativeMaps(cbf=cbf, brain=inside, gm=gm, wm=wm, csf=csf, affine=affine)
    return metrics.qei_terms(native, inside)


def test_spatial_cov_is_sd_over_mean():
    # 1..5: variance 2.5 with n - 1, mean 3.
    assert metrics.spatial_cov(np.arange(1.0, 6)) == pytest.approx(math.sqrt(2.5) / 3, rel=1e-14)
    rng = np.random.default_rng(0)
    values = rng.normal(60, 15, 500)
    assert metrics.spatial_cov(values) == pytest.approx(stats.variation(values, ddof=1), rel=1e-12)


@pytest.mark.parametrize("values", [[], [5.0], [-1.0, -3.0], [-1.0, 1.0]])
def test_spatial_cov_without_meaning_is_missing(values):
    assert math.isnan(metrics.spatial_cov(np.array(values)))


def test_temporal_snr_is_median_of_mean_over_sd():
    # Voxels of SNR 2, 4 and 9 (three pairs m - s, m, m + s have SD s); a constant voxel takes no part.
    series = np.array([[m - s, m, m + s] for m, s in ((20, 10), (40, 10), (90, 10), (50, 0))])
    assert across_repeats.temporal_snr(series) == pytest.approx(4, rel=1e-14)
    assert math.isnan(across_repeats.temporal_snr(series[:, :1]))
    assert math.isnan(across_repeats.temporal_snr(np.empty((0, 5))))


def test_correlation_equals_scipy_and_is_missing_for_a_constant():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 200))
    assert metrics.correlation(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, rel=1e-12)
    assert math.isnan(metrics.correlation(a, np.ones(200)))


def test_dispersion_index_pools_variances_by_degrees_of_freedom():
    # Variances 1 (n = 3), 8 (n = 2) and 9 (n = 4), grey-matter mean 10.
    gm = np.array([9.0, 10, 11])
    wm = np.array([0.0, 4])
    csf = np.array([-1.0, -1, 1, 1]) * 3 * math.sqrt(3 / 4)
    assert [np.var(group, ddof=1) for group in (wm, csf)] == pytest.approx([8, 9])
    expected = (2 * 1 + 1 * 8 + 3 * 9) / (9 - 3) / 10
    assert metrics.dispersion_index([gm, wm, csf]) == pytest.approx(expected, rel=1e-12)
    # A tissue of one voxel leaves the pool, and its degree of freedom with it.
    assert metrics.dispersion_index([gm, wm, csf[:1]]) == pytest.approx((2 + 8) / 3 / 10, rel=1e-12)


def test_qei_of_known_terms():
    # By hand: 1 - exp(-3.0126) for a perfect map, no dispersion, nothing negative.
    assert metrics.quality_evaluation_index(1, 0, 0) == pytest.approx((1 - math.exp(-3.0126)) ** (1 / 3), rel=1e-14)
    assert metrics.quality_evaluation_index(-0.5, 3, 0.2) == 0
    # The geometric mean of the three terms, each computed alone.
    terms = (
        1 - math.exp(-3.0126 * 0.6**2.4419),
        math.exp(-0.054 * 8**0.9272),
        math.exp(-2.8478 * 0.1**0.5196),
    )
    expected = stats.gmean(terms)
    assert metrics.quality_evaluation_index(0.6, 8, 0.1) == pytest.approx(expected, rel=1e-12)


def test_qei_of_a_map_equals_a_direct_computation(brain):
    affine, inside, gm, wm, csf = brain
    rng = np.random.default_rng(2)
    cbf = (60 * gm + 20 * wm + rng.normal(0, 40, gm.shape)).astype(np.float32) * inside
    found = qei(cbf, affine, inside, gm, wm, csf)

    sigma = 5 / (2 * math.sqrt(2 * math.log(2))) / np.array([3, 3, 4])
    weight = ndimage.gaussian_filter(inside.astype(float), sigma, mode="constant", truncate=3)
    smooth = ndimage.gaussian_filter(cbf.astype(float) * inside, sigma, mode="constant", truncate=3)
    smooth[inside] /= weight[inside]
    grey, white, fluid = (smooth[inside & (tissue > 0.7)] for tissue in (gm, wm, csf))
    rho = max(0, np.corrcoef(smooth[inside], (2.5 * gm + wm)[inside])[0, 1])
    freedom = len(grey) + len(white) + len(fluid) - 3
    pooled = sum((len(g) - 1) * np.var(g, ddof=1) for g in (grey, white, fluid)) / freedom
    dispersion, negative = pooled / abs(grey.mean()), (grey < 0).mean()
    exponent = 0.054 * dispersion**0.9272 + 2.8478 * negative**0.5196
    expected = ((1 - math.exp(-3.0126 * rho**2.4419)) * math.exp(-exponent)) ** (1 / 3)
    assert 0.05 < rho < 0.95
    assert found["structural_similarity"] == pytest.approx(rho, rel=1e-4)
    assert found["dispersion_index"] == pytest.approx(dispersion, rel=1e-4)
    assert found["qei"] == pytest.approx(expected, rel=1e-4)


def test_qei_falls_with_noise(brain):
    affine, inside, gm, wm, csf = brain
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, gm.shape)
    values = [
        qei((60 * gm + 20 * wm + s * noise).astype(np.float32), affine, inside, gm, wm, csf)["qei"]
        for s in (1, 50, 200, 2000)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert values[-1] < 0.4


def test_tissue_mask_falls_back_step_by_step():
    probability = np.full((10, 10, 1), 0.65)
    inside = np.ones_like(probability, dtype=bool)
    mask, threshold = tissue_maps.tissue_mask(probability, inside, (0.7, 0.6, 0.5))
    assert (mask.sum(), threshold) == (100, 0.6)
    probability[:5] = 0.9
    assert tissue_maps.tissue_mask(probability, inside, (0.7, 0.6, 0.5))[1] == 0.7
    mask, threshold = tissue_maps.tissue_mask(probability * 0.1, inside, (0.7, 0.6, 0.5))
    assert (mask.sum(), threshold) == (0, 0.5)


def test_scan_metrics_of_a_planted_scan(brain):
    _, inside, gm, wm, _ = brain
    cbf = (60 * gm + 20 * wm + 1e-3 * inside).astype(np.float32)
    grey = np.argwhere(gm > 0)
    negative = grey[: len(grey) // 10]
    cbf[tuple(negative.T)] = -60
    # Pairs of which the SD is 30 in every voxel.
    series = cbf[..., np.newaxis] + np.float32([-30, 0, 30])
    found = scan(brain, cbf, series)
    share = len(negative) / len(grey)
    mean = 60 * (1 - 2 * share)
    assert set(found) | set(CONSISTENCY) == set(measure_columns.METRICS)
    assert found["negative_gm_share"] == pytest.approx(share)
    assert found["gm_cbf"] == pytest.approx(mean, rel=1e-4)
    assert found["wm_cbf"] == pytest.approx(20, rel=1e-3)
    assert found["gm_wm_ratio"] == pytest.approx(mean / 20, rel=1e-3)
    sd = 120 * math.sqrt(share * (1 - share) * len(grey) / (len(grey) - 1))
    assert found["spatial_cov"] == pytest.approx(sd / mean, rel=1e-4)
    assert found["temporal_snr"] == pytest.approx(2, rel=1e-3)
    assert (found["fd_mean"], found["fd_max"], found["dvars_mean"]) == pytest.approx((0.25, 0.4, 3))
    assert found["coverage"] == 1
    assert found["pairs"] == found["pairs_used"] == 3
    assert math.isnan(found["registration_overlap"])
    assert (found["gm_threshold"], found["wm_threshold"]) == (0.7, 0.9)
    assert (found["gm_voxels"], found["wm_voxels"]) == (len(grey), int(wm.sum()))


def test_high_cbf_is_counted_in_grey_matter_above_150(brain):
    _, inside, gm, wm, _ = brain
    cbf = (60 * gm + 200 * wm + 1e-3 * inside).astype(np.float32)
    grey = np.argwhere(gm > 0)
    cbf[tuple(grey[:30].T)], cbf[tuple(grey[30:50].T)] = 151, 149
    assert scan(brain, cbf)["high_cbf_share"] == pytest.approx(30 / len(grey), rel=1e-12)


def test_repeats_left_out_have_no_say(brain):
    _, _, gm, wm, _ = brain
    cbf = (60 * gm + 20 * wm + 1e-3).astype(np.float32)
    series = cbf[..., np.newaxis] + np.float32([-3, 0, 3, 500])
    series[:12, :, :, 3] = 0  # nor by what they do not cover
    kept = np.array([True, True, True, False])
    found = scan(brain, cbf, series, kept=kept)
    assert (found["pairs_used"], found["pairs"]) == (3, 4)
    assert found["temporal_snr"] == pytest.approx(20, rel=1e-3)
    # t = 60 / (3 / sqrt(3)) with two degrees of freedom.
    expected = stats.norm.isf(stats.t.sf(60 / math.sqrt(3), 2))
    assert found["gm_cbf_z"] == pytest.approx(expected, rel=1e-4)


def test_zeros_of_the_maps_are_missing_values_not_cbf(brain):
    _, inside, gm, wm, _ = brain
    cbf = (60 * gm + 20 * wm + 1e-3 * inside).astype(np.float32)
    holes = cbf.copy()
    holes[:, :, :6] = 0
    series = np.repeat(holes[..., np.newaxis], 4, axis=3) + np.float32([-3, -1, 1, 3]) * (holes != 0)[..., np.newaxis]
    found = scan(brain, holes, series)
    assert found["gm_cbf"] == pytest.approx(60, rel=1e-4)
    assert found["gm_voxels"] < gm.sum()
    assert found["temporal_snr"] == pytest.approx(60 / math.sqrt(20 / 3), rel=1e-3)


def test_coverage_and_template_correlation(brain):
    _, inside, gm, wm, _ = brain
    cbf = (60 * gm + 20 * wm).astype(np.float32)
    half = inside.copy()
    half[:12] = False
    found = scan(brain, cbf, coverage=half, template_cbf=3 * gm + 7)
    assert found["coverage"] == pytest.approx(0.5)
    assert found["template_correlation"] == pytest.approx(1, rel=1e-6)
    # What lies outside the covered brain has no say.
    spoilt = np.where(half, 3 * gm + 7, 1e4)
    assert scan(brain, cbf, coverage=half, template_cbf=spoilt)["template_correlation"] == pytest.approx(1, rel=1e-6)
    # A map shifted against the template agrees less.
    shifted = np.roll(3 * gm + 7, 6, axis=0)
    assert scan(brain, cbf, template_cbf=shifted)["template_correlation"] < 0.5


def test_a_scan_without_tissue_has_missing_measures_and_no_error(brain):
    _, inside, gm, *_ = brain
    nothing = np.zeros_like(gm)
    found = scan(brain, np.where(inside, 50, 0).astype(np.float32), gm=nothing, wm=nothing, csf=nothing)
    for name in ("qei", "gm_cbf", "wm_cbf", "gm_wm_ratio", "spatial_cov", "negative_gm_share", "temporal_snr"):
        assert math.isnan(found[name]), name


def test_flags_name_measure_and_side():
    measures = dict.fromkeys(measure_columns.METRICS, 1.0) | {
        "qei": 0.2,
        "fd_mean": 0.5,
        "gm_cbf": 150,
        "coverage": math.nan,
    }
    bands = {"qei": (0.5, None), "fd_mean": (None, 0.5), "gm_cbf": (25, 120), "coverage": (0.8, None)}
    assert flags.flags(measures, bands) == ["qei:low", "gm_cbf:high", "coverage:missing"]
    assert flags.describe("qei:low") == "quality evaluation index low"
    assert flags.describe("dvars_mean:high") == "mean DVARS high"


def test_bands_are_overridden_and_removed():
    resolved = flags.resolve({"qei": None, "fd_mean": [None, 0.2], "temporal_snr": [1, None]})
    assert "qei" not in resolved
    assert resolved["fd_mean"] == (None, 0.2)
    assert resolved["temporal_snr"] == (1, None)
    assert resolved["gm_cbf"] == flags.BANDS["gm_cbf"]
    assert flags.resolve({}) == flags.BANDS


@pytest.mark.parametrize("bands", [{"qie": [0, 1]}, {"qei": [1, 0]}, {"qei": [1]}])
def test_bad_bands_are_refused(bands):
    with pytest.raises(InputError, match=r"quality\.bands"):
        flags.resolve(bands)


def test_bands_tell_their_source():
    assert set(flags.SOURCES) == set(flags.BANDS)
    assert all(flags.SOURCES.values())


def test_every_band_is_of_a_measure_and_every_measure_is_described():
    assert set(flags.BANDS) <= set(measure_columns.METRICS)
    for entry in measure_columns.METRICS.values():
        assert set(entry) == {"LongName", "Description", "Units"}
