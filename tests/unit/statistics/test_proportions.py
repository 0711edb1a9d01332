"""Shares with their intervals, against scipy's exact binomial test."""

import pytest
from pharmasl.statistics.proportions import Share, share
from scipy import stats


@pytest.mark.parametrize(("count", "number"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (47, 1000)])
def test_the_interval_is_that_of_clopper_and_pearson(count, number):
    own, known = share(count, number), stats.binomtest(count, number).proportion_ci(method="exact")
    assert (own.low, own.high) == pytest.approx((known.low, known.high), abs=1e-12)


def test_of_no_trials_nothing_is_known():
    assert share(0, 0) == Share(0, 0, None, None)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        share(3, 2)
