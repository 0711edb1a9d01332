"""The configuration: defaults filled in, and every name it refers to found."""

import copy

from pharmasl.errors import InputError, InputErrors
from pharmasl.study import named_constants, own_template, primary, schemas, shared_data, written
from pharmasl.study.effect_kinds import KINDS

FILE = "config"


def resolve(config):
    """A complete configuration.

    Parameters
    ----------
    config : dict
        As the user wrote it. It is not changed.

    Returns
    -------
    dict
        With the calibration's values and the schema's defaults, and each analysis' own inference laid over the common
        one.

    Raises
    ------
    InputErrors
        With every problem at once: unknown keys, impossible values, names that nothing defines, ROIs and analyses that
        need each other in a circle.
    """
    # On the command line, --config gives text for all that stands in braces.
    complete = schemas.as_wanted(copy.deepcopy(dict(config)), "config")
    written.expand_paths(complete)
    if "participants" in complete and isinstance(complete.get("craving"), dict):
        # The craving table holds those who are not among the participants asked for; they are no mistake then.
        complete["craving"].setdefault("unknown", "ignore")
    perfusion = complete.setdefault("perfusion", {})
    if isinstance(perfusion, dict) and perfusion.setdefault("calibration", "consensus") in named_constants.names():
        complete["perfusion"] = named_constants.fill(perfusion, perfusion["calibration"])
    errors = schemas.check(complete, "config", FILE, fill=True)
    if not errors:
        named = "space" in (config.get("template") or {})
        errors = [
            *written.check(complete, FILE),
            *_references(complete),
            *primary.check(complete),
            *_circles(complete),
            *own_template.names(complete["template"], named),
        ]
    if errors:
        raise InputErrors(errors)
    if "primary" in complete:
        complete["primary"].setdefault("alpha", complete["inference"]["alpha"])
    for name, analysis in complete["analyses"].items():
        own = analysis.get("inference", {})
        analysis["inference"] = {**complete["inference"], **own}
        # What an analysis says of its own inference follows the common one's rules.
        errors += [
            InputError(FILE, f"analyses.{name}.{error.field}", error.found, error.expected, error.fix)
            for error in schemas.check({**_LEAST, "inference": own}, "config", FILE)
        ]
    if not errors:
        errors = [*_verdicts(complete), *shared_data.check(complete)]
    if errors:
        raise InputErrors(errors)
    return complete


_LEAST = {"bids_dir": "x", "output_dir": "y", "conditions": {"rest": {}}}


