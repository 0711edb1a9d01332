"""What the DELTA2 guidance asks a sample size calculation to say beside its numbers, and what of it a planned result leaves open.

Cook et al. 2018, BMJ 363:k3750 (doi 10.1136/bmj.k3750): the outcome and why, if it is not a primary one; the basis of the target difference; a
standardised effect; the ratio of the arms and why, if they are not equal.
"""

import math
from collections.abc import Iterator

from pharmasl.report.words import listed, short
from pharmasl.study import primary
from pharmasl.study.planned_power import Reckoning
from pharmasl.study.power_assumptions import Assumptions
from pharmasl.study.settings import Settings

_BASES = {
    "important": "an important one",
    "realistic": "a realistic one",
    "both": "both important and realistic",
}


def role(one: Reckoning, study: Settings) -> str:
    """Whether the result is a primary answer of the trial, and if not, why the calculation rests on it."""
    name, what = one.outcome.answer, "Its analysis" if one.outcome.is_region else "It"
    if study.primary is None:
        words = "The trial declares no primary answer"
    else:
        own = primary.role(study.primary, name)
        words = f"{what} ({name}) is {'an' if own == primary.EXPLORATORY else 'a'} {own} answer of the trial"
    if one.outcome.reason is None or _is_primary(one, study):
        return f"{words}."
    return f"{words}; the calculation rests on it because {one.outcome.reason}."


def basis(one: Reckoning) -> str:
    """What kind of difference the target is; nothing where that is not said."""
    if one.outcome.basis is None:
        return ""
    what = "correlation" if one.sd is None else "difference"
    return f"That {what} is taken to be {_BASES[one.outcome.basis]}. "


def standardised(one: Reckoning) -> str:
    """The target over the standard deviation between people; nothing of a correlation."""
    if one.sd is None:
        return ""
    return (
        f", a standardised effect of {short(round(one.effect / one.sd, 3))} (over the standard deviation between people at one session, "
        f"{short(one.sd)} {one.question.unit})"
    )


def allocation(assumptions: Assumptions) -> str:
    """The ratio of the arms, treatment to control."""
    treatment, control = assumptions.people
    if not _is_unequal(assumptions):
        nearly = "" if treatment == control else ", as nearly as their number allows"
        return f"in a ratio of 1:1{nearly}"
    common = math.gcd(treatment, control)
    reason = "" if assumptions.allocation_reason is None else f" because {assumptions.allocation_reason}"
    return f"in a ratio of {treatment // common}:{control // common}{reason}"


def left_open(one: Reckoning, assumptions: Assumptions, study: Settings) -> str:
    """What DELTA2 asks for and the assumptions do not say, with the field that says it; nothing where all is said."""
    items = list(_left_open(one, assumptions, study))
    return f" [To be added, as DELTA2 asks: {listed(items)}.]" if items else ""


def _left_open(one: Reckoning, assumptions: Assumptions, study: Settings) -> Iterator[str]:
    if one.outcome.basis is None:
        what = "correlation" if one.sd is None else "difference"
        yield f"whether the target {what} is an important or a realistic one (effect: basis)"
    if one.outcome.reason is None and not _is_primary(one, study):
        yield "why the calculation rests on an outcome that is not primary (reason)"
    if _is_unequal(assumptions) and assumptions.allocation_reason is None:
        yield "why the arms are not equally large (people: reason)"


def _is_primary(one: Reckoning, study: Settings) -> bool:
    return primary.role(study.primary, one.outcome.answer) == primary.PRIMARY


def _is_unequal(assumptions: Assumptions) -> bool:
    treatment, control = assumptions.people
    return abs(treatment - control) > 1
