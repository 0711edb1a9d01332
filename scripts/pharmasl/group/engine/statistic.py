"""The statistic of an analysis by permutation: Student's t with one residual variance, or v with one for each arm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.errors import InputError
from pharmasl.group.engine import aspin_welch, glm
from pharmasl.group.engine.aspin_welch import ByArm
from pharmasl.group.engine.differences import Differences
from pharmasl.group.engine.glm import PartialForm

EQUAL, BY_ARM = "equal", "by_arm"
# What heights are where several effects are tested together.
F = "F"
# A note is written where this share of voxels or more has a ratio of variances beyond what equal variances give in 5 %.
MANY = 0.2
WORDS = {
    EQUAL: "Student's t, ordinary least squares, one residual variance for all",
    BY_ARM: "Aspin-Welch v, ordinary least squares, a residual variance for each arm (Winkler et al. 2014), compared as z",
}
WORDS_OF_F = "F, ordinary least squares, one residual variance for all: all tested effects together, of any sign"


@dataclass(frozen=True)
class Statistic:
    """The statistic at every voxel of the observed labelling.

    Attributes
    ----------
    kind : {"equal", "by_arm"}
    t : ndarray of shape (V,)
        Student's t, v, or F.
    df : float or ndarray of shape (V,)
    z : ndarray of shape (V,)
        With the same tail probability.
    heights : ndarray of shape (V,)
        What is searched for maxima and clusters: t, F, or the z of v.
    threshold : float
        Cluster-forming height.
    on : {"t", "z", "F"}
        What heights are.
    by_arm : pharmasl.group.engine.aspin_welch.ByArm or None
    variances : dict or None
        The arms' variances beside one another; None where there is one arm.
    """

    kind: str
    t: np.ndarray
    df: float | np.ndarray
    z: np.ndarray
    heights: np.ndarray
    threshold: float
    on: str
    by_arm: ByArm | None
    variances: dict[str, Any] | None


def observe(
    arms: Sequence[str | None],
    fitted: PartialForm,
    fit: Differences,
    permutations: np.ndarray | None,
    *,
    variance: str,
    forming_p: float,
) -> Statistic:
    """The statistic of the observed labelling.

    Parameters
    ----------
    arms : sequence of str or None
        Arm of each row of the design.
    fitted : pharmasl.group.engine.glm.PartialForm
    fit : pharmasl.group.engine.differences.Differences
    permutations : ndarray of shape (B, n) or None
        None where signs are flipped: there is one arm then.
    variance : {"equal", "by_arm"}
    forming_p : float
        One-sided p of the cluster-forming height.

    Returns
    -------
    Statistic

    Raises
    ------
    InputError
        If an arm is too small for a variance of its own and is to have one.
    """
    # In order of their first appearance.
    labels = [str(arm) for arm in arms]
    names = list(dict.fromkeys(labels))
    groups = np.array([names.index(label) for label in labels])
    variances = None
    if permutations is not None and len(names) > 1 and fitted.projector.shape[1] == fitted.basis.shape[1] + 1:
        try:
            by_arm = ByArm(fit, fitted, groups, names)
            # With one variance for all only the arms' difference is reported: one pass over the data.
            observed = by_arm.observed(permutations if variance == BY_ARM else permutations[:1])
            variances = _variances(by_arm, observed, names)
        except InputError:
            if variance == BY_ARM:
                raise
        else:
            if variance == BY_ARM:
                return Statistic(
                    kind=BY_ARM,
                    t=observed.v,
                    df=observed.df,
                    z=observed.z,
                    heights=observed.z,
                    threshold=float(-special.ndtri(forming_p)),
                    on="z",
                    by_arm=by_arm,
                    variances=variances,
                )
    threshold = float(special.stdtrit(fitted.df, 1 - forming_p))
    return Statistic(
        kind=EQUAL,
        t=fit.t,
        df=fitted.df,
        z=glm.t_to_z(fit.t, fitted.df),
        heights=fit.t,
        threshold=threshold,
        on="t",
        by_arm=None,
        variances=variances,
    )


def _variances(model: ByArm, observed: aspin_welch.Observed, names: list[str]) -> dict[str, Any]:
    """The arms' residual variances beside one another, over the voxels that vary.

    Returns
    -------
    dict
        ``arms`` (each with its people, residual degrees of freedom and the median over voxels of its variance over the
        mean variance of the arms); and of the arm with the largest median over that with the smallest: ``ratio`` (median over
        voxels), ``ratio_range`` (5th and 95th percentile), ``beyond`` (share of voxels whose ratio lies outside the central
        95 % of F: .05 where variances are equal and errors normal).
    """
    variances = observed.variances[:, observed.df > 0][:, (observed.variances > 0).all(axis=0)]
    relative = np.median(variances / variances.mean(axis=0), axis=1)
    high, low = int(relative.argmax()), int(relative.argmin())
    ratio = variances[high] / variances[low]
    tail = special.fdtr(model.freedom[high], model.freedom[low], ratio)
    return {
        "arms": {
            name: {"participants": int(size), "df": float(freedom), "relative_variance": float(value)}
            for name, size, freedom, value in zip(names, model.sizes, model.freedom, relative)
        },
        "larger": names[high],
        "smaller": names[low],
        "ratio": float(np.median(ratio)),
        "ratio_range": [float(value) for value in np.quantile(ratio, [0.05, 0.95])],
        "beyond": float(np.mean((tail < 0.025) | (tail > 0.975))),
    }


def note(variances: dict[str, Any] | None, kind: str) -> str | None:
    """What unequal variances do to the test with one variance, in a sentence without a full stop; None where they do not.

    With the larger variance in the smaller arm it errs too often, in the larger arm too seldom; with arms of one size
    hardly at all on means, and too often in the tails of a search.
    """
    if variances is None or variances["beyond"] < MANY:
        return None
    arms = variances["arms"]
    larger, smaller = arms[variances["larger"]], arms[variances["smaller"]]
    text = (
        f"the residual variance of {variances['larger']} is {variances['ratio']:.2g} times that of {variances['smaller']} "
        f"(median over voxels; beyond what chance gives in {100 * variances['beyond']:.0f} % of them)"
    )
    if kind == BY_ARM:
        return f"{text}; each arm has a variance of its own here"
    if larger["participants"] < smaller["participants"]:
        effect = "errs too often: the more variable arm is the smaller"
    elif larger["participants"] > smaller["participants"]:
        effect = "errs too seldom and loses power: the more variable arm is the larger"
    else:
        effect = "errs somewhat too often over a whole brain, though the arms are of one size"
    return f"{text}: a test with one variance {effect}; set inference.variance to by_arm"


def median_df(statistic: Statistic) -> tuple[float, list[float] | None]:
    """The degrees of freedom as one number, and their range over the voxels where they differ."""
    if not isinstance(statistic.df, np.ndarray):
        return float(statistic.df), None
    alive = statistic.df[np.isfinite(statistic.df) & (statistic.t != 0)]
    if not len(alive):
        return math.nan, None
    return float(np.median(alive)), [float(alive.min()), float(alive.max())]
