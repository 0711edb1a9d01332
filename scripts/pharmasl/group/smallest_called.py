"""The smallest estimate that a voxel's test would have called significant: a height of the test, times the voxel's standard error.

A voxel is called by its height, t or z, which is its estimate over its standard error. The height from which the declared statistic calls,
times that standard error, is therefore the estimate from which on it would have been called, had nothing else of the data been different: the
relabellings' maxima are taken as they are. It depends on the design and the noise, not on the estimate, and is no power at the estimate
(Hoenig and Heisey 2001, doi 10.1198/000313001300339897). Where a true effect is of that size, its estimate reaches that height in about half of all
studies, for it lies as often below as above; what a study finds with 80 % is larger (:mod:`pharmasl.statistics.detectable_effects`).

What a height says depends on the statistic that decides:

Critical values are the smallest maxima of a relabelling that are significant, as everywhere
(:func:`pharmasl.group.engine.maxima.critical_value`): what lies between them and the next smaller maximum would be called too.

- ``voxel``: a voxel from its critical height on is called, whatever its neighbours.
- ``extent``: a voxel below the cluster-forming height is never called; of those above it, a connected region of the critical extent is.
- ``mass``: the same height is needed, and does not suffice: the cluster's mass has to reach its critical value.
- ``tfce``: a voxel's value depends on its neighbours' heights, so that no height of its own suffices or is needed. The height is that of the largest |t|
  of the same relabellings, which does not decide.
- ``any``: the height whose own p suffices for the least p of all statistics, corrected for their number; a voxel below it may be called
  by another statistic.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.group import combination, random_fields, verdict
from pharmasl.group.engine import maxima
from pharmasl.group.engine.maxima import Null

# What a height says where a statistic decides.
_CRITERIA = {
    "voxel": "from the critical height on, {height}, a voxel is called whatever its neighbours are",
    "extent": "from the cluster-forming height on, {height}, a voxel is called together with a connected region of at least {extent:,.0f} voxels of that "
    "height and sign; below it never",
    "mass": "from the cluster-forming height on, {height}, a voxel is called if its cluster has the critical mass too; below it never",
    "tfce": "from {height} on, a voxel would be called by the largest height of the same relabellings, which does not decide: threshold-free cluster "
    "enhancement takes the neighbours' heights too, so that a lower voxel may be called and a higher one may not",
    "any": "from {height} on, a voxel is called by its height alone; a lower one may be by another statistic",
}
_NO_SIZE = "none: several effects tested together have no one size"
_OF_RATE = "none: the threshold of a false discovery rate moves with the p of all other voxels, so that none belongs to a voxel's own estimate"
_OUT_OF_REACH = "none: nothing could have been significant at this level"
NAME = "called"


@dataclass(frozen=True, kw_only=True)
class Called:
    """What would have been called.

    Attributes
    ----------
    estimates : ndarray of shape (V,) or None
        Without sign, in the effect's unit; None where there are none.
    block : dict
        ``smallest_called`` of the analysis' ``_inference.json``.
    """

    estimates: np.ndarray | None
    block: dict[str, Any]

    def maps(self) -> dict[str, np.ndarray]:
        """The map by its name, if there is one."""
        return {} if self.estimates is None else {NAME: self.estimates}


@dataclass(frozen=True, kw_only=True)
class Height:
    """From where on a voxel is called.

    Attributes
    ----------
    value : float
        NaN where nothing is called at the level.
    scale : {"t", "z"}
    statistic : str
        Which statistic decides.
    extent : float or None
        Voxels that a cluster needs, where extent decides.
    """

    value: float
    scale: str
    statistic: str
    extent: float | None = None


def of_relabellings(primary: str, null: Null, *, two_sided: bool, alpha: float, forming: float, scale: str) -> Height:
    """The height from which the statistic that decides calls a voxel, of the distribution of maxima.

    Parameters
    ----------
    primary : {"extent", "mass", "voxel", "tfce", "any"}
    null : pharmasl.group.engine.maxima.Null
    two_sided : bool
    alpha : float
    forming : float
        Cluster-forming height.
    scale : {"t", "z"}
        Of heights.
    """
    if primary in ("extent", "mass"):
        largest = null.largest_extent(two_sided) if primary == "extent" else null.largest_mass(two_sided)
        critical = maxima.critical_value(largest, alpha)
        reached = math.isfinite(critical)
        return Height(
            value=forming if reached else math.nan,
            scale=scale,
            statistic=primary,
            extent=critical if primary == "extent" else None,
        )
    ordered = np.sort(np.asarray(null.largest_t(two_sided), dtype=np.float64))
    p = maxima.family_wise_p(ordered, ordered)
    if primary == "any":
        p = combination.combined_p(p, null, two_sided)
    called = ordered[verdict.passes(p, alpha)]
    return Height(value=float(called[0]) if len(called) else math.nan, scale=scale, statistic=primary)


def of_random_fields(
    primary: str, *, two_sided: bool, alpha: float, forming: float, field: random_fields.SearchedField
) -> Height:
    """The height from which the statistic that decides calls a voxel, of t fields.

    Parameters
    ----------
    primary : {"extent", "voxel"}
    two_sided : bool
    alpha : float
    forming : float
        Cluster-forming t.
    field : pharmasl.group.random_fields.SearchedField
    """
    tails = 2 if two_sided else 1
    if primary == "extent":
        extent = field.critical_extent(forming, alpha / tails)
        return Height(value=forming if math.isfinite(extent) else math.nan, scale="t", statistic=primary, extent=extent)
    return Height(value=field.critical_peak(alpha / tails), scale="t", statistic=primary)


def called(
    height: Height, effect: np.ndarray, t: np.ndarray, df: float | np.ndarray, *, note: str | None = None
) -> Called:
    """The smallest estimates that would have been called.

    Parameters
    ----------
    height : Height
    effect, t : ndarray of shape (V,)
        Estimate, and its Student's t (or v).
    df : float or ndarray of shape (V,)
        Of t: with them a height that is a z is a t.
    note : str, optional
        What else a reader has to know.
    """
    if not math.isfinite(height.value):
        return nothing(_OUT_OF_REACH, height.statistic)
    effect, t = np.asarray(effect, dtype=np.float64), np.asarray(t, dtype=np.float64)
    # The standard error is known where there is an estimate: a t of 0 in floating point is one of a voxel that does not vary.
    error = np.divide(np.abs(effect), np.abs(t), out=np.full(len(t), np.nan), where=np.abs(t) > 0)
    block = {
        "status": "known",
        "statistic": height.statistic,
        "height": height.value,
        "scale": height.scale,
        "extent_voxels": height.extent,
        "criterion": _CRITERIA[height.statistic].format(
            height=f"{height.scale} = {height.value:.2f}", extent=height.extent or 0
        ),
        "notes": [note] if note else [],
    }
    return Called(estimates=_as_t(height, df) * error, block=block)


def _as_t(height: Height, df: float | np.ndarray) -> float | np.ndarray:
    """The t that has the height, of which degrees of freedom differ where it is a z."""
    if height.scale == "t":
        return height.value
    # By the upper tail, which is exact where the distribution function is 1 in floating point.
    return -special.stdtrit(df, special.ndtr(-height.value))


def nothing(why: str, statistic: str) -> Called:
    """No map, and why."""
    return Called(estimates=None, block={"status": why, "statistic": statistic})


def of_several(statistic: str) -> Called:
    """No map of several effects tested together."""
    return nothing(_NO_SIZE, statistic)


def of_false_discoveries() -> Called:
    """No map where the false discovery rate decides."""
    return nothing(_OF_RATE, "false_discovery")
