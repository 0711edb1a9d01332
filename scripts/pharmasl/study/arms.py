"""Which arms and which sessions an analysis concerns."""

# Effects that compare all arms or hold them apart, and those that look at baseline alone.
ALL_ARMS = ("between_arms", "regression")
BASELINE = ("baseline_difference",)


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
    return [*both, *arms.get("others", [])] if analysis["effect"] in ALL_ARMS else both


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
    names = ("baseline",) if analysis["effect"] in BASELINE else ("baseline", "followup")
    return {name: own[name] for name in names}


def labels(study):
    """All session labels of a study, baseline and follow-up first."""
    return [study["baseline"], study["followup"], *study.get("others", [])]
