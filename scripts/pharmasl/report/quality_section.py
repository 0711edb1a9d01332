"""The quality of the scans: a summary, what was flagged, and every scan."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, number
from pharmasl.files.tables import Row
from pharmasl.quality import flags, judgement
from pharmasl.quality.flags import Band
from pharmasl.quality.measure_columns import MEASURES, METRICS
from pharmasl.report import participants_section, pictures
from pharmasl.report.words import Table, columns_named, count, fixed, short, upper
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Arms, QualityRules

SUMMARY = (*MEASURES, "pairs_used")
FEW = 2  # scans of which no distribution is drawn
# Measures of the table of every scan that are always shown.
_GLANCE = ("gm_cbf", "fd_mean", "pairs_used", "qei", "spatial_cov")
# Measures shown with one decimal.
_COARSE = ("gm_cbf", "gm_cbf_z", "wm_cbf", "dvars_mean")


def scan_name(row: Row) -> str:
    """A scan in words; its session and condition as the row has them."""
    return " ".join(part for part in (row["participant_id"], row["session_id"], row["condition"]) if part)


def flags_of(row: Row) -> list[str]:
    """The flags of a scan."""
    return [flag for flag in (row["flags"] or "").split(",") if flag]


def reasons(row: Row) -> list[str]:
    """Why a scan is excluded, or accepted by hand: no or one text."""
    if row["usable"] == "no":
        return [f"excluded: {row['exclusion_reason']}"]
    return [f"accepted by hand: {acceptance(row)}"] if row["accepted_by_hand"] else []


def acceptance(row: Row) -> str:
    """The reason for which a scan was accepted, and in spite of what; empty where nobody accepted it."""
    if not row["accepted_by_hand"]:
        return ""
    overruled = f" (in spite of: {row['overruled']})" if row["overruled"] else ""
    return f"{row['accepted_by_hand']}{overruled}"


def excluded(rows: Sequence[Row]) -> str:
    """How many scans were excluded, in a sentence without its stop."""
    lost = sum(row["usable"] == "no" for row in rows)
    if lost:
        verb = "was" if lost == 1 else "were"
        return f"{lost} of {count(len(rows), 'scan')} {verb} excluded from contrasts and all that follows from them"
    return f"all {len(rows)} scans were usable" if len(rows) > 1 else "the scan was usable"


def verdict(rows: Sequence[Row]) -> str:
    """The same, and how many scans that are used are flagged."""
    flagged = sum(row["usable"] != "no" and bool(flags_of(row)) for row in rows)
    if not flagged:
        return f"{excluded(rows)}."
    which = f"of those used, {count(flagged, 'scan')}" if len(rows) > 1 else "it"
    verbs = "lies outside a band and is" if flagged == 1 else "lie outside a band and are"
    return f"{excluded(rows)}; {which} {verbs} to be inspected."


def limits(band: Band | None) -> str:
    """A band in words."""
    if band is None:
        return "none"
    low, high = band
    if low is None:
        return f"at most {short(high)}"
    return f"at least {short(low)}" if high is None else f"{short(low)} to {short(high)}"


def source(name: str, bands: Mapping[str, Band]) -> str:
    """Where the band of a measure comes from."""
    if name not in bands:
        return ""
    return flags.SOURCES[name] if bands[name] == flags.BANDS.get(name) else "the configuration"


def summary(rows: Sequence[Row], bands: Mapping[str, Band]) -> Table:
    """Each measure over all scans: median, range, band, number flagged, and where the band comes from."""
    cells = [_measure(rows, name, bands) for name in SUMMARY]
    heads = ["Measure", "Median", "Range", "Band", "Flagged", "Band from"]
    marked = {k for k, row in enumerate(cells) if row[4] not in ("", "0")}
    return Table("Quality over all scans", heads, cells, {0, 3, 5}, marked)


def _measure(rows: Sequence[Row], name: str, bands: Mapping[str, Band]) -> list[str]:
    values = sorted(number(row[name]) for row in rows if row[name] is not None)
    entry = METRICS[name]
    unit = "" if entry["Units"] == "1" else f" ({entry['Units']})"
    digits = 0 if name == "pairs_used" else 1 if name in _COARSE else 2
    flagged = sum(any(flag.split(":")[0] == name for flag in flags_of(row)) for row in rows)
    return [
        entry["LongName"] + unit,
        fixed(statistics.median(values), digits) if values else MISSING,
        f"{fixed(values[0], digits)} to {fixed(values[-1], digits)}" if values else MISSING,
        limits(bands.get(name)),
        str(flagged) if name in bands else "",
        source(name, bands),
    ]


def page_of(row: Row) -> str:
    """The address of a scan's page from the study's."""
    return f"scans/{quote(row['scan'])}.html"


def attention(rows: Sequence[Row]) -> Table | None:
    """Scans with flags, excluded or accepted by hand: what it is, and a link to the page of each."""
    shown = [row for row in rows if flags_of(row) or reasons(row)]
    if not shown:
        return None
    cells = [
        [scan_name(row), "; ".join(reasons(row) + [flags.describe(flag) for flag in flags_of(row)])] for row in shown
    ]
    links = {place: page_of(row) for place, row in enumerate(shown)}
    return Table("Scans to inspect", ["Scan", "Why"], cells, {0, 1}, links=links)


def every(rows: Sequence[Row]) -> Table:
    """One row per scan, with a link to its page."""
    heads = ["Scan", *(METRICS[name]["LongName"] for name in SUMMARY), "Flags", "Usable", "Reason", "Accepted by hand"]
    cells = [
        [
            scan_name(row),
            *(short(row[name]) for name in SUMMARY),
            "; ".join(map(flags.describe, flags_of(row))),
            row["usable"],
            row["exclusion_reason"] or "",
            acceptance(row),
        ]
        for row in rows
    ]
    marked = {k for k, row in enumerate(rows) if flags_of(row) or reasons(row)}
    links = {place: page_of(row) for place, row in enumerate(rows)}
    main = columns_named(heads, ["Scan", *(METRICS[name]["LongName"] for name in _GLANCE), "Flags", "Usable"])
    return Table("Every scan", heads, cells, {0, *range(len(heads) - 4, len(heads))}, marked, links=links, main=main)


def global_cbf(
    rows: Sequence[Row], people: Sequence[Row], arms: Arms | None, words: Callable[[str], str] = str
) -> Table:
    """Mean grey-matter CBF of the usable scans and its SD by condition and session, in each arm (``words`` gives its name)."""
    usable = [row for row in rows if row["usable"] == "yes"]
    own_arm = participants_section.arm_of(people)
    names: list[str | None] = [*participants_section.both(arms)] or [None]
    cells = []
    for condition, session in participants_section.groups(usable):
        own = [row for row in usable if (row["condition"], row["session_id"]) == (condition, session) and row["gm_cbf"]]
        cell = []
        for name in names:
            values = [number(row["gm_cbf"]) for row in own if name in (None, own_arm.get(row["participant_id"]))]
            spread = f" ({fixed(statistics.stdev(values), 1)})" if len(values) > 1 else ""
            cell.append(fixed(statistics.fmean(values), 1) + spread if values else MISSING)
        cells.append([condition or MISSING, session or MISSING, *cell])
    heads = ["Condition", "Session", *(words(name) if name else "All scans" for name in names)]
    return Table("Grey-matter CBF of usable scans, mean (SD), mL/100 g/min", heads, cells, {0, 1})


@dataclass(frozen=True, kw_only=True)
class QualitySection:
    """The section of image quality.

    Attributes
    ----------
    verdict : str
        How many scans were excluded.
    sentences : sequence of str
    attention : Table or None
        Scans with flags or a reason; None where no scan has any.
    summary, global_cbf, every : Table
    figure : str or None
        All measures; None of a study of a scan or two.
    """

    verdict: str
    sentences: Sequence[str]
    attention: Table | None
    summary: Table
    global_cbf: Table
    every: Table
    figure: str | None


def section(
    rows: Sequence[Row],
    people: Sequence[Row],
    *,
    figure: FilePath,
    rules: QualityRules,
    arms: Arms | None,
    made_by: str | None = None,
    labels: Labels = NAMES,
) -> QualitySection:
    """The section of image quality.

    Parameters
    ----------
    rows, people : sequence of Row
        The study's quality table and participants.
    figure : path-like
    rules : QualityRules
    arms : Arms or None
    made_by : str or None
        The program that made the CBF maps where it was another one.
    labels : Labels, optional

    Returns
    -------
    QualitySection
    """
    bands, rows = flags.resolve(rules.bands), labels.rows(rows)
    return QualitySection(
        verdict=verdict(rows),
        sentences=sentences(rows, rules, made_by),
        attention=attention(rows),
        summary=summary(rows, bands),
        global_cbf=global_cbf(rows, people, arms, labels.arm),
        every=every(rows),
        figure=pictures.fragment(figure) if len(rows) > FEW else None,
    )


def sentences(rows: Sequence[Row], rules: QualityRules, made_by: str | None = None) -> list[str]:
    """How many scans were excluded and by which rule, how many are flagged or were accepted by hand, and their mean CBF."""
    flagged = sum(bool(flags_of(row)) for row in rows)
    rule = judgement.in_words(rules, rated=rules.ratings is not None, imported=made_by is not None)
    text = [f"The CBF maps were made by {made_by}, and their quality is judged by the maps alone."] if made_by else []
    text += [
        f"{upper(excluded(rows))}. {rule}",
        f"{count(flagged, 'scan')} of {len(rows)} {'lies' if flagged == 1 else 'lie'} outside a band. Unless that rule says otherwise, a flag excludes nothing; it asks for visual inspection."
        if flagged
        else "No scan lies outside a band.",
    ]
    accepted = [f"{scan_name(row)}: {acceptance(row)}" for row in rows if row["accepted_by_hand"]]
    if accepted:
        verb = "was" if len(accepted) == 1 else "were"
        text.append(f"{count(len(accepted), 'scan')} {verb} accepted by hand: {'; '.join(accepted)}.")
    values = [number(row["gm_cbf"]) for row in rows if row["gm_cbf"] is not None]
    if values:
        text.append(f"Mean grey-matter CBF over all scans is {fixed(statistics.fmean(values), 1)} mL/100 g/min.")
    return text
