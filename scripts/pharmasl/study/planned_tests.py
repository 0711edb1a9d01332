"""What is asked of a planned result, from the study's own configuration: how its arms are compared, or a region related to a score."""

from dataclasses import dataclass

from pharmasl.errors import FilePath, InputError, did_you_mean, similar
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, PlannedCorrelation, PlannedTest
from pharmasl.study import planned_endpoints, relative_cbf
from pharmasl.study.power_assumptions import Assumptions, PlannedOutcome
from pharmasl.study.settings import Analysis, Settings

_ARM = "arm"
_CORRELATION_UNIT = "correlation"
_METHODS = {"change": CHANGE, "followup": FOLLOWUP}
_KNOWN = "a comparison of treatment and control by change or at follow-up: effect: group_by_time, or a formula with test: arm"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a planned result.

    Attributes
    ----------
    test : PlannedTest or PlannedCorrelation
        Its alpha is the error rate over the results that are corrected together: Holm's first step.
    together : int
        These results.
    measure : str
        What is tested, in words.
    unit : str
        Of the effect.
    """

    test: PlannedTest | PlannedCorrelation
    together: int
    measure: str
    unit: str


def question(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> Question:
    """What is asked of a planned result, by the configuration: its model, covariates and error rate.

    Parameters
    ----------
    outcome : PlannedOutcome
    assumptions : Assumptions
    study : Settings
        Of the planned study.

    Raises
    ------
    InputError
        If the configuration has no such analysis or answer, or this no such comparison; for a spread that is missing, in another unit,
        or of no use; for a correlation of 1 or more.
    """
    return _of_region(outcome, assumptions, study) if outcome.is_region else _of_score(outcome, assumptions, study)


def _of_region(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> Question:
    analyses = study.analyses
    field = f"outcomes.{outcome.name}.analysis"
    if outcome.answer not in analyses:
        fix = did_you_mean(similar(outcome.answer, analyses), "Name an analysis of the configuration.")
        expected = f"one of {', '.join(analyses) or 'no analysis'} ({assumptions.study})"
        raise InputError(assumptions.file, field, outcome.answer, expected, fix)
    analysis = analyses[outcome.answer]
    unit = study.quantity.unit
    if unit == relative_cbf.CBF_UNIT:
        unit = relative_cbf.unit(study.contrasts[analysis.contrast])
    _check_unit(outcome, unit, f"contrast {analysis.contrast}", assumptions)
    covariates = _first(outcome.covariates, assumptions.covariates)
    declared = sum(region.analysis is None for region in study.rois.values())
    together = _first(outcome.tests, assumptions.tests, max(declared, 1))
    assert together is not None
    own = _covariates(analysis, study, assumptions.file, field)
    method = _method(analysis)
    test = PlannedTest(
        method=method,
        covariates=own if covariates is None else covariates,
        alpha=analysis.inference.alpha / together,
        two_sided=analysis.inference.two_sided,
        # A model with the region's own baseline has one variance for all.
        by_arm=analysis.inference.variance == planned_endpoints.BY_ARM and method != ANCOVA,
    )
    return Question(test=test, together=together, measure=f"{study.quantity.measure} in the region", unit=unit)


def _of_score(outcome: PlannedOutcome, assumptions: Assumptions, study: Settings) -> Question:
    name, field = outcome.answer, f"outcomes.{outcome.name}"
    names = planned_endpoints.names(study)
    if name not in names:
        near = did_you_mean(similar(name, names), "Name one of them.")
        fix = "Write it as analysis: the effect is then of a region's values." if name in study.analyses else near
        expected = f"one of {', '.join(names) or 'no endpoint'} ({assumptions.study})"
        raise InputError(assumptions.file, f"{field}.answer", name, expected, fix)

    def refuse(stated: str, expected: str, fix: str) -> InputError:
        return InputError(assumptions.file, f"{field}.answer", stated, expected, fix)

    together = outcome.tests or planned_endpoints.together(name, study, refuse)
    alpha = planned_endpoints.error_rate(name, study) / together
    if planned_endpoints.is_relation(name, study):
        _check_relation(outcome, assumptions)
        related = planned_endpoints.relation(name, study, alpha=alpha, covariates=outcome.covariates, refuse=refuse)
        words = planned_endpoints.relation_words(name, study)
        return Question(test=related, together=together, measure=words, unit=_CORRELATION_UNIT)
    words, unit = planned_endpoints.score_words(name, study)
    if outcome.spread is None:
        fix = "Say how much the score varies, and from where you know it."
        raise InputError(assumptions.file, field, "none", "sd or within_sd, with correlation", fix)
    _check_unit(outcome, unit, name, assumptions)
    test = planned_endpoints.comparison(name, study, alpha=alpha, covariates=outcome.covariates, refuse=refuse)
    return Question(test=test, together=together, measure=words, unit=unit)


def _check_unit(outcome: PlannedOutcome, unit: str, what: str, assumptions: Assumptions) -> None:
    if outcome.spread_unit in (None, unit):
        return
    raise InputError(
        assumptions.file,
        f"outcomes.{outcome.name}",
        f"a spread in {outcome.spread_unit}",
        f"one in {unit}, of {what} of {assumptions.study}",
        "Take numbers of its own unit: sd or within_sd, with correlation.",
    )


def _check_relation(outcome: PlannedOutcome, assumptions: Assumptions) -> None:
    field = f"outcomes.{outcome.name}"
    if outcome.spread is not None:
        fix = "Take out sd, within_sd, correlation, preset and results."
        raise InputError(assumptions.file, field, "a spread", "none: a correlation has no unit", fix)
    largest = max((outcome.effect_range.high, *outcome.others))
    if largest >= 1:
        fix = "Write the correlation that is to be found, such as 0.4."
        raise InputError(assumptions.file, f"{field}.effect", f"{largest:g}", "correlations below 1", fix)


def _first(*values: int | None) -> int | None:
    """The first of several numbers that is there."""
    return next((value for value in values if value is not None), None)


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
