"""Reading and writing of NIfTI images.

An *image* is, as in nibabel, an array of voxels and an affine, the 4 x 4 matrix that maps voxel indices to millimetres of
the scanner or the template in RAS+ orientation. A *grid* is a shape and an affine without voxels.
"""

import io
import os
from typing import NamedTuple

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike, DTypeLike

from pharmasl.errors import FilePath
from pharmasl.files import bids, blinding, compression
from pharmasl.space import header

# Codes of qform and sform: an image that lies on another's space, on MNI's template, on another template.
ALIGNED, MNI, TEMPLATE = 2, 4, 5


class Grid(NamedTuple):
    """A shape and an affine without voxels."""

    shape: tuple[int, ...]
    affine: np.ndarray


class Volume(NamedTuple):
    """An image: its voxels and its affine."""

    data: np.ndarray
    affine: np.ndarray

    @property
    def grid(self) -> Grid:
        """The spatial shape and the affine."""
        return Grid(self.data.shape[:3], self.affine)


def load(path: FilePath, dtype: DTypeLike = np.float32) -> Volume:
    """The scaled voxels of an image, and its affine.

    A compressed file is read to its end, so that its checksum is verified.

    Parameters
    ----------
    path : path-like
    dtype : numpy dtype
        Of the voxels returned.

    Returns
    -------
    data : ndarray of shape (X, Y, Z) or (X, Y, Z, T)
        Each volume in C order, and one after the other in memory, as they are sampled.
    affine : ndarray of shape (4, 4), float64
        RAS+ millimetres.

    Raises
    ------
    InputErrors
        If the file is damaged, or :mod:`pharmasl.space.header` refuses its header.
    """
    content = header.content(path)
    known = header.parse(path, content)
    header.check_length(known, len(content))
    shape = (*known.shape, known.volumes)
    stored = np.frombuffer(content, known.dtype, count=int(np.prod(shape, dtype=np.int64)), offset=known.offset)
    stored = stored.reshape(shape, order="F")
    data = np.empty((known.volumes, *known.shape), dtype=dtype)
    for number, volume in enumerate(data):
        values = stored[..., number]
        if (known.slope, known.intercept) != (1.0, 0.0):
            values = values * np.float64(known.slope) + np.float64(known.intercept)
        # A plane at a time stays in the processor's cache while its axes are exchanged.
        for plane in range(known.shape[1]):
            volume[:, plane] = values[:, plane]
    return Volume(data[0] if known.volumes == 1 else np.moveaxis(data, 0, 3), known.affine)


def grid(path: FilePath) -> Grid:
    """The spatial shape and affine of an image, from its header alone.

    Returns
    -------
    Grid
        ``shape`` (3 integers) and ``affine`` (4 x 4, float64, RAS+ millimetres).

    Raises
    ------
    InputErrors
        As :func:`load`.
    """
    known = header.read(path)
    return Grid(known.shape, known.affine)


def canonical(image: Volume) -> Volume:
    """An image with its axes in the order right, anterior, superior, as far as whole axes can be turned: each value keeps its place.

    Parameters
    ----------
    image : Volume
        Of shape (X, Y, Z).

    Returns
    -------
    Volume
    """
    turn = nibabel.io_orientation(image.affine)
    data = nibabel.apply_orientation(image.data, turn)
    return Volume(np.ascontiguousarray(data), image.affine @ nibabel.orientations.inv_ornt_aff(turn, image.data.shape))


def canonical_grid(grid: Grid) -> Grid:
    """The grid of :func:`canonical`."""
    turn = nibabel.io_orientation(grid.affine)
    shape = tuple(grid.shape[int(axis)] for axis in np.argsort(turn[:, 0]))
    return Grid(shape, grid.affine @ nibabel.orientations.inv_ornt_aff(turn, grid.shape))


def form_code(path: FilePath) -> int:
    """The code of an image's space, from its header alone: what is on its grid is in that space too."""
    return header.read(path).code


def space_name(path: FilePath) -> str:
    """The name of a template's space from a file of it, ``tpl-<name>_...``; empty where it has none."""
    parsed = bids.parse(os.path.basename(path))
    return parsed.entities.get("tpl", "") if parsed else ""


def template_code(space: str) -> int:
    """The code of a template's space by its name in BIDS: :data:`MNI` for ``MNI152NLin2009cAsym`` and the like."""
    return MNI if space.startswith("MNI") else TEMPLATE


def coarser(grid: Grid, resolution: float) -> Grid:
    """A grid with cubic voxels over the same field of view, with the first voxel's centre kept, as nilearn resamples.

    Parameters
    ----------
    grid : Grid
    resolution : float
        Voxel size, mm.

    Returns
    -------
    Grid
    """
    shape, affine = grid
    factor = resolution / voxel_sizes(affine)
    scaled = affine.copy()
    scaled[:3, :3] = affine[:3, :3] * factor
    return Grid(tuple(int(np.ceil(n / f)) for n, f in zip(shape, factor)), scaled)


def spaced(grid: Grid, spacing: float) -> Grid:
    """A grid along the same axes, from the first voxel's centre to at least the last's, with nodes ``spacing`` mm apart.

    Axes whose voxels are larger than that keep them.
    """
    step = np.maximum(1.0, spacing / voxel_sizes(grid.affine))
    shape = tuple(int(np.ceil((n - 1) / s - 1e-9)) + 1 for n, s in zip(grid.shape, step))
    return Grid(shape, grid.affine @ np.diag([*step, 1.0]))


def save(
    path: FilePath,
    data: ArrayLike,
    affine: np.ndarray,
    *,
    time_step: float | None = None,
    dtype: DTypeLike = np.float32,
    intent: str | None = None,
    parameters: tuple[float, ...] = (),
    code: int = ALIGNED,
) -> None:
    """Write a NIfTI-1 image with qform and sform set and millimetre units; the same image gives the same bytes.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    data : ndarray of shape (X, Y, Z) or (X, Y, Z, T) or (X, Y, Z, 1, 3)
    affine : ndarray of shape (4, 4)
    time_step : float, optional
        Seconds between volumes.
    dtype : numpy dtype
        Of the stored voxels: ``uint8`` or ``int16`` for masks and labels.
    intent : str, optional
        A NIfTI intent name, such as ``"vector"`` or ``"t test"``.
    parameters : tuple of float
        Of the intent: the degrees of freedom of t and F.
    code : int
        Of both forms: :func:`form_code` of the template's image for what is in its space.
    """
    image = nibabel.Nifti1Image(np.asarray(data, dtype=dtype), affine)
    image.set_qform(affine, code=code)
    image.set_sform(affine, code=code)
    image.header.set_xyzt_units("mm", "sec")
    if time_step is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], float(time_step)))
    if intent is not None:
        image.header.set_intent(intent, parameters)
    if blinding.active():
        image.header["descrip"] = f"{blinding.MARK}: sham allocation of the arms"
    stream = io.BytesIO()
    image.to_stream(stream)
    content = stream.getbuffer()
    with open(path, "wb") as file:
        file.write(compression.compress(content) if os.fspath(path).endswith(".gz") else content)
