"""The table of clusters and their peaks."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group import random_fields
from pharmasl.space import images
from pharmasl.space.atlas import Atlas

# As SPM's results table: at most three peaks a cluster, at least 8 mm apart.
PEAKS, PEAK_DISTANCE = 3, 8.0

# Of every size of an effect in a cluster.
_CHOSEN = "an overestimate, as the same data chose the cluster"

COLUMNS: dict[str, str | dict[str, Any]] = {
    "cluster": "Label in the clusters image; 1 is the largest cluster, so the one with the smallest p",
    "peak": "1 is the cluster's largest |t|; then local maxima of |t| at least 8 mm from all before, three at most",
    "x": {"Description": "Right of the template's origin", "Units": "mm"},
    "y": {"Description": "In front of the template's origin", "Units": "mm"},
    "z": {"Description": "Above the template's origin", "Units": "mm"},
    "sign": {
        "Description": "Direction of the effect; none where several effects are tested together",
        "Levels": {"+": "t above 0", "-": "t below 0"},
    },
    "size_voxels": "Voxels of the cluster; on its first peak only, as all columns of the cluster",
    "volume_mm3": {"Description": "Volume of the cluster", "Units": "mm^3"},
    "p_verdict": (
        "Corrected p by the statistic that decides the analysis (verdict in inference.json), the least within the cluster; q "
        "where the analysis has a false discovery rate alone"
    ),
    "significant": {"Description": "Whether that p is at most alpha", "Levels": {"yes": "it is", "no": "it is not"}},
    "p_fwe_cluster": "Family-wise p of the cluster's extent",
    "p_fwe_mass": "Family-wise p of the cluster's mass, by permutation",
    "p_rft_cluster": "Family-wise p of the cluster's extent by random fields, as SPM has it (doubled for two tails)",
    "p_fwe_voxel": "Family-wise p of the peak's t",
    "p_fwe_tfce": "Family-wise p of the threshold-free cluster enhancement at the peak, by permutation",
    "p_rft_peak": "Family-wise p of the peak's t by random fields, as SPM has it (doubled for two tails)",
    "q_fdr": "False discovery rate at which the peak's voxel is declared",
    "t": (
        "Student's t at the peak; Aspin-Welch v where each arm has a variance of its own; F where several effects are tested "
        "together"
    ),
    "z_score": "Standard normal quantile with the tail probability of t (F)",
    "effect": (
        "Tested coefficient at the peak, of several the largest in absolute value; its unit stands in the analysis' inference.json"
    ),
    "effect_mean": f"Tested coefficient of the cluster's mean; {_CHOSEN}",
    "effect_low": "Lower limit of its 95 % interval, which the choice is not in",
    "effect_high": "Upper limit of its 95 % interval",
    "percent_mean": {
        "Description": f"The same over the mean baseline of all participants analysed; {_CHOSEN}",
        "Units": "percent",
    },
    "hedges_g": (
        "The same in standard deviations of what the model leaves (of the change, where that is explained), free of small-sample bias "
        f"(Hedges 1981); {_CHOSEN}"
    ),
    "hedges_g_low": "Lower limit of its 95 % interval (noncentral t)",
    "hedges_g_high": "Upper limit of its 95 % interval",
    "region": (
        "Atlas region at the peak; where there is none, the nearest within 5 mm with its distance, or unlabelled"
    ),
    "regions": "Share of the cluster in each atlas region, the largest first; shares below 1 % are left out",
}


def local_maxima(
    values: np.ndarray,
    where: np.ndarray,
    voxel_size: np.ndarray,
    distance: float = PEAK_DISTANCE,
    number: int = PEAKS,
) -> list[int]:
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
    chosen: list[int] = []
    for k in order:
        if heights[k] < around[k]:
            continue
        apart = (where[k] - where[chosen]) @ voxel_size.T if chosen else np.empty((0, 3))
        if np.all((apart**2).sum(axis=1) >= distance**2 - 1e-6):
            chosen.append(int(k))
        if len(chosen) == number:
            break
    return chosen


def _short(value: float, digits: int = 6) -> float:
    """A float32 map's value without the digits that it does not have."""
    return float(f"{float(value):.{digits}g}")


