"""What can be checked before the first job: covariates, ratings and regions, by the jobs' own functions.

The functions are called on the participants' table and the craving table. Nothing here opens an
image's data, but of a region's own image, or needs more than nibabel.
"""

import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pharmasl.endpoints import scores as craving_scores
from pharmasl.errors import FilePath, InputError, InputErrors, nearest_path, wrapped
from pharmasl.files import bids
from pharmasl.group import design, effects
from pharmasl.quality import imported_measures, judgement
from pharmasl.regions import region_checks
from pharmasl.statistics import covariates as covariates_coding
from pharmasl.study import map_terms, reading, written
from pharmasl.study.reading import Reading
from pharmasl.study.settings import Analysis, Arms, QualityRules
from pharmasl.study.trial import Study
from pharmasl.workflow import endpoint_plans, planned_designs
from pharmasl.workflow.planned_designs import Rows


def read(config: Mapping[str, Any], files: Iterable[FilePath] = (), people: Collection[str] | None = None) -> Reading:
    """Read a study, and refuse it where its scans cannot be processed.

    Parameters
    ----------
    config : Mapping
        The user's configuration.
    files : iterable of path-like
        Where it was read from; keys that stand there twice are refused.
    people : collection of str, optional
        Labels of the participants whom a job is about: of the others nothing is read or checked. See
        :func:`pharmasl.study.reading.collect`.

    Returns
    -------
    pharmasl.study.reading.Reading
        Its trial is not checked yet: :func:`check_trial` does that where an output needs it.

    Raises
    ------
    InputErrors
        With every problem, those of the trial's sheets among them.
    """
    if repeated := list(written.repeated_keys(files)):
        raise InputErrors(repeated)
    result = reading.collect(config, people)
    if people is not None:
        if result.errors:
            raise InputErrors(list(result.errors))
        return result
    rules = result.study.settings.quality
    errors = [*result.errors, *quality_problems(rules), *imported_measures.unknown(rules, result.study.scans.values())]
    if errors:
        raise InputErrors([*errors, *trial_problems(result)])
    return result


def quality_problems(rules: QualityRules) -> Iterator[InputError]:
    """What is wrong with the rules by which scans are excluded.

    Parameters
    ----------
    rules : QualityRules

    Yields
    ------
    InputError
    """
    try:
        judgement.check(rules)
    except InputError as error:
        yield error


def check_trial(reading: Reading) -> None:
    """Refuse a study whose trial cannot be analysed.

    Parameters
    ----------
    reading : pharmasl.study.reading.Reading

    Raises
    ------
    InputErrors
    """
    if problems := trial_problems(reading):
        raise InputErrors(problems)


def checking_trial(reading: Reading) -> Callable[[Any], list[str]]:
    """An input function of no files that calls :func:`check_trial`, once for all jobs that have it."""
    once = functools.cache(lambda: check_trial(reading))

    def no_files(wildcards):
        try:
            once()
        except InputErrors as errors:
            # Snakemake would wrap any other exception in a traceback of the program.
            raise SystemExit(wrapped(errors)) from None
        return []

    return no_files


def trial_problems(reading: Reading) -> list[InputError]:
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
        errors += endpoint_plans.problems(reading.study)
    errors += region_checks.problems(reading.study.settings)
    # A cause that several analyses share is one problem.
    return list({str(error): error for error in errors}.values())


def covariates(study: Study) -> Iterator[InputError]:
    """What is wrong with the designs of the analyses: covariates, sites, arms, more terms than people.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    file, rows = planned_designs.table(study)
    analyses = list(study.settings.analyses.values())
    if sensitivity := study.settings.sensitivity:
        analyses += [
            replace(study.settings.analyses[answer.analysis], covariates=terms)
            for terms in sensitivity.covariates.values()
            for answer in sensitivity.answers.values()
            if answer.analysis
        ]
    for analysis in analyses:
        yield from _design(study, analysis, file, rows)


def _design(study: Study, analysis: Analysis, file: str, rows: Rows) -> Iterator[InputError]:
    """The error of an analysis' design, if there is one."""
    people = planned_designs.people(study, analysis, rows)
    try:
        if analysis.formula:
            model = planned_designs.formula_model(study, analysis, people, file, rows)
            if model.is_joint:
                yield from _joint_in_conjunctions(study, analysis.name)
            subjects = [bids.bare_label(who, "sub") for who in people]
            yield from map_terms.problems(study, analysis, subjects)
        elif analysis.method == "differences":
            stand_in = effects.stand_in_seed_change(len(people))
            effects.build(analysis, study.arms, people, rows, file, stand_in)
        else:
            sample = design.Sample.read(people, rows, file)
            for covariate in analysis.covariates:
                covariates_coding.centred(sample.rows, people, covariate, file)
    except InputError as error:
        yield error


