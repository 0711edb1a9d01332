"""The design matrix: one row a participant, one column a term, one term tested.

Both analyses model the *change* of a participant, follow-up minus baseline, so that everything constant within a
person (anatomy, smoking history, a scanner's scale) drops out:

- ``group_by_time``: change ~ arm + intercept + covariates; the term ``arm`` (1 treatment, 0 control) is tested. Its
  coefficient is the group-by-time interaction: (followup - baseline) of the treatment arm minus that of the control
  arm.
- ``association``: change ~ seed_change + arm + intercept + covariates; the slope on ``seed_change`` is tested, so the
  difference between the arms cannot make an association by itself.

Numbers are centred at the mean of the participants analysed. A covariate of words becomes one indicator column for
each level but the first in alphabetical order, ``sex[M]``, centred too. Centring changes the intercept alone.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from pharmasl import tables
from pharmasl.errors import InputError

TESTED = {"group_by_time": "arm", "association": "seed_change"}


@dataclass(frozen=True)
class Design:
    """A design matrix with its tested term.

    Attributes
    ----------
    participants : list of str
        One a row.
    terms : list of str
        One a column.
    matrix : ndarray of shape (n, terms), float64
    tested : int
        Column of the tested term.
    treated : ndarray of bool, shape (n,)
    descriptions : dict
        Term to what it means.
    """

    participants: list
    terms: list
    matrix: np.ndarray
    tested: int
    treated: np.ndarray
    descriptions: dict

    @property
    def x(self):
        """The tested column, shape (n,)."""
        return self.matrix[:, self.tested]

    @property
    def nuisance(self):
        """All other columns, shape (n, terms - 1)."""
        return np.delete(self.matrix, self.tested, axis=1)

    @property
    def df(self):
        """Residual degrees of freedom."""
        return self.matrix.shape[0] - self.matrix.shape[1]

    @property
    def formula(self):
        """The model in words, such as ``change ~ arm + intercept + age``."""
        return "change ~ " + " + ".join(self.terms)

    def digest(self):
        """SHA-256 of participants, terms and values: two analyses with one digest had the same design."""
        text = "\n".join(
            "\t".join([name, *(repr(float(value)) for value in row)])
            for name, row in zip(self.participants, self.matrix)
        )
        return hashlib.sha256(("\t".join(self.terms) + "\n" + text).encode()).hexdigest()

    def write(self, path):
        """Write the matrix as a table with a sidecar."""
        rows = [
            {"participant_id": name, **dict(zip(self.terms, row.tolist()))}
            for name, row in zip(self.participants, self.matrix)
        ]
        tables.write_table(path, rows, {"participant_id": "Participant", **self.descriptions})


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
        Column of the table.
    file : path-like
        The table, for messages.

    Returns
    -------
    list of (term, values, description)

    Raises
    ------
    InputError
        If the column is absent, a participant has no value, or numbers and words are mixed.
    """
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
    if len(words) < len(values):
        raise InputError(
            file, name, ", ".join(words), "a number, as the other participants have", "Mend the value in the table."
        )
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
            "one is a combination of the others (confounded)",
            "terms that can be told apart",
            "Drop one of them from covariates.",
        )


def build(effect, participants, table, arms, covariates, file, seed_change=None):
    """Build the design of an analysis.

    Parameters
    ----------
    effect : str
        ``group_by_time`` or ``association``.
    participants : list of str
        In the order of the maps.
    table : list of dict
        Rows of participants.tsv: ``participant_id``, ``arm`` and the covariates' columns.
    arms : dict
        ``treatment`` and ``control``: values of ``arm``.
    covariates : list of str
    file : path-like
        The table, for messages.
    seed_change : array_like of shape (n,), optional
        The seed's change, for an association.

    Returns
    -------
    Design

    Raises
    ------
    InputError
        For an unknown effect, participant or arm, an arm of fewer than two, a missing covariate, a confounded or
        saturated design.
    """
    if effect not in TESTED:
        raise InputError("configuration", "analyses.effect", effect, " or ".join(TESTED), "Choose one of them.")
    known = {bare(row["participant_id"], "sub-"): row for row in table}
    unknown = [name for name in participants if bare(name, "sub-") not in known]
    if unknown:
        raise InputError(
            file, "participant_id", f"no row for {', '.join(unknown)}", "a row for every participant", "Add it."
        )
    rows = [known[bare(name, "sub-")] for name in participants]
    wanted = (arms["treatment"], arms["control"])
    strange = [f"{name}: {row.get('arm')}" for name, row in zip(participants, rows) if row.get("arm") not in wanted]
    if strange:
        raise InputError(file, "arm", ", ".join(strange), " or ".join(wanted), "Mend the table or arms in the config.")
    treated = np.array([row["arm"] == arms["treatment"] for row in rows], dtype=bool)
    for arm, count in ((wanted[0], int(treated.sum())), (wanted[1], int((~treated).sum()))):
        if count < 2:
            raise InputError(file, f"arm {arm}", f"{count} participant(s)", "at least two", "Scan or include more.")

    columns = []
    if effect == "association":
        seed_change = np.asarray(seed_change, dtype=np.float64)
        text = f"Change of the seed region's CBF, mL/100 g/min, minus its mean, {seed_change.mean():.6g}"
        columns.append(("seed_change", seed_change - seed_change.mean(), text))
    columns.append(("arm", treated.astype(np.float64), f"1 {arms['treatment']}, 0 {arms['control']}"))
    columns.append(("intercept", np.ones(len(rows)), "1 for all participants"))
    for name in covariates:
        columns += covariate_columns(rows, participants, name, file)
    terms = [term for term, _, _ in columns]
    repeated = {term for term in terms if terms.count(term) > 1} | ({"participant_id"} & set(terms))
    if repeated:
        raise InputError(
            "configuration", "covariates", ", ".join(sorted(repeated)), "names not used twice", "Drop or rename them."
        )
    matrix = np.column_stack([values for _, values, _ in columns])
    if len(rows) <= len(terms):
        raise InputError(
            file,
            "participants",
            f"{len(rows)} for {len(terms)} terms ({', '.join(terms)})",
            "more participants than terms",
            "Drop covariates.",
        )
    check_rank(matrix, terms, file)
    descriptions = {term: text for term, _, text in columns}
    return Design(list(participants), terms, matrix, terms.index(TESTED[effect]), treated, descriptions)


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
        key = (bare(row["participant_id"], "sub-"), bare(row["session"], "ses-"), row["contrast"])
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
