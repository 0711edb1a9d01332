"""Text as wide as it will be drawn: what room it takes in the figures' font, and where it breaks."""

import bisect
import functools

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

FONT = "DejaVu Sans"  # matplotlib's own: no font of the machine
DPI = 150  # at which text is measured
LEADING = 1.32  # distance of lines in parts of the text's size


@functools.cache
def _renderer() -> RendererAgg:
    canvas = Figure(figsize=(1, 1))
    # At the resolution of the file: glyphs are fitted to its pixels.
    canvas.set_dpi(DPI)
    return FigureCanvasAgg(canvas).get_renderer()


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Inches that a line takes.

    Parameters
    ----------
    text : str
    size : float
        Points.
    bold : bool
    """
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    return _renderer().get_text_width_height_descent(text, font, ismath=False)[0] / DPI


def height(lines: int, size: float) -> float:
    """Inches that so many lines take."""
    return lines * size * LEADING / 72


def fitting(text: str, room: float, size: float, *, bold: bool = False) -> int:
    """How many characters of a text fit into a room (inches), at least one."""

    def own(number: int) -> float:
        return width(text[:number], size, bold=bold)

    return max(bisect.bisect_right(range(1, len(text) + 1), room, key=own), 1)


def wrapped(text: str, room: float, size: float, *, bold: bool = False, hanging: float = 0.0) -> list[str]:
    """A text in lines that fit into a room (inches); a word that is wider is broken.

    Parameters
    ----------
    text : str
        Breaks of lines stay, and lines break at spaces, not at unbreakable ones.
    room : float
    size : float
    bold : bool
    hanging : float
        By how much lines after the first are indented, inches.

    Returns
    -------
    list of str
    """
    finished = list[str]()
    for paragraph in text.split("\n"):
        current = ""
        for word in filter(None, paragraph.split(" ")):
            rest = word
            while rest:
                longer, here = f"{current} {rest}".strip(), room - hanging * bool(finished)
                if width(longer, size, bold=bold) <= here:
                    current, rest = longer, ""
                elif current:
                    finished.append(current)
                    current = ""
                else:
                    fits = fitting(rest, here, size, bold=bold)
                    finished.append(rest[:fits])
                    rest = rest[fits:]
        finished += [current] if current else []
    return finished


def shortened(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """A text cut to one line of a room (inches), with an ellipsis where it is cut."""
    if width(text, size, bold=bold) <= room:
        return text
    fits = fitting(text, room - width("\u2026", size, bold=bold), size, bold=bold)
    return f"{text[:fits].rstrip()}\u2026"
