"""The design matrix of an analysis as a picture: a row per participant, a column per term, the tested one in bold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pharmasl.errors import FilePath
from pharmasl.figures import measured, style
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.group import design_names
from pharmasl.study.labels import NAMES, Labels

_TITLE, _TEXT = 9.5, 8.5  # points
# Inches: a row, a column at least, the edge, and names beside rows and below columns at most.
_ROW, _LEAST, _EDGE, _MOST_BESIDE, _MOST_BELOW = 0.165, 0.16, 0.05, 1.25, 1.6
# More rows than these have no names, so that a study of hundreds stays on a screen.
_MOST_NAMED = 60


@style.styled
def draw(path: FilePath, name: str, design: FilePath, inference: FilePath, labels: Labels = NAMES) -> None:
    """Draw the design.

    Parameters
    ----------
    path : path-like
        SVG to write.
    name : str
        Of the analysis.
    design : path-like
        ``_design.tsv``.
    inference : path-like
        ``_inference.json``.
    labels : Labels
    """
    rows, block, title = tables.read_table(design), tables.read_json(inference), f"Design of {labels.analysis(name)}"
    if not rows:
        style.placeholder(path, title, block["status"])
        return
    terms = [term for term in rows[0] if term not in ("participant_id", "session_id")]
    matrix = np.array([[float(row[term]) for term in terms] for row in rows])
    model = block["model"]
    blocks = f", exchanged within {model['blocks']} sites" if model.get("blocks") else ""
    words = block["effect"].get("test") or model["tested_term"]
    sessions = [labels.session(name) for name in (model.get("tested_model") or {}).get("session_labels") or []]
    sheet = _Sheet(
        title=title,
        tested=f"Tested: {labels.term(words)}{blocks}",
        rows=[_row_name(row, sessions) for row in rows],
        terms=terms,
        bold=set(model["tested_columns"]),
    )
    axes = sheet.axes()
    # Each column in its own range, since terms differ in unit.
    spread = np.abs(matrix).max(axis=0)
    shades = axes.imshow(
        matrix / np.where(spread > 0, spread, 1), aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
    )
    _hatch_maps(axes, terms, set(model.get("maps", [])), len(rows))
    sheet.write(axes)
    scale = sheet.figure.colorbar(shades, cax=sheet.scale(), orientation="horizontal", ticks=[-1, 0, 1])
    scale.ax.set_xticklabels(["\u2212largest", "0", "largest"], fontsize=_TEXT)
    scale.ax.tick_params(length=0)
    scale.outline.set_visible(False)
    style.save(sheet.figure, path)


@dataclass
class _Sheet:
    """A picture as wide as a phone has room for, and what stands around the matrix: inches from its top.

    Attributes
    ----------
    title, tested : str
    rows, terms : sequence of str
        Names of participants and of columns; names of columns that are too long have a number and stand below.
    bold : set of str
        The tested terms.
    """

    title: str
    tested: str
    rows: Sequence[str]
    terms: Sequence[str]
    bold: set[str]

    def __post_init__(self) -> None:
        many = len(self.rows) > _MOST_NAMED
        self.names = [] if many else [measured.shortened(name, _MOST_BESIDE, _TEXT) for name in self.rows]
        self.left = max((measured.width(name, _TEXT) for name in self.names), default=0.0) + 0.12
        self.width = max(style.NARROW, self.left + _EDGE + _LEAST * len(self.terms))
        room = self.width - 2 * _EDGE
        self.heads = measured.wrapped(self.title, room, _TITLE, bold=True)
        self.lines = measured.wrapped(self.tested, room, _TEXT)
        if many:
            self.lines.append(f"{len(self.rows)} rows, in the table's order")
        longest = max(measured.width(term, _TEXT, bold=True) for term in self.terms)
        self.key = [] if longest <= _MOST_BELOW else [f"{k}  {term}" for k, term in enumerate(self.terms, 1)]
        self.below = longest + 0.1 if not self.key else measured.height(1, _TEXT) + 0.1
        self.top = _EDGE + measured.height(len(self.heads), _TITLE) + measured.height(len(self.lines), _TEXT) + 0.08
        self.tall = len(self.rows) * _ROW if not many else max(_MOST_NAMED * _ROW, 0.02 * len(self.rows))
        key = sum(len(lines) for lines in self._key_lines())
        self.height = self.top + self.tall + self.below + measured.height(key, _TEXT) + 0.45
        self.figure = style.figure(self.width, self.height)

    def _key_lines(self) -> list[list[str]]:
        return [measured.wrapped(text, self.width - 2 * _EDGE, _TEXT, bold=True, hanging=0.2) for text in self.key]

    def _text(self, x: float, y: float, text: str, **options: Any) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, text, va="top", **options)

    def axes(self) -> Axes:
        """Of the matrix."""
        place = (self.left / self.width, 1 - (self.top + self.tall) / self.height)
        return self.figure.add_axes((*place, 1 - (self.left + _EDGE) / self.width, self.tall / self.height))

    def scale(self) -> Axes:
        """Of the bar of colours, at the bottom."""
        wide = min(1.6, self.width - self.left - 0.7)
        return self.figure.add_axes(
            ((self.left + 0.3) / self.width, 0.26 / self.height, wide / self.width, 0.1 / self.height)
        )

    def write(self, axes: Axes) -> None:
        """Write the title, and the names of rows and columns."""
        y = _EDGE
        for line in self.heads:
            self._text(_EDGE, y, line, fontsize=_TITLE, fontweight="bold")
            y += measured.height(1, _TITLE)
        for line in self.lines:
            self._text(_EDGE, y, line, fontsize=_TEXT, color=style.MUTED)
            y += measured.height(1, _TEXT)
        axes.set_yticks(range(len(self.names)), self.names, fontsize=_TEXT)
        below = [str(k) for k in range(1, len(self.terms) + 1)] if self.key else self.terms
        axes.set_xticks(range(len(self.terms)), below, fontsize=_TEXT, rotation=0 if self.key else 90)
        for label, term in zip(axes.get_xticklabels(), self.terms):
            label.set_fontweight("bold" if term in self.bold else "normal")
        axes.tick_params(length=0)
        y = self.top + self.tall + self.below
        for term, lines in zip(self.terms, self._key_lines()):
            for k, line in enumerate(lines):
                weight = "bold" if term in self.bold else "normal"
                self._text(_EDGE + 0.2 * (k > 0), y, line, fontsize=_TEXT, fontweight=weight)
                y += measured.height(1, _TEXT)


def _row_name(row: Row, sessions: Sequence[str]) -> str:
    """The participant of a row, with the session where a row is a scan."""
    number = row.get("session_id")
    if number is None:
        return str(row["participant_id"])
    return f"{row['participant_id']} {sessions[int(number)] if int(number) < len(sessions) else number}"


def _hatch_maps(axes: Axes, terms: list[str], maps: set[str], rows: int) -> None:
    """Hatch the columns that a map makes another at each voxel: the table has only what the map is multiplied by."""
    for place, term in enumerate(terms):
        if maps & set(design_names.variables(term)):
            axes.add_patch(
                Rectangle(
                    (place - 0.5, -0.5), 1, rows, facecolor=style.RULE, edgecolor=style.MUTED, hatch="///", linewidth=0
                )
            )
