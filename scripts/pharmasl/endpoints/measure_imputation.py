"""Multiple imputation of an endpoint's missing scores, and the tested effect in the completed data.

Scores are missing at random given arm, the participants' columns of the model, and the scores of the other sessions. *Delta* is added
to the imputed scores of the treatment arm after baseline (National Research Council 2010, The Prevention and Treatment of Missing
Data in Clinical Trials; Cro et al. 2020, doi 10.1002/sim.8569): how far from at random the missing scores may be is read off the
delta at which the conclusion changes.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from pharmasl.endpoints import measure_data, measure_fits
from pharmasl.endpoints.measure_data import EndpointModel
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.errors import FilePath
from pharmasl.statistics import formula_designs, formulas, multiple_imputation
from pharmasl.statistics.formula_designs import Table
from pharmasl.statistics.multiple_imputation import Pooled
from pharmasl.study.settings import MeasureModel

# To which share of the interval between two declared deltas the one in between is found.
_PRECISION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Completed:
    """The completed data sets of a model.

    Attributes
    ----------
    designs : tuple of ndarray of shape (n, terms)
        One for all, or one per imputation where the baseline is imputed and a term.
    responses : ndarray of shape (n, m)
    shifted : ndarray of shape (n,)
        1 where delta is added to the outcome.
    weights : ndarray of shape (terms,)
    participants : tuple of str or None
        Of each row of a mixed model.
    variance : {"equal", "by_arm", "robust"}
    arms : tuple of str
        Of each row.
    level : float
        Coverage of intervals.
    people, imputed : int
        Participants, and scores imputed.
    """

    designs: tuple[np.ndarray, ...]
    responses: np.ndarray
    shifted: np.ndarray
    weights: np.ndarray
    participants: tuple[str, ...] | None
    variance: str
    arms: tuple[str, ...]
    level: float
    people: int
    imputed: int

    def pooled(self, delta: float) -> Pooled:
        """The tested effect by Rubin's rules, with delta added to the imputed scores of the treatment arm."""
        responses = self.responses + delta * self.shifted[:, None]
        blocks = [responses] if len(self.designs) == 1 else np.split(responses, responses.shape[1], axis=1)
        tests = [
            measure_fits.contrasts(
                design, block, self.weights, participants=self.participants, variance=self.variance, arms=self.arms
            )
            for design, block in zip(self.designs, blocks, strict=True)
        ]
        estimates, errors, df = (
            np.concatenate([getattr(test, name) for test in tests]) for name in ("estimate", "se", "df")
        )
        return multiple_imputation.rubin(estimates, errors**2, float(df.mean()), self.level)


@dataclass(frozen=True, kw_only=True)
class _Values:
    """The scores of participants with all columns of the model: (n, sessions), NaN where missing."""

    people: tuple[str, ...]
    sessions: tuple[str, ...]
    scores: np.ndarray


def _values(model: EndpointModel, measured: Measured, people: Sequence[str]) -> _Values:
    """The scores that are completed: those of the model, and the baseline."""
    own = [name for name in model.formula.variables if name not in (measure_data.BASELINE, measure_data.SESSION)]
    complete = [who for who in people if None not in [measured.people[who].get(name) for name in own]]
    sessions = measured.sessions.labels if model.is_mixed else measured.sessions.labels[:2]
    scores = [[measured.score(who, session) for session in sessions] for who in complete]
    return _Values(people=tuple(complete), sessions=sessions, scores=np.array(scores, dtype=np.float64))


def _predictors(model: EndpointModel, values: _Values, measured: Measured, file: FilePath) -> np.ndarray:
    """Arm and the columns of the model, as the model codes them."""
    text = f"score ~ {measure_data.participant_terms(model.formula)}"
    formula = formulas.parse(text, model.formula.file, model.formula.field, outcomes=("score",), maps=())
    arms = measured.arms
    table = Table(
        columns={name: [measured.people[who].get(name) for who in values.people] for name in formula.variables},
        rows=values.people,
        levels={measure_data.ARM: [arms.control, arms.treatment, *arms.others]},
        file=file,
    )
    return formula_designs.design(formula, table).matrix