def _references(config):
    def unknown(field, name, kind):
        names = ", ".join(config[kind]) or "none"
        return InputError(FILE, field, name, f"one of the {kind}: {names}", f"Correct the name or add it to {kind}.")

    for contrast, weights in config["contrasts"].items():
        for condition in weights:
            if condition not in config["conditions"]:
                yield unknown(f"contrasts.{contrast}", condition, "conditions")
    for name, analysis in config["analyses"].items():
        for part in ("sessions", "arms"):
            if part not in config:
                yield InputError(
                    FILE,
                    part,
                    "nothing",
                    f"the {part}, for the analysis {name}",
                    f"Add {part}, or remove the analysis.",
                )
        if analysis["contrast"] not in config["contrasts"]:
            yield unknown(f"analyses.{name}.contrast", analysis["contrast"], "contrasts")
        if "within" in analysis and analysis["within"] not in config["rois"]:
            yield unknown(f"analyses.{name}.within", analysis["within"], "rois")
        yield from _arms_and_sessions(config, name, analysis)
        if analysis["method"] != "differences" and (
            analysis["method"] not in KINDS[analysis["effect"]].methods or "site" in analysis
        ):
            yield InputError(
                FILE,
                f"analyses.{name}.method",
                analysis["method"],
                "differences, but for group_by_time without a site",
                "Take the default.",
            )
        if analysis["method"] == "mixed_model" and any(" - " in term for term in analysis["covariates"]):
            yield InputError(
                FILE,
                f"analyses.{name}.covariates",
                analysis["covariates"],
                "columns that do not change, with mixed_model",
                "Remove them, or take the method differences.",
            )
        if analysis["method"] == "full_factorial" and analysis["covariates"]:
            yield InputError(
                FILE, f"analyses.{name}.covariates", analysis["covariates"], "none with full_factorial", "Remove them."
            )
        if "seed" in analysis:
            if analysis["seed"]["contrast"] not in config["contrasts"]:
                yield unknown(f"analyses.{name}.seed.contrast", analysis["seed"]["contrast"], "contrasts")
            if analysis["seed"]["roi"] not in config["rois"]:
                yield unknown(f"analyses.{name}.seed.roi", analysis["seed"]["roi"], "rois")
    for name, parts in config["conjunctions"].items():
        for part in parts:
            if part not in config["analyses"]:
                yield unknown(f"conjunctions.{name}", part, "analyses")
        if name in config["analyses"]:
            yield InputError(FILE, f"conjunctions.{name}", name, "another name than an analysis", "Rename it.")
    for name, roi in config["rois"].items():
        if "analysis" in roi and roi["analysis"] not in config["analyses"]:
            yield unknown(f"rois.{name}.analysis", roi["analysis"], "analyses")
    craving = config.get("craving")
    if craving:
        for part in ("sessions", "arms"):
            if part not in config:
                yield InputError(FILE, part, "nothing", f"the {part}, for craving", f"Add {part}, or remove craving.")
        for roi in craving["rois"]:
            if roi not in config["rois"]:
                yield unknown("craving.rois", roi, "rois")
        for mediator in craving.get("mediation", {}).get("mediators", []):
            if mediator["roi"] not in config["rois"]:
                yield unknown("craving.mediation", mediator["roi"], "rois")
            if mediator["contrast"] not in config["contrasts"]:
                yield unknown("craving.mediation", mediator["contrast"], "contrasts")
        if craving["rois"] and craving.get("contrast") not in config["contrasts"]:
            yield unknown("craving.contrast", craving.get("contrast"), "contrasts")
    if "sensitivity" in config:
        yield from _sensitivity(config, unknown)


def _verdicts(config):
    """Analyses that could not be decided: by a statistic that is not computed, or by too few relabellings."""
    for name, analysis in config["analyses"].items():
        inference, method = analysis["inference"], analysis["method"]
        primary, least = inference["primary"], 1 / inference["permutations"]
        field = f"analyses.{name}.inference"
        if method == "full_factorial" and primary not in ("extent", "voxel"):
            yield InputError(
                FILE,
                f"{field}.primary",
                f"{primary}, for {name} of method full_factorial",
                "extent or voxel",
                f"Set analyses.{name}.inference.primary: random fields have a p of clusters' extent and of voxels alone.",
            )
        elif method == "differences" and primary in ("mass", "tfce") and primary not in inference["statistics"]:
            yield InputError(
                FILE,
                f"{field}.primary",
                f"{primary}, which statistics of {name} leaves out",
                "a statistic that is computed",
                f"Add {primary} to statistics, or name another.",
            )
        if method != "differences" and inference["variance"] == "by_arm":
            yield InputError(
                FILE,
                f"{field}.variance",
                f"by_arm, for {name} of method {method}",
                "equal, but for the method differences",
                f"Set analyses.{name}.inference.variance to equal, or take the method differences.",
            )
        if method == "differences" and least > inference["alpha"]:
            yield InputError(
                FILE,
                "inference.permutations",
                f"{inference['permutations']}, alpha {inference['alpha']:g} for {name}",
                f"more than {1 / inference['alpha']:g} relabellings",
                "Take more: no p could reach alpha.",
            )


