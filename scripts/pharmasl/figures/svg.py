"""Drawings written as SVG without a drawing library: text stays text, colours follow the page, the same input gives the same bytes.

Lengths are the units of the drawing's view box, y downwards. In a page the colours are those of its variables, light or dark; a
file by itself has the light ones.
"""

import contextlib
import html
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pharmasl.files import blinding

INK, MUTED, RULE, PAPER = "var(--ink, #1c2026)", "var(--muted, #606872)", "var(--rule, #d6dae0)", "var(--paper, #fff)"
# Of arms: treatment, control, then the others (Okabe and Ito's palette, told apart with any colour vision).
ARMS = (
    "var(--treatment, #0072b2)",
    "var(--control, #d55e00)",
    "var(--third, #007a5a)",
    "var(--fourth, #aa4499)",
    "var(--fifth, #8a6d00)",
)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Verdana, sans-serif"
SIZE = 11  # of text, units
Point = tuple[float, float]


def digits(value: float) -> str:
    """A coordinate with two decimals at most."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def escape(text: str) -> str:
    """Text as it may stand in an element or an attribute."""
    return html.escape(text, quote=True)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two ends, at most so many."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    size = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = factor * size
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            break
    return [round(k * step, 12) for k in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Ticks in words, with as many decimals as they need and a true minus sign."""
    for decimals in range(6):
        if all(abs(round(value, decimals) - value) < 1e-9 for value in values):
            break
    return [f"{value:.{decimals}f}".replace("-", "\u2212") for value in values]


class Scale:
    """From a value to a place: ``low`` lies at ``start``, ``high`` at ``end``."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, zero: bool = False) -> "Scale":
        """A scale with room around all values, and 0 among them where ``zero``."""
        known = np.array([value for value in values if math.isfinite(value)] + [0.0] * zero)
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        margin = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers within the scale."""
        return ticks(self.low, self.high, most)


