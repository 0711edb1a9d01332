"""Cue-elicited craving from the raw ratings: the rating after the cues minus the one before them.

A rating is one column of the table (a single question, a visual analogue scale) or the sum of several (the items of a
questionnaire). A sum with a missing item is missing: the items that were answered say nothing certain about it.
"""

import logging
import math

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import tables
from pharmasl.statistics import covariates as covariates_coding

log = logging.getLogger(__name__)

COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "session_id": "Session label, without ses-",
    "before": "Craving rated before the cues",
    "after": "Craving rated after the cues",
    "cue_elicited": "Cue-elicited craving: after minus before; n/a unless both were rated",
}
# BIDS calls the column of a session so; `session` is taken too.
SESSION = "session_id"
RATINGS = ("before", "after", "cue_elicited")


def items(craving, which):
    """The table's columns that make the rating ``before`` or ``after``."""
    return [craving[which]] if isinstance(craving[which], str) else list(craving[which])


def conditions(craving):
    """The cue types asked for, the first of which is the one that all analyses use; ``[None]`` without any."""
    asked = craving.get("condition")
    return [str(each) for each in asked] if isinstance(asked, list) else [None if asked is None else str(asked)]


def column(rating, condition):
    """The name of a rating's column for a further cue type: ``cue_elicited_neutral``."""
    return f"{rating}_{condition}"


def further_conditions(columns):
    """Cue types beside the first, from the columns of a written table."""
    prefix = column("cue_elicited", "")
    found = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    return [each for each in found if column("before", each) in columns and column("after", each) in columns]


def _label(value, prefix):
    return None if value is None else str(value).removeprefix(prefix)


def _rating(table, line, column, text, limits):
    """Read a rating as a number, None where missing; an InputError where it is none or outside the scale."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low, high = limits
    if not (low <= value <= high and math.isfinite(value)):
        raise InputError(
            table,
            f"line {line}, {column}",
            text,
            f"a number from {low:g} to {high:g}, or n/a",
            "Correct the rating (numbers have a decimal point), or set craving.range to the scale's ends.",
        )
    return value


def _rows(table, craving):
    """Read the table's rows of the chosen conditions, each with its line number and condition (None without one)."""
    sheet = tables.read_sheet(table)
    if not sheet.rows:
        raise InputError(table, "rows", "none", "one row a participant and session", "Fill in the craving table.")
    columns = list(sheet.columns)
    named = "session" if "session" in columns or SESSION not in columns else SESSION
    if {"session", SESSION} <= set(columns):
        raise InputError(table, "columns", f"session and {SESSION}", "one of them", "Remove or rename the other.")
    rows = [(line, {**row, SESSION: row.get(named)}) for line, row in zip(sheet.lines, sheet.rows)]
    needed = ["participant_id", named, *items(craving, "before"), *items(craving, "after")]
    asked = conditions(craving)
    if asked != [None]:
        needed.append("condition")
    absent = [name for name in needed if name not in columns]
    if absent:
        raise InputErrors(
            InputError(
                table,
                f"column {name}",
                f"columns {', '.join(columns)}",
                f"a column {name}",
                "Name the table's columns in craving of the configuration.",
            )
            for name in absent
        )
    if asked == [None]:
        return [(line, row, None) for line, row in rows]
    for condition in asked:
        if not any(row["condition"] == condition for _, row in rows):
            values = sorted({row["condition"] for _, row in rows if row["condition"]})
            raise InputError(
                table, "condition", values, f"rows of {condition}", "Set craving.condition to one of them."
            )
    return [(line, row, row["condition"]) for line, row in rows if row["condition"] in asked]


