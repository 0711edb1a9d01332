"""Who was scanned, how, and who was left out."""

import re
import statistics

from pharmasl.conduct import flow
from pharmasl.report.words import MISSING, Table, count, fixed, listed, plain, short


def distinct(values):
    """Values in order of their first appearance."""
    return list(dict.fromkeys(values))


def groups(scans):
    """Conditions and sessions that have scans: by condition, then session, each in order of its first appearance."""
    conditions, sessions = (distinct(row[name] for row in scans) for name in ("condition", "session_id"))
    met = {(row["condition"], row["session_id"]) for row in scans}
    return [(condition, session) for condition in conditions for session in sessions if (condition, session) in met]


def arm_of(participants):
    """Participant to arm."""
    return {row["participant_id"]: row.get("arm") for row in participants}


def scan_counts(scans, participants, unusable, config):
    """Scans by condition and session, and by arm where there are arms, with how many of each were excluded."""
    arms = arm_of(participants)
    names = [a for a in (config.get("arms", {}).get("treatment"), config.get("arms", {}).get("control")) if a]
    rows = []
    for condition, session in groups(scans):
        own, lost = (
            [row for row in each if (row["condition"], row["session_id"]) == (condition, session)]
            for each in (scans, unusable)
        )
        cells = [
            [sum(name in (None, arms.get(row["participant_id"])) for row in each) for each in (own, lost)]
            for name in (None, *names)
        ]
        told = [f"{n} ({out} excluded)" if out else str(n) for n, out in cells]
        rows.append([condition or MISSING, session or MISSING, *told])
    return Table("Scans by condition and session", ["Condition", "Session", "Scans", *names], rows, {0, 1})


def characteristics(scans, participants, config):
    """Each covariate of the analyses by arm: mean and SD, or counts. Single participants' values stay off the page."""
    if "arms" not in config:
        return None
    scanned = {row["participant_id"] for row in scans}
    people = [row for row in participants if row["participant_id"] in scanned]
    arms = [config["arms"]["treatment"], config["arms"]["control"]]
    rows = [["Participants", *[str(sum(row["arm"] == arm for row in people)) for arm in arms]]]
    names = distinct(
        name for analysis in config.get("analyses", {}).values() for name in analysis.get("covariates") or []
    )
    for name in names:
        known = [row[name] for row in people if row.get(name) is not None]
        numeric = all(_is_number(value) for value in known)
        levels = [None] if numeric else sorted(set(known))
        for level in levels:
            cells = []
            for arm in arms:
                own = [row.get(name) for row in people if row["arm"] == arm and row.get(name) is not None]
                if not own:
                    cells.append(MISSING)
                elif numeric:
                    numbers = [float(value) for value in own]
                    spread = f" (SD {fixed(statistics.stdev(numbers), 1)})" if len(numbers) > 1 else ""
                    cells.append(f"{fixed(statistics.fmean(numbers), 1)}{spread}")
                else:
                    share = sum(value == level for value in own)
                    cells.append(f"{share} ({100 * share / len(own):.0f} %)")
            rows.append([f"{name}, mean" if numeric else f"{name}: {level}", *cells])
    return Table("Participants with at least one scan, by arm", ["", *arms], rows)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def found_in(source):
    """Where a value was found, without the folder and without whose scan it was: one entry for a whole study."""
    return re.sub(r"\bsub-[A-Za-z0-9+]+", "sub-*", re.sub(r" of .*[/\\]", " of ", source))


def acquisition(scans):
    """Each acquisition parameter: the values met, for how many scans, and where they were found."""
    rows = []
    for name in scans[0] if scans else ():
        if f"{name}_source" not in scans[0]:
            continue
        values = [short(row[name]) for row in scans if row[name] is not None]
        if not values:
            continue
        told = distinct(found_in(row[f"{name}_source"]) for row in scans if row[f"{name}_source"])
        where = "; ".join(told[:2]) + (f"; and {len(told) - 2} more" if len(told) > 2 else "")
        tally = [(value, values.count(value)) for value in distinct(values)]
        cell = tally[0][0] if len(tally) == 1 else "; ".join(f"{value} ({count(n, 'scan')})" for value, n in tally[:6])
        rows.append([name.replace("_", " "), cell, where or MISSING])
    caption = "Acquisition parameters as quantified (seconds, tesla, mL/g), and where each was found"
    return Table(caption, ["Parameter", "Value", "Source"], rows, {0, 1, 2})


def exclusions(rows, unusable=()):
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


def _stage_words(row):
    """The name of a flow's stage, whichever of those kept and those lost a row counts."""
    kept = flow.KEPT.get(row["stage"], row["stage"])
    words = _STAGES[kept].format(of=plain(row["of"] or ""))
    return words + (f" at {row['session_id']}" if row["session_id"] else "")


