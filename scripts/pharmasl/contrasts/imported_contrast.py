"""Contrast maps of another program, taken over onto the template's grid: the values stay as they are wherever the grid is the same."""

import logging
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import images
from pharmasl.study.derivatives import Program

log = logging.getLogger(__name__)

# Two grids are one below this, mm.
_TOLERANCE = 1e-3
# Weights of neighbours with a value above which a sample is one, but for rounding.
_WHOLE = 1 - 1e-5
# A brain of which a map holds less than this share lies elsewhere, in another space or unit of length.
LEAST_COVERAGE = 0.2


@dataclass(frozen=True, kw_only=True)
class ImportRecord:
    """What a ready-made map is.

    Attributes
    ----------
    place : str
        Its path below the folder of the program's results.
    program : pharmasl.study.derivatives.Program
    dataset : str or None
        Name of that folder, where it has one.
    space : str
        In which it lies: that of the template.
    measure, unit : str
        What it is of.
    factor : float
        What takes its values to that unit.
    """

    place: str
    program: Program
    dataset: str | None
    space: str
    measure: str
    unit: str
    factor: float


def taken_over(image: images.Volume, grid: images.Grid) -> tuple[np.ndarray, bool]:
    """A map on the template's grid; voxels without a value (0, NaN, infinite) are NaN.

    Parameters
    ----------
    image : Volume
        The map.
    grid : Grid
        That of the template.

    Returns
    -------
    values : ndarray of shape (X, Y, Z), float32
        As they are in the map if its grid is the template's, whatever the order of its axes. Else trilinear samples, NaN wherever a neighbour that counts has no
        value.
    resampled : bool
    """
    values = np.where(np.isfinite(image.data) & (image.data != 0), image.data, np.nan).astype(np.float32)
    for own in (images.Volume(values, image.affine), images.canonical(images.Volume(values, image.affine))):
        if own.grid.shape == grid.shape and np.allclose(own.affine, grid.affine, rtol=0, atol=_TOLERANCE):
            return own.data, False
    from pharmasl.space import resample, transforms

    points, known = transforms.points(grid), np.isfinite(values)
    sampled = resample.resample(np.where(known, values, 0), image.affine, points)
    share = resample.resample(known, image.affine, points, fill=0)
    return np.where(share > _WHOLE, sampled, np.nan).astype(np.float32), True


def write(
    effect_path: FilePath, sidecar_path: FilePath, image_path: FilePath, template_mask: FilePath, record: ImportRecord
) -> None:
    """Write a ready-made contrast map as the group analyses read it.

    Parameters
    ----------
    effect_path, sidecar_path : path-like
        Written.
    image_path : path-like
        The map.
    template_mask : path-like
    record : ImportRecord

    Raises
    ------
    InputError
        If the map covers less of the template's brain than :data:`LEAST_COVERAGE`, or holds one value everywhere.
    """
    mask, affine = images.load(template_mask)
    values, resampled = taken_over(images.load(image_path), images.Grid(mask.shape, affine))
    share = float(np.isfinite(values[mask > 0.5]).mean())
    if share < LEAST_COVERAGE:
        raise InputError(
            file=image_path,
            field="coverage",
            found=f"values in {100 * share:.0f} % of the brain of {record.space}",
            expected=f"{100 * LEAST_COVERAGE:.0f} % or more",
            fix="Check that the map is not empty and lies in that space; leave the participant out if it is.",
        )
    brain = values[(mask > 0.5) & np.isfinite(values)]
    if brain.min() == brain.max():
        raise InputError(
            file=image_path,
            field="voxels",
            found=f"the value {brain[0]:g} in all of them",
            expected="a map of an effect, which varies over the brain",
            fix="Export the map again; leave the participant out if there is none.",
        )
    if record.factor != 1:
        values = (values * np.float64(record.factor)).astype(np.float32)
    images.save(effect_path, values, affine, intent="estimate", code=images.form_code(template_mask))
    log.info("%s: %s, %.1f %% of the brain", record.place, "resampled" if resampled else "as it is", 100 * share)
    tables.write_json(
        sidecar_path,
        {
            "Description": f"Contrast map of {record.program.name}",
            "Measure": record.measure,
            "Units": record.unit,
            "ScaledBy": record.factor,
            "SourceDataset": record.dataset,
            "GeneratedBy": [{"Name": record.program.name, "Version": record.program.version}],
            "Space": record.space,
            "Transform": "none: the map's own values, on its own grid"
            if not resampled
            else f"none: sampled trilinearly on the grid of {record.space}, in which the map lies",
            "Coverage": round(share, 4),
            "Spread": float(f"{np.nanstd(values[mask > 0.5], dtype=np.float64):.6g}"),
        },
    )
