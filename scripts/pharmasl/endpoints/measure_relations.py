"""The relations of an endpoint's scores to regional CBF, as craving has them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pharmasl.endpoints import correlations, measure_scores
from pharmasl.endpoints.correlation_table import Outcome
from pharmasl.endpoints.correlations import RelationFiles
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.errors import FilePath
from pharmasl.statistics import covariates as coding
from pharmasl.study.settings import Arms, RegionCorrelations, Sessions

SCORE = "score"


def frame(measured: Measured, covariates: Sequence[str]) -> pd.DataFrame:
    """The scores of baseline and follow-up as the correlations take them.

    Parameters
    ----------
    measured : Measured
    covariates : sequence of str
        Columns of the participants' table, or the change of one, ``b - a``.

    Returns
    -------
    DataFrame
        One row per participant and session: ``participant_id``, ``arm``, ``session_id``, ``score`` (NaN where missing), and the
        covariates as text.
    """
    rows: list[dict[str, Any]] = []
    for who, row in measured.people.items():
        own = {name: coding.value(row, name) for name in covariates}
        for session in (measured.sessions.baseline, measured.sessions.later):
            names = {"participant_id": who, "arm": row["arm"], "session_id": session}
            rows.append({**names, SCORE: measured.score(who, session), **own})
    columns = ["participant_id", "arm", "session_id", SCORE, *covariates]
    return pd.DataFrame(rows, columns=columns, dtype=object).astype({SCORE: float})


def write(
    scores: FilePath,
    files: RelationFiles,
    asked: RegionCorrelations,
    *,
    name: str,
    unit: str,
    sessions: Sessions,
    arms: Arms,
) -> None:
    """Read the scores of an endpoint, correlate them with regional CBF, and write the table.

    Parameters
    ----------
    scores : path-like
        As :func:`pharmasl.endpoints.measure_scores.write` writes them.
    files : RelationFiles
    asked : RegionCorrelations
    name : str
        Of the endpoint.
    unit : str
        Of the analysed score.
    sessions : Sessions
    arms : Arms
    """
    measured = measure_scores.read(scores, sessions, arms)
    outcome = Outcome(column=SCORE, words=name, unit=f"{name} ({unit})", field=f"endpoints.{name}.relations")
    correlations.relate(
        frame(measured, asked.covariates), files, asked, measured.arms, measured.sessions, outcome=outcome
    )
