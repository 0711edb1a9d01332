"""The tables of the specification curves: the extremes, every specification, and what each choice does."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.figures.numerals import MISSING, Number, p_value
from pharmasl.files.tables import Row
from pharmasl.report.words import DAGGER, HARD, MINUS, NONE, Table, between, columns_named, fixed, signed
from pharmasl.sensitivity import naming
from pharmasl.sensitivity.curve_columns import WHOLE_BRAIN
from pharmasl.study.labels import NAMES, Labels


@dataclass(frozen=True)
class Answer:
    """One question under all its specifications.

    Attributes
    ----------
    total : Row
        The row of ``curve.tsv`` about all specifications.
    rows : sequence of Row
        Rows of ``specifications.tsv``, sorted by rank.
    choices : sequence of Row
        The other rows of ``curve.tsv``: values of choices.
    labels : Labels
    """

    total: Row
    rows: Sequence[Row]
    choices: Sequence[Row]
    labels: Labels = NAMES

    @property
    def run(self) -> list[Row]:
        """The specifications with an estimate, the lowest first."""
        return [row for row in self.rows if row["rank"]]

    @property
    def number(self) -> int:
        """How many specifications have an estimate."""
        return int(self.total["specifications"])

    @property
    def main(self) -> Row | None:
        """The main specification; None if it has no estimate."""
        return next((row for row in self.run if row["main"] == "true"), None)

    @property
    def chosen(self) -> bool:
        """Whether the region was chosen by the same data."""
        return any(row["defined_by_same_data"] == "true" for row in self.rows)

    @property
    def unit_free(self) -> bool:
        """Whether the curve is one of partial correlations, since the estimates differ in unit."""
        return self.total["scale"] == "partial_r"

    @property
    def columns(self) -> tuple[str, str, str]:
        """Columns of the estimate on the curve's scale and of its 95 % confidence interval."""
        return ("partial_r", "partial_r_low", "partial_r_high") if self.unit_free else ("estimate", "ci_low", "ci_high")

    @property
    def heading(self) -> str:
        """The answer's name, with a dagger where its region was chosen by the same data."""
        return self.labels.answer(str(self.total["answer"])) + (f" {DAGGER}" if self.chosen else "")

    @property
    def meaning(self) -> str | None:
        """What a positive estimate means."""
        return next((self.labels.meaning(row["meaning"]) for row in self.rows if row["meaning"]), None)

    @property
    def unit(self) -> str:
        """The unit after a number, with its space; empty for a number without one."""
        unit = self.total["unit"]
        return "" if unit in (None, "1") else f"{HARD}{unit}"

    def amount(self, value: Number) -> str:
        """A number on the curve's scale with its unit."""
        return signed(value) + self.unit


_ESTIMATES = ["Estimate", "95 % CI", "Unit", "Partial r", "t", "df", "p", "p permutation", "n"]
_WHOLE_BRAIN = ["p FWE, cluster in region", "p FWE, any cluster", "p FWE, any voxel", "Sign in region"]


def described(row: Row, dimensions: Sequence[str]) -> str:
    """A specification's choices in words, those of the user's own names with the choice they belong to."""
    parts = []
    for name in dimensions:
        start = f"{naming.dimension(name).lower()}: " if name in ("quality", "covariates") else ""
        parts.append(start + naming.value(name, row[name]))
    return ", ".join(parts)


def _estimates(row: Row) -> list[str]:
    """Cells that both tables of specifications end with."""
    return [
        fixed(row["estimate"]),
        between(row["ci_low"], row["ci_high"]),
        row["unit"] or MISSING,
        fixed(row["partial_r"]),
        fixed(row["t"]),
        row["df"] or MISSING,
        p_value(row["p"]),
        p_value(row["p_permutation"]),
        row["n"] or MISSING,
    ]


def _whole_brain(row: Row) -> list[str]:
    *p, sign = WHOLE_BRAIN
    cells = [p_value(row[name]) if row[name] is not None else NONE for name in p]
    return [*cells, NONE if row[sign] is None else {"1": "+", "-1": MINUS}.get(row[sign], str(row[sign]))]


def extremes(answers: Sequence[Answer], dimensions: Sequence[str]) -> Table:
    """The main specification of each question beside those with the lowest and the highest estimate."""
    cells: list[list[str]] = []
    marked = set()
    for answer in answers:
        run, main = answer.run, answer.main
        if not run:
            continue
        shown = [("main", main)] if main else []
        if len(run) > 1:
            shown += [("lowest", run[0]), ("highest", run[-1])]
        elif not shown:
            shown = [("only one", run[0])]
        for which, row in shown:
            if which == "main":
                marked.add(len(cells))
            cells.append([answer.heading, which, described(row, dimensions), *_estimates(row)])
    heads = ["Answer", "Specification", "Its choices"]
    heads += _ESTIMATES
    shown_first = columns_named(
        heads, ["Answer", "Specification", "Its choices", "Estimate", "95", "p permutation", "n"]
    )
    return Table("The main specification and the extremes", heads, cells, {0, 1, 2, 5}, marked, main=shown_first)


def every(answer: Answer, dimensions: Sequence[str]) -> Table:
    """All specifications of one question."""
    searched = any(row[name] is not None for row in answer.rows for name in WHOLE_BRAIN)
    cells = [
        [
            row["rank"] or NONE,
            *(naming.value(name, row[name]) for name in dimensions),
            *_estimates(row),
            *(_whole_brain(row) if searched else []),
            row["status"].removeprefix("not run: ") if not row["rank"] else "",
        ]
        for row in answer.rows
    ]
    heads = [
        "Rank",
        *map(naming.dimension, dimensions),
        *_ESTIMATES,
        *(_WHOLE_BRAIN if searched else []),
        "Not run",
    ]
    marked = {k for k, row in enumerate(answer.rows) if row["main"] == "true"}
    words = set(range(1, 1 + len(dimensions))) | {3 + len(dimensions), len(heads) - 1}
    return Table(f"All specifications: {answer.heading} (the main one in bold)", heads, cells, words, marked)


def choices(answers: Sequence[Answer]) -> Table:
    """What each value of each choice does to the estimates."""
    rows = [(answer, row) for answer in answers for row in answer.choices]
    heads = [
        "Answer",
        "Choice",
        "Value",
        "Unit",
        "Median",
        "Lowest to highest",
        "Shift from the main value, all else equal",
        "Pairs",
        "Significant",
    ]
    return Table(
        "What each choice does (the main specification's values in bold)",
        heads,
        [_choice(answer, row) for answer, row in rows],
        {0, 1, 2, 3},
        {k for k, (_, row) in enumerate(rows) if row["of_main"] == "true"},
    )


def _choice(answer: Answer, row: Row) -> list[str]:
    moved = NONE
    if row["shift"] is not None:
        moved = f"{signed(row['shift'])} ({signed(row['shift_low'])} to {signed(row['shift_high'])})"
    return [
        answer.heading,
        naming.dimension(row["dimension"]),
        naming.value(row["dimension"], row["value"]),
        "partial correlation" if answer.unit_free else answer.total["unit"] or MISSING,
        fixed(row["median"]),
        MISSING if row["low"] is None else f"{fixed(row['low'])} to {fixed(row['high'])}",
        moved,
        row["pairs"] or NONE,
        NONE if row["significant"] is None else f"{row['significant']} of {row['specifications']}",
    ]
