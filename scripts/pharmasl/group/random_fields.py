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

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import special

from pharmasl.errors import InputError

_FOUR_LOG_TWO = 4 * np.log(2)

# Voxels whose residuals of all images are in memory at a time.
_TILE = 1024


class Smoothness(NamedTuple):
    """Smoothness of the standardised residuals.

    Attributes
    ----------
    fwhm : ndarray of shape (3,)
        Full width at half maximum along the three axes of the array, voxels. Its product is the volume of a resel.
    resels_per_voxel : float
        1 / product of ``fwhm``.
    voxels : int
        Voxels whose gradient was known.
    images : int
        Residual images used.
    """

    fwhm: np.ndarray
    resels_per_voxel: float
    voxels: int
    images: int


@njit(cache=True, nogil=True)
def _roughness(place, ahead, here, next_, total):
    """Add up what the gradients of one plane of voxels say; return how many voxels counted.

    The root determinant and the three root diagonal elements of the gradients' covariance go to ``total``. ``place``
    and ``ahead`` (Y, Z) number the mask's voxels of this plane and the next, -1 outside; ``here`` and ``next_`` (W, n)
    are their standardised residuals. A voxel counts where the whole cube of 2 x 2 x 2 voxels ahead of it lies in the
    mask: SPM's trilinear derivative is unknown where any of the eight is.
    """
    counted = 0
    for j in range(place.shape[0] - 1):
        for k in range(place.shape[1] - 1):
            o, y, z = place[j, k], place[j + 1, k], place[j, k + 1]
            x = ahead[j, k]
            if min(o, x, y, z) < 0:
                continue
            if min(place[j + 1, k + 1], ahead[j + 1, k], ahead[j, k + 1], ahead[j + 1, k + 1]) < 0:
                continue
            xx = yy = zz = xy = xz = yz = 0.0
            for s in range(here.shape[1]):
                gx = next_[x, s] - here[o, s]
                gy = here[y, s] - here[o, s]
                gz = here[z, s] - here[o, s]
                xx += gx * gx
                yy += gy * gy
                zz += gz * gz
                xy += gx * gy
                xz += gx * gz
                yz += gy * gz
            determinant = xx * yy * zz + 2 * xy * xz * yz - xx * yz * yz - yy * xz * xz - zz * xy * xy
            total[0] += np.sqrt(max(determinant, 0.0))
            total[1] += np.sqrt(xx)
            total[2] += np.sqrt(yy)
            total[3] += np.sqrt(zz)
            counted += 1
    return counted


def smoothness(residuals, mask, n, most=64):
    """Estimate the smoothness of the errors from the residuals of a model.

    Two planes of voxels, of the images used for the gradients, are in memory at a time, whatever the number of
    participants.

    Parameters
    ----------
    residuals : callable or ndarray of shape (V, n)
        Residuals of the full model (whitened where the model is): the array, or a function of ``(start, stop)`` that
        gives the rows of those voxels of ``mask``, in C order, as an array of shape (stop - start, n). Each voxel may
        have any scale of its own: it is standardised here, so that the degrees of freedom drop out.
    mask : ndarray of bool, shape (X, Y, Z)
        Of voxels whose residuals vary.
    n : int
        Images: participants, or scans where the model is of scans.
    most : int
        At most so many images, evenly spread, are used for the gradients (SPM's ``stats.maxres``).

    Returns
    -------
    Smoothness

    Raises
    ------
    InputError
        If no voxel has neighbours, or the residuals do not vary from voxel to voxel.
    ValueError
        If the residuals have another shape.
    """
    mask = np.asarray(mask, dtype=bool)
    voxels = int(mask.sum())
    if callable(residuals):
        rows = residuals
    elif residuals.shape == (voxels, n):

        def rows(start, stop):
            return residuals[start:stop]
    else:
        raise ValueError(f"residuals of shape {residuals.shape} for {voxels} voxels and {n} images")
    # As SPM picks them: evenly spaced numbers from the first to the last image, rounded half up.
    pick = np.floor(np.linspace(1, n, min(n, most)) + 0.5).astype(np.int64) - 1

    def plane(i, first):
        """Numbers of plane i's voxels within the plane, and their standardised residuals."""
        place = np.full(mask.shape[1:], -1, dtype=np.int64)
        count = int(mask[i].sum())
        values, varies = np.empty((count, len(pick))), np.empty(count, dtype=bool)
        for start in range(0, count, _TILE):
            stop = min(start + _TILE, count)
            tile = np.asarray(rows(first + start, first + stop), dtype=np.float64)
            length = np.sqrt(np.einsum("vi,vi->v", tile, tile))
            with np.errstate(divide="ignore", invalid="ignore"):
                values[start:stop] = tile[:, pick] / length[:, None]
            varies[start:stop] = length > 0
        place[mask[i]] = np.where(varies, np.arange(count), -1)
        return place, values, first + count

    total, counted = np.zeros(4), 0
    place, here, first = plane(0, 0)
    for i in range(1, mask.shape[0]):
        ahead, next_, first = plane(i, first)
        counted += _roughness(place, ahead, here, next_, total)
        place, here = ahead, next_
    if counted == 0 or not (total > 0).all():
        raise InputError(
            "analysis",
            "search volume",
            f"{voxels} voxels, {counted} of them with all neighbours and residuals that differ between them",
            "a volume at least two voxels thick with residuals that vary",
            "Use permutation inference, which needs no smoothness.",
        )
    # SPM takes the average over the images used times n / df, of residuals of unit variance; with rows of length 1 in
    # place of sqrt(df) this leaves n / images of the sum.
    factor = n / len(pick)
    volume = total[0] / counted * (factor / _FOUR_LOG_TWO) ** 1.5
    axes = total[1:] / counted * np.sqrt(factor / _FOUR_LOG_TWO)
    # Shape from the axes, volume from the determinant, which is unbiased.
    fwhm = 1 / (volume ** (1 / 3) * axes / axes.prod() ** (1 / 3))
    return Smoothness(fwhm, float(1 / fwhm.prod()), int(counted), len(pick))


