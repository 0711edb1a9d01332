"""The template-space map of a scan that enters the contrasts: smoothed, of CBF or of corrected grey-matter CBF."""

import numpy as np

from pharmasl.space import resample

# A template voxel whose smoothed share of grey matter is below this has no corrected CBF to speak of.
LEAST_GREY = 0.1


def grey_share_at(
    gm_cbf: np.ndarray, gm: np.ndarray, affine: np.ndarray, points: np.ndarray, matrix: np.ndarray
) -> np.ndarray:
    """The share of grey matter that bears a corrected CBF, at points.

    Parameters
    ----------
    gm_cbf : ndarray of shape (X, Y, Z)
        Corrected grey-matter CBF on the scan's own grid, NaN where not determined.
    gm : ndarray of shape (X, Y, Z)
        Share of grey matter there, 0 to 1.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of both.
    points : ndarray of shape (V, 3)
        RAS+ mm.
    matrix : ndarray of shape (4, 4)
        Maps ``points`` to points of the scan.

    Returns
    -------
    ndarray of shape (V,), float32
        0 where nothing is known.
    """
    share = np.where(np.isfinite(gm_cbf), gm, 0)
    return np.nan_to_num(resample.resample(share, affine, points, matrix))


def smoothed(cbf: np.ndarray, covered: np.ndarray, affine: np.ndarray, fwhm: float) -> np.ndarray:
    """A map smoothed within what it covers.

    Parameters
    ----------
    cbf : ndarray of shape (X, Y, Z)
        mL/100 g/min.
    covered : ndarray of bool, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    fwhm : float
        mm; 0 leaves the map as it is.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN where not covered.
    """
    return resample.smooth(cbf, affine, fwhm, covered)


def smoothed_grey(
    grey: np.ndarray, share: np.ndarray, covered: np.ndarray, affine: np.ndarray, fwhm: float
) -> np.ndarray:
    """A map of corrected grey-matter CBF smoothed, each voxel by its share of grey matter.

    Parameters
    ----------
    grey : ndarray of shape (X, Y, Z)
        Corrected CBF, mL/100 g/min; NaN where not determined.
    share : ndarray of shape (X, Y, Z)
        Share of grey matter that bears it, as :func:`grey_share_at` gives.
    covered, affine, fwhm
        As for :func:`smoothed`.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN where not covered and where the smoothed share is below :data:`LEAST_GREY`.
    """
    weight = np.where(np.isfinite(grey), share, 0)
    value = resample.smooth(np.nan_to_num(grey) * weight, affine, fwhm, covered)
    share = resample.smooth(weight, affine, fwhm, covered)
    with np.errstate(invalid="ignore"):
        return np.where(share >= LEAST_GREY, value / np.maximum(share, LEAST_GREY), np.nan)
