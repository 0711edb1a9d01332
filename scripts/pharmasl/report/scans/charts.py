"""Small charts: lines in an SVG that stretches with the page, with all numbers and words as HTML around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

_LENGTH = 1000.0  # of an axis in the drawing's own unit


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of a chart.

    Attributes
    ----------
    low, high : float
        Its ends.
    ticks : sequence of (float, str)
        Where words stand, and which.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Values (n,) as lengths from the axis' low end, in the drawing's unit."""
        return (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low) * _LENGTH


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart, with gaps where a value is not finite.

    Attributes
    ----------
    x, y : ndarray of shape (n,)
    name : str
        Class that colours it, and its name in the legend.
    dots : bool
        Points in place of a line.
    """

    x: np.ndarray
    y: np.ndarray
    name: str
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Attributes
    ----------
    title : str
    summary : str
        What it shows, for those who do not see it.
    x, y : Axis
    lines : sequence of Line
    limits : sequence of float
        Values at which a dashed line lies across.
    crossed : sequence of (float, float)
        Stretches of x that are hatched.
    below : str
        Name of the x axis.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    limits: Sequence[float] = ()
    crossed: Sequence[tuple[float, float]] = ()
    below: str = ""
    legend: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def plot(self) -> Markup:
        """The drawing with its axes."""
        parts = [stripes(self.crossed, self.x)]
        parts += [_across(self.y.place(value), "rule") for value, _ in self.y.ticks]
        parts += [_across(self.y.place(value), "limit") for value in self.limits if self.y.low <= value <= self.y.high]
        parts += [f'<path class="{line.name}" d="{_path(line, self.x, self.y)}"/>' for line in self.lines]
        drawing = "".join(part for part in parts if part)
        ys = "".join(
            f'<span style="bottom:{self.y.place(value) / _LENGTH:.2%}">{escape(text)}</span>'
            for value, text in self.y.ticks
        )
        return Markup(
            f'<div class="plot" role="img" aria-label="{escape(self.summary)}"><div class="ys">{ys}</div>'
            f'<svg viewBox="0 0 {_LENGTH:g} {_LENGTH:g}" preserveAspectRatio="none" aria-hidden="true">{drawing}</svg>'
            f"{bottom(self.x)}</div>"
        )


def bottom(axis: Axis) -> Markup:
    """The words below a horizontal axis."""
    words = "".join(
        f'<span style="left:{axis.place(value) / _LENGTH:.2%}">{escape(text)}</span>' for value, text in axis.ticks
    )
    return Markup(f'<div class="xs">{words}</div>')


def stripes(crossed: Sequence[tuple[float, float]], axis: Axis, name: str = "out") -> str:
    """Stretches of a horizontal axis as SVG, of a class."""
    places = [(axis.place(start), axis.place(end)) for start, end in crossed]
    return "".join(
        f'<rect class="{name}" x="{start:.1f}" y="0" width="{end - start:.1f}" height="{_LENGTH:g}"/>'
        for start, end in places
    )


def _across(height: np.ndarray, name: str) -> str:
    y = _LENGTH - float(height)
    return f'<path class="{name}" d="M0 {y:.1f}H{_LENGTH:g}"/>'


def _path(line: Line, x: Axis, y: Axis) -> str:
    across, up = x.place(line.x), _LENGTH - np.clip(y.place(line.y), 0, _LENGTH)
    known = np.isfinite(across) & np.isfinite(up)
    parts = []
    for k in np.flatnonzero(known):
        point = f"{across[k]:.1f} {up[k]:.1f}"
        if line.dots:
            parts.append(f"M{point}h0")
        else:
            parts.append(f"{'L' if k and known[k - 1] else 'M'}{point}")
            if not (k and known[k - 1]) and not (k + 1 < len(known) and known[k + 1]):
                parts.append("h0")
    return "".join(parts)


def nice_step(span: float, count: int) -> float:
    """A round step that divides ``span`` into about ``count`` parts."""
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    return float(power * next(step for step in (1, 2, 2.5, 5, 10) if raw <= step * power * 1.0000001))


def rounded(values: np.ndarray, *, low: float | None = None, least: float = 1e-3, count: int = 3) -> Axis:
    """An axis with round ends that holds values.

    Parameters
    ----------
    values : ndarray of shape (n,)
    low : float, optional
        Its low end; by default that of the values.
    least : float
        Least length.
    count : int
        About how many steps.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        finite = np.zeros(1)
    start = float(finite.min()) if low is None else low
    end = max(float(finite.max()), start + least)
    step = nice_step(end - start, count)
    start, end = math.floor(start / step + 1e-9) * step, math.ceil(end / step - 1e-9) * step
    number = round((end - start) / step)
    return Axis(low=start, high=end, ticks=[(start + k * step, _text(start + k * step)) for k in range(number + 1)])


def _text(value: float) -> str:
    return f"{round(value, 9):g}".replace("-", "\u2212")


def counted(number: int, count: int = 6) -> Axis:
    """An axis of the numbers 1 to ``number``, each in the middle of its own stretch."""
    every = max(1, round(nice_step(number, count)))
    return Axis(low=0.5, high=number + 0.5, ticks=[(k, str(k)) for k in range(1, number + 1, every)])
