"""Whether a field map fits the image that it is to correct: its sign, its unit and the readout time.

The tissues of the T1-weighted image are not distorted. Unwarped by the true field, an image is explained by them best; by none
of it, by its reverse, or by a multiple, less well. A map of the wrong sign, in rad/s taken for Hz, or with another readout
time is so told from a right one, by the registration's own measure.

The field is smoothed for that. A map's noise is small, but it changes from voxel to voxel: 2.4 Hz at a readout time of 38 ms change the
stretch of a voxel by 6.5 % (standard deviations), which the tissues explain the worse, the more of the field is taken. Unsmoothed,
half of a noisy map that is right may explain an image better than the whole.
"""

import functools
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import coregistration, epi_shift
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import Tissues
from pharmasl.space import resample

log = logging.getLogger(__name__)

# Of the field; 1 is the map as it is.
MULTIPLES = (-1.0, 0.0, 0.5, 1.0, 1.5)
# The share by which another multiple, or the least of a parabola about it, must leave less unexplained than the map itself, for
# the map to be refused.
MARGIN = 0.01
# Where the image is explained best, by a parabola through the multiples: beyond these, it is said.
PLAUSIBLE = (0.85, 1.2)
# Of the smoothing of the field, mm. A field that falls to half within 20 mm loses 3 % of its height by it.
_FWHM = 6.0
WORDS = {
    -1.0: "the phase encoding (or the map) has the opposite sign",
    0.0: "the map is in another unit, of another readout time, or of another place of the head",
    0.5: "the readout time, the echo times or the unit make the field too large",
    1.5: "the readout time, the echo times or the unit make the field too small",
}
RECORD = {
    "Unexplained": "Share of the image that the tissue model leaves over, by the multiple of the field that it is unwarped by",
    "Minimum": "The multiple at which a parabola through those about the best is lowest; null where it has no minimum",
    "Confirmed": f"Whether Minimum lies from {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g}: else readout time, echo times or unit may be off by its inverse",
}


@dataclass(frozen=True)
class Check:
    """What the tissues leave unexplained of an image.

    Attributes
    ----------
    unexplained : dict of float to float
        By :data:`MULTIPLES` of the field.
    """

    unexplained: dict[float, float]

    @property
    def _best(self) -> float:
        return min(self.unexplained, key=lambda multiple: self.unexplained[multiple])

    @functools.cached_property
    def _parabola(self) -> tuple[float, float] | None:
        """Where the parabola through the best multiple and its neighbours is lowest, and its value there."""
        known = sorted(self.unexplained)
        place = min(max(known.index(self._best), 1), len(known) - 2)
        x = np.array(known[place - 1 : place + 2])
        square, slope, level = np.polyfit(x, [self.unexplained[multiple] for multiple in x], 2)
        return (float(-slope / (2 * square)), float(level - slope**2 / (4 * square))) if square > 0 else None

    @property
    def minimum(self) -> float | None:
        """Where the parabola through the best multiple and its neighbours is lowest."""
        return self._parabola[0] if self._parabola else None

    @property
    def better(self) -> float | None:
        """The multiple that explains the image clearly better than the map itself does, or lies beside one that would."""
        least = min(self.unexplained[self._best], self._parabola[1] if self._parabola else np.inf)
        return self._best if self._best != 1 and least < (1 - MARGIN) * self.unexplained[1.0] else None

    @property
    def confirmed(self) -> bool:
        """Whether the image is explained best by about the map itself."""
        return self.minimum is not None and PLAUSIBLE[0] <= self.minimum <= PLAUSIBLE[1]

    def record(self) -> dict[str, Any]:
        """For the registration's sidecar."""
        minimum = self.minimum
        return {
            "Unexplained": {f"{multiple:g}": round(share, 4) for multiple, share in self.unexplained.items()},
            "Minimum": None if minimum is None else round(minimum, 3),
            "Confirmed": self.confirmed,
        }


def check(image: np.ndarray, affine: np.ndarray, unwarping: Unwarping, tissues: Tissues, start: np.ndarray) -> Check:
    """The sweep over multiples of the field.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
        Of the series, as it was acquired, with its distortion.
    affine : ndarray of shape (4, 4)
    unwarping : pharmasl.perfusion.epi_shift.Unwarping
    tissues : pharmasl.perfusion.tissue_maps.Tissues
    start : ndarray of shape (4, 4)
        Maps points of the image to points of the tissues: from there each fit starts.

    Returns
    -------
    Check
    """
    smooth = replace(unwarping, field=_smoothed(unwarping.field))
    unexplained = {}
    for multiple in MULTIPLES:
        flat = epi_shift.unwarped(image, affine, smooth.times(multiple))
        unexplained[multiple] = coregistration.coregister(flat, affine, tissues, [start]).unexplained
    return Check(unexplained)


def _smoothed(field: Field) -> Field:
    """The field without what changes from voxel to voxel."""
    sigma = _FWHM / resample.FWHM_PER_SIGMA / voxel_sizes(field.affine)
    return Field(ndimage.gaussian_filter(field.hertz, sigma, mode="nearest", truncate=3), field.affine)


def judge(checked: Check, path: FilePath) -> None:
    """Refuse a map that explains the image worse than another multiple of it.

    Parameters
    ----------
    checked : Check
    path : path-like
        The series, named in the error.

    Raises
    ------
    InputError
    """
    shown = ", ".join(f"{share:.3f} at {multiple:g}" for multiple, share in checked.unexplained.items())
    log.info("share of the image that the tissues leave unexplained, by the multiple of the field: %s", shown)
    better, minimum = checked.better, checked.minimum
    if better is not None:
        raise InputError(
            path,
            "field map",
            f"unexplained shares of the image {shown} times the field",
            "least at 1, the field map as it is",
            f"Probably {WORDS[better]}. Correct PhaseEncodingDirection, TotalReadoutTime or the field map's sidecar, or set "
            "perfusion.distortion to off.",
        )
    if not checked.confirmed:
        log.warning(
            "the field map is not confirmed by the tissues, which explain the image best at %s times the field: look at readout "
            "time, echo times and unit",
            "no" if minimum is None else f"{minimum:.2f}",
        )
