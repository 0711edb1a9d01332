"""The distribution of each quality measure over a study's scans."""

import numpy as np

from pharmasl.figures import style
from pharmasl.quality.measure_columns import MEASURES, METRICS

COLUMNS = 3


def spread(positions, gap):
    """Move sorted positions apart until neighbours are ``gap`` apart; their mean stays."""
    moved = np.array(positions, dtype=float)
    for k in range(1, len(moved)):
        moved[k] = max(moved[k], moved[k - 1] + gap)
    return moved - (moved.mean() - np.mean(positions)) if len(moved) else moved


def groups(rows):
    """Scans by condition and session, in the order in which they first appear: labels, each row's group, conditions."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    sessions = list(dict.fromkeys(row["session_id"] for row in rows))
    keys = [
        (c, s) for c in conditions for s in sessions if any((r["condition"], r["session_id"]) == (c, s) for r in rows)
    ]
    labels = ["\n".join(part for part in (session, condition) if part) for condition, session in keys]
    return labels, [keys.index((row["condition"], row["session_id"])) for row in rows], conditions


def _panel(axes, rows, name, group, labels, colours, band):
    values = np.array([float("nan") if row[name] is None else float(row[name]) for row in rows])
    flagged = np.array([any(flag.split(":")[0] == name for flag in (row["flags"] or "").split(",")) for row in rows])
    group = np.array(group)
    known = np.isfinite(values)
    # Points of a group stand side by side in the order of the table: no random jitter.
    across = np.zeros(len(rows))
    for k in range(len(labels)):
        members = np.flatnonzero(group == k)
        across[members] = k + (np.linspace(-0.28, 0.28, len(members)) if len(members) > 1 else 0)
        if known[members].any():
            middle = np.median(values[members][known[members]])
            axes.plot([k - 0.36, k + 0.36], [middle, middle], color=style.INK, linewidth=1.6, zorder=3)
    plain = known & ~flagged
    axes.scatter(across[plain], values[plain], s=13, c=np.array(colours)[plain], alpha=0.75, linewidths=0, zorder=2)
    marked = np.flatnonzero(known & flagged)
    axes.scatter(
        across[marked], values[marked], s=34, facecolors="white", edgecolors=style.VERMILLION, linewidths=1.6, zorder=4
    )
    lost = known & np.array([row.get("usable") == "no" for row in rows])
    axes.scatter(across[lost], values[lost], s=60, c=style.INK, marker="x", linewidths=1.2, zorder=5)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)
    axes.margins(y=0.12)
    entry = METRICS[name]
    unit = "" if entry["Units"] == "1" else f" ({entry['Units']})"
    axes.set_title(entry["LongName"] + unit)
    if not known.any():
        axes.text(0.5, 0.5, "not available", transform=axes.transAxes, ha="center", color=style.MUTED)
        return
    low, high = axes.get_ylim()
    for k in range(len(labels)):
        members = marked[group[marked] == k]
        members = members[np.argsort(values[members], kind="stable")]
        right = k > len(labels) / 2 - 0.5
        for row, height in zip(members, spread(values[members], 0.075 * (high - low))):
            axes.annotate(
                rows[row]["participant_id"],
                (across[row] + (-0.16 if right else 0.16), height),
                ha="right" if right else "left",
                va="center",
                fontsize=8,
                color=style.VERMILLION,
                zorder=5,
            )
            low, high = min(low, height - 0.04 * (high - low)), max(high, height + 0.04 * (high - low))
    # A limit is drawn where the data come near it; a far one would squeeze them.
    near = [limit for limit in band if limit is not None and low - (high - low) < limit < high + (high - low)]
    for limit in near:
        axes.axhline(limit, color=style.VERMILLION, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        low, high = min(low, limit - 0.04 * (high - low)), max(high, limit + 0.04 * (high - low))
    axes.set_ylim(low, high)


@style.styled
def draw(rows, bands, path):
    """Draw one panel a measure: a point a scan, a line at the median, flagged scans ringed and named, excluded ones
    crossed out, limits dashed.

    Parameters
    ----------
    rows : list of dict
        The study's quality table.
    bands : dict
        As :func:`pharmasl.quality.flags.resolve` returns.
    path : path-like
        PNG to write.
    """
    if not rows:
        style.placeholder(path, "Image quality", "No scan was quantified.")
        return
    labels, group, conditions = groups(rows)
    palette = [style.SERIES[k % len(style.SERIES)] for k in (0, 2, 4, 5, 3)]
    colours = [palette[conditions.index(row["condition"]) % len(palette)] for row in rows]
    count = -(-len(MEASURES) // COLUMNS)
    drawn = style.figure(12.5, 2.75 * count)
    panels = drawn.subplots(count, COLUMNS, squeeze=False)
    for axes, name in zip(panels.flat, MEASURES):
        _panel(axes, rows, name, group, labels, colours, bands.get(name, ()))
    drawn.tight_layout(h_pad=1.6, w_pad=1.6)
    style.save(drawn, path)
