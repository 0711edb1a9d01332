"""Change maps: follow-up minus baseline of every participant, within the voxels that all maps cover."""

import numpy as np

from pharmasl import images
from pharmasl.errors import InputError


def covered(data):
    """Voxels that hold a measurement: neither NaN nor infinite nor exactly 0, all of which stand for "not covered"."""
    return np.isfinite(data) & (data != 0)


def _load(path, grid):
    data, affine = images.load(path)
    if data.shape != grid.shape or not np.allclose(affine, grid.affine, atol=1e-4):
        raise InputError(
            path, "grid", f"{data.shape}", f"the template mask's, {grid.shape}, with its affine", "Make the map again."
        )
    return data


def changes(baseline, followup, template_mask):
    """Read all maps and subtract.

    Parameters
    ----------
    baseline, followup : list of path-like
        One map a participant, in one order.
    template_mask : path-like

    Returns
    -------
    data : ndarray of shape (V, n), float64
        Follow-up minus baseline, one row a voxel of ``mask`` and one column a participant with both maps, in the maps'
        unit.
    mask : ndarray of bool, shape (X, Y, Z)
        Voxels of the template mask that all those maps cover.
    affine : ndarray of shape (4, 4)
    template_voxels : int
        Voxels of the template mask.
    lost : list of int
        Voxels of the template mask that each of those participants' maps do not cover.
    empty : list of tuple of bool
        Whether the baseline and the follow-up map of each participant given hold no value at all: no scan of a state was
        usable. Such a participant has no column, and costs the others no voxel.

    Raises
    ------
    InputError
        If the lists differ in length, a map is on another grid, or no voxel is covered by all maps.
    """
    if len(baseline) != len(followup) or not baseline:
        raise InputError(
            "configuration",
            "maps of the analysis",
            f"{len(baseline)} baseline and {len(followup)} follow-up maps",
            "as many of either, at least one",
            "Exclude participants without both sessions.",
        )
    voxels, affine = images.load(template_mask)
    template = voxels > 0
    grid = images.Grid(template.shape, affine)
    data = np.empty((int(template.sum()), len(baseline)))
    keep = np.ones(len(data), dtype=bool)
    lost, empty, used = [], [], []
    for before, after in zip(baseline, followup):
        first, second = (_load(path, grid)[template] for path in (before, after))
        empty.append((not covered(first).any(), not covered(second).any()))
        if any(empty[-1]):
            continue
        good = covered(first) & covered(second)
        used.append(after)
        data[:, len(used) - 1] = np.where(good, second, 0).astype(np.float64) - np.where(good, first, 0)
        keep &= good
        lost.append(int(len(good) - good.sum()))
    # As if the empty maps had not been given, memory layout included: sums depend on it.
    data = data if len(used) == len(baseline) else np.ascontiguousarray(data[:, : len(used)])
    if not keep.any():
        worst = int(np.argmax(lost))
        raise InputError(
            used[worst],
            "coverage",
            f"{lost[worst]} of {len(keep)} voxels of the template mask not covered in this participant's maps",
            "voxels that every participant's maps cover",
            "Look at the registration and the field of view; exclude the participant if need be.",
        )
    mask = template.copy()
    mask[template] = keep
    return (data if keep.all() else data[keep]), mask, affine, len(keep), lost, empty


def fill(values, mask, outside=np.nan):
    """Put values (V,) back into a volume; ``outside`` elsewhere."""
    volume = np.full(mask.shape, outside, dtype=np.float64)
    volume[mask] = values
    return volume
