"""The picture of a scan's quality, drawn with Pillow alone: with seventy scans in a study, matplotlib's start-up is costly.

Left in a slice is the participant's left.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pharmasl.errors import FilePath
from pharmasl.quality.flags import describe
from pharmasl.quality.judgement import Verdict
from pharmasl.quality.metrics import GM_THRESHOLDS, complete_series
from pharmasl.quality.scan_maps import NativeMaps

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


WIDTH, MARGIN, COLUMNS, GAP = 1200, 24, 6, 4
LABEL_WIDTH = 60  # the strip at the right that holds the colour bar
INK, MUTED, RULE = (28, 32, 38), (96, 104, 114), (214, 218, 224)
LINE, WARNING, GOOD = (0, 96, 160), (178, 64, 0), (0, 110, 84)
BRAIN_EDGE, GM_EDGE = (255, 255, 255), (86, 200, 233)
OPACITY = 0.75  # of the outlines
CAPTION = 16  # pixels below a slice for its label
TEMPLATE_HEIGHTS = (-32, -12, 8, 24, 40, 56)  # mm, MNI z


Colour = tuple[int, int, int]
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


def nice_step(span: float, count: int) -> float:
    """A round step that divides ``span`` into about ``count`` parts."""
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if raw <= step * power * 1.0000001)


def trace(
    values: np.ndarray, size: Size, *, title: str, unit: str, abscissa: str, floor: float | None = None
) -> Image.Image:
    """A line through a series with its axes.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Gaps where not finite.
    size : (int, int)
        Width and height, pixels.
    title, unit, abscissa : str
    floor : float, optional
        Lowest value of the vertical axis; by default that of the data.

    Returns
    -------
    PIL.Image.Image
    """
    width, height = size
    left, right, top, bottom = 56, 10, 26, 38
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((left, 2), f"{title} ({unit})", fill=INK, font=font(14))
    finite = values[np.isfinite(values)]
    if not finite.size:
        draw.text((left, height // 2), "not available", fill=MUTED, font=font(14))
        return canvas
    low = float(finite.min()) if floor is None else floor
    high = max(float(finite.max()), low + 1e-3)
    step = nice_step(high - low, 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    digits = max(0, -math.floor(math.log10(step))) + (step / 10 ** math.floor(math.log10(step)) == 2.5)

    def across(k: float) -> float:
        return left + (width - left - right) * (k + 0.5) / len(values)

    def up(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - low) / (high - low)

    for k in range(round((high - low) / step) + 1):
        y = up(low + k * step)
        draw.line((left, y, width - right, y), fill=RULE)
        draw.text((left - 8, y), f"{low + k * step:.{digits}f}", fill=MUTED, font=font(12), anchor="rm")
    every = max(1, round(nice_step(len(values), 8)))
    for k in range(0, len(values), every):
        draw.text((across(k), height - bottom + 6), str(k + 1), fill=MUTED, font=font(12), anchor="mt")
    draw.text(((left + width - right) / 2, height - 14), abscissa, fill=MUTED, font=font(13), anchor="mt")

    # The line is drawn four times as large and shrunk: Pillow's own lines are jagged.
    fine = Image.new("L", (width * 4, height * 4))
    pen = ImageDraw.Draw(fine)
    points = [(across(k) * 4, up(value) * 4) for k, value in enumerate(np.nan_to_num(values))]
    known = np.isfinite(values)
    for k in range(1, len(values)):
        if known[k - 1] and known[k]:
            pen.line((*points[k - 1], *points[k]), fill=255, width=6)
    for number in np.flatnonzero(known):
        x, y = points[number]
        pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=255)
    canvas.paste(LINE, mask=fine.resize(size, Image.Resampling.BOX))
    return canvas


def pair_means(native: NativeMaps, kept: np.ndarray) -> np.ndarray:
    """Mean grey-matter CBF of each repeat, where the probability of grey matter is above one half.

    Parameters
    ----------
    native : NativeMaps
    kept : ndarray of bool, shape (N,)
        Repeats in the mean CBF.

    Returns
    -------
    ndarray of shape (N,)
        mL/100 g/min, NaN for a repeat left out of the mean CBF.
    """
    grey = complete_series(native.series[..., kept], (native.brain > 0) & (native.gm > GM_THRESHOLDS[-1]))
    means = np.full(native.series.shape[-1], np.nan)
    if len(grey):
        means[kept] = grey.mean(axis=0, dtype=np.float64)
    return means


def facts(measures: Mapping[str, float]) -> list[tuple[str, str]]:
    """The measures of the headline as (name, text)."""

    def text(name: str, digits: int, unit: str = "") -> str:
        return "n/a" if math.isnan(measures[name]) else f"{measures[name]:.{digits}f}{unit}"

    return [
        ("QEI", text("qei", 2)),
        ("GM CBF", text("gm_cbf", 1)),
        ("WM CBF", text("wm_cbf", 1)),
        ("GM/WM", text("gm_wm_ratio", 2)),
        ("spatial CoV", text("spatial_cov", 2)),
        ("negative GM", "n/a" if math.isnan(measures["negative_gm_share"]) else f"{measures['negative_gm_share']:.1%}"),
        ("temporal SNR", text("temporal_snr", 2)),
        ("mean FD", text("fd_mean", 2, " mm")),
        ("coverage", "n/a" if math.isnan(measures["coverage"]) else f"{measures['coverage']:.0%}"),
        ("template r", text("template_correlation", 2)),
        ("pairs", f"{measures['pairs_used']} of {measures['pairs']}"),
    ]


def section(
    canvas: Image.Image,
    *,
    top: int,
    title: str,
    tiles: Sequence[Tile],
    size: Size,
    legend: Sequence[tuple[str, Colour]] = (),
) -> int:
    """Draw a heading and rows of tiles; returns where the next section begins, pixels from the top."""
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, top), title, fill=INK, font=font(16))
    x = WIDTH - MARGIN
    for name, colour in reversed(legend):
        x -= round(draw.textlength(name, font=font(13)))
        draw.text((x, top + 2), name, fill=MUTED, font=font(13))
        draw.rectangle((x - 22, top + 8, x - 6, top + 11), fill=colour, outline=MUTED)
        x -= 40
    top += 26
    rows = max(1, math.ceil(len(tiles) / COLUMNS))
    width, height = size
    panel = (MARGIN, top, MARGIN + COLUMNS * (width + GAP) + GAP, top + rows * (height + GAP) + GAP)
    draw.rectangle(panel, fill=(0, 0, 0))
    for k, (label, picture) in enumerate(tiles):
        x, y = MARGIN + GAP + (k % COLUMNS) * (width + GAP), top + GAP + (k // COLUMNS) * (height + GAP)
        canvas.paste(picture, (x, y))
        draw.text((x + 5, y + height - 5), label, fill=(225, 225, 225), font=font(12), anchor="ls")
    draw.text((MARGIN + GAP + 5, top + GAP + 4), "L", fill=(255, 255, 255), font=font(14))
    draw.text((MARGIN + GAP + width - 5, top + GAP + 4), "R", fill=(255, 255, 255), font=font(14), anchor="ra")
    colour_bar(canvas, left=panel[2] + 12, top=top + 8, height=height - 44)
    draw.text((panel[2] + 12, top + height - 24), "mL/100\ng/min", fill=MUTED, font=font(12))
    return panel[3] + 16


def heading(participant_id: str, session_id: str | None, condition: str) -> str:
    """The picture's heading: whose scan it is, and of what."""
    session = f"session {session_id}" if session_id else ""
    return "  ".join(part for part in (participant_id, session, condition) if part)


