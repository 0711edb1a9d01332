"""The figure of regional perfusion and craving: the change of one against the change of the other, a panel per region."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.special import stdtrit

from pharmasl.endpoints import families
from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.craving_plot import Scores, Values, by_participant
from pharmasl.figures.numerals import number, p_text
from pharmasl.figures.panel import Panel
from pharmasl.figures.parts import Note
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms, DeclaredCorrelation, SessionPair


@dataclass(frozen=True, kw_only=True)
class Relations:
    """What is related to craving: regions, the contrast whose CBF is read in them, and the test that was declared."""

    rois: Sequence[str]
    contrast: str
    test: DeclaredCorrelation


class Fit(NamedTuple):
    """A line at some points, and half the width of the 95 % confidence band of its mean; each of shape (m,)."""

    line: np.ndarray
    half: np.ndarray


def fit(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> Fit | None:
    """A least-squares line and the 95 % confidence band of its mean.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    at : ndarray of shape (m,)

    Returns
    -------
    Fit or None
        None with fewer than three points or no spread in x.
    """
    n = len(x)
    if n < 3 or np.ptp(x) == 0:
        return None
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    residual = y - y.mean() - slope * centred
    variance = float(residual @ residual) / (n - 2)
    half = stdtrit(n - 2, 0.975) * np.sqrt(variance * (1 / n + (at - x.mean()) ** 2 / spread))
    return Fit(y.mean() + slope * (at - x.mean()), half)


class Changes(NamedTuple):
    """Participants with all four values, and the changes of their CBF and of their craving, each of shape (n,)."""

    participants: list[str]
    cbf: np.ndarray
    craving: np.ndarray


def changes(craving: Values, cbf: Values, sessions: tuple[str, str]) -> Changes:
    """The changes from the first to the second session of participants who have both values at both.

    Parameters
    ----------
    craving, cbf : Mapping
        By participant and session.
    sessions : tuple of str

    Returns
    -------
    Changes
    """
    first, second = sessions
    names = list(dict.fromkeys(name for name, _ in cbf))
    complete = [n for n in names if all((n, label) in values for label in sessions for values in (cbf, craving))]

    def change(values: Values) -> np.ndarray:
        return np.array([values[name, second] - values[name, first] for name in complete])

    return Changes(complete, change(cbf), change(craving))


class Verdict(NamedTuple):
    """The declared test of a region in words, and whether the region was chosen by the same data."""

    text: str
    chosen: bool


def verdict(rows: Sequence[Row], roi: str, relations: Relations, arms: Arms, labels: Labels = NAMES) -> Verdict:
    """The declared test of a region.

    Parameters
    ----------
    rows : sequence of Row
        Of ``roi_craving.tsv``.
    roi : str
    relations : Relations
    arms : Arms
    labels : Labels

    Returns
    -------
    Verdict
        Two lines where the region was also read in each participant from the others' cluster; empty without a test.
    """
    text, chosen = "", False
    test = relations.test
    start = "r = {} within arms" if test == families.WITHIN_ARMS else f"{families.words(test, arms, labels)}: {{}}"
    for row in rows:
        if (row["roi"], row["contrast"]) != (roi, relations.contrast) or not families.is_declared(test, row, arms):
            continue
        estimate = _estimate(row, start)
        if row["region_of"] == "others":
            # Stands after the row of the region of all participants.
            return Verdict(f"{text}\nregion without the participant: {estimate}", chosen)
        chosen, text = row["roi_defined_by_same_data"] == "true", estimate
    return Verdict(text, chosen)


def _estimate(row: Row, start: str) -> str:
    """The estimate of a row in words, with its p where it is a test."""
    if row["estimate"] is None:
        return row["note"] or "not available"
    text = start.format(f"{float(row['estimate']):.2f}".replace("-", "\u2212"))
    if row["role"] == families.TESTED:
        corrected = number(row["p_holm"])
        text += f", {p_text(number(row['p']))}"
        text += f" (Holm {corrected:.2g})" if not math.isnan(corrected) else ""
    return text


def _draw_points(axes: Axes, points: Changes, arm_of: np.ndarray, arms: Arms) -> None:
    """The points of each arm with their line."""
    for (name, colour), marker in zip(_colours(arms).items(), ("o", "s")):
        own = arm_of == name
        x, y = points.cbf[own], points.craving[own]
        axes.scatter(x, y, s=24, color=colour, marker=marker, alpha=0.75, linewidths=0)
        if own.sum() > 2:
            at = np.linspace(x.min(), x.max(), 60)
            fitted = fit(x, y, at)
            if fitted is not None:
                axes.plot(at, fitted.line, color=colour, linewidth=1.6)
                low, high = fitted.line - fitted.half, fitted.line + fitted.half
                axes.fill_between(at, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.axhline(0, color=style.RULE, linewidth=0.8, zorder=0)
    axes.axvline(0, color=style.RULE, linewidth=0.8, zorder=0)


def _colours(arms: Arms) -> dict[str, str]:
    return {arms.treatment: style.BLUE, arms.control: style.VERMILLION}


@dataclass(frozen=True, kw_only=True)
class RelationFiles:
    """The tables that the figure shows.

    Attributes
    ----------
    scores : path-like
        ``craving_scores.tsv``.
    values : sequence of path-like
        ``{roi}_values.tsv`` of each region.
    correlations : path-like
        ``roi_craving.tsv``.
    """

    scores: FilePath
    values: Sequence[FilePath]
    correlations: FilePath


@style.styled
def draw(
    path: FilePath,
    files: RelationFiles,
    relations: Relations,
    arms: Arms,
    sessions: SessionPair,
    labels: Labels = NAMES,
) -> None:
    """Draw the change in craving against the change in CBF, a panel per region.

    Parameters
    ----------
    path : path-like
        SVG to write.
    files : RelationFiles
    relations : Relations
    arms : Arms
    sessions : SessionPair
    labels : Labels
    """
    known = Scores.read(files.scores, sessions)
    results = tables.read_table(files.correlations)
    everything = [row for table in files.values for row in tables.read_table(table)]
    panels, marked = [], False
    for roi in relations.rois:
        own = [row for row in everything if (row["roi"], row["contrast"]) == (roi, relations.contrast)]
        points = changes(known.values, by_participant(own, "cbf"), known.sessions)
        own_test = verdict(results, roi, relations, arms, labels)
        marked |= own_test.chosen
        drawn = Panel(
            title=labels.region(roi) + (" \u2020" if own_test.chosen else ""),
            above="\n".join(filter(None, (own_test.text, "\u0394 cue-elicited craving (points)"))),
            below=f"\u0394 CBF, {labels.contrast(relations.contrast)} (mL/100 g/min)",
            height=2.2,
        )
        if points.participants:
            _draw_points(drawn.axes, points, np.array([known.arms.get(name) for name in points.participants]), arms)
        else:
            drawn.empty("no values: the region is empty or not covered")
        panels.append(drawn)
    first, second = map(labels.session, known.sessions)
    notes = style.arm_notes(_colours(arms), labels, ("\u25cf", "\u25a0"))
    text = f"\u0394: {second} \u2212 {first}. Lines: least squares in each arm, band: 95 % confidence of the mean."
    notes.append(Note(text=text))
    if marked:
        notes.append(Note(text="\u2020 A cluster of this trial's own analysis: chosen by the same data."))
    panel.save(panels, path, notes)
