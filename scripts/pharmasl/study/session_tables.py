"""Columns of which each session has its own, from BIDS' tables of a participant's sessions, ``sub-01/sub-01_sessions.tsv``.

A formula's ``visit(drug)`` reads ``drug_T1``, ``drug_T2``, ... of the participants' table. Where that table has no such columns,
they are filled from the column ``drug`` of the participants' tables of sessions.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from pharmasl.errors import InputError
from pharmasl.files import bids, tables

Row = dict[str, str | None]


def fill(
    root: str, rows: Mapping[str, Row], columns: Iterable[str], sessions: Sequence[str]
) -> tuple[set[str], list[InputError]]:
    """Fill columns of participants from their tables of sessions.

    Parameters
    ----------
    root : str
        Of the dataset.
    rows : mapping
        Label to the participant's row, which gains the columns.
    columns : iterable of str
        ``{column}_{session}``, those that the participants' table lacks.
    sessions : sequence of str
        Labels.

    Returns
    -------
    set of str
        The columns that at least one participant's table has.
    list of InputError
        For tables that cannot be read, have no ``session_id``, or a session twice.
    """
    wanted = {name: split for name in columns if (split := _split(name, sessions))}
    filled: set[str] = set()
    errors: list[InputError] = []
    for label, row in rows.items() if wanted else ():
        path = os.path.join(root, f"sub-{label}", f"sub-{label}_sessions.tsv")
        if not os.path.lexists(path):
            continue
        try:
            own = _by_session(path)
        except InputError as error:
            errors.append(error)
            continue
        for name, (column, session) in wanted.items():
            if column in own.get(session, {}):
                row[name] = own[session][column]
                filled.add(name)
    # Whoever has no table has no value.
    for row in rows.values():
        row.update({name: None for name in filled if name not in row})
    return filled, errors


def _split(name: str, sessions: Sequence[str]) -> tuple[str, str] | None:
    for session in sessions:
        column = name.removesuffix(f"_{session}")
        if column and column != name:
            return column, session
    return None


def _by_session(path: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in tables.read_table(path):
        if "session_id" not in row:
            raise InputError(path, "session_id", f"columns {', '.join(row)}", "a column session_id", "Add it.")
        session = bids.bare_label(row["session_id"] or "", "ses")
        if session in rows:
            raise InputError(path, "session_id", f"ses-{session} twice", "each session once", "Remove one of the rows.")
        rows[session] = dict(row)
    return rows
