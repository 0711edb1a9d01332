"""The figures of cue-elicited craving: scores by arm and session, and what the mixed model of them assumes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.special import ndtri, stdtrit

from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.panel import Panel
from pharmasl.figures.parts import Note
from pharmasl.files import bids, tables
from pharmasl.files.tables import Row
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms, SessionPair

LABEL = "Cue-elicited craving (points, after \u2212 before)"
# Values by participant and session.
Values = Mapping[tuple[str, str], float]


class Mean(NamedTuple):
    """A mean and half the width of its 95 % confidence interval; NaN where there is none."""

    value: float
    half: float


def interval(values: np.ndarray) -> Mean:
    """The mean with its 95 % confidence interval by Student's t.

    Parameters
    ----------
    values : ndarray of shape (n,)

    Returns
    -------
    Mean
        NaN without values; ``half`` is NaN for a single one.
    """
    n = len(values)
    if not n:
        return Mean(math.nan, math.nan)
    half = stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return Mean(float(values.mean()), float(half))


def by_participant(rows: Iterable[Row], column: str) -> dict[tuple[str, str], float]:
    """Values of a column by participant and session (without ``ses-``), missing ones left out."""
    return {
        (row["participant_id"], bids.bare_label(row["session_id"], "ses")): float(row[column])
        for row in rows
        if row[column] is not None
    }


def session_labels(sessions: SessionPair) -> tuple[str, str]:
    """Baseline and follow-up, without ``ses-``."""
    return bids.bare_label(sessions.baseline, "ses"), bids.bare_label(sessions.later, "ses")


@dataclass(frozen=True)
class Scores:
    """Cue-elicited craving of a trial.

    Attributes
    ----------
    values : Mapping
        By participant and session.
    arms : Mapping
        Participant to arm.
    sessions : tuple of str
        Baseline and follow-up.
    """

    values: Values
    arms: Mapping[str, str]
    sessions: tuple[str, str]

    @classmethod
    def read(cls, table: FilePath, sessions: SessionPair) -> "Scores":
        """Read ``craving_scores.tsv``."""
        rows = tables.read_table(table)
        arms = {row["participant_id"]: row["arm"] for row in rows}
        return cls(by_participant(rows, "cue_elicited"), arms, session_labels(sessions))

    def members(self, arm: str) -> list[str]:
        """The participants of an arm, with or without scores."""
        return [participant for participant, own in self.arms.items() if own == arm]

    def at(self, session: str, members: Sequence[str]) -> np.ndarray:
        """The scores of participants at a session, missing ones left out."""
        return np.array([self.values[who, session] for who in members if (who, session) in self.values])

    def changes(self, members: Sequence[str]) -> np.ndarray:
        """Follow-up minus baseline of participants with both scores."""
        first, second = self.sessions
        complete = [who for who in members if (who, first) in self.values and (who, second) in self.values]
        return np.array([self.values[who, second] - self.values[who, first] for who in complete])


@style.styled
def scores(path: FilePath, table: FilePath, arms: Arms, sessions: SessionPair, labels: Labels = NAMES) -> None:
    """Draw cue-elicited craving: each arm's participants over the sessions, and the changes.

    Parameters
    ----------
    path : path-like
        SVG to write.
    table : path-like
        ``craving_scores.tsv``.
    arms : Arms
    sessions : SessionPair
    labels : Labels
    """
    known = Scores.read(table, sessions)
    if not known.values:
        style.placeholder(path, "Cue-elicited craving", "No participant has a rating before and after the cues.")
        return
    palette = style.arm_colours(arms)
    order = [arms.control, arms.treatment]
    panels = [_arm_panel(known, arm, palette[arm], labels) for arm in order]
    ends = [one.axes.get_ylim() for one in panels]
    for one in panels:
        one.axes.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    panels.append(_change_panel(known, order, palette, labels))
    panel.save(panels, path, [Note(text="Large points and bars: mean and its 95 % confidence interval.")])


def _with_zero(axes: Axes) -> None:
    """A dashed line at zero, and faint ones at the ticks."""
    axes.axhline(0, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)


def _arm_panel(known: Scores, arm: str, colour: str, labels: Labels) -> Panel:
    """One arm's participants over the sessions, and the mean of each session."""
    members = known.members(arm)
    counts = [len(known.at(label, members)) for label in known.sessions]
    names = [f"{labels.session(label)}\nn = {count}" for label, count in zip(known.sessions, counts)]
    drawn = Panel(title=labels.arm(arm), above=LABEL, names=names, colour=colour, height=2.2)
    axes = drawn.axes
    for who in members:
        points = [
            (k, known.values[who, label]) for k, label in enumerate(known.sessions) if (who, label) in known.values
        ]
        if points:
            axes.plot(*zip(*points), color=colour, alpha=0.3, linewidth=1, marker="o", markersize=3)
    for k, label in enumerate(known.sessions):
        _mean(axes, k, known.at(label, members), colour, capsize=5)
    axes.set_xlim(-0.5, 1.5)
    _with_zero(axes)
    return drawn


def _change_panel(known: Scores, order: Sequence[str], palette: Mapping[str, str], labels: Labels) -> Panel:
    """The changes of each arm side by side, and their means."""
    title = "Change, " + " \u2212 ".join(labels.session(session) for session in reversed(known.sessions))
    names = [labels.arm(arm) for arm in order]
    drawn = Panel(title=title, above="Change in cue-elicited craving (points)", names=names, height=2.2)
    for k, arm in enumerate(order):
        changes = known.changes(known.members(arm))
        across = k + (np.linspace(-0.22, 0.22, len(changes)) if len(changes) > 1 else np.zeros(len(changes)))
        drawn.axes.scatter(across, changes, s=16, color=palette[arm], alpha=0.55, linewidths=0)
        _mean(drawn.axes, k, changes, palette[arm], capsize=6)
    drawn.axes.set_xlim(-0.5, 1.5)
    _with_zero(drawn.axes)
    return drawn


