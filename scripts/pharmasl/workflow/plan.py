"""What the sheets and the configuration tell before the first job: covariates, ratings and regions, checked as jobs do.

The checks are the jobs' own functions, called on the participants' table and the craving table. Nothing here opens an
image's data, but of a region's own image, or needs more than nibabel.
"""

import math
import os

import numpy as np

from pharmasl.endpoints import scores as craving_scores
from pharmasl.errors import InputError, InputErrors, wrapped
from pharmasl.group import design, questions
from pharmasl.quality import judgement
from pharmasl.regions import region_checks
from pharmasl.study import arms as study_arms
from pharmasl.study import trial, written


def read(config, files=()):
    """Read a study, and refuse it where its scans cannot be processed.

    Parameters
    ----------
    config : dict
        The user's configuration.
    files : iterable of path-like
        Where it was read from; keys that stand there twice are refused.

    Returns
    -------
    pharmasl.study.trial.Reading
        Its trial is not checked yet: :func:`check_trial` does that where an output needs it.

    Raises
    ------
    InputErrors
        With every problem that was found, of the trial's sheets too.
    """
    if repeated := list(written.repeated_keys(files)):
        raise InputErrors(repeated)
    reading = trial.collect(config)
    errors = [*reading.errors, *quality_problems(reading.study.config)]
    if errors:
        raise InputErrors([*errors, *trial_problems(reading)])
    return reading


def quality_problems(config):
    """What is wrong with the rules by which scans are excluded.

    Parameters
    ----------
    config : dict
        Complete.

    Yields
    ------
    InputError
    """
    try:
        judgement.check(settings.build(settings.QualityRules, config["quality"]))
    except InputError as error:
        yield error


def check_trial(reading):
    """Refuse a study whose trial cannot be analysed.

    Parameters
    ----------
    reading : pharmasl.study.trial.Reading

    Raises
    ------
    InputErrors
    """
    if problems := trial_problems(reading):
        raise InputErrors(problems)


def checking_trial(reading):
    """An input function of no files that calls :func:`check_trial`."""

    def no_files(wildcards):
        try:
            check_trial(reading)
        except InputErrors as errors:
            # Snakemake would wrap any other exception in a traceback of the program.
            raise SystemExit(wrapped(errors)) from None
        return []

    return no_files


def trial_problems(reading):
    """What is wrong with arms, covariates, analyses, ratings, regions and the atlas, each cause once.

    Returns
    -------
    list of InputError
    """
    errors = list(reading.trial_errors)
    if not errors and not reading.errors:
        errors += covariates(reading.study)
        errors += joint_people(reading.study)
    # Rows of sessions and people that the configuration or a folder misspells are not wrong themselves.
    misspelt = any(error.file == "config" or error.field == "folder" for error in reading.errors)
    if not reading.trial_errors and not misspelt:
        errors += ratings(reading.study)
    errors += region_checks.problems(reading.study.settings)
    # A cause that several analyses share is one problem.
    return list({str(error): error for error in errors}.values())


def _table(study):
    """Where the participants' table is, and its rows with the arm under one name."""
    return os.path.join(study.config["bids_dir"], study.config["participants_table"]), study.people()


def covariates(study):
    """What is wrong with the designs of the analyses: covariates, sites, arms, more terms than people.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    if "arms" not in study.config:
        return
    file, rows = _table(study)
    for name, part in study.config["analyses"].items():
        yield from _design(study, name, part, file, rows)
    asked = study.config.get("sensitivity", {})
    for own in asked.get("covariates", {}).values():
        for answer in asked["answers"].values():
            if "analysis" in answer:
                part = {**study.config["analyses"][answer["analysis"]], "covariates": own}
                yield from _design(study, answer["analysis"], part, file, rows)


def _design(study, name, part, file, rows):
    """The error of an analysis' design, if there is one."""
    arms, known = study.config["arms"], {row["participant_id"]: row for row in rows}
    columns = study_arms.all_columns(part)
    people = [f"sub-{member}" for member in study.members(name)]
    people = [who for who in people if all(known[who].get(column) is not None for column in columns)]
    # In place of the seed's values, which no sheet tells: numbers that no column combines to.
    seed = [math.modf(0.618033988749895 * (number + 1))[0] for number in range(len(people))]
    try:
        if part["method"] == "differences":
            questions.build(part, arms, people, rows, file, np.array(seed))
        else:
            chosen = design.participant_rows(people, rows, file)
            for covariate in part["covariates"]:
                design.covariate_columns(chosen, people, covariate, file)
    except InputError as error:
        yield error


