"""The configuration: defaults filled in, and every name that it refers to looked up."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pharmasl.errors import InputError, InputErrors
from pharmasl.statistics import formulas
from pharmasl.study import (
    block_checks,
    derivative_checks,
    imported_contrasts,
    known_tissue,
    named_constants,
    own_template,
    pilot,
    primary,
    references,
    schemas,
    settings,
    shared_data,
    time_encoding,
    written,
)
from pharmasl.study.derivatives import ImportedContrasts
from pharmasl.study.effect_kinds import MIXED_MODEL
from pharmasl.study.settings import Analysis, Settings

FILE = "config"
# A configuration of nothing but what the schema requires, in which one part can be checked.
_LEAST = {"bids_dir": "x", "output_dir": "y", "conditions": {"rest": {}}}


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete configuration.

    Parameters
    ----------
    config : Mapping
        As the user wrote it. It is not changed.

    Returns
    -------
    dict
        With the calibration's values and the schema's defaults, and each analysis' own inference laid over the common
        one: what :func:`pharmasl.study.settings.read` makes typed.

    Raises
    ------
    InputErrors
        With every problem at once: unknown keys, impossible values, names that nothing defines, ROIs and analyses that
        need each other in a circle.
    """
    complete = whole(config)
    if complete["blinded"]:
        # Whoever knows what an arm is called in words knows what it is.
        complete["labels"]["arms"] = {}
    return pilot.without_trial(complete) if pilot.is_pilot(complete) else complete


def whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete configuration of which a pilot loses nothing: see :func:`resolve`.

    Raises
    ------
    InputErrors
    """
    complete = _filled(config)
    named = "space" in (config.get("template") or {})
    study = settings.read(complete)
    errors = [
        *written.check(complete, FILE),
        *references.check(study),
        *time_encoding.check(study.perfusion.encodings),
        *known_tissue.check(study),
        *primary.check(study),
        *own_template.names(study.template, named, needs_tissues=study.derivatives.contrasts is None),
        *derivative_checks.check(study),
        *block_checks.check(study),
        *imported_contrasts.check(study),
    ]
    if not errors:
        errors = [*_verdicts(study), *shared_data.check(study)]
    if errors:
        raise InputErrors(errors)
    return complete


def _filled(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with all that the schema, the calibration and the common inference say where it is silent."""
    # On the command line, --config gives text for all that stands in braces.
    complete = schemas.as_wanted(copy.deepcopy(dict(config)), "config")
    written.expand_paths(complete)
    written.bare_labels(complete)
    if "participants" in complete and isinstance(complete.get("craving"), dict):
        # The craving table holds those who are not among the participants asked for; they are no mistake then.
        complete["craving"].setdefault("unknown", "ignore")
    endpoints = complete.get("endpoints")
    for endpoint in endpoints.values() if "participants" in complete and isinstance(endpoints, dict) else ():
        if isinstance(endpoint, dict):
            endpoint.setdefault("unknown", "ignore")
    perfusion = complete.setdefault("perfusion", {})
    if isinstance(perfusion, dict) and perfusion.setdefault("calibration", "consensus") in named_constants.names():
        complete["perfusion"] = named_constants.fill(perfusion, perfusion["calibration"])
    _take_mixed_models(complete.get("analyses"))
    imports = _imports_contrasts(complete)
    errors = schemas.check(complete, "config", FILE, fill=True)
    if errors:
        raise InputErrors(errors)
    if imports:
        complete |= _imported(complete["derivatives"]["contrasts"])
    complete["contrasts"] = _contrasts(complete["contrasts"])
    if "primary" in complete:
        complete["primary"].setdefault("alpha", complete["inference"]["alpha"])
    errors += _unreadable(complete["analyses"])
    for endpoint in complete["endpoints"].values():
        endpoint.setdefault("alpha", complete["inference"]["alpha"])
    for name, analysis in complete["analyses"].items():
        own = analysis.get("inference", {})
        # What an analysis says of its own inference follows the common one's rules.
        errors += [
            InputError(FILE, f"analyses.{name}.{error.field}", error.found, error.expected, error.fix)
            for error in schemas.check({**_LEAST, "inference": own}, "config", FILE)
        ]
        if not errors:
            common = complete["inference"]
            analysis["inference"] = {**common, **own, "tfce": {**common["tfce"], **own.get("tfce", {})}}
    if errors:
        raise InputErrors(errors)
    return complete


