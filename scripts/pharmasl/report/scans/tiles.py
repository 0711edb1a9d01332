"""Slices of a scan as tiles: a picture of one pixel a voxel, and outlines of masks as lines over it.

Left in a tile is the participant's left, as the letters in it say; up is anterior, in coronal and sagittal planes the head's
top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from markupsafe import Markup, escape

from pharmasl.report.scans import voxel_pictures

Bounds = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Tile:
    """A slice on the page.

    Attributes
    ----------
    label : str
    svg : Markup
    """

    label: str
    svg: Markup


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume whose axes run nearest to right, anterior and superior, and its voxel sizes.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z) or (X, Y, Z, T)
    affine : ndarray of shape (4, 4)

    Returns
    -------
    data : ndarray of shape (X, Y, Z) or (X, Y, Z, T)
    zooms : ndarray of shape (3,)
        Voxel sizes, mm.
    """
    orientation = nibabel.orientations.io_orientation(affine)
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return nibabel.orientations.apply_orientation(data, orientation), zooms[np.argsort(orientation[:, 0])]


def bounds(mask: np.ndarray, margin: int = 1) -> Bounds:
    """Slices that hold a mask (X, Y, Z), with a margin; the whole grid where the mask is empty."""
    if not mask.any():
        return (slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2]))
    first, second, third = (np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3))
    x, y, z = (
        slice(int(max(present[0] - margin, 0)), int(min(present[-1] + margin + 1, length)))
        for present, length in zip((first, second, third), mask.shape)
    )
    return x, y, z


def levels(mask: np.ndarray, count: int) -> list[int]:
    """Up to ``count`` axial slices spread evenly over a mask (X, Y, Z), from bottom to top."""
    present = np.flatnonzero(mask.any(axis=(0, 1)))
    if not present.size:
        present = np.arange(mask.shape[2])
    if len(present) > count:
        present = np.unique(np.linspace(present[0], present[-1], count).round().astype(int))
    return [int(level) for level in present]


def display(plane: np.ndarray) -> np.ndarray:
    """A slice whose axes run right and up as rows and columns of a picture: up is up, left at left."""
    return np.ascontiguousarray(plane.T[::-1])


