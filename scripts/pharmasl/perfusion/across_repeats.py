"""How a scan's repeats agree within grey matter: signal over its scatter, of the mean and of the voxels."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.perfusion.tissue_maps import GM_THRESHOLDS, tissue_mask

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class AcrossRepeats:
    """Measures across the repeats of a scan; NaN where one cannot be formed.

    Attributes
    ----------
    gm_cbf_z : float
        Of :func:`repeats_z`.
    temporal_snr : float
        Of :func:`temporal_snr`.
    """

    gm_cbf_z: float = NAN
    temporal_snr: float = NAN

    def record(self) -> dict[str, float | None]:
        """As it stands in the scan's sidecar; None where a measure cannot be formed."""
        values = {"GreyMatterZ": self.gm_cbf_z, "TemporalSNR": self.temporal_snr}
        return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def measure(cbf: np.ndarray, series: np.ndarray, gm: np.ndarray, kept: np.ndarray, delays: np.ndarray) -> AcrossRepeats:
    """The measures of one scan, in the grey matter of its mean CBF.

    Parameters
    ----------
    cbf : ndarray of shape (V,)
        Mean CBF in the voxels of the brain, mL/100 g/min; NaN or 0 where it is not known.
    series : ndarray of shape (V, N)
        CBF of each repeat; NaN or 0 where it does not reach.
    gm : ndarray of shape (V,)
        Share of grey matter, 0 to 1.
    kept : ndarray of bool, shape (N,)
        The repeats in the mean.
    delays : ndarray of shape (N,)
        Post-labelling delay of each repeat, seconds.

    Returns
    -------
    AcrossRepeats
    """
    # A measured CBF is never exactly zero.
    grey, _ = tissue_mask(gm, np.isfinite(cbf) & (cbf != 0), GM_THRESHOLDS)
    inside = series[grey][:, kept]
    inside = inside[(np.isfinite(inside) & (inside != 0)).all(axis=1)]
    if not len(inside):
        return AcrossRepeats()
    means = inside.mean(axis=0, dtype=np.float64)
    return AcrossRepeats(gm_cbf_z=repeats_z(means, delays[kept]), temporal_snr=temporal_snr(inside, delays[kept]))


def spread_across(series: np.ndarray, delays: np.ndarray | None = None) -> tuple[np.ndarray | None, int]:
    """Standard deviation across repeats, and its degrees of freedom.

    Parameters
    ----------
    series : ndarray of shape (..., repeats)
    delays : ndarray of shape (repeats,), optional
        Post-labelling delay of each repeat: differences between delays are not noise, so deviations are taken from the
        mean of the repeats of the same delay.

    Returns
    -------
    spread : ndarray of shape (...) or None
        None without a degree of freedom.
    freedom : int
        Repeats minus delays.
    """
    kinds = np.zeros(1) if delays is None else np.unique(delays)
    if len(kinds) < 2:
        freedom = series.shape[-1] - 1
        return (series.std(axis=-1, ddof=1) if freedom > 0 else None), freedom
    freedom = series.shape[-1] - len(kinds)
    squares = sum(
        ((own - own.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
        for own in (series[..., delays == kind] for kind in kinds)
    )
    return (np.sqrt(squares / freedom) if freedom > 0 else None), freedom


def temporal_snr(series: np.ndarray, delays: np.ndarray | None = None) -> float:
    """Temporal signal-to-noise ratio: the median over voxels of mean over SD across pairs.

    Parameters
    ----------
    series : ndarray of shape (voxels, pairs)
    delays : ndarray of shape (pairs,), optional
        See :func:`spread_across`.

    Returns
    -------
    float
        NaN without two pairs of one delay or without a voxel that varies.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 2 or series.shape[0] == 0:
        return NAN
    spread, _ = spread_across(series, delays)
    if spread is None:
        return NAN
    varies = spread > 0
    return float(np.median(series.mean(axis=1)[varies] / spread[varies])) if varies.any() else NAN


def repeats_z(repeats: np.ndarray, delays: np.ndarray | None = None) -> float:
    """How far the mean of repeated estimates lies from zero: the normal quantile that matches its t.

    The mean over its standard error is a Student's t of n - 1 degrees of freedom (n less the number of delays), which
    three pairs push beyond 3 by chance once in twenty; as a normal quantile its tail has one meaning whatever the number
    of repeats.

    Parameters
    ----------
    repeats : ndarray of shape (n,)
        Mean grey-matter CBF of each repeat.
    delays : ndarray of shape (n,), optional
        See :func:`spread_across`.

    Returns
    -------
    float
        NaN without two repeats of one delay or where they do not vary.
    """
    repeats = np.asarray(repeats, dtype=np.float64)
    spread, freedom = spread_across(repeats, delays)
    if spread is None or not spread > 0:
        return NAN
    t = repeats.mean() / (spread / np.sqrt(repeats.size))
    # The lower tail keeps its relative precision where 1 - p would round to 1.
    tail = max(special.stdtr(freedom, -abs(t)), np.finfo(np.float64).tiny)
    return float(-np.sign(t) * special.ndtri(tail))
