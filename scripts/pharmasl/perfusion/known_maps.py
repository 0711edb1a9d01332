"""Maps of a scan's known arterial transit time and T1 of tissue, on its own grid: made, and read at points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion.tissue_maps import carry
from pharmasl.space import images, resample, transforms
from pharmasl.study import settings

# Share of a voxel that grey and white matter must fill together for it to have a value of its own.
LEAST_TISSUE = 0.05
TRANSIT_TIME, T1 = "transit_time", "t1"
# What a map's sidecar says of where its values come from, beside what is said of every image.
VALUES = "Values"


@dataclass(frozen=True)
class KnownMaps:
    """What is known of label in the voxels of a scan's grid, seconds.

    Attributes
    ----------
    transit_time : ndarray of shape (X, Y, Z)
    t1 : ndarray of shape (X, Y, Z) or None
        None where label decays with the T1 of blood throughout.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    """

    transit_time: np.ndarray
    t1: np.ndarray | None
    affine: np.ndarray

    def transit_time_at(self, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """The transit time (V,) at points (V, 3) that ``matrix`` (4, 4) maps to points of the series' reference; NaN beyond it."""
        return resample.resample(self.transit_time, self.affine, points, matrix).astype(np.float64)

    def t1_at(self, points: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
        """The T1 likewise; None where none is known."""
        if self.t1 is None:
            return None
        return resample.resample(self.t1, self.affine, points, matrix).astype(np.float64)


def read(transit_time: Sequence[FilePath], t1: Sequence[FilePath]) -> KnownMaps | None:
    """The maps from their files; None where there are none."""
    if not transit_time:
        return None
    time, affine = images.load(transit_time[0])
    return KnownMaps(time, images.load(t1[0])[0] if t1 else None, affine)


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
    """

    aslref: FilePath
    coregistration: FilePath
    gm: FilePath
    wm: FilePath
    mask: FilePath


def write(inputs: Inputs, outputs: Mapping[str, FilePath], tissue: settings.Tissue) -> None:
    """Write the maps of what is known, each with its sidecar.

    Parameters
    ----------
    inputs : Inputs
    outputs : Mapping
        Paths of ``transit_time`` and ``t1``, of those that are known, and of ``transit_time_sidecar`` and ``t1_sidecar``.
    tissue : pharmasl.study.settings.Tissue
    """
    grid = images.grid(inputs.aslref)
    to_t1w = np.linalg.inv(transforms.read_affines(inputs.coregistration)[0])
    mask, affine = images.load(inputs.mask)
    brain = carry(mask, affine, grid, to_t1w)
    gm, wm = (
        carry(*images.load(path), grid, to_t1w, where=brain > 0).astype(np.float64) for path in (inputs.gm, inputs.wm)
    )
    for name in (TRANSIT_TIME, T1):
        value = getattr(tissue, name)
        if value is None:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            mixed = np.where(gm + wm >= LEAST_TISSUE, (gm * value.gm + wm * value.wm) / (gm + wm), np.nan)
        full = filled(mixed)
        images.save(outputs[name], full.astype(np.float32), grid.affine)
        source = {
            "Source": "constants of grey and white matter, by their shares of each voxel",
            "GreyMatter": value.gm,
            "WhiteMatter": value.wm,
        }
        tables.write_json(outputs[f"{name}_sidecar"], _record(source, full, gm * (brain >= 0.5)))


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
