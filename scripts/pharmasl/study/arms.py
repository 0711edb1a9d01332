"""Which arms, sessions, contrasts and columns of the participants' table an analysis concerns."""

from pharmasl.study.effect_kinds import KINDS


def concerned(analysis, arms):
    """The arms that an analysis concerns.

    Parameters
    ----------
    analysis : dict
        ``effect``, and ``arm`` where it is about one.
    arms : dict
        ``treatment``, ``control``, ``others``.

    Returns
    -------
    list of str
    """
    if analysis.get("arm"):
        return [analysis["arm"]]
    both = [arms["treatment"], arms["control"]]
    return [*both, *arms.get("others", [])] if KINDS[analysis["effect"]].all_arms else both


def contrasts(analysis):
    """The contrasts of which an analysis takes maps or values: its own, and its seed's if it has one; each once."""
    seed = [analysis["seed"]["contrast"]] if "seed" in analysis else []
    return list(dict.fromkeys([analysis["contrast"], *seed]))


def sessions(analysis, study):
    """The sessions of which an analysis takes maps: ``baseline`` and ``followup``, or ``baseline`` alone, to labels.

    Parameters
    ----------
    analysis : dict
    study : dict
        ``sessions`` of the study.

    Returns
    -------
    dict
    """
    own = analysis.get("sessions", study)
    return {name: own[name] for name in KINDS[analysis["effect"]].sessions}


def labels(study):
    """All session labels of a study, baseline and follow-up first."""
    return [study["baseline"], study["followup"], *study.get("others", [])]


def columns(term):
    """The columns that a covariate is made of: itself, or the two of a change, ``weight_T2 - weight_T1``."""
    return [part.strip() for part in term.split(" - ")]


def value(row, term):
    """The value of a covariate in a row of the participants' table, as text; None where it, or one of its columns, is missing."""
    parts = [row[column] for column in columns(term)]
    if len(parts) == 1:
        return parts[0]
    return None if None in parts else repr(float(parts[0]) - float(parts[1]))


def used(rows, terms):
    """The rows of the participants' table with what a model may look at: a job that reads them so needs nothing else.

    Parameters
    ----------
    rows : iterable of dict
        With ``participant_id`` and ``arm``, and columns of the dataset.
    terms : iterable of str
        Columns that the model takes, or the change of one, ``b - a``.

    Returns
    -------
    list of dict
        A column that a row does not have is missing there too.
    """
    names = dict.fromkeys(["participant_id", "arm", *(column for term in terms for column in columns(term))])
    return [{name: row[name] for name in names if name in row} for row in rows]


def all_columns(analysis):
    """Every column that an analysis takes beside the arm's."""
    terms = [*(analysis.get("covariates") or []), *(analysis[key] for key in ("site", "predictor") if key in analysis)]
    return [column for term in terms for column in columns(term)]


def named_columns(config):
    """The columns of the participants' table that the configuration names beside the arm's, in alphabetical order."""
    named = {column for part in config["analyses"].values() for column in all_columns(part)}
    terms = [config.get("craving", {}).get("covariates", [])]
    terms += config.get("sensitivity", {}).get("covariates", {}).values()
    named |= {column for part in terms for term in part for column in columns(term)}
    haematocrit = config["perfusion"]["haematocrit"]
    return sorted(named | ({haematocrit} if haematocrit else set()))
