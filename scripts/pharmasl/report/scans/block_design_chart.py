"""The blocks of a scan in which conditions alternate, on its page: the response to each condition, and the fit in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.report.scans import charts, over_time
from pharmasl.report.words import count, fixed, listed, short
from pharmasl.study.labels import Labels

# Classes that colour the conditions' lines, in their order.
_COLOURS = ("gm", "wm", "csf")


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """What the page shows of the blocks.

    Attributes
    ----------
    chart : pharmasl.report.scans.charts.Chart
        The response to each condition over the volumes.
    words : str
        How they were modelled.
    """

    chart: charts.Chart
    words: str


def read(files: Sequence[FilePath], labels: Labels) -> Blocks | None:
    """The blocks of a scan; None of a scan of one state.

    Parameters
    ----------
    files : sequence of path-like
        The model of each volume and the record of the fit, of :mod:`pharmasl.perfusion.block_responses`; or empty.
    labels : pharmasl.study.labels.Labels
    """
    if not files:
        return None
    rows, record = tables.read_table(files[0]), tables.read_json(files[1])
    names = list(record["Conditions"])
    volumes = np.array([int(row["volume"]) + 1 for row in rows])
    shown = {name: np.array([float(row[name]) for row in rows]) for name in names}
    out = [int(row["volume"]) for row in rows if row["left_out"]]
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    own = {name: [block["Duration"] for block in record["Blocks"] if block["Condition"] == name] for name in names}
    parts = [
        f"{count(len(lasts), 'block')} of {labels.condition(name)} ({_lengths(lasts)})" for name, lasts in own.items()
    ]
    chart = charts.Chart(
        title="Response to each condition, as it is modelled (1: wholly there)",
        summary=f"Response to {listed(parts)} over {len(rows)} volumes",
        x=charts.counted(int(volumes.max())),
        y=charts.rounded(np.concatenate([*shown.values(), [0.0, 1.0]]), low=0.0, count=2),
        lines=[charts.Line(x=volumes, y=shown[name], name=colours[name]) for name in names],
        crossed=over_time.crossed(out),
        below="volume",
        legend=[(colours[name], labels.condition(name)) for name in names],
    )
    return Blocks(chart=chart, words=_words(record, parts, labels, len(out)))


def _lengths(lasts: Sequence[float]) -> str:
    """How long blocks last."""
    if not lasts:
        return "none"
    least, most = short(min(lasts)), short(max(lasts))
    return f"{least} s" if least == most else f"{least} to {most} s"


def _words(record: dict[str, Any], parts: Sequence[str], labels: Labels, left_out: int) -> str:
    """How the blocks were modelled, and what came of it."""
    moved = ", motion" if any(name.startswith("motion") for name in record["Columns"]) else ""
    out = f"; {count(left_out, 'volume')} left out" if left_out else ""
    delay, means = record["Response"]["MeanDelay"], record["MeanBrainCBF"]
    known = [f"{labels.condition(name)} {fixed(mean, 1)}" for name, mean in means.items() if mean is not None]
    return (
        f"{listed(parts)} alternate in this scan, by {record['BlocksFrom']}, whose onsets count from the beginning of the first "
        f"volume. Each condition\u2019s CBF comes from a linear model of the {record['Volumes']} raw volumes (perfusion, BOLD, drift"
        f"{moved}; mean delay of the response {short(delay)} s; autoregressive noise; "
        f"{count(record['DegreesOfFreedom'], 'degree')} of freedom{out}), and enters the contrasts: mean CBF of the brain, "
        f"mL/100 g/min: {listed(known) if known else 'unknown'}. All else on this page is of the whole scan."
    )
