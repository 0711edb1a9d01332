"""What craving did, and how it goes with regional perfusion."""

from pharmasl.report.words import HARD, MISSING, Table, fixed, number, p_value, p_words, plain, short, signed

CI = f"95{HARD}%{HARD}CI"
TIMINGS = {"change": "change", "baseline": "baseline", "followup": "follow-up"}
METHODS = {"pearson": "Pearson", "spearman": "Spearman", "pearson_difference": "difference of Pearson"}
NONE = "\u2013"


def interval(row, digits):
    """A 95 % confidence interval in words."""
    if row["ci_low"] is None or row["ci_high"] is None:
        return MISSING
    return f"{fixed(row['ci_low'], digits)} to {fixed(row['ci_high'], digits)}"


def find(rows, **wanted):
    """The first row with these cells, or None."""
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def model_sentences(rows, arms):
    """Say how cue-elicited craving changed in each arm, and whether the arms differ."""
    told = []
    for arm in (arms["treatment"], arms["control"]):
        row = find(rows, analysis="paired_t", term="change", arm=arm)
        if row is None or row["estimate"] is None or row["p"] is None:
            told.append(f"On {arm}, the change of cue-elicited craving could not be tested.")
            continue
        told.append(
            f"On {arm}, cue-elicited craving changed by {signed(row['estimate'], 1)} points ({CI} "
            f"{interval(row, 1)}; n = {row['n']}, t = {fixed(row['t'])}, {p_words(row['p'])})."
        )
    row = find(rows, analysis="mixed_model", term="arm:session")
    if row is None or row["estimate"] is None or row["p"] is None:
        told.append("The arms' changes could not be compared.")
    else:
        lower = "lower" if number(row["estimate"]) < 0 else "higher"
        told.append(
            f"The change on {arms['treatment']} was {fixed(abs(number(row['estimate'])), 1)} points {lower} than on "
            f"{arms['control']} (group by time in the mixed model, {CI} {interval(row, 1)}, {p_words(row['p'])}). "
            "This row answers the trial's question; a p below 0.05 in one arm alone does not."
        )
    return told


def model_table(rows):
    """All rows of the craving models."""
    cells = [
        [
            plain(row["analysis"]),
            row["term"],
            " ".join(part for part in (row["arm"], row["session"]) if part),
            fixed(row["estimate"]),
            fixed(row["se"]),
            short(row["df"]),
            fixed(row["t"]),
            p_value(row["p"]),
            interval(row, 2),
            row["n"] or MISSING,
        ]
        for row in rows
    ]
    cells = [[NONE if cell == MISSING else cell for cell in row] for row in cells]
    heads = ["Analysis", "Term", "Arm, session", "Estimate", "SE", "df", "t", "p", "95 % CI", "n"]
    return Table("Cue-elicited craving: descriptives and models (points)", heads, cells, {0, 1, 2})


def notes(rows):
    """Remarks of the models that a reader must see: what was not fitted, and why."""
    told = [
        row["method"]
        for row in rows
        if row["method"] and ("not fitted" in row["method"] or "boundary" in row["method"])
    ]
    return list(dict.fromkeys(told))


def relation_sentences(rows):
    """Say for each region whether its CBF change goes with the craving change."""
    told = []
    for row in rows:
        if (row["timing"], row["group"], row["method"]) != ("change", "all", "pearson"):
            continue
        name = f"{plain(row['roi'])} ({row['contrast']})"
        if row["estimate"] is None:
            told.append(f"{name}: not tested, {row['note'] or 'no values'}.")
            continue
        told.append(
            f"{name}: r = {fixed(row['estimate'])} ({CI} {interval(row, 2)}, n = {row['n']}), {p_words(row['p'])}, "
            f"corrected for {row['family_size']} tests {p_words(row['p_holm'])}."
        )
    return told


def relation_table(rows, everything):
    """The correlations: those of changes over both arms and within each, or all."""
    kept = [row for row in rows if everything or (row["timing"] == "change" and row["method"] != "spearman")]
    cells = [
        [
            plain(row["roi"]) + (" \u2020" if row["roi_defined_by_same_data"] == "true" else ""),
            row["contrast"],
            TIMINGS.get(row["timing"], row["timing"]),
            row["group"].replace(" - ", " \u2212 "),
            METHODS.get(row["method"], row["method"]),
            fixed(row["estimate"]),
            interval(row, 2),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            p_value(row["p_fdr"]),
            row["n"] or MISSING,
            row["note"] or "",
        ]
        for row in kept
    ]
    heads = [
        "Region",
        "Contrast",
        "When",
        "Group",
        "Method",
        "Estimate",
        "95 % CI",
        "p",
        "p Holm",
        "p FDR",
        "n",
        "Note",
    ]
    text = {0, 1, 2, 3, 4, 11}
    if not everything:
        cells, heads, text = [row[:2] + row[3:] for row in cells], heads[:2] + heads[3:], {0, 1, 2, 3, 10}
    caption = (
        "All correlations of CBF and craving" if everything else "Change of CBF with change of cue-elicited craving"
    )
    return Table(caption, heads, cells, text)
