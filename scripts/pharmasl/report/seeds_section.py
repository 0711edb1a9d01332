"""How regions' changes went with a seed's change, within each arm and between the arms."""

from pharmasl.report.words import HARD, MISSING, Table, fixed, p_value, p_words, plain, short, signed

NONE = "\u2013"
CI = f"95{HARD}%{HARD}CI"


def named(row, which):
    """A region or a seed with its contrast; a dagger marks one that the same data chose."""
    contrast = row["seed_contrast" if which == "seed" else "contrast"]
    dagger = " \u2020" if row[f"{which}_defined_by_same_data"] == "true" else ""
    return f"{plain(row[which])} ({contrast}){dagger}"


def sentences(rows):
    """Say for each analysis and region the slope in each arm, and whether the arms' slopes differ."""
    told, pairs = [], dict.fromkeys((row["analysis"], row["roi"]) for row in rows)
    for pair in pairs:
        own = [row for row in rows if (row["analysis"], row["roi"]) == pair]
        parts, difference = [], None
        for row in own:
            if row["group"] == "all":
                continue
            if " - " in row["group"]:
                difference = row
            elif row["slope"] is None:
                parts.append(f"not tested on {row['group']}")
            else:
                parts.append(f"slope {signed(row['slope'])} on {row['group']} (n = {row['n']})")
        text = f"{named(own[0], 'roi')} on {named(own[0], 'seed')}: {', '.join(parts)}"
        if difference is not None and difference["slope"] is not None:
            text += (
                f"; difference {signed(difference['slope'])} ({CI} {interval(difference)}, by permutation "
                f"{p_words(difference['p_permutation'])}, corrected {p_words(difference['p_holm'])})"
            )
        elif difference is not None:
            text += "; the arms' slopes could not be compared"
        told.append(f"{text}.")
    return told


def interval(row):
    """A 95 % confidence interval in words."""
    if row["ci_low"] is None:
        return MISSING
    return f"{fixed(row['ci_low'])} to {fixed(row['ci_high'])}"


def table(rows):
    """Every slope with its standard error, t, interval and p."""
    cells = [
        [
            plain(row["analysis"]),
            named(row, "seed"),
            named(row, "roi"),
            row["group"].replace(" - ", " \u2212 "),
            fixed(row["slope"]),
            fixed(row["se"]),
            fixed(row["t"]),
            short(row["df"]),
            interval(row),
            p_value(row["p"]),
            p_value(row["p_permutation"]),
            p_value(row["p_holm"]),
            NONE if row["variance_ratio"] is None else fixed(row["variance_ratio"]),
            row["n"] or MISSING,
            row["adjusted_for"] or NONE,
            row["note"] or "",
        ]
        for row in rows
    ]
    heads = [
        "Analysis",
        "Seed",
        "Region",
        "Group",
        "Slope",
        "SE",
        "t",
        "df",
        "95 % CI",
        "p",
        "p permutation",
        "p Holm",
        "Variance ratio of the arms",
        "n",
        "Adjusted for",
        "Note",
    ]
    caption = "Slope of a region's change of CBF on the seed's, mL/100 g/min per mL/100 g/min"
    marked = {k for k, row in enumerate(rows) if " - " in row["group"]}
    return Table(caption, heads, cells, {0, 1, 2, 3, 14, 15}, marked)


def section(rows):
    """The section of the slopes.

    Parameters
    ----------
    rows : list of dict
        Of ``rois/seed_slopes.tsv``.

    Returns
    -------
    dict or None
        None where the table has no rows.
    """
    if not rows:
        return None
    chosen = any("true" in (row["roi_defined_by_same_data"], row["seed_defined_by_same_data"]) for row in rows)
    return {"sentences": sentences(rows), "table": table(rows), "chosen": chosen}