def _mean(axes: Axes, x: float, values: np.ndarray, colour: str, capsize: float) -> None:
    """A large point at the mean with a bar over its confidence interval."""
    mean = interval(values)
    axes.errorbar(x, mean.value, mean.half, color=style.INK, capsize=capsize, linewidth=1.8, zorder=4)
    axes.plot(x, mean.value, "o", markersize=8, color=colour, markeredgecolor=style.INK, zorder=5)


@style.styled
def diagnostics(path: FilePath, table: FilePath, arms: Arms, labels: Labels = NAMES) -> None:
    """Draw what the mixed model of craving assumes, and how much its result rests on single participants.

    Parameters
    ----------
    path : path-like
        SVG to write.
    table : path-like
        ``craving_influence.tsv``.
    arms : Arms
    labels : Labels
    """
    rows = [row for row in tables.read_table(table) if row["residual"] is not None]
    if not rows:
        style.placeholder(path, "Residuals and influence", "No model was fitted to cue-elicited craving.")
        return
    palette = style.arm_colours(arms)
    people = list({row["participant_id"]: row for row in rows}.values())
    shown = [row for row in people if row["cooks_distance"] is not None and row["estimate_without"] is not None]
    panels = [
        _residual_panel(rows, palette),
        _quantile_panel(_column(rows, "residual_standardised"), "Standardised residuals"),
        _quantile_panel(_column(people, "random_intercept"), "Participants' intercepts (points)"),
        _distance_panel(shown, palette),
        _influence_panel(shown, "estimate_without", palette, "Interaction without the participant (points)"),
        _box_panel(rows, labels),
    ]
    for one in panels:
        one.axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    present = {row["arm"] for row in rows}
    panel.save(panels, path, style.arm_notes({arm: own for arm, own in palette.items() if arm in present}, labels))


def _column(rows: Iterable[Row], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def _residual_panel(rows: Sequence[Row], palette: Mapping[str, str]) -> Panel:
    """Residuals against fitted values, by arm."""
    drawn = Panel(title="Residuals", below="Fitted (points)")
    for arm, colour in palette.items():
        own = [row for row in rows if row["arm"] == arm]
        x, y = _column(own, "fitted"), _column(own, "residual")
        drawn.axes.scatter(x, y, s=18, linewidths=0, color=colour, alpha=0.7)
    drawn.axes.axhline(0, color=style.MUTED, linewidth=0.8)
    return drawn


def _quantile_panel(values: np.ndarray, title: str) -> Panel:
    """Ordered values against normal quantiles, with the line of their mean and standard deviation."""
    drawn, n = Panel(title=title, below="Normal quantile"), len(values)
    expected = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    drawn.axes.scatter(expected, np.sort(values), s=16, color=style.INK, alpha=0.7, linewidths=0)
    if n > 1:
        ends = np.array([expected[0], expected[-1]])
        drawn.axes.plot(ends, values.mean() + values.std(ddof=1) * ends, color=style.MUTED, linewidth=1)
    return drawn


def _distance_panel(people: Sequence[Row], palette: Mapping[str, str]) -> Panel:
    """Cook's distance of each participant, with a line from zero."""
    drawn = _influence_panel(people, "cooks_distance", palette, "Cook's distance")
    values = _column(people, "cooks_distance")
    drawn.axes.vlines(np.arange(len(values)), 0, values, color=style.RULE, linewidth=1, zorder=0.9)
    return drawn


def _influence_panel(people: Sequence[Row], column: str, palette: Mapping[str, str], title: str) -> Panel:
    """A point per participant; the two that lie furthest from the median are named."""
    drawn, values = Panel(title=title, below="Participant, in the table's order"), _column(people, column)
    drawn.axes.scatter(
        np.arange(len(values)), values, s=18, color=[palette[row["arm"]] for row in people], linewidths=0
    )
    furthest = np.argsort(-np.abs(values - (np.median(values) if len(values) else 0)))[:2]
    for k, above in zip(furthest, (True, False)):
        # Towards the middle, where there is room.
        right = k > len(values) / 2
        drawn.axes.annotate(
            people[k]["participant_id"],
            (k, values[k]),
            fontsize=panel.TEXT,
            color=style.MUTED,
            xytext=(-4 if right else 4, 3 if above else -10),
            ha="right" if right else "left",
            textcoords="offset points",
        )
    drawn.axes.margins(y=0.15)
    return drawn


def _box_panel(rows: Sequence[Row], labels: Labels) -> Panel:
    """The residuals of each arm and session as a box."""
    residuals: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        residuals.setdefault((row["arm"], row["session_id"]), []).append(float(row["residual"]))
    names = [f"{labels.arm(arm)}\n{labels.session(session)}" for arm, session in residuals]
    drawn = Panel(title="Residuals by arm and session", names=names)
    line = {"color": style.INK, "linewidth": 1}
    drawn.axes.boxplot(
        list(residuals.values()),
        positions=range(len(residuals)),
        widths=0.5,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": style.INK, "linewidth": 2.2},
        flierprops={"marker": "o", "markersize": 4, "markeredgecolor": style.INK, "markerfacecolor": "none"},
    )
    drawn.axes.set_xlim(-0.5, len(residuals) - 0.5)
    return drawn
