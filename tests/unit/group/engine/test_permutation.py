"""Permutation inference: against FSL, PALM, nilearn, enumeration and plain linear algebra; its calibration; its bytes."""

import itertools

import numpy as np
import permuting
import pytest
from loading import shared_data
from pharmasl.group.engine import clusters, differences, glm, integer_products, maxima, permutation, relabelling, tfce
from scipy import ndimage, special

LIMIT_99 = 2.576


def small(covariate=False):
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    change = (stored["Y"][:, 1] - stored["Y"][:, 0]).astype(np.float64)
    nuisance = np.column_stack([np.ones(15)] + ([stored["design"][:, 2]] if covariate else []))
    drug = stored["drug"].astype(float)
    model = glm.partial_form(drug, nuisance)
    fit = glm.fit(change.T.copy(), model)
    return folder / "small_reference", stored["mask"], np.column_stack([drug, nuisance]), model, fit


def sorted_equal(ours, theirs):
    return np.array_equal(np.sort(ours), np.sort(theirs))


def test_exhaustive_null_and_p_are_those_of_enumeration_fsl_and_palm():
    folder, mask, rows, model, fit = small()
    enumeration, fsl, palm = (np.load(folder / f"{name}.npz") for name in ("enumeration", "randomise", "palm"))
    relabellings, exhaustive = relabelling.relabellings(rows, 6435, 0)
    assert exhaustive
    assert len(relabellings) == 6435
    for k, neighbours in enumerate((6, 18, 26)):
        lattice = clusters.Lattice(mask, neighbours)
        null = permuting.null_distribution(fit.residuals, model, relabellings, lattice, float(enumeration["u"]))
        np.testing.assert_allclose(np.sort(null.max_t), np.sort(enumeration["max_t"]), rtol=1e-11)
        np.testing.assert_allclose(np.sort(null.min_t), np.sort(enumeration["min_t"]), rtol=1e-11)
        assert sorted_equal(null.extent_positive, enumeration["max_extent"][:, k, 0])
        assert sorted_equal(null.extent_negative, enumeration["max_extent"][:, k, 1])
    two_sided = maxima.family_wise_p(np.abs(fit.t), null.largest_t(two_sided=True))
    assert np.abs(two_sided - enumeration["p_voxel_two_sided"]).max() < 1e-7
    assert np.abs(two_sided - palm["tt_two_sided_voxel_pfwe"]).max() < 1e-7
    for contrast, t, null_t, extent in (
        (1, fit.t, null.max_t, null.extent_positive),
        (2, -fit.t, -null.min_t, null.extent_negative),
    ):
        p = maxima.family_wise_p(t, null_t)
        assert np.abs(p - fsl[f"tt_c{contrast}_voxel_pfwe"]).max() < 1e-7
        assert np.abs(p - palm[f"tt_c{contrast}_voxel_pfwe"]).max() < 1e-7
        # 26 neighbours, as both programs have them.
        assert sorted_equal(extent, fsl[f"tt_c{contrast}_extent_null_max"])
        assert sorted_equal(extent, palm[f"tt_c{contrast}_extent_null_max"])


@pytest.mark.parametrize("contrast", [1, 2])
def test_cluster_p_map_is_fsls(contrast):
    folder, mask, rows, model, fit = small()
    fsl = np.load(folder / "randomise.npz")
    relabellings, _ = relabelling.relabellings(rows, 6435, 0)
    lattice = clusters.Lattice(mask, 26)
    null = permuting.null_distribution(fit.residuals, model, relabellings, lattice, 3.851982391)
    labels, sizes = clusters.label(np.maximum(fit.t if contrast == 1 else -fit.t, 0), 3.851982391, lattice)
    extent = null.extent_positive if contrast == 1 else null.extent_negative
    p = np.concatenate([[1.0], maxima.family_wise_p(sizes, extent)])[labels]
    assert np.abs(p - fsl[f"tt_c{contrast}_extent_pfwe"]).max() < 1e-7


def test_nilearns_permutations_replayed_give_nilearns_p():
    folder, mask, _, model, fit = small(covariate=True)
    nilearn = np.load(folder / "nilearn.npz")
    lattice = clusters.Lattice(mask, 6)
    null = permuting.null_distribution(
        fit.residuals, model, nilearn["permutations"].astype(np.int32), lattice, float(nilearn["forming_t"])
    )
    assert np.abs(null.largest_t(two_sided=True) - nilearn["h0_max_t"]).max() < 1e-6
    assert np.array_equal(null.largest_extent(two_sided=True), nilearn["h0_max_size"].ravel())
    # nilearn's list lacks the identity; it adds 1 to both counts.
    with_identity = np.append(null.largest_t(two_sided=True), np.abs(fit.t).max())
    p = maxima.family_wise_p(np.abs(fit.t), with_identity)
    np.testing.assert_allclose(p, 10.0 ** -nilearn["logp_max_t"].astype(float), rtol=1e-5)


@pytest.mark.parametrize("contrast", [1, 2])
def test_fsls_freedman_lane_permutations_replayed_give_fsls_null(contrast):
    folder, mask, _, model, fit = small(covariate=True)
    fsl = np.load(folder / "randomise.npz")
    relabellings = fsl[f"ttc_c{contrast}_permutations"].astype(np.int32)
    null = permuting.null_distribution(fit.residuals, model, relabellings, clusters.Lattice(mask, 26), 3.929633265)
    t = null.max_t if contrast == 1 else -null.min_t
    extent = null.extent_positive if contrast == 1 else null.extent_negative
    # Its null is stored as text with five digits.
    assert np.abs(t - fsl[f"ttc_c{contrast}_voxel_null_max"]).max() < 6e-5
    assert np.array_equal(extent, fsl[f"ttc_c{contrast}_extent_null_max"])


