"""CBF of every parcel of the atlas in every contrast map, and in every scan.

An atlas lies on a grid of its own: each voxel of the analyses' grid takes the label of the atlas voxel nearest to it, as the
regions that labels define do (:mod:`pharmasl.regions.region_masks`). All parcels of a map are read in one pass.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.regions.region_values import VisitContrast, load_on_grid, with_units
from pharmasl.space import atlas as atlases
from pharmasl.space import images, transforms

log = logging.getLogger(__name__)

_CBF = {
    "Description": "Mean of the contrast map over the parcel's voxels with data; n/a where coverage is too low",
    "Units": "mL/100 g/min",
}
_SCAN_CBF = (
    "Mean of the scan's CBF, before smoothing, over the parcel's voxels with data; n/a where coverage is too low"
)
_PARCEL: dict[str, str | Mapping[str, Any]] = {
    "index": "Label of the parcel in the atlas' image",
    "parcel": "Name of the parcel",
    "cbf": _CBF,
    "coverage": {
        "Description": "Share of the parcel's voxels that have data; n/a for a parcel without voxels",
        "Units": "1",
    },
    "n_voxels": "Number of the parcel's voxels that have data",
    "parcel_voxels": "Number of the parcel's voxels on the grid of the analyses",
}
_VISIT = {"participant_id": "Participant", "session_id": "Session label, without ses-"}
COLUMNS: dict[str, str | Mapping[str, Any]] = {
    **_VISIT,
    "contrast": "Contrast of conditions whose map was averaged",
    **_PARCEL,
}
# Of the scans' table; its first columns are those of the quality table, which says which scans are usable.
SCAN_COLUMNS: dict[str, str | Mapping[str, Any]] = {
    **_VISIT,
    "condition": "State of the scan, as the configuration names it",
    "scan": "File stem of the scan below the output folder",
    **_PARCEL,
}


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """An atlas on the grid of the analyses.

    Attributes
    ----------
    names : dict of int to str
        By label, ascending: all labels of the atlas' image; a name of several labels with its label.
    voxels : ndarray of int
        Positions of the labelled voxels in the flattened grid.
    number : ndarray of int
        For each of them the place of its label in ``names``.
    """

    names: dict[int, str]
    voxels: np.ndarray
    number: np.ndarray

    @classmethod
    def read(cls, atlas: atlases.Atlas, grid: images.Grid) -> "Parcels":
        """The parcels of an atlas on a grid."""
        labels = atlas.lookup(transforms.points(grid)).ravel()
        # A name that no voxel of the atlas has (AAL3 keeps four numbers free) is no parcel.
        known = [int(label) for label in np.unique(atlas.labels[atlas.labels > 0])]
        voxels = np.flatnonzero(labels > 0)
        shared = Counter(map(atlas.name, known))
        names = {label: atlas.name(label) for label in known}
        return cls(
            names={label: name if shared[name] == 1 else f"{name} ({label})" for label, name in names.items()},
            voxels=voxels,
            number=np.searchsorted(np.array(known), labels[voxels]),
        )

    @property
    def sizes(self) -> np.ndarray:
        """Voxels of each parcel, ndarray of int, shape (R,)."""
        return np.bincount(self.number, minlength=len(self.names))

    def means(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of a map over each parcel's voxels with data, NaN without any, and the number of those; shape (R,) each."""
        values = data.reshape(-1)[self.voxels].astype(np.float64)
        finite = np.isfinite(values)
        number = self.number[finite]
        counts = np.bincount(number, minlength=len(self.names))
        sums = np.bincount(number, values[finite], len(self.names))
        return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0), counts

    def rows(self, data: np.ndarray, minimum_coverage: float) -> Iterator[dict[str, Any]]:
        """The parcels' columns of a table, from a map (NaN where it has no data) on the grid of the analyses."""
        for (label, name), mean, count, size in zip(self.names.items(), *self.means(data), self.sizes):
            coverage = count / size if size else None
            enough = coverage is not None and count > 0 and coverage >= minimum_coverage
            yield {
                "index": label,
                "parcel": name,
                "cbf": mean if enough else None,
                "coverage": coverage,
                "n_voxels": count,
                "parcel_voxels": size,
            }


