"""Permutation inference: against FSL, PALM, nilearn, enumeration and plain linear algebra; its calibration; its bytes."""

import itertools

import numpy as np
import pytest
from loading import shared_data
from pharmasl.group import clusters, glm, permutation
from scipy import ndimage, special

LIMIT_99 = 2.576


def small(covariate=False):
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    change = (stored["Y"][:, 1] - stored["Y"][:, 0]).astype(np.float64)
    nuisance = np.column_stack([np.ones(15)] + ([stored["design"][:, 2]] if covariate else []))
    drug = stored["drug"].astype(float)
    model = glm.model(drug, nuisance)
    fit = glm.fit(change.T.copy(), model)
    return folder / "small_reference", stored["mask"], np.column_stack([drug, nuisance]), model, fit


def sorted_equal(ours, theirs):
    return np.array_equal(np.sort(ours), np.sort(theirs))


def test_exhaustive_null_and_p_are_those_of_enumeration_fsl_and_palm():
    folder, mask, rows, model, fit = small()
    enumeration, fsl, palm = (np.load(folder / f"{name}.npz") for name in ("enumeration", "randomise", "palm"))
    relabellings, exhaustive = permutation.relabellings(rows, 6435, 0)
    assert exhaustive
    assert len(relabellings) == 6435
    for k, neighbours in enumerate((6, 18, 26)):
        lattice = clusters.Lattice(mask, neighbours)
        null = permutation.null_distribution(fit.residuals, model, relabellings, lattice, float(enumeration["u"]))
        np.testing.assert_allclose(np.sort(null.max_t), np.sort(enumeration["max_t"]), rtol=1e-11)
        np.testing.assert_allclose(np.sort(null.min_t), np.sort(enumeration["min_t"]), rtol=1e-11)
        assert sorted_equal(null.extent_positive, enumeration["max_extent"][:, k, 0])
        assert sorted_equal(null.extent_negative, enumeration["max_extent"][:, k, 1])
    two_sided = permutation.family_wise_p(np.abs(fit.t), null.largest_t())
    assert np.abs(two_sided - enumeration["p_voxel_two_sided"]).max() < 1e-7
    assert np.abs(two_sided - palm["tt_two_sided_voxel_pfwe"]).max() < 1e-7
    for contrast, t, null_t, extent in (
        (1, fit.t, null.max_t, null.extent_positive),
        (2, -fit.t, -null.min_t, null.extent_negative),
    ):
        p = permutation.family_wise_p(t, null_t)
        assert np.abs(p - fsl[f"tt_c{contrast}_voxel_pfwe"]).max() < 1e-7
        assert np.abs(p - palm[f"tt_c{contrast}_voxel_pfwe"]).max() < 1e-7
        # 26 neighbours, as both programs have them.
        assert sorted_equal(extent, fsl[f"tt_c{contrast}_extent_null_max"])
        assert sorted_equal(extent, palm[f"tt_c{contrast}_extent_null_max"])


@pytest.mark.parametrize("contrast", [1, 2])
def test_cluster_p_map_is_fsls(contrast):
    folder, mask, rows, model, fit = small()
    fsl = np.load(folder / "randomise.npz")
    relabellings, _ = permutation.relabellings(rows, 6435, 0)
    lattice = clusters.Lattice(mask, 26)
    null = permutation.null_distribution(fit.residuals, model, relabellings, lattice, 3.851982391)
    labels, sizes = clusters.label(np.maximum(fit.t if contrast == 1 else -fit.t, 0), 3.851982391, lattice)
    extent = null.extent_positive if contrast == 1 else null.extent_negative
    p = np.concatenate([[1.0], permutation.family_wise_p(sizes, extent)])[labels]
    assert np.abs(p - fsl[f"tt_c{contrast}_extent_pfwe"]).max() < 1e-7


def test_nilearns_permutations_replayed_give_nilearns_p():
    folder, mask, _, model, fit = small(covariate=True)
    nilearn = np.load(folder / "nilearn.npz")
    lattice = clusters.Lattice(mask, 6)
    null = permutation.null_distribution(
        fit.residuals, model, nilearn["permutations"].astype(np.int32), lattice, float(nilearn["forming_t"])
    )
    assert np.abs(null.largest_t() - nilearn["h0_max_t"]).max() < 1e-6
    assert np.array_equal(null.largest_extent(), nilearn["h0_max_size"].ravel())
    # nilearn's list lacks the identity; it adds 1 to both counts.
    with_identity = np.append(null.largest_t(), np.abs(fit.t).max())
    p = permutation.family_wise_p(np.abs(fit.t), with_identity)
    np.testing.assert_allclose(p, 10.0 ** -nilearn["logp_max_t"].astype(float), rtol=1e-5)


