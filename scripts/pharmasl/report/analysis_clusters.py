"""The table of an analysis' clusters."""

from collections.abc import Sequence

from pharmasl.errors import FilePath
from pharmasl.figures import findings
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import MISSING, number, p_value
from pharmasl.files.tables import Row
from pharmasl.group import verdict
from pharmasl.report.words import HARD, Table, between, columns_named, fixed, signed

SHOWN = 10  # clusters that are always shown
# Columns of words.
_WORDS = {"Cluster", "Region", "All regions"}
# Columns that a reader wants first: of the p, the one that decides.
_MAIN = (
    "Cluster",
    "Region",
    "x",
    "y",
    "z (mm)",
    "Volume",
    "Mean effect",
    "95",
    "90",
    "99",
    "Hedges",
    "p that",
    "q that",
)
# What decides, in the head of a column.
SHORT = {"voxel": "peak", "tfce": "TFCE", "any": "any, corrected", "false_discovery": "FDR"}


def clusters(results: Findings, unit: str, file: FilePath | None = None) -> Table:
    """The cluster table: what a reader wants of the significant and the largest clusters first, all else on demand.

    Parameters
    ----------
    results : Findings
    unit : str
        Of the effect.
    file : path-like, optional
        The table's own.

    Returns
    -------
    Table
    """
    significant, rows = results.significant(), results.rows
    shown = [number for number in results.clusters if number in significant or number <= SHOWN]
    heads, cells = _filled(_heads(results), [_cells(row, results) for row in rows])
    return Table(
        f"Clusters; significant ones in bold; effect in {unit}",
        heads,
        cells,
        text={place for place, head in enumerate(heads) if head in _WORDS},
        marked={k for k, row in enumerate(rows) if int(row["cluster"]) in significant},
        file=file,
        main=columns_named(heads, _MAIN),
        minor={k for k, row in enumerate(rows) if row["peak"] != "1" or int(row["cluster"]) not in shown},
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
        "Region",
        "x",
        "y",
        "z (mm)",
        "Volume (mL)",
        "Mean effect",
        _interval_head(results),
        "Hedges' g",
        f"{letter} that decides ({SHORT.get(statistic, statistic)})",
        "Voxels",
        results.letter,
        "z score",
        "Effect at peak",
        "p FWE, extent",
        "p FWE, mass",
        "p RFT, extent",
        "p FWE, peak",
        "p FWE, TFCE",
        "q FDR",
        "All regions",
    ]


def _interval_head(results: Findings) -> str:
    return f"{100 * (1 - results.alpha):g}{HARD}%{HARD}CI"


def _cells(row: Row, results: Findings) -> Sequence[str]:
    """A peak; what belongs to its cluster stands at the first peak alone."""
    first = row["peak"] == "1"
    say = fixed if results.is_joint else signed
    return [
        str(int(row["cluster"])) if first else f"{int(row['cluster'])}, peak {row['peak']}",
        (findings.cluster_regions(row) if first else findings.region(row)) or MISSING,
        *(fixed(value, 0) for value in findings.point(row)),
        f"{number(row['volume_mm3']) / 1000:.1f}" if first else "",
        say(row["effect_mean"]) if first else "",
        between(row.get("effect_low"), row.get("effect_high")) if first else "",
        signed(row.get("hedges_g")) if first else "",
        p_value(row["p_verdict"]) if first else "",
        row["size_voxels"] if first else "",
        fixed(row["t"]),
        fixed(row["z_score"]),
        say(row["effect"]),
        p_value(row["p_fwe_cluster"]) if first else "",
        p_value(row.get("p_fwe_mass")) if first else "",
        p_value(row.get("p_rft_cluster")) if first else "",
        p_value(row["p_fwe_voxel"]),
        p_value(row.get("p_fwe_tfce")),
        p_value(row.get("q_fdr")),
        findings.all_regions(row) if first else "",
    ]