def noise(seed, n=11, shape=(9, 10, 8), covariates=2, shift=0.0):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) > 0.05
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=shape), 1)[mask] for _ in range(n)], axis=1)
    maps += shift * rng.normal(size=n)
    x = (np.arange(n) < n // 2).astype(float)
    nuisance = np.column_stack([np.ones(n), rng.normal(size=(n, covariates))])
    return mask, maps, x, nuisance


def plainly(data, x, nuisance, order, threshold, mask):
    """Freedman and Lane as they wrote it, by least squares: permute residuals of the reduced model, add its fit, refit."""
    fitted = nuisance @ np.linalg.lstsq(nuisance, data.T, rcond=None)[0]
    # Row i of the design meets the residual of the participant who got it.
    new = fitted + (data.T - fitted)[np.argsort(order)]
    design = np.column_stack([x, nuisance])
    beta, rss, *_ = np.linalg.lstsq(design, new, rcond=None)
    t = beta[0] / np.sqrt(rss / (len(x) - design.shape[1]) * np.linalg.inv(design.T @ design)[0, 0])
    volume = np.zeros(mask.shape)
    volume[mask] = t
    sizes = []
    for part in (volume > threshold, volume < -threshold):
        found, _ = ndimage.label(part, ndimage.generate_binary_structure(3, 2))
        sizes.append(np.bincount(found.ravel())[1:].max(initial=0))
    return max(t.max(), 0), min(t.min(), 0), *sizes


@pytest.mark.parametrize("covariates", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.5, 2.5, 50.0])
def test_null_is_freedman_lane_done_plainly(covariates, threshold):
    mask, data, x, nuisance = noise(3, covariates=covariates)
    model = glm.partial_form(x, nuisance)
    fit = glm.fit(data.copy(), model)
    relabellings, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 40, 5)
    null = permuting.null_distribution(fit.residuals, model, relabellings, clusters.Lattice(mask, 18), threshold)
    expected = np.array([plainly(data, x, nuisance, order, threshold, mask) for order in relabellings])
    np.testing.assert_allclose(null.max_t, expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(null.min_t, expected[:, 1], rtol=1e-9)
    np.testing.assert_array_equal(null.extent_positive, expected[:, 2])
    np.testing.assert_array_equal(null.extent_negative, expected[:, 3])


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_bits_do_not_depend_on_threads_batches_or_tiles(shift):
    # A person's global shift makes maps with t of one sign everywhere: then there is no largest negative t to find.
    mask, data, x, nuisance = noise(4, shape=(24, 20, 18), shift=shift)
    model = glm.partial_form(x, nuisance)
    fit = glm.fit(data, model)
    relabellings, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 150, 1)

    def run(**settings):
        null = permuting.null_distribution(
            fit.residuals, model, relabellings, clusters.Lattice(mask, 18), 2.0, **settings
        )
        return np.stack([null.max_t, null.min_t, null.extent_positive, null.extent_negative])

    first = run()
    for settings in (
        {"threads": 3, "batch": 7},
        {"batch": 1, "tile": 100},
        {"tile": 10**6},
        {"batch": 1000, "tile": 63},
    ):
        assert np.array_equal(first, run(**settings)), settings
    assert first[0, 0] == max(fit.t.max(), 0)
    assert first[1, 0] == min(fit.t.min(), 0)
    labels, sizes = clusters.label(fit.t, 2.0, clusters.Lattice(mask, 18))
    assert first[2:, 0].max() == sizes.max(initial=0)
    assert labels.max() == len(sizes)


def test_more_candidates_than_there_is_room_for():
    # Above 16 x 4096 voxels the list of candidates is shorter than the mask; a strong effect everywhere overflows it.
    rng = np.random.default_rng(6)
    mask = np.ones((42, 42, 42), bool)
    x = np.repeat([1.0, 0.0], 4)
    data = rng.normal(size=(mask.sum(), 8)) * 0.1 + 5 * x
    model = glm.partial_form(x, np.ones((8, 1)))
    fit = glm.fit(data, model)
    null = permuting.null_distribution(
        fit.residuals, model, np.arange(8, dtype=np.int32)[None], clusters.Lattice(mask, 18), 3.0
    )
    assert null.max_t[0] == fit.t.max()
    assert null.extent_positive[0] == clusters.label(fit.t, 3.0, clusters.Lattice(mask, 18))[1][0] == mask.sum()


def test_screening_never_errs_by_more_than_it_allows():
    rng = np.random.default_rng(7)
    for n in (6, 43, 200):
        weights = rng.normal(size=(200, n))
        weights /= np.linalg.norm(weights, axis=1)[:, None]
        data = rng.normal(size=(3000, n))
        exact = data @ weights.T
        single = data.astype(np.float32) @ weights.astype(np.float32).T
        error = np.abs(single - exact) / np.linalg.norm(data, axis=1)[:, None]
        assert 0 < error.max() < permutation.screening_error(n)