def _sensitivity(config, unknown):
    """What the sensitivity analysis names and nothing defines, or cannot be varied."""
    asked, analyses = config["sensitivity"], config["analyses"]
    terms = {term for each in asked["covariates"].values() for term in each}
    for name, answer in asked["answers"].items():
        field = f"sensitivity.answers.{name}"
        if answer["roi"] not in config["rois"]:
            yield unknown(f"{field}.roi", answer["roi"], "rois")
        elif config["rois"][answer["roi"]]["space"] == "native":
            yield InputError(
                FILE,
                f"{field}.roi",
                f"{answer['roi']}, read in native space",
                "a region read in template space",
                "Its alternatives are maps on the template: add the same region with space: template, and name that.",
            )
        if "analysis" not in answer:
            if answer["contrast"] not in config["contrasts"]:
                yield unknown(f"{field}.contrast", answer["contrast"], "contrasts")
            if "craving" not in config:
                yield InputError(
                    FILE, "craving", "nothing", f"the craving ratings, for {field}", "Add craving, or name an analysis."
                )
            continue
        if answer["analysis"] not in analyses:
            yield unknown(f"{field}.analysis", answer["analysis"], "analyses")
            continue
        analysis = analyses[answer["analysis"]]
        if analysis["method"] != "differences":
            yield InputError(
                FILE,
                f"{field}.analysis",
                f"{answer['analysis']}, of method {analysis['method']}",
                "an analysis of method differences",
                "Name another, or add one of that method.",
            )
        for key in ("site", "predictor"):
            if analysis.get(key) in terms:
                yield InputError(
                    FILE,
                    "sensitivity.covariates",
                    analysis[key],
                    f"no {key} of {answer['analysis']}",
                    "Take it out: it is in the model anyway.",
                )
    for dimension in ("quality", "covariates"):
        if "own" in asked[dimension]:
            yield InputError(
                FILE, f"sensitivity.{dimension}", "own", "another name: own is the study's own choice", "Rename it."
            )
    for name, part in asked["quality"].items():
        for measure in part.get("exclude", []):
            # The band may be taken away by the configuration: then no scan could be excluded by it.
            if config["quality"]["bands"].get(measure, ()) is None:
                yield InputError(
                    FILE,
                    f"sensitivity.quality.{name}.exclude",
                    measure,
                    "a measure with a band",
                    f"Give limits in quality.bands.{measure}.",
                )


def _arms_and_sessions(config, name, analysis):
    """Arms and sessions that an analysis names and the study does not."""
    if "arms" in config:
        arms = [config["arms"]["treatment"], config["arms"]["control"], *config["arms"]["others"]]
        for field in ("arm", "pair"):
            for label in analysis.get("pair", []) if field == "pair" else [analysis.get("arm")]:
                if label is not None and label not in arms:
                    yield InputError(
                        FILE,
                        f"analyses.{name}.{field}",
                        label,
                        f"one of the arms: {', '.join(arms)}",
                        "Correct the name or add it to arms.others.",
                    )
    if "sessions" in config:
        sessions = config["sessions"]
        known = [sessions["baseline"], sessions["followup"], *sessions["others"]]
        for label in analysis.get("sessions", {}).values():
            if label not in known:
                yield InputError(
                    FILE,
                    f"analyses.{name}.sessions",
                    label,
                    f"one of the sessions: {', '.join(known)}",
                    "Correct the label or add it to sessions.others.",
                )


def _circles(config):
    """An analysis whose seed or search region is a cluster of an analysis ... whose seed is a cluster of the first."""
    rois, analyses = config["rois"], config["analyses"]

    def needed(name):
        part = analyses.get(name, {})
        regions = (part.get("seed", {}).get("roi"), part.get("within"))
        return {rois[region]["analysis"] for region in regions if "analysis" in rois.get(region, {})}

    for start in analyses:
        # Breadth first, each analysis with the way by which it was reached.
        ways, edge = {}, [[start]]
        while edge:
            edge = [[*way, name] for way in edge for name in sorted(needed(way[-1])) if name not in ways]
            ways |= {way[-1]: way for way in edge}
        if start in ways:
            yield InputError(
                FILE,
                f"analyses.{start}",
                " -> ".join(ways[start]),
                "a seed and a region that do not depend on the analysis",
                "Take another ROI.",
            )
