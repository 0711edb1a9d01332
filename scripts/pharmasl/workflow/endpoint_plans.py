"""The endpoints as the plan sees them: what is read and checked before the first job, by the jobs' own functions."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from pharmasl.endpoints import measure_data, measure_scores
from pharmasl.endpoints.measure_scores import Measured, Trial
from pharmasl.errors import InputError, InputErrors, nearest_path
from pharmasl.group import design
from pharmasl.statistics import covariates as covariates_coding
from pharmasl.study import arms as study_arms
from pharmasl.study import endpoint_formulas
from pharmasl.study.settings import Endpoint, Sessions
from pharmasl.study.trial import Study


def sessions(study: Study, endpoint: Endpoint) -> Sessions:
    """The sessions of an endpoint: its own, or the study's."""
    return endpoint.sessions or study.sessions


def table(study: Study, endpoint: Endpoint) -> str:
    """The raw table of an endpoint."""
    return os.path.join(study.settings.bids_dir, endpoint.table)


def passed_over(study: Study) -> list[str]:
    """Sessions of the study, whose rows an endpoint with others does not count."""
    return list(study.settings.sessions.labels) if study.settings.sessions else []


def people(study: Study, endpoint: Endpoint) -> list[dict[str, str | None]]:
    """What an endpoint may look at of the participants' table, of everyone whom the configuration selects."""
    return study_arms.used(study.everyone(), endpoint_formulas.columns(study.settings, endpoint))


def _trial(study: Study, endpoint: Endpoint) -> Trial:
    return Trial(
        people=people(study, endpoint),
        file=os.path.join(study.settings.bids_dir, study.settings.participants_table),
        arms=study.arms,
        sessions=sessions(study, endpoint),
        passed_over=passed_over(study),
    )


def problems(study: Study) -> Iterator[InputError]:
    """What is wrong with the tables, the populations and the models of the endpoints.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    for endpoint in study.settings.endpoints.values():
        try:
            yield from _problems(study, endpoint)
        except InputError as error:
            yield error
        except InputErrors as several:
            yield from several.errors


def _problems(study: Study, endpoint: Endpoint) -> Iterator[InputError]:
    field, path = f"endpoints.{endpoint.name}", table(study, endpoint)
    if study.settings.arms is None or not study.table:
        return
    if not os.path.lexists(path):
        yield InputError(
            "config",
            f"{field}.table",
            path,
            "an existing table",
            nearest_path(path, "Add it, or correct the path, which is below bids_dir."),
        )
        return
    trial = _trial(study, endpoint)
    formula = measure_data.formula_of(endpoint.question)
    measured, _ = measure_scores.score(
        path, endpoint.measure, trial, study.settings.populations, endpoint.populations, field=field
    )
    for population in endpoint.populations:
        yield from _thin(measured, population, field)
        members = measured.members(population)
        if endpoint.model is None and endpoint.test == endpoint_formulas.ARM:
            _check_default(endpoint, measured, members, trial)
        else:
            measure_data.build(endpoint.question, formula, measured, members, trial.file)
    if endpoint.relations:
        known = {who for who, _ in measured.scores}
        for term in endpoint.relations.covariates:
            columns = covariates_coding.source_columns(term)
            own = [row for row in trial.people if row["participant_id"] in known and all(row.get(c) for c in columns)]
            if own:
                covariates_coding.centred(own, [str(row["participant_id"]) for row in own], term, trial.file)


def _check_default(endpoint: Endpoint, measured: Measured, members: Sequence[str], trial: Trial) -> None:
    """Refuse a model of follow-up by arm, baseline and columns that cannot be fitted, without the parser of formulas."""
    rows = measure_data.rows(measure_data.formula_of(endpoint.question), measured, members)
    measure_data.check_rows(rows, endpoint.name, trial.file)
    people = [measured.people[who] for who in rows.participants]
    arms, columns = measured.arms, {"intercept": np.ones(len(rows))}
    if endpoint_formulas.BASELINE in rows.columns:
        columns["baseline"] = np.array(rows.columns[endpoint_formulas.BASELINE], dtype=np.float64)
    for arm in (arms.treatment, *arms.others):
        if any(row["arm"] == arm for row in people):
            columns[f"arm[{arm}]"] = np.array([row["arm"] == arm for row in people], dtype=np.float64)
    terms = [*endpoint.strata, *((endpoint.site,) if endpoint.site else ()), *endpoint.covariates]
    for term in dict.fromkeys(terms):
        for coded in covariates_coding.centred(people, rows.participants, term, trial.file):
            columns[coded.name] = coded.values
    measure_data.check_number(len(rows), len(columns), endpoint.question, trial.file)
    design.check_rank(np.column_stack(list(columns.values())), list(columns), trial.file)


def _thin(measured: Measured, population: str, field: str) -> Iterator[InputError]:
    """An arm of which nobody is in a population."""
    arms = measured.arms
    present = {measured.people[who]["arm"] for who in measured.members(population)}
    for arm in (arms.treatment, arms.control):
        if arm not in present:
            yield InputError(
                "config",
                f"{field}.populations",
                f"nobody of {arm} in {population}",
                "participants of both arms",
                "Correct the population, or the participants' table.",
            )


def scores(study: Study, name: str) -> list[dict[str, str | float | int | bool | None]]:
    """What counts of an endpoint's table: the scores of its participants, as its job writes them."""
    endpoint = study.settings.endpoints[name]
    if study.settings.arms is None:
        return []
    measured, own = measure_scores.score(
        table(study, endpoint),
        endpoint.measure,
        _trial(study, endpoint),
        study.settings.populations,
        endpoint.populations,
        field=f"endpoints.{name}",
    )
    return measure_scores.rows(measured, own, [])
