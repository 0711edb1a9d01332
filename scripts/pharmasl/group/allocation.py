"""What a trial allocated to its participants, and the design that a formula's model of scans would have had under any allocation.

The label of a participant is the arm, or in a crossover the sequence of treatments. Under the null that the treatment does nothing a
participant's scans would have been the same under another label: labels are what a permutation test may deal anew
(:mod:`pharmasl.group.engine.exchange`). Sessions, covariates and which scans are missing stay with the participant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pharmasl.errors import InputError
from pharmasl.statistics import formula_designs
from pharmasl.statistics.formula_designs import Design, Table, Value

ARM, SEQUENCE = "arm", "sequence"
# Columns of a session's own that nobody allocates.
_OF_TIME = frozenset({"session", "period", "visit(period)", "visit(session)"})


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Labels of participants, and the design under each.

    Attributes
    ----------
    what : str
        ``arm``, or ``sequence``.
    labels : tuple of str
    participants : tuple of str
        Each once, in the order of their first row.
    codes : ndarray of int, shape (P,)
        Place of each participant's label in ``labels``.
    designs : ndarray of shape (K, n, terms)
        The design as if everybody had label 0, 1, ...
    """

    what: str
    labels: tuple[str, ...]
    participants: tuple[str, ...]
    codes: np.ndarray
    designs: np.ndarray

    def plain(self) -> dict[str, Any]:
        """As plain values, which :meth:`build` takes."""
        return {
            "what": self.what,
            "labels": list(self.labels),
            "participants": list(self.participants),
            "codes": self.codes.tolist(),
            "designs": self.designs.tolist(),
        }

    @classmethod
    def build(cls, plain: Mapping[str, Any]) -> "Allocation":
        """From :meth:`plain`."""
        return cls(
            what=plain["what"],
            labels=tuple(plain["labels"]),
            participants=tuple(plain["participants"]),
            codes=np.array(plain["codes"], dtype=np.int64),
            designs=np.array(plain["designs"], dtype=np.float64),
        )

    def of_columns(self, kept: np.ndarray) -> "Allocation":
        """The same of fewer columns, ndarray of int."""
        return replace(self, designs=self.designs[:, :, kept])


def of_design(made: Design, table: Table, sessions: Sequence[str], tested: Sequence[str]) -> Allocation | None:
    """The allocation of a model of scans; None where nothing that is tested was allocated, or a participant's sequence cannot be told.

    Parameters
    ----------
    made : pharmasl.statistics.formula_designs.Design
    table : pharmasl.statistics.formula_designs.Table
        Whose rows are scans, named by their participants. A column ``sequence`` tells the sequences of a crossover; else they are
        the arms, where these decide the treatment at each session, or are read from the treatments.
    sessions : sequence of str
        Of each row.
    tested : sequence of str
        Factors of the formula that the test is about.

    Returns
    -------
    Allocation or None

    Raises
    ------
    InputError
        If a participant has two rows of one session.
    """
    _check_rows(table, sessions)
    used = {name for factor in made.formula.factors for name in (factor.text, *factor.variables)}
    if ARM in used:
        labels = [str(value) for value in table.columns[ARM]]
        changed: dict[str, dict[str, dict[str, Value]]] = {
            ARM: {label: dict.fromkeys(sessions, label) for label in set(labels)}
        }
        return _under_labels(made, table, sessions, _Labels(ARM, labels, changed))
    within = [name for name in _variables(made, table, tested) if name not in _OF_TIME and _varies_within(table, name)]
    if not within:
        return None
    sequences = _sequences(table, sessions, within)
    if sequences is None or not _everywhere(sequences, sessions):
        return None
    labels = sequences
    changed = {name: _by_session(table, name, labels, sessions) for name in within}
    if SEQUENCE in used:
        changed[SEQUENCE] = {label: dict.fromkeys(sessions, label) for label in set(labels)}
    return _under_labels(made, table, sessions, _Labels(SEQUENCE, labels, changed))


@dataclass(frozen=True)
class _Labels:
    """Each row's label, and what the columns that it decides are under each label at each session."""

    what: str
    rows: Sequence[str]
    changed: Mapping[str, Mapping[str, Mapping[str, Value]]]


def _check_rows(table: Table, sessions: Sequence[str]) -> None:
    keys = list(zip(table.rows, sessions, strict=True))
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise InputError(table.file, "participant, session", repeated[0], "one scan each", "Drop one of them.")


