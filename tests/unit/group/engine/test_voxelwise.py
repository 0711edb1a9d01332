"""Voxelwise covariates and F in the permutation engine: against least squares per voxel and relabelling, and its bytes."""

import functools

import numpy as np
import permuting
import pytest
import statsmodels.api as sm
from pharmasl.group.engine import (
    clusters,
    differences,
    glm,
    relabelling,
    row_products,
    tfce,
    voxel_design,
    voxel_fit,
    voxel_permutation,
)
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.permutation import Stride
from pharmasl.group.engine.relabelling import Relabellings
from scipy import special, stats

N, SHAPE = 12, (5, 4, 4)
ONE = np.ones(N)
ARM = (np.arange(N) < 5).astype(float)
LOW, HIGH = (np.arange(N) % 3 == 1).astype(float), (np.arange(N) % 3 == 2).astype(float)
BASELINE, TISSUE = ("baseline",), ("gm",)
MASK = np.ones(SHAPE, dtype=bool)
MASK[0, 0] = False


def select(terms, *columns):
    return np.eye(terms)[list(columns)]


@functools.cache
def data():
    rng = np.random.default_rng(20261128)
    voxels = int(MASK.sum())
    maps = {
        "baseline": rng.normal(60, 10, (N, voxels)).astype(np.float32),
        "gm": rng.uniform(0.1, 0.9, (N, voxels)).astype(np.float32),
    }
    outcome = 0.6 * maps["baseline"] + 8 * ARM[:, None] * maps["gm"] + rng.normal(0, 5, (N, voxels))
    return outcome.astype(np.float32), maps, rng.normal(40, 9, N)


def cases():
    """Name to matrix, weights, voxelwise maps of the columns, and whether signs are flipped."""
    age = data()[2]
    centred = age - age.mean()
    arms = np.column_stack([ONE, LOW, HIGH, age])
    slopes = np.column_stack([ONE, LOW, HIGH, ONE, LOW, HIGH])
    own_slopes = [(), (), (), BASELINE, BASELINE, BASELINE]
    adjusted = np.column_stack([ONE, ARM, ONE, age])
    return {
        "baseline": (adjusted, select(4, 1), [(), (), BASELINE, ()], False),
        "two maps": (np.column_stack([adjusted, ONE]), select(5, 1), [(), (), BASELINE, (), TISSUE], False),
        "F of arms": (arms, select(4, 1, 2), [], False),
        "F of arms, baseline": (np.column_stack([arms, ONE]), select(5, 1, 2), [(), (), (), (), BASELINE], False),
        "slope on the map": (adjusted, select(4, 2), [(), (), BASELINE, ()], False),
        "arm by map": (np.column_stack([adjusted, ARM]), select(5, 4), [(), (), BASELINE, (), BASELINE], False),
        "F of arm by map": (slopes, select(6, 4, 5), own_slopes, False),
        "difference of slopes": (slopes, np.array([[0, 0, 0, 0, 1, -1]]), own_slopes, False),
        "arm and arm by map": (
            np.column_stack([ONE, ARM, ONE, ARM]),
            select(4, 1, 3),
            [(), (), BASELINE, BASELINE],
            False,
        ),
        "arm at 3 above the mean": (
            np.column_stack([ONE, ARM, ONE, ARM]),
            np.array([[0, 1, 0, 3.0]]),
            [(), (), BASELINE, BASELINE],
            False,
        ),
        "product of maps": (np.column_stack([ONE, ARM, ONE]), select(3, 1), [(), (), (*BASELINE, *TISSUE)], False),
        "mean, baseline": (np.column_stack([ONE, ONE, centred]), select(3, 0), [(), BASELINE, ()], True),
        "mean, two maps": (np.column_stack([ONE, ONE, ONE]), select(3, 0), [(), BASELINE, TISSUE], True),
    }


NAMES = list(cases())


def drawn(flipped, number=25):
    rng = np.random.default_rng(5)
    if flipped:
        signs = 1 - 2 * rng.integers(0, 2, (number, N), dtype=np.int8)
        signs[0] = 1
        return Relabellings(signs=signs)
    orders = np.argsort(rng.random((number, N)), axis=1).astype(np.int32)
    orders[0] = np.arange(N)
    return Relabellings(permutations=orders)


