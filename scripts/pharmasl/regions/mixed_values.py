"""A mixed model of all scans fitted to regions' values: the scans that a region lacks are left out of it.

Fits and degrees of freedom are those of :mod:`pharmasl.statistics.mixed_model`. No relabelling serves incomplete participants, so
p are corrected over the regions by Holm's method.
"""

import dataclasses

import numpy as np

from pharmasl.group.model import Model
from pharmasl.regions.value_models import HOLM, Estimate, Family, RegionTest, Values
from pharmasl.statistics import mixed_model, multiplicity
from pharmasl.statistics.t_tests import t_test
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
        Corrected by Holm's method.
    """
    known = values.complete(model)
    fitted = [_region(model, values.outcome[:, k], known[:, k], inference) for k in range(values.outcome.shape[1])]
    own = np.flatnonzero(np.isfinite([one.p for one in fitted]) & tested)
    corrected = np.full(len(fitted), np.nan)
    corrected[own] = multiplicity.holm([fitted[k].p for k in own])
    tests = [
        dataclasses.replace(one, p_corrected=float(p), corrected_by=HOLM, p_holm=float(p)) if np.isfinite(p) else one
        for one, p in zip(fitted, corrected)
    ]
    return Family(tests=tuple(tests), size=len(own), complete=int(known[:, own].all(axis=0).sum()))


def _region(model: Model, values: np.ndarray, rows: np.ndarray, inference: Inference) -> RegionTest:
    """The test of one region, of the scans that have a value."""
    part = model.of_rows(rows)
    people = list(dict.fromkeys(part.participants))
    if not people:
        return RegionTest(participants=[], note="not tested: no scan covers the region")
    note = f"{int((~rows).sum())} scans without a value of the region" if not rows.all() else None
    try:
        fitted = mixed_model.fit(part.matrix, values[rows, None], part.participants)
        if inference.degrees_of_freedom == "satterthwaite":
            tests = mixed_model.contrast(fitted, part.contrast)
        else:
            tests = mixed_model.kenward_roger(fitted, part.matrix, part.participants, part.contrast)
    except ValueError as error:
        return RegionTest(participants=people, note=f"not tested: {error}")
    one = tests.single()
    if not np.isfinite(one.t):
        return RegionTest(participants=people, note="not tested: no residual variation is left")
    own = t_test(one.estimate, one.se, one.df, 1 - inference.alpha)
    p = own.p if inference.two_sided else (own.p / 2 if own.t > 0 else 1 - own.p / 2)
    name = (model.effects or (" - ".join(model.tested),))[0]
    estimate = Estimate(name=name, value=own.estimate, se=own.se, low=own.ci_low, high=own.ci_high, t=own.t, p=p)
    return RegionTest(participants=people, estimates=(estimate,), value=own.t, df_effect=1, df=own.df, p=p, note=note)
