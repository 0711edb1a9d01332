"""One table of the study for statistics programs: long (a row per participant and session), wide, and their codebook.

Everyone randomised has a row for each session, scanned or not: what is missing is empty. Numbers are rounded; the codebook
names the table that has each of them in full.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.export import spss_syntax, tidy_sources
from pharmasl.export.tidy_columns import Column, Measure, distinct
from pharmasl.export.tidy_sources import Names, TidyFiles
from pharmasl.files import tables

log = logging.getLogger(__name__)

# The columns that say whose row it is.
KEYS = ("participant_id", "session_id", "session_role")
_ROLES = ("baseline", "followup")
CODEBOOK: tables.Columns = {
    "column": "Column of study_long",
    "wide_columns": "Its columns of study_wide, separated by blanks: one per session with a value, or the same name",
    "description": "What it holds",
    "unit": "Unit of its numbers; n/a for texts, counts and pure numbers without one",
    "decimals": "Digits after the point to which numbers are rounded; n/a where they stand as they were entered, and for texts",
    "values": "The values of a column of texts, separated by bars, where there are at most 12",
    "rows_with_value": "Rows of study_long that have a value",
    "source": "Table below the results' folder with the values in full",
    "source_column": "Their column there",
}
_MOST_VALUES = 12


@dataclass(frozen=True, kw_only=True)
class TidyOutputs:
    """The files that are written; each table once with tabs and ``n/a``, once with commas and empty cells.

    Attributes
    ----------
    long, wide, codebook : path-like
        Tab-separated, with a JSON data dictionary beside them.
    long_csv, wide_csv, codebook_csv : path-like
    long_syntax, wide_syntax : path-like
        What SPSS and PSPP read the comma-separated tables by, from the folder in which they lie.
    """

    long: FilePath
    wide: FilePath
    codebook: FilePath
    long_csv: FilePath
    wide_csv: FilePath
    codebook_csv: FilePath
    long_syntax: FilePath
    wide_syntax: FilePath


@dataclass(frozen=True)
class StudyTable:
    """All measures of a study.

    Attributes
    ----------
    participants : tuple of str
        Everyone randomised, in the order of the dataset's table.
    sessions : tuple of str or None
        Labels; None alone in a study without sessions.
    measures : tuple of Measure
    """

    participants: tuple[str, ...]
    sessions: tuple[str | None, ...]
    measures: tuple[Measure, ...]

    def role(self, session: str | None) -> str | None:
        """What a session is in the trial."""
        if session is None:
            return None
        number = self.sessions.index(session)
        return _ROLES[number] if number < len(_ROLES) else "other"

    def long(self) -> Iterator[dict[str, Any]]:
        """A row per participant and session."""
        for who in self.participants:
            for session in self.sessions:
                row = {"participant_id": who, "session_id": session, "session_role": self.role(session)}
                yield row | {measure.column.name: measure.at(who, session) for measure in self.measures}

    def wide(self) -> Iterator[dict[str, Any]]:
        """A row per participant."""
        columns = [(measure, self.wide_columns(measure)) for measure in self.measures]
        for who in self.participants:
            row: dict[str, Any] = {"participant_id": who}
            for measure, names in columns:
                row |= {name: measure.at(who, session) for name, session in names.items()}
            yield row

    def wide_columns(self, measure: Measure) -> dict[str, str | None]:
        """The columns of a measure in the wide table, each with its session; of sessions that have a value."""
        name = measure.column.name
        if not measure.column.by_session or self.sessions == (None,):
            return {name: None}
        there = {session for (_, session), value in measure.values.items() if value is not None}
        return {f"{name}_{session}": session for session in self.sessions if session in there}

    def codebook(self) -> Iterator[dict[str, Any]]:
        """A row per column of the long table."""
        roles = " | ".join(dict.fromkeys(role for session in self.sessions if (role := self.role(session))))
        everywhere = len(self.participants) * len(self.sessions)
        keys = {
            "participant_id": ("Participant; everyone randomised, scanned or not", None),
            "session_id": ("Session; n/a in a study without sessions", " | ".join(filter(None, self.sessions))),
            "session_role": ("What the session is in the trial", roles),
        }
        for name, (words, values) in keys.items():
            number = everywhere if name == "participant_id" or self.sessions != (None,) else 0
            yield {
                "column": name,
                "wide_columns": name if name == "participant_id" else None,
                "description": words,
                "values": values or None,
                "rows_with_value": number,
            }
        for measure in self.measures:
            yield self._described(measure)

    def _described(self, measure: Measure) -> dict[str, Any]:
        column = measure.column
        values = [measure.at(who, session) for who in self.participants for session in self.sessions]
        there = [value for value in values if value is not None]
        return {
            "column": column.name,
            "wide_columns": " ".join(self.wide_columns(measure)) or None,
            "description": column.words,
            "unit": None if column.unit == "1" else column.unit,
            "decimals": column.decimals,
            "values": _levels(there),
            "rows_with_value": len(there),
            "source": column.source,
            "source_column": column.source_column,
        }


def _levels(values: Sequence[str]) -> str | None:
    """The values of a column of texts; None where any is a number, or there are many."""
    levels = sorted(set(values))
    if len(levels) > _MOST_VALUES or any(tables.is_number(level) for level in levels):
        return None
    return " | ".join(levels) or None


def gather(files: TidyFiles, names: Names) -> StudyTable:
    """All measures of a study.

    Parameters
    ----------
    files : TidyFiles
    names : Names

    Returns
    -------
    StudyTable

    Raises
    ------
    InputError
        If a table is of a run with another allocation.
    """
    measures = [
        *tidy_sources.people(files, names),
        *tidy_sources.used(files, names),
        *tidy_sources.craving(files),
        *tidy_sources.endpoints(files, names),
        *tidy_sources.global_cbf(files, names),
        *tidy_sources.region_values(files, names),
        *tidy_sources.scans(files, names),
        *tidy_sources.quality(files, names),
        *tidy_sources.parcel_values(files, names),
    ]
    everyone = [row["participant_id"] for row in tables.read_table(files.randomised, of_arms=True)]
    sessions: dict[str | None, None] = dict.fromkeys(names.sessions)
    # An endpoint may have been measured at sessions without a scan.
    for measure in measures:
        if measure.column.by_session:
            sessions |= dict.fromkeys(session for _, session in measure.values)
    return StudyTable(tuple(everyone), tuple(sessions) or (None,), tuple(distinct(measures, KEYS)))


def write(outputs: TidyOutputs, files: TidyFiles, names: Names) -> None:
    """Write the study's table, long and wide, and its codebook.

    Parameters
    ----------
    outputs : TidyOutputs
    files : TidyFiles
    names : Names

    Raises
    ------
    InputError
        As :func:`gather`.
    """
    table = gather(files, names)
    keys: dict[str, Any] = {
        "participant_id": "Participant; everyone randomised, scanned or not",
        "session_id": "Session label, without ses-; n/a in a study without sessions",
        "session_role": {
            "Description": "What the session is in the trial",
            "Levels": {"baseline": "Baseline", "followup": "Follow-up", "other": "Another session"},
        },
    }
    long: dict[str, Any] = {**keys, **{measure.column.name: _entry(measure.column) for measure in table.measures}}
    wide: dict[str, Any] = {"participant_id": keys["participant_id"]}
    for measure in table.measures:
        for name, session in table.wide_columns(measure).items():
            wide[name] = _entry(measure.column, session)
    written: tuple[tuple[FilePath, FilePath, FilePath | None, list[dict[str, Any]], tables.Columns], ...] = (
        (outputs.long, outputs.long_csv, outputs.long_syntax, list(table.long()), long),
        (outputs.wide, outputs.wide_csv, outputs.wide_syntax, list(table.wide()), wide),
        (outputs.codebook, outputs.codebook_csv, None, list(table.codebook()), CODEBOOK),
    )
    for path, csv_path, syntax_path, rows, columns in written:
        tables.write_table(path, rows, columns)
        tables.write_csv(csv_path, rows, columns)
        if syntax_path:
            text = spss_syntax.syntax(Path(csv_path).name, rows, columns)
            Path(syntax_path).write_text(text, encoding="utf-8")
    log.info("%d participants, %d sessions, %d columns", len(table.participants), len(table.sessions), len(long))


def _entry(column: Column, session: str | None = None) -> dict[str, Any]:
    """A column's entry in a data dictionary."""
    at = f", at session {session}" if session else ""
    units = {"Units": column.unit} if column.unit and column.unit != "1" else {}
    return {"Description": f"{column.words}{at}", **units}