def read_scores(table, participants, craving, sessions, arms):
    """Read and check the craving ratings.

    Parameters
    ----------
    table : path-like
        TSV with ``participant_id`` (with or without ``sub-``), ``session`` or ``session_id`` (with or without ``ses-``), the two columns
        of ratings that ``craving`` names and, where ``craving`` has a ``condition``, a column ``condition``.
    participants : path-like
        ``results/study/participants.tsv``: ``participant_id``, ``arm`` (may be missing), and the covariates.
    craving : dict
        ``before``, ``after`` (a column, or a list of columns to sum); optional ``range`` (least and greatest value of
        a column), ``condition`` (value of the rows to use, or a list: the first is the one analysed, the others give
        columns of their own, ``cue_elicited_neutral``), ``covariates`` (columns of ``participants`` to carry along) and ``unknown``: ``"error"``
        (the default), or ``"ignore"`` to leave out rows of participants and sessions that the study does not have.
    sessions : dict
        ``baseline`` and ``followup``; rows of ``others``, a list, are passed over.
    arms : dict
        ``treatment`` and ``control``; participants of ``others``, a list, keep their rows and take no part in models.

    Returns
    -------
    list of dict
        One row for each participant and session of the study, in that order, with the keys of :data:`COLUMNS` and
        the covariates; ratings that are missing, and rows that are absent, are None.

    Raises
    ------
    InputError, InputErrors
        For a missing column; a rating that is no number or outside the scale; two rows of one participant and
        session; a participant, session or arm that the study does not have. All rows are checked before it is raised.
    """
    people = tables.read_table(participants, of_arms=True)
    scores, answered = score(table, people, participants, craving, sessions, arms)
    for which in ("before", "after"):
        rows = [values for (_, rating), values in answered.items() if rating == which]
        missing = {name: sum(values[k] is None for values in rows) for k, name in enumerate(items(craving, which))}
        partial = sum(0 < values.count(None) < len(values) for values in rows)
        if partial:
            log.warning("%s: %d of %d sums missing for want of some items: %s", table, partial, len(rows), missing)
    return scores


def _strange(table, column, expected, rows):
    """The error of rows (line and value) whose participant or session the study does not have."""
    values = list(dict.fromkeys(str(value) for _, value in rows))
    lines = f"line {rows[0][0]}" + f" and {len(rows) - 1} more" * (len(rows) > 1)
    return InputError(
        table,
        f"{lines}, {column}",
        ", ".join(values[:5]) + ", ..." * (len(values) > 5),
        expected,
        "Correct it, or set craving.unknown to ignore to leave such rows out.",
    )


def score(table, people, file, craving, sessions, arms):
    """The scores of people whose rows are known; see :func:`read_scores`, of which this is the part without a log.

    Parameters
    ----------
    table : path-like
    people : list of dict
        Rows of the participants: ``participant_id``, ``arm``, covariates.
    file : path-like
        Where they come from, for messages.
    craving, sessions, arms : dict

    Returns
    -------
    scores : list of dict
    answered : dict
        (participant, session, condition) and ``before`` or ``after`` to the items' values.
    """
    known = {}
    errors = []
    counts = [len(items(craving, which)) for which in ("before", "after")]
    if counts[0] != counts[1]:
        raise InputError(
            "config", "craving.after", f"{counts[1]} columns", f"{counts[0]}, as craving.before", "Sum the same items."
        )
    for row in people:
        known[_label(row["participant_id"], "sub-")] = row
        if row["arm"] not in (None, arms["treatment"], arms["control"], *(arms.get("others") or [])):
            expected = " or ".join([arms["treatment"], arms["control"], *(arms.get("others") or [])])
            errors.append(InputError(file, f"arm of {row['participant_id']}", row["arm"], expected, "Correct it."))
    covariates = list(craving.get("covariates") or [])
    for name in covariates:
        absent = [
            each for each in covariates_coding.source_columns(name) if any(each not in row for row in known.values())
        ]
        if absent:
            expected = "a column of participants.tsv, or the change of one, such as weight_T2 - weight_T1"
            errors.append(
                InputError(file, "craving.covariates", " and ".join(absent), expected, "Correct craving.covariates.")
            )
    labels = [_label(sessions["baseline"], "ses-"), _label(sessions["followup"], "ses-")]
    elsewhere = {_label(session, "ses-") for session in sessions.get("others") or []}
    limits = craving.get("range") or (-math.inf, math.inf)
    ignore = craving.get("unknown", "error") == "ignore"

    found, strangers = {}, {}
    answered = {}
    for line, row, condition in _rows(table, craving):
        participant, session = _label(row["participant_id"], "sub-"), _label(row[SESSION], "ses-")
        if session in elsewhere:
            continue  # another session of the study, which no craving analysis uses
        unknown = {
            (name, expected): value
            for name, value, accepted, expected in (
                ("participant_id", participant, known, "a participant of the study"),
                ("session", session, labels, f"one of {labels}"),
            )
            if value not in accepted
        }
        if unknown and ignore:
            log.info("line %d of %s left out: %s, %s is not in the study", line, table, participant, session)
        elif unknown:
            for kind, value in unknown.items():
                # One error for all such rows, in the place of the first.
                if kind not in strangers:
                    strangers[kind] = len(errors), []
                    errors.append(None)
                strangers[kind][1].append((line, value))
        if unknown:
            continue
        key = (participant, session, condition)
        if key in found:
            errors.append(
                InputError(
                    table,
                    f"line {line}",
                    f"{participant}, {session} again (first in line {found[key][0]})",
                    "one row a participant and session",
                    "Remove one, or choose rows by craving.condition.",
                )
            )
            continue
        ratings = []
        for which in ("before", "after"):
            values = []
            for name in items(craving, which):
                try:
                    values.append(_rating(table, line, name, row[name], limits))
                except InputError as error:
                    errors.append(error)
                    values.append(None)
            answered[key, which] = values
            ratings.append(None if None in values else sum(values))
        found[key] = (line, *ratings)
    for (name, expected), (place, rows) in strangers.items():
        errors[place] = _strange(table, name, expected, rows)
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)

    first, *others = conditions(craving)
    scores = []
    for participant, row in known.items():
        for session in labels:
            line = {"participant_id": row["participant_id"], "arm": row["arm"], SESSION: session}
            for condition in (first, *others):
                _, before, after = found.get((participant, session, condition), (None, None, None))
                elicited = None if before is None or after is None else after - before
                named = zip(RATINGS, (before, after, elicited))
                line |= {name if condition == first else column(name, condition): value for name, value in named}
            scores.append(line | {name: covariates_coding.value(row, name) for name in covariates})
    return scores, answered


