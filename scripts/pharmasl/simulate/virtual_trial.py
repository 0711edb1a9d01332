"""The draw of the trial: the arm of each participant, and how much of each effect is planted.

All amounts are in mL/100 g/min of grey matter. At rest and in both cue states of the follow-up, CBF in the right dlPFC
rises by a person's ``dlpfc_change``; during smoking cues, CBF in insula and vmPFC rises by a person's cue response, which
at follow-up differs from the baseline's by ``slope * dlpfc_change`` and a small random amount. Cue-elicited craving
changes with the insula's cue response. The slopes are the same in both arms, so that an association adjusted for arm is
real.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pharmasl.files.tables import Columns, Row
from pharmasl.simulate.simulation_settings import BloodFlow, TrialSettings
from pharmasl.study.settings import Arms, SessionPair

CUE_REGIONS = ("insula", "vmpfc")
CONDITIONS = ("rest", "smoking", "neutral")

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

CRAVING_COLUMNS: Columns = {
    "participant_id": "Participant",
    "session_id": "Session label",
    "craving_pre": {"Description": "Craving before the cues, visual analogue scale 0 to 100", "Units": "points"},
    "craving_post": {"Description": "Craving after the cues, visual analogue scale 0 to 100", "Units": "points"},
}


def spread(rng: np.random.Generator, nuisance: np.ndarray, deviation: float) -> np.ndarray:
    """Random values with an exact standard deviation that are orthogonal to nuisance columns.

    Otherwise, in a trial of a dozen, effects would correlate with age or sex by chance, and a demo would show the draw, not
    the method.

    Parameters
    ----------
    rng : numpy.random.Generator
    nuisance : ndarray of shape (N, K)
        The first column must be ones.
    deviation : float
        Root of the values' sum of squares over N minus 2 (two arms).

    Returns
    -------
    ndarray of shape (N,)
        Zero if N leaves no degrees of freedom.
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


class Trial(NamedTuple):
    """A trial that was drawn.

    Attributes
    ----------
    participants, scans, craving : list of dict
        Rows of :data:`PARTICIPANT_COLUMNS`, :data:`SCAN_COLUMNS` and :data:`CRAVING_COLUMNS`.
    """

    participants: list[Row]
    scans: list[Row]
    craving: list[Row]


@dataclass(frozen=True)
class _Draws:
    """The random amounts of N participants.

    Attributes
    ----------
    treated, female : ndarray of bool, shape (N,)
    age : ndarray of shape (N,)
        Years.
    grey : ndarray of shape (N,)
        CBF of grey matter.
    dlpfc : ndarray of shape (N,)
        Change in CBF in the dlPFC.
    cue, cue_change : dict of str to ndarray of shape (N,)
        Cue response at baseline and its change, by region.
    elicited, elicited_change : ndarray of shape (N,)
        Cue-elicited craving at baseline and its change.
    before : ndarray of shape (N, 2)
        Craving before the cues, by session.
    session_factor : ndarray of shape (N, 2)
    run_factor : ndarray of shape (N, 2, 3)
        Whole-brain CBF of sessions and runs, as factors.
    """

    treated: np.ndarray
    female: np.ndarray
    age: np.ndarray
    grey: np.ndarray
    dlpfc: np.ndarray
    cue: dict[str, np.ndarray]
    cue_change: dict[str, np.ndarray]
    elicited: np.ndarray
    elicited_change: np.ndarray
    before: np.ndarray
    session_factor: np.ndarray
    run_factor: np.ndarray


