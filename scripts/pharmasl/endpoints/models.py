"""Does treatment change cue-elicited craving? Descriptives, paired tests within arms, the arms' comparison, an ANCOVA.

The trial's question is decided by Welch's test of the changes (:mod:`pharmasl.endpoints.comparisons`): the mixed model assumes
equal variances in the arms, and its p is far from nominal where they differ and the arms have different sizes. The mixed model
is reported too because participants with a single session contribute to it, their missing scores taken as missing at random.
"""

from dataclasses import dataclass

import pandas as pd

from pharmasl.endpoints import comparisons, descriptives, endpoint, followup_models, mixed_models, model_table
from pharmasl.endpoints.endpoint import Endpoint
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.study import settings


@dataclass(frozen=True)
class CravingModels:
    """The table of all models, and that of the participants' influence in the mixed model.

    Attributes
    ----------
    models : DataFrame
        Columns of ``model_table.COLUMNS``.
    influence : DataFrame
        Columns of ``model_table.INFLUENCE_COLUMNS``.
    """

    models: pd.DataFrame
    influence: pd.DataFrame


def analyse(data: Endpoint) -> CravingModels:
    """All models of craving, as one long table, and each participant's influence.

    Parameters
    ----------
    data : Endpoint

    Returns
    -------
    CravingModels
    """
    rows = descriptives.descriptive(data)
    for rating in ("before", "after"):
        if rating in data.scores:
            rows += descriptives.descriptive(data, rating, f"descriptive_{rating}")
    rows += descriptives.paired_t(data)
    rows += comparisons.difference_of_changes(data)
    mixed = mixed_models.mixed(data)
    rows += mixed.rows
    for model in (
        followup_models.ancova,
        followup_models.effect_size,
        followup_models.equal_variance,
        comparisons.ratings,
        comparisons.cues,
    ):
        rows += model(data)
    return CravingModels(model_table.frame(rows), mixed_models.influence_table(data, mixed.influence))


def write_models(
    scores_path: FilePath,
    table_path: FilePath,
    influence_path: FilePath,
    arms: settings.Arms,
    sessions: settings.SessionPair,
) -> None:
    """Read the craving scores and write the tables of their models and of the participants' influence.

    Parameters
    ----------
    scores_path : path-like
        As ``craving_scores`` writes it.
    table_path, influence_path : path-like
        Columns as ``model_table.COLUMNS`` and ``model_table.INFLUENCE_COLUMNS``.
    arms : Arms
    sessions : SessionPair
    """
    result = analyse(Endpoint(endpoint.read_scores(scores_path), arms, sessions))
    tables.write_table(table_path, tables.records(result.models), model_table.COLUMNS)
    tables.write_table(influence_path, tables.records(result.influence), model_table.INFLUENCE_COLUMNS)
