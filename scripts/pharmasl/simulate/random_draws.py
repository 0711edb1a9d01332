"""Random draws of a trial: independent over people, so that tests of replicates behave as tests of trials do.

Each purpose has a stream of its own: a changed effect, chance or spread changes nothing else that a seed stands for.
"""

from enum import IntEnum

import numpy as np

from pharmasl.simulate import reliabilities
from pharmasl.simulate.simulation_settings import PlannedEffect, TrialSettings
from pharmasl.simulate.trial_draws import CONDITIONS, CUE_REGIONS, Draws


class Purpose(IntEnum):
    """What a stream of random numbers is for; the numbers are part of what a seed stands for."""

    ARMS = 101
    AGE = 102
    SEX = 103
    SITE = 104
    SITE_LEVEL = 105
    LEVEL = 106
    SESSION = 107
    RUN = 108
    RESTING = 109
    CUE = 110
    CUE_CHANGE = 111
    ELICITED = 112
    ELICITED_CHANGE = 113
    BEFORE = 114
    DROPOUT = 115
    LOST_SESSION = 116
    LOST_SCAN = 117
    FAILED = 118
    PLANTED = 119
    CIGARETTES = 120
    CIGARETTES_CHANGE = 121
    TRANSIT = 122
    TRANSIT_SESSION = 123
    WHITE = 124


# A person's grey matter has at least this share of the mean, however wide the spread.
_LEAST = 0.25


def stream(seed: int, purpose: Purpose, *more: int) -> np.random.Generator:
    """The random numbers of a purpose."""
    return np.random.default_rng([seed, 0, int(purpose), *more])


def _factors(rng: np.random.Generator, variation: float, shape: tuple[int, ...]) -> np.ndarray:
    """Lognormal factors with mean one and this coefficient of variation."""
    log_variance = np.log1p(variation**2)
    return np.exp(np.sqrt(log_variance) * rng.standard_normal(shape) - log_variance / 2)


def amounts(settings: TrialSettings) -> Draws:
    """Draw the amounts."""
    people, effects, scores, missing = settings.people, settings.effects, settings.craving, settings.missing
    n, seed = people.number, settings.seed
    runs = (n, 2, len(CONDITIONS))

    def normal(purpose: Purpose, *more: int, shape: tuple[int, ...] = (n,)) -> np.ndarray:
        return stream(seed, purpose, *more).standard_normal(shape)

    def chance(purpose: Purpose, shape: tuple[int, ...], below: float | np.ndarray) -> np.ndarray:
        return stream(seed, purpose).random(shape) < below

    treated = stream(seed, Purpose.ARMS).permutation(np.arange(n) < people.treatment)
    first, last = people.age
    age = stream(seed, Purpose.AGE).integers(int(first), int(last) + 1, n)
    female = chance(Purpose.SEX, (n,), people.female)
    site = stream(seed, Purpose.SITE).permutation(np.arange(n) % people.sites) + 1
    levels = people.site_spread * normal(Purpose.SITE_LEVEL, shape=(people.sites,))

    grey = settings.blood_flow.grey
    parts = reliabilities.grey(settings.variability, grey)
    own = grey + parts.people * normal(Purpose.LEVEL)
    own = own + people.age_slope * (age - (first + last) / 2) + people.sex_difference * (female - people.female)
    own = np.maximum(own * (1 + levels[site - 1]), _LEAST * grey)

    dlpfc = effects.resting_rise * treated + effects.resting_spread * normal(Purpose.RESTING)
    cue, cue_change = {}, {}
    for k, region in enumerate(CUE_REGIONS):
        cue[region] = effects.cue_response + effects.cue_spread * normal(Purpose.CUE, k)
        cue_change[region] = effects.slope * dlpfc + effects.cue_spread * normal(Purpose.CUE_CHANGE, k)

    dropped = chance(Purpose.DROPOUT, (n,), np.where(treated, missing.dropout.treatment, missing.dropout.control))
    present = ~chance(Purpose.LOST_SESSION, (n, 2), missing.session)[..., None] & ~chance(
        Purpose.LOST_SCAN, runs, missing.scan
    )
    present[dropped, 1] = False
    return Draws(
        treated=treated,
        female=female,
        age=age,
        grey=own,
        white=_factors(stream(seed, Purpose.WHITE), settings.variability.white, (n,)),
        dlpfc=dlpfc,
        cue=cue,
        cue_change=cue_change,
        elicited=scores.elicited + scores.elicited_spread * normal(Purpose.ELICITED),
        elicited_change=scores.slope * cue_change["insula"] + scores.noise * normal(Purpose.ELICITED_CHANGE),
        before=scores.before + scores.before_spread * normal(Purpose.BEFORE, shape=(n, 2)),
        session_factor=_factors(stream(seed, Purpose.SESSION), parts.sessions, (n, 2)),
        run_factor=_factors(stream(seed, Purpose.RUN), parts.runs, runs),
        present=present,
        failed=present & chance(Purpose.FAILED, runs, missing.failed),
        dropped=dropped,
        site=site,
        transit=_transit(settings, treated),
        planted={name: _gains(effect, treated, seed, name) for name, effect in settings.planted.items()},
    )


def _transit(settings: TrialSettings, treated: np.ndarray) -> np.ndarray:
    """Seconds by which label arrives later than in its territory on average: ndarray of shape (N, 2)."""
    asked, n = settings.transit, len(treated)
    own = asked.people * stream(settings.seed, Purpose.TRANSIT).standard_normal(n)
    visit = asked.sessions * stream(settings.seed, Purpose.TRANSIT_SESSION).standard_normal((n, 2))
    return own[:, None] + visit + asked.drug * treated[:, None] * np.array([0, 1])


def _gains(effect: PlannedEffect, treated: np.ndarray, seed: int, name: str) -> np.ndarray:
    """The gain of an effect in each person's runs: ndarray of shape (N, 2, 3)."""
    # By the effect's name, so that another effect before it changes nothing.
    rng = stream(seed, Purpose.PLANTED, *name.encode())
    own = effect.amount + effect.spread * rng.standard_normal(len(treated))
    who = {"treatment": treated, "control": ~treated, "both": np.ones(len(treated), dtype=bool)}[effect.arm]
    sessions = [effect.session in (session, "both") for session in ("baseline", "followup")]
    conditions = [condition in effect.conditions for condition in CONDITIONS]
    return (own * who)[:, None, None] * np.array(sessions)[:, None] * np.array(conditions)
