"""Means in regions of the maps that are terms of a model beside CBF: grey matter, arterial transit time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.group.covariate_maps import TermMaps
from pharmasl.regions.parcel_values import Parcels
from pharmasl.regions.region_values import load_on_grid
from pharmasl.space import atlas as atlases
from pharmasl.space import images


def of_masks(masks: Sequence[FilePath]) -> list[np.ndarray]:
    """The voxels of each declared region, positions in the flattened grid."""
    return [np.flatnonzero(images.load(path)[0].ravel() > 0) for path in masks]


def of_atlas(atlas: Sequence[FilePath], reference: FilePath) -> list[np.ndarray]:
    """The voxels of each parcel in the order of the labels.

    Parameters
    ----------
    atlas : sequence of path-like
        The labelled image, and its table of names.
    reference : path-like
        An image on the grid of the analyses.
    """
    image, labels = atlas
    parcels = Parcels.read(atlases.Atlas(image, labels), images.grid(reference))
    return [parcels.voxels[parcels.number == k] for k in range(len(parcels.names))]


@dataclass(frozen=True)
class TermMeans:
    """Means of maps over regions.

    Attributes
    ----------
    maps : mapping of str to pharmasl.group.covariate_maps.TermMaps
        By the term's text.
    regions : sequence of ndarray of int
        The voxels of each of R regions.
    """

    maps: Mapping[str, TermMaps]
    regions: Sequence[np.ndarray]

    def __call__(self, text: str, participants: Sequence[str]) -> np.ndarray:
        """A term's mean over each region's voxels that have a value, of each participant.

        Returns
        -------
        ndarray of shape (n, R)
            NaN where no voxel has one.

        Raises
        ------
        InputError
            If the maps lie on different grids, or on another than the regions.
        """
        chosen = self.maps[text].chosen(participants)
        grid = images.grid(chosen.lists[0][0])
        if max((voxels.max(initial=-1) for voxels in self.regions), default=-1) >= math.prod(grid.shape):
            raise InputError(
                file=chosen.lists[0][0],
                field="grid",
                found=grid.shape,
                expected="the grid of the regions",
                fix="Make the map again.",
            )
        out = np.full((len(participants), len(self.regions)), np.nan)
        for row, paths in zip(out, zip(*chosen.lists)):
            maps = [load_on_grid(path, grid, fix="Make the map again.").ravel() for path in paths]
            values, inside = chosen.value(maps)
            for k, voxels in enumerate(self.regions):
                known = voxels[inside[voxels]]
                if len(known):
                    row[k] = values[known].mean()
        return out
