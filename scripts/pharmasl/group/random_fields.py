"""Gaussian random-field inference on t maps, as SPM's results table has it.

The maps' smoothness turns the search volume into resels; the expected Euler characteristic of a t field above a height
(Worsley et al. 1996, Hum Brain Mapp 4:58) gives the corrected p of a peak; the approximate law of a cluster's extent
(Friston et al. 1994, Hum Brain Mapp 1:210, for t fields as in SPM) that of a cluster. Smoothness comes from the
standardised residuals (Kiebel et al. 1999, NeuroImage 10:756) in SPM's form, so that the table printed by SPM is
reproduced from the data alone.

What is assumed, unlike in a permutation test: Gaussian errors, the same smoothness everywhere, a smooth field (about
three voxels of FWHM or more), and for clusters a high threshold (p of .001 or less, uncorrected). :func:`doubts` names
what an analysis does not meet. All p are one-sided; for both signs test t and -t at half the level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pharmasl.errors import InputError

_FOUR_LOG_TWO = 4 * np.log(2)
# A critical height beyond this is none; halvings of an interval to find one.
_HIGHEST, _BISECTIONS = 1e6, 80


def resels(mask: np.ndarray, fwhm: ArrayLike) -> np.ndarray:
    """Resel counts of a search volume of any shape (Worsley et al. 1996, eq. 3.2, by counting lattice elements).

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    fwhm : array_like of shape (3,)
        Voxels.

    Returns
    -------
    ndarray of shape (4,)
        Euler characteristic, and resels in one, two and three dimensions.
    """
    mask = np.asarray(mask, dtype=bool)

    def both(volume: np.ndarray, axis: int) -> np.ndarray:
        ahead = [slice(None)] * 3
        here = [slice(None)] * 3
        ahead[axis], here[axis] = slice(1, None), slice(0, -1)
        return volume[tuple(ahead)] & volume[tuple(here)]

    pairs = [both(mask, axis) for axis in range(3)]
    points, edges = int(mask.sum()), [int(pair.sum()) for pair in pairs]
    faces = {(a, b): int(both(pairs[a], b).sum()) for a, b in ((0, 1), (0, 2), (1, 2))}
    cubes = int(both(both(pairs[0], 1), 2).sum())
    r = 1 / np.asarray(fwhm, dtype=np.float64)
    one = sum(r[a] * (edges[a] - sum(f for ab, f in faces.items() if a in ab) + cubes) for a in range(3))
    two = sum(r[a] * r[b] * (f - cubes) for (a, b), f in faces.items())
    return np.array([points - sum(edges) + sum(faces.values()) - cubes, one, two, cubes * r.prod()])


def ec_densities(t: ArrayLike, df: float) -> np.ndarray:
    """Euler-characteristic densities of a t field, dimensions 0 to 3, per resel (Worsley et al. 1996, table II).

    Parameters
    ----------
    t : array_like
    df : float

    Returns
    -------
    ndarray of shape (4, ...)
    """
    t = np.asarray(t, dtype=np.float64)
    a = _FOUR_LOG_TWO
    fall = (1 + t * t / df) ** (-(df - 1) / 2)
    ratio = np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2)) / np.sqrt(df / 2)
    return np.stack(
        [
            special.stdtr(df, -t),
            np.sqrt(a) / (2 * np.pi) * fall,
            a / (2 * np.pi) ** 1.5 * ratio * t * fall,
            a**1.5 / (2 * np.pi) ** 2 * ((df - 1) * t * t / df - 1) * fall,
        ]
    )


def expected_euler_characteristic(t: ArrayLike, df: float, counts: ArrayLike) -> np.ndarray:
    """Expected Euler characteristic of a t field above a height: about the expected number of clusters if that is high.

    Parameters
    ----------
    t : array_like
    df : float
    counts : array_like of shape (4,)
        Of :func:`resels`.

    Returns
    -------
    ndarray
        Shape of ``t``.
    """
    counts = np.asarray(counts, dtype=np.float64)
    # Densities are cut off at 0 as SPM's are: the third is negative at low heights.
    densities = np.maximum(ec_densities(t, df), np.finfo(np.float64).eps)
    return np.tensordot(counts, densities, axes=1)


def peak_p(t: ArrayLike, df: float, counts: ArrayLike, voxels: int) -> np.ndarray:
    """Family-wise p of a peak's height, one-sided.

    Parameters
    ----------
    t : array_like
    df : float
    counts : array_like of shape (4,)
        Resels of the search volume.
    voxels : int
        Voxels of the search volume, for the bound of Bonferroni, which is taken where it is the smaller.

    Returns
    -------
    ndarray
        Shape of ``t``.
    """
    expected = expected_euler_characteristic(t, df, counts)
    # A volume with holes has a negative Euler characteristic of its own, and of few resels the expectation too, which says nothing.
    field = np.where(expected > 0, -np.expm1(-expected), 1.0)
    bonferroni = voxels * special.stdtr(df, -np.asarray(t, dtype=np.float64))
    return np.minimum(np.minimum(field, bonferroni), 1.0)


class ClusterP(NamedTuple):
    """p of clusters' extents, one-sided; arrays in the shape of the extents.

    Attributes
    ----------
    family_wise : ndarray
        Probability of at least one cluster of at least this extent in the search volume.
    uncorrected : ndarray
        Probability that a cluster is at least this extensive.
    expected_clusters : float
        Expected number of clusters above the threshold.
    expected_voxels : float
        Expected voxels of a cluster.
    """

    family_wise: np.ndarray
    uncorrected: np.ndarray
    expected_clusters: float
    expected_voxels: float


def cluster_p(extent: ArrayLike, threshold: float, df: float, counts: ArrayLike, fwhm: ArrayLike) -> ClusterP:
    """P of clusters by their extent.

    Parameters
    ----------
    extent : array_like
        Voxels of each cluster; 18 neighbours in SPM.
    threshold : float
        Cluster-forming t.
    df : float
    counts : array_like of shape (4,)
        Resels of the search volume.
    fwhm : array_like of shape (3,)
        Voxels.

    Returns
    -------
    ClusterP

    Raises
    ------
    InputError
        If the threshold is so low that a t field of these degrees of freedom has no positive Euler characteristic in
        the search volume's own dimension, or the search volume has holes and so few resels that the expected number of clusters is not
        above 0: the law does not hold there.
    """
    resel_counts, extent = np.asarray(counts, dtype=np.float64), np.asarray(extent, dtype=np.float64)
    dimension = int(np.flatnonzero(resel_counts).max())
    densities = ec_densities(threshold, df)
    if dimension == 0 or not (densities > 0).all():
        raise InputError(
            "configuration",
            "inference.cluster_forming_p",
            f"a threshold of t = {threshold:.3g} with {df:g} degrees of freedom in {dimension} dimension(s)",
            "a threshold where random-field theory gives clusters a size, p = .001 or less",
            "Raise the threshold or use permutation inference.",
        )
    clusters = float(expected_euler_characteristic(threshold, df, counts))
    if not clusters > 0:
        raise InputError(
            "configuration",
            "inference",
            f"resel counts of {', '.join(f'{count:.3g}' for count in resel_counts)}, by which {clusters:.3g} clusters are expected",
            "a search volume of which random-field theory expects more than none",
            "Use permutation inference.",
        )
    # Expected resels of a cluster from the highest dimension alone, as in the theory of extents.
    size = densities[0] / densities[dimension]
    beta = (special.gamma(dimension / 2 + 1) / size) ** (2 / dimension)
    in_resels = extent / np.prod(np.asarray(fwhm, dtype=np.float64))
    uncorrected = np.exp(-beta * in_resels ** (2 / dimension))
    return ClusterP(-np.expm1(-clusters * uncorrected), uncorrected, clusters, float(size * np.prod(np.asarray(fwhm))))


@dataclass(frozen=True, kw_only=True)
class SearchedField:
    """A t field over a search volume.

    Attributes
    ----------
    df : float
    counts : ndarray of shape (4,)
        Resels.
    fwhm : ndarray of shape (3,)
        Voxels.
    voxels : int
    """

    df: float
    counts: np.ndarray
    fwhm: np.ndarray
    voxels: int

    def critical_peak(self, alpha: float) -> float:
        """The height whose one-sided family-wise p is alpha."""
        low, high = 0.0, 1.0
        while high < _HIGHEST and self._peak(high) > alpha:
            low, high = high, 2 * high
        if high >= _HIGHEST:
            return math.nan
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._peak(middle) > alpha else (low, middle)
        return high

    def _peak(self, t: float) -> float:
        return float(peak_p(t, self.df, self.counts, self.voxels))

    def critical_extent(self, threshold: float, alpha: float) -> float:
        """The fewest voxels of a cluster whose one-sided family-wise p is at most alpha; NaN where the search volume is too small."""
        sizes = np.arange(1.0, self.voxels + 1)
        called = sizes[cluster_p(sizes, threshold, self.df, self.counts, self.fwhm).family_wise <= alpha]
        return float(called[0]) if len(called) else math.nan


def set_p(number: int, threshold: float, df: float, counts: ArrayLike, tails: int = 1) -> float:
    """Probability of at least ``number`` clusters above the threshold, of any extent (SPM's set level).

    Parameters
    ----------
    number : int
    threshold, df, counts
        As for :func:`cluster_p`.
    tails : {1, 2}
        2: clusters of t > threshold and of t < -threshold are counted together.

    Returns
    -------
    float
    """
    expected = tails * float(expected_euler_characteristic(threshold, df, counts))
    return 1.0 if number <= 0 else float(special.gammainc(number, expected))


def small_volume(mask: np.ndarray, roi: np.ndarray, fwhm: ArrayLike) -> tuple[np.ndarray, int]:
    """Resels and voxels of a search restricted to a region, with the smoothness of the whole brain.

    Pass the result to :func:`peak_p` and :func:`cluster_p`; clusters are then those of the map *within* the region, so
    an extent counts only the voxels inside. The region must be chosen without looking at the map.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
        Search volume of the analysis.
    roi : ndarray of bool, shape (X, Y, Z)
    fwhm : array_like of shape (3,)
        Of the whole search volume, voxels: a region is too small to estimate it.

    Returns
    -------
    counts : ndarray of shape (4,)
    voxels : int

    Raises
    ------
    InputError
        If the region and the search volume share no voxel.
    """
    inside = np.asarray(mask, dtype=bool) & np.asarray(roi, dtype=bool)
    if not inside.any():
        raise InputError(
            "configuration",
            "small volume",
            f"a region of {int(np.sum(roi))} voxels, none in the search volume",
            "a region that the participants' maps cover",
            "Look at the region's coverage.",
        )
    return resels(inside, fwhm), int(inside.sum())


def doubts(fwhm: Sequence[float] | np.ndarray, forming_p: float, df: float) -> list[str]:
    """The assumptions of random-field theory that an analysis strains, each as a sentence.

    Parameters
    ----------
    fwhm : array_like of shape (3,)
        Voxels.
    forming_p : float
        Uncorrected one-sided p of the cluster-forming threshold.
    df : float

    Returns
    -------
    list of str
        Empty where there is nothing to say.
    """
    strained = []
    if min(fwhm) < 3:
        strained.append(
            f"smoothness of {min(fwhm):.2g} voxels along one axis: below about 3 the field is no smooth one; p of peaks are "
            "conservative and p of clusters unreliable (Hayasaka and Nichols 2003, doi 10.1016/j.neuroimage.2003.08.003)"
        )
    if forming_p > 0.001 * (1 + 1e-9):
        strained.append(
            f"cluster-forming p of {forming_p:g}: above .001 clusters come out significant too often "
            "(Eklund et al. 2016, doi 10.1073/pnas.1602413113)"
        )
    if df < 20:
        strained.append(f"{df:g} degrees of freedom: the theory is approximate below about 20")
    return strained
