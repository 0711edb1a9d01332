"""What the configuration says of regions and of the atlas, checked before the first job with the jobs' own functions.

Spheres and the user's own images are laid on the template's grid; of an atlas the names alone are read, which costs less.
Whether a region lies in the brain is judged here by a box about it: a region that passes may still be refused by its job.
"""

import os

import numpy as np

from pharmasl.errors import InputError, InputErrors
from pharmasl.regions import roi_masks, rois
from pharmasl.space import atlas as atlases
from pharmasl.space import header, images
from pharmasl.space.packaged import nilearn_file, package_file
from pharmasl.study import own_template
from pharmasl.study.region_settings import READING

# Lowest and highest voxel centre within the brain of nilearn's template, mm.
BRAIN = ((-72.0, -107.0, -72.0), (72.0, 73.0, 82.0))


def problems(config):
    """What is wrong with the regions and the atlas.

    Parameters
    ----------
    config : dict
        Checked and complete.

    Yields
    ------
    InputError
        Its field names the region.
    """
    atlas = config["atlas"]
    broken = list(_own_atlas(atlas))
    yield from broken
    names = None if broken else _names(atlas)
    grid = _template_grid(config["template"])
    box = None if own_template.files(config["template"]) else BRAIN
    for name, definition in config["rois"].items():
        cuts = list(_cuts(name, definition, grid)) if grid else []
        yield from cuts
        if "atlas" in definition and names:
            yield from _labels(name, definition["atlas"], *names)
        elif grid and not cuts and ("sphere" in definition or "image" in definition):
            yield from _voxels(name, definition, grid, box, config["minimum_roi_coverage"])


def _own_atlas(atlas):
    """What is wrong with the files of an atlas of the user's own."""
    if "package" in atlas:
        return
    for key in ("image", "labels"):
        if not os.path.lexists(atlas[key]):
            yield InputError(
                "config",
                f"atlas.{key}",
                atlas[key],
                "an existing file",
                "Correct the path: it is relative to the folder you run in.",
            )
            continue
        try:
            if key == "labels":
                atlases.read_names(atlas[key])
            elif (known := header.read(atlas[key])).volumes != 1:
                yield InputError(
                    atlas[key],
                    "atlas.image",
                    f"{known.volumes} volumes",
                    "one volume of integer labels",
                    "Take an atlas that gives each place one label (a maximum-probability map).",
                )
        except InputError as error:
            yield error
        except InputErrors as several:
            yield from several.errors


def _names(atlas):
    """The atlas' names by label and the file they come from; None where its package is in the jobs' environment alone."""
    try:
        path = package_file(atlas["package"], atlas["labels"]) if "package" in atlas else atlas["labels"]
    except InputError:
        return None
    return atlases.read_names(path), path


def _template_grid(template):
    """The grid of the analyses; None where it cannot be known here."""
    own = own_template.files(template)
    try:
        return images.coarser(images.grid(own["t1w"] if own else nilearn_file("t1")), template["resolution"])
    # The package is in the jobs' environment alone, or the template's own check tells what is wrong with it.
    except (InputError, InputErrors):
        return None


def _cuts(name, definition, grid):
    """Planes that leave nothing of the template."""
    for number, axis in enumerate("xyz"):
        above, below = (definition.get(f"{axis}_{side}") for side in ("above", "below"))
        first = grid.affine[number, 3]
        low, high = sorted((first, first + grid.affine[number, number] * (grid.shape[number] - 1)))
        for side, outside in (
            ("above", above is not None and above > high),
            ("below", below is not None and below <= low),
        ):
            if outside:
                yield InputError(
                    "config",
                    f"rois.{name}.{axis}_{side}",
                    definition[f"{axis}_{side}"],
                    f"a plane within the template, {low:g} to {high:g} mm",
                    "It leaves nothing of the region; correct it.",
                )


def _labels(name, asked, labels, path):
    """Names that no label of the atlas has."""
    for label in asked:
        try:
            rois.atlas_labels([label], labels, path)
        except InputError as error:
            expected = f"{error.expected} ({os.path.basename(path)})"
            yield InputError("config", f"rois.{name}.atlas", label, expected, error.fix)


def _voxels(name, definition, grid, box, minimum):
    """What is wrong with a sphere or an image, laid on the grid."""
    definition = {key: value for key, value in definition.items() if key not in READING}
    if "sphere" in definition:
        grid = _around(definition["sphere"], definition["radius"], grid)
    try:
        inside = rois.mask(definition, grid, image=[definition["image"]] if "image" in definition else ())
        if box:
            # A voxel of the coarser grid belongs to the brain if half of it does.
            margin = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0)).max()
            centres = rois.points(grid)
            brain = ((centres >= np.subtract(box[0], margin)) & (centres <= np.add(box[1], margin))).all(axis=-1)
            roi_masks.check_coverage(definition, inside, brain, minimum, bound="at most ")
    except InputError as error:
        yield _named(name, error)
    except InputErrors as several:
        yield from (_named(name, error) for error in several.errors)


def _around(centre, radius, grid):
    """The part of a grid about a sphere, which takes less time than the whole; without a voxel if none is near."""
    to_voxel = np.linalg.inv(grid.affine)
    middle = to_voxel[:3, :3] @ np.asarray(centre, dtype=float) + to_voxel[:3, 3]
    reach = radius * np.sqrt((to_voxel[:3, :3] ** 2).sum(axis=1)) + 1
    first = np.clip(np.floor(middle - reach), 0, grid.shape).astype(int)
    end = np.clip(np.ceil(middle + reach) + 1, first, grid.shape).astype(int)
    affine = grid.affine.copy()
    affine[:3, 3] += grid.affine[:3, :3] @ first
    return images.Grid(tuple(int(n) for n in end - first), affine)


def _named(name, error):
    """An error of a region with the region's name."""
    if error.field.startswith("rois"):
        field, found = f"rois.{name}" + error.field.removeprefix("rois").replace(": ", "."), error.found
    else:
        field, found = f"rois.{name}.image", f"{error.field}: {error.found}"
    return InputError(error.file, field, found, error.expected, error.fix)
