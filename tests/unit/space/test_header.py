"""Headers of NIfTI files: what is right is read as it is, what is wrong is refused by the field's name."""

import gzip
import os
import struct

import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputErrors
from pharmasl.space import header, images

AFFINE = np.array([[-3.0, 0, 0, 96], [0, 3, 0, -100], [0, 0, 5, -40], [0, 0, 0, 1]])


def write(
    path, shape=(5, 6, 4, 7), *, sform=AFFINE, qform=AFFINE, codes=(1, 1), dtype=np.int16, kind=nibabel.Nifti1Image
):
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    image = kind(data, AFFINE)
    image.set_qform(AFFINE if qform is None else qform, code=codes[0])
    image.set_sform(AFFINE if sform is None else sform, code=codes[1])
    nibabel.save(image, path)
    return path


def change(path, field, value, index=None):
    """Put a value into a field of a file's header, as it stands, past all of nibabel's repairs."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    raw = np.frombuffer(bytearray(content[:348]), dtype=nibabel.nifti1.header_dtype).copy()
    if index is None:
        raw[field] = value
    else:
        raw[field][0, index] = value
    content = raw.tobytes() + content[348:]
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def problems(path):
    """The fields at fault and the message; every error names the file, at the plan and in a job."""
    with pytest.raises(InputErrors) as caught:
        header.read(path)
    assert all(error.file == str(path) for error in caught.value.errors)
    with pytest.raises(InputErrors):
        images.load(path)
    with pytest.raises(InputErrors):
        images.grid(path)
    return [error.field for error in caught.value.errors], str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_the_header_says(tmp_path, name):
    known = header.read(write(tmp_path / name))
    assert (known.shape, known.volumes, known.form, known.voxel) == ((5, 6, 4), 7, "sform", (3.0, 3.0, 5.0))
    assert known.dtype == np.int16
    assert known.size == 352 + 5 * 6 * 4 * 7 * 2
    np.testing.assert_array_equal(known.affine, AFFINE)


@pytest.mark.parametrize(
    ("shape", "expected", "volumes"),
    [
        ((5, 6, 4), (5, 6, 4), 1),
        ((5, 6, 4, 1), (5, 6, 4), 1),
        ((5, 6, 4, 1, 7), (5, 6, 4), 7),
        ((5, 6, 4, 7, 1), (5, 6, 4), 7),
        ((5, 6, 1, 7), (5, 6, 1), 7),
        ((5, 6), (5, 6, 1), 1),
    ],
)
def test_shapes(tmp_path, shape, expected, volumes):
    path = write(tmp_path / "a.nii.gz", shape)
    known = header.read(path)
    assert (known.shape, known.volumes) == (expected, volumes)
    data, _ = images.load(path)
    np.testing.assert_array_equal(data.ravel(), np.arange(np.prod(shape)))
    assert data.shape == (expected if volumes == 1 else (*expected, volumes))


def test_more_dimensions_than_time_are_refused(tmp_path):
    fields, message = problems(write(tmp_path / "a.nii.gz", (5, 6, 4, 2, 7)))
    assert fields == ["dim"]
    assert "[5, 6, 4, 2, 7]" in message


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_values_are_those_that_nibabel_reads(tmp_path, kind, dtype, order):
    rng = np.random.default_rng(3)
    data = (rng.normal(100, 30, (5, 6, 4, 3))).astype(dtype)
    raw = (nibabel.Nifti1Header if kind is nibabel.Nifti1Image else nibabel.Nifti2Header)(endianness=order)
    raw.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    image = kind(data, AFFINE, raw)
    if np.dtype(dtype).kind in "iu":
        image.header.set_slope_inter(0.37, -12.5)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert gzip.decompress((tmp_path / "a.nii.gz").read_bytes())[0] in ((92, 28) if order == "<" else (0,))
    found, affine = images.load(tmp_path / "a.nii.gz")
    reference = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(found, np.asanyarray(reference.dataobj).astype(np.float32))
    np.testing.assert_array_equal(affine, reference.affine)


def test_qform_alone_is_nibabels(tmp_path):
    turned = np.array([[-2.9, 0.4, 0.1, 90], [0.3, 2.8, -0.6, -80], [0.05, 0.9, 4.7, -40], [0, 0, 0, 1]])
    axes, _, other = np.linalg.svd(turned[:3, :3] / [3, 3, 5])
    turned[:3, :3] = axes @ other * [3, 3, 5]
    path = write(tmp_path / "a.nii.gz", qform=turned, codes=(1, 0))
    known = header.read(path)
    assert known.form == "qform"
    np.testing.assert_array_equal(known.affine, nibabel.load(path).affine)
    np.testing.assert_allclose(known.affine, turned, atol=1e-5)


@pytest.mark.parametrize(("code", "millimetres"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
@pytest.mark.parametrize("form", ["qform", "sform"])
def test_units_become_millimetres(tmp_path, code, millimetres, form):
    affine = AFFINE.copy()
    affine[:3] /= millimetres
    path = write(tmp_path / "a.nii", sform=affine, qform=affine, codes=(1, 0) if form == "qform" else (0, 1))
    change(path, "pixdim", np.array([3, 3, 5]) / millimetres, index=slice(1, 4))
    # Whatever the unit of time is (8: seconds, 24: microseconds), lengths do not depend on it.
    change(path, "xyzt_units", code + (24 if code == 3 else 8))
    np.testing.assert_allclose(header.read(path).affine, AFFINE, rtol=1e-6)
    np.testing.assert_allclose(images.load(path)[1], AFFINE, rtol=1e-6)


def test_left_and_right_unknown(tmp_path):
    fields, message = problems(write(tmp_path / "a.nii.gz", codes=(0, 0)))
    assert fields == ["qform_code, sform_code"]
    assert "Left and right" in message


MIRROR = np.diag([-1.0, 1, 1, 1]) @ AFFINE
# Front and back exchanged too: of the same handedness, half a turn away, and left and right are exchanged all the same.
TURNED = np.diag([-1.0, -1, 1, 1]) @ AFFINE


@pytest.mark.parametrize(("sform", "words"), [(MIRROR, "mirror images"), (TURNED, "180 degrees apart")])
def test_forms_that_contradict_each_other(tmp_path, sform, words):
    fields, message = problems(write(tmp_path / "a.nii.gz", sform=sform))
    assert fields == ["qform, sform"]
    assert words in message
    assert "LAS" in message


def test_a_sform_that_was_aligned_to_something_is_taken(tmp_path):
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = 4, 30, -20
    path = write(tmp_path / "a.nii.gz", sform=turn @ AFFINE, codes=(1, 2))
    np.testing.assert_allclose(header.read(path).affine, turn @ AFFINE, atol=1e-4)


@pytest.mark.parametrize(
    ("form", "field", "value", "index", "at_fault"),
    [
        ("sform", "srow_x", np.nan, 0, "srow_x, srow_y, srow_z"),
        ("sform", "srow_z", np.inf, 3, "srow_x, srow_y, srow_z"),
        ("sform", "srow_y", 0, slice(0, 4), "srow_x, srow_y, srow_z"),
        ("sform", "srow_y", (3, 3, 0, 0), slice(0, 4), "srow_x, srow_y, srow_z"),
        ("sform", "srow_x", -6, 0, "pixdim, srow_x, srow_y, srow_z"),
        ("qform", "quatern_b", np.nan, None, "quatern_b, quatern_c, quatern_d"),
        ("qform", "quatern_d", 1.5, None, "quatern_b, quatern_c, quatern_d"),
        ("qform", "qoffset_x", np.inf, None, "qoffset_x, qoffset_y, qoffset_z"),
        ("qform", "pixdim", np.nan, 0, "pixdim[0]"),
        ("qform", "pixdim", 0, 2, "pixdim"),
        ("sform", "pixdim", np.nan, 3, "pixdim"),
        ("sform", "pixdim", -3, 1, "pixdim"),
        ("sform", "xyzt_units", 7, None, "xyzt_units"),
        ("sform", "scl_slope", np.inf, None, "scl_slope"),
        ("sform", "vox_offset", np.nan, None, "vox_offset"),
        ("sform", "datatype", 77, None, "datatype"),
        ("sform", "dim", 0, 2, "dim"),
        ("sform", "dim", -4, 3, "dim"),
        ("sform", "magic", b"ni1", None, "magic"),
        ("sform", "sizeof_hdr", 1000, None, "sizeof_hdr"),
    ],
)
def test_a_field_that_cannot_be(tmp_path, form, field, value, index, at_fault):
    path = write(tmp_path / "a.nii.gz", codes=(1, 0) if form == "qform" else (0, 1))
    fields, _ = problems(change(path, field, value, index))
    assert fields == [at_fault]


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_voxels_of_a_wrong_unit(tmp_path, factor):
    affine = AFFINE * [[factor]] * np.array([[1], [1], [1], [1 / factor]])
    fields, message = problems(write(tmp_path / "a.nii.gz", sform=affine, qform=affine))
    assert fields == ["pixdim, xyzt_units"]
    assert f"{3 * factor:g} x {3 * factor:g} x {5 * factor:g} mm" in message


@pytest.mark.parametrize(("slope", "intercept", "expected"), [(0, 5, 1), (np.nan, np.nan, 1), (2, 0, 2), (1, 3, 1)])
def test_scaling(tmp_path, slope, intercept, expected):
    path = write(tmp_path / "a.nii.gz", (3, 3, 3))
    change(change(path, "scl_slope", slope), "scl_inter", intercept)
    data, _ = images.load(path)
    shift = intercept if np.isfinite(slope) and slope else 0
    np.testing.assert_array_equal(data.ravel(), np.arange(27) * expected + shift)


@pytest.mark.parametrize("code", [128, 2304])
def test_colours_and_complex_numbers_are_refused_by_name(tmp_path, code):
    path = write(tmp_path / "a.nii.gz", (3, 3, 3))
    fields, message = problems(change(path, "datatype", code))
    assert fields[0] == "datatype"
    assert "RGB" in message
    fields, message = problems(change(path, "datatype", 32))
    assert fields[0] == "datatype"
    assert "complex64" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"/annex/objects/SHA256E-s1234--abcdef.nii.gz\n", "datalad get"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "<!DOCTYPE html>"),
        (gzip.compress(b"<!DOCTYPE html><html>", mtime=0), "<!DOCTYPE html>"),
        (gzip.compress(b"", mtime=0), "empty file"),
        (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 40, "damaged"),
        (struct.pack("<i", 348) + b"\x00" * 90, "cut off"),
    ],
)
def test_what_is_no_image(tmp_path, content, words):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    fields, message = problems(path)
    assert len(fields) == 1
    assert words in message


def test_links_and_missing_files(tmp_path):
    path = tmp_path / "a.nii.gz"
    assert "no such file" in problems(path)[1]
    path.symlink_to("../.git/annex/objects/Xq/k7/MD5E-s1--d41d.nii.gz")
    fields, message = problems(path)
    assert fields == ["(whole file)"]
    assert "datalad get" in message
    assert "MD5E" in message
    (tmp_path / "folder.nii").mkdir()
    assert "directory" in problems(tmp_path / "folder.nii")[1].lower()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path / "a.nii.gz")
    path.chmod(0)
    assert "ermission" in problems(path)[1]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.99, 0.7, 0.3])
def test_truncated(tmp_path, name, share):
    path = write(tmp_path / name, (20, 20, 20, 7))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    fields, message = problems(path)
    assert fields == ["(whole file)"]
    assert "cut off" in message


def test_more_data_than_the_header_has(tmp_path):
    path = change(write(tmp_path / "a.nii.gz"), "dim", 4, index=4)
    fields, message = problems(path)
    assert fields == ["(whole file)"]
    assert "room for 7 volumes where dim has 4" in message
    # A few bytes behind the last voxel are padding.
    padded = write(tmp_path / "b.nii")
    padded.write_bytes(padded.read_bytes() + b"\x00" * 16)
    assert header.read(padded).volumes == 7


def test_a_file_of_several_gzip_members_is_whole(tmp_path):
    path = write(tmp_path / "a.nii.gz", (20, 20, 20, 7))
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]) + gzip.compress(b""))
    assert header.read(path).volumes == 7
    np.testing.assert_array_equal(images.load(path)[0].ravel(), np.arange(56000).astype(np.int16))


def test_no_flipped_bit_passes(tmp_path):
    rng = np.random.default_rng(11)
    path = tmp_path / "a.nii.gz"
    data = rng.normal(1000, 200, (20, 20, 10, 4)).astype(np.int16)
    images.save(path, data, AFFINE, dtype=np.int16)
    whole = path.read_bytes()
    for place in rng.integers(20, len(whole) - 1, 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :])
        with pytest.raises(InputErrors, match=r"a\.nii\.gz"):
            images.load(path)


def test_what_the_workflow_writes_is_read(tmp_path):
    for path in (tmp_path / "a.nii.gz", tmp_path / "a.nii"):
        images.save(path, np.ones((4, 5, 6, 1, 3)), AFFINE, intent="vector")
        data, affine = images.load(path)
        assert data.shape == (4, 5, 6, 3)
        np.testing.assert_array_equal(affine, AFFINE)
