"""The figures of cue-elicited craving: scores by arm and session, and what the mixed model of them assumes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.special import ndtri, stdtrit

from pharmasl.errors import FilePath
from pharmasl.figures import style
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
    drawn = style.figure(10.5, 4.3)
    panels = drawn.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1.1]})
    order = [arms.control, arms.treatment]
    everything = list(known.values.values())
    margin = 0.08 * (np.ptp(everything) or 1.0)
    for axes, arm in zip(panels, order):
        _arm_panel(axes, known, arm, palette[arm], labels)
        axes.set_ylim(min(everything) - margin, max(everything) + margin)
    panels[0].set_ylabel(LABEL)
    _change_panel(panels[2], known, order, palette, labels)
    drawn.text(0.01, 0.012, "Large points and bars: mean and its 95 % confidence interval.", color=style.MUTED)
    drawn.tight_layout(rect=(0, 0.04, 1, 1), w_pad=2)
    style.save(drawn, path)


def _arm_panel(axes: Axes, known: Scores, arm: str, colour: str, labels: Labels) -> None:
    """One arm's participants over the sessions, and the mean of each session."""
    members = known.members(arm)
    for who in members:
        points = [
            (k, known.values[who, label]) for k, label in enumerate(known.sessions) if (who, label) in known.values
        ]
        if points:
            axes.plot(*zip(*points), color=colour, alpha=0.3, linewidth=1, marker="o", markersize=3)
    for k, label in enumerate(known.sessions):
        _mean(axes, k, known.at(label, members), colour, capsize=5)
    counts = [len(known.at(label, members)) for label in known.sessions]
    axes.set_xticks([0, 1], [f"{labels.session(label)}\nn = {count}" for label, count in zip(known.sessions, counts)])
    axes.set_xlim(-0.35, 1.35)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_title(labels.arm(arm), color=colour)
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)


def _change_panel(axes: Axes, known: Scores, order: Sequence[str], palette: Mapping[str, str], labels: Labels) -> None:
    """The changes of each arm side by side, and their means."""
    for k, arm in enumerate(order):
        changes = known.changes(known.members(arm))
        across = k + (np.linspace(-0.22, 0.22, len(changes)) if len(changes) > 1 else np.zeros(len(changes)))
        axes.scatter(across, changes, s=16, color=palette[arm], alpha=0.55, linewidths=0)
        _mean(axes, k, changes, palette[arm], capsize=6)
    axes.set_xticks([0, 1], [labels.arm(arm) for arm in order])
    axes.set_xlim(-0.5, 1.5)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_title("Change, " + " \u2212 ".join(labels.session(session) for session in reversed(known.sessions)))
    axes.set_ylabel("Change in cue-elicited craving (points)")
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)


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
    drawn = style.figure(11, 6.2)
    panels = drawn.subplots(2, 3).ravel()
    _residual_panel(panels[0], rows, palette, labels)
    _quantile_panel(panels[1], _column(rows, "residual_standardised"), "Standardised residuals")
    _quantile_panel(panels[2], _column(people, "random_intercept"), "Participants' intercepts (points)")
    shown = [row for row in people if row["cooks_distance"] is not None and row["estimate_without"] is not None]
    distances = _column(shown, "cooks_distance")
    panels[3].vlines(np.arange(len(distances)), 0, distances, color=style.RULE, linewidth=1, zorder=1)
    _influence_panel(panels[3], shown, distances, palette, "Cook's distance")
    without = _column(shown, "estimate_without")
    _influence_panel(panels[4], shown, without, palette, "Interaction without the participant (points)")
    _box_panel(panels[5], rows, labels)
    for axes in panels:
        axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    drawn.tight_layout()
    style.save(drawn, path)


def _column(rows: Iterable[Row], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def _residual_panel(axes: Axes, rows: Sequence[Row], palette: Mapping[str, str], labels: Labels) -> None:
    """Residuals against fitted values, by arm."""
    for arm, colour in palette.items():
        own = [row for row in rows if row["arm"] == arm]
        axes.scatter(
            _column(own, "fitted"),
            _column(own, "residual"),
            s=18,
            linewidths=0,
            color=colour,
            alpha=0.7,
            label=labels.arm(arm),
        )
    axes.axhline(0, color=style.MUTED, linewidth=0.8)
    axes.set_title("Residuals")
    axes.set_xlabel("Fitted (points)")
    axes.legend(loc="best")


def _quantile_panel(axes: Axes, values: np.ndarray, title: str) -> None:
    """Ordered values against normal quantiles, with the line of their mean and standard deviation."""
    n = len(values)
    expected = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    axes.scatter(expected, np.sort(values), s=16, color=style.INK, alpha=0.7, linewidths=0)
    if n > 1:
        ends = np.array([expected[0], expected[-1]])
        axes.plot(ends, values.mean() + values.std(ddof=1) * ends, color=style.MUTED, linewidth=1)
    axes.set_title(title)
    axes.set_xlabel("Normal quantile")


def _influence_panel(
    axes: Axes, people: Sequence[Row], values: np.ndarray, palette: Mapping[str, str], title: str
) -> None:
    """A point per participant; the two that lie furthest from the median are named."""
    axes.scatter(np.arange(len(values)), values, s=18, color=[palette[row["arm"]] for row in people], linewidths=0)
    for k in np.argsort(-np.abs(values - (np.median(values) if len(values) else 0)))[:2]:
        axes.annotate(
            people[k]["participant_id"],
            (k, values[k]),
            fontsize=7.5,
            color=style.MUTED,
            xytext=(3, 3),
            textcoords="offset points",
        )
    axes.set_title(title)
    axes.set_xlabel("Participant, in the table's order")


def _box_panel(axes: Axes, rows: Sequence[Row], labels: Labels) -> None:
    """The residuals of each arm and session as a box."""
    residuals: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        residuals.setdefault((row["arm"], row["session_id"]), []).append(float(row["residual"]))
    line = {"color": style.INK, "linewidth": 1}
    axes.boxplot(
        list(residuals.values()),
        widths=0.5,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": style.INK, "linewidth": 2.2},
        flierprops={"marker": "o", "markersize": 4, "markeredgecolor": style.INK, "markerfacecolor": "none"},
    )
    axes.set_xticks(
        range(1, len(residuals) + 1), [f"{labels.arm(arm)}\n{labels.session(session)}" for arm, session in residuals]
    )
    axes.set_title("Residuals by arm and session")