@functools.cache
def fitted(name):
    outcome, maps, _ = data()
    matrix, weights, voxelwise, flipped = cases()[name]
    design = voxel_design.design(matrix, weights, voxelwise, flipped=flipped)
    assert voxel_fit.testable(design, outcome, maps).keep.all()
    return design, voxel_fit.fit(design, outcome, maps)


def voxel_matrix(matrix, voxelwise, maps, voxel):
    """A voxel's whole design, as a textbook writes it."""
    out = np.array(matrix, dtype=float)
    for column, names in enumerate(voxelwise):
        for name in names:
            values = maps[name][:, voxel].astype(float)
            out[:, column] *= values - values.mean()
    return out


@functools.cache
def brute_force(name):
    """The statistic of every relabelling and voxel (B, V) by ordinary least squares, Freedman and Lane's residuals permuted."""
    outcome, maps, _ = data()
    matrix, weights, voxelwise, flipped = cases()[name]
    relabellings, voxels = drawn(flipped), outcome.shape[1]
    heights = np.empty((relabellings.number, voxels))
    for voxel in range(voxels):
        design = voxel_matrix(matrix, voxelwise, maps, voxel)
        # The reduced model holds what the whole one does where all tested combinations are 0.
        null = np.linalg.svd(weights)[2][len(weights) :].T
        reduced = sm.OLS(outcome[:, voxel].astype(float), design @ null).fit()
        for b in range(relabellings.number):
            rows = np.arange(N) if relabellings.permutations is None else relabellings.permutations[b]
            signs = np.ones(N) if relabellings.signs is None else relabellings.signs[b]
            # Participant i's residual meets row rows[i] of the design.
            y = np.empty(N)
            y[rows] = reduced.resid * signs
            whole = sm.OLS(y, design).fit()
            found = whole.f_test(weights) if len(weights) > 1 else whole.t_test(weights)
            heights[b, voxel] = float(np.squeeze(found.fvalue if len(weights) > 1 else found.tvalue))
    return heights


@pytest.mark.parametrize("name", NAMES)
def test_observed_statistic_and_effect_are_those_of_least_squares_in_each_voxel(name):
    outcome, maps, _ = data()
    matrix, weights, voxelwise, _ = cases()[name]
    design, fit = fitted(name)
    for voxel in range(outcome.shape[1]):
        columns = voxel_matrix(matrix, voxelwise, maps, voxel)
        whole = sm.OLS(outcome[:, voxel].astype(float), columns).fit()
        assert whole.df_resid == design.df
        if len(weights) == 1:
            found = whole.t_test(weights)
            np.testing.assert_allclose(fit.height[voxel], np.squeeze(found.tvalue), rtol=1e-8, atol=1e-10)
            np.testing.assert_allclose(fit.effect[voxel], np.squeeze(found.effect), rtol=1e-8, atol=1e-10)
            # The standard error is the residual standard deviation over the scale.
            np.testing.assert_allclose(np.sqrt(whole.scale) / fit.scale[voxel], np.squeeze(found.sd), rtol=1e-8)
            continue
        found = whole.f_test(weights)
        np.testing.assert_allclose(fit.height[voxel], found.fvalue, rtol=1e-8)
        np.testing.assert_allclose(special.ndtr(-fit.z[voxel]), found.pvalue, rtol=1e-7)
        estimates = weights @ whole.params
        np.testing.assert_allclose(fit.effect[voxel], estimates[np.abs(estimates).argmax()], rtol=1e-8)


def null_of(name, *, enhancement=None, threads=1, stride=None, kept_bytes=10**9, threshold=None):
    design, fit = fitted(name)
    statistics = MaximumStatistics(
        threshold=voxel_fit.forming_height(design, 0.1) if threshold is None else threshold,
        mass="excess",
        enhancement=enhancement,
    )
    return voxel_permutation.null_distribution(
        fit,
        drawn(design.flipped),
        clusters.Lattice(MASK, 18),
        statistics,
        threads=threads,
        stride=stride,
        kept_bytes=kept_bytes,
    )


