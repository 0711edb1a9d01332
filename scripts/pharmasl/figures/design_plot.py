"""The design matrix of an analysis as a picture: a row per participant, a column per term, the tested one in bold."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pharmasl.errors import FilePath
from pharmasl.figures import style
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.group import design_names
from pharmasl.study.labels import NAMES, Labels

HEIGHT, WIDTH = 0.14, 0.8  # inches per row, and per term


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
    # Each column in its own range, since terms differ in unit.
    spread = np.abs(matrix).max(axis=0)
    drawn = style.figure(2.2 + WIDTH * len(terms), 1.7 + HEIGHT * len(rows))
    axes = drawn.subplots()
    shades = axes.imshow(
        matrix / np.where(spread > 0, spread, 1), aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
    )
    model = block["model"]
    _hatch_maps(axes, terms, set(model.get("maps", [])), len(rows))
    tested = model["tested_columns"]
    axes.set_xticks(range(len(terms)), terms, rotation=30, ha="right")
    for label, term in zip(axes.get_xticklabels(), terms):
        label.set_fontweight("bold" if term in tested else "normal")
    sessions = [labels.session(name) for name in (model.get("tested_model") or {}).get("session_labels") or []]
    axes.set_yticks(range(len(rows)), [_row_name(row, sessions) for row in rows], fontsize=6.5)
    axes.tick_params(length=0)
    blocks = f", exchanged within {model['blocks']} sites" if model.get("blocks") else ""
    words = block["effect"].get("test") or model["tested_term"]
    tested_words, width = f"Tested: {labels.term(words)}{blocks}", 28 + 9 * len(terms)
    axes.set_title("\n".join([*textwrap.wrap(title, width), *textwrap.wrap(tested_words, width)]))
    scale = drawn.colorbar(shades, ax=axes, shrink=min(1.0, 12 / len(rows)), pad=0.02, ticks=[-1, 0, 1])
    scale.ax.set_yticklabels(["\u2212largest", "0", "largest"], fontsize=7)
    scale.outline.set_visible(False)
    drawn.tight_layout()
    style.save(drawn, path)


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