def _imports_contrasts(complete: dict[str, Any]) -> bool:
    """Whether contrast maps come from another program; conditions then stand in, in place, for the schema.

    Raises
    ------
    InputErrors
        If conditions or contrasts of scans are named beside.
    """
    derivatives = complete.get("derivatives")
    wanted = derivatives.get("contrasts") if isinstance(derivatives, dict) else None
    if not isinstance(derivatives, dict) or not isinstance(wanted, dict):
        return False
    expected = "nothing, with derivatives.contrasts, which takes the place of all that comes before the group analyses"
    beside = [name for name in ("conditions", "contrasts") if complete.get(name)]
    if beside := [*beside, *(f"derivatives.{name}" for name in derivatives if name != "contrasts")]:
        fix = "Take it out: a study is of scans or of ready-made contrast maps."
        raise InputErrors([InputError(FILE, name, "a section", expected, fix) for name in beside])
    if "dir" in wanted:
        complete.setdefault("bids_dir", wanted["dir"])
    complete["conditions"] = _LEAST["conditions"]
    return True


def _imported(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions and contrasts of a study of ready-made contrast maps: each map is of one condition, of its own name.

    Raises
    ------
    InputErrors
        If the table that names the contrasts cannot be read.
    """
    try:
        names = imported_contrasts.names(settings.build(ImportedContrasts, wanted))
    except InputError as error:
        raise InputErrors([error]) from None
    return {"conditions": {name: {} for name in names}, "contrasts": {name: {name: 1} for name in names}}


def _contrasts(written_contrasts: Mapping[str, Any]) -> dict[str, Any]:
    """Contrasts in their long form, with the schema's scaling where weights alone were written."""
    long_forms = {
        name: contrast if isinstance(contrast.get("weights"), dict) else {"weights": contrast}
        for name, contrast in written_contrasts.items()
    }
    schemas.check({**_LEAST, "contrasts": long_forms}, "config", FILE, fill=True)
    return long_forms


def _take_mixed_models(analyses: Any) -> None:
    """The method of a formula whose rows are scans, where none is stated: there is no other."""
    for analysis in analyses.values() if isinstance(analyses, dict) else ():
        model = analysis.get("model") if isinstance(analysis, dict) else None
        if isinstance(model, str) and model.split("~")[0].strip() == "cbf":
            analysis.setdefault("method", MIXED_MODEL)


def _unreadable(analyses: Mapping[str, Mapping[str, Any]]) -> Iterator[InputError]:
    """What is no formula; nothing can be looked up of an analysis whose formula cannot be read."""
    for name, analysis in analyses.items():
        if "model" in analysis:
            try:
                formulas.parse(analysis["model"], FILE, f"analyses.{name}.model")
            except InputError as error:
                yield error


def _verdicts(study: Settings) -> Iterator[InputError]:
    """Analyses that could not be decided: by a statistic that is not computed, or by too few relabellings."""
    for name, analysis in study.analyses.items():
        yield from _verdict(name, analysis)


def _verdict(name: str, analysis: Analysis) -> Iterator[InputError]:
    inference, method = analysis.inference, analysis.method
    deciding, least = inference.primary, 1 / inference.permutations
    field = f"analyses.{name}.inference"
    if method == "full_factorial" and deciding not in ("extent", "voxel"):
        yield InputError(
            FILE,
            f"{field}.primary",
            f"{deciding}, for {name} of method full_factorial",
            "extent or voxel",
            f"Set analyses.{name}.inference.primary: random fields have a p of clusters' extent and of voxels alone.",
        )
    elif method == "differences" and deciding in ("mass", "tfce") and deciding not in inference.statistics:
        yield InputError(
            FILE,
            f"{field}.primary",
            f"{deciding}, which statistics of {name} leaves out",
            "a statistic that is computed",
            f"Add {deciding} to statistics, or name another.",
        )
    if method != "differences" and inference.variance == "by_arm":
        yield InputError(
            FILE,
            f"{field}.variance",
            f"by_arm, for {name} of method {method}",
            "equal, but for the method differences",
            f"Set analyses.{name}.inference.variance to equal, or take the method differences.",
        )
    if method == "differences" and least > inference.alpha:
        yield InputError(
            FILE,
            "inference.permutations",
            f"{inference.permutations}, alpha {inference.alpha:g} for {name}",
            f"more than {1 / inference.alpha:g} relabellings",
            "Take more: no p could reach alpha.",
        )
