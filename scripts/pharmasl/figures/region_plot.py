"""The figure of an analysis in regions: declared regions and significant parcels as a forest plot, all parcels in their order.

It reads in grey: filled is significant over the regions of its table, open is not, a diamond was chosen by the same data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.figures import measured, style
from pharmasl.figures.numerals import number, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.space import region_words
from pharmasl.study.labels import NAMES, Labels

# Inches: a row of the forest, the strip of all parcels, below each, and the edge.
_ROW, _STRIP, _FOOT, _EDGE = 0.24, 1.9, 0.4, 0.1
_TEXT = 8.5  # points
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


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Where words stand: names and numbers beside the intervals or, on narrow pages, above each.

    Attributes
    ----------
    width : float
        Of the figure, inches.
    names, numbers, p : float
        Inches for the names at the left, for estimates at the right, and for p beside these; 0 where they stand above.
    """

    width: float
    names: float = 0.0
    numbers: float = 0.0
    p: float = 0.0

    @property
    def beside(self) -> bool:
        """Whether words stand beside the intervals."""
        return self.names > 0

    @property
    def left(self) -> float:
        """Where the intervals begin."""
        return self.names or 2 * _EDGE

    @property
    def across(self) -> float:
        """How wide the intervals' axes are."""
        return self.width - self.left - (self.numbers + self.p or 2 * _EDGE)

    def name(self, line: "Line") -> list[str]:
        """The name of a row in lines."""
        room = self.names - 2 * _EDGE if self.beside else self.width - 2 * _EDGE
        return measured.wrapped(line.name, room, _TEXT, hanging=0.12)

    def tall(self, line: "Line") -> float:
        """Inches that a row takes."""
        words = measured.height(len(self.name(line)), _TEXT)
        return max(_ROW, words + 0.06) if self.beside else words + measured.height(1, _TEXT) + _ROW + 0.06


WIDE, NARROW = _Form(width=10.0, names=2.9, numbers=1.85, p=1.0), _Form(width=style.NARROW)


class _Page:
    """A figure in inches from its top left corner."""

    def __init__(self, form: _Form, height: float) -> None:
        self.form, self.height = form, height
        self.figure = style.figure(form.width, height)

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """A line of text, its middle at a height."""
        own = {"va": "center", "fontsize": _TEXT, **options}
        self.figure.text(x / self.form.width, 1 - y / self.height, text, **own)

    def axes(self, left: float, top: float, wide: float, tall: float) -> Axes:
        """Axes at a place."""
        place = (left / self.form.width, 1 - (top + tall) / self.height, wide / self.form.width, tall / self.height)
        return self.figure.add_axes(place)