def write_scores(table, participants, scores_path, craving, sessions, arms):
    """Read, check and write the craving scores; the sidecar counts the missing values of each column.

    Parameters
    ----------
    table, participants, craving, sessions, arms
        As for :func:`read_scores`.
    scores_path : path-like
        The table to write; columns as :data:`COLUMNS`, then the covariates.

    Raises
    ------
    InputError, InputErrors
        As :func:`read_scores`, before anything is written.
    """
    scores = read_scores(table, participants, craving, sessions, arms)
    first, *others = conditions(craving)
    columns = {name: {"Description": text} for name, text in COLUMNS.items()}
    for condition in others:
        for name in RATINGS:
            columns[column(name, condition)] = {"Description": f"{COLUMNS[name]}; cues: {condition}"}
    for name in columns:
        rating = next((each for each in RATINGS if name == each or name in [column(each, c) for c in others]), None)
        if rating is None:
            continue
        columns[name]["Missing"] = sum(row[name] is None for row in scores)
        if first is not None and name == rating:
            columns[name]["Cues"] = first
        names = items(craving, "after" if rating == "after" else "before")
        if len(names) > 1 or rating == "cue_elicited":
            columns[name]["Items"] = (
                names if rating != "cue_elicited" else {which: items(craving, which) for which in ("before", "after")}
            )
        if craving.get("range"):
            low, high = craving["range"]
            scale = f"points of a scale from {low:g} to {high:g}"
            if len(names) > 1:
                scale = f"points, sum of {len(names)} items from {low:g} to {high:g} ({len(names) * low:g} to "
                scale += f"{len(names) * high:g})"
            columns[name]["Units"] = scale
    for name in craving.get("covariates") or []:
        columns[name] = {"Description": f"Covariate {name} of participants.tsv"}
    missing = columns["cue_elicited"]["Missing"]
    log.info("cue-elicited craving: %d of %d scores missing", missing, len(scores))
    tables.write_table(scores_path, scores, columns)


def read_written(path):
    """Read a table that :func:`write_scores` wrote, ratings as numbers.

    Returns
    -------
    list of dict
    """
    rows = tables.read_table(path)
    others = further_conditions(rows[0]) if rows else []
    numbers = [*RATINGS, *(column(name, condition) for condition in others for name in RATINGS)]
    for row in rows:
        for name in numbers:
            row[name] = None if row[name] is None else float(row[name])
    return rows
