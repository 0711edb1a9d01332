"""How far the trial's answers depend on the choices of the analysis."""

from pharmasl.files import tables
from pharmasl.report import pictures
from pharmasl.report.words import (
    HARD,
    MINUS,
    MISSING,
    Table,
    count,
    fixed,
    listed,
    number,
    p_value,
    p_words,
    plain,
    signed,
)
from pharmasl.sensitivity import curve_columns, naming
from pharmasl.sensitivity.curve_columns import DIMENSIONS, WHOLE_BRAIN

CI = f"95{HARD}%{HARD}CI"
DAGGER = "\u2020"
NONE = "\u2013"


class Answer:
    """One question: its rows of ``specifications.tsv`` and of ``curve.tsv``.

    Parameters
    ----------
    total : dict
        The row of ``curve.tsv`` about all specifications.
    rows, choices : list of dict
        Its other rows: specifications sorted by rank, and values of choices.
    """

    def __init__(self, total, rows, choices):
        self.total, self.rows, self.choices = total, rows, choices
        self.run = [row for row in rows if row["rank"]]
        self.main = next((row for row in self.run if row["main"] == "true"), None)
        self.chosen = any(row["defined_by_same_data"] == "true" for row in rows)
        self.unit_free = total["scale"] == "partial_r"
        self.names = (
            ("partial_r", "partial_r_low", "partial_r_high") if self.unit_free else ("estimate", "ci_low", "ci_high")
        )

    @property
    def heading(self):
        """The answer's name, with a dagger where its region was chosen by the same data."""
        return plain(self.total["answer"]) + (f" {DAGGER}" if self.chosen else "")

    @property
    def meaning(self):
        """What a positive estimate means."""
        return next((row["meaning"] for row in self.rows if row["meaning"]), None)

    @property
    def unit(self):
        """The unit after a number, with its space; empty for a number without one."""
        unit = self.total["unit"]
        return "" if unit in (None, "1") else f"{HARD}{unit}"

    def amount(self, value):
        """A number on the curve's scale with its unit."""
        return signed(value) + self.unit


def read(table, curve):
    """Read the answers from the two tables.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.

    Returns
    -------
    list of Answer
    """
    return [Answer(*each) for each in curve_columns.read(table, curve)]


def largest_shift(answer):
    """The row of the value that, in place of the main one, moves the estimate most; None if none does."""
    moved = [row for row in answer.choices if row["shift"] is not None and number(row["shift"]) != 0]
    return max(moved, key=lambda row: abs(number(row["shift"])), default=None)


def sentences(answer):
    """Say what the specifications of one question found, one by one and together.

    Parameters
    ----------
    answer : Answer

    Returns
    -------
    list of str
    """
    total, n = answer.total, int(answer.total["specifications"])
    lost = int(total["not_run"])
    if not n:
        reasons = dict.fromkeys(row["status"].removeprefix("not run: ") for row in answer.rows)
        return [f"None of {count(lost, 'specification')} gave an estimate: {'; '.join(reasons)}."]
    of_all = f"{n} specification{'s' * (n != 1)}"
    what = "partial correlation (the estimates differ in unit)" if answer.unit_free else "estimate"
    if answer.main is None:
        told = [
            f"The main specification gave no estimate. In {total['same_sign']} of {of_all} the {what} has the sign of their "
            f"median, in {total['significant']} it is significant in that direction (p < 0.05)."
        ]
    else:
        low, high = (fixed(answer.main[name]) for name in answer.names[1:])
        told = [
            f"The main specification's {what} is {answer.amount(total['main'])} ({CI} {low} to {high}, "
            f"n = {answer.main['n']}, {p_words(answer.main['p'])}). In {total['same_sign']} of {of_all} the effect has the "
            f"sign of the main one, in {total['significant']} it is significant in the direction of the median (p < 0.05)."
        ]
    if n > 1:
        told[0] += (
            f" From lowest to highest: {signed(total['low'])} to {signed(total['high'])}, median {answer.amount(total['median'])}."
        )
    if lost:
        told[0] += f" {count(lost, 'further specification')} gave no estimate."
    searched = [row for row in answer.rows if row["p_fwe_voxel_smallest"] is not None]
    if searched:
        here = sum(number(row["p_fwe_cluster_in_region"]) < 0.05 for row in searched)
        told[0] += (
            f" Over the whole brain, a cluster that reaches into the region has a family-wise p below 0.05 in {here} of "
            f"{len(searched)}."
        )
    told.append(
        f"All specifications together: joint {p_words(total['p_median'])} by the median, "
        f"{p_words(total['p_significant'])} by the number significant, {p_words(total['p_mean_z'])} by the mean z."
    )
    if int(total["exchanged"]) < int(total["participants"]):
        told[-1] += (
            f" {total['exchanged']} of {count(int(total['participants']), 'participant')} change places in the relabellings; "
            "nobody else has the same specifications and block as one of the others."
        )
    row = largest_shift(answer)
    if row is not None:
        of_main = next(
            each["value"]
            for each in answer.choices
            if each["dimension"] == row["dimension"] and each["of_main"] == "true"
        )
        name = row["dimension"]
        told.append(
            f"The choice that moves it most is {naming.dimension(name).lower()}: {naming.value(name, row['value'])} instead of "
            f"{naming.value(name, of_main)} shifts it by {answer.amount(row['shift'])} (median of "
            f"{count(int(row['pairs']), 'pair')} of specifications alike in all else, {signed(row['shift_low'])} to "
            f"{signed(row['shift_high'])})."
        )
    elif n > 1:
        told.append("No choice could be compared with the main one's, or none moves it.")
    return told


