"""Sections of the settings, complete as a study's are: what a test does not name is the schema's default."""

from typing import get_type_hints

from pharmasl.errors import InputErrors
from pharmasl.study import configuration, reading, settings
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets.study_targets import Targets

SESSIONS = {"baseline": "T1", "followup": "T2"}
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo"}


def study(**sections):
    """All settings of a study with these sections."""
    least = {"bids_dir": "bids", "output_dir": "results", "conditions": {"rest": {}, "cue": {}}}
    return settings.build(settings.Settings, configuration.resolve({**least, **sections}))


def bias(**changes):
    """The settings of the correction of the bias field, with changes."""
    return study(anatomy={"bias": changes}).anatomy.bias


def registration(**changes):
    """The settings of the fit to the template, with changes."""
    return study(anatomy={"registration": changes}).anatomy.registration


def inference(**changes):
    """The settings of the tests over the brain, with changes."""
    return study(inference=changes).inference


def analysis(*, name="rest_interaction", arms=None, rois=None, **changes):
    """An analysis of the contrast rest, with changes; its inference is among them."""
    stated = {"contrast": "rest", "effect": "group_by_time", **changes}
    # A formula stands in the place of a named effect.
    stated = {key: value for key, value in stated.items() if value is not None}
    contrasts = {contrast: {"rest": 1} for contrast in ("rest", stated["contrast"])}
    regions = dict(rois or {})
    if "seed" in stated:
        contrasts.setdefault(stated["seed"]["contrast"], {"rest": 1})
        regions.setdefault(stated["seed"]["roi"], {"sphere": [0, 0, 0], "radius": 6})
    if "within" in stated:
        regions.setdefault(stated["within"], {"sphere": [0, 0, 0], "radius": 6})
    whole = study(sessions=SESSIONS, arms=arms or ARMS, contrasts=contrasts, rois=regions, analyses={name: stated})
    return whole.analyses[name]


def read(config):
    """A study whose configuration, sheets and sidecars are without a problem; all problems at once otherwise."""
    result = reading.collect(config)
    if result.errors or result.trial_errors:
        raise InputErrors([*result.errors, *result.trial_errors])
    return result.study


def targets(study):
    """The targets of a study whose results go to ``results``."""
    return Targets(study, Paths("results", study.settings.template.space))


def plain_inference(**changes):
    """The plain values of a test by extent alone, complete, with changes that the schema need not allow."""
    plain = settings.plain(inference(statistics=["extent"], degrees_of_freedom="satterthwaite"))
    return {**plain, **changes}


def plain_analysis(*, inference, **changes):
    """The plain values of an analysis as a rule's params hold them, with changes that the schema need not allow."""
    least = {
        "name": "analysis",
        "contrast": "rest",
        "method": "differences",
        "covariates": [],
        "constrained_baseline": False,
    }
    return {**least, **changes, "inference": inference}


def sessions(**changes):
    """The sessions of a trial, with changes."""
    return study(sessions={**SESSIONS, **changes}).sessions


def arms(**changes):
    """The arms of a trial, with changes."""
    return study(arms={**ARMS, **changes}).arms


def craving(section=settings.Craving, **changes):
    """The settings of craving, with changes, or the section of them that a job takes."""
    stated = {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post", **changes}
    named = [*({"roi": roi} for roi in stated.get("rois", ())), *stated.get("mediation", {}).get("mediators", ())]
    regions = {each["roi"]: {"sphere": [0, 0, 0], "radius": 6} for each in named}
    contrasts = {name: {"rest": 1} for name in ["rest", "cue", stated.get("contrast", "rest")]}
    whole = settings.plain(
        study(sessions=SESSIONS, arms=ARMS, contrasts=contrasts, rois=regions, craving=stated).craving
    )
    return settings.build(section, {name: whole[name] for name in get_type_hints(section) if name in whole})
