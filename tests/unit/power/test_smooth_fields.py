"""Smooth fields have the variances and correlations that they are said to have."""

import math

import numpy as np
from pharmasl.power.smooth_fields import SmoothNoise

MASK = np.ones((12, 10, 8), dtype=bool)
FWHM, VOXEL = 14.0, 4.0


def test_variance_and_correlation_are_those_of_smoothed_white_noise():
    fields = SmoothNoise(MASK, VOXEL, FWHM).draw(np.random.default_rng(1), 4000).reshape(-1, *MASK.shape)
    assert abs(float(fields.var()) - 1) < 0.02
    sigma = FWHM / math.sqrt(8 * math.log(2))
    for step in (1, 2, 4):
        expected = math.exp(-((step * VOXEL) ** 2) / (4 * sigma**2))
        # The kernel is cut off at four standard deviations; averaged over voxels, the standard error is below .01.
        assert abs(float((fields[:, step:] * fields[:, :-step]).mean()) - expected) < 0.02, step


def test_opposite_faces_are_independent():
    fields = SmoothNoise(MASK, VOXEL, FWHM).draw(np.random.default_rng(2), 4000).reshape(-1, *MASK.shape)
    assert abs(float((fields[:, 0] * fields[:, -1]).mean())) < 0.03


def test_the_variance_of_a_regions_mean_is_exact():
    noise = SmoothNoise(MASK, VOXEL, FWHM)
    inside = np.zeros(MASK.shape, dtype=bool)
    inside[2:6, 3:7, 1:5] = True
    means = noise.draw(np.random.default_rng(3), 8000)[:, inside.ravel()].mean(axis=1, dtype=np.float64)
    # The standard error of a variance of 8,000 is 1.6 %.
    assert abs(means.var() / noise.variance_of_mean(inside.ravel()) - 1) < 0.06
    one = np.zeros(MASK.size, dtype=bool)
    one[5] = True
    assert np.isclose(noise.variance_of_mean(one), 1)