def complete(
    asked: MeasureModel, model: EndpointModel, measured: Measured, *, population: str, file: FilePath
) -> Completed | None:
    """Complete the data of a model of one tested effect.

    Parameters
    ----------
    asked : MeasureModel
    model : EndpointModel
        Of the complete rows.
    measured : Measured
    population : str
    file : path-like
        Of the scores, for messages.

    Returns
    -------
    Completed or None
        None where no score is missing.

    Raises
    ------
    ValueError
        If there are too few scores to impute the others.
    """
    values = _values(model, measured, measured.members(population))
    missing = np.isnan(values.scores)
    if not missing.any():
        return None
    # A stream of its own: another population changes no result of this one.
    generator = np.random.default_rng([asked.missing.seed, zlib.crc32(population.encode())])
    predictors = _predictors(model, values, measured, file)
    draws = multiple_imputation.impute(values.scores, predictors, generator, asked.missing.imputations)
    sets = [_completed(draw, values, measured) for draw in draws]
    models = [measure_data.rows(model.formula, own, values.people) for own in sets]
    varies = measure_data.BASELINE in model.formula.variables and bool(missing[:, 0].any())
    designs = tuple(
        formula_designs.design(model.formula, measure_data.table(rows, own, file)).matrix
        for rows, own in zip(models if varies else models[:1], sets)
    )
    first = models[0]
    places = {who: k for k, who in enumerate(values.people)}
    treated = np.array([measured.people[who]["arm"] == measured.arms.treatment for who in first.participants])
    after = np.array([session != measured.sessions.baseline for session in first.sessions])
    absent = np.array(
        [missing[places[who], values.sessions.index(when)] for who, when in zip(first.participants, first.sessions)]
    )
    return Completed(
        designs=designs,
        responses=np.column_stack([rows.response for rows in models]),
        shifted=(treated & after & absent).astype(np.float64),
        weights=model.test.weights[0],
        participants=first.participants if model.is_mixed else None,
        variance=asked.variance,
        arms=first.arms,
        level=1 - asked.alpha,
        people=len(values.people),
        imputed=int(missing.sum()),
    )


def _completed(draw: np.ndarray, values: _Values, measured: Measured) -> Measured:
    scores = {
        (who, session): float(draw[i, j])
        for i, who in enumerate(values.people)
        for j, session in enumerate(values.sessions)
    }
    return dataclasses.replace(measured, scores=scores)


@dataclass(frozen=True)
class Tipping:
    """Where the conclusion changes on one side of 0.

    Attributes
    ----------
    delta : float or None
        None where it holds at all declared deltas of that side.
    farthest : float
        The declared delta farthest from 0 on that side.
    """

    delta: float | None
    farthest: float


def tipping_points(pooled: Callable[[float], Pooled], deltas: Sequence[float], alpha: float) -> list[Tipping]:
    """The delta nearest to 0, below and above it, at which the conclusion is another than at 0.

    Parameters
    ----------
    pooled : callable
        The tested effect at a delta: :meth:`Completed.pooled`.
    deltas : sequence of float
        As declared; between two of them the delta is found by Brent's method.
    alpha : float
        Level of the conclusion.

    Returns
    -------
    list of Tipping
        For each side that has a declared delta, the negative one first.
    """

    def excess(delta: float) -> float:
        return pooled(delta).p - alpha

    at_random, points = excess(0.0) <= 0, []
    for side in (-1.0, 1.0):
        own = sorted((delta for delta in deltas if delta * side > 0), key=abs)
        near, tipped = 0.0, None
        for far in own:
            if (excess(far) <= 0) != at_random:
                step = _PRECISION * abs(far - near)
                tipped = float(optimize.brentq(excess, near, far, xtol=step))
                # The root is known to a step: the conclusion at the delta is the changed one.
                tipped += 2 * side * step * ((excess(tipped) <= 0) == at_random)
                break
            near = far
        if own:
            points.append(Tipping(tipped, own[-1]))
    return points
