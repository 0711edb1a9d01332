"""Descriptive statistics of craving by arm and session, and the paired t test of its change within each arm."""

import math
from typing import Any

import numpy as np

from pharmasl.endpoints.endpoint import Endpoint
from pharmasl.endpoints.model_table import ModelRow, deviation, make_row
from pharmasl.statistics import diagnostics, effect_sizes
from pharmasl.statistics.t_tests import t_test


def descriptive(endpoint: Endpoint, rating: str = "cue_elicited", analysis: str = "descriptive") -> list[ModelRow]:
    """Mean and standard deviation of cue-elicited craving, or of a rating, by arm and session; missing ones counted.

    Parameters
    ----------
    endpoint : Endpoint
    rating : str
        ``cue_elicited``, ``before`` or ``after``.
    analysis : str
        Name of the rows' analysis.

    Returns
    -------
    list of ModelRow
    """
    rows = []
    for arm in (endpoint.arms.treatment, endpoint.arms.control):
        for session in (endpoint.baseline, endpoint.followup):
            all_values = endpoint.at(arm, session, rating)
            values = all_values.dropna().to_numpy(np.float64)
            n = len(values)
            where: dict[str, Any] = {"arm": arm, "session_id": session, "n": n}
            rows.append(make_row(analysis, "missing", "count", **where, estimate=int(all_values.isna().sum())))
            if n == 0:
                rows += [make_row(analysis, term, "no score", **where) for term in ("mean", "sd")]
                continue
            sd = deviation(values) if n > 1 else math.nan
            mean = float(values.mean())
            test = t_test(mean, sd / math.sqrt(n), n - 1) if n > 1 else None
            row = make_row(analysis, "mean", "mean and its standard error", **where, test=test)
            # A test of the mean against zero answers no question.
            rows.append(row.with_values(estimate=mean, t=None, p=None))
            rows.append(make_row(analysis, "sd", "standard deviation", **where, estimate=sd))
    return rows


def paired_t(endpoint: Endpoint) -> list[ModelRow]:
    """Paired t test of the change in cue-elicited craving within each arm, with dz.

    Parameters
    ----------
    endpoint : Endpoint

    Returns
    -------
    list of ModelRow
    """
    rows = []
    for arm in (endpoint.arms.treatment, endpoint.arms.control):
        change = endpoint.pairs.loc[endpoint.pairs["arm"] == arm, "change"].to_numpy(np.float64)
        n = len(change)
        where: dict[str, Any] = {"arm": arm, "n": n}
        if n < 2:
            why = f"fewer than 2 pairs in {arm}"
            rows += [make_row("paired_t", term, why, **where) for term in ("change", "dz")]
            continue
        mean, sd = float(change.mean()), deviation(change)
        test = t_test(mean, sd / math.sqrt(n), n - 1)
        method = "paired t test, follow-up minus baseline" if sd > 0 else "no variation of the changes"
        row = make_row("paired_t", "change", method, **where, test=test)
        rows.append(row.without_one(diagnostics.extremes((change.sum() - change) / (n - 1))))
        dz = make_row("paired_t", "dz", method, **where)
        if sd > 0:
            # Cumming and Finch (2001, doi 10.1177/0013164401614002).
            low, high = (float(end) / math.sqrt(n) for end in effect_sizes.noncentrality_interval(test.t, n - 1))
            method = "mean change over its standard deviation; interval by the noncentral t"
            dz = dz.with_values(method=method, estimate=mean / sd, ci_low=low, ci_high=high)
        rows.append(dz)
    return rows
