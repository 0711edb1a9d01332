"""The inverse of a field where it is needed: the same values as of the whole, wherever a point lies between the nodes."""

import numpy as np
import pytest
from pharmasl.space import fields, images, inverse_fields, transforms
from pharmasl.space.images import Grid, Volume

TEMPLATE = Grid((30, 36, 30), np.array([[2.0, 0, 0, -30], [0, 2, 0, -36], [0, 0, 2, -30], [0, 0, 0, 1]]))
HEAD = Grid((50, 61, 52), np.array([[1.0, 0, 0, -25], [0, 1, 0, -30], [0, 0, 1.1, -28], [0, 0, 0, 1]]))


@pytest.fixture(scope="module")
def forward():
    nodes = transforms.points(TEMPLATE)
    waves = 3 * np.sin(nodes[..., [1, 2, 0]] / 12)
    return Volume(fields.rounded(nodes * [1.05, 0.97, 1.02] + waves + [2, -1, 3], TEMPLATE.affine), TEMPLATE.affine)


@pytest.fixture(scope="module")
def whole(forward):
    return inverse_fields.invert(forward, HEAD)


def test_the_field_leads_back(forward, whole):
    assert whole.unconverged == 0
    assert np.isfinite(whole.field.data).all()
    points = transforms.points(HEAD)[10:40, 12:48, 10:40]
    returned = fields.sample(*forward, fields.sample(*whole.field, points))
    assert np.percentile(np.linalg.norm(returned - points, axis=-1), 99) < 0.1


@pytest.mark.parametrize("reach", [0.0, 3.5])
def test_what_is_computed_around_points_is_the_same(forward, whole, reach):
    """At voxels' centres, every other of which is a node, between them, and beyond the grid."""
    centres = transforms.points(HEAD)[15:35, 20:40, 12:30].reshape(-1, 3)
    beyond = np.array([[60.0, 0, 0], [0, -90, 10]])
    points = np.concatenate([centres, beyond])
    near = inverse_fields.invert(forward, HEAD, points, reach).field
    assert 0 < np.isnan(near.data[..., 0]).mean() < 1
    # Every part of a voxel that the reach covers.
    offsets = reach * np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0], [0, 0, 1], [0.57, 0.57, -0.57]])
    for offset in offsets:
        found = fields.sample(*near, points + offset)
        assert np.array_equal(found, fields.sample(*whole.field, points + offset))


def test_the_file_holds_the_whole_field(forward, whole, tmp_path):
    transforms.write_field(tmp_path / "forward.nii.gz", *forward)
    images.save(tmp_path / "head.nii.gz", np.zeros(HEAD.shape), HEAD.affine, dtype=np.uint8)
    inverse_fields.write(tmp_path / "inverse.nii.gz", tmp_path / "forward.nii.gz", tmp_path / "head.nii.gz")
    written, grid = transforms.read_field(tmp_path / "inverse.nii.gz")
    assert grid.shape == whole.field.data.shape[:3]
    np.testing.assert_allclose(grid.affine, whole.field.affine)
    np.testing.assert_allclose(written, whole.field.data, rtol=0, atol=1e-6)
