"""A raw perfusion series in memory, checked against what its aslcontext says."""

import numpy as np

from pharmasl import images
from pharmasl.errors import InputError
from pharmasl.perfusion import acquisition as parameters
from pharmasl.perfusion import volumes


def load(path, volume_types):
    """A perfusion series, its affine, and its volumes by type.

    Parameters
    ----------
    path : path-like
    volume_types : sequence of str

    Returns
    -------
    data : ndarray of shape (X, Y, Z, T), float32
        Voxels that are not finite are zero.
    affine : ndarray of shape (4, 4)
    of : pharmasl.perfusion.volumes.Volumes

    Raises
    ------
    InputError
        If the numbers of volumes and of types differ.
    """
    data, affine = load_m0(path)
    if data.shape[3] != len(volume_types):
        raise InputError(
            path,
            "number of volumes",
            data.shape[3],
            f"{len(volume_types)}, as many as the series' aslcontext.tsv has rows",
            "Mend the aslcontext.tsv.",
        )
    return data, affine, volumes.sort(volume_types, path)


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
    timing : pharmasl.perfusion.acquisition.Timing or None
        None where nothing is known of the labelling: the scanner computed CBF.

    Raises
    ------
    InputError
        As :func:`load` and :func:`pharmasl.perfusion.acquisition.timing`.
    """
    types = list(acquisition["volume_types"])
    data, affine, of = load(path, types)
    if acquisition.get("labeling_type") is None:
        return data, affine, of, None
    timing = parameters.timing(acquisition, path, data.shape[2], q2tips)
    return data, affine, volumes.sort(types, path, timing.group), timing


def load_m0(path):
    """An M0 image of one or more volumes.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    data : ndarray of shape (X, Y, Z, T), float32
        Voxels that are not finite are zero.
    affine : ndarray of shape (4, 4)
    """
    data, affine = images.load(path)
    data = data.reshape((*data.shape[:3], -1))
    return np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0), affine
