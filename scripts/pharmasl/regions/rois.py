"""Regions of interest on the template's analysis grid, and the CBF in them.

A region's *definition* is a dict, one of

``{"analysis": name, "cluster": k}``
    cluster ``k`` of an analysis' table, largest first as the analysis numbers them;
``{"atlas": [names]}``
    the union of atlas labels;
``{"sphere": [x, y, z], "radius": r}``
    voxel centres within ``r`` mm of a template point;
``{"image": path}`` or ``{"image": path, "label": k}``
    the non-zero voxels of an image of two values, those of value ``k``, or with ``"threshold": t`` those of ``t`` and above.

Each may add *cuts*, template mm in RAS+ (x grows to the right, y to the front, z upwards): ``x_above``, ``y_above``,
``z_above`` keep voxel centres at or beyond the value, ``x_below``, ``y_below``, ``z_below`` those before it. The two
sides of a cut therefore share no voxel and lose none.
"""

import logging
from pathlib import Path

import numpy as np

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.files import tables
from pharmasl.space import atlas as atlases
from pharmasl.space import images
from pharmasl.study.region_settings import READING

log = logging.getLogger(__name__)

CUTS = tuple(f"{axis}_{side}" for axis in "xyz" for side in ("above", "below"))
_KINDS = {"cluster": {"analysis", "cluster"}, "atlas": {"atlas"}, "sphere": {"sphere", "radius"}, "image": {"image"}}
_OPTIONAL = {"image": {"label", "threshold"}}
STATISTICS = {
    "mean": "Mean",
    "median": "Median",
    "gm_weighted": "Mean weighted by the template's probability of grey matter",
}

VALUE_COLUMNS = {
    "participant_id": "Participant",
    "session_id": "Session label, without ses-",
    "arm": "Arm of the trial",
    "contrast": "Contrast of conditions whose map was averaged",
    "roi": "Region of interest",
    "cbf": {
        "Description": "Mean of the contrast map over the region's voxels with data; n/a where coverage is too low",
        "Units": "mL/100 g/min",
    },
    "coverage": {"Description": "Share of the region's voxels that have data; n/a for an empty region", "Units": "1"},
    "n_voxels": "Number of voxels averaged, that is, of the region's voxels that have data",
}


def points(grid):
    """Voxel centres of a grid.

    Parameters
    ----------
    grid : images.Grid

    Returns
    -------
    ndarray of shape (X, Y, Z, 3)
        Template mm, RAS+.
    """
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def nearest(volume, affine, grid):
    """Nearest-neighbour samples of a volume at the voxel centres of a grid.

    Parameters
    ----------
    volume : ndarray of shape (A, B, C)
    affine : ndarray of shape (4, 4)
        Voxel to mm of ``volume``.
    grid : images.Grid

    Returns
    -------
    ndarray of shape ``grid.shape``
        Of the volume's dtype; 0 outside its field of view.
    """
    if volume.shape == grid.shape and np.allclose(affine, grid.affine, atol=1e-5):
        return volume
    index = nearest_index(points(grid), affine, volume.shape)
    return np.where(index >= 0, volume.ravel()[index], np.zeros(1, dtype=volume.dtype))


def nearest_index(coordinates, affine, shape):
    """The voxel in which each point lies.

    Parameters
    ----------
    coordinates : ndarray of shape (..., 3)
        mm; NaN lies nowhere.
    affine : ndarray of shape (4, 4)
        Voxel to mm.
    shape : tuple of int

    Returns
    -------
    ndarray of int, shape ``coordinates.shape[:-1]``
        Flat index (the last axis runs fastest); -1 outside the field of view.
    """
    matrix = np.linalg.inv(affine)
    voxel = np.einsum("ij,...j->...i", matrix[:3, :3], coordinates) + matrix[:3, 3]
    # A centre midway between two voxels goes to the upper one, whatever the rounding error of the affines.
    voxel = np.floor(np.round(voxel, 4) + 0.5)
    inside = ((voxel >= 0) & (voxel < shape)).all(axis=-1)
    index = np.where(inside[..., None], voxel, 0).astype(np.intp)
    return np.where(inside, np.ravel_multi_index(tuple(np.moveaxis(index, -1, 0)), shape), -1)


def kind(definition):
    """Tell the kind of a definition: ``"cluster"``, ``"atlas"``, ``"sphere"`` or ``"image"``.

    Raises
    ------
    InputError
        If keys are missing, unknown, or of more than one kind.
    """
    keys = set(definition) - set(CUTS) - set(READING)
    for name, needed in _KINDS.items():
        if needed <= keys <= needed | _OPTIONAL.get(name, set()):
            return name
    raise InputError(
        "config",
        "rois",
        dict(definition),
        "one of {analysis, cluster}, {atlas}, {sphere, radius}, {image[, label]}, with cuts such as y_above",
        "Define the region in one of these ways.",
    )


def _only(paths, field, definition):
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if not paths:
        raise InputError("config", f"rois: {field}", dict(definition), f"a file for {field}", f"Set {field}.")
    return paths


