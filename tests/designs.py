"""Models of the named effects, as tests ask for them: by participants, table, arms and terms."""

import dataclasses
import functools
import itertools

import complete_settings
from pharmasl.group import effects
from pharmasl.study import settings

_SEED = {"roi": "seed", "contrast": "rest"}


@functools.cache
def _analysis():
    return complete_settings.analysis()


def analysis(effect, covariates=(), site=None, **changes):
    """The settings of an analysis of this effect, unchecked: a test may ask for what the schema refuses."""
    return dataclasses.replace(_analysis(), effect=effect, covariates=tuple(covariates), site=site, **changes)


def arms(treatment, control, others=(), **_):
    return settings.Arms(column="arm", treatment=treatment, control=control, others=tuple(others))


def build(effect, names, table, arms_, file, covariates=(), site=None, seed_change=None, **changes):
    arms_ = arms(**arms_) if isinstance(arms_, dict) else arms_
    return effects.build(analysis(effect, covariates, site, **changes), arms_, names, table, file, seed_change)


def group_by_time(names, table, arms_, file, covariates=(), site=None):
    return build("group_by_time", names, table, arms_, file, covariates, site)


def baseline_difference(names, table, arms_, file, covariates=(), site=None):
    return build("baseline_difference", names, table, arms_, file, covariates, site)


def between_arms(names, table, labels, pair, file, covariates=(), site=None):
    treatment, control, *others = labels
    return build(
        "between_arms", names, table, arms(treatment, control, others), file, covariates, site, pair=tuple(pair)
    )


def within_arm(names, table, arm, file, covariates=(), site=None):
    return build("within_arm", names, table, arms("", ""), file, covariates, site, arm=arm)


def regression(names, table, predictor, file, arms=None, covariates=(), site=None):
    """Without arms the mean is one for all, as within an arm."""
    both = globals()["arms"](*(arms or ("", "")))
    own = None if arms else "one"
    return build("regression", names, table, both, file, covariates, site, predictor=predictor, arm=own)


def association(names, table, arms_, seed_change, file, covariates=(), site=None, arm=None):
    return build("association", names, table, arms_, file, covariates, site, seed_change, arm=arm)


def association_by_arm(names, table, arms_, seed_change, file, covariates=(), site=None):
    return build("association_by_arm", names, table, arms_, file, covariates, site, seed_change)


def pairs(labels):
    """All pairs of arms, named, the first one first."""
    return [(f"{first}-{second}", (first, second)) for first, second in itertools.combinations(labels, 2)]
