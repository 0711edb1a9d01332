"""A raw perfusion series in memory, checked against what its aslcontext says."""

import numpy as np

from pharmasl.errors import InputError
from pharmasl.perfusion import signal, volumes
from pharmasl.perfusion import timing as parameters
from pharmasl.space import images


def load(path, volume_types):
    """A perfusion series, its affine, and its volumes by type.

    Parameters
    ----------
    path : path-like
    volume_types : sequence of str

    Returns
    -------
    data : ndarray of shape (X, Y, Z, T), float32
        Voxels that are not finite are zero; so are volumes that hold no measurement (``of.lost``).
    affine : ndarray of shape (4, 4)
    of : pharmasl.perfusion.volumes.Volumes

    Raises
    ------
    InputError
        If the numbers of volumes and of types differ, or no volume is left to compute perfusion from.
    """
    data, affine = _read(path, volume_types)
    return _sorted(data, affine, path, volume_types, None)


def _read(path, volume_types):
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


def _sorted(data, affine, path, volume_types, group):
    """The series without its lost volumes' values, and its volumes by type."""
    examined = signal.examine(data, volume_types, group)
    signal.tell(examined.lost, path)
    # What a lost volume holds must reach nothing: damaged values would spread in any interpolation.
    data[..., list(examined.lost)] = 0
    return (
        np.nan_to_num(data, copy=False, nan=0, posinf=0, neginf=0),
        affine,
        volumes.sort(volume_types, path, group, examined),
    )


def load_acquired(path, acquisition, q2tips="consensus"):
    """A perfusion series whose controls are paired with labels of their own delay.

    Parameters
    ----------
    path : path-like
    acquisition : dict
        As the study stage resolves it.
    q2tips : str
        Of :func:`pharmasl.perfusion.kinetics.decay_time`.

    Returns
    -------
    data, affine, of
        As of :func:`load`.
    timing : pharmasl.perfusion.timing.Timing or None
        None where nothing is known of the labelling: the scanner computed CBF.

    Raises
    ------
    InputError
        As :func:`load` and :func:`pharmasl.perfusion.timing.timing`; and if M0 is to come from volumes of the
        series that are all lost.
    """
    types = list(acquisition["volume_types"])
    data, affine = _read(path, types)
    known = acquisition.get("labeling_type") is not None
    timing = parameters.timing(acquisition, path, data.shape[:3], q2tips) if known else None
    data, affine, of = _sorted(data, affine, path, types, timing.group if known else None)
    if acquisition.get("m0_type") == "Included" and "m0scan" in types and of.kind != "cbf":
        volumes.require_m0(of.m0scan, {i: reason for i, reason in of.lost.items() if types[i] == "m0scan"}, path)
    return data, affine, of, timing


def load_m0(path):
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
    signal.tell(lost, path)
    left = [number for number in range(len(types)) if number not in lost]
    volumes.require_m0(left, lost, path)
    return np.nan_to_num(data[..., left], nan=0.0, posinf=0.0, neginf=0.0), affine
