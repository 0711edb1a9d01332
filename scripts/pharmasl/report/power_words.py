"""A planned trial's power in words: the protocol's paragraph with what DELTA2 asks for (:mod:`pharmasl.report.target_difference`)."""

import math

from pharmasl.figures.power_plot import NAMES
from pharmasl.report import target_difference
from pharmasl.report.words import HARD, count, fixed, listed, short
from pharmasl.statistics import power_searches
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
    """A probability as a percentage, below 100 and above 0 unless it is that in print."""
    if 0 < value < 0.005:
        return f"below 1{HARD}%"
    return f"{100 * value:.0f}{HARD}%" if value < 0.995 or value == 1 else f"above 99{HARD}%"


def size(value: float) -> str:
    """A number in its unit with two decimals, and with more where they would leave less than two digits of it."""
    digits = 2 if value == 0 or not math.isfinite(value) else 1 - math.floor(math.log10(abs(value)))
    return fixed(value, max(2, digits))


def bounds(known: Uncertain) -> str | None:
    """The range of an assumption; None where it is taken as known."""
    return None if known.low == known.high else f"{short(known.low)} to {short(known.high)}"


def stated(known: Uncertain, source: str | None, unit: str = "") -> str:
    """A planning value in its unit, with the range that was assumed for it and where both come from."""
    ends = bounds(known)
    return f"{short(known.value)}{unit} ({'' if ends is None else f'range {ends}; '}{source})"


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
        f"The outcome is {question.measure} ({one.outcome.name}), {_how(one, labels)}. {target_difference.role(one, study)} The target {what} is "
        f"{stated(one.outcome.effect_range, one.outcome.effect_source, unit)}{target_difference.standardised(one)}. "
        f"{target_difference.basis(one)}{_spread(one)}{treatment + control} people are randomised {target_difference.allocation(assumptions)}, {treatment} "
        f"to {labels[0]} and {control} to {labels[1]}; with {share(retained.value)} of them with {values} "
        f"({source}), {one.complete[0]} and {one.complete[1]} are analysed. The power is then {share(one.power)}, {_by(one)}"
    )
    if one.assurance is not None and (uncertain := _uncertain(one, retained)):
        sentence += f", and {share(one.assurance)} averaged over the {uncertain} (assurance)"
    sentence += f". A {what} of {size(one.detectable)}{unit} is found with a probability of {share(assumptions.power)}."
    return f"{sentence} {needed(one, assumptions)}{target_difference.left_open(one, assumptions, study)}"


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
    sd = stated(spread.assumed, one.outcome.spread_source, f" {one.question.unit}")
    correlation = stated(spread.correlation, one.outcome.correlation_source)
    return f"The standard deviation {kind} is taken as {sd}, and the correlation of the sessions as {correlation}. "


def _by(one: Reckoning) -> str:
    """By which distribution."""
    df = short(round(one.df, 1))
    words = f"by the noncentral t distribution with {df} degrees of freedom"
    if isinstance(one.test, PlannedCorrelation):
        return f"{words}, averaged over what people differ by in the region"
    if one.test.adjusted:
        words += ", averaged over the chance imbalance of baseline and covariates (Shieh 2020, doi 10.1007/s11336-019-09692-3)"
    return f"{words}, of arms whose true variances are equal" if one.test.by_arm else words


def _uncertain(one: Reckoning, retained: Uncertain) -> str:
    """Which assumptions have a range, in words; nothing where all are taken as known."""
    spread, what = one.outcome.spread, "correlation" if one.sd is None else "difference"
    known = [(f"target {what}", one.outcome.effect_range)]
    if spread is not None:
        known += [("standard deviation", spread.assumed), ("correlation of the sessions", spread.correlation)]
    known.append(("share of people with both values", retained))
    names = [name for name, assumed in known if assumed.low < assumed.high]
    return f"{'range' if len(names) == 1 else 'ranges'} of the {listed(names)}" if names else ""


def needed(one: Reckoning, assumptions: Assumptions) -> str:
    """How many people and scans the wanted power takes."""
    if one.needed is None:
        return f"Arms of up to {power_searches.MOST:,} people have no power of {share(assumptions.power)}."
    first, second = one.needed.randomised
    both = "sessions" if one.outcome.is_region else "values"
    what = "correlation" if one.sd is None else "difference"
    cost = "" if one.needed.cost is None else f", at a cost of {one.needed.cost:,.0f}"
    return (
        f"A power of {share(assumptions.power)} for the target {what} takes {one.needed.complete[0]} + {one.needed.complete[1]} people with both {both}, "
        f"{first + second} randomised, and {one.needed.scans:,} scans{cost}."
    )
