"""The echoes of a raw series or of its M0 in memory, summed voxel by voxel."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import signal
from pharmasl.space import images

# By which an echo may be brighter than the one before it, for noise.
MOST_RISE = 1.05


@dataclass(frozen=True, kw_only=True)
class Summed:
    """A weighted sum of echoes.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z, T), float32
        Voxels that are not finite in any echo are not finite. Where the echoes are volumes of one file, the sums stand at the
        places of the first echo's volumes.
    affine : ndarray of shape (4, 4)
    lost : dict of int to str
        Volumes that hold no measurement in one of the echoes: number, from 0, to the reason in words.
    levels : tuple of float
        Signal of the head in each echo over that of the first; empty where there are differences alone.
    """

    data: np.ndarray
    affine: np.ndarray
    lost: dict[int, str]
    levels: tuple[float, ...]


def of_files(
    paths: Sequence[FilePath], weights: Sequence[float], types: Sequence[str], group: Sequence[int] | np.ndarray | None
) -> Summed:
    """The weighted sum of images that are one echo each.

    Parameters
    ----------
    paths : sequence of path-like
        In the order of the echoes.
    weights : sequence of float
    types : sequence of str
        Of the volumes.
    group : sequence of int, optional
        As for :func:`pharmasl.perfusion.signal.examine`.

    Raises
    ------
    InputError
        If an echo is brighter than the one before it, or has another number of voxels.
    """
    first, affine = _volumes(paths[0])

    def one_by_one() -> Iterator[np.ndarray]:
        yield first
        for path in paths[1:]:
            later, _ = _volumes(path)
            if later.shape != first.shape:
                there, expected = (" x ".join(map(str, own.shape)) for own in (later, first))
                raise InputError(
                    path, "dim", there, f"{expected}, as the first echo has", "Give all echoes of one grid."
                )
            yield later

    total, lost, levels = _sum(one_by_one(), weights, types, group, paths)
    return Summed(data=total, affine=affine, lost=lost, levels=levels)


def of_volumes(
    path: FilePath,
    data: np.ndarray,
    affine: np.ndarray,
    weights: Sequence[float],
    volumes: Sequence[Sequence[int]],
    types: Sequence[str],
    group: Sequence[int] | np.ndarray | None,
) -> Summed:
    """The weighted sum of echoes that are volumes of one image.

    Parameters
    ----------
    path : path-like
        Named in errors.
    data : ndarray of shape (X, Y, Z, T), float32
        Changed in place: the volumes of the first echo become the sums.
    affine : ndarray of shape (4, 4)
    weights : sequence of float
    volumes : sequence of sequence of int
        Of each echo, those of one excitation at one place.
    types, group
        As for :func:`of_files`, of all volumes; those of the first echo count.

    Raises
    ------
    InputError
        If an echo is brighter than the one before it.
    """
    places = list(volumes[0])
    own = [types[number] for number in places]
    delays = None if group is None else np.asarray(group)[places]
    echoes = (data[..., list(numbers)] for numbers in volumes)
    total, lost, levels = _sum(echoes, weights, own, delays, [path] * len(volumes))
    data[..., places] = total
    return Summed(data=data, affine=affine, lost={places[k]: reason for k, reason in lost.items()}, levels=levels)


def _volumes(path: FilePath) -> tuple[np.ndarray, np.ndarray]:
    data, affine = images.load(path)
    return data.reshape((*data.shape[:3], -1)), affine


def _sum(
    echoes: Iterator[np.ndarray],
    weights: Sequence[float],
    types: Sequence[str],
    group: Sequence[int] | np.ndarray | None,
    paths: Sequence[FilePath],
) -> tuple[np.ndarray, dict[int, str], tuple[float, ...]]:
    """The sum, the volumes without a measurement in an echo, and the levels of :attr:`Summed.levels`."""
    total: np.ndarray | None = None
    lost: dict[int, str] = {}
    levels: list[np.ndarray] = []
    bright = np.array([signal.FAMILIES.get(kind) in signal.MAGNITUDES for kind in types])
    for number, (data, weight) in enumerate(zip(echoes, weights, strict=True), start=1):
        if len(types) == data.shape[3]:
            examined = signal.examine(data, types, group)
            lost |= {k: f"{reason} (echo {number})" for k, reason in examined.lost.items() if k not in lost}
            levels.append(examined.level)
        if total is None:
            total = np.float32(weight) * data
        else:
            total += np.float32(weight) * data
    assert total is not None
    return total, dict(sorted(lost.items())), _decay(levels, bright, paths)


def _decay(levels: Sequence[np.ndarray], bright: np.ndarray, paths: Sequence[FilePath]) -> tuple[float, ...]:
    """Each echo's signal over that of the first, by the volumes that show the head in all of them."""
    if not levels:
        return ()
    seen = bright & np.isfinite(levels).all(axis=0)
    if not seen.any():
        return ()
    ratios = [1.0, *(float(np.median(level[seen] / levels[0][seen])) for level in levels[1:])]
    for number, (earlier, later) in enumerate(itertools.pairwise(ratios), start=1):
        if later > MOST_RISE * earlier:
            raise InputError(
                paths[number],
                "EchoTime",
                f"echo {number + 1} is {later / earlier:.2f} times as bright as echo {number}",
                "signal that decays from echo to echo",
                "The files or their echo times are exchanged, or the echoes are scaled by themselves: correct them, or set "
                "perfusion.echo to first.",
            )
    return tuple(ratios)
