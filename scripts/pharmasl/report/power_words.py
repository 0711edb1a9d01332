"""A planned trial's power in words: the protocol's sentence with what DELTA2 asks for, and the answers of the page.

DELTA2: Cook et al. 2018, BMJ 363:k3750 (doi 10.1136/bmj.k3750), guidance on the target difference of a randomised trial.
"""

import math

from pharmasl.report.words import HARD, count, fixed, short
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, Uncertain
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


def protocol(one: Reckoning, assumptions: Assumptions, study: Settings, tests: int) -> str:
    """The paragraph of a protocol: every item that DELTA2 asks for.

    Parameters
    ----------
    one : Reckoning
        By the planned model, at the planning values.
    assumptions : Assumptions
    study : Settings
    tests : int
        Results that are corrected together.
    """
    spread, test = one.outcome.spread, one.test
    treatment, control = assumptions.people
    sides = "two-sided" if test.two_sided else "one-sided"
    together = (
        f" ({short(test.alpha * tests)} over {count(tests, 'planned result')}, Holm's first step)" if tests > 1 else ""
    )
    adjusted = f", with {count(test.covariates, 'column')} of covariates" if test.covariates else ""
    kind = "between people at one session" if spread.within_sd is None else "within a person from session to session"
    if math.isnan(one.power):
        return f"{one.outcome.name}: {TOO_FEW}."
    arms = study.arms
    labels = (arms.treatment, arms.control) if arms else ("treatment", "control")
    sentence = (
        f"The outcome is {one.measure} in the region ({one.outcome.name}), compared by {COMPARED[test.method]}{adjusted}, with a {sides} test at "
        f"{short(test.alpha)}{together}. The target difference is {short(one.effect)} {one.unit} ({one.outcome.effect_source}). The "
        f"standard deviation {kind} is taken as {known_within(spread.assumed)} {one.unit} ({one.outcome.spread_source}), and the correlation of "
        f"the sessions as {known_within(spread.correlation)} ({one.outcome.correlation_source}). {treatment + control} people are randomised, {treatment} "
        f"to {labels[0]} and {control} to {labels[1]}; with {share(assumptions.retention.value)} of them with usable scans at both sessions "
        f"({assumptions.retention_source}), {one.complete[0]} and {one.complete[1]} are analysed. The power is then {share(one.power)}, by the "
        f"noncentral t distribution with {short(test.df(sum(one.complete)))} degrees of freedom"
    )
    if one.assurance is not None and not _certain(one):
        sentence += (
            f", and {share(one.assurance)} averaged over the ranges of standard deviation and correlation (assurance)"
        )
    sentence += f". A difference of {fixed(one.detectable)} {one.unit} is found with a probability of {share(assumptions.power)}."
    return sentence + f" {needed(one, assumptions)}"


def _certain(one: Reckoning) -> bool:
    spread = one.outcome.spread
    return spread.assumed.low == spread.assumed.high and spread.correlation.low == spread.correlation.high


def needed(one: Reckoning, assumptions: Assumptions) -> str:
    """How many people and scans the wanted power takes."""
    if one.needed is None:
        return f"No number of people gives a power of {share(assumptions.power)}."
    first, second = one.needed.randomised
    cost = "" if one.needed.cost is None else f", at a cost of {one.needed.cost:,.0f}"
    return (
        f"A power of {share(assumptions.power)} for the target difference takes {one.needed.complete[0]} + {one.needed.complete[1]} people with both sessions, "
        f"{first + second} randomised, and {one.needed.scans:,} scans{cost}."
    )
