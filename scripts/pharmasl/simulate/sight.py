"""Which voxels of a run can show a volume of the head, however the head moves in it: the others need no sampling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.space import resample, transforms

# Voxels of the head along each edge of a block, of which it is known whether there is anything in it.
_BLOCK = 4


def occupied(volume: np.ndarray) -> np.ndarray:
    """Where a volume has anything, by blocks of voxels.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        One, or several side by side.

    Returns
    -------
    ndarray of bool, one value a block of :data:`_BLOCK` voxels along each axis
    """
    many = volume.reshape((*volume.shape[:3], -1))
    blocks = np.zeros([-(-n // _BLOCK) for n in volume.shape[:3]], dtype=np.bool_)
    _mark(many, _BLOCK, blocks)
    return blocks


@njit(cache=True, nogil=True)
def _anything(volumes, i, j, k, block):
    """Whether a block has anything; the block is left at the first voxel that has."""
    nx, ny, nz, count = volumes.shape
    for x in range(i * block, min((i + 1) * block, nx)):
        for y in range(j * block, min((j + 1) * block, ny)):
            for z in range(k * block, min((k + 1) * block, nz)):
                for n in range(count):
                    if volumes[x, y, z, n] != 0:
                        return True
    return False


@njit(cache=True, nogil=True)
def _mark(volumes, block, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                out[i, j, k] = _anything(volumes, i, j, k, block)


@dataclass(frozen=True)
class Seen:
    """A volume of the head, and the voxels of a run that can show it.

    Attributes
    ----------
    volume : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        One, or several side by side.
    affine : ndarray of shape (4, 4)
    where : ndarray of shape (N,)
        The voxels' places among the run's, in C order.
    points : ndarray of shape (N, 3)
        Theirs, in the frame of the run.
    """

    volume: np.ndarray
    affine: np.ndarray
    where: np.ndarray
    points: np.ndarray

    def through(
        self, places: Sequence[np.ndarray], weights: np.ndarray | None = None, groups: np.ndarray | None = None
    ) -> np.ndarray:
        """The volume in these voxels, or the sum of several, with the head in one place after the other: ndarray of shape (places, N).

        Parameters
        ----------
        places : sequence of ndarray of shape (4, 4)
        weights : ndarray of shape (places, groups, volumes), float32, optional
            Of each volume in the sum, by the voxel's group.
        groups : ndarray of int, shape (N,), optional
        """
        many = self.volume.reshape((*self.volume.shape[:3], -1))
        return resample.resample_series(many, self.affine, self.points, places, weights, groups)


class Sight:
    """The voxels of a run and the places of the head in it.

    Parameters
    ----------
    points : ndarray of shape (X, Y, Z, 3)
        mm, in the frame of the run.
    affine : ndarray of shape (4, 4)
        Of the head's volumes.
    places : sequence of ndarray of shape (4, 4)
        Map the frame of the run to that of the head, volume by volume.
    """

    def __init__(self, points: np.ndarray, affine: np.ndarray, places: Sequence[np.ndarray]) -> None:
        self._flat, self._affine = points.reshape(-1, 3), affine
        to_voxel = [np.linalg.inv(affine) @ place for place in places]
        self._voxels = transforms.apply(to_voxel[0], self._flat)
        ends = self._flat.min(axis=0), self._flat.max(axis=0)
        corners = np.array([[ends[i][0], ends[j][1], ends[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        # A motion that is linear in the point is largest at a corner.
        first = transforms.apply(to_voxel[0], corners)
        self._reach = max(np.abs(transforms.apply(own, corners) - first).max() for own in to_voxel)

    def seen(self, volume: np.ndarray, blocks: np.ndarray) -> Seen:
        """What the run can show of a volume of shape (X, Y, Z) or (X, Y, Z, N), by :func:`occupied` of it or of more on its grid."""
        # The sampled voxels lie within the reach, and one beyond since a point lies between them.
        blocks = ndimage.maximum_filter(blocks, 2 * int(np.ceil((self._reach + 1) / _BLOCK)) + 1)
        last = np.array(blocks.shape) - 1
        index = np.clip(np.floor(self._voxels / _BLOCK).astype(np.intp), 0, last)
        where = np.flatnonzero(blocks[index[:, 0], index[:, 1], index[:, 2]])
        return Seen(volume, self._affine, where, self._flat[where])
