"""The template: the user's own, or nilearn's ICBM 2009a symmetric, whose files are read without importing nilearn."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.space import images, resample, transforms
from pharmasl.space.packaged import in_words, nilearn_file, nilearn_name

LOG = logging.getLogger(__name__)

TISSUES = ("GM", "WM", "CSF")

# A template with a skull has few voxels that are exactly zero; a brain alone leaves more than half of a box empty.
LEAST_EMPTY = 0.2
# Rounding and interpolation leave probabilities a little outside 0 to 1.
PROBABILITY_TOLERANCE = 0.02


class Template(NamedTuple):
    """The images of a template on one grid.

    Attributes
    ----------
    t1w : ndarray of shape (X, Y, Z), float32
        Brain only, 0 outside, largest value 1.
    mask : ndarray of bool, shape (X, Y, Z)
    maps : dict of str to ndarray
        ``GM``, ``WM``, ``CSF``: probabilities that add up to 1 in the mask.
    affine : ndarray of shape (4, 4)
    """

    t1w: np.ndarray
    mask: np.ndarray
    maps: dict[str, np.ndarray]
    affine: np.ndarray


@dataclass(frozen=True)
class TemplateFiles:
    """Paths of the images of a template at one resolution."""

    t1w: FilePath
    mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath

    @property
    def tissues(self) -> dict[str, FilePath]:
        """The tissue maps by label."""
        return {"GM": self.gm, "WM": self.wm, "CSF": self.csf}


def tissue_maps() -> Template:
    """Nilearn's template at 1 mm, of shape (197, 233, 189).

    The package has no map of CSF: it is what grey and white matter leave.
    """
    t1w, affine = images.load(nilearn_file("t1"))
    maps = {}
    for label, kind in (("GM", "gm"), ("WM", "wm")):
        data, _ = images.load(nilearn_file(kind))
        maps[label] = np.clip(data / max(1.0, float(data.max())), 0, 1)
    mask = t1w > 0
    return Template((t1w / t1w.max()).astype(np.float32), mask, _shares(maps, mask), affine)


def own_maps(files: Mapping[str, FilePath]) -> Template:
    """The user's own template, on the grid of its files.

    Parameters
    ----------
    files : mapping of str to path-like
        ``t1w``, ``gm``, ``wm`` and, if there are such, ``mask`` and ``csf``; all on one grid. Where no tissue is asked for,
        ``t1w`` or ``mask`` alone: the mask is then its own picture, and a tissue without a file is NaN throughout.

    Raises
    ------
    InputError
        If the T1w shows more than a brain and there is no mask, if a mask is empty, or if a map does not hold
        probabilities.
    """
    t1w, affine = images.load(files["t1w"] if "t1w" in files else files["mask"])
    t1w = np.maximum(np.nan_to_num(t1w, posinf=0), 0)
    if not t1w.any():
        raise InputError(
            file=files["t1w"],
            field="template.t1w",
            found="no value above 0",
            expected="a T1-weighted brain",
            fix="Give another file.",
        )
    mask = _own_mask(files, t1w)
    own = [label for label in TISSUES if label.lower() in files]
    maps = {label: probabilities(files[label.lower()], f"template.{label.lower()}") for label in own}
    whole = _shares(maps, mask) if {"GM", "WM"} <= set(maps) else _unknown(mask.shape)
    return _canonical(Template((np.where(mask, t1w, 0) / t1w[mask].max()).astype(np.float32), mask, whole, affine))


def _canonical(template: Template) -> Template:
    """A template with its axes along right, anterior and superior, as pictures and planes take them to be."""

    def turned(data: np.ndarray) -> images.Volume:
        return images.canonical(images.Volume(data, template.affine))

    t1w = turned(template.t1w)
    maps = {label: turned(data).data for label, data in template.maps.items()}
    return Template(t1w.data, turned(template.mask).data, maps, t1w.affine)


def _unknown(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Tissue maps of a template that has none."""
    return {label: np.full(shape, np.nan, dtype=np.float32) for label in TISSUES}


def _own_mask(files: Mapping[str, FilePath], t1w: np.ndarray) -> np.ndarray:
    """The brain mask of the user's own template: that of a file, or the T1w above 0."""
    if "mask" in files:
        mask = np.nan_to_num(images.load(files["mask"])[0]) > 0.5
        if not (mask & (t1w > 0)).any():
            raise InputError(
                file=files["mask"],
                field="template.mask",
                found="no voxel of the T1w",
                expected="a brain mask",
                fix="Give another file.",
            )
        return mask
    mask = t1w > 0
    if mask.mean() > 1 - LEAST_EMPTY:
        raise InputError(
            file=files["t1w"],
            field="template.t1w",
            found=f"{100 * mask.mean():.0f} % of its voxels above 0",
            expected="a brain without skull, 0 around it",
            fix="Give template.mask, its brain mask.",
        )
    return mask


