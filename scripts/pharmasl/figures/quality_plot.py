"""The distribution of each quality measure over a study's scans."""

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.panel import Panel
from pharmasl.files.tables import Row
from pharmasl.quality.flags import Band
from pharmasl.quality.measure_columns import MEASURES, METRICS
from pharmasl.study.labels import NAMES, Labels

# Height of a panel in parts of the median at least.
LEAST_SPAN = 0.2


def spread(positions: Sequence[float] | np.ndarray, gap: float) -> np.ndarray:
    """Sorted positions moved apart until neighbours are ``gap`` apart; their mean stays."""
    moved = np.array(positions, dtype=float)
    for k in range(1, len(moved)):
        moved[k] = max(moved[k], moved[k - 1] + gap)
    return moved - (moved.mean() - np.mean(positions)) if len(moved) else moved


@dataclass(frozen=True)
class Groups:
    """The scans by condition and session, each in the order in which it first appears.

    Attributes
    ----------
    labels : list of str
        The session of each group, in words.
    conditions : list of (str, int)
        Conditions in words, with the number of groups of each.
    members : ndarray of shape (S,)
        The group of each scan.
    colours : ndarray of shape (S,)
        The colour of each scan, by its condition.
    """

    labels: list[str]
    conditions: list[tuple[str, int]]
    members: np.ndarray
    colours: np.ndarray


def groups(rows: Sequence[Row], labels: Labels = NAMES) -> Groups:
    """The groups of a study's scans."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    sessions = list(dict.fromkeys(row["session_id"] for row in rows))
    present = {(row["condition"], row["session_id"]) for row in rows}
    keys = [(condition, session) for condition in conditions for session in sessions if (condition, session) in present]
    palette = [style.SERIES[k % len(style.SERIES)] for k in (0, 2, 3, 5, 4)]
    places = collections.Counter(condition for condition, _ in keys)
    return Groups(
        labels=[labels.session(session) if session else "" for _, session in keys],
        conditions=[(labels.condition(condition) if condition else "", count) for condition, count in places.items()],
        members=np.array([keys.index((row["condition"], row["session_id"])) for row in rows]),
        colours=np.array([palette[conditions.index(row["condition"]) % len(palette)] for row in rows]),
    )


def _panel(rows: Sequence[Row], name: str, scans: Groups, band: Band | None) -> Panel:
    """One measure: a point per scan, those flagged ringed and named, those excluded crossed out."""
    entry = METRICS[name]
    unit = "" if entry["Units"] == "1" else f" ({entry['Units']})"
    drawn = Panel(title=entry["LongName"] + unit, names=scans.labels, spans=scans.conditions)
    axes = drawn.axes
    values = np.array([float("nan") if row[name] is None else float(row[name]) for row in rows])
    flagged = np.array([any(flag.split(":")[0] == name for flag in (row["flags"] or "").split(",")) for row in rows])
    known = np.isfinite(values)
    across = _positions(axes, values, scans)
    plain = known & ~flagged
    axes.scatter(
        across[plain], values[plain], s=13, c=scans.colours[plain], alpha=0.75, linewidths=0, zorder=2, clip_on=False
    )
    marked = np.flatnonzero(known & flagged)
    axes.scatter(
        across[marked], values[marked], s=34, facecolors="white", edgecolors=style.VERMILLION, linewidths=1.6, zorder=4
    )
    lost = known & np.array([row.get("usable") == "no" for row in rows])
    axes.scatter(across[lost], values[lost], s=60, c=style.INK, marker="x", linewidths=1.2, zorder=5)
    axes.set_xlim(-0.6, len(scans.labels) - 0.4)
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)
    axes.margins(y=0.12)
    if not known.any():
        drawn.empty("not available")
        return drawn
    _names(axes, rows, marked, across, values, scans)
    _limits(axes, band)
    _honest(axes, values[known], is_share=entry["Units"] == "1" and bool(values[known].max() <= 1))
    return drawn


def _positions(axes: Axes, values: np.ndarray, scans: Groups) -> np.ndarray:
    """Where each scan stands across a panel; draws the median of each group."""
    # Points of a group stand side by side in the order of the table: no random jitter.
    known = np.isfinite(values)
    across = np.zeros(len(values))
    for k in range(len(scans.labels)):
        members = np.flatnonzero(scans.members == k)
        across[members] = k + (np.linspace(-0.28, 0.28, len(members)) if len(members) > 1 else 0)
        if known[members].any():
            middle = np.median(values[members][known[members]])
            axes.plot([k - 0.36, k + 0.36], [middle, middle], color=style.INK, linewidth=1.6, zorder=3)
    return across


def _names(
    axes: Axes, rows: Sequence[Row], marked: np.ndarray, across: np.ndarray, values: np.ndarray, scans: Groups
) -> None:
    """Name the flagged scans beside their points, and widen the axis to hold the names."""
    low, high = axes.get_ylim()
    for k in range(len(scans.labels)):
        members = marked[scans.members[marked] == k]
        members = members[np.argsort(values[members], kind="stable")]
        right = k > len(scans.labels) / 2 - 0.5
        for row, height in zip(members, spread(values[members], 0.075 * (high - low))):
            axes.annotate(
                rows[row]["participant_id"],
                (across[row] + (-0.16 if right else 0.16), height),
                ha="right" if right else "left",
                va="center",
                fontsize=panel.TEXT,
                color=style.VERMILLION,
                zorder=5,
            )
            low, high = min(low, height - 0.04 * (high - low)), max(high, height + 0.04 * (high - low))
    axes.set_ylim(low, high)


def _limits(axes: Axes, band: Band | None) -> None:
    """Draw the limits of a band that the data come near; a far one would squeeze them."""
    low, high = axes.get_ylim()
    near = [limit for limit in band or () if limit is not None and low - (high - low) < limit < high + (high - low)]
    for limit in near:
        axes.axhline(limit, color=style.VERMILLION, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        low, high = min(low, limit - 0.04 * (high - low)), max(high, limit + 0.04 * (high - low))
    axes.set_ylim(low, high)


def _honest(axes: Axes, values: np.ndarray, *, is_share: bool) -> None:
    """No axis below 0 for what cannot be, none above 1 for a share, and none that makes much of a hundredth of the values."""
    low, high = axes.get_ylim()
    least = LEAST_SPAN * float(np.median(np.abs(values))) or 0.05
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    if values.min() >= 0:
        low, high = max(low, 0.0), high + max(-low, 0.0) * (low < 0)
    if is_share and high > 1:
        low, high = max(low - (high - 1.02), 0.0), 1.02
    room = 0.02 * (high - low) * (low == 0)
    axes.set_ylim(low - room, high)


@style.styled
def draw(rows: Sequence[Row], bands: Mapping[str, Band], path: FilePath, labels: Labels = NAMES) -> None:
    """Draw a panel per measure: a point per scan, a line at the median, the limits dashed.

    Flagged scans are ringed and named, excluded ones crossed out.

    Parameters
    ----------
    rows : sequence of Row
        The study's quality table.
    bands : Mapping
        Measure to its limits, as :func:`pharmasl.quality.flags.resolve` returns.
    path : path-like
        SVG to write.
    labels : Labels, optional
    """
    if not rows:
        style.placeholder(path, "Image quality", "No scan was quantified.")
        return
    scans = groups(rows, labels)
    panel.save([_panel(rows, name, scans, bands.get(name)) for name in MEASURES], path)
