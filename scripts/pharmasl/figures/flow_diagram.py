"""The diagram of participants' flow: a column for each arm, from allocation by the sessions to the analyses.

Beside the arrow that leads to a box of those kept hangs the box of those lost. On narrow pages the arms stand one below the other.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from pharmasl.conduct import flow
from pharmasl.conduct.flow import FlowRow
from pharmasl.errors import FilePath
from pharmasl.figures import flow_boxes, style
from pharmasl.figures.flow_boxes import PAD, BoxRow, Line, Lines, box_row, height
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms

# Inches.
WIDEST, LEAST, GUTTER, MARGIN, RAIL = 3.3, 1.6, 0.3, 0.15, 0.32
GAP = 0.24
# The columns of all arms together take so much, unless they are too many.
_ACROSS = 9.4
# The arrow runs down the left part of a column; the losses hang at its right, narrower by so much than the column.
AXIS, BRANCH = 0.3, 0.62
FIRST = MARGIN + RAIL + 0.15  # left edge of the first column
# Of the narrow diagram: the line from which the arms part, the rail beside it, and the column.
_TRUNK, _RAIL, _LEFT = 0.1, 0.22, 0.66
# Edge and face of the arms' boxes, in the arms' order.
TINTS = tuple(zip(style.SERIES, style.TINTS, strict=False))
Point = tuple[float, float]


@dataclass(frozen=True)
class Step:
    """One step down the arms' columns: those kept, and those lost on the way."""

    kept: BoxRow
    lost: BoxRow


@dataclass(frozen=True)
class Panel:
    """Boxes of analyses, one below the other, under one name."""

    name: str
    rows: Sequence[BoxRow]


@dataclass(frozen=True)
class Content:
    """What the diagram says, from top to bottom.

    Attributes
    ----------
    randomised : Lines
    other_arms : Lines
        Participants without one of the configuration's arms, who stand beside the arrow; none if there are none.
    allocated : BoxRow
    steps : sequence of Step
        Selection, where it is not of all, then the sessions.
    selected : bool
        Whether the first step is selection.
    panels : sequence of Panel
    """

    randomised: Lines
    other_arms: Lines
    allocated: BoxRow
    steps: Sequence[Step]
    selected: bool
    panels: Sequence[Panel]


def content(rows: Sequence[FlowRow], arms: Sequence[str], column: float) -> Content:
    """The lines of all boxes; sessions and analyses in the order of the table.

    Parameters
    ----------
    rows : sequence of FlowRow
    arms : sequence of str
        Those with a column.
    column : float
        Its width, inches.

    Returns
    -------
    Content
    """
    beside = column - BRANCH
    randomised = flow_boxes.stage_rows(rows, "randomised")
    others = [Line(f"{flow_boxes.allocation(r['arm'])} (n = {r['n']})") for r in randomised if r["arm"] not in arms]
    selected = bool(flow_boxes.stage_rows(rows, "selected"))
    steps = []
    if selected:
        kept = box_row({arm: flow_boxes.selected_lines(rows, arm) for arm in arms}, column)
        steps.append(Step(kept, box_row({arm: flow_boxes.not_selected_lines(rows, arm) for arm in arms}, beside)))
    sessions = dict.fromkeys(row["session_id"] for row in rows if row["stage"] == "scanned" and row["session_id"])
    for session in sessions or [None]:
        kept = box_row({arm: flow_boxes.scanned_lines(rows, session, arm) for arm in arms}, column)
        lost = box_row({arm: flow_boxes.not_scanned_lines(rows, session, arm) for arm in arms}, beside)
        steps.append(Step(kept, lost))

    def analysis_row(name: str) -> BoxRow:
        return box_row({arm: flow_boxes.analysis_lines(rows, name, arm) for arm in arms}, column)

    names = dict.fromkeys(str(row["of"]) for row in rows if row["stage"] == "analysed")
    panels = [Panel("Analysed", [analysis_row(name) for name in names if not flow_boxes.is_craving(name)])]
    if any(map(flow_boxes.is_craving, names)):
        ratings = box_row({arm: flow_boxes.rating_lines(rows, arm) for arm in arms}, column)
        panels.append(Panel("Craving", [ratings, *(analysis_row(n) for n in names if flow_boxes.is_craving(n))]))
    return Content(
        randomised=[Line(f"Randomised (n = {flow_boxes.number(randomised)})", bold=True)],
        other_arms=flow_boxes.wrapped(others, max(beside, LEAST)),
        allocated=box_row({arm: flow_boxes.allocated_lines(rows, arm) for arm in arms}, column),
        steps=steps,
        selected=selected,
        panels=[panel for panel in panels if panel.rows],
    )


