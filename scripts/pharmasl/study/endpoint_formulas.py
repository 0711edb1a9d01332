"""The formula of an endpoint, and the columns of the participants' table that it takes.

Without a formula of its own, an endpoint has the follow-up adjusted for the baseline; that needs no parser, which a plan then does
without.
"""

from typing import Any

from pharmasl.errors import InputError
from pharmasl.statistics import formulas
from pharmasl.statistics.covariates import source_columns
from pharmasl.statistics.formulas import Formula
from pharmasl.study.settings import Endpoint, MeasureModel, Settings

FILE = "config"
BINARY = "binary"
# Left of ~: of a participant, or of a visit.
SCORE, FOLLOWUP, CHANGE, BASELINE = "score", "followup", "change", "baseline"
OUTCOMES = (FOLLOWUP, CHANGE, BASELINE, SCORE)
PARTICIPANT, SESSION, ARM = "participant", "session", "arm"
# What a model calls the score and its rows: no columns of the participants' table.
OF_SCORES = (*OUTCOMES, PARTICIPANT, SESSION, ARM)


def read(asked: MeasureModel) -> Formula:
    """The formula of an endpoint, read.

    Parameters
    ----------
    asked : MeasureModel

    Returns
    -------
    Formula

    Raises
    ------
    InputError
        For what is no formula.
    """
    field = f"endpoints.{asked.name}.model"
    if asked.model is not None:
        return formulas.parse(asked.model, FILE, field, outcomes=OUTCOMES, maps=())

    def refuse(value: Any, expected: str, fix: str) -> InputError:
        return InputError(FILE, field, value, expected, fix)

    own = () if asked.kind == BINARY else (BASELINE,)
    factors = [formulas.read_factor(text, refuse, maps=()) for text in (ARM, *own, *asked.terms)]
    factors = list({factor.text: factor for factor in factors}.values())
    return Formula(
        text=asked.formula,
        outcome=FOLLOWUP,
        terms=((), *((factor.text,) for factor in factors)),
        factors=tuple(factors),
        random=(),
        file=FILE,
        field=field,
    )


def columns(study: Settings, endpoint: Endpoint) -> list[str]:
    """The columns of the participants' table that an endpoint takes: those of its model, its relations and its populations.

    A formula that cannot be read has none: it is refused where it is checked.
    """
    try:
        formula = read(endpoint)
    except InputError:
        return []
    chosen = [study.populations[name].column for name in endpoint.populations if name in study.populations]
    related = endpoint.relations.covariates if endpoint.relations else ()
    names = [name for name in formula.variables if name not in OF_SCORES]
    names += [column for term in related for column in source_columns(term)]
    return list(dict.fromkeys([*names, *(column for column in chosen if column is not None)]))
