"""CBF of template regions in a scan's own space: the regions come to the scan, its CBF is not resampled.

A scan's voxel is divided into equal parts of at most :data:`STEP`; each part's centre goes to the T1w (rigid) and on to
the template (deformation), where the region's mask holds it or not. The share of its parts that it holds is the voxel's
*share* of the region. So the mask is sampled once, through all transforms composed, and a voxel at the region's edge
counts by as much of it as lies inside.

The region's *coverage* goes the other way: parts of its template voxels are followed into the scan's grid, and those
count as covered that end in a voxel with data.
"""

import logging

import numpy as np
from scipy import ndimage

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import rois
from pharmasl.space import fields, images, transforms

log = logging.getLogger(__name__)

# Largest part of a scan's voxel that is inside a region or not as a whole, mm along each axis. With parts of 1 mm, values in
# regions of 4 to 12 ml in voxels of 4 x 4 x 5 mm are amiss by 0.1 mL/100 g/min, with these by 0.02 (against 0.3 mm).
STEP = 0.5
# The same for the template's voxels, of which only the coverage is asked.
COVERAGE_STEP = 1.0
# Parts followed at once: some 300 MB, whatever the regions' size.
AT_ONCE = 2_000_000
# A voxel of which less belongs to a region is none of those whose median is taken.
LEAST_SHARE = 0.5

COLUMNS = {
    "roi": "Region of interest",
    "statistic": {
        "Description": "How the region's value is taken from the scan's own voxels, without smoothing or resampling of CBF",
        "Levels": {
            "mean": "Mean, each voxel weighted by the share of it that lies in the region",
            "median": f"Median of the voxels of which at least {LEAST_SHARE:g} lies in the region",
            "gm_weighted": "Mean, each voxel weighted by that share times the scan's own share of grey matter",
        },
    },
    "cbf": {
        "Description": "CBF of the region in this scan, over voxels of the brain with data; n/a where there is none",
        "Units": "mL/100 g/min",
    },
    "coverage": {
        "Description": "Share of the region's volume on the template (for gm_weighted, of the participant's grey matter in "
        f"it), in parts of at most {COVERAGE_STEP:g} mm, that lies in voxels of this scan's brain with data; n/a for an empty region",
        "Units": "1",
    },
    "n_voxels": "Effective number of the scan's voxels behind the value: the squared sum of their weights over the sum of "
    "the squares; for the median their number",
}


def parts(voxel, step):
    """Offsets of a voxel's equal parts from its centre.

    Parameters
    ----------
    voxel : ndarray of shape (3, 3)
        The affine's linear part.
    step : float
        mm; no part is longer along an axis.

    Returns
    -------
    ndarray of shape (P, 3)
        mm.
    """
    count = np.maximum(np.ceil(np.round(np.sqrt((voxel**2).sum(axis=0)) / step, 4)), 1).astype(int)
    index = np.stack(np.meshgrid(*((np.arange(n) + 0.5) / n - 0.5 for n in count), indexing="ij"), axis=-1)
    return np.einsum("ij,nj->ni", voxel, index.reshape(-1, 3))


