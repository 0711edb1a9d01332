"""A panel of a figure, narrow enough for a phone: its words are laid out around the axes by the room that they take.

Panels of a figure are of one size, so that they stand in rows wherever a page has room for several.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.figures import measured, style
from pharmasl.figures.parts import Note

WIDTH = 3.3  # inches
TITLE, TEXT = 9.5, 8.5  # points
# Inches: around a panel, from its words to the axes, and from a tick to its words.
_EDGE, _GAP, _TICK = 0.05, 0.08, 0.07
# A name below the axes takes at most so many lines; longer ones get a letter, and the note says what it stands for.
_MOST_LINES = 4
# matplotlib's own distance of lines, in parts of the text's size.
_SPACING = measured.LEADING / 1.2


@dataclass
class Panel:
    """Axes and the words around them.

    Attributes
    ----------
    title : str
    above : str
        Below the title: what was tested, and what the vertical axis shows.
    below : str
        What the horizontal axis shows.
    names : sequence of str
        Of the places 0, 1, ... of the horizontal axis; none where it has numbers.
    spans : sequence of (str, int)
        Below them, what so many places in turn have in common.
    colour : str
        Of the title.
    height : float
        Of the axes, inches.
    """

    title: str
    above: str = ""
    below: str = ""
    names: Sequence[str] = ()
    spans: Sequence[tuple[str, int]] = ()
    colour: str = style.INK
    height: float = 1.75
    figure: Figure = field(init=False)
    axes: Axes = field(init=False)

    def __post_init__(self) -> None:
        self.figure = style.figure(WIDTH, self.height + 1)
        self.axes = self.figure.add_axes((0.2, 0.2, 0.7, 0.7))

    def empty(self, words: str) -> None:
        """Say why nothing is drawn."""
        lines = measured.wrapped(words, 0.85 * WIDTH, TEXT)
        self.axes.text(
            0.5,
            0.5,
            "\n".join(lines),
            transform=self.axes.transAxes,
            ha="center",
            va="center",
            fontsize=TEXT,
            color=style.MUTED,
        )
        self.axes.set_xticks([])
        self.axes.set_yticks([])

    @property
    def _heads(self) -> list[str]:
        return measured.wrapped(self.title, WIDTH - 2 * _EDGE, TITLE, bold=True)

    @property
    def _lines_above(self) -> list[str]:
        return measured.wrapped(self.above, WIDTH - 2 * _EDGE, TEXT)

    @property
    def room_above(self) -> float:
        """Inches that the words above the axes take."""
        return (
            _EDGE
            + measured.height(len(self._heads), TITLE)
            + measured.height(len(self._lines_above), TEXT)
            + measured.height(1, TEXT) / 2
        )

    @property
    def beside(self) -> float:
        """Inches that the numbers of the vertical axis take, with the ticks."""
        drawn = FigureCanvasAgg(self.figure).get_renderer()
        self.axes.set_position((0.2, 0.2, 0.7, self.height / self.figure.get_figheight()))
        box = self.axes.yaxis.get_tightbbox(drawn)
        return 0.0 if box is None else max(self.axes.bbox.x0 - box.x0, 0.0) / self.figure.dpi

    def _place(self, left: float) -> float:
        """Inches that a place of the horizontal axis has."""
        low, high = self.axes.get_xlim()
        return (WIDTH - left - _EDGE) / (high - low)

    def named(self, left: float, letters: dict[str, str]) -> "_Named":
        """The names below the axes, in lines of the room that they have; letters where these are too many, which are added.

        Parameters
        ----------
        left : float
            Inches to the axes.
        letters : dict
            Name to letter.
        """
        room = self._place(left)

        def fit(words: Sequence[str], rooms: Sequence[float]) -> list[list[str]]:
            lines = [measured.wrapped(name, own - 0.05, TEXT) for name, own in zip(words, rooms)]
            if all(map(_is_short, words, lines)):
                return lines
            for name in words:
                letters.setdefault(name, string.ascii_uppercase[len(letters) % 26] * (1 + len(letters) // 26))
            return [[letters[name]] for name in words]

        return _Named(
            names=fit(self.names, [room] * len(self.names)),
            spans=fit([name for name, _ in self.spans], [room * count for _, count in self.spans]),
        )

    def lay_out(self, *, left: float, top: float, own: "_Named", bottom: float) -> None:
        """Place the axes and the words, inches; ``bottom`` is the room below the axes."""
        tall = top + self.height + bottom
        self.figure.set_size_inches(WIDTH, tall)
        self.axes.set_position((left / WIDTH, bottom / tall, 1 - (left + _EDGE) / WIDTH, self.height / tall))
        if own.names:
            self.axes.set_xticks(range(len(own.names)), ["\n".join(lines) for lines in own.names], linespacing=_SPACING)
            self.axes.tick_params(axis="x", length=0)
        first, below = -self.axes.get_xlim()[0] - 0.5, bottom - _TICK - measured.height(own.name_lines, TEXT)
        for lines, (_, count) in zip(own.spans, self.spans):
            x = left + (first + count / 2) * self._place(left)
            first += count
            for k, line in enumerate(lines):
                self.figure.text(
                    x / WIDTH,
                    (below - measured.height(k, TEXT)) / tall,
                    line,
                    ha="center",
                    va="top",
                    fontsize=TEXT,
                    color=style.MUTED,
                )
        y = tall - _EDGE
        for lines, size, weight, colour in (
            (self._heads, TITLE, "bold", self.colour),
            (self._lines_above, TEXT, "normal", style.MUTED),
        ):
            for line in lines:
                self.figure.text(
                    _EDGE / WIDTH, y / tall, line, va="top", fontsize=size, fontweight=weight, color=colour
                )
                y -= measured.height(1, size)
        for k, line in enumerate(reversed(self._lines_below)):
            place = (_EDGE + measured.height(k, TEXT)) / tall
            self.figure.text(
                (left + WIDTH - _EDGE) / (2 * WIDTH),
                place,
                line,
                ha="center",
                va="bottom",
                fontsize=TEXT,
                color=style.MUTED,
            )

    @property
    def _lines_below(self) -> list[str]:
        return measured.wrapped(self.below, WIDTH - 0.6, TEXT)

    def room_below(self, own: "_Named") -> float:
        """Inches that the words below the axes take."""
        words = self._lines_below
        return (
            _EDGE
            + _TICK
            + measured.height(own.name_lines + max(map(len, own.spans), default=0), TEXT)
            + (_GAP / 2 + measured.height(len(words), TEXT) if words else 0.0)
        )


@dataclass(frozen=True)
class _Named:
    """The names of places and spans below axes, in lines."""

    names: Sequence[Sequence[str]]
    spans: Sequence[Sequence[str]]

    @property
    def name_lines(self) -> int:
        """Lines of the longest name, or of a number."""
        return max(map(len, self.names), default=1)


def _is_short(name: str, lines: Sequence[str]) -> bool:
    """Whether a name stands in few lines, no word of it broken."""
    return (
        len(lines) <= _MOST_LINES
        and "".join(lines).replace(" ", "") == name.replace("\n", "").replace(" ", "")
        and not (set(" ".join(lines).split()) - set(name.split()))
    )


def laid_out(panels: Sequence[Panel]) -> list[Note]:
    """Lay panels out in one size; what letters stand for where names are too long for their places.

    Parameters
    ----------
    panels : sequence of Panel
        Already drawn.

    Returns
    -------
    list of Note
    """
    left = max(panel.beside for panel in panels) + _EDGE
    letters: dict[str, str] = {}
    below = [panel.named(left, letters) for panel in panels]
    top = max(panel.room_above for panel in panels)
    bottom = max(map(Panel.room_below, panels, below))
    for panel, own in zip(panels, below):
        panel.lay_out(left=left, top=top, own=own, bottom=bottom)
    return [Note(mark=letter, text=", ".join(name.split("\n"))) for name, letter in letters.items()]


def save(panels: Sequence[Panel], path: FilePath, notes: Sequence[Note] = ()) -> None:
    """Lay panels out and write them as one file, with notes below them.

    Parameters
    ----------
    panels : sequence of Panel
    path : path-like
        SVG to write.
    notes : sequence of Note
    """
    keys = laid_out(panels)
    style.save_panels([panel.figure for panel in panels], path, [*keys, *notes])
