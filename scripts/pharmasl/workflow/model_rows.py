"""What each model looks at of the participants' table: a table for each, so that a change reruns the models that it touches."""

from pharmasl.study import arms as study_arms


def tables(study, seeded):
    """The rows and columns of the participants' table at stake, by what takes them.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    seeded : list of str
        Analyses with a seed whose slopes are told.

    Returns
    -------
    dict
        ``analyses/<name>`` (rows of the analysis' members), ``seed_slopes`` (of those of all analyses with a seed),
        ``craving`` and ``sensitivity/<covariates>`` (of everyone) to a list of dict: ``participant_id``, ``arm`` and the
        columns of the models' terms.
    """
    config, found = study.config, {}
    analyses = config["analyses"]
    for name, analysis in analyses.items():
        found[f"analyses/{name}"] = _rows(study, study_arms.all_columns(analysis), study.members(name))
    if seeded:
        found["seed_slopes"] = _rows(
            study,
            [term for name in seeded for term in study_arms.all_columns(analyses[name])],
            dict.fromkeys(member for name in seeded for member in study.members(name)),
        )
    ratings = config.get("craving", {}).get("covariates", [])
    if "craving" in config:
        found["craving"] = _rows(study, ratings)
    if "sensitivity" in config:
        asked = config["sensitivity"]
        named = [analyses[answer["analysis"]] for answer in asked["answers"].values() if "analysis" in answer]
        for covariates, terms in {"own": None, **asked["covariates"]}.items():
            # Covariates that take the place of the study's own do so in all that it answers.
            own = [term for part in named for term in study_arms.all_columns(_with(part, terms))]
            found[f"sensitivity/{covariates}"] = _rows(study, [*own, *(ratings if terms is None else terms)])
    return found


def _rows(study, terms, labels=None):
    return study_arms.used(study.people(labels), terms)


def _with(analysis, covariates):
    """An analysis with other covariates; None leaves it its own."""
    return analysis if covariates is None else {**analysis, "covariates": covariates}