def verdict(answer):
    """One question in a clause, for the top of the page."""
    n = int(answer.total["specifications"])
    if not n:
        return f"{answer.heading}: no specification gave an estimate."
    of_whom = "the main specification" if answer.main else "the median"
    return (
        f"{answer.heading}: the sign of {of_whom} in {answer.total['same_sign']} of {n}, significant in "
        f"{answer.total['significant']}; joint {p_words(answer.total['p_median'])} (median)."
    )


def method(answers, permutations, seed):
    """The paragraph of the methods text.

    Parameters
    ----------
    answers : list of Answer
    permutations, seed : int

    Returns
    -------
    str
    """
    varied = dict.fromkeys(row["dimension"] for each in answers for row in each.choices)
    most = max((len(each.rows) for each in answers), default=0)
    of = f" ({listed(naming.dimension(name).lower() for name in varied)})" if varied else ""
    return (
        f"Sensitivity to the choices of the analysis was told by specification curves: {count(len(answers), 'question')} "
        f"answered in {count(most, 'specification')} each{of}, by ordinary least squares on regional CBF. All specifications "
        "of a question were tested together (Simonsohn et al. 2020, doi 10.1038/s41562-020-0912-z) by the median estimate, "
        "the number significant in its direction and the mean z, two-sided, against "
        f"{permutations:,} relabellings of the participants (the observed one counted; seed {seed}). One relabelling was "
        "applied to all specifications, to the residuals of each reduced model (Freedman & Lane 1983); places were changed "
        "among participants of the same specifications."
    )


def described(row, dimensions):
    """A specification's choices in words, those of the user's own names with the choice they belong to."""
    told = []
    for name in dimensions:
        of = f"{naming.dimension(name).lower()}: " if name in ("quality", "covariates") else ""
        told.append(of + naming.value(name, row[name]))
    return ", ".join(told)


def _interval(row, names):
    if row[names[1]] is None or row[names[2]] is None:
        return MISSING
    return f"{fixed(row[names[1]])} to {fixed(row[names[2]])}"


def _estimates(row):
    """Cells that both tables of specifications end with."""
    return [
        fixed(row["estimate"]),
        _interval(row, ("estimate", "ci_low", "ci_high")),
        row["unit"] or MISSING,
        fixed(row["partial_r"]),
        fixed(row["t"]),
        row["df"] or MISSING,
        p_value(row["p"]),
        p_value(row["p_permutation"]),
        row["n"] or MISSING,
    ]


_ESTIMATES = ["Estimate", "95 % CI", "Unit", "Partial r", "t", "df", "p", "p permutation", "n"]
_WHOLE_BRAIN = ["p FWE, cluster in region", "p FWE, any cluster", "p FWE, any voxel", "Sign in region"]
_SIGNS = {"1": "+", "-1": MINUS, None: NONE}


