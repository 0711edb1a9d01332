"""Correlations of craving with regional perfusion: the declared test in each region, and those that describe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.endpoints import families
from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import left_out_section, pictures
from pharmasl.report.left_out_section import LeftOutSection
from pharmasl.report.words import CI, DAGGER, MINUS, NONE, Table, between, columns_named, count, fixed, p_words, plain
from pharmasl.study import primary
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms, DeclaredCorrelation, Primary

TIMINGS = {"change": "change", "baseline": "baseline", "followup": "follow-up"}
METHODS = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "percentage_bend": "percentage bend",
    "pearson_difference": "difference of Pearson",
    "slope_interaction": "difference of slopes (points per mL/100 g/min)",
}
_TOPICS = {
    "change": "Change in CBF and change in cue-elicited craving",
    "baseline": "CBF and cue-elicited craving, both at baseline",
    "followup": "CBF and cue-elicited craving, both at follow-up",
}
# Columns of the table that hold words, and the one that a table of changes alone leaves out.
_WORDS, _WHEN = (0, 1, 2, 3, 4, 5, 14), 2


@dataclass(frozen=True, kw_only=True)
class RelationTest:
    """Which correlation is tested, and what its answer is to the trial.

    Attributes
    ----------
    declared : DeclaredCorrelation
    family : {"test", "all"}
        Whether the p of the declared test, or those of all correlations, are corrected together.
    arms : Arms
    primary : Primary or None
    """

    declared: DeclaredCorrelation
    family: str
    arms: Arms
    primary: Primary | None

    @property
    def compares_arms(self) -> bool:
        """Whether the declared test compares the arms."""
        return self.declared.method in families.COMPARISONS

    def fits(self, row: Row) -> bool:
        """Whether a row is of the declared test, in whatever region."""
        return families.is_declared(self.declared, row, self.arms)

    def role(self, row: Row) -> str:
        """The role of a correlation; one that only describes is exploratory."""
        tested = self.fits(row) and row["role"] == families.TESTED
        return primary.role(self.primary, primary.correlation(row["roi"])) if tested else primary.EXPLORATORY


def introduction(rows: Sequence[Row], relation: RelationTest) -> str:
    """What the table of correlations tests, and what it describes."""
    declared = relation.declared
    topic = _TOPICS["change" if relation.compares_arms else declared.timing]
    who = "over both arms and adjusted for arm"
    if declared.group != "all":
        who = f"on {relation.arms.treatment if declared.group == 'treatment' else relation.arms.control}"
    who = "compared between the arms" if relation.compares_arms else who
    number = next((int(row["family_size"]) for row in rows if row["role"] == families.TESTED), 0)
    if relation.family == "all":
        return f"{topic}, {who}. All {number} correlations and comparisons in the table form one family and are corrected together."
    corrected = f", corrected over {count(number, 'region')}" if number > 1 else ""
    return (
        f"{topic}, {who} ({METHODS[declared.method]}): the declared test{corrected}. All other correlations are descriptive: "
        "their p values are uncorrected and test nothing."
    )


def sentences(rows: Sequence[Row], relation: RelationTest, labels: Labels = NAMES) -> list[str]:
    """The result of the declared test in each region."""
    return [_sentence(row, relation, labels) for row in rows if relation.fits(row)]


def _sentence(row: Row, relation: RelationTest, labels: Labels) -> str:
    words = labels.region_row(row)
    name = f"{words['roi']} ({words['contrast']}, {relation.role(row)})"
    if row["region_of"] == "others":
        name += ", region defined without the participant"
    elif row["roi_defined_by_same_data"] == "true":
        name += ", a cluster in the same data"
    if row["estimate"] is None:
        return f"{name}: not tested, {row['note'] or 'no values'}."
    symbol = "r" if relation.declared.method == "pearson" else METHODS[relation.declared.method]
    interval = between(row["ci_low"], row["ci_high"])
    text = f"{name}: {symbol} = {fixed(row['estimate'])} ({CI} {interval}, n = {row['n']})"
    if row["role"] == families.DESCRIBED:
        return f"{text}; descriptive only."
    corrected = f", corrected for {row['family_size']} tests {p_words(row['p_holm'])}"
    return f"{text}, {p_words(row['p'])}{corrected if row['family_size'] != '1' else ''}."


def table(rows: Sequence[Row], everything: bool, relation: RelationTest, labels: Labels = NAMES) -> Table:
    """The correlations: the tests and those of changes by Pearson's r, or all.

    Parameters
    ----------
    rows : sequence of Row
        Of ``roi_craving.tsv``.
    everything : bool
    relation : RelationTest
    labels : Labels, optional

    Returns
    -------
    Table
    """
    shown = [
        row
        for row in rows
        if everything
        or row["role"] == families.TESTED
        or (row["timing"] == "change" and row["method"] not in ("spearman", "percentage_bend"))
    ]
    cells, heads, text = [_cells(row, relation, labels) for row in shown], _HEADS, set(_WORDS)
    caption = "All correlations of CBF and craving"
    if not everything:
        caption = _TOPICS["change"]
        if all(row["timing"] == "change" for row in shown):
            cells = [row[:_WHEN] + row[_WHEN + 1 :] for row in cells]
            heads = heads[:_WHEN] + heads[_WHEN + 1 :]
            text = {k - (k > _WHEN) for k in _WORDS if k != _WHEN}
        else:
            caption += ", and the tests"
    marked = {k for k, row in enumerate(shown) if row["role"] == families.TESTED}
    wanted = ["Region", "Contrast", "When", "Group", "Method", "Estimate", "95", "p Holm", "n"]
    main = None if everything else columns_named(heads, wanted)
    return Table(f"{caption} (tests in bold; the others are descriptive)", heads, cells, text, marked, main=main)


_HEADS = [
    "Region",
    "Contrast",
    "When",
    "Group",
    "Method",
    "Role",
    "Estimate",
    "95 % CI",
    "p",
    "p Holm",
    "p FDR",
    "p max |r|",
    "Range, leaving one participant out",
    "n",
    "Note",
]


def _cells(row: Row, relation: RelationTest, labels: Labels) -> list[str]:
    words = labels.region_row(row)
    dagger = f" {DAGGER}" if row["roi_defined_by_same_data"] == "true" else ""
    reading = ", region without the participant" if row.get("region_of") == "others" else ""
    without = row.get("without_one_low") is not None
    return [
        words["roi"] + dagger + reading,
        words["contrast"],
        TIMINGS.get(row["timing"], row["timing"]),
        words["group"].replace(" - ", f" {MINUS} "),
        METHODS.get(row["method"], row["method"]),
        relation.role(row),
        fixed(row["estimate"]),
        between(row["ci_low"], row["ci_high"]),
        p_value(row["p"]),
        *(NONE if row[name] is None else p_value(row[name]) for name in ("p_holm", "p_fdr", "p_max")),
        f"{fixed(row['without_one_low'])} to {fixed(row['without_one_high'])}" if without else NONE,
        row["n"] or MISSING,
        row["note"] or "",
    ]


def mediation_table(rows: Sequence[Row]) -> Table:
    """The effects of the exploratory mediation with their bootstrap intervals."""
    cells = [
        [
            row["effect"].replace("->", "\u2192"),
            fixed(row["estimate"]),
            *(
                MISSING
                if row[f"{name}_low"] is None
                else f"{fixed(row[f'{name}_low'])} to {fixed(row[f'{name}_high'])}"
                for name in ("percentile", "bca")
            ),
            row["n"],
            row["note"] or "",
        ]
        for row in rows
    ]
    chain = [rows[0][name] for name in ("m1", "m2") if rows[0][name]]
    dagger = f" {DAGGER}" if rows[0]["roi_defined_by_same_data"] == "true" else ""
    heads = ["Effect", "Estimate", "95 % CI (percentile)", "95 % CI (BCa)", "n", "Note"]
    named = "; ".join(f"m{k} {plain(name)}" for k, name in enumerate(chain, start=1))
    return Table(f"Exploratory mediation of changes: {named}{dagger}", heads, cells, {0, 5})


@dataclass(frozen=True, kw_only=True)
class RelationResults:
    """The results that the section shows.

    Attributes
    ----------
    correlations : path-like
        ``roi_craving.tsv``.
    figure : path-like or None
    mediation : path-like or None
        ``craving_mediation.tsv``.
    left_out_tests : sequence of path-like
        ``{roi}_leftout_test.json`` of regions that are clusters.
    """

    correlations: FilePath
    figure: FilePath | None
    mediation: FilePath | None
    left_out_tests: Sequence[FilePath]


@dataclass(frozen=True, kw_only=True)
class RelationsSection:
    """The section of regional perfusion and craving.

    Attributes
    ----------
    introduction : str
    sentences : sequence of str
    table, all : Table
        The correlations of changes with the tests, and all correlations.
    figure : str or None
    alt : str
        What stands for the figure where it cannot be seen.
    chosen : bool
        Whether a region was chosen by the same data.
    left_out : LeftOutSection or None
    mediation : Table or None
    """

    introduction: str
    sentences: Sequence[str]
    table: Table
    all: Table
    figure: str | None
    alt: str
    chosen: bool
    left_out: LeftOutSection | None
    mediation: Table | None


def section(
    results: RelationResults, relation: RelationTest, chosen_by: Mapping[str, str], labels: Labels = NAMES
) -> RelationsSection:
    """The section of regional perfusion and craving.

    Parameters
    ----------
    results : RelationResults
    relation : RelationTest
    chosen_by : Mapping
        Region that is a cluster to the analysis that found it.
    labels : Labels, optional

    Returns
    -------
    RelationsSection
    """
    rows = tables.read_table(results.correlations)
    text = sentences(rows, relation, labels)
    tests = {
        Path(path).name.removesuffix(left_out_section.SUFFIX): tables.read_json(path) for path in results.left_out_tests
    }
    return RelationsSection(
        introduction=introduction(rows, relation),
        sentences=text,
        table=table(rows, False, relation, labels),
        all=table(rows, True, relation, labels),
        figure=pictures.fragment(results.figure) if results.figure else None,
        alt="Change in craving against change in CBF in each region. " + " ".join(text),
        chosen=any(row["roi_defined_by_same_data"] == "true" for row in rows),
        left_out=left_out_section.section(tests, chosen_by, labels),
        mediation=mediation_table(tables.read_table(results.mediation)) if results.mediation else None,
    )
