"""The parts of design matrices: rows of the participants' table, columns of covariates, arms and sites, their rank.

Numbers are centred at the mean of the participants analysed. A covariate of words becomes one indicator column for each
level but the first in alphabetical order, ``sex[M]``, centred too. Centring changes the intercept alone.
:mod:`pharmasl.group.effects` puts them together.
"""

import math

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.statistics import factors
from pharmasl.study import arms as study_arms


def bare(label, prefix):
    """A label without its entity's prefix: ``sub-01`` and ``01`` are one, so are ``ses-T1`` and ``T1``."""
    return label[len(prefix) :] if label.startswith(prefix) else label


def _number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def covariate_columns(rows, names, name, file):
    """Columns of one covariate.

    Parameters
    ----------
    rows : list of dict
        The participants' rows of the table, text or None.
    names : list of str
        The participants, for messages.
    name : str
        Column of the table; or of a covariate that changes, the columns of follow-up and baseline, ``b - a``, whose
        difference enters, as the outcome's does.
    file : path-like
        The table, for messages.

    Returns
    -------
    list of (term, values, description)

    Raises
    ------
    InputError
        If the column is absent, a participant has no value, numbers and words are mixed, or the words are no levels (see
        :func:`pharmasl.statistics.factors.check_values`).
    """
    parts = study_arms.columns(name)
    if len(parts) == 2:
        both = [covariate_columns(rows, names, part, file)[0] for part in parts]
        for part, (term, _, _) in zip(parts, both):
            if term != part:
                raise InputError(file, part, "words", "numbers, of which a change can be taken", "Correct the table.")
        change = both[0][1] - both[1][1]
        return [(name, change, f"{name} of participants.tsv, minus its mean")]
    if name not in rows[0]:
        raise InputError(
            file, name, f"columns {', '.join(rows[0])}", "the covariate's column", "Add it or drop the covariate."
        )
    values = [row[name] for row in rows]
    missing = [participant for participant, value in zip(names, values) if value is None]
    if missing:
        raise InputError(
            file,
            name,
            f"n/a for {', '.join(missing)}",
            "a value for every participant analysed",
            "Complete the table, drop the covariate or exclude the participants.",
        )
    numbers = [_number(value) for value in values]
    words = [f"{value} for {who}" for who, value, number in zip(names, values, numbers) if number is None]
    if not words:
        column = np.array(numbers) - np.mean(numbers)
        return [(name, column, f"{name} of participants.tsv minus its mean, {np.mean(numbers):.6g}")]
    if len(words) == len(values):
        factors.check_values(values, names, name, file)
    else:
        raise InputError(
            file, name, ", ".join(words), "a number, as the other participants have", "Correct the value in the table."
        )
    return indicator_columns(values, name, file)


def indicator_columns(values, name, file):
    """Centred indicator columns of a factor, one for each level but the first in alphabetical order.

    Parameters
    ----------
    values : list of str
        Level of each participant.
    name : str
        The factor, for the terms ``name[level]`` and for messages.
    file : path-like
        For messages.

    Returns
    -------
    list of (term, values, description)

    Raises
    ------
    InputError
        If there is only one level.
    """
    first, *others = sorted(set(values))
    columns = []
    for level in others:
        column = np.array([value == level for value in values], dtype=np.float64)
        text = f"1 where {name} is {level}, 0 otherwise, minus the share of {level}; reference {first}"
        columns.append((f"{name}[{level}]", column - column.mean(), text))
    if not columns:
        raise InputError(
            file, name, f"{first} for all participants", "at least two levels", f"Drop the covariate {name}."
        )
    return columns


def dependencies(matrix, terms):
    """Which columns of a design are linear combinations of columns before them, and of which.

    Parameters
    ----------
    matrix : ndarray of shape (n, terms)
    terms : list of str

    Returns
    -------
    list of str
        Such as ``months = 12 age``, one for each column that adds nothing; empty for a design of full rank.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    independent, found = [], []
    for j, term in enumerate(terms):
        column = matrix[:, j]
        size = np.linalg.norm(column)
        if size < 1e-12:
            found.append(f"{term} = 0")
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
                found.append(f"{term} = {text.removeprefix('+ ')}")
                continue
        independent.append(j)
    return found


def _factor(value):
    return "" if abs(value - 1) < 1e-6 else f"{value:.4g} "


def check_rank(matrix, terms, file):
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
        guilty = [term for term, weight in zip(terms, np.abs(null).max(axis=0)) if weight > 1e-6]
        raise InputError(
            file,
            f"design terms {', '.join(guilty)}",
            f"one is a combination of the others (confounded): {'; '.join(dependencies(matrix, terms))}",
            "terms that can be told apart",
            "Drop one of them from covariates.",
        )


def participant_rows(participants, table, file):
    """The table's rows of the participants, in their order.

    Parameters
    ----------
    participants : list of str
    table : list of dict
        Rows of participants.tsv.
    file : path-like
        For messages.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        If a participant has no row.
    """
    known = {bare(row["participant_id"], "sub-"): row for row in table}
    unknown = [name for name in participants if bare(name, "sub-") not in known]
    if unknown:
        raise InputError(
            file, "participant_id", f"no row for {', '.join(unknown)}", "a row for every participant", "Add it."
        )
    return [known[bare(name, "sub-")] for name in participants]


def arm_labels(rows, participants, wanted, file):
    """Each participant's arm.

    Parameters
    ----------
    rows : list of dict
        Of :func:`participant_rows`.
    participants : list of str
        For messages.
    wanted : sequence of str
        The arms of the analysis.
    file : path-like

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If someone is in another arm, or an arm has fewer than two.
    """
    strange = [f"{name}: {row.get('arm')}" for name, row in zip(participants, rows) if row.get("arm") not in wanted]
    if strange:
        raise InputError(
            file, "arm", ", ".join(strange), " or ".join(wanted), "Correct the table or arms in the config."
        )
    labels = [row["arm"] for row in rows]
    for arm in wanted:
        if labels.count(arm) < 2:
            raise InputError(
                file, f"arm {arm}", f"{labels.count(arm)} participant(s)", "at least two", "Scan or include more."
            )
    return labels


def seed_changes(path, participants, contrast, sessions):
    """Each participant's change of a seed region: mean of the follow-up minus mean of the baseline.

    Parameters
    ----------
    path : path-like
        ``rois/{roi}_values.tsv``: participant_id, session, contrast, cbf.
    participants : list of str
    contrast : str
        Whose values to take.
    sessions : dict
        ``baseline`` and ``followup``: session labels.

    Returns
    -------
    ndarray of shape (n,)
        mL/100 g/min; NaN where the region was not covered (``n/a`` in the table).

    Raises
    ------
    InputError
        If the table has no row for a participant, session and contrast, or two, or something other than a number.
    """
    found = {}
    for row in tables.read_table(path):
        key = (bare(row["participant_id"], "sub-"), bare(row["session_id"], "ses-"), row["contrast"])
        if key in found:
            raise InputError(path, "participant_id, session, contrast", key, "one row each", "Make the table again.")
        found[key] = row["cbf"]
    changes = []
    for name in participants:
        values = []
        for session in (sessions["followup"], sessions["baseline"]):
            key = (bare(name, "sub-"), bare(session, "ses-"), contrast)
            if key not in found:
                raise InputError(
                    path, "participant_id, session, contrast", f"no row {key}", "one row", "Make it again."
                )
            value = math.nan if found[key] is None else _number(found[key])
            if value is None:
                raise InputError(path, "cbf", found[key], "a number or n/a", "Make the table again.")
            values.append(value)
        changes.append(values[0] - values[1])
    return np.array(changes)
