"""Brain mask of a T1-weighted image by deepbet's two networks (Fisch et al. 2024, doi 10.1016/j.compbiomed.2024.108845).

The first network finds the brain's bounding box in the whole field of view, the second draws the mask within it. Their
weights stand in ``weights/`` as ONNX, so that onnxruntime runs them and torch is not needed; what happens to the voxels
before, between and after the networks follows deepbet 1.0.2.
"""

from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from pharmasl.errors import InputError

WEIGHTS = Path(__file__).parent / "weights"
BOX_EDGE, BRAIN_EDGE = 128, 256  # voxels along each edge of the networks' input cubes
BOX_MARGIN = 0.1  # share of the box's size that is added on each side

# Intracranial volumes of adults lie between about 1000 and 1900 mL; a mask far outside is a failure, not a finding.
PLAUSIBLE_VOLUME = (700.0, 2200.0)  # mL
# Network and non-zero voxels must agree this well (Dice) before an image passes for a brain without a head.
BRAIN_ONLY_AGREEMENT = 0.9
# Darker than this share of the brain's median is background (air, noise) in an image without a head; CSF is brighter.
BACKGROUND = 0.1
# A brain cut by the field of view shows a section of up to 250 cm2; an intact one touches a tight box hardly at all.
PLAUSIBLE_SECTION = 20.0  # cm2

_NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)


def _nearest(volume, shape):
    """Resize to ``shape`` by the nearest voxel centre, as torch's ``nearest-exact`` does."""
    index = []
    for old, new in zip(volume.shape, shape):
        # Single precision on purpose: it decides the ties (a centre between two voxels) as torch does.
        centre = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * (np.float32(old) / np.float32(new))
        index.append(np.minimum(centre.astype(np.intp), old - 1))
    return volume[np.ix_(*index)]


