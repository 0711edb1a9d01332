"""The separable filters and the spline's samples against SciPy's, in double precision."""

import numpy as np
import pytest
from pharmasl.space import separable, spline
from scipy import ndimage

# Thinner than the kernels and the pole's horizon, and thicker.
SHAPES = [(23, 17, 40), (31, 8, 1), (5, 3, 2), (1, 30, 4)]


def volume_of(shape):
    return np.random.default_rng(1).normal(500, 100, shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_spline_coefficients(shape):
    volume = volume_of(shape)
    expected = ndimage.spline_filter(volume, order=3, output=np.float64, mode="mirror")
    coefficients = separable.spline_coefficients(volume)
    assert (coefficients.dtype, coefficients.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(coefficients, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("sigma", "truncate"), [(0.6, 4), ((1.06, 0, 2.3), 3), (6.0, 3)])
def test_gaussian(shape, sigma, truncate):
    volume = np.asfortranarray(volume_of(shape).astype(np.float32))
    kept = volume.copy()
    expected = ndimage.gaussian_filter(volume.astype(np.float64), sigma, truncate=truncate)
    np.testing.assert_allclose(separable.gaussian(volume, sigma, truncate), expected, rtol=2e-6)
    np.testing.assert_array_equal(volume, kept)
    # A volume in the filter's own order and precision is not overwritten either.
    plain = np.ascontiguousarray(volume)
    separable.gaussian(plain, sigma, truncate)
    np.testing.assert_array_equal(plain, kept)


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_are_those_of_the_spline(shape):
    """At the borders the knots are mirrored; half a voxel beyond, the edge's value holds; farther there is none."""
    rng = np.random.default_rng(2)
    volume, size = volume_of(shape), np.array(shape)
    points = rng.uniform(-0.5, size - 0.5, (4000, 3))
    held = np.clip(points, 0, size - 1)
    expected = ndimage.map_coordinates(volume, held.T, order=3, mode="mirror")
    samples = spline.sample(spline.coefficients(volume), np.eye(4), points)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=3e-6 * np.abs(volume).max())
    outside = points.copy()
    outside[:, 0] = size[0] - 0.5 + rng.uniform(0.001, 3, len(points))
    assert np.isnan(spline.sample(spline.coefficients(volume), np.eye(4), outside)).all()
