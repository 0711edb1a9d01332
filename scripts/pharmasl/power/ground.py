"""Where studies are drawn: the template's brain in large voxels, the places of effects, and the atlas' parcels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pharmasl.errors import FilePath
from pharmasl.regions import region_masks
from pharmasl.space import atlas as atlases
from pharmasl.space import images, transforms
from pharmasl.space.packaged import package_file
from pharmasl.study.planned_maps import PlannedPlaces
from pharmasl.study.settings import Atlas, RegionDefinition

# A parcel of fewer voxels has no mean worth the name.
_LEAST_PARCEL = 2


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The V voxels of the brain, and what lies where.

    Attributes
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    inside, weights : ndarray of shape (P, V), bool and float32
        Of the P places: their voxels, and the share of the effect at every voxel, 1 in the place.
    parcels : ndarray of int, shape (V,)
        0 outside; 1, 2, ...
    searched : ndarray of bool, shape (V,)
    """

    mask: np.ndarray
    affine: np.ndarray
    inside: np.ndarray
    weights: np.ndarray
    parcels: np.ndarray
    searched: np.ndarray

    @property
    def voxel_size(self) -> float:
        """Of a cubic voxel, mm."""
        return float(np.linalg.norm(self.affine[:3, 0]))

    def shifted(self, place: int, offset: np.ndarray) -> np.ndarray:
        """The indices of the brain's voxels that a place covers when it is moved by so many voxels along each axis."""
        numbers = np.full(self.mask.shape, -1)
        numbers[self.mask] = np.arange(int(self.mask.sum()))
        moved = np.argwhere(self.mask)[self.inside[place]] + offset
        moved = moved[((moved >= 0) & (moved < self.mask.shape)).all(axis=1)]
        indices = numbers[tuple(moved.T)]
        return indices[indices >= 0]


def write(
    path: FilePath,
    planned: PlannedPlaces,
    brain: FilePath,
    atlas: Atlas,
    *,
    minimum_coverage: float,
) -> None:
    """Lay an outcome's places on the template, and write the ground.

    Parameters
    ----------
    path : path-like
        The file to write, of :func:`read`.
    planned : PlannedPlaces
    brain : path-like
        Mask of the template's brain, in the voxels of the drawn maps.
    atlas : Atlas
    minimum_coverage : float
        Share of a place that has to lie in the brain.

    Raises
    ------
    InputError
        For a place that lies outside the brain or on no voxel.
    """
    volume, affine = images.load(brain)
    mask = volume > 0
    grid = images.Grid(mask.shape, affine)
    labelled = _atlas_files(atlas)

    def region(definition: RegionDefinition) -> np.ndarray:
        image = () if definition.image is None else (definition.image,)
        inside = region_masks.mask(definition, grid, atlas=labelled, image=image)
        region_masks.check_coverage(definition, inside, mask, minimum=minimum_coverage)
        return inside & mask

    places = [region(definition) for definition in planned.places.values()]
    searched = mask if planned.within is None else region(planned.within)
    voxel = float(np.linalg.norm(affine[:3, 0]))
    labels = np.asarray(atlases.Atlas(*labelled).lookup(transforms.points(grid)))[mask]
    # Written by numpy with a date of its own in each member, always the same.
    with open(path, "wb") as file:
        np.savez(
            file,
            mask=mask,
            affine=affine,
            inside=np.array([place[mask] for place in places]),
            weights=np.array([_weight(place, voxel, planned.edge)[mask] for place in places]),
            parcels=_numbered(labels),
            searched=searched[mask],
        )


def read(path: FilePath) -> Ground:
    """The ground that :func:`write` wrote."""
    with np.load(os.fspath(path)) as stored:
        return Ground(**{name: stored[name] for name in stored.files})


def _atlas_files(atlas: Atlas) -> Sequence[FilePath]:
    if atlas.package is None:
        return atlas.image, atlas.labels
    return package_file(atlas.package, atlas.image), package_file(atlas.package, atlas.labels)


def _weight(inside: np.ndarray, voxel: float, edge: float) -> np.ndarray:
    """1 in a place, falling as half a cosine to 0 over some mm around it."""
    if not edge:
        return inside.astype(np.float32)
    distance = ndimage.distance_transform_edt(~inside, sampling=voxel)
    return (0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / edge, 1))).astype(np.float32)


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Labels as 1, 2, ...; 0 for none and for parcels of too few voxels."""
    known, where, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = (known > 0) & (counts >= _LEAST_PARCEL)
    return (np.cumsum(kept) * kept)[where].astype(np.int64)
