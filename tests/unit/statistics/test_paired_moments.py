"""Repeatability brought up to date person by person, against the analysis of variance of all people at once."""

import numpy as np
import pytest
from pharmasl.statistics.paired_moments import PairedMoments
from pharmasl.statistics.repeatability import consistency, of_logarithms, repeatability


def added(values):
    moments = PairedMoments(values.shape[2])
    for first, second in values:
        moments.add(first, second)
    return moments


def drawn(people=9, voxels=40):
    rng = np.random.default_rng(5)
    return rng.normal(50, 9, (people, 1, voxels)) + rng.normal(0, 5, (people, 2, voxels))


def test_each_voxel_has_the_numbers_of_all_people_at_once():
    values = drawn()
    values[:, :, 3] -= 49
    # A large mean beside a small spread, where sums of squares would lose all digits.
    values[:, :, 4] += 1e7
    moments, whole = added(values), repeatability(values)
    squares = moments.squares()
    np.testing.assert_allclose(moments.mean(), whole.mean, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(squares.residual), whole.within_sd.estimate, rtol=1e-9)
    np.testing.assert_allclose(consistency(squares), whole.consistency.estimate, rtol=1e-7, atol=1e-9)
    variation = of_logarithms(np.sqrt(moments.logarithmic_residual()))
    np.testing.assert_allclose(variation, whole.within_cv.estimate, rtol=1e-7)
    assert np.isnan(variation[3])
    assert np.isfinite(np.delete(variation, 3)).all()
    mean = values.mean(axis=(0, 1))
    sessions = values.mean(axis=0) - mean
    np.testing.assert_allclose(squares.between_sessions, 9 * (sessions**2).sum(axis=0), rtol=1e-6)


def test_those_without_a_value_do_not_count_in_that_voxel():
    values = drawn()
    values[2, 0, 1] = values[5, 1, 1] = values[6, :, 1] = np.nan
    moments = added(values)
    known = np.delete(values[:, :, 1], [2, 5, 6], axis=0)
    alone = repeatability(known)
    assert moments.count[:3].tolist() == [9, 6, 9]
    assert np.sqrt(moments.squares().residual)[1] == pytest.approx(alone.within_sd.estimate, rel=1e-12)
    assert consistency(moments.squares())[1] == pytest.approx(alone.consistency.estimate, rel=1e-12)
    variation = of_logarithms(np.sqrt(moments.logarithmic_residual()))
    assert variation[1] == pytest.approx(alone.within_cv.estimate, rel=1e-12)


def test_of_one_person_nothing_is_known():
    moments = added(drawn(people=1))
    assert np.isnan(moments.squares().residual).all()
    assert np.isnan(moments.logarithmic_residual()).all()
