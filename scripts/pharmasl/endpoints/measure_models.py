"""The answer of an endpoint: its tested effect, adjusted means, coefficients, equivalence, and what was observed."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from pharmasl.endpoints import binary_fits, measure_data, measure_fits, measure_rows, measure_scores
from pharmasl.endpoints.binary_fits import Logistic
from pharmasl.endpoints.measure_data import ARM, SESSION, EndpointModel
from pharmasl.endpoints.measure_fits import Fit
from pharmasl.endpoints.measure_rows import Result
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.endpoints.measure_table import LOG
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.statistics import equivalence
from pharmasl.statistics.formula_designs import Design
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import Arms, MeasureModel, Sessions


def answers(asked: MeasureModel, measured: Measured, file: FilePath) -> list[Result]:
    """All rows of an endpoint, population by population.

    Parameters
    ----------
    asked : MeasureModel
    measured : Measured
    file : path-like
        Where the scores are from, for messages.

    Returns
    -------
    list of Result
        The first of a population are its test.

    Raises
    ------
    InputError
        As :func:`pharmasl.endpoints.measure_data.build`.
    """
    formula = measure_data.formula_of(asked)
    rows: list[Result] = []
    for population in measured.populations:
        model = measure_data.build(asked, formula, measured, measured.members(population), file)
        fitted = fit(asked, model, asked.variance)
        base = Result(
            population=population,
            analysis=measure_rows.TEST,
            n=len(set(model.rows.participants)),
            scores=len(model.rows),
            left_out=", ".join(model.rows.left_out) or None,
            method=f"{formula.text}: {fitted.words}",
        )
        rows += tested(base, asked, model, fitted)
        if isinstance(fitted, Logistic):
            rows += _risks(base, asked, fitted, binary_fits.standardised(model, measured, file), measured)
        else:
            rows += adjusted_means(base, asked, model, fitted)
        for name, weights in zip(model.design.names, np.eye(len(model.design.names))):
            test = fitted.contrast(weights, 1 - asked.alpha)
            own = dataclasses.replace(base, analysis=measure_rows.COEFFICIENT, term=name)
            rows.append(own.with_test(test, 1 - asked.alpha))
        rows += observed(population, measured, measure_data.used_sessions(formula, measured))
    return rows


def fit(asked: MeasureModel, model: EndpointModel, variance: str) -> Fit:
    """Fit an endpoint's model; ``variance`` is that of least squares."""
    if asked.kind == BINARY:
        return Logistic(model.design.matrix, model.rows.response)
    return measure_fits.fit(model, variance)


def _risks(
    base: Result, asked: MeasureModel, fitted: Logistic, designs: dict[str, np.ndarray], measured: Measured
) -> Iterator[Result]:
    """The differences of the arms' risks, and the risks."""
    level = 1 - asked.alpha
    for term, arm, test in binary_fits.risks(fitted, designs, measured.arms.control, level):
        analysis = measure_rows.RISK if arm is None else measure_rows.MEAN
        session = None if arm is None else measured.sessions.followup
        own = dataclasses.replace(base, analysis=analysis, term=term, arm=arm, session_id=session)
        yield own.with_test(test, level)


def tested(base: Result, asked: MeasureModel, model: EndpointModel, fitted: Fit) -> Iterator[Result]:
    """The tested effect: one row of t, or one of F and one for each of its differences; then ratio and equivalence."""
    level, weights = 1 - asked.alpha, model.test.weights
    parts = [
        dataclasses.replace(base, term=name).with_test(fitted.contrast(row, level), level)
        for name, row in zip(model.test.names, weights)
    ]
    if len(parts) > 1:
        joint = fitted.joint(weights)
        yield dataclasses.replace(
            base, term=model.test.words, f=joint.f, df_numerator=joint.df1, df=joint.df2, p=joint.p
        )
        parts = [dataclasses.replace(part, analysis=measure_rows.PART) for part in parts]
        yield from parts
    else:
        # Of a binary score the standard error depends on the effect itself.
        yield parts[0] if asked.kind == BINARY else parts[0].with_detectable(asked.alpha)
    if asked.transform == LOG or asked.kind == BINARY:
        for part in parts:
            yield dataclasses.replace(
                part,
                analysis=measure_rows.RATIO,
                se=None,
                estimate=_exponential(part.estimate),
                ci_low=_exponential(part.ci_low),
                ci_high=_exponential(part.ci_high),
            )
    if asked.equivalence and len(parts) == 1:
        yield _equivalence(parts[0], asked, asked.equivalence.margin)


def _exponential(value: float | None) -> float | None:
    return None if value is None else math.exp(value)


