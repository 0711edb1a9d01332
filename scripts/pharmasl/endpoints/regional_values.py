"""Regional CBF beside a clinical score, craving or another: both read as one value per participant and session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pharmasl.errors import FilePath
from pharmasl.files import bids, tables
from pharmasl.statistics import covariates as coding
from pharmasl.study import settings

# The column of cue-elicited craving.
CRAVING = "cue_elicited"
# One value per visit: a row per participant, a column per session (both bare labels), NaN where missing.
Visits = pd.DataFrame


@dataclass(frozen=True)
class RegionalValues:
    """CBF of regions and contrasts.

    Attributes
    ----------
    cbf : mapping of (str, str) to DataFrame
        Region and contrast to values of visits.
    defined_by_data : mapping of str to bool
        Whether a region is a cluster of an analysis of this trial.
    """

    cbf: Mapping[tuple[str, str], Visits]
    defined_by_data: Mapping[str, bool]


def visits(rows: Sequence[Mapping[str, str | float | None]], value: str) -> Visits:
    """One column of a table as values of visits.

    Parameters
    ----------
    rows : sequence of mapping
        With ``participant_id`` and ``session_id``, each pair once.
    value : str
        Name of the column.

    Returns
    -------
    DataFrame
    """
    table = pd.DataFrame(
        {
            "participant": [bids.bare_label(str(row["participant_id"]), "sub") for row in rows],
            "session": [bids.bare_label(str(row["session_id"]), "ses") for row in rows],
            # None (not NaN) is how the tables hold a value that coverage made n/a.
            "value": pd.Series([row[value] for row in rows], dtype=object).astype(np.float64),
        }
    )
    return table.pivot(index="participant", columns="session", values="value")


def values_at(values: Visits | None, participants: Sequence[str], session: str) -> np.ndarray:
    """Values of participants at a session.

    Parameters
    ----------
    values : DataFrame or None
        None where nothing was measured.
    participants : sequence of str
        Without ``sub-``.
    session : str
        Without ``ses-``.

    Returns
    -------
    ndarray of shape (n,)
        NaN where missing.
    """
    if values is None or session not in values:
        return np.full(len(participants), np.nan)
    return values[session].reindex(list(participants)).to_numpy(np.float64)


def read_cbf(paths: Sequence[FilePath]) -> dict[tuple[str, str], Visits]:
    """CBF by region and contrast from tables as ``roi_values`` writes them.

    Parameters
    ----------
    paths : sequence of path-like

    Returns
    -------
    dict
    """
    by_name: dict[tuple[str, str], list[dict[str, str | float | None]]] = {}
    for path in paths:
        for row in tables.read_table(path):
            by_name.setdefault((row["roi"], row["contrast"]), []).append(row)
    return {name: visits(rows, "cbf") for name, rows in by_name.items()}


def read_values(paths: Sequence[FilePath], sidecars: Sequence[FilePath]) -> RegionalValues:
    """Read tables of regional values.

    Parameters
    ----------
    paths : sequence of path-like
        ``{roi}_values.tsv``.
    sidecars : sequence of path-like
        ``{roi}_mask.json``, in the same order.

    Returns
    -------
    RegionalValues
    """
    cbf: dict[tuple[str, str], Visits] = {}
    defined: dict[str, bool] = {}
    for path, sidecar in zip(paths, sidecars, strict=True):
        own = read_cbf([path])
        cbf |= own
        by_data = bool(tables.read_json(sidecar)["AnalysisDefined"])
        defined |= {roi: by_data for roi, _ in own}
    return RegionalValues(cbf, defined)


class Sample:
    """The participants of the two arms, with their scores and covariates.

    Parameters
    ----------
    scores : DataFrame
        With ``participant_id``, ``session_id``, ``arm``, the column of the score, and the covariates as text; of craving as
        ``endpoint.frame`` gives them.
    covariates : sequence of str
    arms : Arms
    sessions : SessionPair
    column : str
        Of the score.

    Attributes
    ----------
    participants : list of str
        Without ``sub-``.
    arm : ndarray of str, shape (n,)
    covariates : ndarray of shape (k, n)
        NaN where missing.
    scores : DataFrame
        The clinical score by visit.
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        covariates: Sequence[str],
        arms: settings.Arms,
        sessions: settings.SessionPair,
        column: str = CRAVING,
    ) -> None:
        self._sessions = {
            "baseline": bids.bare_label(sessions.baseline, "ses"),
            "followup": bids.bare_label(sessions.later, "ses"),
        }
        people = scores[scores["arm"].isin([arms.treatment, arms.control])].drop_duplicates("participant_id")
        self.participants = [bids.bare_label(name, "sub") for name in people["participant_id"]]
        self.arm = people["arm"].to_numpy(str)
        self.covariates = coding.uncentred(tables.records(people), covariates)
        self.scores = visits(tables.records(scores), column)

    def at(self, values: Visits | None, timing: str) -> np.ndarray:
        """Values at ``baseline`` or ``followup``, (n,), NaN where missing."""
        return values_at(values, self.participants, self._sessions[timing])

    def change(self, values: Visits | None) -> np.ndarray:
        """Follow-up minus baseline, (n,)."""
        return self.at(values, "followup") - self.at(values, "baseline")

    def paired(self, cbf: Visits | None, timing: str) -> tuple[np.ndarray, np.ndarray]:
        """CBF and the score, (n,) each: their ``change``, or both at ``baseline`` or ``followup``."""
        if timing == "change":
            return self.change(cbf), self.change(self.scores)
        return self.at(cbf, timing), self.at(self.scores, timing)

    def complete(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether a participant has both values and every covariate: ndarray of bool, shape (n,)."""
        return np.isfinite(x) & np.isfinite(y) & np.isfinite(self.covariates).all(axis=0)

    def adjustment(self, chosen: np.ndarray, treatment: str | None = None) -> np.ndarray:
        """What is regressed out among the chosen participants: the treatment arm, where named, and the covariates.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n,)
        treatment : str, optional

        Returns
        -------
        ndarray of shape (k, chosen)
        """
        adjust = self.covariates[:, chosen]
        if treatment is not None:
            adjust = np.vstack([(self.arm[chosen] == treatment).astype(np.float64), adjust])
        # A variable that is constant among the chosen explains nothing and uses no degree of freedom.
        return adjust[np.ptp(adjust, axis=1) > 0] if chosen.any() else adjust[:0]
