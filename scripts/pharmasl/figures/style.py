"""How all figures look, and how they are written: the same input gives the same bytes."""

import functools
import io
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.figures import measured, parts
from pharmasl.figures.parts import Note
from pharmasl.files import blinding
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, RULE = "#1c2026", "#606872", "#d6dae0"

# Okabe and Ito's palette, which can be told apart with any colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
# Inches: of a drawing for phones, whose text is then larger than in its file.
NARROW = 3.75
FAINT = "#a9b0b8"  # intervals that are not significant: still there in print
# Of boxes of the treatment, the control and further arms.
TINTS = ("#eaf3f9", "#fdf1e8", "#e8f5f0", "#faf0f6", "#f8f3df")


def arm_colours(arms: Arms) -> dict[str, str]:
    """The colour of each arm in every figure: the treatment blue, the control vermillion, then the others."""
    return dict(zip(arms.labels, itertools.cycle(SERIES)))


def arm_notes(colours: Mapping[str, str], labels: Labels, marks: Sequence[str] = ("\u25cf",)) -> list[Note]:
    """What the colours and marks of arms stand for, in the order in which they are passed."""
    return [
        Note(mark=mark, text=labels.arm(arm), colour=in_page(colour))
        for (arm, colour), mark in zip(colours.items(), itertools.cycle(marks))
    ]


_SETTINGS: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.family": measured.FONT,
    "font.size": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pharmasl",
    "text.color": INK,
    "text.parse_math": False,  # text of a dataset is text, dollars too
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
}


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def styled(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Run a function with the project's settings of matplotlib, whatever the user's own are."""

    @functools.wraps(function)
    def call(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return function(*arguments, **options)

    return call


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size (inches), bound to no window system."""
    return Figure(figsize=(width, height), facecolor="none")


# Colours that follow the page, light or dark; a file by itself has those of matplotlib.
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    FAINT: "--soft",
    "#ffffff": "--paper",
    BLUE: "--treatment",
    VERMILLION: "--control",
    GREEN: "--third",
    PURPLE: "--fourth",
    ORANGE: "--fifth",
    SKY: "--sixth",
    **{tint: f"--tint-{place}" for place, tint in enumerate(TINTS, start=1)},
}
_COLOUR = re.compile("|".join(_VARIABLES))
# Names of groups, to which nothing points, and which a page with several drawings would have twice.
_NAMES = re.compile(r'<g id="[^"]*"')
# matplotlib's own font, and one of the same widths that other systems have.
_FONTS = "'DejaVu Sans', Verdana, sans-serif"


def _for_pages(text: str) -> str:
    """An SVG of matplotlib as it may stand within a page: no header, no names of groups, colours by the page's variables."""
    body = text[text.index("<svg ") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _NAMES.sub("<g", body)
    body = re.sub(r"\n\s+", "\n", body)
    body = _COLOUR.sub(lambda colour: f"var({_VARIABLES[colour[0]]}, {colour[0]})", body)
    return body.replace("'DejaVu Sans'", _FONTS).rstrip() + "\n"


def in_page(colour: str) -> str:
    """A colour of the figures as a page has it, light or dark."""
    return f"var({_VARIABLES[colour]}, {colour})"


def _mark(drawn: Figure) -> None:
    """The mark of a sham allocation across a figure, and in its corner."""
    drawn.text(
        0.5,
        0.5,
        blinding.MARK,
        ha="center",
        va="center",
        rotation=20,
        fontsize=min(64.0, 9 * drawn.get_figwidth()),
        weight="bold",
        color=VERMILLION,
        alpha=0.16,
        zorder=1000,
    )
    drawn.text(
        0.995,
        0.005,
        f"{blinding.MARK}: sham allocation",
        ha="right",
        va="bottom",
        fontsize=9,
        weight="bold",
        color=VERMILLION,
        zorder=1001,
    )


def _svg(drawn: Figure) -> str:
    """A figure as SVG with text as text; in a blinded run with the mark of a sham allocation."""
    if blinding.active():
        _mark(drawn)
    memory = io.StringIO()
    drawn.savefig(memory, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_pages(memory.getvalue())


def save(drawn: Figure, path: FilePath, *, narrow: Figure | None = None) -> None:
    """Write a figure, and where it is wide one for narrow pages, as one file; see :mod:`pharmasl.figures.parts`."""
    text = parts.single(_svg(drawn), None if narrow is None else _svg(narrow))
    Path(path).write_text(text, encoding="utf-8")


def save_panels(panels: Sequence[Figure], path: FilePath, notes: Iterable[Note] = ()) -> None:
    """Write panels that a page lays out by its width, with notes below them, as one file."""
    Path(path).write_text(parts.sheet([_svg(panel) for panel in panels], notes), encoding="utf-8")


@styled
def placeholder(path: FilePath, title: str, reason: str) -> None:
    """Draw a page that says why there is no figure."""
    save(_placeholder(10.0, title, reason), path, narrow=_placeholder(NARROW, title, reason))


def _placeholder(width: float, title: str, reason: str) -> Figure:
    room = width - 0.6
    heads, lines = measured.wrapped(title, room, 11, bold=True), measured.wrapped(reason, room, 9.5)
    height = 0.9 + measured.height(len(heads), 11) + measured.height(len(lines), 9.5)
    drawn = figure(width, height)
    box = drawn.add_axes((0.01, 0.02, 0.98, 0.96), xticks=[], yticks=[], facecolor="none")
    for spine in box.spines.values():
        spine.set(visible=True, color=RULE, linestyle=(0, (4, 3)))
    line = measured.LEADING / 1.2  # matplotlib's own distance of lines is 1.2
    drawn.text(
        0.5, 1 - 0.3 / height, "\n".join(heads), ha="center", va="top", fontsize=11, weight="bold", linespacing=line
    )
    drawn.text(
        0.5, 0.3 / height, "\n".join(lines), ha="center", va="bottom", fontsize=9.5, color=MUTED, linespacing=line
    )
    return drawn