@pytest.mark.skipif(not integer_products.available(), reason="needs a processor with AVX-512 VNNI")
@pytest.mark.parametrize("n", [5, 8, 43])
def test_integer_products_err_by_no_more_than_they_say(n):
    rng = np.random.default_rng(n)
    weights = rng.normal(size=(10, n))
    weights -= weights.mean(axis=1, keepdims=True)
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    data = (rng.normal(size=(150, n)) * 10.0 ** rng.integers(-4, 5, (150, 1)) + 300).astype(np.float32)
    data[5] = 7.0
    tiles = [data[:64], data[64:128], data[128:]]
    packed, small = integer_products.Packed(tiles, 150, n, True), integer_products.PackedWeights(weights)
    products = np.empty((12, 192), np.int32)
    packed.multiply(small, 0, 150, products)
    found = products[:10, :150] * small.scale[:, None].astype(float) * packed.scale
    error = np.abs(found - weights @ data.astype(float).T)
    bound = small.norm * packed.error.astype(float) + (small.error + 1e-5) * packed.norm
    assert (error <= bound + 1e-12).all()
    # The bound is of the size of the error, or the screen would let everything through.
    rough = packed.norm > 1e-3
    assert rough.sum() > 100
    assert np.median(bound[rough] / packed.norm[rough]) < 0.03


@pytest.mark.parametrize("covariates", [0, 1, 3])
@pytest.mark.parametrize("threshold", [None, 0.3, 2.5])
def test_single_precision_and_integer_screens_give_the_same_bits(covariates, threshold):
    if not integer_products.available():
        pytest.skip("needs a processor with AVX-512 VNNI")
    mask, data, x, nuisance = noise(16, shape=(15, 14, 13), covariates=covariates, shift=2.0)
    for model, settings in (
        (glm.partial_form(x, nuisance), {}),
        (
            glm.mean_form(np.ones(11), nuisance[:, 1:]),
            {"signs": relabelling.flips(np.ones((11, 1)), 50, 1)[0]},
        ),
    ):
        order = None if settings else relabelling.relabellings(np.column_stack([x, nuisance]), 50, 1)[0]
        fit = differences.fit(data.T + 3.0, model)
        found = [
            permuting.null_distribution(
                fit, model, order, clusters.Lattice(mask, 18), threshold, integers=integers, **settings
            )
            for integers in (False, True)
        ]
        assert np.array_equal(table(found[0], STATISTICS), table(found[1], STATISTICS))


@pytest.mark.parametrize("integers", [False, True])
def test_the_one_voxel_of_the_other_sign_is_found_however_near_to_0(integers):
    if integers and not integer_products.available():
        pytest.skip("needs a processor with AVX-512 VNNI")
    rng = np.random.default_rng(17)
    mask = np.ones((10, 10, 10), bool)
    x = np.repeat([1.0, 0.0], 6)
    data = rng.normal(size=(1000, 12)) + 20 * x
    data[700] = np.tile([1.0, -1.0], 6) - 1e-9 * x
    model = glm.partial_form(x, np.ones((12, 1)))
    fit = differences.fit(data.T, model)
    assert (fit.t < 0).sum() == 1
    order = np.arange(12, dtype=np.int32)[None]
    null = permuting.null_distribution(fit, model, order, clusters.Lattice(mask, 18), integers=integers)
    assert null.min_t[0] == fit.t[700] < 0
    # Weights that do not sum to 0: the mean of the data counts.
    model = glm.mean_form(np.ones(12))
    fit = differences.fit(data.T, model)
    null = permuting.null_distribution(fit, model, order, clusters.Lattice(mask, 18), integers=integers)
    assert null.max_t[0] == fit.t.max()


def test_relabellings_of_two_arms_are_all_combinations_once():
    x = np.array([1, 0, 0, 1, 0, 1.0])
    orders, exhaustive = relabelling.relabellings(np.column_stack([x, np.ones(6)]), 20, 0)
    assert exhaustive
    assert orders[0].tolist() == list(range(6))
    assert {tuple(x[order]) for order in orders} == set(itertools.permutations(x))
    assert len(orders) == 20
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_relabellings_with_a_covariate_are_all_orders_of_the_distinct_rows():
    rows = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 1]])
    orders, exhaustive = relabelling.relabellings(rows, 60, 0)
    assert exhaustive
    assert len(orders) == 60
    assert {tuple(map(tuple, rows[order])) for order in orders} == set(itertools.permutations(map(tuple, rows)))
    assert 10 ** relabelling.log10_distinct(rows) == pytest.approx(60)
    _, exhaustive = relabelling.relabellings(rows, 59, 0)
    assert not exhaustive


def test_random_relabellings_are_permutations_from_the_seed():
    rows = np.column_stack([np.arange(12.0), np.ones(12)])
    orders, exhaustive = relabelling.relabellings(rows, 3000, 11)
    assert not exhaustive
    assert orders[0].tolist() == list(range(12))
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(12), (3000, 1)))
    assert np.array_equal(orders, relabelling.relabellings(rows, 3000, 11)[0])
    assert not np.array_equal(orders, relabelling.relabellings(rows, 3000, 12)[0])
    # Every participant meets every row equally often: chi-squared with 11 df, its 99.99 % point is 37.4.
    for column in orders[1:].T:
        counts = np.bincount(column, minlength=12)
        assert ((counts - 2999 / 12) ** 2 / (2999 / 12)).sum() < 37.4


