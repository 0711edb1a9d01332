"""Regression of motion from the differences of a series, against planted truth."""

import head
import numpy as np
import pytest
from pharmasl.perfusion import motion, nuisance
from pharmasl.space import spline, transforms

VOXELS = 800


def walk(rng, pairs, step=0.15):
    """Positions of a head that wanders: translations in mm, rotations in radians."""
    return np.cumsum(rng.normal(0, [step] * 3 + [step / 50] * 3, (2 * pairs, 6)), axis=0)


def consecutive(pairs):
    return np.arange(2 * pairs).reshape(-1, 2)


def planted(seed, pairs, effect, noise=20.0, parameters=None):
    """Perfusion, and a static field whose gradient by each parameter is ``effect`` (mL/100 g/min by mm)."""
    rng = np.random.default_rng(seed)
    parameters = walk(rng, pairs) if parameters is None else parameters
    truth = rng.uniform(10, 70, VOXELS)
    gradient = effect * rng.standard_normal((VOXELS, 6)) * ([1] * 3 + [50] * 3)
    way = parameters[0::2] - parameters[1::2]
    series = truth[:, None] + gradient @ way.T + rng.normal(0, noise, (VOXELS, pairs))
    return series, truth, parameters


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("pairs", [12, 30, 60])
def test_a_static_receive_field_is_taken_out(pairs):
    series, truth, parameters = planted(1, pairs, effect=150.0)
    cleaned, told = nuisance.regress(series, parameters, consecutive(pairs))
    assert told.applied
    # Twelve pairs carry two components of six.
    gain = 0.5 if pairs > 12 else 0.85
    assert rms(cleaned.mean(axis=1) - truth) < gain * rms(series.mean(axis=1) - truth)


def test_the_zero_of_the_differences_is_meant():
    # A head that drifts one way lies further along in every label: no demeaned regressor takes that out.
    rng = np.random.default_rng(2)
    parameters = np.zeros((80, 6))
    parameters[:, 2] = 0.3 * np.arange(80) + rng.normal(0, 0.2, 80)
    series, truth, _ = planted(2, 40, effect=100.0, noise=5.0, parameters=parameters)
    cleaned, told = nuisance.regress(series, parameters, consecutive(40))
    assert rms(series.mean(axis=1) - truth) > 20
    assert rms(cleaned.mean(axis=1) - truth) < 1.2 * 5 / np.sqrt(40) * np.sqrt(told.variance_factor)
    assert told.components[0].mean == pytest.approx(0.3, abs=0.08)


def test_without_an_effect_it_costs_only_what_it_states():
    ratios, stated, whole, whole_stated = [], [], [], []
    for seed in range(6):
        series, truth, parameters = planted(10 + seed, 30, effect=0.0)
        plain = rms(series.mean(axis=1) - truth) ** 2
        for shrink, into, said in ((True, ratios, stated), (False, whole, whole_stated)):
            cleaned, told = nuisance.regress(series, parameters, consecutive(30), shrink=shrink)
            into.append(rms(cleaned.mean(axis=1) - truth) ** 2 / plain)
            said.append(told.variance_factor)
    assert np.mean(ratios) == pytest.approx(np.mean(stated), abs=0.02)
    assert np.mean(ratios) < 1.01
    # Unshrunk regression has a price.
    assert np.mean(whole) == pytest.approx(np.mean(whole_stated), abs=0.05)
    assert np.mean(whole) > 1.1


def test_a_fluctuation_of_the_whole_head_is_not_taken_for_motion():
    plain, found = [], []
    for seed in range(20):
        series, truth, parameters = planted(30 + seed, 24, effect=0.0)
        rng = np.random.default_rng(seed)
        series += rng.uniform(0.7, 1.3, VOXELS)[:, None] * rng.normal(0, 60, 24)
        cleaned, _ = nuisance.regress(series, parameters, consecutive(24))
        plain.append(rms(series.mean(axis=1) - truth))
        found.append(rms(cleaned.mean(axis=1) - truth))
    assert rms(found) < 1.02 * rms(plain)
    assert np.max(np.array(found) / plain) < 1.1


def test_the_mean_of_the_cleaned_series_is_a_sum_of_the_repeats():
    series, _, parameters = planted(3, 24, effect=100.0)
    kept = np.arange(24) != 5
    series[:, 5] = 1e4
    cleaned, told = nuisance.regress(series, parameters, consecutive(24), kept)
    assert cleaned[:, kept].mean(axis=1) == pytest.approx(series @ told.weights)
    assert told.weights[5] == 0
    assert told.weights.sum() == pytest.approx(1)
    # Repeats that are left out are cleaned by what the others tell.
    alone, _ = nuisance.regress(series[:, kept], parameters, consecutive(24)[kept])
    assert np.allclose(alone, cleaned[:, kept])


def test_products_are_those_of_the_repeats_less_each_voxels_mean():
    series, rows, columns = planted(12, 24, effect=1.0)[0], np.arange(3, 50, 2), np.array([0, 2, 3, 7, 20])
    known = series[np.ix_(rows, columns)]
    known -= known.mean(axis=1, keepdims=True)
    assert nuisance._products(series, rows, columns) == pytest.approx(known.T @ known, rel=1e-12)


def test_single_precision_stays_single():
    series, _, parameters = planted(11, 24, effect=100.0)
    cleaned, told = nuisance.regress(series, parameters, consecutive(24))
    single, same = nuisance.regress(series.astype(np.float32), parameters, consecutive(24))
    assert single.dtype == np.float32
    assert single == pytest.approx(cleaned, abs=1e-3)
    assert same.variance_factor == pytest.approx(told.variance_factor, rel=1e-5)


