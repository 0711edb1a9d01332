"""Where the configuration's own effects are planted: a sphere, labels of the atlas, an image, or everywhere."""

from typing import Protocol

import numpy as np

from pharmasl.errors import InputError
from pharmasl.simulate.planted_regions import Region
from pharmasl.simulate.simulation_settings import PlannedEffect
from pharmasl.space import images, resample
from pharmasl.space.atlas import Atlas as LabelledImage
from pharmasl.space.packaged import package_file
from pharmasl.study.settings import Atlas

# mm on either side of a sphere's radius over which the weight falls; it is one half at the radius.
_EDGE = 2.0


class Place(Protocol):
    """Something that has a weight at template points."""

    def weight(self, points: np.ndarray) -> np.ndarray:
        """The share of the planted amount at points of shape (..., 3): shape (...), float32."""


class Everywhere:
    """The whole brain."""

    def weight(self, points: np.ndarray) -> np.ndarray:
        """One at all points."""
        return np.ones(points.shape[:-1], dtype=np.float32)


class Labels:
    """Regions of an atlas.

    Parameters
    ----------
    atlas : atlas.Atlas
    names : tuple of str

    Raises
    ------
    InputError
        If the atlas has no region of a name.
    """

    def __init__(self, atlas: LabelledImage, names: tuple[str, ...]) -> None:
        self._atlas = atlas
        known = set(atlas.names.values())
        if strange := [name for name in names if name not in known]:
            raise InputError(
                file="config",
                field="simulate.planted.<effect>.atlas",
                found=strange,
                expected="names of regions of the atlas",
                fix="Take names from the atlas' list of labels.",
            )
        self._labels = [label for label, name in atlas.names.items() if name in names]

    def weight(self, points: np.ndarray) -> np.ndarray:
        """One in the regions, zero elsewhere."""
        return np.isin(self._atlas.lookup(points), self._labels).astype(np.float32)


class Weights:
    """An image of weights in template space.

    Parameters
    ----------
    path : path-like
        3-D, from 0 to 1.

    Raises
    ------
    InputError
        If it is not 3-D, or has values outside 0 to 1 or none above 0.
    """

    def __init__(self, path: str) -> None:
        self._data, self._affine = images.load(path)
        low, high = (np.nanmin(self._data), np.nanmax(self._data)) if self._data.size else (0, 0)
        if self._data.ndim != 3 or not 0 <= low <= high <= 1 or high == 0:
            raise InputError(
                file=path,
                field="voxels",
                found=f"{self._data.ndim}-D, {low:g} to {high:g}",
                expected="3-D weights from 0 to 1, some above 0, in template space",
                fix="Check simulate.planted.<effect>.image.",
            )
        self._data = np.nan_to_num(self._data)

    def weight(self, points: np.ndarray) -> np.ndarray:
        """The weights, trilinear; zero outside the image."""
        return resample.resample(self._data, self._affine, points, fill=0.0).astype(np.float32)


def places(effects: dict[str, PlannedEffect], atlas: Atlas) -> dict[str, Place]:
    """The places of effects by name; the atlas is read if one of them needs it."""
    labelled = _read(atlas) if any(effect.atlas for effect in effects.values()) else None
    return {name: _place(name, effect, labelled) for name, effect in effects.items()}


def _read(atlas: Atlas) -> LabelledImage:
    image, labels = atlas.image, atlas.labels
    if atlas.package is not None:
        return LabelledImage(package_file(atlas.package, image), package_file(atlas.package, labels))
    return LabelledImage(image, labels)


def _place(name: str, effect: PlannedEffect, atlas: LabelledImage | None) -> Place:
    if effect.sphere is not None and effect.radius is not None:
        core, edge = max(effect.radius - _EDGE, 0.0), effect.radius + _EDGE
        return Region(name, name, (effect.sphere,), core, edge)
    if effect.atlas is not None and atlas is not None:
        return Labels(atlas, effect.atlas)
    if effect.image is not None:
        return Weights(effect.image)
    return Everywhere()
