"""EPI images of the analytic head with a known field: fine columns are pushed along the phase encoding, then binned."""

import head
import numpy as np
from pharmasl.space import images, transforms

# Fine voxels in one of the image, along the phase encoding.
FINE = 8


def push(signal, shift):
    """Signal of fine voxels after each has moved by ``shift`` fine voxels along axis 1, its extent with it: mass is kept."""
    out = np.zeros_like(signal)
    count = signal.shape[1]
    edges = np.concatenate([shift[:, :1], (shift[:, 1:] + shift[:, :-1]) / 2, shift[:, -1:]], axis=1)
    place = edges + (np.arange(count + 1) - 0.5)[:, None]
    low, high = np.minimum(place[:, :-1], place[:, 1:]), np.maximum(place[:, :-1], place[:, 1:])
    first, width = np.floor(low + 0.5).astype(int), np.maximum(high - low, 1e-9)
    x, z = np.meshgrid(np.arange(signal.shape[0]), np.arange(signal.shape[2]), indexing="ij")
    for step in range(int((high - low).max()) + 3):
        voxel = first + step
        part = np.clip(np.minimum(high, voxel + 0.5) - np.maximum(low, voxel - 0.5), 0, None)
        inside = (voxel >= 0) & (voxel < count) & (part > 0)
        at = np.broadcast_to(x[:, None], voxel.shape), voxel, np.broadcast_to(z[:, None], voxel.shape)
        np.add.at(out, tuple(index[inside] for index in at), (signal * part / width)[inside])
    return out


def fine_grid(grid):
    """The grid whose voxels are a FINE-th of another's along axis 1."""
    nx, ny, nz = grid.shape
    affine = grid.affine @ np.diag([1, 1 / FINE, 1, 1])
    affine[:3, 3] += grid.affine[:3, 1] * (0.5 / FINE - 0.5)
    return images.Grid((nx, ny * FINE, nz), affine)


def binned(fine):
    """The mean of the fine voxels in each voxel."""
    nx, ny, nz = fine.shape
    return fine.reshape(nx, ny // FINE, FINE, nz).mean(axis=2)


def sinus(points, peak=80.0):
    """A field like that above the sinuses: Hz at points (RAS+ mm)."""
    return peak * np.exp(-((points - np.array([0, 62, -28])) ** 2).sum(-1) / (2 * 22.0**2))


def epi(grid, signal, voxels_per_hertz, field=sinus, matrix=None):
    """An image of the head, (X, Y, Z), float32.

    ``signal`` is that of grey matter, white matter, fluid and scalp; ``voxels_per_hertz`` 0 for an image without distortion;
    ``matrix`` maps points of the image to points of the head, with which the field moves.
    """
    fine = fine_grid(grid)
    matrix = np.eye(4) if matrix is None else matrix
    shares = head.render(fine, matrix, parts=(2, 1, 2))
    shift = field(transforms.apply(matrix, transforms.points(fine))) * voxels_per_hertz * FINE
    return binned(push(shares @ signal, shift)).astype(np.float32)
