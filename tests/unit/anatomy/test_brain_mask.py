"""The brain mask against deepbet's own on a real head, and its parts against closed forms."""

import hashlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from loading import shared_data
from pharmasl.anatomy import brain_mask
from pharmasl.errors import InputError
from pharmasl.space import images

REFERENCE = Path(__file__).parents[1] / "reference" / "deepbet"


def ball(shape=(60, 70, 64), radius=66.0, voxel=3.0, centre=None):
    """Distance-thresholded ball: mask and affine; 66 mm is 1204 mL."""
    centre = (np.array(shape) - 1) / 2 if centre is None else np.asarray(centre)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return (((grid - centre) * voxel) ** 2).sum(axis=-1) < radius**2, np.diag([voxel, voxel, voxel, 1.0])


@pytest.fixture
def network(monkeypatch):
    """Let a given mask be what the networks see."""

    def set_mask(mask, box=None):
        box = (slice(None),) * 3 if box is None else box
        monkeypatch.setattr(brain_mask, "network_probability", lambda head, threads=1: (mask.astype(np.float32), box))

    return set_mask


def test_the_weights_are_those_of_the_readme():
    table = (brain_mask.WEIGHTS / "README.md").read_text(encoding="utf-8")
    for name in ("bounding_box.onnx", "brain.onnx"):
        digest = hashlib.sha256((brain_mask.WEIGHTS / name).read_bytes()).hexdigest()
        row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
        assert digest in row


@pytest.mark.slow
def test_a_real_head_is_masked_as_deepbet_does():
    path = shared_data("data", "siemens-xa30-pcasl", "sub-01", "anat", "sub-01_T1w.nii.gz")
    head, affine = images.load(path)
    stored = np.load(REFERENCE / "xa30_mask.npz")
    expected = np.unpackbits(stored["bits"], count=int(np.prod(stored["shape"]))).reshape(stored["shape"]) > 0
    mask, facts = brain_mask.brain_mask(head, affine, path)
    assert not facts.brain_only
    assert 2 * (mask & expected).sum() / (mask.sum() + expected.sum()) > 0.9999


def test_threads_change_no_byte_of_a_networks_output():
    rng = np.random.default_rng(0)
    head = np.where(ball((128, 128, 128), 45, 1.0)[0], 800, 100) + rng.normal(0, 30, (128, 128, 128))
    one, two = (brain_mask._network("bounding_box", head, 0, 1000, threads) for threads in (1, 2))
    assert one.min() < 0 < one.max()
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (4, 2, [1, 3]),
        (2, 4, [0, 0, 1, 1]),
        (3, 5, [0, 0, 1, 2, 2]),
        (5, 3, [0, 2, 4]),
        (7, 7, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_resizing_takes_the_nearest_centre(old, new, expected):
    """Torch's nearest-exact, computed once with torch 2.13."""
    volume = np.arange(old)[:, None, None] * np.ones((1, 2, 2), dtype=int)
    assert brain_mask._nearest(volume, (new, 2, 2))[:, 0, 0].tolist() == expected


def test_the_bounding_box_has_a_tenth_of_margin_on_each_side():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2:7, 1:9, 4:6] = True
    # In a volume twice as large: centres 9, 10, 10 and sizes 12, 19, 5 (10, 16 and 4, times 1.2, rounded).
    assert brain_mask._bounding_box(mask, (20, 20, 20)) == (slice(3, 15), slice(0, 19), slice(7, 12))


def test_an_empty_box_is_none():
    assert brain_mask._bounding_box(np.zeros((10, 10, 10), dtype=bool), (20, 20, 20)) is None


def test_the_largest_component_without_holes_is_kept(network):
    brain, affine = ball()
    seen = brain.copy()
    seen[30, 35, 32] = False
    seen[1:3, 1:3, 1:3] = True
    network(seen)
    head = np.ones(brain.shape, dtype=np.float32)
    mask, facts = brain_mask.brain_mask(head, affine)
    assert (mask == brain).all()
    assert facts.volume_ml == pytest.approx(brain.sum() * 0.027, abs=0.05)


def test_the_mask_comes_back_in_the_images_own_orientation(network):
    brain, affine = ball(centre=(24, 40, 30))
    network(brain)
    image = nibabel.Nifti1Image(np.ones(brain.shape, dtype=np.float32), affine)
    turned = image.as_reoriented([[2, -1], [0, 1], [1, -1]])
    mask, _ = brain_mask.brain_mask(np.asarray(turned.dataobj), turned.affine)
    expected = nibabel.Nifti1Image(brain.astype(np.uint8), affine).as_reoriented([[2, -1], [0, 1], [1, -1]])
    assert mask.shape == turned.shape
    assert (mask == (np.asarray(expected.dataobj) > 0)).all()


@pytest.mark.parametrize("background", [0.0, 20.0])
def test_a_brain_without_a_head_is_its_foreground(network, background):
    brain, affine = ball()
    seen, _ = ball(radius=63.0)
    network(seen)
    noise = np.abs(np.random.default_rng(0).normal(0, background, brain.shape))
    head = np.where(brain, 1000.0, noise).astype(np.float32)
    mask, facts = brain_mask.brain_mask(head, affine)
    assert facts.brain_only
    assert (mask == brain).all()


def test_a_head_about_the_brain_is_seen(network):
    brain, affine = ball()
    outside, _ = ball(radius=90.0)
    network(brain)
    mask, facts = brain_mask.brain_mask(np.where(outside, 1000.0, 0.0).astype(np.float32), affine)
    assert not facts.brain_only
    assert (mask == brain).all()


@pytest.mark.parametrize(("radius", "millilitres"), [(50.0, 524), (84.0, 2483)])
def test_a_volume_that_is_no_brains_is_refused(network, radius, millilitres):
    brain, affine = ball(radius=radius)
    network(brain)
    with pytest.raises(InputError, match="brain volume") as caught:
        brain_mask.brain_mask(np.ones(brain.shape, dtype=np.float32), affine, "sub-01_T1w.nii.gz")
    assert caught.value.file == "sub-01_T1w.nii.gz"
    assert int(caught.value.found.split()[0]) == pytest.approx(millilitres, rel=0.01)


def test_no_brain_at_all_is_refused(network):
    network(np.zeros((60, 70, 64), dtype=bool))
    with pytest.raises(InputError, match="0 mL"):
        brain_mask.brain_mask(np.ones((60, 70, 64), dtype=np.float32), np.diag([3.0, 3, 3, 1]))


@pytest.mark.parametrize(
    ("centre", "face"),
    [
        ((8, 35, 32), "left"),
        ((51, 35, 32), "right"),
        ((30, 8, 32), "back"),
        ((30, 61, 32), "front"),
        ((30, 35, 55), "top"),
    ],
)
def test_a_field_of_view_that_cuts_the_brain_is_refused(network, centre, face):
    brain, affine = ball(centre=centre, radius=72.0)
    network(brain)
    with pytest.raises(InputError, match=f"{face} face"):
        brain_mask.brain_mask(np.ones(brain.shape, dtype=np.float32), affine)


def test_a_field_of_view_may_end_in_the_brain_stem(network):
    brain, affine = ball(centre=(30, 35, 18), radius=72.0)
    network(brain)
    assert brain[:, :, 0].any()
    mask, _ = brain_mask.brain_mask(np.ones(brain.shape, dtype=np.float32), affine)
    assert (mask == brain).all()


def test_a_constant_image_shows_no_brain():
    probability, box = brain_mask.network_probability(np.zeros((20, 20, 20), dtype=np.float32))
    assert box is None
    assert not probability.any()
