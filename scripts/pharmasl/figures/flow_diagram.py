"""The diagram of participants' flow: a column for each arm, from allocation by the sessions to the analyses.

A box holds those kept; beside the arrow that leads to it hangs the box of those lost, with the reasons. The boxes of the
analyses name their losses themselves: each analysis counts from all randomised.
"""

import bisect
import itertools
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, Rectangle

from pharmasl.conduct import flow, flow_stages
from pharmasl.figures import style

# Inches.
COLUMN, GUTTER, MARGIN, RAIL = 3.3, 0.3, 0.15, 0.32
PAD, GAP, BRANCH = 0.09, 0.24, 0.62
SIZE, SMALL = 9, 8.5
LEADING = 1.32
REASONS = 4
# What several reasons of one cause have in common.
CAUSES = {
    "not selected": "not selected",
    "not scanned": "never scanned",
    "no session": "no scan at a session",
    "no state": "a state not scanned at a session",
    "scan excluded": "scan excluded for its quality",
    "not rated": "not rated",
    "no covariate": "arm or covariate missing",
    "other": "left out for other reasons",
}
# Edge and face of the arms' boxes: treatment vermillion and control blue as in the other figures, then the further arms.
TINTS = (
    (style.VERMILLION, "#fdf1e8"),
    (style.BLUE, "#eaf3f9"),
    (style.GREEN, "#e8f5f0"),
    (style.PURPLE, "#faf0f6"),
)


class Line(NamedTuple):
    """A line of a box: its text, whether bold, whether set smaller, how far it stands in (inches)."""

    text: str
    bold: bool = False
    small: bool = False
    indent: float = 0.0

    @property
    def height(self):
        """Inches."""
        return (SMALL if self.small else SIZE) * LEADING / 72


class Writer:
    """Measures and wraps text in the figures' font."""

    def __init__(self):
        # At the resolution of the file: glyphs are fitted to its pixels.
        canvas = style.figure(1, 1)
        canvas.set_dpi(style.DPI)
        self.renderer = FigureCanvasAgg(canvas).get_renderer()

    def width(self, line):
        """Inches that a line takes, without its indent."""
        weight = "bold" if line.bold else "normal"
        font = FontProperties(family="DejaVu Sans", size=SMALL if line.small else SIZE, weight=weight)
        return self.renderer.get_text_width_height_descent(line.text, font, ismath=False)[0] / style.DPI

    def wrapped(self, line, room):
        """A line as the lines that fit into so many inches; those that follow stand in a little more."""
        found, current = [], line._replace(text="")
        for word in filter(None, line.text.split(" ")):
            while word:
                longer = current._replace(text=f"{current.text} {word}".strip())
                if self.width(longer) <= room - longer.indent:
                    current, word = longer, ""
                elif current.text:
                    found.append(current)
                    current = line._replace(text="", indent=line.indent + 0.12)
                else:  # a word wider than the box is cut
                    fits = bisect.bisect_right(
                        range(1, len(word)),
                        room - current.indent,
                        key=lambda k: self.width(current._replace(text=word[:k])),
                    )
                    fits = max(fits, 1)
                    found.append(current._replace(text=word[:fits]))
                    current, word = line._replace(text="", indent=line.indent + 0.12), word[fits:]
        return [*found, current] if current.text else found

    def box(self, lines, room):
        """All lines wrapped to fit into a box so wide, its padding included."""
        return [part for line in lines for part in self.wrapped(line, room - 2 * PAD)]


def height(lines):
    """Of a box with these lines, inches."""
    return sum(line.height for line in lines) + 2 * PAD if lines else 0.0


def tallest(boxes):
    """Height of the tallest of the arms' boxes in a row."""
    return max(map(height, boxes.values()))


def reasons(rows, indent=0.0):
    """The losses of one stage and arm as lines: every reason, or where they are many, the causes and all their losses."""
    told = [(row["reason"], row["n"]) for row in rows]
    if len(rows) > REASONS:
        causes = {}
        for row in rows:
            causes.setdefault(row["cause"], []).append(row)
        told = [
            (found[0]["reason"] if len(found) == 1 else CAUSES[cause], sum(row["n"] for row in found))
            for cause, found in causes.items()
        ]
    # No line is broken before the number.
    return [Line(f"{reason}\u00a0({number})", small=True, indent=indent) for reason, number in told]


def _of(rows, stage, **where):
    """The rows of a stage; whom the configuration does not name is lost once, at its own stage."""
    return [
        row
        for row in rows
        if row["stage"] == stage
        and (row["cause"] != "not selected" or stage == "not selected")
        and all(row[name] == value for name, value in where.items())
    ]


