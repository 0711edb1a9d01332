"""The group-by-time interaction as SPM's *full factorial* design tests it: offered to repeat published analyses.

All scans enter one model of cell means, groups by two sessions. Their errors have, for the whole brain, *one* pattern
of covariance: a variance for each cell and a covariance of the sessions for each group (factors group and time with
unequal variance, time dependent), estimated by ReML from the covariance pooled over the voxels that any effect reaches
(F of all cells at ``selection_p``, SPM's ``stats.fmri.ufp``); the data are whitened with it, and a voxel has one
variance for all. Degrees of freedom are those of the whitened data, scans minus cells: Satterthwaite's formula as SPM
applies it, tr(RV)^2 / tr(RVRV), with V = I after whitening.

This is *not* the two-sample t on differences. The numerator is the same, the denominator is right where the voxel's
correlation between sessions is the pooled one, too small where the true correlation is lower and too large where it is
higher; its degrees of freedom are about twice as many. The test on differences is the one to rely on.

SPM's ReML has a Gaussian prior of mean 0 and precision exp(-8) on each variance and covariance, and stops when the
next step promises less than 0.1 of log-evidence. Both are repeated here, and change the covariance by about 1e-4 of a
mean variance. Without the prior (``prior=0``) the restricted likelihood of a mean for each cell and an unrestricted
2 x 2 covariance for each group has its maximum at the pooled cross-products over n_g - 1, in closed form.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from pharmasl.errors import InputError

_TILE = 8192

# Precision of SPM's prior on the components, the gain that ends its iteration, and its first step's length.
PRIOR, _GAIN, _STEP = float(np.exp(-8)), 0.1, 4.0


class FullFactorial(NamedTuple):
    """The fitted model.

    Attributes
    ----------
    effect : ndarray of shape (V,)
        (second - first) of the treatment group minus that of the control group, the maps' unit.
    t : ndarray of shape (V,)
        0 where the data do not vary.
    df : int
        Scans minus cells.
    covariance : ndarray of shape (G, 2, 2)
        Errors of the two sessions, a matrix per group in order of ``groups``, relative to the voxel's variance. Its
        scale does not matter to t.
    groups : list of str
    selected : int
        Voxels that entered the pooled covariance.
    """

    effect: np.ndarray
    t: np.ndarray
    df: int
    covariance: np.ndarray
    groups: list[str]
    selected: int


# Variance of the first session, of the second, and their covariance.
_PAIR = np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]]])


def _members(
    first: np.ndarray, second: np.ndarray, groups: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str], list[np.ndarray]]:
    first, second, labels = np.asarray(first), np.asarray(second), np.asarray(groups)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != len(labels):
        raise ValueError(f"sessions of shapes {first.shape} and {second.shape} for {len(groups)} participants")
    names = sorted(set(labels.tolist()))
    members = [np.flatnonzero(labels == name) for name in names]
    for name, rows in zip(names, members):
        if len(rows) < 2:
            raise InputError(
                "participants", f"arm {name}", f"{len(rows)} participant(s)", "at least two", "Scan or include more."
            )
    if len(names) < 2:
        raise InputError("participants", "arm", f"{names} alone", "at least two arms", "Use the one-sample test.")
    return first, second, names, members


def _moments(first: np.ndarray, second: np.ndarray, members: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cell means (G, 2, W) and cross-products of the deviations (G, 3, W): 11, 22, 12."""
    means, products = [], []
    for rows in members:
        one, two = first[:, rows].astype(np.float64), second[:, rows].astype(np.float64)
        means.append((one.mean(axis=1), two.mean(axis=1)))
        one -= means[-1][0][:, None]
        two -= means[-1][1][:, None]
        products.append([np.einsum("vi,vi->v", a, b) for a, b in ((one, one), (two, two), (one, two))])
    return np.array(means), np.array(products)


