import gzip

import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputErrors
from pharmasl.space import images, transforms

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


@pytest.fixture
def series():
    return np.random.default_rng(4).normal(100, 20, (9, 8, 7, 5)).astype(np.float32)


def test_compressed_or_not_an_image_holds_the_bytes_that_nibabel_writes(tmp_path, series):
    packed, plain = tmp_path / "a.nii.gz", tmp_path / "a.nii"
    for path in (packed, plain):
        images.save(path, series, AFFINE, time_step=4.5)
    nibabel.save(nibabel.load(plain), tmp_path / "b.nii")
    expected = (tmp_path / "b.nii").read_bytes()
    assert plain.read_bytes() == expected
    # By zlib, so that what igzip writes is what every other program reads.
    assert gzip.decompress(packed.read_bytes()) == expected
    for path in (packed, plain):
        np.testing.assert_array_equal(images.load(path).data, series)


def test_the_same_image_is_the_same_file(tmp_path, series):
    first, second = tmp_path / "one.nii.gz", tmp_path / "two.nii.gz"
    for path in (first, second):
        images.save(path, series, AFFINE)
    assert first.read_bytes() == second.read_bytes()
    # Neither a name nor a date in the header (RFC 1952: flags, then four bytes of time).
    assert first.read_bytes()[3:8] == bytes(5)


@pytest.mark.parametrize("damage", ["a byte of the content", "the checksum"])
def test_a_damaged_file_is_refused(tmp_path, series, damage):
    path = tmp_path / "a.nii.gz"
    images.save(path, series, AFFINE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if damage == "a byte of the content" else -6] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(InputErrors, match=r"damaged|cut off"):
        images.load(path)


@pytest.mark.parametrize(("shape", "size"), [((96, 128, 128), 2.0), ((100, 81, 7), 1.5), ((192, 256, 160), 0.9765625)])
def test_a_spaced_grid_covers_all_voxel_centres(shape, size):
    affine = transforms.rigid_matrix([1, 2, 3], [0.1, 0.2, 0.3], [0, 0, 0]) @ np.diag([size, size, 3.0, 1])
    grid = images.spaced(images.Grid(shape, affine), 2.0)
    last = np.linalg.inv(affine) @ grid.affine @ np.append(np.array(grid.shape) - 1.0, 1)
    assert (last[:3] >= np.array(shape) - 1 - 1e-9).all()
    assert (last[:3] < np.array(shape) - 1 + 2.0 / size + 1e-9).all()
    np.testing.assert_allclose(np.linalg.norm(grid.affine[:3, :3], axis=0), [2.0, 2.0, 3.0])