def test_smallest_p_counts_the_mirror_of_equal_arms():
    def smallest(x, two_sided):
        nuisance = np.ones((len(x), 1))
        orders, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 5000, 0)
        return permuting.smallest_p(glm.partial_form(x, nuisance), orders, two_sided)

    assert smallest(np.repeat([1.0, 0.0], 4), True) == 2 / 70
    assert smallest(np.repeat([1.0, 0.0], 4), False) == 1 / 70
    assert smallest(np.array([1.0] * 3 + [0.0] * 5), True) == 1 / 56


def test_ties_of_the_mirror_are_counted():
    # Four against four: the swapped labels give -t, so the observed maximum is met twice, to the last digit or nearly.
    rng = np.random.default_rng(8)
    mask = np.ones((6, 6, 6), bool)
    x = np.repeat([1.0, 0.0], 4)
    data = rng.normal(size=(216, 8))
    data[100] += 20 * x
    model = glm.partial_form(x, np.ones((8, 1)))
    fit = glm.fit(data, model)
    orders, _ = relabelling.relabellings(np.column_stack([x, np.ones(8)]), 100, 0)
    null = permuting.null_distribution(fit.residuals, model, orders, clusters.Lattice(mask, 18), 3.0)
    assert maxima.family_wise_p(np.abs(fit.t), null.largest_t(two_sided=True))[100] == 2 / 70
    assert maxima.family_wise_p(fit.t, null.max_t)[100] == 1 / 70


def test_family_wise_p_and_critical_value_by_hand():
    null = np.array([5.0, 1.0, 2.0, 2.0, 3.0])
    assert maxima.family_wise_p([0.5, 2.0, 2.5, 5.0], null).tolist() == [1.0, 0.8, 0.4, 0.2]
    assert maxima.critical_value(null, 0.4) == 3.0
    assert maxima.critical_value(null, 0.39) == 5.0
    assert np.isnan(maxima.critical_value(null, 0.1))


STATISTICS = ("max_t", "min_t", "extent_positive", "extent_negative")
MASSES = ("mass_positive", "mass_negative")
ENHANCED = ("tfce_positive", "tfce_negative")


def table(null, names=STATISTICS + MASSES + ENHANCED):
    return np.stack([getattr(null, name) for name in names])


def test_exhaustive_tfce_null_and_p_are_those_of_enumeration():
    folder, mask, rows, model, fit = small()
    enumeration = np.load(folder / "enumeration.npz")
    relabellings, _ = relabelling.relabellings(rows, 6435, 0)
    lattice = clusters.Lattice(mask, 18)
    null = permuting.null_distribution(fit.residuals, model, relabellings, lattice, enhancement=permuting.enhancement())
    stored = enumeration["max_tfce"]
    # Both deal the drug's places in the order of combinations.
    np.testing.assert_allclose(null.tfce_positive, stored[:, 0], rtol=1e-6)
    np.testing.assert_allclose(null.tfce_negative, stored[:, 1], rtol=1e-6)
    assert not null.extent_positive.any()
    ours, theirs = permuting.enhance(fit.t, mask), enumeration["tfce_6"].astype(float)
    for sign, largest, column in ((1, null.tfce_positive, 0), (-1, null.tfce_negative, 1)):
        some = sign * theirs > 0
        p = maxima.family_wise_p(sign * ours[some], largest, tfce.TIE)
        assert p.min() >= 1 / 6435
        # The stored maps are single precision: a relabelling that close may fall on either side.
        low, high = (
            maxima.family_wise_p(sign * theirs[some] * (1 + error), stored[:, column], 0.0) for error in (3e-7, -3e-7)
        )
        assert (low <= p).all()
        assert (p <= high).all()
        assert np.mean(low == high) > 0.99
    on_z = permuting.enhancement(scale="z")
    null = permuting.null_distribution(fit.residuals, model, relabellings[:300], lattice, enhancement=on_z)
    np.testing.assert_allclose(null.tfce_positive, enumeration["max_tfce_z"][:300, 0], rtol=1e-6)
    np.testing.assert_allclose(null.tfce_negative, enumeration["max_tfce_z"][:300, 1], rtol=1e-6)


def test_mass_is_that_of_enumeration_fsl_and_palm():
    folder, mask, rows, model, fit = small()
    enumeration, fsl, palm = (np.load(folder / f"{name}.npz") for name in ("enumeration", "randomise", "palm"))
    relabellings, _ = relabelling.relabellings(rows, 6435, 0)
    u = float(enumeration["u"])

    def run(neighbours, **settings):
        lattice = clusters.Lattice(mask, neighbours)
        return permuting.null_distribution(fit.residuals, model, relabellings, lattice, u, **settings)

    for k, neighbours in enumerate((6, 18, 26)):
        null = run(neighbours, mass="excess")
        # Summed in single precision there.
        for side, ours in enumerate((null.mass_positive, null.mass_negative)):
            np.testing.assert_allclose(np.sort(ours), np.sort(enumeration["max_mass"][:, k, side]), atol=1e-5)
    total = run(26, mass="total")
    for contrast, ours in ((1, total.mass_positive), (2, total.mass_negative)):
        np.testing.assert_allclose(np.sort(ours), np.sort(fsl[f"tt_c{contrast}_mass_null_max"]), rtol=6e-5)
        labels, _ = clusters.label(np.maximum((3 - 2 * contrast) * fit.t, 0), u, clusters.Lattice(mask, 26))
        p = maxima.family_wise_p(clusters.masses(labels, fit.t, 0.0), ours)
        assert np.abs(np.append(1.0, p)[labels] - fsl[f"tt_c{contrast}_mass_pfwe"]).max() < 1e-7
    merged = run(26, mass="total", scale="z", merge=True)
    assert sorted_equal(merged.extent_positive, enumeration["max_extent_merged"][:, 2])
    np.testing.assert_allclose(np.sort(merged.mass_positive), np.sort(palm["tt_two_sided_mass_z_null_max"]), rtol=1e-6)
    assert np.array_equal(merged.mass_positive, merged.mass_negative)
    labels, _ = clusters.label(fit.t, u, clusters.Lattice(mask, 26), merge=True)
    p = maxima.family_wise_p(clusters.masses(labels, glm.t_to_z(fit.t, model.df), 0.0), merged.mass_positive)
    assert np.abs(np.append(1.0, p)[labels] - palm["tt_two_sided_mass_z_pfwe"]).max() < 1e-7