def flow_counts(rows):
    """The participants at every stage: how many are kept in all and by arm, and how many of those randomised are lost.

    Parameters
    ----------
    rows : list of dict
        Of :func:`pharmasl.conduct.flow.read_flow`.

    Returns
    -------
    Table
    """
    randomised = {row["arm"]: row["n"] for row in rows if row["stage"] == "randomised"}
    cells = [["Randomised", *[str(n) for n in (sum(randomised.values()), *randomised.values())]]]
    stages = {}
    for row in rows:
        if row["stage"] != "randomised":
            kept, lost = stages.setdefault(_stage_words(row), ({}, {}))
            by_arm = kept if row["stage"] in flow.LOST else lost
            by_arm[row["arm"]] = by_arm.get(row["arm"], 0) + row["n"]
    for words, (kept, lost) in stages.items():
        pairs = [(sum(kept.values()), sum(lost.values()))]
        pairs += [(kept[arm], lost.get(arm, 0)) if arm in kept else None for arm in randomised]
        told = [
            "\u2013" if pair is None else f"{pair[0]} ({pair[1]} lost)" if pair[1] else f"{pair[0]}" for pair in pairs
        ]
        cells.append([words, *told])
    heads = ["Stage", "All", *[arm or "No arm recorded" for arm in randomised]]
    return Table(
        "Participants at every stage, and how many are lost of those randomised (\u2013: not of this arm)", heads, cells
    )


def flow_losses(rows):
    """Who was never scanned, and who is left out of each analysis, with the reason; the other stages are in the file."""
    cells = [
        [_stage_words(row), row["arm"] or "No arm recorded", row["reason"], str(row["n"]), row["participants"]]
        for row in rows
        if row["stage"] in ("left out", "not selected") or (row["stage"], row["session_id"]) == ("not scanned", None)
        # Whom the configuration does not name is told once.
        if row["cause"] != "not selected" or row["stage"] == "not selected"
    ]
    heads = ["Lost at", "Arm", "Reason", "n", "Participants"]
    return Table(
        "Not selected, never scanned, and left out of each analysis: each participant once, by the earliest reason",
        heads,
        cells,
        {0, 1, 2, 4},
    )


def flow_sentences(rows):
    """The flow in words: how many were randomised and scanned, by arm."""
    randomised = [row for row in rows if row["stage"] == "randomised"]
    scanned = [row for row in rows if row["stage"] == "scanned" and row["session_id"] is None]
    parts = [
        f"{row['n']} {'without a recorded arm' if row['arm'] is None else 'to ' + row['arm']}" for row in randomised
    ]
    told = f"{count(sum(row['n'] for row in randomised), 'participant')} randomised ({listed(parts)})"
    unnamed = sum(row["n"] for row in rows if row["stage"] == "not selected")
    named = f"; {unnamed} were not selected by participants of the configuration" if unnamed else ""
    return f"{told}, {sum(row['n'] for row in scanned)} of them scanned{named}."


def left_out(exclusions, flow_rows):
    """Whether anything was left out, in a sentence that the flow does not contradict."""
    if exclusions:
        return f"{count(exclusions, 'exclusion is', 'exclusions are')} listed below, each with its reason."
    stages = set(flow.LOST.values())
    lost = {who for row in flow_rows if row["stage"] in stages for who in (row["participants"] or "").split()}
    if lost:
        return f"No scan was left out; {count(len(lost), 'participant is', 'participants are')} lost at some stage of the flow below."
    return "Nothing was left out."


def section(scans, participants, exclusion_rows, unusable, config, flow_rows=()):
    """The first section: sentences and tables.

    Parameters
    ----------
    scans, participants, exclusion_rows : list of dict
        Rows of the study's tables.
    unusable : list of dict
        Rows of the quality stage's exclusions: scans that were quantified and enter nothing.
    config : dict
    flow_rows : list of dict
        Of :func:`pharmasl.conduct.flow.read_flow`; empty for a study without arms.

    Returns
    -------
    dict
        ``sentences``, ``flow`` (None, or ``sentence``, ``counts`` and ``losses``), ``tables`` and ``acquisition``.
    """
    if flow_rows:
        # Who is left out of which analysis stands among the losses.
        exclusion_rows = [row for row in exclusion_rows if not row.get("analysis")]
    people = distinct(row["participant_id"] for row in scans)
    sessions = distinct(row["session_id"] for row in scans if row["session_id"])
    conditions = distinct(row["condition"] for row in scans if row["condition"])
    text = f"{count(len(scans), 'perfusion scan')} of {count(len(people), 'participant')} were quantified"
    if sessions:
        text += f", at {count(len(sessions), 'session')} ({listed(sessions)})"
    if conditions:
        text += f", in {count(len(conditions), 'condition')} ({listed(conditions)})"
    lost = len(exclusion_rows) + len(unusable)
    sentences = [f"{text}.", left_out(lost, flow_rows)]
    found = [scan_counts(scans, participants, unusable, config), characteristics(scans, participants, config)]
    found += [exclusions(exclusion_rows, unusable)] if lost else []
    told = {
        "sentence": flow_sentences(flow_rows),
        "counts": flow_counts(flow_rows),
        "losses": flow_losses(flow_rows),
    }
    return {
        "sentences": sentences,
        "flow": told if flow_rows else None,
        "tables": [table for table in found if table],
        "acquisition": acquisition(scans),
    }
