"""Figures of each repeat of a perfusion series by which artefacts are detected.

A repeat is one estimate of perfusion: a label-control pair, or a deltaM or CBF volume.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

# Share of a voxel from which it counts as a tissue: 0.95 for SCORE's authors, 0.75 where tissue maps are smoothed.
SCORE_THRESHOLD = 0.95
SCORE_MAD = 0.675
# A tissue of thick voxels may hardly reach SCORE's threshold, which is then lowered in these steps until there are
# enough voxels. Above one half no voxel can be two tissues.
THRESHOLDS = (0.9, 0.8, 0.7, 0.6, 0.5)
MINIMUM_VOXELS = 50


@dataclass(frozen=True)
class Measured:
    """The figures of all repeats, and the voxels that the rules look at.

    Attributes
    ----------
    values : ndarray of shape (U, N)
        The series in the voxels of the three tissues.
    tissue : ndarray of int8, shape (U,)
        0 grey matter, 1 white matter, 2 fluid.
    figures : dict of str to ndarray of shape (N,)
    notes : tuple of str
        Tissues whose threshold was lowered
    """

    values: np.ndarray
    tissue: np.ndarray
    figures: dict[str, np.ndarray]
    notes: tuple[str, ...]

    @property
    def repeats(self) -> int:
        """Number of repeats."""
        return self.values.shape[1]


def measure(
    series: np.ndarray,
    shares: tuple[np.ndarray, np.ndarray, np.ndarray],
    displacement: np.ndarray,
    slices: np.ndarray | None = None,
    score_threshold: float = SCORE_THRESHOLD,
) -> Measured:
    """The figures of every repeat.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        CBF of each repeat in the voxels of the brain, mL/100 g/min; NaN where the repeat does not reach.
    shares : tuple of 3 ndarray of shape (V,)
        Shares of grey matter, white matter and fluid, 0 to 1.
    displacement : ndarray of shape (N,)
        Between control and label, mm; NaN where unknown.
    slices : ndarray of shape (N,), optional
        Slices out of line in the volumes of each repeat; NaN, or None for all, where they were not measured.
    score_threshold : float
        Share of a voxel from which it counts as a tissue.

    Returns
    -------
    Measured
    """
    repeats = series.shape[1]
    tissue, notes = tissues(*shares, score_threshold)
    inside = tissue >= 0
    values, tissue = np.ascontiguousarray(series[inside], dtype=np.float64), tissue[inside]
    grey = _mean_over_voxels(values[tissue == 0])
    correlation, spread = np.full(repeats, np.nan), np.full(repeats, np.nan)
    _against_others(values, correlation, spread)
    figures = {
        "displacement": np.asarray(displacement, dtype=np.float64),
        "slices_out_of_line": np.full(repeats, np.nan) if slices is None else np.asarray(slices, dtype=np.float64),
        "gm_cbf": grey,
        "gm_deviation": deviation(grey, np.isfinite(grey)),
        "global_cbf": _mean_over_voxels(series),
        "mean_correlation": correlation,
        "residual_sd": spread,
        "reached": np.isfinite(series).mean(axis=0) if len(series) else np.zeros(repeats),
    }
    return Measured(values, tissue, figures, tuple(notes))


def tissues(gm: np.ndarray, wm: np.ndarray, csf: np.ndarray, threshold: float) -> tuple[np.ndarray, list[str]]:
    """The tissue of each voxel, by the strictest threshold that leaves the tissue enough of them.

    Parameters
    ----------
    gm, wm, csf : ndarray of shape (V,)
    threshold : float
        The first one; a voxel must lie above. :data:`THRESHOLDS` that are lower follow.

    Returns
    -------
    tissue : ndarray of int8, shape (V,)
        0, 1, 2; -1 for none.
    notes : list of str
    """
    tissue = np.full(len(gm), -1, dtype=np.int8)
    notes: list[str] = []
    for number, (name, share) in enumerate((("grey matter", gm), ("white matter", wm), ("fluid", csf))):
        for limit in (threshold, *(step for step in THRESHOLDS if step < threshold)):
            chosen = share > limit
            if chosen.sum() >= MINIMUM_VOXELS:
                break
        tissue[chosen] = number
        if limit < threshold:
            count = int(chosen.sum())
            notes.append(f"score: {name} taken above a share of {limit:g} in place of {threshold:g} ({count} voxels)")
    return tissue, notes


def deviation(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Deviation from the median of the values used, in robust standard deviations (MAD / 0.675); NaN if MAD is 0."""
    if not used.any():
        return np.full(len(values), np.nan)
    middle = np.median(values[used])
    spread = np.median(np.abs(values[used] - middle)) / SCORE_MAD
    return (values - middle) / spread if spread > 0 else np.full(len(values), np.nan)