def test_nilearns_mass_is_ours():
    folder, mask, _, model, fit = small(covariate=True)
    nilearn = np.load(folder / "nilearn.npz")
    u = float(nilearn["forming_t"])
    relabellings = nilearn["permutations"].astype(np.int32)
    null = permuting.null_distribution(fit.residuals, model, relabellings, clusters.Lattice(mask, 6), u, mass="excess")
    np.testing.assert_allclose(null.largest_mass(two_sided=True), nilearn["h0_max_mass"].ravel(), atol=1e-4)


def plain_mass_and_tfce(data, x, nuisance, order, sign, threshold, mask):
    """Freedman and Lane by least squares, then scipy's labels: mass of either sign; and the exact TFCE of that map."""
    # Without nuisance terms there is nothing to fit first.
    fitted = (
        nuisance @ np.linalg.lstsq(nuisance, data.T, rcond=None)[0] if nuisance.shape[1] else np.zeros(data.T.shape)
    )
    new = fitted + sign[:, None] * (data.T - fitted)[np.argsort(order)]
    design = np.column_stack([x, nuisance])
    beta, rss, *_ = np.linalg.lstsq(design, new, rcond=None)
    t = beta[0] / np.sqrt(rss / (len(x) - design.shape[1]) * np.linalg.inv(design.T @ design)[0, 0])
    volume = np.zeros(mask.shape)
    volume[mask] = t
    masses = []
    for part in (volume > threshold, volume < -threshold):
        found, number = ndimage.label(part, ndimage.generate_binary_structure(3, 2))
        sums = ndimage.sum_labels(np.abs(volume) - threshold, found, np.arange(1, number + 1))
        masses.append(np.max(sums, initial=0))
    enhanced = permuting.enhance(t, mask)
    return max(t.max(), 0), min(t.min(), 0), *masses, max(enhanced.max(), 0), max(-enhanced.min(), 0)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("covariates", [0, 2])
def test_all_statistics_are_freedman_lane_done_plainly(covariates, flipped):
    mask, data, x, nuisance = noise(13, covariates=covariates)
    order, signs = np.tile(np.arange(11), (30, 1)), np.ones((30, 11))
    if flipped:
        # The mean change, covariates centred.
        x, nuisance = np.ones(11), nuisance[:, 1:] - nuisance[:, 1:].mean(axis=0)
        data += 0.3
        model = glm.mean_form(x, nuisance)
        signs, _ = relabelling.flips(np.column_stack([x, nuisance]), 30, 2)
    else:
        model = glm.partial_form(x, nuisance)
        order, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 30, 2)
    fit = differences.fit(np.ascontiguousarray(data.T), model)
    null = permuting.null_distribution(
        fit,
        model,
        None if flipped else order,
        clusters.Lattice(mask, 18),
        2.0,
        signs=signs if flipped else None,
        mass="excess",
        enhancement=permuting.enhancement(),
    )
    expected = [plain_mass_and_tfce(data, x, nuisance, o, s, 2.0, mask) for o, s in zip(order, signs)]
    ours = table(null, ("max_t", "min_t", *MASSES, *ENHANCED)).T
    np.testing.assert_allclose(ours[:, :4], np.array(expected)[:, :4], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours[:, 4:], np.array(expected)[:, 4:], rtol=2e-7)


