"""What motion leaves in the differences of a realigned series, regressed out.

The coil's receive field stays where it is while the head moves. Realignment brings the anatomy back, not the field: a
control and a label read at different places differ, in every voxel, by the static signal times the field's gradient
times the way between them. So the part of a pair's difference that motion leaves is linear in the difference of the two
volumes' positions, and zero where there is none: regressors are the within-pair differences of the six parameters
(control minus label), and they are *not* demeaned, since their zero has a meaning. The intercept is perfusion as a head
that does not move between control and label would show it. The pairs' mean positions, demeaned, may follow: they do not
bias the mean, but make the residual variance smaller.

A regression has its price in variance. Here regressors are turned into uncorrelated components, and each is shrunk
after James and Stein by what it explains over all voxels: by ``1 - 1 / F``, with F the variance that it explains over
what chance would. With no effect of motion F is 1 and nothing is subtracted. The test takes voxels for independent; a
fluctuation of the whole head is not, and by chance resembles some motion. So the strongest spatial pattern of what the
regression leaves, as far as it stands out from the next, is taken out of the components' maps: what looks like that
pattern stays where it was.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from pharmasl.perfusion.motion import HEAD_RADIUS

# At least so many repeats for each regressor, intercept included, and at least so many in all.
REPEATS_PER_REGRESSOR = 4
LEAST = 8
# Components of less root mean square motion are what realignment does not know, mm.
LEAST_MOTION = 0.02


@dataclass(frozen=True)
class Component:
    """A component of the motion within pairs.

    Attributes
    ----------
    rms : float
        Its root mean square motion, mm.
    mean : float
        Its mean in a pair, mm.
    f : float
        The variance that it explains over what chance would.
    share : float
        The share of it that was subtracted.
    """

    rms: float
    mean: float
    f: float
    share: float


@dataclass(frozen=True)
class Regression:
    """What a regression of motion did.

    Attributes
    ----------
    applied : bool
    reason : str
        Why it was not applied.
    components : tuple of Component
    weights : ndarray of shape (N,)
        By which the mean of the cleaned series is a sum of the repeats as they were, where all of those kept reach.
    variance_factor : float
        The variance of that mean over the plain mean's, repeats being equally noisy and independent.
    """

    applied: bool
    reason: str
    components: tuple[Component, ...]
    weights: np.ndarray
    variance_factor: float


def not_applied(reason: str, kept: np.ndarray) -> Regression:
    """The record of a regression that was not applied to the repeats kept."""
    return Regression(False, reason, (), _plain_weights(kept), 1.0)


def _plain_weights(kept: np.ndarray) -> np.ndarray:
    return kept / max(int(kept.sum()), 1)


def regress(
    series: np.ndarray,
    parameters: np.ndarray,
    pairs: np.ndarray,
    kept: np.ndarray | None = None,
    *,
    means: bool = False,
    shrink: bool = True,
) -> tuple[np.ndarray, Regression]:
    """Take from each repeat of a series what its motion explains.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        A value for each repeat; NaN where it does not reach.
    parameters : ndarray of shape (T, 6)
        Position of each volume: translations in mm, rotations in radians about the head's centre.
    pairs : ndarray of int, shape (N, 2)
        Control and label of each repeat.
    kept : ndarray of bool, shape (N,), optional
        The repeats to learn from. All are cleaned.
    means : bool
        Whether the pairs' mean positions take part as regressors.
    shrink : bool
        Whether components are shrunk by what they explain; otherwise they are subtracted whole.

    Returns
    -------
    cleaned : ndarray of shape (V, N), of the type of ``series`` if that is floating
        Its mean over the repeats kept is the intercept. Voxels that fewer than half of the repeats kept reach, or too
        few for the regressors, are as they were.
    Regression
    """
    values = np.asarray(series)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    kept = np.ones(values.shape[1], dtype=bool) if kept is None else np.asarray(kept, dtype=bool)
    number = int(kept.sum())
    if number < LEAST:
        return values, not_applied(f"{number} repeats where the regression needs {LEAST}", kept)
    most = number // REPEATS_PER_REGRESSOR - 1
    scores, sizes = components(parameters, pairs, kept, means=means, most=most)
    if not sizes:
        return values, not_applied(f"no motion of more than {LEAST_MOTION:g} mm", kept)
    complete = np.isfinite(values[:, kept]).all(axis=1)
    fitted = _fit(_products(values, np.flatnonzero(complete), np.flatnonzero(kept)), scores[kept])
    if fitted is None:
        return values, not_applied("no voxel that all repeats reach varies", kept)
    axes, common, shared, f = fitted
    share = np.clip(1 - 1 / np.maximum(f, 1e-12), 0, 1) if shrink else np.ones(len(f))

    cleaned = values.copy()
    of_all = np.zeros((len(kept), len(share)))
    of_all[kept] = axes * share
    _subtract(cleaned, np.flatnonzero(complete), np.flatnonzero(kept), of_all, np.ascontiguousarray(scores.T))
    _clean_incomplete(cleaned, values, ~complete, scores, share, kept, common, shared)
    middle = scores[kept].mean(axis=0)
    weights = _plain_weights(kept)
    weights[kept] -= axes @ (share * middle)
    moved = [
        Component(rms=size, mean=float(size * np.sqrt(number) * abs(mean)), f=float(a), share=float(b))
        for size, mean, a, b in zip(sizes, middle, f, share)
    ]
    return cleaned, Regression(True, "", tuple(moved), weights, float(number * (weights**2).sum()))


def components(
    parameters: np.ndarray, pairs: np.ndarray, kept: np.ndarray, *, means: bool, most: int
) -> tuple[np.ndarray, list[float]]:
    """Uncorrelated components of the pairs' motion, largest first: those of the differences, then those of the means.

    Parameters
    ----------
    parameters, pairs, kept, means
        As for :func:`regress`.
    most : int
        Components at most.

    Returns
    -------
    scores : ndarray of shape (N, K)
        Of unit sum of squares about their mean, over the repeats kept. Zero is no motion within the pair, at the mean
        position.
    sizes : list of float
        Root mean square about the mean of each, mm.
    """
    position = np.asarray(parameters, dtype=np.float64) * ([1.0] * 3 + [HEAD_RADIUS] * 3)
    control, label = position[pairs[:, 0]], position[pairs[:, 1]]
    blocks = [control - label]
    if means:
        middle = (control + label) / 2
        blocks.append(middle - middle[kept].mean(axis=0))
    scores = np.empty((len(pairs), 0))
    sizes: list[float] = []
    for block in blocks:
        if scores.shape[1]:
            # Of the means only what the differences do not say already.
            axes = scores[kept] - scores[kept].mean(axis=0)
            block = block - scores @ (axes.T @ block[kept])
        centred = block[kept] - block[kept].mean(axis=0)
        _, extent, directions = np.linalg.svd(centred, full_matrices=False)
        rms = extent / np.sqrt(kept.sum())
        # Collinear motion has no extent and is dropped with what is too small.
        taken = np.flatnonzero(rms > LEAST_MOTION)[: most - len(sizes)]
        scores = np.hstack([scores, (block @ directions[taken].T) / extent[taken]])
        sizes += [float(r) for r in rms[taken]]
    return scores, sizes


def _products(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sums over voxels of the products of any two repeats, each voxel's mean taken out: ndarray of shape (M, M)."""
    total = np.zeros((len(columns), len(columns)))
    _add_products(values, rows, columns, total)
    return np.tril(total) + np.tril(total, -1).T


