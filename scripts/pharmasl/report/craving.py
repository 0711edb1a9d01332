"""What craving did, and how it goes with regional perfusion."""

from pharmasl.report.words import HARD, MISSING, Table, fixed, number, p_value, p_words, plain, short, signed

CI = f"95{HARD}%{HARD}CI"
TIMINGS = {"change": "change", "baseline": "baseline", "followup": "follow-up"}
METHODS = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "percentage_bend": "percentage bend",
    "pearson_difference": "difference of Pearson",
    "slope_interaction": "difference of slopes (points per mL/100 g/min)",
}
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
        if row.get("without_one_low") is not None:
            told[-1] += (
                f" Without any one participant it lies between {signed(row['without_one_low'], 1)} and "
                f"{signed(row['without_one_high'], 1)}."
            )
        size = find(rows, analysis="effect_size", term="g of change")
        if size is not None and size["estimate"] is not None:
            told[-1] += f" Hedges' g of the changes {fixed(size['estimate'])} ({CI} {interval(size, 2)})."
    return told


def model_table(rows):
    """The rows of the craving models; of those with three factors the tested interaction alone."""
    long = ("mixed_model_ratings", "mixed_model_cues")
    rows = [row for row in rows if row["analysis"] not in long or row["term"].count(":") == 2]
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
    for row in rows:
        if row["analysis"] == "equal_variance" and row["p"] is not None and number(row["p"]) < 0.05:
            told.append(
                f"The mixed model takes scores to scatter alike, but {row['term']}: ratio {fixed(row['estimate'])}, "
                f"{p_words(row['p'])} ({row['method'].split('; ')[1]}). Its p of the interaction is approximate then, the more "
                "so the more the arms differ in size."
            )
    return list(dict.fromkeys(told))


def relation_sentences(rows):
    """Say for each region whether its CBF change goes with the craving change."""
    told = []
    for row in rows:
        if (row["timing"], row["group"], row["method"]) != ("change", "all", "pearson"):
            continue
        name = f"{plain(row['roi'])} ({row['contrast']})"
        if row.get("region_of") == "others":
            name += ", region found without the participant"
        elif row["roi_defined_by_same_data"] == "true":
            name += ", a cluster of these data"
        if row["estimate"] is None:
            told.append(f"{name}: not tested, {row['note'] or 'no values'}.")
            continue
        told.append(
            f"{name}: r = {fixed(row['estimate'])} ({CI} {interval(row, 2)}, n = {row['n']}), {p_words(row['p'])}"
            + (
                f", corrected for {row['family_size']} tests {p_words(row['p_holm'])}."
                if row["family_size"] != "1"
                else "."
            )
        )
    return told


def relation_table(rows, everything):
    """The correlations: those of changes over both arms and within each, or all."""
    kept = [
        row
        for row in rows
        if everything or (row["timing"] == "change" and row["method"] not in ("spearman", "percentage_bend"))
    ]
    cells = [
        [
            plain(row["roi"])
            + (" \u2020" if row["roi_defined_by_same_data"] == "true" else "")
            + (", region without the participant" if row.get("region_of") == "others" else ""),
            row["contrast"],
            TIMINGS.get(row["timing"], row["timing"]),
            row["group"].replace(" - ", " \u2212 "),
            METHODS.get(row["method"], row["method"]),
            fixed(row["estimate"]),
            interval(row, 2),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            p_value(row["p_fdr"]),
            p_value(row["p_max"]) if row.get("p_max") is not None else NONE,
            NONE
            if row.get("without_one_low") is None
            else f"{fixed(row['without_one_low'])} to {fixed(row['without_one_high'])}",
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
        "p max |r|",
        "Without any one participant",
        "n",
        "Note",
    ]
    text = {0, 1, 2, 3, 4, 13}
    if not everything:
        cells, heads, text = [row[:2] + row[3:] for row in cells], heads[:2] + heads[3:], {0, 1, 2, 3, 12}
    caption = (
        "All correlations of CBF and craving" if everything else "Change of CBF with change of cue-elicited craving"
    )
    return Table(caption, heads, cells, text)


def mediation_table(rows):
    """The effects of the exploratory mediation with their bootstrap intervals."""
    cells = []
    for row in rows:
        intervals = [
            MISSING if row[f"{name}_low"] is None else f"{fixed(row[f'{name}_low'])} to {fixed(row[f'{name}_high'])}"
            for name in ("percentile", "bca")
        ]
        cells.append(
            [row["effect"].replace("->", "\u2192"), fixed(row["estimate"]), *intervals, row["n"], row["note"] or ""]
        )
    chain = [rows[0][name] for name in ("m1", "m2") if rows[0][name]]
    dagger = " \u2020" if rows[0]["roi_defined_by_same_data"] == "true" else ""
    heads = ["Effect", "Estimate", "95 % CI (percentile)", "95 % CI (BCa)", "n", "Note"]
    named = "; ".join(f"m{k} {plain(name)}" for k, name in enumerate(chain, start=1))
    return Table(f"Exploratory mediation of changes: {named}{dagger}", heads, cells, {0, 5})
