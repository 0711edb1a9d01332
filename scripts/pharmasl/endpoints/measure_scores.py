"""A clinical measure of everyone randomised: scores by session, arms, the columns of the model, and who is in which population."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.endpoints import measure_table, visit_rows
from pharmasl.endpoints.measure_table import Score, Visit
from pharmasl.errors import FilePath, InputError, InputErrors
from pharmasl.files import bids, tables
from pharmasl.study import endpoint_checks
from pharmasl.study.settings import Arms, MeasureTable, Population, Sessions

log = logging.getLogger(__name__)

Row = Mapping[str, str | None]
# What the columns of a written table that are no columns of the participants' table are.
COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial; n/a where the participants' table has none",
    "session_id": "Session label, without ses-",
    "score": "Score that is analysed; n/a where missing",
    "score_measured": "Score as it was measured, before any transformation",
    "items_answered": "Number of items answered",
}
POPULATION = "population_"
_YES, _NO = {"yes", "y", "true", "1"}, {"no", "n", "false", "0"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What of a trial every measure is read with.

    Attributes
    ----------
    people : sequence of mapping
        Rows of the participants' table with ``participant_id`` and ``arm``, of everyone randomised.
    file : path-like
        Where they are from, for messages.
    arms : Arms
    sessions : Sessions
        Of the measure.
    passed_over : sequence of str
        Further sessions of the study.
    """

    people: Sequence[Row]
    file: FilePath
    arms: Arms
    sessions: Sessions
    passed_over: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measure of a trial's participants.

    Attributes
    ----------
    people : mapping
        Participant (``sub-01``) to the row with ``arm`` and the columns of the model.
    scores : mapping
        Participant and session (without ``ses-``) to the analysed score, of the visits that have one.
    sessions : Sessions
        Labels without ``ses-``.
    arms : Arms
    populations : mapping
        Name to the participants in it.
    """

    people: Mapping[str, Row]
    scores: Mapping[tuple[str, str], float]
    sessions: Sessions
    arms: Arms
    populations: Mapping[str, frozenset[str]]

    def score(self, participant: str, session: str) -> float | None:
        """The analysed score of a visit; None where missing."""
        return self.scores.get((participant, session))

    def members(self, population: str) -> list[str]:
        """The participants of a population who have an arm of the trial, in the order of the table."""
        labels = self.arms.labels
        return [
            name for name, row in self.people.items() if row["arm"] in labels and name in self.populations[population]
        ]


def bare(sessions: Sessions) -> Sessions:
    """The sessions by their labels without ``ses-``."""
    baseline, followup, *others = visit_rows.labels(sessions.labels)
    return Sessions(baseline=baseline, followup=followup, others=tuple(others))


def score(
    table: FilePath,
    asked: MeasureTable,
    trial: Trial,
    populations: Mapping[str, Population],
    chosen: Sequence[str],
    *,
    field: str,
) -> tuple[Measured, Mapping[Visit, Score]]:
    """Read a measure and find its populations.

    Parameters
    ----------
    table : path-like
    asked : MeasureTable
    trial : Trial
    populations : mapping of str to Population
        The study's.
    chosen : sequence of str
        Those that the measure is analysed in; ``all`` is everyone.
    field : str
        Of the configuration, for messages.

    Returns
    -------
    measured : Measured
    scores : mapping
        By participant (without ``sub-``) and session.

    Raises
    ------
    InputError, InputErrors
        With everything that is wrong with the table, the arms and the populations.
    """
    known = {bids.bare_label(row["participant_id"] or "", "sub"): row for row in trial.people}
    errors = list(_strange_arms(known, trial))
    scores, wrong = measure_table.read(table, asked, known, trial.sessions, field=field, passed_over=trial.passed_over)
    errors += wrong
    members = {}
    for name in chosen:
        if name == endpoint_checks.EVERYONE:
            members[name] = frozenset(f"sub-{label}" for label in known)
            continue
        own, wrong = _members(populations[name], known, trial)
        errors += wrong
        members[name] = frozenset(f"sub-{label}" for label in own)
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)
    sessions = bare(trial.sessions)
    people = {f"sub-{label}": row for label, row in known.items()}
    analysed = {
        (f"sub-{who}", when): value.analysed for (who, when), value in scores.items() if value.analysed is not None
    }
    measured = Measured(people=people, scores=analysed, sessions=sessions, arms=trial.arms, populations=members)
    return measured, scores


def _strange_arms(people: Mapping[str, Row], trial: Trial) -> Iterator[InputError]:
    for row in people.values():
        if row["arm"] is not None and row["arm"] not in trial.arms.labels:
            expected = " or ".join(trial.arms.labels)
            yield InputError(trial.file, f"arm of {row['participant_id']}", row["arm"], expected, "Correct it.")


def _members(population: Population, people: Mapping[str, Row], trial: Trial) -> tuple[list[str], list[InputError]]:
    """Labels of the population's members, and what is wrong with its definition."""
    field = f"populations.{population.name}"
    if population.participants is not None:
        named = [bids.bare_label(label, "sub") for label in population.participants]
        errors = [
            InputError("config", f"{field}.participants", label, "a participant of the study", "Correct the label.")
            for label in named
            if label not in people
        ]
        return [label for label in named if label in people], errors
    column, members, errors = str(population.column), [], []
    for label, row in people.items():
        if row["arm"] is None:
            continue
        text = row.get(column)
        word = (text or "").casefold()
        if population.value is not None:
            inside = text == population.value
        else:
            inside = word in _YES
            if word not in _YES | _NO:
                errors.append(
                    InputError(
                        trial.file,
                        f"{column} of sub-{label}",
                        text,
                        f"yes or no, for {field}",
                        f"Correct the table, or set {field}.value to what stands for yes.",
                    )
                )
        if inside:
            members.append(label)
    if not members and not errors:
        what = f"no one with {column} {population.value or 'yes'}"
        errors.append(InputError(trial.file, column, what, "members", f"Correct the table, or {field}."))
    return members, errors


