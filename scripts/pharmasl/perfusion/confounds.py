"""The table of a scan's confounds: motion of each volume, what changes from one to the next, and slices out of line."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pharmasl.perfusion import motion, slice_signal
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.series import Series
from pharmasl.space import spline, transforms
from pharmasl.study.scan_acquisition import ENCODED

CONFOUNDS = {
    "trans_x": {"Description": "Translation along x (RAS+) from the reference image to the volume", "Units": "mm"},
    "trans_y": {"Description": "Translation along y (RAS+) from the reference image to the volume", "Units": "mm"},
    "trans_z": {"Description": "Translation along z (RAS+) from the reference image to the volume", "Units": "mm"},
    "rot_x": {"Description": "x of the rotation vector about the centre of the brain", "Units": "rad"},
    "rot_y": {"Description": "y of the rotation vector about the centre of the brain", "Units": "rad"},
    "rot_z": {"Description": "z of the rotation vector about the centre of the brain", "Units": "rad"},
    "framewise_displacement": {
        "Description": "Sum of the absolute changes of the six parameters since the control or label before, rotations "
        "as arcs on a sphere of 50 mm radius (Power et al. 2012)",
        "Units": "mm",
    },
    "dvars": {
        "Description": "Root mean square over the brain of the change since the last volume of the same type and delay, "
        "after realignment (after Power et al. 2012)",
        "Units": "percent of the earlier volume's mean over the brain",
    },
}


def columns(loaded: Series) -> dict[str, dict[str, str]]:
    """The columns of a series' confounds table."""
    return {**CONFOUNDS, **slice_signal.columns(len(_slice_times(loaded)))}


def _slice_times(loaded: Series) -> np.ndarray:
    """When each slice is read, seconds; empty where all are read at once (3D), or nothing is known of it."""
    times = np.empty(0) if loaded.timing is None else loaded.timing.offset
    return times if times.any() else np.empty(0)


def confounds(
    loaded: Series,
    matrices: np.ndarray,
    types: Sequence[str],
    brain: np.ndarray,
    unwarping: Unwarping | None = None,
) -> list[dict[str, Any]]:
    """Motion of each volume and its slices out of line, as rows of the confounds table.

    Parameters
    ----------
    loaded : pharmasl.perfusion.series.Series
        A volume is compared with the last of its type and delay.
    matrices : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    types : sequence of str
        Type of each volume; dummies (``n/a``) and ``noRF`` volumes get no values.
    brain : ndarray of shape (X, Y, Z)
        Share of brain in each voxel.
    unwarping : pharmasl.perfusion.epi_shift.Unwarping, optional
        By which the brain's points are known in distorted volumes.

    Returns
    -------
    list of dict
        One per volume, with the keys of :func:`columns`.
    """
    points = transforms.points(loaded.grid)
    inside = points[brain > 0.5]
    used = [i for i, kind in enumerate(types) if kind not in ("n/a", "noRF")]
    centre = (inside if len(inside) else points.reshape(-1, 3)).mean(axis=0)
    positions = motion.parameters(matrices, centre)
    values = np.full((len(inside), len(types)), np.nan, dtype=np.float32)
    shift = unwarping.shift(inside, loaded.affine) if unwarping else None
    for number in used:
        values[:, number] = spline.sample(
            spline.coefficients(loaded.data[..., number]), loaded.affine, inside, matrices[number], shift
        )
    delay = [0] * len(types) if loaded.timing is None else loaded.timing.group
    alike = list(zip(types, delay))
    displacement, change = np.full(len(types), np.nan), motion.dvars(values, alike)
    # An M0 volume of another contrast is aligned less exactly than a head moves from volume to volume.
    moving = [i for i in used if types[i] in ("control", "label", ENCODED)]
    displacement[moving] = motion.framewise_displacement(positions[moving])
    rows: list[dict[str, Any]] = [{} for _ in types]
    for number in used:
        rows[number] = dict(zip(CONFOUNDS, [*positions[number], displacement[number], change[number]]))
    times = _slice_times(loaded)
    if len(times):
        kinds = [kind if number in moving else None for number, kind in enumerate(alike)]
        wholly = brain > slice_signal.WHOLLY
        measured = slice_signal.measure(loaded, matrices, kinds, values[wholly[brain > 0.5]], wholly)
        rows = [{**row, **own} for row, own in zip(rows, slice_signal.rows(measured, times.tolist()))]
    return rows
