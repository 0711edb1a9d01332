"""Random fields beside the other tests, and alone for the full factorial, whose errors no relabelling leaves as they are."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from pharmasl.errors import InputError
from pharmasl.group import definitions, random_fields, residual_smoothness, results, smallest_called, verdict
from pharmasl.group.engine import clusters, glm
from pharmasl.group.full_factorial import FullFactorial
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.random_fields import SearchedField
from pharmasl.group.results import ClusterRow, Result
from pharmasl.study.settings import Inference

_NOTE = (
    "Offered to repeat published analyses: its error term pools scans over the brain, and is right only where a "
    "voxel's correlation between sessions is the pooled one."
)


def fields(
    maps: Maps,
    rows: list[ClusterRow],
    inference: Inference,
    *,
    residuals: np.ndarray | Callable[[int, int], np.ndarray],
    images: int,
    df: float,
    threshold: float,
) -> dict[str, Any]:
    """The block ``random_fields``: smoothness, and each cluster's p as SPM has it (for two tails, doubled).

    Parameters
    ----------
    maps : pharmasl.group.maps.Maps
        Of the voxels searched. A search restricted to a region takes its resels at the brain's smoothness.
    rows : list of dict
        Of the clusters; ``p_rft_cluster`` is added.
    inference : pharmasl.study.settings.Inference
    residuals : callable or ndarray of shape (W, images)
        Of the voxels of ``maps.brain_mask``.
    images : int
    df, threshold : float
        Degrees of freedom and the cluster-forming t.
    """
    tails = 2 if inference.two_sided else 1
    try:
        smooth = residual_smoothness.smoothness(residuals, maps.brain_mask, images)
        counts, voxels = random_fields.small_volume(maps.brain_mask, maps.mask, smooth.fwhm)
        p = random_fields.cluster_p(
            np.array([row["size_voxels"] for row in rows], dtype=float), threshold, df, counts, smooth.fwhm
        )
    except InputError as error:
        results.add(rows, "p_rft_cluster", np.full(len(rows), np.nan))
        return {"status": f"not known: {error}", "df": df, "tails": tails}
    results.add(rows, "p_rft_cluster", np.minimum(tails * np.atleast_1d(p.family_wise), 1))
    return {
        "status": "known",
        "fwhm_voxels": [float(width) for width in smooth.fwhm],
        "resels": [float(count) for count in counts],
        "voxels": voxels,
        "smoothness_voxels": smooth.voxels,
        "smoothness_of": "the search volume" if maps.brain is None else "the whole brain, not the region alone",
        "clusters": len(rows),
        "p_set": random_fields.set_p(len(rows), threshold, df, counts, tails),
        "df": df,
        "tails": tails,
        "forming_t": threshold,
        "doubts": random_fields.doubts(smooth.fwhm, inference.cluster_forming_p, df),
    }


def test(
    model: Model,
    maps: Maps,
    inference: Inference,
    fitted: FullFactorial,
    residuals: np.ndarray,
    *,
    is_cbf: bool,
) -> Result:
    """The result of the full factorial.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Of the changes: it names the participants and the arms.
    maps : pharmasl.group.maps.Maps
        Of the V voxels searched.
    inference : pharmasl.study.settings.Inference
    fitted : pharmasl.group.full_factorial.FullFactorial
        Of those voxels.
    residuals : ndarray of shape (W, scans)
        Of the voxels of ``maps.brain_mask``, whitened.
    is_cbf : bool
        Whether the maps are of CBF, so that a percentage has a meaning.

    Raises
    ------
    InputError
        If the maps are not smooth enough for random fields.
    """
    df, two_sided = float(fitted.df), inference.two_sided
    threshold = float(special.stdtrit(df, 1 - inference.cluster_forming_p))
    lattice = clusters.Lattice(maps.mask, inference.neighbours)
    labels, sizes = clusters.label(fitted.t if two_sided else np.maximum(fitted.t, 0), threshold, lattice)
    rows = results.new_rows(sizes)
    block = fields(maps, rows, inference, residuals=residuals, images=residuals.shape[1], df=df, threshold=threshold)
    if block["status"] != "known":
        raise InputError(
            "configuration",
            "analyses: method full_factorial",
            block["status"],
            "maps smooth enough for random fields",
            "Smooth more, or take the method differences.",
        )
    counts, voxels = np.array(block["resels"]), int(maps.mask.sum())
    peak_p = random_fields.peak_p(np.abs(fitted.t) if two_sided else fitted.t, df, counts, voxels)
    cluster_p = np.array([row["p_rft_cluster"] for row in rows])
    results.add(rows, "p_fwe_cluster", cluster_p)
    p = {
        "voxel": np.maximum(np.minimum(peak_p * (2 if two_sided else 1), 1), results.LEAST_P),
        "extent": np.maximum(results.voxelwise(cluster_p, labels), results.LEAST_P),
    }
    volumes = results.logarithms(p)
    decision = functools.partial(verdict.decide, statistic=inference.primary, alpha=inference.alpha)
    decided = results.decide(p[inference.primary], rows, labels, volumes, decision)
    estimates, discovery = results.estimates(
        model,
        maps,
        inference,
        effect=fitted.effect,
        t=fitted.t,
        z=glm.t_to_z(fitted.t, df),
        df=df,
        is_cbf=is_cbf,
    )
    volumes |= estimates
    field = SearchedField(df=df, counts=counts, fwhm=np.array(block["fwhm_voxels"]), voxels=voxels)
    height = smallest_called.of_random_fields(
        inference.primary, two_sided=two_sided, alpha=inference.alpha, forming=threshold, field=field
    )
    called = smallest_called.called(height, fitted.effect, fitted.t, df)
    volumes |= called.maps()
    for row in rows:
        row["effect_mean"] = float(fitted.effect[labels == row["cluster"]].mean())
    tests = definitions.statistics(inference, threshold, fields=True)
    tests["false_discovery"] = discovery
    blocks = {
        "model": {
            **definitions.linear_model(model),
            "design": "Full factorial of arm and session, as SPM has it: all scans, group by time",
            "formula": "CBF ~ arm by session (one mean a cell, all scans)",
            "statistic": "Student's t after whitening with one ReML covariance for the whole brain, as SPM's full factorial",
            "df": df,
            "covariance": np.asarray(fitted.covariance).tolist(),
            "notes": [_NOTE],
        },
        "search_volume": definitions.search_volume(maps, model.participants),
        "permutation": None,
        "tests": tests,
        "random_fields": block,
        "verdict": decided.block(),
        "result": results.summary(rows, fitted.t, p),
        "smallest_called": called.block,
        "clusters": rows,
    }
    return Result(model=model, searched=maps, maps=volumes, labels=labels, clusters=rows, null=None, definitions=blocks)