def outline(mask: np.ndarray) -> str:
    """The rim of a mask as an SVG path, along the edges of its pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        As displayed.

    Returns
    -------
    str
        Lengths are pixels; empty for an empty mask.
    """
    padded = np.pad(mask, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # edges between rows: (H + 1, W)
    down = padded[1:-1, 1:] != padded[1:-1, :-1]  # between columns: (H, W + 1)
    pieces = [f"M{start} {row}h{end - start}" for row, start, end in _runs(across)]
    pieces += [f"M{column} {start}v{end - start}" for column, start, end in _runs(down.T)]
    return "".join(pieces)


def _runs(lines: np.ndarray) -> list[tuple[int, int, int]]:
    """Unbroken runs in each row of a boolean array: row, first, one after the last."""
    step = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(step == 1)
    _, ends = np.nonzero(step == -1)
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist()))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around the pictures of one plane.

    Attributes
    ----------
    size : tuple of float
        Width and height, mm.
    zooms : tuple of float
        Width and height of a pixel, mm.
    ends : tuple of str
        What lies left and right, such as ("L", "R").
    """

    size: tuple[float, float]
    zooms: tuple[float, float]
    ends: tuple[str, str] = ("L", "R")

    def svg(self, images: Sequence[tuple[str, str]], outlines: Mapping[str, str]) -> Markup:
        """A tile.

        Parameters
        ----------
        images : sequence of (str, str)
            Class and address of each picture, the lowest first.
        outlines : mapping of str to str
            Class to an SVG path in pixels, or to ``#`` and the name of one that stands elsewhere in the page.
        """
        width, height = (_number(length) for length in self.size)
        parts = [f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">']
        parts += [
            f'<image class="{name}" width="{width}" height="{height}" preserveAspectRatio="none" href="{address}"/>'
            for name, address in images
        ]
        x, y = (f"{zoom:.5g}" for zoom in self.zooms)
        for name, path in outlines.items():
            if path.startswith("#"):
                parts.append(f'<use class="line {name}" href="{path}"/>')
            elif path:
                parts.append(
                    f'<path class="line {name}" vector-effect="non-scaling-stroke" transform="scale({x} {y})" d="{path}"/>'
                )
        left, right = (escape(end) for end in self.ends)
        edge = _number(self.size[0] - 4)
        parts.append(f'<text x="4" y="14">{left}</text><text x="{edge}" y="14" text-anchor="end">{right}</text></svg>')
        return Markup("".join(parts))


def frame(shape: tuple[int, int], zooms: tuple[float, float], ends: tuple[str, str] = ("L", "R")) -> Frame:
    """The frame of slices of a shape (right, up) and pixel sizes, mm."""
    return Frame(size=(shape[0] * zooms[0], shape[1] * zooms[1]), zooms=zooms, ends=ends)


@dataclass(frozen=True, kw_only=True)
class Axial:
    """Axial slices of one grid, cut to the head, with the outlines that lie over them.

    Attributes
    ----------
    box : Bounds
        The part of the grid that is shown.
    levels : sequence of int
        Slices along the third axis.
    labels : sequence of str
    zooms : ndarray of shape (3,)
        Voxel sizes, mm.
    outlines : mapping of str to sequence of str
        Class to a path for each level.
    prefix : str
        Of the names by which tiles refer to the outlines.
    """

    box: Bounds
    levels: Sequence[int]
    labels: Sequence[str]
    zooms: np.ndarray
    outlines: Mapping[str, Sequence[str]]
    prefix: str

    @property
    def definitions(self) -> Markup:
        """The outlines, once for all tiles."""
        x, y = (f"{zoom:.5g}" for zoom in self.zooms[:2])
        paths = [
            f'<path id="{self.prefix}-{name}-{level}" vector-effect="non-scaling-stroke" transform="scale({x} {y})" d="{path}"/>'
            for name, own in self.outlines.items()
            for level, path in zip(self.levels, own)
            if path
        ]
        return Markup(f'<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{"".join(paths)}</defs></svg>')

    def tiles(self, data: np.ndarray, scale: voxel_pictures.Scale, chosen: Sequence[int] | None = None) -> list[Tile]:
        """The slices of a volume (X, Y, Z) of the grid; or those of them whose places are ``chosen``, outlined by the brain alone."""
        x, y, _ = self.box
        own = []
        for place in range(len(self.levels)) if chosen is None else chosen:
            level = self.levels[place]
            plane = data[x, y, level]
            around = frame(plane.shape, (float(self.zooms[0]), float(self.zooms[1])))
            image = voxel_pictures.encoded(scale.pixels(display(plane)))
            lines = {
                name: f"#{self.prefix}-{name}-{level}"
                for name, paths in self.outlines.items()
                if paths[place] and (chosen is None or name == "brain")
            }
            own.append(Tile(self.labels[place], around.svg([("slice", image)], lines)))
        return own


def axial(brain: np.ndarray, masks: Mapping[str, np.ndarray], zooms: np.ndarray, *, count: int, prefix: str) -> Axial:
    """Axial slices through a brain.

    Parameters
    ----------
    brain : ndarray of bool, shape (X, Y, Z)
        Axes run right, anterior and superior.
    masks : mapping of str to ndarray of bool, shape (X, Y, Z)
        Whose outlines are drawn.
    zooms : ndarray of shape (3,)
    count : int
        Slices at most.
    prefix : str
    """
    shown = levels(brain, count)
    labels = [f"slice {level + 1}" for level in shown]
    return at_levels(brain, masks, zooms, levels=shown, labels=labels, prefix=prefix)


def at_levels(
    brain: np.ndarray,
    masks: Mapping[str, np.ndarray],
    zooms: np.ndarray,
    *,
    levels: Sequence[int],
    labels: Sequence[str],
    prefix: str,
) -> Axial:
    """Axial slices at given places; other parameters as of :func:`axial`."""
    box = bounds(brain, margin=2)
    x, y, _ = box
    outlines = {
        name: [outline(display(np.ascontiguousarray(mask[x, y, level]))) for level in levels]
        for name, mask in masks.items()
    }
    return Axial(box=box, levels=levels, labels=labels, zooms=zooms, outlines=outlines, prefix=prefix)
