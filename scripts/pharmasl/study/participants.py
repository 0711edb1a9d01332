"""The participants' table: its rows, the arm of everyone in it, and the sham allocation of a blinded run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.files import bids, tables
from pharmasl.study import arms as study_arms
from pharmasl.study import blood_columns, schemas, session_tables, sham_allocation
from pharmasl.study.settings import Arms, Settings

ID = "participant_id"
Row = dict[str, str | None]


@dataclass
class Problems:
    """What is wrong with the table: for every target, and for the trial's answers alone."""

    errors: list[InputError] = field(default_factory=list)
    trial_errors: list[InputError] = field(default_factory=list)


@dataclass(frozen=True)
class Randomised:
    """Everyone in the participants' table, scanned or not.

    Attributes
    ----------
    arms : dict
        Label to arm of everyone; None where the table has none.
    selected : dict
        Label to the table's row, of those whom the configuration selects.
    """

    arms: dict[str, str | None]
    selected: dict[str, Row]


def asked_for(dataset: bids.Dataset, wanted: Sequence[str] | None, errors: list[InputError]) -> list[str]:
    """The labels of the participants of a dataset whom the configuration names, all where it names nobody.

    Parameters
    ----------
    dataset : pharmasl.files.bids.Dataset
    wanted : sequence of str or None
    errors : list of InputError
        Labels that the dataset does not have are appended.
    """
    if wanted is None:
        return list(dataset.subjects)
    for label in wanted:
        if label not in dataset.subjects:
            errors.append(
                InputError(
                    "config",
                    "participants",
                    label,
                    f"a sub- folder of {dataset.root}",
                    did_you_mean(similar(label, dataset.subjects, most=3), "Correct or remove the label."),
                )
            )
    return [label for label in dataset.subjects if label in wanted]


def read(
    dataset: bids.Dataset,
    study: Settings,
    subjects: Sequence[str],
    exclusions: list[dict[str, str | None]],
    lacking: str = "no folder in the dataset",
) -> tuple[dict[str, Row], Randomised, Problems]:
    """Read the participants' table.

    Parameters
    ----------
    dataset : pharmasl.files.bids.Dataset
    study : Settings
    subjects : list of str
        Labels of the participants asked for that have a folder.
    exclusions : list of dict
        Rows of those without a folder, and of those whom the configuration does not select, are appended.
    lacking : str
        What those lack who are in the table alone.

    Returns
    -------
    rows : dict
        Label to the table's row, of the participants with a folder.
    randomised : Randomised
    problems : Problems
    """
    path = os.path.join(dataset.root, study.participants_table)
    arms, of_scans, problems = study.arms, study.perfusion.columns, Problems()
    nobody: dict[str, Row] = {subject: {ID: f"sub-{subject}"} for subject in subjects}
    named = study_arms.named_columns(study)
    wanted = [*([arms.column] if arms else []), *named]
    of_sessions = blood_columns.by_session(study)
    taken = [*named, *(name for names in of_sessions.values() for name in names)]
    if not os.path.lexists(path):
        if wanted:
            errors = problems.errors if of_scans else problems.trial_errors
            errors.append(
                InputError(
                    path, "(whole file)", "no such file", f"the participants' table, for {', '.join(wanted)}", "Add it."
                )
            )
        return nobody, Randomised({}, {}), problems
    try:
        sheet = tables.read_sheet(path)
        known = _by_label(sheet, problems.errors)
    except InputError as error:
        problems.errors.append(error)
        return nobody, Randomised({}, {}), problems
    chosen = study.participants
    selected = {label: row for label, row in known.items() if chosen is None or label in chosen}
    others = {label: row for label, row in known.items() if label not in selected}
    exclusions += [{ID: row[ID], "reason": "not among the configuration's participants"} for row in others.values()]
    exclusions += [
        {ID: row[ID], "reason": lacking}
        for label, row in known.items()
        if label not in dataset.subjects and chosen is None
    ]
    columns = set(sheet.columns)
    if study.sessions:
        labels = {label: known[label] for label in subjects if label in known}
        absent = [name for name in taken if name not in columns]
        own, unread = session_tables.fill(dataset.root, labels, absent, study.sessions.labels)
        (problems.errors if study.perfusion.blood_columns else problems.trial_errors).extend(unread)
        columns |= own
    if arms and study.blinded:
        columns = _blinded(selected, others, study, columns, taken, path, problems.trial_errors)
    elif study.blinded:
        # A pilot: nobody's arm is needed, and none comes through.
        for row in {**selected, **others}.values():
            kept = {name: row.get(name) for name in (ID, *taken) if name in columns}
            row.clear()
            row.update(kept)
    elif arms and arms.column in columns:
        problems.trial_errors += _unknown_arms(
            path, arms, {label: known[label] for label in subjects if label in known}
        )
    lacking_columns = {name for name in wanted if not blood_columns.is_there(name, columns, of_sessions)}
    for column in sorted(lacking_columns, key=wanted.index):
        errors = problems.errors if column in of_scans else problems.trial_errors
        errors.append(_no_column(path, column, sheet.columns))
    if wanted:
        errors = problems.errors if of_scans else problems.trial_errors
        errors += _no_rows(path, subjects, known)
    rows = {subject: known.get(subject, nobody[subject]) for subject in subjects}
    allotted = {label: row.get(arms.column) if arms else None for label, row in known.items()}
    return rows, Randomised(allotted, selected), problems


