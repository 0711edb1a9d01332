"""The template: nilearn's ICBM 2009a symmetric brain, read from the installed package without importing it, or one's own."""

import numpy as np

from pharmasl.errors import InputError
from pharmasl.space import images, resample, transforms
from pharmasl.space.packaged import nilearn_file

TISSUES = ("GM", "WM", "CSF")

# A template with a skull has few voxels that are exactly zero; a brain alone leaves more than half of a box empty.
LEAST_EMPTY = 0.2
# Rounding and interpolation leave probabilities a little outside 0 to 1.
PROBABILITY_TOLERANCE = 0.02


def _nilearn(kind):
    return images.load(nilearn_file(kind))


def tissue_maps():
    """The template's tissue maps at 1 mm.

    Returns
    -------
    t1w : ndarray of shape (197, 233, 189)
        Brain only, 0 outside, largest value 1.
    mask : ndarray of bool
    maps : dict of str to ndarray
        ``GM``, ``WM``, ``CSF``: probabilities that add up to 1 in the mask. The package has no CSF map: it is what grey
        and white leave.
    affine : ndarray of shape (4, 4)
    """
    t1w, affine = _nilearn("t1")
    maps = {}
    for label, kind in (("GM", "gm"), ("WM", "wm")):
        data, _ = _nilearn(kind)
        maps[label] = np.clip(data / max(1.0, float(data.max())), 0, 1)
    mask = t1w > 0
    return (t1w / t1w.max()).astype(np.float32), mask, _shares(maps, mask), affine


def own_maps(files):
    """A user's own template: as :func:`tissue_maps`, on the grid of its files.

    Parameters
    ----------
    files : dict of str to path-like
        ``t1w``, ``gm``, ``wm`` and, where there are such, ``mask`` and ``csf``; all on one grid.

    Raises
    ------
    InputError
        If the T1w holds more than a brain and there is no mask, if a mask is empty, or a map is no probability.
    """
    t1w, affine = images.load(files["t1w"])
    t1w = np.maximum(np.nan_to_num(t1w, posinf=0), 0)
    if not t1w.any():
        raise InputError(files["t1w"], "template.t1w", "no value above 0", "a T1-weighted brain", "Give another file.")
    if "mask" in files:
        mask = np.nan_to_num(images.load(files["mask"])[0]) > 0.5
        if not (mask & (t1w > 0)).any():
            raise InputError(
                files["mask"], "template.mask", "no voxel of the T1w", "a brain mask", "Give another file."
            )
    else:
        mask = t1w > 0
        if mask.mean() > 1 - LEAST_EMPTY:
            raise InputError(
                files["t1w"],
                "template.t1w",
                f"{100 * mask.mean():.0f} % of its voxels above 0",
                "a brain without skull, 0 around it",
                "Give template.mask, its brain mask.",
            )
    maps = {}
    for label in TISSUES:
        kind = label.lower()
        if kind in files:
            data, _ = images.load(files[kind])
            low, high = float(np.nanmin(data)), float(np.nanmax(data))
            if low < -PROBABILITY_TOLERANCE or not 0.5 < high <= 1 + PROBABILITY_TOLERANCE:
                raise InputError(
                    files[kind],
                    f"template.{kind}",
                    f"values from {low:g} to {high:g}",
                    "probabilities, 0 to 1",
                    "Divide the map by what stands for certainty in it (100, 255 ...), or give another file.",
                )
            maps[label] = np.clip(np.nan_to_num(data), 0, 1)
    return (np.where(mask, t1w, 0) / t1w[mask].max()).astype(np.float32), mask, _shares(maps, mask), affine


def _shares(maps, mask):
    """Maps of grey and white matter, and of CSF where there is one, made shares that add up to 1 in a mask."""
    if "CSF" in maps:
        total = sum(maps.values())
        # A voxel of the brain to which no map gives a tissue is fluid.
        scale = np.where(total > 0, total, 1)
        shares = {label: np.where(mask, data / scale, 0).astype(np.float32) for label, data in maps.items()}
        shares["CSF"][mask & ~(total > 0)] = 1
        return shares
    total = np.maximum(maps["GM"] + maps["WM"], 1)
    shares = {label: np.where(mask, maps[label] / total, 0).astype(np.float32) for label in ("GM", "WM")}
    shares["CSF"] = np.where(mask, np.clip(1 - shares["GM"] - shares["WM"], 0, 1), 0).astype(np.float32)
    return shares


def write_template(fine, coarse, resolution, own=None):
    """Write the template at its own resolution (nilearn's: 1 mm) and at the analysis'.

    Parameters
    ----------
    fine, coarse : dict of str to path-like
        ``t1w``, ``mask``, ``GM``, ``WM``, ``CSF``.
    resolution : float
        Voxel size of ``coarse``, mm. Its values are means over the voxel, not samples, so that tissue shares stay shares.
    own : dict of str to path-like, optional
        Of :func:`own_maps`; nilearn's template unless given.

    Raises
    ------
    InputError
        As :func:`own_maps`.
    """
    t1w, mask, maps, affine = own_maps(own) if own else tissue_maps()
    grid = images.coarser(images.Grid(t1w.shape, affine), resolution)
    points = transforms.points(grid)

    def average(data):
        blurred = resample.smooth(data, affine, resolution)
        return np.nan_to_num(resample.resample(blurred, affine, points, fill=0.0))

    for paths, data, where in (
        (fine, {"t1w": t1w, **maps}, affine),
        (coarse, {"t1w": average(t1w), **{label: average(maps[label]) for label in TISSUES}}, grid.affine),
    ):
        for name, values in data.items():
            images.save(paths[name], values, where)
    images.save(fine["mask"], mask, affine, dtype=np.uint8)
    images.save(coarse["mask"], average(mask.astype(np.float32)) > 0.5, grid.affine, dtype=np.uint8)
