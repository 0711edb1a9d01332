"""How far the trial's answers depend on the choices of the analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import number
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures, specification_tables
from pharmasl.report.specification_tables import Answer
from pharmasl.report.words import CI, Table, count, fixed, listed, p_words, signed
from pharmasl.sensitivity import curve_columns, naming
from pharmasl.sensitivity.curve_columns import DIMENSIONS
from pharmasl.study.labels import NAMES, Labels

CHOSEN = "the same data chose the region"


def read(table: FilePath, curve: FilePath, labels: Labels = NAMES) -> list[Answer]:
    """Read the answers from the two tables.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    labels : Labels

    Returns
    -------
    list of Answer
    """
    return [Answer(*parts, labels) for parts in curve_columns.read(table, curve)]


def largest_shift(answer: Answer) -> Row | None:
    """The row of the value that, in place of the main one, moves the estimate most; None if none does."""
    moved = [row for row in answer.choices if row["shift"] is not None and number(row["shift"]) != 0]
    return max(moved, key=lambda row: abs(number(row["shift"])), default=None)


def sentences(answer: Answer) -> list[str]:
    """What the specifications of one question show, one by one and together.

    Parameters
    ----------
    answer : Answer

    Returns
    -------
    list of str
    """
    if not answer.run:
        reasons = dict.fromkeys(row["status"].removeprefix("not run: ") for row in answer.rows)
        return [
            f"None of {count(int(answer.total['not_run']), 'specification')} gave an estimate: {'; '.join(reasons)}."
        ]
    return [_one_by_one(answer), _together(answer), *_most_moving(answer)]


def _one_by_one(answer: Answer) -> str:
    """The main specification's estimate, and how many of the others agree with it."""
    total, n = answer.total, answer.number
    of_all = f"{n} specification{'s' * (n != 1)}"
    significant = (
        ""
        if answer.chosen
        else f", and in {total['significant']} it is significant (p < 0.05) in the direction of the median"
    )
    what = "partial correlation (the estimates differ in unit)" if answer.unit_free else "estimate"
    if answer.main is None:
        text = (
            f"The main specification gave no estimate. In {total['same_sign']} of {of_all} the {what} has the same sign as "
            f"their median{significant}."
        )
    else:
        low, high = (fixed(answer.main[name]) for name in answer.columns[1:])
        own = "" if answer.chosen else f", {p_words(answer.main['p'])}"
        text = (
            f"The main specification's {what} is {answer.amount(total['main'])} ({CI} {low} to {high}, "
            f"n = {answer.main['n']}{own}). In {total['same_sign']} of {of_all} the effect has the same sign as in the main one{significant}."
        )
    if n > 1:
        noun = "partial correlations" if answer.unit_free else "estimates"
        text += f" The {noun} range from {signed(total['low'])} to {signed(total['high'])}, median {answer.amount(total['median'])}."
    lost = int(total["not_run"])
    if lost:
        text += f" {count(lost, 'further specification')} gave no estimate."
    searched = [row for row in answer.rows if row["p_fwe_voxel_smallest"] is not None]
    if searched:
        here = sum(number(row["p_fwe_cluster_in_region"]) < 0.05 for row in searched)
        text += (
            f" Over the whole brain, a cluster that reaches into the region has a family-wise p below 0.05 in {here} of "
            f"{len(searched)}."
        )
    return text


def _together(answer: Answer) -> str:
    """The joint tests of all specifications."""
    if answer.chosen:
        return f"They are not tested, one by one or together: {CHOSEN}."
    total = answer.total
    text = (
        f"All specifications tested together: joint {p_words(total['p_median'])} by the median estimate, "
        f"{p_words(total['p_significant'])} by the number significant and {p_words(total['p_mean_z'])} by the mean z."
    )
    if int(total["exchanged"]) < int(total["participants"]):
        text += (
            f" The relabellings exchange {total['exchanged']} of {count(int(total['participants']), 'participant')}; the others "
            "have nobody of the same specifications and block to be exchanged with."
        )
    return text


def _most_moving(answer: Answer) -> list[str]:
    """The choice that moves the estimate most, in no or one sentence."""
    row = largest_shift(answer)
    if row is None:
        return (
            ["No alternative could be compared with the main choice, or none changes the estimate."]
            if answer.number > 1
            else []
        )
    name = row["dimension"]
    of_main = next(
        other["value"] for other in answer.choices if other["dimension"] == name and other["of_main"] == "true"
    )
    return [
        f"The estimate depends most on {naming.dimension(name).lower()}: {naming.value(name, row['value'])} instead of "
        f"{naming.value(name, of_main)} shifts it by {answer.amount(row['shift'])} (median of "
        f"{count(int(row['pairs']), 'pair')} of specifications that differ in nothing else; range {signed(row['shift_low'])} to "
        f"{signed(row['shift_high'])})."
    ]


