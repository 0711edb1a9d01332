"""Transforms of other programs: composites of ITK against their closed form, and against ITK's own resampling."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pharmasl.errors import InputError
from pharmasl.space import images, itk_files, itk_transforms, resample, transforms

FLIP = np.array([-1.0, -1.0, 1.0])
# In LPS+, as in the files: a matrix about a centre, and a displacement that is linear in space.
MATRIX = np.array([[1.1, 0.05, 0.0], [0.0, 0.95, 0.1], [0.02, 0.0, 1.05]])
CENTRE, TRANSLATION = np.array([3.0, 4.0, 5.0]), np.array([5.0, -6.0, 7.0])
SLOPE = np.array([[0.02, -0.01, 0.0], [0.0, 0.03, 0.01], [0.01, 0.0, -0.02]])
SHIFT = np.array([1.5, -2.5, 0.75])
# The displacement's own grid, oblique and of unequal voxels; it covers the middle of what is asked for.
TURN = transforms.rigid_matrix([0, 0, 0], [0.05, -0.1, 0.2], np.zeros(3))[:3, :3]
FIELD_GRID = images.Grid((14, 12, 11), nibabel.affines.from_matvec(TURN * [4.0, 5.0, 6.0], [-25.0, -28.0, -30.0]))
ASKED = images.Grid((9, 8, 7), nibabel.affines.from_matvec(np.diag([-2.0, 2.5, 3.0]), [8.0, -9.0, -10.0]))
BEYOND = images.Grid((3, 3, 3), nibabel.affines.from_matvec(np.eye(3), [300.0, 300.0, 300.0]))


def moved(points):
    """The matrix' effect on LPS+ points."""
    return (points - CENTRE) @ MATRIX.T + CENTRE + TRANSLATION


def displaced(points):
    """The displacement field's effect on LPS+ points within it."""
    return points + points @ SLOPE.T + SHIFT


def nodes_lps(grid):
    return transforms.points(grid) * FLIP


def field_values():
    nodes = nodes_lps(FIELD_GRID)
    return displaced(nodes) - nodes


def affine_transform():
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(MATRIX.ravel().tolist())
    transform.SetCenter(CENTRE.tolist())
    transform.SetTranslation(TRANSLATION.tolist())
    return transform


def displacement_transform():
    image = sitk.GetImageFromArray(field_values().transpose(2, 1, 0, 3), isVector=True)
    spacing, origin, direction = itk_transforms.geometry(FIELD_GRID.affine)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return sitk.DisplacementFieldTransform(image)


def write_composite(path):
    """What antsRegistration writes of a matrix and a warp: the warp, added last, acts first."""
    sitk.WriteTransform(sitk.CompositeTransform([affine_transform(), displacement_transform()]), str(path))


def test_composite_of_matrix_and_warp_has_its_closed_form(tmp_path):
    write_composite(tmp_path / "xfm.h5")
    got = itk_transforms.on_grid(tmp_path / "xfm.h5", ASKED)
    np.testing.assert_allclose(got * FLIP, moved(displaced(nodes_lps(ASKED))), rtol=0, atol=1e-10)
    # In the other order they would lie elsewhere: the test tells the two apart.
    assert np.abs(moved(displaced(nodes_lps(ASKED))) - displaced(moved(nodes_lps(ASKED)))).min() > 0.1


def test_beyond_its_grid_a_warp_moves_nothing(tmp_path):
    write_composite(tmp_path / "xfm.h5")
    got = itk_transforms.on_grid(tmp_path / "xfm.h5", BEYOND)
    np.testing.assert_allclose(got * FLIP, moved(nodes_lps(BEYOND)), rtol=0, atol=1e-10)


def test_types_of_single_precision_are_read(tmp_path):
    """antsRegistration --float 1 names its types so."""
    write_composite(tmp_path / "xfm.h5")
    content = (tmp_path / "xfm.h5").read_bytes()
    assert content.count(b"Transform_double_3_3") == 3
    (tmp_path / "xfm.h5").write_bytes(content.replace(b"Transform_double_3_3", b"Transform_float_3_3\0"))
    got = itk_transforms.on_grid(tmp_path / "xfm.h5", ASKED)
    np.testing.assert_allclose(got * FLIP, moved(displaced(nodes_lps(ASKED))), rtol=0, atol=1e-10)


