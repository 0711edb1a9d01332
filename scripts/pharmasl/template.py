"""The template: nilearn's ICBM 2009a symmetric brain, read from the installed package without importing it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pharmasl import images, resample, transforms
from pharmasl.errors import InputError

TISSUES = ("GM", "WM", "CSF")


def package_file(package, name):
    """The path of a data file that an installed Python package carries; the package is not imported.

    Raises
    ------
    InputError
        If the package is not installed or has no such file.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, name)
        if path.is_file():
            return path
    raise InputError(
        f"Python package {package}", name, "not installed", "the file in the environment", f"Install {package}."
    )


def _nilearn(kind):
    return images.load(package_file("nilearn", f"datasets/data/mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"))


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
    total = np.maximum(maps["GM"] + maps["WM"], 1)
    for label in ("GM", "WM"):
        maps[label] = np.where(mask, maps[label] / total, 0).astype(np.float32)
    maps["CSF"] = np.where(mask, np.clip(1 - maps["GM"] - maps["WM"], 0, 1), 0).astype(np.float32)
    return (t1w / t1w.max()).astype(np.float32), mask, maps, affine


def coarser(grid, resolution):
    """A grid with cubic voxels over the same field of view, the first voxel's centre kept, as nilearn resamples."""
    shape, affine = grid
    factor = resolution / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    scaled = affine.copy()
    scaled[:3, :3] = affine[:3, :3] * factor
    return images.Grid(tuple(int(np.ceil(n / f)) for n, f in zip(shape, factor)), scaled)


def write_template(fine, coarse, resolution):
    """Write the template at 1 mm and at the analysis' resolution.

    Parameters
    ----------
    fine, coarse : dict of str to path-like
        ``t1w``, ``mask``, ``GM``, ``WM``, ``CSF``.
    resolution : float
        Voxel size of ``coarse``, mm. Its values are means over the voxel, not samples, so that tissue shares stay shares.
    """
    t1w, mask, maps, affine = tissue_maps()
    grid = coarser(images.Grid(t1w.shape, affine), resolution)
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
