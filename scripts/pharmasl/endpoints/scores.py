"""Cue-elicited craving from the raw ratings: the rating after the cues minus the one before them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.endpoints import ratings
from pharmasl.endpoints.ratings import SESSION, Answers, Visit, conditions
from pharmasl.errors import FilePath, InputError, InputErrors
from pharmasl.files import bids, tables
from pharmasl.statistics import covariates as coding
from pharmasl.study import settings

log = logging.getLogger(__name__)

COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "session_id": "Session label, without ses-",
    "before": "Craving rated before the cues",
    "after": "Craving rated after the cues",
    "cue_elicited": "Cue-elicited craving: after minus before; n/a unless both were rated",
}
RATINGS = ("before", "after", "cue_elicited")

# A row of the scores: the keys of COLUMNS, the ratings of further cue types, and the covariates.
Row = dict[str, str | float | None]


@dataclass(frozen=True)
class Scores:
    """The scores of the study's participants.

    Attributes
    ----------
    rows : list of dict
        One row per participant and session of the study, in that order, with the keys of :data:`COLUMNS`, those of further cue
        types, and the covariates. Ratings that are missing, and rows that are absent, are None.
    answers : mapping
        The items behind them, by participant, session and condition.
    """

    rows: list[Row]
    answers: Mapping[Visit, Answers]


def column(rating: str, condition: str) -> str:
    """The name of a rating's column for a further cue type: ``cue_elicited_neutral``."""
    return f"{rating}_{condition}"


def further_conditions(columns: Sequence[str]) -> list[str]:
    """Cue types other than the first, from the columns of a written table."""
    prefix = column("cue_elicited", "")
    named = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    return [name for name in named if column("before", name) in columns and column("after", name) in columns]


def read_scores(
    table: FilePath,
    participants: FilePath,
    asked: settings.Ratings,
    sessions: settings.Sessions,
    arms: settings.Arms,
) -> list[Row]:
    """Read and check the craving ratings.

    Parameters
    ----------
    table : path-like
        See :func:`pharmasl.endpoints.ratings.read_answers`.
    participants : path-like
        ``results/study/participants.tsv``: ``participant_id``, ``arm`` (may be missing), and the covariates.
    asked : Ratings
    sessions : Sessions
    arms : Arms

    Returns
    -------
    list of dict
        ``rows`` of :class:`Scores`.

    Raises
    ------
    InputError, InputErrors
        As :func:`score`.
    """
    people = tables.read_table(participants, of_arms=True)
    scores = score(table, people, asked, sessions, arms, file=participants)
    for which in ("before", "after"):
        rows = [getattr(answers, which) for answers in scores.answers.values()]
        missing = {name: sum(items[k] is None for items in rows) for k, name in enumerate(getattr(asked, which))}
        partial = sum(0 < items.count(None) < len(items) for items in rows)
        if partial:
            log.warning("%s: %d of %d sums missing because some items are: %s", table, partial, len(rows), missing)
    return scores.rows


def score(
    table: FilePath,
    people: Sequence[Mapping[str, str | None]],
    asked: settings.Ratings,
    sessions: settings.Sessions,
    arms: settings.Arms,
    *,
    file: FilePath,
) -> Scores:
    """The scores of participants whose rows are known already.

    Parameters
    ----------
    table : path-like
        See :func:`pharmasl.endpoints.ratings.read_answers`.
    people : sequence of mapping
        Rows of the participants: ``participant_id``, ``arm``, covariates.
    asked : Ratings
    sessions : Sessions
    arms : Arms
        Participants of ``others`` keep their rows and take no part in models.
    file : path-like
        Where ``people`` come from, for messages.

    Returns
    -------
    Scores

    Raises
    ------
    InputError, InputErrors
        For a missing column; a rating that is no number or off the scale; two rows of one participant and session; a
        participant, session, arm or covariate that the study does not have. All rows are checked before it is raised.
    """
    if len(asked.before) != len(asked.after):
        raise InputError(
            file="config",
            field="craving.after",
            found=f"{len(asked.after)} columns",
            expected=f"{len(asked.before)}, as craving.before",
            fix="Sum the same items.",
        )
    known = {bids.bare_label(row["participant_id"] or "", "sub"): row for row in people}
    errors = list(_strange_people(known, asked.covariates, arms, file))
    answers, wrong = ratings.read_answers(table, asked, known, sessions)
    errors += wrong
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)
    first, *others = conditions(asked)
    rows = []
    for participant, row in known.items():
        for label in (sessions.baseline, sessions.later):
            session = bids.bare_label(label, "ses")
            line: Row = {"participant_id": row["participant_id"], "arm": row["arm"], SESSION: session}
            line |= dict(zip(RATINGS, _rated(answers.get((participant, session, first)))))
            for condition in others:
                values = _rated(answers.get((participant, session, condition)))
                line |= {column(name, str(condition)): value for name, value in zip(RATINGS, values)}
            rows.append(line | {name: coding.value(row, name) for name in asked.covariates})
    return Scores(rows, answers)


