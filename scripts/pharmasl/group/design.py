"""The parts of a design: the participants' rows of the table, their arms, the change of a seed region, the rank of the matrix."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.files.bids import bare_label, scan_labels
from pharmasl.statistics.covariates import Row, number
from pharmasl.study.effect_kinds import CHANGE


@dataclass(frozen=True)
class Sample:
    """Participants with their rows of the participants' table.

    Attributes
    ----------
    participants : list of str
        In the order of the maps.
    rows : list of mapping
        Their rows, in that order.
    file : path-like
        The table, for messages.
    """

    participants: list[str]
    rows: list[Row]
    file: FilePath

    @classmethod
    def read(cls, participants: Sequence[str], table: Sequence[Row], file: FilePath) -> "Sample":
        """The participants with their rows of a table.

        Parameters
        ----------
        participants : sequence of str
        table : sequence of mapping
            Rows of participants.tsv.
        file : path-like

        Raises
        ------
        InputError
            If a participant has no row.
        """
        known = {bare_label(row["participant_id"] or "", "sub"): row for row in table}
        unknown = [name for name in participants if bare_label(name, "sub") not in known]
        if unknown:
            raise InputError(
                file, "participant_id", f"no row for {', '.join(unknown)}", "a row for every participant", "Add it."
            )
        return cls(list(participants), [known[bare_label(name, "sub")] for name in participants], file)

    def within_arm(self, arm: str) -> "Sample":
        """The participants of one arm.

        Raises
        ------
        InputError
            If there are fewer than two.
        """
        chosen = [k for k, row in enumerate(self.rows) if row.get("arm") == arm]
        if len(chosen) < 2:
            raise _too_few(self.file, arm, len(chosen))
        return Sample([self.participants[k] for k in chosen], [self.rows[k] for k in chosen], self.file)

    def arms(self, expected: Sequence[str]) -> list[str]:
        """Each participant's arm.

        Parameters
        ----------
        expected : sequence of str
            The arms of the analysis.

        Raises
        ------
        InputError
            If someone is in another arm, or an arm has fewer than two.
        """
        strange = [
            f"{name}: {row.get('arm')}"
            for name, row in zip(self.participants, self.rows)
            if row.get("arm") not in expected
        ]
        if strange:
            raise InputError(
                self.file, "arm", ", ".join(strange), " or ".join(expected), "Correct the table or arms in the config."
            )
        labels = [str(row["arm"]) for row in self.rows]
        for arm in expected:
            if labels.count(arm) < 2:
                raise _too_few(self.file, arm, labels.count(arm))
        return labels


def _too_few(file: FilePath, arm: str, count: int) -> InputError:
    return InputError(file, f"arm {arm}", f"{count} participant(s)", "at least two", "Scan or include more.")


def dependencies(matrix: np.ndarray, terms: Sequence[str]) -> list[str]:
    """The columns of a design that are linear combinations of columns before them, each as an equation.

    Parameters
    ----------
    matrix : ndarray of shape (n, terms)
    terms : sequence of str

    Returns
    -------
    list of str
        Such as ``months = 12 age``, one per column that adds nothing; empty for a design of full rank.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    independent: list[int] = []
    equations: list[str] = []
    for j, term in enumerate(terms):
        column = matrix[:, j]
        size = np.linalg.norm(column)
        if size < 1e-12:
            equations.append(f"{term} = 0")
            continue
        if independent:
            lengths = np.linalg.norm(matrix[:, independent], axis=0)
            weights = np.linalg.lstsq(matrix[:, independent] / lengths, column, rcond=None)[0]
            rest = column - (matrix[:, independent] / lengths) @ weights
            if np.linalg.norm(rest) < 1e-8 * size:
                parts = [
                    (w / length, terms[k])
                    for w, length, k in zip(weights, lengths, independent)
                    if abs(w) > 1e-7 * size
                ]
                text = " ".join(f"{'-' if w < 0 else '+'} {_factor(abs(w))}{name}" for w, name in parts)
                equations.append(f"{term} = {text.removeprefix('+ ')}")
                continue
        independent.append(j)
    return equations


