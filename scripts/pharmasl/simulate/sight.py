"""Which voxels of a run can show a volume of the head, however the head moves in it: the others need no sampling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.space import resample, transforms

# Voxels of the head along each edge of a block, of which it is known whether there is anything in it.
_BLOCK = 4


@njit(cache=True, nogil=True)
def _mark(volume, block, out):
    for i in range(volume.shape[0]):
        for j in range(volume.shape[1]):
            for k in range(volume.shape[2]):
                if volume[i, j, k] != 0:
                    out[i // block, j // block, k // block] = True


@dataclass(frozen=True)
class Seen:
    """A volume of the head, and the voxels of a run that can show it.

    Attributes
    ----------
    volume : ndarray of shape (X, Y, Z)
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

    def at(self, to_head: np.ndarray) -> np.ndarray:
        """The volume in these voxels, with the head in a place: ndarray of shape (N,)."""
        return resample.resample(self.volume, self.affine, self.points, to_head, fill=0.0)


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

    def seen(self, *volumes: np.ndarray) -> Seen:
        """What the run can show of the first volume, or of the others, which must have its grid."""
        blocks = np.zeros([-(-n // _BLOCK) for n in volumes[0].shape], dtype=np.bool_)
        for volume in volumes:
            _mark(volume, _BLOCK, blocks)
        # The sampled voxels lie within the reach, and one beyond since a point lies between them.
        blocks = ndimage.maximum_filter(blocks, 2 * int(np.ceil((self._reach + 1) / _BLOCK)) + 1)
        last = np.array(blocks.shape) - 1
        index = np.clip(np.floor(self._voxels / _BLOCK).astype(np.intp), 0, last)
        where = np.flatnonzero(blocks[index[:, 0], index[:, 1], index[:, 2]])
        return Seen(volumes[0], self._affine, where, self._flat[where])
