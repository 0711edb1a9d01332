"""The maps of a visit's scans under each image alternative, from the unsmoothed CBF on the template's grid."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.contrasts import scaling
from pharmasl.errors import FilePath
from pharmasl.perfusion import smoothing
from pharmasl.sensitivity.specification import ImageAlternative
from pharmasl.space import fields, images, transforms
from pharmasl.study.relative_cbf import PROPORTIONAL
from pharmasl.study.settings import Scaling

log = logging.getLogger(__name__)


def scaled(volume: np.ndarray, mask: np.ndarray, scan: str = "the scan") -> np.ndarray:
    """A map divided by its mean within a mask, where it covers that, times 50 mL/100 g/min.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
        mL/100 g/min, NaN where not covered.
    mask : ndarray of bool, shape (X, Y, Z)
    scan : str
        Named in a warning.

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
        NaN everywhere if the mean is below :data:`pharmasl.contrasts.scaling.LEAST_MEAN`.
    """
    brain = scaling.RelativeCbf(
        wanted=Scaling(scaling=PROPORTIONAL, reference="brain"),
        reference=scaling.Reference(name="brain", voxels=mask),
        minimum_coverage=0,
    )
    result = brain.scale(volume, np.zeros(volume.shape), np.isfinite(volume))
    if result.fault is not None:
        log.warning("%s: %s", scan, result.fault)
        return np.full(volume.shape, np.nan, dtype=np.float32)
    return result.cbf


@dataclass(frozen=True, kw_only=True)
class VisitFiles:
    """The files of a visit's scans; sequences of one path per scan, in the study's order.

    Attributes
    ----------
    cbf, coverage : sequence of path-like
        CBF on the template's grid, unsmoothed, and where the scan's map for the contrasts holds data.
    template_mask : path-like
    grey, gm_cbf, gm, coregistration : sequence of path-like
        For alternatives of corrected grey-matter CBF, else empty: it on the template's grid; it and the share of grey
        matter on the scan's own; the transform to the T1w.
    forward : sequence of path-like
        Likewise, of one path: the anatomy's field to the template.
    """

    cbf: Sequence[FilePath]
    coverage: Sequence[FilePath]
    template_mask: FilePath
    grey: Sequence[FilePath] = ()
    gm_cbf: Sequence[FilePath] = ()
    gm: Sequence[FilePath] = ()
    coregistration: Sequence[FilePath] = ()
    forward: Sequence[FilePath] = ()


@dataclass(frozen=True, kw_only=True)
class ScanMaps:
    """A scan's unsmoothed maps on the template's grid.

    Attributes
    ----------
    name : str
        Its CBF map's file.
    cbf : ndarray of shape (X, Y, Z)
        NaN where not covered.
    covered : ndarray of bool, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    grey, share : ndarray of shape (X, Y, Z), or None
        Corrected grey-matter CBF, and the share of grey matter in the scan's voxels there.
    """

    name: str
    cbf: np.ndarray
    covered: np.ndarray
    affine: np.ndarray
    grey: np.ndarray | None = None
    share: np.ndarray | None = None

    def alternative(self, fwhm: float, *, partial_volume: bool) -> np.ndarray:
        """The map smoothed by ``fwhm`` (mm), of CBF or of corrected grey-matter CBF; NaN where not covered."""
        if partial_volume:
            if self.grey is None or self.share is None:
                raise ValueError(f"{self.name}: no corrected grey-matter CBF was read")
            return smoothing.smoothed_grey(self.grey, self.share, self.covered, self.affine, fwhm)
        return smoothing.smoothed(self.cbf, self.covered, self.affine, fwhm)


def load_scans(files: VisitFiles, mask: np.ndarray, affine: np.ndarray) -> list[ScanMaps]:
    """Read a visit's scans.

    Parameters
    ----------
    files : VisitFiles
    mask : ndarray of bool, shape (X, Y, Z)
        The template's brain.
    affine : ndarray of shape (4, 4)
        Of its grid.
    """
    points = None
    if files.forward:
        field, field_grid = transforms.read_field(files.forward[0])
        where = transforms.points(images.Grid(mask.shape, affine))[mask]
        points = fields.sample(field, field_grid.affine, where, beyond="missing")
    scans = []
    for number, (cbf_path, coverage_path) in enumerate(zip(files.cbf, files.coverage, strict=True)):
        data, scan_affine = images.load(cbf_path)
        # The map for the contrasts may cover less than CBF does: where it is of grey matter, as much as there is of it.
        covered = ((data != 0) | (images.load(coverage_path)[0] > 0.5)) & mask
        grey = share = None
        if points is not None:
            grey, _ = images.load(files.grey[number])
            share = np.full(mask.shape, np.nan, dtype=np.float32)
            share[mask] = _grey_share(files, number, points)
        scans.append(
            ScanMaps(
                name=str(cbf_path),
                cbf=np.where(covered, data, np.nan),
                covered=covered,
                affine=scan_affine,
                grey=grey,
                share=share,
            )
        )
    return scans


def _grey_share(files: VisitFiles, number: int, points: np.ndarray) -> np.ndarray:
    """The share of grey matter in a scan's own voxels at points of the T1w, shape (V, 3), RAS+ mm."""
    gm_cbf, affine = images.load(files.gm_cbf[number])
    gm, _ = images.load(files.gm[number])
    matrix = transforms.read_affines(files.coregistration[number])[0]
    return smoothing.grey_share_at(gm_cbf, gm, affine, points, matrix)


def write(map_paths: Sequence[FilePath], files: VisitFiles, alternatives: Sequence[ImageAlternative]) -> None:
    """Write the maps of a visit's scans: one image per alternative, with one volume per scan.

    Parameters
    ----------
    map_paths : sequence of path-like
        Written, in the order of the alternatives. Float32; NaN where not covered.
    files : VisitFiles
    alternatives : sequence of ImageAlternative
    """
    brain, affine = images.load(files.template_mask)
    mask = brain > 0.5
    scans = load_scans(files, mask, affine)
    unscaled: dict[tuple[str, str], list[np.ndarray]] = {}
    for path, alternative in zip(map_paths, alternatives, strict=True):
        key = (alternative.smoothing_fwhm, alternative.partial_volume)
        if key not in unscaled:
            fwhm, partial_volume = float(alternative.smoothing_fwhm), alternative.partial_volume == "true"
            unscaled[key] = [scan.alternative(fwhm, partial_volume=partial_volume) for scan in scans]
        volumes = unscaled[key]
        if alternative.scaling == "global":
            volumes = [scaled(volume, mask, scan.name) for volume, scan in zip(volumes, scans)]
        images.save(path, np.stack(volumes, axis=-1), affine)
    log.info("%d scans under %d image alternatives", len(scans), len(alternatives))
