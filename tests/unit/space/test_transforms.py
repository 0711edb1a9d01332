import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pharmasl.errors import InputError
from pharmasl.space import images, transforms
from scipy.linalg import expm
from scipy.spatial.transform import Rotation


def test_rigid_matrix_is_rodrigues_formula():
    rng = np.random.default_rng(0)
    for size in (0.0, 1e-9, 0.3, 3.0):
        rotation = size * np.array([0.6, -0.48, 0.64])
        translation, centre = rng.normal(size=3), rng.normal(size=3) * 50
        matrix = transforms.rigid_matrix(translation, rotation, centre)
        np.testing.assert_allclose(matrix[:3, :3], Rotation.from_rotvec(rotation).as_matrix(), atol=1e-14)
        np.testing.assert_allclose(transforms.apply(matrix, centre), centre + translation, atol=1e-12)
        back = transforms.rigid_parameters(matrix, centre)
        np.testing.assert_allclose(np.concatenate(back), np.concatenate([translation, rotation]), atol=1e-10)


def test_rigid_exp_is_the_matrix_exponential_and_rigid_log_undoes_it():
    rng = np.random.default_rng(3)
    for size in (0.0, 1e-7, 0.009, 0.011, 0.4, 3.0):
        motion = np.concatenate([rng.normal(size=3) * 30, size * np.array([0.6, -0.48, 0.64])])
        x, y, z = motion[3:]
        generator = np.zeros((4, 4))
        generator[:3] = np.column_stack([[[0, -z, y], [z, 0, -x], [-y, x, 0]], motion[:3]])
        np.testing.assert_allclose(transforms.rigid_exp(motion), expm(generator), rtol=0, atol=1e-12)
        np.testing.assert_allclose(transforms.rigid_log(transforms.rigid_exp(motion)), motion, rtol=0, atol=1e-9)


def test_affine_files_are_read_by_itk(tmp_path):
    matrix = transforms.rigid_matrix([3, -2, 5], [0.1, 0.2, -0.3], np.array([1.0, 2, 3]))
    path = tmp_path / "one.txt"
    transforms.write_affines(path, matrix)
    point = np.array([12.0, -30.0, 44.0])
    lps = sitk.ReadTransform(str(path)).TransformPoint((-point[0], -point[1], point[2]))
    np.testing.assert_allclose([-lps[0], -lps[1], lps[2]], transforms.apply(matrix, point), atol=1e-9)


def test_affine_files_of_itk_are_read(tmp_path):
    written = sitk.AffineTransform(3)
    written.SetMatrix([1, 0.1, 0, 0, 0.9, 0.2, 0, 0, 1.1])
    written.SetCenter((5, 6, 7))
    written.SetTranslation((1, 2, 3))
    path = tmp_path / "itk.txt"
    sitk.WriteTransform(written, str(path))
    (matrix,) = transforms.read_affines(path)
    point = np.array([3.0, 4.0, 5.0])
    lps = written.TransformPoint((-point[0], -point[1], point[2]))
    np.testing.assert_allclose(transforms.apply(matrix, point), [-lps[0], -lps[1], lps[2]], atol=1e-9)


def test_several_affines_return_as_written(tmp_path):
    matrices = [transforms.rigid_matrix([k, 0, 0], [0, 0, k / 10], np.zeros(3)) for k in range(4)]
    transforms.write_affines(tmp_path / "many.txt", matrices)
    np.testing.assert_allclose(transforms.read_affines(tmp_path / "many.txt"), matrices, atol=1e-15)


def test_a_file_without_affines_is_refused(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("#Insight Transform File V1.0\nTransform: BSplineTransform_double_3_3\n")
    with pytest.raises(InputError, match="BSpline"):
        transforms.read_affines(path)


def test_fields_are_read_by_itk_and_return_as_written(tmp_path):
    affine = np.array([[-2.0, 0, 0, 9], [0, 2, 0, -7], [0, 0, 3, 4], [0, 0, 0, 1]])
    grid = images.Grid((5, 6, 7), affine)
    coordinates = transforms.points(grid) + np.random.default_rng(1).normal(size=(5, 6, 7, 3))
    path = tmp_path / "field.nii.gz"
    transforms.write_field(path, coordinates, affine)
    back, read_grid = transforms.read_field(path)
    np.testing.assert_allclose(back, coordinates, atol=1e-5)
    assert read_grid.shape == grid.shape
    field = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    point = nibabel.affines.apply_affine(affine, [2, 3, 4])
    lps = field.TransformPoint((-point[0], -point[1], point[2]))
    np.testing.assert_allclose([-lps[0], -lps[1], lps[2]], coordinates[2, 3, 4], atol=1e-5)


def test_points_are_those_of_nibabel():
    affine = nibabel.affines.from_matvec([[2, 0.1, 0], [0, 3, 0.2], [0.3, 0, 4]], [1, 2, 3])
    expected = nibabel.affines.apply_affine(affine, np.argwhere(np.ones((3, 4, 5))))
    np.testing.assert_allclose(transforms.points(images.Grid((3, 4, 5), affine)).reshape(-1, 3), expected)
