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
from pharmasl.space import region_words
from pharmasl.study.labels import NAMES, Labels

WIDTH = 10.0
# Inches: a row of the forest, the strip of all parcels, above and below them, and the names and numbers beside.
_ROW, _STRIP, _FOOT, _GAP, _NAMES, _NUMBERS = 0.24, 1.9, 0.4, 0.75, 2.9, 2.85
# Significant parcels that have a row of their own.
MOST_PARCELS = 12
JOINTLY = "jointly"


@dataclass(frozen=True, kw_only=True)
class RegionFigureFiles:
    """``_regions.tsv``, ``_parcels.tsv`` and ``_inference.json``."""

    regions: FilePath
    parcels: FilePath
    inference: FilePath


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the forest: a name, an estimate with its interval, and its p.

    Attributes
    ----------
    name : str
    value, low, high : float
        NaN where there is no estimate.
    p : str
        Corrected, in words; empty where it stands at another row of the region, or is withheld.
    significant, chosen : bool
    """

    name: str
    value: float
    low: float
    high: float
    p: str
    significant: bool
    chosen: bool

    def words(self, digits: int) -> str:
        """The estimate and its interval."""
        if math.isnan(self.value):
            return "not tested"
        value, low, high = (
            f"{number:.{digits}f}".replace("-", "\u2212") for number in (self.value, self.low, self.high)
        )
        return f"{value} ({low} to {high})"


def lines(rows: Sequence[Row], key: str, labels: Labels = NAMES) -> list[Line]:
    """The rows of the forest from rows of a table.

    Parameters
    ----------
    rows : sequence of Row
    key : str
        Column that names a region, ``roi`` or ``parcel``.
    labels : Labels
    """
    several = len({row["effect"] for row in rows if row["effect"]}) > 1
    joint = {row[key]: row for row in rows if row["effect"] == JOINTLY}
    drawn, seen = [], set[str]()
    for row in rows:
        if row["effect"] == JOINTLY:
            continue
        chosen = row.get("defined_by_same_data") == "true"
        decides = joint.get(row[key], row)
        name = (labels.region(row[key]) if key == "roi" else region_words.in_words(row[key])) + (
            " \u2020" if chosen else ""
        )
        if several and row["effect"]:
            effect = labels.term(row["effect"])
            name = f"{name}: {effect}" if row[key] not in seen else f"   {effect}"
        first = row[key] not in seen
        seen.add(row[key])
        drawn.append(
            Line(
                name=name,
                value=number(row["estimate"]),
                low=number(row["ci_low"]),
                high=number(row["ci_high"]),
                p="" if chosen or not first or row["estimate"] is None else p_value(decides["p_fwe"]),
                significant=decides["significant"] == "yes",
                chosen=chosen,
            )
        )
    return drawn


def _forest(axes: Axes, regions: Sequence[Line], parcels: Sequence[Line], level: str) -> None:
    """Estimates with their intervals, the first row on top; parcels below the declared regions, each under a heading."""
    groups = [("Declared regions", regions), ("Significant parcels", parcels)]
    shown = [(name, own) for name, own in groups if own]
    every = [line for _, own in shown for line in own]
    numbers = np.array([[line.value, line.low, line.high] for line in every])
    digits = 1 if np.nan_to_num(np.abs(numbers)).max(initial=0.0) >= 10 else 2
    place, ticks = len(every) + len(shown) - 1, []
    top, beside = place, axes.get_yaxis_transform()
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=0)
    for heading, own in shown:
        axes.text(-0.02, place, heading, transform=beside, ha="right", va="center", fontsize=8.5, color=style.MUTED)
        for line in own:
            place -= 1
            ticks.append((place, textwrap.shorten(line.name, 42, placeholder="\u2026")))
            _row(axes, line, place)
            axes.text(1.02, place, line.words(digits), transform=beside, va="center", fontsize=8.5)
            axes.text(1.46, place, line.p, transform=beside, va="center", fontsize=8.5)
        place -= 1
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.set_ylim(-0.7, top + 0.5)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    for x, words in ((1.02, f"Estimate ({level} interval)"), (1.46, "corrected p")):
        axes.text(x, top, words, transform=beside, va="center", fontsize=8.5, color=style.MUTED)


def _row(axes: Axes, line: Line, place: float) -> None:
    """An estimate with its interval."""
    if not math.isnan(line.low):
        axes.plot([line.low, line.high], [place, place], color=style.INK, linewidth=1.1, solid_capstyle="butt")
    face = style.BLUE if line.significant else "white"
    marker = "D" if line.chosen else "o"
    axes.plot(line.value, place, marker=marker, markersize=6, color=style.INK, markerfacecolor=face, zorder=3)


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
        axes.vlines(at, low, high, color=np.where(good, style.INK, style.FAINT), linewidth=0.9, zorder=1)
        axes.axhline(0, color=style.INK, linewidth=0.8, zorder=0)
    for chosen, face, edge in ((~good, "white", style.MUTED), (good, style.BLUE, style.INK)):
        axes.plot(at[chosen], value[chosen], "o", markersize=3.6, markerfacecolor=face, markeredgecolor=edge, mew=0.7)
    axes.set_xlim(0, len(own) + 1)
    axes.set_xticks([])
    axes.set_ylabel("F" if joint else label)
    axes.set_xlabel(f"{len(own)} parcels, in the order of their {'F' if joint else 'estimates'}")


@style.styled
def draw(path: FilePath, name: str, files: RegionFigureFiles, labels: Labels = NAMES) -> None:
    """Draw an analysis in the declared regions and in the parcels.

    Parameters
    ----------
    path : path-like
        SVG to write.
    name : str
        Of the analysis.
    files : RegionFigureFiles
    labels : Labels
    """
    block = tables.read_json(files.inference)
    if block["status"] != "run":
        style.placeholder(path, labels.analysis(name), f"The analysis was {block['status']}.")
        return
    regions, parcels = tables.read_table(files.regions), tables.read_table(files.parcels)
    ahead = [row["parcel"] for row in parcels if row["significant"] == "yes"]
    strongest = sorted(
        ahead, key=lambda own: min(number(row["p"]) for row in parcels if row["parcel"] == own and row["p"])
    )[:MOST_PARCELS]
    drawn = _Drawn(
        regions=lines(regions, "roi", labels),
        strongest=lines([row for row in parcels if row["parcel"] in strongest], "parcel", labels),
        parcels=parcels if any(row["value"] is not None for row in parcels) else [],
        unit=textwrap.shorten(f"Effect ({block['effect']['unit']})", 60),
        alpha=float(block["alpha"]),
    )
    if not drawn.regions and not drawn.parcels:
        style.placeholder(path, labels.analysis(name), "No region and no parcel could be tested.")
        return
    _compose(path, drawn)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What is drawn: rows of the forest, and the rows of all parcels."""

    regions: Sequence[Line]
    strongest: Sequence[Line]
    parcels: Sequence[Row]
    unit: str
    alpha: float

    @property
    def rows(self) -> int:
        """Rows of the forest, its headings among them."""
        return sum(len(own) + 1 for own in (self.regions, self.strongest) if own)


