"""Does treatment act on craving by way of regional CBF? An exploratory mediation analysis of changes.

Two mediators in series: the arm (X) changes one region's CBF (M1), that changes another's, or the cue response (M2),
and that changes craving (Y). Three least-squares regressions, covariates in each::

    M1 = . + a1 X
    M2 = . + a2 X + d M1
    Y  = . + c' X + b1 M1 + b2 M2

give the indirect effects ``a1 d b2`` (the chain), ``a1 b1`` and ``a2 b2`` (each region alone) and their sum; the total
effect is c' plus that sum, exactly. With one mediator M: ``a b``. A product of two coefficients is not normal, so its
intervals come from the bootstrap (Preacher & Hayes 2008, doi 10.3758/BRM.40.3.879). In small samples they are somewhat
too short where one of the two paths is nil: with 43 participants the percentile interval excludes 0 in 7 % of trials and
the BCa interval in 9 % in place of 5 % (benchmarks/craving.py; Fritz et al. 2012, doi 10.1177/0049124112440795). The
percentile interval is therefore the one to read.

Only the arm was randomised. That M changes Y rather than Y changing M, or something else changing both, is an
assumption that no interval tests (sequential ignorability; Imai et al. 2010, doi 10.1037/a0020761): all of it is
exploratory.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pharmasl.endpoints import endpoint
from pharmasl.endpoints.regional_values import RegionalValues, Sample, read_values
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.statistics.bootstrap import Bootstrap
from pharmasl.study import settings

COLUMNS = {
    "effect": {
        "Description": "What is estimated. Exploratory: only the arm was randomised, and no interval tests the assumption "
        "that nothing else moves a mediator and craving together",
        "Levels": {
            "total": "Treatment minus control, change in cue-elicited craving",
            "direct": "What of it the mediators leave (c')",
            "indirect": "All that goes by way of the mediators: total minus direct",
            "arm -> m1": "Treatment minus control, change of the first mediator (a1)",
            "arm -> m2": "The same of the second mediator at equal first mediator (a2)",
            "m1 -> m2": "Slope of the second mediator on the first (d)",
            "m1 -> craving": "Slope of craving on the first mediator (b1)",
            "m2 -> craving": "Slope of craving on the second mediator (b2)",
            "arm -> m1 -> craving": "a1 b1",
            "arm -> m2 -> craving": "a2 b2",
            "arm -> m1 -> m2 -> craving": "a1 d b2",
        },
    },
    "m1": "First mediator: change in CBF of this region and contrast",
    "m2": "Second mediator, n/a without one",
    "estimate": "Estimate, in points of craving, mL/100 g/min, or their ratio",
    "percentile_low": "Lower end of the 95 % percentile bootstrap interval (participants within arms), the one to read",
    "percentile_high": "Upper end",
    "bca_low": "Lower end of the 95 % BCa bootstrap interval, which excludes 0 too often where one path is nil",
    "bca_high": "Upper end",
    "n": "Participants with all values",
    "roi_defined_by_same_data": "true: a mediator is a cluster of an analysis of this trial. If its map tested the arm, "
    "its path from the arm is too large by selection",
    "note": "Why a value is n/a",
}


def _slopes(outcome: np.ndarray, tested: Sequence[np.ndarray], covariates: np.ndarray) -> np.ndarray:
    """Least-squares slopes of an outcome (..., n) on the tested variables, (..., tested), an intercept and the covariates.

    NaN where the columns are dependent.
    """
    # Centred and scaled to one length, so that the test of dependence does not depend on units.
    columns = np.stack([*tested, *np.moveaxis(covariates, -2, 0)], axis=-1)
    columns = columns - columns.mean(axis=-2, keepdims=True)
    length = np.sqrt((columns**2).sum(axis=-2, keepdims=True))
    columns = columns / np.where(length > 0, length, 1)
    gram = np.swapaxes(columns, -1, -2) @ columns
    sound = np.linalg.det(gram) > 1e-10
    gram = np.where(sound[..., None, None], gram, np.eye(gram.shape[-1]))
    moment = np.swapaxes(columns, -1, -2) @ (outcome - outcome.mean(axis=-1, keepdims=True))[..., None]
    slopes = np.linalg.solve(gram, moment)[..., 0] / np.where(length > 0, length, 1)[..., 0, :]
    return np.where(sound[..., None], slopes, np.nan)[..., : len(tested)]


def paths(
    x: np.ndarray, mediators: Sequence[np.ndarray], y: np.ndarray, covariates: np.ndarray
) -> dict[str, np.ndarray]:
    """Path coefficients and their products by least squares; vectorised over leading axes.

    Parameters
    ----------
    x : ndarray of shape (..., n)
        The arm, 0 and 1.
    mediators : sequence of one or two ndarrays of shape (..., n)
    y : ndarray of shape (..., n)
    covariates : ndarray of shape (..., k, n)

    Returns
    -------
    dict of str to ndarray of shape (...)
        The effects of :data:`COLUMNS` in its order; NaN where a regression has dependent columns.
    """
    total = _slopes(y, [x], covariates)[..., 0]
    a1 = _slopes(mediators[0], [x], covariates)[..., 0]
    if len(mediators) == 1:
        direct, b = np.moveaxis(_slopes(y, [x, mediators[0]], covariates), -1, 0)
        return {
            "total": total,
            "direct": direct,
            "indirect": a1 * b,
            "arm -> m1": a1,
            "m1 -> craving": b,
            "arm -> m1 -> craving": a1 * b,
        }
    a2, d = np.moveaxis(_slopes(mediators[1], [x, mediators[0]], covariates), -1, 0)
    direct, b1, b2 = np.moveaxis(_slopes(y, [x, *mediators], covariates), -1, 0)
    return {
        "total": total,
        "direct": direct,
        "indirect": a1 * b1 + a2 * b2 + a1 * d * b2,
        "arm -> m1": a1,
        "arm -> m2": a2,
        "m1 -> m2": d,
        "m1 -> craving": b1,
        "m2 -> craving": b2,
        "arm -> m1 -> craving": a1 * b1,
        "arm -> m2 -> craving": a2 * b2,
        "arm -> m1 -> m2 -> craving": a1 * d * b2,
    }


@dataclass(frozen=True)
class MediatedEffect:
    """An effect with its bootstrap intervals, NaN where it is undefined in more than 5 % of the samples."""

    estimate: float
    percentile_low: float
    percentile_high: float
    bca_low: float
    bca_high: float


def mediate(
    x: np.ndarray,
    mediators: Sequence[np.ndarray],
    y: np.ndarray,
    covariates: np.ndarray,
    rng: np.random.Generator,
    resamples: int,
    level: float = 0.95,
) -> dict[str, MediatedEffect]:
    """All effects with their bootstrap intervals.

    Parameters
    ----------
    x : ndarray of shape (n,)
        1 treatment, 0 control.
    mediators : sequence of one or two ndarrays of shape (n,)
    y : ndarray of shape (n,)
    covariates : ndarray of shape (k, n)
    rng : numpy.random.Generator
    resamples : int
        Bootstrap samples: participants, whole rows, within arms.
    level : float

    Returns
    -------
    dict of str to MediatedEffect
        By the effects of :data:`COLUMNS`.
    """

    def effects(index: np.ndarray) -> dict[str, np.ndarray]:
        chosen = [mediator[index] for mediator in mediators]
        return paths(x[index], chosen, y[index], np.moveaxis(covariates[:, index], 0, -2))

    drawn = Bootstrap(lambda index: np.stack(list(effects(index).values())), x, resamples, rng)
    ends = np.column_stack([drawn.estimates, drawn.intervals("percentile", level), drawn.intervals("BCa", level)])
    return {name: MediatedEffect(*row) for name, row in zip(effects(np.arange(len(x))), ends.tolist())}


def analyse(
    scores: pd.DataFrame,
    values: RegionalValues,
    asked: settings.MediationAnalysis,
    arms: settings.Arms,
    sessions: settings.SessionPair,
) -> pd.DataFrame:
    """The mediation of the arm's effect on craving by the declared mediators.

    Parameters
    ----------
    scores : DataFrame
        Craving scores as ``endpoint.frame`` gives them, with the covariates.
    values : RegionalValues
    asked : MediationAnalysis
    arms : Arms
    sessions : SessionPair

    Returns
    -------
    DataFrame
        Columns of :data:`COLUMNS`.
    """
    declared = asked.mediation.mediators
    sample = Sample(scores, asked.covariates, arms, sessions)
    changes = [sample.change(values.cbf[mediator.roi, mediator.contrast]) for mediator in declared]
    y = sample.change(sample.scores)
    keep = np.isfinite(y) & np.isfinite(sample.covariates).all(axis=0) & np.isfinite(changes).all(axis=0)
    names = [f"{mediator.roi} ({mediator.contrast})" for mediator in declared]
    shared = {
        "m1": names[0],
        "m2": names[1] if len(names) > 1 else None,
        "n": int(keep.sum()),
        "roi_defined_by_same_data": any(values.defined_by_data[mediator.roi] for mediator in declared),
    }
    x, covariates = (sample.arm[keep] == arms.treatment).astype(np.float64), sample.adjustment(keep)
    least = 4 + len(declared) + len(covariates)
    if keep.sum() < least or min((x == 0).sum(), (x == 1).sum()) < 2:
        note = f"fewer than {least} participants with all values, or fewer than 2 in an arm"
        return _frame([{"effect": "total", **shared, "note": note}])
    rng = np.random.default_rng([asked.seed, 0x6D65])
    effects = mediate(x, [change[keep] for change in changes], y[keep], covariates, rng, asked.resamples)
    return _frame({"effect": name, **vars(effect), **shared, "note": _note(effect)} for name, effect in effects.items())


def _note(effect: MediatedEffect) -> str | None:
    if math.isnan(effect.estimate):
        return "the regressions have dependent columns"
    return "no interval: undefined in too many bootstrap samples" if math.isnan(effect.percentile_low) else None


def _frame(rows: Iterable[Mapping[str, str | float | None]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS), dtype=object)


def write_mediation(
    scores_path: FilePath,
    values_paths: Sequence[FilePath],
    sidecar_paths: Sequence[FilePath],
    table_path: FilePath,
    asked: settings.MediationAnalysis,
    arms: settings.Arms,
    sessions: settings.SessionPair,
) -> None:
    """Read scores and regional values and write the mediation's table.

    Parameters
    ----------
    scores_path, table_path : path-like
    values_paths, sidecar_paths : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json`` of the mediators' regions, in the same order.
    asked : MediationAnalysis
    arms : Arms
    sessions : SessionPair

    Raises
    ------
    InputError
        If a mediator has no values.
    """
    values = read_values(values_paths, sidecar_paths)
    for mediator in asked.mediation.mediators:
        if (mediator.roi, mediator.contrast) not in values.cbf:
            raise InputError(
                file="config",
                field="craving.mediation",
                found=f"{mediator.roi}, {mediator.contrast}",
                expected=f"one of {sorted(values.cbf)}",
                fix="Correct it.",
            )
    columns = {name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()}
    for name in ("percentile_low", "percentile_high", "bca_low", "bca_high"):
        columns[name] |= {"BootstrapSamples": asked.resamples, "Seed": asked.seed}
    table = analyse(endpoint.read_scores(scores_path), values, asked, arms, sessions)
    tables.write_table(table_path, tables.records(table), columns)
