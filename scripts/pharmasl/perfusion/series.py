"""A raw perfusion series in memory, checked against what its aslcontext says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import signal, weighted_echoes
from pharmasl.perfusion import timing as scan_timing
from pharmasl.perfusion import volumes as scan_volumes
from pharmasl.space import header, images
from pharmasl.study.echo_sum import EchoSum
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
    echo_levels : tuple of float
        Of echoes that were summed, :attr:`pharmasl.perfusion.weighted_echoes.Summed.levels`.
    """

    data: np.ndarray
    affine: np.ndarray
    volumes: scan_volumes.Volumes
    timing: scan_timing.Timing | None = None
    echo_levels: tuple[float, ...] = ()

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
    _check_number(data, path, volume_types)
    return data, affine


def _check_number(data: np.ndarray, path: FilePath, volume_types: Sequence[str]) -> None:
    if data.shape[3] != len(volume_types):
        raise InputError(
            path,
            "number of volumes",
            data.shape[3],
            f"{len(volume_types)}, as many as the series' aslcontext.tsv has rows",
            "Correct the aslcontext.tsv.",
        )


def _sorted(
    data: np.ndarray,
    affine: np.ndarray,
    path: FilePath,
    volume_types: Sequence[str],
    timing: scan_timing.Timing | None,
    cycle: int | None = None,
    lost: Mapping[int, str] | None = None,
) -> Series:
    """The series without its lost volumes' values, and its volumes by type; ``lost`` are volumes known to be so."""
    group = None if timing is None else timing.group
    examined = signal.examine(data, volume_types, group)
    if lost:
        level = examined.level.copy()
        level[list(lost)] = np.nan
        examined = signal.Signal(dict(sorted({**examined.lost, **lost}.items())), level)
    signal.warn(examined.lost, path)
    # What a lost volume holds must reach nothing: damaged values would spread in any interpolation.
    data[..., list(examined.lost)] = 0
    if not np.isfinite(data).all():
        data = np.nan_to_num(data, copy=False, nan=0, posinf=0, neginf=0)
    return Series(data, affine, scan_volumes.sort(volume_types, path, group, examined, cycle), timing)


def load_acquired(path: FilePath, acquisition: Acquisition, later_echoes: Sequence[FilePath] = ()) -> Series:
    """A perfusion series whose controls are paired with labels of their own delay, its echoes summed where that was asked for.

    Parameters
    ----------
    path : path-like
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    later_echoes : sequence of path-like
        Of a series whose echoes are summed and are a file each, those after the first; or empty.

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
    cycle = None if acquisition.encoding is None else len(acquisition.encoding)
    if acquisition.echoes is None:
        data, affine = _read(path, types)
        loaded = _sorted(data, affine, path, types, _timing(acquisition, path, data.shape[:3]), cycle)
    else:
        timing = _timing(acquisition, path, images.grid(path).shape)
        made = _summed(path, acquisition.echoes, later_echoes, types, timing)
        loaded = _sorted(made.data, made.affine, path, types, timing, cycle, made.lost)
        loaded = replace(loaded, echo_levels=made.levels)
    volumes = loaded.volumes
    if acquisition.m0_type == "Included" and "m0scan" in types and volumes.kind != "cbf":
        lost = {number: reason for number, reason in volumes.lost.items() if types[number] == "m0scan"}
        scan_volumes.require_m0(volumes.m0scan, lost, path)
    return loaded


def _timing(acquisition: Acquisition, path: FilePath, shape: Sequence[int]) -> scan_timing.Timing | None:
    return None if acquisition.labeling_type is None else scan_timing.timing(acquisition, path, shape)


def _summed(
    path: FilePath,
    echoes: EchoSum,
    later: Sequence[FilePath],
    types: Sequence[str],
    timing: scan_timing.Timing | None,
) -> weighted_echoes.Summed:
    """The weighted sum of a series' echoes."""
    group = None if timing is None else timing.group
    if echoes.volumes is not None:
        data, affine = _read(path, types)
        return weighted_echoes.of_volumes(path, data, affine, echoes.weights, echoes.volumes, types, group)
    made = weighted_echoes.of_files([path, *later], echoes.weights, types, group)
    _check_number(made.data, path, types)
    return made


def load_m0(paths: Sequence[FilePath], weights: Sequence[float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """An M0 image of one or more volumes, without those that hold no measurement.

    Parameters
    ----------
    paths : sequence of path-like
        One; or one for each echo, where they are summed.
    weights : sequence of float, optional
        Of the echoes.

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
    if weights is None or len(paths) == 1:
        (path,) = paths
        data, affine = images.load(path)
        data = data.reshape((*data.shape[:3], -1))
        lost = signal.examine(data, ["m0scan"] * data.shape[3]).lost
    else:
        path = paths[0]
        made = weighted_echoes.of_files(paths, weights, ["m0scan"] * header.read(path).volumes, None)
        data, affine, lost = made.data, made.affine, made.lost
    signal.warn(lost, path)
    left = [number for number in range(data.shape[3]) if number not in lost]
    scan_volumes.require_m0(left, lost, path)
    return np.nan_to_num(data[..., left], nan=0.0, posinf=0.0, neginf=0.0), affine
