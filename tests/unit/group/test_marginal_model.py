"""The marginal model that the null studies compare with: sandwich t and F by their definition, participant by participant."""

import numpy as np
import pytest
from loading import benchmark
from scipy import stats

studies = benchmark("mixed_null_studies")


@pytest.mark.parametrize("q", [1, 2])
def test_the_sandwich_and_its_wild_bootstrap_are_those_of_the_definition(q):
    """Guillaume et al. (2014): least squares, (X'X)^-1 sum X_i' e_i e_i' X_i (X'X)^-1, residuals over the root of 1 - leverage."""
    rng = np.random.default_rng(3)
    participant = np.repeat(np.arange(12), [3, 2, 3, 1, 3, 2, 3, 3, 2, 3, 1, 3])
    arm, late = (participant < 5).astype(float), rng.integers(0, 2, len(participant)).astype(float)
    labels = (np.arange(12) < 5).astype(int)
    one = np.ones(len(participant))
    designs = np.stack([np.column_stack([one, late, k * one, k * late]) for k in (0.0, 1.0)])
    weights = np.eye(4)[-q:]
    maps = rng.normal(50, 4, (len(participant), 6))
    signs = rng.choice([-1, 1], (4, 12))
    signs[0] = 1
    model = studies.Marginal(studies.Study(participant, labels, designs, weights, maps), signs)
    x = np.column_stack([one, late, arm, arm * late])
    null = x @ np.linalg.svd(weights)[2][q:].T
    for b, voxel in ((0, 0), (0, 4), (2, 1), (3, 5)):
        y = maps[:, voxel]
        if b:
            hat = null @ np.linalg.pinv(null)
            adjusted = (y - hat @ y) / np.sqrt(1 - np.diag(hat))
            y = hat @ y + signs[b][participant] * adjusted
        inverse = np.linalg.inv(x.T @ x)
        coefficients = inverse @ x.T @ y
        rest = (y - x @ coefficients) / np.sqrt(1 - np.einsum("ni,ij,nj->n", x, inverse, x))
        meat = sum(np.outer(x[own].T @ rest[own], rest[own] @ x[own]) for own in (participant == p for p in range(12)))
        covariance = weights @ inverse @ meat @ inverse @ weights.T
        effects = weights @ coefficients
        wald = effects @ np.linalg.solve(covariance, effects)
        if q == 1:
            expected = np.sign(effects[0]) * stats.norm.isf(stats.t.sf(np.sqrt(wald), 8))
        else:
            expected = stats.norm.isf(stats.f.sf(wald / q, q, 8))
        assert model.heights(b)[voxel] == pytest.approx(expected, abs=1e-4)
