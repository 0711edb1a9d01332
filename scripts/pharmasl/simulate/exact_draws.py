"""Draws whose means, spreads and slopes are exactly those that were declared: for a demo, never for counting over seeds.

Each planted quantity is orthogonal to arm, age, sex and the others. Over seeds, a test of such a quantity always gives the
same p, so that nothing can be learnt from replicates.
"""

import numpy as np

from pharmasl.simulate.simulation_settings import TrialSettings
from pharmasl.simulate.trial_draws import CONDITIONS, CUE_REGIONS, Draws


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


def amounts(settings: TrialSettings) -> Draws:
    """Draw the amounts; their order is part of what a seed stands for."""
    flow, effects, scores = settings.blood_flow, settings.effects, settings.craving
    per_arm = settings.people.treatment
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
    runs = (n, 2, len(CONDITIONS))
    return Draws(
        treated=treated,
        female=female,
        age=age,
        grey=grey,
        white=np.ones(len(grey)),
        dlpfc=dlpfc,
        cue=cue,
        cue_change=cue_change,
        elicited=elicited,
        elicited_change=elicited_change,
        before=before,
        session_factor=1 + flow.between_sessions * rng.standard_normal((n, 2)),
        run_factor=1 + flow.between_runs * rng.standard_normal(runs),
        present=np.ones(runs, dtype=bool),
        failed=np.zeros(runs, dtype=bool),
        dropped=np.zeros(n, dtype=bool),
        site=np.ones(n, dtype=int),
        transit=np.zeros((n, 2)),
    )