def _joint_in_conjunctions(study: Study, analysis: str) -> Iterator[InputError]:
    """The conjunctions of an analysis that tests several effects together: F has no sign in which analyses could agree."""
    for name, analyses in study.settings.conjunctions.items():
        if analysis in analyses:
            yield InputError(
                "config",
                f"conjunctions.{name}",
                f"{analysis}, which tests several effects together",
                "analyses of one effect, whose sign they can share",
                "Take the analysis out, or test a single contrast.",
            )


def joint_people(study: Study) -> Iterator[InputError]:
    """People who enter some of the analyses that are to be corrected jointly, and not all.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    declared = study.settings.primary
    if not declared or declared.correction != "joint":
        return
    first, *others = ((name, set(study.members(name))) for name in declared.answers)
    for name, people in others:
        if apart := sorted(people ^ first[1]):
            yield InputError(
                "config",
                "primary.correction",
                f"joint, and {', '.join(f'sub-{who}' for who in apart)} in {first[0]} or {name} alone",
                "analyses of the same people",
                "Take holm or sequence, or leave them out of all by participants.",
            )


def scores(study: Study) -> Rows:
    """The scores that the craving stage makes of the ratings: what of the craving table counts.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
        Without a problem in the ratings.

    Returns
    -------
    list of dict
        As :func:`pharmasl.endpoints.scores.score` gives them; empty without craving.
    """
    whole = study.settings
    file, rows = planned_designs.table(study)
    if whole.craving is None or whole.sessions is None or whole.arms is None:
        return []
    return craving_scores.score(_craving_table(study), rows, whole.craving, whole.sessions, whole.arms, file=file).rows


def _craving_table(study: Study) -> str:
    craving = study.settings.craving
    return os.path.join(study.settings.bids_dir, craving.table) if craving else ""


def ratings(study: Study) -> Iterator[InputError]:
    """What is wrong with the craving table and the covariates of the correlations with craving.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    craving, arms = study.settings.craving, study.settings.arms
    if not craving or not arms:
        return
    path = _craving_table(study)
    if not os.path.lexists(path):
        yield InputError(
            "config",
            "craving.table",
            path,
            "an existing table",
            nearest_path(path, "Add it, or correct the path, which is below bids_dir."),
        )
        return
    try:
        rated = {row["participant_id"] for row in scores(study) if row["cue_elicited"] is not None}
    except InputError as error:
        yield error
        return
    except InputErrors as several:
        yield from several.errors
        return
    file, rows = planned_designs.table(study)
    problems = [
        error for term in craving.covariates for error in _raised(_coded, _complete(rows, rated, [term]), [term], file)
    ]
    yield from problems
    if craving.covariates and not problems:
        chosen = _complete(rows, rated, craving.covariates)
        yield from _raised(_check_adjustment, chosen, craving.covariates, arms, file)


def _raised(check: Callable[..., Any], rows: Rows, *arguments: Any) -> Iterator[InputError]:
    """The error that a check of some rows raises; none without rows."""
    try:
        if rows:
            check(rows, *arguments)
    except InputError as error:
        yield error


def _complete(rows: Rows, rated: set[str], terms: Sequence[str]) -> Rows:
    """The rows of rated participants that have every column of the terms."""
    columns = [column for term in terms for column in covariates_coding.source_columns(term)]
    return [row for row in rows if row["participant_id"] in rated and all(row.get(name) for name in columns)]


def _coded(rows: Rows, terms: Sequence[str], file: FilePath) -> list[tuple[str, np.ndarray]]:
    """The columns of a design that covariates are coded by, each with its name."""
    names = [row["participant_id"] for row in rows]
    return [column[:2] for term in terms for column in covariates_coding.centred(rows, names, term, file)]


def _check_adjustment(rows: Rows, terms: Sequence[str], arms: Arms, file: FilePath) -> None:
    """Refuse covariates of the correlations that are combinations of one another, of the arm and of the mean."""
    arm = np.array([row["arm"] == arms.treatment for row in rows], float)
    columns = [("intercept", np.ones(len(rows))), *_coded(rows, terms, file)]
    if np.ptp(arm) > 0:  # where all are of one arm, the arm is no term
        columns.insert(1, ("arm", arm))
    if len(columns) < len(rows):
        design.check_rank(np.column_stack([values for _, values in columns]), [name for name, _ in columns], file)