def rows(measured: Measured, scores: Mapping[Visit, Score], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the table of scores, one per participant and session."""
    table = []
    for name, row in measured.people.items():
        for session in measured.sessions.labels:
            one = scores.get((bids.bare_label(name, "sub"), session))
            line: dict[str, Any] = {"participant_id": name, "arm": row["arm"], visit_rows.SESSION: session}
            line |= {
                "score": one and one.analysed,
                "score_measured": one and one.measured,
                "items_answered": one and one.answered,
            }
            line |= {f"{POPULATION}{own}": name in members for own, members in measured.populations.items()}
            table.append(line | {column: row.get(column) for column in columns})
    return table


@dataclass(frozen=True, kw_only=True)
class ScoreFiles:
    """The files of the scores of a measure.

    Attributes
    ----------
    table : path-like
        The raw table.
    scores : path-like
        Written.
    """

    table: FilePath
    scores: FilePath


def write(
    files: ScoreFiles,
    asked: MeasureTable,
    trial: Trial,
    populations: Mapping[str, Population],
    chosen: Sequence[str],
    *,
    field: str,
) -> None:
    """Read, check and write the scores; parameters as :func:`score`.

    Raises
    ------
    InputError, InputErrors
        As :func:`score`, before anything is written.
    """
    measured, scores = score(files.table, asked, trial, populations, chosen, field=field)
    columns = [name for name in trial.people[0] if name not in ("participant_id", "arm")] if trial.people else []
    table = rows(measured, scores, columns)
    missing = sum(row["score"] is None for row in table)
    log.info("%s: %d of %d scores missing", field, missing, len(table))
    tables.write_table(files.scores, table, _dictionary(asked, measured, columns))


def _dictionary(asked: MeasureTable, measured: Measured, columns: Sequence[str]) -> dict[str, Any]:
    """The data dictionary of the scores."""
    texts: dict[str, Any] = {name: {"Description": text} for name, text in COLUMNS.items()}
    logarithm = asked.transform == measure_table.LOG
    texts["score"]["Units"] = f"natural logarithm of {asked.unit}" if logarithm else asked.unit
    texts["score_measured"]["Units"] = asked.unit
    if asked.items:
        prorated = asked.prorate and f"sum prorated from {asked.prorate.least} answered items on"
        texts["score_measured"] |= {
            "Items": list(asked.items),
            "Reversed": list(asked.reverse),
            "MissingItems": prorated or "sum missing",
        }
    if limits := measure_table.whole_range(asked):
        texts["score_measured"]["Range"] = list(limits)
    for name in measured.populations:
        texts[f"{POPULATION}{name}"] = f"Whether the participant is in the population {name}"
    return texts | {name: f"{name} of the participants' table" for name in columns}


def read(path: FilePath, sessions: Sessions, arms: Arms) -> Measured:
    """Read a table that :func:`write` wrote.

    Parameters
    ----------
    path : path-like
    sessions : Sessions
        Of the measure.
    arms : Arms

    Returns
    -------
    Measured
    """
    table = tables.read_table(path, of_arms=True)
    populations = [name.removeprefix(POPULATION) for name in table[0] if name.startswith(POPULATION)] if table else []
    people = {str(row["participant_id"]): row for row in table}
    return Measured(
        people=people,
        scores={
            (str(row["participant_id"]), str(row[visit_rows.SESSION])): float(row["score"])
            for row in table
            if row["score"] is not None
        },
        sessions=bare(sessions),
        arms=arms,
        populations={
            name: frozenset(who for who, row in people.items() if row[f"{POPULATION}{name}"] == "true")
            for name in populations
        },
    )