@pytest.mark.parametrize("name", NAMES)
def test_null_is_freedman_and_lanes_with_the_voxels_own_covariates_in_the_model(name):
    design, _ = fitted(name)
    heights, threshold = brute_force(name), voxel_fit.forming_height(design, 0.1)
    lattice, enhancement = clusters.Lattice(MASK, 18), permuting.enhancement()
    null = null_of(name, enhancement=enhancement)
    np.testing.assert_allclose(null.max_t, np.maximum(heights.max(axis=1), 0), rtol=1e-7)
    np.testing.assert_allclose(null.min_t, np.minimum(heights.min(axis=1), 0), rtol=1e-7)
    for sign, extent, mass, enhanced in (
        (1, null.extent_positive, null.mass_positive, null.tfce_positive),
        (-1, null.extent_negative, null.mass_negative, null.tfce_negative),
    ):
        for b, t in enumerate(sign * heights):
            labels, sizes = clusters.label(np.maximum(t, 0), threshold, lattice)
            assert extent[b] == sizes.max(initial=0)
            np.testing.assert_allclose(
                mass[b], clusters.masses(labels, t, threshold).max(initial=0), rtol=1e-6, atol=1e-12
            )
            np.testing.assert_allclose(
                enhanced[b], max(tfce.enhance(np.maximum(t, 0), MASK, enhancement).max(), 0), rtol=1e-5
            )


def equal(one, other):
    fields = ("max_t", "min_t", "extent_positive", "extent_negative", "mass_positive", "mass_negative")
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in fields)


@pytest.mark.parametrize("name", NAMES)
def test_bits_do_not_depend_on_threads_batches_tiles_screens_or_what_is_kept(name):
    first = null_of(name, stride=Stride(integers=False))
    fit = fitted(name)[1]
    assert first.max_t[0] == max(fit.height.max(), 0)
    integers = row_products.integers_available()
    for stride in (
        Stride(integers=integers),
        Stride(batch=3, tile=64, integers=integers),
        Stride(batch=7, integers=False),
    ):
        for kept_bytes, threads in ((10**9, 1), (0, 2)):
            assert equal(first, null_of(name, stride=stride, kept_bytes=kept_bytes, threads=threads))
    for threads in (1, 2):
        assert equal(first, null_of(name, enhancement=permuting.enhancement(), threads=threads))


