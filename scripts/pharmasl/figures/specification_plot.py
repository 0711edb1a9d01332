"""The figure of the specification curves: every specification's estimate, and below it the choices it made."""

import math
import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from pharmasl.figures import style
from pharmasl.figures.findings import number, p_text
from pharmasl.sensitivity import curve_columns, naming

WIDTH = 10.0
# Inches: the names of the choices at the left, a row of choices, the estimates, and around them.
_LEFT, _RIGHT, _ROW, _GAP, _ESTIMATES, _SPACE, _FOOT = 2.35, 0.2, 0.185, 0.12, 2.35, 0.1, 0.35
_LINE = 0.19
_FAINT = "#a9b0b8"
# Narrower curves than this many specifications leave room at the sides, so that a few points stay together.
_FEWEST = 10
# Of more than this many, the choices are bars, since dots would be too small to see.
_MOST_DOTS = 64


@dataclass
class Curve:
    """One answer's curve, as the two tables tell it.

    Attributes
    ----------
    total : dict
        The row of ``curve.tsv`` about all specifications.
    choices : list of (str, str)
        Dimension and value, for each row of the matrix; values that all specifications share are left out.
    rows : list of dict
        Rows of ``specifications.tsv`` with an estimate, by rank.
    reasons : list of str
        Why the others have none, each reason once.
    """

    total: dict
    choices: list
    rows: list
    reasons: list

    @property
    def main(self):
        """Position of the main specification, or None."""
        return next((k for k, row in enumerate(self.rows) if row["main"] == "true"), None)

    def values(self):
        """Estimates, their 95 % intervals and p values: ndarray of shape (4, S)."""
        names = ("partial_r", "partial_r_low", "partial_r_high")
        if self.total["scale"] == "estimate":
            names = ("estimate", "ci_low", "ci_high")
        return np.array([[number(row[name]) for row in self.rows] for name in (*names, "p")])

    @property
    def unit(self):
        """What the vertical axis shows."""
        if self.total["scale"] == "partial_r":
            return "Partial correlation\n(units differ)"
        if self.rows and self.rows[0]["kind"] == "correlation":
            return "Correlation"
        return "\n".join(textwrap.wrap(f"Estimate ({self.total['unit']})", 26))

    @property
    def heading(self):
        """The answer's name and what a positive estimate means, in lines; the first is the name."""
        meaning = next((row["meaning"] for row in self.rows if row["meaning"]), None)
        chosen = any(row["defined_by_same_data"] == "true" for row in self.rows)
        note = "; † the region is a cluster of these data" if chosen else ""
        name = naming.plain(self.total["answer"]) + (" †" if chosen else "")
        return [name, *textwrap.wrap(f"{meaning or ''}{note}", 125)]

    @property
    def verdict(self):
        """The joint test in one line."""
        total, n = self.total, len(self.rows)
        told = f"{n} specification{'s' * (n != 1)}"
        if int(total["not_run"]):
            told += f" ({total['not_run']} not run)"
        if not n:
            return told
        joint = ", ".join(
            f"{p_text(number(total[column])).removeprefix('p = ').removeprefix('p ')} ({name})"
            for name, column in (
                ("median", "p_median"),
                ("number significant", "p_significant"),
                ("mean z", "p_mean_z"),
            )
        )
        return f"{told}, {total['significant']} significant in the median's direction. Joint p: {joint}"


def read(table, curve):
    """Read the curves of all answers.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.

    Returns
    -------
    list of Curve
    """
    found = []
    for total, own, choices in curve_columns.read(table, curve):
        run = sorted((row for row in own if row["rank"]), key=lambda row: int(row["rank"]))
        reasons = list(dict.fromkeys(row["status"] for row in own if not row["rank"]))
        found.append(Curve(total, [(row["dimension"], row["value"]) for row in choices], run, reasons))
    return found


