"""The figure of the specification curves: every specification's estimate, and below it the choices it made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pharmasl.errors import FilePath
from pharmasl.figures import measured, style
from pharmasl.figures.numerals import number, p_text
from pharmasl.files.tables import Row
from pharmasl.sensitivity import curve_columns, naming
from pharmasl.study.labels import NAMES, Labels

# Inches: right of the estimates, a row of choices, the estimates, around them, and the edge.
_RIGHT, _ROW, _GAP, _ESTIMATES, _SPACE, _FOOT, _EDGE = 0.2, 0.185, 0.12, 2.35, 0.1, 0.35, 0.15
_LINE = 0.19
_NAME, _TEXT, _SMALL = 11, 9, 8.5  # points
# Narrower curves than this many specifications leave room at the sides, so that a few points stay together.
_FEWEST = 10
# Of more than this many, the choices are bars, since dots would be too small to see.
_MOST_DOTS = 64


@dataclass(frozen=True, kw_only=True)
class _Form:
    """How wide a figure is, and where the names of the choices stand.

    Attributes
    ----------
    width, left : float
        Inches: of the figure, and for the names at the left.
    choice : float
        Inches of these for a choice.
    above : bool
        Whether a dimension's name has a row of its own above its choices.
    legend : int
        Rows of the legend.
    """

    width: float
    left: float
    choice: float
    above: bool
    legend: int

    @property
    def across(self) -> float:
        """Inches of the estimates' axes."""
        return self.width - self.left - _RIGHT

    def wrapped(self, text: str, size: float, *, bold: bool = False) -> list[str]:
        """A text in lines as wide as the figure."""
        return measured.wrapped(text, self.width - 2 * _EDGE, size, bold=bold)


WIDE = _Form(width=10.0, left=2.35, choice=1.35, above=False, legend=1)
NARROW = _Form(width=style.NARROW, left=1.42, choice=1.3, above=True, legend=5)


class Choice(NamedTuple):
    """A value of a dimension, such as 6 mm of smoothing."""

    dimension: str
    value: str


class Estimates(NamedTuple):
    """Estimates of specifications by rank, with 95 % confidence intervals and p; each of shape (S,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class Curve:
    """The specification curve of one answer.

    Attributes
    ----------
    total : Row
        The row of ``curve.tsv`` about all specifications.
    choices : sequence of Choice
        One row of the matrix per choice; values that all specifications share are left out.
    rows : sequence of Row
        Rows of ``specifications.tsv`` with an estimate, by rank.
    reasons : sequence of str
        Why the others have none, each reason once.
    labels : Labels
    """

    total: Row
    choices: Sequence[Choice]
    rows: Sequence[Row]
    reasons: Sequence[str]
    labels: Labels = NAMES

    @property
    def main(self) -> int | None:
        """Position of the main specification, or None."""
        return next((k for k, row in enumerate(self.rows) if row["main"] == "true"), None)

    def estimates(self) -> Estimates:
        """The estimates on the scale of the curve."""
        names = ("partial_r", "partial_r_low", "partial_r_high")
        if self.total["scale"] == "estimate":
            names = ("estimate", "ci_low", "ci_high")
        return Estimates(*(np.array([number(row[name]) for row in self.rows]) for name in (*names, "p")))

    @property
    def unit(self) -> str:
        """The label of the vertical axis."""
        if self.total["scale"] == "partial_r":
            return "Partial correlation\n(units differ)"
        if self.rows and self.rows[0]["kind"] == "correlation":
            return "Correlation"
        return "\n".join(measured.wrapped(f"Estimate ({self.total['unit']})", _ESTIMATES, _TEXT))

    @property
    def chosen(self) -> bool:
        """Whether the same data chose the region, so that nothing is tested."""
        return any(row["defined_by_same_data"] == "true" for row in self.rows)

    @property
    def heading(self) -> tuple[str, str]:
        """The answer's name, and what a positive estimate means."""
        meaning = next((self.labels.meaning(row["meaning"]) for row in self.rows if row["meaning"]), None)
        note = "; † the region is a cluster of these data" if self.chosen else ""
        name = self.labels.answer(str(self.total["answer"])) + (" †" if self.chosen else "")
        return name, f"{meaning or ''}{note}".removeprefix("; ")

    @property
    def verdict(self) -> str:
        """The joint test in one line."""
        total, n = self.total, len(self.rows)
        text = f"{n} specification{'s' * (n != 1)}"
        if int(total["not_run"]):
            text += f" ({total['not_run']} not run)"
        if not n:
            return text
        if self.chosen:
            return f"{text}, not tested"
        joint = ", ".join(
            f"{p_text(number(total[column])).removeprefix('p = ').removeprefix('p ')} ({name})"
            for name, column in (
                ("median", "p_median"),
                ("number significant", "p_significant"),
                ("mean z", "p_mean_z"),
            )
        )
        return f"{text}, {total['significant']} significant in the median's direction. Joint p: {joint}"


