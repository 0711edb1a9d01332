"""What craving did, and how it goes with regional perfusion."""

from pharmasl.conduct import answers
from pharmasl.endpoints import families
from pharmasl.report.words import HARD, MISSING, Table, count, fixed, number, p_value, p_words, plain, short, signed
from pharmasl.study import primary

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
    row = find(rows, **answers.CRAVING_TEST)
    if row is None or row["estimate"] is None or row["p"] is None:
        told.append("The arms' changes could not be compared.")
    else:
        lower = "lower" if number(row["estimate"]) < 0 else "higher"
        told.append(
            f"The change on {arms['treatment']} was {fixed(abs(number(row['estimate'])), 1)} points {lower} than on "
            f"{arms['control']} (group by time: Welch's test of the changes, {CI} {interval(row, 1)}, n = {row['n']}, "
            f"{p_words(row['p'])}). "
            "This row answers the trial's question; a p below 0.05 in one arm alone does not."
        )
        if row.get("without_one_low") is not None:
            told[-1] += (
                f" Without any one participant it lies between {signed(row['without_one_low'], 1)} and "
                f"{signed(row['without_one_high'], 1)}."
            )
        if row.get("variance_ratio") is not None:
            told[-1] += (
                f" The changes' variance on {arms['treatment']} was {fixed(row['variance_ratio'])} times that on {arms['control']}."
            )
        if row.get("left_out") is not None:
            told[-1] += f" Without a score at both sessions, and so not in this test: {row['left_out']}."
        size = find(rows, analysis="effect_size", term="g of change")
        if size is not None and size["estimate"] is not None:
            told[-1] += f" Hedges' g of the changes {fixed(size['estimate'])} ({CI} {interval(size, 2)})."
    return told


def model_table(rows):
    """The rows of the craving models; of those with three factors the tested interaction alone."""
    long = ("contrasts_ratings", "contrasts_cues")
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
        if row["method"] and any(words in row["method"] for words in ("not fitted", "boundary", "no variation in "))
    ]
    for row in rows:
        if row["analysis"] == "equal_variance" and row["p"] is not None and number(row["p"]) < 0.05:
            told.append(
                f"The mixed model takes scores to scatter alike, but {row['term']}: ratio {fixed(row['estimate'])}, "
                f"{p_words(row['p'])} ({row['method'].split('; ')[1]}). Its p of the interaction is approximate then, the more "
                "so the more the arms differ in size; the test of the difference of changes does not lean on it."
            )
    return list(dict.fromkeys(told))


def relation_words(rows, config):
    """What the table of correlations tests, and what it describes."""
    test, arms = families.declared(config["craving"]), config["arms"]
    what = {
        "change": "Change of CBF with change of cue-elicited craving",
        "baseline": "CBF with cue-elicited craving, both at baseline",
        "followup": "CBF with cue-elicited craving, both at follow-up",
    }["change" if test.method in families.COMPARISONS else test.timing]
    who = "over both arms and adjusted for arm" if test.group == "all" else f"on {arms[test.group]}"
    who = "the arms compared" if test.method in families.COMPARISONS else who
    number = next((int(row["family_size"]) for row in rows if row["role"] == families.TESTED), 0)
    if config["craving"]["family"] == "all":
        return (
            f"{what}, {who}. All {number} correlations and comparisons of the table are one family, corrected together:"
        )
    return (
        f"{what}, {who} ({METHODS[test.method]}): the declared test, corrected together for {count(number, 'region')}. All other "
        "correlations describe: their p are uncorrected and no tests."
    )


def role(row, config):
    """The role of a correlation; what only describes is exploratory."""
    asked = families.declared(config["craving"]).fits(row, config["arms"]) and row["role"] == families.TESTED
    return primary.role(primary.declared(config), primary.correlation(row["roi"])) if asked else primary.EXPLORATORY


def relation_sentences(rows, config):
    """Say for each region what the declared test of its CBF with craving found."""
    test, told = families.declared(config["craving"]), []
    symbol = "r" if test.method == "pearson" else METHODS[test.method]
    for row in rows:
        if not test.fits(row, config["arms"]):
            continue
        name = f"{plain(row['roi'])} ({row['contrast']}, {role(row, config)})"
        if row["region_of"] == "others":
            name += ", region found without the participant"
        elif row["roi_defined_by_same_data"] == "true":
            name += ", a cluster of these data"
        if row["estimate"] is None:
            told.append(f"{name}: not tested, {row['note'] or 'no values'}.")
            continue
        found = f"{name}: {symbol} = {fixed(row['estimate'])} ({CI} {interval(row, 2)}, n = {row['n']})"
        if row["role"] == families.DESCRIBED:
            told.append(f"{found}, a description.")
            continue
        corrected = f", corrected for {row['family_size']} tests {p_words(row['p_holm'])}"
        told.append(f"{found}, {p_words(row['p'])}{corrected if row['family_size'] != '1' else ''}.")
    return told


def relation_table(rows, everything, config):
    """The correlations: those of changes over both arms and within each, or all."""
    kept = [
        row
        for row in rows
        if everything
        or row["role"] == families.TESTED
        or (row["timing"] == "change" and row["method"] not in ("spearman", "percentage_bend"))
    ]
    marked = {k for k, row in enumerate(kept) if row["role"] == families.TESTED}
    cells = [
        [
            plain(row["roi"])
            + (" \u2020" if row["roi_defined_by_same_data"] == "true" else "")
            + (", region without the participant" if row.get("region_of") == "others" else ""),
            row["contrast"],
            TIMINGS.get(row["timing"], row["timing"]),
            row["group"].replace(" - ", " \u2212 "),
            METHODS.get(row["method"], row["method"]),
            role(row, config),
            fixed(row["estimate"]),
            interval(row, 2),
            p_value(row["p"]),
            *(NONE if row[name] is None else p_value(row[name]) for name in ("p_holm", "p_fdr", "p_max")),
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
        "Role",
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
    text = {0, 1, 2, 3, 4, 5, 14}
    if not everything:
        caption = "Change of CBF with change of cue-elicited craving"
        if all(row["timing"] == "change" for row in kept):
            cells, heads, text = [row[:2] + row[3:] for row in cells], heads[:2] + heads[3:], {0, 1, 2, 3, 4, 13}
        else:
            caption += ", and the tests"
    else:
        caption = "All correlations of CBF and craving"
    return Table(f"{caption} (tests in bold, the others describe)", heads, cells, text, marked)


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
