"""The field that two images of opposed phase encoding show.

A rigid movement of the head between them is found in turns with the field, except along the phase encoding: there it cannot be
told from a constant of the field, which moves an image as a whole and which registration takes up. So the field belongs to
the head where it lies in the first image.
"""

import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import displacement, motion
from pharmasl.perfusion.field_map import Field
from pharmasl.space import images, spline, transforms
from pharmasl.space.spline import Shift
from pharmasl.study.distortion import FieldMap

log = logging.getLogger(__name__)

# Turns of field and movement; the first field needs no more than its coarse levels.
_TURNS, _COARSE = 2, 3
# The receive fields may differ by this over the head, beside a constant.
MOST_GAIN = 0.1
# A curved gain is not believed unless it lowers the energy by this share: the field's roughness imitates some of it.
_LEAST_GAINED = 0.03
# Signal above this share of the brightest is the head's.
_HEAD = 0.2
# Voxels about the head that count as those in it do, and what those beyond count.
_AROUND, _BEYOND = 2, 0.05
# Where signal is thinned out or piled up by this share, what is unwarped says nothing of movement.
_UNSURE = 0.15
RECORD = {
    "Images": "The two images; the field is that of the head where it lies in the first",
    "Movement": "Root mean square displacement of the head from the first image to the second, mm, not along the phase encoding",
    "Gain": "Signal of the second image in the whole, over that of the first",
    "GainDifference": "By how much that gain changes over the head (from its 5th to its 95th percentile)",
    "Difference": "Root mean square difference of the two images within the head over their mean signal, before and after",
}


@dataclass(frozen=True)
class _Opposed:
    """The two images on one grid.

    Attributes
    ----------
    first, second : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    axis : int
        Of the phase encoding.
    factors : tuple of float
        As of :class:`pharmasl.perfusion.displacement.Pair`.
    """

    first: np.ndarray
    second: np.ndarray
    affine: np.ndarray
    axis: int
    factors: tuple[float, float]

    @property
    def points(self) -> np.ndarray:
        return transforms.points(images.Grid(self.first.shape, self.affine))

    @property
    def head(self) -> np.ndarray:
        """Bright voxels of the first image."""
        return self.first > _HEAD * np.percentile(self.first, 98)

    def pair(self, second: np.ndarray) -> displacement.Pair:
        """The two for the solver, the second one where the first one's head lies."""
        along = [axis for axis in range(3) if axis != self.axis] + [self.axis]
        voxel = voxel_sizes(self.affine)[along]
        first, second = (
            np.ascontiguousarray(np.moveaxis(image, self.axis, 2), dtype=np.float64) for image in (self.first, second)
        )
        weight = np.ascontiguousarray(np.moveaxis(self._near, self.axis, 2), dtype=np.float64)
        return displacement.Pair(first, second, voxel, weight, self.factors)

    @functools.cached_property
    def _near(self) -> np.ndarray:
        """1 in the head as either image shows it and about it, less beyond."""
        either = self.head | (self.second > _HEAD * np.percentile(self.second, 98))
        near = ndimage.binary_dilation(ndimage.binary_opening(either), iterations=_AROUND)
        return np.where(near, 1.0, _BEYOND)

    def moved(self, matrix: np.ndarray) -> np.ndarray:
        """The second image with the head where it lies in the first: 0 where it does not reach."""
        return np.nan_to_num(spline.sample(spline.coefficients(self.second), self.affine, self.points, matrix))

    def unwarped(self, second: np.ndarray, solution: displacement.Solution) -> tuple[np.ndarray, np.ndarray]:
        """Both images without their distortion, in place and intensity."""
        u = np.moveaxis(solution.u, 2, self.axis)
        gain = np.einsum("kxzy,k->xzy", displacement.basis(solution.u.shape, len(solution.gain)), solution.gain)
        slope, out = np.gradient(u, axis=self.axis), []
        for image, factor in zip((self.first, second), self.factors):
            shift = Shift(self.axis, np.ascontiguousarray(factor * u).ravel())
            values = spline.sample(spline.coefficients(image), self.affine, self.points, shift=shift)
            out.append((np.nan_to_num(values) * (1 + factor * slope)).astype(np.float32))
        return out[0], (out[1] * np.exp(np.moveaxis(gain, 2, self.axis))).astype(np.float32)


def read(own: FieldMap) -> tuple[Field, np.ndarray, dict[str, Any]]:
    """The field of two images of opposed phase encoding, on their grid.

    Parameters
    ----------
    own : pharmasl.study.distortion.FieldMap
        Of that kind. Where an image has several volumes, their mean is taken.

    Returns
    -------
    field : pharmasl.perfusion.field_map.Field
        Of the head where it lies in the first image.
    flat : ndarray of shape (X, Y, Z)
        The first image without its distortion.
    record : dict
        Keys of :data:`RECORD`.

    Raises
    ------
    InputError
        If an image is empty or a copy of the other, or the two were received with different gains over the head.
    """
    (first, affine), (second, _) = (_mean(path, chosen) for path, chosen in zip(own.images, own.volumes))
    if np.array_equal(first, second):
        raise InputError(
            own.images[1],
            "voxels",
            f"those of {os.path.basename(own.images[0])}",
            "an image of its own",
            "One of the two is a copy: restore it from its source, or set perfusion.distortion to off.",
        )
    per_hertz = [encoding.voxels_per_hertz for encoding in own.encodings]
    largest = max(abs(value) for value in per_hertz)
    both = _Opposed(first, second, affine, own.encodings[0].axis, (per_hertz[0] / largest, per_hertz[1] / largest))
    solution, matrix, moved = _solve(both)
    spread = _received(both, moved, solution, own.images)
    flat, other = both.unwarped(moved, solution)
    before = round(_difference(first, second * np.exp(solution.gain[0]), both.head), 3)
    after = round(_difference(flat, other, both.head), 3)
    record = {
        "Images": [os.path.basename(path) for path in own.images],
        "Movement": round(_movement(both, matrix), 2),
        "Gain": round(float(np.exp(-solution.gain[0])), 3),
        "GainDifference": round(spread, 3),
        "Difference": [before, after],
    }
    log.info("%s: %s", own.images[0], record)
    return Field(np.moveaxis(solution.u, 2, both.axis) / largest, affine), flat, record


