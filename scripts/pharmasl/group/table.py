"""The table of clusters and their peaks."""

import itertools

import numpy as np

from pharmasl import images, tables
from pharmasl.atlas import Atlas
from pharmasl.errors import InputError

# As SPM's results table: at most three peaks a cluster, at least 8 mm apart.
PEAKS, PEAK_DISTANCE = 3, 8.0

COLUMNS = {
    "cluster": "Label in the clusters image; 1 is the largest cluster, so the one with the smallest p",
    "peak": "1 is the cluster's largest |t|; then local maxima of |t| at least 8 mm from all before, three at most",
    "x": {"Description": "Right of the template's origin", "Units": "mm"},
    "y": {"Description": "In front of the template's origin", "Units": "mm"},
    "z": {"Description": "Above the template's origin", "Units": "mm"},
    "sign": {"Description": "Direction of the effect", "Levels": {"+": "t above 0", "-": "t below 0"}},
    "size_voxels": "Voxels of the cluster; on its first peak only, as all columns of the cluster",
    "volume_mm3": {"Description": "Volume of the cluster", "Units": "mm^3"},
    "p_fwe_cluster": "Family-wise p of the cluster's extent, by permutation",
    "p_fwe_voxel": "Family-wise p of the peak's t, by permutation",
    "t": "Student's t at the peak",
    "z_score": "Standard normal quantile with the tail probability of t",
    "effect": "Tested coefficient at the peak; its unit stands in the analysis' inference.json",
    "effect_mean": "Mean of the tested coefficient over the cluster",
    "region": (
        "Atlas region at the peak; where there is none, the nearest within 5 mm with its distance, or unlabelled"
    ),
    "regions": "Share of the cluster in each atlas region, the largest first; shares below 1 % are left out",
}


def local_maxima(values, where, voxel_size, distance=PEAK_DISTANCE, number=PEAKS):
    """The largest local maxima of a region, at a distance from one another.

    Parameters
    ----------
    values : ndarray of shape (X, Y, Z)
    where : ndarray of shape (N, 3), int
        Voxel indices of the region.
    voxel_size : ndarray of shape (3, 3)
        Linear part of the affine, so that distances are millimetres on oblique grids too.
    distance : float
        mm.
    number : int

    Returns
    -------
    list of int
        Rows of ``where``: no voxel among the 26 neighbours in the region is larger; the largest first.
    """
    low = where.min(axis=0)
    box = np.full(where.max(axis=0) - low + 3, -np.inf)
    inner = where - low + 1
    heights = values[tuple(where.T)].astype(np.float64)
    box[tuple(inner.T)] = heights
    around = np.full(len(where), -np.inf)
    for step in np.ndindex(3, 3, 3):
        if step != (1, 1, 1):
            around = np.maximum(around, box[tuple((inner + np.array(step) - 1).T)])
    order = np.lexsort((np.arange(len(where)), -heights))
    chosen = []
    for k in order:
        if heights[k] < around[k]:
            continue
        apart = (where[k] - where[chosen]) @ voxel_size.T if chosen else np.empty((0, 3))
        if np.all((apart**2).sum(axis=1) >= distance**2 - 1e-6):
            chosen.append(int(k))
        if len(chosen) == number:
            break
    return chosen


def _short(value, digits=6):
    """A float32 map's value without the digits that it does not have."""
    return float(f"{float(value):.{digits}g}")


def rows(effect, t, z, voxel_pfwe, cluster_pfwe, clusters, affine, atlas=None):
    """The rows of the table.

    Parameters
    ----------
    effect, t, z, voxel_pfwe, cluster_pfwe : ndarray of shape (X, Y, Z)
        Maps of the analysis; p as -log10.
    clusters : ndarray of int, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    atlas : atlas.Atlas, optional
        Without it ``region`` and ``regions`` are missing.

    Returns
    -------
    list of dict
        Keys as ``COLUMNS``; clusters in order of their labels, a cluster's peaks in order of |t|.
    """
    index = np.argwhere(clusters > 0)
    labels = clusters[tuple(index.T)]
    volume = abs(np.linalg.det(affine[:3, :3]))
    magnitude = np.abs(t)
    found = []
    # One sort, not one pass over the image a cluster: noise makes hundreds of clusters.
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=0, append=0))
    for start, stop in itertools.pairwise(bounds):
        where = index[order[start:stop]]
        places = where @ affine[:3, :3].T + affine[:3, 3]
        for number, k in enumerate(local_maxima(magnitude, where, affine[:3, :3]), start=1):
            at = tuple(where[k])
            row = {
                "cluster": int(clusters[at]),
                "peak": number,
                **{axis: round(float(value), 2) + 0.0 for axis, value in zip(("x", "y", "z"), places[k])},
                "sign": "+" if t[at] > 0 else "-",
                "p_fwe_voxel": _short(10.0 ** -float(voxel_pfwe[at])),
                "t": _short(t[at]),
                "z_score": _short(z[at]),
                "effect": _short(effect[at]),
            }
            if number == 1:
                row["size_voxels"] = len(where)
                row["volume_mm3"] = _short(len(where) * volume, 9)
                row["p_fwe_cluster"] = _short(10.0 ** -float(cluster_pfwe[at]))
                row["effect_mean"] = _short(effect[tuple(where.T)].astype(np.float64).mean())
            if atlas is not None:
                name, distance = atlas.nearest(places[k])
                row["region"] = name if distance == 0 else f"{name} ({distance:.0f} mm away)"
                if number == 1:
                    shares = [(region, share) for region, share in atlas.shares(places) if share >= 0.01]
                    row["regions"] = "; ".join(f"{region} {100 * share:.0f} %" for region, share in shares)
            found.append(row)
    return found


def write(effect, t, z, voxel_pfwe, cluster_pfwe, clusters, atlas, path):
    """Write the table of an analysis.

    Parameters
    ----------
    effect, t, z, voxel_pfwe, cluster_pfwe, clusters : path-like
        Images of the analysis.
    atlas : list of path-like
        Empty, or the labelled image and its names.
    path : path-like
        ``.tsv``; a sidecar is written beside it.

    Raises
    ------
    InputError
        If the images are on different grids.
    """
    loaded = [images.load(image) for image in (effect, t, z, voxel_pfwe, cluster_pfwe)]
    labels, affine = images.load(clusters, dtype=np.int32)
    for image, (data, own) in zip((effect, t, z, voxel_pfwe, cluster_pfwe), loaded):
        if data.shape != labels.shape or not np.allclose(own, affine, atol=1e-4):
            raise InputError(
                image, "grid", data.shape, f"the clusters' grid, {labels.shape}", "Run the analysis again."
            )
    names = Atlas(*atlas) if atlas else None
    tables.write_table(path, rows(*(data for data, _ in loaded), labels, affine, names), COLUMNS)
