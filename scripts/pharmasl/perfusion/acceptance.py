"""Whether a registration is to be believed: what can be measured on the result without knowing the truth.

A fit always ends somewhere. It is accepted if the brain that it carries to the scan is where the scan itself shows one,
and if the pattern of grey and white matter fits at least one of the scan's images there and not a centimetre away: a
sphere of water has a brain's outline, but not its pattern.

The limits come from five pCASL and PASL scans of four people (two with a T1w, three fitted to the template; two of
them also cut down to a single pair) and a phantom. Overlap was 0.93 to 0.97 in the scans, the clearest
contrast 0.08 to 0.52 and 2.9 times the displaced one or more; in the phantom 0.84, 0.005 and 0.4 times. All seven are
accepted; 120 fits of them, begun up to 40 mm and 20 degrees away, all ended in the same place. Of 80
poses of them that are wrong by 4 mm and more, the limits find 72: all 47 beyond 16 mm, 22 of 28 from 8 to 16 mm, 3 of 5
nearer ones. They do not find the head of another person: that registers well.

A scan of deltaM or CBF alone shows no outline by its brightness, because white matter is dark. It is smoothed first, and
what it shows is closed to a body (:func:`body`). In deltaM alone of the four real and reference scans with a T1w the right
poses then overlap by 0.91 to 0.98, by brightness as it is 0.78 to 0.95 (docs/anatomy.md).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from pharmasl.perfusion import coregistration
from pharmasl.perfusion.tissue_maps import Tissues, carry
from pharmasl.perfusion.tissue_model import DISPLACED
from pharmasl.space import images as spaces
from pharmasl.space import resample

# Images in which white matter is dark.
PERFUSION = ("deltaM", "CBF")
# Dice of the carried brain with the scan's own foreground.
LEAST_OVERLAP = 0.8
# Share of the variation within the brain, and how many times that with displaced tissues it must be.
LEAST_CONTRAST = 0.03
LEAST_RATIO = 2.0
# Bridges to scalp and neck thinner than twice this are cut, mm.
OPENING = 6.0
# White matter that is dark between bright cortex: smoothed by this width (FWHM), and closed across twice this, mm.
SMOOTHING = 8.0
CLOSING = 12.0
_BINS = 256


def foreground(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The largest bright body of an image: the brain, found without any anatomy.

    Otsu's threshold (1979) of the median-filtered image, opened by a ball, its largest part, holes in slices filled.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)
        Empty if nothing is bright.
    """
    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    calm = ndimage.median_filter(np.asarray(image, dtype=np.float32), 3)
    calm = np.clip(calm, 0, np.percentile(calm, 99))
    if not calm.max() > calm.min():
        return np.zeros(image.shape, dtype=bool)
    # At the border of the field of view the head goes on: it does not end there.
    bright = np.pad(calm > _otsu(calm), 1, mode="edge")
    core = ndimage.distance_transform_edt(bright, sampling=voxel) > OPENING
    parts, count = ndimage.label(core)
    if count == 0:
        return np.zeros(image.shape, dtype=bool)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    body = (ndimage.distance_transform_edt(~largest, sampling=voxel) <= OPENING)[1:-1, 1:-1, 1:-1]
    return np.stack([ndimage.binary_fill_holes(body[:, :, k]) for k in range(body.shape[2])], axis=2)


def body(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The brain in an image of perfusion, whose white matter is dark: its bright parts, closed and filled.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
        deltaM or CBF.
    affine : ndarray of shape (4, 4)

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)
        Empty if nothing is bright.
    """
    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    bright = foreground(resample.smooth(np.maximum(image, 0), affine, SMOOTHING), affine)
    if not bright.any():
        return bright
    margin = [(width, width) for width in np.ceil(CLOSING / voxel).astype(int) + 1]
    grown = ndimage.distance_transform_edt(~np.pad(bright, margin), sampling=voxel) <= CLOSING
    closed = ndimage.distance_transform_edt(grown, sampling=voxel) > CLOSING
    closed = closed[tuple(slice(before, -after) for before, after in margin)] | bright
    return np.stack([ndimage.binary_fill_holes(closed[:, :, k]) for k in range(closed.shape[2])], axis=2)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold: that which divides the histogram with the largest variance between its two sides."""
    counts, edges = np.histogram(values, bins=_BINS)
    centres, below = (edges[1:] + edges[:-1]) / 2, np.cumsum(counts)
    moment = np.cumsum(counts * centres)
    above = below[-1] - below
    between = (moment[-1] * below / below[-1] - moment) ** 2 / np.maximum(below * above, 1)
    return centres[np.argmax(between)]


