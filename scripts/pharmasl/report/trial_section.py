"""The verdict of the trial in words, and the role of every answer: primary, secondary or exploratory."""

from pharmasl.conduct import answers
from pharmasl.files import tables
from pharmasl.report.words import MISSING, Table, count, listed, p_value, p_words, plain
from pharmasl.study import primary

NONE = "\u2013"
CORRECTIONS = {
    "holm": "Holm's step-down method",
    "sequence": "the fixed sequence, each at the full level until the first that is not shown",
    "joint": "the step-down least p over the relabellings that the analyses have in common",
}
UNDECLARED = (
    "No primary answer was declared: this study is exploratory. Each analysis has its own error rate, no answer decides the "
    "trial, and what is found is to be confirmed by another."
)


def name_in_words(name):
    """An answer's name as the page says it."""
    if name == primary.CRAVING:
        return "cue-elicited craving"
    roi = name.removeprefix(f"{primary.CRAVING}.")
    return plain(name) if roi == name else f"{plain(roi)} with craving"


def _found(row):
    p = p_words(row["p_corrected"])
    own = "" if row["p"] == row["p_corrected"] else f" ({p_words(row['p'])} by itself)"
    return f"{name_in_words(row['answer'])}, {p}{own}"


def _reason(row):
    """Why an answer could not be given, without the words that say so."""
    return row["status"].removeprefix("not answered: ").removeprefix("not run: ")


def sentences(rows):
    """Say what the trial shows, what it does not, and what it could not answer.

    Parameters
    ----------
    rows : list of dict
        Of ``trial/verdict.tsv``.

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
    open_ = [row for row in first if row not in shown and row not in failed]
    told = []
    if shown:
        told.append(f"The trial shows, {how}: {'; '.join(_found(row) for row in shown)}.")
    elif open_:
        told.append(f"The trial shows none of its primary answers, {how}.")
    else:
        told.append(f"The trial could not answer what it rests on, {how}: it says nothing for or against an effect.")
    if open_:
        told.append(
            f"Not shown: {'; '.join(_found(row) for row in open_)}. Absence of evidence is no evidence of absence."
        )
    if failed:
        reasons = "; ".join(f"{name_in_words(row['answer'])} ({_reason(row)})" for row in failed)
        told.append(f"Not answered, and counted as not shown: {reasons}.")
    second = [name_in_words(row["answer"]) for row in rows if row["role"] == primary.SECONDARY]
    told.append(
        (f"Secondary, each at its own level and deciding nothing: {listed(second)}. " if second else "")
        + "Everything else on this page is exploratory."
    )
    return told


def table(rows):
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


def method(config):
    """What was declared, for the methods' text."""
    asked = config.get("primary")
    if not asked:
        return "No primary answer was declared; all analyses are exploratory, each at its own error rate."
    first, second = ([name_in_words(name) for name in asked[part]] for part in ("answers", "secondary"))
    text = f"The trial rests on {count(len(first), 'answer')} declared in the configuration: {listed(first)}"
    if len(first) > 1:
        text += f", corrected together by {CORRECTIONS[asked['correction']]} at family-wise error {asked['alpha']:g}"
    else:
        text += f", tested at {asked['alpha']:g}"
    support = f" Secondary answers, {listed(second)}, are told at their own level." if second else ""
    return f"{text}; what could not be answered counts as not shown.{support} All others are exploratory."


def section(paths):
    """The verdict.

    Parameters
    ----------
    paths : list of path-like
        ``trial/verdict.tsv``, or none where nothing is declared.

    Returns
    -------
    dict
        ``sentences``; ``table`` or None; ``lines``, a sentence for the section of each primary answer by its name.
    """
    if not paths:
        return {"sentences": [UNDECLARED], "table": None, "lines": {}}
    rows = tables.read_table(paths[0])
    number = sum(row["role"] == primary.PRIMARY for row in rows)
    lines = {}
    for row in rows if number > 1 else []:
        if row["role"] == primary.PRIMARY and row["p_corrected"] is not None:
            verdict = "shown" if row["significant"] == "yes" else "not shown"
            lines[row["answer"]] = (
                f"In the verdict of the trial, corrected over {number} primary answers: {p_words(row['p_corrected'])}, {verdict}."
            )
    return {"sentences": sentences(rows), "table": table(rows), "lines": lines}
