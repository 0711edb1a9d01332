"""Holm and false discovery rate against scipy and statsmodels; sequences and joint tests against their definitions."""

import numpy as np
import pytest
from pharmasl.statistics import multiplicity
from scipy import stats
from statsmodels.stats.multitest import multipletests


@pytest.mark.parametrize("method", ["bh", "by"])
@pytest.mark.parametrize("kind", ["effects", "null", "ties", "zeros and ones"])
def test_q_values_are_scipys_and_statsmodels(method, kind):
    rng = np.random.default_rng(1)
    p = {
        "effects": np.concatenate([rng.beta(0.1, 5, 300), rng.random(2000)]),
        "null": rng.random(1500),
        "ties": np.round(rng.random(800) ** 3, 2),
        "zeros and ones": np.array([0.0, 1.0, 0.0, 0.3, 1.0]),
    }[kind]
    q = multiplicity.q_values(p, method)
    np.testing.assert_allclose(q, stats.false_discovery_control(p, method=method), rtol=1e-13)
    rejected, adjusted, *_ = multipletests(p, 0.05, method=f"fdr_{method}")
    np.testing.assert_allclose(q, adjusted, rtol=1e-12)
    assert ((q <= 0.05) == rejected).all()
    critical = multiplicity.critical_p(p, 0.05, method)
    assert ((p <= critical) == rejected).all()


@pytest.mark.parametrize("correct", [multiplicity.holm, multiplicity.q_values])
def test_a_test_that_was_asked_and_not_answered_stays_in_the_family(correct):
    p = np.array([0.011, np.nan, 0.2, 0.03, 0.04])
    found = correct(p)
    # The others are corrected as if it had shown nothing; it has no p of its own.
    np.testing.assert_array_equal(np.isnan(found), np.isnan(p))
    np.testing.assert_allclose(found[~np.isnan(p)], correct(np.nan_to_num(p, nan=1.0))[~np.isnan(p)], rtol=0)
    assert found[0] == pytest.approx(5 * 0.011)
    assert np.isnan(correct(np.full(3, np.nan))).all()
    assert correct(np.empty(0)).shape == (0,)


def test_no_voxel_is_declared_where_none_reaches_the_rate():
    assert np.isnan(multiplicity.critical_p([0.5, 0.9]))


@pytest.mark.parametrize(("p", "method"), [([1.2], "bh"), ([-0.1], "by"), ([0.5], "holm")])
def test_what_is_no_p_or_no_method_is_refused(p, method):
    with pytest.raises(ValueError, match=r"between|neither"):
        multiplicity.q_values(p, method)


def test_false_discoveries_stay_at_the_level():
    """2000 families of 50 tests, 10 with an effect: the mean share of false ones is q times the share of true nulls."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(2000, 50)) + np.r_[np.full(10, 3.0), np.zeros(40)]
    p = 2 * stats.norm.sf(np.abs(z))
    for method, level in (("bh", 0.1), ("by", 0.1)):
        declared = np.stack([multiplicity.q_values(each, method) <= level for each in p])
        share = declared[:, 10:].sum(axis=1) / np.maximum(declared.sum(axis=1), 1)
        error = share.std() / np.sqrt(len(share))
        nominal = level * 0.8 / (1 if method == "bh" else np.sum(1 / np.arange(1, 51)))
        assert abs(share.mean() - nominal) < 3.3 * error, (method, share.mean(), nominal)


def test_holm_is_statsmodels_test_by_test_and_voxel_by_voxel():
    p = np.random.default_rng(5).random((4, 12)) ** 3
    found = multiplicity.holm(p)
    for v in range(12):
        np.testing.assert_allclose(found[:, v], multipletests(p[:, v], method="holm")[1], rtol=1e-12)
    np.testing.assert_allclose(multiplicity.holm(p[:, 0]), found[:, 0])
    p[2, 7] = np.nan
    assert np.isnan(multiplicity.holm(p)).sum() == 1
    np.testing.assert_allclose(multiplicity.holm(p)[:, 8], found[:, 8])
    with pytest.raises(ValueError, match="between"):
        multiplicity.holm([0.2, 1.2])


def test_a_fixed_sequence_is_the_largest_p_so_far():
    np.testing.assert_array_equal(multiplicity.fixed_sequence([0.01, 0.04, 0.02, 0.2]), [0.01, 0.04, 0.04, 0.2])
    np.testing.assert_array_equal(multiplicity.fixed_sequence([0.01, np.nan, 0.02]), [0.01, np.nan, 1.0])


def test_joint_p_of_independent_tests_is_sidaks_and_of_identical_ones_their_own():
    rng = np.random.default_rng(8)
    p = rng.random((200_000, 3))
    p[0] = [0.02, 0.4, 0.9]
    found = multiplicity.joint(p)
    # Sidak 1 - (1 - p)^m, stepping down.
    expected = [1 - 0.98**3, 1 - 0.6**2, 0.9]
    assert np.abs(found - expected).max() < 3.5 * 0.5 / np.sqrt(200_000)
    same = np.repeat(p[:2000, :1], 3, axis=1)
    share = (same[:, 0] <= same[0, 0]).mean()
    np.testing.assert_array_equal(multiplicity.joint(same), [share] * 3)
    # What could not be answered changes nothing for the others, and has no p.
    lost = np.column_stack([p[:, 0], np.full(len(p), np.nan), p[:, 1]])
    np.testing.assert_array_equal(multiplicity.joint(lost)[[0, 2]], multiplicity.joint(p[:, :2]))
    assert np.isnan(multiplicity.joint(lost)[1])


def test_joint_p_holds_whichever_tests_are_null():
    """One effect, two nulls that depend on each other and it: some null shown in at most 5 % of 4,000 families."""
    rng, wrong, families = np.random.default_rng(9), 0, 4000
    for _ in range(families):
        z = rng.normal(size=(200, 1)) * 0.7 + rng.normal(size=(200, 3)) * np.sqrt(0.51)
        z[0, 0] += 6
        # P of each row among all rows, the observed one in row 0.
        p = (201 - 1 - np.argsort(np.argsort(np.abs(z), axis=0), axis=0)) / 200
        wrong += bool((multiplicity.joint(p)[1:] <= 0.05).any())
    assert wrong / families <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / families)