def _sum(rows):
    return sum(row["n"] for row in rows)


def words(name):
    """The name of an analysis as it stands in a box; that it is craving's stands on the rail."""
    return name.removeprefix("craving, ").replace("_", " ")


def allocation(arm):
    """To which arm, in words."""
    return "No arm recorded" if arm is None else f"Allocated to {arm}"


def selected_boxes(rows, arm):
    """Lines of those whom the configuration names, and of those whom it does not; the second empty if it names all."""
    kept, lost = (_sum(_of(rows, stage, arm=arm)) for stage in ("selected", "not selected"))
    lines = [Line(f"Not selected (n = {lost})")] if lost else []
    return [Line(f"Selected for this run (n = {kept})", bold=True)], lines


def session_boxes(rows, session, arm):
    """Lines of those scanned at a session, and of those not; the second empty if there are none."""
    where = {"session_id": session, "of": None, "arm": arm}
    at = "" if session is None else f" at {session}"
    kept = [Line(f"Scanned{at} (n = {_sum(_of(rows, 'scanned', **where))})", bold=True)]
    lost = _of(rows, "not scanned", **where)
    return kept, [Line(f"Not scanned{at} (n = {_sum(lost)})"), *reasons(lost)] if lost else []


def analysis_lines(rows, name, arm):
    """Lines of an analysis; where it does not concern the arm, one that says so."""
    kept, lost = (_of(rows, stage, of=name, arm=arm) for stage in ("analysed", "left out"))
    if not kept and not lost:
        return [Line(f"{words(name)}: not of this arm", small=True)]
    lines = [Line(f"{words(name)} (n = {_sum(kept)})", bold=True)]
    if lost:
        lines += [Line(f"Left out (n = {_sum(lost)})", small=True, indent=0.1), *reasons(lost, indent=0.22)]
    return lines


def rating_lines(rows, arm):
    """Lines of the craving ratings: at each session, and at both."""
    return [
        Line(f"Rated at {row['session_id']} (n = {row['n']})", small=True)
        for row in _of(rows, "rated", of="craving", arm=arm)
    ]


class _Page:
    """A drawing in inches, from the top left corner."""

    def __init__(self, width, tall):
        self.figure = style.figure(width, tall)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(tall, 0))
        self.axes.axis("off")

    def box(self, left, top, width, lines, *, edge=style.INK, face="white", tall=None, centred=False):
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
                fontsize=SMALL if line.small else SIZE,
                fontweight="bold" if line.bold else "normal",
                color=style.INK,
            )
            y += line.height

    def line(self, *points):
        self.axes.plot(*zip(*points), color=style.MUTED, linewidth=1, solid_capstyle="butt", zorder=0)

    def arrow(self, start, end):
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=9, linewidth=1, color=style.MUTED, shrinkA=0, shrinkB=0
            )
        )

    def rail(self, top, bottom, text):
        """The name of a stage, written upwards at the left."""
        self.axes.add_patch(Rectangle((MARGIN, top), RAIL, bottom - top, facecolor=style.RULE, edgecolor="none"))
        self.axes.text(
            MARGIN + RAIL / 2,
            (top + bottom) / 2,
            text,
            rotation=90,
            ha="center",
            va="center",
            fontsize=SIZE,
            weight="bold",
        )