def residual_rows(data, matrix):
    """A function that gives the residuals of some voxels, for :func:`smoothness`, without a copy of the data.

    Parameters
    ----------
    data : callable
        Function of ``(start, stop)`` that gives those voxels' data, shape (stop - start, n): of an array of shape
        (V, n) ``lambda start, stop: data[start:stop]``, of one of shape (n, V) ``differences.Differences.tile``.
    matrix : ndarray of shape (n, p)
        The full design, the tested term included.

    Returns
    -------
    callable
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    left, singular, _ = np.linalg.svd(matrix / np.sqrt((matrix**2).sum(axis=0)), full_matrices=False)
    basis = left[:, singular > 1e-10 * singular[0]]

    def rows(start, stop):
        tile = np.array(data(start, stop), dtype=np.float64)
        raw = np.einsum("vi,vi->v", tile, tile)
        # Twice: the second projection removes what rounding left of a large mean.
        for _ in range(2):
            tile -= (tile @ basis) @ basis.T
        # What is left of a voxel that does not vary is rounding, not a residual.
        tile[np.einsum("vi,vi->v", tile, tile) <= 1e-20 * raw] = 0
        return tile

    return rows


def resels(mask, fwhm):
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

    def both(volume, axis):
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


def ec_densities(t, df):
    """Euler-characteristic densities of a t field, dimensions 0 to 3, a resel (Worsley et al. 1996, table II).

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


def expected_euler_characteristic(t, df, counts):
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


def peak_p(t, df, counts, voxels):
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
    field = -np.expm1(-np.maximum(expected_euler_characteristic(t, df, counts), 0))
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


def cluster_p(extent, threshold, df, counts, fwhm):
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
        the search volume's own dimension: the law does not hold there.
    """
    counts, extent = np.asarray(counts, dtype=np.float64), np.asarray(extent, dtype=np.float64)
    dimension = int(np.flatnonzero(counts).max())
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
    # Expected resels of a cluster from the highest dimension alone, as in the theory of extents.
    size = densities[0] / densities[dimension]
    beta = (special.gamma(dimension / 2 + 1) / size) ** (2 / dimension)
    in_resels = extent / np.prod(np.asarray(fwhm, dtype=np.float64))
    uncorrected = np.exp(-beta * in_resels ** (2 / dimension))
    return ClusterP(-np.expm1(-clusters * uncorrected), uncorrected, clusters, float(size * np.prod(np.asarray(fwhm))))


def set_p(number, threshold, df, counts, tails=1):
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


def small_volume(mask, roi, fwhm):
    """What p of a search restricted to a region need: its resels, with the smoothness of the whole brain.

    Give the result to :func:`peak_p` and :func:`cluster_p`; clusters are then those of the map *within* the region, so
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


def doubts(fwhm, forming_p, df):
    """Which assumptions of random-field theory an analysis strains.

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
    found = []
    if min(fwhm) < 3:
        found.append(
            f"smoothness of {min(fwhm):.2g} voxels along one axis: below about 3 the field is no smooth one; p of peaks are "
            "conservative and p of clusters unreliable (Hayasaka and Nichols 2003, doi 10.1016/j.neuroimage.2003.08.003)"
        )
    if forming_p > 0.001 * (1 + 1e-9):
        found.append(
            f"cluster-forming p of {forming_p:g}: above .001 clusters come out significant too often "
            "(Eklund et al. 2016, doi 10.1073/pnas.1602413113)"
        )
    if df < 20:
        found.append(f"{df:g} degrees of freedom: the theory is approximate below about 20")
    return found
