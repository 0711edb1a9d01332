"""Transforms of other programs in ITK's files: matrices, displacement fields, and what is composed of them.

ITK itself reads them, by SimpleITK, so that a composite of several transforms means here what it means to ANTs: the one
that was added last acts first, and a displacement field leaves points beyond its grid where they are.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.errors import FilePath, InputError
from pharmasl.space import itk_files, transforms
from pharmasl.space.images import Grid


def on_grid(path: FilePath | Sequence[FilePath], grid: Grid) -> np.ndarray:
    """The points to which a file's transform maps the nodes of a grid.

    Parameters
    ----------
    path : path-like or sequence of path-like
        A transform that brings a source image onto a reference: ``from-<source>_to-<reference>_mode-image_xfm``. Several
        lead there through spaces between, that to the reference first, as antsApplyTransforms takes them.
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
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    # Points of the reference go through the first file first, and ITK begins with the last part of a composite.
    transform = sitk.CompositeTransform([_read(file) for file in reversed(paths)])
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
        raise InputError(paths[0], "displacements", "not finite", "numbers", itk_files.FIX)
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
        raise InputError(path, "(whole file)", reason, "a transform that ITK reads", itk_files.FIX) from None
    if transform.GetDimension() != 3:
        raise InputError(path, "dimensions", transform.GetDimension(), "3", itk_files.FIX)
    return transform
