"""The figure of an analysis in regions: declared regions and significant parcels as a forest plot, all parcels in their order.

It reads in grey: filled is significant over the regions of its table, open is not, a diamond was chosen by the same data.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from pharmasl.errors import FilePath
from pharmasl.figures import style
from pharmasl.figures.numerals import number, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row

WIDTH = 10.0
# Inches: a row of the forest, the strip of all parcels, above and below them, and the names and numbers beside.
_ROW, _STRIP, _HEAD, _FOOT, _GAP, _NAMES, _NUMBERS = 0.24, 2.1, 0.35, 0.55, 0.75, 2.9, 2.75
# Significant parcels that have a row of their own.
MOST_PARCELS = 12
JOINTLY = "jointly"


@dataclass(frozen=True, kw_only=True)
class RegionFigureFiles:
    """``{analysis}_regions.tsv``, ``{analysis}_parcels.tsv`` and ``{analysis}_inference.json``."""

    regions: FilePath
    parcels: FilePath
    inference: FilePath


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the forest: a name, an estimate with its interval, and what stands beside it.

    Attributes
    ----------
    name : str
    value, low, high : float
        NaN where there is no estimate.
    text : str
    significant, chosen : bool
    """

    name: str
    value: float
    low: float
    high: float
    text: str
    significant: bool
    chosen: bool


def plain(name: str) -> str:
    """A name of the configuration or of an atlas as words."""
    return name.replace("_", " ")


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\u2212")


def lines(rows: Sequence[Row], key: str) -> list[Line]:
    """The rows of the forest from rows of a table.

    Parameters
    ----------
    rows : sequence of Row
    key : str
        Column that names a region, ``roi`` or ``parcel``.
    """
    several = len({row["effect"] for row in rows if row["effect"]}) > 1
    joint = {row[key]: row for row in rows if row["effect"] == JOINTLY}
    drawn, seen = [], set[str]()
    for row in rows:
        if row["effect"] == JOINTLY:
            continue
        chosen = row.get("defined_by_same_data") == "true"
        decides = joint.get(row[key], row)
        name = plain(row[key]) + (" \u2020" if chosen else "")
        if several and row["effect"]:
            name = f"{name}: {row['effect']}" if row[key] not in seen else f"   {row['effect']}"
        first = row[key] not in seen
        seen.add(row[key])
        drawn.append(
            Line(
                name=name,
                value=number(row["estimate"]),
                low=number(row["ci_low"]),
                high=number(row["ci_high"]),
                text=_text(row, decides, first, chosen),
                significant=decides["significant"] == "yes",
                chosen=chosen,
            )
        )
    return drawn


def _text(row: Row, decides: Row, first: bool, chosen: bool) -> str:
    """The estimate in numbers, and the corrected p at a region's first row."""
    value = number(row["estimate"])
    if math.isnan(value):
        return "not tested"
    low, high = number(row["ci_low"]), number(row["ci_high"])
    digits = 1 if max(abs(value), abs(low), abs(high)) >= 10 else 2
    text = f"{_signed(value, digits)} ({_signed(low, digits)} to {_signed(high, digits)})"
    if chosen or not first:
        return text
    return f"{text}   {p_value(decides['p_fwe'])}"


def _forest(axes: Axes, drawn: Sequence[Line], level: str) -> None:
    """Estimates with their intervals, the first row on top."""
    places = np.arange(len(drawn))[::-1]
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=0)
    for place, line in zip(places, drawn):
        if not math.isnan(line.low):
            axes.plot([line.low, line.high], [place, place], color=style.INK, linewidth=1.1, solid_capstyle="butt")
        face = style.BLUE if line.significant else "white"
        marker = "D" if line.chosen else "o"
        axes.plot(line.value, place, marker=marker, markersize=6, color=style.INK, markerfacecolor=face, zorder=3)
        axes.text(
            1.02, place, line.text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5, clip_on=False
        )
    axes.set_yticks(places, [line.name for line in drawn])
    axes.set_ylim(-0.7, len(drawn) - 0.3)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.text(
        1.02,
        1,
        f"Estimate ({level} interval)   corrected p",
        transform=axes.transAxes,
        va="bottom",
        fontsize=8.5,
        color=style.MUTED,
    )


