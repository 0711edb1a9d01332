"""Bias field of a T1-weighted image by N4 (Tustison et al. 2010, doi 10.1109/TMI.2010.2046908), fitted within the brain."""

import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.study.settings import Bias

# Largest voxel (mm) of the shrunken image: the field is smooth, but the outline of the brain must be kept.
COARSEST = 6.0
# A fitting level ends when the field's coefficient of variation between two iterations is below this.
CONVERGENCE = 0.001


def bias_field(
    head: np.ndarray, mask: np.ndarray, affine: np.ndarray, settings: Bias, convergence: float = CONVERGENCE
) -> np.ndarray:
    """The smooth multiplicative bias field of an image, by SimpleITK's N4.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities.
    mask : ndarray of bool, shape (X, Y, Z)
        Voxels to which the field is fitted.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm; N4 needs only the voxel size.
    settings : settings.Bias
        ``shrink``: the field is fitted to every n-th voxel along each axis, or to every m-th with m < n where these would
        lie more than :data:`COARSEST` apart. ``iterations``: largest number per fitting level; every level doubles the
        number of spline control points.
    convergence : float
        A level ends when the field's coefficient of variation between two iterations is below this.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        Positive, with geometric mean 1 within the mask. Outside it, the spline continues within the range inside.
    """
    import SimpleITK as sitk

    size = voxel_sizes(affine)
    factors = [int(min(settings.shrink, max(1, COARSEST / length))) for length in size]

    def image(array: np.ndarray) -> sitk.Image:
        out = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
        out.SetSpacing(size.tolist())
        return out

    whole, inside = image(head.astype(np.float32)), image((mask & (head > 0)).astype(np.uint8))
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetMaximumNumberOfIterations([int(n) for n in settings.iterations])
    fitter.SetConvergenceThreshold(convergence)
    # The last digits of N4's sums depend on the number of threads, and its inner filters follow the global number only.
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        fitter.Execute(sitk.Shrink(whole, factors), sitk.Shrink(inside, factors))
        log_field = np.ascontiguousarray(sitk.GetArrayFromImage(fitter.GetLogBiasFieldAsImage(whole)).T)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    fitted = log_field[mask]
    level = np.float32(fitted.mean(dtype=np.float64))
    return np.exp(np.clip(log_field, fitted.min(), fitted.max()) - level)
