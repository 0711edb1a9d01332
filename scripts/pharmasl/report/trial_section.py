"""The verdict of the trial in words: what its primary answers show, corrected together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pharmasl.conduct import answers
from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report.words import NONE, Table, count, listed, p_words, plain
from pharmasl.study import primary
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Primary

CORRECTIONS = {
    "holm": "Holm's step-down method",
    "sequence": "testing in a fixed sequence, each at the full level until one is not significant",
    "joint": "the step-down minimum p over the relabellings that the analyses share",
}
UNDECLARED = (
    "No primary answer was declared, so this study is exploratory: each analysis controls its own error rate only, and its findings "
    "need confirmation in another study."
)


@dataclass(frozen=True)
class TrialSection:
    """The section of the verdict.

    Attributes
    ----------
    sentences : sequence of str
    table : Table or None
        None where no primary answer was declared.
    lines : Mapping
        A sentence for the section of each primary answer, by its name.
    """

    sentences: Sequence[str]
    table: Table | None
    lines: Mapping[str, str]


def name_in_words(name: str, labels: Labels) -> str:
    """An answer's name as the page says it, in the study's own words where it has some."""
    if name == primary.CRAVING:
        return "cue-elicited craving"
    score, dot, roi = name.rpartition(".")
    return f"{labels.region(roi)} with {plain(score)}" if dot else labels.analysis(name)


def _with_p(row: Row, labels: Labels) -> str:
    p = p_words(row["p_corrected"])
    own = "" if row["p"] == row["p_corrected"] else f" (unadjusted {p_words(row['p'])})"
    return f"{name_in_words(row['answer'], labels)}, {p}{own}"


def _reason(row: Row) -> str:
    """Why an answer could not be given, without the words that say so."""
    return row["status"].removeprefix("not answered: ").removeprefix("not run: ")


def sentences(rows: Sequence[Row], labels: Labels = NAMES) -> list[str]:
    """What the trial shows, what it does not, and what it could not answer.

    Parameters
    ----------
    rows : sequence of Row
        Of ``verdict.tsv``.
    labels : Labels
        What the study's analyses and regions are called.

    Returns
    -------
    list of str
    """
    first = [row for row in rows if row["role"] == primary.PRIMARY]
    alpha, correction = float(first[0]["alpha"]), first[0]["correction"]
    several = len(first) > 1
    how = f"at a level of {alpha:g}"
    if several:
        how = f"after correction over {len(first)} primary answers ({CORRECTIONS[correction]}; family-wise error rate {alpha:g})"
    shown = [row for row in first if row["significant"] == "yes"]
    failed = [row for row in first if row["p_corrected"] is None or row["status"] != answers.ANSWERED]
    not_shown = [row for row in first if row not in shown and row not in failed]
    text = []
    if shown:
        text.append(f"Significant {how}: {'; '.join(_with_p(row, labels) for row in shown)}.")
    elif not_shown:
        text.append(
            f"{'None of the primary answers was' if several else 'The primary answer was not'} significant {how}."
        )
    else:
        text.append("No primary answer could be tested: the trial is evidence neither for nor against an effect.")
    if not_shown:
        text.append(
            f"Not significant: {'; '.join(_with_p(row, labels) for row in not_shown)}. Absence of evidence is not evidence of absence."
        )
    if failed:
        reasons = "; ".join(f"{name_in_words(row['answer'], labels)} ({_reason(row)})" for row in failed)
        text.append(f"Could not be tested, and counted as not significant: {reasons}.")
    second = [name_in_words(row["answer"], labels) for row in rows if row["role"] == primary.SECONDARY]
    text.append(
        (f"Secondary, each tested at its own level: {listed(second)}. " if second else "")
        + "All other results on this page are exploratory."
    )
    return text


def table(rows: Sequence[Row], labels: Labels = NAMES) -> Table:
    """The answers, their p by themselves and corrected."""
    cells = [
        [
            name_in_words(row["answer"], labels),
            row["role"],
            labels.term(row["test"] or NONE),
            p_value(row["p"]) if row["p"] is not None else MISSING,
            NONE if row["role"] != primary.PRIMARY else p_value(row["p_corrected"]),
            {"yes": "significant", "no": "not significant", None: NONE}[row["significant"]],
            "" if row["status"] == answers.ANSWERED else row["status"],
        ]
        for row in rows
    ]
    marked = {k for k, row in enumerate(rows) if row["significant"] == "yes"}
    heads = ["Answer", "Role", "Test", "p unadjusted", "p adjusted", "Result", "Note"]
    return Table("The declared answers (bold: significant after correction)", heads, cells, {0, 1, 2, 5, 6}, marked)


def method(declared: Primary | None, labels: Labels = NAMES) -> str:
    """What was declared, for the methods' text."""
    if declared is None:
        return (
            "No primary answer was declared; all analyses are exploratory, and each controls its own error rate only."
        )
    first, second = (
        [name_in_words(name, labels) for name in names] for names in (declared.answers, declared.secondary)
    )
    text = f"{count(len(first), 'primary answer was', 'primary answers were')} declared in the configuration: {listed(first)}"
    if len(first) > 1:
        text += f", corrected for multiplicity by {CORRECTIONS[declared.correction]} at a family-wise error rate of {declared.alpha:g}"
    else:
        text += f", tested at a level of {declared.alpha:g}"
    support = f" Secondary answers ({listed(second)}) are each tested at their own level." if second else ""
    return f"{text}. An answer that could not be tested counts as not significant.{support} All others are exploratory."


def section(verdict: FilePath | None, labels: Labels = NAMES) -> TrialSection:
    """The verdict in ``verdict.tsv``, or that nothing is declared where there is none."""
    if verdict is None:
        return TrialSection([UNDECLARED], None, {})
    rows = tables.read_table(verdict)
    first = [row for row in rows if row["role"] == primary.PRIMARY]
    lines = {}
    for row in first if len(first) > 1 else []:
        if row["p_corrected"] is not None:
            shown = "significant" if row["significant"] == "yes" else "not significant"
            lines[row["answer"]] = (
                f"Corrected over the {len(first)} primary answers of the trial: {p_words(row['p_corrected'])}, {shown}."
            )
    return TrialSection(sentences(rows, labels), table(rows, labels), lines)
