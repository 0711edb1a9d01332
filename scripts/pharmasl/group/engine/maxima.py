"""Maxima of a map over the mask, one per relabelling, and the family-wise p that they give.

The p of a voxel is the share of relabellings whose largest |t| in the whole mask is at least the voxel's; the p of a cluster is the
share whose largest cluster is at least as large or as heavy; the p of a voxel's TFCE is the share whose largest TFCE is at least as
large. The observed labelling is one of the relabellings, so no p is 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine.tfce import Enhancement

# Two relabellings that only swap equal participants give one t up to the order of a sum in double precision.
TIE = 1e-9


@dataclass(frozen=True, kw_only=True)
class MaximumStatistics:
    """The statistics whose maxima over the mask are taken, the largest and smallest t apart, which always are.

    Attributes
    ----------
    threshold : float or None
        Cluster-forming t; no clusters without it.
    mass : {"excess", "total"} or None
        ``excess``: sum of abs(t) - threshold over a cluster (as nilearn); ``total``: sum of abs(t) (as FSL).
    scale : {"t", "z"}
        Scale of the mass; z as PALM. The threshold stays a t.
    merge : bool
        Let voxels of opposite sign join a cluster, as PALM's two-tailed test does.
    enhancement : pharmasl.group.engine.tfce.Enhancement or None
        Of the TFCE, where that is taken.

    Raises
    ------
    ValueError
        For settings that contradict each other.
    """

    threshold: float | None = None
    mass: str | None = None
    scale: str = "t"
    merge: bool = False
    enhancement: Enhancement | None = None

    def __post_init__(self) -> None:
        if self.mass not in (None, "excess", "total") or self.scale not in ("t", "z"):
            raise ValueError("mass must be excess or total and needs a threshold; scale t or z")
        if self.mass and self.threshold is None:
            raise ValueError("mass must be excess or total and needs a threshold; scale t or z")


@dataclass(frozen=True)
class Null:
    """Maxima over the mask, one per relabelling; the first is the observed labelling.

    Attributes
    ----------
    max_t, min_t : ndarray of shape (B,), float64
        Largest t (0 where none is positive), smallest t (0 where none is negative).
    extent_positive, extent_negative : ndarray of shape (B,), int64
        Voxels of the largest cluster of t > u, and of t < -u; 0 where there is none.
    mass_positive, mass_negative : ndarray of shape (B,), float64, or None
        Mass of the heaviest cluster of either sign; None where no mass was asked for.
    tfce_positive, tfce_negative : ndarray of shape (B,), float64, or None
        Largest TFCE among positive voxels, and among negative ones as a positive number; None where not asked for.
    """

    max_t: np.ndarray
    min_t: np.ndarray
    extent_positive: np.ndarray
    extent_negative: np.ndarray
    mass_positive: np.ndarray | None = None
    mass_negative: np.ndarray | None = None
    tfce_positive: np.ndarray | None = None
    tfce_negative: np.ndarray | None = None

    @classmethod
    def from_table(cls, maxima: np.ndarray, statistics: MaximumStatistics) -> "Null":
        """The maxima of a table of shape (B, 8): t, extent, mass and TFCE, each of positive and of negative voxels."""
        extents = maxima[:, 2:4].astype(np.int64)
        masses = (maxima[:, 4], maxima[:, 5]) if statistics.mass else (None, None)
        enhanced = (None, None) if statistics.enhancement is None else (maxima[:, 6], maxima[:, 7])
        return cls(maxima[:, 0], maxima[:, 1], extents[:, 0], extents[:, 1], *masses, *enhanced)

    def largest_t(self, two_sided: bool) -> np.ndarray:
        """The largest |t| of each relabelling, or the largest t."""
        return np.maximum(self.max_t, -self.min_t) if two_sided else self.max_t

    def largest_extent(self, two_sided: bool) -> np.ndarray:
        """The largest cluster of each relabelling, of either sign or of t > u alone."""
        return np.maximum(self.extent_positive, self.extent_negative) if two_sided else self.extent_positive

    def largest_mass(self, two_sided: bool) -> np.ndarray:
        """The heaviest cluster of each relabelling, of either sign or of t > u alone."""
        return _larger(self.mass_positive, self.mass_negative, two_sided, "mass")

    def largest_tfce(self, two_sided: bool) -> np.ndarray:
        """The largest TFCE of each relabelling, of either sign or of positive t alone."""
        return _larger(self.tfce_positive, self.tfce_negative, two_sided, "TFCE")


def _larger(positive: np.ndarray | None, negative: np.ndarray | None, two_sided: bool, name: str) -> np.ndarray:
    if positive is None or negative is None:
        raise ValueError(f"no {name} was taken of these relabellings")
    return np.maximum(positive, negative) if two_sided else positive


def family_wise_p(observed: np.ndarray, null: np.ndarray, tie: float = TIE) -> np.ndarray:
    """The share of relabellings whose maximum is at least the observed value; equal values count.

    Parameters
    ----------
    observed : ndarray
        Larger is more extreme.
    null : ndarray of shape (B,)
        Maxima, the observed labelling's included.
    tie : float
        Relative difference up to which two values are equal; ``tfce.TIE`` for TFCE.

    Returns
    -------
    ndarray, float64
        Multiples of 1/B, at least 1/B where ``observed`` is no larger than the observed labelling's own maximum.
    """
    observed = np.asarray(observed, dtype=np.float64)
    below = np.searchsorted(np.sort(null), observed - tie * np.abs(observed), side="left")
    return (len(null) - below) / len(null)


def critical_value(null: np.ndarray, alpha: float) -> float:
    """The smallest maximum of the null distribution whose family-wise p is at most ``alpha``; NaN if there is none."""
    ordered = np.sort(np.asarray(null, dtype=np.float64))
    significant = ordered[family_wise_p(ordered, ordered) <= alpha + 1e-12]
    return float(significant[0]) if len(significant) else math.nan
