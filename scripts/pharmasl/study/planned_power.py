"""What a planned study would find: power, detectable effect and people needed of each planned result, and their sensitivity."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pharmasl.statistics import correlation_power, trial_power, uncertain_values
from pharmasl.statistics.trial_assumptions import METHODS, PlannedCorrelation, PlannedTest, Spread, Uncertain
from pharmasl.study import planned_tests
from pharmasl.study.planned_tests import Question
from pharmasl.study.power_assumptions import Assumptions, PlannedOutcome
from pharmasl.study.settings import Settings

PLANNED, EFFECT, SPREAD, CORRELATION, RETENTION = "planned", "effect", "sd", "correlation", "retention"
# The effect at an end of its range, beside EFFECT, another size that was named.
EFFECT_END = "effect_end"
SESSIONS = 2


@dataclass(frozen=True, kw_only=True)
class Needed:
    """People and scans for the wanted power.

    Attributes
    ----------
    complete, randomised : tuple of int
        Of treatment and control.
    scans : int
        Of all who are randomised, were nobody to miss one.
    cost : float or None
    """

    complete: tuple[int, int]
    randomised: tuple[int, int]
    scans: int
    cost: float | None


@dataclass(frozen=True, kw_only=True)
class Reckoning:
    """The power of a planned result under one set of assumptions.

    Attributes
    ----------
    outcome : PlannedOutcome
    question : Question
    test : PlannedTest or PlannedCorrelation
        That of the question, or by another model.
    is_planned : bool
        Whether the model is that of the configuration.
    varied : str
        Which assumption is not at its planning value; :data:`PLANNED` for none.
    effect, retention : float
    sd, correlation : float or None
        ``sd`` is that at one session; None where a correlation is tested.
    complete : tuple of int
        People of both arms with both values.
    df : float
        Residual degrees of freedom; with a variance for each arm, those of equal sample variances.
    power, detectable : float
        NaN where too few are left.
    assurance : float or None
        Power averaged over what is uncertain; None where an assumption is at an end of its range.
    needed : Needed or None
        None where no number of people is enough.
    """

    outcome: PlannedOutcome
    question: Question
    test: PlannedTest | PlannedCorrelation
    is_planned: bool
    varied: str
    effect: float
    sd: float | None
    correlation: float | None
    retention: float
    complete: tuple[int, int]
    df: float
    power: float
    detectable: float
    assurance: float | None
    needed: Needed | None


@dataclass(frozen=True, kw_only=True)
class _Case:
    """Under which assumptions a result is reckoned, as in :class:`Reckoning`."""

    test: PlannedTest | PlannedCorrelation
    varied: str
    effect: float
    retention: float
    spread: Spread | None
    is_planned: bool = True


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What a case gives: power, detectable effect, assurance, and the arms that are needed."""

    power: float
    detectable: float
    assurance: float | None
    arms: tuple[int, int] | None


def reckon(assumptions: Assumptions, study: Settings) -> list[Reckoning]:
    """All planned results: by each model as planned, then with other effects and, by the planned model, under other assumptions.

    Parameters
    ----------
    assumptions : Assumptions
    study : Settings
        Of the planned study.

    Returns
    -------
    list of Reckoning

    Raises
    ------
    InputError
        As :func:`pharmasl.study.planned_tests.question`.
    """
    reckonings = []
    for outcome in assumptions.outcomes:
        question = planned_tests.question(outcome, assumptions, study)
        reckonings += [_one(outcome, question, case, assumptions) for case in _cases(outcome, question, assumptions)]
    return reckonings


def _cases(outcome: PlannedOutcome, question: Question, assumptions: Assumptions) -> Iterator[_Case]:
    """What is reckoned of a result, the planned case first."""
    own, spread, retained = question.test, outcome.spread, assumptions.retained(outcome)
    for test in _models(own):
        for effect in dict.fromkeys((outcome.effect, *outcome.others)):
            yield _Case(
                test=test,
                varied=PLANNED if effect == outcome.effect else EFFECT,
                effect=effect,
                retention=retained.value,
                spread=spread,
                is_planned=test == own,
            )
    planned = _Case(test=own, varied=PLANNED, effect=outcome.effect, retention=retained.value, spread=spread)
    for value in _ends(outcome.effect_range):
        yield dataclasses.replace(planned, varied=EFFECT_END, effect=value)
    if spread is not None:
        for name, known in ((SPREAD, spread.assumed), (CORRELATION, spread.correlation)):
            for value in _ends(known):
                yield dataclasses.replace(planned, varied=name, spread=spread.known(name, value))
    for value in _ends(retained):
        yield dataclasses.replace(planned, varied=RETENTION, retention=value)


