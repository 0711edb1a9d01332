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

import numpy as np

from pharmasl.endpoints import correlations
from pharmasl.endpoints import scores as scoring
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.statistics.bootstrap import Bootstrap

COLUMNS = {
    "effect": {
        "Description": "What is estimated. Exploratory: only the arm was randomised, and no interval tests the assumption "
        "that nothing else moves a mediator and craving together",
        "Levels": {
            "total": "Treatment minus control, change of cue-elicited craving",
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
    "m1": "First mediator: change of CBF of this region and contrast",
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


def paths(x, mediators, y, covariates):
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
    base = [np.ones_like(x), *np.moveaxis(covariates, -2, 0)]

    def slopes(outcome, *tested):
        # Centred and scaled to one length, so that the test of dependence does not hang on units.
        columns = np.stack([*tested, *base[1:]], axis=-1)
        columns = columns - columns.mean(axis=-2, keepdims=True)
        length = np.sqrt((columns**2).sum(axis=-2, keepdims=True))
        columns = columns / np.where(length > 0, length, 1)
        gram = np.swapaxes(columns, -1, -2) @ columns
        sound = np.linalg.det(gram) > 1e-10
        gram = np.where(sound[..., None, None], gram, np.eye(gram.shape[-1]))
        moment = np.swapaxes(columns, -1, -2) @ (outcome - outcome.mean(axis=-1, keepdims=True))[..., None]
        found = np.linalg.solve(gram, moment)[..., 0] / np.where(length > 0, length, 1)[..., 0, :]
        return np.where(sound[..., None], found, np.nan)[..., : len(tested)]

    total = slopes(y, x)[..., 0]
    if len(mediators) == 1:
        a = slopes(mediators[0], x)[..., 0]
        direct, b = np.moveaxis(slopes(y, x, mediators[0]), -1, 0)
        return {
            "total": total,
            "direct": direct,
            "indirect": a * b,
            "arm -> m1": a,
            "m1 -> craving": b,
            "arm -> m1 -> craving": a * b,
        }
    a1 = slopes(mediators[0], x)[..., 0]
    a2, d = np.moveaxis(slopes(mediators[1], x, mediators[0]), -1, 0)
    direct, b1, b2 = np.moveaxis(slopes(y, x, *mediators), -1, 0)
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


def mediate(x, mediators, y, covariates, rng, resamples=9999, level=0.95):
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
    dict of str to (estimate, percentile_low, percentile_high, bca_low, bca_high)
        Intervals are NaN where an effect is undefined in more than 5 % of the samples.
    """
    arrays = {}

    def at(index):
        arrays.update(
            paths(x[index], [m[index] for m in mediators], y[index], np.moveaxis(covariates[:, index], 0, -2))
        )
        return np.stack(list(arrays.values()))

    drawn = Bootstrap(at, x, resamples, rng)
    ends = np.column_stack([drawn.estimates, drawn.intervals("percentile", level), drawn.intervals("BCa", level)])
    return {name: tuple(row) for name, row in zip(arrays, ends.tolist())}


def analyse(scores, cbf, defined, craving, arms, sessions):
    """The mediation that ``craving["mediation"]`` asks for.

    Parameters
    ----------
    scores, cbf, defined, arms, sessions
        As for ``correlations.analyse``.
    craving : dict
        ``mediation``: ``{"mediators": [{"roi": name, "contrast": name}, ...]}``, one or two, in the order of the
        chain. Optional ``covariates``, ``resamples``, ``seed``.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    asked = craving["mediation"]["mediators"]
    sample = correlations.Sample(scores, craving, arms, sessions)
    changes = [sample.change(cbf[each["roi"], each["contrast"]]) for each in asked]
    y = sample.change(sample.elicited)
    keep = np.isfinite(y) & np.isfinite(sample.covariates).all(axis=0)
    for change in changes:
        keep &= np.isfinite(change)
    names = [f"{each['roi']} ({each['contrast']})" for each in asked]
    shared = {
        "m1": names[0],
        "m2": names[1] if len(names) > 1 else None,
        "n": int(keep.sum()),
        "roi_defined_by_same_data": any(defined[each["roi"]] for each in asked),
    }
    x = (sample.arm[keep] == arms["treatment"]).astype(float)
    covariates = sample.covariates[:, keep]
    covariates = covariates[np.ptp(covariates, axis=1) > 0] if keep.any() else covariates[:0]
    least = 4 + len(asked) + len(covariates)
    if keep.sum() < least or min((x == 0).sum(), (x == 1).sum()) < 2:
        note = f"fewer than {least} participants with all values, or fewer than 2 in an arm"
        return [{"effect": "total", **shared, "note": note}]
    rng = np.random.default_rng([int(craving.get("seed", 20200218)), 0x6D65])
    found = mediate(
        x,
        [change[keep] for change in changes],
        y[keep],
        covariates,
        rng,
        int(craving.get("resamples", 9999)),
    )
    fields = ("estimate", "percentile_low", "percentile_high", "bca_low", "bca_high")
    rows = []
    for name, values in found.items():
        note = None
        if math.isnan(values[0]):
            note = "the regressions have dependent columns"
        elif math.isnan(values[1]):
            note = "no interval: undefined in too many bootstrap samples"
        rows.append({"effect": name, **dict(zip(fields, values)), **shared, "note": note})
    return rows


def write_mediation(scores_path, values_paths, sidecar_paths, table_path, craving, arms, sessions):
    """Read scores and regional values and write the mediation's table.

    Parameters
    ----------
    scores_path, table_path : path-like
    values_paths, sidecar_paths : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json`` of the mediators' regions, in one order.
    craving, arms, sessions : dict
        See :func:`analyse`.

    Raises
    ------
    InputError
        If a mediator has no values.
    """
    cbf, defined = correlations.read_values(values_paths, sidecar_paths)
    for each in craving["mediation"]["mediators"]:
        if (each["roi"], each["contrast"]) not in cbf:
            raise InputError(
                "config",
                "craving.mediation",
                f"{each['roi']}, {each['contrast']}",
                f"one of {sorted(cbf)}",
                "Correct it.",
            )
    columns = {name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()}
    for name in ("percentile_low", "percentile_high", "bca_low", "bca_high"):
        columns[name].update(
            BootstrapSamples=int(craving.get("resamples", 9999)),
            Seed=int(craving.get("seed", 20200218)),
        )
    rows = analyse(scoring.read_written(scores_path), cbf, defined, craving, arms, sessions)
    tables.write_table(table_path, rows, columns)
