"""Relabelled participants of mixed models: against generalised least squares by brute force, and exact by enumeration."""

import itertools

import numpy as np
import permuting
import pytest
from pharmasl.group.engine import clusters, exchange, reallocation, relabelling
from pharmasl.group.engine.maxima import MaximumStatistics
from scipy import stats

VOXELS = 60


def trial(rng, arms=(5, 7), missing=0.25, sessions=3):
    """Labels, participant and session of each scan; each participant has one scan at least."""
    people = sum(arms)
    pairs = [(p, t) for p in range(people) for t in range(sessions) if t == p % sessions or rng.random() > missing]
    participant, session = np.array(pairs).T
    return (np.arange(people) < arms[0]).astype(int), participant, session


def columns(arm, session, age):
    late = [(session == k).astype(float) for k in (1, 2)]
    return np.column_stack([np.ones(len(session)), arm, *late, *(arm * part for part in late), age])


def designs_of(participant, session, age):
    return np.stack([columns(np.full(len(session), float(k)), session, age[participant]) for k in (0, 1)])


def noise(rng, participant, between=1.0):
    """Voxels whose between-participant variance goes from none to much."""
    share = np.linspace(0, between, VOXELS)
    return (
        40
        + rng.normal(size=(participant.max() + 1, VOXELS))[participant] * share
        + rng.normal(size=(len(participant), VOXELS))
    )


def heights(ready, count):
    made = reallocation.Reallocation(ready)
    out = np.empty((count, ready.scans.shape[1]), dtype=np.float32)
    made._heights(ready.exchange.weights(0, count), out)
    return out


def prepared(y, scheme, patterns=None):
    return reallocation.prepare(lambda start, stop: y[:, start:stop], y.shape[1], scheme, patterns)


def ratio_of(ready, voxel):
    share = ready.ratio[voxel] / (1 + ready.ratio[voxel])
    share = reallocation.SHARES[np.abs(share - reallocation.SHARES).argmin()]
    return share / (1 - share)


def brute_force(y, design, weights, participant, ratio, null=None):
    """z of the t or F of generalised least squares with this covariance, from its definition; first the fit of ``null`` is taken off."""
    member = (participant[:, None] == np.arange(participant.max() + 1)).astype(float)
    precision = np.linalg.inv(np.eye(len(y)) + ratio * member @ member.T)
    if null is not None:
        y = y - null @ np.linalg.solve(null.T @ precision @ null, null.T @ precision @ y)
    inverse = np.linalg.inv(design.T @ precision @ design)
    coefficients = inverse @ design.T @ precision @ y
    rest = y - design @ coefficients
    df = len(y) - design.shape[1]
    variance = rest @ precision @ rest / df
    effects, covariance = weights @ coefficients, variance * weights @ inverse @ weights.T
    if len(weights) == 1:
        t = effects[0] / np.sqrt(covariance[0, 0])
        return np.sign(t) * stats.norm.isf(stats.t.sf(abs(t), df))
    f = effects @ np.linalg.solve(covariance, effects) / len(weights)
    return max(stats.norm.isf(stats.f.sf(f, len(weights), df)), 0)


def drawn(labels, number, seed=1):
    return labels[relabelling.relabellings(labels[:, None].astype(float), number, seed)[0]]


TESTED = {
    "t": np.array([[0, 0, 0, 0, 1, 0.5, 0]]),
    "F": np.array([[0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1.0, 0]]),
    "all terms of the arm": np.array([[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1.0, 0]]),
}


@pytest.mark.parametrize("name", TESTED)
def test_reallocated_heights_are_generalised_least_squares(name):
    rng = np.random.default_rng(4)
    labels, participant, session = trial(rng)
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    weights, every = TESTED[name], drawn(labels, 50)
    assert exchange.tests_labels(designs, weights)
    scheme = exchange.allocation(designs, weights, participant, every, exhaustive=False, log10_distinct=0.0)
    ready = prepared(y, scheme)
    found = heights(ready, 50)
    rows = np.arange(len(participant))
    for b, voxel in itertools.product((0, 7, 31), range(0, VOXELS, 6)):
        design = designs[every[b][participant], rows]
        expected = brute_force(y[:, voxel], design, weights, participant, ratio_of(ready, voxel), scheme.null)
        assert found[b, voxel] == pytest.approx(expected, abs=2e-5)
    assert len(np.unique(ready.group)) > 5
    np.testing.assert_array_equal(found[0], reallocation.Reallocation(ready).observed())


