"""What is made of a scan on the template's grid: where it is sampled, corrected grey matter, and the map of the contrasts."""

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import scan, smoothing
from pharmasl.space import fields, images, resample, transforms
from pharmasl.study import settings


def place(template_mask: FilePath, reference: FilePath, forward: FilePath, coregistered: np.ndarray) -> scan.Place:
    """The template's brain, as points of the T1w.

    Parameters
    ----------
    template_mask, reference : path-like
        The brain on the template's grid, and an image on it.
    forward : path-like
        ITK field, from T1w to template.
    coregistered : ndarray of shape (4, 4)
        Maps points of the T1w to points of the series' reference.

    Raises
    ------
    InputError
        If mask and image have two grids.
    """
    mask, affine = images.load(template_mask)
    mask = mask > 0.5
    grid = images.grid(reference)
    if grid.shape != mask.shape:
        raise InputError(template_mask, "shape", mask.shape, f"{grid.shape}, the reference's", "Remake it.")
    field, field_grid = transforms.read_field(forward)
    in_t1w = fields.sample(field, field_grid.affine, transforms.points(grid)[mask], beyond="missing")
    return scan.Place(mask, affine, in_t1w, coregistered)


def corrected(
    gm_cbf: np.ndarray, gm: np.ndarray, affine: np.ndarray, where: scan.Place
) -> tuple[np.ndarray, np.ndarray]:
    """Corrected grey-matter CBF at a place, and the share of grey matter that bears it; missing voxels bear nothing.

    Parameters
    ----------
    gm_cbf, gm : ndarray of shape (X, Y, Z)
        It and the share of grey matter on the scan's grid.
    affine : ndarray of shape (4, 4)
        Of that grid.
    where : pharmasl.perfusion.scan.Place
        V voxels.

    Returns
    -------
    value, share : ndarray of shape (V,)
    """
    share = np.where(np.isfinite(gm_cbf), gm, 0)
    weight = smoothing.grey_share_at(gm_cbf, gm, affine, where.points, where.matrix)
    value = resample.resample(np.nan_to_num(gm_cbf) * share, affine, where.points, where.matrix)
    least = smoothing.LEAST_GREY
    return np.where(weight >= least, value / np.maximum(weight, least), np.nan), weight


def smooth(
    cbf: np.ndarray,
    covered: np.ndarray,
    where: scan.Place,
    grey: np.ndarray,
    grey_share: np.ndarray,
    quantification: settings.Quantification,
) -> np.ndarray:
    """The map that enters the contrasts: smoothed within the brain; of grey matter, each voxel by its share of it.

    Parameters
    ----------
    cbf, covered : ndarray of shape (V,)
        CBF at the place, mL/100 g/min, and where it is known.
    where : pharmasl.perfusion.scan.Place
    grey, grey_share : ndarray of shape (V,)
        Of :func:`corrected`.
    quantification : pharmasl.study.settings.Quantification

    Returns
    -------
    ndarray of shape (X, Y, Z)
        NaN where it is not known.
    """
    fwhm, inside = quantification.smoothing_fwhm, where.on_grid(covered) > 0
    if not quantification.partial_volume.use:
        return smoothing.smoothed(where.on_grid(cbf), inside, where.affine, fwhm)
    return smoothing.smoothed_grey(where.on_grid(grey), where.on_grid(grey_share), inside, where.affine, fwhm)
