"""Maps that are terms of a model beside CBF: a participant's grey matter, and the arterial transit time of a contrast.

Both are smoothed as CBF is, within the same brain and by the same width, so that a voxel's term describes the tissue that its
CBF is of (biological parametric mapping: Oakes et al. 2007, doi 10.1016/j.neuroimage.2006.09.011).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.contrasts import contrast_maps
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion import smoothing
from pharmasl.space import images


def write_grey_matter(
    image_path: FilePath, sidecar_path: FilePath, *, grey_matter: FilePath, template_mask: FilePath, fwhm: float
) -> None:
    """Write a participant's probability of grey matter on the template, smoothed within the template's brain.

    Parameters
    ----------
    image_path, sidecar_path : path-like
        Written; NaN outside the brain.
    grey_matter : path-like
        The probability on the template's grid, 0 to 1.
    template_mask : path-like
    fwhm : float
        mm.
    """
    volume, affine = images.load(grey_matter)
    brain = images.load(template_mask)[0] > 0.5
    smoothed = smoothing.smoothed(volume, brain, affine, fwhm)
    images.save(image_path, smoothed, affine, code=images.form_code(template_mask))
    content = {
        "Description": "Probability of grey matter, smoothed within the template's brain as CBF is",
        "Units": "1",
        "SmoothingFWHM": fwhm,
    }
    tables.write_json(sidecar_path, content)


@dataclass(frozen=True, kw_only=True)
class TransitFiles:
    """The files of the scans of a contrast, one path per scan, in one order.

    Attributes
    ----------
    att : sequence of path-like
        Arterial transit time on the template's grid, seconds; NaN where it was not fitted.
    coverages, quality : sequence of path-like
        Where the scan's CBF holds data, and the table of its quality.
    """

    att: Sequence[FilePath]
    coverages: Sequence[FilePath]
    quality: Sequence[FilePath]


def write_transit_time(
    image_path: FilePath, sidecar_path: FilePath, files: TransitFiles, weights: Sequence[float], fwhm: float
) -> None:
    """Write the arterial transit time of a contrast: the weighted sum of its scans' that its CBF is.

    Parameters
    ----------
    image_path, sidecar_path : path-like
        Written; NaN everywhere where a state has no usable scan.
    files : TransitFiles
    weights : sequence of float
        See :func:`pharmasl.contrasts.contrast_maps.usable_weights`.
    fwhm : float
        mm.
    """
    scans, grid = contrast_maps.read_quality(files.quality), images.grid(files.att[0])
    kept = contrast_maps.usable_weights(weights, scans)
    combined = np.full(grid.shape, np.nan, dtype=np.float32)
    if kept is not None:
        used = [number for number, scan in enumerate(scans) if scan.is_usable]
        maps = []
        for k in used:
            covered = images.load(files.coverages[k])[0] > 0.5
            maps.append(smoothing.smoothed(images.load(files.att[k])[0], covered, grid.affine, fwhm))
        finite = [np.isfinite(volume) for volume in maps]
        combined, _ = contrast_maps.combine(maps=maps, errors=[], covered=finite, weights=[kept[k] for k in used])
    images.save(image_path, combined, grid.affine, code=images.form_code(files.att[0]))
    content = {
        "Description": "Weighted sum of the states' arterial transit time at one visit, each smoothed within what its CBF covers",
        "Units": "s",
        "SmoothingFWHM": fwhm,
        "Scans": [
            {"Scan": scan.scan, "Condition": scan.condition, "Weight": 0.0 if kept is None else kept[number]}
            for number, scan in enumerate(scans)
        ],
    }
    tables.write_json(sidecar_path, content)
