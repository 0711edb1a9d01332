"""Maps of a scan's known arterial transit time and T1 of tissue, on its own grid: made, and read at points."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.perfusion.tissue_maps import carry
from pharmasl.space import fields, images, inverse_fields, resample, transforms
from pharmasl.study import known_images, settings

# Share of a voxel that grey and white matter must fill together for it to have a value of its own.
LEAST_TISSUE = 0.05
TRANSIT_TIME, T1 = "transit_time", "t1"
# What a map's sidecar says of where its values come from, beside what is said of every image.
VALUES = "Values"
BY_TISSUE = "constants of grey and white matter, by their shares of each voxel"
BY_MAP = "a map"
# Least share of a scan's grey and white matter in which a map must have a value.
LEAST_COVERED = 0.9
# Least share of a voxel in which it must, for the voxel to have one.
LEAST_KNOWN = 0.25
_SECONDS = {"s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class KnownMaps:
    """What is known of label in the voxels of a scan's grid, seconds.

    Attributes
    ----------
    transit_time : ndarray of shape (X, Y, Z) or None
    t1 : ndarray of shape (X, Y, Z) or None
        None where label decays with the T1 of blood throughout.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    """

    transit_time: np.ndarray | None
    t1: np.ndarray | None
    affine: np.ndarray

    def transit_time_at(self, points: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
        """The transit time (V,) at points (V, 3) that ``matrix`` (4, 4) maps to points of the series' reference.

        NaN beyond it; None where none is known.
        """
        return self._at(self.transit_time, points, matrix)

    def t1_at(self, points: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
        """The T1 likewise."""
        return self._at(self.t1, points, matrix)

    def _at(self, values: np.ndarray | None, points: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
        return None if values is None else resample.resample(values, self.affine, points, matrix).astype(np.float64)


def read(transit_time: Sequence[FilePath], t1: Sequence[FilePath]) -> KnownMaps | None:
    """The maps from their files; None where there are none."""
    if not transit_time and not t1:
        return None
    maps = [images.load(paths[0]) if paths else None for paths in (transit_time, t1)]
    affine = next(image.affine for image in maps if image is not None)
    time, own = (None if image is None else image.data for image in maps)
    return KnownMaps(time, own, affine)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Paths that are read.

    Attributes
    ----------
    aslref : path-like
        An image on the scan's grid.
    coregistration : path-like
        ITK affine from the T1w to the series' reference.
    gm, wm, mask : path-like
        Shares of tissue and the brain, on the T1w's grid.
    forward : sequence of path-like
        ITK field, from T1w to template, where a map lies on that; or empty.
    transit_time, t1 : sequence of path-like
        The study's own maps; or empty.
    """

    aslref: FilePath
    coregistration: FilePath
    gm: FilePath
    wm: FilePath
    mask: FilePath
    forward: Sequence[FilePath] = ()
    transit_time: Sequence[FilePath] = ()
    t1: Sequence[FilePath] = ()


@dataclass(frozen=True)
class _Head:
    """The scan's grid, where its points lie in the T1w, and the shares (X, Y, Z) of brain and tissue on it."""

    grid: images.Grid
    to_t1w: np.ndarray
    brain: np.ndarray
    gm: np.ndarray
    wm: np.ndarray

    @property
    def tissue(self) -> np.ndarray:
        """The brain's voxels that are mostly grey and white matter."""
        return (self.brain >= 0.5) & (self.gm + self.wm >= 0.5)


def write(
    inputs: Inputs,
    outputs: Mapping[str, FilePath],
    tissue: settings.Tissue,
    limits: Mapping[str, tuple[float, float]],
) -> None:
    """Write the maps of what is known, each with its sidecar.

    Parameters
    ----------
    inputs : Inputs
    outputs : Mapping
        Paths of ``transit_time`` and ``t1``, of those that are known, and of ``transit_time_sidecar`` and ``t1_sidecar``.
    tissue : pharmasl.study.settings.Tissue
        Of maps, without their paths.
    limits : Mapping of str to (float, float)
        Least and largest value of each, seconds.

    Raises
    ------
    InputError
        If a map's values are not in the unit stated, or missing in too much of the scan's tissue.
    """
    grid = images.grid(inputs.aslref)
    to_t1w = np.linalg.inv(transforms.read_affines(inputs.coregistration)[0])
    brain = carry(*images.load(inputs.mask), grid, to_t1w)
    gm, wm = (
        carry(*images.load(path), grid, to_t1w, where=brain > 0).astype(np.float64) for path in (inputs.gm, inputs.wm)
    )
    head = _Head(grid, to_t1w, brain, gm, wm)
    for name in (TRANSIT_TIME, T1):
        value = getattr(tissue, name)
        if value is None:
            continue
        if value.space is None:
            own, source = _by_tissue(value, head)
        else:
            own, source = _of_map(getattr(inputs, name)[0], value, limits[name], head, inputs)
        full = filled(own)
        images.save(outputs[name], full.astype(np.float32), grid.affine)
        tables.write_json(outputs[f"{name}_sidecar"], _record(source, full, gm * (brain >= 0.5)))


