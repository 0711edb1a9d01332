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
from pharmasl.study.settings import Primary

CORRECTIONS = {
    "holm": "Holm's step-down method",
    "sequence": "the fixed sequence, each at the full level until the first that is not shown",
    "joint": "the step-down least p over the relabellings that the analyses have in common",
}
UNDECLARED = (
    "No primary answer was declared: this study is exploratory. Each analysis has its own error rate, no answer decides the "
    "trial, and what is found is to be confirmed by another."
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


def name_in_words(name: str) -> str:
    """An answer's name as the page says it."""
    if name == primary.CRAVING:
        return "cue-elicited craving"
    score, dot, roi = name.rpartition(".")
    return f"{plain(roi)} with {plain(score)}" if dot else plain(name)


def _with_p(row: Row) -> str:
    p = p_words(row["p_corrected"])
    own = "" if row["p"] == row["p_corrected"] else f" ({p_words(row['p'])} by itself)"
    return f"{name_in_words(row['answer'])}, {p}{own}"


def _reason(row: Row) -> str:
    """Why an answer could not be given, without the words that say so."""
    return row["status"].removeprefix("not answered: ").removeprefix("not run: ")


def sentences(rows: Sequence[Row]) -> list[str]:
    """What the trial shows, what it does not, and what it could not answer.

    Parameters
    ----------
    rows : sequence of Row
        Of ``verdict.tsv``.

    Returns
    -------
    list of str
    """
    first = [row for row in rows if row["role"] == primary.PRIMARY]
    alpha, correction = float(first[0]["alpha"]), first[0]["correction"]
    how = f"at family-wise error {alpha:g} over {count(len(first), 'primary answer')}"
    how += f", by {CORRECTIONS[correction]}" if len(first) > 1 else ""
    shown = [row for row in first if row["significant"] == "yes"]
    failed = [row for row in first if row["p_corrected"] is None or row["status"] != answers.ANSWERED]
    not_shown = [row for row in first if row not in shown and row not in failed]
    text = []
    if shown:
        text.append(f"The trial shows, {how}: {'; '.join(map(_with_p, shown))}.")
    elif not_shown:
        text.append(f"The trial shows none of its primary answers, {how}.")
    else:
        text.append(f"The trial could not answer what it rests on, {how}: it says nothing for or against an effect.")
    if not_shown:
        text.append(f"Not shown: {'; '.join(map(_with_p, not_shown))}. Absence of evidence is no evidence of absence.")
    if failed:
        reasons = "; ".join(f"{name_in_words(row['answer'])} ({_reason(row)})" for row in failed)
        text.append(f"Not answered, and counted as not shown: {reasons}.")
    second = [name_in_words(row["answer"]) for row in rows if row["role"] == primary.SECONDARY]
    text.append(
        (f"Secondary, each at its own level and deciding nothing: {listed(second)}. " if second else "")
        + "Everything else on this page is exploratory."
    )
    return text


def table(rows: Sequence[Row]) -> Table:
    """The answers, their p by themselves and corrected."""
    cells = [
        [
            name_in_words(row["answer"]),
            row["role"],
            row["test"] or NONE,
            p_value(row["p"]) if row["p"] is not None else MISSING,
            NONE if row["role"] != primary.PRIMARY else p_value(row["p_corrected"]),
            {"yes": "shown", "no": "not shown", None: NONE}[row["significant"]],
            "" if row["status"] == answers.ANSWERED else row["status"],
        ]
        for row in rows
    ]
    marked = {k for k, row in enumerate(rows) if row["significant"] == "yes"}
    heads = ["Answer", "Role", "Test", "p by itself", "p corrected", "Verdict", "Note"]
    return Table("The declared answers; those shown in bold", heads, cells, {0, 1, 2, 5, 6}, marked)


def method(declared: Primary | None) -> str:
    """What was declared, for the methods' text."""
    if declared is None:
        return "No primary answer was declared; all analyses are exploratory, each at its own error rate."
    first, second = (list(map(name_in_words, names)) for names in (declared.answers, declared.secondary))
    text = f"The trial rests on {count(len(first), 'answer')} declared in the configuration: {listed(first)}"
    if len(first) > 1:
        text += f", corrected together by {CORRECTIONS[declared.correction]} at family-wise error {declared.alpha:g}"
    else:
        text += f", tested at {declared.alpha:g}"
    support = f" Secondary answers, {listed(second)}, are reported at their own level." if second else ""
    return f"{text}; what could not be answered counts as not shown.{support} All others are exploratory."


def section(verdict: FilePath | None) -> TrialSection:
    """The verdict in ``verdict.tsv``, or that nothing is declared where there is none."""
    if verdict is None:
        return TrialSection([UNDECLARED], None, {})
    rows = tables.read_table(verdict)
    first = [row for row in rows if row["role"] == primary.PRIMARY]
    lines = {}
    for row in first if len(first) > 1 else []:
        if row["p_corrected"] is not None:
            shown = "shown" if row["significant"] == "yes" else "not shown"
            lines[row["answer"]] = (
                f"In the verdict of the trial, corrected over {len(first)} primary answers: {p_words(row['p_corrected'])}, {shown}."
            )
    return TrialSection(sentences(rows), table(rows), lines)
