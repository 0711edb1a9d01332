"""The clinical endpoint as the models see it: cue-elicited craving of the participants of the two arms."""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pharmasl.endpoints import scores as scoring
from pharmasl.errors import FilePath
from pharmasl.files import bids, tables
from pharmasl.study import settings


def read_scores(path: FilePath) -> pd.DataFrame:
    """Read a table that :func:`pharmasl.endpoints.scores.write_scores` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    DataFrame
        One row per participant and session: ratings as numbers, NaN where missing; all else as text, None where missing.
    """
    return frame(tables.read_table(path))


def frame(rows: Sequence[scoring.Row]) -> pd.DataFrame:
    """Rows of scores as a table: ratings as numbers, NaN where missing; all else as it is."""
    scores = pd.DataFrame(list(rows), columns=None if rows else list(scoring.COLUMNS), dtype=object)
    further = scoring.further_conditions(list(scores.columns))
    named = [*scoring.RATINGS, *(scoring.column(name, condition) for condition in further for name in scoring.RATINGS)]
    return scores.astype({name: np.float64 for name in named if name in scores})


class Endpoint:
    """The scores of the two arms' participants.

    Parameters
    ----------
    scores : DataFrame
        As :func:`frame` gives them; participants of other arms, or without an arm, are left out.
    arms : Arms
    sessions : SessionPair

    Attributes
    ----------
    scores : DataFrame
        One row per participant and session.
    arms : Arms
    baseline, followup : str
        Session labels without ``ses-``.
    """

    def __init__(self, scores: pd.DataFrame, arms: settings.Arms, sessions: settings.SessionPair) -> None:
        self.scores = scores[scores["arm"].isin([arms.treatment, arms.control])].reset_index(drop=True)
        self.arms = arms
        self.baseline = bids.bare_label(sessions.baseline, "ses")
        self.followup = bids.bare_label(sessions.later, "ses")

    @functools.cached_property
    def known(self) -> pd.DataFrame:
        """The rows with a score of cue-elicited craving."""
        return self.scores[self.scores["cue_elicited"].notna()]

    @functools.cached_property
    def pairs(self) -> pd.DataFrame:
        """Participants with a score at both sessions.

        Columns ``participant_id``, ``arm``, ``baseline``, ``followup``, ``change`` and ``treated``, in the order of the scores.
        """
        wide = self.known.pivot(index="participant_id", columns="session_id", values="cue_elicited")
        wide = wide.reindex(columns=[self.baseline, self.followup])
        people = self.known[["participant_id", "arm"]].drop_duplicates("participant_id").reset_index(drop=True)
        pairs = people.assign(
            baseline=wide[self.baseline].reindex(people["participant_id"]).to_numpy(np.float64),
            followup=wide[self.followup].reindex(people["participant_id"]).to_numpy(np.float64),
        ).dropna(subset=["baseline", "followup"])
        return pairs.assign(
            change=pairs["followup"] - pairs["baseline"], treated=pairs["arm"] == self.arms.treatment
        ).reset_index(drop=True)

    def at(self, arm: str, session: str, rating: str) -> pd.Series:
        """A rating of one arm at one session, NaN where missing."""
        rows = (self.scores["arm"] == arm) & (self.scores["session_id"] == session)
        return self.scores.loc[rows, rating]
