"""The participants' table: its rows, the arm of everyone in it, and the sham allocation of a blinded run."""

import os

from pharmasl import tables
from pharmasl.errors import InputError
from pharmasl.study import allocation, schemas
from pharmasl.study import arms as study_arms


def read(dataset, config, subjects, errors, exclusions):
    """The table's rows of the participants with a folder, by subject label, and the arm of everyone in the table."""
    path = os.path.join(dataset.root, config["participants_table"])
    arms = config.get("arms")
    if not os.path.isfile(path):
        if arms:
            errors.append(
                InputError(path, "(whole file)", "no such file", "the participants' table, for the arms", "Add it.")
            )
        return {subject: {"participant_id": f"sub-{subject}"} for subject in subjects}, {}
    rows = tables.read_table(path)
    found = {}
    for number, row in enumerate(rows, start=2):
        problems = schemas.check(
            {k: v for k, v in row.items() if v is not None}, "participants", path, prefix=f"line {number}, "
        )
        errors += problems
        if problems:
            continue
        subject = row["participant_id"].removeprefix("sub-")
        if subject in found:
            errors.append(
                InputError(
                    path,
                    f"line {number}, participant_id",
                    row["participant_id"],
                    "each participant once",
                    "Remove the copy.",
                )
            )
        found[subject] = row
        if subject not in dataset.subjects and config.get("participants") is None:
            exclusions.append({"participant_id": row["participant_id"], "reason": "no folder in the dataset"})
    covariates = {column for part in config["analyses"].values() for column in study_arms.all_columns(part)}
    haematocrit = config["perfusion"]["haematocrit"]
    terms = [config.get("craving", {}).get("covariates", [])]
    terms += config.get("sensitivity", {}).get("covariates", {}).values()
    covariates |= {column for each in terms for term in each for column in study_arms.columns(term)}
    named = sorted(covariates | ({haematocrit} if haematocrit else set()))
    columns = set(rows[0]) if rows else set()
    chosen = config.get("participants")
    everyone = {label: row for label, row in found.items() if chosen is None or label in chosen}
    if arms and config["blinded"] and _blind(everyone, config, columns, named, path, errors):
        columns = columns | {arms["column"]}
    wanted = [*([arms["column"]] if arms else []), *named]
    for column in wanted:
        if column not in columns:
            errors.append(
                InputError(
                    path, column, "no such column", "a column the configuration names", "Add it, or correct the name."
                )
            )
    result = {}
    for subject in subjects:
        if subject not in found:
            if wanted:
                errors.append(
                    InputError(
                        path,
                        "participant_id",
                        f"no row for sub-{subject}",
                        "a row for every scanned participant",
                        "Add the row.",
                    )
                )
            result[subject] = {"participant_id": f"sub-{subject}"}
            continue
        row = result[subject] = found[subject]
        arm = row.get(arms["column"]) if arms else None
        if arm is not None and arm not in (known := [arms["treatment"], arms["control"], *arms["others"]]):
            errors.append(
                InputError(
                    path,
                    f"{arms['column']} of sub-{subject}",
                    arm,
                    " or ".join(known),
                    "Correct the table, or arms in the configuration.",
                )
            )
    randomised = {label: row.get(arms["column"]) if arms else None for label, row in everyone.items()}
    return result, randomised


def _blind(rows, config, columns, named, path, errors):
    """Put a sham allocation in the place of the arms, and take away what the configuration does not name.

    Returns whether there is one; False where the table or the sizes do not allow it.
    """
    arms, sham = config["arms"], config["sham"]
    column, names = arms["column"], [arms["treatment"], arms["control"], *arms["others"]]
    given = sham.get("sizes")
    if given is None and column not in columns:
        return False  # reported as any missing column
    real = None if given else {label: row[column] for label, row in rows.items() if row.get(column) is not None}
    unknown = sorted(set(given or real.values()) - set(names))
    if unknown:
        if given:
            errors.append(
                InputError("config", "sham.sizes", ", ".join(unknown), " or ".join(names), "Correct it, or the arms.")
            )
        return False  # the table's are reported one by one
    sizes = given or allocation.sizes(real.values(), names)
    try:
        dealt = allocation.sham(real or rows, sizes, sham["seed"], real)
    except ValueError as reason:
        errors.append(
            InputError("config", "sham.sizes", str(reason), f"as many as {path} has participants", "Correct the sizes.")
        )
        return False
    for label, row in rows.items():
        kept = {name: row.get(name) for name in ("participant_id", *named) if name in columns}
        row.clear()
        row.update(kept)
        row[column] = dealt.get(label)
    return True
