"""The result of the mixed model, which neither relabelling nor random fields cover: z and false discovery rates."""

import functools
from collections import Counter

import numpy as np
from scipy import special

from pharmasl.group import definitions, design_names, results, smallest_called, verdict
from pharmasl.group.engine import clusters
from pharmasl.group.maps import Maps
from pharmasl.group.mixed_maps import MixedMap
from pharmasl.group.model import Model
from pharmasl.group.results import Result
from pharmasl.study.settings import Inference

_NOTES = (
    "No family-wise p: residuals of incomplete participants are not exchangeable. False discovery rate alone.",
    "Voxels whose between-participant variance is estimated as zero are ordinary least squares over scans.",
)


def test(model: Model, maps: Maps, inference: Inference, fitted: MixedMap, *, is_cbf: bool) -> Result:
    """The result of the mixed model.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are scans.
    maps : pharmasl.group.maps.Maps
        A row per scan, of the voxels searched.
    inference : pharmasl.study.settings.Inference
    fitted : pharmasl.group.mixed_maps.MixedMap
        Of those voxels.
    is_cbf : bool
        Whether the maps are of CBF, so that a percentage has a meaning.
    """
    z = np.nan_to_num(fitted.z)
    threshold = float(-special.ndtri(inference.cluster_forming_p))
    lattice = clusters.Lattice(maps.mask, inference.neighbours)
    labels, sizes = clusters.label(z if inference.two_sided else np.maximum(z, 0), threshold, lattice)
    rows = results.new_rows(sizes)
    for row in rows:
        row["effect_mean"] = float(fitted.effect[labels == row["cluster"]].mean())
    volumes = {"effect": fitted.effect, "t": fitted.t, "z": fitted.z}
    if is_cbf:
        baseline = maps.values[model.sessions == 0].mean(axis=0, dtype=np.float64)
        volumes["percent"] = results.percent(fitted.effect, baseline)
    q, discovery = results.false_discovery(fitted.p, inference)
    q = np.maximum(np.nan_to_num(q, nan=1.0), results.LEAST_P)
    volumes["qfdr"] = -np.log10(q)
    decision = functools.partial(
        verdict.decide, statistic="false_discovery", alpha=inference.alpha, error_rate=verdict.FALSE_DISCOVERY
    )
    decided = results.decide(q, rows, labels, volumes, decision)
    tests = definitions.statistics(inference, threshold, scale="z")
    tests["false_discovery"] = discovery
    scans = Counter(model.participants)
    treated = {name for name, arm in zip(model.participants, model.matrix[:, model.names.index("arm")]) if arm > 0}
    blocks = {
        "model": {
            "design": design_names.name_of(model),
            "tested_columns": model.tested,
            "tested_effects": list(model.effects) or [model.meaning],
            "formula": model.formula,
            "tested_term": "arm:time",
            "statistic": "t of a random-intercept model of all scans, REML voxel by voxel",
            "df": float(np.nanmedian(fitted.df)),
            "df_range": [float(np.nanmin(fitted.df)), float(np.nanmax(fitted.df))],
            "degrees_of_freedom": inference.degrees_of_freedom,
            "n": len(scans),
            "n_treatment": len(treated),
            "n_control": len(scans) - len(treated),
            "scans": len(model.participants),
            "incomplete": model.incomplete,
            "boundary_voxels": int(fitted.boundary.sum()),
            "tested_model": model.record(),
            "notes": list(_NOTES),
        },
        "search_volume": definitions.search_volume(maps, model.participants),
        "permutation": None,
        "tests": tests,
        "random_fields": None,
        "verdict": decided.block(),
        "result": results.summary(rows, fitted.t, {}),
        "smallest_called": smallest_called.of_false_discoveries().block,
        "clusters": rows,
    }
    return Result(model=model, searched=maps, maps=volumes, labels=labels, clusters=rows, null=None, definitions=blocks)