@pytest.mark.parametrize("extension", [".txt", ".mat", ".h5"])
def test_matrices_are_read_from_every_file_of_itk(tmp_path, extension):
    path = tmp_path / f"xfm{extension}"
    sitk.WriteTransform(affine_transform(), str(path))
    itk_files.check_kind(path, "transform")
    got = itk_transforms.on_grid(path, ASKED)
    np.testing.assert_allclose(got * FLIP, moved(nodes_lps(ASKED)), rtol=0, atol=1e-10)


def test_a_file_written_here_means_the_same_there(tmp_path):
    matrix = transforms.rigid_matrix([3, -2, 5], [0.1, 0.2, -0.3], np.array([1.0, 2, 3]))
    transforms.write_affines(tmp_path / "own.txt", matrix)
    got = itk_transforms.on_grid(tmp_path / "own.txt", ASKED)
    np.testing.assert_allclose(got, transforms.apply(matrix, transforms.points(ASKED)), rtol=0, atol=1e-10)


def test_an_image_is_brought_to_the_reference_as_itk_brings_it(tmp_path):
    """ITK's resampling filter is what antsApplyTransforms runs."""
    write_composite(tmp_path / "xfm.h5")
    source = images.Grid((24, 26, 22), nibabel.affines.from_matvec(np.diag([-3.0, 3.0, 3.0]), [35.0, -40.0, -30.0]))
    values = np.random.default_rng(0).normal(size=source.shape).astype(np.float32)
    mine = resample.resample(values, source.affine, itk_transforms.on_grid(tmp_path / "xfm.h5", ASKED))

    def itk(data, grid):
        image = sitk.GetImageFromArray(data.T)
        spacing, origin, direction = itk_transforms.geometry(grid.affine)
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        return image

    theirs = sitk.Resample(
        itk(values, source),
        itk(np.zeros(ASKED.shape, np.float32), ASKED),
        sitk.ReadTransform(str(tmp_path / "xfm.h5")),
        sitk.sitkLinear,
        0.0,
        sitk.sitkFloat64,
    )
    np.testing.assert_allclose(mine, sitk.GetArrayFromImage(theirs).T, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("xfm.nii.gz", b"x", ".gz"),
        ("xfm.h5", b"", "an empty file"),
        ("xfm.h5", b"/annex/objects/SHA256E", "a file that begins with '/annex/objects/SHA256E'"),
        ("xfm.txt", b"1 0 0 0\n", "a file that begins with '1 0 0 0\\n'"),
    ],
)
def test_files_of_another_kind_are_refused_by_name_and_beginning(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        itk_files.check_kind(tmp_path / name, "derivatives.anatomy")
    assert (caught.value.field, caught.value.found) == ("derivatives.anatomy", found)


def test_damaged_and_flat_transforms_are_refused(tmp_path):
    write_composite(tmp_path / "xfm.h5")
    whole = (tmp_path / "xfm.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="a transform that ITK reads"):
        itk_transforms.on_grid(tmp_path / "cut.h5", ASKED)
    sitk.WriteTransform(sitk.AffineTransform(2), str(tmp_path / "flat.txt"))
    with pytest.raises(InputError, match="dimensions"):
        itk_transforms.on_grid(tmp_path / "flat.txt", ASKED)


def test_transforms_that_are_not_finite_are_refused(tmp_path):
    write_composite(tmp_path / "xfm.h5")
    content = (tmp_path / "xfm.h5").read_bytes()
    # The file holds the field as it is in memory: one of its numbers is exchanged.
    number = np.float64(field_values()[3, 4, 5, 0]).tobytes()
    assert content.count(number) == 1
    (tmp_path / "xfm.h5").write_bytes(content.replace(number, np.float64(np.nan).tobytes()))
    with pytest.raises(InputError, match="not finite"):
        itk_transforms.on_grid(tmp_path / "xfm.h5", FIELD_GRID)
