"""What a region of interest is: one of four kinds of definition, and planes that cut it.

``analysis``, ``cluster``
    A cluster of an analysis' table, by its number.
``atlas``
    The union of labels of the atlas.
``sphere``, ``radius``
    Voxel centres within a radius, in mm, of a point of the template.
``image``, and ``label`` or ``threshold``
    The non-zero voxels of an image of two values, those of one value, or those at or above a threshold.

Cuts are planes in template mm, RAS+ (x grows to the right, y to the front, z upwards): ``x_above``, ``y_above`` and
``z_above`` keep voxel centres at or beyond the value, ``x_below``, ``y_below`` and ``z_below`` those before it. The two
sides of a cut therefore share no voxel and lose none.
"""

import numpy as np

from pharmasl.errors import InputError
from pharmasl.study import settings
from pharmasl.study.settings import RegionDefinition

CUTS = tuple(f"{axis}_{side}" for axis in "xyz" for side in ("above", "below"))

_NEEDED = {"cluster": {"analysis", "cluster"}, "atlas": {"atlas"}, "sphere": {"sphere", "radius"}, "image": {"image"}}
_OPTIONAL = {"image": {"label", "threshold"}}


def kind(definition: RegionDefinition) -> str:
    """The kind of a definition: ``"cluster"``, ``"atlas"``, ``"sphere"`` or ``"image"``.

    Raises
    ------
    InputError
        If settings are missing, or are those of more than one kind.
    """
    stated = set(settings.plain(definition)) - set(CUTS)
    for name, needed in _NEEDED.items():
        if needed <= stated <= needed | _OPTIONAL.get(name, set()):
            return name
    raise InputError(
        file="config",
        field="rois",
        found=settings.plain(definition),
        expected="one of {analysis, cluster}, {atlas}, {sphere, radius}, {image[, label]}, with cuts such as y_above",
        fix="Define the region in one of these ways.",
    )


def within_cuts(definition: RegionDefinition, points: np.ndarray) -> np.ndarray:
    """Whether points lie on the kept side of all of a region's cuts.

    Parameters
    ----------
    definition : RegionDefinition
    points : ndarray of shape (..., 3)
        Template mm, RAS+.

    Returns
    -------
    ndarray of bool, shape ``points.shape[:-1]``
    """
    kept = np.ones(points.shape[:-1], dtype=bool)
    for cut in CUTS:
        plane = getattr(definition, cut)
        if plane is not None:
            position = points[..., "xyz".index(cut[0])]
            kept &= position >= float(plane) if cut.endswith("above") else position < float(plane)
    return kept
