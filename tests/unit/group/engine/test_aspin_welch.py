"""A residual variance for each arm: Welch's test, the formula of the paper, and the maxima over relabellings."""

import itertools

import numpy as np
import permuting
import pytest
from pharmasl.errors import InputError
from pharmasl.group.engine import aspin_welch, clusters, differences, glm, maxima
from scipy import special, stats

SHAPE = (6, 7, 5)
VOXELS = int(np.prod(SHAPE))


def study(n1, n2, covariates=0, arms=2, seed=0):
    rng = np.random.default_rng(seed)
    n = n1 + n2
    groups = np.repeat([0, 1], [n1, n2]) if arms == 2 else np.arange(n) % arms
    x = (groups == 0).astype(float)
    nuisance = np.column_stack([np.ones(n), rng.normal(size=(n, covariates))])
    if arms > 2:
        nuisance = np.column_stack([nuisance, *(groups == g for g in range(2, arms))])
    spread = np.where(groups == 0, 3.0, 1.0)[:, None]
    data = rng.normal(size=(n, VOXELS)) * spread + 5
    return data, x, nuisance, groups


def plainly(data, x, nuisance, groups):
    """v and its degrees of freedom voxel by voxel, as the paper writes them (Winkler et al. 2014, eqs. of variance groups)."""
    design = np.column_stack([x, nuisance])
    hat = design @ np.linalg.pinv(design)
    forming = np.eye(len(x)) - hat
    contrast = np.zeros(design.shape[1])
    contrast[0] = 1
    v, df = np.empty(data.shape[1]), np.empty(data.shape[1])
    for k in range(data.shape[1]):
        beta = np.linalg.lstsq(design, data[:, k], rcond=None)[0]
        residual = forming @ data[:, k]
        weight, inverse = np.empty(len(x)), 0.0
        freedom = {g: np.trace(forming[np.ix_(groups == g, groups == g)]) for g in set(groups.tolist())}
        for g, own in freedom.items():
            weight[groups == g] = own / (residual[groups == g] ** 2).sum()
        v[k] = beta[0] / np.sqrt(np.linalg.inv(design.T @ np.diag(weight) @ design)[0, 0])
        for g, own in freedom.items():
            inverse += (1 - weight[groups == g].sum() / weight.sum()) ** 2 / own
        df[k] = 1 / inverse
    return v, df


def fitted(data, x, nuisance, groups):
    model = glm.partial_form(x, nuisance)
    fit = differences.fit(np.asarray(data), model)
    return aspin_welch.ByArm(fit, model, groups, ["a", "b", "c"])


def identity(n):
    return np.arange(n)[None]


@pytest.mark.parametrize(("n1", "n2"), [(6, 6), (4, 11), (21, 22)])
def test_two_arms_without_covariates_are_welchs_test(n1, n2):
    data, *design = study(n1, n2)
    observed = fitted(data, *design).observed(identity(n1 + n2))
    welch = stats.ttest_ind(data[:n1], data[n1:], equal_var=False)
    assert observed.v == pytest.approx(welch.statistic, rel=1e-10)
    assert observed.df == pytest.approx(welch.df, rel=1e-10)
    assert observed.variances == pytest.approx(np.stack([data[:n1].var(0, ddof=1), data[n1:].var(0, ddof=1)]), rel=1e-9)


@pytest.mark.parametrize(("covariates", "arms"), [(0, 2), (3, 2), (0, 3), (2, 3)])
def test_v_and_its_degrees_of_freedom_are_those_of_the_paper(covariates, arms):
    data, *design = study(7, 9, covariates, arms)
    observed = fitted(data, *design).observed(identity(16))
    v, df = plainly(data, *design)
    assert observed.v == pytest.approx(v, rel=1e-9)
    assert observed.df == pytest.approx(df, rel=1e-9)


def test_v_is_compared_as_the_z_of_its_own_tail():
    data, *design = study(5, 8, 1)
    observed = fitted(data, *design).observed(identity(13))
    assert np.abs(observed.z - glm.t_to_z(observed.v, observed.df)).max() < 1e-3
    v = np.concatenate([np.linspace(-40, 40, 801), [0.0]])
    for df in (2.0, 3.3, 10.0, 80.0):
        ours = np.array([aspin_welch._normal(float(value), df) for value in v])
        exact = glm.t_to_z(v, df)
        assert np.abs(ours - exact).max() < (0.05 if df < 3 else 0.01)
        assert (np.diff(ours[:-1]) > 0).all()


