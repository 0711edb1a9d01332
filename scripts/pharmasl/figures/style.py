"""How all figures look, and how they are written: the same input gives the same bytes."""

import functools
import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.files import blinding
from pharmasl.study.settings import Arms

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, RULE = "#1c2026", "#606872", "#d6dae0"

# Okabe and Ito's palette, which can be told apart with any colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
DPI = 150  # at which text is measured
FAINT = "#a9b0b8"  # intervals that are not significant: still there in print
# Of boxes of the treatment, the control and further arms.
TINTS = ("#eaf3f9", "#fdf1e8", "#e8f5f0", "#faf0f6")


def arm_colours(arms: Arms) -> dict[str, str]:
    """The colour of each arm in every figure: the treatment blue, the control vermillion, then the others."""
    return dict(zip(arms.labels, itertools.cycle(SERIES)))


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
    "font.family": "DejaVu Sans",  # matplotlib's own: no font of the machine
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
    **{tint: f"--tint-{place}" for place, tint in enumerate(TINTS, start=1)},
}
_COLOUR = re.compile("|".join(_VARIABLES))
_SIZE = re.compile(r'<svg [^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')
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
    body = body.replace("'DejaVu Sans'", _FONTS)

    def head(tag: re.Match[str]) -> str:
        width, height = tag[1], tag[2]
        style = f"min-width:{float(width):.0f}px;max-width:{1.35 * float(width):.0f}px"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}" '
            f'width="100%" style="{style}">'
        )

    return _SIZE.sub(head, body, count=1).rstrip() + "\n"


def save(drawn: Figure, path: FilePath) -> None:
    """Write a figure as SVG with text as text; in a blinded run with the mark of a sham allocation."""
    if blinding.active():
        drawn.text(
            0.5,
            0.5,
            blinding.MARK,
            ha="center",
            va="center",
            rotation=20,
            fontsize=64,
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
    memory = io.StringIO()
    drawn.savefig(memory, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    Path(path).write_text(_for_pages(memory.getvalue()), encoding="utf-8")


@styled
def placeholder(path: FilePath, title: str, reason: str) -> None:
    """Draw a page that says why there is no figure."""
    drawn = figure(10, 3)
    box = drawn.add_axes((0.02, 0.06, 0.96, 0.88), xticks=[], yticks=[], facecolor="none")
    for spine in box.spines.values():
        spine.set(visible=True, color=RULE, linestyle=(0, (4, 3)))
    box.text(0.5, 0.66, title, ha="center", va="center", fontsize=13, weight="bold")
    box.text(0.5, 0.36, reason, ha="center", va="center", fontsize=10.5, color=MUTED, wrap=True)
    save(drawn, path)
