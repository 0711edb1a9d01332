"""A raw perfusion series in memory, checked against what its aslcontext says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import signal
from pharmasl.perfusion import timing as scan_timing
from pharmasl.perfusion import volumes as scan_volumes
from pharmasl.space import images
from pharmasl.study.scan_acquisition import Acquisition


@dataclass(frozen=True)
class Series:
    """A perfusion series in memory.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z, T), float32
        In memory volume after volume. Voxels that are not finite are zero; so are volumes that hold no measurement.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    volumes : pharmasl.perfusion.volumes.Volumes
    timing : pharmasl.perfusion.timing.Timing or None
        None where nothing is known of the labelling: the scanner computed CBF.
    """

    data: np.ndarray
    affine: np.ndarray
    volumes: scan_volumes.Volumes
    timing: scan_timing.Timing | None = None

    @property
    def grid(self) -> images.Grid:
        """The grid of its volumes."""
        return images.Grid(self.data.shape[:3], self.affine)


def load(path: FilePath, volume_types: Sequence[str]) -> Series:
    """A perfusion series and its volumes by type, nothing else being known.

    Parameters
    ----------
    path : path-like
    volume_types : sequence of str

    Returns
    -------
    Series
        Without timing.

    Raises
    ------
    InputError
        If the numbers of volumes and of types differ, or no volume is left to compute perfusion from.
    """
    data, affine = _read(path, volume_types)
    return _sorted(data, affine, path, volume_types, None)


def _read(path: FilePath, volume_types: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    data, affine = images.load(path)
    data = data.reshape((*data.shape[:3], -1))
    if data.shape[3] != len(volume_types):
        raise InputError(
            path,
            "number of volumes",
            data.shape[3],
            f"{len(volume_types)}, as many as the series' aslcontext.tsv has rows",
            "Correct the aslcontext.tsv.",
        )
    return data, affine


def _sorted(
    data: np.ndarray,
    affine: np.ndarray,
    path: FilePath,
    volume_types: Sequence[str],
    timing: scan_timing.Timing | None,
    cycle: int | None = None,
) -> Series:
    """The series without its lost volumes' values, and its volumes by type."""
    group = None if timing is None else timing.group
    examined = signal.examine(data, volume_types, group)
    signal.warn(examined.lost, path)
    # What a lost volume holds must reach nothing: damaged values would spread in any interpolation.
    data[..., list(examined.lost)] = 0
    if not np.isfinite(data).all():
        data = np.nan_to_num(data, copy=False, nan=0, posinf=0, neginf=0)
    return Series(data, affine, scan_volumes.sort(volume_types, path, group, examined, cycle), timing)


def load_acquired(path: FilePath, acquisition: Acquisition) -> Series:
    """A perfusion series whose controls are paired with labels of their own delay.

    Parameters
    ----------
    path : path-like
    acquisition : pharmasl.study.scan_acquisition.Acquisition

    Returns
    -------
    Series

    Raises
    ------
    InputError
        As :func:`load` and :func:`pharmasl.perfusion.timing.timing`; and if M0 is to come from volumes of the
        series that are all lost.
    """
    types = acquisition.volume_types
    data, affine = _read(path, types)
    labelled = acquisition.labeling_type is not None
    timing = scan_timing.timing(acquisition, path, data.shape[:3]) if labelled else None
    cycle = None if acquisition.encoding is None else len(acquisition.encoding)
    loaded = _sorted(data, affine, path, types, timing, cycle)
    volumes = loaded.volumes
    if acquisition.m0_type == "Included" and "m0scan" in types and volumes.kind != "cbf":
        lost = {number: reason for number, reason in volumes.lost.items() if types[number] == "m0scan"}
        scan_volumes.require_m0(volumes.m0scan, lost, path)
    return loaded


def load_m0(path: FilePath) -> tuple[np.ndarray, np.ndarray]:
    """An M0 image of one or more volumes, without those that hold no measurement.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    data : ndarray of shape (X, Y, Z, T), float32
        Voxels that are not finite are zero.
    affine : ndarray of shape (4, 4)

    Raises
    ------
    InputError
        If none is left.
    """
    data, affine = images.load(path)
    data = data.reshape((*data.shape[:3], -1))
    types = ["m0scan"] * data.shape[3]
    lost = signal.examine(data, types).lost
    signal.warn(lost, path)
    left = [number for number in range(len(types)) if number not in lost]
    scan_volumes.require_m0(left, lost, path)
    return np.nan_to_num(data[..., left], nan=0.0, posinf=0.0, neginf=0.0), affine
