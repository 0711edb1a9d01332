"""The page on which all scans are looked through and rated: each scan's own page beside a form. It knows no arm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import templates
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.scan_ratings import COLUMNS

# What is most often wrong with a scan, offered as reasons.
REASONS = (
    "motion",
    "ghosts or another artefact",
    "labelling failed",
    "vessels in place of tissue",
    "registration is wrong",
    "part of the brain is cut off",
    "left and right are exchanged",
)
# The pages of the scans stand in a frame.
POLICY = f"{templates.POLICY}; frame-src 'self' file:"


@dataclass(frozen=True, kw_only=True)
class ListedScan:
    """A scan in the list.

    Attributes
    ----------
    name : str
        Its page is ``name``.html.
    words : str
    state : str
        ``used``, ``flagged``, ``accepted`` or ``excluded``.
    note : str
    """

    name: str
    words: str
    state: str
    note: str


def listed(row: Row) -> ListedScan:
    """A scan of the study's quality table as the list shows it."""
    flags = [flag for flag in (row["flags"] or "").split(",") if flag]
    if row["usable"] == "no":
        state, note = "excluded", "excluded"
    elif row["accepted_by_hand"]:
        state, note = "accepted", "accepted by hand"
    else:
        state, note = ("flagged", f"{len(flags)} outside the band") if flags else ("used", "")
    parts = (row["session_id"], row["condition"])
    return ListedScan(name=row["scan"], words=", ".join(part for part in parts if part), state=state, note=note)


def by_participant(rows: Sequence[Row]) -> dict[str, list[ListedScan]]:
    """The scans of each participant, in the table's order."""
    people: dict[str, list[ListedScan]] = {}
    for row in rows:
        people.setdefault(row["participant_id"], []).append(listed(row))
    return people


def write(output: FilePath, quality: FilePath, labels: Labels = NAMES) -> None:
    """Write the page as HTML.

    Parameters
    ----------
    output : path-like
    quality : path-like
        The study's quality table.
    labels : Labels, optional
        Words for sessions and conditions.
    """
    rows = labels.rows(tables.read_table(quality))
    names = "\n".join(row["scan"] for row in rows)
    page = templates.environment().get_template("scans/review.html.j2")
    text = page.render(
        people=by_participant(rows),
        number=len(rows),
        # Under this name a browser remembers the ratings; other scans have another.
        key=hashlib.blake2b(names.encode(), digest_size=6).hexdigest(),
        columns=COLUMNS,
        reasons=REASONS,
        policy=POLICY,
    )
    Path(output).write_text(text, encoding="utf-8")
