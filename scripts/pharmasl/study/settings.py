"""The configuration: defaults filled in, and every name it refers to found."""

import copy

from pharmasl.errors import InputError, InputErrors
from pharmasl.study import calibrations, schemas

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
    complete = copy.deepcopy(config)
    if "participants" in complete and isinstance(complete.get("craving"), dict):
        # The craving table holds those who are not among the participants asked for; they are no mistake then.
        complete["craving"].setdefault("unknown", "ignore")
    perfusion = complete.setdefault("perfusion", {})
    if isinstance(perfusion, dict) and perfusion.setdefault("calibration", "consensus") in calibrations.names():
        complete["perfusion"] = calibrations.fill(perfusion, perfusion["calibration"])
    errors = schemas.check(complete, "config", FILE, fill=True)
    if not errors:
        errors = [*_references(complete), *_circles(complete)]
    if errors:
        raise InputErrors(errors)
    for analysis in complete["analyses"].values():
        analysis["inference"] = {**complete["inference"], **analysis.get("inference", {})}
    return complete


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
        if "seed" in analysis:
            if analysis["seed"]["contrast"] not in config["contrasts"]:
                yield unknown(f"analyses.{name}.seed.contrast", analysis["seed"]["contrast"], "contrasts")
            if analysis["seed"]["roi"] not in config["rois"]:
                yield unknown(f"analyses.{name}.seed.roi", analysis["seed"]["roi"], "rois")
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
        if craving["rois"] and craving.get("contrast") not in config["contrasts"]:
            yield unknown("craving.contrast", craving.get("contrast"), "contrasts")


def _circles(config):
    """An analysis whose seed is a cluster of an analysis ... whose seed is a cluster of the first."""
    rois, analyses = config["rois"], config["analyses"]
    for start in analyses:
        seen, name = [], start
        while name in analyses and name not in seen:
            seen.append(name)
            name = rois.get(analyses[name].get("seed", {}).get("roi"), {}).get("analysis")
        if name == start:
            yield InputError(
                FILE, f"analyses.{start}.seed", " -> ".join([*seen, start]), "a seed that does not depend on the analysis",
                "Take another ROI as seed.",
            )  # fmt: skip