@pytest.mark.parametrize("contrast", [1, 2])
def test_fsls_freedman_lane_permutations_replayed_give_fsls_null(contrast):
    folder, mask, _, model, fit = small(covariate=True)
    fsl = np.load(folder / "randomise.npz")
    relabellings = fsl[f"ttc_c{contrast}_permutations"].astype(np.int32)
    null = permutation.null_distribution(fit.residuals, model, relabellings, clusters.Lattice(mask, 26), 3.929633265)
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
    model = glm.model(x, nuisance)
    fit = glm.fit(data.copy(), model)
    relabellings, _ = permutation.relabellings(np.column_stack([x, nuisance]), 40, 5)
    null = permutation.null_distribution(fit.residuals, model, relabellings, clusters.Lattice(mask, 18), threshold)
    expected = np.array([plainly(data, x, nuisance, order, threshold, mask) for order in relabellings])
    np.testing.assert_allclose(null.max_t, expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(null.min_t, expected[:, 1], rtol=1e-9)
    np.testing.assert_array_equal(null.extent_positive, expected[:, 2])
    np.testing.assert_array_equal(null.extent_negative, expected[:, 3])


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_bits_do_not_depend_on_threads_batches_or_tiles(shift):
    # A person's global shift makes maps with t of one sign everywhere: then there is no largest negative t to find.
    mask, data, x, nuisance = noise(4, shape=(24, 20, 18), shift=shift)
    model = glm.model(x, nuisance)
    fit = glm.fit(data, model)
    relabellings, _ = permutation.relabellings(np.column_stack([x, nuisance]), 150, 1)

    def run(**settings):
        null = permutation.null_distribution(
            fit.residuals, model, relabellings, clusters.Lattice(mask), 2.0, **settings
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
    labels, sizes = clusters.label(fit.t, 2.0, clusters.Lattice(mask))
    assert first[2:, 0].max() == sizes.max(initial=0)
    assert labels.max() == len(sizes)


def test_more_candidates_than_there_is_room_for():
    # Above 16 x 4096 voxels the list of candidates is shorter than the mask; a strong effect everywhere overflows it.
    rng = np.random.default_rng(6)
    mask = np.ones((42, 42, 42), bool)
    x = np.repeat([1.0, 0.0], 4)
    data = rng.normal(size=(mask.sum(), 8)) * 0.1 + 5 * x
    model = glm.model(x, np.ones((8, 1)))
    fit = glm.fit(data, model)
    null = permutation.null_distribution(
        fit.residuals, model, np.arange(8, dtype=np.int32)[None], clusters.Lattice(mask), 3.0
    )
    assert null.max_t[0] == fit.t.max()
    assert null.extent_positive[0] == clusters.label(fit.t, 3.0, clusters.Lattice(mask))[1][0] == mask.sum()


def test_screening_never_errs_by_more_than_it_allows():
    rng = np.random.default_rng(7)
    for n, k in ((6, 0), (43, 2), (200, 5)):
        nuisance = np.column_stack([np.ones(n), rng.normal(size=(n, k))])
        model = glm.model(rng.normal(size=n), nuisance)
        fit = glm.fit(rng.normal(size=(3000, n)), model)
        order = rng.permutation(n)
        exact = fit.residuals @ model.x[order]
        single = fit.residuals.astype(np.float32) @ model.x[order].astype(np.float32)
        error = np.abs(single.astype(float) ** 2 - exact**2).max()
        if k:
            exact = ((fit.residuals @ model.basis[order]) ** 2).sum(axis=1)
            single = ((fit.residuals.astype(np.float32) @ model.basis[order].astype(np.float32)) ** 2).sum(axis=1)
            error = max(error, np.abs(single - exact).max())
        assert 0 < error < permutation.screening_error(model)


def test_relabellings_of_two_arms_are_all_combinations_once():
    x = np.array([1, 0, 0, 1, 0, 1.0])
    orders, exhaustive = permutation.relabellings(np.column_stack([x, np.ones(6)]), 20, 0)
    assert exhaustive
    assert orders[0].tolist() == list(range(6))
    assert {tuple(x[order]) for order in orders} == set(itertools.permutations(x))
    assert len(orders) == 20
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_relabellings_with_a_covariate_are_all_orders_of_the_distinct_rows():
    rows = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 1]])
    orders, exhaustive = permutation.relabellings(rows, 60, 0)
    assert exhaustive
    assert len(orders) == 60
    assert {tuple(map(tuple, rows[order])) for order in orders} == set(itertools.permutations(map(tuple, rows)))
    assert 10 ** permutation.log10_distinct(rows) == pytest.approx(60)
    _, exhaustive = permutation.relabellings(rows, 59, 0)
    assert not exhaustive


