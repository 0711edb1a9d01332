"""The picture of a scan's quality, drawn with Pillow alone: with seventy scans in a study, matplotlib's start-up is costly."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from pharmasl.errors import FilePath
from pharmasl.quality.flags import describe
from pharmasl.quality.judgement import Verdict
from pharmasl.quality.metrics import GM_THRESHOLDS, complete_series
from pharmasl.quality.scan_maps import NativeMaps
from pharmasl.quality.scan_slices import (
    BRAIN_EDGE,
    GM_EDGE,
    MUTED,
    Size,
    Slices,
    Tile,
    colour_bar,
    font,
    native_tiles,
    template_tiles,
)

WIDTH, MARGIN, COLUMNS, GAP = 1200, 24, 6, 4
LABEL_WIDTH = 60  # the strip at the right that holds the colour bar
INK, RULE = (28, 32, 38), (214, 218, 224)
LINE, WARNING, GOOD = (0, 96, 160), (178, 64, 0), (0, 110, 84)

Colour = tuple[int, int, int]


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
