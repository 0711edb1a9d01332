"""A planned trial's power in words: the protocol's sentence with what DELTA2 asks for, and the answers of the page.

DELTA2: Cook et al. 2018, BMJ 363:k3750 (doi 10.1136/bmj.k3750), guidance on the target difference of a randomised trial.
"""

import math

from pharmasl.figures.power_plot import NAMES
from pharmasl.report.words import HARD, count, fixed, listed, short
from pharmasl.statistics.trial_assumptions import (
    ANCOVA,
    CHANGE,
    FOLLOWUP,
    PlannedCorrelation,
    PlannedTest,
    Uncertain,
)
from pharmasl.study.planned_power import Reckoning
from pharmasl.study.power_assumptions import Assumptions
from pharmasl.study.settings import Settings

COMPARED = {
    CHANGE: "the arms' difference of the change from baseline to follow-up",
    ANCOVA: "the arms' difference at follow-up, adjusted for the person's own baseline (analysis of covariance)",
    FOLLOWUP: "the arms' difference at follow-up",
}
TOO_FEW = "too few people are left for a test"


def share(value: float) -> str:
    """A probability as a percentage, below 100 unless it is 1 in print."""
    return f"{100 * value:.0f}{HARD}%" if value < 0.995 or value == 1 else f"above 99{HARD}%"


def known_within(known: Uncertain, digits: int = 2) -> str:
    """A planning value with the range that was assumed for it."""
    value = short(round(known.value, digits))
    if known.low == known.high:
        return value
    return f"{value} (range {short(round(known.low, digits))} to {short(round(known.high, digits))})"


def compared(test: PlannedTest | PlannedCorrelation) -> str:
    """A model in a word or two, as figures and tables name it."""
    if isinstance(test, PlannedCorrelation):
        return NAMES[test.method]
    return f"{NAMES[test.method]}, a variance for each arm" if test.by_arm else NAMES[test.method]


def protocol(one: Reckoning, assumptions: Assumptions, study: Settings) -> str:
    """The paragraph of a protocol: every item that DELTA2 asks for.

    Parameters
    ----------
    one : Reckoning
        By the planned model, at the planning values.
    assumptions : Assumptions
    study : Settings
    """
    if math.isnan(one.power):
        return f"{one.outcome.name}: {TOO_FEW}."
    question, retained = one.question, assumptions.retained(one.outcome)
    source = one.outcome.retention_source or assumptions.retention_source
    treatment, control = assumptions.people
    labels = (study.arms.treatment, study.arms.control) if study.arms else ("treatment", "control")
    values = "usable scans at both sessions" if one.outcome.is_region else "values at both sessions"
    unit = "" if one.sd is None else f" {question.unit}"
    what = "correlation" if one.sd is None else "difference"
    sentence = (
        f"The outcome is {question.measure} ({one.outcome.name}), {_how(one, labels)}. The target {what} is "
        f"{short(one.effect)}{unit} ({one.outcome.effect_source}). {_spread(one)}{treatment + control} people are randomised, {treatment} "
        f"to {labels[0]} and {control} to {labels[1]}; with {share(retained.value)} of them with {values} "
        f"({source}), {one.complete[0]} and {one.complete[1]} are analysed. The power is then {share(one.power)}, {_by(one)}"
    )
    if one.assurance is not None and not _certain(one):
        sentence += (
            f", and {share(one.assurance)} averaged over the ranges of standard deviation and correlation (assurance)"
        )
    sentence += (
        f". A {what} of {fixed(one.detectable)}{unit} is found with a probability of {share(assumptions.power)}."
    )
    return sentence + f" {needed(one, assumptions)}"


def _how(one: Reckoning, labels: tuple[str, str]) -> str:
    """The test with its error rate."""
    test, tests = one.test, one.question.together
    sides = "two-sided" if test.two_sided else "one-sided"
    together = (
        f" ({short(test.alpha * tests)} over {count(tests, 'planned result')}, Holm's first step)" if tests > 1 else ""
    )
    columns = f"{count(test.covariates, 'column')} of covariates"
    if isinstance(test, PlannedCorrelation):
        adjusted = listed([*(["arm"] if test.group == "all" else []), *([columns] if test.covariates else [])])
        group = {"all": "in all people", "treatment": f"in those on {labels[0]}", "control": f"in those on {labels[1]}"}
        within = f", adjusted for {adjusted}" if test.adjusted else ""
        words = f"{group[test.group]}{within}, by Pearson's r"
    else:
        words = f"compared by {COMPARED[test.method]}" + (f", with {columns}" if test.covariates else "")
        words += ", with a variance for each arm" if test.by_arm else ""
    return f"{words}, with a {sides} test at {short(test.alpha)}{together}"


def _spread(one: Reckoning) -> str:
    """How much the values vary and repeat; nothing of a correlation."""
    spread = one.outcome.spread
    if spread is None:
        return ""
    kind = "between people at one session" if spread.within_sd is None else "within a person from session to session"
    return (
        f"The standard deviation {kind} is taken as {known_within(spread.assumed)} {one.question.unit} ({one.outcome.spread_source}), "
        f"and the correlation of the sessions as {known_within(spread.correlation)} ({one.outcome.correlation_source}). "
    )


def _by(one: Reckoning) -> str:
    """By which distribution."""
    df = short(round(one.df, 1))
    words = f"by the noncentral t distribution with {df} degrees of freedom"
    if isinstance(one.test, PlannedCorrelation):
        return f"{words}, averaged over what people differ by in the region"
    return f"{words}, of arms whose true variances are equal" if one.test.by_arm else words


def _certain(one: Reckoning) -> bool:
    spread = one.outcome.spread
    return spread is None or (
        spread.assumed.low == spread.assumed.high and spread.correlation.low == spread.correlation.high
    )


def needed(one: Reckoning, assumptions: Assumptions) -> str:
    """How many people and scans the wanted power takes."""
    if one.needed is None:
        return f"No number of people gives a power of {share(assumptions.power)}."
    first, second = one.needed.randomised
    both = "sessions" if one.outcome.is_region else "values"
    what = "correlation" if one.sd is None else "difference"
    cost = "" if one.needed.cost is None else f", at a cost of {one.needed.cost:,.0f}"
    return (
        f"A power of {share(assumptions.power)} for the target {what} takes {one.needed.complete[0]} + {one.needed.complete[1]} people with both {both}, "
        f"{first + second} randomised, and {one.needed.scans:,} scans{cost}."
    )