def read(table: FilePath, curve: FilePath, labels: Labels = NAMES) -> list[Curve]:
    """Read the curves of all answers.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    labels : Labels

    Returns
    -------
    list of Curve
    """
    curves = []
    for total, own, choices in curve_columns.read(table, curve):
        run = sorted((row for row in own if row["rank"]), key=lambda row: int(row["rank"]))
        reasons = list(dict.fromkeys(row["status"] for row in own if not row["rank"]))
        curves.append(Curve(total, [Choice(row["dimension"], row["value"]) for row in choices], run, reasons, labels))
    return curves


def limits(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Ends of the vertical axis: all estimates, zero and most intervals; a few very wide ones are cut.

    Parameters
    ----------
    values, low, high : ndarray of shape (S,)

    Returns
    -------
    bottom, top : float
    """
    known = np.isfinite(low) & np.isfinite(high)
    half = float(np.median((high - low)[known]) / 2) if known.any() else 0.0
    bottom = max(np.min(low[known], initial=math.inf), np.min(values) - 2.5 * half)
    top = min(np.max(high[known], initial=-math.inf), np.max(values) + 2.5 * half)
    bottom, top = min(bottom, np.min(values), 0.0), max(top, np.max(values), 0.0)
    margin = 0.06 * (top - bottom) or 1.0
    return bottom - margin, top + margin


def _matrix_height(curve: Curve, form: _Form) -> float:
    dimensions = len({choice.dimension for choice in curve.choices})
    rows = len(curve.choices) + dimensions * form.above
    return _ROW * rows + _GAP * (dimensions - 1) if curve.choices else 0.0


class _Lines(NamedTuple):
    """A line of text above a curve."""

    text: str
    size: float
    colour: str
    weight: str


def _words(curve: Curve, form: _Form) -> list[_Lines]:
    """The lines of text above a curve; without an estimate the reasons for it."""
    name, meaning = curve.heading
    lines = [_Lines(text, _NAME, style.INK, "bold") for text in form.wrapped(name, _NAME, bold=True)]
    lines += [_Lines(text, _SMALL, style.MUTED, "normal") for text in form.wrapped(meaning, _SMALL)]
    lines += [_Lines(text, _TEXT, style.INK, "normal") for text in form.wrapped(curve.verdict, _TEXT)]
    if not curve.rows:
        reasons = form.wrapped("; ".join(curve.reasons), _TEXT)
        lines += [_Lines(text, _TEXT, style.MUTED, "normal") for text in reasons]
    return lines


def _height(curve: Curve, form: _Form) -> float:
    content = _ESTIMATES + _SPACE + _matrix_height(curve, form) if curve.rows else 0.0
    return _LINE * len(_words(curve, form)) + 0.12 + content + _FOOT


def _span(n: int) -> tuple[float, float]:
    """Ends of the horizontal axis for n specifications."""
    room = max(_FEWEST - n, 0) / 2
    return 0.4 - room, n + 0.6 + room


def _draw_estimates(axes: Axes, curve: Curve, size: float) -> None:
    """Estimates with their intervals; filled where significant, the main one a diamond."""
    value, low, high, p = curve.estimates()
    x = np.arange(1, len(value) + 1)
    significant = p < 0.05
    axes.axhline(0, color=style.INK, lw=0.9)
    axes.axhline(number(curve.total["median"]), color=style.MUTED, lw=0.8, ls=(0, (4, 3)))
    width = float(np.clip(size / 3.2, 0.5, 1.4))
    axes.vlines(x, low, high, color=np.where(significant, style.BLUE, style.FAINT), lw=width)
    for chosen, face, edge in ((significant, style.BLUE, style.BLUE), (~significant, "white", style.MUTED)):
        axes.plot(
            x[chosen],
            value[chosen],
            ls="none",
            marker="o",
            ms=size,
            mfc=face,
            mec=edge,
            mew=max(0.5, size / 7),
            zorder=3,
        )
    main = curve.main
    if main is not None:
        axes.vlines(x[main], low[main], high[main], color=style.VERMILLION, lw=max(width, 1.2))
        axes.plot(
            x[main],
            value[main],
            ls="none",
            marker="D",
            ms=max(size + 1.5, 5.5),
            mew=1.4,
            zorder=4,
            mec=style.VERMILLION,
            mfc=style.VERMILLION if significant[main] else "white",
        )
    axes.set_ylim(*limits(value, low, high))
    axes.set_ylabel(curve.unit)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


def _draw_matrix(axes: Axes, curve: Curve, size: float, form: _Form) -> None:
    """A dot for each specification in the row of each of its choices."""
    y, previous = 0.0, None
    heights, names = [], []
    beside = axes.get_yaxis_transform()
    for k, choice in enumerate(curve.choices):
        first = previous != choice.dimension
        y -= _ROW + (_GAP if first and previous is not None else 0) + (_ROW if first and form.above else 0)
        if first:
            axes.text(
                (_EDGE - form.left) / form.across,
                y + _ROW * form.above,
                naming.dimension(choice.dimension),
                transform=beside,
                va="center",
                fontsize=_SMALL,
                weight="bold",
            )
        previous = choice.dimension
        heights.append(y)
        names.append(measured.shortened(naming.value(*choice), form.choice - 0.1, _SMALL))
        axes.axhspan(y - _ROW / 2, y + _ROW / 2, color=style.MUTED, alpha=0.14 if k % 2 else 0.06, lw=0, zorder=0.1)
        _draw_choice(axes, curve, choice, y, size)
    axes.set_ylim(y - _ROW / 2, -_ROW / 2)
    axes.set_yticks(heights, names)
    axes.tick_params(axis="y", length=0, pad=4)
    for spine in ("left", "bottom"):
        axes.spines[spine].set_visible(False)


def _draw_choice(axes: Axes, curve: Curve, choice: Choice, y: float, size: float) -> None:
    """One row of the matrix, at the height ``y``: the specifications that made a choice."""
    p = curve.estimates().p
    x = np.arange(1, len(p) + 1)
    chosen = np.array([row[choice.dimension] == choice.value for row in curve.rows], dtype=bool)
    if len(p) > _MOST_DOTS:
        # Taller where significant, so that the difference does not rest on colour.
        for which, tint, half in ((p < 0.05, style.BLUE, 0.46), (~(p < 0.05), style.MUTED, 0.26)):
            at = x[chosen & which]
            axes.bar(at, np.full(len(at), 2 * half * _ROW), 0.72, y - half * _ROW, color=tint, lw=0, zorder=3)
        return
    for which, face, edge in ((p < 0.05, style.BLUE, style.BLUE), (~(p < 0.05), "white", style.MUTED)):
        at = x[chosen & which]
        axes.plot(
            at,
            np.full(len(at), y),
            ls="none",
            marker="o",
            ms=size,
            mfc=face,
            mec=edge,
            mew=max(0.7, size / 6),
            zorder=3,
        )


@style.styled
def draw(path: FilePath, table: FilePath, curve: FilePath, labels: Labels = NAMES) -> None:
    """Draw the specification curves, one below the other.

    Parameters
    ----------
    path : path-like
        SVG to write.
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    labels : Labels
    """
    curves = read(table, curve, labels)
    if not any(own.rows for own in curves):
        reasons = list(dict.fromkeys(reason for own in curves for reason in own.reasons))
        style.placeholder(path, "Specification curve", "; ".join(reasons) or "no answers were asked for")
        return
    style.save(_compose(curves, WIDE), path, narrow=_compose(curves, NARROW))


def _compose(curves: Sequence[Curve], form: _Form) -> Figure:
    """The legend, and the curves one below the other."""
    top = 0.17 * (form.legend + 1)
    sheet = _Sheet(form, top + sum(_height(curve, form) for curve in curves))
    _draw_legend(sheet)
    for own in curves:
        _draw_curve(sheet, own, top)
        top += _height(own, form)
    return sheet.figure


class _Sheet:
    """A figure in inches from its top."""

    def __init__(self, form: _Form, height: float) -> None:
        self.form, self.height = form, height
        self.figure = style.figure(form.width, height)

    def text(self, top: float, line: _Lines) -> None:
        """Text at the left margin."""
        x, y = _EDGE / self.form.width, 1 - top / self.height
        self.figure.text(x, y, line.text, va="top", fontsize=line.size, color=line.colour, weight=line.weight)

    def axes(self, top: float, tall: float, sharex: Axes | None = None) -> Axes:
        """Axes beside the names of the choices."""
        form = self.form
        box = (form.left / form.width, 1 - (top + tall) / self.height, form.across / form.width, tall / self.height)
        return self.figure.add_axes(box, sharex=sharex)


def _draw_legend(sheet: _Sheet) -> None:
    """What the marks mean, at the top."""

    def mark(marker: str, face: str, edge: str, label: str) -> Line2D:
        return Line2D([], [], ls="none", marker=marker, ms=6, mfc=face, mec=edge, mew=1.2, label=label)

    handles = [
        mark("o", style.BLUE, style.BLUE, "p < 0.05"),
        mark("o", "white", style.MUTED, "p \u2265 0.05, or not tested"),
        mark("D", style.VERMILLION, style.VERMILLION, "main specification (filled if p < 0.05)"),
        Line2D([], [], color=style.MUTED, lw=1, label="95 % CI"),
        Line2D([], [], color=style.MUTED, lw=1, ls=(0, (4, 3)), label="median"),
    ]
    sheet.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.08 / sheet.form.width, 1 - 0.05 / sheet.height),
        ncols=-(-len(handles) // sheet.form.legend),
        borderaxespad=0,
        handletextpad=0.5,
        columnspacing=1.6,
        labelspacing=0.25,
    )


def _draw_curve(sheet: _Sheet, curve: Curve, top: float) -> None:
    """One answer: its lines of text, its estimates, its choices."""
    top += 0.06
    for line in _words(curve, sheet.form):
        sheet.text(top, line)
        top += _LINE
    top += 0.06
    n = len(curve.rows)
    if not n:
        return
    step = sheet.form.across * 72 / max(n, _FEWEST)
    size = float(np.clip(0.62 * step, 1.5, 6.0))
    upper = sheet.axes(top, _ESTIMATES)
    upper.set_xlim(*_span(n))
    _draw_estimates(upper, curve, size)
    shown = [upper]
    top += _ESTIMATES + _SPACE
    if curve.choices:
        lower = sheet.axes(top, _matrix_height(curve, sheet.form), sharex=upper)
        _draw_matrix(lower, curve, min(size, 5.0), sheet.form)
        lower.tick_params(axis="x", bottom=False, labelbottom=False)
        shown.append(lower)
    main = curve.main
    if main is not None:
        half = 0.25 if n <= _FEWEST else max(0.5, 0.004 * n)
        for axes in shown:
            axes.axvspan(main + 1 - half, main + 1 + half, color=style.VERMILLION, alpha=0.13, lw=0, zorder=0.5)
