"""Cigarettes a day of the simulated trial: at follow-up they go with the baseline, and are fewer in the treatment arm.

Their draws have a stream of their own, so that all else of a seed's trial is as it was without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.files.tables import Columns, Row
from pharmasl.simulate.exact_draws import spread
from pharmasl.simulate.random_draws import Purpose, stream
from pharmasl.simulate.simulation_settings import TrialSettings
from pharmasl.study.settings import Arms, SessionPair

COLUMNS: Columns = {
    "participant_id": "Participant",
    "session_id": "Session label",
    "cigarettes_per_day": {"Description": "Cigarettes a day, mean of a week's diary", "Units": "cigarettes a day"},
}
PLAN_COLUMNS: Columns = {
    "cigarettes_baseline": {"Description": "Planted cigarettes a day at baseline", "Units": "cigarettes a day"},
    "cigarettes_followup": {
        "Description": "Planted cigarettes a day at follow-up, of those too whose follow-up is missing",
        "Units": "cigarettes a day",
    },
}
_STREAM = 1
_FEWEST = 0.5


@dataclass(frozen=True)
class Cigarettes:
    """What was drawn.

    Attributes
    ----------
    table : list of dict
        Rows of :data:`COLUMNS`, one per participant and session.
    plan : list of dict
        Values of :data:`PLAN_COLUMNS`, one per participant.
    """

    table: list[Row]
    plan: list[Row]


def draw(settings: TrialSettings, participants: Sequence[Row], arms: Arms, sessions: SessionPair) -> Cigarettes:
    """Cigarettes a day of a trial's participants.

    Parameters
    ----------
    settings : TrialSettings
    participants : sequence of dict
        Rows of the trial's participants.
    arms : Arms
    sessions : SessionPair

    Returns
    -------
    Cigarettes
    """
    amounts = settings.cigarettes
    treated = np.array([row["arm"] == arms.treatment for row in participants])
    apart, noise = (_exact if settings.exact else _random)(settings, participants, treated)
    before = amounts.baseline + apart
    after = amounts.baseline + amounts.change + amounts.slope * apart + amounts.effect * treated + noise
    lost = {int(k) for k in np.flatnonzero(treated)[::-1][: amounts.lost]}
    lost |= {k for k, row in enumerate(participants) if row.get("dropped") == "yes"}
    drawn = Cigarettes([], [])
    for k, row in enumerate(participants):
        drawn.plan.append({"cigarettes_baseline": float(before[k]), "cigarettes_followup": float(after[k])})
        for session, value in ((sessions.baseline, before[k]), (sessions.later, after[k])):
            known = None if session == sessions.followup and k in lost else round(max(float(value), _FEWEST), 1)
            names = {"participant_id": row["participant_id"], "session_id": session}
            drawn.table.append({**names, "cigarettes_per_day": known})
    return drawn


def _exact(settings: TrialSettings, participants: Sequence[Row], treated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Departures of the baseline from its mean and of the follow-up from what is expected, with exact spreads."""
    rng = np.random.default_rng([settings.seed, 0, _STREAM])
    nuisance = np.column_stack(
        [
            np.ones(len(treated)),
            treated,
            [row["age"] for row in participants],
            [row["sex"] == "F" for row in participants],
        ]
    ).astype(float)
    apart = spread(rng, nuisance, settings.cigarettes.baseline_spread)
    return apart, spread(rng, np.column_stack([nuisance, apart]), settings.cigarettes.noise)


def _random(settings: TrialSettings, participants: Sequence[Row], treated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, at random."""
    n, amounts = len(participants), settings.cigarettes
    before = stream(settings.seed, Purpose.CIGARETTES).standard_normal(n)
    after = stream(settings.seed, Purpose.CIGARETTES_CHANGE).standard_normal(n)
    return amounts.baseline_spread * before, amounts.noise * after
