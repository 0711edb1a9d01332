"""The draw of the trial: the arm of each participant, and how much of each effect is planted.

All amounts are in mL/100 g/min of grey matter. At rest and in both cue states of the follow-up, CBF in the right dlPFC
rises by a person's ``dlpfc_change``; during smoking cues, CBF in insula and vmPFC rises by a person's cue response, which
at follow-up differs from the baseline's by ``slope * dlpfc_change`` and a small random amount. Cue-elicited craving
changes with the insula's cue response. The slopes are the same in both arms, so that an association adjusted for arm is
real. With ``exact: true`` all this holds to rounding in each trial (:mod:`.exact_draws`); otherwise people are drawn at random
(:mod:`.random_draws`), and the configuration's own effects are planted beside these.
"""

from typing import NamedTuple

import numpy as np

from pharmasl.files.tables import Columns, Row
from pharmasl.simulate import exact_draws, random_draws
from pharmasl.simulate.simulation_settings import BloodFlow, TrialSettings
from pharmasl.simulate.trial_draws import CONDITIONS, CUE_REGIONS, Draws
from pharmasl.study.settings import Arms, SessionPair

PARTICIPANT_COLUMNS: Columns = {
    "participant_id": "Participant",
    "index": "Number that seeds the participant's random draws",
    "arm": "Arm of the trial",
    "age": {"Description": "Age", "Units": "years"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "gm_cbf": {"Description": "CBF of grey matter, the person's own level", "Units": "mL/100 g/min"},
    "wm_cbf": {"Description": "CBF of white matter, the person's own level", "Units": "mL/100 g/min"},
    "dlpfc_change": {
        "Description": "Planted change in CBF in the dlPFC, follow-up minus baseline",
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

SCAN_COLUMNS: Columns = {
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

# Of a trial drawn at random, beside the above.
RANDOM_PARTICIPANT_COLUMNS: Columns = {"site": "Site", "dropped": "Whether the person did not come back: yes or no"}
RANDOM_SCAN_COLUMNS: Columns = {
    "present": "Whether the dataset has the run: yes or no",
    "failed": "Whether the run's labelling failed: yes or no",
    "transit": {
        "Description": "By how much label arrives later in this session than in its territory on average",
        "Units": "s",
    },
}


def planted_columns(settings: TrialSettings) -> Columns:
    """Columns of the configuration's own effects, in the table of scans."""
    return {
        name: {"Description": f"Planted gain of the effect {name} where its weight is one", "Units": "mL/100 g/min"}
        for name in settings.planted
    }


CRAVING_COLUMNS: Columns = {
    "participant_id": "Participant",
    "session_id": "Session label",
    "craving_pre": {"Description": "Craving before the cues, visual analogue scale 0 to 100", "Units": "points"},
    "craving_post": {"Description": "Craving after the cues, visual analogue scale 0 to 100", "Units": "points"},
}


def subject(i: int, people: int) -> str:
    """The identifier of the participant of this index, from zero, among so many."""
    return f"sub-{i + 1:0{max(2, len(str(people)))}d}"


class Trial(NamedTuple):
    """A trial that was drawn.

    Attributes
    ----------
    participants, scans, craving : list of dict
        Rows of :data:`PARTICIPANT_COLUMNS`, :data:`SCAN_COLUMNS` and :data:`CRAVING_COLUMNS`, and of a trial drawn at random
        of :data:`RANDOM_PARTICIPANT_COLUMNS`, :data:`RANDOM_SCAN_COLUMNS` and :func:`planted_columns` too. Scans that the dataset
        does not have are among the rows.
    """

    participants: list[Row]
    scans: list[Row]
    craving: list[Row]


def draw(settings: TrialSettings, arms: Arms, sessions: SessionPair) -> Trial:
    """The whole trial, drawn at random.

    Parameters
    ----------
    settings : simulation_settings.TrialSettings
    arms : settings.Arms
    sessions : settings.SessionPair

    Returns
    -------
    Trial
    """
    draws = exact_draws.amounts(settings) if settings.exact else random_draws.amounts(settings)
    flow = settings.blood_flow
    trial = Trial([], [], [])
    for i in range(len(draws.treated)):
        participant = _participant(i, draws, arms, flow)
        if not settings.exact:
            participant |= {"site": f"site{draws.site[i]}", "dropped": _yes(draws.dropped[i])}
        trial.participants.append(participant)
        for j, session in enumerate((sessions.baseline, sessions.later)):
            names = {"participant_id": participant["participant_id"], "session_id": session}
            for k, condition in enumerate(CONDITIONS):
                scan = {**names, **_scan(i, j, k, condition, draws, flow)}
                if not settings.exact:
                    scan |= {"present": _yes(draws.present[i, j, k]), "failed": _yes(draws.failed[i, j, k])}
                    scan["transit"] = float(draws.transit[i, j])
                    scan |= {name: float(gains[i, j, k]) for name, gains in draws.planted.items()}
                trial.scans.append(scan)
            trial.craving.append({**names, **_ratings(i, j, participant, draws)})
    return trial


def _yes(value: bool | np.bool_) -> str:
    return "yes" if value else "no"


def _ratings(i: int, j: int, participant: Row, draws: Draws) -> Row:
    """The ratings of a visit; none of a person who did not come back."""
    if j and draws.dropped[i]:
        return {"craving_pre": None, "craving_post": None}
    first = float(np.clip(draws.before[i, j], 5, 60))
    second = first + participant["craving_followup" if j else "craving_baseline"]
    return {"craving_pre": round(first), "craving_post": round(min(max(second, 0), 100))}


def _participant(i: int, draws: Draws, arms: Arms, flow: BloodFlow) -> Row:
    """The row of a participant."""
    return {
        "participant_id": subject(i, len(draws.treated)),
        "index": i + 1,
        "arm": arms.treatment if draws.treated[i] else arms.control,
        "age": int(draws.age[i]),
        "sex": "F" if draws.female[i] else "M",
        "gm_cbf": float(draws.grey[i]),
        "wm_cbf": float(draws.grey[i] * flow.white / flow.grey * draws.white[i]),
        "dlpfc_change": float(draws.dlpfc[i]),
        **{f"{region}_cue_change": float(draws.cue_change[region][i]) for region in CUE_REGIONS},
        "craving_baseline": float(draws.elicited[i]),
        "craving_followup": float(draws.elicited[i] + draws.elicited_change[i]),
    }


def _scan(i: int, j: int, k: int, condition: str, draws: Draws, flow: BloodFlow) -> Row:
    """The row of a participant's run in a session (0 for baseline, 1 for follow-up), without its names."""
    level = draws.grey[i] * draws.session_factor[i, j] * draws.run_factor[i, j, k]
    smoking = condition == "smoking"
    response = {region: draws.cue[region][i] + j * draws.cue_change[region][i] for region in CUE_REGIONS}
    return {
        "condition": condition,
        "run": j * len(CONDITIONS) + k,
        "gm_cbf": float(level),
        "wm_cbf": float(level * flow.white / flow.grey * draws.white[i]),
        "dlpfc": float(j * draws.dlpfc[i]),
        **{region: float(amount) if smoking else 0.0 for region, amount in response.items()},
    }
