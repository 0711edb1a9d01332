"""Columns with what was measured of a participant's blood: one value for the person, or one for each session.

``haematocrit`` may be a column of the participants' table, ``haematocrit_T1`` and ``haematocrit_T2`` may be, or ``haematocrit`` may be one of the
participants' tables of sessions (:mod:`pharmasl.study.session_tables`).
"""

import os
from collections.abc import Container, Iterator, Mapping

from pharmasl.errors import InputError
from pharmasl.study.settings import Settings
from pharmasl.study.trial import Study

Row = Mapping[str, str | None]


def by_session(study: Settings) -> dict[str, tuple[str, ...]]:
    """The names that each column has where sessions have values of their own."""
    labels = study.sessions.labels if study.sessions else ()
    return {column: tuple(f"{column}_{label}" for label in labels) for column in study.perfusion.blood_columns}


def is_there(column: str, columns: Container[str], sessions: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a table has a column, or those of its sessions."""
    return column in columns or any(name in columns for name in sessions.get(column, ()))


def value(row: Row, column: str, session: str | None) -> tuple[str | None, str]:
    """A participant's value at a session, None where there is none, and the column that has it.

    Where sessions have values of their own, those of the person are not looked at.
    """
    name = f"{column}_{session}"
    if session is not None and name in row:
        return row[name], name
    return row.get(column), column


def check(study: Study) -> Iterator[InputError]:
    """Refuse values at some of a participant's scanned sessions alone: their difference would be that of two T1 of blood.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
        One for each column, of the first participant.
    """
    path = os.path.join(study.settings.bids_dir, study.settings.participants_table)
    scanned: dict[str, list[str | None]] = {}
    for scan in study.scans.values():
        if scan.acquisition.quantified:
            scanned.setdefault(scan.subject, []).append(scan.session)
    for column in study.settings.perfusion.blood_columns:
        partly = []
        for subject, sessions in scanned.items():
            own = dict(value(study.participants[subject], column, session)[::-1] for session in dict.fromkeys(sessions))
            if any(known is None for known in own.values()) and any(known is not None for known in own.values()):
                partly.append((subject, own))
        if partly:
            subject, own = partly[0]
            more = f" (and {len(partly) - 1} more)" if len(partly) > 1 else ""
            yield InputError(
                path,
                f"{', '.join(own)} of sub-{subject}{more}",
                ", ".join("n/a" if known is None else known for known in own.values()),
                "a value at every scanned session of a participant, or at none: CBF would change with the T1 of blood that is taken instead",
                "Add what is missing, or write n/a at all of the participant's sessions.",
            )
