"""The figure of a clinical endpoint: every participant's scores, the adjusted means, and the estimate as delta grows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.numerals import number
from pharmasl.figures.panel import Panel
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms

# Distance of the arms' means from a session's place, and the height of the axes (inches).
_APART, _HEIGHT = 0.07, 2.4


@dataclass(frozen=True, kw_only=True)
class EndpointFiles:
    """The tables of an endpoint: its scores, its models and its sensitivity."""

    scores: FilePath
    model: FilePath
    sensitivity: FilePath


@style.styled
def draw(path: FilePath, files: EndpointFiles, *, arms: Arms, label: str, labels: Labels = NAMES) -> None:
    """Draw an endpoint in the first of its populations.

    Parameters
    ----------
    path : path-like
        SVG to write.
    files : EndpointFiles
    arms : Arms
    label : str
        Of the score, with its unit.
    labels : Labels
    """
    model = tables.read_table(files.model)
    population = model[0]["population"]
    own = [row for row in model if row["population"] == population]
    curve = [
        row
        for row in tables.read_table(files.sensitivity)
        if row["population"] == population and row["delta"] is not None and row["estimate"] is not None
    ]
    curve = sorted(curve, key=lambda row: number(row["delta"]))
    with_curve = len({row["delta"] for row in curve}) > 1
    scores = [row for row in tables.read_table(files.scores) if row[f"population_{population}"] == "true"]
    present = {arm: own for arm, own in style.arm_colours(arms).items() if any(row["arm"] == arm for row in scores)}
    panels = [_scores(scores, own, present, label, labels)]
    if with_curve:
        panels.append(_tipping(curve))
    panel.save(panels, path, style.arm_notes(present, labels))


def _scores(
    scores: Sequence[Row], model: Sequence[Row], present: Mapping[str, str], label: str, labels: Labels
) -> Panel:
    """Lines of the participants, and means with their intervals."""
    sessions = list(dict.fromkeys(row["session_id"] for row in scores))
    drawn = Panel(
        title="Participants, and adjusted means with intervals",
        above=label,
        names=[labels.session(session) for session in sessions],
        height=_HEIGHT,
    )
    axes, apart = drawn.axes, min(2 * _APART, 0.5 / len(present))
    for place, (arm, colour) in enumerate(present.items()):
        shift = (place - (len(present) - 1) / 2) * apart
        for own in _by_participant(scores, arm, sessions).values():
            axes.plot(np.arange(len(sessions)) + shift, own, color=colour, alpha=0.28, linewidth=0.8, marker=".", ms=3)
        means = [row for row in model if row["analysis"] == "adjusted_mean" and row["arm"] == arm and row["session_id"]]
        places = [sessions.index(row["session_id"]) + shift for row in means if row["session_id"] in sessions]
        values, low, high = (
            np.array([number(row[name]) for row in means]) for name in ("estimate", "ci_low", "ci_high")
        )
        if places:
            axes.errorbar(
                places,
                values,
                np.array([values - low, high - values]),
                color=colour,
                marker="o",
                ms=7,
                linewidth=2.2,
                capsize=4,
            )
    axes.set_xlim(-0.5, len(sessions) - 0.5)
    return drawn


def _by_participant(scores: Sequence[Row], arm: str, sessions: Sequence[str]) -> Mapping[str, list[float]]:
    lines: dict[str, list[float]] = {}
    for row in scores:
        if row["arm"] == arm:
            own = lines.setdefault(row["participant_id"], [math.nan] * len(sessions))
            own[sessions.index(row["session_id"])] = number(row["score"])
    return lines


def _tipping(curve: Sequence[Row]) -> Panel:
    """The estimate and its interval by delta; where the conclusion changes is marked."""
    delta, estimate, low, high = (
        np.array([number(row[name]) for row in curve]) for name in ("delta", "estimate", "ci_low", "ci_high")
    )
    drawn = Panel(
        title="Tipping point",
        above="Tested effect",
        below="Delta added to the treatment arm's imputed scores",
        height=_HEIGHT,
    )
    axes = drawn.axes
    axes.fill_between(delta, low, high, color=style.SKY, alpha=0.35, linewidth=0)
    axes.plot(delta, estimate, color=style.INK, linewidth=1.6)
    axes.axhline(0, color=style.MUTED, linewidth=0.8)
    for row in curve:
        if row["analysis"] == "tipping_point":
            place = number(row["delta"])
            axes.axvline(place, color=style.VERMILLION, linestyle="--", linewidth=1.2)
            axes.annotate(
                f"{place:.3g}",
                (place, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -10),
                textcoords="offset points",
                color=style.VERMILLION,
                fontsize=8.5,
            )
    return drawn