def test_a_file_read_in_tiles_gives_the_bits_of_data_in_memory(tmp_path):
    mask, data, x, nuisance = noise(14, shape=(20, 19, 17), shift=1.0)
    data[40:60] = 7.0  # voxels that do not vary
    model = glm.partial_form(x, nuisance)
    relabellings, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 70, 1)
    settings = {"mass": "excess", "enhancement": permuting.enhancement(neighbours=18)}
    values = data.T.astype(np.float32)
    stored = np.lib.format.open_memmap(tmp_path / "d.npy", mode="w+", dtype=np.float32, shape=values.shape)
    stored[:] = values
    stored.flush()
    stored = np.load(tmp_path / "d.npy", mmap_mode="r")
    assert isinstance(stored, np.memmap)
    whole = differences.fit(np.ascontiguousarray(values.T).T, model)
    lattice = clusters.Lattice(mask, 18)
    first = table(permuting.null_distribution(whole, model, relabellings, lattice, 2.0, tile=10**6, **settings))
    assert first[0, 0] == whole.t.max()
    assert first[1, 0] == whole.t.min()
    enhanced = permuting.enhance(whole.t, mask, settings["enhancement"])
    np.testing.assert_allclose(first[6:, 0], (enhanced.max(), -enhanced.min()), rtol=1e-12)
    assert not whole.varies[40:60].any()
    assert whole.varies.sum() == len(whole.t) - 20
    assert not whole.t[40:60].any()
    for tile, threads, batch in ((97, 1, 11), (1000, 2, 32), (4096, 3, 70)):
        parts = differences.fit(stored, model, tile=tile)
        for name in ("t", "effect", "square"):
            assert np.array_equal(getattr(parts, name), getattr(whole, name))
        run = {"tile": tile, "threads": threads, "batch": batch}
        null = permuting.null_distribution(parts, model, relabellings, lattice, 2.0, **run, **settings)
        assert np.array_equal(table(null), first), run
        # The screened path decides the same bits as whole maps.
        null = permuting.null_distribution(parts, model, relabellings, lattice, 2.0, mass="excess", **run)
        assert np.array_equal(table(null, STATISTICS + MASSES), first[:6])
        null = permuting.null_distribution(parts, model, relabellings, lattice, **run)
        assert np.array_equal(table(null, STATISTICS[:2]), first[:2])


@pytest.mark.parametrize("covariates", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [11, 14])
def test_differences_need_no_residuals(covariates, n):
    """Weights residualised instead of data: the same t, whatever the mean of the data and their layout."""
    mask, data, x, nuisance = noise(15, n=n, covariates=covariates)
    data = (data * 10.0 ** np.arange(-3, 3)[np.arange(len(data)) % 6, None] + 500).astype(np.float32)
    model = glm.partial_form(x, nuisance)
    usual = glm.fit(data.astype(float), model)
    relabellings, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 20, 1)
    for values in (data.T, data.T.astype(float), np.ascontiguousarray(data.T)):
        ours = differences.fit(values, model)
        # A thousandth upon five hundred keeps ten digits.
        np.testing.assert_allclose(ours.t, usual.t, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(ours.effect, usual.effect, rtol=1e-7, atol=1e-9)
        pair = [
            permuting.null_distribution(source, model, relabellings, clusters.Lattice(mask, 18), 2.0, mass="excess")
            for source in (ours, usual.residuals)
        ]
        np.testing.assert_allclose(*(table(null, STATISTICS + MASSES) for null in pair), rtol=1e-6)


def test_more_voxels_beyond_the_threshold_than_there_is_room_for_with_tfce():
    rng = np.random.default_rng(6)
    mask = np.ones((42, 42, 42), bool)
    x = np.repeat([1.0, 0.0], 4)
    model = glm.partial_form(x, np.ones((8, 1)))
    fit = differences.fit((rng.normal(size=(mask.sum(), 8)) * 0.1 + 5 * x).T, model)
    order = np.arange(8, dtype=np.int32)[None]
    lattice = clusters.Lattice(mask, 18)
    for settings in ({}, {"enhancement": permuting.enhancement()}):
        null = permuting.null_distribution(fit, model, order, lattice, 3.0, mass="total", **settings)
        assert null.max_t[0] == fit.t.max()
        assert null.extent_positive[0] == mask.sum()
        assert null.mass_positive[0] == pytest.approx(fit.t.sum(), rel=1e-12)


def test_permutations_stay_within_their_blocks():
    sites = np.array(list("aabbbacbba"))
    rows = np.column_stack([np.arange(10.0), np.ones(10)])
    orders, exhaustive = relabelling.relabellings(rows, 500, 3, blocks=sites)
    assert not exhaustive
    assert orders[0].tolist() == list(range(10))
    assert (sites[orders] == sites).all()
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(10), (500, 1)))
    assert len(np.unique(orders, axis=0)) > 400
    assert np.array_equal(orders, relabelling.relabellings(rows, 500, 3, blocks=sites)[0])
    # One block is no restriction.
    free = relabelling.relabellings(rows, 500, 3)[0]
    assert np.array_equal(free, relabelling.relabellings(rows, 500, 3, blocks=["x"] * 10)[0])
    with pytest.raises(ValueError, match="9 blocks"):
        relabelling.relabellings(rows, 500, 3, blocks=sites[:9])


def test_exhaustive_permutations_within_blocks_are_all_and_distinct():
    sites = np.array([0, 1, 0, 1, 0, 1, 1])
    x = np.array([1, 1, 0, 0, 0, 1, 0.0])
    rows = np.column_stack([x, np.ones(7)])
    orders, exhaustive = relabelling.relabellings(rows, 18, 0, blocks=sites)
    assert exhaustive
    assert orders[0].tolist() == list(range(7))
    assert 10 ** relabelling.log10_distinct(rows, sites) == pytest.approx(3 * 6)
    expected = {
        labels
        for labels in itertools.product([0.0, 1.0], repeat=7)
        if sum(np.array(labels)[sites == 0]) == 1 and sum(np.array(labels)[sites == 1]) == 2
    }
    assert {tuple(x[order]) for order in orders} == expected
    assert len(orders) == len(expected) == 18
    assert (sites[orders] == sites).all()