def _amounts(settings: TrialSettings) -> _Draws:
    """Draw the amounts; their order is part of what a seed stands for."""
    flow, effects, scores = settings.blood_flow, settings.effects, settings.craving
    per_arm = settings.participants_per_arm
    n = 2 * per_arm
    rng = np.random.default_rng([settings.seed, 0])

    # Randomised in blocks of two, so that the order of scanning does not reveal the arm.
    treated = np.concatenate([rng.permutation([True, False]) for _ in range(per_arm)])
    age = rng.integers(22, 58, n)
    female = np.empty(n, dtype=bool)
    for arm in (True, False):
        female[treated == arm] = rng.permutation(np.arange(per_arm) % 2 == 0)
    nuisance = np.column_stack([np.ones(n), treated, age, female])

    grey = flow.grey + spread(rng, np.ones((n, 1)), flow.grey_spread)
    dlpfc = effects.resting_rise * treated + spread(rng, nuisance, effects.resting_spread)
    with_dlpfc = np.column_stack([nuisance, dlpfc])
    cue, cue_change = {}, {}
    for region in CUE_REGIONS:
        cue[region] = effects.cue_response + spread(rng, nuisance, effects.cue_spread)
        cue_change[region] = effects.slope * dlpfc + spread(rng, with_dlpfc, effects.cue_spread)
    with_insula = np.column_stack([nuisance, cue_change["insula"]])
    elicited = scores.elicited + spread(rng, nuisance, scores.elicited_spread)
    elicited_change = scores.slope * cue_change["insula"] + spread(rng, with_insula, scores.noise)
    before = scores.before + scores.before_spread * rng.standard_normal((n, 2))
    return _Draws(
        treated=treated,
        female=female,
        age=age,
        grey=grey,
        dlpfc=dlpfc,
        cue=cue,
        cue_change=cue_change,
        elicited=elicited,
        elicited_change=elicited_change,
        before=before,
        session_factor=1 + flow.between_sessions * rng.standard_normal((n, 2)),
        run_factor=1 + flow.between_runs * rng.standard_normal((n, 2, len(CONDITIONS))),
    )


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
    draws = _amounts(settings)
    flow = settings.blood_flow
    trial = Trial([], [], [])
    for i in range(len(draws.treated)):
        participant = _participant(i, draws, arms, flow)
        trial.participants.append(participant)
        for j, session in enumerate((sessions.baseline, sessions.followup)):
            names = {"participant_id": participant["participant_id"], "session_id": session}
            for k, condition in enumerate(CONDITIONS):
                trial.scans.append({**names, **_scan(i, j, k, condition, draws, flow)})
            first = float(np.clip(draws.before[i, j], 5, 60))
            second = first + participant["craving_followup" if j else "craving_baseline"]
            trial.craving.append(
                {**names, "craving_pre": round(first), "craving_post": round(min(max(second, 0), 100))}
            )
    return trial


def _participant(i: int, draws: _Draws, arms: Arms, flow: BloodFlow) -> Row:
    """The row of a participant."""
    return {
        "participant_id": f"sub-{i + 1:02d}",
        "index": i + 1,
        "arm": arms.treatment if draws.treated[i] else arms.control,
        "age": int(draws.age[i]),
        "sex": "F" if draws.female[i] else "M",
        "gm_cbf": float(draws.grey[i]),
        "wm_cbf": float(draws.grey[i] * flow.white / flow.grey),
        "dlpfc_change": float(draws.dlpfc[i]),
        **{f"{region}_cue_change": float(draws.cue_change[region][i]) for region in CUE_REGIONS},
        "craving_baseline": float(draws.elicited[i]),
        "craving_followup": float(draws.elicited[i] + draws.elicited_change[i]),
    }


def _scan(i: int, j: int, k: int, condition: str, draws: _Draws, flow: BloodFlow) -> Row:
    """The row of a participant's run in a session (0 for baseline, 1 for follow-up), without its names."""
    level = draws.grey[i] * draws.session_factor[i, j] * draws.run_factor[i, j, k]
    smoking = condition == "smoking"
    response = {region: draws.cue[region][i] + j * draws.cue_change[region][i] for region in CUE_REGIONS}
    return {
        "condition": condition,
        "run": j * len(CONDITIONS) + k,
        "gm_cbf": float(level),
        "wm_cbf": float(level * flow.white / flow.grey),
        "dlpfc": float(j * draws.dlpfc[i]),
        **{region: float(amount) if smoking else 0.0 for region, amount in response.items()},
    }