def _mean_over_voxels(values: np.ndarray) -> np.ndarray:
    here = np.isfinite(values)
    count = here.sum(axis=0)
    total = np.where(here, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@njit(cache=True, nogil=True)
def variance_within(values: np.ndarray, tissue: np.ndarray, kept: np.ndarray, mean: np.ndarray) -> float:
    """Put the mean of the repeats kept into ``mean``; return its variance within tissues, pooled."""
    total, count = np.zeros(3), np.zeros(3)
    for v in range(values.shape[0]):
        summed, here = 0.0, 0
        for n in range(values.shape[1]):
            if kept[n] and not np.isnan(values[v, n]):
                summed += values[v, n]
                here += 1
        mean[v] = summed / here if here > 0 else np.nan
        if here > 0:
            total[tissue[v]] += mean[v]
            count[tissue[v]] += 1
    squares, degrees = 0.0, 0.0
    for v in range(values.shape[0]):
        k = tissue[v]
        if count[k] > 1 and not np.isnan(mean[v]):
            squares += (mean[v] - total[k] / count[k]) ** 2
    for k in range(3):
        if count[k] > 1:
            degrees += count[k] - 1
    return squares / degrees if degrees > 0 else np.inf


@njit(cache=True, nogil=True)
def correlate(values: np.ndarray, mean: np.ndarray, kept: np.ndarray, out: np.ndarray) -> None:
    """Correlation of the repeats kept with the mean over voxels that have both; -2, the least, for the others."""
    repeats = values.shape[1]
    n, sx, sy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(values.shape[0]):
        for i in range(repeats):
            if kept[i] and not np.isnan(values[v, i]) and not np.isnan(mean[v]):
                n[i] += 1
                sx[i] += values[v, i]
                sy[i] += mean[v]
    for i in range(repeats):
        if n[i] > 0:
            sx[i] /= n[i]
            sy[i] /= n[i]
    sxx, syy, sxy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(values.shape[0]):
        for i in range(repeats):
            if kept[i] and not np.isnan(values[v, i]) and not np.isnan(mean[v]):
                x, y = values[v, i] - sx[i], mean[v] - sy[i]
                sxx[i] += x * x
                syy[i] += y * y
                sxy[i] += x * y
    for i in range(repeats):
        out[i] = -2.0
        # A repeat without variation is like nothing, and still before those that are out already.
        if kept[i]:
            out[i] = sxy[i] / np.sqrt(sxx[i] * syy[i]) if sxx[i] * syy[i] > 0 else -1.0


@njit(cache=True, nogil=True)
def _against_others(values, correlation, spread):
    """Correlation of each repeat with the mean of the others, and standard deviation of its difference from that."""
    voxels, repeats = values.shape
    n, sx, sy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    total, count = np.zeros(voxels), np.zeros(voxels)
    for v in range(voxels):
        for i in range(repeats):
            if not np.isnan(values[v, i]):
                total[v] += values[v, i]
                count[v] += 1
        for i in range(repeats):
            if count[v] > 1 and not np.isnan(values[v, i]):
                n[i] += 1
                sx[i] += values[v, i]
                sy[i] += (total[v] - values[v, i]) / (count[v] - 1)
    for i in range(repeats):
        if n[i] > 0:
            sx[i] /= n[i]
            sy[i] /= n[i]
    sxx, syy, sxy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(voxels):
        for i in range(repeats):
            if count[v] > 1 and not np.isnan(values[v, i]):
                x = values[v, i] - sx[i]
                y = (total[v] - values[v, i]) / (count[v] - 1) - sy[i]
                sxx[i] += x * x
                syy[i] += y * y
                sxy[i] += x * y
    for i in range(repeats):
        if n[i] > 2:
            if sxx[i] * syy[i] > 0:
                correlation[i] = sxy[i] / np.sqrt(sxx[i] * syy[i])
            spread[i] = np.sqrt(max(sxx[i] + syy[i] - 2 * sxy[i], 0.0) / (n[i] - 1))
