"""The field at a scan's voxels, and the displacement that follows from it."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion import field_map, opposed_pair
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.space import images, transforms
from pharmasl.study.distortion import OPPOSED, Distortion, FieldMap

log = logging.getLogger(__name__)


def write(
    outputs: Mapping[str, FilePath],
    own: FieldMap,
    asl: FilePath,
    *,
    distorted: Distortion,
    tesla: float | None,
) -> None:
    """Write the field on the grid of a series, its sidecar, and the displacement as an ITK field.

    Parameters
    ----------
    outputs : Mapping
        Paths of ``field`` (Hz), ``sidecar`` and ``displacement``.
    own : pharmasl.study.distortion.FieldMap
    asl : path-like
        The series.
    distorted : pharmasl.study.distortion.Distortion
    tesla : float or None
        As for :func:`pharmasl.perfusion.field_map.read`.

    Raises
    ------
    InputError
        If the map cannot be used.
    """
    pair = None
    if own.kind == OPPOSED:
        acquired, pair = opposed_pair.read(own)
    else:
        acquired = field_map.read(own.files, own.kind, own.echo_difference, own.units, tesla)
    grid = images.grid(asl)
    field = field_map.on_grid(acquired, grid)
    images.save(outputs["field"], field.hertz, grid.affine)
    points = transforms.points(grid)
    unwarping = Unwarping(field, distorted)
    shift = unwarping.shift(points, grid.affine)
    voxels = shift.voxels.reshape(grid.shape)
    transforms.write_field(
        outputs["displacement"], points + voxels[..., np.newaxis] * grid.affine[:3, shift.axis], grid.affine
    )
    millimetres = np.abs(voxels) * float(np.linalg.norm(grid.affine[:3, shift.axis]))
    tables.write_json(outputs["sidecar"], _record(field, millimetres, distorted, pair))


def _record(
    field: field_map.Field, millimetres: np.ndarray, distorted: Distortion, pair: dict[str, Any] | None
) -> dict[str, Any]:
    """What the field's sidecar says."""
    low, middle, high = np.percentile(field.hertz, [1, 50, 99]).round(2).tolist()
    return {
        "Units": "Hz",
        "Range": {"Percentiles": [1, 50, 99], "Value": [low, middle, high], "Unit": "Hz"},
        "PhaseEncodingDirection": distorted.series.direction,
        "TotalReadoutTime": distorted.series.readout_time,
        "Displacement": {
            "Percentiles": [50, 95, 99],
            "Value": np.percentile(millimetres, [50, 95, 99]).round(2).tolist(),
            "Unit": "mm",
        },
        **({"OpposedImages": {**pair, "Descriptions": opposed_pair.RECORD}} if pair else {}),
    }
