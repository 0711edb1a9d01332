"""What a run says when it ends: what failed, which scans are out or to be looked at, where the page is, what is next."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError, wrapped
from pharmasl.files import blinding, tables
from pharmasl.quality import flags
from pharmasl.simulate import demo_answers
from pharmasl.study.settings import Arms
from pharmasl.workflow import failures, output_levels

# Scans of one kind that are listed; a table has all.
MOST_LISTED = 8


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    failed : bool
    took : str
        The time that it took, in words.
    command : str
        The command that goes on.
    since : float
        When the run began, in seconds since 1970; 0 where there was nothing to be done, so that whatever is there is of now.
    """

    failed: bool
    took: str
    command: str
    since: float


def closing(root: str, page: str, ending: Ending, *, blinded: bool, has_answers: bool, outputs: str) -> str:
    """The last words of a run.

    Parameters
    ----------
    root : str
        The results' folder.
    page : str
        The report, if it has been made.
    ending : Ending
    blinded : bool
        Whether the run is blinded, so that its tables bear the mark.
    has_answers : bool
        Whether the study asks anything of its trial; a pilot does not.
    outputs : {"minimal", "default", "full"}
        The level of output.

    Returns
    -------
    str
        Lines without a line break at the end.
    """
    reasons = failures.summary(f"{root}/logs").rstrip() if ending.failed else ""
    lines = [reasons, ""] if reasons else []
    quality = f"{root}/quality/scans.tsv"
    if _made(quality) >= (ending.since if ending.failed else 0):
        with blinding.marking(blinded):
            lines += scan_lines(quality)
    looked_at = len(lines) > (2 if reasons else 0) + 1
    if ending.failed:
        lines.append(f"Not complete, after {ending.took}.")
        again = "Correct what is named above, then the same command does what is missing"
        lines.append(f"Next: {again if reasons else 'The same command goes on'}: {ending.command}")
        return "\n".join(lines)
    lines.append(f"Done in {ending.took}.")
    lines.append(wrapped(output_levels.size_line(root, outputs)))
    if _made(page) < ending.since or not _made(page):
        earlier = f" (that of an earlier run: {os.path.abspath(page)})" if _made(page) else ""
        return "\n".join([*lines, f"Next: the same command without the name of a target makes the page{earlier}."])
    lines.append(f"Page: {os.path.abspath(page)}")
    lines.append(f"Next: open the page{'; it begins with the answers' if has_answers else ''}.")
    review = f"{root}/report/scans/index.html"
    if looked_at:
        where = os.path.abspath(review) if _made(review) else "their pages are linked there"
        lines[-1] = f"Next: open the page, and look at the scans named above ({where})."
    return "\n".join(lines)


def _made(path: str) -> float:
    """When a file was last written, in seconds since 1970; 0 where there is none."""
    return os.path.getmtime(path) if os.path.exists(path) else 0.0


@dataclass(frozen=True)
class Demo:
    """The simulated trial's files.

    Attributes
    ----------
    logs : str
        The folder of the simulation's logs.
    table, text : str
        The comparison of what was planted with what was found.
    arms : settings.Arms
    """

    logs: str
    table: str
    text: str
    arms: Arms


def closing_demo(root: str, page: str, demo: Demo, ending: Ending) -> str:
    """The last words of the demo, or of its simulation where that did not end well.

    Parameters
    ----------
    root : str
        The results' folder.
    page : str
    demo : Demo
    ending : Ending

    Returns
    -------
    str
        The trial's three answers, where the page is and where all comparisons.
    """
    if ending.failed:
        reasons = failures.summary(demo.logs).rstrip()
        return "\n".join(
            [*([reasons, ""] if reasons else []), f"Not complete, after {ending.took}. To go on: {ending.command}"]
        )
    if not _made(demo.table):
        return f"Simulated in {ending.took}."
    numbered = enumerate(demo_answers.answers(demo.table, demo.arms), 1)
    return "\n".join(
        [
            f"Done in {ending.took}: a trial was simulated, analysed, and compared with what had been planted.",
            "",
            *(wrapped(f" {number}. {sentence}") for number, sentence in numbered),
            "",
            *scan_lines(f"{root}/quality/scans.tsv"),
            f"Page: {os.path.abspath(page)}",
            f"All comparisons: {os.path.abspath(demo.text)}",
            "Next: open the page; then your own study: ./run init BIDS_DIR writes its configuration.",
        ]
    )


def closing_power(logs: str, ending: Ending) -> str:
    """The last words of the maps depth of a planned trial's power.

    Parameters
    ----------
    logs : str
        The folder of its logs.
    ending : Ending

    Returns
    -------
    str
    """
    if not ending.failed:
        return f"Studies drawn and tested in {ending.took}."
    reasons = failures.summary(logs).rstrip()
    return "\n".join(
        [*([reasons, ""] if reasons else []), f"Not complete, after {ending.took}. To go on: {ending.command}"]
    )


def scan_lines(path: str) -> list[str]:
    """Which scans are excluded and which are flagged, with the reasons, from the table of the scans' quality.

    Parameters
    ----------
    path : str

    Returns
    -------
    list of str
        Empty where there is no such table yet.
    """
    try:
        rows = tables.read_table(path)
    except (InputError, OSError):
        return []
    excluded = [(row["scan"], row["exclusion_reason"] or "") for row in rows if row["usable"] == "no"]
    flagged = [
        (row["scan"], ", ".join(flags.describe(flag) for flag in row["flags"].split(",")))
        for row in rows
        if row["usable"] != "no" and row["flags"]
    ]
    lines = [
        f"{len(rows)} scan{'s' if len(rows) != 1 else ''}: {len(rows) - len(excluded)} usable, {len(excluded)} excluded, {len(flagged)} flagged."
    ]
    for kind, scans in (("excluded", excluded), ("flagged", flagged)):
        lines += _listed(kind, scans, path)
    return lines


def _listed(kind: str, scans: Sequence[tuple[str, str]], path: str) -> list[str]:
    lines = [wrapped(f"  {kind} {name}: {reason}") for name, reason in scans[:MOST_LISTED]]
    if len(scans) > MOST_LISTED:
        lines.append(f"  and {len(scans) - MOST_LISTED} more {kind}: {path}")
    return lines
