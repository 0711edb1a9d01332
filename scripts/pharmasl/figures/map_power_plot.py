"""Power over the whole brain of a planned trial: a panel for each scaling and model, a line for each test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.panel import Panel
from pharmasl.figures.parts import Note
from pharmasl.files import tables
from pharmasl.power.named_tests import PARCEL, PLACE, REGION, SHIFTED, VOXEL
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP
from pharmasl.study.map_assumptions import ABSOLUTE, PROPORTIONAL
from pharmasl.study.planned_maps import ANY

NAMES = {
    REGION: "Region",
    SHIFTED: "Wrong place",
    PARCEL: "Parcels",
    VOXEL: "Voxel",
    "extent": "Extent",
    "mass": "Mass",
    "tfce": "TFCE",
    ANY: "Any",
}
SCALINGS = {ABSOLUTE: "absolute", PROPORTIONAL: "scaled"}
MODELS = {CHANGE: "change", ANCOVA: "adjusted", FOLLOWUP: "follow-up"}
# Of the whole width, by which the points of a test stand apart from those of the next.
_APART = 0.011
_CLOSED = "\u00d7"

Row = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """How a test is drawn; ``mark`` stands for it in the note."""

    colour: str
    marker: str
    mark: str
    dashes: Any = "-"


_LINES = {
    REGION: _Line(colour=style.BLUE, marker="o", mark="\u25cf"),
    SHIFTED: _Line(colour=style.SKY, marker="D", mark="\u25c6", dashes=(0, (4, 1.6))),
    PARCEL: _Line(colour=style.MUTED, marker="s", mark="\u25a0", dashes=(0, (1.2, 1.6))),
    VOXEL: _Line(colour=style.GREEN, marker="^", mark="\u25b2"),
    "extent": _Line(colour=style.ORANGE, marker="v", mark="\u25bc"),
    "mass": _Line(colour=style.PURPLE, marker="P", mark="\u271a"),
    "tfce": _Line(colour=style.VERMILLION, marker="*", mark="\u2605"),
    ANY: _Line(colour=style.INK, marker="h", mark="\u2b22"),
}


@style.styled
def draw(path: FilePath, table: FilePath, goal: float) -> None:
    """Draw the power in the planned region of every outcome.

    Parameters
    ----------
    path : path-like
        SVG to write.
    table : path-like
        Of :mod:`pharmasl.export.map_power_table`.
    goal : float
        Wanted power.
    """
    rows = [row for row in tables.read_table(table) if row["planned_place"] == "yes" and row["where"] == PLACE]
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(str(row[name]) for name in ("outcome", "scaling", "model")), []).append(row)
    panels = [_panel(own, goal) for own in cells.values()]
    notes = [
        Note(mark=line.mark, text=NAMES[name], colour=style.in_page(line.colour))
        for name, line in _LINES.items()
        if any(row["test"] == name for row in rows)
    ]
    if any(row["closed_form"] is not None for row in rows):
        notes.append(Note(mark=_CLOSED, text="Region, closed form", colour=style.in_page(style.INK)))
    words = "Bars: exact 95 % intervals. The line is the wanted power."
    panel.save(panels, path, [*notes, Note(text=words)])


def _panel(rows: Sequence[Row], goal: float) -> Panel:
    """The tests of an outcome, a scaling and a model."""
    first = rows[0]
    is_planned = first["planned_model"] == "yes" and first["scaling"] == ABSOLUTE
    drawn = Panel(
        title=f"{first['outcome']}: {SCALINGS[str(first['scaling'])]}, {MODELS[str(first['model'])]}",
        above=f"Power, {first['place']}{' (planned)' * is_planned}",
        below=f"True difference of the arms, {first['unit']}",
        height=2.3,
    )
    axes = drawn.axes
    widest = max(map(_effect, rows))
    tests = [name for name in _LINES if any(row["test"] == name for row in rows)]
    for number, name in enumerate(tests):
        own, line = sorted((row for row in rows if row["test"] == name), key=_effect), _LINES[name]
        aside = _APART * widest * (number - (len(tests) - 1) / 2)
        x = [_effect(row) + aside for row in own]
        power, low, high = ([float(str(row[column])) for row in own] for column in ("power", "power_low", "power_high"))
        axes.vlines(x, low, high, color=line.colour, linewidth=1.1)
        axes.plot(x, power, color=line.colour, linewidth=1.2, linestyle=line.dashes)
        axes.scatter(x, power, s=22, color=line.colour, marker=line.marker, linewidths=0, zorder=3)
        closed = [(at, row["closed_form"]) for at, row in zip(x, own) if row["closed_form"] is not None]
        if closed:
            axes.scatter(
                [at for at, _ in closed],
                [float(str(value)) for _, value in closed],
                s=30,
                color=style.INK,
                marker="x",
                linewidths=1,
                zorder=4,
            )
    axes.axhline(goal, color=style.RULE, linewidth=0.8, zorder=0.5)
    axes.set_xlim(-0.05 * widest, 1.06 * widest)
    effects = sorted(set(map(_effect, rows)))
    axes.set_xticks(effects, [f"{effect:g}" for effect in effects])
    axes.set_ylim(-0.02, 1.03)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    return drawn


def _effect(row: Row) -> float:
    return float(str(row["effect"]))