def test_flips_are_all_signs_once_or_random_ones_from_the_seed():
    signs, exhaustive = relabelling.flips(np.ones((5, 1)), 32, 0)
    assert exhaustive
    assert signs[0].tolist() == [1] * 5
    assert {tuple(row) for row in signs.tolist()} == set(itertools.product([1, -1], repeat=5))
    # A person outside the arm in question counts for nothing: no flips are spent on them.
    arm = np.array([1, 1, 0, 1, 0.0])[:, None]
    signs, exhaustive = relabelling.flips(arm, 8, 0)
    assert exhaustive
    assert len(np.unique(signs, axis=0)) == 8
    assert (signs[:, [2, 4]] == 1).all()
    signs, exhaustive = relabelling.flips(np.ones((12, 1)), 2000, 5)
    assert not exhaustive
    assert set(np.unique(signs)) == {-1, 1}
    assert (signs[0] == 1).all()
    assert np.array_equal(signs, relabelling.flips(np.ones((12, 1)), 2000, 5)[0])
    assert np.abs(signs[1:].mean(axis=0)).max() < 4 / np.sqrt(1999)


def test_exhaustive_sign_flip_p_is_brute_forces():
    rng = np.random.default_rng(21)
    mask = np.ones((5, 6, 4), bool)
    data = rng.normal(size=(120, 8)) + np.where(np.arange(120) % 7 == 0, 1.0, 0.0)[:, None]
    model = glm.mean_form(np.ones(8))
    assert model.df == 7
    fit = differences.fit(data.T, model)
    np.testing.assert_allclose(fit.t, data.mean(axis=1) / (data.std(axis=1, ddof=1) / np.sqrt(8)), rtol=1e-12)
    np.testing.assert_allclose(fit.effect, data.mean(axis=1), rtol=1e-12)
    signs, exhaustive = relabelling.flips(np.ones((8, 1)), 256, 0)
    assert exhaustive
    null = permuting.null_distribution(fit, model, None, clusters.Lattice(mask, 18), signs=signs)
    largest = []
    for sign in itertools.product([1, -1], repeat=8):
        flipped = data * np.array(sign)
        largest.append(np.abs(flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / np.sqrt(8))).max())
    expected = (np.array(largest) >= np.abs(fit.t)[:, None] * (1 - 1e-9)).mean(axis=1)
    assert np.array_equal(maxima.family_wise_p(np.abs(fit.t), null.largest_t(two_sided=True)), expected)
    assert expected.min() >= 2 / 256
    assert permuting.smallest_p(model, signs=signs) == 2 / 256
    assert permuting.smallest_p(model, signs=signs, two_sided=False) == 1 / 256


def test_only_a_hypothesis_about_a_mean_flips_signs():
    """A design of arms that names its intercept (or both arms) is still permuted, in every way of writing it."""
    mask, data, x, nuisance = noise(22, covariates=1)
    age, one = nuisance[:, 1:], np.ones((11, 1))
    with pytest.raises(ValueError, match="not about a mean"):
        glm.mean_form(x, np.column_stack([age, one]))
    with pytest.raises(ValueError, match="not about a mean"):
        glm.mean_form(x, np.column_stack([x, 1 - x]))
    with pytest.raises(ValueError, match="intercept"):
        glm.partial_form(np.ones(11), age - age.mean())
    order, _ = relabelling.relabellings(np.column_stack([x, one, age]), 40, 1)
    found = []
    for others in (
        np.column_stack([one, age]),
        np.column_stack([age, one]),
        np.column_stack([one, age, 2 * one + age]),
    ):
        model = glm.partial_form(x, others)
        fit = differences.fit(data.T, model)
        null = permuting.null_distribution(fit, model, order, clusters.Lattice(mask, 18), 2.0, mass="excess")
        found.append(table(null, STATISTICS + MASSES))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-9)


def test_observed_and_permuted_tfce_are_on_one_scale():
    # A sum that lacks its step scales each map by its own maximum: here every relabelling's is the integral itself.
    mask, data, x, nuisance = noise(23, shape=(12, 11, 10), covariates=1)
    model = glm.partial_form(x, nuisance)
    fit = differences.fit(data.T, model)
    order, _ = relabelling.relabellings(np.column_stack([x, nuisance]), 25, 1)
    lattice = clusters.Lattice(mask, 18)
    null = permuting.null_distribution(fit, model, order, lattice, enhancement=permuting.enhancement())
    for b in (0, 7, 24):
        weight = differences.weights(model.x[order[b]], model.basis[order[b]], model.projector)
        products = weight @ data.T
        t = products[0] * np.sqrt(model.df / (fit.square - (products**2).sum(axis=0)))
        whole = permuting.enhance(t, mask)
        np.testing.assert_allclose(
            (null.tfce_positive[b], null.tfce_negative[b]), (whole.max(), -whole.min()), rtol=1e-6
        )


def test_settings_that_contradict_are_refused():
    mask, data, x, nuisance = noise(24)
    model = glm.partial_form(x, nuisance)
    fit = differences.fit(data.T, model)
    order, lattice = np.arange(11)[None], clusters.Lattice(mask, 18)
    for wrong in ({"mass": "sum", "threshold": 2.0}, {"mass": "total"}, {"scale": "p"}, {"signs": np.ones((2, 11))}):
        with pytest.raises(ValueError, match=r"mass must be|relabellings of"):
            permuting.null_distribution(fit, model, order, lattice, **wrong)
    with pytest.raises(ValueError, match="relabellings of"):
        permuting.null_distribution(fit, model, np.arange(10)[None], lattice)
    with pytest.raises(ValueError, match="of the mask"):
        permuting.null_distribution(fit, model, order, clusters.Lattice(np.ones((2, 2, 2), bool), 18))
    for values in (data, data.T.astype(int), np.where(np.arange(11)[:, None] == 1, np.nan, data.T)):
        with pytest.raises(ValueError, match="differences must be"):
            differences.fit(values, model)