def _strip(axes: Axes, rows: Sequence[Row], label: str) -> None:
    """All parcels in the order of their estimates (of F where several effects are tested together)."""
    joint = any(row["effect"] == JOINTLY for row in rows)
    own = [row for row in rows if (row["effect"] == JOINTLY if joint else row["estimate"] is not None)]
    column = "value" if joint else "estimate"
    own.sort(key=lambda row: number(row[column]))
    at = np.arange(1, len(own) + 1)
    value = np.array([number(row[column]) for row in own])
    good = np.array([row["significant"] == "yes" for row in own], dtype=bool)
    if not joint:
        low, high = (np.array([number(row[name]) for row in own]) for name in ("ci_low", "ci_high"))
        axes.vlines(at, low, high, color=np.where(good, style.INK, style.RULE), linewidth=0.9, zorder=1)
        axes.axhline(0, color=style.INK, linewidth=0.8, zorder=0)
    for chosen, face, edge in ((~good, "white", style.MUTED), (good, style.BLUE, style.INK)):
        axes.plot(at[chosen], value[chosen], "o", markersize=3.6, markerfacecolor=face, markeredgecolor=edge, mew=0.7)
    axes.set_xlim(0, len(own) + 1)
    axes.set_xticks([])
    axes.set_ylabel("F" if joint else label)
    axes.set_xlabel(f"{len(own)} parcels, in the order of their {'F' if joint else 'estimates'}")


@style.styled
def draw(path: FilePath, name: str, files: RegionFigureFiles) -> None:
    """Draw an analysis in the declared regions and in the parcels.

    Parameters
    ----------
    path : path-like
        PNG to write.
    name : str
        Of the analysis.
    files : RegionFigureFiles
    """
    block = tables.read_json(files.inference)
    if block["status"] != "run":
        style.placeholder(path, plain(name), f"The analysis was {block['status']}.")
        return
    regions, parcels = tables.read_table(files.regions), tables.read_table(files.parcels)
    forest = lines(regions, "roi")
    ahead = [row["parcel"] for row in parcels if row["significant"] == "yes"]
    strongest = sorted(
        ahead, key=lambda own: min(number(row["p"]) for row in parcels if row["parcel"] == own and row["p"])
    )[:MOST_PARCELS]
    forest += lines([row for row in parcels if row["parcel"] in strongest], "parcel")
    tested = any(row["value"] is not None for row in parcels)
    if not forest and not tested:
        style.placeholder(path, plain(name), "No region and no parcel could be tested.")
        return
    _compose(path, block, forest, parcels if tested else [])


def _compose(path: FilePath, block: dict, forest: Sequence[Line], parcels: Sequence[Row]) -> None:
    """Lay the parts out, one below the other."""
    unit = textwrap.shorten(f"Effect ({block['effect']['unit']})", 60)
    level = f"{100 * (1 - float(block['alpha'])):g} %"
    rows = max(len(forest) * _ROW, 0.3) if forest else 0.0
    strip = _STRIP + _FOOT if parcels else 0.0
    note = _note(forest, parcels, float(block["alpha"]))
    height = (_HEAD + rows + _GAP if forest else 0.2) + strip + 0.17 * len(note) + 0.1
    drawn = style.figure(WIDTH, height)
    top = height - (_HEAD if forest else 0.2)
    if forest:
        own = (_NAMES / WIDTH, (top - rows) / height, 1 - (_NAMES + _NUMBERS) / WIDTH, rows / height)
        axes = drawn.add_axes(own)
        _forest(axes, forest, level)
        axes.set_xlabel(unit)
        top -= rows + _GAP
    if parcels:
        own = (0.75 / WIDTH, (top - _STRIP) / height, 1 - 0.95 / WIDTH, _STRIP / height)
        _strip(drawn.add_axes(own), parcels, "\n".join(textwrap.wrap(unit, 28)))
    for k, text in enumerate(reversed(note)):
        drawn.text(0.01, (0.06 + 0.17 * k) / height, text, color=style.MUTED, fontsize=8.5)
    style.save(drawn, path)


def _note(forest: Sequence[Line], parcels: Sequence[Row], alpha: float) -> list[str]:
    words = [
        f"Filled: family-wise p \u2264 {alpha:g} over the regions of its table; intervals are of each region alone."
    ]
    if len([row for row in parcels if row["significant"] == "yes"]) > MOST_PARCELS:
        words.append(f"The {MOST_PARCELS} significant parcels with the smallest p have a row above.")
    if any(line.chosen for line in forest):
        words.append("\u2020 A cluster of this trial's own analysis: chosen by the same data, a description without p.")
    return [line for text in words for line in textwrap.wrap(text, 130)]
