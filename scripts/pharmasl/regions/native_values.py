"""The CBF of a region in every contrast, from what was read of it in each scan's own space."""

import logging

from pharmasl.contrasts import contrast_maps
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import native_regions, rois

log = logging.getLogger(__name__)


def columns(statistic):
    """The columns of :data:`pharmasl.regions.rois.VALUE_COLUMNS`, which say how the value was taken."""
    how = native_regions.COLUMNS["statistic"]["Levels"][statistic]
    of_scan = native_regions.COLUMNS["coverage"]["Description"].removesuffix("; n/a for an empty region")
    return {
        **rois.VALUE_COLUMNS,
        "contrast": "Contrast of conditions, taken of the scans' values",
        "cbf": {
            "Description": "Weighted sum of the scans' values, read in each scan's own space, without smoothing or resampling "
            f"of CBF. {how}; n/a where a state has no usable scan or a scan's coverage is too low",
            "Units": "mL/100 g/min",
            "Statistic": statistic,
            "Space": "native",
        },
        "coverage": {
            "Description": f"{of_scan}; the least of the scans used, 0 without any; n/a for an empty region",
            "Units": "1",
        },
        "n_voxels": f"{native_regions.COLUMNS['n_voxels']}; the least of the scans used",
    }


def combine(found, weights, quality, minimum_coverage):
    """A contrast of one region's values in several scans.

    Parameters
    ----------
    found : sequence of dict
        Of each scan: ``cbf``, ``coverage``, ``n_voxels``, numbers or None.
    weights : sequence of float
    quality : sequence of dict
        See :func:`pharmasl.contrasts.contrast_maps.usable_weights`.
    minimum_coverage : float
        Of each scan that is used.

    Returns
    -------
    cbf : float or None
        None where a state has no usable scan, or one that is used covers too little.
    coverage : float or None
        The least of the scans used; 0 without any, None for an empty region.
    n : float
        The least of the scans used.
    """
    if any(each["coverage"] is None for each in found):
        return None, None, 0.0
    kept = contrast_maps.usable_weights(weights, quality)
    if kept is None:
        return None, 0.0, 0.0
    used = [(weight, each) for weight, each, row in zip(kept, found, quality) if row["usable"] == "yes"]
    coverage, n = (min(each[name] for _, each in used) for name in ("coverage", "n_voxels"))
    if coverage < minimum_coverage or any(each["cbf"] is None for _, each in used):
        return None, coverage, n
    return sum(weight * each["cbf"] for weight, each in used), coverage, n


def _read(path, roi, statistic):
    """A region's row of a scan's table, in numbers."""
    for row in tables.read_table(path):
        if (row["roi"], row["statistic"]) == (roi, statistic):
            return {name: None if row[name] is None else float(row[name]) for name in ("cbf", "coverage", "n_voxels")}
    raise InputError(path, "roi", "no such row", f"a row of {roi}, {statistic}", "Read the scan's regions again.")


def write(scans, quality, rows, roi, path, *, statistic="mean", minimum_coverage=0.5):
    """Write the CBF of a region in each contrast.

    Parameters
    ----------
    scans : sequence of path-like
        Tables of :func:`pharmasl.regions.native_regions.write`, one a scan.
    quality : sequence of path-like
        The scans' quality tables, in the same order.
    rows : sequence of dict
        ``participant_id``, ``session_id``, ``arm``, ``contrast``; ``scans`` (places in ``scans``) and their ``weights``.
    roi : str
    path : path-like
        The table to write; columns as :data:`pharmasl.regions.rois.VALUE_COLUMNS`.
    statistic : str
        As the scans' tables have it.
    minimum_coverage : float
        Of each scan that is used.

    Raises
    ------
    InputError
        If a scan's table does not have the region, or its quality table no judgement.
    """
    found = [_read(scan, roi, statistic) for scan in scans]
    judged = contrast_maps.read_quality(quality)
    out = []
    for row in rows:
        at = row["scans"]
        value, coverage, n = combine([found[k] for k in at], row["weights"], [judged[k] for k in at], minimum_coverage)
        named = {key: row[key] for key in ("participant_id", "session_id", "arm", "contrast")}
        if value is None and coverage is not None:
            who = " ".join(str(each) for each in (row["participant_id"], row["session_id"], row["contrast"]) if each)
            log.warning("%s: %s covers %.0f %% of %s: n/a", roi, who, 100 * coverage, roi)
        out.append({**named, "roi": roi, "cbf": value, "coverage": coverage, "n_voxels": n})
    tables.write_table(path, out, columns(statistic))
