"""The one test that decides an analysis: which statistic, at which error rate, and what it says.

An analysis has several statistics, each with its own corrected p; to call it significant if any of them is keeps none of
their error rates. One of them is declared (``inference.primary``) and decides; the others are secondary.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FAMILY_WISE, FALSE_DISCOVERY = "family-wise error", "false discovery rate"
# In words that follow "by".
WORDS = {
    "extent": "cluster extent",
    "mass": "cluster mass",
    "voxel": "peak height (largest |t|)",
    "tfce": "threshold-free cluster enhancement",
    "any": "any of its statistics, corrected for how many there are",
    "false_discovery": "the voxelwise false discovery rate",
}
# What may be declared.
PRIMARY = ("extent", "voxel", "mass", "tfce", "any")
# p are multiples of 1 over the relabellings, as far as double precision holds them.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Verdict:
    """What decides an analysis, and what it says.

    Attributes
    ----------
    statistic : str
        One of :data:`WORDS`.
    error_rate : str
        :data:`FAMILY_WISE` or :data:`FALSE_DISCOVERY`.
    alpha : float
        Level of that error rate.
    p : float
        The least corrected p (or q) in the search volume: that of the analysis as a whole.
    smallest_attainable_p : float or None
        The least that the relabellings allow; None where there are none.
    can_reach_alpha : bool
        Whether the analysis could have been significant at all.
    significant : bool
    significant_voxels : int
    significant_clusters : int
    voxels_outside_clusters : int
        Significant voxels that lie in none of the clusters formed at the cluster-forming threshold.
    """

    statistic: str
    error_rate: str
    alpha: float
    p: float
    smallest_attainable_p: float | None
    can_reach_alpha: bool
    significant: bool
    significant_voxels: int
    significant_clusters: int
    voxels_outside_clusters: int

    def block(self) -> dict[str, Any]:
        """As the block ``verdict`` of an analysis' definitions."""
        return asdict(self)


def passes(p: ArrayLike, alpha: float) -> np.ndarray:
    """Whether p are at most alpha, rounding aside."""
    return np.asarray(p) <= alpha + ROUNDING


def decide(
    p: np.ndarray,
    labels: np.ndarray,
    number: int,
    *,
    statistic: str,
    alpha: float,
    error_rate: str = FAMILY_WISE,
    smallest: float | None = None,
) -> tuple[Verdict, np.ndarray]:
    """Decide an analysis.

    Parameters
    ----------
    p : ndarray of shape (V,)
        Corrected p (or q) of each voxel by the statistic that decides.
    labels : ndarray of shape (V,)
        Cluster of each voxel, 0 outside.
    number : int
        How many clusters there are.
    statistic : str
    alpha : float
    error_rate : str
    smallest : float, optional
        The least p that the relabellings allow.

    Returns
    -------
    Verdict
    p_clusters : ndarray of shape (number,)
        The least p within each cluster.
    """
    least_p = np.ones(number + 1)
    np.minimum.at(least_p, labels, p)
    inside = least_p[1:]
    good = passes(p, alpha)
    least = float(p.min(initial=1.0))
    verdict = Verdict(
        statistic=statistic,
        error_rate=error_rate,
        alpha=alpha,
        p=least,
        smallest_attainable_p=smallest,
        can_reach_alpha=smallest is None or bool(passes(smallest, alpha)),
        significant=bool(passes(least, alpha)),
        significant_voxels=int(good.sum()),
        significant_clusters=int(passes(inside, alpha).sum()),
        voxels_outside_clusters=int((good & (labels == 0)).sum()),
    )
    return verdict, inside
