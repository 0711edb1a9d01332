"""Tissue shares of a phantom whose voxels' true mixtures are known: half a brain's labels of 1 mm averaged into voxels of 2 mm."""

import numpy as np
import pytest
from pharmasl.anatomy import segmentation
from pharmasl.errors import InputError
from pharmasl.space import images, template, transforms
from scipy import ndimage

SIGNAL = np.array([180.0, 520.0, 800.0])  # CSF, grey, white matter
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def block_mean(volume, edge=2):
    shape = [n // edge for n in volume.shape]
    cut = volume[tuple(slice(0, n * edge) for n in shape)]
    return cut.reshape(shape[0], edge, shape[1], edge, shape[2], edge).mean(axis=(1, 3, 5))


@pytest.fixture(scope="module")
def phantom():
    """Image, mask, true shares (N, 3), priors (N, 3) that lie 2 mm off (rms), and the planted bias (N,)."""
    _, mask, maps, _ = template.tissue_maps()
    mask, maps = mask[:98], {tissue: maps[tissue][:98] for tissue in segmentation.TISSUES}
    stack = np.stack([maps[tissue] for tissue in segmentation.TISSUES])
    labels = np.where(mask, stack.argmax(axis=0), -1)
    truth = np.stack([block_mean((labels == k).astype(np.float64)) for k in range(3)], axis=-1)
    brain = truth.sum(axis=-1) > 0.5
    truth /= np.maximum(truth.sum(axis=-1, keepdims=True), 1e-9)
    rng = np.random.default_rng(1)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in brain.shape], indexing="ij")
    bias = np.exp(0.1 * y + 0.06 * z**2 - 0.05 * np.sin(2 * x))
    image = (truth @ SIGNAL) * bias + rng.normal(0, 25, brain.shape)
    shift = [ndimage.gaussian_filter(rng.normal(size=brain.shape), 6) for _ in range(3)]
    shift = [
        np.arange(n).reshape([-1 if a == k else 1 for a in range(3)]) + 0.6 * s / s.std()
        for k, (n, s) in enumerate(zip(brain.shape, shift))
    ]
    priors = np.stack(
        [ndimage.map_coordinates(block_mean(maps[tissue]), shift, order=1)[brain] for tissue in segmentation.TISSUES],
        axis=-1,
    )
    return (image * brain).astype(np.float32), brain, truth[brain], priors.astype(np.float32), bias[brain]


def rms(a, b):
    return np.sqrt(((a - b) ** 2).mean(axis=0))


@pytest.fixture(scope="module")
def found(phantom):
    image, brain, _, priors, _ = phantom
    return segmentation.shares(image, brain, AFFINE, priors)


def test_shares_are_shares(found):
    shares, _ = found
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=0, atol=1e-5)


def test_true_mixtures_are_found(found, phantom):
    shares, _ = found
    truth = phantom[2]
    # A segmentation into single labels, were it perfect, would be this far off.
    best_labels = np.eye(3)[truth.argmax(axis=1)]
    assert (rms(shares, truth) < 0.45 * rms(best_labels, truth)).all()


def test_tissue_volumes_are_right(found, phantom):
    shares, _ = found
    np.testing.assert_allclose(shares.sum(axis=0) / phantom[2].sum(axis=0), 1, atol=0.06)


def test_the_tissues_intensities_are_found(found):
    _, fit = found
    # To a twentieth of the contrast between fluid and white matter.
    np.testing.assert_allclose(fit.means, SIGNAL, rtol=0, atol=0.05 * (SIGNAL[2] - SIGNAL[0]))


def test_the_bias_that_is_left_is_modelled(found, phantom):
    image, brain, truth, priors, _ = phantom
    without, _ = segmentation.shares(image, brain, AFFINE, priors, segmentation.Options(bias_degree=0))
    assert rms(without, truth)[2] > 1.3 * rms(found[0], truth)[2]


def test_a_scale_of_intensities_changes_no_byte(found, phantom):
    image, brain, _, priors, _ = phantom
    scaled, fit = segmentation.shares(image * np.float32(8), brain, AFFINE, priors)
    # A power of two: every float keeps its digits, so a second run, and a scaled one, must be the first again.
    assert scaled.tobytes() == found[0].tobytes()
    np.testing.assert_allclose(fit.means, 8 * np.array(found[1].means), rtol=1e-4)


def test_mirrored_axes_change_nothing(found, phantom):
    """No order of voxels is built in: the sample that is fitted differs, and with it the shares by little."""
    image, brain, _, priors, _ = phantom
    volume = np.zeros((*brain.shape, 3), dtype=np.float32)
    volume[brain] = priors
    mirrored, _ = segmentation.shares(image[::-1], brain[::-1], AFFINE, volume[::-1][brain[::-1]])
    volume[brain[::-1]] = 0
    back = np.zeros_like(volume)
    back[brain[::-1]] = mirrored
    np.testing.assert_allclose(back[::-1][brain], found[0], rtol=0, atol=1e-3)


def test_without_priors_mixtures_are_still_found(phantom):
    image, brain, truth, _, _ = phantom
    shares, _ = segmentation.shares(image, brain, AFFINE)
    assert (rms(shares, truth) < 0.45 * rms(np.eye(3)[truth.argmax(axis=1)], truth)).all()


def test_neighbours_are_the_six_that_touch():
    mask = np.ones((3, 3, 3), dtype=bool)
    mask[1, 1, 2] = False
    voxels = np.argwhere(mask)
    neighbours = segmentation._neighbours(mask, voxels)
    centre = np.flatnonzero((voxels == 1).all(axis=1))[0]
    reached = {tuple(voxels[q]) for q in neighbours[centre] if q >= 0}
    assert reached == {(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0)}
    corner = neighbours[0]
    assert (corner >= 0).sum() == 3


@pytest.mark.parametrize("image", [np.zeros((20, 20, 20)), np.full((20, 20, 20), 7.0)])
def test_an_image_without_contrast_is_refused(image, tmp_path):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    points = transforms.points(images.Grid(image.shape, affine))
    names = ("preproc", "mask", "priors_gm", "priors_wm", "priors_csf", "reference")
    files = {name: tmp_path / f"{name}.nii.gz" for name in names}
    for name in names:
        images.save(files[name], image if name == "preproc" else np.ones(image.shape), affine)
    files["forward"] = tmp_path / "forward.nii.gz"
    transforms.write_field(files["forward"], points, affine)
    made = {name: tmp_path / f"made_{name}.nii.gz" for name in ("gm", "wm", "csf", "template_t1w", "template_gm")}
    sources, outputs = segmentation.SegmentationInput(**files), segmentation.SegmentationOutput(**made)
    with pytest.raises(InputError, match="tissue contrast"):
        segmentation.segment(sources, outputs)
    assert not any(path.exists() for path in made.values())