def _labels(path):
    """Load a labelled image as integers, also where it is stored as decimals; missing values are background."""
    volume, affine = images.load(path)
    return np.rint(np.nan_to_num(volume)).astype(np.int32), affine


def atlas_labels(names, labels, text):
    """The labels that have some names, in whatever case these are written.

    Parameters
    ----------
    names : list of str
    labels : dict of int to str
        The atlas' names.
    text : path-like
        The file that they come from.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        If a name is no label's, with the nearest that are.
    """
    by_name = {}
    for index, name in labels.items():
        by_name.setdefault(name.casefold(), []).append(index)
    chosen = []
    for name in names:
        if str(name).casefold() not in by_name:
            # A part of a name is not alike to the whole of a long one.
            holders = [known for known in labels.values() if str(name).casefold() in known.casefold()]
            close = list(dict.fromkeys([*similar(name, labels.values(), most=5), *holders[:5]]))
            fix = did_you_mean(close, "The atlas' own table has them all.")
            raise InputError(text, "rois: atlas", name, "the name of an atlas label", fix)
        # A name of several labels, such as those of both sides, is all of them.
        chosen += by_name[str(name).casefold()]
    return chosen


def _atlas_mask(names, paths, grid):
    image, text = _only(paths, "atlas", {"atlas": names})
    atlas = atlases.Atlas(image, text)
    chosen = atlas_labels([names] if isinstance(names, str) else names, atlas.names, text)
    return np.isin(atlas.lookup(points(grid)), chosen)


def _sphere_mask(centre, radius, grid):
    if np.shape(centre) != (3,) or not radius > 0:
        raise InputError(
            "config",
            "rois: sphere",
            {"sphere": centre, "radius": radius},
            "three template coordinates and a radius above 0, in mm",
            "Write for example sphere: [0, 44, -12], radius: 10.",
        )
    voxel = float(np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0)).min())
    if radius < voxel / 2:
        raise InputError(
            "config",
            "rois: radius",
            radius,
            f"{voxel / 2:g} mm or more: half a voxel of the template grid",
            "Whether a smaller sphere holds a voxel is chance. Radii are in mm.",
        )
    distance2 = ((points(grid) - np.asarray(centre, dtype=float)) ** 2).sum(axis=-1)
    return distance2 <= radius**2 * (1 + 1e-9)


def _image_mask(definition, path, grid):
    """The voxels of an image of zeros and one other value, of one of its labels, or at or above its threshold."""
    volume, affine = images.load(path, dtype=np.float64)
    if volume.ndim != 3:
        raise InputError(
            path, "rois: image", f"{volume.ndim}-D, {volume.shape}", "one volume", "Take one volume out of it."
        )
    # What programs write that were given an array without its place: the first voxel at 0, 0, 0, and no turn.
    placeless = np.diag([*np.abs(affine.diagonal()[:3]), 1])
    if np.allclose(affine, placeless, atol=1e-5) and not np.allclose(grid.affine, placeless, atol=1e-5):
        raise InputError(
            path,
            "rois: image",
            "an affine that puts the first voxel at 0, 0, 0 mm",
            "the affine of template space",
            "The image does not say where it is: save it with the affine of the image on which it was drawn.",
        )
    sampled = np.nan_to_num(nearest(volume, affine, grid))
    if definition.get("label") is not None:
        return sampled == definition["label"]
    if definition.get("threshold") is not None:
        return sampled >= definition["threshold"]
    values = np.unique(volume[np.isfinite(volume) & (volume != 0)])
    if len(values) > 1:
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (" ..." if len(values) > 5 else "")
        raise InputError(
            path,
            "rois: image",
            f"the values {shown}",
            "0 and one other value, or label or threshold beside the image",
            "Name the label that is meant, or the threshold from which a probability counts, in the region.",
        )
    return sampled != 0


def mask(definition, grid, atlas=(), clusters=(), image=()):
    """Find the region's voxels on a grid.

    Parameters
    ----------
    definition : dict
        See the module's text.
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
        All False only for a cluster that the analysis did not find.

    Raises
    ------
    InputError
        If the definition is malformed, an atlas name unknown, or a region other than a cluster empty.
    """
    form = kind(definition)
    if form == "cluster":
        volume, affine = _labels(_only(clusters, "analysis", definition)[0])
        inside = nearest(volume, affine, grid) == int(definition["cluster"])
    elif form == "atlas":
        inside = _atlas_mask(definition["atlas"], atlas, grid)
    elif form == "sphere":
        inside = _sphere_mask(definition["sphere"], definition["radius"], grid)
    else:
        inside = _image_mask(definition, _only(image, "image", definition)[0], grid)
    found = bool(inside.any())

    centres = points(grid)
    for cut in CUTS:
        if definition.get(cut) is not None:
            position = centres[..., "xyz".index(cut[0])]
            value = float(definition[cut])
            inside = inside & (position >= value if cut.endswith("above") else position < value)
    if form != "cluster" and not inside.any():
        raise InputError(
            "config",
            "rois",
            dict(definition),
            "at least one voxel on the template grid",
            "Its cuts leave nothing; widen them."
            if found
            else "Nothing of it lies on the grid; check coordinates, label and the image's space.",
        )
    return inside


