"""The linear model at every voxel: against SPM, against algebra, and in the tails."""

import json
from pathlib import Path

import numpy as np
import pytest
from loading import shared_data
from pharmasl.group.engine import glm

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "group_statistics.json").read_text())


def small():
    """The synthetic study that SPM, FSL, PALM and nilearn were run on: data (V, n), drug, age."""
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    change = (stored["Y"][:, 1] - stored["Y"][:, 0]).astype(np.float64)
    return folder / "small_reference", change.T.copy(), stored["drug"].astype(float), stored["design"][:, 2]


@pytest.mark.parametrize("name", ["tt", "ttc", "flex"])
def test_t_maps_are_spms(name):
    folder, data, drug, age = small()
    nuisance = np.column_stack([np.ones(15)] + ([age] if name == "ttc" else []))
    t = glm.fit(data, glm.partial_form(drug, nuisance)).t
    spm = np.load(folder / "spm_t.npz")[name]
    # SPM's maps are float32; its flexible factorial whitens, which costs it another digit.
    assert np.abs(t - spm).max() < (4e-6 if name == "flex" else 1e-6)


def test_partial_correlation_form_is_ordinary_least_squares():
    rng = np.random.default_rng(0)
    n = 14
    x, nuisance = rng.normal(size=n), np.column_stack([np.ones(n), rng.normal(size=(n, 3)) * [1, 1e4, 1e-4]])
    data = rng.normal(100, 5, size=(50, n))
    # Columns of like length: badly scaled ones would cost the plain solution its digits, not ours.
    design = np.column_stack([x, nuisance / np.abs(nuisance).max(axis=0)])
    beta, rss, *_ = np.linalg.lstsq(design, data.T, rcond=None)
    se = np.sqrt(rss / (n - 5) * np.linalg.inv(design.T @ design)[0, 0])
    fit = glm.fit(data.copy(), glm.partial_form(x, nuisance))
    np.testing.assert_allclose(fit.effect, beta[0], rtol=1e-9)
    np.testing.assert_allclose(fit.t, beta[0] / se, rtol=1e-9)


def test_basis_is_orthonormal_without_the_constant_and_spans_the_nuisance():
    rng = np.random.default_rng(1)
    nuisance = np.column_stack([rng.normal(size=(10, 2)), np.ones(10), np.arange(10)])
    model = glm.partial_form(rng.normal(size=10), nuisance)
    np.testing.assert_allclose(model.basis.T @ model.basis, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(model.basis.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(nuisance.T @ model.x, 0, atol=1e-12)
    both = np.column_stack([np.full(10, 10**-0.5), model.basis])
    np.testing.assert_allclose(both @ (both.T @ nuisance), nuisance, atol=1e-12)
    assert model.df == 5


def test_a_nuisance_without_the_constant_is_refused():
    with pytest.raises(ValueError, match="intercept"):
        glm.partial_form(np.arange(5.0), np.arange(5.0)[:, None] ** 2)


def test_voxels_that_do_not_vary_are_told():
    rng = np.random.default_rng(2)
    age = rng.normal(size=8)
    data = np.stack([np.full(8, 60.0), 3 * age + 50, rng.normal(size=8), np.zeros(8)])
    fit = glm.fit(data, glm.partial_form(np.repeat([0.0, 1.0], 4), np.column_stack([np.ones(8), age])))
    assert fit.varies.tolist() == [False, False, True, False]
    assert fit.t[~fit.varies].tolist() == [0, 0, 0]
    assert fit.effect[~fit.varies] == pytest.approx(0, abs=1e-12)


def test_z_has_the_tail_of_t_far_out():
    t, df, z = np.array(REFERENCE["z_of_t"]).T
    np.testing.assert_allclose(glm.t_to_z(t, df), z, rtol=1e-10)
    np.testing.assert_allclose(glm.t_to_z(-t, df), -z, rtol=1e-10)
    assert glm.t_to_z(np.array([0.0]), 10)[0] == 0
    assert np.isfinite(glm.t_to_z(np.array([1e9, -1e9]), 500)).all()
    assert np.isnan(glm.t_to_z(np.array([np.nan]), 10)[0])
