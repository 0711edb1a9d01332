"""Where the grids of known templates lie: by that, a template is known whatever it is called."""

import numpy as np

from pharmasl.space.header import Header

# Lowest and highest corner (mm, RAS+) of the grids on which templateflow keeps these templates at 1 mm; programs that name the
# space of a map so sample it on that box, whatever its voxels.
BOXES = {
    "MNI152NLin2009cAsym": ((-96.5, -132.5, -78.5), (96.5, 96.5, 114.5)),
    "MNI152NLin6Asym": ((-91.5, -126.5, -72.5), (90.5, 91.5, 109.5)),
    "MNI152NLin2009aSym": ((-98.5, -134.5, -72.5), (98.5, 98.5, 116.5)),
}
_ROUNDING = 0.5  # mm


def edges(known: Header) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner of a grid's field of view, mm."""
    corners = np.array(np.meshgrid(*[(-0.5, length - 0.5) for length in known.shape])).reshape(3, -1).T
    points = corners @ known.affine[:3, :3].T + known.affine[:3, 3]
    return points.min(axis=0), points.max(axis=0)


def another(known: Header, template: str) -> str | None:
    """The template on whose box an image lies, if that is not the one that it is said to be of; None otherwise.

    Parameters
    ----------
    known : Header
    template : str
        Of whose box nothing is known, if it is not one of :data:`BOXES`.
    """
    if template not in BOXES:
        return None
    low, high = edges(known)
    apart = {name: max(np.abs(low - box[0]).max(), np.abs(high - box[1]).max()) for name, box in BOXES.items()}
    nearest = min(apart, key=lambda name: apart[name])
    tolerance = max(known.voxel) + _ROUNDING
    return nearest if nearest != template and apart[nearest] <= tolerance < apart[template] else None
