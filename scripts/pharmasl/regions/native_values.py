"""CBF of template regions in a scan's own voxels, without smoothing or resampling of its CBF."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.regions.native_shares import COVERAGE_STEP, Deformation, RegionsInScan
from pharmasl.regions.region_values import RegionValue, load_on_grid
from pharmasl.space import images, inverse_fields, transforms

log = logging.getLogger(__name__)

# The median is taken over voxels of which at least this share lies in the region.
LEAST_SHARE = 0.5

COLUMNS: dict[str, Any] = {
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


@dataclass(frozen=True, kw_only=True)
class ScanFiles:
    """The files of a scan and its participant in which regions are read.

    Attributes
    ----------
    cbf : path-like
        CBF, or corrected grey-matter CBF.
    brain_mask, gm : path-like
        Brain and probability of grey matter on the scan's grid.
    coregistration : path-like
        ITK affine, T1w to scan.
    forward : path-like
        ITK field over the template.
    t1w_mask : path-like
        The brain on the T1w's grid.
    coverage : path-like
        Where the scan's maps on the template's grid hold data.
    template_gm : path-like
        The participant's grey matter on the template's grid.
    """

    cbf: FilePath
    brain_mask: FilePath
    gm: FilePath
    coregistration: FilePath
    forward: FilePath
    t1w_mask: FilePath
    coverage: FilePath
    template_gm: FilePath


def summarise(
    values: np.ndarray, share: np.ndarray, *, statistic: str, grey: np.ndarray | None = None
) -> tuple[float | None, float]:
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
        None where no voxel has a weight.
    n : float
        Effective number of voxels (Kish 1965): the number of equally weighted voxels whose mean is as precise.
    """
    values = np.asarray(values, dtype=np.float64)
    if statistic == "median":
        chosen = values[share >= LEAST_SHARE]
        return (float(np.median(chosen)) if len(chosen) else None), float(len(chosen))
    weight = np.asarray(share, dtype=np.float64)
    if statistic == "gm_weighted":
        weight = weight * np.asarray(grey)
    total = float(weight.sum())
    if not total > 0:
        return None, 0.0
    return float((weight * values).sum() / total), total**2 / float((weight**2).sum())


def write_scan_values(
    table_path: FilePath, files: ScanFiles, masks: Sequence[FilePath], statistics: Mapping[str, str]
) -> None:
    """Write the CBF of template regions in one scan.

    Parameters
    ----------
    table_path : path-like
        The table to write; columns as :data:`COLUMNS`.
    files : ScanFiles
    masks : sequence of path-like
        The regions' masks on the template's grid.
    statistics : mapping of str to str
        Region to its statistic, in the masks' order.

    Raises
    ------
    InputError
        If images that must share a grid do not.
    """
    cbf, affine = images.load(files.cbf)
    grid = images.Grid(cbf.shape, affine)
    brain = _on_grid(files.brain_mask, grid) > 0.5
    grey = _on_grid(files.gm, grid)
    template = images.grid(files.template_gm)
    template_grey = np.nan_to_num(_on_grid(files.template_gm, template))
    forward, forward_grid = transforms.read_field(files.forward)
    to_t1w = np.linalg.inv(transforms.read_affines(files.coregistration)[0])
    # Matrices first, so that no product over many rows is left to a library whose sums depend on its threads.
    voxels = transforms.points(images.Grid(grid.shape, to_t1w @ affine))[brain]
    # Parts of a voxel lie at most half its diagonal from its centre.
    reach = 0.5 * float(np.linalg.norm(voxel_sizes(affine)))
    inverse = inverse_fields.invert(
        images.Volume(forward, forward_grid.affine), images.grid(files.t1w_mask), voxels, reach
    )
    regions = RegionsInScan(
        masks=np.stack([_on_grid(mask, template) > 0.5 for mask in masks]),
        affine=template.affine,
        grid=grid,
        to_t1w=to_t1w,
        to_template=Deformation(*inverse.field),
        from_template=Deformation(forward, forward_grid.affine),
    )

    valid = brain & np.isfinite(cbf)
    # Missing CBF is stored as 0, but the fit of several delays also gives 0 where label only passes through.
    zero = valid & (cbf == 0)
    if zero.any():
        valid[zero] = regions.in_template_mask(_on_grid(files.coverage, template) > 0.5, zero)

    shares = regions.shares(valid)
    rows = []
    for number, (name, statistic) in enumerate(statistics.items()):
        cbf_in_region, n = summarise(cbf[valid], shares[number], statistic=statistic, grey=grey[valid])
        coverage = regions.coverage(number, valid, template_grey if statistic == "gm_weighted" else None)
        if cbf_in_region is None and coverage:
            log.warning("%s: no voxel of the scan's own lies far enough in it", name)
        value = RegionValue(cbf_in_region, coverage, n)
        rows.append({"roi": name, "statistic": statistic, **value._asdict()})
    log.info("%d regions in %d voxels with data", len(rows), int(valid.sum()))
    tables.write_table(table_path, rows, COLUMNS)


def _on_grid(path: FilePath, grid: images.Grid) -> np.ndarray:
    return load_on_grid(path, grid, fix="Make it again.")