def overlap(outline: np.ndarray, brain: np.ndarray) -> float:
    """Dice coefficient of the brain that a scan shows with the one that the registration carries there.

    Parameters
    ----------
    outline : ndarray of bool, shape (X, Y, Z)
        Of :func:`foreground` or :func:`body`.
    brain : ndarray of shape (X, Y, Z)
        Share of brain in each voxel.

    Returns
    -------
    float
        0 (apart, or nothing shown) to 1 (the same voxels).
    """
    carried = brain > 0.5
    return float(2 * (outline & carried).sum() / max(outline.sum() + carried.sum(), 1))


def judge(images: Mapping[str, np.ndarray], tissues: Tissues, grid: spaces.Grid, to_t1w: np.ndarray) -> dict[str, Any]:
    """The measures of a registration, and whether it is accepted.

    Parameters
    ----------
    images : Mapping of str to ndarray of shape (X, Y, Z)
        Images of the scan in the reference's place (M0, mean control, deltaM, CBF). The first gives the brain's outline:
        its :func:`foreground`, or the :func:`body` of one of :data:`PERFUSION`.
    tissues : pharmasl.perfusion.tissue_maps.Tissues
    grid : pharmasl.space.images.Grid
        The images' grid.
    to_t1w : ndarray of shape (4, 4)
        Maps points of the images to points of the tissues.

    Returns
    -------
    dict
        ``Overlap``, ``Contrast`` and ``ContrastDisplaced`` (of the image with the clearest pattern, ``ContrastImage``),
        ``Accepted`` and, where it is not, ``Reason``.
    """
    brain = carry(tissues.maps.sum(axis=0), tissues.affine, grid, to_t1w, parts=2)
    name, first = next(iter(images.items()))
    shown = body(first, grid.affine) if name in PERFUSION else foreground(first, grid.affine)
    outline = overlap(shown, brain)
    patterns = {name: coregistration.contrast(image, grid.affine, tissues, to_t1w) for name, image in images.items()}
    best = max(patterns, key=lambda name: clearness(*patterns[name]))
    here, elsewhere = patterns[best]
    reasons = []
    if outline < LEAST_OVERLAP:
        reasons.append(
            f"the brain that the registration carries to the scan and the one that the scan shows overlap by "
            f"{outline:.2f}, less than {LEAST_OVERLAP}"
        )
    if clearness(here, elsewhere) < 1:
        reasons.append(
            f"the pattern of grey and white matter accounts for {100 * here:.1f}% of the variation within the brain and, "
            f"{DISPLACED:g} mm away, for {100 * elsewhere:.1f}% (at least {100 * LEAST_CONTRAST:g}% and "
            f"{LEAST_RATIO:g} times as much as there are expected): this is no brain, or it lies elsewhere"
        )
    return {
        "Overlap": round(outline, 4),
        "Contrast": round(here, 4),
        "ContrastDisplaced": round(elsewhere, 4),
        "ContrastImage": best,
        "Accepted": not reasons,
        "Reason": "; ".join(reasons) or None,
    }


def clearness(here: float, elsewhere: float) -> float:
    """How clear the pattern of grey and white matter is, by :func:`pharmasl.perfusion.coregistration.contrast`.

    Parameters
    ----------
    here, elsewhere : float

    Returns
    -------
    float
        1 where both limits are just met, more where they are exceeded.
    """
    return min(here / LEAST_CONTRAST, here / max(LEAST_RATIO * elsewhere, 1e-9))
