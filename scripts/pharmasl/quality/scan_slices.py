"""Slices of a scan's CBF in colour, with the outlines of the brain and of grey matter.

Left in a slice is the participant's left.
"""

from dataclasses import dataclass

import nibabel
import numpy as np
from PIL import Image, ImageDraw, ImageFont

CBF_RANGE = (0.0, 100.0)

# Inferno (van der Walt and Smith, CC0) at 33 even steps: perceptually uniform, readable without colour vision.
_INFERNO = (
    "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e",
    "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429",
    "f1711f f67e14 f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 fcffa4",
)
_ANCHORS = [bytes.fromhex(code) for row in _INFERNO for code in row.split()]
INFERNO = np.stack(
    [np.interp(np.arange(256), np.linspace(0, 255, len(_ANCHORS)), channel) for channel in zip(*_ANCHORS)], axis=1
)
INFERNO = INFERNO.round().astype(np.uint8)

MUTED = (96, 104, 114)
BRAIN_EDGE, GM_EDGE = (255, 255, 255), (86, 200, 233)
OPACITY = 0.75  # of the outlines
CAPTION = 16  # pixels below a slice for its label
TEMPLATE_HEIGHTS = (-32, -12, 8, 24, 40, 56)  # mm, MNI z

Size = tuple[int, int]  # width and height, pixels
Tile = tuple[str, Image.Image]  # with its label


@dataclass(frozen=True)
class Slices:
    """Volumes of one grid that are shown as slices.

    Attributes
    ----------
    cbf : ndarray of shape (X, Y, Z)
        mL/100 g/min.
    brain, gm : ndarray of shape (X, Y, Z)
        Brain mask and probability of grey matter, whose outlines are drawn.
    affine : ndarray of shape (4, 4)
        Voxel to mm.
    """

    cbf: np.ndarray
    brain: np.ndarray
    gm: np.ndarray
    affine: np.ndarray


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, so that the picture does not depend on what a machine has installed."""
    return ImageFont.load_default(size)


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume whose axes run nearest to right, anterior and superior, and its voxel sizes.

    Returns
    -------
    data : ndarray of shape (X, Y, Z)
    zooms : ndarray of shape (3,)
        Voxel sizes, mm.
    """
    orientation = nibabel.orientations.io_orientation(affine)
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return nibabel.orientations.apply_orientation(data, orientation), zooms[np.argsort(orientation[:, 0])]


def colours(values: np.ndarray) -> np.ndarray:
    """CBF to RGB on the fixed scale, black where not finite."""
    low, high = CBF_RANGE
    index = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return np.where(np.isfinite(values)[..., np.newaxis], INFERNO[index], 0).astype(np.uint8)


def edge(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that have a four-neighbour outside it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def display(plane: np.ndarray) -> np.ndarray:
    """A (right, anterior) slice as rows and columns of a picture: anterior up, left at left."""
    return np.ascontiguousarray(plane.T[::-1])


def resized(plane: np.ndarray, size: Size, method: Image.Resampling) -> np.ndarray:
    """A slice resampled to ``size`` (width, height)."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32)).resize(size, method))


def tile(cbf: np.ndarray, brain: np.ndarray, gm: np.ndarray, zooms: np.ndarray, size: Size) -> Image.Image:
    """One axial slice in colour with the outlines of the brain (white) and of grey matter (blue).

    Parameters
    ----------
    cbf, brain, gm : ndarray of shape (X, Y)
    zooms : ndarray of shape (2,)
        Pixel sizes of the slice, mm.
    size : (int, int)
        Width and height of the tile; the slice keeps its proportions inside.

    Returns
    -------
    PIL.Image.Image
    """
    extent = np.array(cbf.shape) * np.asarray(zooms)
    room = size[1] - CAPTION
    scale = min(size[0] / extent[0], room / extent[1])
    inner_width, inner_height = (max(1, round(float(length * scale))) for length in extent)
    inner = (inner_width, inner_height)
    finite = np.isfinite(display(cbf)).astype(np.float32)
    values = resized(display(np.nan_to_num(cbf)), inner, Image.Resampling.NEAREST)
    shown = np.where(resized(finite, inner, Image.Resampling.NEAREST) > 0.5, values, np.nan)
    pixels = colours(shown)
    for probability, colour in ((gm, GM_EDGE), (brain, BRAIN_EDGE)):
        inside = resized(display(probability), inner, Image.Resampling.BICUBIC) > 0.5
        line = edge(inside)
        pixels[line] = np.rint(OPACITY * np.array(colour) + (1 - OPACITY) * pixels[line])
    canvas = Image.new("RGB", size)
    canvas.paste(Image.fromarray(pixels), ((size[0] - inner[0]) // 2, (room - inner[1]) // 2))
    return canvas


def bounds(mask: np.ndarray, margin: int = 1) -> tuple[slice, ...]:
    """Slices that hold a mask, with a margin; the whole grid where the mask is empty."""
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    slices = []
    for axis in range(mask.ndim):
        present = np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))
        slices.append(slice(max(present[0] - margin, 0), min(present[-1] + margin + 1, mask.shape[axis])))
    return tuple(slices)


def native_tiles(native: Slices, size: Size, count: int) -> list[Tile]:
    """Up to ``count`` axial slices spread evenly over the brain of the perfusion scan, from bottom to top."""
    cbf, zooms = to_ras(native.cbf, native.affine)
    brain, gm = to_ras(native.brain, native.affine)[0], to_ras(native.gm, native.affine)[0]
    box = bounds(brain > 0)
    levels = np.arange(brain.shape[2])[box[2]]
    if len(levels) > count:
        levels = np.unique(np.linspace(levels[0], levels[-1], count).round().astype(int))
    x, y = box[:2]
    return [(f"slice {z + 1}", tile(cbf[x, y, z], brain[x, y, z], gm[x, y, z], zooms[:2], size)) for z in levels]


def template_tiles(template: Slices, size: Size) -> list[Tile]:
    """Axial slices of the template at fixed heights."""
    cbf, brain, gm = template.cbf, template.brain, template.gm
    height = np.linalg.inv(template.affine)
    levels = [round(float((height @ [0, 0, z, 1])[2])) for z in TEMPLATE_HEIGHTS]
    x, y, _ = bounds(brain > 0)
    zooms = np.sqrt((template.affine[:3, :3] ** 2).sum(axis=0))
    return [
        (f"z = {z} mm", tile(cbf[x, y, k], brain[x, y, k], gm[x, y, k], zooms[:2], size))
        for z, k in zip(TEMPLATE_HEIGHTS, levels)
        if 0 <= k < cbf.shape[2]
    ]


def colour_bar(canvas: Image.Image, *, left: int, top: int, height: int) -> None:
    """Draw the CBF scale, upright, with its values."""
    draw = ImageDraw.Draw(canvas)
    width = 14
    column = INFERNO[np.linspace(255, 0, height).round().astype(int)]
    canvas.paste(Image.fromarray(np.repeat(column[:, np.newaxis], width, axis=1)), (left, top))
    low, high = CBF_RANGE
    for k in range(5):
        y = top + round((height - 1) * k / 4)
        draw.line((left + width, y, left + width + 4, y), fill=MUTED)
        draw.text((left + width + 7, y), f"{high - (high - low) * k / 4:.0f}", fill=MUTED, font=font(13), anchor="lm")
