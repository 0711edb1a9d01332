"""Where the head of a field map lies against that of the scan which the map is to correct.

A head that moved between the two scans took its field with it, while the headers know of the scanner alone. The image that
was acquired with the field is registered to the tissues, and so is the scan's image, unwarped by the field where that was
last placed. The place so found is taken, unless the image acquired with the field does not show the pattern of grey and white matter,
or the tissues explain the scan's image, unwarped by the field in that place, less well than by the field where the headers have it.
A constant of the field (a scanner tuned anew) displaces the scan as a whole along its phase encoding: this looks like a
movement, and the field is rightly placed where the head then seems to be.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.perfusion import acceptance, coregistration, epi_shift
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import Tissues, carry
from pharmasl.space import images, transforms
from pharmasl.study.distortion import Distortion

log = logging.getLogger(__name__)

HEADERS, REGISTERED = "headers", "registration"
# The scan's image is registered by the headers' field, and by that of each place that follows from it.
_TURNS = 2
# The share by which the tissues must leave more unexplained for the registration not to be believed.
MARGIN = 0.01
RECORD = {
    "By": f"By what the field is taken to lie where it does: the {HEADERS}, or the {REGISTERED} of the image acquired with it, and of "
    "the scan's, to the tissues",
    "Movement": "Root mean square displacement of the brain from where the headers have it to where the registration has it, mm",
    "Unexplained": "Share of the scan's image, unwarped by the field in each place, that the tissue model leaves over",
    "Why": "Why it is not placed by the registration",
}


@dataclass(frozen=True)
class Place:
    """Where a field lies.

    Attributes
    ----------
    by : str
        :data:`HEADERS` or :data:`REGISTERED`.
    matrix : ndarray of shape (4, 4)
        Maps points of the scan to points of the field map.
    movement : float
        Root mean square displacement of the brain by the registration, mm, whichever is taken.
    unexplained : dict of str to float
        By place.
    why : str or None
        Why it is not placed by the registration.
    """

    by: str
    matrix: np.ndarray
    movement: float
    unexplained: dict[str, float]
    why: str | None = None

    def record(self) -> dict[str, Any]:
        """For the field's sidecar."""
        return {
            "By": self.by,
            "Movement": round(self.movement, 2),
            "Unexplained": {by: round(share, 4) for by, share in self.unexplained.items()},
            **({"Why": self.why} if self.why else {}),
        }


def find(
    field: Field, beside: np.ndarray, image: np.ndarray, affine: np.ndarray, distorted: Distortion, tissues: Tissues
) -> Place:
    """The place of a field.

    Parameters
    ----------
    field : pharmasl.perfusion.field_map.Field
        On its own grid.
    beside : ndarray of shape (X, Y, Z)
        An image without distortion that was acquired with it, on that grid.
    image : ndarray of shape (X, Y, Z)
        Of the series, as it was acquired.
    affine : ndarray of shape (4, 4)
        Of that image.
    distorted : pharmasl.study.distortion.Distortion
    tissues : pharmasl.perfusion.tissue_maps.Tissues

    Returns
    -------
    Place
    """
    grid = images.Grid(image.shape, affine)
    points = transforms.points(grid)

    def fitted(matrix: np.ndarray, start: coregistration.Fit | None) -> coregistration.Fit:
        unwarping = Unwarping(Field(field.at(points, matrix), affine), distorted)
        flat = epi_shift.unwarped(image, affine, unwarping)
        return coregistration.coregister(flat, affine, tissues, None if start is None else [start.matrix])

    acquired = coregistration.coregister(beside, field.affine, tissues)
    pattern = acceptance.clearness(*coregistration.contrast(beside, field.affine, tissues, acquired.matrix))
    from_tissues = np.linalg.inv(acquired.matrix)
    fits = {HEADERS: fitted(np.eye(4), None)}
    matrices, last = {HEADERS: np.eye(4)}, fits[HEADERS]
    for _ in range(_TURNS):
        matrices[REGISTERED] = from_tissues @ last.matrix
        last = fits[REGISTERED] = fitted(matrices[REGISTERED], last)
    brain = points[carry(tissues.maps.sum(axis=0), tissues.affine, grid, last.matrix, parts=2) > 0.5]
    moved = transforms.apply(matrices[REGISTERED], brain) - brain
    movement = float(np.sqrt((moved**2).sum(axis=1).mean()))
    unexplained = {by: fit.unexplained for by, fit in fits.items()}
    by, why = REGISTERED, None
    if pattern < 1:
        by, why = HEADERS, "the image acquired with the field does not show the pattern of grey and white matter"
    elif unexplained[REGISTERED] > (1 + MARGIN) * unexplained[HEADERS]:
        by, why = HEADERS, "the tissues explain the scan less well by the field in the place of the registration"
    if why:
        log.warning("the field map is taken to lie where the headers have it: %s", why)
    log.info("the field map's head lies %.1f mm from where the headers have it; placed by the %s", movement, by)
    return Place(by, matrices[by], movement, unexplained, why)
