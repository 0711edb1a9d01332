"""gzip files: their content by Python's own gzip, and bytes that depend on nothing else."""

import gzip

import numpy as np
from pharmasl.files import compression
from pharmasl.space import images

CONTENT = np.random.default_rng(1).integers(0, 16, 3_000_000).astype(np.uint8).tobytes()


def test_the_content_comes_back_by_pythons_own_gzip_and_by_ours():
    packed = compression.compress(CONTENT)
    assert gzip.decompress(packed) == compression.decompress(packed) == CONTENT
    assert len(packed) < 0.6 * len(CONTENT)


def test_neither_name_nor_date_goes_with_it():
    packed = compression.compress(CONTENT)
    # RFC 1952: the flags, of which one is for a name, and the time of modification.
    assert packed[3] == 0
    assert packed[4:8] == bytes(4)


def test_an_images_bytes_are_those_of_its_content_however_nibabel_writes_it(tmp_path):
    """Pythons from 3.12 on hand what is written to a gzip file on in other pieces than 3.11."""
    data = np.frombuffer(CONTENT, dtype=np.uint8).reshape(100, 100, 300)
    images.save(tmp_path / "a.nii.gz", data, np.eye(4), dtype=np.uint8)
    images.save(tmp_path / "a.nii", data, np.eye(4), dtype=np.uint8)
    assert (tmp_path / "a.nii.gz").read_bytes() == compression.compress((tmp_path / "a.nii").read_bytes())
