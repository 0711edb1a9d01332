"""Whether left and right of a scan and of its T1-weighted image agree.

A header can be well formed and wrong: a T1-weighted image that was converted by way of a format without orientation is a
plausible brain, mirrored, and a scan registers to it. But no brain's folds are those of its mirror image. So the tissues
are mirrored and fitted anew from where the first fit lies, and the pattern of grey and white matter in the scan decides
which of the two fits (:func:`pharmasl.perfusion.coregistration.contrast`).

This tells whether the two images agree, not which of them is right, and nothing where both are mirrored. It has no meaning
with the template's tissues, which are other people's and symmetric.

On the two real heads with a T1w of their own, contrast was 1.3 to 2.1 times that of the mirror image in all that was accepted,
down to one pair and with noise added, 0.4 to 0.7 times where the T1w was mirrored, 0.8 to 1.2 times with another person's T1w,
and 0.97 to 1.03 times in a digital phantom whose anatomy is symmetric (docs/anatomy.md).
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from pharmasl.perfusion import acceptance, coregistration
from pharmasl.perfusion.tissue_maps import Tissues, middle, stretched
from pharmasl.space.images import Grid

log = logging.getLogger(__name__)

# How many times the other's contrast must be exceeded, for left and right to agree or to contradict each other.
MARGIN = 1.2
AGREE, CONTRADICT, UNDECIDED = "agree", "contradict", "undecided"
REASON = (
    "left and right of T1w and perfusion contradict each other: the scan's pattern of grey and white matter fits the "
    "mirror image of the T1w better ({other:.2f} of the variation explained) than the T1w itself ({own:.2f}). Look at how "
    "both were converted from the scanner's files"
)


def mirrored(tissues: Tissues) -> Tissues:
    """The same tissues with left and right exchanged, through the sagittal plane of their middle."""
    plane = middle(tissues)[0]
    reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
    reflection[0, 3] = 2 * plane
    return stretched(tissues, reflection)


def confront(
    verdict: Mapping[str, Any],
    images: Mapping[str, np.ndarray],
    tissues: Tissues,
    grid: Grid,
    to_t1w: np.ndarray,
) -> dict[str, Any]:
    """A registration's verdict, and what the mirrored tissues say of it.

    Parameters
    ----------
    verdict : Mapping
        Of :func:`pharmasl.perfusion.acceptance.judge`.
    images : Mapping of str to ndarray of shape (X, Y, Z)
        The same that the verdict is on.
    tissues : pharmasl.perfusion.tissue_maps.Tissues
        Of the participant's own T1-weighted image.
    grid : pharmasl.space.images.Grid
        The images' grid.
    to_t1w : ndarray of shape (4, 4)
        Maps points of the images to points of the tissues.

    Returns
    -------
    dict
        The verdict with ``ContrastMirrored`` (in the image that its ``Contrast`` is of) and ``LeftRight``; where they
        contradict each other it is not accepted, with that reason first.
    """
    image, own = images[verdict["ContrastImage"]], verdict["Contrast"]
    other = mirrored(tissues)
    here, displaced = _fitted(image, grid, other, to_t1w)
    if here > own:
        # The registration may rest on another image than this one: both are given the same chance.
        own = max(own, _fitted(image, grid, tissues, to_t1w)[0])
    known = max(own, here) >= acceptance.LEAST_CONTRAST
    if known and own >= MARGIN * here:
        sides = AGREE
    elif known and here >= MARGIN * own and here >= acceptance.LEAST_RATIO * displaced:
        sides = CONTRADICT
    else:
        sides = UNDECIDED
    if sides == UNDECIDED:
        log.warning(
            "the T1w fits the scan no better (%.2f) than its mirror image (%.2f): left and right cannot be told, or the T1w "
            "is another person's",
            own,
            here,
        )
    judged = {**verdict, "ContrastMirrored": round(here, 4), "LeftRight": sides}
    if sides == CONTRADICT:
        reasons = [REASON.format(own=own, other=here), verdict["Reason"]]
        judged |= {"Accepted": False, "Reason": "; ".join(reason for reason in reasons if reason)}
    return judged


def _fitted(image: np.ndarray, grid: Grid, tissues: Tissues, start: np.ndarray) -> tuple[float, float]:
    """The contrast of tissues that are fitted to the image once more: here and displaced."""
    fit = coregistration.coregister(image, grid.affine, tissues, [start])
    return coregistration.contrast(image, grid.affine, tissues, fit.matrix)
