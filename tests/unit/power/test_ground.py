"""Where the places of an effect lie."""

import drawn_studies
import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.power import ground
from pharmasl.study import settings
from pharmasl.study.settings import Atlas, RegionDefinition


@pytest.fixture
def brain(tmp_path):
    """A box of 8 mm voxels about the origin."""
    data = np.zeros((16, 18, 16), dtype=np.uint8)
    data[2:-2, 2:-2, 2:-2] = 1
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = (-64, -72, -64)
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "brain.nii.gz")
    return tmp_path / "brain.nii.gz"


def sphere(*centre, radius):
    return settings.build(RegionDefinition, {"sphere": centre, "radius": radius})


def atlas(folder):
    image = nibabel.load(folder / "brain.nii.gz")
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[:8], labels[8:] = 1, 7
    labels[2, 2, 2] = 9
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), folder / "atlas.nii.gz")
    (folder / "atlas.txt").write_text("1 left\n7 right\n9 tiny\n")
    return settings.build(Atlas, {"image": str(folder / "atlas.nii.gz"), "labels": str(folder / "atlas.txt")})


def test_an_effect_is_whole_in_its_place_and_falls_over_the_smoothing(tmp_path, brain):
    planned = drawn_studies.planned(tmp_path, places={"one": sphere(0, 0, 0, radius=16)}, edge=16)
    ground.write(tmp_path / "g.npz", planned, brain, atlas(tmp_path), minimum_coverage=0.5)
    own = ground.read(tmp_path / "g.npz")
    points = np.argwhere(own.mask) @ own.affine[:3, :3].T + own.affine[:3, 3]
    distance = np.linalg.norm(points, axis=1)
    assert own.voxel_size == 8
    assert (own.inside[0] == (distance <= 16)).all()
    assert (own.weights[0][own.inside[0]] == 1).all()
    # One voxel beyond, half of the smoothing: half of the effect.
    beyond = (np.abs(points - (24, 0, 0)) < 1e-6).all(axis=1)
    assert np.isclose(own.weights[0][beyond], 0.5)
    assert (own.weights[0][distance > 16 + 16] == 0).all()
    # A parcel of one voxel is none.
    assert set(own.parcels) == {0, 1, 2}
    assert own.searched.all()


def test_a_place_is_moved_by_whole_voxels_within_the_brain(tmp_path, brain):
    planned = drawn_studies.planned(tmp_path, places={"one": sphere(0, 0, 0, radius=8)})
    ground.write(tmp_path / "g.npz", planned, brain, atlas(tmp_path), minimum_coverage=0.5)
    own = ground.read(tmp_path / "g.npz")
    points = np.argwhere(own.mask) @ own.affine[:3, :3].T + own.affine[:3, 3]
    moved = own.shifted(0, np.array([2, -1, 0]))
    assert np.allclose(points[moved].mean(axis=0) - points[own.inside[0]].mean(axis=0), (16, -8, 0))
    assert len(own.shifted(0, np.array([40, 0, 0]))) == 0


def test_a_place_outside_the_brain_is_refused(tmp_path, brain):
    planned = drawn_studies.planned(tmp_path, places={"one": sphere(-60, -60, -60, radius=10)})
    with pytest.raises(InputError, match="within the template's brain"):
        ground.write(tmp_path / "g.npz", planned, brain, atlas(tmp_path), minimum_coverage=0.5)
