"""Covariates and factors as columns of numbers, coded alike for maps, regions, endpoints and the sensitivity analysis.

A covariate is named by a column of the participants' table, or, where it changes, by the columns of follow-up and baseline,
``weight_T2 - weight_T1``, whose difference enters. Numbers are centred at the mean of the participants analysed. Words become
one indicator column per level but the first in alphabetical order, ``sex[M]``, centred too. Centring changes the intercept
alone; where no intercept is read, :func:`uncentred` leaves the numbers as they are.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.statistics import factors

# A row of the participants' table: text, None where a value is missing.
Row = Mapping[str, str | None]

_CHANGE = " - "


class Term(NamedTuple):
    """A column of a design.

    Attributes
    ----------
    name : str
    values : ndarray of shape (n,), float64
    description : str
        For the data dictionary of the design's table.
    """

    name: str
    values: np.ndarray
    description: str


def source_columns(covariate: str) -> list[str]:
    """The columns that a covariate is made of: itself, or the two of a change, ``weight_T2 - weight_T1``."""
    return [part.strip() for part in covariate.split(_CHANGE)]


def value(row: Row, covariate: str) -> str | None:
    """The value of a covariate in a row of the participants' table, as text; None where it, or one of its columns, is missing."""
    parts = [row[column] for column in source_columns(covariate)]
    if len(parts) == 1:
        return parts[0]
    followup, baseline = parts
    return None if followup is None or baseline is None else repr(float(followup) - float(baseline))


def number(text: str) -> float | None:
    """The finite number that a text stands for; None where it stands for none."""
    try:
        read = float(text)
    except ValueError:
        return None
    return read if math.isfinite(read) else None


def centred(rows: Sequence[Row], participants: Sequence[str], covariate: str, file: FilePath) -> list[Term]:
    """The centred columns of one covariate.

    Parameters
    ----------
    rows : sequence of mapping
        The participants' rows of the table.
    participants : sequence of str
        Their labels, for messages.
    covariate : str
        A column of the table, or a change, ``b - a``.
    file : path-like
        The table, for messages.

    Returns
    -------
    list of Term
        One for numbers; one per level but the first for words.

    Raises
    ------
    InputError
        If the column is absent, a participant has no value, numbers and words are mixed, or the words are not levels of a factor
        (see :func:`pharmasl.statistics.factors.check_values`).
    """
    parts = source_columns(covariate)
    if len(parts) == 2:
        return [_centred_change(rows, participants, covariate, file)]
    if covariate not in rows[0]:
        raise InputError(
            file,
            covariate,
            f"columns {', '.join(rows[0])}",
            "the covariate's column",
            "Add it or drop the covariate.",
        )
    values = [row[covariate] for row in rows]
    texts = [text for text in values if text is not None]
    if len(texts) < len(values):
        missing = [name for name, text in zip(participants, values) if text is None]
        raise InputError(
            file,
            covariate,
            f"n/a for {', '.join(missing)}",
            "a value for every participant analysed",
            "Complete the table, drop the covariate or exclude the participants.",
        )
    numbers = [number(text) for text in texts]
    words = [f"{text} for {name}" for name, text, read in zip(participants, texts, numbers) if read is None]
    if not words:
        column = np.array(numbers, dtype=np.float64)
        mean = np.mean(column)
        return [Term(covariate, column - mean, f"{covariate} of participants.tsv minus its mean, {mean:.6g}")]
    if len(words) < len(texts):
        raise InputError(
            file,
            covariate,
            ", ".join(words),
            "a number, as the other participants have",
            "Correct the value in the table.",
        )
    factors.check_values(texts, participants, covariate, file)
    return indicators(texts, covariate, file)


def _centred_change(rows: Sequence[Row], participants: Sequence[str], covariate: str, file: FilePath) -> Term:
    parts = source_columns(covariate)
    followup, baseline = (centred(rows, participants, part, file)[0] for part in parts)
    for part, term in zip(parts, (followup, baseline)):
        if term.name != part:
            raise InputError(file, part, "words", "numbers, of which a change can be taken", "Correct the table.")
    return Term(covariate, followup.values - baseline.values, f"{covariate} of participants.tsv, minus its mean")


def indicators(levels: Sequence[str], name: str, file: FilePath) -> list[Term]:
    """Centred indicator columns of a factor, one per level but the first in alphabetical order.

    Parameters
    ----------
    levels : sequence of str
        Level of each participant.
    name : str
        The factor, for the terms ``name[level]`` and for messages.
    file : path-like
        For messages.

    Returns
    -------
    list of Term

    Raises
    ------
    InputError
        If there is only one level.
    """
    first, *others = sorted(set(levels))
    if not others:
        raise InputError(
            file, name, f"{first} for all participants", "at least two levels", f"Drop the covariate {name}."
        )
    terms = []
    for level in others:
        column = np.array([own == level for own in levels], dtype=np.float64)
        text = f"1 where {name} is {level}, 0 otherwise, minus the share of {level}; reference {first}"
        terms.append(Term(f"{name}[{level}]", column - column.mean(), text))
    return terms


def uncentred(rows: Sequence[Row], covariates: Sequence[str]) -> np.ndarray:
    """Covariates as numbers, for models from which they are only regressed out.

    Parameters
    ----------
    rows : sequence of mapping
        A row per participant, each covariate under its own name.
    covariates : sequence of str

    Returns
    -------
    ndarray of shape (k, n)
        Numbers as they are, words as one column of 0 and 1 per level but the first. A missing covariate is NaN in all its
        columns.
    """
    columns: list[list[float]] = []
    for name in covariates:
        texts = [row[name] for row in rows]
        try:
            columns.append([math.nan if text is None else float(text) for text in texts])
        except ValueError:
            levels = sorted({text for text in texts if text is not None})
            columns += [[math.nan if text is None else float(text == level) for text in texts] for level in levels[1:]]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(rows))


def with_values(rows: Sequence[Row], covariates: Sequence[str], table: Sequence[Row]) -> list[dict[str, str | None]]:
    """Rows of participants with covariates of the participants' table.

    Parameters
    ----------
    rows : sequence of mapping
        With ``participant_id``.
    covariates : sequence of str
        Columns of the participants' table, or the change of one, ``b - a``.
    table : sequence of mapping
        Rows of participants.tsv.

    Returns
    -------
    list of dict
        The rows, each covariate as text under its own name, None where missing.
    """
    known = {row["participant_id"]: row for row in table}
    return [{**row, **{name: value(known[row["participant_id"]], name) for name in covariates}} for row in rows]
