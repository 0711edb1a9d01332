"""Who was scanned, how, and who was left out."""

import dataclasses
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pharmasl.conduct import flow
from pharmasl.conduct.flow import FlowRow
from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.words import NONE, Table, count, listed, plain, short
from pharmasl.study.conditions import of_state
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Analysis, Arms

Value = TypeVar("Value", bound=Hashable)


def distinct(values: Iterable[Value]) -> list[Value]:
    """Values in order of their first appearance."""
    return list(dict.fromkeys(values))


def groups(scans: Sequence[Row]) -> list[tuple[str, str]]:
    """Conditions and sessions that have scans: by condition, then session, each in order of its first appearance."""
    conditions, sessions = (distinct(row[name] for row in scans) for name in ("condition", "session_id"))
    present = {(row["condition"], row["session_id"]) for row in scans}
    return [(condition, session) for condition in conditions for session in sessions if (condition, session) in present]


def arm_of(participants: Iterable[Row]) -> dict[str, str | None]:
    """Participant to arm."""
    return {row["participant_id"]: row.get("arm") for row in participants}


def both(arms: Arms | None) -> list[str]:
    """Treatment and control; none in a study without arms."""
    return [arms.treatment, arms.control] if arms else []


def scan_counts(
    scans: Sequence[Row],
    participants: Sequence[Row],
    unusable: Sequence[Row],
    arms: Arms | None,
    *,
    of_maps: bool = False,
) -> Table:
    """Scans (or ready-made maps, whose conditions are contrasts) by condition and session, and by arm where there are arms.

    Excluded ones are counted beside.
    """
    own_arm, rows = arm_of(participants), []
    for group in groups(scans):
        cells = []
        for arm in (None, *both(arms)):
            total, lost = (
                sum(
                    (row["condition"], row["session_id"]) == group and arm in (None, own_arm.get(row["participant_id"]))
                    for row in table
                )
                for table in (scans, unusable)
            )
            cells.append(f"{total} ({lost} excluded)" if lost else str(total))
        rows.append([*(label or MISSING for label in group), *cells])
    what, unit = ("Contrast", "Maps") if of_maps else ("Condition", "Scans")
    caption = f"{unit if not of_maps else 'Contrast maps'} by {what.lower()} and session"
    return Table(caption, [what, "Session", unit, *both(arms)], rows, {0, 1})


def covariates_of(analyses: Iterable[Analysis]) -> list[str]:
    """The covariates of analyses, each once."""
    return distinct(name for analysis in analyses for name in analysis.covariates)


def source_words(source: str) -> str:
    """The source of a value, without the folder and the scan: one entry for a whole study."""
    return re.sub(r"\bsub-[A-Za-z0-9+]+", "sub-*", re.sub(r" of .*[/\\]", " of ", source))


def acquisition(scans: Sequence[Row]) -> Table:
    """Each acquisition parameter: its values, for how many scans each, and where they were found."""
    rows = []
    for name in scans[0] if scans else ():
        if f"{name}_source" not in scans[0]:
            continue
        values = [short(row[name]) for row in scans if row[name] is not None]
        if not values:
            continue
        sources = distinct(source_words(row[f"{name}_source"]) for row in scans if row[f"{name}_source"])
        where = "; ".join(sources[:2]) + (f"; and {len(sources) - 2} more" if len(sources) > 2 else "")
        tally = [(value, values.count(value)) for value in distinct(values)]
        cell = tally[0][0] if len(tally) == 1 else "; ".join(f"{value} ({count(n, 'scan')})" for value, n in tally[:6])
        rows.append([plain(name), cell, where or MISSING])
    caption = "Acquisition parameters as quantified (seconds, tesla, mL/g), and where each was found"
    return Table(caption, ["Parameter", "Value", "Source"], rows, {0, 1, 2})