def _largest_component(mask):
    labels, count = ndimage.label(mask, _NEIGHBOURS_26)
    if count == 0:
        return np.zeros_like(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def _bounding_box(mask, shape, threshold=0.02):
    """Slices of a volume of ``shape`` around a mask drawn on another grid, or None if the mask is all but empty."""
    box = []
    for axis, length in enumerate(shape):
        share = mask.mean(axis=tuple(k for k in range(3) if k != axis))
        inside = np.flatnonzero(share > threshold)
        if inside.size == 0:
            return None
        scale = length / mask.shape[axis]
        centre = np.round(scale * (inside[-1] + 1 + inside[0]) / 2)
        size = np.round((1 + 2 * BOX_MARGIN) * scale * (inside[-1] + 1 - inside[0]))
        box.append(slice(max(0, int(centre - size / 2)), min(length, int(centre + size / 2))))
    return tuple(box)


def _network(name, cube, low, high, threads):
    """The network's probability of brain in each voxel of a cube, given the intensities that become 0 and 1."""
    import onnxruntime

    scaled = np.clip((cube - low) / (high - low), 0, 1)
    # Mean and standard deviation with which deepbet was trained.
    scaled = 0.226 * (scaled - scaled.mean(dtype=np.float64)) / scaled.std(dtype=np.float64, ddof=1) + 0.449
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Level 3 is "error": a container without a readable CPU topology makes onnxruntime warn at every session.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(WEIGHTS / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    return session.run(None, {"head": scaled.astype(np.float32)[None, None]})[0][0, 1]


def network_probability(head, threads=1):
    """Probability of brain by deepbet's networks.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities, axes in RAS+ order.
    threads : int
        Threads of onnxruntime; the result doesn't depend on them.

    Returns
    -------
    probability : ndarray of shape (X, Y, Z), float32
        Zero outside the bounding box.
    box : tuple of 3 slices, or None
        The bounding box; None if the first network sees no brain.
    """
    head = np.nan_to_num(head)
    probability = np.zeros(head.shape, dtype=np.float32)
    small = _nearest(head, (BOX_EDGE,) * 3)
    low, high = np.quantile(small, (0.005, 0.995))
    if high <= low:
        return probability, None
    box = _bounding_box(_largest_component(_network("bounding_box", small, low, high, threads) > 0.5), head.shape)
    if box is None:
        return probability, None
    cube = _nearest(head[box], (BRAIN_EDGE,) * 3)
    probability[box] = _nearest(_network("brain", cube, low, high, threads), probability[box].shape)
    return probability, box


def brain_mask(head, affine, file="T1w", threads=1):
    """Brain mask of a T1-weighted image of a head, or of a brain that was extracted before.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities in any orientation.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    file : path-like
        Named in errors.
    threads : int
        The mask doesn't depend on them.

    Returns
    -------
    mask : ndarray of shape (X, Y, Z), bool
        One component (26 neighbours) without holes.
    facts : dict
        ``method``, ``volume_ml``, ``brain_only``.

    Raises
    ------
    InputError
        If the mask's volume is no brain's or the field of view cuts the brain.
    """
    orientation = nibabel.io_orientation(affine)
    canonical = np.ascontiguousarray(nibabel.apply_orientation(head, orientation))
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    probability, box = network_probability(canonical, threads)
    mask = np.zeros(canonical.shape, dtype=bool)
    if box is not None:
        mask[box] = ndimage.binary_fill_holes(_largest_component(probability[box] > 0.5))
    stripped = _brain_only(canonical, mask)
    brain_only = stripped is not None
    mask = stripped if brain_only else mask
    volume = float(mask.sum() * voxel_ml)
    _check(mask, volume, np.sqrt((affine[:3, :3] ** 2).sum(axis=0))[np.argsort(orientation[:, 0])], file)
    back = nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)
    facts = {
        "method": "voxels above the background of a brain-only image" if brain_only else "deepbet 1.0.2 networks",
        "brain_only": brain_only,
        "volume_ml": round(volume, 1),
    }
    return np.ascontiguousarray(nibabel.apply_orientation(mask, back)).astype(bool), facts


def _brain_only(head, mask):
    """The foreground of an image without a head, or None if there is a head about the network's mask."""
    if not mask.any():
        return None
    for threshold in (0.0, BACKGROUND * np.median(head[mask])):
        foreground = ndimage.binary_fill_holes(_largest_component(head > threshold))
        # A head's foreground holds more than twice the brain's volume, so it can't agree with the network's mask.
        if 2 * (mask & foreground).sum() > BRAIN_ONLY_AGREEMENT * (mask.sum() + foreground.sum()):
            return foreground
    return None


def _check(mask, volume, size, file):
    """Refuse a mask (RAS+ axes, voxels of ``size`` mm) that can't be a brain's."""
    low, high = PLAUSIBLE_VOLUME
    if not low <= volume <= high:
        raise InputError(
            file=file,
            field="brain volume",
            found=f"{volume:.0f} mL",
            expected=f"{low:.0f} to {high:.0f} mL",
            fix="Look at the image: it must be a T1-weighted scan of a whole head (or brain) with a right voxel size and "
            "orientation in its header, not another contrast, a phantom or a part of a head.",
        )
    faces = {"left": (0, 0), "right": (0, -1), "back": (1, 0), "front": (1, -1), "top": (2, -1)}
    # The bottom is left out: many fields of view rightly end within the brain stem.
    for name, (axis, index) in faces.items():
        pixel = np.prod(np.delete(size, axis)) / 100
        # The network's mask may end a voxel before the face.
        section = max(float(mask.take(i, axis=axis).sum()) * pixel for i in (index, 1 if index == 0 else -2))
        if section > PLAUSIBLE_SECTION:
            raise InputError(
                file=file,
                field="field of view",
                found=f"{section:.0f} cm2 of brain on its {name} face",
                expected=f"at most {PLAUSIBLE_SECTION:.0f} cm2",
                fix="The field of view cuts the brain: give a T1-weighted scan that covers all of it.",
            )
