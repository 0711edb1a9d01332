"""Slices of a map of a quantity that has no sign, such as a standard deviation or a correlation, with the scale of its colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.figures import brain_slices, svg
from pharmasl.figures.brain_slices import Template

SLICES = 6  # axial
# Dark to light, lightness rising evenly (matplotlib's viridis at 0, .2 ... 1): told apart with any colour vision, and in grey.
COLOURS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")
UNIT = 1.5  # units of a drawing per voxel
_FOOT = 12  # units below a slice, for its coordinate
# Colours span what all but the most extreme voxels hold.
_PERCENTILE = 98
_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class QuantityMap:
    """A map and its words.

    Attributes
    ----------
    volume : ndarray
        On the template's grid, NaN where there is no value.
    title : str
        With its unit; the heading of its slices.
    low, high : float
        Of the colours; a value beyond has the colour of that end.
    """

    volume: np.ndarray
    title: str
    low: float
    high: float


def upper_end(volumes: Sequence[np.ndarray]) -> float:
    """A round number that all but the most extreme values of maps lie below; 1 of maps without values."""
    known = [volume[np.isfinite(volume)] for volume in volumes]
    values = np.concatenate(known) if known else np.zeros(0)
    if not len(values) or not (most := float(np.percentile(values, _PERCENTILE))) > 0:
        return 1.0
    size = 10.0 ** np.floor(np.log10(most))
    return float(next(factor * size for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if factor * size >= most * (1 - 1e-9)))


def html(template: Template, shown: QuantityMap) -> str:
    """The map as a piece of a page: its heading, the scale and the slices; empty for one without any value."""
    if not np.isfinite(shown.volume).any():
        return ""
    volume = template.crop(shown.volume)
    slices = "".join(_slice(template, volume, int(level), shown) for level in template.levels(SLICES, ()))
    return (
        f'<div class="statmap">\n<p class="kind">{svg.escape(shown.title)}</p>\n{_bar(shown)}\n'
        f'<div class="slices">{slices}</div>\n</div>\n'
    )


def _place(values: np.ndarray, shown: QuantityMap) -> np.ndarray:
    return np.clip((values - shown.low) / (shown.high - shown.low), 0, 1)


def _slice(template: Template, volume: np.ndarray, index: int, shown: QuantityMap) -> str:
    wide, tall = UNIT * template.shape[0], UNIT * template.shape[1]
    drawing = svg.Drawing(wide, tall + _FOOT, size=10)
    values = brain_slices.plane(volume, 2, index)
    known = np.isfinite(values)
    colours = brain_slices.shades(COLOURS, _place(np.where(known, values, shown.low), shown))
    address = brain_slices.coloured(template, colours, known, 2, index)
    drawing.raw(f'<image href="{address}" width="{svg.digits(wide)}" height="{svg.digits(tall)}"/>')
    drawing.text(1, 10, "L", colour=svg.MUTED)
    drawing.text(wide - 1, 10, "R", anchor="end", colour=svg.MUTED)
    where = f"z = {template.millimetres(2, index):.0f}".replace("-", "\u2212")
    drawing.text(wide / 2, tall + 9, where, anchor="middle", colour=svg.MUTED)
    return drawing.render(f"{shown.title}, axial slice at z = {template.millimetres(2, index):.0f} mm")


def _bar(shown: QuantityMap) -> str:
    """The scale of the colours."""
    drawing = svg.Drawing(300, 34, size=11)
    scale = svg.Scale(shown.low, shown.high, 26, 274)
    step = (shown.high - shown.low) / _STEPS
    for number in range(_STEPS):
        value = shown.low + number * step
        colour = np.rint(255 * brain_slices.shades(COLOURS, _place(np.array(value + step / 2), shown))).astype(int)
        drawing.box(scale(value), 2, 248 / _STEPS + 0.3, 12, colour="#{:02x}{:02x}{:02x}".format(*colour))
    ticks = scale.ticks()
    for value, words in zip(ticks, svg.tick_texts(ticks)):
        drawing.line((scale(value), 14), (scale(value), 17), colour=svg.MUTED)
        drawing.text(scale(value), 28, words, anchor="middle", colour=svg.MUTED)
    words = f"Colours of {shown.title} from {shown.low:g} to {shown.high:g}."
    return f'<div class="scale">{drawing.render(words)}</div>'
