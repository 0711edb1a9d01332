"""Brain mask of a T1-weighted image by deepbet's two networks (Fisch et al. 2024, doi 10.1016/j.compbiomed.2024.108845).

The first network finds the brain's bounding box in the whole field of view, the second draws the mask within it. Their
weights are in ``weights/`` as ONNX, so that onnxruntime runs them and torch is not needed; the processing of the voxels
before, between and after the networks follows deepbet 1.0.2.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage, special

from pharmasl.errors import FilePath, InputError

Box = tuple[slice, ...]

WEIGHTS = Path(__file__).parent / "weights"
BOX_EDGE, BRAIN_EDGE = 128, 256  # voxels along each edge of the networks' input cubes
BOX_MARGIN = 0.1  # share of the box's size that is added on each side

# Intracranial volumes of adults lie between about 1000 and 1900 mL; a mask far outside this range is a failure.
PLAUSIBLE_VOLUME = (700.0, 2200.0)  # mL
# Least agreement (Dice) of the network's mask with the non-zero voxels of an image without a head.
BRAIN_ONLY_AGREEMENT = 0.9
# Darker than this share of the brain's median is background (air, noise) in an image without a head; CSF is brighter.
BACKGROUND = 0.1
# A brain cut by the field of view shows a section of up to 250 cm2; an intact one hardly touches a tight box.
PLAUSIBLE_SECTION = 20.0  # cm2


@dataclass(frozen=True)
class MaskFacts:
    """How a brain mask was made.

    Attributes
    ----------
    method : str
        For the sidecar.
    brain_only : bool
        Whether the image showed a brain without a head.
    volume_ml : float
        Of the mask.
    """

    method: str
    brain_only: bool
    volume_ml: float


_NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)


def _nearest(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A volume resized to ``shape`` by the nearest voxel centre, as torch's ``nearest-exact`` does."""
    index = []
    for old, new in zip(volume.shape, shape):
        # Single precision on purpose: ties (a centre between two voxels) are then resolved as in torch.
        centre = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * (np.float32(old) / np.float32(new))
        index.append(np.minimum(centre.astype(np.intp), old - 1))
    return volume[np.ix_(*index)]