def _variables(made: Design, table: Table, tested: Sequence[str]) -> list[str]:
    """The columns that may be treatments, as the table names them: the tested ones, and where the sequence is tested all of words."""
    names: list[str] = []
    for factor in made.formula.factors:
        own = [factor.text] if factor.function == "visit" else list(factor.variables)
        if factor.text in tested:
            names += own
        elif SEQUENCE in tested:
            names += [name for name in own if any(isinstance(value, str) for value in table.columns.get(name, ()))]
    return list(dict.fromkeys(names))


def _varies_within(table: Table, name: str) -> bool:
    column = table.columns.get(name)
    if column is None:
        return False
    first: dict[str, Value] = {}
    return any(first.setdefault(who, value) != value for who, value in zip(table.rows, column))


def _everywhere(labels: Sequence[str], sessions: Sequence[str]) -> bool:
    """Whether there is a scan of every label at every session, to tell what its treatment was."""
    return len(set(zip(labels, sessions))) == len(set(labels)) * len(set(sessions))


def _sequences(table: Table, sessions: Sequence[str], within: Sequence[str]) -> list[str] | None:
    """The sequence of each row's participant; None where the scans that are there fit none, or several."""
    for name in (SEQUENCE, ARM):
        column = table.columns.get(name)
        if column is not None and None not in column and _decides(table, column, sessions, within):
            return [str(value) for value in column]
    seen: dict[str, dict[str, tuple[Value, ...]]] = {}
    for row, (who, session) in enumerate(zip(table.rows, sessions)):
        seen.setdefault(who, {})[session] = tuple(table.columns[name][row] for name in within)
    number = len(set(sessions))
    order = sorted(set(sessions), key=list(sessions).index)
    complete = {tuple(own[session] for session in order) for own in seen.values() if len(own) == number}
    sequence: dict[str, str] = {}
    for who, own in seen.items():
        fitting = [
            one for one in sorted(complete, key=str) if all(dict(zip(order, one))[s] == v for s, v in own.items())
        ]
        if len(fitting) != 1:
            return None
        sequence[who] = ", ".join("/".join(map(str, part)) for part in fitting[0])
    return [sequence[who] for who in table.rows]


def _decides(table: Table, labels: Sequence[Value], sessions: Sequence[str], within: Sequence[str]) -> bool:
    """Whether the treatments at each session follow from the labels, of which there are at least two."""
    first: dict[tuple[Value, str], tuple[Value, ...]] = {}
    for row, key in enumerate(zip(labels, sessions)):
        own = tuple(table.columns[name][row] for name in within)
        if first.setdefault(key, own) != own:
            return False
    return len(set(labels)) > 1


def _by_session(table: Table, name: str, labels: Sequence[str], sessions: Sequence[str]) -> dict[str, dict[str, Value]]:
    """A treatment's value by label and session."""
    values: dict[str, dict[str, Value]] = {}
    for label, session, value in zip(labels, sessions, table.columns[name]):
        values.setdefault(label, {})[session] = value
    return values


def _under_labels(made: Design, table: Table, sessions: Sequence[str], labels: _Labels) -> Allocation:
    """The designs: that of the rows repeated once for each label, with the columns that the label decides."""
    declared = [label for label in table.levels.get(labels.what, ()) if label in labels.rows]
    names = (*declared, *sorted(set(labels.rows) - set(declared)))
    columns: dict[str, list[Value]] = {name: list(values) * len(names) for name, values in table.columns.items()}
    for name, values in labels.changed.items():
        columns[name] = [values[label][session] for label in names for session in sessions]
    stacked = Table(columns=columns, rows=list(table.rows) * len(names), levels=table.levels, file=table.file)
    matrix = formula_designs.design(made.formula, stacked).matrix.reshape(len(names), len(table.rows), -1)
    own = np.array([names.index(label) for label in labels.rows])
    observed = matrix[own, np.arange(len(own))]
    # A column of length 1, a polynomial's, is shorter among more rows.
    size = np.abs(observed).max(axis=0)
    scale = np.where(size > 0, np.abs(made.matrix).max(axis=0) / np.where(size > 0, size, 1.0), 1.0)
    if not np.allclose(observed * scale, made.matrix, rtol=1e-8, atol=1e-8 * np.abs(made.matrix).max()):
        raise ValueError("the design under the observed labels is not the model's")
    people = tuple(dict.fromkeys(table.rows))
    rows = list(table.rows)
    codes = own[[rows.index(who) for who in people]]
    return Allocation(what=labels.what, labels=names, participants=people, codes=codes, designs=matrix * scale)
