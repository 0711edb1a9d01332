"""Models with autoregressive noise, against nilearn and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from nilearn.glm.contrasts import compute_contrast
from nilearn.glm.first_level import run_glm
from pharmasl.statistics import autoregression, block_design


def _case(voxels=400, length=160, spikes=(11, 12, 60)):
    rng = np.random.default_rng(7)
    times, sign = 4.0 * np.arange(length) + 3.6, np.where(np.arange(length) % 2, -0.5, 0.5)
    blocks = {
        name: np.array([[start + 120 * k, 60.0] for k in range(5)])
        for name, start in (("smoking", 10), ("neutral", 70))
    }
    model = block_design.design(sign, times, blocks, delay=6.0, cutoff=block_design.drift_cutoff(blocks))
    model = model.with_columns(tuple("abcdef"), rng.standard_normal((length, 6)))
    model = model.with_columns(tuple(f"volume {row}" for row in spikes), np.eye(length)[:, list(spikes)])
    noise = rng.standard_normal((length, voxels))
    rho = np.linspace(-0.3, 0.7, voxels)
    for t in range(1, length):
        noise[t] += rho * noise[t - 1]
    return model, 1000 + noise


def _weights(model):
    return np.array(
        [model.of_conditions(own) for own in ({"smoking": 1}, {"neutral": 1}, {"smoking": 1, "neutral": -1})]
    )


def test_the_same_as_nilearn():
    """Effects to 1e-9 of their standard error; variances as far as nilearn tells rank from columns, to 1e-7."""
    model, series = _case()
    weights = _weights(model)
    found = autoregression.fit(series, model.matrix, weights)
    labels, results = run_glm(series, model.matrix, noise_model="ar1")
    assert len(set(found.coefficient)) > 20
    np.testing.assert_allclose(found.coefficient, labels.astype(float), rtol=0, atol=1e-12)
    for k, own in enumerate(weights):
        theirs = compute_contrast(labels, results, own, stat_type="t")
        error = np.sqrt(theirs.effect_variance().ravel())
        assert np.abs((found.effect[k] - theirs.effect_size().ravel()) / error).max() < 1e-9
        np.testing.assert_allclose(found.covariance[k, k], error**2, rtol=1e-7)


def test_the_same_as_statsmodels_at_each_coefficient():
    """Generalised least squares of the whitened series, volume by volume as statsmodels' GLSAR whitens them."""
    model, series = _case(voxels=12)
    weights = _weights(model)
    found = autoregression.fit(series, model.matrix, weights)
    for voxel in range(series.shape[1]):
        rho, y = found.coefficient[voxel], series[:, voxel]
        theirs = sm.GLSAR(y, model.matrix, rho=np.array([rho]))
        # GLSAR drops the first volume, which stays here as it is: both put in by hand.
        white_x = np.vstack([model.matrix[:1], theirs.whiten(model.matrix)])
        white_y = np.concatenate([y[:1], theirs.whiten(y)])
        fitted = sm.OLS(white_y, white_x).fit()
        test = fitted.t_test(weights)
        np.testing.assert_allclose(found.effect[:, voxel], test.effect, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(np.sqrt(found.covariance[[0, 1, 2], [0, 1, 2], voxel]), test.sd, rtol=1e-7)


def test_covariances_give_the_error_of_any_difference():
    model, series = _case(voxels=30)
    found = autoregression.fit(series, model.matrix, _weights(model))
    own = found.covariance
    np.testing.assert_allclose(own[0, 0] + own[1, 1] - 2 * own[0, 1], own[2, 2], rtol=1e-10)
    np.testing.assert_allclose(found.effect[0] - found.effect[1], found.effect[2], rtol=1e-8, atol=1e-10)


def test_volumes_with_a_column_of_their_own_count_for_nothing():
    model, series = _case(voxels=30)
    other = series.copy()
    other[[11, 12, 60]] = 0
    one, two = (autoregression.fit(values, model.matrix, _weights(model)) for values in (series, other))
    np.testing.assert_allclose(one.effect, two.effect, rtol=0, atol=2e-9)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-6)


def test_a_series_without_noise_has_no_error():
    model, _ = _case(voxels=1)
    truth = np.arange(1.0, model.matrix.shape[1] + 1)
    found = autoregression.fit((model.matrix @ truth)[:, np.newaxis], model.matrix, _weights(model))
    np.testing.assert_allclose(found.effect[:, 0], _weights(model) @ truth, rtol=1e-8)
    assert found.covariance.max() < 1e-12


def test_a_model_of_more_columns_than_volumes_is_refused():
    with pytest.raises(ValueError, match="columns for 5 volumes"):
        autoregression.fit(np.zeros((5, 2)), np.random.default_rng(0).standard_normal((5, 6)), np.eye(6)[:1])