class Span(NamedTuple):
    """Where a row of boxes stands: its top and its height, inches from the top of the page."""

    top: float
    height: float

    @property
    def bottom(self) -> float:
        """Inches from the top of the page."""
        return self.top + self.height


@dataclass(frozen=True)
class PanelLayout:
    """A panel with the place of each of its rows."""

    panel: Panel
    spans: Sequence[Span]

    @property
    def top(self) -> float:
        """Inches from the top of the page."""
        return self.spans[0].top

    @property
    def bottom(self) -> float:
        """Inches from the top of the page."""
        return self.spans[-1].bottom


@dataclass(frozen=True)
class Layout:
    """Where everything stands, inches from the top of the page.

    Attributes
    ----------
    allocated : Span
    branches : sequence of float
        Top of the boxes of those lost, for each step.
    kept : sequence of Span
        The boxes of those kept, for each step.
    panels : sequence of PanelLayout
    bottom : float
    """

    allocated: Span
    branches: Sequence[float]
    kept: Sequence[Span]
    panels: Sequence[PanelLayout]
    bottom: float


def fork(diagram: Content) -> float:
    """Where the arms part, inches from the top of the page."""
    y = MARGIN + height(diagram.randomised)
    return y + 2 * GAP + height(diagram.other_arms) if diagram.other_arms else y + GAP


def layout(diagram: Content, top: float) -> Layout:
    """Place the arms' rows of boxes one below the other, from a height downwards (inches)."""
    allocated = Span(top + GAP, diagram.allocated.height)
    y = allocated.bottom
    branches, kept = [], []
    for step in diagram.steps:
        branches.append(y + 0.7 * GAP)
        y += 1.5 * GAP if step.lost.empty else 1.7 * GAP + step.lost.height
        kept.append(Span(y, step.kept.height))
        y = kept[-1].bottom
    panels = []
    for panel in diagram.panels:
        y += 1.5 * GAP
        begin, spans = y, []
        for row in panel.rows:
            spans.append(Span(y, row.height))
            y = spans[-1].bottom
        # At least as tall as the word on the rail beside it.
        missing = max(0, begin + _rail_length(panel.name) - y)
        spans[-1] = Span(spans[-1].top, spans[-1].height + missing)
        y += missing
        panels.append(PanelLayout(panel, spans))
    return Layout(allocated, branches, kept, panels, y + MARGIN)


def _rail_length(name: str) -> float:
    """Inches that a name needs on a rail."""
    return flow_boxes.width(Line(name, bold=True)) + 2 * PAD


class _Page:
    """A drawing in inches, from the top left corner."""

    def __init__(self, width: float, tall: float) -> None:
        self.width = width
        self.figure = style.figure(width, tall)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(tall, 0))
        self.axes.axis("off")

    def box(
        self,
        corner: Point,
        width: float,
        lines: Lines,
        *,
        edge: str = style.INK,
        face: str = "white",
        tall: float | None = None,
        centred: bool = False,
    ) -> None:
        """A box with its text; ``corner`` is its upper left."""
        left, top = corner
        tall = height(lines) if tall is None else tall
        self.axes.add_patch(Rectangle((left, top), width, tall, facecolor=face, edgecolor=edge, linewidth=0.9))
        y = top + PAD
        for line in lines:
            self.axes.text(
                left + width / 2 if centred else left + PAD + line.indent,
                y + line.height / 2,
                line.text,
                ha="center" if centred else "left",
                va="center_baseline",
                fontsize=line.size,
                fontweight=line.weight,
                color=style.INK,
            )
            y += line.height

    def line(self, *points: Point) -> None:
        """A line by way of these points."""
        self.axes.plot(*zip(*points), color=style.MUTED, linewidth=1, solid_capstyle="butt", zorder=0)

    def arrow(self, start: Point, end: Point) -> None:
        """An arrow from one point to another."""
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=9, linewidth=1, color=style.MUTED, shrinkA=0, shrinkB=0
            )
        )

    def rail(self, left: float, top: float, bottom: float, text: str) -> None:
        """The name of a stage, written upwards."""
        self.axes.add_patch(Rectangle((left, top), RAIL, bottom - top, facecolor=style.RULE, edgecolor="none"))
        self.axes.text(
            left + RAIL / 2,
            (top + bottom) / 2,
            text,
            rotation=90,
            ha="center",
            va="center",
            fontsize=flow_boxes.SIZE,
            weight="bold",
        )


@style.styled
def draw(path: FilePath, table: FilePath, arms: Arms, labels: Labels = NAMES) -> None:
    """Draw the flow of participants.

    Parameters
    ----------
    path : path-like
        SVG to write.
    table : path-like
        ``flow.tsv``; sessions and analyses are drawn in its order.
    arms : Arms
        Each has a column. Participants of the table without one of them stand beside the arrow.
    labels : Labels
    """
    names = [labels.arm(name) for name in arms.labels]
    rows = flow.in_words(flow.read_flow(table), labels)
    style.save(_beside(rows, names), path, narrow=_below(rows, names))


