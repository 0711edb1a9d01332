"""Bias field of a T1-weighted image by N4 (Tustison et al. 2010, doi 10.1109/TMI.2010.2046908), fitted within the brain."""

import numpy as np

# No voxel of the fit is larger than this (mm): the field is smooth, but the brain's outline must stay one.
COARSEST = 6.0


def bias_field(head, mask, affine, shrink=4, iterations=(50, 50, 50, 50), convergence=0.001):
    """The smooth multiplicative bias field of an image, by SimpleITK's N4.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities.
    mask : ndarray of bool, shape (X, Y, Z)
        The voxels that are fitted.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm; N4 needs the voxel size alone.
    shrink : int
        Take every n-th voxel of each axis for the fit, or every m-th with m < n where these would lie more than
        6 mm apart.
    iterations : sequence of int
        At most, for each of the fitting levels; every level doubles the number of spline control points.
    convergence : float
        Stop a level when the field's coefficient of variation between iterations is below this.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        Positive, with geometric mean 1 within the mask. The spline goes on outside it, held to the range within.
    """
    import SimpleITK as sitk

    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    factors = [int(min(shrink, max(1, COARSEST / length))) for length in size]

    def image(array):
        out = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
        out.SetSpacing(size.tolist())
        return out

    whole, inside = image(head.astype(np.float32)), image((mask & (head > 0)).astype(np.uint8))
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetMaximumNumberOfIterations([int(n) for n in iterations])
    fitter.SetConvergenceThreshold(convergence)
    # N4's sums depend on the number of threads in their last digits, and its inner filters only heed the global number.
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        fitter.Execute(sitk.Shrink(whole, factors), sitk.Shrink(inside, factors))
        log_field = sitk.GetArrayFromImage(fitter.GetLogBiasFieldAsImage(whole)).T.astype(np.float64)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    log_field -= log_field[mask].mean()
    return np.exp(np.clip(log_field, log_field[mask].min(), log_field[mask].max())).astype(np.float32)
