"""One statistic decides: its p, the p of any of them, and the error of each over all relabellings."""

import itertools

import numpy as np
import permuting
import pytest
from pharmasl.group import combination, verdict
from pharmasl.group.engine import clusters, glm, maxima, tfce
from scipy import ndimage

SHAPE, TREATED, PEOPLE, THRESHOLD = (7, 8, 6), 4, 9, 2.0
PRIMARIES = verdict.PRIMARY


@pytest.fixture(scope="module")
def study():
    """Smooth noise of nine people, four of them treated, under all 126 allocations, the observed one first."""
    rng = np.random.default_rng(5)
    data = np.stack([ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.0).ravel() for _ in range(PEOPLE)], axis=1)
    x = np.arange(PEOPLE) < TREATED
    model = glm.partial_form(x.astype(float), np.ones((PEOPLE, 1)))
    orders = []
    for treated in itertools.combinations(range(PEOPLE), TREATED):
        order = np.empty(PEOPLE, dtype=int)
        rest = [k for k in range(PEOPLE) if k not in treated]
        order[list(treated)], order[rest] = np.arange(TREATED), np.arange(TREATED, PEOPLE)
        orders.append(order)
    lattice = clusters.Lattice(np.ones(SHAPE, dtype=bool), 18)
    return data, model, np.array(orders), lattice


def measured(data, model, orders, lattice):
    """Family-wise p of each voxel by each statistic, the null, t and labels."""
    fit = glm.fit(data, model)
    enhancement = permuting.enhancement()
    null = permuting.null_distribution(
        fit.residuals, model, orders, lattice, THRESHOLD, mass="excess", enhancement=enhancement
    )
    labels, sizes = clusters.label(fit.t, THRESHOLD, lattice)
    masses = clusters.masses(labels, fit.t, THRESHOLD)
    enhanced = np.abs(permuting.enhance(fit.t, lattice.mask, enhancement, model.df))

    def inside(values, largest):
        return np.concatenate([[1.0], maxima.family_wise_p(values, largest)])[labels]

    p = {
        "voxel": maxima.family_wise_p(np.abs(fit.t), null.largest_t(two_sided=True)),
        "extent": inside(sizes, null.largest_extent(two_sided=True)),
        "mass": inside(masses, null.largest_mass(two_sided=True)),
        "tfce": maxima.family_wise_p(enhanced, null.largest_tfce(two_sided=True), tfce.TIE),
    }
    return p, null, labels, len(sizes)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_over_all_allocations_each_choice_errs_at_most_at_its_level_and_the_old_rule_did_not(study, alpha):
    data, model, orders, lattice = study
    hits, old = dict.fromkeys(PRIMARIES, 0), 0
    for observed in orders:
        p, null, labels, number = measured(data[:, np.argsort(observed)], model, orders, lattice)
        for primary in PRIMARIES:
            decided, _ = verdict.decide(
                combination.deciding_p(p, primary, null, True), labels, number, statistic=primary, alpha=alpha
            )
            hits[primary] += decided.significant
        old += any(verdict.passes(values, alpha).any() for values in p.values())
    # Exactly: no more allocations than the level allows, whatever the noise.
    assert all(number <= alpha * len(orders) for number in hits.values()), hits
    assert all(number > 0 for number in hits.values()), hits
    assert old > alpha * len(orders)


def test_any_is_the_rank_of_the_least_p(study):
    data, model, orders, lattice = study
    p, null, _, _ = measured(data, model, orders, lattice)
    maxima = [
        null.largest_t(two_sided=True),
        null.largest_extent(two_sided=True),
        null.largest_mass(two_sided=True),
        null.largest_tfce(two_sided=True),
    ]
    plain = [[np.mean(values >= value * (1 - 1e-7)) for value in values] for values in maxima]
    least = np.min(plain, axis=0)
    assert combination.least_p(null, True) == pytest.approx(least)
    ours = combination.deciding_p(p, "any", null, True)
    least_of_voxels = np.min(list(p.values()), axis=0)
    assert ours == pytest.approx([np.mean(least <= value + 1e-12) for value in least_of_voxels])
    # The analysis as a whole: the observed allocation's own rank.
    assert ours.min() == pytest.approx(np.mean(least <= least[0] + 1e-12))


def test_any_costs_no_more_than_bonferroni_and_no_less_than_nothing(study):
    data, model, orders, lattice = study
    p, null, _, _ = measured(data, model, orders, lattice)
    least = np.min(list(p.values()), axis=0)
    ours = combination.deciding_p(p, "any", null, True)
    assert (ours >= least - 1e-12).all()
    assert (ours <= np.minimum(4 * least, 1) + 1e-12).all()


def test_clusters_take_the_least_of_their_voxels_and_voxels_outside_are_counted():
    labels = np.array([0, 1, 1, 2, 0])
    p = np.array([0.01, 0.2, 0.04, 0.3, 0.6])
    decided, of_clusters = verdict.decide(p, labels, 2, statistic="tfce", alpha=0.05, smallest=0.01)
    assert of_clusters.tolist() == [0.04, 0.3]
    assert decided == verdict.Verdict(
        statistic="tfce",
        error_rate="family-wise error",
        alpha=0.05,
        p=0.01,
        smallest_attainable_p=0.01,
        can_reach_alpha=True,
        significant=True,
        significant_voxels=2,
        significant_clusters=1,
        voxels_outside_clusters=1,
    )
    none, of_clusters = verdict.decide(np.ones(5), np.zeros(5, int), 0, statistic="extent", alpha=0.05, smallest=1 / 3)
    assert (none.significant, none.can_reach_alpha, len(of_clusters)) == (False, False, 0)
