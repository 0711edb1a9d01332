"""The boxes of the diagram of participants' flow: what each says, in lines that fit into it.

A box holds those kept; those lost have a box of their own, with the reasons. The boxes of the analyses name their losses
themselves: each analysis counts from all randomised.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pharmasl.conduct import flow_stages
from pharmasl.conduct.flow import FlowRow
from pharmasl.figures import measured
from pharmasl.study.labels import spaced

SIZE, SMALL = 9, 8.5  # points
PAD = 0.09  # inches between a box's edge and its text
# A box lists at most so many reasons; if there are more, their causes.
MOST_REASONS = 4
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
# A number, and a character as wide as a space that stands in it while lines are broken; no text has it.
_NUMBER, _TOGETHER = re.compile(r"\(n = \d+\)"), "\u2007"
# Further indent (inches) of the parts of a line that is broken, after the first.
_CONTINUED = 0.12


class Line(NamedTuple):
    """A line of a box: its text, whether bold, whether set smaller, how far it stands in (inches)."""

    text: str
    bold: bool = False
    small: bool = False
    indent: float = 0.0

    @property
    def size(self) -> float:
        """Points."""
        return SMALL if self.small else SIZE

    @property
    def weight(self) -> str:
        """Of the font."""
        return "bold" if self.bold else "normal"

    @property
    def height(self) -> float:
        """Inches."""
        return measured.height(1, self.size)


Lines = Sequence[Line]


def width(line: Line) -> float:
    """Inches that a line takes, without its indent."""
    return measured.width(line.text, line.size, bold=line.bold)


def widest(lines: Lines) -> float:
    """Inches that the widest of several lines takes."""
    return max(map(width, lines))


def _together(number: re.Match[str]) -> str:
    return number[0].replace(" ", _TOGETHER)


def wrapped(lines: Lines, room: float) -> list[Line]:
    """Lines that fit into a box of this width (inches), its padding included; what is broken is indented a little more.

    A number, "(n = 4)", stays on one line.
    """
    return [
        line._replace(text=text.replace(_TOGETHER, " "), indent=line.indent + _CONTINUED * (k > 0))
        for line in lines
        for k, text in enumerate(
            measured.wrapped(
                _NUMBER.sub(_together, line.text),
                room - 2 * PAD - line.indent,
                line.size,
                bold=line.bold,
                hanging=_CONTINUED,
            )
        )
    ]


def height(lines: Lines) -> float:
    """Height of a box with these lines, inches; 0 without lines."""
    return sum(line.height for line in lines) + 2 * PAD if lines else 0.0


@dataclass(frozen=True)
class BoxRow:
    """Boxes side by side, one per arm.

    Attributes
    ----------
    lines : Mapping
        Arm to the lines of its box; a box without lines is not drawn.
    """

    lines: Mapping[str, Lines]

    @property
    def height(self) -> float:
        """Height of the tallest, inches."""
        return max(map(height, self.lines.values()))

    @property
    def empty(self) -> bool:
        """Whether no arm has a line."""
        return not any(self.lines.values())


def box_row(lines: Mapping[str, Lines], room: float) -> BoxRow:
    """Boxes of this width (inches) with each arm's lines, wrapped."""
    return BoxRow({arm: wrapped(own, room) for arm, own in lines.items()})


def reason_lines(rows: Sequence[FlowRow], indent: float = 0.0) -> list[Line]:
    """The losses of one stage and arm as lines: each reason, or, if there are many, each cause, with its number."""
    reasons = [(row["reason"], row["n"]) for row in rows]
    if len(rows) > MOST_REASONS:
        by_cause: dict[str, list[FlowRow]] = {}
        for row in rows:
            by_cause.setdefault(str(row["cause"]), []).append(row)
        reasons = [
            (own[0]["reason"] if len(own) == 1 else CAUSES[cause], number(own)) for cause, own in by_cause.items()
        ]
    # No line is broken before the number.
    return [Line(f"{reason}\u00a0({count})", small=True, indent=indent) for reason, count in reasons]


def stage_rows(rows: Iterable[FlowRow], stage: str, **cells: str | None) -> list[FlowRow]:
    """The rows of a stage with these cells; participants not selected are counted at the stage of selection alone."""
    return [
        row
        for row in rows
        if row["stage"] == stage
        and (row["cause"] != "not selected" or stage == "not selected")
        and all(dict(row)[name] == value for name, value in cells.items())
    ]


def number(rows: Iterable[FlowRow]) -> int:
    """How many participants rows count."""
    return sum(row["n"] for row in rows)


def plain(name: str) -> str:
    """The name of an analysis as it stands in a box; that it is one of craving stands on the rail."""
    return spaced(name.removeprefix("craving, "))


def allocation(arm: str | None) -> str:
    """To which arm participants were allocated, in words."""
    return "No arm recorded" if arm is None else f"Allocated to {arm}"


def allocated_lines(rows: Sequence[FlowRow], arm: str) -> list[Line]:
    """Lines of those allocated to an arm."""
    return [Line(f"{allocation(arm)} (n = {number(stage_rows(rows, 'randomised', arm=arm))})", bold=True)]


def selected_lines(rows: Sequence[FlowRow], arm: str) -> list[Line]:
    """Lines of those whom the configuration names."""
    return [Line(f"Selected for this run (n = {number(stage_rows(rows, 'selected', arm=arm))})", bold=True)]


def not_selected_lines(rows: Sequence[FlowRow], arm: str) -> list[Line]:
    """Lines of those whom the configuration does not name; none if it names all."""
    lost = number(stage_rows(rows, "not selected", arm=arm))
    return [Line(f"Not selected (n = {lost})")] if lost else []


def scanned_lines(rows: Sequence[FlowRow], session: str | None, arm: str) -> list[Line]:
    """Lines of those scanned at a session."""
    kept = number(stage_rows(rows, "scanned", session_id=session, of=None, arm=arm))
    return [Line(f"Scanned{_at(session)} (n = {kept})", bold=True)]


def not_scanned_lines(rows: Sequence[FlowRow], session: str | None, arm: str) -> list[Line]:
    """Lines of those not scanned at a session, with the reasons; none if all were."""
    lost = stage_rows(rows, "not scanned", session_id=session, of=None, arm=arm)
    return [Line(f"Not scanned{_at(session)} (n = {number(lost)})"), *reason_lines(lost)] if lost else []


def _at(session: str | None) -> str:
    return "" if session is None else f" at {session}"


def analysis_lines(rows: Sequence[FlowRow], name: str, arm: str) -> list[Line]:
    """Lines of an analysis; where the arm does not take part in it, one that says so."""
    kept, lost = (stage_rows(rows, stage, of=name, arm=arm) for stage in ("analysed", "left out"))
    if not kept and not lost:
        return [Line(f"{plain(name)}: not of this arm", small=True)]
    lines = [Line(f"{plain(name)} (n = {number(kept)})", bold=True)]
    if lost:
        lines += [Line(f"Left out (n = {number(lost)})", small=True, indent=0.1), *reason_lines(lost, indent=0.22)]
    return lines


def rating_lines(rows: Sequence[FlowRow], arm: str) -> list[Line]:
    """Lines of the craving ratings: at each session, and at both."""
    return [
        Line(f"Rated at {row['session_id']} (n = {row['n']})", small=True)
        for row in stage_rows(rows, "rated", of="craving", arm=arm)
    ]


def is_craving(name: str) -> bool:
    """Whether an analysis is one of craving."""
    return name in (flow_stages.CRAVING_MODEL, flow_stages.CRAVING_CHANGE)