# Of a cluster, as the inference block has them.
_OF_CLUSTER = (
    "p_verdict",
    "p_fwe_cluster",
    "p_fwe_mass",
    "p_rft_cluster",
    "effect_mean",
    "effect_low",
    "effect_high",
    "percent_mean",
    "hedges_g",
    "hedges_g_low",
    "hedges_g_high",
)
# Of a peak that is no peak of t but of -log10 p.
_LOGARITHMS = {"p_fwe_voxel": "voxel_pfwe", "p_fwe_tfce": "tfce_pfwe", "q_fdr": "qfdr"}


def rows(
    maps: Mapping[str, np.ndarray],
    clusters: np.ndarray,
    affine: np.ndarray,
    inference: Mapping[str, Any],
    atlas: Atlas | None = None,
) -> list[dict[str, Any]]:
    """The rows of the table.

    Parameters
    ----------
    maps : dict of ndarray of shape (X, Y, Z)
        ``effect``, ``t``, ``z``, and as -log10 ``voxel_pfwe``, ``tfce_pfwe``, ``qfdr``; NaN where not tested.
    clusters : ndarray of int, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    inference : dict
        The analysis' block: ``clusters`` and ``random_fields``.
    atlas : atlas.Atlas, optional
        Without it ``region`` and ``regions`` are missing.

    Returns
    -------
    list of dict
        Keys as ``COLUMNS``; clusters in order of their labels, a cluster's peaks in order of |t|.
    """
    results = {row["cluster"]: row for row in inference.get("clusters", [])}
    fields = inference.get("random_fields") or {}
    joint = str((inference.get("tests") or {}).get("heights")).endswith("F")
    t = maps["t"]
    index = np.argwhere(clusters > 0)
    labels = clusters[tuple(index.T)]
    volume = abs(np.linalg.det(affine[:3, :3]))
    magnitude = np.abs(t)
    peaks = []
    # One sort, not one pass over the image per cluster: noise makes hundreds of clusters.
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
                "sign": None if joint else "+" if t[at] > 0 else "-",
                **{key: _short(10.0 ** -float(maps[name][at])) for key, name in _LOGARITHMS.items()},
                "p_rft_peak": _peak(fields, abs(float(t[at]))),
                "t": _short(t[at]),
                "z_score": _short(maps["z"][at]),
                "effect": _short(maps["effect"][at]),
            }
            if number == 1:
                row["size_voxels"] = len(where)
                row["volume_mm3"] = _short(len(where) * volume, 9)
                own = results.get(int(clusters[at]), {})
                row |= {key: None if own.get(key) is None else _short(own[key]) for key in _OF_CLUSTER}
                row["significant"] = "yes" if own["significant"] else "no"
            row = {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
            if atlas is not None:
                name, distance = atlas.nearest(places[k])
                row["region"] = name if distance == 0 else f"{name} ({distance:.0f} mm away)"
                if number == 1:
                    shares = [(region, share) for region, share in atlas.shares(places) if share >= 0.01]
                    row["regions"] = "; ".join(f"{region} {100 * share:.0f} %" for region, share in shares)
            peaks.append(row)
    return peaks


def _peak(fields: Mapping[str, Any], t: float) -> float | None:
    if fields.get("status") != "known":
        return None
    p = random_fields.peak_p(t, fields["df"], np.array(fields["resels"]), fields["voxels"])
    return _short(min(float(p) * fields["tails"], 1.0))


MAPS = ("effect", "t", "z", "voxel_pfwe", "tfce_pfwe", "qfdr")


def write(
    images_of: Mapping[str, FilePath],
    clusters: FilePath,
    inference: FilePath,
    atlas: Sequence[FilePath],
    path: FilePath,
) -> None:
    """Write the table of an analysis.

    Parameters
    ----------
    images_of : mapping
        :data:`MAPS` to images of the analysis.
    clusters, inference : path-like
        The labelled image, and the block of definitions.
    atlas : sequence of path-like
        Empty, or the labelled image and its names.
    path : path-like
        ``.tsv``; a sidecar is written beside it.

    Raises
    ------
    InputError
        If the images are on different grids.
    """
    labels, affine = images.load(clusters, dtype=np.int32)
    maps = {}
    for name in MAPS:
        maps[name], own = images.load(images_of[name])
        if maps[name].shape != labels.shape or not np.allclose(own, affine, atol=1e-4):
            raise InputError(
                images_of[name],
                "grid",
                maps[name].shape,
                f"the clusters' grid, {labels.shape}",
                "Run the analysis again.",
            )
    names = Atlas(*atlas) if atlas else None
    tables.write_table(path, rows(maps, labels, affine, tables.read_json(inference), names), COLUMNS)
