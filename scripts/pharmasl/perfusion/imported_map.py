"""A CBF map that another program made, brought onto the template's grid in the workflow's unit, and smoothed like its own.

The map is sampled once, trilinearly; where a voxel of the template lies half outside what the map covers, it is missing. What
the other program does not have (the standard error of the mean over repeats) is missing, not zero.
"""

import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.perfusion import consistency, imported_voxels, plausibility, smoothing
from pharmasl.space import images, itk_transforms, resample, transforms
from pharmasl.study.cbf_units import CBF_UNIT

log = logging.getLogger(__name__)

# How a map came onto the grid of the analyses, and where it has no CBF, as its sidecar says it.
SAMPLED = "sampled once, trilinearly, on the grid of the analyses"
KEPT = "on the grid of the analyses already"
OUTSIDE = "outside the brain mask of each map"
ZERO = "in voxels of exactly 0"
# Share of a sample's neighbours that the map has to cover.
_LEAST_COVERED = 0.5
_GRID_TOLERANCE = 1e-3  # mm


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Paths that are read.

    Attributes
    ----------
    cbf : path-like
        The map, in a standard space or on the scan's own grid.
    mask : sequence of path-like
        Its brain mask, on its grid; or empty.
    transforms : sequence of path-like
        ITK transforms that bring it onto the template, that to the template first; empty where it lies there.
    template_mask, template_gm : path-like
        The template's brain and its probability of grey matter, on the grid wanted.
    """

    cbf: FilePath
    mask: Sequence[FilePath]
    transforms: Sequence[FilePath]
    template_mask: FilePath
    template_gm: FilePath


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Paths that are written: a sidecar, and images on the template's grid as of :class:`.quantification.Outputs`."""

    sidecar: FilePath
    template_cbf: FilePath
    smooth: FilePath
    coverage: FilePath
    error: FilePath


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a map comes from.

    Attributes
    ----------
    name, version : str
        Of the program.
    space : str
        The template on whose coordinates the map lies.
    units : str
        As the program writes them.
    units_source : str
        Where they are stated.
    factor : float
        Takes the map's values to mL/100 g/min.
    place : str
        The map's path from the dataset.
    """

    name: str
    version: str
    space: str
    units: str
    units_source: str
    factor: float
    place: str


def bring(inputs: Inputs, outputs: Outputs, *, source: Source, fwhm: float) -> None:
    """Bring one map onto the template and write it, smoothed and unsmoothed, with what it covers and a sidecar.

    Parameters
    ----------
    inputs : Inputs
    outputs : Outputs
    source : Source
    fwhm : float
        Of the smoothing within the covered brain, mm; 0 for none.

    Raises
    ------
    InputError
        If the map holds no value in the template's brain; nothing is written then.
    """
    mask, affine = images.load(inputs.template_mask)
    brain = mask > 0.5
    data, own_affine = images.load(inputs.cbf)
    known = imported_voxels.known(data, inputs.mask)
    grid = images.Grid(mask.shape, affine)
    points = itk_transforms.on_grid(inputs.transforms, grid) if inputs.transforms else None
    cbf, covered, is_sampled = _on_grid(data, known, own_affine, grid, points)
    covered &= brain
    if not covered.any():
        raise InputError(
            inputs.cbf,
            "(voxels)",
            "no value in the template's brain",
            f"CBF on the coordinates of {source.space}",
            "Look at the map on the template: it lies elsewhere, or its mask is empty.",
        )
    cbf = np.where(covered, cbf * source.factor, 0).astype(np.float32)
    smooth = smoothing.smoothed(cbf, covered, affine, fwhm)
    gm, _ = images.load(inputs.template_gm)
    median = plausibility.plausible(np.where(covered, cbf, np.nan), np.where(brain, gm, 0), inputs.cbf)
    log.info(
        "%s: %s %s, %d of %d voxels of the brain", inputs.cbf, source.name, source.version, covered.sum(), brain.sum()
    )

    save = functools.partial(images.save, affine=affine, code=images.form_code(inputs.template_mask))
    save(outputs.template_cbf, cbf)
    save(outputs.smooth, np.nan_to_num(smooth))
    save(outputs.coverage, covered, dtype=np.uint8)
    save(outputs.error, np.where(covered, np.nan, 0))
    record = {
        "Description": f"Cerebral blood flow on the template, as computed by {source.name} {source.version}",
        "Units": CBF_UNIT,
        "Imported": {
            "GeneratedBy": {"Name": source.name, "Version": source.version},
            "Source": source.place,
            "Units": {"Value": source.units, "Source": source.units_source, "Factor": source.factor},
            "Space": source.space,
            "Transforms": [os.path.basename(path) for path in inputs.transforms],
            "Resampling": SAMPLED if is_sampled else KEPT,
            "Missing": OUTSIDE if inputs.mask else ZERO,
            "StandardError": "not known: the source has none; its map is missing (NaN) wherever CBF is known",
        },
        "TemplateSmoothingFWHM": {"Value": fwhm, "Unit": "mm"},
        "MeanBrainCBF": float(cbf[covered].mean(dtype=np.float64)),
        "TemplateCoverage": float(covered.sum() / brain.sum()),
        "Consistency": _consistency(cbf[covered], median),
    }
    tables.write_json(outputs.sidecar, record)


def _on_grid(
    data: np.ndarray, known: np.ndarray, affine: np.ndarray, grid: images.Grid, points: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """A map on another grid, where it covers it, and whether it had to be sampled for that.

    ``points`` are where the grid's nodes lie in the map's space, if they lie elsewhere.
    """
    if points is None and data.shape == grid.shape and np.allclose(affine, grid.affine, rtol=0, atol=_GRID_TOLERANCE):
        return np.where(known, data, 0), known.copy(), False
    if points is None:
        points = transforms.points(grid)
    # Half of a voxel that is missing does not pull the other half to zero.
    weight = np.nan_to_num(resample.resample(known.astype(np.float32), affine, points))
    value = np.nan_to_num(resample.resample(np.where(known, data, 0), affine, points))
    covered = weight >= _LEAST_COVERED
    return np.where(covered, value / np.where(covered, weight, 1), 0), covered, True


def _consistency(cbf: np.ndarray, median: float | None) -> dict[str, float | int | bool | None]:
    """What can be said of a map alone; the rest is of the raw series, and not known."""
    unknown = float("nan")
    measures = consistency.Consistency(
        m0_over_control=unknown,
        m0_over_control_least=unknown,
        suppressed=None,
        m0_spread=unknown,
        gain_step=unknown,
        gain_step_volume=None,
        zero_share=float((cbf == 0).mean()),
        grey_median=unknown if median is None else median,
        effective_delay=unknown,
        effective_delay_least=unknown,
    )
    return measures.record()
