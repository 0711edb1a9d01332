"""The rows of the comparison of planted and found effects, as a table and as text."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Columns

COLUMNS: Columns = {
    "effect": "What was planted, or a measure of the workflow's accuracy",
    "region": "Where, or in what",
    "unit": "Unit of planted, expected and found",
    "planted": "Amount planted in grey matter, at the centre of the region",
    "expected": "What a perfect workflow would find, in the measure of the column found",
    "found": "What the workflow found",
    "ci_low": "Lower end of the interval of what was found, at the level of the analysis",
    "ci_high": "Upper end of that interval",
    "holds": "Whether the interval holds what is expected in these people: yes or no",
    "p": "p of what was found",
    "p_kind": "Which p: family-wise over the brain at the peak by the statistic that decides, or of a single test",
    "planted_at": {"Description": "Planted centre in the template, x y z", "Units": "mm"},
    "found_at": {
        "Description": "Largest |t| of the planted sign among the significant voxels within 20 mm",
        "Units": "mm",
    },
    "distance": {"Description": "From the planted centre to the found peak", "Units": "mm"},
    "dice": "Overlap of the found cluster with the planted region (where its weight is above one half) as Dice coefficient",
    "found_region": "Atlas region of the found cluster's nearest peak",
    "verdict": "found: significant and of the planted sign; or what it is instead. A change within one arm is described: it is "
    "no test of the drug",
}

# The effects that the trial was made for, by the column ``effect``.
RESTING = "resting CBF: group by time"
ASSOCIATION = "cue response: association with the dlPFC's change"
CRAVING = "cue-elicited craving: group by time"
CIGARETTES = "cigarettes a day: arm at follow-up, adjusted for baseline"
CUE = "cue response at baseline"
# The resting effect as the mean over one of the configuration's regions, with an interval.
RESTING_REGION = f"{RESTING}, mean over a region"
CUE_REGION = f"{CUE}, mean over a region"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A planted effect, or a measure of accuracy, beside what the workflow found; fields as in :data:`COLUMNS`."""

    effect: str
    region: str
    unit: str
    planted: float | None = None
    expected: float | None = None
    found: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    holds: str | None = None
    p: float | None = None
    p_kind: str | None = None
    planted_at: str | None = None
    found_at: str | None = None
    distance: float | None = None
    dice: float | None = None
    found_region: str | None = None
    verdict: str


def with_interval(row: Comparison, low: float | None, high: float | None) -> Comparison:
    """A row with the interval of what was found, and whether it holds what is expected, or else what was planted."""
    truth = row.planted if row.expected is None else row.expected
    if low is None or high is None or truth is None:
        return row
    return replace(row, ci_low=rounded(low), ci_high=rounded(high), holds="yes" if low <= truth <= high else "no")


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A number with so many significant digits; None where it is missing or not finite."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.{digits}g}")


def write_table(path: FilePath, rows: Sequence[Comparison]) -> None:
    """Write the comparison as a table with its sidecar."""
    tables.write_table(path, [asdict(row) for row in rows], COLUMNS)


def text(rows: Sequence[Comparison], title: str) -> str:
    """The comparison as text for a terminal."""
    lines = [title, "=" * len(title), ""]
    for row in rows:
        numbers = {"planted": row.planted, "expected": row.expected, "found": row.found}
        values = "   ".join(f"{name} {value:g}" for name, value in numbers.items() if value is not None)
        lines.append(f"{row.effect} — {row.region}")
        lines.append(f"    {values} ({row.unit})   -> {row.verdict}")
        details = []
        if row.holds is not None:
            holds = "holds" if row.holds == "yes" else "does not hold"
            details.append(f"interval {row.ci_low:g} to {row.ci_high:g} {holds} what is expected")
        if row.p is not None:
            details.append(f"p = {row.p:.2g} ({row.p_kind})")
        if row.found_at:
            details.append(
                f"peak at ({row.found_at}), {row.distance:g} mm from the planted ({row.planted_at}): "
                f"{row.found_region or 'no atlas name'}"
            )
        if details:
            lines.append("    " + "; ".join(details))
    lines += [
        "",
        "planted: in grey matter at the centre. expected: what a perfect workflow would find, through the scanner's",
        "resolution and the maps' smoothing, as a mean over the region. found: the same mean of the workflow's map.",
        "",
    ]
    return "\n".join(lines)