class Drawing:
    """A drawing of a size, to which marks are added one over the other.

    Parameters
    ----------
    width, height : float
    size : float
        Of the text.
    """

    def __init__(self, width: float, height: float, size: float = SIZE) -> None:
        self.width, self.height, self.size = width, height, size
        self.parts: list[str] = []

    def line(
        self,
        *points: Point,
        colour: str = MUTED,
        width: float = 1,
        dash: str | None = None,
        opacity: float = 1,
        title: str | None = None,
    ) -> None:
        """A line by way of points; one that a missing value would be part of is not drawn."""
        if any(not math.isfinite(value) for point in points for value in point) or len(points) < 2:
            return
        path = "M" + "L".join(f"{digits(x)} {digits(y)}" for x, y in points)
        more = f' stroke-dasharray="{dash}"' if dash else ""
        more += f' opacity="{opacity:g}"' if opacity < 1 else ""
        self._add("path", f'd="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{more}', title)

    def mark(
        self,
        x: float,
        y: float,
        *,
        shape: int = 0,
        size: float = 3.2,
        colour: str | None = INK,
        edge: str | None = None,
        opacity: float = 1,
        title: str | None = None,
    ) -> None:
        """A circle, a square, a triangle or a diamond (``shape`` 0 to 3) around a point."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        style = (f' fill="{colour}"' if colour else "") + (f' stroke="{edge}" stroke-width="1.2"' if edge else "")
        style += f' opacity="{opacity:g}"' if opacity < 1 else ""
        if shape % 4 == 0:
            self._add("circle", f'cx="{digits(x)}" cy="{digits(y)}" r="{size:g}"{style}', title)
            return
        corners = {1: ((-1, -1), (1, -1), (1, 1), (-1, 1)), 2: ((0, -1.3), (1.2, 0.9), (-1.2, 0.9))}
        corners[3] = ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0))
        around = 0.92 * size
        path = "L".join(f"{digits(x + around * a)} {digits(y + around * b)}" for a, b in corners[shape % 4])
        self._add("path", f'd="M{path}Z"{style}', title)

    @contextlib.contextmanager
    def group(self, attributes: str) -> Iterator[None]:
        """What is drawn within has these attributes in common, so that hundreds of marks stay small."""
        self.parts.append(f"<g {attributes}>")
        yield
        self.parts.append("</g>")

    def dot(self, x: float, y: float, *, shape: int, size: float, title: str | None = None) -> None:
        """A mark within a group that has its colour."""
        self.mark(x, y, shape=shape, size=size, colour=None, title=title)

    def path(self, *lines: Sequence[Point], title: str | None = None) -> None:
        """Lines within a group that has their colour, as one element."""
        path = "".join(
            "M" + "L".join(f"{digits(x)} {digits(y)}" for x, y in points) for points in lines if len(points) > 1
        )
        if path:
            self._add("path", f'd="{path}"', title)

    def box(self, x: float, y: float, width: float, height: float, *, colour: str, opacity: float = 1) -> None:
        """A filled rectangle; ``x``, ``y`` is its upper left corner."""
        place = f'x="{digits(x)}" y="{digits(y)}" width="{digits(width)}" height="{digits(height)}"'
        self._add("rect", f'{place} fill="{colour}"' + (f' opacity="{opacity:g}"' if opacity < 1 else ""), None)

    def area(self, points: Sequence[Point], *, colour: str, opacity: float) -> None:
        """A filled polygon."""
        path = "L".join(f"{digits(x)} {digits(y)}" for x, y in points)
        self._add("path", f'd="M{path}Z" fill="{colour}" opacity="{opacity:g}"', None)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        colour: str = INK,
        size: float | None = None,
        bold: bool = False,
        upwards: bool = False,
    ) -> None:
        """Words on a base line; ``anchor`` is ``start``, ``middle`` or ``end``."""
        style = f' font-size="{size:g}"' if size else ""
        style += ' font-weight="600"' if bold else ""
        style += f' text-anchor="{anchor}"' if anchor != "start" else ""
        style += f' transform="rotate(-90 {digits(x)} {digits(y)})"' if upwards else ""
        self.parts.append(f'<text x="{digits(x)}" y="{digits(y)}" fill="{colour}"{style}>{escape(words)}</text>')

    def axis(self, scale: Scale, x: float, to: float, *, most: int = 5) -> None:
        """Ticks of a vertical scale at ``x``, each with a faint line to ``to``."""
        values = scale.ticks(most)
        for value, words in zip(values, tick_texts(values)):
            self.line((x, scale(value)), (to, scale(value)), colour=RULE, width=0.7)
            self.text(x - 4, scale(value) + 0.35 * self.size, words, anchor="end", colour=MUTED)

    def raw(self, part: str) -> None:
        """An element as it is; its text has to be escaped."""
        self.parts.append(part)

    def _blinded(self) -> None:
        """The mark of a sham allocation across the drawing."""
        x, y = digits(self.width / 2), digits(self.height / 2)
        self.parts.append(
            f'<text x="{x}" y="{y}" text-anchor="middle" transform="rotate(-20 {x} {y})" fill="{ARMS[1]}" opacity="0.3" '
            f'font-size="{digits(self.width / 6)}" font-weight="700">{blinding.MARK}</text>'
        )

    def _add(self, name: str, attributes: str, title: str | None) -> None:
        inner = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f"<{name} {attributes}>{inner}</{name}>" if inner else f"<{name} {attributes}/>")

    def render(self, words: str = "") -> str:
        """The drawing as an ``svg`` element.

        Parameters
        ----------
        words : str
            What stands for it where it cannot be seen; empty where the element around it says so.
        """
        if blinding.active():
            self._blinded()
        named = f'role="img" aria-label="{escape(words)}"' if words else 'aria-hidden="true"'
        style = f"max-width:{digits(1.5 * self.width)}px;flex:1 1 {digits(self.width)}px"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {digits(self.width)} {digits(self.height)}" {named} '
            f'style="{style}" width="100%" font-family="{FONT}" font-size="{self.size:g}">'
            + "".join(self.parts)
            + "</svg>"
        )
