"""CBF of every parcel of the atlas in every contrast map.

An atlas lies on a grid of its own: each voxel of the analyses' grid takes the label of the atlas voxel nearest to it, as the
regions that labels define do (:mod:`pharmasl.regions.region_masks`). All parcels of a map are read in one pass.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
COLUMNS: dict[str, str | Mapping[str, Any]] = {
    "participant_id": "Participant",
    "session_id": "Session label, without ses-",
    "contrast": "Contrast of conditions whose map was averaged",
    "label": "Label of the parcel in the atlas",
    "parcel": "Name of the parcel",
    "cbf": _CBF,
    "coverage": {
        "Description": "Share of the parcel's voxels that have data; n/a for a parcel without voxels",
        "Units": "1",
    },
    "n_voxels": "Number of the parcel's voxels that have data",
    "parcel_voxels": "Number of the parcel's voxels on the grid of the analyses",
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
        known = [int(label) for label in np.unique(atlas.labels) if label > 0]
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
            means, counts = parcels.means(load_on_grid(path, grid))
            visit = {name: value for name, value in contrast.row().items() if name != "arm"}
            for (label, name), mean, count, size in zip(parcels.names.items(), means, counts, sizes):
                coverage = count / size if size else None
                enough = coverage is not None and count > 0 and coverage >= minimum_coverage
                yield {
                    **visit,
                    "label": label,
                    "parcel": name,
                    "cbf": mean if enough else None,
                    "coverage": coverage,
                    "n_voxels": count,
                    "parcel_voxels": size,
                }

    described = with_units({**_CBF, "LeastCoverage": minimum_coverage}, contrasts)
    tables.write_table(table, rows(), {**COLUMNS, "cbf": described})
