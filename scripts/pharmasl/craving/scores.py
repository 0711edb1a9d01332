"""Cue-elicited craving from the raw ratings: the rating after the cues minus the one before them."""

import logging
import math

from pharmasl import tables
from pharmasl.errors import InputError, InputErrors

log = logging.getLogger(__name__)

COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "session": "Session label, without ses-",
    "before": "Craving rated before the cues",
    "after": "Craving rated after the cues",
    "cue_elicited": "Cue-elicited craving: after minus before; n/a unless both were rated",
}


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
    if not low <= value <= high:
        raise InputError(
            table,
            f"line {line}, {column}",
            text,
            f"a number from {low:g} to {high:g}, or n/a",
            "Mend the rating, or set craving.range to the scale's ends.",
        )
    return value


def _rows(table, craving):
    """Read the table's rows with their line numbers, those of the chosen condition only."""
    rows = [(line, row) for line, row in enumerate(tables.read_table(table), start=2)]
    if not rows:
        raise InputError(table, "rows", "none", "one row a participant and session", "Fill in the craving table.")
    columns = list(rows[0][1])
    needed = ["participant_id", "session", craving["before"], craving["after"]]
    condition = craving.get("condition")
    if condition is not None:
        needed.append("condition")
    absent = [name for name in needed if name not in columns]
    if absent:
        raise InputErrors(
            InputError(table, "columns", columns, f"a column {name}", "Name the table's columns in craving.")
            for name in absent
        )
    if condition is None:
        return rows
    chosen = [(line, row) for line, row in rows if row["condition"] == str(condition)]
    if not chosen:
        values = sorted({row["condition"] for _, row in rows if row["condition"]})
        raise InputError(table, "condition", values, f"rows of {condition}", "Set craving.condition to one of them.")
    return chosen


def read_scores(table, participants, craving, sessions, arms):
    """Read and check the craving ratings.

    Parameters
    ----------
    table : path-like
        TSV with ``participant_id`` (with or without ``sub-``), ``session`` (with or without ``ses-``), the two columns
        of ratings that ``craving`` names and, where ``craving`` has a ``condition``, a column ``condition``.
    participants : path-like
        ``results/study/participants.tsv``: ``participant_id``, ``arm`` (may be missing), and the covariates.
    craving : dict
        ``before``, ``after`` (names of columns); optional ``range`` (least and greatest rating), ``condition`` (value
        of the rows to use), ``covariates`` (columns of ``participants`` to carry along) and ``unknown``: ``"error"``
        (the default), or ``"ignore"`` to leave out rows of participants and sessions that the study does not have.
    sessions : dict
        ``baseline`` and ``followup``.
    arms : dict
        ``treatment`` and ``control``.

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
    known = {}
    errors = []
    for row in tables.read_table(participants):
        known[_label(row["participant_id"], "sub-")] = row
        if row["arm"] not in (None, arms["treatment"], arms["control"]):
            expected = f"{arms['treatment']} or {arms['control']}"
            errors.append(InputError(participants, f"arm of {row['participant_id']}", row["arm"], expected, "Mend it."))
    covariates = list(craving.get("covariates") or [])
    for name in covariates:
        if any(name not in row for row in known.values()):
            mend = "Mend craving.covariates."
            errors.append(InputError(participants, "craving.covariates", name, "a column of participants.tsv", mend))
    labels = [_label(sessions["baseline"], "ses-"), _label(sessions["followup"], "ses-")]
    limits = craving.get("range") or (-math.inf, math.inf)
    ignore = craving.get("unknown", "error") == "ignore"

    found = {}
    for line, row in _rows(table, craving):
        participant, session = _label(row["participant_id"], "sub-"), _label(row["session"], "ses-")
        unknown = [
            InputError(
                table,
                f"line {line}, {column}",
                value,
                expected,
                "Mend it, or set craving.unknown to ignore to leave such rows out.",
            )
            for column, value, accepted, expected in (
                ("participant_id", participant, known, "a participant of the study"),
                ("session", session, labels, f"one of {labels}"),
            )
            if value not in accepted
        ]
        if unknown:
            if ignore:
                log.info("line %d of %s left out: %s, %s is not in the study", line, table, participant, session)
            else:
                errors += unknown
            continue
        if (participant, session) in found:
            errors.append(
                InputError(
                    table,
                    f"line {line}",
                    f"{participant}, {session} again (first in line {found[participant, session][0]})",
                    "one row a participant and session",
                    "Remove one, or choose rows by craving.condition.",
                )
            )
            continue
        ratings = []
        for column in (craving["before"], craving["after"]):
            try:
                ratings.append(_rating(table, line, column, row[column], limits))
            except InputError as error:
                errors.append(error)
                ratings.append(None)
        found[participant, session] = (line, *ratings)
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)

    scores = []
    for participant, row in known.items():
        for session in labels:
            _, before, after = found.get((participant, session), (None, None, None))
            scores.append(
                {
                    "participant_id": row["participant_id"],
                    "arm": row["arm"],
                    "session": session,
                    "before": before,
                    "after": after,
                    "cue_elicited": None if before is None or after is None else after - before,
                    **{name: row[name] for name in covariates},
                }
            )
    return scores


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
    columns = {}
    for name, text in COLUMNS.items():
        columns[name] = {"Description": text}
        if name in ("before", "after", "cue_elicited"):
            columns[name]["Missing"] = sum(row[name] is None for row in scores)
            if craving.get("range"):
                columns[name]["Units"] = f"points of a scale from {craving['range'][0]:g} to {craving['range'][1]:g}"
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
    for row in rows:
        for name in ("before", "after", "cue_elicited"):
            row[name] = None if row[name] is None else float(row[name])
    return rows
