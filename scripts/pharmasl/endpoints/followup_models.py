"""The ANCOVA of the follow-up score, standardised effect sizes, and tests of equal variances."""

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from pharmasl.endpoints.endpoint import Endpoint
from pharmasl.endpoints.model_table import ModelRow, deviation, make_row
from pharmasl.statistics import arm_variances, diagnostics, effect_sizes


def _design(pairs: pd.DataFrame) -> np.ndarray:
    """Intercept, arm and centred baseline score, (n, 3)."""
    baseline = pairs["baseline"].to_numpy(np.float64)
    return np.column_stack([np.ones(len(pairs)), pairs["treated"].to_numpy(np.float64), baseline - baseline.mean()])


def ancova(endpoint: Endpoint) -> list[ModelRow]:
    """Follow-up score by arm and the (centred) baseline score, least squares with a residual variance for each arm.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    pairs, arms, n = endpoint.pairs, endpoint.arms, len(endpoint.pairs)
    terms = ("intercept", "arm", "baseline")
    if n < 4:
        return [make_row("ancova", term, "fewer than 4 participants with both sessions", n=n) for term in terms]
    design, followup = _design(pairs), pairs["followup"].to_numpy(np.float64)
    if np.linalg.matrix_rank(design) < len(terms):
        return [make_row("ancova", term, "arm and baseline score cannot be told apart", n=n) for term in terms]
    method = "least squares, a residual variance for each arm; baseline score centred on its mean"
    rows = []
    for term, weights in zip(terms, np.eye(len(terms))):
        try:
            test = arm_variances.ArmVariances(design, weights, pairs["arm"].to_numpy(str)).test(followup)
        except ValueError as error:
            return [make_row("ancova", name, f"no test: {error}", n=n) for name in terms]
        ratio = arm_variances.ratio(test.variances, treatment=arms.treatment, control=arms.control)
        row = make_row("ancova", term, method, n=n, test=test, variance_ratio=ratio)
        if term == "arm":
            row = row.without_one(diagnostics.extremes(diagnostics.estimates_without_one(design, followup, weights)))
        rows.append(row)
    return rows


def equal_variance(endpoint: Endpoint) -> list[ModelRow]:
    """Whether scores and changes have the same variance in both arms, and scores at both sessions.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    pairs, known = endpoint.pairs, endpoint.known
    groups = {"variance of change": (pairs["change"], pairs["treated"])}
    sessions = {"variance at baseline": endpoint.baseline, "variance at follow-up": endpoint.followup}
    for term, session in sessions.items():
        own = known[known["session_id"] == session]
        groups[term] = own["cue_elicited"], own["arm"] == endpoint.arms.treatment
    rows = [
        _by_arm(term, values.to_numpy(np.float64), treated.to_numpy(bool)) for term, (values, treated) in groups.items()
    ]
    return [*rows, _by_session(pairs)]


def _by_arm(term: str, values: np.ndarray, treated: np.ndarray) -> ModelRow:
    n = len(values)
    if min(treated.sum(), (~treated).sum()) < 3:
        return make_row("equal_variance", term, "fewer than 3 participants in an arm", n=n)
    residual = values - np.where(treated, values[treated].mean(), values[~treated].mean())
    _, p = diagnostics.breusch_pagan(residual, treated[:, None].astype(np.float64))
    spread = deviation(values[treated]), deviation(values[~treated])
    ratio = (spread[0] / spread[1]) ** 2 if spread[1] else np.nan
    method = "ratio of variances; Breusch-Pagan test in Koenker's form" if np.isfinite(p) else "no variation"
    return make_row("equal_variance", term, method, n=n, estimate=ratio, p=p)


def _by_session(pairs: pd.DataFrame) -> ModelRow:
    term, n, treated = "variance by session", len(pairs), pairs["treated"].to_numpy(np.float64)
    if min(treated.sum(), n - treated.sum()) < 2:
        why = "fewer than 2 participants with both sessions in an arm"
        return make_row("equal_variance", term, why, n=n)
    before, after = (pairs[name].to_numpy(np.float64) for name in ("baseline", "followup"))
    ratio, t, p = diagnostics.pitman_morgan(before, after, np.column_stack([np.ones(n), treated]))
    method = "ratio of variances; Pitman-Morgan test, adjusted for arm" if np.isfinite(p) else "no variation"
    return make_row("equal_variance", term, method, n=n, estimate=ratio, t=t, p=p, df=n - 3)


def effect_size(endpoint: Endpoint) -> list[ModelRow]:
    """Hedges' g of the arms' difference in change, and of the baseline-adjusted difference at follow-up.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    return [_size_of_change(endpoint.pairs), _size_at_followup(endpoint)]


def _size_of_change(pairs: pd.DataFrame) -> ModelRow:
    term, n = "g of change", len(pairs)
    change, treated = pairs["change"].to_numpy(np.float64), pairs["treated"].to_numpy(bool)
    enough = min(treated.sum(), n - treated.sum()) >= 2
    if not enough or not deviation(change - np.where(treated, change[treated].mean(), change[~treated].mean())):
        return make_row("effect_size", term, "fewer than 2 pairs in an arm, or no variation", n=n)
    size = effect_sizes.two_groups(change[treated], change[~treated])
    method = "Hedges' g, pooled standard deviation of the changes; interval by the noncentral t"
    return _size_row(term, size, n, method)


def _size_at_followup(endpoint: Endpoint) -> ModelRow:
    term, pairs, n = "g at follow-up", endpoint.pairs, len(endpoint.pairs)
    adjusted = next(row for row in ancova(endpoint) if row.term == "arm")
    if n - 3 < 2:
        # The bias factor exists from two degrees of freedom.
        return make_row("effect_size", term, "fewer than 5 participants with both sessions", n=n)
    if adjusted.t is None:
        return make_row("effect_size", term, adjusted.method or "", n=n)
    # The t with one residual variance for both arms; the scale turns it into estimate over residual standard deviation.
    fit = OLS(pairs["followup"].to_numpy(np.float64), _design(pairs)).fit()
    scale = float(np.sqrt(fit.scale) / fit.bse[1])
    size = effect_sizes.hedges_g(float(fit.tvalues[1]), scale, float(fit.df_resid))
    method = "Hedges' g, ANCOVA's residual standard deviation; interval by the noncentral t"
    return _size_row(term, size, n, method)


def _size_row(term: str, size: effect_sizes.StandardisedEffect, n: int, method: str) -> ModelRow:
    row = make_row("effect_size", term, method, n=n, estimate=float(size.g))
    return row.with_values(ci_low=float(size.low), ci_high=float(size.high))