@pytest.mark.parametrize("covariates", [0, 2])
def test_maxima_are_freedman_lane_done_plainly(covariates):
    n1, n2, threshold = 5, 6, 1.5
    data, x, nuisance, groups = study(n1, n2, covariates, seed=4)
    rng = np.random.default_rng(1)
    orders = np.array([np.arange(11), *(rng.permutation(11) for _ in range(40))])
    lattice = clusters.Lattice(np.ones(SHAPE, dtype=bool), 18)
    enhancement = permuting.enhancement()
    model = fitted(data, x, nuisance, groups)
    null = permuting.null_by_arm(model, orders, lattice, threshold, mass="excess", enhancement=enhancement)
    residual = data - nuisance @ np.linalg.lstsq(nuisance, data, rcond=None)[0]
    for b, order in enumerate(orders):
        permuted = np.empty_like(residual)
        permuted[np.arange(11)] = residual
        # Rows of the design and their arms move together against the data.
        v, df = plainly(permuted, x[order], nuisance[order], groups[order])
        z = np.array([aspin_welch._normal(one, two) for one, two in zip(v, df)])
        assert (null.max_t[b], null.min_t[b]) == pytest.approx((max(z.max(), 0), min(z.min(), 0)), rel=1e-8)
        labels, sizes = clusters.label(z, threshold, lattice)
        signs = np.array([np.sign(z[labels == k][0]) for k in range(1, len(sizes) + 1)])
        assert null.extent_positive[b] == max(sizes[signs > 0], default=0)
        assert null.extent_negative[b] == max(sizes[signs < 0], default=0)
        assert null.mass_positive[b] == pytest.approx(
            max(clusters.masses(labels, z, threshold)[signs > 0], default=0), rel=1e-7
        )
        enhanced = permuting.enhance(z, lattice.mask, enhancement, 10.0)
        assert null.tfce_positive[b] == pytest.approx(max(enhanced.max(), 0), rel=1e-5)


def test_the_observed_map_and_the_first_relabelling_have_the_same_bits_on_any_number_of_threads():
    data, *design = study(9, 12, 2, seed=2)
    rng = np.random.default_rng(3)
    orders = np.array([np.arange(21), *(rng.permutation(21) for _ in range(99))])
    lattice = clusters.Lattice(np.ones(SHAPE, dtype=bool), 18)
    model = fitted(data, *design)
    z = model.observed(orders).z
    nulls = [permuting.null_by_arm(model, orders, lattice, 2.0, mass="total", threads=threads) for threads in (1, 2, 3)]
    assert nulls[0].max_t[0] == z.max()
    assert nulls[0].min_t[0] == z.min()
    for other in nulls[1:]:
        for name in ("max_t", "min_t", "extent_positive", "mass_negative"):
            assert np.array_equal(getattr(nulls[0], name), getattr(other, name))


def test_equal_and_own_variances_agree_where_arms_are_of_one_size():
    """For two arms of one size v is t; only the degrees of freedom differ."""
    data, x, nuisance, groups = study(8, 8)
    observed = fitted(data, x, nuisance, groups).observed(identity(16))
    assert observed.v == pytest.approx(differences.fit(data, glm.partial_form(x, nuisance)).t, rel=1e-10)


def test_over_all_allocations_the_error_is_exact_where_the_arms_are_exchangeable():
    """Equal variances: the permutation test is exact with v too, counted over all 126 allocations of 4 and 5."""
    rng = np.random.default_rng(6)
    data = rng.normal(size=(9, VOXELS))
    x, groups = (np.arange(9) < 4).astype(float), (np.arange(9) >= 4).astype(int)
    orders = []
    for treated in itertools.combinations(range(9), 4):
        order = np.empty(9, dtype=int)
        order[list(treated)] = np.arange(4)
        order[[k for k in range(9) if k not in treated]] = np.arange(4, 9)
        orders.append(order)
    lattice = clusters.Lattice(np.ones(SHAPE, dtype=bool), 18)
    null = permuting.null_by_arm(fitted(data, x, np.ones((9, 1)), groups), np.array(orders), lattice, 2.0)
    p = maxima.family_wise_p(null.largest_t(two_sided=True), null.largest_t(two_sided=True))
    assert (p <= 0.05).sum() == int(0.05 * 126)


def test_unequal_variances_are_held_where_the_pooled_t_is_not():
    """The largest z of one voxel, so that the nominal error is that of a t test: 6 of 30, the few three times as variable."""
    rng = np.random.default_rng(8)
    n1, n2, studies = 6, 24, 4000
    groups = np.repeat([0, 1], [n1, n2])
    data = rng.normal(size=(n1 + n2, studies)) * np.where(groups == 0, 3.0, 1.0)[:, None]
    x = (groups == 0).astype(float)
    model = glm.partial_form(x, np.ones((n1 + n2, 1)))
    fit = differences.fit(data, model)
    observed = aspin_welch.ByArm(fit, model, groups, ["a", "b"]).observed(identity(n1 + n2))
    limit = special.ndtri(0.975)
    assert np.mean(np.abs(observed.z) > limit) == pytest.approx(0.05, abs=0.015)
    assert np.mean(np.abs(glm.t_to_z(fit.t, model.df)) > limit) > 0.2


def test_an_arm_too_small_for_a_variance_is_refused():
    data, x, nuisance, groups = study(2, 9, 3)
    with pytest.raises(InputError, match=r"inference\.variance.*2 participants of a"):
        fitted(data, x, nuisance, groups)


def test_a_voxel_that_does_not_vary_has_no_v():
    data, x, nuisance, groups = study(5, 6)
    data[:, 3] = 7.0
    observed = fitted(data, x, nuisance, groups).observed(identity(11))
    assert (observed.v[3], observed.z[3]) == (0, 0)
    assert np.isfinite(observed.v).all()
