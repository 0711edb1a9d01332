"""How cue-elicited craving changed, in each arm and between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pharmasl.conduct import answers
from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, number, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.words import CI, NONE, Table, between, fixed, p_words, plain, short, signed
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms


def first_row(rows: Sequence[Row], **cells: str) -> Row | None:
    """The first row with these cells, or None."""
    return next((row for row in rows if all(row[name] == value for name, value in cells.items())), None)


def model_sentences(rows: Sequence[Row], arms: Arms) -> list[str]:
    """How cue-elicited craving changed in each arm, and whether the arms differ.

    Parameters
    ----------
    rows : sequence of Row
        Of ``craving_model.tsv``.
    arms : Arms

    Returns
    -------
    list of str
        A sentence for each arm, then the comparison.
    """
    return [_within(rows, arms.treatment), _within(rows, arms.control), _comparison(rows, arms)]


def _within(rows: Sequence[Row], arm: str) -> str:
    row = first_row(rows, analysis="paired_t", term="change", arm=arm)
    if row is None or row["estimate"] is None or row["p"] is None:
        return f"On {arm}, the change in cue-elicited craving could not be tested."
    return (
        f"On {arm}, cue-elicited craving changed by {signed(row['estimate'], 1)} points ({CI} "
        f"{_interval(row, 1)}; n = {row['n']}, t = {fixed(row['t'])}, {p_words(row['p'])})."
    )


def _interval(row: Row, digits: int) -> str:
    return between(row["ci_low"], row["ci_high"], digits)


def _comparison(rows: Sequence[Row], arms: Arms) -> str:
    row = first_row(rows, **answers.CRAVING_TEST)
    if row is None or row["estimate"] is None or row["p"] is None:
        return "The arms' changes could not be compared."
    lower = "lower" if number(row["estimate"]) < 0 else "higher"
    text = (
        f"The change on {arms.treatment} was {fixed(abs(number(row['estimate'])), 1)} points {lower} than on "
        f"{arms.control} (group by time, by Welch's test of the changes: {CI} {_interval(row, 1)}, n = {row['n']}, "
        f"{p_words(row['p'])}). "
        "This comparison answers the trial's question; a p below 0.05 in one arm alone does not."
    )
    if row.get("without_one_low") is not None:
        text += (
            f" Leaving out any one participant, the estimate stays between {signed(row['without_one_low'], 1)} and "
            f"{signed(row['without_one_high'], 1)}."
        )
    if row.get("variance_ratio") is not None:
        text += f" The variance of the changes on {arms.treatment} was {fixed(row['variance_ratio'])} times that on {arms.control}."
    if row.get("left_out") is not None:
        text += f" Not in this test, for lack of a score at both sessions: {row['left_out']}."
    size = first_row(rows, analysis="effect_size", term="g of change")
    if size is not None and size["estimate"] is not None:
        text += f" Hedges' g of the changes was {fixed(size['estimate'])} ({CI} {_interval(size, 2)})."
    return text


_MEASURES = {
    "descriptive": "Cue-elicited (after minus before)",
    "descriptive_before": "Before the cues",
    "descriptive_after": "After the cues",
}


def by_arm(rows: Sequence[Row], arms: Arms, labels: Labels, file: FilePath) -> Table:
    """What each arm's craving was at each session, and how the cue-elicited one changed within it."""
    sessions = list(dict.fromkeys(row["session_id"] for row in rows if row["analysis"] in _MEASURES))
    cells = []
    for measure, words in _MEASURES.items():
        for arm in (arms.treatment, arms.control):
            own = [row for row in rows if (row["analysis"], row["arm"]) == (measure, arm)]
            if not own:
                continue
            change = first_row(rows, analysis="paired_t", term="change", arm=arm) if measure == "descriptive" else None
            spoken = "" if change is None or change["estimate"] is None else signed(change["estimate"], 1)
            cells.append(
                [
                    words,
                    labels.arm(arm),
                    *(_mean(own, session) for session in sessions),
                    f"{spoken} ({_interval(change, 1)})" if change is not None and spoken else NONE,
                ]
            )
    heads = ["Craving", "Arm", *(f"{labels.session(name)}, mean (SD); n" for name in sessions), f"Change ({CI})"]
    return Table("Craving by arm and session (points)", heads, cells, {0, 1}, file=file)


