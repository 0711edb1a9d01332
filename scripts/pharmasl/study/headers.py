"""Headers of the raw images, looked at before any of them is processed."""

from collections.abc import Mapping, Sequence

from pharmasl.errors import FilePath, InputError, InputErrors
from pharmasl.space import header

# Fewer voxels along an axis show neither where a head lies nor whether it moved.
LEAST_LENGTH = 2


def read(path: FilePath, one_volume: bool = False) -> header.Header:
    """The header of a raw image that is to be realigned or registered.

    Parameters
    ----------
    path : path-like
    one_volume : bool
        Whether several volumes are an error, as in a T1-weighted image.

    Returns
    -------
    pharmasl.space.header.Header

    Raises
    ------
    InputErrors
        As :func:`pharmasl.space.header.read`; if the image is a single slice, or has more volumes than it may have.
    """
    known = header.read(path)
    errors: list[InputError] = []
    if min(known.shape) < LEAST_LENGTH:
        errors.append(
            InputError(
                path,
                "dim",
                " x ".join(map(str, known.shape)),
                f"{LEAST_LENGTH} or more voxels along each axis",
                "A single slice can be neither realigned nor registered in space: leave the image out.",
            )
        )
    if one_volume and known.volumes > 1:
        errors.append(
            InputError(
                path,
                "dim",
                f"{known.volumes} volumes",
                "one",
                "Give a single volume: echoes, inversions and repetitions each in a file of their own.",
            )
        )
    if errors:
        raise InputErrors(errors)
    return known


def check_t1w(t1w: Mapping[str, Sequence[str]]) -> list[InputError]:
    """What is wrong with the T1-weighted images of a study.

    Parameters
    ----------
    t1w : dict of str to tuple of str
        The raw images of each anatomy.

    Returns
    -------
    list of InputError
    """
    errors: list[InputError] = []
    for path in sorted({path for paths in t1w.values() for path in paths}):
        try:
            read(path, one_volume=True)
        except InputErrors as several:
            errors += several.errors
    return errors