def test_flipped_heights_are_those_of_flipped_whitened_residuals():
    rng = np.random.default_rng(5)
    labels, participant, session = trial(rng)
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    design = designs[labels[participant], np.arange(len(participant))]
    weights = np.array([[0, 0, 1, 0, 0.4, 0, 0]])
    assert not exchange.tests_labels(designs, weights)
    signs = relabelling.flips(np.ones((len(labels), 1)), 40, 2)[0]
    scheme = exchange.signs(design, weights, participant, signs, exhaustive=False, log10_distinct=0.0)
    ready = prepared(y, scheme)
    found = heights(ready, 40)
    member = (participant[:, None] == np.arange(len(labels))).astype(float)
    for b, voxel in itertools.product((0, 9, 33), range(0, VOXELS, 12)):
        ratio = ratio_of(ready, voxel)
        values, vectors = np.linalg.eigh(np.eye(len(y)) + ratio * member @ member.T)
        half = vectors @ np.diag(values**-0.5) @ vectors.T
        null = half @ scheme.null
        rest = half @ y[:, voxel]
        rest = signs[b][participant] * (rest - null @ np.linalg.lstsq(null, rest, rcond=None)[0])
        # Whitened already: ordinary least squares on the whitened design.
        expected = brute_force(rest, half @ design, weights, participant, 0.0)
        assert found[b, voxel] == pytest.approx(expected, abs=2e-5)


def test_voxels_that_scans_lack_are_fitted_without_them():
    rng = np.random.default_rng(6)
    labels, participant, session = trial(rng, arms=(8, 9))
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    patterns = np.ones((VOXELS, len(participant)), dtype=bool)
    patterns[::3, [2, 11]] = False
    patterns[1::3, 20] = False
    y[~patterns.T] = np.nan
    every = drawn(labels, 30)
    for weights in TESTED.values():
        scheme = exchange.allocation(designs, weights, participant, every, exhaustive=False, log10_distinct=0.0)
        ready = prepared(y, scheme, np.unique(patterns, axis=0, return_inverse=True))
        found = heights(ready, 30)
        for b, voxel in itertools.product((0, 17), range(12)):
            rows = np.flatnonzero(patterns[voxel])
            design = designs[every[b][participant[rows]], rows]
            null = scheme.null[rows]
            expected = brute_force(y[rows, voxel], design, weights, participant[rows], ratio_of(ready, voxel), null)
            assert found[b, voxel] == pytest.approx(expected, abs=2e-5)


def everything(y, labels, participant, designs, weights, observed):
    """The null of every labelling, the observed one put first."""
    every = drawn(labels, 1000)
    at = int(np.flatnonzero((every == observed).all(axis=1))[0])
    every = np.concatenate([every[at : at + 1], np.delete(every, at, axis=0)])
    scheme = exchange.allocation(designs, weights, participant, every, exhaustive=True, log10_distinct=0.0)
    ready = prepared(y, scheme)
    mask = np.ones((3, 4, 5), dtype=bool)
    statistics = MaximumStatistics(threshold=1.0, mass="excess", enhancement=permuting.enhancement())
    return reallocation.Reallocation(ready).null(clusters.Lattice(mask, 18), statistics, threads=2)


@pytest.mark.parametrize("name", ["F", "all terms of the arm"])
def test_exact_whichever_labelling_was_observed(name):
    """All labellings give one and the same set of maxima, so each has each rank once: p <= alpha in at most alpha of them."""
    rng = np.random.default_rng(7)
    labels, participant, session = trial(rng, arms=(3, 4), missing=0.3)
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    every = drawn(labels, 1000)
    assert len(every) == 35
    first = everything(y, labels, participant, designs, TESTED[name], every[0])
    for observed in every[[3, 20, 34]]:
        null = everything(y, labels, participant, designs, TESTED[name], observed)
        for one, other in zip(vars(first).values(), vars(null).values()):
            np.testing.assert_allclose(np.sort(other), np.sort(one), rtol=1e-6, atol=1e-9)


def test_the_result_is_the_same_for_any_number_of_threads():
    rng = np.random.default_rng(8)
    labels, participant, session = trial(rng, arms=(9, 12))
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    scheme = exchange.allocation(
        designs, TESTED["F"], participant, drawn(labels, 300), exhaustive=False, log10_distinct=0.0
    )
    made = reallocation.Reallocation(prepared(y, scheme))
    lattice = clusters.Lattice(np.ones((3, 4, 5), dtype=bool), 18)
    statistics = MaximumStatistics(threshold=1.5, mass="total", enhancement=permuting.enhancement())
    one, two = (made.null(lattice, statistics, threads=threads) for threads in (1, 3))
    for first, second in zip(vars(one).values(), vars(two).values()):
        np.testing.assert_array_equal(first, second)
    # The observed labelling is its own first relabelling.
    assert one.max_t[0] == made.observed().max()


