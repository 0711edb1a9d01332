"""The plan of the trial: who gets what, and how much of each effect is planted in whom.

All amounts are in mL/100 g/min of grey matter. At rest and in both cue states of the follow-up, the right dlPFC gains a
person's ``dlpfc_change``; during smoking cues, insula and vmPFC gain a person's cue response, which at follow-up differs
from the baseline's by ``slope * dlpfc_change`` and a little of its own. Cue-elicited craving changes with the insula's
cue response. The slopes are the same in both arms, so that an association adjusted for arm is real.
"""

import numpy as np

CONDITIONS = ("rest", "smoking", "neutral")

PARTICIPANT_COLUMNS = {
    "participant_id": "Participant",
    "index": "Number that seeds the participant's random draws",
    "arm": "Arm of the trial",
    "age": {"Description": "Age", "Units": "years"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "gm_cbf": {"Description": "CBF of grey matter, the person's own level", "Units": "mL/100 g/min"},
    "wm_cbf": {"Description": "CBF of white matter, the person's own level", "Units": "mL/100 g/min"},
    "dlpfc_change": {
        "Description": "Planted change of CBF in the dlPFC, follow-up minus baseline",
        "Units": "mL/100 g/min",
    },
    "insula_cue_change": {
        "Description": "Planted change of the insula's cue response (smoking minus neutral)",
        "Units": "mL/100 g/min",
    },
    "vmpfc_cue_change": {
        "Description": "Planted change of the vmPFC's cue response (smoking minus neutral)",
        "Units": "mL/100 g/min",
    },
    "craving_baseline": {
        "Description": "Planted cue-elicited craving (after minus before) at baseline, before rounding",
        "Units": "points",
    },
    "craving_followup": {
        "Description": "Planted cue-elicited craving (after minus before) at follow-up, before rounding",
        "Units": "points",
    },
}

SCAN_COLUMNS = {
    "participant_id": "Participant",
    "session_id": "Session label",
    "condition": "State during the run, the acq- label",
    "run": "Number that seeds the run's random draws",
    "gm_cbf": {"Description": "CBF of grey matter in this run, away from planted effects", "Units": "mL/100 g/min"},
    "wm_cbf": {"Description": "CBF of white matter in this run, away from planted effects", "Units": "mL/100 g/min"},
    "dlpfc": {"Description": "Planted gain at the centre of the dlPFC region, grey matter", "Units": "mL/100 g/min"},
    "insula": {
        "Description": "Planted gain at the centres of the insula regions, grey matter",
        "Units": "mL/100 g/min",
    },
    "vmpfc": {"Description": "Planted gain at the centre of the vmPFC region, grey matter", "Units": "mL/100 g/min"},
}

CRAVING_COLUMNS = {
    "participant_id": "Participant",
    "session_id": "Session label",
    "craving_pre": {"Description": "Craving before the cues, visual analogue scale 0 to 100", "Units": "points"},
    "craving_post": {"Description": "Craving after the cues, visual analogue scale 0 to 100", "Units": "points"},
}


def spread(rng, nuisance, deviation):
    """Random values with an exact spread and no share in nuisance columns.

    In a trial of a dozen, chance would else tie an effect to age or sex, and a demo would show the draw, not the method.

    Parameters
    ----------
    rng : numpy.random.Generator
    nuisance : ndarray of shape (N, K)
        Columns to which the values shall be orthogonal; the first must be ones.
    deviation : float
        Root of the sum of squares over N minus 2 (two arms), of the values.

    Returns
    -------
    ndarray of shape (N,)
        Zero if N leaves no freedom for chance.
    """
    n = len(nuisance)
    values = rng.standard_normal(n)
    basis, _ = np.linalg.qr(nuisance)
    # Twice, so that orthogonality holds to rounding.
    for _ in range(2):
        values = values - basis @ (basis.T @ values)
    length = np.linalg.norm(values)
    if n <= nuisance.shape[1] or length < 1e-9:
        return np.zeros(n)
    return values * (deviation * np.sqrt(n - 2) / length)


def plan(settings, arms, sessions):
    """Draw the whole trial.

    Parameters
    ----------
    settings : dict
        ``seed``, ``participants_per_arm``, ``blood_flow``, ``effects``, ``craving`` of the configuration.
    arms : dict
        ``treatment`` and ``control``: the arms' names.
    sessions : dict
        ``baseline`` and ``followup``: the sessions' labels.

    Returns
    -------
    participants, scans, craving : list of dict
        Rows of :data:`PARTICIPANT_COLUMNS`, :data:`SCAN_COLUMNS` and :data:`CRAVING_COLUMNS`.
    """
    flow, effects, scores = settings["blood_flow"], settings["effects"], settings["craving"]
    per_arm = settings["participants_per_arm"]
    n = 2 * per_arm
    rng = np.random.default_rng([settings["seed"], 0])

    # Randomised in blocks of two, so that the order of scanning does not tell the arm.
    treated = np.concatenate([rng.permutation([True, False]) for _ in range(per_arm)])
    age = rng.integers(22, 58, n)
    female = np.empty(n, dtype=bool)
    for arm in (True, False):
        female[treated == arm] = rng.permutation(np.arange(per_arm) % 2 == 0)
    nuisance = np.column_stack([np.ones(n), treated, age, female])

    gm = flow["grey"] + spread(rng, np.ones((n, 1)), flow["grey_spread"])
    dlpfc = effects["resting_rise"] * treated + spread(rng, nuisance, effects["resting_spread"])
    with_dlpfc = np.column_stack([nuisance, dlpfc])
    change, baseline = {}, {}
    for region in ("insula", "vmpfc"):
        baseline[region] = effects["cue_response"] + spread(rng, nuisance, effects["cue_spread"])
        change[region] = effects["slope"] * dlpfc + spread(rng, with_dlpfc, effects["cue_spread"])
    with_insula = np.column_stack([nuisance, change["insula"]])
    elicited = scores["elicited"] + spread(rng, nuisance, scores["elicited_spread"])
    elicited_change = scores["slope"] * change["insula"] + spread(rng, with_insula, scores["noise"])
    before = scores["before"] + scores["before_spread"] * rng.standard_normal((n, 2))

    session_factor = 1 + flow["between_sessions"] * rng.standard_normal((n, 2))
    run_factor = 1 + flow["between_runs"] * rng.standard_normal((n, 2, len(CONDITIONS)))

    participants, scans, craving = [], [], []
    for i in range(n):
        name = f"sub-{i + 1:02d}"
        participants.append(
            {
                "participant_id": name,
                "index": i + 1,
                "arm": arms["treatment"] if treated[i] else arms["control"],
                "age": int(age[i]),
                "sex": "F" if female[i] else "M",
                "gm_cbf": float(gm[i]),
                "wm_cbf": float(gm[i] * flow["white"] / flow["grey"]),
                "dlpfc_change": float(dlpfc[i]),
                "insula_cue_change": float(change["insula"][i]),
                "vmpfc_cue_change": float(change["vmpfc"][i]),
                "craving_baseline": float(elicited[i]),
                "craving_followup": float(elicited[i] + elicited_change[i]),
            }
        )
        for j, session in enumerate((sessions["baseline"], sessions["followup"])):
            for k, condition in enumerate(CONDITIONS):
                level = gm[i] * session_factor[i, j] * run_factor[i, j, k]
                cue = {region: baseline[region][i] + j * change[region][i] for region in change}
                scans.append(
                    {
                        "participant_id": name,
                        "session_id": session,
                        "condition": condition,
                        "run": j * len(CONDITIONS) + k,
                        "gm_cbf": float(level),
                        "wm_cbf": float(level * flow["white"] / flow["grey"]),
                        "dlpfc": float(j * dlpfc[i]),
                        "insula": float(cue["insula"]) if condition == "smoking" else 0.0,
                        "vmpfc": float(cue["vmpfc"]) if condition == "smoking" else 0.0,
                    }
                )
            first = float(np.clip(before[i, j], 5, 60))
            second = first + participants[-1]["craving_followup" if j else "craving_baseline"]
            craving.append(
                {
                    "participant_id": name,
                    "session_id": session,
                    "craving_pre": round(first),
                    "craving_post": round(min(max(second, 0), 100)),
                }
            )
    return participants, scans, craving
