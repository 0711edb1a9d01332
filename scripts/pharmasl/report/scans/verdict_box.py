"""The verdict on a scan, and the lines by which a person overrules it."""

import json
from dataclasses import dataclass

from pharmasl.files.tables import Row
from pharmasl.quality import flags

RATINGS = ("scan", "rating", "reason", "rater")
REASON = "why, in words"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines to copy.

    Attributes
    ----------
    title : str
        What they do.
    text : str
    """

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class VerdictBox:
    """What the top of the page says.

    Attributes
    ----------
    state : str
        ``usable``, ``flagged``, ``accepted`` or ``excluded``.
    heading : str
    causes : list of str
    flags : list of str
    note : str
        What overrules what.
    lines : list of Lines
    """

    state: str
    heading: str
    causes: list[str]
    flags: list[str]
    note: str
    lines: list[Lines]


def _configuration(key: str, scan: str) -> str:
    # JSON's quotes are YAML's: a name may hold what YAML would read otherwise.
    return f"quality:\n  {key}:\n    {scan}: {json.dumps(REASON)}"


def _rating(scan: str) -> str:
    return "\t".join(RATINGS) + "\n" + "\t".join([scan, "poor", REASON, "your initials"])


def box(row: Row) -> VerdictBox:
    """The verdict on a scan.

    Parameters
    ----------
    row : Row
        Of the quality table.
    """
    scan = row["scan"]
    raised = [flags.describe(flag) for flag in (row["flags"] or "").split(",") if flag]
    accept = Lines(title="To use the scan all the same (configuration)", text=_configuration("accept_scans", scan))
    exclude = [
        Lines(title="To exclude the scan (configuration)", text=_configuration("exclude_scans", scan)),
        Lines(title="To rate it poor, which excludes it (a row of ratings.tsv, quality.ratings)", text=_rating(scan)),
    ]
    if row["usable"] == "no":
        causes = [cause for cause in (row["exclusion_reason"] or "").split("; ") if cause]
        if "no CBF is known" in (row["implausible"] or ""):
            return VerdictBox(
                state="excluded",
                heading="Excluded",
                causes=causes,
                flags=raised,
                note="The scan has no CBF, so nobody can accept it.",
                lines=[],
            )
        return VerdictBox(
            state="excluded",
            heading="Excluded",
            causes=causes,
            flags=raised,
            note="A scan that you exclude by name stays excluded until you remove that line; accept_scans overrules a poor "
            "rating and all rules. Judge without knowing the arm.",
            lines=[accept],
        )
    if row["accepted_by_hand"]:
        overruled = [cause for cause in (row["overruled"] or "").split("; ") if cause]
        return VerdictBox(
            state="accepted",
            heading=f"Used, accepted by hand: {row['accepted_by_hand']}",
            causes=[f"overruled: {cause}" for cause in overruled],
            flags=raised,
            note="To withdraw, remove the scan from accept_scans; exclude_scans goes before it.",
            lines=exclude[:1],
        )
    return VerdictBox(
        state="flagged" if raised else "usable",
        heading="Used, but look at it: "
        + ("one measure" if len(raised) == 1 else f"{len(raised)} measures")
        + " outside the band"
        if raised
        else "Used: every measure is within its band",
        causes=[],
        flags=raised,
        note="A flag excludes nothing by itself. Judge without knowing the arm.",
        lines=exclude,
    )
