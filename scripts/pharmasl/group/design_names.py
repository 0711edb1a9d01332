"""The name that a statistician has for the design of a model: two-arm ANCOVA, crossover, repeated measures."""

import re
from collections.abc import Sequence

import numpy as np

from pharmasl.group.model import Model
from pharmasl.statistics.formulas import RandomTerm
from pharmasl.study.effect_kinds import BASELINE, CHANGE, FLIP, FORMULA
from pharmasl.study.labels import spaced

ARM, SESSION, BASELINE_MAP = "arm", "session", "baseline"
FOLLOWUP = "followup"
# What a formula is followed by where no column tells the arms apart at baseline.
ONE_BASELINE = "one mean of the arms at baseline"
# Columns that only a design with several treatments per person has.
_PERIODS = {"period", "sequence"}
_WORDS = {CHANGE: "change", BASELINE: "single session", FOLLOWUP: "follow-up", "cbf": "session"}
_NUMBERS = ("", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def variables(column: str) -> tuple[str, ...]:
    """The variables that a column of a design multiplies: ``arm`` and ``genotype`` of ``arm[high]:genotype[b]``.

    A bracket of a function, ``roi(dlpfc, rest)``, belongs to the variable; one of a level does not.
    """
    parts = re.split(r":(?![^(\[]*[)\]])", column)
    return tuple(re.sub(r"\[[^\]]*\]$", "", part) for part in parts)


def name_of(model: Model) -> str:
    """The right name of a model's design, with what is compared.

    Parameters
    ----------
    model : pharmasl.group.model.Model

    Returns
    -------
    str
        ``Two-arm ANCOVA: follow-up, each voxel's own baseline as covariate``.
    """
    tested = _variables(model.tested)
    if model.sessions is not None and len(set(model.participants)) < len(model.participants):
        return _repeated(model, tested)
    if tested <= {"intercept"}:
        who = f"within one arm, {model.arm}" if model.arm else "over all participants"
        against = "zero, signs flipped" if model.exchange == FLIP else "zero"
        what = "of one session" if model.outcome == BASELINE else _WORDS.get(model.outcome, model.outcome)
        return f"One-sample test: mean {what} {who}, against {against}"
    if ARM not in tested and not _compares_arms(model, tested):
        return f"Regression of the {_WORDS.get(model.outcome, model.outcome)} on {' and '.join(_plain(tested))}{_adjusted(model)}"
    # Of a marginal mean the columns of products have weights too.
    moderators = _plain(tested - {ARM}) if all(map(_is_product, model.effects)) else []
    arms = _arms(model)
    if moderators:
        return (
            f"Moderation: the difference between the {arms.lower()} arms in the {_WORDS.get(model.outcome, model.outcome)} by "
            f"{' and '.join(moderators)}{_adjusted(model)}"
        )
    return _between_arms(model, arms)


def _is_product(effect: str) -> bool:
    """Whether an effect, as tests name it, is a difference of differences or of slopes."""
    # The comma in roi(region, contrast) belongs to the term.
    return " x " in effect or (effect.startswith("slope on ") and ", " in re.sub(r"\([^()]*\)", "", effect))


def _between_arms(model: Model, arms: str) -> str:
    """The name of a comparison of arms, one row per participant."""
    test = " (F test)" if model.is_joint else ""
    if BASELINE_MAP in model.maps:
        what = "follow-up" if model.outcome == FOLLOWUP else _WORDS[model.outcome]
        return f"{arms}-arm ANCOVA{test}: {what}, each voxel's own baseline as covariate"
    if model.outcome == CHANGE:
        return f"{arms}-arm comparison of change scores{test}: group by time"
    if model.outcome == FOLLOWUP:
        return f"{arms}-arm comparison of the follow-up alone{test}: the baseline is not used"
    if model.outcome == BASELINE and model.name != FORMULA:
        return f"{arms}-arm comparison at baseline{test}: after randomisation a difference is due to chance"
    return f"{arms}-group comparison of a single session{test}: no within-person change"


def _repeated(model: Model, tested: set[str]) -> str:
    """The name of a design whose rows are scans."""
    # The named mixed model lists none: it has an intercept for each participant.
    random = model.random or (RandomTerm("participant"),)
    rest = f", {' and '.join(_random(term) for term in random)}"
    columns = _variables(model.names)
    within = [name for name in _plain(tested) if _varies_within(model, name)]
    one = f", {ONE_BASELINE}" if ONE_BASELINE in model.formula else ""
    if model.kind.is_slope and not any(map(_is_product, model.effects)):
        return f"Slope on {' and '.join(_plain(tested))} over scans{rest}"
    if within and (SESSION not in tested) and (columns & _PERIODS or ARM not in tested):
        carry = "; carry-over appears as a difference between sequences" if "sequence" in columns else ""
        periods = ", adjusted for period" if "period" in columns else ""
        return f"Crossover: {' and '.join(within)} within participants{periods}{rest}{carry}"
    by = "" if tested <= {"intercept"} else f" ({' by '.join(_plain(tested))})"
    return f"Repeated measures{by}{one}{rest}"


def _random(term: RandomTerm) -> str:
    slope = f" and a slope on {' and '.join(term.slopes)}" if term.slopes else ""
    return f"a random intercept{slope} for each {term.group}"


def _variables(columns: Sequence[str]) -> set[str]:
    return {name for column in columns for name in variables(column)}


def _plain(names: set[str]) -> list[str]:
    return sorted(spaced(name) for name in names if name != "intercept")


def _compares_arms(model: Model, tested: set[str]) -> bool:
    """Whether the tested columns are the arms' own, as those of named effects are."""
    return bool(tested) and tested <= {str(arm) for arm in model.arms if arm is not None}


def _arms(model: Model) -> str:
    number = len({arm for arm in model.arms if arm is not None})
    return _NUMBERS[number] if 0 < number < len(_NUMBERS) else "Several"


def _adjusted(model: Model) -> str:
    return ", each voxel's own baseline as covariate" if BASELINE_MAP in model.maps else ""


def _varies_within(model: Model, name: str) -> bool:
    """Whether a variable's columns differ between the rows of one participant."""
    own = [k for k, column in enumerate(model.names) if name in _plain(set(variables(column)))]
    people = np.array(model.participants)
    return any(np.ptp(model.matrix[people == person][:, own], axis=0).any() for person in dict.fromkeys(people))