def _largest_component(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask, _NEIGHBOURS_26)
    if count == 0:
        return np.zeros_like(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def _bounding_box(mask: np.ndarray, shape: tuple[int, ...], threshold: float = 0.02) -> Box | None:
    """Slices of a volume of ``shape`` around a mask drawn on another grid, or None if the mask is almost empty."""
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


def _network(name: str, cube: np.ndarray, low: float, high: float, threads: int) -> np.ndarray:
    """A network's evidence for brain in each voxel of a cube, above 0 where that is more probable than background.

    Intensities ``low`` and ``high`` become 0 and 1.
    """
    import onnxruntime

    scaled = np.clip((cube.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    # Mean and standard deviation with which deepbet was trained.
    mean, deviation = scaled.mean(dtype=np.float64), scaled.std(dtype=np.float64, ddof=1)
    scaled -= np.float32(mean)
    scaled *= np.float32(0.226 / deviation)
    scaled += np.float32(0.449)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Level 3 is "error": a container without a readable CPU topology makes onnxruntime warn at every session.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(WEIGHTS / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    background, brain = session.run(None, {"head": scaled[None, None]})[0][0]
    return brain - background


def network_probability(head: np.ndarray, threads: int = 1) -> tuple[np.ndarray, Box | None]:
    """Probability of brain according to deepbet's networks.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities, axes in RAS+ order.
    threads : int
        Threads of onnxruntime; the result does not depend on them.

    Returns
    -------
    probability : ndarray of shape (X, Y, Z), float32
        Zero outside the bounding box.
    box : tuple of 3 slices, or None
        The bounding box; None if the first network finds no brain.
    """
    head = np.nan_to_num(head)
    probability = np.zeros(head.shape, dtype=np.float32)
    small = _nearest(head, (BOX_EDGE,) * 3)
    low, high = np.quantile(small, (0.005, 0.995))
    if high <= low:
        return probability, None
    box = _bounding_box(_largest_component(_network("bounding_box", small, low, high, threads) > 0), head.shape)
    if box is None:
        return probability, None
    cube = _nearest(head[box], (BRAIN_EDGE,) * 3)
    # The softmax of two classes.
    probability[box] = special.expit(_nearest(_network("brain", cube, low, high, threads), probability[box].shape))
    return probability, box


def brain_mask(
    head: np.ndarray, affine: np.ndarray, file: FilePath = "T1w", threads: int = 1
) -> tuple[np.ndarray, MaskFacts]:
    """Brain mask of a T1-weighted image of a head, or of a brain without skull.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities in any orientation.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    file : path-like
        Named in errors.
    threads : int
        Of onnxruntime; the mask does not depend on them.

    Returns
    -------
    mask : ndarray of shape (X, Y, Z), bool
        One component (26 neighbours) without holes.
    facts : MaskFacts

    Raises
    ------
    InputError
        If the mask's volume is implausible or the field of view cuts the brain.
    """
    orientation = nibabel.io_orientation(affine)
    canonical = np.ascontiguousarray(nibabel.apply_orientation(head, orientation))
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    probability, box = network_probability(canonical, threads)
    mask = np.zeros(canonical.shape, dtype=bool)
    if box is not None:
        mask[box] = ndimage.binary_fill_holes(_largest_component(probability[box] > 0.5))
    stripped = _brain_only(canonical, mask)
    if stripped is not None:
        mask = stripped
    volume = float(mask.sum() * voxel_ml)
    _check_canonical(mask, volume, voxel_sizes(affine)[np.argsort(orientation[:, 0])], file)
    back = nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)
    network = "deepbet 1.0.2 networks"
    facts = MaskFacts(
        method=network if stripped is None else "voxels above the background of a brain-only image",
        brain_only=stripped is not None,
        volume_ml=round(volume, 1),
    )
    return np.ascontiguousarray(nibabel.apply_orientation(mask, back)).astype(bool), facts


def _brain_only(head: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """The foreground of an image without a head, or None if there is a head around the network's mask."""
    if not mask.any():
        return None
    for threshold in (0.0, BACKGROUND * np.median(head[mask])):
        body = _largest_component(head > threshold)
        # A head's foreground holds more than twice the brain's volume, so it cannot agree with the network's mask, and
        # what it encloses need not be known.
        if 2 * mask.sum() <= BRAIN_ONLY_AGREEMENT * (mask.sum() + body.sum()):
            continue
        foreground = ndimage.binary_fill_holes(body)
        if 2 * (mask & foreground).sum() > BRAIN_ONLY_AGREEMENT * (mask.sum() + foreground.sum()):
            return foreground
    return None


def check(mask: np.ndarray, affine: np.ndarray, file: FilePath) -> float:
    """The volume (mL) of a mask in any orientation.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    file : path-like
        Named in errors.

    Returns
    -------
    float

    Raises
    ------
    InputError
        As :func:`brain_mask`.
    """
    orientation = nibabel.io_orientation(affine)
    volume = float(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000)
    canonical = nibabel.apply_orientation(mask, orientation)
    _check_canonical(canonical, volume, voxel_sizes(affine)[np.argsort(orientation[:, 0])], file)
    return volume


def _check_canonical(mask: np.ndarray, volume: float, size: np.ndarray, file: FilePath) -> None:
    """Refuse a mask (RAS+ axes, voxels of ``size`` mm) that cannot be that of a brain."""
    low, high = PLAUSIBLE_VOLUME
    if not low <= volume <= high:
        raise InputError(
            file=file,
            field="brain volume",
            found=f"{volume:.0f} mL",
            expected=f"{low:.0f} to {high:.0f} mL",
            fix="Look at the image: it must be a T1-weighted scan of a whole head (or brain) with a right voxel size and "
            "orientation in its header, not another contrast, a phantom or part of a head.",
        )
    faces = {"left": (0, 0), "right": (0, -1), "back": (1, 0), "front": (1, -1), "top": (2, -1)}
    # The bottom is left out: many fields of view end within the brain stem, and may do so.
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