def _models(own: PlannedTest | PlannedCorrelation) -> Sequence[PlannedTest | PlannedCorrelation]:
    """The planned test, and a comparison of the arms by the other models."""
    if isinstance(own, PlannedCorrelation):
        return [own]
    return [own, *(dataclasses.replace(own, method=method) for method in METHODS if method != own.method)]


def _ends(known: Uncertain) -> Sequence[float]:
    return [end for end in (known.low, known.high) if end != known.value]


def _one(outcome: PlannedOutcome, question: Question, case: _Case, assumptions: Assumptions) -> Reckoning:
    complete = assumptions.complete(case.retention)
    answer = _answer(case, complete, outcome, assumptions)
    test, spread = case.test, case.spread
    return Reckoning(
        outcome=outcome,
        question=question,
        test=test,
        is_planned=case.is_planned,
        varied=case.varied,
        effect=case.effect,
        sd=None if spread is None else spread.planned_sd,
        correlation=None if spread is None else spread.correlation.value,
        retention=case.retention,
        complete=complete,
        df=_df(test, complete),
        power=answer.power,
        detectable=answer.detectable,
        assurance=answer.assurance,
        needed=_needed(answer.arms, case.retention, assumptions),
    )


def _df(test: PlannedTest | PlannedCorrelation, sizes: tuple[int, int]) -> float:
    if isinstance(test, PlannedCorrelation):
        return test.df(test.people(sizes))
    return trial_power.df_by_arm(test, sizes) if test.by_arm else test.df(sum(sizes))


def _answer(case: _Case, sizes: tuple[int, int], outcome: PlannedOutcome, assumptions: Assumptions) -> _Answer:
    treatment, control = assumptions.people
    ratio, goal, test = control / treatment, assumptions.power, case.test
    if isinstance(test, PlannedCorrelation):
        power = float(correlation_power.power(test, sizes, case.effect))
        detectable = correlation_power.detectable(test, sizes, goal)
        arms = correlation_power.people_needed(test, ratio, case.effect, goal)
    else:
        assert case.spread is not None
        sd, correlation = case.spread.planned_sd, case.spread.correlation.value
        power = float(trial_power.power(test, sizes, case.effect, sd, correlation))
        detectable = trial_power.detectable(test, sizes, sd, correlation, goal)
        arms = trial_power.people_needed(test, ratio, case.effect, sd, correlation, goal)
    assurance = None
    if case.varied in (PLANNED, EFFECT):
        assurance = math.nan if math.isnan(power) else _assurance(case, outcome, assumptions)
    return _Answer(power=power, detectable=detectable, assurance=assurance, arms=arms)


def _assurance(case: _Case, outcome: PlannedOutcome, assumptions: Assumptions) -> float:
    """Power over all that is uncertain; a further size of the effect is taken as known."""
    arms = [assumptions.complete(share) for share in uncertain_values.of_share(assumptions.retained(outcome))]
    known = Uncertain(value=case.effect, low=case.effect, high=case.effect)
    effect = outcome.effect_range if case.varied == PLANNED else known
    if isinstance(case.test, PlannedCorrelation):
        return correlation_power.assurance(case.test, arms, effect)
    assert case.spread is not None
    return trial_power.assurance(case.test, arms, effect, case.spread)


def _needed(sizes: tuple[int, int] | None, retention: float, assumptions: Assumptions) -> Needed | None:
    if sizes is None:
        return None
    first, second = (math.ceil(size / retention - 1e-9) for size in sizes)
    scans = (first + second) * SESSIONS * assumptions.scans_per_session
    cost = assumptions.cost_per_scan
    return Needed(complete=sizes, randomised=(first, second), scans=scans, cost=None if cost is None else scans * cost)
