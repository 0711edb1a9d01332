"""The maps of a visit's scans under each image alternative, from the unsmoothed CBF on the template's grid."""

import logging

import numpy as np

from pharmasl.perfusion import smoothing
from pharmasl.space import fields, images, transforms

log = logging.getLogger(__name__)

# What the brain's mean is scaled to, mL/100 g/min: the convention of PET and SPM.
GLOBAL_MEAN = 50.0
# A mean below this is no perfusion, and dividing by it would only blow noise up.
LEAST_MEAN = 10.0


def scaled(volume, mask, scan="the scan"):
    """A map divided by its mean within a mask, where it covers that, times :data:`GLOBAL_MEAN`.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
        mL/100 g/min, NaN where not covered.
    mask : ndarray of bool, shape (X, Y, Z)
    scan : str
        Named in a warning.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN everywhere if the mean is below :data:`LEAST_MEAN`.
    """
    values = volume[mask & np.isfinite(volume)]
    mean = float(values.mean(dtype=np.float64)) if len(values) else 0.0
    if mean < LEAST_MEAN:
        log.warning("%s: mean CBF %.3g mL/100 g/min is too low to scale by: no map", scan, mean)
        return np.full(volume.shape, np.nan, dtype=np.float32)
    return (volume.astype(np.float64) * (GLOBAL_MEAN / mean)).astype(np.float32)


class Scan:
    """One scan's unsmoothed maps on the template's grid.

    Parameters
    ----------
    cbf, coverage : path-like
        CBF and where the scan's map for the contrasts holds data.
    grey : path-like, optional
        Corrected grey-matter CBF, for alternatives of it; the others are needed with it.
    own : tuple of path-like, optional
        Corrected grey-matter CBF and share of grey matter on the scan's own grid, transform to the T1w.
    points : ndarray of shape (V, 3), optional
        Where the voxels of ``mask`` lie in the T1w, RAS+ mm.
    mask : ndarray of bool, shape (X, Y, Z)
        The template's brain.
    """

    def __init__(self, cbf, coverage, mask, grey=None, own=None, points=None):
        self.name, self.mask = str(cbf), mask
        data, self.affine = images.load(cbf)
        # The map for the contrasts may cover less than CBF does: where it is of grey matter, as much as there is of it.
        self.covered = ((data != 0) | (images.load(coverage)[0] > 0.5)) & mask
        self.cbf = np.where(self.covered, data, np.nan)
        self.grey = self.share = None
        if grey is not None:
            self.grey, _ = images.load(grey)
            gm_cbf, affine = images.load(own[0])
            gm, _ = images.load(own[1])
            matrix = transforms.read_affines(own[2])[0]
            self.share = np.full(mask.shape, np.nan, dtype=np.float32)
            self.share[mask] = smoothing.grey_share_at(gm_cbf, gm, affine, points, matrix)

    def alternative(self, fwhm, partial_volume):
        """The map smoothed by ``fwhm`` (mm), of CBF or of corrected grey-matter CBF; NaN where not covered."""
        if partial_volume:
            return smoothing.smoothed_grey(self.grey, self.share, self.covered, self.affine, fwhm)
        return smoothing.smoothed(self.cbf, self.covered, self.affine, fwhm)


def write(given, outputs, alternatives):
    """Write the maps of a visit's scans, an image an alternative with a volume a scan.

    Parameters
    ----------
    given : dict
        Paths: ``cbf``, ``coverage`` (lists: a file a scan, in the study's order), ``template_mask``; and, for alternatives
        of corrected grey-matter CBF, else empty, ``grey`` (on the template's grid), ``gm_cbf``, ``gm`` (on the scan's own),
        ``coregistration`` (lists), ``forward`` (list of one: the anatomy's field to the template).
    outputs : list of path-like
        In the order of the alternatives. Float32; NaN where not covered.
    alternatives : list of dict
        ``scaling``, ``smoothing_fwhm``, ``partial_volume``, as :func:`pharmasl.sensitivity.specifications.images` has them.
    """
    brain, affine = images.load(given["template_mask"])
    mask = brain > 0.5
    points = None
    if given["forward"]:
        field, field_grid = transforms.read_field(given["forward"][0])
        where = transforms.points(images.Grid(mask.shape, affine))[mask]
        points = fields.sample(field, field_grid.affine, where, beyond="missing")
        grey = zip(given["grey"], zip(given["gm_cbf"], given["gm"], given["coregistration"]), strict=True)
    else:
        grey = [(None, None)] * len(given["cbf"])
    scans = [
        Scan(cbf, coverage, mask, template_grey, own, points)
        for cbf, coverage, (template_grey, own) in zip(given["cbf"], given["coverage"], grey, strict=True)
    ]
    made = {}
    for path, alternative in zip(outputs, alternatives, strict=True):
        key = (alternative["smoothing_fwhm"], alternative["partial_volume"])
        if key not in made:
            made[key] = [scan.alternative(float(key[0]), key[1] == "true") for scan in scans]
        volumes = made[key]
        if alternative["scaling"] == "global":
            volumes = [scaled(volume, mask, scan.name) for volume, scan in zip(volumes, scans)]
        images.save(path, np.stack(volumes, axis=-1), affine)
