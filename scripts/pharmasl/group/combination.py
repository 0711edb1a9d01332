"""The corrected p by the statistic that decides an analysis, or by any of them.

``any`` decides by all statistics together: the least of their p, corrected by the distribution of that least p over the same
relabellings (min-p: Westfall and Young 1993, Resampling-based multiple testing, ch. 2; Tippett's combination, Pesarin 2001).
"""

from collections.abc import Mapping

import numpy as np

from pharmasl.group.engine import maxima, tfce
from pharmasl.group.engine.maxima import Null
from pharmasl.group.verdict import ROUNDING


def _maxima(null: Null, two_sided: bool) -> dict[str, tuple[np.ndarray, float]]:
    """The maxima of each statistic that was computed, and up to which relative difference two are equal."""
    largest = {
        "voxel": (null.largest_t(two_sided), maxima.TIE),
        "extent": (null.largest_extent(two_sided), maxima.TIE),
    }
    if null.mass_positive is not None:
        largest["mass"] = (null.largest_mass(two_sided), maxima.TIE)
    if null.tfce_positive is not None:
        largest["tfce"] = (null.largest_tfce(two_sided), tfce.TIE)
    return largest


def least_p(null: Null, two_sided: bool) -> np.ndarray:
    """The least p of each relabelling over the statistics that were computed.

    Parameters
    ----------
    null : pharmasl.group.engine.maxima.Null
    two_sided : bool

    Returns
    -------
    ndarray of shape (B,), float64
        Each statistic's maximum as its p among all B relabellings, the least of them taken.
    """
    statistics = _maxima(null, two_sided).values()
    return np.min([maxima.family_wise_p(largest, largest, tie) for largest, tie in statistics], axis=0)


def relabelling_p(null: Null, statistic: str, two_sided: bool) -> np.ndarray:
    """The p that an analysis would have had, had each relabelling been the observed labelling.

    Parameters
    ----------
    null : pharmasl.group.engine.maxima.Null
    statistic : {"extent", "mass", "voxel", "tfce", "any"}
    two_sided : bool

    Returns
    -------
    ndarray of shape (B,)
        Multiples of 1/B.
    """
    if statistic == "any":
        return combined_p(least_p(null, two_sided), null, two_sided)
    largest, tie = _maxima(null, two_sided)[statistic]
    return maxima.family_wise_p(largest, largest, tie)


def combined_p(p: np.ndarray, null: Null, two_sided: bool) -> np.ndarray:
    """Correct the least of several statistics' p for their number.

    Parameters
    ----------
    p : ndarray
        The least family-wise p of each voxel over the statistics.
    null : pharmasl.group.engine.maxima.Null
    two_sided : bool

    Returns
    -------
    ndarray
        The share of relabellings whose own least p is no larger; equal values count.
    """
    ordered = np.sort(least_p(null, two_sided))
    return np.searchsorted(ordered, np.asarray(p) + ROUNDING, side="right") / len(ordered)


def deciding_p(p: Mapping[str, np.ndarray], primary: str, null: Null, two_sided: bool) -> np.ndarray:
    """The corrected p of each voxel by the statistic that decides.

    Parameters
    ----------
    p : mapping of str to ndarray of shape (V,)
        Family-wise p of each voxel by each statistic that was computed; 1 outside clusters for those of clusters.
    primary : {"extent", "mass", "voxel", "tfce", "any"}
    null : pharmasl.group.engine.maxima.Null
    two_sided : bool

    Returns
    -------
    ndarray of shape (V,)
    """
    if primary != "any":
        return p[primary]
    return combined_p(np.min(list(p.values()), axis=0), null, two_sided)