def _strange_people(
    people: Mapping[str, Mapping[str, str | None]],
    covariates: Sequence[str],
    arms: settings.Arms,
    file: FilePath,
) -> Iterator[InputError]:
    """What is wrong with the participants' arms, and with the columns of the covariates."""
    for row in people.values():
        if row["arm"] is not None and row["arm"] not in arms.labels:
            yield InputError(
                file=file,
                field=f"arm of {row['participant_id']}",
                found=row["arm"],
                expected=" or ".join(arms.labels),
                fix="Correct it.",
            )
    for name in covariates:
        absent = [part for part in coding.source_columns(name) if any(part not in row for row in people.values())]
        if absent:
            yield InputError(
                file=file,
                field="craving.covariates",
                found=" and ".join(absent),
                expected="a column of participants.tsv, or the change of one, such as weight_T2 - weight_T1",
                fix="Correct craving.covariates.",
            )


def _rated(answers: Answers | None) -> tuple[float | None, float | None, float | None]:
    """Ratings before and after the cues and their difference, None where missing."""
    before, after = answers.sums if answers else (None, None)
    return before, after, None if before is None or after is None else after - before


def write_scores(
    table: FilePath,
    participants: FilePath,
    scores_path: FilePath,
    asked: settings.Ratings,
    sessions: settings.Sessions,
    arms: settings.Arms,
) -> None:
    """Read, check and write the craving scores; the sidecar counts the missing values of each column.

    Parameters
    ----------
    table, participants, asked, sessions, arms
        As for :func:`read_scores`.
    scores_path : path-like
        The table to write; columns as :data:`COLUMNS`, then those of further cue types and the covariates.

    Raises
    ------
    InputError, InputErrors
        As :func:`read_scores`, before anything is written.
    """
    scores = read_scores(table, participants, asked, sessions, arms)
    missing = sum(row["cue_elicited"] is None for row in scores)
    log.info("cue-elicited craving: %d of %d scores missing", missing, len(scores))
    tables.write_table(scores_path, scores, _dictionary(scores, asked))


def _dictionary(scores: Sequence[Row], asked: settings.Ratings) -> dict[str, dict[str, Any]]:
    """The data dictionary of the scores."""
    first, *others = conditions(asked)
    columns: dict[str, dict[str, Any]] = {name: {"Description": text} for name, text in COLUMNS.items()}
    for name in RATINGS:
        columns[name] |= {"Missing": _missing(scores, name)} | ({"Cues": first} if first is not None else {})
        columns[name] |= _scale(name, asked)
    for condition in others:
        for name in RATINGS:
            own = column(name, str(condition))
            columns[own] = {
                "Description": f"{COLUMNS[name]}; cues: {condition}",
                "Missing": _missing(scores, own),
                **_scale(name, asked),
            }
    for name in asked.covariates:
        columns[name] = {"Description": f"Covariate {name} of participants.tsv"}
    return columns


def _missing(scores: Sequence[Row], name: str) -> int:
    return sum(row[name] is None for row in scores)


def _scale(rating: str, asked: settings.Ratings) -> dict[str, Any]:
    """Items and units of a rating, for the data dictionary."""
    items = asked.after if rating == "after" else asked.before
    described: dict[str, Any] = {}
    if rating == "cue_elicited":
        described["Items"] = {"before": list(asked.before), "after": list(asked.after)}
    elif len(items) > 1:
        described["Items"] = list(items)
    if asked.range:
        low, high = asked.range
        units = f"points of a scale from {low:g} to {high:g}"
        if len(items) > 1:
            units = f"points, sum of {len(items)} items from {low:g} to {high:g} "
            units += f"({len(items) * low:g} to {len(items) * high:g})"
        described["Units"] = units
    return described