def _by_tissue(value: settings.TissueValue, head: _Head) -> tuple[np.ndarray, dict[str, Any]]:
    """A value of each tissue, mixed by their shares of each voxel; NaN where there is next to none."""
    both = head.gm + head.wm
    with np.errstate(invalid="ignore", divide="ignore"):
        mixed = np.where(both >= LEAST_TISSUE, (head.gm * value.gm + head.wm * value.wm) / both, np.nan)
    return mixed, {"Source": BY_TISSUE, "GreyMatter": value.gm, "WhiteMatter": value.wm}


def _of_map(
    path: FilePath, value: settings.TissueValue, limits: tuple[float, float], head: _Head, inputs: Inputs
) -> tuple[np.ndarray, dict[str, Any]]:
    """A map brought to the scan's grid; NaN where it has no value within the limits."""
    image, affine = images.load(path)
    image = image * np.float32(_SECONDS[str(value.unit)])
    # 0 is what programs write where a fit failed or nothing was fitted.
    stated = np.isfinite(image) & (image > 0)
    within = stated & (image >= limits[0]) & (image <= limits[1])
    any_value, own = (_carried(image, affine, known, str(value.space), head, inputs) for known in (stated, within))
    tissue = head.tissue
    here = any_value[tissue & np.isfinite(any_value)]
    if here.size and not limits[0] <= np.median(here) <= limits[1]:
        raise InputError(
            path,
            "values",
            f"a median of {np.median(here):.4g} s in the scan's grey and white matter, by the unit {value.unit}",
            f"{limits[0]:g} to {limits[1]:g} s",
            "State the unit of the map (s or ms), or take another map.",
        )
    covered = float(np.isfinite(own[tissue]).mean()) if tissue.any() else 0.0
    if covered < LEAST_COVERED:
        raise InputError(
            path,
            "values",
            f"values from {limits[0]:g} to {limits[1]:g} s in {100 * covered:.0f} % of the scan's grey and white matter",
            f"in {100 * LEAST_COVERED:.0f} % or more",
            f"Check that the map lies on {'this T1w' if value.space == known_images.T1W else value.space} and covers the brain, or leave "
            "the scan out.",
        )
    return own, {"Source": BY_MAP, "File": os.path.basename(path), "Space": value.space, "Covered": covered}


def _carried(
    image: np.ndarray, affine: np.ndarray, known: np.ndarray, space: str, head: _Head, inputs: Inputs
) -> np.ndarray:
    """The mean of a map's known values in each voxel of the scan (X, Y, Z), NaN where they fill less than a quarter of it."""
    layers = np.where(known, image, 0), known.astype(np.float32)
    if space == known_images.T1W:
        total, share = (carry(layer, affine, head.grid, head.to_t1w) for layer in layers)
    else:
        inside = head.brain > 0
        points = transforms.apply(head.to_t1w, transforms.points(head.grid)[inside])
        inverse = inverse_fields.read(inputs.forward[0], inputs.mask, points)
        there = fields.sample(*inverse, points)
        total, share = np.zeros(head.grid.shape), np.zeros(head.grid.shape)
        total[inside], share[inside] = (resample.resample(layer, affine, there, fill=0) for layer in layers)
    enough = share >= LEAST_KNOWN
    return np.where(enough, total / np.where(enough, share, 1), np.nan)


def filled(values: np.ndarray) -> np.ndarray:
    """A map whose missing values are those of the nearest voxels that have one.

    Parameters
    ----------
    values : ndarray of shape (X, Y, Z)
        NaN where missing; not everywhere.
    """
    missing = ~np.isfinite(values)
    if not missing.any():
        return values
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def _record(source: Mapping[str, Any], values: np.ndarray, grey: np.ndarray) -> dict[str, Any]:
    """What a map's sidecar says of its values; ``grey`` is the share of grey matter within the brain."""
    mainly = grey > 0.5
    return {
        VALUES: {
            **source,
            "Unit": "s",
            "GreyMatterPercentiles": {
                "Percentiles": [5, 50, 95],
                "Value": np.percentile(values[mainly], [5, 50, 95]).round(3).tolist() if mainly.any() else None,
                "Meaning": "over the voxels that are mostly grey matter",
            },
        }
    }