def test_mean_positions_may_take_part():
    rng = np.random.default_rng(4)
    series, truth, parameters = planted(4, 60, effect=0.0)
    middle = (parameters[0::2] + parameters[1::2]) / 2
    series += 10 * rng.standard_normal((VOXELS, 1)) * (middle[:, 0] - middle[:, 0].mean())
    without, _ = nuisance.regress(series, parameters, consecutive(60))
    cleaned, told = nuisance.regress(series, parameters, consecutive(60), means=True)
    assert cleaned.std(axis=1).mean() < 0.95 * without.std(axis=1).mean()
    assert cleaned.mean(axis=1) == pytest.approx(series @ told.weights)
    assert rms(cleaned.mean(axis=1) - truth) < 1.1 * rms(series.mean(axis=1) - truth)


def test_voxels_that_some_repeats_miss():
    series, truth, parameters = planted(5, 40, effect=150.0, noise=5.0)
    whole, _ = nuisance.regress(series, parameters, consecutive(40))
    holed = series.copy()
    holed[:50, 7] = np.nan
    holed[50:60, :8] = np.nan
    holed[60:70, :25] = np.nan
    cleaned, _ = nuisance.regress(holed, parameters, consecutive(40))
    assert np.array_equal(np.isnan(cleaned), np.isnan(holed))
    plain, fixed = (np.nanmean(x, axis=1)[:60] - truth[:60] for x in (holed, cleaned))
    assert rms(fixed) < 0.5 * rms(plain)
    assert cleaned[70:] == pytest.approx(whole[70:], abs=1.0)
    # Fifteen of forty repeats are not enough.
    assert np.array_equal(cleaned[60:70], holed[60:70], equal_nan=True)


def test_what_cannot_be_regressed_is_said():
    series, _, parameters = planted(6, 7, effect=100.0)
    cleaned, told = nuisance.regress(series, parameters, consecutive(7))
    assert np.array_equal(cleaned, series)
    assert told.reason == "7 repeats where the regression needs 8"
    assert not told.applied
    series, _, parameters = planted(6, 20, effect=0.0)
    cleaned, told = nuisance.regress(series, parameters * 0, consecutive(20))
    assert np.array_equal(cleaned, series)
    assert told.reason == "no motion of more than 0.02 mm"
    assert np.allclose(told.weights, 1 / 20)
    assert not nuisance.regress(np.ones((9, 20)), parameters, consecutive(20))[1].applied
    assert not nuisance.regress(np.full((9, 20), np.nan), parameters, consecutive(20))[1].applied


def test_collinear_parameters_are_one_component():
    rng = np.random.default_rng(7)
    course = np.cumsum(rng.normal(0, 0.3, 60))
    parameters = np.outer(course, [1, -0.5, 0.2, 0.01, 0, 0.004])
    series, truth, _ = planted(7, 30, effect=80.0, parameters=parameters)
    cleaned, told = nuisance.regress(series, parameters, consecutive(30))
    assert len(told.components) == 1
    assert rms(cleaned.mean(axis=1) - truth) < rms(series.mean(axis=1) - truth)


def test_the_order_of_regressors_and_signs_does_not_matter():
    series, _, parameters = planted(8, 30, effect=100.0)
    first, _ = nuisance.regress(series, parameters, consecutive(30))
    scale = [1.0] * 3 + [nuisance.HEAD_RADIUS] * 3
    swapped = (parameters * scale)[:, [3, 5, 1, 0, 2, 4]] * [1, -1, 1, -1, 1, 1] / scale
    assert np.allclose(nuisance.regress(series, swapped, consecutive(30))[0], first)


def test_a_rendered_head_that_moves_in_a_receive_field():
    grid = head.centred((24, 28, 12), (6.5, 6.5, 9.0), shift=(1, -3, 2))
    rng = np.random.default_rng(9)
    pairs = 16
    positions = walk(rng, pairs, 0.12)
    positions[21:] += [0.8, -0.6, 1.0, 0.02, -0.015, 0.02]
    positions -= positions[0]
    poses = [transforms.rigid_matrix(p[:3], p[3:], (0, 0, 0)) for p in positions]
    points = transforms.points(grid)
    x, y, z = np.moveaxis(points, -1, 0) / 80
    field = 1 + 0.15 * x - 0.2 * y + 0.12 * z + 0.15 * (x * x + y * y)
    static, perfusion = np.array([900.0, 720.0, 1250.0, 450.0]), np.array([6.0, 2.0, 0.0, 0.0])
    shares = [head.scan(grid, pose) for pose in poses]
    inside = shares[0][..., :3].sum(axis=3) > 0.9
    back = [np.linalg.inv(pose) for pose in poses]
    sampled = []
    for number, share in enumerate(shares):
        volume = (share @ (static - perfusion * (number % 2))) * field + rng.normal(0, 1.5, grid.shape)
        sampled.append(spline.sample(spline.coefficients(volume), grid.affine, points[inside], back[number]))
    series = np.array(sampled[0::2]).T - np.array(sampled[1::2]).T
    truth = ((shares[0] @ perfusion) * field)[inside]
    here = np.isfinite(series).mean(axis=1) > 0.5
    parameters = motion.parameters(np.array(back), np.zeros(3))
    cleaned, told = nuisance.regress(series, parameters, consecutive(pairs))
    before, after = (rms(np.nanmean(s[here], axis=1) - truth[here]) for s in (series, cleaned))
    assert told.components[0].f > 3
    assert after < 0.6 * before
