"""The figure of the smallest estimates that an analysis would have called significant, in slices."""

from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.figures import quantity_map
from pharmasl.figures.brain_slices import Template
from pharmasl.figures.quantity_map import QuantityMap
from pharmasl.files import tables
from pharmasl.space import images


@dataclass(frozen=True, kw_only=True)
class CalledFigureFiles:
    """Template, the map on its grid, and what was tested."""

    reference: FilePath
    called: FilePath
    inference: FilePath


def html(files: CalledFigureFiles) -> str:
    """The figure as a piece of a page; empty where there is no map."""
    volume = images.load(files.called)[0]
    unit = tables.read_json(files.inference)["effect"]["unit"]
    shown = QuantityMap(
        volume=volume,
        title=f"Smallest estimate that would have been called, {unit}",
        low=0.0,
        high=quantity_map.upper_end([volume]),
    )
    return quantity_map.html(Template(files.reference), shown)


def write(path: FilePath, files: CalledFigureFiles) -> None:
    """Write the figure; see :func:`html`."""
    Path(path).write_text(html(files), encoding="utf-8")