def _mean(rows: Sequence[Row], session: str) -> str:
    mean, spread = (first_row(rows, term=term, session_id=session) for term in ("mean", "sd"))
    if mean is None or mean["estimate"] is None:
        return NONE
    around = f" ({fixed(spread['estimate'], 1)})" if spread is not None and spread["estimate"] is not None else ""
    return f"{fixed(mean['estimate'], 1)}{around}; {mean['n']}"


def model_table(rows: Sequence[Row]) -> Table:
    """The rows of the craving models; of those with three factors the tested interaction alone."""
    three_factors = ("contrasts_ratings", "contrasts_cues")
    cells = [
        [
            plain(row["analysis"]),
            row["term"],
            " ".join(part for part in (row["arm"], row["session_id"]) if part),
            fixed(row["estimate"]),
            fixed(row["se"]),
            short(row["df"]),
            fixed(row["t"]),
            p_value(row["p"]),
            _interval(row, 2),
            row["n"] or MISSING,
        ]
        for row in rows
        if row["analysis"] not in three_factors or row["term"].count(":") == 2
    ]
    cells = [[NONE if cell == MISSING else cell for cell in row] for row in cells]
    heads = ["Analysis", "Term", "Arm, session", "Estimate", "SE", "df", "t", "p", "95 % CI", "n"]
    return Table("Cue-elicited craving: every row of the models (points)", heads, cells, {0, 1, 2})


def notes(rows: Sequence[Row]) -> list[str]:
    """Remarks of the models that a reader must see: what was not fitted, and why."""
    text = [
        row["method"]
        for row in rows
        if row["method"] and any(words in row["method"] for words in ("not fitted", "boundary", "no variation in "))
    ]
    for row in rows:
        if row["analysis"] == "equal_variance" and row["p"] is not None and number(row["p"]) < 0.05:
            text.append(
                f"The mixed model assumes equal variances, but {row['term']}: ratio {fixed(row['estimate'])}, "
                f"{p_words(row['p'])} ({row['method'].split('; ')[1]}). Its p for the interaction is then approximate, the more "
                "so the more the arms differ in size; the test of the difference in changes does not rely on this assumption."
            )
    return list(dict.fromkeys(text))


@dataclass(frozen=True, kw_only=True)
class CravingFiles:
    """The table of the craving models, and the pictures of the scores and of the model's assumptions."""

    model: FilePath
    figure: FilePath
    diagnostics: FilePath | None


@dataclass(frozen=True, kw_only=True)
class CravingSection:
    """The section of craving; ``alt`` stands for the figure where it cannot be seen."""

    role: str
    sentences: Sequence[str]
    by_arm: Table
    table: Table
    notes: Sequence[str]
    figure: str
    alt: str
    diagnostics: str | None


def section(files: CravingFiles, *, role: str, arms: Arms, labels: Labels) -> CravingSection:
    """The section of craving.

    Parameters
    ----------
    files : CravingFiles
    role : str
        Of the difference of changes for the trial.
    arms : Arms
    labels : Labels

    Returns
    -------
    CravingSection
    """
    read = tables.read_table(files.model)
    rows = labels.rows(read)
    text = model_sentences(rows, replace(arms, treatment=labels.arm(arms.treatment), control=labels.arm(arms.control)))
    return CravingSection(
        role=role,
        sentences=text,
        by_arm=by_arm(read, arms, labels, files.model),
        table=model_table(rows),
        notes=notes(rows),
        figure=pictures.fragment(files.figure),
        alt="Cue-elicited craving by arm and session. " + " ".join(text),
        diagnostics=pictures.fragment(files.diagnostics) if files.diagnostics else None,
    )