def of_some(
    dataset: bids.Dataset, study: Settings, people: Sequence[str]
) -> tuple[dict[str, Row], Randomised, Problems]:
    """The rows of some participants alone, of a table that was read as a whole before.

    Nothing is said of the others, nor of columns that are missing, and in a blinded run nobody has an arm: a sham
    allocation is dealt among all.

    Parameters
    ----------
    dataset : pharmasl.files.bids.Dataset
    study : Settings
    people : sequence of str
        Labels of participants who have a folder.

    Returns
    -------
    As :func:`read`.
    """
    path, problems = os.path.join(dataset.root, study.participants_table), Problems()
    rows: dict[str, Row] = {label: {ID: f"sub-{label}"} for label in people}
    if os.path.lexists(path):
        try:
            sheet = tables.read_sheet(path)
            rows |= _by_label(sheet, problems.errors, people)
        except InputError as error:
            problems.errors.append(error)
        else:
            named = study_arms.named_columns(study)
            of_sessions = [name for names in blood_columns.by_session(study).values() for name in names]
            absent = [name for name in (*named, *of_sessions) if name not in sheet.columns]
            if study.sessions:
                session_tables.fill(dataset.root, rows, absent, study.sessions.labels)
            if study.blinded:
                rows = {
                    label: {
                        **{name: row.get(name) for name in (ID, *named)},
                        **{name: row[name] for name in of_sessions if name in row},
                    }
                    for label, row in rows.items()
                }
    column = study.arms.column if study.arms else ""
    return rows, Randomised({label: row.get(column) for label, row in rows.items()}, rows), problems


def _by_label(sheet, errors, people=None):
    """The rows by label, of all or of some people; ``01`` and ``sub-01`` are one."""
    if ID not in sheet.columns:
        raise _no_column(sheet.path, ID, sheet.columns)
    known, first = {}, {}
    for line, row in zip(sheet.lines, sheet.rows):
        label = bids.bare_label(row[ID] or "", "sub")
        if people is not None and label not in people:
            continue
        row = {**row, ID: f"sub-{label}" if label else None}
        present = {name: value for name, value in row.items() if value is not None}
        problems = schemas.check(present, "participants", sheet.path, prefix=f"line {line}, ")
        if problems:
            errors += problems
        elif label in known:
            errors.append(
                InputError(
                    sheet.path,
                    f"line {line}, {ID}",
                    f"sub-{label} again, first in line {first[label]}",
                    "each participant once",
                    "Remove one of the two rows.",
                )
            )
        else:
            known[label], first[label] = row, line
    # The order of the rows in the file says nothing.
    return dict(sorted(known.items()))


def _no_column(path, column, columns):
    hint = did_you_mean(similar(column, columns))
    return InputError(
        path,
        column,
        f"no such column, of {', '.join(columns)}",
        "a column that the configuration names",
        f"Add it, or correct the name. {hint}".rstrip(),
    )


def _no_rows(path, subjects, known):
    """One error for all participants with a folder and no row."""
    absent = [subject for subject in subjects if subject not in known]
    if not absent:
        return
    # A spreadsheet takes 01 for a number and writes 1.
    short = {label.lstrip("0"): label for label in known}
    numbers = [f"{short[name.lstrip('0')]} for {name}" for name in absent if name.lstrip("0") in short]
    hint = f" It has {', '.join(numbers[:5])}: write the zeros in front." if numbers else ""
    listed = ", ".join(f"sub-{name}" for name in absent[:10]) + (f" and {len(absent) - 10} more" * (len(absent) > 10))
    yield InputError(
        path,
        ID,
        f"no row for {listed}",
        "a row for every participant with a folder",
        f"Add the row, or name those to use in participants of the configuration.{hint}",
    )


def _unknown_arms(path, arms: Arms, rows):
    """One error for each value of the arm that the configuration does not have."""
    names, column = arms.labels, arms.column
    strange: dict[str, list[str]] = {}
    for label, row in rows.items():
        if row.get(column) is not None and row[column] not in names:
            strange.setdefault(row[column], []).append(f"sub-{label}")
    for value, people in strange.items():
        listed = ", ".join(people[:10]) + (f" and {len(people) - 10} more" if len(people) > 10 else "")
        where = f"{column} of {listed}"
        yield InputError(path, where, value, " or ".join(names), "Correct the table, or arms in the configuration.")


def _blinded(selected, others, study, columns, named, path, errors):
    """Put a sham allocation in the place of the arms, and take away what the configuration does not name.

    Those whom the configuration does not select lose their arm: dealt among a few, a sham one would reveal it.
    Where the table or the sizes do not allow it, an error is appended and nobody has an arm.

    Returns
    -------
    set of str
        The columns that there are now.
    """
    column = study.arms.column
    dealt = _dealt(selected, study, columns, path, errors)
    for label, row in {**selected, **others}.items():
        kept = {name: row.get(name) for name in (ID, *named) if name in columns}
        row.clear()
        row.update(kept)
        row[column] = dealt.get(label)
    # A column of arms that is missing is reported as any other is; with sizes of their own it may be.
    return columns | {column} if dealt else columns


def _dealt(rows, study, columns, path, errors):
    """The sham allocation, label to arm; empty where there cannot be one."""
    arms, own = study.arms, study.sham.sizes
    column, names = arms.column, arms.labels
    if own is None and column not in columns:
        return {}
    real = None if own else {label: row[column] for label, row in rows.items() if row.get(column) is not None}
    if own is None and (unknown := list(_unknown_arms(path, arms, rows))):
        errors += unknown
        return {}
    if own and (strange := sorted(set(own) - set(names))):
        errors.append(
            InputError("config", "sham.sizes", ", ".join(strange), " or ".join(names), "Correct it, or the arms.")
        )
        return {}
    sizes = own or sham_allocation.sizes(real.values(), names)
    try:
        return sham_allocation.sham(real or rows, sizes, study.sham.seed, real)
    except ValueError as reason:
        errors.append(
            InputError("config", "sham.sizes", str(reason), f"as many as {path} has participants", "Correct the sizes.")
        )
        return {}
