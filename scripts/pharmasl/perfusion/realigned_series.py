"""The realigned series of one scan: every raw volume sampled once on the scan's own grid."""

from collections.abc import Sequence

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.perfusion import epi_shift, scan, series
from pharmasl.space import images
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import Acquisition


def read(
    asl: FilePath,
    motion: FilePath,
    *,
    later_echoes: Sequence[FilePath] = (),
    acquisition: Acquisition,
    interpolation: str,
    field: Sequence[FilePath] = (),
    distorted: Distortion | None = None,
) -> images.Volume:
    """A raw series, realigned.

    Parameters
    ----------
    asl : path-like
        The raw series.
    motion : path-like
        ITK affines: from the series' reference to each volume.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    interpolation : {"cubic", "linear"}
        Between the voxels of raw volumes.
    field : sequence of path-like
        The field on the series' grid, Hz; or empty.
    distorted : pharmasl.study.distortion.Distortion, optional
        How the series was encoded, where there is a field.

    Returns
    -------
    images.Volume
        (X, Y, Z, T), float32, in the series' unit; 0 where a volume does not reach.

    Raises
    ------
    InputError
        As :func:`pharmasl.perfusion.series.load_acquired`; and if the transforms are not as many as the volumes.
    """
    loaded = series.load_acquired(asl, acquisition, later_echoes)
    matrices = scan.affines(motion, loaded.data.shape[3])
    unwarping = epi_shift.read(field, distorted)
    data = scan.realigned(loaded.data, loaded.affine, matrices, interpolation, unwarping)
    return images.Volume(np.nan_to_num(data, copy=False), loaded.affine)


def write(
    path: FilePath,
    asl: FilePath,
    motion: FilePath,
    *,
    later_echoes: Sequence[FilePath] = (),
    acquisition: Acquisition,
    interpolation: str,
    field: Sequence[FilePath] = (),
    distorted: Distortion | None = None,
) -> None:
    """Write the realigned series.

    Parameters
    ----------
    path : path-like
    asl, motion, later_echoes, acquisition, interpolation, field, distorted
        As for :func:`read`.
    """
    made = read(
        asl,
        motion,
        later_echoes=later_echoes,
        acquisition=acquisition,
        interpolation=interpolation,
        field=field,
        distorted=distorted,
    )
    images.save(path, made.data, made.affine, time_step=acquisition.repetition_time)
