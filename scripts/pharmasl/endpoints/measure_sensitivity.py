"""How far an endpoint's answer depends on its model, its population and what is taken of missing scores."""

import dataclasses
import functools
from collections.abc import Iterator

from pharmasl.endpoints import (
    measure_data,
    measure_fits,
    measure_imputation,
    measure_models,
    measure_rows,
    measure_scores,
)
from pharmasl.endpoints.measure_data import ARM, EndpointModel
from pharmasl.endpoints.measure_rows import Result
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.statistics.multiple_imputation import Pooled
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import Arms, MeasureModel, Sessions

_WORDS = (
    "missing scores imputed {number} times, at random given arm, columns of the model and other sessions; Rubin's rules"
)


def alternatives(asked: MeasureModel, measured: Measured, file: FilePath) -> list[Result]:
    """The tested effect under each alternative, population by population.

    Parameters
    ----------
    asked : MeasureModel
    measured : Measured
    file : path-like
        Where the scores are from, for messages.

    Returns
    -------
    list of Result
        The declared model first in each population.
    """
    formula = measure_data.formula_of(asked)
    rows: list[Result] = []
    for population in measured.populations:
        model = measure_data.build(asked, formula, measured, measured.members(population), file)
        rows.append(
            _tested(asked, model, Result(population=population, analysis=measure_rows.COMPLETE), asked.variance)
        )
        if asked.kind == BINARY:
            rows += _counted(asked, model, measured, population, file)
            continue
        if not model.is_mixed:
            for other in measure_fits.VARIANCES:
                # Of several differences there is no F with variances by arm.
                if other != asked.variance and not (other == measure_data.BY_ARM and len(model.test.weights) > 1):
                    base = Result(population=population, analysis=measure_rows.ROBUST)
                    rows.append(_tested(asked, model, base, other))
            rows += _mixed(asked, model, measured, population, file)
        rows += _imputed(asked, model, measured, population, file)
    return [_judged(row, asked.alpha) for row in rows]


def _judged(row: Result, alpha: float) -> Result:
    known = row.p is not None and row.p == row.p
    return dataclasses.replace(row, significant=("yes" if (row.p or 0.0) <= alpha else "no") if known else None)


def _tested(asked: MeasureModel, model: EndpointModel, base: Result, variance: str) -> Result:
    """The row of the tested effect, an F of several differences as one row."""
    fitted = measure_models.fit(asked, model, variance)
    people = len(set(model.rows.participants))
    base = dataclasses.replace(base, n=people, method=f"{model.formula.text}: {fitted.words}")
    first = next(measure_models.tested(base, asked, model, fitted))
    return dataclasses.replace(first, analysis=base.analysis)


def _counted(
    asked: MeasureModel, model: EndpointModel, measured: Measured, population: str, file: FilePath
) -> Iterator[Result]:
    """A binary endpoint with its missing scores counted as declared."""
    value, session = asked.missing.counted_as, measured.sessions.later
    missing = [who for who in measured.members(population) if measured.score(who, session) is None]
    if value is None or not missing:
        return
    scores = {**measured.scores, **{(who, session): float(value) for who in missing}}
    own = dataclasses.replace(measured, scores=scores)
    counted = measure_data.build(asked, model.formula, own, own.members(population), file)
    base = Result(population=population, analysis=measure_rows.COUNTED, imputed=len(missing))
    row = _tested(asked, counted, base, asked.variance)
    yield dataclasses.replace(row, method=f"missing scores counted as {value}; {row.method}")


