"""A scan on its own grid, as the page shows it: what was acquired, CBF, transit time, and how they change over the repeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion import epi_shift, realigned_series, series, slice_signal
from pharmasl.report.scans import panels, sampling, scan_series, tiles, voxel_pictures
from pharmasl.report.scans.panels import Panel
from pharmasl.report.scans.scan_files import ScanFiles
from pharmasl.space import images, resample, transforms
from pharmasl.study import scan_acquisition
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import ENCODED

FEW = 5  # of each acquired image


@dataclass(frozen=True, kw_only=True)
class Native:
    """A scan on its own grid; axes run right, anterior and superior.

    Attributes
    ----------
    series : ndarray of shape (X, Y, Z, V)
    cbf : ndarray of shape (X, Y, Z)
    brain : ndarray of bool, shape (X, Y, Z)
    tissues : mapping of str to ndarray of shape (X, Y, Z)
        Shares of GM, WM and CSF.
    m0 : ndarray of shape (X, Y, Z) or None
    att : ndarray of shape (X, Y, Z) or None
        Seconds.
    transit_time, t1 : ndarray of shape (X, Y, Z) or None
        Known ones, seconds.
    shown : Axial
    """

    series: np.ndarray
    cbf: np.ndarray
    brain: np.ndarray
    tissues: Mapping[str, np.ndarray]
    m0: np.ndarray | None
    att: np.ndarray | None
    shown: tiles.Axial
    transit_time: np.ndarray | None = None
    t1: np.ndarray | None = None

    @property
    def few(self) -> list[int]:
        """Places of the slices of each acquired image."""
        number = len(self.shown.levels)
        return sorted(
            {round(place) for place in np.linspace(number * 0.15, number * 0.85, FEW).tolist() if place < number}
        )

    @property
    def definitions(self) -> Markup:
        """The outlines of all tiles."""
        return self.shown.definitions


def read(
    files: ScanFiles, acquisition: Mapping[str, Any], interpolation: str, distorted: Distortion | None = None
) -> Native:
    """Read a scan's images on its own grid.

    Parameters
    ----------
    files : ScanFiles
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.
    interpolation : {"cubic", "linear"}
        Between the voxels of raw volumes.
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, of a scan that is corrected for distortion.
    """
    data, affine = realigned_series.read(
        files.asl,
        files.motion,
        later_echoes=files.later_echoes,
        acquisition=scan_acquisition.build(acquisition),
        interpolation=interpolation,
        field=files.field,
        distorted=distorted,
    )
    m0 = _m0(files, acquisition, data, affine, epi_shift.read(files.field, distorted))
    brain, zooms = tiles.to_ras(images.load(files.brain_mask).data > 0.5, affine)
    tissues = {
        name: tiles.to_ras(images.load(path).data, affine)[0]
        for name, path in zip(scan_series.TISSUES, (files.gm, files.wm, files.csf))
    }
    masks = {"brain": brain} | {name.lower(): brain & (tissues[name] > panels.TISSUE_EDGE) for name in ("GM", "WM")}
    return Native(
        series=tiles.to_ras(data, affine)[0],
        cbf=tiles.to_ras(images.load(files.cbf).data, affine)[0],
        brain=brain,
        tissues=tissues,
        m0=None if m0 is None else tiles.to_ras(m0, affine)[0],
        att=tiles.to_ras(images.load(files.att[0]).data, affine)[0] if files.att else None,
        shown=tiles.axial(brain, masks, zooms, count=panels.SLICES, prefix="n"),
        transit_time=_known(files.transit_time, affine),
        t1=_known(files.t1, affine),
    )


def _known(paths: Sequence[FilePath], affine: np.ndarray) -> np.ndarray | None:
    return tiles.to_ras(images.load(paths[0]).data, affine)[0] if paths else None


def _m0(
    files: ScanFiles,
    acquisition: Mapping[str, Any],
    data: np.ndarray,
    affine: np.ndarray,
    unwarping: epi_shift.Unwarping | None,
) -> np.ndarray | None:
    """M0 on the scan's grid, uncorrected: (X, Y, Z); None where there is no image of it."""
    if files.m0:
        own, own_affine = series.load_m0(files.m0, scan_acquisition.build(acquisition).echo_weights)
        points = transforms.points(images.Grid(data.shape[:3], affine))
        matrix = transforms.read_affines(files.m0_motion)[0]
        mean = own.mean(axis=3)
        if unwarping is not None:
            shift = unwarping.shift(points, own_affine, separate=True)
            return np.nan_to_num(resample.resample(mean, own_affine, points, matrix, shift=shift))
        return sampling.sample(mean, own_affine, points, matrix)
    volumes = [number for number, kind in enumerate(acquisition["volume_types"]) if kind == "m0scan"]
    return scan_series.mean_of(data, volumes)


