"""Relative CBF: a scan's map scaled by its own mean over a reference.

The mean is that of the map that enters the contrast (smoothed within the brain, and of corrected grey matter where the study
says so), over the voxels of the reference that the scan covers: the template's brain, or those of its voxels that are mostly
grey matter, the same in every scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.errors import FilePath
from pharmasl.space import images
from pharmasl.study.relative_cbf import GLOBAL_MEAN, PROPORTIONAL, REFERENCES
from pharmasl.study.settings import Scaling

# A mean below this (mL/100 g/min) is no perfusion, and dividing by it would only amplify noise.
LEAST_MEAN = 10.0
# Voxels of the template with at least this much grey matter are the reference grey_matter.
LEAST_GREY_MATTER = 0.5
# What the references are, in words.
DEFINITIONS = {
    "brain": "the template's brain, in the map that enters the contrast",
    "grey_matter": f"the template's voxels with a probability of grey matter of at least {LEAST_GREY_MATTER:g}, in the map that "
    "enters the contrast",
}


@dataclass(frozen=True)
class ScanMean:
    """A scan's mean over a reference.

    Attributes
    ----------
    mean : float or None
        mL/100 g/min; None where the scan covers nothing of the reference.
    voxels : int
        Voxels of the reference that the scan covers.
    coverage : float
        Their share of the reference.
    """

    mean: float | None
    voxels: int
    coverage: float


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where the mean of a scan is taken.

    Attributes
    ----------
    name : {"brain", "grey_matter"}
    voxels : ndarray of bool, shape (X, Y, Z)
    """

    name: str
    voxels: np.ndarray

    @classmethod
    def read(cls, name: str, template: Sequence[FilePath]) -> "Reference":
        """The reference of a name.

        Parameters
        ----------
        name : {"brain", "grey_matter"}
        template : sequence of path-like
            The template's brain mask and, for grey matter, its probability of grey matter.
        """
        voxels = images.load(template[0])[0] > 0.5
        if name == "grey_matter":
            voxels &= images.load(template[1])[0] >= LEAST_GREY_MATTER
        return cls(name=name, voxels=voxels)

    def mean(self, volume: np.ndarray, covered: np.ndarray) -> ScanMean:
        """A scan's mean.

        Parameters
        ----------
        volume : ndarray of shape (X, Y, Z)
            mL/100 g/min.
        covered : ndarray of bool, shape (X, Y, Z)
            Where it holds data.

        Returns
        -------
        ScanMean
        """
        values = volume[self.voxels & covered & np.isfinite(volume)]
        mean = float(values.mean(dtype=np.float64)) if len(values) else None
        return ScanMean(mean, len(values), len(values) / max(int(self.voxels.sum()), 1))


def fault(mean: ScanMean, wanted: Scaling, minimum_coverage: float) -> str | None:
    """Why a scan cannot be scaled by its mean; None where it can.

    Parameters
    ----------
    mean : ScanMean
        Over the wanted reference.
    wanted : Scaling
        Not absolute.
    minimum_coverage : float
        Share of the reference below which a scan has no mean to be scaled by.
    """
    words = REFERENCES[wanted.reference]
    if mean.mean is None or mean.coverage < minimum_coverage:
        return (
            f"CBF cannot be scaled: the scan covers {100 * mean.coverage:.0f} % of the {words}, less than "
            f"{100 * minimum_coverage:g} %"
        )
    if wanted.scaling == PROPORTIONAL and not mean.mean >= LEAST_MEAN:
        return (
            f"CBF cannot be scaled: its mean over the {words} is {mean.mean:.3g} mL/100 g/min, less than {LEAST_MEAN:g}"
        )
    return None


def scaled(volume: ArrayLike, mean: float, scaling: str, dtype: type = np.float32) -> np.ndarray:
    """A map scaled by a scan's mean.

    Parameters
    ----------
    volume : array-like
        mL/100 g/min.
    mean : float
        For proportional scaling at least :data:`LEAST_MEAN`; see :func:`fault`.
    scaling : {"proportional", "additive"}
        Divided by the mean, times 50 mL/100 g/min; or the mean taken off.
    dtype : type
        Of the result; it is computed in float64.

    Returns
    -------
    ndarray of ``dtype``
    """
    values = np.asarray(volume, dtype=np.float64)
    return (values * (GLOBAL_MEAN / mean) if scaling == PROPORTIONAL else values - mean).astype(dtype)


def scaled_error(error: np.ndarray, mean: float, scaling: str) -> np.ndarray:
    """The standard error of a scaled map; the mean over the reference is taken as known.

    Parameters
    ----------
    error : ndarray
        mL/100 g/min.
    mean, scaling
        As for :func:`scaled`.

    Returns
    -------
    ndarray
    """
    return scaled(error, mean, scaling) if scaling == PROPORTIONAL else error


@dataclass(frozen=True, kw_only=True)
class RelativeCbf:
    """How the scans of a contrast of relative CBF are scaled.

    Attributes
    ----------
    wanted : pharmasl.study.settings.Scaling
    reference : Reference
    minimum_coverage : float
        See :func:`fault`.
    """

    wanted: Scaling
    reference: Reference
    minimum_coverage: float

    def scale(self, cbf: np.ndarray, error: np.ndarray, covered: np.ndarray) -> "ScaledScan":
        """A scan's map and its standard error, scaled.

        Parameters
        ----------
        cbf, error : ndarray of shape (X, Y, Z)
            mL/100 g/min.
        covered : ndarray of bool, shape (X, Y, Z)

        Returns
        -------
        ScaledScan
            Of the maps as they were where they cannot be scaled.
        """
        mean, gain = self.reference.mean(cbf, covered), 1.0
        reason = fault(mean, self.wanted, self.minimum_coverage)
        if reason is None and mean.mean is not None:
            method = self.wanted.scaling
            cbf, error = scaled(cbf, mean.mean, method), scaled_error(error, mean.mean, method)
            gain = GLOBAL_MEAN / mean.mean if method == PROPORTIONAL else 1.0
        return ScaledScan(cbf=cbf, error=error, mean=mean, fault=reason, gain=gain)


@dataclass(frozen=True, kw_only=True)
class ScaledScan:
    """A scan's maps after scaling, or why they cannot be scaled.

    Attributes
    ----------
    cbf, error : ndarray of shape (X, Y, Z)
    mean : ScanMean
    fault : str or None
    gain : float
        What the error was multiplied with.
    """

    cbf: np.ndarray
    error: np.ndarray
    mean: ScanMean
    fault: str | None
    gain: float = 1.0