def _forest(page: _Page, drawn: "_Drawn", top: float) -> None:
    """Estimates with their intervals, the first row on top; parcels below the declared regions, each under a heading."""
    form = page.form
    axes = page.axes(form.left, top, form.across, drawn.tall(form))
    numbers = np.array([[line.value, line.low, line.high] for _, own in drawn.groups for line in own])
    digits = 1 if np.nan_to_num(np.abs(numbers)).max(initial=0.0) >= 10 else 2
    if form.beside:
        axes.axvline(0, color=style.INK, linewidth=0.8, zorder=0)
    estimate, corrected = f"Estimate ({100 * (1 - drawn.alpha):g} % interval)", "corrected p"
    right, y = form.left + form.across + _EDGE, 0.0
    for heading, own in drawn.groups:
        middle = top + y + _ROW / 2
        if form.beside:
            page.text(form.left - _EDGE, middle, heading, ha="right", color=style.MUTED)
        else:
            page.text(_EDGE, middle, heading, fontweight="bold")
        y += _ROW
        for line in own:
            _words(page, line, top + y, digits, right)
            tall = form.tall(line)
            middle = y + (tall / 2 if form.beside else tall - _ROW / 2)
            if not form.beside:  # a line through all would run through the words
                axes.plot([0, 0], [middle - _ROW / 2, middle + _ROW / 2], color=style.INK, linewidth=0.8, zorder=0)
            _row(axes, line, middle)
            y += tall
    axes.set_ylim(y, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(form.beside)
    if form.beside:
        page.text(right, top + _ROW / 2, estimate, color=style.MUTED)
        page.text(right + form.numbers, top + _ROW / 2, corrected, color=style.MUTED)
    else:
        page.text(form.width - _EDGE, top - _ROW / 2, f"{estimate}, {corrected}", ha="right", color=style.MUTED)


def _words(page: _Page, line: Line, top: float, digits: int, right: float) -> None:
    """The name, the estimate and the p of a row that begins at a height."""
    form, names = page.form, page.form.name(line)
    step = measured.height(1, _TEXT)
    y = top + step / 2 + ((form.tall(line) - step * len(names)) / 2 if form.beside else 0.03)
    for k, name in enumerate(names):
        if form.beside:
            page.text(form.left - _EDGE, y, name, ha="right")
        else:
            page.text(_EDGE + 0.12 * (k > 0), y, name)
        y += step
    if form.beside:
        middle = top + form.tall(line) / 2
        page.text(right, middle, line.words(digits))
        page.text(right + form.numbers, middle, line.p)
        return
    words = line.words(digits) + (f", {'p ' if line.p.startswith('<') else 'p = '}{line.p}" if line.p else "")
    page.text(form.width - _EDGE, y, words, ha="right", color=style.MUTED)


def _row(axes: Axes, line: Line, place: float) -> None:
    """An estimate with its interval."""
    if not math.isnan(line.low):
        axes.plot([line.low, line.high], [place, place], color=style.INK, linewidth=1.1, solid_capstyle="butt")
    face = style.BLUE if line.significant else "white"
    marker = "D" if line.chosen else "o"
    axes.plot(line.value, place, marker=marker, markersize=6, color=style.INK, markerfacecolor=face, zorder=3)


def _strip(axes: Axes, rows: Sequence[Row]) -> None:
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
    axes.set_xlabel(f"{len(own)} parcels, in the order of their {'F' if joint else 'estimates'}", fontsize=_TEXT)


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
        unit=f"Effect ({block['effect']['unit']})",
        alpha=float(block["alpha"]),
    )
    if not drawn.regions and not drawn.parcels:
        style.placeholder(path, labels.analysis(name), "No region and no parcel could be tested.")
        return
    style.save(_compose(drawn, WIDE), path, narrow=_compose(drawn, NARROW))


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What is drawn: rows of the forest, and the rows of all parcels."""

    regions: Sequence[Line]
    strongest: Sequence[Line]
    parcels: Sequence[Row]
    unit: str
    alpha: float

    @property
    def groups(self) -> list[tuple[str, Sequence[Line]]]:
        """The rows of the forest under their headings."""
        both = (("Declared regions", self.regions), ("Significant parcels", self.strongest))
        return [(heading, own) for heading, own in both if own]

    def tall(self, form: _Form) -> float:
        """Inches that the forest takes."""
        return sum(_ROW + sum(map(form.tall, own)) for _, own in self.groups)

    @property
    def is_joint(self) -> bool:
        """Whether several effects are tested together, by F."""
        return any(row["effect"] == JOINTLY for row in self.parcels)


def _compose(drawn: _Drawn, form: _Form) -> Figure:
    """Lay the parts out, one below the other."""
    room = form.width - 2 * _EDGE
    note = [line for text in _note(drawn) for line in measured.wrapped(text, room, _TEXT)]
    step = measured.height(1, _TEXT)
    unit = measured.wrapped("F" if drawn.is_joint else drawn.unit, room, _TEXT)
    below = measured.wrapped(drawn.unit, room, _TEXT)
    start = _EDGE + (0 if form.beside else _ROW)
    forest = start + drawn.tall(form) + 0.3 + step * len(below) + 0.15 if drawn.groups else _EDGE
    strip = step * len(unit) + _STRIP + _FOOT if drawn.parcels else 0.0
    page = _Page(form, forest + strip + step * len(note) + _EDGE)
    if drawn.groups:
        _forest(page, drawn, start)
        for k, line in enumerate(below):
            y = start + drawn.tall(form) + 0.3 + (k + 0.5) * step
            page.text(form.left + form.across / 2, y, line, ha="center")
    if drawn.parcels:
        for k, line in enumerate(unit):
            page.text(_EDGE, forest + (k + 0.5) * step, line, color=style.MUTED)
        left = 0.55
        _strip(
            page.axes(left, forest + step * len(unit) + 0.06, form.width - left - _EDGE, _STRIP - 0.06), drawn.parcels
        )
    for k, text in enumerate(note):
        page.text(_EDGE, forest + strip + (k + 0.5) * step, text, color=style.MUTED)
    return page.figure


def _note(drawn: _Drawn) -> list[str]:
    words = [
        f"Filled: family-wise p \u2264 {drawn.alpha:g} over the regions of its table; intervals are of each region alone."
    ]
    if drawn.is_joint:
        words.append("p is of all effects of a region together, by F.")
    if len([row for row in drawn.parcels if row["significant"] == "yes"]) > MOST_PARCELS:
        words.append(f"The {MOST_PARCELS} significant parcels with the smallest p have a row above.")
    if any(line.chosen for line in drawn.regions):
        words.append("\u2020 A cluster of this trial's own analysis: chosen by the same data, a description without p.")
    return words
