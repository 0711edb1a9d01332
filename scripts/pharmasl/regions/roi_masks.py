"""The mask of a region of interest as a file, once it is known to lie in the brain."""

import logging

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import rois
from pharmasl.space import images
from pharmasl.study.region_settings import READING

log = logging.getLogger(__name__)


def check_coverage(definition, inside, brain, minimum, bound=""):
    """Refuse a region that lies outside the brain, where no scan has data.

    Parameters
    ----------
    definition : dict
        See :mod:`pharmasl.regions.rois`.
    inside : ndarray of bool
        The region; not empty.
    brain : ndarray of bool, of that shape
        The template's brain mask.
    minimum : float
        Least share of the region within it.
    bound : str
        ``"at most "`` where ``brain`` is a box about the brain.

    Raises
    ------
    InputError
    """
    share = float(brain[inside].mean())
    if share == 0 or share < minimum:
        raise InputError(
            "config",
            "rois",
            f"{bound}{100 * share:.0f} % of {dict(definition)} within the template's brain",
            f"{100 * minimum:g} % or more (minimum_roi_coverage)",
            "Correct its coordinates, which are template mm (RAS+), or its image.",
        )


def write_mask(
    reference, roi, mask_path, sidecar_path, *, brain, minimum_coverage=0.5, atlas=(), clusters=(), image=()
):
    """Write a region's mask and the sidecar that says what it is.

    Parameters
    ----------
    reference : path-like
        An image on the template grid of the analyses.
    roi : dict
        The definition.
    mask_path, sidecar_path : path-like
        The uint8 mask and its JSON to write.
    brain : path-like
        The template's brain mask on that grid.
    minimum_coverage : float
        Least share of the region within the brain; a cluster, which the analysis found there, is not asked.
    atlas, clusters, image : sequence of path-like
        See :func:`pharmasl.regions.rois.mask`.

    Raises
    ------
    InputError
        As :func:`pharmasl.regions.rois.mask` and :func:`check_coverage`.
    """
    grid = images.grid(reference)
    inside = rois.mask(roi, grid, atlas=atlas, clusters=clusters, image=image)
    form = rois.kind(roi)
    if form != "cluster":
        check_coverage(roi, inside, images.load(brain)[0] > 0, minimum_coverage)
    n = int(inside.sum())
    volume = abs(np.linalg.det(grid.affine[:3, :3]))
    centre = rois.points(grid)[inside].mean(axis=0) if n else None
    if not n:
        log.warning("cluster %s of %s does not exist: the mask is empty", roi["cluster"], roi["analysis"])
    images.save(mask_path, inside, grid.affine, dtype=np.uint8)
    tables.write_json(
        sidecar_path,
        {
            "Description": "Region of interest, 1 inside",
            "kind": form,
            "definition": {key: value for key, value in roi.items() if key not in READING},
            "empty": n == 0,
            "n_voxels": n,
            "volume_mm3": round(n * volume, 6),
            "centre_of_mass_mm": None if centre is None else [round(float(c), 3) for c in centre],
            # A value read from such a region and tested against data that shaped it is circular.
            "analysis_defined": form == "cluster",
            "resampling": "nearest neighbour",
        },
    )