@style.styled
def draw(path, table, arms):
    """Draw the flow of participants.

    Parameters
    ----------
    path : path-like
        PNG to write.
    table : path-like
        ``flow.tsv``; sessions and analyses are drawn in its order.
    arms : dict
        ``treatment``, ``control``, ``others``: each has a column. Participants of the table without one of them stand
        beside the arrow.
    """
    rows, writer = flow.read_flow(table), Writer()
    randomised = _of(rows, "randomised")
    order = [arms["treatment"], arms["control"], *(arms.get("others") or [])]
    colours = dict(zip(order, itertools.cycle(TINTS)))
    sessions = list(dict.fromkeys(row["session_id"] for row in rows if row["stage"] == "scanned" and row["session_id"]))
    names = list(dict.fromkeys(row["of"] for row in rows if row["stage"] == "analysed"))
    craving = [name for name in names if name in (flow_stages.CRAVING_MODEL, flow_stages.CRAVING_CHANGE)]

    # The arrow runs down the left part of a column, the losses hang at its right.
    axis, side, room = 0.3, BRANCH, COLUMN - BRANCH
    first = MARGIN + RAIL + 0.15
    lefts = [first + k * (COLUMN + GUTTER) for k in range(len(order))]
    width = lefts[-1] + COLUMN + MARGIN
    centre = (first + lefts[-1] + COLUMN) / 2

    def each(lines, within=COLUMN):
        return {arm: writer.box(lines(arm), within) for arm in order}

    top = [Line(f"Randomised (n = {_sum(randomised)})", bold=True)]
    aside = [Line(f"{allocation(row['arm'])} (n = {row['n']})") for row in randomised if row["arm"] not in order]
    aside = writer.box(aside, room)
    allocated = {
        arm: writer.box([Line(f"{allocation(arm)} (n = {_sum(_of(rows, 'randomised', arm=arm))})", bold=True)], COLUMN)
        for arm in order
    }
    visits = [
        (
            each(lambda arm, at=session: session_boxes(rows, at, arm)[0]),
            each(lambda arm, at=session: session_boxes(rows, at, arm)[1], room),
        )
        for session in sessions or [None]
    ]
    selected = bool(_of(rows, "selected"))
    if selected:
        some = each(lambda arm: selected_boxes(rows, arm)[0]), each(lambda arm: selected_boxes(rows, arm)[1], room)
        visits.insert(0, some)
    panels = [
        (
            "Analysed",
            [each(lambda arm, of=name: analysis_lines(rows, of, arm)) for name in names if name not in craving],
        )
    ]
    if craving:
        ratings = each(lambda arm: rating_lines(rows, arm))
        panels.append(
            ("Craving", [ratings, *(each(lambda arm, of=name: analysis_lines(rows, of, arm)) for name in craving)])
        )

    # From top to bottom: where each row of boxes begins, and how tall it is.
    y = MARGIN + height(top)
    fork = y + GAP
    if aside:
        fork = y + 2 * GAP + height(aside)
    places = [(fork + GAP, tallest(allocated))]
    y = sum(places[0])
    branches = []
    for kept, lost in visits:
        branches.append(y + 0.7 * GAP)
        y += 1.7 * GAP + tallest(lost) if any(lost.values()) else 1.5 * GAP
        places.append((y, tallest(kept)))
        y += tallest(kept)
    areas = []
    for name, blocks in panels:
        if blocks:
            y += 1.5 * GAP
            begin = y
            where = []
            for block in blocks:
                where.append((y, tallest(block)))
                y += tallest(block)
            # At least as tall as the word on the rail beside it.
            short = max(0, begin + writer.width(Line(name, bold=True)) + 2 * PAD - y)
            where[-1] = (where[-1][0], where[-1][1] + short)
            y += short
            areas.append((name, blocks, where, begin, y))
    page = _Page(width, y + MARGIN)

    wide = max(writer.width(line) for line in top) + 4 * PAD
    page.box(centre - wide / 2, MARGIN, wide, top, centred=True)
    page.line((centre, MARGIN + height(top)), (centre, fork))
    if aside:
        beside = fork - GAP - height(aside)
        page.arrow((centre, beside + height(aside) / 2), (centre + axis, beside + height(aside) / 2))
        page.box(centre + axis, beside, max(writer.width(line) for line in aside) + 2.5 * PAD, aside, edge=style.MUTED)
    page.line((min(centre, first + axis), fork), (max(centre, lefts[-1] + axis), fork))
    for left, arm in zip(lefts, order):
        edge, face = colours[arm]
        x = left + axis
        page.arrow((x, fork), (x, places[0][0]))
        page.box(left, places[0][0], COLUMN, allocated[arm], tall=places[0][1], edge=edge, face=face)
        for before, (begin, tall), branch, (kept, lost) in zip(places, places[1:], branches, visits):
            page.arrow((x, sum(before)), (x, begin))
            page.box(left, begin, COLUMN, kept[arm], tall=tall, edge=edge, face=face)
            if lost[arm]:
                middle = branch + height(lost[arm]) / 2
                page.arrow((x, middle), (left + side, middle))
                page.box(left + side, branch, room, lost[arm], edge=style.MUTED)
        for k, (_, blocks, where, begin, _) in enumerate(areas):
            if k == 0:
                page.arrow((x, sum(places[-1])), (x, begin))
            for block, (start, tall) in zip(blocks, where):
                page.box(left, start, COLUMN, block[arm], tall=tall, edge=edge)
    needed = writer.width(Line("Scanned", bold=True)) + 2 * PAD
    page.rail(min(branches[int(selected)], sum(places[-1]) - needed), sum(places[-1]), "Scanned")
    for name, _, _, begin, end in areas:
        page.rail(begin, end, name)
    style.save(page.figure, path)
