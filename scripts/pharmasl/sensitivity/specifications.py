"""Which specifications a sensitivity analysis has, and what each of them takes.

A *specification* is one value of each *dimension*: how a scan's CBF is scaled, smoothed and corrected for partial volumes
(these three make an *image alternative*), which scans are excluded, and which covariates the models have. All values of
the dimensions are crossed. The study's own choice is the first value of each; the specification that is the study's own
in all is the *main* one, whose answers are those of the rest of the study.
"""

import dataclasses
import itertools

from pharmasl.study import arms as study_arms
from pharmasl.study import settings

IMAGE = ("scaling", "smoothing_fwhm", "partial_volume")
DIMENSIONS = (*IMAGE, "quality", "covariates")
# The name of the study's own choice among those that have names.
OWN = "own"


def dimensions(config):
    """The values of each dimension, the study's own first.

    Parameters
    ----------
    config : dict
        Complete, with ``sensitivity``.

    Returns
    -------
    dict
        Dimension to list of str, each fit to be part of a path: ``absolute``, ``global``; the FWHM in mm, ``6``;
        ``false``, ``true``; ``own`` and the configuration's names.
    """
    asked, perfusion = config["sensitivity"], config["perfusion"]
    values = {
        "scaling": ["absolute", *asked["scaling"]],
        "smoothing_fwhm": [f"{fwhm:g}" for fwhm in (perfusion["smoothing_fwhm"], *asked["smoothing_fwhm"])],
        "partial_volume": [str(use).lower() for use in (perfusion["partial_volume"]["use"], *asked["partial_volume"])],
        "quality": [OWN, *asked["quality"]],
        "covariates": [OWN, *asked["covariates"]],
    }
    return {name: list(dict.fromkeys(each)) for name, each in values.items()}


def _crossed(config, names):
    values = dimensions(config)
    return [dict(zip(names, each)) for each in itertools.product(*(values[name] for name in names))]


def images(config):
    """All image alternatives: a dict each of the dimensions :data:`IMAGE`; the study's own first."""
    return _crossed(config, IMAGE)


def rows(config):
    """All specifications: a dict each of the :data:`DIMENSIONS`; the main one first."""
    return _crossed(config, DIMENSIONS)


def is_main(config, specification):
    """Whether a specification is the study's own in all."""
    return all(specification[name] == values[0] for name, values in dimensions(config).items())


def corrects_partial_volume(config):
    """Whether any image alternative is of corrected grey-matter CBF."""
    return "true" in dimensions(config)["partial_volume"]


def regions(config):
    """The regions whose values or masks the answers take: their own, their seeds, and those searched; each once."""
    found = {}
    for answer in config["sensitivity"]["answers"].values():
        found[answer["roi"]] = None
        analysis = config["analyses"].get(answer.get("analysis"), {})
        if "seed" in analysis:
            found[analysis["seed"]["roi"]] = None
        if config["sensitivity"]["whole_brain"] and "within" in analysis:
            found[analysis["within"]] = None
    return list(found)


def is_weighted(config):
    """Whether the value of any of those regions is weighted by grey matter."""
    return any(config["rois"][name]["statistic"] == "gm_weighted" for name in regions(config))


def relates_craving(config):
    """Whether any answer relates CBF to craving."""
    return any("analysis" not in answer for answer in config["sensitivity"]["answers"].values())


def plan(study, specification):
    """What a specification takes, beside files.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    specification : dict
        One of :func:`rows`.

    Returns
    -------
    dict
        ``specification``, ``main``; ``visits`` (in the study's order: ``participant_id``, ``session_id``, ``scans`` by name,
        ``contrasts`` to the weights of those scans); ``exclusion`` (``rule`` and ``scans`` excluded by name);
        ``answers`` (``answer``, ``roi``, ``contrast``, ``analysis`` by name or None, its ``settings``, ``inference``,
        ``members``, ``sessions``); ``regions`` to the statistic read in each; ``craving``, None unless an answer asks for
        it, with the alternative's ``covariates``; ``sessions``, ``arms``, ``minimum_coverage``.
    """
    config = study.config
    asked = config["sensitivity"]
    covariates = None
    if specification["covariates"] != OWN:
        covariates = asked["covariates"][specification["covariates"]]
        analyses = {name: {**part, "covariates": covariates} for name, part in config["analyses"].items()}
        study = dataclasses.replace(study, config={**config, "analyses": analyses})
    quality = config["quality"]
    if specification["quality"] != OWN:
        quality = {**quality, **asked["quality"][specification["quality"]]}
    answers = [_answer(study, name, part) for name, part in asked["answers"].items()]
    contrasts = {each["contrast"] for each in answers}
    contrasts |= {each["settings"]["seed"]["contrast"] for each in answers if "seed" in (each["settings"] or {})}
    craving = config.get("craving")
    if craving and covariates is not None:
        craving = {**craving, "covariates": covariates}
    return {
        "specification": dict(specification),
        "main": is_main(config, specification),
        "visits": [_visit(study, visit, sorted(contrasts)) for visit in study.visits],
        "exclusion": {
            "rule": settings.plain(settings.build(settings.QualityRules, quality).scan_rules),
            "scans": quality["exclude_scans"],
            "accepted": quality["accept_scans"],
        },
        "answers": answers,
        "regions": {name: config["rois"][name]["statistic"] for name in regions(config)},
        "craving": {"covariates": craving["covariates"]} if relates_craving(config) else None,
        "sessions": {name: config["sessions"][name] for name in ("baseline", "followup")},
        "arms": config["arms"],
        "minimum_coverage": config["minimum_roi_coverage"],
    }


def terms(plan):
    """The columns of the participants' table, or changes of one, that a specification's answers take.

    Parameters
    ----------
    plan : dict
        As :func:`plan` gives it.

    Returns
    -------
    list of str
    """
    found = list(plan["craving"]["covariates"]) if plan["craving"] else []
    for answer in plan["answers"]:
        found += study_arms.all_columns(answer["settings"]) if answer["settings"] else []
    return found


def _answer(study, name, part):
    config = study.config
    if "analysis" not in part:
        return {
            "answer": name,
            "roi": part["roi"],
            "contrast": part["contrast"],
            "analysis": None,
            "settings": None,
            "inference": None,
            "members": None,
            "sessions": None,
        }
    settings = config["analyses"][part["analysis"]]
    inference = None
    if config["sensitivity"]["whole_brain"]:
        permutations = config["sensitivity"]["permutations"]
        inference = {**settings["inference"], "statistics": ["extent"], "permutations": permutations}
    sessions = study.analysis_sessions(part["analysis"])
    return {
        "answer": name,
        "roi": part["roi"],
        "contrast": settings["contrast"],
        "analysis": part["analysis"],
        "settings": {key: value for key, value in settings.items() if key != "inference"},
        "inference": inference,
        "members": [f"sub-{subject}" for subject in study.members(part["analysis"])],
        "sessions": sessions,
    }


def _visit(study, visit, contrasts):
    scans = study.visits[visit]
    place = {scan.stem: number for number, scan in enumerate(scans)}
    weights = {name: study.contrast_scans(visit, name) for name in contrasts}
    return {
        "participant_id": f"sub-{visit[0]}",
        "session_id": visit[1],
        "scans": [scan.name for scan in scans],
        "contrasts": {
            name: [[place[scan.stem], weight] for scan, weight in pairs] for name, pairs in weights.items() if pairs
        },
    }