def verdict(answer: Answer) -> str:
    """One question in a sentence, for the top of the page."""
    if not answer.run:
        return f"For {answer.heading}, no specification gave an estimate."
    of_whom = "the main specification" if answer.main else "the median"
    start = f"For {answer.heading}, {answer.total['same_sign']} of {count(answer.number, 'specification')} agree in sign with {of_whom}"
    if answer.chosen:
        return f"{start}; not tested, as {CHOSEN}."
    return (
        f"{start} and {answer.total['significant']} {'is' if answer.total['significant'] == '1' else 'are'} significant; tested together "
        f"by the median, {p_words(answer.total['p_median'])}."
    )


def method(answers: Sequence[Answer], permutations: int, seed: int) -> str:
    """The paragraph of the methods text.

    Parameters
    ----------
    answers : sequence of Answer
    permutations, seed : int

    Returns
    -------
    str
    """
    varied = dict.fromkeys(row["dimension"] for answer in answers for row in answer.choices)
    most = max((len(answer.rows) for answer in answers), default=0)
    untested = ", save where the same data chose the region," if any(answer.chosen for answer in answers) else ""
    choices = f" ({listed(naming.dimension(name).lower() for name in varied)})" if varied else ""
    return (
        f"Sensitivity to the choices of the analysis was described by specification curves: {count(len(answers), 'question')} "
        f"answered in {count(most, 'specification')} each{choices}, by ordinary least squares on regional CBF. All specifications "
        f"of a question were{untested} tested together (Simonsohn et al. 2020, doi 10.1038/s41562-020-0912-z) by the median estimate, "
        "the number significant in its direction and the mean z, two-sided, against "
        f"{permutations:,} relabellings of the participants (the observed one counted; seed {seed}). One relabelling was "
        "applied to all specifications, to the residuals of each reduced model (Freedman & Lane 1983); only "
        "participants of the same specifications were exchanged."
    )


@dataclass(frozen=True)
class AnswerText:
    """One question in words."""

    heading: str
    meaning: str | None
    sentences: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SensitivitySection:
    """The section of the specification curves.

    Attributes
    ----------
    answers : sequence of AnswerText
    verdicts : sequence of str
        A sentence for each answer, for the top of the page.
    figure, alt : str
        The picture, and what stands for it where it cannot be seen.
    extremes, choices : Table
    every : sequence of Table
        All specifications, a table per answer.
    chosen : bool
        Whether a region was chosen by the same data.
    unit_free : bool
        Whether an answer's curve is one of partial correlations.
    relabellings : str
        How many were drawn.
    method : str
        The paragraph of the methods text.
    """

    answers: Sequence[AnswerText]
    verdicts: Sequence[str]
    figure: str
    alt: str
    extremes: Table
    choices: Table
    every: Sequence[Table]
    chosen: bool
    unit_free: bool
    relabellings: str
    method: str


def section(table: FilePath, curve: FilePath, figure: FilePath, labels: Labels = NAMES) -> SensitivitySection:
    """The section of the specification curves.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.
    figure : path-like
        ``specifications.svg``.
    labels : Labels

    Returns
    -------
    SensitivitySection
    """
    answers = read(table, curve, labels)
    rows = [row for answer in answers for row in answer.rows]
    dimensions = [name for name in DIMENSIONS if rows and name in rows[0]]
    varied = {row["dimension"] for answer in answers for row in answer.choices}
    shown = [name for name in dimensions if name in varied] or dimensions
    resampled = tables.read_json(Path(curve).with_suffix(".json"))["p_median"]
    texts = [AnswerText(answer.heading, answer.meaning, sentences(answer)) for answer in answers]
    return SensitivitySection(
        answers=texts,
        verdicts=[verdict(answer) for answer in answers],
        figure=pictures.fragment(figure),
        alt="Specification curves: the sorted estimates with 95 % intervals, and below them the choices of each "
        "specification. " + " ".join(" ".join(text.sentences) for text in texts),
        extremes=specification_tables.extremes(answers, shown),
        choices=specification_tables.choices(answers),
        every=[specification_tables.every(answer, dimensions) for answer in answers],
        chosen=any(answer.chosen for answer in answers),
        unit_free=any(answer.unit_free for answer in answers),
        relabellings=f"{resampled['Permutations']:,}",
        method=method(answers, resampled["Permutations"], resampled["Seed"]),
    )