def _volumes(acquisition: Mapping[str, Any], kind: str) -> list[int]:
    return [number for number, own in enumerate(acquisition["volume_types"]) if own == kind]


def acquired(native: Native, acquisition: Mapping[str, Any], repeats: scan_series.RepeatRows) -> list[Panel]:
    """Slices of M0, mean control, mean label and mean difference, those of them that the scan has."""
    panels = []
    means = {
        "M0": ("The equilibrium magnetisation that CBF is scaled by, uncorrected.", native.m0),
        "Mean control": ("", scan_series.mean_of(native.series, _volumes(acquisition, "control"))),
        "Mean label": ("", scan_series.mean_of(native.series, _volumes(acquisition, "label"))),
        "Mean coded volume": (
            "Of a time-encoded series: each volume is labelled by several blocks.",
            scan_series.mean_of(native.series, _volumes(acquisition, ENCODED)),
        ),
    }
    for title, (note, volume) in means.items():
        if volume is None:
            continue
        scale = voxel_pictures.windowed(volume, native.brain)
        shown = native.shown.tiles(volume, scale, native.few)
        panels.append(
            Panel(title=title, alt=f"Axial slices of the {title[0].lower()}{title[1:]}", note=note, tiles=shown)
        )
    if "cbf" in acquisition["volume_types"]:
        return panels
    difference = scan_series.differences(native.series, repeats)
    if difference is not None:
        shown = native.shown.tiles(difference, voxel_pictures.around_zero(difference, native.brain), native.few)
        note = "Control minus label, over the repeats that pass. Middle grey is zero: cortex should be bright."
        panels.append(Panel(title="deltaM", alt="Axial slices of the mean difference", note=note, tiles=shown))
    return panels


def per_delay(native: Native, repeats: scan_series.RepeatRows) -> list[Panel]:
    """Slices of the mean difference at each delay, on one grey scale; none where there is one delay."""
    delays = np.unique(repeats.delays[np.isfinite(repeats.delays)])
    if len(delays) < 2:
        return []
    means = {float(delay): scan_series.differences(native.series, repeats, repeats.delays == delay) for delay in delays}
    known = {delay: mean for delay, mean in means.items() if mean is not None}
    scale = voxel_pictures.around_zero(np.stack(list(known.values())), np.stack([native.brain] * len(known)))
    return [
        Panel(
            title=f"{delay:.3g} s",
            alt=f"Axial slices of the mean difference at a delay of {delay:.3g} s",
            note="",
            tiles=native.shown.tiles(mean, scale, native.few),
        )
        for delay, mean in known.items()
    ]


def maps(native: Native) -> list[Panel]:
    """Slices of CBF and, of several delays, of the arterial transit time."""
    cbf = np.where(native.brain, native.cbf, np.nan)
    panels = [
        Panel(
            title="CBF on the scan's own grid",
            alt="Axial slices of CBF with the outlines of brain, grey and white matter",
            note="",
            tiles=native.shown.tiles(cbf, voxel_pictures.CBF),
            scale=voxel_pictures.CBF,
        )
    ]
    if native.att is not None:
        att = np.where(native.brain, native.att, np.nan)
        panels.append(
            Panel(
                title="Arterial transit time",
                alt="Axial slices of the arterial transit time",
                note="Where CBF is near zero, the transit time is not pinned down.",
                tiles=native.shown.tiles(att, voxel_pictures.TRANSIT),
                scale=voxel_pictures.TRANSIT,
            )
        )
    for title, known in (("Known arterial transit time", native.transit_time), ("Known T1 of tissue", native.t1)):
        if known is not None:
            panels.append(
                Panel(
                    title=title,
                    alt=f"Axial slices of the {title[0].lower()}{title[1:]}",
                    note="Not measured in this scan: CBF was computed with it.",
                    tiles=native.shown.tiles(np.where(native.brain, known, np.nan), voxel_pictures.TRANSIT, native.few),
                    scale=voxel_pictures.TRANSIT,
                )
            )
    return panels


def confounds(files: ScanFiles) -> tuple[np.ndarray, np.ndarray]:
    """Framewise displacement (mm) and DVARS (percent) of each volume: two ndarray of shape (V,)."""
    rows = tables.read_table(files.confounds)
    return scan_series.column(rows, "framewise_displacement"), scan_series.column(rows, "dvars")


def slices(files: ScanFiles) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The slices out of line, as volume (from 1) and slices (from 1), and all slices' change in percent, (V, S)."""
    rows = tables.read_table(files.confounds)
    named = [(number, row["slices"]) for number, row in enumerate(rows, start=1) if row["slices"]]
    return [(str(number), _from_one(text)) for number, text in named], slice_signal.changes(rows)


def _from_one(text: str) -> str:
    """Slices numbered from 0, as the table has them, numbered from 1 as volumes and repeats of a page are."""
    return ", ".join(" + ".join(str(int(part) + 1) for part in own.split("+")) for own in text.split(","))
