"""Conjunctions against their definition, and their level."""

import numpy as np
import pytest
from pharmasl.statistics import conjunctions
from scipy import stats


def test_conjunction_is_the_lesser_effect_and_the_larger_p():
    t = np.array([[3.0, -2.0, 4.0, np.nan, 0.0], [2.5, -5.0, -4.0, 1.0, 3.0]])
    np.testing.assert_array_equal(conjunctions.minimum_statistic(t), [2.5, -2.0, 0.0, np.nan, 0.0])
    p = 2 * stats.t.sf(np.abs(t), 30)
    found = conjunctions.largest_p(p, t)
    np.testing.assert_allclose(found, [p[1, 0], p[0, 1], 1.0, np.nan, 1.0])
    np.testing.assert_allclose(conjunctions.largest_p(p), p.max(axis=0))
    # The p of the minimum statistic is the maximum of p where the degrees of freedom are equal.
    same = [0, 1]
    np.testing.assert_allclose(found[same], 2 * stats.t.sf(np.abs(conjunctions.minimum_statistic(t)[same]), 30))
    with pytest.raises(ValueError, match="shape"):
        conjunctions.largest_p(p, t[:1])


def test_conjunction_holds_its_level_when_one_effect_alone_is_real():
    # The conjunction null: a large effect in one analysis, none in the other. The *global* null would give p^2.
    rng = np.random.default_rng(4)
    z = np.stack([rng.normal(size=20000) + 8, rng.normal(size=20000)])
    rate = (conjunctions.largest_p(2 * stats.norm.sf(np.abs(z)), z) <= 0.05).mean()
    # Two-sided with the sign of the real effect: half of the other's 5 %.
    assert abs(rate - 0.025) < 3.3 * np.sqrt(0.025 * 0.975 / 20000)