def limits(values, low, high):
    """Ends of the vertical axis: all estimates, zero and the usual intervals; a few very wide ones are cut.

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


def _matrix_height(each):
    gaps = len({dimension for dimension, _ in each.choices}) - 1
    return _ROW * len(each.choices) + _GAP * gaps if each.choices else 0.0


def _height(each):
    content = _ESTIMATES + _SPACE + _matrix_height(each) if each.rows else _LINE * len(_reasons(each))
    return _LINE * (len(each.heading) + 1) + 0.12 + content + _FOOT


def _reasons(each):
    return textwrap.wrap("; ".join(each.reasons), 125)


def _span(n):
    """Ends of the horizontal axis for n specifications."""
    room = max(_FEWEST - n, 0) / 2
    return 0.4 - room, n + 0.6 + room


def _estimates(axes, each, colour, size):
    """Estimates with their intervals; filled where significant, the main one ringed."""
    value, low, high, p = each.values()
    x = np.arange(1, len(value) + 1)
    significant = p < 0.05
    axes.axhline(0, color=style.INK, lw=0.9)
    axes.axhline(number(each.total["median"]), color=style.MUTED, lw=0.8, ls=(0, (4, 3)))
    width = float(np.clip(size / 3.2, 0.5, 1.4))
    axes.vlines(x, low, high, color=np.where(significant, colour, _FAINT), lw=width)
    for chosen, face, edge in ((significant, colour, colour), (~significant, "white", style.MUTED)):
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
    if each.main is not None:
        axes.vlines(x[each.main], low[each.main], high[each.main], color=style.VERMILLION, lw=max(width, 1.2))
        axes.plot(
            x[each.main],
            value[each.main],
            ls="none",
            marker="D",
            ms=max(size + 1.5, 5.5),
            mew=1.4,
            zorder=4,
            mec=style.VERMILLION,
            mfc=style.VERMILLION if significant[each.main] else "white",
        )
    axes.set_ylim(*limits(value, low, high))
    axes.set_ylabel(each.unit)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


def _matrix(axes, each, colour, size):
    """A dot for each specification in the row of each of its choices."""
    value, _, _, p = each.values() if each.rows else np.empty((4, 0))
    n, y, marks = len(value), 0.0, []
    previous = None
    for k, (dimension, name) in enumerate(each.choices):
        y -= _ROW + (_GAP if previous not in (None, dimension) else 0)
        if previous != dimension:
            axes.text(
                -2.2 / (WIDTH - _LEFT - _RIGHT),
                y,
                naming.dimension(dimension),
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=8.5,
                weight="bold",
            )
        previous = dimension
        marks.append((y, naming.value(dimension, name)))
        shade = "#f0f2f4" if k % 2 else "#f8f9fa"
        axes.axhspan(y - _ROW / 2, y + _ROW / 2, color=shade, lw=0, zorder=0.1)
        chosen = np.array([row[dimension] == name for row in each.rows], dtype=bool)
        x = np.arange(1, n + 1)
        if n > _MOST_DOTS:
            # Taller where significant, so that colour is not all that tells.
            for which, tint, half in ((p < 0.05, colour, 0.46), (p >= 0.05, style.MUTED, 0.26)):
                at = x[chosen & which]
                axes.bar(at, np.full(len(at), 2 * half * _ROW), 0.72, y - half * _ROW, color=tint, lw=0, zorder=3)
            continue
        for which, face, edge in ((p < 0.05, colour, colour), (p >= 0.05, "white", style.MUTED)):
            axes.plot(
                x[chosen & which],
                np.full((chosen & which).sum(), y),
                ls="none",
                marker="o",
                ms=size,
                mfc=face,
                mec=edge,
                mew=max(0.7, size / 6),
                zorder=3,
            )
    axes.set_ylim(y - _ROW / 2, -_ROW / 2)
    axes.set_yticks([y for y, _ in marks], [textwrap.shorten(name, 20, placeholder="\u2026") for _, name in marks])
    axes.tick_params(axis="y", length=0, pad=4)
    for spine in ("left", "bottom"):
        axes.spines[spine].set_visible(False)


@style.styled
def draw(path, table, curve):
    """Draw the specification curves, one below the other.

    Parameters
    ----------
    path : path-like
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    """
    curves = read(table, curve)
    if not any(each.rows for each in curves):
        reasons = list(dict.fromkeys(reason for each in curves for reason in each.reasons))
        style.placeholder(path, "Specification curve", "; ".join(reasons) or "no answers were asked for")
        return
    legend = 0.34
    height = legend + sum(_height(each) for each in curves)
    drawn = style.figure(WIDTH, height)

    def box(top, tall):
        return _LEFT / WIDTH, 1 - (top + tall) / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, tall / height

    _legend(drawn, height)
    top = legend
    for each in curves:
        _panel(drawn, each, top, height, box)
        top += _height(each)
    style.save(drawn, path)


def _legend(drawn, height):
    """What the marks mean, on one line at the top."""

    def mark(marker, face, edge, label):
        return Line2D([], [], ls="none", marker=marker, ms=6, mfc=face, mec=edge, mew=1.2, label=label)

    handles = [
        mark("o", style.BLUE, style.BLUE, "p < 0.05"),
        mark("o", "white", style.MUTED, "p \u2265 0.05"),
        mark("D", style.VERMILLION, style.VERMILLION, "main specification (filled if p < 0.05)"),
        Line2D([], [], color=style.MUTED, lw=1, label="95 % CI"),
        Line2D([], [], color=style.MUTED, lw=1, ls=(0, (4, 3)), label="median"),
    ]
    drawn.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.008, 1 - 0.05 / height),
        ncols=5,
        borderaxespad=0,
        handletextpad=0.5,
        columnspacing=1.6,
    )


def _panel(drawn, each, top, height, box):
    """One answer: its lines of text, its estimates, its choices."""
    name, *meaning = each.heading
    left = 0.15 / WIDTH
    top += 0.06
    drawn.text(left, 1 - top / height, name, va="top", fontsize=11, weight="bold")
    for line in meaning:
        top += _LINE
        drawn.text(left, 1 - top / height, line, va="top", fontsize=8.5, color=style.MUTED)
    top += _LINE
    drawn.text(left, 1 - top / height, each.verdict, va="top", fontsize=9)
    top += _LINE + 0.06
    n = len(each.rows)
    step = (WIDTH - _LEFT - _RIGHT) * 72 / max(n, _FEWEST)
    size = float(np.clip(0.62 * step, 1.5, 6.0))
    if not n:
        drawn.text(left, 1 - top / height, "\n".join(_reasons(each)), va="top", fontsize=9, color=style.MUTED)
        return
    upper = drawn.add_axes(box(top, _ESTIMATES))
    upper.set_xlim(*_span(n))
    _estimates(upper, each, style.BLUE, size)
    shown = [upper]
    top += _ESTIMATES + _SPACE
    if each.choices:
        lower = drawn.add_axes(box(top, _matrix_height(each)), sharex=upper)
        _matrix(lower, each, style.BLUE, min(size, 5.0))
        lower.tick_params(axis="x", bottom=False, labelbottom=False)
        shown.append(lower)
    if each.main is not None:
        half = 0.25 if n <= _FEWEST else max(0.5, 0.004 * n)
        for axes in shown:
            axes.axvspan(
                each.main + 1 - half, each.main + 1 + half, color=style.VERMILLION, alpha=0.13, lw=0, zorder=0.5
            )
