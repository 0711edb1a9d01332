"""Transforms of other programs in ITK's files: matrices, displacement fields, and what is composed of them.

ITK itself reads them, by SimpleITK, so that a composite of several transforms means here what it means to ANTs: the one
that was added last acts first, and a displacement field leaves points beyond its grid where they are.
"""

import os
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.errors import FilePath, InputError
from pharmasl.space import transforms
from pharmasl.space.images import Grid

# How files of each kind begin; MATLAB's fourth format, which ITK writes as .mat, has no mark of its own.
SIGNATURES = {".h5": b"\x89HDF\r\n\x1a\n", ".txt": b"#Insight Transform File", ".mat": b""}
_START = 64  # bytes
_FIX = "Take the transform from its source anew; antsApplyTransforms must be able to read it."


def check_kind(path: FilePath, field: str) -> None:
    """Refuse a file that cannot be a transform of ITK, by its name and its first bytes.

    Parameters
    ----------
    path : path-like
    field : str
        Named in the error.

    Raises
    ------
    InputError
    """
    extension = os.path.splitext(path)[1]
    if extension not in SIGNATURES:
        raise InputError(path, field, extension, f"a transform of ITK: {', '.join(SIGNATURES)}", _FIX)
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise InputError(path, field, error.strerror, "a file that can be read", "Fetch or restore the file.") from None
    if not start or not start.startswith(SIGNATURES[extension]):
        begins = repr(start[:24].decode("ascii", "replace"))
        content = f"a file that begins with {begins}" if start else "an empty file"
        raise InputError(path, field, content, f"a transform of ITK as {extension}", _FIX)


def on_grid(path: FilePath, grid: Grid) -> np.ndarray:
    """The points to which a file's transform maps the nodes of a grid.

    Parameters
    ----------
    path : path-like
        A transform that brings a source image onto a reference: ``from-<source>_to-<reference>_mode-image_xfm``.
    grid : images.Grid
        Over the reference, its axes at right angles.

    Returns
    -------
    ndarray of shape (X, Y, Z, 3), float64
        RAS+ source point (mm) of each node.

    Raises
    ------
    InputError
        If ITK cannot read the file, or its transform is not one of three dimensions or not finite.
    """
    import SimpleITK as sitk

    spacing, origin, direction = geometry(grid.affine)
    transform = _read(path)
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        size=[int(n) for n in grid.shape],
        outputOrigin=origin,
        outputSpacing=spacing,
        outputDirection=direction,
    )
    displacement = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3).copy()
    if not np.isfinite(displacement).all():
        raise InputError(path, "displacements", "not finite", "numbers", _FIX)
    displacement[..., :2] *= -1
    return transforms.points(grid) + displacement


def geometry(affine: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """ITK's spacing, origin and direction of a grid with axes at right angles.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.

    Returns
    -------
    spacing, origin : list of 3 float
        mm; the origin in LPS+.
    direction : list of 9 float
        Row by row, LPS+.
    """
    size = voxel_sizes(affine)
    lps = transforms.FLIP @ affine
    return size.tolist(), lps[:3, 3].tolist(), (lps[:3, :3] / size).ravel().tolist()


def _read(path: FilePath) -> Any:
    import SimpleITK as sitk

    try:
        transform = sitk.ReadTransform(os.fspath(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(path, "(whole file)", reason, "a transform that ITK reads", _FIX) from None
    if transform.GetDimension() != 3:
        raise InputError(path, "dimensions", transform.GetDimension(), "3", _FIX)
    return transform