def test_random_relabellings_are_permutations_from_the_seed():
    rows = np.column_stack([np.arange(12.0), np.ones(12)])
    orders, exhaustive = permutation.relabellings(rows, 3000, 11)
    assert not exhaustive
    assert orders[0].tolist() == list(range(12))
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(12), (3000, 1)))
    assert np.array_equal(orders, permutation.relabellings(rows, 3000, 11)[0])
    assert not np.array_equal(orders, permutation.relabellings(rows, 3000, 12)[0])
    # Every participant meets every row equally often: chi-squared with 11 df, its 99.99 % point is 37.4.
    for column in orders[1:].T:
        counts = np.bincount(column, minlength=12)
        assert ((counts - 2999 / 12) ** 2 / (2999 / 12)).sum() < 37.4


def test_smallest_p_counts_the_mirror_of_equal_arms():
    def smallest(x, two_sided):
        nuisance = np.ones((len(x), 1))
        orders, _ = permutation.relabellings(np.column_stack([x, nuisance]), 5000, 0)
        return permutation.smallest_p(glm.model(x, nuisance), orders, two_sided)

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
    model = glm.model(x, np.ones((8, 1)))
    fit = glm.fit(data, model)
    orders, _ = permutation.relabellings(np.column_stack([x, np.ones(8)]), 100, 0)
    null = permutation.null_distribution(fit.residuals, model, orders, clusters.Lattice(mask), 3.0)
    assert permutation.family_wise_p(np.abs(fit.t), null.largest_t())[100] == 2 / 70
    assert permutation.family_wise_p(fit.t, null.max_t)[100] == 1 / 70


def test_family_wise_p_and_critical_value_by_hand():
    null = np.array([5.0, 1.0, 2.0, 2.0, 3.0])
    assert permutation.family_wise_p([0.5, 2.0, 2.5, 5.0], null).tolist() == [1.0, 0.8, 0.4, 0.2]
    assert permutation.critical_value(null, 0.4) == 3.0
    assert permutation.critical_value(null, 0.39) == 5.0
    assert np.isnan(permutation.critical_value(null, 0.1))


def test_false_positive_rate_is_the_nominal_one():
    """400 studies without an effect, 7 against 6 with a covariate: voxel and cluster tests each reject 5 %."""
    studies, n, number = 400, 13, 100
    shape = (12, 12, 10)
    mask = np.ones(shape, bool)
    mask[:2, :3] = False
    lattice = clusters.Lattice(mask)
    rng = np.random.default_rng(20200218)
    x = (np.arange(n) < 7).astype(float)
    threshold = float(special.stdtrit(n - 3, 1 - 0.02))
    hits = np.zeros(2)
    for study in range(studies):
        nuisance = np.column_stack([np.ones(n), rng.normal(40, 10, n)])
        # Skewed, of unequal size from person to person, with a global shift: exchangeable, and nothing else.
        fields = ndimage.gaussian_filter(rng.exponential(size=(n, *shape)), (0, 1.2, 1.2, 1.2))[:, mask]
        data = (fields * rng.uniform(0.5, 2, (n, 1)) + 0.1 * rng.normal(size=(n, 1)) + 0.02 * nuisance[:, 1:]).T.copy()
        model = glm.model(x, nuisance)
        fit = glm.fit(data, model)
        orders, _ = permutation.relabellings(np.column_stack([x, nuisance]), number, study)
        null = permutation.null_distribution(fit.residuals, model, orders, lattice, threshold)
        for k, maxima in enumerate((null.largest_t(), null.largest_extent())):
            hits[k] += permutation.family_wise_p(maxima[:1], maxima)[0] <= 0.05
    allowed = LIMIT_99 * np.sqrt(0.05 * 0.95 / studies)
    assert np.abs(hits / studies - 0.05).max() < allowed, hits / studies
