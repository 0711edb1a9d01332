"""What is drawn for a simulated trial, one value or row per participant."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

CUE_REGIONS = ("insula", "vmpfc")
CONDITIONS = ("rest", "smoking", "neutral")


@dataclass(frozen=True)
class Draws:
    """The random amounts of N participants.

    Attributes
    ----------
    treated, female : ndarray of bool, shape (N,)
    age : ndarray of shape (N,)
        Years.
    grey : ndarray of shape (N,)
        CBF of grey matter.
    white : ndarray of shape (N,)
        CBF of white matter beside what it has in common with grey matter's, as a factor.
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
    present, failed : ndarray of bool, shape (N, 2, 3)
        Which runs there are, and of which of these the labelling failed.
    dropped : ndarray of bool, shape (N,)
        Who did not come back.
    site : ndarray of int, shape (N,)
        From one.
    transit : ndarray of shape (N, 2)
        Seconds by which label arrives later than in its territory on average, by session.
    planted : mapping of str to ndarray of shape (N, 2, 3)
        Gain of the configuration's own effects, by name.
    """

    treated: np.ndarray
    female: np.ndarray
    age: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    dlpfc: np.ndarray
    cue: dict[str, np.ndarray]
    cue_change: dict[str, np.ndarray]
    elicited: np.ndarray
    elicited_change: np.ndarray
    before: np.ndarray
    session_factor: np.ndarray
    run_factor: np.ndarray
    present: np.ndarray
    failed: np.ndarray
    dropped: np.ndarray
    site: np.ndarray
    transit: np.ndarray
    planted: Mapping[str, np.ndarray] = field(default_factory=dict)