def verdict_lines(verdict: Verdict, flags: Sequence[str]) -> list[str]:
    """The verdict and the flags as lines of the picture.

    Parameters
    ----------
    verdict : pharmasl.quality.judgement.Verdict
    flags : sequence of str
        As :func:`pharmasl.quality.flags.flags` returns.

    Returns
    -------
    list of str
    """
    lines = textwrap.wrap("excluded: " + "; ".join(verdict.reasons), 140) if verdict.reasons else []
    if verdict.accepted:
        overruled = f" (in spite of: {'; '.join(verdict.overruled)})" if verdict.overruled else ""
        lines += textwrap.wrap(f"accepted by hand: {verdict.accepted}{overruled}", 140)
    return lines + textwrap.wrap("flagged: " + ", ".join(map(describe, flags)) if flags else "no flags", 150)


def draw(
    path: FilePath,
    *,
    heading: str,
    measures: Mapping[str, float],
    flags: Sequence[str],
    verdict: Verdict,
    native: Slices,
    template: Slices,
    displacement: np.ndarray,
    pair_cbf: np.ndarray,
) -> None:
    """Draw a scan: CBF on its own grid, CBF on the template, motion and grey-matter CBF over time.

    Parameters
    ----------
    path : path-like
        PNG to write.
    heading : str
    measures : mapping
        As :func:`pharmasl.quality.metrics.scan_metrics` returns.
    flags : sequence of str
        As :func:`pharmasl.quality.flags.flags` returns.
    verdict : Verdict
    native, template : Slices
    displacement : ndarray of shape (volumes,)
        Framewise displacement, mm.
    pair_cbf : ndarray of shape (pairs,)
        Mean grey-matter CBF, mL/100 g/min.
    """
    width = (WIDTH - 2 * MARGIN - LABEL_WIDTH - GAP) // COLUMNS - GAP
    size = (width, round(width * 1.16))
    native_slices, template_slices = native_tiles(native, size, 2 * COLUMNS), template_tiles(template, size)
    rows = math.ceil(len(native_slices) / COLUMNS)
    lines = verdict_lines(verdict, flags)
    facts_top = 50 + 20 * len(lines)
    height = facts_top + 58 + (rows + 1) * (size[1] + GAP) + 2 * (42 + GAP) + 196
    canvas = Image.new("RGB", (WIDTH, height), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, 16), heading, fill=INK, font=font(24))
    colour = WARNING if flags or verdict.reasons or verdict.accepted else GOOD
    for number, line in enumerate(lines):
        pen.text((MARGIN, 48 + 20 * number), line, fill=colour, font=font(15))
    x = MARGIN
    for name, value in facts(measures):
        pen.text((x, facts_top + 4), name, fill=MUTED, font=font(13))
        pen.text((x, facts_top + 22), value, fill=INK, font=font(16))
        x += (WIDTH - 2 * MARGIN) // 11
    legend = [("brain mask", BRAIN_EDGE), ("grey matter above 0.5", GM_EDGE)]
    top = facts_top + 54
    for title, tiles in (("CBF on the scan's own grid", native_slices), ("CBF on the template", template_slices)):
        top = section(canvas, top=top, title=title, tiles=tiles, size=size, legend=legend)
    half = (WIDTH - 2 * MARGIN - 24) // 2
    motion = trace(displacement, (half, 180), title="Framewise displacement", unit="mm", abscissa="volume", floor=0.0)
    perfusion = trace(
        pair_cbf, (half, 180), title="Mean CBF in grey matter", unit="mL/100 g/min", abscissa="label-control pair"
    )
    canvas.paste(motion, (MARGIN, top))
    canvas.paste(perfusion, (MARGIN + half + 24, top))
    canvas.save(path, optimize=False, compress_level=6)
