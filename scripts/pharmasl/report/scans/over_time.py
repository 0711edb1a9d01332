"""How a scan changes over its volumes: carpet plot, motion, and grey-matter CBF of each repeat; and its histograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from pharmasl.figures.numerals import number
from pharmasl.files.tables import Row
from pharmasl.quality.flags import Band
from pharmasl.report.scans import charts, scan_series, voxel_pictures

_CSF_THRESHOLD = 0.7
HISTOGRAM = (-20.0, 120.0, 5.0)  # mL/100 g/min: ends and width of a bin
_NAMES = {"GM": "grey matter", "WM": "white matter", "CSF": "fluid"}


@dataclass(frozen=True, kw_only=True)
class CarpetPlot:
    """The carpet plot.

    Attributes
    ----------
    image : str
        Address of a picture of one column a volume.
    overlay : Markup
        Hatched volumes.
    below : Markup
        The words below its axis.
    rows : list of (str, str, float)
        Class, label and share of the height of each group of rows, top to bottom.
    alt : str
    """

    image: str
    overlay: Markup
    below: Markup
    rows: list[tuple[str, str, float]]
    alt: str


def crossed(volumes: Sequence[int]) -> list[tuple[float, float]]:
    """The stretches of a volume axis (from 1) that volumes (from 0, ascending) take."""
    stretches: list[tuple[float, float]] = []
    for volume in volumes:
        start = volume + 0.5
        if stretches and stretches[-1][1] == start:
            start = stretches.pop()[0]
        stretches.append((start, volume + 1.5))
    return stretches


def carpet(own: scan_series.Carpet, volumes_out: Sequence[int]) -> CarpetPlot:
    """The carpet plot of a series."""
    limit = scan_series.CARPET_LIMIT
    scale = voxel_pictures.Scale(low=-limit, high=limit, unit="percent", grey=True)
    volumes = own.change.shape[1]
    axis = charts.counted(volumes)
    hatched = charts.stripes(crossed(volumes_out), axis)
    empty = np.flatnonzero(~np.isfinite(own.change).any(axis=0))
    hatched += charts.stripes(crossed(empty.tolist()), axis, "none")
    return CarpetPlot(
        image=voxel_pictures.encoded(scale.pixels(own.change)),
        overlay=Markup(f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">{hatched}</svg>'),
        below=charts.bottom(axis),
        rows=[(name.lower(), name, count / len(own.change)) for name, count in own.tissues],
        alt=f"Change of the signal of grey matter, white matter and fluid over {volumes} volumes",
    )


def slices(change: np.ndarray, volumes_out: Sequence[int]) -> CarpetPlot | None:
    """The signal of each slice (from 1) of the raw volumes, the last one on top; None where it was not measured."""
    rows = np.flatnonzero(np.isfinite(change).any(axis=0))
    if not rows.size:
        return None
    plot = carpet(scan_series.Carpet(change[:, rows[0] : rows[-1] + 1].T[::-1], []), volumes_out)
    ends = [("top", str(rows[-1] + 1), 0.5), ("bottom", str(rows[0] + 1), 0.5)]
    return replace(plot, rows=ends, alt=f"Change of the signal of {rows.size} slices over {len(change)} volumes")


def motion(
    displacement: np.ndarray, dvars: np.ndarray, volumes_out: Sequence[int], bands: Mapping[str, Band]
) -> list[charts.Chart]:
    """Framewise displacement and DVARS over the volumes, those of them that are known."""
    made = []
    out = crossed(volumes_out)
    limit = bands["fd_mean"].high if "fd_mean" in bands else None
    for title, unit, values, least, limits in (
        ("Framewise displacement", "mm", displacement, 0.5, [] if limit is None else [limit]),
        ("DVARS", "% of the mean", dvars, 1.0, []),
    ):
        finite = values[np.isfinite(values)]
        if not finite.size:
            continue
        made.append(
            charts.Chart(
                title=f"{title} ({unit})",
                summary=f"{title}: mean {finite.mean():.2f}, largest {finite.max():.2f} {unit}",
                x=charts.counted(len(values)),
                y=charts.rounded(values, low=0.0, least=least, count=2),
                lines=[charts.Line(x=np.arange(1, len(values) + 1), y=values, name="motion")],
                limits=limits,
                crossed=out,
                below="volume",
            )
        )
    return made


def repeats(own: scan_series.RepeatRows) -> charts.Chart | None:
    """Mean grey-matter CBF of each repeat, those that do not pass apart; None where it is not known."""
    finite = own.gm_cbf[np.isfinite(own.gm_cbf)]
    if not finite.size:
        return None
    place = np.arange(1, len(own.passed) + 1)
    used, left = np.where(own.passed, own.gm_cbf, np.nan), np.where(own.passed, np.nan, own.gm_cbf)
    legend = [("used", "used")] + ([("left", "left out")] if np.isfinite(left).any() else [])
    return charts.Chart(
        title="Grey-matter CBF of each repeat (mL/100 g/min)",
        summary=f"Grey-matter CBF of {len(place)} repeats, from {finite.min():.0f} to {finite.max():.0f} mL/100 g/min",
        x=charts.counted(len(place)),
        y=charts.rounded(own.gm_cbf, low=min(0.0, float(finite.min())), least=10.0),
        lines=[
            charts.Line(x=place, y=used, name="used"),
            charts.Line(x=place, y=used, name="used", dots=True),
            charts.Line(x=place, y=left, name="left", dots=True),
        ],
        below="repeat",
        legend=legend if len(legend) > 1 else [],
    )


def left_out(own: scan_series.RepeatRows) -> list[tuple[str, str]]:
    """Each repeat that does not pass (from 1), with why."""
    return [
        (str(k + 1), reason or "unknown")
        for k, (has_passed, reason) in enumerate(zip(own.passed, own.reasons))
        if not has_passed
    ]


def histogram(cbf: np.ndarray, brain: np.ndarray, tissues: Mapping[str, np.ndarray], row: Row) -> charts.Chart | None:
    """Shares of each tissue's voxels by their CBF.

    Parameters
    ----------
    cbf : ndarray of shape (X, Y, Z)
    brain : ndarray of bool, shape (X, Y, Z)
    tissues : mapping of str to ndarray of shape (X, Y, Z)
    row : Row
        Of the quality table: its thresholds are those of the measures.
    """
    thresholds = {"GM": number(row["gm_threshold"]), "WM": number(row["wm_threshold"]), "CSF": _CSF_THRESHOLD}
    low, high, width = HISTOGRAM
    edges = np.arange(low, high + width, width)
    lines, words = [], []
    for name, threshold in thresholds.items():
        values = cbf[brain & (tissues[name] > threshold) & np.isfinite(cbf)]
        if values.size < 10:
            continue
        share = 100 * np.histogram(np.clip(values, low, high), edges)[0] / values.size
        middle = edges[:-1] + width / 2
        lines.append(charts.Line(x=middle, y=share, name=name.lower()))
        words.append(f"{_NAMES[name]} {np.median(values):.0f}")
    if not lines:
        return None
    ticks = [(value, f"{value:g}") for value in np.arange(low, high + 1, 20)]
    # What lies beyond stands in the outermost bins.
    ticks[0], ticks[-1] = (low, f"\u2264\u2009\u2212{-low:g}"), (high, f"\u2265\u2009{high:g}")
    return charts.Chart(
        title="CBF by tissue (% of its voxels)",
        summary=f"Medians of CBF, mL/100 g/min: {', '.join(words)}",
        x=charts.Axis(low=low, high=high, ticks=ticks),
        y=charts.rounded(np.concatenate([line.y for line in lines]), low=0.0),
        lines=lines,
        below="mL/100 g/min",
        legend=[(line.name, _NAMES[line.name.upper()]) for line in lines],
    )


def delay_curve(native_series: np.ndarray, grey: np.ndarray, own: scan_series.RepeatRows) -> charts.Chart | None:
    """The mean difference in grey matter at each delay, relative to the largest; None where there is one delay."""
    delays = np.unique(own.delays[np.isfinite(own.delays)])
    if len(delays) < 2 or not grey.any():
        return None
    means = []
    for delay in delays:
        difference = scan_series.differences(native_series, own, own.delays == delay)
        means.append(np.nan if difference is None else float(difference[grey].mean()))
    values = np.array(means)
    largest = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 0.0
    if not largest > 0:
        return None
    ticks = [(float(delay), f"{delay:.3g}") for delay in delays]
    if len(ticks) > 8:
        ticks = ticks[:: len(ticks) // 6 + 1]
    pad = 0.05 * float(np.ptp(delays))
    return charts.Chart(
        title="deltaM in grey matter by delay (largest = 1)",
        summary="Mean difference in grey matter at each delay: "
        + ", ".join(f"{delay:.3g} s {value / largest:.2f}" for delay, value in zip(delays, values)),
        x=charts.Axis(low=float(delays[0]) - pad, high=float(delays[-1]) + pad, ticks=ticks),
        y=charts.rounded(values / largest, low=min(0.0, float(np.nanmin(values)) / largest), count=2),
        lines=[
            charts.Line(x=delays, y=values / largest, name="used"),
            charts.Line(x=delays, y=values / largest, name="used", dots=True),
        ],
        below="delay (s)",
    )
