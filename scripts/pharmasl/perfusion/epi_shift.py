"""Where along its phase encoding an EPI image shows each point of the head, by the field there.

A point at voxel y of an image without distortion is read at y plus the shift; the shift is the field times the readout
time, with the sign of the phase encoding. It is added to the voxel coordinate after motion, so that it costs no sampling of
its own, and it is that of the reference's point: the field moves with the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.perfusion.field_map import Field
from pharmasl.space import images, spline, transforms
from pharmasl.space.spline import Shift
from pharmasl.study.distortion import Distortion, PhaseEncoding

# The image is stretched by less than this where the field nearly folds it: its signal comes from several places.
LEAST_STRETCH = 0.1
# More stretch is not believed.
_MOST_STRETCH = 3.0


@dataclass(frozen=True)
class Unwarping:
    """The field of a scan, and how each of its images was encoded.

    Attributes
    ----------
    field : pharmasl.perfusion.field_map.Field
        On the series' grid, at the head's place in the series' reference.
    distortion : pharmasl.study.distortion.Distortion
    """

    field: Field
    distortion: Distortion

    @property
    def modulates(self) -> bool:
        """Whether signal is multiplied with the stretch: only where it does not cancel between the series and M0.

        Images of one direction and readout time are piled up and thinned out alike, and their quotient is free of it:
        better than by multiplying both, where the field nearly folds.
        """
        own = self.distortion.m0
        return own is not None and own != self.distortion.series

    def encoding(self, separate: bool) -> PhaseEncoding:
        """That of the separate M0 image, or of the series."""
        own = self.distortion.m0
        return own if separate and own is not None else self.distortion.series

    def shift(
        self,
        points: np.ndarray,
        affine: np.ndarray,
        matrix: np.ndarray | None = None,
        *,
        separate: bool = False,
    ) -> Shift:
        """The shift of points, voxels of an image.

        Parameters
        ----------
        points : ndarray of shape (..., 3)
            RAS+ mm.
        affine : ndarray of shape (4, 4)
            Of the image.
        matrix : ndarray of shape (4, 4), optional
            Maps the points to points of the series' reference.
        separate : bool
            Whether the image is the separate M0 image.
        """
        encoding = self.encoding(separate)
        voxels = self.field.at(points, matrix) * encoding.voxels_per_hertz
        return Shift(encoding.axis, voxels.ravel())

    def times(self, multiple: float) -> "Unwarping":
        """That by a multiple of the field: -1 for one of the wrong sign."""
        return replace(self, field=Field(self.field.hertz * multiple, self.field.affine))

    def stretch(
        self, points: np.ndarray, affine: np.ndarray, matrix: np.ndarray | None = None, *, separate: bool = False
    ) -> np.ndarray:
        """How many voxels of an image without distortion one of the image was made of, at points.

        1 without distortion, and the more, the more signal was thinned out; signal was piled up where it is below.

        Parameters
        ----------
        points, affine, matrix, separate
            As for :meth:`shift`.

        Returns
        -------
        ndarray of shape ``points.shape[:-1]``
        """
        encoding = self.encoding(separate)
        # By millimetres along the three axes of the space, from the gradient by voxels.
        slopes = np.stack(np.gradient(self.field.hertz), axis=-1) @ np.linalg.inv(self.field.affine)[:3, :3]
        along = slopes @ affine[:3, encoding.axis]
        return 1 + encoding.voxels_per_hertz * Field(along, self.field.affine).at(points, matrix)

    def intensity(
        self, points: np.ndarray, affine: np.ndarray, matrix: np.ndarray | None = None, *, separate: bool = False
    ) -> np.ndarray:
        """What signal is multiplied with to be that of an image without distortion: the stretch within limits, float32.

        Parameters
        ----------
        points, affine, matrix, separate
            As for :meth:`shift`.
        """
        stretch = self.stretch(points, affine, matrix, separate=separate)
        return np.clip(stretch, LEAST_STRETCH, _MOST_STRETCH).astype(np.float32)

    def modulation(self, points: np.ndarray, affine: np.ndarray, matrix: np.ndarray, *, separate: bool) -> np.ndarray:
        """What the samples of an image are multiplied with: the stretch, within limits; NaN where the image is folded.

        Where the stretch cancels it is 1, and NaN all the same where the series is folded.

        Parameters
        ----------
        points, affine, matrix, separate
            As for :meth:`shift`.

        Returns
        -------
        ndarray of shape ``points.shape[:-1]``
        """
        stretch = self.stretch(points, affine, matrix, separate=separate)
        values = np.clip(stretch, LEAST_STRETCH, _MOST_STRETCH) if self.modulates else np.ones_like(stretch)
        return np.where(stretch < LEAST_STRETCH, np.nan, values)


def read(field: Sequence[FilePath], distorted: Distortion | None) -> Unwarping | None:
    """The unwarping of a scan by the field that was written for it.

    Parameters
    ----------
    field : sequence of path-like
        The field on the series' grid, Hz; or empty.
    distorted : pharmasl.study.distortion.Distortion or None

    Returns
    -------
    Unwarping or None
        None where the scan is not corrected.
    """
    if not field or distorted is None:
        return None
    hertz, affine = images.load(field[0], dtype=np.float64)
    return Unwarping(Field(hertz, affine), distorted)


def unwarped(image: np.ndarray, affine: np.ndarray, unwarping: Unwarping, *, separate: bool = False) -> np.ndarray:
    """An image as it would be without distortion, in place and intensity; 0 where it does not reach.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    unwarping : Unwarping
    separate : bool
        Whether it is the separate M0 image.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
    """
    points = transforms.points(images.Grid(image.shape, affine))
    shift = unwarping.shift(points, affine, separate=separate)
    values = spline.sample(spline.coefficients(image), affine, points, shift=shift)
    return np.nan_to_num(values * unwarping.intensity(points, affine, separate=separate))
