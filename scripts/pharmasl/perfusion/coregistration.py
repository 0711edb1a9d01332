"""Registration of a perfusion scan to tissue maps: rigid to the participant's own, affine to the template's.

The image is modelled, not compared: as a mixture of the T1-weighted image's grey matter, white matter and cerebrospinal
fluid maps with free intensities, times a smooth bias field. The intensities and the field are solved for at each
Gauss-Newton step (variable projection, Golub and Pereyra 1973), voxels that the model cannot explain (scalp, vessels,
dropout) lose their weight (Tukey's biweight), and the maps are blurred less and less. So one method serves images of
any contrast: M0, control, or a background-suppressed control.

Where the maps are the template's, of other people's brains, their size and shape (a symmetric stretch) are fitted to the
scan first (:mod:`pharmasl.perfusion.template_size`); after that everything is rigid, as with maps of the participant's own.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from pharmasl.perfusion.tissue_maps import LEVELS, Tissues, middle
from pharmasl.perfusion.tissue_model import Fit, TissueModel
from pharmasl.space import transforms

log = logging.getLogger(__name__)

# Points, steps, and survivors of the first look at each start.
QUICK = (1200, 6, 4)
# Starts about each of the two positions (headers as they are, centres of mass together), mm and radians.
SHIFTS = ((0, 0, 0), (0, 0, 20), (0, 0, -20), (0, 20, 0), (0, -20, 0))
TILTS = ((0, 0, 0), (0.2, 0, 0), (-0.2, 0, 0))
# The same for a scan whose first registration is in doubt, and how many of these survive the first look.
WIDE_SHIFTS = (*SHIFTS, (20, 0, 0), (-20, 0, 0), (0, 0, 40), (0, 0, -40))
WIDE_TILTS = (*TILTS, (0, 0.35, 0), (0, -0.35, 0), (0, 0, 0.35), (0, 0, -0.35), (0.5, 0, 0), (-0.5, 0, 0))
WIDE_SURVIVORS = 8


def coregister(
    image: np.ndarray,
    affine: np.ndarray,
    tissues: Tissues,
    starts: Sequence[np.ndarray] | None = None,
    wide: bool = False,
) -> Fit:
    """The registration of an image of a perfusion scan to tissue maps.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
        Of :func:`reduce`: grey matter, white matter, cerebrospinal fluid.
    starts : sequence of ndarray of shape (4, 4), optional
        Maps points of the image to points of the maps. The default is a fan of starts about the headers' position and
        about that which brings the centres of mass together; the one that explains most of the image goes on.
    wide : bool
        A wider and denser fan.

    Returns
    -------
    Fit
    """
    bright = float(np.percentile(image, 98))
    if not bright > 0:
        log.warning("an image without signal cannot be registered: its header's position stands")
        return Fit(np.eye(4), 1.0, np.zeros(len(tissues.maps)), np.inf)
    image = (image / bright).astype(np.float32)
    tried = 0 if starts is None else len(starts)
    if starts is None:
        # A quick look from many places, a proper fit from the best few.
        quick = TissueModel(tissues, 0, image, affine, QUICK[0])
        fan = _fan(image, affine, tissues, *((WIDE_SHIFTS, WIDE_TILTS) if wide else (SHIFTS, TILTS)))
        trials = sorted((quick.fit(start, QUICK[1]) for start in fan), key=lambda trial: trial.unexplained)
        starts = [trial.matrix for trial in trials[: WIDE_SURVIVORS if wide else QUICK[2]]]
        tried = len(fan)
    coarse = TissueModel(tissues, 0, image, affine, LEVELS[0][1])
    best = min((coarse.fit(start) for start in starts), key=lambda trial: trial.unexplained)
    for number in range(1, len(LEVELS)):
        best = TissueModel(tissues, number, image, affine, LEVELS[number][1], near=best.matrix).fit(best.matrix)
    return replace(best, starts=tried)


def contrast(image: np.ndarray, affine: np.ndarray, tissues: Tissues, matrix: np.ndarray) -> tuple[float, float]:
    """How much of the image's variation within the brain the pattern of grey and white matter accounts for.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
    matrix : ndarray of shape (4, 4)
        Maps points of the image to points of the maps.

    Returns
    -------
    here : float
        Share (partial R squared, 0 to 1) of the variance that a smooth field leaves, among points well inside the brain.
    elsewhere : float
        The mean of such shares, at the same points, with the maps displaced by :data:`DISPLACED` mm along each axis, to
        and fro. A registration that fits the brain's pattern, and not its outline alone, has much more here.
    """
    bright = float(np.percentile(image, 98))
    if not bright > 0:
        return 0.0, 0.0
    level = TissueModel(
        tissues, len(LEVELS) - 1, (image / bright).astype(np.float32), affine, LEVELS[-1][1], near=matrix
    )
    return level.contrast(matrix)


def _fan(
    image: np.ndarray,
    affine: np.ndarray,
    tissues: Tissues,
    shifts: Sequence[tuple[float, ...]],
    tilts: Sequence[tuple[float, ...]],
) -> list[np.ndarray]:
    """Starts about the headers' position and about that which brings the centres of mass together."""
    centre_of_image = transforms.apply(affine, np.array(ndimage.center_of_mass(np.clip(image, 0, 1))))
    centre_of_maps = middle(tissues)
    starts = []
    for offset in (np.zeros(3), centre_of_maps - centre_of_image):
        for shift in shifts:
            for tilt in tilts:
                starts.append(transforms.rigid_matrix(offset + np.array(shift), tilt, centre_of_image))
    return starts
