"""The table of an analysis' clusters."""

from collections.abc import Sequence

from pharmasl.figures import findings
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import MISSING, p_value
from pharmasl.files.tables import Row
from pharmasl.group import verdict
from pharmasl.report.words import MINUS, Table, fixed, signed

SHOWN = 10  # clusters in the table that is always open
# Columns of words.
_WORDS = {"Region at the peak", "Regions"}
# What decides, in the head of a column.
SHORT = {"voxel": "peak", "tfce": "TFCE", "any": "any, corrected", "false_discovery": "FDR"}


def clusters(results: Findings, unit: str, everything: bool = False) -> Table:
    """The cluster table: significant clusters and the largest others, or all.

    Parameters
    ----------
    results : Findings
    unit : str
        Of the effect.
    everything : bool
        Whether all clusters are shown.

    Returns
    -------
    Table
    """
    significant = results.significant()
    shown = [number for number in results.clusters if everything or number in significant or number <= SHOWN]
    rows = [row for row in results.rows if int(row["cluster"]) in shown]
    heads, cells = _filled(_heads(results), [_cells(row, has_sign=not results.is_joint) for row in rows])
    which = "All clusters" if everything else "Significant clusters (in bold) and the largest others"
    return Table(
        f"{which}; the p that decides first, the others are secondary; effect in {unit}",
        heads,
        cells,
        {place for place, head in enumerate(heads) if head in _WORDS},
        {k for k, row in enumerate(rows) if int(row["cluster"]) in significant},
    )


def _filled(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns that hold anything: statistics that were not asked for, or do not exist for the method, take no room."""
    kept = [place for place in range(len(heads)) if any(row[place] not in ("", MISSING) for row in cells)]
    return [heads[place] for place in kept], [[row[place] for place in kept] for row in cells]


def _heads(results: Findings) -> Sequence[str]:
    statistic, rate = results.verdict["statistic"], results.verdict["error_rate"]
    letter = "q" if rate == verdict.FALSE_DISCOVERY else "p"
    return [
        "Cluster",
        "Region at the peak",
        "x",
        "y",
        "z (mm)",
        *([] if results.is_joint else ["Sign"]),
        "Voxels",
        f"{letter} that decides ({SHORT.get(statistic, statistic)})",
        "p FWE, extent",
        "p FWE, mass",
        "p RFT, extent",
        "p FWE, peak",
        "p FWE, TFCE",
        "q FDR",
        results.letter,
        "z score",
        "Effect at peak",
        "Mean effect",
        "Hedges' g",
        "Regions",
    ]


def _cells(row: Row, *, has_sign: bool) -> Sequence[str]:
    """A peak; what belongs to its cluster stands at the first peak alone."""
    first = row["peak"] == "1"
    return [
        str(int(row["cluster"])) if first else "",
        findings.region(row) or MISSING,
        *(fixed(value, 0) for value in findings.point(row)),
        *(["+" if row["sign"] == "+" else MINUS] if has_sign else []),
        row["size_voxels"] if first else "",
        p_value(row["p_verdict"]) if first else "",
        p_value(row["p_fwe_cluster"]) if first else "",
        p_value(row.get("p_fwe_mass")) if first else "",
        p_value(row.get("p_rft_cluster")) if first else "",
        p_value(row["p_fwe_voxel"]),
        p_value(row.get("p_fwe_tfce")),
        p_value(row.get("q_fdr")),
        fixed(row["t"]),
        fixed(row["z_score"]),
        signed(row["effect"]),
        signed(row["effect_mean"]) if first else "",
        signed(row.get("hedges_g")) if first else "",
        findings.all_regions(row) if first else "",
    ]
