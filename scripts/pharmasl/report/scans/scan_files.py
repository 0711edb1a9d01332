"""What the page of a scan is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath


@dataclass(frozen=True, kw_only=True)
class ScanFiles:
    """The files of a scan; paths.

    Attributes
    ----------
    quality : path-like
        Its row of the quality table.
    sidecar : path-like
        JSON of its CBF.
    asl : path-like
        The raw series.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.
    motion : path-like
        ITK affines: from the series' reference to each of its volumes.
    m0 : sequence of path-like
        The raw separate M0 image, of echoes that are summed one of each; or empty.
    m0_motion : path-like
        ITK affines: from the series' reference to each volume of M0.
    field : sequence of path-like
        The field on the series' grid, Hz, of a scan that is corrected for distortion; or empty.
    field_sidecar : sequence of path-like
        JSON of that field; or empty.
    cbf, brain_mask, gm, wm, csf : path-like
        Images on the scan's own grid.
    att : sequence of path-like
        Arterial transit time on that grid and on the template's, of several delays; or empty.
    transit_time, t1 : sequence of path-like
        Known transit time and T1 of tissue on the scan's grid; or empty.
    blocks : sequence of path-like
        The model of each volume and the record of its fit, of a scan in which conditions alternate; or empty.
    repeats, confounds : path-like
        Tables of the repeats and of the motion.
    aslref : path-like
        The image by which the scan was registered.
    registration : path-like
        JSON of the registration.
    coregistration : path-like
        ITK affine from the T1-weighted image to the series' reference.
    t1w, t1w_mask : path-like
        The anatomy on its own grid.
    template_t1w : path-like
        The anatomy on the template.
    template_cbf : path-like
    reference, reference_mask, reference_gm : path-like
        The template's own T1-weighted image, brain mask and grey matter.
    """

    quality: FilePath
    sidecar: FilePath
    asl: FilePath
    later_echoes: Sequence[FilePath]
    motion: FilePath
    m0: Sequence[FilePath]
    m0_motion: FilePath
    field: Sequence[FilePath]
    field_sidecar: Sequence[FilePath]
    cbf: FilePath
    brain_mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    att: Sequence[FilePath]
    transit_time: Sequence[FilePath]
    t1: Sequence[FilePath]
    blocks: Sequence[FilePath]
    repeats: FilePath
    confounds: FilePath
    aslref: FilePath
    registration: FilePath
    coregistration: FilePath
    t1w: FilePath
    t1w_mask: FilePath
    template_t1w: FilePath
    template_cbf: FilePath
    reference: FilePath
    reference_mask: FilePath
    reference_gm: FilePath


@dataclass(frozen=True, kw_only=True)
class ImportedScanFiles:
    """The files of a scan of whose CBF another program made the map; paths.

    Attributes
    ----------
    quality : path-like
        Its row of the quality table.
    sidecar : path-like
        JSON of the map as it was brought onto the template.
    cbf : path-like
        The map as the program wrote it.
    mask : sequence of path-like
        Its brain mask, on its grid; or empty.
    transforms : sequence of path-like
        ITK transforms that bring it onto the template, that to the template first; empty where it lies there.
    template_cbf, coverage : path-like
        The map on the template, and where it is known there.
    reference, reference_mask, reference_gm, reference_wm, reference_csf : path-like
        The template's own T1-weighted image, brain mask and shares of tissues.
    """

    quality: FilePath
    sidecar: FilePath
    cbf: FilePath
    mask: Sequence[FilePath]
    transforms: Sequence[FilePath]
    template_cbf: FilePath
    coverage: FilePath
    reference: FilePath
    reference_mask: FilePath
    reference_gm: FilePath
    reference_wm: FilePath
    reference_csf: FilePath