def _beside(rows: Sequence[FlowRow], names: Sequence[str]) -> Figure:
    """A column for each arm beside the other."""
    count = len(names)
    column = max(min(WIDEST, (_ACROSS - (count - 1) * GUTTER) / count), LEAST)
    diagram = content(rows, names, column)
    start = fork(diagram)
    places = layout(diagram, start)
    lefts = [FIRST + k * (column + GUTTER) for k in range(count)]
    page = _Page(lefts[-1] + column + MARGIN, places.bottom)
    centre = (FIRST + lefts[-1] + column) / 2
    _draw_head(page, diagram, start, centre)
    page.line((min(centre, FIRST + AXIS), start), (max(centre, lefts[-1] + AXIS), start))
    for left, arm, tint in zip(lefts, names, itertools.cycle(TINTS)):
        page.arrow((left + AXIS, start), (left + AXIS, places.allocated.top))
        _draw_arm(page, diagram, places, left, column, arm, tint)
    _draw_rails(page, diagram, places, MARGIN)
    return page.figure


def _below(rows: Sequence[FlowRow], names: Sequence[str]) -> Figure:
    """The arms one below the other, for narrow pages."""
    column = style.NARROW - _LEFT - _TRUNK
    head = content(rows, names, column)
    start = y = fork(head)
    own = []
    for arm in names:
        diagram = content(rows, [arm], column)
        places = layout(diagram, y)
        own.append((arm, diagram, places))
        y = places.bottom
    page = _Page(style.NARROW, y)
    centre = style.NARROW / 2
    _draw_head(page, head, start, centre)
    ends = [places.allocated.top + places.allocated.height / 2 for _, _, places in own]
    page.line((centre, start), (_TRUNK, start), (_TRUNK, ends[-1]))
    for (arm, diagram, places), end, tint in zip(own, ends, itertools.cycle(TINTS)):
        page.arrow((_TRUNK, end), (_LEFT, end))
        _draw_arm(page, diagram, places, _LEFT, column, arm, tint)
        _draw_rails(page, diagram, places, _RAIL)
    return page.figure


def _draw_head(page: _Page, diagram: Content, start: float, centre: float) -> None:
    """Those randomised, and the line down to where the arms part."""
    wide = flow_boxes.widest(diagram.randomised) + 4 * PAD
    page.box((centre - wide / 2, MARGIN), wide, diagram.randomised, centred=True)
    page.line((centre, MARGIN + height(diagram.randomised)), (centre, start))
    others = diagram.other_arms
    if others:
        wide = flow_boxes.widest(others) + 2.5 * PAD
        # Beside the line, where the page has room for it.
        left = min(centre + AXIS, page.width - wide - 0.05)
        top = start - GAP - height(others)
        middle = top + height(others) / 2
        if left > centre:
            page.arrow((centre, middle), (left, middle))
        page.box((left, top), wide, others, edge=style.MUTED)


def _draw_rails(page: _Page, diagram: Content, places: Layout, left: float) -> None:
    """The names of the stages."""
    last = places.kept[-1].bottom
    page.rail(left, min(places.branches[int(diagram.selected)], last - _rail_length("Scanned")), last, "Scanned")
    for area in places.panels:
        page.rail(left, area.top, area.bottom, area.panel.name)


def _draw_arm(
    page: _Page, diagram: Content, places: Layout, left: float, column: float, arm: str, tint: tuple[str, str]
) -> None:
    """The column of an arm, from allocation to the analyses."""
    x, side = left + AXIS, left + BRANCH
    edge, face = tint
    above = places.allocated
    page.box((left, above.top), column, diagram.allocated.lines[arm], tall=above.height, edge=edge, face=face)
    for step, branch, span in zip(diagram.steps, places.branches, places.kept):
        page.arrow((x, above.bottom), (x, span.top))
        page.box((left, span.top), column, step.kept.lines[arm], tall=span.height, edge=edge, face=face)
        lost = step.lost.lines[arm]
        if lost:
            middle = branch + height(lost) / 2
            page.arrow((x, middle), (side, middle))
            page.box((side, branch), column - BRANCH, lost, edge=style.MUTED)
        above = span
    for k, area in enumerate(places.panels):
        if k == 0:
            page.arrow((x, above.bottom), (x, area.top))
        for row, span in zip(area.panel.rows, area.spans):
            page.box((left, span.top), column, row.lines[arm], tall=span.height, edge=edge)