def mean_in_mask(values, minimum_coverage=0.5):
    """Mean of a map over a region's voxels that have data.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The map in the region's voxels, NaN where there are no data.
    minimum_coverage : float
        Least share of voxels with data for the mean to count.

    Returns
    -------
    mean : float or None
        None where coverage is below the minimum or the region is empty.
    coverage : float or None
        None for an empty region.
    n : int
        Voxels with data.
    """
    finite = np.isfinite(values)
    n = int(finite.sum())
    if not len(values):
        return None, None, 0
    coverage = n / len(values)
    if n == 0 or coverage < minimum_coverage:
        return None, coverage, n
    return float(values[finite].mean(dtype=np.float64)), coverage, n


def summary(values, statistic="mean", weights=None, minimum_coverage=0.5):
    """One value for a region's voxels, of those that have data.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The map in the region's voxels, NaN where there are no data.
    statistic : str
        One of :data:`STATISTICS`.
    weights : ndarray of shape (n,), optional
        Probability of grey matter, for ``"gm_weighted"``.
    minimum_coverage : float
        Least share of voxels, or for ``"gm_weighted"`` of the weights, with data for the value to count.

    Returns
    -------
    value, coverage, n
        As :func:`mean_in_mask`; value and coverage are None too where a region's weights sum to 0.
    """
    if statistic == "mean":
        return mean_in_mask(values, minimum_coverage)
    finite = np.isfinite(values)
    n = int(finite.sum())
    if statistic == "median":
        _, coverage, _ = mean_in_mask(values, 0)
        usable = n > 0 and coverage >= minimum_coverage
        return (float(np.median(values[finite].astype(np.float64))) if usable else None), coverage, n
    weights = np.asarray(weights, dtype=np.float64)
    total, covered = float(weights.sum()), float(weights[finite].sum())
    if total <= 0:
        return None, None, n
    coverage = covered / total
    if covered == 0 or coverage < minimum_coverage:
        return None, coverage, n
    return float((values[finite].astype(np.float64) * weights[finite]).sum() / covered), coverage, n


def value_columns(statistic):
    """:data:`VALUE_COLUMNS`, which says how the value was taken."""
    columns = dict(VALUE_COLUMNS)
    words = columns["cbf"]["Description"].removeprefix("Mean")
    columns["cbf"] = {**columns["cbf"], "Description": STATISTICS[statistic] + words, "Statistic": statistic}
    if statistic == "gm_weighted":
        words = "Share of the region's grey matter (sum of probabilities) that has data; n/a for a region without any"
        columns["coverage"] = {**columns["coverage"], "Description": words}
    return columns


def template_weights(path, affine, shape):
    """The template's probability of grey matter on a mask's grid.

    Raises
    ------
    InputError
        If it is on another grid.
    """
    gm, gm_affine = images.load(path)
    if gm.shape != shape or not np.allclose(gm_affine, affine, atol=1e-4):
        raise InputError(path, "grid", gm.shape, f"the mask's grid {shape}", "Rerun the template.")
    return np.nan_to_num(gm)


def write_values(mask_path, maps, rows, roi, table_path, minimum_coverage=0.5, statistic="mean", gm=None):
    """Write the CBF of a region in each map.

    Parameters
    ----------
    mask_path : path-like
        Mask written by :func:`write_mask`.
    maps : sequence of path-like
        Contrast maps on the mask's grid, mL/100 g/min.
    rows : sequence of dict
        ``participant_id``, ``session_id``, ``arm``, ``contrast``, one dict a map, in the maps' order.
    roi : str
        The region's name.
    table_path : path-like
        The table to write; columns as :data:`VALUE_COLUMNS`.
    minimum_coverage : float
        See :func:`summary`.
    statistic : str
        One of :data:`STATISTICS`.
    gm : path-like, optional
        The template's probability of grey matter, for ``"gm_weighted"``.

    Raises
    ------
    InputError
        If a map is on another grid than the mask, or maps and rows differ in number.
    """
    data, affine = images.load(mask_path, dtype=np.uint8)
    inside = data > 0
    weights = template_weights(gm, affine, inside.shape)[inside] if statistic == "gm_weighted" else None
    maps, rows = list(maps), list(rows)
    if len(maps) != len(rows):
        raise InputError(table_path, "rows", len(rows), f"{len(maps)}, one a map", "Pass one row for each map.")
    out = []
    for path, row in zip(maps, rows):
        values, map_affine = images.load(path)
        if values.shape != inside.shape or not np.allclose(map_affine, affine, atol=1e-4):
            raise InputError(path, "grid", values.shape, f"the mask's grid {inside.shape}", "Rerun the contrast stage.")
        mean, coverage, n = summary(values[inside], statistic, weights, minimum_coverage)
        if mean is None and coverage is not None:
            log.warning("%s: %s covers %.0f %% of %s: n/a", roi, path, 100 * coverage, roi)
        named = {key: row.get(key) for key in ("participant_id", "session_id", "arm", "contrast")}
        out.append({**named, "roi": roi, "cbf": mean, "coverage": coverage, "n_voxels": n})
    tables.write_table(table_path, out, value_columns(statistic))