# Loops of one thread, unlike a library's matrix product, sum in one order whatever the number of threads.
@njit(cache=True, nogil=True)
def _add_products(values, rows, columns, total):
    """Add the products to the lower half of ``total`` (M, M)."""
    known = np.empty(len(columns))
    for v in rows:
        mean = 0.0
        for n in range(len(columns)):
            known[n] = values[v, columns[n]]
            mean += known[n]
        mean /= len(columns)
        for n in range(len(columns)):
            known[n] -= mean
        for n in range(len(columns)):
            here, one = total[n], known[n]
            for m in range(n + 1):
                here[m] += one * known[m]


@njit(cache=True, nogil=True)
def _subtract(values, rows, columns, axes, scores):
    """Take from each of the rows its projections on ``axes`` (N, K) over the columns, times ``scores`` (K, N)."""
    slopes, number = np.empty(axes.shape[1]), values.shape[1]
    taken = np.empty(number)
    for v in rows:
        slopes[:] = 0.0
        for n in columns:
            value = values[v, n]
            for k in range(len(slopes)):
                slopes[k] += value * axes[n, k]
        taken[:] = 0.0
        for k in range(len(slopes)):
            slope = slopes[k]
            for n in range(number):
                taken[n] += slope * scores[k, n]
        for n in range(number):
            values[v, n] -= taken[n]


def _fit(products, scores):
    """The fit of the components, separated from what fluctuates in common.

    Parameters
    ----------
    products : ndarray of shape (M, M)
        Of :func:`_products`, for the M repeats kept.
    scores : ndarray of shape (M, K)

    Returns
    -------
    axes : ndarray of shape (M, K)
        A voxel's values times these are its share in the components' maps, free of the common pattern.
    common : ndarray of shape (M,)
        The course of the strongest pattern left, of unit sum of squares.
    shared : ndarray of shape (K,)
        How much of that pattern each map held.
    f : ndarray of shape (K,)
        The variance that each component explains over what chance would.

    Or None where nothing varies.
    """
    repeats, k = scores.shape
    axes = scores - scores.mean(axis=0)
    rest = np.eye(repeats) - axes @ axes.T
    extents, courses = np.linalg.eigh(rest @ products @ rest)
    left = max(extents.sum(), 0)
    if not left > 1e-12 * np.trace(products):
        return None
    # A pattern no stronger than the next is noise, and says nothing of the components.
    excess = 1 - max(extents[-2], 0) / extents[-1]
    common = courses[:, -1]
    shared = excess * (common @ rest @ products @ axes) / extents[-1]
    axes = axes - np.outer(common, shared)
    f = np.diag(axes.T @ products @ axes) / ((left - excess * extents[-1]) / (repeats - 1 - k - excess))
    return axes, common, shared, f


def _clean_incomplete(cleaned, values, incomplete, scores, share, kept, common, shared):
    """The same regression where some repeats do not reach, for each set of repeats at once."""
    where = np.flatnonzero(incomplete)
    here = np.isfinite(values[where]) & kept
    k = scores.shape[1]
    enough = here.sum(axis=1) >= max(kept.sum() / 2, REPEATS_PER_REGRESSOR * (k + 1))
    where, here = where[enough], here[enough]
    if not len(where):
        return
    course = np.zeros(len(kept))
    course[kept] = common
    patterns, which = np.unique(here, axis=0, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    for pattern, rows in zip(patterns, np.split(where[order], np.flatnonzero(np.diff(which[order])) + 1)):
        design = np.column_stack([np.ones(pattern.sum()), scores[pattern], course[pattern]])
        slopes = np.einsum("vn,kn->vk", values[np.ix_(rows, pattern)], np.linalg.pinv(design)[1:])
        slopes = slopes[:, :k] - slopes[:, k:] * shared
        cleaned[rows] -= np.einsum("vk,nk->vn", slopes * share, scores)
