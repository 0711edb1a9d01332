"""What adjusting for the baseline would give: against statsmodels, closed forms and the spread of simulated estimates."""

import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.group import baseline_adjustment

N1, N2 = 9, 7


def design(rng, covariates=1):
    arm = np.repeat([1.0, 0.0], [N1, N2])
    return np.column_stack([arm, np.ones(N1 + N2), rng.normal(size=(N1 + N2, covariates))])


def sessions(rng, r, sd=(1.0, 1.0), voxels=1, people=N1 + N2):
    """Baseline and follow-up maps of shape (people, voxels)."""
    first, other = rng.normal(size=(2, people, voxels))
    return sd[0] * first, sd[1] * (r * first + np.sqrt(1 - r**2) * other)


def test_a_voxel_is_as_statsmodels_has_it():
    """The two arm variances of statsmodels, but for the arms' difference at baseline, of which the mean is taken."""
    rng = np.random.default_rng(1)
    matrix = design(rng)
    before, after = sessions(rng, 0.6, sd=(2.0, 3.0))
    found = baseline_adjustment.compare(after - before, before, matrix)
    change = sm.OLS(after[:, 0] - before[:, 0], matrix).fit()
    adjusted = sm.OLS(after[:, 0], np.column_stack([matrix, before])).fit()
    residuals = [sm.OLS(session[:, 0], matrix).fit().resid for session in (before, after)]
    r = np.corrcoef(*residuals)[0, 1]
    assert found.correlation.median == pytest.approx(r, abs=5e-5)
    assert found.sd_ratio.median == pytest.approx(np.std(residuals[1]) / np.std(residuals[0]), abs=5e-5)
    # The inflation of the arm's variance by its correlation with the baseline, as it is in these data.
    others = np.delete(matrix, 0, axis=1)
    arm, baseline = (sm.OLS(column, others).fit().resid for column in (matrix[:, 0], before[:, 0]))
    inflation = 1 / (1 - np.corrcoef(arm, baseline)[0, 1] ** 2)
    n, p = matrix.shape
    own = (change.bse[0] / adjusted.bse[0]) ** 2 * inflation * (n - p - 2) / (n - p - 1)
    assert found.variance_ratio.median == pytest.approx(own, abs=1e-4)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_the_ratio_is_that_of_the_estimates_over_many_trials(r):
    """Each voxel is a trial of its own: the estimates' variances over 20,000 of them, and 2 / (1 + r) with the cost of a slope.

    The median of a ratio that can hardly fall below its bound lies a little below the ratio: on the side of caution.
    """
    rng = np.random.default_rng(2)
    matrix = np.column_stack([np.repeat([1.0, 0.0], [21, 22]), np.ones(43)])
    before, after = sessions(rng, r, voxels=20_000, people=43)
    found = baseline_adjustment.compare(after - before, before, matrix)
    change = np.linalg.lstsq(matrix, after - before, rcond=None)[0][0]
    adjusted = np.empty_like(change)
    basis = np.linalg.qr(matrix[:, 1:])[0]
    x, y, b = (values - basis @ (basis.T @ values) for values in (matrix[:, :1], after, before))
    slope = (b * y).sum(axis=0) - (x.T @ b)[0] * (x.T @ y)[0] / (x**2).sum()
    slope /= (b**2).sum(axis=0) - (x.T @ b)[0] ** 2 / (x**2).sum()
    adjusted = (x.T @ (y - slope * b))[0] / (x**2).sum()
    theory = 2 / (1 + r) * 39 / 40
    assert change.var() / adjusted.var() == pytest.approx(theory, rel=0.02)
    assert 0.97 * theory < found.variance_ratio.median < 1.01 * theory
    assert found.correlation.median == pytest.approx(r, abs=0.02)
    assert found.equal_variances == pytest.approx(2 / (1 + r), rel=0.02)
    assert found.correlation.low < found.correlation.median < found.correlation.high


def test_variances_that_differ():
    """(s1^2 + s2^2 - 2 r s1 s2) / (s2^2 (1 - r^2)), exactly where the data have these moments within the arms."""
    rng = np.random.default_rng(3)
    matrix, r, (s1, s2) = design(rng, covariates=0), 0.4, (3.0, 2.0)
    basis = np.linalg.qr(np.column_stack([matrix, rng.normal(size=(N1 + N2, 2))]))[0][:, -2:]
    before = s1 * basis[:, :1]
    after = s2 * (r * basis[:, :1] + np.sqrt(1 - r**2) * basis[:, 1:])
    found = baseline_adjustment.compare(after - before, before, matrix)
    n, p = matrix.shape
    expected = (s1**2 + s2**2 - 2 * r * s1 * s2) / (s2**2 * (1 - r**2)) * (n - p - 2) / (n - p)
    assert found.variance_ratio.median == pytest.approx(expected, abs=5e-5)
    assert found.correlation.median == pytest.approx(r, abs=5e-5)


def test_the_arms_difference_plays_no_part():
    rng = np.random.default_rng(4)
    matrix = design(rng)
    before, after = sessions(rng, 0.5, voxels=50)
    moved = after + 40 * matrix[:, :1]
    before_moved = before - 15 * matrix[:, :1]
    found = baseline_adjustment.compare(after - before, before, matrix)
    assert baseline_adjustment.compare(moved - before_moved, before_moved, matrix) == found


def test_tiles_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    matrix = design(rng)
    before, after = sessions(rng, 0.5, voxels=50)
    whole = baseline_adjustment.compare(after - before, before, matrix)
    monkeypatch.setattr(baseline_adjustment, "TILE", 7)
    assert baseline_adjustment.compare(after - before, before, matrix) == whole


def test_nothing_where_nothing_can_be_compared():
    rng = np.random.default_rng(6)
    before, after = sessions(rng, 0.5, voxels=3, people=4)
    few = np.column_stack([[1.0, 1, 0, 0], np.ones(4)])
    assert baseline_adjustment.compare(after - before, before, few) is None
    constant = np.ones((N1 + N2, 3))
    assert baseline_adjustment.compare(constant, constant, design(rng)) is None