@dataclass(frozen=True, kw_only=True)
class AtlasFiles:
    """The labelled image and its table of names."""

    image: FilePath
    labels: FilePath


def write(
    table: FilePath,
    atlas: AtlasFiles,
    *,
    reference: FilePath,
    maps: Sequence[FilePath],
    contrasts: Sequence[VisitContrast],
    minimum_coverage: float,
) -> None:
    """Write the mean CBF of each parcel in each map.

    Parameters
    ----------
    table : path-like
        Columns as :data:`COLUMNS`; no arm, so that the table is the same in a blinded run.
    atlas : AtlasFiles
    reference : path-like
        An image on the grid of the maps.
    maps : sequence of path-like
        Contrast maps, mL/100 g/min.
    contrasts : sequence of VisitContrast
        What each map is.
    minimum_coverage : float
        Minimum share of a parcel's voxels with data for its value to count.

    Raises
    ------
    InputError
        If a map is on another grid.
    """
    grid = images.grid(reference)
    parcels = Parcels.read(atlases.Atlas(atlas.image, atlas.labels), grid)
    sizes = parcels.sizes
    log.info("%d parcels, %d without a voxel of the grid", len(sizes), int((sizes == 0).sum()))

    def rows():
        for path, contrast in zip(maps, contrasts, strict=True):
            visit = {name: value for name, value in contrast.row().items() if name != "arm"}
            for row in parcels.rows(load_on_grid(path, grid), minimum_coverage):
                yield {**visit, **row}

    described = with_units({**_CBF, "LeastCoverage": minimum_coverage}, contrasts)
    tables.write_table(table, rows(), {**COLUMNS, "cbf": described})


@dataclass(frozen=True, kw_only=True)
class ScanMap:
    """A scan's CBF on the grid of the analyses, before smoothing.

    Attributes
    ----------
    participant_id : str
        With ``sub-``.
    session_id : str or None
        Without ``ses-``.
    condition, scan : str
        Its state, and the stem of its files.
    cbf, coverage : path-like
        Its map, and the mask of the voxels in which the map has data.
    """

    participant_id: str
    session_id: str | None
    condition: str
    scan: str
    cbf: FilePath
    coverage: FilePath


def write_scans(
    table: FilePath, atlas: AtlasFiles, *, reference: FilePath, scans: Sequence[ScanMap], minimum_coverage: float
) -> None:
    """Write the mean CBF of each parcel in each scan, before smoothing.

    Parameters
    ----------
    table : path-like
        Columns as :data:`SCAN_COLUMNS`; no arm. Scans that are not usable are in it too.
    atlas : AtlasFiles
    reference : path-like
        An image on the grid of the maps.
    scans : sequence of ScanMap
    minimum_coverage : float
        Minimum share of a parcel's voxels with data for its value to count.

    Raises
    ------
    InputError
        If a map is on another grid.
    """
    grid = images.grid(reference)
    parcels = Parcels.read(atlases.Atlas(atlas.image, atlas.labels), grid)

    def rows():
        for scan in scans:
            data, covered = load_on_grid(scan.cbf, grid), load_on_grid(scan.coverage, grid)
            identity = {name: getattr(scan, name) for name in ("participant_id", "session_id", "condition", "scan")}
            for row in parcels.rows(np.where(covered > 0, data, np.nan), minimum_coverage):
                yield {**identity, **row}

    described = {"cbf": {**_CBF, "Description": _SCAN_CBF, "LeastCoverage": minimum_coverage}}
    tables.write_table(table, rows(), {**SCAN_COLUMNS, **described})


def gather_scans(table: FilePath, visits: Sequence[FilePath]) -> None:
    """Write the tables of :func:`write_scans` of all visits as one.

    Parameters
    ----------
    table : path-like
    visits : sequence of path-like
        At least one.
    """
    described = tables.read_json(Path(visits[0]).with_suffix(".json"))["cbf"]
    rows = (row for path in visits for row in tables.read_table(path))
    tables.write_table(table, rows, {**SCAN_COLUMNS, "cbf": described})
