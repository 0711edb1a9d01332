"""Slices of one image as the page of a scan shows them, and those of its CBF on the template."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.report.scans import tiles, voxel_pictures
from pharmasl.space import images
from pharmasl.space.images import Volume

SLICES = 15  # of a CBF map on its own grid
HEIGHTS = (-40, -24, -8, 8, 24, 40, 56, 68)  # mm, of the template's slices
TISSUE_EDGE = 0.5  # share of a tissue at its outline


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Slices of one image.

    Attributes
    ----------
    title : str
    alt : str
    note : str
    tiles : list of Tile
    scale : Scale or None
        Of the colour bar; None where the grey scale has no unit.
    """

    title: str
    alt: str
    note: str
    tiles: list[tiles.Tile]
    scale: voxel_pictures.Scale | None = None


def on_template(cbf: Volume, mask: FilePath, tissues: Mapping[str, FilePath]) -> tuple[Panel, Markup]:
    """CBF on the template, and the outlines of its tiles.

    Parameters
    ----------
    cbf : images.Volume
        0 where it is not known.
    mask : path-like
        The template's brain.
    tissues : mapping of str to path-like
        Class of an outline to the template's shares of a tissue.
    """
    own, zooms = tiles.to_ras(cbf.data, cbf.affine)
    brain = _ras(mask) > 0.5
    # Along the third axis, which runs up, heights are those of the template's own axes.
    start = np.linalg.inv(cbf.affine) @ np.array([[0.0, 0, height, 1] for height in HEIGHTS]).T
    axis = int(np.argmax(np.abs(cbf.affine[2, :3])))
    places = np.rint(start[axis]).astype(int)
    if cbf.affine[2, axis] < 0:
        places = cbf.data.shape[axis] - 1 - places
    pairs = [(height, int(place)) for height, place in zip(HEIGHTS, places) if 0 <= place < own.shape[2]]
    shown = tiles.at_levels(
        brain,
        {"brain": brain} | {name: brain & (_ras(path) > TISSUE_EDGE) for name, path in tissues.items()},
        zooms,
        levels=[place for _, place in pairs],
        labels=[f"z = {height} mm".replace("-", "\u2212") for height, _ in pairs],
        prefix="t",
    )
    panel = Panel(
        title="CBF on the template",
        alt="Axial slices of CBF on the template with the outlines of its brain and grey matter",
        note="",
        tiles=shown.tiles(np.where(own != 0, own, np.nan), voxel_pictures.CBF),
        scale=voxel_pictures.CBF,
    )
    return panel, shown.definitions


def _ras(path: FilePath) -> np.ndarray:
    return tiles.to_ras(*images.load(path))[0]
