"""M0 against signals simulated from their own closed forms: recovery, echo time, gain and the brain's darkened edge."""

import numpy as np
import pytest
from perfusion_settings import perfusion
from pharmasl.errors import InputError
from pharmasl.perfusion import calibration
from pharmasl.space import resample
from pharmasl.study import scan_acquisition, settings
from scipy import ndimage

SCAN = {
    "repetition_time": 4.0,
    "m0_repetition_time": 6.0,
    "t1_tissue": 1.607,
    "m0_echo_time": 0.010,
    "echo_time": 0.030,
    "t2_star": 0.0473,
}
# The consensus calibration.
M0 = perfusion()["m0"]
OFF = {"t1_recovery": False, "echo_time_correction": False}


def scale(acquisition, origin, series, m0):
    """The factors, from plain values."""
    acquired = scan_acquisition.build({"volume_types": [], **acquisition})
    return calibration.scale(acquired, origin, series, settings.build(settings.M0, {**M0, **m0}))


def signal(magnetisation, time, t1, echo, t2_star):
    """Of a saturation-recovery image."""
    return magnetisation * (1 - np.exp(-time / t1)) * np.exp(-echo / t2_star)


def test_the_quotient_of_two_echo_times_is_that_of_one():
    # deltaM of 1 percent of M0, read at another echo time than M0, which has recovered for but 6 s, at an eighth of its
    # gain: with the factors, the quotient is what it is.
    m0 = signal(800.0, 6.0, 1.607, 0.010, 0.0473) / 8
    difference = 0.01 * 800.0 * np.exp(-0.030 / 0.0473)
    factors = scale(SCAN, "separate", "x", {**M0, "scale": 8})
    assert difference / (m0 * factors.product) == pytest.approx(0.01, rel=1e-12)
    assert factors.product == pytest.approx(factors.t1_recovery * factors.echo_time * factors.scale, rel=1e-15)
    assert factors.t1_recovery == calibration.recovery(6.0, 1.607)
    assert factors.scale == 8
    assert factors.repetition_time == 6.0
    assert factors.echo_times == (0.010, 0.030)
    assert factors.t2_star == 0.0473
    assert factors.echo_reason.startswith("corrected")


def test_echo_factor():
    # exp(-20 / 47.3): without it, CBF would be a third too low.
    assert calibration.echo_factor(0.010, 0.030, 0.0473) == pytest.approx(0.65519, abs=1e-5)
    assert calibration.echo_factor(0.030, 0.010, 0.0473) == pytest.approx(1 / 0.65519, rel=1e-4)
    assert calibration.echo_factor(0.012, 0.012, 0.0473) == 1
    for times in ((None, 0.01), (0.01, None), (None, None)):
        assert calibration.echo_factor(*times, None) == 1


@pytest.mark.parametrize(
    ("change", "origin", "changed", "reason"),
    [
        ({"m0_echo_time": None}, "separate", {}, "no EchoTime of the M0 image is given"),
        ({"echo_time": None}, "separate", {}, "no EchoTime is given"),
        ({"echo_time": None, "m0_echo_time": None}, "separate", {}, "and no EchoTime"),
        ({"m0_echo_time": 0.030, "t2_star": None}, "separate", {}, "the same"),
        ({}, "separate", {"echo_time_correction": False}, "switched off"),
        ({}, "included", {}, "of the series itself"),
        ({}, "control", {}, "of the series itself"),
    ],
)
def test_an_echo_factor_of_one_tells_why(change, origin, changed, reason):
    factors = scale({**SCAN, **change}, origin, "x", changed)
    assert factors.echo_time == 1
    assert reason in factors.echo_reason


def test_acquisitions_that_know_no_echo_time_work_as_before():
    known = {"m0_repetition_time": 4.0, "t1_tissue": 1.607}
    factors = scale(known, "separate", "x", M0)
    assert factors.product == calibration.recovery(4.0, 1.607)
    assert scale({}, "included", "x", {**M0, "t1_recovery": False}).product == 1


def test_m0_that_is_a_number_or_not_needed_has_no_factor():
    for origin in ("estimate", "none"):
        factors = scale({}, origin, "x", {**M0, "scale": 32})
        assert factors.product == 1
        assert factors.repetition_time is None


def test_the_gain_applies_whatever_else_is_off():
    for origin in ("separate", "included", "control"):
        assert scale({}, origin, "x", {**OFF, "scale": 96}).product == 96


@pytest.mark.parametrize(
    ("change", "changed", "field"),
    [
        ({}, {"scale": 0}, "perfusion.m0.scale"),
        ({}, {"scale": -1}, "perfusion.m0.scale"),
        ({}, {"scale": "32"}, None),
        ({}, {"scale": "GE"}, "perfusion.m0.scale"),
        ({"m0_repetition_time": 0}, {}, "RepetitionTimePreparation of the M0 image"),
        ({"t1_tissue": None}, {}, "T1 of tissue"),
        ({"m0_echo_time": 0}, {}, "EchoTime of the M0 image"),
        ({"echo_time": [0.01, 0.02]}, {}, "EchoTime"),
        # A known mismatch is never passed over.
        ({"t2_star": None}, {}, "T2* of tissue"),
    ],
)
def test_senseless_values_are_named(change, changed, field):
    if field is None:
        assert scale({**SCAN, **change}, "separate", "x", changed).scale == 32
        return
    with pytest.raises(InputError) as error:
        scale({**SCAN, **change}, "separate", "sub-01_asl.nii.gz", changed)
    assert error.value.field == field
    assert error.value.file == "sub-01_asl.nii.gz"


