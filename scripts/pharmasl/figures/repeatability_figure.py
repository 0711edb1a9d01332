"""The figure of a contrast's repeatability: its within-person standard deviation and its intraclass correlation, in slices."""

from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.figures import quantity_map
from pharmasl.figures.brain_slices import Template
from pharmasl.figures.quantity_map import QuantityMap
from pharmasl.files import tables
from pharmasl.space import images

_NOTE = (
    "A value beyond the scale has the colour of its end: an ICC below 0 that of 0. Without colour: too few people have a value. "
    "Left (L) is the participant's left."
)


@dataclass(frozen=True, kw_only=True)
class RepeatabilityFigureFiles:
    """Template, maps on its grid, and the table that sums them up."""

    reference: FilePath
    within_sd: FilePath
    icc: FilePath
    table: FilePath


def html(files: RepeatabilityFigureFiles) -> str:
    """The figure as a piece of a page; empty where there are no values."""
    template = Template(files.reference)
    spread, correlation = images.load(files.within_sd)[0], images.load(files.icc)[0]
    unit = next(row["unit"] for row in tables.read_table(files.table) if row["map"] == "within_sd")
    shown = (
        QuantityMap(
            volume=spread,
            title=f"Within-person standard deviation, {unit}",
            low=0.0,
            high=quantity_map.upper_end([spread]),
        ),
        QuantityMap(volume=correlation, title="ICC(3,1)", low=0.0, high=1.0),
    )
    drawn = "".join(quantity_map.html(template, one) for one in shown)
    return drawn + f'<p class="note">{_NOTE}</p>\n' if drawn else ""


def write(path: FilePath, files: RepeatabilityFigureFiles) -> None:
    """Write the figure; see :func:`html`."""
    Path(path).write_text(html(files), encoding="utf-8")