def test_false_positive_rate_is_the_nominal_one():
    """400 studies without an effect, 7 against 6 with a covariate: every test rejects 5 %."""
    studies, n, number = 400, 13, 100
    shape = (12, 12, 10)
    mask = np.ones(shape, bool)
    mask[:2, :3] = False
    lattice = clusters.Lattice(mask, 18)
    rng = np.random.default_rng(20200218)
    x = (np.arange(n) < 7).astype(float)
    threshold = float(special.stdtrit(n - 3, 1 - 0.02))
    hits = np.zeros(4)
    for study in range(studies):
        nuisance = np.column_stack([np.ones(n), rng.normal(40, 10, n)])
        # Skewed, of unequal size from person to person, with a global shift: exchangeable, and nothing else.
        fields = ndimage.gaussian_filter(rng.exponential(size=(n, *shape)), (0, 1.2, 1.2, 1.2))[:, mask]
        data = (fields * rng.uniform(0.5, 2, (n, 1)) + 0.1 * rng.normal(size=(n, 1)) + 0.02 * nuisance[:, 1:]).T.copy()
        model = glm.partial_form(x, nuisance)
        fit = glm.fit(data, model)
        orders, _ = relabelling.relabellings(np.column_stack([x, nuisance]), number, study)
        null = permuting.null_distribution(
            fit.residuals, model, orders, lattice, threshold, mass="excess", enhancement=permuting.enhancement()
        )
        maxima_of_all = (
            null.largest_t(two_sided=True),
            null.largest_extent(two_sided=True),
            null.largest_mass(two_sided=True),
            null.largest_tfce(two_sided=True),
        )
        for k, largest in enumerate(maxima_of_all):
            hits[k] += maxima.family_wise_p(largest[:1], largest)[0] <= 0.05
    allowed = LIMIT_99 * np.sqrt(0.05 * 0.95 / studies)
    assert np.abs(hits / studies - 0.05).max() < allowed, hits / studies


def test_false_positive_rate_of_sign_flips_is_the_nominal_one():
    """400 studies of one arm without a change, errors symmetric and unequal from person to person."""
    studies, n = 400, 9
    shape = (9, 8, 8)
    mask = np.ones(shape, bool)
    lattice = clusters.Lattice(mask, 18)
    rng = np.random.default_rng(7)
    age = rng.normal(40, 10, n)
    model = glm.mean_form(np.ones(n), (age - age.mean())[:, None])
    threshold = float(special.stdtrit(model.df, 1 - 0.02))
    hits = np.zeros(3)
    for study in range(studies):
        fields = ndimage.gaussian_filter(rng.laplace(size=(n, *shape)), (0, 1, 1, 1))[:, mask]
        fit = differences.fit(fields * rng.uniform(0.5, 2, (n, 1)) + 0.02 * (age - age.mean())[:, None], model)
        signs, _ = relabelling.flips(np.ones((n, 1)), 100, study)
        null = permuting.null_distribution(
            fit, model, None, lattice, threshold, signs=signs, mass="excess", enhancement=permuting.enhancement()
        )
        for k, largest in enumerate(
            (null.largest_t(two_sided=True), null.largest_mass(two_sided=True), null.largest_tfce(two_sided=True))
        ):
            hits[k] += maxima.family_wise_p(largest[:1], largest)[0] <= 0.05
    # 5 of 100 with the identity among them: exactly 5 % but for ties; a flip of all signs has probability 2^-9.
    allowed = LIMIT_99 * np.sqrt(0.05 * 0.95 / studies)
    assert np.abs(hits / studies - 0.05).max() < allowed, hits / studies


@pytest.mark.parametrize("scale", [1e-11, 1e-300, 1.0, 1e12])
def test_relabellings_do_not_depend_on_the_unit_of_a_column(scale):
    """A predictor of any unit within one arm: all orders of its distinct values, and the same random ones."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=5)
    rows = np.column_stack([values * scale, np.ones(5)])
    orders, exhaustive = relabelling.relabellings(rows, 1000, 1)
    assert (len(orders), exhaustive) == (120, True)
    assert relabelling.log10_distinct(rows) == pytest.approx(np.log10(120))
    drawn, _ = relabelling.relabellings(rows, 50, 1)
    plain, _ = relabelling.relabellings(np.column_stack([values, np.ones(5)]), 50, 1)
    assert np.array_equal(drawn, plain)
    # Of two columns the one in a small unit alone tells who may be flipped.
    signs, _ = relabelling.flips(np.column_stack([[0, 0, 1e6], np.array([1.0, 0, 0]) * scale]), 1000, 1)
    assert len(signs) == 4


def test_rows_that_differ_by_rounding_alone_are_one():
    rows = np.column_stack([[0.1 + 0.2, 0.3, 0.3, 1.0], [1.0, 1.0 + 1e-15, 1.0, 1.0]])
    assert relabelling.log10_distinct(rows) == pytest.approx(np.log10(4))
