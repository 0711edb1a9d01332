"""What the formula of an analysis names and nothing defines, and what cannot stand together in one."""

from collections.abc import Iterator, Mapping
from typing import Any

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.statistics.formulas import Formula
from pharmasl.study.effect_kinds import CBF, CHANGE, FOLLOWUP, MIXED_MODEL
from pharmasl.study.settings import Analysis, Settings

FILE = "config"


def check(study: Settings, analysis: Analysis, formula: Formula) -> Iterator[InputError]:
    """What is wrong with an analysis' formula before any table is read.

    Parameters
    ----------
    study : Settings
        Its references need not exist.
    analysis : Analysis
    formula : pharmasl.statistics.formulas.Formula

    Yields
    ------
    InputError
    """
    field = f"analyses.{analysis.name}"
    for contrast in formula.contrasts:
        yield from _unknown(f"{field}.model", contrast, study.contrasts, "contrasts")
    for region, _ in formula.regions:
        yield from _unknown(f"{field}.model", region, study.rois, "rois")
    if study.blinded and formula.visits:
        yield InputError(
            FILE,
            "blinded",
            f"true, with visit({formula.visits[0]}) in {field}.model",
            "no column of sessions in a blinded run: it may tell the treatment, and the sham allocation deals arms alone",
            "Take the analysis out until the run is unblinded.",
        )
    yield from _other_keys(field, analysis)
    yield from _rows(field, analysis, formula)


def _unknown(field: str, name: str, known: Mapping[str, Any], kind: str) -> Iterator[InputError]:
    if name not in known:
        hint = did_you_mean(similar(name, known), f"Correct the name or add it to {kind}.")
        yield InputError(FILE, field, name, f"one of the {kind}: {', '.join(known) or 'none'}", hint)


def _other_keys(field: str, analysis: Analysis) -> Iterator[InputError]:
    """Keys of the named effects, which a formula says itself."""
    stated = {
        "covariates": list(analysis.covariates),
        "predictor": analysis.predictor,
        "pair": analysis.pair,
        "seed": analysis.seed,
    }
    for key, value in stated.items():
        if value:
            yield InputError(FILE, f"{field}.{key}", value, "a formula that says it", f"Write it in {field}.model.")
    if analysis.inference.variance == "by_arm":
        yield InputError(
            FILE,
            f"{field}.inference.variance",
            "by_arm, with a formula",
            "equal: variances by arm are those of the named effects",
            f"Set {field}.inference.variance to equal, or name the effect.",
        )


def _rows(field: str, analysis: Analysis, formula: Formula) -> Iterator[InputError]:
    """What goes with one row per participant, and what with one per scan."""
    of_scans = formula.outcome == CBF
    if (analysis.method == MIXED_MODEL) != of_scans or analysis.method == "full_factorial":
        yield InputError(
            FILE,
            f"{field}.method",
            f"{analysis.method}, for {formula.outcome} ~",
            "mixed_model for cbf ~, differences for change, followup and baseline",
            "Leave the method out.",
        )
    groups = [term.group for term in formula.random]
    if of_scans != ("participant" in groups):
        yield formula.refusal(
            formula.text,
            "(1 | participant) with cbf, whose rows are scans, and with no other outcome",
            "Add it, or explain change, followup or baseline.",
        )
    if strange := [str(term) for term in formula.random if term.group != "participant" or term.slopes]:
        yield formula.refusal(
            ", ".join(strange),
            "(1 | participant), the one random effect of whole-brain models",
            "Take it out; a site is held by site: <column>, whose levels are terms and blocks.",
        )
    if not of_scans and (
        alone := [name for name in ("session", *formula.visits) if name in (*formula.variables, *formula.visits)]
    ):
        yield formula.refusal(
            ", ".join(alone), "terms of participants, for one row per participant", "Explain cbf, or take the term out."
        )
    if of_scans and formula.maps:
        yield formula.refusal(
            ", ".join(formula.maps),
            "no maps among the terms of cbf: mixed models take numbers alone",
            "Explain change or followup, or take the region's value by roi(region, contrast).",
        )
    if not of_scans and "baseline" in formula.maps and formula.outcome not in (CHANGE, FOLLOWUP):
        yield formula.refusal(
            f"{formula.outcome} ~ ... baseline", "followup (or change) adjusted for the baseline", "Explain followup."
        )
    if analysis.constrained_baseline and not (of_scans and {"arm", "session"} <= set(formula.variables)):
        yield InputError(
            FILE,
            f"{field}.constrained_baseline",
            True,
            "a model of cbf by arm * session",
            "Write cbf ~ arm * session + (1 | participant), or take it out.",
        )
