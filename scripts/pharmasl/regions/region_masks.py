"""The masks of regions of interest on the template's analysis grid."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError, did_you_mean, similar
from pharmasl.files import tables
from pharmasl.regions import region_definitions
from pharmasl.regions.nearest_voxels import nearest
from pharmasl.space import atlas as atlases
from pharmasl.space import images, transforms
from pharmasl.study import settings
from pharmasl.study.settings import RegionDefinition

log = logging.getLogger(__name__)


def atlas_labels(names: Iterable[str], labels: Mapping[int, str], labels_path: FilePath) -> list[int]:
    """The labels that have some names, in whatever case these are written.

    Parameters
    ----------
    names : iterable of str
    labels : mapping of int to str
        The atlas' names.
    labels_path : path-like
        The file that they come from.

    Returns
    -------
    list of int
        A name that several labels share, such as those of both sides, stands for all of them.

    Raises
    ------
    InputError
        If no label has one of the names; the message names the most similar ones.
    """
    by_name: dict[str, list[int]] = {}
    for index, name in labels.items():
        by_name.setdefault(name.casefold(), []).append(index)
    chosen: list[int] = []
    for name in names:
        wanted = str(name).casefold()
        if wanted not in by_name:
            # Part of a long name is not similar to the whole of it.
            holders = [known for known in labels.values() if wanted in known.casefold()]
            close = list(dict.fromkeys([*similar(name, labels.values(), most=5), *holders[:5]]))
            raise InputError(
                file=labels_path,
                field="rois: atlas",
                found=name,
                expected="the name of an atlas label",
                fix=did_you_mean(close, "The atlas' own table has them all."),
            )
        chosen += by_name[wanted]
    return chosen


def _required_file(paths: Sequence[FilePath], field: str, definition: RegionDefinition) -> FilePath:
    if not paths:
        raise InputError(
            file="config",
            field=f"rois: {field}",
            found=settings.plain(definition),
            expected=f"a file for {field}",
            fix=f"Set {field}.",
        )
    return paths[0]


def _cluster_mask(definition: RegionDefinition, path: FilePath, grid: images.Grid) -> np.ndarray:
    """The voxels of one label of an image, whose labels may be stored as decimals; missing values are background."""
    volume, affine = images.load(path)
    labels = np.rint(np.nan_to_num(volume)).astype(np.int32)
    return nearest(labels, affine, grid) == definition.cluster


def _atlas_mask(definition: RegionDefinition, paths: Sequence[FilePath], grid: images.Grid) -> np.ndarray:
    _required_file(paths, "atlas", definition)
    image_path, labels_path = paths
    atlas = atlases.Atlas(image_path, labels_path)
    chosen = atlas_labels(definition.atlas or (), atlas.names, labels_path)
    return np.isin(atlas.lookup(transforms.points(grid)), chosen)


def _sphere_mask(definition: RegionDefinition, grid: images.Grid) -> np.ndarray:
    centre, radius = definition.sphere or (), definition.radius or 0
    if np.shape(centre) != (3,) or not radius > 0:
        raise InputError(
            file="config",
            field="rois: sphere",
            found={"sphere": list(centre), "radius": radius},
            expected="three template coordinates and a radius above 0, in mm",
            fix="Write for example sphere: [0, 44, -12], radius: 10.",
        )
    voxel = float(np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0)).min())
    if radius < voxel / 2:
        raise InputError(
            file="config",
            field="rois: radius",
            found=radius,
            expected=f"{voxel / 2:g} mm or more: half a voxel of the template grid",
            fix="Whether a smaller sphere holds a voxel is chance. Radii are in mm.",
        )
    distance2 = ((transforms.points(grid) - np.asarray(centre, dtype=float)) ** 2).sum(axis=-1)
    return distance2 <= radius**2 * (1 + 1e-9)


def _image_mask(definition: RegionDefinition, path: FilePath, grid: images.Grid) -> np.ndarray:
    """The voxels of an image of zeros and one other value, of one of its labels, or at or above a threshold."""
    volume, affine = images.load(path, dtype=np.float64)
    if volume.ndim != 3:
        raise InputError(
            file=path,
            field="rois: image",
            found=f"{volume.ndim}-D, {volume.shape}",
            expected="one volume",
            fix="Take one volume out of it.",
        )
    # What programs write that were given an array without its place: the first voxel at 0, 0, 0, and no rotation.
    placeless = np.diag([*np.abs(affine.diagonal()[:3]), 1])
    if np.allclose(affine, placeless, atol=1e-5) and not np.allclose(grid.affine, placeless, atol=1e-5):
        raise InputError(
            file=path,
            field="rois: image",
            found="an affine that puts the first voxel at 0, 0, 0 mm",
            expected="the affine of template space",
            fix="The image does not say where it is: save it with the affine of the image on which it was drawn.",
        )
    sampled = np.nan_to_num(nearest(volume, affine, grid))
    if definition.label is not None:
        return sampled == definition.label
    if definition.threshold is not None:
        return sampled >= definition.threshold
    values = np.unique(volume[np.isfinite(volume) & (volume != 0)])
    if len(values) > 1:
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (" ..." if len(values) > 5 else "")
        raise InputError(
            file=path,
            field="rois: image",
            found=f"the values {shown}",
            expected="0 and one other value, or label or threshold beside the image",
            fix="In the region, name the label that is meant, or the threshold from which a probability counts.",
        )
    return sampled != 0


def mask(
    definition: RegionDefinition,
    grid: images.Grid,
    *,
    atlas: Sequence[FilePath] = (),
    clusters: Sequence[FilePath] = (),
    image: Sequence[FilePath] = (),
) -> np.ndarray:
    """The region's voxels on a grid.

    Parameters
    ----------
    definition : RegionDefinition
        See :mod:`pharmasl.regions.region_definitions`.
    grid : images.Grid
        The template grid of the analyses.
    atlas : sequence of path-like
        Labelled image and label text, for an atlas region.
    clusters : sequence of path-like
        The ``_desc-clusters_dseg`` image of the analysis, for a cluster region.
    image : sequence of path-like
        The image, for an image region.

    Returns
    -------
    ndarray of bool, shape ``grid.shape``
        All False only where the analysis has no such cluster.

    Raises
    ------
    InputError
        If the definition is malformed, an atlas name unknown, or a region other than a cluster empty.
    """
    kind = region_definitions.kind(definition)
    if kind == "cluster":
        inside = _cluster_mask(definition, _required_file(clusters, "analysis", definition), grid)
    elif kind == "atlas":
        inside = _atlas_mask(definition, atlas, grid)
    elif kind == "sphere":
        inside = _sphere_mask(definition, grid)
    else:
        inside = _image_mask(definition, _required_file(image, "image", definition), grid)
    uncut = bool(inside.any())
    inside = inside & region_definitions.within_cuts(definition, transforms.points(grid))
    if kind != "cluster" and not inside.any():
        raise InputError(
            file="config",
            field="rois",
            found=settings.plain(definition),
            expected="at least one voxel on the template grid",
            fix="Its cuts leave nothing; widen them."
            if uncut
            else "Nothing of it lies on the grid; check coordinates, label and the image's space.",
        )
    return inside


def check_coverage(
    definition: RegionDefinition, inside: np.ndarray, brain: np.ndarray, *, minimum: float, bound: str = ""
) -> None:
    """Refuse a region that lies outside the brain, where no scan has data.

    Parameters
    ----------
    definition : RegionDefinition
    inside : ndarray of bool
        The region; not empty.
    brain : ndarray of bool, of that shape
        The template's brain mask.
    minimum : float
        Minimum share of the region within it.
    bound : str
        ``"at most "`` where ``brain`` is a box around the brain.

    Raises
    ------
    InputError
    """
    share = float(brain[inside].mean())
    if share == 0 or share < minimum:
        raise InputError(
            file="config",
            field="rois",
            found=f"{bound}{100 * share:.0f} % of {settings.plain(definition)} within the template's brain",
            expected=f"{100 * minimum:g} % or more (minimum_roi_coverage)",
            fix="Correct its coordinates, which are template mm (RAS+), or its image.",
        )


def write_mask(
    mask_path: FilePath,
    sidecar_path: FilePath,
    definition: RegionDefinition,
    *,
    reference: FilePath,
    brain: FilePath,
    minimum_coverage: float,
    atlas: Sequence[FilePath] = (),
    clusters: Sequence[FilePath] = (),
    image: Sequence[FilePath] = (),
) -> None:
    """Write a region's mask and the sidecar that says what it is.

    Parameters
    ----------
    mask_path, sidecar_path : path-like
        The uint8 mask and its JSON to write.
    definition : RegionDefinition
    reference : path-like
        An image on the template grid of the analyses.
    brain : path-like
        The template's brain mask on that grid.
    minimum_coverage : float
        Minimum share of the region within the brain; not applied to a cluster, which the analysis found there.
    atlas, clusters, image : sequence of path-like
        See :func:`mask`.

    Raises
    ------
    InputError
        As :func:`mask` and :func:`check_coverage`.
    """
    grid = images.grid(reference)
    inside = mask(definition, grid, atlas=atlas, clusters=clusters, image=image)
    kind = region_definitions.kind(definition)
    if kind != "cluster":
        check_coverage(definition, inside, images.load(brain)[0] > 0, minimum=minimum_coverage)
    n = int(inside.sum())
    volume = abs(np.linalg.det(grid.affine[:3, :3]))
    centre = transforms.points(grid)[inside].mean(axis=0) if n else None
    if n:
        log.info("%s region: %d voxels, %.1f mL", kind, n, n * volume / 1000)
    else:
        log.warning("cluster %s of %s does not exist: the mask is empty", definition.cluster, definition.analysis)
    images.save(mask_path, inside, grid.affine, dtype=np.uint8, code=images.form_code(reference))
    tables.write_json(
        sidecar_path,
        {
            "Description": "Region of interest, 1 inside",
            "Kind": kind,
            "Definition": _portable(definition),
            "Empty": n == 0,
            "Voxels": n,
            "Volume": round(n * volume, 6),
            "VolumeUnits": "mm^3",
            "CentreOfMass": None if centre is None else [round(float(c), 3) for c in centre],
            "CentreOfMassUnits": "mm",
            # A value read from such a region and tested against data that shaped it is circular.
            "AnalysisDefined": kind == "cluster",
            "Resampling": "nearest neighbour",
        },
    )


def _portable(definition: RegionDefinition) -> dict[str, Any]:
    """A definition as it is configured; of an image its name alone, wherever it lies."""
    stated = settings.plain(definition)
    return stated | ({"image": Path(stated["image"]).name} if "image" in stated else {})