@pytest.mark.skipif(not row_products.integers_available(), reason="needs AVX-512 VNNI and BW")
@pytest.mark.parametrize(("n", "columns"), [(12, 1), (13, 2), (43, 2)])
def test_integer_products_err_by_no_more_than_they_say(n, columns):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(70, 1 + columns, n))
    # A row of one participant alone and one of equal numbers.
    rows[0, 0], rows[1, 1] = np.eye(n)[0], 1.0
    rows /= np.linalg.norm(rows, axis=2)[:, :, None]
    strips = -(-len(rows) // row_products.STRIP)
    pairs = np.zeros((strips, -(-n // 2), 2, row_products.STRIP), np.int16)
    packed = np.zeros((strips, columns, n, row_products.STRIP), np.int16)
    row_products.pack(rows, pairs, packed)
    orders = np.argsort(rng.random((16, n)), axis=1).astype(np.int32)
    padded = np.concatenate([orders, np.zeros((16, n % 2), np.int32)], axis=1)
    products = np.zeros((columns, 16, strips * row_products.STRIP), np.int32)
    row_products.multiply_integers(packed, pairs, padded, products)
    expected = np.einsum("vcbi,vi->cbv", rows[:, 1:][:, :, orders], rows[:, 0])
    error = np.abs(products[:, :, : len(rows)] * row_products.STEP - expected).max()
    assert 0 < error < row_products.rounding(n)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("integers", [False, row_products.integers_available()])
def test_the_largest_statistic_is_the_same_where_no_clusters_are_formed(name, integers):
    design, fit = fitted(name)
    for tile in (64, 512):
        null = voxel_permutation.null_distribution(
            fit,
            drawn(design.flipped),
            clusters.Lattice(MASK, 18),
            MaximumStatistics(),
            stride=Stride(batch=9, tile=tile, integers=integers),
        )
        whole = null_of(name)
        assert np.array_equal(null.max_t, whole.max_t)
        assert np.array_equal(null.min_t, whole.min_t)


def test_a_model_without_maps_has_the_statistic_of_the_plain_engine():
    outcome, _, age = data()
    plain = glm.partial_form(ARM, np.column_stack([ONE, age]))
    design = voxel_design.design(np.column_stack([ONE, ARM, age]), select(3, 1))
    fit, own = differences.fit(outcome, plain), voxel_fit.fit(design, outcome, {})
    np.testing.assert_allclose(own.height, fit.t, rtol=1e-11)
    np.testing.assert_allclose(own.effect, fit.effect, rtol=1e-11)
    np.testing.assert_allclose(own.scale, plain.scale, rtol=1e-12)
    lattice, threshold = clusters.Lattice(MASK, 18), voxel_fit.forming_height(design, 0.1)
    theirs = permuting.null_distribution(fit, plain, drawn(False).permutations, lattice, threshold)
    ours = voxel_permutation.null_distribution(own, drawn(False), lattice, MaximumStatistics(threshold=threshold))
    np.testing.assert_allclose(ours.max_t, theirs.max_t, rtol=1e-11)
    np.testing.assert_allclose(ours.min_t, theirs.min_t, rtol=1e-11)
    assert np.array_equal(ours.extent_positive, theirs.extent_positive)
    assert np.array_equal(ours.extent_negative, theirs.extent_negative)


def test_an_f_of_one_column_would_be_t_squared():
    outcome, maps, _ = data()
    matrix, weights, voxelwise, _ = cases()["arm and arm by map"]
    both = voxel_fit.fit(voxel_design.design(matrix, weights, voxelwise), outcome, maps)
    # The sums of squares of one column after the other make up those of both.
    slope = voxel_fit.fit(voxel_design.design(matrix, weights[1:], voxelwise), outcome, maps)
    arm = voxel_fit.fit(voxel_design.design(matrix[:, :3], [[0, 1, 0]], voxelwise[:3]), outcome, maps)
    first = arm.height**2 / (arm.design.df + arm.height**2)
    second = (1 - first) * slope.height**2 / (slope.design.df + slope.height**2)
    share = first + second
    np.testing.assert_allclose(both.height, share / (1 - share) * both.design.df / 2, rtol=1e-9)


def test_no_two_participants_are_alike_who_have_maps():
    design, _ = fitted("baseline")
    assert relabelling.smallest_p_of_columns(design, drawn(False), two_sided=True) == 1 / 25
    # All signs flipped give the observed |t| in any data, and minus the observed t.
    signs = np.stack([ONE, -ONE, *(1 - 2 * np.eye(N)[:2])]).astype(np.int8)
    flipped, _ = fitted("mean, baseline")
    every = Relabellings(signs=signs)
    assert relabelling.smallest_p_of_columns(flipped, every, two_sided=True) == 0.5
    assert relabelling.smallest_p_of_columns(flipped, every, two_sided=False) == 0.25
    # Without maps participants of one arm are alike: three arms of four.
    arms = voxel_design.design(np.column_stack([ONE, LOW, HIGH]), select(3, 1, 2))
    swapped = np.arange(N)
    swapped[[1, 4]] = swapped[[4, 1]]
    turned = (np.arange(N) + 1) % N
    orders = np.stack([np.arange(N), swapped, turned, np.roll(swapped, 2)[::-1]]).astype(np.int32)
    hits = [len({(LOW[i], LOW[j], HIGH[i], HIGH[j]) for i, j in enumerate(order)}) == 3 for order in orders]
    assert relabelling.smallest_p_of_columns(arms, Relabellings(permutations=orders), two_sided=True) == np.mean(hits)


def test_more_voxels_beyond_the_threshold_than_there_is_room_for(monkeypatch):
    whole = null_of("F of arms, baseline", threshold=1e-3)
    monkeypatch.setattr("pharmasl.group.engine.workers.LEAST_ROOM", 2)
    assert equal(whole, null_of("F of arms, baseline", threshold=1e-3))
    assert whole.extent_positive.max() > 40


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e6])
@pytest.mark.parametrize("name", ["baseline", "F of arms, baseline", "slope on the map", "arm and arm by map"])
def test_a_maps_unit_does_not_matter(name, scale):
    outcome, maps, _ = data()
    design, fit = fitted(name)
    scaled = {key: values.astype(float) * scale for key, values in maps.items()}
    assert voxel_fit.testable(design, outcome, scaled).keep.all()
    other = voxel_fit.fit(design, outcome.astype(float) * scale, scaled)
    np.testing.assert_allclose(other.height, fit.height, rtol=1e-9, atol=1e-12)


def test_voxels_that_cannot_be_tested_are_left_out_for_their_reason():
    outcome, maps, _ = data()
    outcome, maps = outcome.copy(), {name: values.copy() for name, values in maps.items()}
    matrix, weights, voxelwise, _ = cases()["two maps"]
    design = voxel_design.design(matrix, weights, voxelwise)
    maps["gm"][3, 0] = np.nan
    maps["baseline"][2, 1] = np.inf
    maps["gm"][:, 2] = 0.7
    # The one map is the other, the covariate is the arm, the follow-up is the baseline.
    maps["gm"][:, 3] = maps["baseline"][:, 3] / 50 + 0.2
    maps["gm"][:, 4] = ARM + 1e-3 * maps["gm"][:, 4]
    outcome[:, 5] = maps["baseline"][:, 5]
    left = voxel_fit.testable(design, outcome, maps)
    assert np.flatnonzero(~left.keep).tolist() == [0, 1, 2, 3, 4, 5]
    assert left.missing == {"baseline": 1, "gm": 1}
    assert left.constant == {"baseline": 0, "gm": 1}
    assert (left.combination, left.inflated, left.without_variance) == (1, 1, 1)


def test_an_outlying_map_does_not_break_the_screen():
    outcome, maps, _ = data()
    maps = {name: values.astype(float) for name, values in maps.items()}
    maps["baseline"][0] = 1e9
    matrix, weights, voxelwise, _ = cases()["baseline"]
    design = voxel_design.design(matrix, weights, voxelwise)
    keep = voxel_fit.testable(design, outcome, maps).keep
    assert keep.all()
    fit = voxel_fit.fit(design, outcome, maps)
    lattice, statistics = clusters.Lattice(MASK, 18), MaximumStatistics(threshold=2.0, mass="excess")
    results = [
        voxel_permutation.null_distribution(fit, drawn(False), lattice, statistics, stride=Stride(integers=integers))
        for integers in (False, row_products.integers_available())
    ]
    assert equal(*results)
    assert results[0].max_t[0] == max(fit.height.max(), 0)


def test_z_of_f_is_scipys_in_both_tails():
    design, _ = fitted("F of arms, baseline")
    f = np.array([1e-6, 0.01, 0.5, 1.0, 3.0, 40.0, 2000.0])
    z = voxel_fit.to_z(f, design)
    np.testing.assert_allclose(z, -stats.norm.isf(stats.f.cdf(f, 2, design.df)), rtol=1e-6, atol=1e-9)
    height = voxel_fit.forming_height(design, 0.001)
    np.testing.assert_allclose(stats.f.sf(height, 2, design.df), 0.001, rtol=1e-10)


def test_tfce_of_the_z_of_f_takes_scipys_z():
    design, fit = fitted("F of arms")
    settings = permuting.enhancement(scale="z")
    z = np.maximum(stats.norm.isf(stats.f.sf(fit.height, 2, design.df)), 0)
    ours = tfce.enhance(fit.height, MASK, settings, design.df, 2)
    np.testing.assert_allclose(ours, tfce.enhance(z, MASK, permuting.enhancement()), rtol=1e-5, atol=1e-9)


def test_dependent_tests_and_a_lacking_intercept_are_refused():
    with pytest.raises(ValueError, match="linearly dependent"):
        voxel_design.design(np.column_stack([ONE, LOW, HIGH]), [[0, 1, -1], [0, -1, 1]])
    with pytest.raises(ValueError, match="must hold the intercept"):
        voxel_design.design(np.column_stack([ARM, ONE]), [[1, 0]], [(), BASELINE])
    with pytest.raises(ValueError, match="not about a mean"):
        voxel_design.design(np.column_stack([ARM, ONE]), [[1, 0]], flipped=True)
    design, fit = fitted("baseline")
    with pytest.raises(ValueError, match="do not fit"):
        voxel_permutation.null_distribution(
            fit, drawn(True), clusters.Lattice(MASK, 18), MaximumStatistics(threshold=2.0)
        )
    outcome, maps, _ = data()
    with pytest.raises(ValueError, match="no map baseline"):
        voxel_fit.testable(design, outcome, {"gm": maps["gm"]})
