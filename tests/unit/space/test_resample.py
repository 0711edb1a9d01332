import nibabel
import numpy as np
from pharmasl.space import images, resample, transforms
from scipy import ndimage

AFFINE = nibabel.affines.from_matvec(np.diag([2.0, 3, 4]), [-10, 5, 7])


def test_samples_are_those_of_scipy_inside():
    rng = np.random.default_rng(0)
    volume = rng.normal(size=(9, 8, 7)).astype(np.float32)
    voxels = rng.uniform(0, [8, 7, 6], size=(500, 3))
    matrix = transforms.rigid_matrix([1, 2, 3], [0.1, 0.2, 0.3], np.zeros(3))
    points = transforms.apply(np.linalg.inv(matrix) @ AFFINE, voxels)
    expected = ndimage.map_coordinates(volume.astype(np.float64), voxels.T, order=1)
    np.testing.assert_allclose(resample.resample(volume, AFFINE, points, matrix), expected, atol=1e-5)


def test_the_field_of_view_ends_half_a_voxel_beyond_the_last_centre():
    volume = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    points = transforms.apply(AFFINE, np.array([[-0.49, 1, 1], [-0.51, 1, 1], [3.49, 1, 1], [3.51, 1, 1]]))
    np.testing.assert_array_equal(resample.resample(volume, AFFINE, points), [0, np.nan, 3, np.nan])


def test_a_single_slice_is_sampled():
    volume = np.full((3, 3, 1), 5, np.float32)
    points = transforms.points(images.Grid((3, 3, 1), AFFINE))
    np.testing.assert_array_equal(resample.resample(volume, AFFINE, points), volume)


def test_smoothing_keeps_a_constant_up_to_the_masks_edge():
    mask = np.zeros((20, 20, 20), bool)
    mask[5:15, 5:15, 5:15] = True
    volume = np.where(mask, 7.0, 1000.0)
    volume[8, 8, 8] = np.nan
    out = resample.smooth(volume, AFFINE, 8.0, mask)
    assert np.isnan(out[~mask]).all()
    assert np.isnan(out[8, 8, 8])
    np.testing.assert_allclose(out[mask & np.isfinite(volume)], 7, rtol=1e-5)


def test_smoothing_has_the_width_it_is_told():
    volume = np.zeros((61, 41, 41))
    volume[30, 20, 20] = 1
    out = resample.smooth(volume, np.diag([1.0, 1, 1, 1]), 8.0)
    line = out[:, 20, 20] / out[30, 20, 20]
    # Half of the maximum lies half a FWHM from the centre.
    np.testing.assert_allclose(line[[26, 34]], 0.5, atol=0.005)