def joint_people(study):
    """People who enter some of the analyses that are to be corrected jointly, and not all.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    asked = study.config.get("primary")
    if not asked or asked["correction"] != "joint":
        return
    first, *others = ((name, set(study.members(name))) for name in asked["answers"])
    for name, people in others:
        if apart := sorted(people ^ first[1]):
            yield InputError(
                "config",
                "primary.correction",
                f"joint, and {', '.join(f'sub-{who}' for who in apart)} in {first[0]} or {name} alone",
                "analyses of the same people",
                "Take holm or sequence, or leave them out of all by participants.",
            )


def scores(study):
    """The scores that the craving stage makes of the ratings: what of the craving table counts.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
        With craving, and without a problem in the ratings.

    Returns
    -------
    list of dict
        As :func:`pharmasl.endpoints.scores.score` gives them.
    """
    craving, (file, rows) = study.config["craving"], _table(study)
    path = os.path.join(study.config["bids_dir"], craving["table"])
    return craving_scores.score(path, rows, file, craving, study.config["sessions"], study.config["arms"])[0]


def ratings(study):
    """What is wrong with the craving table and the covariates of the correlations with craving.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    craving = study.config.get("craving")
    if not craving:
        return
    path = os.path.join(study.config["bids_dir"], craving["table"])
    if not os.path.lexists(path):
        yield InputError(
            "config",
            "craving.table",
            path,
            "an existing table",
            "Add it, or correct the path, which is below bids_dir.",
        )
        return
    file, rows = _table(study)
    try:
        found, _ = craving_scores.score(path, rows, file, craving, study.config["sessions"], study.config["arms"])
    except InputError as error:
        yield error
        return
    except InputErrors as several:
        yield from several.errors
        return
    rated = {row["participant_id"] for row in found if row["cue_elicited"] is not None}
    problems = []
    for term in craving["covariates"]:
        chosen = _complete(rows, rated, [term])
        if chosen:
            try:
                design.covariate_columns(chosen, [row["participant_id"] for row in chosen], term, file)
            except InputError as error:
                problems.append(error)
    yield from problems
    chosen = _complete(rows, rated, craving["covariates"])
    if chosen and craving["covariates"] and not problems:
        try:
            _adjusted(chosen, craving["covariates"], study.config["arms"], file)
        except InputError as error:
            yield error


def _complete(rows, rated, terms):
    """The rows of rated participants that have every column of the terms."""
    columns = [column for term in terms for column in study_arms.columns(term)]
    return [row for row in rows if row["participant_id"] in rated and all(row.get(name) for name in columns)]


def _adjusted(rows, terms, arms, file):
    """Refuse covariates of the correlations that are combinations of one another, of the arm and of the mean."""
    names = [row["participant_id"] for row in rows]
    columns = [
        ("intercept", np.ones(len(rows))),
        ("arm", np.array([row["arm"] == arms["treatment"] for row in rows], float)),
    ]
    columns += [column[:2] for term in terms for column in design.covariate_columns(rows, names, term, file)]
    # Where all are of one arm, the arm is no term.
    columns = [column for column in columns if column[0] != "arm" or np.ptp(column[1]) > 0]
    if len(columns) < len(rows):
        design.check_rank(np.column_stack([values for _, values in columns]), [name for name, _ in columns], file)
