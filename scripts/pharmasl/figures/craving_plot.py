"""The figures of craving: cue-elicited craving by arm and session, and its change against regional CBF's change."""

import math

import numpy as np
from scipy.special import ndtri, stdtrit

from pharmasl.endpoints import families
from pharmasl.figures import style
from pharmasl.figures.findings import number, p_text
from pharmasl.files import tables

COLUMNS = 3
CRAVING = "Cue-elicited craving (points, after \u2212 before)"


def colours(arms):
    """Colour of each arm: the control blue, the treatment vermillion."""
    return {arms["control"]: style.BLUE, arms["treatment"]: style.VERMILLION}


def interval(values):
    """Mean and half the width of its 95 % confidence interval by Student's t.

    Parameters
    ----------
    values : ndarray of shape (n,)

    Returns
    -------
    mean, half : float
        NaN without values; half is NaN for a single one.
    """
    n = len(values)
    if not n:
        return math.nan, math.nan
    half = stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return float(values.mean()), float(half)


def line(x, y, at):
    """A least-squares line and the 95 % confidence band of its mean.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    at : ndarray of shape (m,)

    Returns
    -------
    fitted, half : ndarray of shape (m,)
        ``half`` is the band's half width; None, None with fewer than three points or no spread in x.
    """
    n = len(x)
    if n < 3 or np.ptp(x) == 0:
        return None, None
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    residual = y - y.mean() - slope * centred
    variance = float(residual @ residual) / (n - 2)
    fitted = y.mean() + slope * (at - x.mean())
    return fitted, stdtrit(n - 2, 0.975) * np.sqrt(variance * (1 / n + (at - x.mean()) ** 2 / spread))


def by_participant(rows, value):
    """Values by participant and session, missing ones left out."""
    return {
        (row["participant_id"], row["session_id"].removeprefix("ses-")): float(row[value])
        for row in rows
        if row[value] is not None
    }


def _sessions(sessions):
    return [str(sessions[name]).removeprefix("ses-") for name in ("baseline", "followup")]


