"""The measures of a scan's quality, each a number from arrays.

CBF is in mL/100 g/min throughout. A measure that cannot be formed (no voxel, one pair, zero mean) is NaN: it is written
``n/a`` and never passes for a value.
"""

from collections.abc import Sequence

import numpy as np

from pharmasl.perfusion.tissue_maps import GM_THRESHOLDS, WM_THRESHOLDS, tissue_mask
from pharmasl.quality.scan_maps import Motion, NativeMaps, Repeats, TemplateMaps
from pharmasl.space import resample

NAN = float("nan")

# mL/100 g/min; ASLPrep counts grey-matter voxels above 100, 150 and 200. Above 150 flow is vascular or an artefact.
HIGH_CBF = 150.0

# Dolui et al. 2024 (J Magn Reson Imaging, doi 10.1002/jmri.29308), the form and constants that ASLPrep distributes. The
# code of a later work of the same authors (QEI-Net) has 0.0544 where ASLPrep has 0.054, which lowers the index by 0.2 %
# at a dispersion index of 20, and tissues above 0.9 where ASLPrep has 0.7; all other constants agree.
QEI_TISSUE = 0.7
QEI_FWHM = 5.0
QEI_GM_WEIGHT = 2.5


def mean(values: np.ndarray) -> float:
    """Mean of the finite values, NaN if there is none."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else NAN


def spatial_cov(cbf: np.ndarray) -> float:
    """Spatial coefficient of variation: SD over mean of the voxels (Mutsaerts et al. 2017, J Cereb Blood Flow Metab).

    Parameters
    ----------
    cbf : ndarray of shape (voxels,)
        Grey-matter CBF.

    Returns
    -------
    float
        A ratio; SD with n - 1. NaN with fewer than two voxels or a mean that is not above zero.
    """
    cbf = np.asarray(cbf, dtype=np.float64)
    if cbf.size < 2 or not cbf.mean() > 0:
        return NAN
    return float(cbf.std(ddof=1) / cbf.mean())


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two sets of voxels, NaN where one of them is constant or has fewer than three."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.size < 3:
        return NAN
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else NAN


def dispersion_index(groups: Sequence[np.ndarray]) -> float:
    """Pooled variance within tissues over the magnitude of the mean of the first (Dolui et al. 2024).

    Parameters
    ----------
    groups : sequence of ndarray
        CBF of the voxels of each tissue, grey matter first. A tissue of fewer than two voxels has no variance and is
        left out of the pool.

    Returns
    -------
    float
        mL/100 g/min (a variance over a mean).
    """
    pooled = [np.asarray(group, dtype=np.float64) for group in groups if len(group) > 1]
    if len(groups[0]) < 2 or not groups[0].mean():
        return NAN
    degrees = sum(group.size - 1 for group in pooled)
    within = sum((group.size - 1) * group.var(ddof=1) for group in pooled) / degrees
    return float(within / abs(np.asarray(groups[0], dtype=np.float64).mean()))


def quality_evaluation_index(structural_similarity: float, dispersion: float, negative_share: float) -> float:
    """Quality evaluation index (QEI) of a CBF map, 0 (noise) to 1 (Dolui et al. 2024, J Magn Reson Imaging).

    Parameters
    ----------
    structural_similarity : float
        Correlation of the smoothed CBF with 2.5 GM + WM; below zero counts as zero.
    dispersion : float
        :func:`dispersion_index` of the smoothed CBF.
    negative_share : float
        Share of grey-matter voxels whose smoothed CBF is below zero.

    Returns
    -------
    float
        The geometric mean of three terms, one per argument.
    """
    similarity = 1 - np.exp(-3.0126 * max(structural_similarity, 0.0) ** 2.4419)
    penalty = np.exp(-(0.054 * dispersion**0.9272 + 2.8478 * negative_share**0.5196))
    return float(np.cbrt(similarity * penalty))


def qei_terms(native: NativeMaps, inside: np.ndarray) -> dict[str, float]:
    """The quality evaluation index of a CBF map, and the terms that it is made of.

    Parameters
    ----------
    native : NativeMaps
    inside : ndarray of bool, shape (X, Y, Z)
        Brain voxels with finite CBF. Smoothing (Gaussian, 5 mm FWHM) is normalised within them.

    Returns
    -------
    dict of str to float
        ``qei``, ``structural_similarity``, ``dispersion_index``; NaN without grey matter.
    """
    smooth = resample.smooth(native.cbf, native.affine, QEI_FWHM, inside)
    groups = [smooth[inside & (tissue > QEI_TISSUE)] for tissue in (native.gm, native.wm, native.csf)]
    similarity = correlation(smooth[inside], (QEI_GM_WEIGHT * native.gm + native.wm)[inside])
    dispersion = dispersion_index(groups)
    negative = mean(groups[0] < 0)
    terms = {"structural_similarity": similarity, "dispersion_index": dispersion}
    complete = np.isfinite([similarity, dispersion, negative]).all()
    return {"qei": quality_evaluation_index(similarity, dispersion, negative) if complete else NAN, **terms}


def coverage_share(coverage: np.ndarray, template_mask: np.ndarray) -> float:
    """Share of the template's brain that the scan's field of view holds, 0 to 1."""
    brain = template_mask > 0
    return mean((coverage > 0)[brain])


def scan_metrics(
    *,
    native: NativeMaps,
    repeats: Repeats,
    motion: Motion,
    template: TemplateMaps,
    overlap: float = NAN,
    orders_open: float = NAN,
) -> dict[str, float]:
    """All measures of a scan that come from its maps.

    Parameters
    ----------
    native : NativeMaps
    repeats : Repeats
    motion : Motion
    template : TemplateMaps
    overlap : float
        Of the scan's brain with the anatomy's after registration, 0 to 1; NaN where it is not known.
    orders_open : float
        Orders of a time-encoded scan's code that are left open; NaN of other scans.

    Returns
    -------
    dict of str to float
        Keys as in :data:`pharmasl.quality.measure_columns.METRICS`.
    """
    # Maps hold zero where CBF is not known; a measured CBF is never exactly zero.
    cbf = native.cbf
    inside = (native.brain > 0) & np.isfinite(cbf) & (cbf != 0)
    grey, gm_threshold = tissue_mask(native.gm, inside, GM_THRESHOLDS)
    white, wm_threshold = tissue_mask(native.wm, inside, WM_THRESHOLDS)
    gm_cbf, wm_cbf = mean(cbf[grey]), mean(cbf[white])
    displacement = motion.displacement[np.isfinite(motion.displacement)]
    shared = (template.brain > 0) & (template.coverage > 0) & np.isfinite(template.cbf)
    return {
        **qei_terms(native, inside),
        "negative_gm_share": mean(cbf[grey] < 0),
        "high_cbf_share": mean(cbf[grey] > HIGH_CBF),
        "spatial_cov": spatial_cov(cbf[grey]),
        "gm_cbf": gm_cbf,
        "gm_cbf_z": repeats.gm_cbf_z,
        "wm_cbf": wm_cbf,
        "gm_wm_ratio": gm_cbf / wm_cbf if wm_cbf > 0 else NAN,
        "temporal_snr": repeats.temporal_snr,
        "fd_mean": mean(displacement),
        "fd_max": float(displacement.max()) if displacement.size else NAN,
        "dvars_mean": mean(motion.dvars),
        "slices_out_of_line": motion.slices_out_of_line,
        "coverage": coverage_share(template.coverage, template.brain),
        "template_correlation": correlation(template.cbf[shared], template.gm[shared]),
        "registration_overlap": float(overlap),
        "orders_open": float(orders_open),
        "pairs_used": int(np.count_nonzero(repeats.passed)),
        "pairs": len(repeats.passed),
        "pairs_without_signal": int(repeats.without_signal),
        "delays": len(np.unique(repeats.delays)),
        "gm_voxels": int(grey.sum()),
        "gm_threshold": gm_threshold,
        "wm_voxels": int(white.sum()),
        "wm_threshold": wm_threshold,
    }
