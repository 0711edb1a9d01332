"""Contrasts: weighted sums of the states' CBF maps at one visit."""

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images


def combine(maps, errors, covered, weights):
    """A weighted sum of maps and its standard error.

    Parameters
    ----------
    maps, errors : sequence of ndarray
        CBF of each state and its standard error, mL/100 g/min, of one shape. Without ``errors`` the error is 0.
    covered : sequence of ndarray of bool
        Where each map holds data.
    weights : sequence of float

    Returns
    -------
    effect, error : ndarray, float32
        NaN where any state with a weight other than 0 is not covered. The states are scanned apart, so their errors are
        independent: variances add with the squared weights.
    """
    inside = np.logical_and.reduce(list(covered))
    effect = sum(w * np.asarray(m, dtype=np.float64) for w, m in zip(weights, maps))
    variance = sum((w * np.asarray(e, dtype=np.float64)) ** 2 for w, e in zip(weights, errors))
    inside &= np.isfinite(effect)
    return tuple(np.where(inside, data, np.nan).astype(np.float32) for data in (effect, np.sqrt(variance)))


def usable_weights(weights, quality):
    """The scans that make a contrast once the excluded ones are gone.

    Parameters
    ----------
    weights : sequence of float
        One a scan; the runs of one state share the state's weight evenly.
    quality : sequence of dict
        Row of each scan's quality table: ``condition``, ``usable`` (yes or no).

    Returns
    -------
    kept : list of float or None
        One a scan: 0 for an excluded one, the others' share grown so that each state keeps its weight. None where a state
        has no usable run: there is no contrast then.
    """
    runs, usable = {}, {}
    for row in quality:
        runs[row["condition"]] = runs.get(row["condition"], 0) + 1
        usable[row["condition"]] = usable.get(row["condition"], 0) + (row["usable"] == "yes")
    if not all(usable.values()):
        return None
    return [
        0.0
        if row["usable"] != "yes"
        # Untouched where nothing is excluded: not a bit of such a contrast depends on this rule.
        else weight
        if usable[row["condition"]] == runs[row["condition"]]
        else weight * runs[row["condition"]] / usable[row["condition"]]
        for weight, row in zip(weights, quality)
    ]


def read_quality(paths):
    """The quality row of each scan; raises an InputError for a table that does not judge one scan."""
    rows = []
    for path in paths:
        table = tables.read_table(path)
        if len(table) != 1 or table[0].get("usable") not in ("yes", "no"):
            found = f"{len(table)} rows, usable: {[row.get('usable') for row in table]}"
            raise InputError(path, "usable", found, "one row, yes or no", "Judge the scan again.")
        rows += table
    return rows


def write_contrast(maps, errors, coverages, weights, quality, effect_path, error_path, sidecar_path):
    """Write a contrast and its standard error from the files of its scans.

    Parameters
    ----------
    maps, errors, coverages, quality : list of path-like
        Of each scan, in one order: CBF, its standard error, where it holds data, and the table of its quality.
    weights : list of float
        See :func:`usable_weights`.
    effect_path, error_path : path-like
        Written: both NaN everywhere where a state has no usable scan.
    sidecar_path : path-like
        Written: each scan with its weight, and why one has none.
    """
    rows, affine = read_quality(quality), images.grid(maps[0]).affine
    kept = usable_weights(weights, rows)
    if kept is None:
        missing = np.full(images.grid(maps[0]).shape, np.nan, dtype=np.float32)
        effect, error = missing, missing
    else:
        # An excluded scan is not even read: where it has no data, the others' are not lost.
        taken = [k for k, row in enumerate(rows) if row["usable"] == "yes"]
        volumes = [[images.load(paths[k])[0] for k in taken] for paths in (maps, errors)]
        covered = [images.load(coverages[k])[0] > 0.5 for k in taken]
        effect, error = combine(*volumes, covered, [kept[k] for k in taken])
    images.save(effect_path, effect, affine)
    images.save(error_path, error, affine)
    lost = [row for row in rows if row["usable"] != "yes"]
    told = "; ".join(f"{row['scan']}: {row['exclusion_reason']}" for row in lost)
    tables.write_json(
        sidecar_path,
        {
            "Description": "Weighted sum of the states' CBF maps at one visit",
            "Units": "mL/100 g/min",
            "Scans": [
                {
                    "Scan": row["scan"],
                    "Condition": row["condition"],
                    "Weight": 0.0 if kept is None else kept[k],
                    "Excluded": row["exclusion_reason"] if row["usable"] != "yes" else None,
                }
                for k, row in enumerate(rows)
            ],
            "Missing": f"a state has no usable scan: {told}" if kept is None else None,
        },
    )