def _whole_brain(row):
    *p, sign = WHOLE_BRAIN
    return [p_value(row[name]) if row[name] is not None else NONE for name in p] + [_SIGNS.get(row[sign], row[sign])]


def extremes(answers, dimensions):
    """The main specification of each question beside those with the lowest and the highest estimate."""
    cells, marked = [], set()
    for answer in answers:
        if not answer.run:
            continue
        shown = [("main", answer.main)] if answer.main else []
        if len(answer.run) > 1:
            shown += [("lowest", answer.run[0]), ("highest", answer.run[-1])]
        elif not shown:
            shown = [("only one", answer.run[0])]
        for which, row in shown:
            if which == "main":
                marked.add(len(cells))
            cells.append([answer.heading, which, described(row, dimensions), *_estimates(row)])
    heads = ["Answer", "Specification", "Its choices"]
    return Table("The main specification and the extremes", [*heads, *_ESTIMATES], cells, {0, 1, 2, 5}, marked)


def every(answer, dimensions):
    """All specifications of one question."""
    brain = any(row[name] is not None for row in answer.rows for name in WHOLE_BRAIN)
    cells, marked = [], set()
    for k, row in enumerate(answer.rows):
        if row["main"] == "true":
            marked.add(k)
        status = row["status"].removeprefix("not run: ") if not row["rank"] else ""
        choices = [naming.value(name, row[name]) for name in dimensions]
        cells.append([row["rank"] or NONE, *choices, *_estimates(row), *(_whole_brain(row) if brain else []), status])
    heads = [
        "Rank",
        *(naming.dimension(name) for name in dimensions),
        *_ESTIMATES,
        *(_WHOLE_BRAIN if brain else []),
        "Not run",
    ]
    words = set(range(1, 1 + len(dimensions))) | {3 + len(dimensions), len(heads) - 1}
    return Table(f"All specifications: {answer.heading} (the main one in bold)", heads, cells, words, marked)


def choices(answers):
    """What each value of each choice does to the estimates."""
    cells, marked = [], set()
    for answer in answers:
        for row in answer.choices:
            if row["of_main"] == "true":
                marked.add(len(cells))
            spread = MISSING if row["low"] is None else f"{fixed(row['low'])} to {fixed(row['high'])}"
            moved = NONE
            if row["shift"] is not None:
                moved = f"{signed(row['shift'])} ({signed(row['shift_low'])} to {signed(row['shift_high'])})"
            cells.append(
                [
                    answer.heading,
                    naming.dimension(row["dimension"]),
                    naming.value(row["dimension"], row["value"]),
                    "partial correlation" if answer.unit_free else answer.total["unit"] or MISSING,
                    fixed(row["median"]),
                    spread,
                    moved,
                    row["pairs"] or NONE,
                    f"{row['significant']} of {row['specifications']}",
                ]
            )
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
    return Table("What each choice does (the main specification's values in bold)", heads, cells, {0, 1, 2, 3}, marked)


def section(table, curve, figure):
    """All that the page shows of the specification curves.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    figure : path-like
        ``specifications.png``.

    Returns
    -------
    dict
    """
    answers = read(table, curve)
    rows = [row for answer in answers for row in answer.rows]
    dimensions = [name for name in DIMENSIONS if rows and name in rows[0]]
    varied = [name for name in dimensions if any(row["dimension"] == name for each in answers for row in each.choices)]
    resampled = tables.read_json(str(curve).removesuffix(".tsv") + ".json")["p_median"]
    told = [{"heading": each.heading, "meaning": each.meaning, "sentences": sentences(each)} for each in answers]
    return {
        "answers": told,
        "verdicts": [verdict(each) for each in answers],
        "figure": pictures.png(figure),
        "alt": "Specification curves: the sorted estimates with 95 % intervals, and below them the choices of each "
        "specification. " + " ".join(" ".join(each["sentences"]) for each in told),
        "extremes": extremes(answers, varied or dimensions),
        "choices": choices(answers),
        "every": [every(each, dimensions) for each in answers],
        "chosen": any(each.chosen for each in answers),
        "unit_free": any(each.unit_free for each in answers),
        "relabellings": f"{resampled['Permutations']:,}",
        "method": method(answers, resampled["Permutations"], resampled["Seed"]),
    }
