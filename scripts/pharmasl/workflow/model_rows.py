"""What each model looks at of the participants' table: a table for each, so that a change reruns the models that it touches."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pharmasl.study import arms as study_arms
from pharmasl.study.trial import Study
from pharmasl.workflow import endpoint_plans

Rows = list[dict[str, str | None]]


def tables(study: Study, seeded: Sequence[str]) -> dict[str, Rows]:
    """The rows and columns of the participants' table at stake, by the model that takes them.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    seeded : sequence of str
        Analyses with a seed on which slopes are estimated.

    Returns
    -------
    dict of str to list of dict
        ``analyses/<name>`` (rows of the analysis' members), ``seed_slopes`` (of those of all analyses with a seed),
        ``craving``, ``endpoints/<name>`` and ``sensitivity/<covariates>`` (of everyone) to rows of ``participant_id``, ``arm`` and the columns of
        the models' terms.
    """
    analyses, craving, sensitivity = study.settings.analyses, study.settings.craving, study.settings.sensitivity
    rows = {
        f"analyses/{name}": _rows(
            study,
            [*study_arms.all_columns(analysis), *study_arms.visit_columns(analysis, study.analysis_sessions(name))],
            study.members(name),
        )
        for name, analysis in analyses.items()
    }
    if seeded:
        rows["seed_slopes"] = _rows(
            study,
            [term for name in seeded for term in study_arms.all_columns(analyses[name])],
            dict.fromkeys(member for name in seeded for member in study.members(name)),
        )
    ratings = craving.covariates if craving else ()
    if craving:
        rows["craving"] = _rows(study, ratings)
    for endpoint in study.settings.endpoints.values():
        # Of everyone, scanned or not.
        rows[f"endpoints/{endpoint.name}"] = endpoint_plans.people(study, endpoint)
    if sensitivity:
        answered = [analyses[answer.analysis] for answer in sensitivity.answers.values() if answer.analysis]
        rows["sensitivity/own"] = _rows(
            study, [*(term for analysis in answered for term in study_arms.all_columns(analysis)), *ratings]
        )
        for name, covariates in sensitivity.covariates.items():
            # Covariates that take the place of the study's own do so in all that it answers.
            varied = [replace(analysis, covariates=covariates) for analysis in answered]
            terms = [term for analysis in varied for term in study_arms.all_columns(analysis)]
            rows[f"sensitivity/{name}"] = _rows(study, [*terms, *covariates])
    return rows


def _rows(study: Study, terms: Iterable[str], labels: Iterable[str] | None = None) -> Rows:
    return study_arms.used(study.people(labels), terms)