@style.styled
def scores(path, table, arms, sessions):
    """Draw cue-elicited craving: each arm's participants over the sessions, and the changes.

    Parameters
    ----------
    path : path-like
        PNG to write.
    table : path-like
        ``craving_scores.tsv``.
    arms, sessions : dict
        ``treatment`` and ``control``; ``baseline`` and ``followup``.
    """
    rows = tables.read_table(table)
    elicited = by_participant(rows, "cue_elicited")
    if not elicited:
        style.placeholder(path, "Cue-elicited craving", "No participant has a rating before and after the cues.")
        return
    arm_of = {row["participant_id"]: row["arm"] for row in rows}
    labels, palette = _sessions(sessions), colours(arms)
    drawn = style.figure(10.5, 4.3)
    panels = drawn.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1.1]})
    order = [arms["control"], arms["treatment"]]
    spread = np.ptp(list(elicited.values())) or 1.0
    limits = min(elicited.values()) - 0.08 * spread, max(elicited.values()) + 0.08 * spread
    for axes, arm in zip(panels, order):
        members = [name for name, own in arm_of.items() if own == arm]
        for name in members:
            known = [(k, elicited[name, label]) for k, label in enumerate(labels) if (name, label) in elicited]
            axes.plot(
                *zip(*known), color=palette[arm], alpha=0.3, linewidth=1, marker="o", markersize=3
            ) if known else None
        for k, label in enumerate(labels):
            mean, half = interval(np.array([elicited[name, label] for name in members if (name, label) in elicited]))
            axes.errorbar(k, mean, half, color=style.INK, capsize=5, linewidth=1.8, zorder=4)
            axes.plot(k, mean, "o", markersize=8, color=palette[arm], markeredgecolor=style.INK, zorder=5)
        counts = [sum((name, label) in elicited for name in members) for label in labels]
        axes.set_xticks([0, 1], [f"{label}\nn = {count}" for label, count in zip(labels, counts)])
        axes.set_xlim(-0.35, 1.35)
        axes.set_ylim(limits)
        axes.axhline(0, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_title(arm, color=palette[arm])
        axes.grid(axis="y", color=style.RULE, linewidth=0.7)
    panels[0].set_ylabel(CRAVING)
    axes = panels[2]
    for k, arm in enumerate(order):
        changes = np.array(
            [
                elicited[name, labels[1]] - elicited[name, labels[0]]
                for name, own in arm_of.items()
                if own == arm and all((name, label) in elicited for label in labels)
            ]
        )
        across = k + (np.linspace(-0.22, 0.22, len(changes)) if len(changes) > 1 else np.zeros(len(changes)))
        axes.scatter(across, changes, s=16, color=palette[arm], alpha=0.55, linewidths=0)
        mean, half = interval(changes)
        axes.errorbar(k, mean, half, color=style.INK, capsize=6, linewidth=1.8, zorder=4)
        axes.plot(k, mean, "o", markersize=8, color=palette[arm], markeredgecolor=style.INK, zorder=5)
    axes.set_xticks([0, 1], order)
    axes.set_xlim(-0.5, 1.5)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_title(f"Change, {labels[1]} \u2212 {labels[0]}")
    axes.set_ylabel("Change of cue-elicited craving (points)")
    axes.grid(axis="y", color=style.RULE, linewidth=0.7)
    drawn.text(0.01, 0.012, "Large points and bars: mean and its 95 % confidence interval.", color=style.MUTED)
    drawn.tight_layout(rect=(0, 0.04, 1, 1), w_pad=2)
    style.save(drawn, path)


def _quantiles(axes, values, colour, title):
    """Normal quantiles against ordered values, with the line of their mean and standard deviation."""
    n = len(values)
    expected = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    axes.scatter(expected, np.sort(values), s=16, color=colour, alpha=0.7, linewidths=0)
    if n > 1:
        ends = np.array([expected[0], expected[-1]])
        axes.plot(ends, values.mean() + values.std(ddof=1) * ends, color=style.MUTED, linewidth=1)
    axes.set_title(title)
    axes.set_xlabel("Normal quantile")


@style.styled
def diagnostics(path, table, arms):
    """Draw what the mixed model of craving assumes, and who makes its result.

    Parameters
    ----------
    path : path-like
        PNG to write.
    table : path-like
        ``craving_influence.tsv``.
    arms : dict
    """
    rows = [row for row in tables.read_table(table) if row["residual"] is not None]
    if not rows:
        style.placeholder(path, "Residuals and influence", "No model was fitted to cue-elicited craving.")
        return
    palette = colours(arms)
    people = list({row["participant_id"]: row for row in rows}.values())
    shown = [row for row in people if row["cooks_distance"] is not None and row["estimate_without"] is not None]
    drawn = style.figure(11, 6.2)
    panels = drawn.subplots(2, 3).ravel()
    for arm in (arms["control"], arms["treatment"]):
        own = [row for row in rows if row["arm"] == arm]
        panels[0].scatter(
            [float(row["fitted"]) for row in own],
            [float(row["residual"]) for row in own],
            s=18,
            linewidths=0,
            color=palette[arm],
            alpha=0.7,
            label=arm,
        )
    panels[0].axhline(0, color=style.MUTED, linewidth=0.8)
    panels[0].set_title("Residuals")
    panels[0].set_xlabel("Fitted (points)")
    panels[0].legend(loc="best")
    standardised = np.array([float(row["residual_standardised"]) for row in rows])
    _quantiles(panels[1], standardised, style.INK, "Standardised residuals")
    intercepts = np.array([float(row["random_intercept"]) for row in people])
    _quantiles(panels[2], intercepts, style.INK, "Participants' intercepts (points)")
    for axes, name, title in (
        (panels[3], "cooks_distance", "Cook's distance"),
        (panels[4], "estimate_without", "Interaction without the participant (points)"),
    ):
        values = np.array([float(row[name]) for row in shown])
        if name == "cooks_distance":
            axes.vlines(np.arange(len(values)), 0, values, color=style.RULE, linewidth=1, zorder=1)
        axes.scatter(np.arange(len(values)), values, s=18, color=[palette[row["arm"]] for row in shown], linewidths=0)
        for k in np.argsort(-np.abs(values - (np.median(values) if len(values) else 0)))[:2]:
            axes.annotate(
                shown[k]["participant_id"],
                (k, values[k]),
                fontsize=7.5,
                color=style.MUTED,
                xytext=(3, 3),
                textcoords="offset points",
            )
        axes.set_title(title)
        axes.set_xlabel("Participant, in the table's order")
    residuals = {}
    for row in rows:
        residuals.setdefault((row["arm"], row["session_id"]), []).append(float(row["residual"]))
    places = list(residuals)
    panels[5].boxplot([residuals[place] for place in places], widths=0.5)
    panels[5].set_xticks(range(1, len(places) + 1), [f"{arm}\n{session}" for arm, session in places])
    panels[5].set_title("Residuals by arm and session")
    for axes in panels:
        axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    drawn.tight_layout()
    style.save(drawn, path)


def changes(craving, cbf, labels):
    """Participants with both changes, and the changes themselves (CBF, craving)."""
    names = list(dict.fromkeys(name for name, _ in cbf))
    complete = [n for n in names if all((n, label) in values for label in labels for values in (cbf, craving))]
    return complete, [
        np.array([values[name, labels[1]] - values[name, labels[0]] for name in complete]) for values in (cbf, craving)
    ]


def verdict(rows, roi, contrast, craving, arms):
    """The declared test of a region in a line; and whether the region was chosen by these data."""
    text, chosen = "", False
    test = families.declared(craving)
    start = "r = {} within arms" if test == families.Declared() else f"{test.words(arms)}: {{}}"
    for row in rows:
        if (row["roi"], row["contrast"]) == (roi, contrast) and test.fits(row, arms):
            estimate = row["note"] or "not available"
            if row["estimate"] is not None:
                estimate = start.format(f"{float(row['estimate']):.2f}".replace("-", "\u2212"))
            if row["role"] == families.TESTED and row["estimate"] is not None:
                p, corrected = number(row["p"]), number(row["p_holm"])
                estimate += f", {p_text(p)}"
                estimate += f" (Holm {corrected:.2g})" if not math.isnan(corrected) else ""
            if row["region_of"] == "others":
                # Stands after the row of the region of all participants.
                return f"{text}\nregion without the participant: {estimate}", chosen
            chosen, text = row["roi_defined_by_same_data"] == "true", estimate
    return text, chosen


def _panel(axes, title, text, chosen, x, y, arm, arms):
    axes.set_title(title + (" \u2020" if chosen else ""), pad=18 + 10 * text.count("\n"))
    axes.text(0, 1.02, text, transform=axes.transAxes, fontsize=8.5, color=style.MUTED)
    if not len(x):
        axes.text(
            0.5,
            0.5,
            "no values: the region is empty\nor not covered",
            ha="center",
            va="center",
            transform=axes.transAxes,
            color=style.MUTED,
        )
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for name, colour, marker in ((arms["control"], style.BLUE, "o"), (arms["treatment"], style.VERMILLION, "^")):
        own = arm == name
        axes.scatter(x[own], y[own], s=24, color=colour, marker=marker, alpha=0.75, linewidths=0, label=name)
        if own.sum() > 2:
            at = np.linspace(x[own].min(), x[own].max(), 60)
            fitted, half = line(x[own], y[own], at)
            if fitted is not None:
                axes.plot(at, fitted, color=colour, linewidth=1.6)
                axes.fill_between(at, fitted - half, fitted + half, color=colour, alpha=0.14, linewidth=0)
    axes.axhline(0, color=style.RULE, linewidth=0.8, zorder=0)
    axes.axvline(0, color=style.RULE, linewidth=0.8, zorder=0)


@style.styled
def relations(path, scores_table, values, correlations, craving, arms, sessions):
    """Draw the change of craving against the change of CBF, a panel for each region and contrast.

    Parameters
    ----------
    path : path-like
        PNG to write.
    scores_table, correlations : path-like
        ``craving_scores.tsv`` and ``roi_craving.tsv``.
    values : list of path-like
        ``{roi}_values.tsv`` of each region.
    craving : dict
        ``rois`` (names) and ``contrast`` (a name or several).
    arms, sessions : dict
    """
    rows = tables.read_table(scores_table)
    elicited = by_participant(rows, "cue_elicited")
    arm_of = {row["participant_id"]: row["arm"] for row in rows}
    results = tables.read_table(correlations)
    everything = [row for table in values for row in tables.read_table(table)]
    contrasts = [craving["contrast"]] if isinstance(craving["contrast"], str) else list(craving["contrast"])
    shown = [(roi, contrast) for roi in craving["rois"] for contrast in contrasts]
    columns = min(COLUMNS, len(shown))
    count = -(-len(shown) // columns)
    drawn = style.figure(max(3.9 * columns, 5.5), 3.7 * count + 0.5)
    panels = drawn.subplots(count, columns, squeeze=False)
    labels, marked, handles = _sessions(sessions), False, []
    for axes, (roi, contrast) in zip(panels.flat, shown):
        own = [row for row in everything if (row["roi"], row["contrast"]) == (roi, contrast)]
        names, (x, y) = changes(elicited, by_participant(own, "cbf"), labels)
        arm = np.array([arm_of.get(name) for name in names])
        text, chosen = verdict(results, roi, contrast, craving, arms)
        marked |= chosen
        _panel(axes, roi.replace("_", " "), text, chosen, x, y, arm, arms)
        axes.set_xlabel(f"\u0394 CBF, {contrast} (mL/100 g/min)")
        axes.set_ylabel("\u0394 cue-elicited craving (points)")
        handles = handles or axes.get_legend_handles_labels()[0]
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    note = (
        f"\u0394: {labels[1]} \u2212 {labels[0]}. Lines: least squares in each arm, band: 95 % confidence of the mean."
    )
    if marked:
        note += "\n\u2020 A cluster of this trial's own analysis: chosen by the same data."
    drawn.text(0.01, 0.012, note, color=style.MUTED)
    if handles:
        drawn.legend(handles=handles, loc="upper right", ncols=2, bbox_to_anchor=(0.995, 0.998))
    drawn.tight_layout(
        rect=(0, 0.25 / drawn.get_figheight() * (1.7 if marked else 1), 1, 1 - 0.3 / drawn.get_figheight()), w_pad=2
    )
    style.save(drawn, path)
