"""The field at a scan's voxels, and the displacement that follows from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion import field_map, field_place, opposed_pair, realigned_scan, series
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.tissue_maps import reduce
from pharmasl.space import images, transforms
from pharmasl.study.distortion import OPPOSED, Distortion, FieldMap
from pharmasl.study.scan_acquisition import Acquisition


def write(
    outputs: Mapping[str, FilePath],
    own: FieldMap,
    asl: FilePath,
    tissues: Sequence[FilePath],
    *,
    acquisition: Acquisition,
    distorted: Distortion,
    tesla: float | None,
    later_echoes: Sequence[FilePath] = (),
) -> None:
    """Write the field on the grid of a series, its sidecar, and the displacement as an ITK field.

    Parameters
    ----------
    outputs : Mapping
        Paths of ``field`` (Hz), ``sidecar`` and ``displacement``.
    own : pharmasl.study.distortion.FieldMap
    asl : path-like
        The series.
    tissues : sequence of path-like
        Grey matter, white matter and fluid of the participant's own T1-weighted image; empty without one: the field then lies
        where the headers have it.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    distorted : pharmasl.study.distortion.Distortion
    tesla : float or None
        As for :func:`pharmasl.perfusion.field_map.read`.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.

    Raises
    ------
    InputError
        If the map cannot be used.
    """
    pair, beside = None, None
    if own.kind == OPPOSED:
        acquired, beside, pair = opposed_pair.read(own)
    else:
        acquired = field_map.read(own.files, own.kind, own.echo_difference, own.units, tesla)
        beside = field_map.beside(own.files, own.kind)
    grid = images.grid(asl)
    loaded = series.load_acquired(asl, acquisition, later_echoes)
    matrix, place = _placed(acquired, beside, loaded, tissues, distorted)
    field = field_map.on_grid(acquired, grid, matrix)
    images.save(outputs["field"], field.hertz, grid.affine)
    points = transforms.points(grid)
    unwarping = Unwarping(field, distorted)
    shift = unwarping.shift(points, grid.affine)
    voxels = shift.voxels.reshape(grid.shape)
    transforms.write_field(
        outputs["displacement"], points + voxels[..., np.newaxis] * grid.affine[:3, shift.axis], grid.affine
    )
    millimetres = np.abs(voxels) * float(np.linalg.norm(grid.affine[:3, shift.axis]))
    tables.write_json(outputs["sidecar"], _record(field, millimetres, distorted, place, pair))


def _placed(
    field: field_map.Field,
    beside: np.ndarray | None,
    loaded: series.Series,
    tissues: Sequence[FilePath],
    distorted: Distortion,
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """What maps points of the scan to points of the field map, None for the headers' place; and the record of it."""
    image = realigned_scan.typical_static(loaded)
    if not tissues or beside is None or image is None:
        why = "no T1-weighted image of the participant" if not tissues else "the series does not show the head"
        return None, {"By": field_place.HEADERS, "Why": "the field map has no magnitude" if beside is None else why}
    maps, (affine, *_) = zip(*(images.load(path) for path in tissues))
    place = field_place.find(field, beside, image, loaded.affine, distorted, reduce(maps, affine))
    return place.matrix, place.record()


def _record(
    field: field_map.Field,
    millimetres: np.ndarray,
    distorted: Distortion,
    place: dict[str, Any],
    pair: dict[str, Any] | None,
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
        "Place": {**place, "Descriptions": field_place.RECORD},
        **({"OpposedImages": {**pair, "Descriptions": opposed_pair.RECORD}} if pair else {}),
    }