def probabilities(path: FilePath, field: str) -> np.ndarray:
    """A tissue map that another program made, held to 0 to 1.

    Parameters
    ----------
    path : path-like
    field : str
        Named in the error.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32

    Raises
    ------
    InputError
        If its values are no probabilities.
    """
    data, _ = images.load(path)
    low, high = float(np.nanmin(data)), float(np.nanmax(data))
    if low < -PROBABILITY_TOLERANCE or not 0.5 < high <= 1 + PROBABILITY_TOLERANCE:
        raise InputError(
            file=path,
            field=field,
            found=f"values from {low:g} to {high:g}",
            expected="probabilities, 0 to 1",
            fix="Divide the map by the value that stands for certainty (100, 255 ...), or give another file.",
        )
    return np.clip(np.nan_to_num(data), 0, 1)


def _shares(maps: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """Maps of grey matter, white matter and perhaps CSF as shares of all three that add up to 1 in a mask."""
    if "CSF" in maps:
        total = sum(maps.values(), start=np.float32(0))
        # A voxel of the brain in which no map shows a tissue is fluid.
        scale = np.where(total > 0, total, 1)
        shares = {label: np.where(mask, data / scale, 0).astype(np.float32) for label, data in maps.items()}
        shares["CSF"][mask & ~(total > 0)] = 1
        return shares
    total = np.maximum(maps["GM"] + maps["WM"], 1)
    shares = {label: np.where(mask, maps[label] / total, 0).astype(np.float32) for label in ("GM", "WM")}
    shares["CSF"] = np.where(mask, np.clip(1 - shares["GM"] - shares["WM"], 0, 1), 0).astype(np.float32)
    return shares


def coarser(template: Template, resolution: float) -> Template:
    """The template in larger voxels.

    Parameters
    ----------
    template : Template
    resolution : float
        Voxel size, mm. Values are means over the voxel, not samples, so that tissue shares stay shares.
    """
    grid = images.coarser(images.Grid(template.t1w.shape, template.affine), resolution)
    points = transforms.points(grid)

    def averaged(data: np.ndarray) -> np.ndarray:
        if grid.shape == data.shape and np.allclose(grid.affine, template.affine):
            return data
        blurred = resample.smooth(data, template.affine, resolution)
        sampled = resample.resample(blurred, template.affine, points, fill=0.0)
        return sampled if np.isnan(data).all() else np.nan_to_num(sampled)

    mask = averaged(template.mask.astype(np.float32)) > 0.5
    maps = {label: averaged(data) for label, data in template.maps.items()}
    return Template(averaged(template.t1w), mask, maps, grid.affine)


def write_template(
    fine: TemplateFiles, coarse: TemplateFiles, resolution: float, own: Mapping[str, FilePath] | None = None
) -> None:
    """Write the template at its own resolution (nilearn's: 1 mm) and at that of the group analyses.

    Parameters
    ----------
    fine, coarse : TemplateFiles
        The outputs at either resolution.
    resolution : float
        Voxel size of ``coarse``, mm. Its values are means over the voxel, not samples, so that tissue shares stay shares.
    own : mapping of str to path-like, optional
        The files of :func:`own_maps`; by default nilearn's template.

    Raises
    ------
    InputError
        As :func:`own_maps`.
    """
    template = own_maps(own) if own else tissue_maps()
    small = coarser(template, resolution)
    source = own.get("t1w", own.get("mask")) if own else "nilearn's"
    LOG.info(
        "template: %s, %s voxels; for the group analyses %s of %g mm",
        source,
        template.t1w.shape,
        small.t1w.shape,
        resolution,
    )
    _write(fine, template)
    _write(coarse, small)
    if not own:
        sources = {"OtherSources": [in_words("nilearn", nilearn_name(kind)) for kind in ("t1", "gm", "wm")]}
        for files in (fine, coarse):
            for path in (files.t1w, files.mask, *files.tissues.values()):
                tables.write_json(bids.sidecar(path), sources)


def write_brain(path: FilePath, resolution: float, own: Mapping[str, FilePath]) -> None:
    """Write the mask of the template's brain alone.

    Parameters
    ----------
    path : path-like
    resolution : float
        Voxel size, mm.
    own : mapping of str to path-like
        As for :func:`write_template`.

    Raises
    ------
    InputError
        As :func:`own_maps`.
    """
    small = coarser(own_maps(own) if own else tissue_maps(), resolution)
    images.save(path, small.mask, small.affine, dtype=np.uint8)


def _write(files: TemplateFiles, template: Template) -> None:
    code = images.template_code(images.space_name(files.t1w))
    images.save(files.t1w, template.t1w, template.affine, code=code)
    for label, path in files.tissues.items():
        images.save(path, template.maps[label], template.affine, code=code)
    images.save(files.mask, template.mask, template.affine, dtype=np.uint8, code=code)