def _mean(path: FilePath, chosen: Sequence[int] | None) -> images.Volume:
    """The mean of an image's volumes, realigned to the first of them."""
    data, affine = images.load(path)
    data = np.nan_to_num(data.reshape((*data.shape[:3], -1)), posinf=0.0, neginf=0.0)
    volumes = [data[..., number] for number in (range(data.shape[3]) if chosen is None else chosen)]
    volumes = [volume for volume in volumes if np.ptp(volume) > 0]
    if not volumes:
        raise InputError(path, "voxels", "one value throughout", "a head", "Look at the image.")
    if len(volumes) == 1:
        return images.Volume(volumes[0], affine)
    matrices = motion.realign(volumes, affine, volumes[0], affine, motion.head(volumes[0]))
    return images.Volume(motion.mean(volumes, affine, matrices, images.Grid(data.shape[:3], affine)), affine)


def _solve(both: _Opposed) -> tuple[displacement.Solution, np.ndarray, np.ndarray]:
    """The displacement, the movement of the head to the second image, and that image moved back."""
    matrix, moved = np.eye(4), both.second
    pair = both.pair(moved)
    solution = displacement.solve(pair, displacement.start(pair), displacement.LEVELS[:_COARSE])
    weight = motion.head(both.first)
    centre = np.average(both.points[both.head], axis=0)
    along = both.affine[:3, both.axis] / np.linalg.norm(both.affine[:3, both.axis])
    for turn in range(_TURNS):
        flat, other = both.unwarped(moved, solution)
        slope = np.abs(np.gradient(np.moveaxis(solution.u, 2, both.axis), axis=both.axis))
        sure = weight * np.clip(1 - slope / _UNSURE, 0, 1).astype(np.float32)
        try:
            step = motion.realign([other], both.affine, flat, both.affine, sure, starts=[np.eye(4)])[0]
        except motion.TooThinError:
            log.warning("the slab is too thin to show a movement between the images: none is taken off")
            step = np.eye(4)
        shift, rotation = transforms.rigid_parameters(matrix @ step, centre)
        matrix = transforms.rigid_matrix(shift - along * (along @ shift), rotation, centre)
        moved = both.moved(matrix)
        last = turn == _TURNS - 1
        solution = displacement.solve(
            both.pair(moved), solution, displacement.LEVELS[1:] if last else displacement.LEVELS[1:-1]
        )
    return solution, matrix, moved


def _received(both: _Opposed, moved: np.ndarray, solution: displacement.Solution, files: Sequence[FilePath]) -> float:
    """By how much the gain between the images changes over the head, refused where that is too much."""
    pair, head = both.pair(moved), np.moveaxis(both.head, both.axis, 2)
    curved = displacement.solve(pair, displacement.curved(solution), displacement.LEVELS[-1:])
    spread = _spread(solution, head)
    if displacement.energy(pair, curved) < (1 - _LEAST_GAINED) * displacement.energy(pair, solution):
        spread = max(spread, _spread(curved, head))
    if spread > MOST_GAIN:
        raise InputError(
            files[1],
            "voxels",
            f"signal over that of {os.path.basename(files[0])} changes by {100 * spread:.0f} % over the head",
            f"at most {100 * MOST_GAIN:.0f} %: both images received alike",
            "One of the two was probably corrected for its receive field (prescan normalisation) and the other not: give both "
            "as they are with the same correction, or set perfusion.distortion to off.",
        )
    return spread


def _spread(solution: displacement.Solution, head: np.ndarray) -> float:
    """The gain's change over the head, as a share."""
    gain = np.einsum("kxzy,k->xzy", displacement.basis(head.shape, len(solution.gain)), solution.gain)
    return float(np.expm1(np.subtract(*np.percentile(gain[head], [95, 5]))))


def _movement(both: _Opposed, matrix: np.ndarray) -> float:
    points = both.points[both.head]
    return float(np.sqrt(((transforms.apply(matrix, points) - points) ** 2).sum(axis=1).mean()))


def _difference(first: np.ndarray, second: np.ndarray, head: np.ndarray) -> float:
    """Of two images, over their mean."""
    apart = float(np.sqrt(np.mean((first[head] - second[head]) ** 2, dtype=np.float64)))
    return apart / float(np.mean((first[head] + second[head]) / 2, dtype=np.float64))
