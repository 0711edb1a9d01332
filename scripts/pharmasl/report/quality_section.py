"""The quality of the scans: a summary, what was flagged, and every scan."""

import statistics

from pharmasl.quality import flags, judgement
from pharmasl.quality.measure_columns import MEASURES, METRICS
from pharmasl.report import participants_section, pictures
from pharmasl.report.words import MISSING, Table, count, fixed, number, short
from pharmasl.study.settings import QualityRules, build

SUMMARY = (*MEASURES, "pairs_used")
SHOWN_OPEN = 2  # scans whose pictures stand open on the page


def name_of(row):
    """A scan in words."""
    return " ".join(part for part in (row["participant_id"], row["session_id"], row["condition"]) if part)


def found_flags(row):
    """The flags of a scan."""
    return [flag for flag in (row["flags"] or "").split(",") if flag]


def reasons(row):
    """Why a scan is excluded, or accepted by hand: none or one text."""
    if row["usable"] == "no":
        return [f"excluded: {row['exclusion_reason']}"]
    return [f"accepted by hand: {acceptance(row)}"] if row["accepted_by_hand"] else []


def acceptance(row):
    """The reason for which a scan was accepted, and in spite of what; empty where nobody accepted it."""
    if not row["accepted_by_hand"]:
        return ""
    overruled = f" (in spite of: {row['overruled']})" if row["overruled"] else ""
    return f"{row['accepted_by_hand']}{overruled}"


def verdict(rows):
    """How many scans were excluded, in a sentence."""
    lost = sum(row["usable"] == "no" for row in rows)
    scans = count(len(rows), "scan")
    if not lost:
        return f"no scan of {len(rows)} was excluded." if len(rows) > 1 else "the scan was not excluded."
    return f"{lost} of {scans} {'was' if lost == 1 else 'were'} excluded from contrasts and all that follows from them."


def limits(band):
    """A band in words."""
    if band is None:
        return "none"
    low, high = band
    if low is None:
        return f"at most {short(high)}"
    return f"at least {short(low)}" if high is None else f"{short(low)} to {short(high)}"


def source(name, bands):
    """Where a band comes from."""
    if name not in bands:
        return ""
    return flags.SOURCES[name] if bands[name] == flags.BANDS.get(name) else "the configuration"


def summary(rows, bands):
    """Each measure over all scans: median, range, band, number flagged, and where the band comes from."""
    cells = []
    for name in SUMMARY:
        values = sorted(number(row[name]) for row in rows if row[name] is not None)
        entry = METRICS[name]
        unit = "" if entry["Units"] == "1" else f" ({entry['Units']})"
        digits = 0 if name == "pairs_used" else 1 if name in ("gm_cbf", "gm_cbf_z", "wm_cbf", "dvars_mean") else 2
        spread = f"{fixed(values[0], digits)} to {fixed(values[-1], digits)}" if values else MISSING
        middle = fixed(statistics.median(values), digits) if values else MISSING
        flagged = sum(any(flag.split(":")[0] == name for flag in found_flags(row)) for row in rows)
        cells.append(
            [
                entry["LongName"] + unit,
                middle,
                spread,
                limits(bands.get(name)),
                str(flagged) if name in bands else "",
                source(name, bands),
            ]
        )
    heads = ["Measure", "Median", "Range", "Band", "Flagged", "Band from"]
    marked = {k for k, row in enumerate(cells) if row[4] not in ("", "0")}
    return Table("Quality over all scans", heads, cells, {0, 3, 5}, marked)


def every(rows):
    """One row a scan."""
    heads = ["Scan", *(METRICS[name]["LongName"] for name in SUMMARY), "Flags", "Usable", "Reason", "Accepted by hand"]
    cells = [
        [
            name_of(row),
            *(short(row[name]) for name in SUMMARY),
            "; ".join(map(flags.describe, found_flags(row))),
            row["usable"],
            row["exclusion_reason"] or "",
            acceptance(row),
        ]
        for row in rows
    ]
    marked = {k for k, row in enumerate(rows) if found_flags(row) or reasons(row)}
    return Table("Every scan", heads, cells, {0, *range(len(heads) - 4, len(heads))}, marked)


def global_cbf(rows, people, config):
    """Mean grey-matter CBF of the usable scans and its SD by condition and session, in each arm."""
    rows = [row for row in rows if row["usable"] == "yes"]
    arms = participants_section.arm_of(people)
    names = [config["arms"]["treatment"], config["arms"]["control"]] if "arms" in config else [None]
    cells = []
    for condition, session in participants_section.groups(rows):
        own = [row for row in rows if (row["condition"], row["session_id"]) == (condition, session) and row["gm_cbf"]]
        cell = []
        for name in names:
            values = [number(row["gm_cbf"]) for row in own if name in (None, arms.get(row["participant_id"]))]
            spread = f" ({fixed(statistics.stdev(values), 1)})" if len(values) > 1 else ""
            cell.append(fixed(statistics.fmean(values), 1) + spread if values else MISSING)
        cells.append([condition or MISSING, session or MISSING, *cell])
    heads = ["Condition", "Session", *(name or "All scans" for name in names)]
    return Table("Grey-matter CBF of usable scans, mean (SD), mL/100 g/min", heads, cells, {0, 1})


def section(rows, people, figure, scan_figures, config):
    """The second section.

    Parameters
    ----------
    rows, people : list of dict
        The study's quality table and participants.
    figure : path-like
    scan_figures : list of path-like
        In the order of the rows.
    config : dict

    Returns
    -------
    dict
    """
    bands = flags.resolve(config["quality"]["bands"])
    flagged = [row for row in rows if found_flags(row)]
    lie = "lies" if len(flagged) == 1 else "lie"
    sentences = [
        f"{verdict(rows)[0].upper()}{verdict(rows)[1:]} {judgement.in_words(build(QualityRules, config['quality']))}",
        f"{count(len(flagged), 'scan')} of {len(rows)} {lie} outside a band. Beyond that rule, a flag asks for a look.",
    ]
    accepted = [f"{name_of(row)}: {acceptance(row)}" for row in rows if row["accepted_by_hand"]]
    if accepted:
        verb = "was" if len(accepted) == 1 else "were"
        sentences.append(f"{count(len(accepted), 'scan')} {verb} accepted by hand: {'; '.join(accepted)}.")
    values = [number(row["gm_cbf"]) for row in rows if row["gm_cbf"] is not None]
    if values:
        sentences.append(f"Mean grey-matter CBF over all scans is {fixed(statistics.fmean(values), 1)} mL/100 g/min.")
    shown = [
        {
            "participant": row["participant_id"],
            "name": name_of(row),
            "flags": reasons(row) + [flags.describe(flag) for flag in found_flags(row)],
            "image": pictures.compact(path),
            "open": len(rows) <= SHOWN_OPEN,
        }
        for row, path in zip(rows, scan_figures)
    ]
    # A flagged scan's picture stands beside its flags; the others are folded away, a participant at a time.
    apart = [scan for scan in shown if scan["flags"] or scan["open"]]
    rest = {}
    for scan in shown:
        if scan not in apart:
            rest.setdefault(scan["participant"], []).append(scan)
    return {
        "sentences": sentences,
        "summary": summary(rows, bands),
        "global_cbf": global_cbf(rows, people, config),
        "every": every(rows),
        "figure": pictures.png(figure) if len(rows) > SHOWN_OPEN else None,
        "apart": apart,
        "rest": rest,
    }
