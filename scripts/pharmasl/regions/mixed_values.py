"""A mixed model of all scans fitted to regions' values: the scans that a region lacks are left out of it.

Fits and degrees of freedom are those of :mod:`pharmasl.group.scan_models`. The model of a formula is corrected over the regions by the
largest z in each relabelling of whole participants, as its maps are (:mod:`pharmasl.group.reallocation_inference`), regions with
missing scans among the others; one that too few scans have takes its share of the error by Bonferroni's inequality (see
:mod:`pharmasl.regions.value_models`). The named effect, and too few participants for flips of signs, have no relabellings: Holm's method.
"""

import dataclasses

import numpy as np
from scipy import special

from pharmasl.group import reallocation_inference, scan_definitions, scan_models
from pharmasl.group.engine import maxima, reallocation, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.reallocation import Reallocation
from pharmasl.group.model import Model
from pharmasl.group.scan_models import Patterns
from pharmasl.regions import value_models, value_permutations
from pharmasl.regions.value_models import BONFERRONI, HOLM, MAX_T, Estimate, Family, RegionTest, Values
from pharmasl.statistics import multiplicity
from pharmasl.statistics.detectable_effects import t_of_z
from pharmasl.statistics.t_tests import t_test
from pharmasl.study.effect_kinds import FORMULA
from pharmasl.study.settings import Inference


def test(model: Model, values: Values, inference: Inference, tested: np.ndarray) -> Family:
    """Test a mixed model in every region.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are scans; a random intercept for each participant.
    values : Values
    inference : pharmasl.study.settings.Inference
    tested : ndarray of bool, shape (R,)
        Regions whose p counts.

    Returns
    -------
    Family
    """
    known = np.isfinite(values.outcome)
    fitted = [_region(model, values.outcome[:, k], known[:, k], inference) for k in range(values.outcome.shape[1])]
    own = np.flatnonzero(np.isfinite([one.p for one in fitted]) & tested)
    p_holm, corrected = np.full((2, len(fitted)), np.nan)
    p_holm[own] = multiplicity.holm([fitted[k].p for k in own])
    family = Family(tests=(), size=len(own), complete=int(known[:, own].all(axis=0).sum()))
    by, critical = np.full(len(fitted), HOLM, dtype=object), np.full(len(fitted), np.nan)
    critical[own] = [value_models.bonferroni_t(fitted[k].df, len(own), inference) for k in own]
    corrected[own] = p_holm[own]
    if model.kind.name == FORMULA and len(own) and reallocation_inference.is_relabelled(model):
        corrected[own] = [fitted[k].p * len(own) for k in own]
        by[own] = BONFERRONI
        relabelled, p, null, number, smallest = _max_t(model, values.outcome[:, own], inference)
        family = dataclasses.replace(family, relabellings=number, smallest_p=smallest)
        if relabelled.any():
            share = len(own) / int(relabelled.sum())
            corrected[own[relabelled]] = p * share
            by[own[relabelled]] = MAX_T
            height = maxima.critical_value(null, inference.alpha / share)
            critical[own[relabelled]] = [t_of_z(height, fitted[k].df) for k in own[relabelled]]
    tests = list(fitted)
    for k in own:
        tests[k] = dataclasses.replace(
            fitted[k],
            p_corrected=float(min(corrected[k], 1.0)),
            corrected_by=str(by[k]),
            p_holm=float(p_holm[k]),
            critical=float(critical[k]),
        )
    return dataclasses.replace(family, tests=tuple(tests))


def _region(model: Model, values: np.ndarray, rows: np.ndarray, inference: Inference) -> RegionTest:
    """The test of one region, of the scans that have a value."""
    part = model.of_rows(rows)
    people = list(dict.fromkeys(part.participants))
    if not people:
        return RegionTest(participants=[], note="not tested: no scan covers the region")
    note = f"{int((~rows).sum())} scans without a value of the region" if not rows.all() else None
    names = model.effects or (" - ".join(model.tested),)
    try:
        estimates = tuple(
            _estimate(part, values[rows], weights, name, inference) for name, weights in zip(names, model.weights)
        )
        whole = _fitted(part, values[rows], model.weights, inference)
    except ValueError as error:
        return RegionTest(participants=people, note=f"not tested: {error}")
    if not np.isfinite(whole.statistic[0]):
        return RegionTest(participants=people, note="not tested: no residual variation is left")
    p = float(whole.p[0]) if model.is_joint else estimates[0].p
    return RegionTest(
        participants=people,
        estimates=estimates,
        statistic="F" if model.is_joint else "t",
        value=float(whole.statistic[0]),
        df_effect=len(model.weights),
        df=float(whole.df[0]),
        p=p,
        note=note,
    )


def _fitted(model: Model, values: np.ndarray, weights: np.ndarray, inference: Inference) -> scan_models.Estimates:
    return scan_models.fit(
        values[:, None], model.matrix, weights, model.participants, method=inference.degrees_of_freedom
    )


def _estimate(model: Model, values: np.ndarray, weights: np.ndarray, name: str, inference: Inference) -> Estimate:
    """One tested effect with its interval."""
    fitted = _fitted(model, values, weights[None], inference)
    effect, t, df = float(fitted.effects[0, 0]), float(fitted.statistic[0]), float(fitted.df[0])
    se = effect / t if t else np.nan
    own = t_test(effect, se, df, 1 - inference.alpha)
    p = float(special.stdtr(df, -abs(t)) * 2 if inference.two_sided or model.is_joint else special.stdtr(df, -t))
    return Estimate(name=name, value=effect, se=se, low=own.ci_low, high=own.ci_high, t=t, p=p)


def _max_t(
    model: Model, outcome: np.ndarray, inference: Inference
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, float]:
    """Which regions enough scans have (R,), family-wise p of these, the largest z of each relabelling, the number of relabellings,
    and the smallest p they allow.
    """
    scheme = reallocation_inference.relabelled_scans(model, inference)
    two_sided = inference.two_sided and not model.is_joint
    _, participant = scan_definitions.people(model)
    patterns = Patterns.from_maps(outcome)
    usable = patterns.usable(model.matrix, participant)[patterns.number]
    number, smallest = scheme.number, scheme.smallest_p(two_sided)
    if not usable.any():
        return usable, np.empty(0), np.empty(0), number, smallest
    data, patterns = np.ascontiguousarray(outcome[:, usable]), patterns.within(usable)
    prepared = reallocation.prepare(
        lambda start, stop: data[:, start:stop],
        data.shape[1],
        scheme,
        None if patterns.complete else (patterns.kinds, patterns.number),
    )
    relabelled = Reallocation(prepared)
    threshold = float(-special.ndtri(inference.cluster_forming_p))
    null = relabelled.null(value_permutations.apart(data.shape[1]), MaximumStatistics(threshold=threshold))
    heights = relabelled.observed()
    searched = np.abs(heights) if two_sided else np.maximum(heights, 0)
    largest = null.largest_t(two_sided)
    return usable, maxima.family_wise_p(searched, largest, tfce.TIE), largest, number, smallest