def _factor(value: float) -> str:
    return "" if abs(value - 1) < 1e-6 else f"{value:.4g} "


def check_rank(matrix: np.ndarray, terms: Sequence[str], file: FilePath) -> None:
    """Raise if a term of the design is a combination of others.

    Parameters
    ----------
    matrix : ndarray of shape (n, terms)
    terms : list of str
    file : path-like
        For the message.

    Raises
    ------
    InputError
        Naming the terms that are entangled.
    """
    length = np.sqrt((matrix**2).sum(axis=0))
    empty = [term for term, size in zip(terms, length) if size < 1e-12]
    if empty:
        raise InputError(
            file, f"design term {', '.join(empty)}", "one value for all participants", "a term that varies", "Drop it."
        )
    _, singular, directions = np.linalg.svd(matrix / length, full_matrices=True)
    singular = np.append(singular, np.zeros(len(terms) - len(singular)))
    null = directions[singular < 1e-8 * singular[0]]
    if len(null):
        entangled = [term for term, weight in zip(terms, np.abs(null).max(axis=0)) if weight > 1e-6]
        raise InputError(
            file,
            f"design terms {', '.join(entangled)}",
            f"one is a combination of the others (confounded): {'; '.join(dependencies(matrix, terms))}",
            "terms that can be told apart",
            "Drop one of them from covariates.",
        )


def region_values(
    path: FilePath, participants: Sequence[str], contrast: str, sessions: Mapping[str, str], outcome: str
) -> np.ndarray:
    """Each participant's value of a region: mean of the follow-up minus mean of the baseline, or of one session.

    Parameters
    ----------
    path : path-like
        ``rois/{roi}_values.tsv``: participant_id, session, contrast, cbf.
    participants : sequence of str
    contrast : str
        Whose values to take.
    sessions : mapping
        ``baseline`` and ``followup``: session labels.
    outcome : {"change", "followup", "baseline"}
        What the model explains, and so what the region's value is.

    Returns
    -------
    ndarray of shape (n,)
        mL/100 g/min; NaN where the region was not covered (``n/a`` in the table).

    Raises
    ------
    InputError
        If the table has no row for a participant, session and contrast, or two, or something other than a number.
    """
    taken = ("followup", "baseline") if outcome == CHANGE else (outcome,)
    read = [scan_region_values(path, participants, contrast, [sessions[which]] * len(participants)) for which in taken]
    return read[0] - read[1] if outcome == CHANGE else read[0]


def scan_region_values(
    path: FilePath, participants: Sequence[str], contrast: str, sessions: Sequence[str]
) -> np.ndarray:
    """A region's value at the session of each row; ``sessions`` are labels, all else as for :func:`region_values`."""
    values: dict[tuple[str, str, str], str | None] = {}
    for row in tables.read_table(path):
        key = (*scan_labels(row), row["contrast"])
        if key in values:
            raise InputError(path, "participant_id, session, contrast", key, "one row each", "Make the table again.")
        values[key] = row["cbf"]
    read = [
        _value(values, (bare_label(name, "sub"), bare_label(session, "ses"), contrast), path)
        for name, session in zip(participants, sessions)
    ]
    return np.array(read)


def _value(values: Mapping[tuple[str, str, str], str | None], key: tuple[str, str, str], path: FilePath) -> float:
    """The value of a participant, session and contrast; NaN where missing."""
    if key not in values:
        raise InputError(path, "participant_id, session, contrast", f"no row {key}", "one row", "Make it again.")
    text = values[key]
    if text is None:
        return math.nan
    read = number(text)
    if read is None:
        raise InputError(path, "cbf", text, "a number or n/a", "Make the table again.")
    return read
