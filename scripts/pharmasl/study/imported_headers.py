"""Headers of another program's CBF maps: whether they can lie on the template that they are said to lie on."""

import os

import numpy as np

from pharmasl.errors import InputError
from pharmasl.space import header, template_boxes
from pharmasl.space.header import Header
from pharmasl.study import headers
from pharmasl.study.derivatives import CbfMaps
from pharmasl.study.imported_files import FIELD, MapFiles

# A brain in a standard space lies about the origin; the axes of its grid are those of the space.
_MOST_TILT = 1e-3
_LEAST_REACH = 45.0  # mm from the origin, in each direction
_GRID_TOLERANCE = 1e-3  # mm


def check(own: MapFiles, wanted: CbfMaps) -> None:
    """Refuse a map, or a mask, whose header does not fit.

    Parameters
    ----------
    own : MapFiles
    wanted : CbfMaps

    Raises
    ------
    InputError, InputErrors
        If a header is wrong in itself; if the map has several volumes, is tilted against the axes of a standard space, does
        not hold a brain about its origin, or lies on the box of another template than its name says; if the mask is not
        there or has another grid.
    """
    known = headers.read(own.file.path)
    header.check_place(known)
    if known.volumes > 1:
        raise InputError(
            known.path,
            "dim",
            f"{known.volumes} volumes",
            "one, the mean CBF",
            f"Name the mean map by {FIELD}.desc or {FIELD}.files: a series of CBF is not averaged here.",
        )
    if not wanted.on_scan:
        _check_place(known, wanted)
        if wanted.files is None:
            _check_box(known, wanted.template)
    if own.mask is not None:
        _check_mask(known, own.mask)


def _check_place(known: Header, wanted: CbfMaps) -> None:
    axes = np.abs(known.affine[:3, :3]) / np.linalg.norm(known.affine[:3, :3], axis=0)
    low, high = template_boxes.edges(known)
    tilted = np.sort(axes, axis=0)[:2].max() > _MOST_TILT
    if tilted or (low > -_LEAST_REACH).any() or (high < _LEAST_REACH).any():
        place = "axes that are tilted" if tilted else f"a field of view from {_point(low)} to {_point(high)} mm"
        raise InputError(
            known.path,
            "srow_x, srow_y, srow_z",
            place,
            f"a grid about the origin of {wanted.template}, its axes along the space's",
            f"Give maps in a standard space, and its name by {FIELD}.space: this one looks like a scan's own. Maps of ASLPrep on "
            f"the scans' own grids are taken by {FIELD}.grid: scan.",
        )


def _check_box(known: Header, template: str) -> None:
    """Refuse a map whose name says one template and whose grid is another one's."""
    nearest = template_boxes.another(known, template)
    if nearest is not None:
        low, high = template_boxes.edges(known)
        raise InputError(
            known.path,
            "space",
            f"{template} in its name, and the grid of {nearest}: {_point(low)} to {_point(high)} mm",
            "the grid of the template in its name",
            "Find out which of the two it is: they differ by up to a centimetre. Then correct the names, or write it anew.",
        )


def _check_mask(known: Header, path: str) -> None:
    if not os.path.isfile(path):
        raise InputError(path, "(whole file)", "no such file", f"the brain mask of {known.path}", "Restore it.")
    mask = header.read(path)
    header.check_place(mask)
    same = mask.shape == known.shape and np.allclose(mask.affine, known.affine, rtol=0, atol=_GRID_TOLERANCE)
    if mask.volumes > 1 or not same:
        raise InputError(
            path,
            "dim, srow_x, srow_y, srow_z",
            f"shape {mask.shape}, or another affine",
            f"the grid of its map: {known.shape}",
            "Resample the mask to the grid of the map, or take both from their source anew.",
        )


def _point(corner: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.0f}" for value in corner) + ")"