def exclusions(rows: Iterable[Row], unusable: Iterable[Row] = ()) -> Table:
    """Everything that was left out, with the reason: before any image was read, and scans that are not usable."""
    cells = [
        [
            row["participant_id"] or "all",
            row.get("session_id") or "all",
            row.get("condition") or "all",
            row.get("analysis") or "whole study",
            row["reason"] or MISSING,
        ]
        for row in rows
    ] + [
        [
            row["participant_id"],
            row["session_id"] or MISSING,
            row["condition"] or MISSING,
            "contrasts and analyses",
            row["reason"] or MISSING,
        ]
        for row in unusable
    ]
    heads = ["Participant", "Session", "Condition", "Left out of", "Reason"]
    return Table("Left out", heads, cells, {0, 1, 2, 3, 4})


_STAGES = {
    "selected": "Selected (participants of the configuration)",
    "scanned": "Scanned",
    "usable": "Usable scans of {of}",
    "rated": "Craving rated",
    "analysed": "Analysed: {of}",
}


def _stage_words(row: FlowRow) -> str:
    """The name of a flow's stage, whether a row counts those kept or those lost."""
    kept = flow.KEPT.get(row["stage"], row["stage"])
    words = _STAGES[kept].format(of=plain(row["of"] or ""))
    return words + (f" at {row['session_id']}" if row["session_id"] else "")


def flow_counts(rows: Sequence[FlowRow]) -> Table:
    """The participants at every stage: how many are kept in all and by arm, and how many of those randomised are lost."""
    randomised = {row["arm"]: row["n"] for row in rows if row["stage"] == "randomised"}
    cells = [["Randomised", *map(str, (sum(randomised.values()), *randomised.values()))]]
    stages: dict[str, tuple[dict[str | None, int], dict[str | None, int]]] = {}
    for row in rows:
        if row["stage"] != "randomised":
            kept, lost = stages.setdefault(_stage_words(row), ({}, {}))
            by_arm = kept if row["stage"] in flow.LOST else lost
            by_arm[row["arm"]] = by_arm.get(row["arm"], 0) + row["n"]
    for words, (kept, lost) in stages.items():
        counts = [_kept_and_lost(kept[arm], lost.get(arm, 0)) if arm in kept else NONE for arm in randomised]
        cells.append([words, _kept_and_lost(sum(kept.values()), sum(lost.values())), *counts])
    heads = ["Stage", "All", *(arm or "No arm recorded" for arm in randomised)]
    return Table(
        "Participants at every stage, and how many are lost of those randomised (\u2013: not of this arm)", heads, cells
    )


def _kept_and_lost(kept: int, lost: int) -> str:
    return f"{kept} ({lost} lost)" if lost else str(kept)


def flow_losses(rows: Iterable[FlowRow]) -> Table:
    """Who was never scanned, and who is left out of each analysis, with the reason; the other stages are in the file."""
    cells = [
        [
            _stage_words(row),
            row["arm"] or "No arm recorded",
            row["reason"] or MISSING,
            str(row["n"]),
            row["participants"] or MISSING,
        ]
        for row in rows
        if row["stage"] in ("left out", "not selected") or (row["stage"], row["session_id"]) == ("not scanned", None)
        # Participants whom the configuration does not name stand here once.
        if row["cause"] != "not selected" or row["stage"] == "not selected"
    ]
    heads = ["Lost at", "Arm", "Reason", "n", "Participants"]
    return Table(
        "Not selected, never scanned, and left out of each analysis: each participant once, by the earliest reason",
        heads,
        cells,
        {0, 1, 2, 4},
    )


def flow_sentence(rows: Sequence[FlowRow]) -> str:
    """The flow in words: how many were randomised and scanned, by arm."""
    randomised = [row for row in rows if row["stage"] == "randomised"]
    scanned = [row for row in rows if row["stage"] == "scanned" and row["session_id"] is None]
    parts = [
        f"{row['n']} {'without a recorded arm' if row['arm'] is None else 'to ' + row['arm']}" for row in randomised
    ]
    text = f"{count(sum(row['n'] for row in randomised), 'participant')} randomised ({listed(parts)})"
    unnamed = sum(row["n"] for row in rows if row["stage"] == "not selected")
    named = f"; {unnamed} were not selected by participants of the configuration" if unnamed else ""
    return f"{text}, {sum(row['n'] for row in scanned)} of them scanned{named}."