def _reml(pooled: np.ndarray, sizes: np.ndarray, prior: float) -> np.ndarray:
    """Covariance components of each group from its pooled cross-products, by Fisher scoring.

    A step follows the gradient's flow for a time set by the curvature (a Newton step damped along flat directions),
    from variances of 1 without covariance.

    Parameters
    ----------
    pooled : ndarray of shape (G, 2, 2)
        Cross-products of a group's deviations from its means, mean over voxels.
    sizes : sequence of length G
    prior : float

    Returns
    -------
    ndarray of shape (G, m, m)
    """
    freedom = np.asarray(sizes) - 1.0
    if prior == 0:
        return pooled / freedom[:, None, None]
    patterns = _PAIR
    h = np.tile((np.trace(patterns, axis1=1, axis2=2) > 0).astype(np.float64), (len(sizes), 1))
    step, before = _STEP, np.inf
    for _ in range(32):
        inverse = np.linalg.inv(np.einsum("gk,kij->gij", h, patterns))
        products = inverse[:, None] @ patterns
        slope = np.einsum("gkij,gji->gk", products, inverse @ pooled) - freedom[:, None] * np.trace(
            products, axis1=2, axis2=3
        )
        slope = slope / 2 - prior * h
        curvature = -freedom[:, None, None] * np.einsum("gkij,glji->gkl", products, products) / 2
        curvature -= prior * np.eye(len(patterns))
        values, vectors = np.linalg.eigh(curvature)
        time = np.exp(step - np.log(-values).mean())
        along = np.einsum("gij,gi->gj", vectors, slope)
        move = np.einsum("gij,gj->gi", vectors, np.expm1(time * values) / values * along)
        h = h + move
        gain = float((slope * move).sum())
        step += -1 if gain > before else 0.25
        before = gain
        if gain < _GAIN:
            break
    return np.einsum("gk,kij->gij", h, patterns)


def pooled_covariance(
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[str],
    selection_p: float = 0.001,
    prior: float = PRIOR,
) -> tuple[np.ndarray, int]:
    """Covariance of the two sessions in each group, pooled over the voxels where any cell mean differs from 0.

    Parameters
    ----------
    first, second : ndarray of shape (V, n)
        Complete data, a row per voxel and a column per participant.
    groups : sequence of length n
        Arm of each participant.
    selection_p : float
        A voxel enters where the F of all cell means has a p below this (SPM: .001 for its modality "fMRI", .05 "PET").
    prior : float
        Precision of the prior on each component; 0 for the maximum of the restricted likelihood.

    Returns
    -------
    covariance : ndarray of shape (G, 2, 2)
        Of the groups in sorted order; as estimated, SPM's ``h``.
    selected : int
        Voxels that entered.

    Raises
    ------
    InputError
        If data are missing, an arm has fewer than two participants, or no voxel passes the selection.
    """
    first, second, names, members = _members(first, second, groups)
    sizes = np.array([len(rows) for rows in members])
    scans, cells = 2 * int(sizes.sum()), 2 * len(names)
    df = scans - cells
    critical = special.fdtri(cells, df, 1 - selection_p)
    total, selected = np.zeros((len(names), 3)), 0
    for start in range(0, len(first), _TILE):
        means, products = _moments(first[start : start + _TILE], second[start : start + _TILE], members)
        if not np.isfinite(means).all():
            raise InputError(
                "maps",
                "coverage",
                "a participant without a value in some voxel or session",
                "complete data: the full factorial design takes no missing sessions",
                "Leave such participants out, or use the mixed model.",
            )
        residual = products[:, :2].sum(axis=(0, 1))
        explained = np.einsum("g,gsv->v", sizes, means**2)
        # A voxel without residuals has no scale to be pooled with.
        keep = (residual > 1e-20 * explained) & (explained / cells * df > critical * residual)
        total += (products[:, :, keep] * (df / residual[keep])).sum(axis=2)
        selected += int(keep.sum())
    if not selected:
        raise InputError(
            "maps", "voxels", f"none with an F above {critical:.3g}", "voxels with signal to pool", "Check the maps."
        )
    pooled = (total / selected)[:, [0, 2, 2, 1]].reshape(-1, 2, 2)
    return _reml(pooled, sizes, prior), selected


