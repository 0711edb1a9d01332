"""The configuration's regions and atlas, checked before the first job with the jobs' own functions.

Spheres and the user's own images are laid on the template's grid; of an atlas only the names are read, which costs less.
Whether a region lies in the brain is judged here by a box around it: a region that passes may still be refused by its job.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pharmasl.errors import InputError, InputErrors
from pharmasl.regions import region_masks
from pharmasl.space import atlas as atlases
from pharmasl.space import header, images, transforms
from pharmasl.space.packaged import nilearn_file, package_file
from pharmasl.study import own_template, settings
from pharmasl.study.settings import RegionDefinition

# Lowest and highest voxel centre within the brain of nilearn's template, mm.
BRAIN = ((-72.0, -107.0, -72.0), (72.0, 73.0, 82.0))
Box = tuple[tuple[float, float, float], tuple[float, float, float]]


def problems(study: settings.Settings) -> Iterator[InputError]:
    """What is wrong with the regions and the atlas.

    Parameters
    ----------
    study : Settings

    Yields
    ------
    InputError
        Its field names the region.
    """
    broken = list(_own_atlas(study.atlas))
    yield from broken
    labels = None if broken else _atlas_names(study.atlas)
    grid = template_grid(study.template)
    box = None if own_template.files(study.template) else BRAIN
    for name, region in study.rois.items():
        cuts = list(_cuts(name, region, grid)) if grid else []
        yield from cuts
        if region.atlas is not None and labels:
            yield from _unknown_labels(name, region.atlas, *labels)
        elif grid and not cuts and (region.sphere is not None or region.image is not None):
            yield from _sphere_or_image(name, region.definition, grid, box, study.minimum_roi_coverage)


def _own_atlas(atlas: settings.Atlas) -> Iterator[InputError]:
    """What is wrong with the files of an atlas of the user's own."""
    if atlas.package is not None:
        return
    for field, path in (("image", atlas.image), ("labels", atlas.labels)):
        if not os.path.lexists(path):
            yield InputError(
                file="config",
                field=f"atlas.{field}",
                found=path,
                expected="an existing file",
                fix="Correct the path: it is relative to the folder you run in.",
            )
            continue
        try:
            if field == "labels":
                atlases.read_names(path)
                continue
            image = header.read(path)
            header.check_place(image)
            if image.volumes != 1:
                yield InputError(
                    file=path,
                    field="atlas.image",
                    found=f"{image.volumes} volumes",
                    expected="one volume of integer labels",
                    fix="Take an atlas that gives each place one label (a maximum-probability map).",
                )
        except InputError as error:
            yield error
        except InputErrors as several:
            yield from several.errors


def _atlas_names(atlas: settings.Atlas) -> tuple[dict[int, str], str] | None:
    """The atlas' names by label, and their file; None where only the jobs' environment has the atlas' package."""
    try:
        path = atlas.labels if atlas.package is None else str(package_file(atlas.package, atlas.labels))
    except InputError:
        return None
    return atlases.read_names(path), path


def template_grid(template: settings.Template) -> images.Grid | None:
    """The grid of the analyses; None where it cannot be known before the jobs."""
    own = own_template.files(template)
    try:
        return images.coarser(
            images.canonical_grid(images.grid(next(iter(own.values())) if own else nilearn_file("t1"))),
            template.resolution,
        )
    # Only the jobs' environment has the package, or the template's own check says what is wrong with it.
    except (InputError, InputErrors):
        return None


def _cuts(name: str, definition: RegionDefinition, grid: images.Grid) -> Iterator[InputError]:
    """Planes that leave nothing of the template."""
    for number, axis in enumerate("xyz"):
        above, below = (getattr(definition, f"{axis}_{side}") for side in ("above", "below"))
        first = grid.affine[number, 3]
        low, high = sorted((first, first + grid.affine[number, number] * (grid.shape[number] - 1)))
        for side, plane, is_outside in (
            ("above", above, above is not None and above > high),
            ("below", below, below is not None and below <= low),
        ):
            if is_outside:
                yield InputError(
                    file="config",
                    field=f"rois.{name}.{axis}_{side}",
                    found=plane,
                    expected=f"a plane within the template, {low:g} to {high:g} mm",
                    fix="It leaves nothing of the region; correct it.",
                )


def _unknown_labels(
    name: str, atlas_names: Sequence[str], labels: Mapping[int, str], labels_path: str
) -> Iterator[InputError]:
    """Names that no label of the atlas has."""
    for label in atlas_names:
        try:
            region_masks.atlas_labels([label], labels, labels_path)
        except InputError as error:
            yield InputError(
                file="config",
                field=f"rois.{name}.atlas",
                found=label,
                expected=f"{error.expected} ({os.path.basename(labels_path)})",
                fix=error.fix,
            )


def _sphere_or_image(
    name: str, definition: RegionDefinition, grid: images.Grid, box: Box | None, minimum: float
) -> Iterator[InputError]:
    """What is wrong with a sphere or an image, laid on the grid."""
    if definition.sphere is not None and definition.radius is not None:
        grid = _part_around(definition.sphere, definition.radius, grid)
    try:
        image = () if definition.image is None else (definition.image,)
        for path in image:
            header.check_place(header.read(path))
        inside = region_masks.mask(definition, grid, image=image)
        if box:
            # A voxel of the coarser grid belongs to the brain if half of it does.
            margin = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0)).max()
            centres = transforms.points(grid)
            brain = ((centres >= np.subtract(box[0], margin)) & (centres <= np.add(box[1], margin))).all(axis=-1)
            region_masks.check_coverage(definition, inside, brain, minimum=minimum, bound="at most ")
    except InputError as error:
        yield _with_region(name, error)
    except InputErrors as several:
        yield from (_with_region(name, error) for error in several.errors)


def _part_around(centre: Sequence[float], radius: float, grid: images.Grid) -> images.Grid:
    """The part of a grid around a sphere, which takes less time than the whole; without a voxel if none is near."""
    to_voxel = np.linalg.inv(grid.affine)
    middle = to_voxel[:3, :3] @ np.asarray(centre, dtype=float) + to_voxel[:3, 3]
    reach = radius * np.sqrt((to_voxel[:3, :3] ** 2).sum(axis=1)) + 1
    first = np.clip(np.floor(middle - reach), 0, grid.shape).astype(int)
    end = np.clip(np.ceil(middle + reach) + 1, first, grid.shape).astype(int)
    affine = grid.affine.copy()
    affine[:3, 3] += grid.affine[:3, :3] @ first
    return images.Grid(tuple(int(n) for n in end - first), affine)


def _with_region(name: str, error: InputError) -> InputError:
    """An error of a region with the region's name in its field."""
    if error.field.startswith("rois"):
        field, value = f"rois.{name}" + error.field.removeprefix("rois").replace(": ", "."), error.found
    else:
        field, value = f"rois.{name}.image", f"{error.field}: {error.found}"
    return InputError(file=error.file, field=field, found=value, expected=error.expected, fix=error.fix)