def left_out(exclusions: int, flow_rows: Iterable[FlowRow]) -> str:
    """Whether anything was left out, in a sentence that the flow does not contradict."""
    if exclusions:
        return f"{count(exclusions, 'exclusion is', 'exclusions are')} listed below, each with its reason."
    lost = {who for row in flow_rows if row["stage"] in flow.KEPT for who in (row["participants"] or "").split()}
    if lost:
        return f"No scan was left out; {count(len(lost), 'participant is', 'participants are')} lost at some stage of the flow below."
    return "Nothing was left out."


@dataclass(frozen=True, kw_only=True)
class ParticipantTables:
    """What the section is made of.

    Attributes
    ----------
    scans, participants, exclusions : sequence of Row
        Tables of the study.
    unusable : sequence of Row
        Scans that were quantified and excluded for their quality.
    flow : sequence of FlowRow
        Empty in a study without arms.
    """

    scans: Sequence[Row]
    participants: Sequence[Row]
    exclusions: Sequence[Row]
    unusable: Sequence[Row]
    flow: Sequence[FlowRow]


@dataclass(frozen=True)
class Flow:
    """The flow of participants: a sentence, two tables, the diagram."""

    sentence: str
    counts: Table
    losses: Table
    figure: str


@dataclass(frozen=True)
class ParticipantsSection:
    """The section of participants and scans; ``flow`` is None in a study without arms, ``lost`` without exclusions.

    ``unit`` is the heading of the counts, and ``acquisition`` None, where maps came ready made.
    """

    sentences: Sequence[str]
    flow: Flow | None
    baseline: Table | None
    counts: Table
    lost: Table | None
    acquisition: Table | None
    unit: str


def section(
    content: ParticipantTables,
    flow_figure: FilePath | None,
    *,
    arms: Arms | None,
    baseline: Table | None,
    imported: Sequence[str] = (),
    labels: Labels = NAMES,
) -> ParticipantsSection:
    """The section of participants and scans.

    Parameters
    ----------
    content : ParticipantTables
    flow_figure : path-like or None
        None in a study without arms.
    arms : Arms or None
    baseline : Table or None
        Table 1; None where nobody was scanned.
    imported : sequence of str
        Where ready-made contrast maps come from, in sentences, in the place of scans.
    labels : Labels

    Returns
    -------
    ParticipantsSection
    """
    scans, unusable, excluded = map(labels.rows, (content.scans, content.unusable, content.exclusions))
    flow_rows = flow.in_words(content.flow, labels)
    if arms:
        arms = dataclasses.replace(arms, treatment=labels.arm(arms.treatment), control=labels.arm(arms.control))
    if content.flow:
        # Who is left out of which analysis stands among the losses.
        excluded = [row for row in excluded if not row.get("analysis")]
    lost = len(excluded) + len(unusable)
    diagram = None
    if content.flow and flow_figure is not None:
        diagram = Flow(
            flow_sentence(flow_rows),
            flow_counts(flow_rows),
            flow_losses(flow_rows),
            pictures.fragment(flow_figure),
        )
    return ParticipantsSection(
        sentences=[*(imported or [_quantified(scans)]), left_out(lost, content.flow)],
        flow=diagram,
        baseline=baseline,
        counts=scan_counts(scans, labels.rows(content.participants), unusable, arms, of_maps=bool(imported)),
        lost=exclusions(excluded, unusable) if lost else None,
        acquisition=None if imported else acquisition(scans),
        unit="Contrast maps" if imported else "Scans",
    )


def _quantified(scans: Sequence[Row]) -> str:
    """How many scans of how many participants, sessions and conditions there are, in a sentence."""
    people = distinct(row["participant_id"] for row in scans)
    sessions = distinct(row["session_id"] for row in scans if row["session_id"])
    conditions = distinct(name for row in scans if row["condition"] for name in of_state(row["condition"]))
    text = f"{count(len(scans), 'perfusion scan')} of {count(len(people), 'participant')} were quantified"
    if sessions:
        text += f", at {count(len(sessions), 'session')} ({listed(sessions)})"
    if conditions:
        text += f", in {count(len(conditions), 'condition')} ({listed(conditions)})"
    return f"{text}."
