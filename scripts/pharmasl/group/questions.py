"""From a configured analysis to its design: which effect, of whom, with which terms."""

from pharmasl.errors import InputError
from pharmasl.group import effects
from pharmasl.study import arms as study_arms
from pharmasl.study.effect_kinds import KINDS


def members(analysis, arms, participants, table):
    """Those of the participants whose arm the analysis concerns, and the values of the arm's column at stake.

    Parameters
    ----------
    analysis : dict
        ``effect``, and ``arm`` or ``pair`` where it has one.
    arms : dict
        ``treatment``, ``control``, ``others``.
    participants : list of str
    table : list of dict
        Rows of the participants' table, with ``arm``.

    Returns
    -------
    list of str
    """
    wanted = study_arms.concerned(analysis, arms)
    arm = {row["participant_id"]: row.get("arm") for row in table}
    return [name for name in participants if name not in arm or arm[name] in wanted]


def build(analysis, arms, participants, table, file, seed_change=None):
    """The design of an analysis.

    Parameters
    ----------
    analysis, arms : dict
        Of the configuration.
    participants : list of str
        In the order of the maps.
    table : list of dict
        Rows of the participants' table.
    file : path-like
        The table, for messages.
    seed_change : ndarray of shape (n,), optional

    Returns
    -------
    pharmasl.group.effects.Effect

    Raises
    ------
    InputError
        As the effect does.
    """
    effect = analysis["effect"]
    if effect not in KINDS:
        raise InputError("configuration", "effect", effect, f"one of {', '.join(KINDS)}", "Correct the name.")
    common = {"covariates": analysis.get("covariates") or [], "site": analysis.get("site")}
    if effect == "within_arm":
        return effects.within_arm(participants, table, analysis["arm"], file, **common)
    if effect == "between_arms":
        return effects.between_arms(
            participants, table, study_arms.concerned(analysis, arms), tuple(analysis["pair"]), file, **common
        )
    if effect == "regression":
        held = None if analysis.get("arm") else study_arms.concerned(analysis, arms)
        return effects.regression(participants, table, analysis["predictor"], file, held, **common)
    if effect == "association":
        one = analysis.get("arm")
        return effects.association(participants, table, arms, seed_change, file, **common, arm=one)
    if KINDS[effect].is_seeded:
        return effects.EFFECTS[effect](participants, table, arms, seed_change, file, **common)
    return effects.EFFECTS[effect](participants, table, arms, file, **common)
