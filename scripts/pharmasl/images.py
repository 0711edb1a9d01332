"""NIfTI images in and out.

An *image* here is nibabel's: an array of voxels and an affine, the 4 x 4 matrix that maps voxel indices to scanner or
template millimetres in RAS+ orientation. A *grid* is a shape and an affine without voxels.
"""

from collections import namedtuple

import nibabel
import numpy as np

from pharmasl import blinding

Grid = namedtuple("Grid", "shape affine")

# Level 1 costs a fifth of the default's time for files a few per cent larger.
nibabel.openers.Opener.default_compresslevel = 1


def load(path, dtype=np.float32):
    """Read an image's voxels, scaled.

    Parameters
    ----------
    path : path-like
    dtype : numpy dtype
        float32 unless told.

    Returns
    -------
    data : ndarray
        Shape as stored, trailing axes of length one beyond the third removed.
    affine : ndarray of shape (4, 4), float64
    """
    image = nibabel.load(path)
    data = np.asanyarray(image.dataobj).astype(dtype, copy=False)
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    return np.ascontiguousarray(data), np.asarray(image.affine, dtype=np.float64)


def grid(path):
    """The spatial shape and affine of an image, from its header alone.

    Returns
    -------
    Grid
        ``shape`` (3 integers) and ``affine`` (4 x 4, float64).
    """
    image = nibabel.load(path)
    return Grid(tuple(int(n) for n in image.shape[:3]), np.asarray(image.affine, dtype=np.float64))


def save(path, data, affine, *, time_step=None, dtype=np.float32, intent=None):
    """Write a NIfTI-1 image with qform and sform set and millimetre units.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    data : ndarray of shape (X, Y, Z) or (X, Y, Z, T) or (X, Y, Z, 1, 3)
    affine : ndarray of shape (4, 4)
    time_step : float, optional
        Seconds between volumes.
    dtype : numpy dtype
        float32 unless told; masks and labels want ``uint8`` or ``int16``.
    intent : str, optional
        A NIfTI intent name, such as ``"vector"``.
    """
    image = nibabel.Nifti1Image(np.asarray(data, dtype=dtype), affine)
    # Code 4 (MNI) would claim more than a native image can; 2 (aligned) is true of every output here.
    image.set_qform(affine, code=2)
    image.set_sform(affine, code=2)
    image.header.set_xyzt_units("mm", "sec")
    if time_step is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], float(time_step)))
    if intent is not None:
        image.header.set_intent(intent)
    if blinding.active():
        image.header["descrip"] = f"{blinding.MARK}: sham allocation of the arms"
    nibabel.save(image, path)
