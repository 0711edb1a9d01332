"""The result of an analysis, and the parts of it that every kind of inference has: estimates, the verdict, the clusters' values."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.group import verdict
from pharmasl.group.engine.maxima import Null
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.verdict import Verdict
from pharmasl.statistics import effect_sizes, multiplicity
from pharmasl.study.settings import Inference

# A baseline below this, mL/100 g/min, is no CBF of tissue.
LEAST_BASELINE = 10.0
# The map of each statistic's family-wise p.
FAMILY_WISE = {"voxel": "voxel_pfwe", "extent": "cluster_pfwe", "mass": "mass_pfwe", "tfce": "tfce_pfwe"}
# Stands for a p that underflows.
LEAST_P = 1e-300
_FALSE_DISCOVERY = {"bh": "Benjamini and Hochberg (1995)", "by": "Benjamini and Yekutieli (2001)"}

# A cluster's values by column of the table of clusters.
ClusterRow = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of an analysis.

    Attributes
    ----------
    model : pharmasl.group.model.Model
    searched : pharmasl.group.maps.Maps
        The maps of the V voxels tested.
    maps : dict of ndarray of shape (V,)
        By name; those that are missing were not asked for or do not exist for the method.
    labels : ndarray of int, shape (V,)
        Cluster of each voxel, 0 outside.
    clusters : list of dict
        One per cluster, in the order of the labels.
    null : pharmasl.group.engine.maxima.Null or None
    definitions : dict
        What was tested and how, and the result in numbers, as blocks of the analysis' ``_inference.json``.
    """

    model: Model
    searched: Maps
    maps: dict[str, np.ndarray]
    labels: np.ndarray
    clusters: list[ClusterRow]
    null: Null | None
    definitions: dict[str, Any]

    @property
    def mask(self) -> np.ndarray:
        """The search volume, ndarray of bool, shape (X, Y, Z)."""
        return self.searched.mask

    @property
    def people(self) -> list[str]:
        """The participants analysed, each once."""
        return list(dict.fromkeys(self.model.participants))


def finite(number: float) -> float | None:
    """A number for a JSON file or a table; None for one that is not finite."""
    return number if math.isfinite(number) else None


def add(rows: Sequence[ClusterRow], column: str, values: np.ndarray) -> None:
    """Add a column to the rows of clusters."""
    for row, number in zip(rows, values):
        row[column] = finite(float(number))


def new_rows(sizes: np.ndarray) -> list[ClusterRow]:
    """The rows of clusters of these sizes, in voxels."""
    return [{"cluster": number, "size_voxels": int(size)} for number, size in enumerate(sizes, start=1)]


def voxelwise(cluster_p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The p of each voxel's cluster; 1 outside clusters."""
    return np.concatenate([[1.0], np.asarray(cluster_p, dtype=np.float64)])[labels]


def logarithms(p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The maps of -log10 p of statistics, by name of the map."""
    return {FAMILY_WISE[name]: -np.log10(values) for name, values in p.items()}


def decide(
    p: np.ndarray,
    rows: list[ClusterRow],
    labels: np.ndarray,
    maps: dict[str, np.ndarray],
    decision: Callable[[np.ndarray, np.ndarray, int], tuple[Verdict, np.ndarray]],
) -> Verdict:
    """Decide an analysis; the p that decides becomes a map, and a value of each cluster.

    Parameters
    ----------
    p : ndarray of shape (V,)
        Corrected p or q of each voxel by the statistic that decides.
    rows : list of dict
        Of the clusters; ``p_verdict`` and ``significant`` are added.
    labels : ndarray of shape (V,)
    maps : dict
        ``verdict`` is added.
    decision : callable
        :func:`pharmasl.group.verdict.decide` with its keywords.
    """
    decided, cluster_p = decision(p, labels, len(rows))
    maps["verdict"] = -np.log10(p)
    add(rows, "p_verdict", cluster_p)
    for row, significant in zip(rows, verdict.passes(cluster_p, decided.alpha)):
        row["significant"] = bool(significant)
    return decided


def summary(rows: Sequence[ClusterRow], t: np.ndarray, p: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The map in a few numbers, and the least p of each statistic, whichever decides."""
    return {
        "clusters": len(rows),
        "largest_t": float(np.nanmax(t)),
        "smallest_t": float(np.nanmin(t)),
        "least_p": {name: float(values.min()) for name, values in p.items()},
    }


def percent(effect: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """The effect in percent of a baseline; NaN where that is no CBF of tissue."""
    return effect_sizes.percent_of_baseline(effect, baseline, LEAST_BASELINE)


def false_discovery(p: np.ndarray, inference: Inference) -> tuple[np.ndarray, dict[str, Any]]:
    """Voxelwise q values, and the largest uncorrected p below the rate with the number of voxels below it."""
    q = multiplicity.q_values(p, inference.fdr)
    critical = multiplicity.critical_p(p, inference.alpha, inference.fdr)
    return q, {
        "method": _FALSE_DISCOVERY[inference.fdr],
        "level": inference.alpha,
        "critical_p": finite(critical),
        "voxels": int((p <= critical).sum()),
    }


def estimates(
    model: Model,
    maps: Maps,
    inference: Inference,
    *,
    effect: np.ndarray,
    t: np.ndarray,
    z: np.ndarray,
    df: float | np.ndarray,
    is_cbf: bool,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The maps of the effect: coefficient, percent of baseline, t (F of several effects), z, q; and what its q mean."""
    if model.is_joint:
        p = special.fdtrc(len(model.weights), df, t)
    else:
        p = special.stdtr(df, -np.abs(t)) * 2 if inference.two_sided else special.stdtr(df, -t)
    q, discovery = false_discovery(p, inference)
    volumes = {"effect": effect, "t": t, "z": z, "qfdr": -np.log10(np.maximum(q, LEAST_P))}
    # A slope is no difference of means, whatever it is divided by.
    if is_cbf and not model.kind.is_slope:
        volumes["percent"] = percent(effect, maps.baseline)
    return volumes, discovery
