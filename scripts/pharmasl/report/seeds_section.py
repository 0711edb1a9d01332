"""Slopes of regions' changes on a seed's change, within each arm and compared between the arms."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.figures.numerals import MISSING, p_value
from pharmasl.files.tables import Row
from pharmasl.report.words import (
    CI,
    DAGGER,
    MINUS,
    NONE,
    Table,
    between,
    columns_named,
    fixed,
    p_words,
    plain,
    short,
    signed,
)
from pharmasl.study.labels import NAMES, Labels


@dataclass(frozen=True)
class SeedsSection:
    """The section of the slopes; ``chosen`` says whether a region or a seed was chosen by the same data."""

    sentences: Sequence[str]
    table: Table
    chosen: bool


def named(row: Row, which: str) -> str:
    """A region (``roi``) or a seed with its contrast; a dagger marks one that the same data chose."""
    contrast = row["seed_contrast" if which == "seed" else "contrast"]
    dagger = f" {DAGGER}" if row[f"{which}_defined_by_same_data"] == "true" else ""
    return f"{plain(row[which])} ({contrast}){dagger}"


def sentences(rows: Sequence[Row]) -> list[str]:
    """For each analysis and region: the slope in each arm, and whether the arms' slopes differ."""
    pairs = dict.fromkeys((row["analysis"], row["roi"]) for row in rows)
    return [_sentence([row for row in rows if (row["analysis"], row["roi"]) == pair]) for pair in pairs]


def _sentence(rows: Sequence[Row]) -> str:
    parts, difference = [], None
    for row in rows:
        if row["group"] == "all":
            continue
        if " - " in row["group"]:
            difference = row
        elif row["slope"] is None:
            parts.append(f"not tested in the {row['group']} arm")
        else:
            parts.append(f"slope {signed(row['slope'])} in the {row['group']} arm (n = {row['n']})")
    text = f"{named(rows[0], 'roi')} on {named(rows[0], 'seed')}: {', '.join(parts)}"
    if difference is not None and difference["slope"] is not None:
        text += (
            f"; difference {signed(difference['slope'])} ({CI} {_interval(difference)}, permutation "
            f"{p_words(difference['p_permutation'])}, corrected {p_words(difference['p_holm'])})"
        )
    elif difference is not None:
        text += "; the arms' slopes could not be compared"
    return f"{text}."


def _interval(row: Row) -> str:
    return between(row["ci_low"], row["ci_high"])


def table(rows: Sequence[Row]) -> Table:
    """Every slope with its standard error, t, interval and p."""
    cells = [
        [
            plain(row["analysis"]),
            named(row, "seed"),
            named(row, "roi"),
            row["group"].replace(" - ", f" {MINUS} "),
            fixed(row["slope"]),
            fixed(row["se"]),
            fixed(row["t"]),
            short(row["df"]),
            _interval(row),
            p_value(row["p"]),
            p_value(row["p_permutation"]),
            p_value(row["p_holm"]),
            NONE if row["variance_ratio"] is None else fixed(row["variance_ratio"]),
            row["n"] or MISSING,
            row["adjusted_for"] or NONE,
            row["note"] or "",
        ]
        for row in rows
    ]
    heads = [
        "Analysis",
        "Seed",
        "Region",
        "Group",
        "Slope",
        "SE",
        "t",
        "df",
        "95 % CI",
        "p",
        "p permutation",
        "p Holm",
        "Variance ratio of the arms",
        "n",
        "Adjusted for",
        "Note",
    ]
    caption = "Slope of a region's change in CBF on the seed's, mL/100 g/min per mL/100 g/min"
    marked = {k for k, row in enumerate(rows) if " - " in row["group"]}
    main = columns_named(heads, ["Seed", "Region", "Group", "Slope", "95", "p Holm", "n"])
    return Table(caption, heads, cells, {0, 1, 2, 3, 14, 15}, marked, main=main)


def section(slopes: Sequence[Row], labels: Labels = NAMES) -> SeedsSection | None:
    """The section of the slopes in the rows of ``seed_slopes.tsv``; None where there are no rows."""
    if not slopes:
        return None
    rows = [labels.region_row(row) | {"analysis": labels.analysis(row["analysis"])} for row in slopes]
    chosen = any("true" in (row["roi_defined_by_same_data"], row["seed_defined_by_same_data"]) for row in rows)
    return SeedsSection(sentences(rows), table(rows), chosen)
