"""How all figures look, and how they are written: the same input gives the same bytes."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.files import blinding

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, RULE = "#1c2026", "#606872", "#d6dae0"

# Okabe and Ito's palette, which can be told apart with any colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
DPI = 150

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
    """An empty white figure of this size (inches), bound to no window system."""
    return Figure(figsize=(width, height), facecolor="white")


def save(drawn: Figure, path: FilePath) -> None:
    """Write a figure as PNG, without matplotlib's version in it; in a blinded run with the mark of a sham allocation."""
    metadata: dict[str, str | None] = {"Software": None}
    if blinding.active():
        metadata["Description"] = f"{blinding.MARK}: {blinding.TEXT}"
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
            color="white",
            zorder=1001,
            bbox={"facecolor": VERMILLION, "edgecolor": "none", "pad": 2},
        )
    drawn.savefig(path, format="png", dpi=DPI, metadata=metadata)


@styled
def placeholder(path: FilePath, title: str, reason: str) -> None:
    """Draw a page that says why there is no figure."""
    drawn = figure(10, 3)
    box = drawn.add_axes((0.02, 0.06, 0.96, 0.88), xticks=[], yticks=[], facecolor="#f5f6f8")
    for spine in box.spines.values():
        spine.set(visible=True, color=RULE, linestyle=(0, (4, 3)))
    box.text(0.5, 0.66, title, ha="center", va="center", fontsize=13, weight="bold")
    box.text(0.5, 0.36, reason, ha="center", va="center", fontsize=10.5, color=MUTED, wrap=True)
    save(drawn, path)