def _equivalence(row: Result, asked: MeasureModel, margin: float) -> Result:
    own = dataclasses.replace(row, analysis=measure_rows.EQUIVALENCE, level=1 - 2 * asked.alpha, t=None)
    if row.estimate is None or row.se is None or row.df is None or not row.se > 0:
        return dataclasses.replace(own, p=None, ci_low=None, ci_high=None)
    result = equivalence.two_one_sided(row.estimate, row.se, row.df, margin=margin, alpha=asked.alpha)
    words = "equivalent" if result.p <= asked.alpha else "not shown to be equivalent"
    return dataclasses.replace(
        own,
        p=result.p,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        method=f"two one-sided tests, margin {margin:g} {asked.unit}: {words}; {row.method}",
    )


def adjusted_means(base: Result, asked: MeasureModel, model: EndpointModel, fitted: Fit) -> Iterator[Result]:
    """The adjusted means of the arms, at each session of a mixed model; none where the arm is no term."""
    level = 1 - asked.alpha
    for cell, weights in mean_weights(model.design):
        own = dataclasses.replace(base, analysis=measure_rows.MEAN, term="mean", arm=cell.get(ARM))
        # That a mean is 0 is no question.
        test = dataclasses.replace(fitted.contrast(weights, level), t=math.nan, p=math.nan)
        sessions = dict.fromkeys(model.rows.sessions)
        session = cell.get(SESSION) or (next(iter(sessions)) if len(sessions) == 1 else None)
        yield dataclasses.replace(own, session_id=session).with_test(test, level)


def mean_weights(design: Design) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Arm and session of each adjusted mean, and the weights of the coefficients in it.

    Parameters
    ----------
    design : Design

    Yields
    ------
    cell : dict
        ``arm`` and ``session``, those that are factors of the design, to a level.
    weights : ndarray of shape (terms,)
        The mean of the design's rows over the levels of all other factors, each counting alike, at the mean of numbers.
    """
    variables = {factor.text: factor.variables[0] for factor in design.formula.factors if factor.variables}
    shown = [factor for factor in design.factors if variables[factor.name] in (ARM, SESSION)]
    if ARM not in [variables[factor.name] for factor in shown]:
        return
    others = [factor for factor in design.factors if factor not in shown]
    grid = [dict(zip([factor.name for factor in others], levels)) for levels in _product(others)]
    for levels in _product(shown):
        cell = dict(zip([factor.name for factor in shown], levels))
        rows = design.rows_at([{**cell, **rest} for rest in grid], [{}] * len(grid))
        yield {variables[name]: level for name, level in cell.items()}, rows.mean(axis=0)


def _product(factors: Sequence) -> Iterator[tuple[str, ...]]:
    return itertools.product(*(factor.levels for factor in factors))


def observed(population: str, measured: Measured, sessions: Sequence[str]) -> Iterator[Result]:
    """Mean and standard deviation of the observed scores by arm and session, the baseline first."""
    people = measured.members(population)
    for arm in measured.arms.labels:
        own = [who for who in people if measured.people[who]["arm"] == arm]
        for session in dict.fromkeys([measured.sessions.baseline, *sessions]) if own else ():
            known = [score for who in own if (score := measured.score(who, session)) is not None]
            values = np.array(known, dtype=np.float64)
            yield Result(
                population=population,
                analysis=measure_rows.OBSERVED,
                term="mean",
                arm=arm,
                session_id=session,
                estimate=float(values.mean()) if known else None,
                sd=float(values.std(ddof=1)) if len(known) > 1 else None,
                n=len(known),
                missing=len(own) - len(known),
                method="observed scores",
            )


def write(scores: FilePath, output: FilePath, asked: MeasureModel, *, sessions: Sessions, arms: Arms) -> None:
    """Read the scores of an endpoint and write the table of its models.

    Parameters
    ----------
    scores : path-like
        As :func:`pharmasl.endpoints.measure_scores.write` writes them.
    output : path-like
        Columns of ``measure_rows.MODEL_COLUMNS``.
    asked : MeasureModel
    sessions : Sessions
        Of the endpoint.
    arms : Arms
    """
    measured = measure_scores.read(scores, sessions, arms)
    results = answers(asked, measured, scores)
    tables.write_table(output, [own.row(measure_rows.MODEL_COLUMNS) for own in results], described(asked))


def described(asked: MeasureModel) -> tables.Columns:
    """The columns of the models' table, with the unit of the score."""
    unit = f"natural logarithm of {asked.unit}" if asked.transform == LOG else asked.unit
    if asked.kind == BINARY:
        unit = "logarithm of an odds ratio; of risks and ratios none"
    estimate = {"Description": measure_rows.MODEL_COLUMNS["estimate"], "Units": unit}
    return {**measure_rows.MODEL_COLUMNS, "estimate": estimate}