class Region:
    """The template's regions as one scan sees them.

    Parameters
    ----------
    masks : ndarray of bool, shape (R, X, Y, Z)
    affine : ndarray of shape (4, 4)
        Of the masks' grid, the template's.
    grid : pharmasl.space.images.Grid
        The scan's.
    to_t1w : ndarray of shape (4, 4)
        Maps points of the scan to points of the T1w.
    to_template, to_scan : tuple of (ndarray of shape (A, B, C, 3), ndarray of shape (4, 4))
        Field over the T1w that ends in the template, and field over the template that ends in the T1w, with their
        grids' affines. The second is the first undone.
    """

    def __init__(self, masks, affine, grid, to_t1w, to_template, to_scan):
        self.masks, self.affine, self.grid, self.to_t1w = masks, affine, grid, to_t1w
        self.to_template, self.to_scan = to_template, to_scan
        # Matrices first, so that no product over many rows is left to a library whose sums depend on its threads.
        self.in_t1w = transforms.points(images.Grid(grid.shape, to_t1w @ grid.affine))

    def in_template(self, where):
        """The template's voxel, as a flat index, at the centres of the scan's voxels ``where``; -1 beyond its grid."""
        points = fields.sample(*self.to_template, self.in_t1w[where], beyond="missing")
        return rois.nearest_index(points, self.affine, self.masks.shape[1:])

    def shares(self, where):
        """The voxels' shares of each region.

        Parameters
        ----------
        where : ndarray of bool, shape ``grid.shape``
            The voxels wanted.

        Returns
        -------
        ndarray of shape (R, ``where.sum()``), float64
            0 to 1.
        """
        out = np.zeros((len(self.masks), int(where.sum())))
        # Only voxels near a region are divided: near is a whole diagonal, twice what a voxel reaches from its centre.
        reach = np.linalg.norm(self.grid.affine[:3, :3] @ np.ones(3)) / np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        size = 2 * np.ceil(reach).astype(int) + 1
        near = ndimage.maximum_filter(self.masks.any(axis=0), size=tuple(size), mode="constant")
        centres = self.in_template(where)
        close = np.flatnonzero((centres >= 0) & near.ravel()[centres])
        if not len(close):
            return out
        offsets = np.einsum("ij,nj->ni", self.to_t1w[:3, :3], parts(self.grid.affine[:3, :3], STEP))
        at = self.in_t1w[where]
        for some in np.array_split(close, -(-len(close) * len(offsets) // AT_ONCE)):
            points = fields.sample(*self.to_template, at[some][:, None, :] + offsets, beyond="missing")
            index = rois.nearest_index(points, self.affine, self.masks.shape[1:])
            for number, mask in enumerate(self.masks):
                out[number, some] = (mask.ravel()[index] & (index >= 0)).mean(axis=1)
        return out

    def covered(self, number, valid, weights=None):
        """A region's coverage.

        Parameters
        ----------
        number : int
            The region's.
        valid : ndarray of bool, shape ``grid.shape``
            The scan's voxels with data.
        weights : ndarray of shape (X, Y, Z), optional
            Of the template's voxels; all alike unless given.

        Returns
        -------
        float or None
            None for an empty region, or one without weight.
        """
        mask = self.masks[number]
        weight = np.ones(int(mask.sum())) if weights is None else weights[mask].astype(np.float64)
        if not weight.sum() > 0:
            return None
        points = transforms.points(images.Grid(mask.shape, self.affine))[mask][:, None, :]
        points = fields.sample(*self.to_scan, points + parts(self.affine[:3, :3], COVERAGE_STEP), beyond="missing")
        # The scan's points in T1w space lie on a grid too, whose affine is the composed one.
        index = rois.nearest_index(points, self.to_t1w @ self.grid.affine, self.grid.shape)
        hit = (valid.ravel()[index] & (index >= 0)).mean(axis=1)
        return float((hit * weight).sum() / weight.sum())


def summary(values, share, statistic="mean", grey=None):
    """One value for a region from a scan's voxels.

    Parameters
    ----------
    values : ndarray of shape (n,)
        CBF, of voxels with data alone.
    share : ndarray of shape (n,)
        Share of each voxel that lies in the region.
    statistic : {"mean", "median", "gm_weighted"}
        Levels of :data:`COLUMNS`' ``statistic``.
    grey : ndarray of shape (n,), optional
        Share of each voxel that is grey matter, for ``"gm_weighted"``.

    Returns
    -------
    value : float or None
        None without a voxel of weight.
    n : float
        Effective number of voxels (Kish 1965): that of equal weights whose mean is as sure.
    """
    values = np.asarray(values, dtype=np.float64)
    if statistic == "median":
        chosen = values[share >= LEAST_SHARE]
        return (float(np.median(chosen)) if len(chosen) else None), float(len(chosen))
    weight = np.asarray(share, dtype=np.float64)
    if statistic == "gm_weighted":
        weight = weight * grey
    total = float(weight.sum())
    if not total > 0:
        return None, 0.0
    return float((weight * values).sum() / total), total**2 / float((weight**2).sum())


def write(given, path, regions):
    """Read template regions in one scan.

    Parameters
    ----------
    given : dict
        Paths: ``cbf`` (or corrected grey-matter CBF), ``brain_mask``, ``gm`` (on the scan's grid), ``coregistration`` (ITK
        affine, T1w to scan), ``forward`` and ``inverse`` (ITK fields over the template and over the T1w), ``coverage``
        (where the scan's maps on the template's grid hold data), ``template_gm`` (the participant's grey matter there)
        and ``masks`` (list, of the regions).
    path : path-like
        The table to write; columns as :data:`COLUMNS`.
    regions : dict
        Region to its statistic, in the masks' order.

    Raises
    ------
    InputError
        If images that must share a grid do not.
    """
    cbf, affine = images.load(given["cbf"])
    grid = images.Grid(cbf.shape, affine)
    brain = _alike(given["brain_mask"], grid) > 0.5
    grey = _alike(given["gm"], grid)
    template = images.grid(given["template_gm"])
    masks = np.stack([_alike(mask, template) > 0.5 for mask in given["masks"]])
    own_grey = np.nan_to_num(_alike(given["template_gm"], template))

    to_t1w = np.linalg.inv(transforms.read_affines(given["coregistration"])[0])
    (back, back_grid), (forward, forward_grid) = (transforms.read_field(given[name]) for name in ("inverse", "forward"))
    region = Region(masks, template.affine, grid, to_t1w, (back, back_grid.affine), (forward, forward_grid.affine))

    valid = brain & np.isfinite(cbf)
    # Missing CBF is stored as 0, and so is what the fit of several delays finds where label only passes by.
    zero = valid & (cbf == 0)
    if zero.any():
        index = region.in_template(zero)
        valid[zero] = (_alike(given["coverage"], template) > 0.5).ravel()[index] & (index >= 0)

    shares = region.shares(valid)
    rows = []
    for number, (name, statistic) in enumerate(regions.items()):
        value, n = summary(cbf[valid], shares[number], statistic, grey[valid])
        coverage = region.covered(number, valid, own_grey if statistic == "gm_weighted" else None)
        if value is None and coverage:
            log.warning("%s: no voxel of the scan's own counts for it", name)
        rows.append({"roi": name, "statistic": statistic, "cbf": value, "coverage": coverage, "n_voxels": n})
    tables.write_table(path, rows, COLUMNS)


def _alike(path, grid):
    data, affine = images.load(path)
    if data.shape != grid.shape or not np.allclose(affine, grid.affine, atol=1e-4):
        raise InputError(path, "grid", data.shape, f"the grid {grid.shape} of the images beside it", "Make it again.")
    return data
