"""What a planned study would find: power, detectable effect and people needed of each planned result, and their sensitivity."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pharmasl.statistics import trial_power
from pharmasl.statistics.trial_assumptions import METHODS, PlannedTest, Spread, Uncertain
from pharmasl.study import planned_tests
from pharmasl.study.power_assumptions import Assumptions, PlannedOutcome
from pharmasl.study.settings import Settings

PLANNED, EFFECT, SPREAD, CORRELATION, RETENTION = "planned", "effect", "sd", "correlation", "retention"
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
    test : PlannedTest
    measure, unit : str
        What is averaged in the region, and in which unit.
    is_planned : bool
        Whether the model is that of the configuration.
    varied : str
        Which assumption is not at its planning value; :data:`PLANNED` for none.
    effect, sd, correlation, retention : float
        ``sd`` is that at one session.
    complete : tuple of int
        People of both arms with both sessions.
    power, detectable : float
        NaN where too few are left.
    assurance : float or None
        Where spread and correlation are at their planning values.
    needed : Needed or None
        None where no number of people is enough.
    """

    outcome: PlannedOutcome
    test: PlannedTest
    measure: str
    unit: str
    is_planned: bool
    varied: str
    effect: float
    sd: float
    correlation: float
    retention: float
    complete: tuple[int, int]
    power: float
    detectable: float
    assurance: float | None
    needed: Needed | None


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
        As :func:`pharmasl.study.planned_tests.planned_test`.
    """
    return [one for outcome in assumptions.outcomes for one in _outcome(outcome, assumptions, study)]


def _outcome(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> Iterator[Reckoning]:
    own = planned_tests.planned_test(outcome, assumptions, study)
    for method in (own.method, *(method for method in METHODS if method != own.method)):
        test = PlannedTest(method=method, covariates=own.covariates, alpha=own.alpha, two_sided=own.two_sided)
        for effect in (outcome.effect, *outcome.others):
            yield _one(
                outcome,
                assumptions,
                study,
                test,
                is_planned=method == own.method,
                varied=PLANNED if effect == outcome.effect else EFFECT,
                effect=effect,
            )
    spread = outcome.spread
    for name, known in ((SPREAD, spread.assumed), (CORRELATION, spread.correlation)):
        for value in _ends(known):
            yield _one(outcome, assumptions, study, own, varied=name, spread=spread.known(name, value))
    for value in _ends(assumptions.retention):
        yield _one(outcome, assumptions, study, own, varied=RETENTION, retention=value)


def _ends(known: Uncertain) -> Sequence[float]:
    return [end for end in (known.low, known.high) if end != known.value]


def _one(
    outcome: PlannedOutcome,
    assumptions: Assumptions,
    study: Settings,
    test: PlannedTest,
    *,
    varied: str,
    is_planned: bool = True,
    effect: float | None = None,
    spread: Spread | None = None,
    retention: float | None = None,
) -> Reckoning:
    effect = outcome.effect if effect is None else effect
    retention = assumptions.retention.value if retention is None else retention
    own = spread or outcome.spread
    sizes, correlation = assumptions.complete(retention), own.correlation.value
    sd = own.planned_sd
    return Reckoning(
        outcome=outcome,
        test=test,
        measure=study.quantity.measure,
        unit=planned_tests.unit_of(outcome, study),
        is_planned=is_planned,
        varied=varied,
        effect=effect,
        sd=sd,
        correlation=correlation,
        retention=retention,
        complete=sizes,
        power=float(trial_power.power(test, sizes, effect, sd, correlation)),
        detectable=trial_power.detectable(test, sizes, sd, correlation, assumptions.power),
        assurance=trial_power.assurance(test, sizes, effect, own) if varied in (PLANNED, EFFECT) else None,
        needed=_needed(assumptions, test, effect, sd, correlation, retention),
    )


def _needed(
    assumptions: Assumptions, test: PlannedTest, effect: float, sd: float, correlation: float, retention: float
) -> Needed | None:
    treatment, control = assumptions.people
    sizes = trial_power.people_needed(test, control / treatment, effect, sd, correlation, assumptions.power)
    if sizes is None:
        return None
    first, second = (math.ceil(size / retention - 1e-9) for size in sizes)
    scans = (first + second) * SESSIONS * assumptions.scans_per_session
    cost = assumptions.cost_per_scan
    return Needed(complete=sizes, randomised=(first, second), scans=scans, cost=None if cost is None else scans * cost)