AFFINE = np.diag([3.0, 3.0, 5.0, 1.0])
SHAPE = (24, 26, 14)


def ball(radius=30.0, shape=SHAPE, affine=AFFINE):
    where = [(np.arange(n) - (n - 1) / 2) * affine[a, a] for a, n in enumerate(shape)]
    x, y, z = np.meshgrid(*where, indexing="ij")
    return np.sqrt(x**2 + y**2 + z**2) < radius


@pytest.mark.parametrize("fwhm", [0.0, 5.0, 16.0])
def test_a_darkened_rim_is_restored_from_inside(fwhm):
    mask = ball()
    # What lies within 3 mm in the plane, or the last slice, is half fluid and air.
    inner = ndimage.distance_transform_edt(mask, sampling=(3, 3, 5)) > 5
    m0 = np.where(inner, 1000.0, np.where(mask, 400.0, 30.0))
    found = calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=fwhm, factor=1.25, series="x", edge=5.0)
    assert found[mask] == pytest.approx(1250, rel=1e-5)
    assert np.isnan(found[~mask]).all()
    # Without it, the rim stays dark, and CBF there too high.
    plain = calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=fwhm, factor=1.25, series="x", edge=0)
    assert plain[mask & ~inner].mean() < 1000


def test_an_edge_of_zero_is_what_it_was():
    mask = ball()
    m0 = np.random.default_rng(0).normal(1000, 100, SHAPE)
    m0[10:12, 10:12] = np.nan
    expected = resample.smooth(m0, AFFINE, 5.0, mask)
    for found in (
        calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=5.0, factor=1.0, series="x", edge=0),
        # Less than a voxel: no centre lies so near to one outside.
        calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=5.0, factor=1.0, series="x", edge=2.9),
    ):
        assert np.array_equal(found, expected, equal_nan=True)


def test_the_edge_of_the_field_of_view_is_no_edge_of_the_brain():
    # A slab through the brain: its end slices are as bright as they are, and stay in.
    mask = ball(60.0, (40, 40, 6))
    assert mask[..., 0].any()
    m0 = np.random.default_rng(1).normal(1000, 50, mask.shape)
    core = ndimage.distance_transform_edt(mask, sampling=(3, 3, 5)) > 3
    found = calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=0.0, factor=1.0, series="x", edge=3.0)
    assert core[..., 0].any()
    assert core[..., -1].any()
    assert np.array_equal(found[core], m0[core].astype(np.float32))
    everywhere = np.ones(SHAPE, dtype=bool)
    m0 = np.random.default_rng(2).normal(1000, 50, SHAPE)
    found = calibration.prepare(m0, AFFINE, everywhere, smoothing_fwhm=0.0, factor=1.0, series="x", edge=30.0)
    assert np.array_equal(found, m0.astype(np.float32))


def test_what_was_not_sampled_stays_missing_and_spreads_not():
    mask = ball()
    m0 = np.full(SHAPE, 1000.0)
    m0[..., :4] = np.nan
    found = calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=5.0, factor=1.0, series="x", edge=5.0)
    assert np.isnan(found[..., :4]).all()
    assert found[..., 4:][mask[..., 4:]] == pytest.approx(1000, rel=1e-5)


def test_a_real_edge_is_mended_for_the_most_part():
    # A uniform brain seen through a point spread of 7 mm: its mean over the outermost voxels is dark by 29 percent, by
    # 7 once they are filled from 5 mm within and by less than one from 8 mm.
    mask = ball(36.0, (30, 30, 18))
    m0 = ndimage.gaussian_filter(1000.0 * mask, 7 / resample.FWHM_PER_SIGMA / np.array([3, 3, 5]))
    rim = mask & (ndimage.distance_transform_edt(mask, sampling=(3, 3, 5)) <= 3)
    before = (
        1 - calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=5.0, factor=1.0, series="x", edge=0)[rim].mean() / 1000
    )
    after = (
        1
        - calibration.prepare(m0, AFFINE, mask, smoothing_fwhm=5.0, factor=1.0, series="x", edge=8.0)[rim].mean() / 1000
    )
    assert before > 0.2
    assert 0 <= after < 0.1 * before


def test_an_edge_that_eats_the_brain_is_an_error():
    with pytest.raises(InputError, match=r"perfusion\.m0\.edge"):
        calibration.prepare(
            np.full(SHAPE, 1000.0), AFFINE, ball(), smoothing_fwhm=5.0, factor=1.0, series="x", edge=40.0
        )


def test_the_rim_is_filled_with_the_weighted_mean_of_what_lies_within():
    # A row of voxels of 3 mm. The outermost of the mask take the Gaussian mean of the five within, by hand.
    m0 = np.array([7.0, 300, 900, 1000, 1200, 800, 1100, 200, 5]).reshape(-1, 1, 1)
    mask = np.zeros(m0.shape, dtype=bool)
    mask[1:8] = True
    found = calibration.prepare(
        m0, np.diag([3.0, 3, 3, 1]), mask, smoothing_fwhm=8.0, factor=1.0, series="x", edge=3.0
    ).ravel()
    sigma = 8.0 / resample.FWHM_PER_SIGMA / 3
    for at in (1, 2, 4, 7):
        weight = np.exp(-0.5 * ((np.arange(2, 7) - at) / sigma) ** 2)
        weight[np.abs(np.arange(2, 7) - at) > round(3 * sigma)] = 0
        assert found[at] == pytest.approx(np.sum(weight * m0[2:7, 0, 0]) / weight.sum(), rel=1e-5)
    assert np.isnan(found[[0, 8]]).all()
