"""Which arms, sessions, contrasts and columns of the participants' table an analysis concerns."""

from collections.abc import Iterable, Mapping

from pharmasl.statistics.covariates import source_columns
from pharmasl.study import endpoint_formulas
from pharmasl.study.effect_kinds import BASELINE, CBF
from pharmasl.study.settings import Arms, ModelSettings, SessionPair, Sessions, Settings


def needed(analysis: ModelSettings) -> bool:
    """Whether an analysis cannot be made without arms: a model of participants by a formula that does not name them can."""
    formula = analysis.formula
    return formula is None or formula.outcome == CBF or "arm" in formula.variables or analysis.arm is not None


def concerned(analysis: ModelSettings, arms: Arms) -> list[str]:
    """The arms that take part in an analysis."""
    return analysis.kind.arms(list(arms.labels), analysis.arm)


def sessions(analysis: ModelSettings, study: SessionPair | None) -> dict[str, str]:
    """The sessions of which an analysis takes maps, to their labels: ``baseline``, ``followup``, further ones under their own.

    In a dataset without sessions the one visit of each participant is the baseline, and its label is empty.
    """
    pair = analysis.sessions or study
    if pair is None:
        return {BASELINE: ""}
    taken = {name: getattr(pair, name) for name in analysis.kind.sessions}
    if analysis.kind.outcome == CBF and isinstance(pair, Sessions):
        taken |= {label: label for label in pair.others}
    return taken


def used(rows: Iterable[Mapping[str, str | None]], terms: Iterable[str]) -> list[dict[str, str | None]]:
    """The rows of the participants' table with what a model may look at: a job that reads them so needs nothing else.

    Parameters
    ----------
    rows : iterable of Mapping
        With ``participant_id`` and ``arm``, and columns of the dataset.
    terms : iterable of str
        Columns that the model takes, or the change of one, ``b - a``.

    Returns
    -------
    list of dict
        A column that a row does not have is missing there too.
    """
    names = dict.fromkeys(["participant_id", "arm", *(column for term in terms for column in source_columns(term))])
    return [{name: row[name] for name in names if name in row} for row in rows]


def all_columns(analysis: ModelSettings) -> list[str]:
    """Every column that an analysis takes beside the arm's, but those of which each session has its own."""
    return [column for term in analysis.terms for column in source_columns(term)]


def visit_columns(analysis: ModelSettings, sessions: Mapping[str, str]) -> list[str]:
    """The columns of which each session has its own, ``{column}_{session}``; sessions as :func:`sessions` gives them."""
    return [f"{column}_{label}" for column in analysis.visit_terms for label in sessions.values()]


def named_columns(study: Settings) -> list[str]:
    """The columns of the participants' table that the configuration names beside the arm's, in alphabetical order."""
    named = {column for analysis in study.analyses.values() for column in all_columns(analysis)}
    if study.sessions:
        for analysis in study.analyses.values():
            named |= set(visit_columns(analysis, sessions(analysis, study.sessions)))
    covariates = [*(study.craving.covariates if study.craving else ())]
    if study.sensitivity:
        covariates += [term for terms in study.sensitivity.covariates.values() for term in terms]
    for endpoint in study.endpoints.values():
        covariates += endpoint_formulas.columns(study, endpoint)
    named |= {column for term in covariates for column in source_columns(term)}
    return sorted(named | set(study.perfusion.columns))