def fit(
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[str],
    treatment: str,
    control: str,
    *,
    covariance: np.ndarray | None = None,
    selection_p: float = 0.001,
    prior: float = PRIOR,
) -> FullFactorial:
    """Test the group-by-time interaction in SPM's full factorial design.

    Parameters
    ----------
    first, second : ndarray of shape (V, n)
        Baseline and follow-up, complete data.
    groups : sequence of length n
    treatment, control : str
        The two groups compared; further groups only add to the residual variance.
    covariance : ndarray of shape (G, 2, 2), optional
        Known errors' covariance instead of :func:`pooled_covariance`.
    selection_p, prior : float
        As there.

    Returns
    -------
    FullFactorial

    Raises
    ------
    InputError
        As :func:`pooled_covariance`, and for a group that nobody is in.
    """
    first, second, names, members = _members(first, second, groups)
    for name in (treatment, control):
        if name not in names:
            raise InputError("configuration", "arms", name, " or ".join(map(str, names)), "Name an arm of the table.")
    selected = 0
    if covariance is None:
        covariance, selected = pooled_covariance(first, second, groups, selection_p, prior)
    covariance = np.asarray(covariance, dtype=np.float64)
    plus, minus = names.index(treatment), names.index(control)
    df = 2 * sum(map(len, members)) - 2 * len(names)
    precision = np.linalg.inv(covariance)
    change = np.array([-1.0, 1.0])
    variance = sum(change @ covariance[g] @ change / len(members[g]) for g in (plus, minus))
    weights = np.stack([precision[:, 0, 0], precision[:, 1, 1], 2 * precision[:, 0, 1]], axis=1)
    effect, t = np.empty(len(first)), np.empty(len(first))
    for start in range(0, len(first), _TILE):
        here = slice(start, start + _TILE)
        means, products = _moments(first[here], second[here], members)
        effect[here] = (means[plus, 1] - means[plus, 0]) - (means[minus, 1] - means[minus, 0])
        # Whitening a subject's pair by V^-1/2 turns its sum of squares into e' V^-1 e.
        residual = np.einsum("gk,gkv->v", weights, products)
        error = np.sqrt(np.maximum(residual, 0) / df * variance)
        scale = 1e-10 * np.abs(means).max(axis=(0, 1))
        t[here] = np.divide(effect[here], error, out=np.zeros_like(error), where=error > scale)
    return FullFactorial(effect, t, int(df), covariance, names, selected)


def whitened_residuals(
    first: np.ndarray, second: np.ndarray, groups: Sequence[str], covariance: np.ndarray
) -> np.ndarray:
    """Residuals of the whitened model, for the smoothness of random fields.

    Parameters
    ----------
    first, second : ndarray of shape (V, n)
    groups : sequence of length n
    covariance : ndarray of shape (G, 2, 2)
        Of :class:`FullFactorial`.

    Returns
    -------
    ndarray of shape (V, 2 n), float32
        Columns in SPM's order of cells: group by group, in each the first session's participants, then the second's.
    """
    first, second, _, members = _members(first, second, groups)
    out = np.empty((len(first), 2 * first.shape[1]), dtype=np.float32)
    column = 0
    for rows, matrix in zip(members, np.asarray(covariance)):
        values, vectors = np.linalg.eigh(matrix)
        root = (vectors / np.sqrt(values)) @ vectors.T
        n = len(rows)
        for start in range(0, len(first), _TILE):
            here = slice(start, start + _TILE)
            one, two = first[here][:, rows].astype(np.float64), second[here][:, rows].astype(np.float64)
            one -= one.mean(axis=1, keepdims=True)
            two -= two.mean(axis=1, keepdims=True)
            out[here, column : column + n] = root[0, 0] * one + root[0, 1] * two
            out[here, column + n : column + 2 * n] = root[1, 0] * one + root[1, 1] * two
        column += 2 * n
    return out