def _compose(path: FilePath, drawn: _Drawn) -> None:
    """Lay the parts out, one below the other."""
    rows, note = drawn.rows * _ROW, _note(drawn)
    strip = _STRIP + _FOOT if drawn.parcels else 0.0
    height = 0.15 + (rows + _GAP if rows else 0.0) + strip + 0.17 * len(note) + 0.1
    page = style.figure(WIDTH, height)
    top = height - 0.15
    if rows:
        place = (_NAMES / WIDTH, (top - rows) / height, 1 - (_NAMES + _NUMBERS) / WIDTH, rows / height)
        axes = page.add_axes(place)
        _forest(axes, drawn.regions, drawn.strongest, f"{100 * (1 - drawn.alpha):g} %")
        axes.set_xlabel(drawn.unit)
        top -= rows + _GAP
    if drawn.parcels:
        place = (0.75 / WIDTH, (top - _STRIP) / height, 1 - 0.95 / WIDTH, _STRIP / height)
        _strip(page.add_axes(place), drawn.parcels, "\n".join(textwrap.wrap(drawn.unit, 28)))
    for k, text in enumerate(reversed(note)):
        page.text(0.01, (0.06 + 0.17 * k) / height, text, color=style.MUTED, fontsize=8.5)
    style.save(page, path)


def _note(drawn: _Drawn) -> list[str]:
    words = [
        f"Filled: family-wise p \u2264 {drawn.alpha:g} over the regions of its table; intervals are of each region alone."
    ]
    if any(row["effect"] == JOINTLY for row in drawn.parcels):
        words.append("p is of all effects of a region together, by F.")
    if len([row for row in drawn.parcels if row["significant"] == "yes"]) > MOST_PARCELS:
        words.append(f"The {MOST_PARCELS} significant parcels with the smallest p have a row above.")
    if any(line.chosen for line in drawn.regions):
        words.append("\u2020 A cluster of this trial's own analysis: chosen by the same data, a description without p.")
    return [line for text in words for line in textwrap.wrap(text, 130)]
