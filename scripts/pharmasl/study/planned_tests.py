"""How a planned study will compare its arms in a region, from the study's own configuration."""

from pharmasl.errors import FilePath, InputError, did_you_mean, similar
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, PlannedTest
from pharmasl.study import relative_cbf
from pharmasl.study.power_assumptions import Assumptions, PlannedOutcome
from pharmasl.study.settings import Analysis, Settings

_ARM = "arm"
_METHODS = {"change": CHANGE, "followup": FOLLOWUP}
_KNOWN = "a comparison of treatment and control by change or at follow-up: effect: group_by_time, or a formula with test: arm"


def planned_test(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> PlannedTest:
    """The test of a planned result: model, covariates and error rate.

    Parameters
    ----------
    outcome : PlannedOutcome
    assumptions : Assumptions
    study : Settings
        Of the planned study.

    Returns
    -------
    PlannedTest
        Its alpha is the analysis' over the results that are corrected together: Holm's first step.

    Raises
    ------
    InputError
        If the configuration has no such analysis, or the analysis no such comparison.
    """
    analyses = study.analyses
    field = f"outcomes.{outcome.name}.analysis"
    if outcome.analysis not in analyses:
        fix = did_you_mean(similar(outcome.analysis, analyses), "Name an analysis of the configuration.")
        expected = f"one of {', '.join(analyses) or 'no analysis'} ({assumptions.study})"
        raise InputError(assumptions.file, field, outcome.analysis, expected, fix)
    analysis = analyses[outcome.analysis]
    unit = unit_of(outcome, study)
    if outcome.spread_unit not in (None, unit):
        raise InputError(
            assumptions.file,
            f"outcomes.{outcome.name}",
            f"a spread in {outcome.spread_unit}",
            f"one in {unit}, of contrast {analysis.contrast} of {assumptions.study}",
            "Take numbers of the planned contrast's own unit: sd or within_sd, with correlation.",
        )
    covariates = _covariates(analysis, study, assumptions.file, field)
    return PlannedTest(
        method=_method(analysis),
        covariates=covariates if assumptions.covariates is None else assumptions.covariates,
        alpha=analysis.inference.alpha / tests_together(assumptions, study),
        two_sided=analysis.inference.two_sided,
    )


def unit_of(outcome: PlannedOutcome, study: Settings) -> str:
    """The unit of an outcome's values: that of its analysis' contrast."""
    if study.quantity.unit != relative_cbf.CBF_UNIT:
        return study.quantity.unit
    return relative_cbf.unit(study.contrasts[study.analyses[outcome.analysis].contrast])


def tests_together(assumptions: Assumptions, study: Settings) -> int:
    """Planned results that are corrected together: as assumed, or the declared regions that are no clusters of the same data."""
    declared = sum(region.analysis is None for region in study.rois.values())
    return assumptions.tests if assumptions.tests is not None else max(declared, 1)


def _method(analysis: Analysis) -> str:
    kind = analysis.kind
    return ANCOVA if kind.takes_baseline else _METHODS[kind.outcome]


def _covariates(analysis: Analysis, study: Settings, file: FilePath, field: str) -> int:
    """Columns beside arm and baseline, a column for each term.

    Raises
    ------
    InputError
        If the analysis does not compare two arms, or not in a way that has a closed form.
    """
    formula = analysis.formula
    refusal = InputError(file, field, analysis.name, _KNOWN, "Name another analysis of the configuration.")
    if formula is None:
        if analysis.kind.name != "group_by_time":
            raise refusal
        return len(analysis.covariates) + (analysis.site is not None)
    several = len(study.arms.labels) > 2 if study.arms else True
    if formula.outcome not in _METHODS or analysis.test != _ARM or (_ARM,) not in formula.terms or several:
        raise refusal
    others = [term for term in formula.terms if term and term not in ((_ARM,), ("baseline",))]
    if any(_ARM in term or "baseline" in term for term in others):
        raise refusal
    return len(others)