def _mixed(
    asked: MeasureModel, model: EndpointModel, measured: Measured, population: str, file: FilePath
) -> Iterator[Result]:
    """The arms' difference of changes in a mixed model of both sessions, where the model asks for the arms' difference."""
    arms, sessions = measured.arms, measured.sessions
    formula = model.formula
    alone = all(term == (ARM,) for term in formula.terms if ARM in term)
    if asked.test != ARM or not alone or len(model.test.weights) > 1 or formula.outcome == measure_data.BASELINE:
        return
    terms = measure_data.participant_terms(formula)
    contrast = {ARM: {arms.treatment: 1, arms.control: -1}}
    contrast["session"] = {sessions.later: 1, sessions.baseline: -1}
    text = f"score ~ {terms} + session + {ARM}:session + (1 | participant)"
    own = dataclasses.replace(asked, model=text, test=contrast, covariates=(), strata=(), site=None)
    pair = Sessions(baseline=sessions.baseline, followup=sessions.followup, others=())
    base = Result(population=population, analysis=measure_rows.MIXED)
    try:
        mixed = measure_data.build(
            own,
            measure_data.formula_of(own),
            dataclasses.replace(measured, sessions=pair),
            measured.members(population),
            file,
        )
        yield _tested(own, mixed, base, asked.variance)
    except (InputError, ValueError) as error:
        yield dataclasses.replace(base, method=f"{text}: not fitted: {error}")


def _imputed(
    asked: MeasureModel, model: EndpointModel, measured: Measured, population: str, file: FilePath
) -> Iterator[Result]:
    """The rows of multiple imputation: at random, with each delta, and the deltas at which the conclusion changes."""
    base = Result(population=population, analysis=measure_rows.IMPUTATION, term="; ".join(model.test.names))
    if len(model.test.weights) > 1:
        yield dataclasses.replace(base, method="not imputed: several differences are tested together")
        return
    try:
        completed = measure_imputation.complete(asked, model, measured, population=population, file=file)
    except ValueError as error:
        yield dataclasses.replace(base, method=f"not imputed: {error}")
        return
    if completed is None:
        yield dataclasses.replace(base, imputed=0, method="no score is missing")
        return
    words = _WORDS.format(number=asked.missing.imputations)
    base = dataclasses.replace(base, n=completed.people, imputed=completed.imputed, method=words)
    # Every delta is asked once, by whichever row comes first.
    pooled = functools.cache(completed.pooled)
    yield _pooled(base, pooled(0.0), completed.level, 0.0)
    deltas = asked.missing.deltas
    if deltas and not completed.shifted.any():
        yield dataclasses.replace(
            base,
            analysis=measure_rows.TIPPING,
            method=f"no score of {measured.arms.treatment} after baseline is missing: no delta changes the answer",
        )
        return
    for delta in sorted(deltas):
        own = dataclasses.replace(base, analysis=measure_rows.DELTA)
        yield _pooled(own, pooled(float(delta)), completed.level, delta)
    for point in measure_imputation.tipping_points(pooled, deltas, asked.alpha):
        own = dataclasses.replace(base, analysis=measure_rows.TIPPING)
        if point.delta is None:
            yield dataclasses.replace(own, method=f"the conclusion holds at every delta to {point.farthest:g}; {words}")
        else:
            yield _pooled(own, pooled(point.delta), completed.level, point.delta)


def _pooled(base: Result, pooled: Pooled, level: float, delta: float) -> Result:
    row = base.with_test(pooled, level)
    return dataclasses.replace(row, delta=delta, missing_information=pooled.missing_information)


def write(scores: FilePath, output: FilePath, asked: MeasureModel, *, sessions: Sessions, arms: Arms) -> None:
    """Read the scores of an endpoint and write the table of its sensitivity.

    Parameters
    ----------
    scores : path-like
        As :func:`pharmasl.endpoints.measure_scores.write` writes them.
    output : path-like
        Columns of ``measure_rows.SENSITIVITY_COLUMNS``.
    asked : MeasureModel
    sessions : Sessions
        Of the endpoint.
    arms : Arms
    """
    measured = measure_scores.read(scores, sessions, arms)
    rows = [own.row(measure_rows.SENSITIVITY_COLUMNS) for own in alternatives(asked, measured, scores)]
    columns = dict(measure_rows.SENSITIVITY_COLUMNS)
    columns["estimate"] = measure_models.described(asked)["estimate"]
    columns["delta"] = {"Description": columns["delta"], "Seed": asked.missing.seed}
    tables.write_table(output, rows, columns)