def test_relabellings_that_cannot_estimate_a_term_have_finite_heights():
    """One participant alone has both sessions: in most relabellings an arm has nobody who has."""
    rng = np.random.default_rng(9)
    participant = np.array([0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    session = np.array([0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1])
    labels = np.array([1, 0, 1, 0, 1, 0, 1, 0, 1, 0])

    def design(arm):
        return np.column_stack([np.ones(12), session, arm, arm * session]).astype(float)

    designs = np.stack([design(np.zeros(12)), design(np.ones(12))])
    y = noise(rng, participant)
    scheme = exchange.allocation(
        designs, np.array([[0, 0, 0, 1.0]]), participant, drawn(labels, 252), exhaustive=True, log10_distinct=0.0
    )
    found = heights(prepared(y, scheme), 252)
    assert np.isfinite(found).all()
    assert (found[0] != 0).all()
    assert (found == 0).all(axis=1).any()


def test_a_voxel_without_variation_is_told_and_has_no_height():
    rng = np.random.default_rng(10)
    labels, participant, session = trial(rng)
    designs, y = designs_of(participant, session, rng.normal(size=len(labels))), noise(rng, participant)
    y[:, 4] = 50.0
    # A participant's scans that differ by nothing leave no residual variance.
    y[:, 9] = rng.normal(size=len(labels))[participant]
    scheme = exchange.allocation(
        designs, TESTED["t"], participant, drawn(labels, 20), exhaustive=False, log10_distinct=0.0
    )
    ready = prepared(y, scheme)
    assert np.flatnonzero(~ready.varies).tolist() == [4, 9]
    found = heights(ready, 20)
    assert (found[:, [4, 9]] == 0).all()
    kept = heights(ready.kept(ready.varies), 20)
    np.testing.assert_allclose(kept, found[:, ready.varies], atol=1e-6)


def test_what_labels_decide_is_seen_from_the_designs():
    rng = np.random.default_rng(11)
    labels, participant, session = trial(rng)
    designs = designs_of(participant, session, rng.normal(size=len(labels)))
    for weights, expected in (
        ([0, 1, 0, 0, 0, 0, 0], True),
        ([0, 1, 0, 0, 0.3, 0.3, 0], True),
        ([0, 0, 1, 0, 0, 0, 0], False),
        ([0, 0, 1, 0, 1, 0, 0], False),
        ([0, 0, 0, 0, 0, 0, 1], False),
    ):
        assert exchange.tests_labels(designs, np.array([weights], dtype=float)) is expected


def test_effects_of_the_treatment_that_are_not_tested_are_taken_off_and_baseline_differences_are_not():
    rng = np.random.default_rng(13)
    labels, participant, session = trial(rng)
    genotype = (rng.random(len(labels)) < 0.5)[participant].astype(float)
    every = drawn(labels, 20)
    one, late = np.ones(len(session)), (session > 0).astype(float)
    designs = np.stack(
        [
            np.column_stack([one, late, arm * one, genotype, arm * late, arm * genotype, arm * genotype * late])
            for arm in (0.0, 1.0)
        ]
    )

    def taken_off(weights, keep=slice(None)):
        made = exchange.allocation(
            designs[:, :, keep],
            np.array([weights], dtype=float),
            participant,
            every,
            exhaustive=False,
            log10_distinct=0.0,
        )
        return made.null.shape[1] - made.fixed.shape[1], made.is_exact

    # The arms' change: their difference at baseline stays. By genotype: the change of the arms is an effect.
    assert taken_off([0, 0, 0, 0, 1, 0, 0]) == (1, False)
    assert taken_off([0, 0, 0, 0, 1], [0, 1, 2, 3, 4]) == (0, True)
    assert taken_off([0, 0, 0, 0, 0, 0, 1]) == (1, False)
    # Without time, the arm's own effect stands beside its moderation.
    assert taken_off([0, 0, 0, 0, 1], [0, 1, 2, 3, 5]) == (1, False)
    assert taken_off([0, 0, 1, 0], [0, 1, 2, 3]) == (0, True)


def test_the_smallest_p_counts_labellings_that_give_the_same():
    rng = np.random.default_rng(12)
    labels, participant, session = trial(rng, arms=(4, 4))
    designs = designs_of(participant, session, rng.normal(size=len(labels)))
    every = drawn(labels, 1000)
    arm = np.eye(7)[1:2]
    for weights, two_sided, hits in (
        (TESTED["all terms of the arm"], False, 2),
        (TESTED["t"], True, 1),
        (arm, False, 1),
    ):
        scheme = exchange.allocation(designs, weights, participant, every, exhaustive=True, log10_distinct=0.0)
        assert scheme.smallest_p(two_sided) == hits / 70
    signs = relabelling.flips(np.ones((8, 1)), 1000, 1)[0]
    scheme = exchange.signs(designs[1], arm, participant, signs, exhaustive=True, log10_distinct=0.0)
    assert scheme.smallest_p(True) == 2 / 256
    assert scheme.smallest_p(False) == 1 / 256
