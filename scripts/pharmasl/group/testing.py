"""The tests of an analysis: p over the whole search volume, clusters, effect sizes, and what all of them mean."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import combination, definitions, random_fields, verdict
from pharmasl.group.engine import clusters, differences, glm, permutation, statistic, tfce
from pharmasl.statistics import effect_sizes, multiplicity
from pharmasl.study.effect_kinds import KINDS

# A baseline below this, mL/100 g/min, is no CBF of tissue.
LEAST_BASELINE = 10.0
# The map of each statistic's family-wise p.
_FAMILY_WISE = {"voxel": "voxel_pfwe", "extent": "cluster_pfwe", "mass": "mass_pfwe", "tfce": "tfce_pfwe"}
# Of a p that underflows.
_LEAST = 1e-300


@dataclass(frozen=True)
class Found:
    """What an analysis found.

    Attributes
    ----------
    maps : dict
        Name to ndarray of shape (V,); names that are missing were not asked for or do not exist for the method.
    mask : ndarray of bool, shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    labels : ndarray of int, shape (V,)
    clusters : list of dict
        One a cluster, in the order of the labels.
    null : pharmasl.group.engine.permutation.Null or None
    summary : dict
        The definitions block, with the results.
    write_design : callable
        Writes the design to a path.
    """

    maps: dict
    mask: np.ndarray
    affine: np.ndarray
    labels: np.ndarray
    clusters: list
    null: object
    summary: dict
    write_design: object


def model(plan):
    """The design as the fit takes it: a difference or slope, or a mean."""
    return (permutation.flip_model if plan.exchange == "flip" else glm.model)(*plan.partition())


def by_permutation(question, plan, fitted, found, fit, constant, threads, whole=None):
    """Permutation of whole differences, or flips of their signs; random fields and false discovery rate beside them.

    Parameters
    ----------
    question : object
        Of :mod:`pharmasl.group.analysis`.
    plan : pharmasl.group.effects.Effect
    fitted : pharmasl.group.engine.glm.Model
    found : pharmasl.group.maps.Maps
    fit : pharmasl.group.engine.differences.Differences
    constant : int
        Voxels left out because nothing varies.
    threads : int
    whole : pharmasl.group.maps.Maps, optional
        The maps before they were cut to the region searched, for the smoothness of random fields.

    Returns
    -------
    Found
    """
    inference, two_sided = question.inference, question.two_sided
    statistics = inference.get("statistics", ["extent"])
    lattice = clusters.Lattice(found.mask, inference["neighbours"])
    permutations = signs = None
    number, seed = inference["permutations"], inference["seed"]
    if plan.exchange == "flip":
        signs, exhaustive = permutation.flips(plan.matrix, number, seed)
        distinct = len(plan.participants) * math.log10(2)
    else:
        permutations, exhaustive = permutation.relabellings(plan.matrix, number, seed, plan.blocks)
        distinct = permutation.log10_distinct(plan.matrix, plan.blocks)
    mass = inference.get("mass", "excess") if "mass" in statistics else None
    observed = statistic.observe(
        plan,
        question.table,
        fitted,
        fit,
        permutations,
        variance=inference["variance"],
        forming_p=inference["cluster_forming_p"],
    )
    t, threshold = observed.heights, observed.threshold
    # What is a z already is not scaled again.
    scale = inference.get("scale", "t") if observed.on == "t" else "t"
    enhancement = None
    if "tfce" in statistics:
        enhancement = tfce.Enhancement(**{"scale": scale, **inference.get("tfce", {})})
    if observed.by_arm is None:
        null = permutation.null_distribution(
            fit,
            fitted,
            permutations,
            lattice,
            threshold,
            signs=signs,
            mass=mass,
            scale=scale,
            enhancement=enhancement,
            threads=threads,
        )
    else:
        null = observed.by_arm.null(
            permutations, lattice, threshold, mass=mass, enhancement=enhancement, threads=threads
        )

    voxel_p = permutation.family_wise_p(np.abs(t) if two_sided else t, null.largest_t(two_sided))
    labels, sizes = clusters.label(t if two_sided else np.maximum(t, 0), threshold, lattice)
    rows = [{"cluster": number, "size_voxels": int(size)} for number, size in enumerate(sizes, start=1)]
    extent_p = permutation.family_wise_p(sizes, null.largest_extent(two_sided))
    p = {"voxel": voxel_p, "extent": _of_clusters(extent_p, labels)}
    _add(rows, "p_fwe_cluster", extent_p)
    maps = {}
    if mass:
        heights = t if scale == "t" else glm.t_to_z(t, fitted.df)
        base = 0.0
        if mass == "excess":
            base = threshold if scale == "t" else float(glm.t_to_z(np.array(threshold), fitted.df))
        masses = clusters.masses(labels, heights, base)
        mass_p = permutation.family_wise_p(masses, null.largest_mass(two_sided))
        p["mass"] = _of_clusters(mass_p, labels)
        _add(rows, "mass", masses)
        _add(rows, "p_fwe_mass", mass_p)
    if enhancement is not None:
        maps["tfce"] = tfce.enhance(t, found.mask, enhancement, fitted.df)
        tested = np.abs(maps["tfce"]) if two_sided else maps["tfce"]
        p["tfce"] = permutation.family_wise_p(tested, null.largest_tfce(two_sided), tfce.TIE)
    smallest = permutation.smallest_p(fitted, permutations, two_sided, signs)
    decided = _decide(
        combination.deciding_p(p, inference["primary"], null, two_sided),
        rows,
        labels,
        maps,
        statistic=inference["primary"],
        alpha=inference["alpha"],
        smallest=smallest,
    )
    maps |= {_FAMILY_WISE[name]: -np.log10(values) for name, values in p.items()}
    smoothed = found.mask if whole is None else whole.mask
    data = fit.tile if whole is None else lambda start, stop: whole.values[:, start:stop].T
    if observed.by_arm is None:
        residuals = random_fields.residual_rows(data, plan.matrix)
        fields = _random_fields(
            question, rows, threshold, found.mask, residuals, len(plan.participants), fitted.df, smoothed
        )
    else:
        fields = {"status": "not known: random fields take one residual variance for all"}
    estimates, discovery = _estimates(
        question, fit.effect, observed.t, observed.z, observed.df, found.baseline, plan.name
    )
    maps |= estimates
    if not KINDS[plan.name].is_slope:
        # In standard deviations of all arms together, whatever the test takes for their variances.
        maps["hedges_g"] = effect_sizes.hedges_g(fit.t, fitted.scale, fitted.df).g
    _sizes(rows, labels, fitted, found, plan.name, observed, question.is_cbf)

    summary = definitions.block(question, "run", plan.participants)
    summary["model"] = definitions.model(plan, observed)
    summary["search_volume"] = definitions.search_volume(found, question, plan.participants, constant)
    summary["permutation"] = definitions.permutation(
        plan,
        len(signs if permutations is None else permutations),
        exhaustive,
        distinct,
        inference,
        smallest,
    )
    summary["tests"] = definitions.statistics(
        inference, threshold, two_sided, mass, enhancement, heights="z of v" if observed.on == "z" else "t"
    )
    summary["tests"]["false_discovery"] = discovery
    limits = {"voxel": ("critical_t", null.largest_t), "cluster": ("critical_extent_voxels", null.largest_extent)}
    limits |= {"mass": ("critical_mass", null.largest_mass)} if mass else {}
    limits |= {"tfce": ("critical_tfce", null.largest_tfce)} if enhancement else {}
    for name, (key, largest) in limits.items():
        summary["tests"][name][key] = _finite(permutation.critical_value(largest(two_sided), inference["alpha"]))
    summary["random_fields"] = fields
    summary["variance"] = observed.variances
    summary["verdict"] = decided.block()
    summary["result"] = _result(rows, observed.t, p)
    summary["clusters"] = rows
    return Found(maps, found.mask, found.affine, labels, rows, null, summary, plan.write)


def by_random_fields(question, plan, found, fit, residuals, whole):
    """The results of the full factorial, whose errors no relabelling leaves as they are: random fields alone.

    Parameters
    ----------
    question, plan, found
        As for :func:`by_permutation`; ``plan`` names the arms.
    fit : pharmasl.group.full_factorial.FullFactorial
    residuals : ndarray of shape (W, scans)
    whole : ndarray of bool, shape (X, Y, Z)
        The W voxels of the residuals: the search volume before it was cut to the region searched.

    Returns
    -------
    Found
    """
    inference, df = question.inference, float(fit.df)
    threshold = float(special.stdtrit(df, 1 - inference["cluster_forming_p"]))
    lattice = clusters.Lattice(found.mask, inference["neighbours"])
    labels, sizes = clusters.label(fit.t if question.two_sided else np.maximum(fit.t, 0), threshold, lattice)
    rows = [{"cluster": number, "size_voxels": int(size)} for number, size in enumerate(sizes, start=1)]
    fields = _random_fields(question, rows, threshold, found.mask, residuals, residuals.shape[1], df, whole)
    if fields["status"] != "known":
        raise InputError(
            "configuration",
            f"analyses: method full_factorial of {question.analysis['contrast']}",
            fields["status"],
            "maps smooth enough for random fields",
            "Smooth more, or take the method differences.",
        )
    counts, voxels = np.array(fields["resels"]), int(found.mask.sum())
    p = random_fields.peak_p(np.abs(fit.t) if question.two_sided else fit.t, df, counts, voxels)
    cluster_p = np.array([row["p_rft_cluster"] for row in rows])
    _add(rows, "p_fwe_cluster", cluster_p)
    p = {
        "voxel": np.maximum(np.minimum(p * (2 if question.two_sided else 1), 1), _LEAST),
        "extent": np.maximum(_of_clusters(cluster_p, labels), _LEAST),
    }
    maps = {_FAMILY_WISE[name]: -np.log10(values) for name, values in p.items()}
    primary = inference["primary"]
    decided = _decide(p[primary], rows, labels, maps, statistic=primary, alpha=inference["alpha"])
    estimates, discovery = _estimates(question, fit.effect, fit.t, glm.t_to_z(fit.t, df), df, found.baseline, plan.name)
    maps |= estimates
    for row in rows:
        row["effect_mean"] = float(fit.effect[labels == row["cluster"]].mean())
    summary = definitions.block(question, "run", plan.participants)
    summary["model"] = {
        **definitions.model(plan),
        "formula": "CBF ~ arm by session (one mean a cell, all scans)",
        "statistic": "Student's t after whitening with one ReML covariance for the whole brain, as SPM's full factorial",
        "df": df,
        "covariance": np.asarray(fit.covariance).tolist(),
        "notes": [
            "Offered to repeat published analyses: its error term pools scans over the brain, and is right only where a "
            "voxel's correlation between sessions is the pooled one."
        ],
    }
    summary["search_volume"] = definitions.search_volume(found, question, plan.participants, 0)
    summary["permutation"] = None
    summary["tests"] = definitions.statistics(inference, threshold, question.two_sided, None, None, fields=True)
    summary["tests"]["false_discovery"] = discovery
    summary["random_fields"] = fields
    summary["verdict"] = decided.block()
    summary["result"] = _result(rows, fit.t, p)
    summary["clusters"] = rows
    return Found(maps, found.mask, found.affine, labels, rows, None, summary, plan.write)


def by_mixed_model(question, plan, found, fit):
    """The results of the mixed model, which neither relabelling nor random fields cover: z and false discovery rate.

    Parameters
    ----------
    question, found
        As for :func:`by_permutation`.
    plan : pharmasl.group.mixed_maps.Layout
    fit : pharmasl.group.mixed_maps.MixedMap

    Returns
    -------
    Found
    """
    inference = question.inference
    z = np.nan_to_num(fit.z)
    threshold = float(-special.ndtri(inference["cluster_forming_p"]))
    lattice = clusters.Lattice(found.mask, inference["neighbours"])
    labels, sizes = clusters.label(z if question.two_sided else np.maximum(z, 0), threshold, lattice)
    rows = [
        {"cluster": number, "size_voxels": int(size), "effect_mean": float(fit.effect[labels == number].mean())}
        for number, size in enumerate(sizes, start=1)
    ]
    scans = Counter(plan.participants)
    people = list(scans)
    first = np.array(plan.sessions) == 0
    baseline = found.values[first].mean(axis=0, dtype=np.float64)
    maps = {"effect": fit.effect, "t": fit.t, "z": fit.z}
    if question.is_cbf:
        maps["percent"] = _percent(fit.effect, baseline)
    q, discovery = _discovered(fit.p, inference)
    q = np.maximum(np.nan_to_num(q, nan=1.0), _LEAST)
    maps["qfdr"] = -np.log10(q)
    decided = _decide(
        q, rows, labels, maps, statistic="false_discovery", alpha=inference["alpha"], error_rate=verdict.FALSE_DISCOVERY
    )
    summary = definitions.block(question, "run", people)
    arm = {row["participant_id"]: row.get("arm") for row in question.table}
    summary["model"] = {
        "formula": plan.formula,
        "tested_term": "arm:time",
        "statistic": "t of a random-intercept model of all scans, REML voxel by voxel",
        "df": float(np.nanmedian(fit.df)),
        "df_range": [float(np.nanmin(fit.df)), float(np.nanmax(fit.df))],
        "degrees_of_freedom": inference.get("degrees_of_freedom", "satterthwaite"),
        "n": len(people),
        "n_treatment": sum(arm[name] == question.arms["treatment"] for name in people),
        "n_control": sum(arm[name] == question.arms["control"] for name in people),
        "scans": len(plan.participants),
        "incomplete": [name for name in people if scans[name] == 1],
        "boundary_voxels": int(fit.boundary.sum()),
        "notes": [
            "No family-wise p: residuals of incomplete participants are not exchangeable. False discovery rate alone.",
            "Voxels whose between-participant variance is estimated as zero are ordinary least squares over scans.",
        ],
    }
    summary["search_volume"] = definitions.search_volume(found, question, plan.participants, 0)
    summary["permutation"] = None
    summary["tests"] = definitions.statistics(inference, threshold, question.two_sided, None, None, scale="z")
    summary["tests"]["false_discovery"] = discovery
    summary["random_fields"] = None
    summary["verdict"] = decided.block()
    summary["result"] = _result(rows, fit.t, {})
    summary["clusters"] = rows

    def write_design(path):
        written = [
            {"participant_id": name, "session_id": int(session), **dict(zip(plan.names, row.tolist()))}
            for name, session, row in zip(plan.participants, plan.sessions, plan.matrix)
        ]
        columns = {"participant_id": "Participant", "session_id": "0 baseline, 1 follow-up"}
        tables.write_table(path, written, columns | dict.fromkeys(plan.names, "Term of the model"))

    return Found(maps, found.mask, found.affine, labels, rows, None, summary, write_design)


def _add(rows, name, values):
    for row, value in zip(rows, values):
        row[name] = _finite(float(value))


def _of_clusters(p, labels):
    """Each voxel's cluster's p; 1 outside clusters."""
    return np.concatenate([[1.0], np.asarray(p, dtype=np.float64)])[labels]


def _decide(p, rows, labels, maps, **how):
    """Decide the analysis; the p that decides becomes a map, and a value of each cluster."""
    decided, of_clusters = verdict.decide(p, labels, len(rows), **how)
    maps["verdict"] = -np.log10(p)
    _add(rows, "p_verdict", of_clusters)
    for row, good in zip(rows, verdict.passes(of_clusters, decided.alpha)):
        row["significant"] = bool(good)
    return decided


def _result(rows, t, p):
    """The map in a few numbers, and the least p of each statistic, whichever decides."""
    return {
        "clusters": len(rows),
        "largest_t": float(np.nanmax(t)),
        "smallest_t": float(np.nanmin(t)),
        "least_p": {name: float(values.min()) for name, values in p.items()},
    }


def _finite(value):
    return value if math.isfinite(value) else None


def _percent(effect, baseline):
    return effect_sizes.percent_of_baseline(effect, baseline, LEAST_BASELINE)


def _discovered(p, inference):
    """False discovery rate of voxels: q, and what it means, the largest uncorrected p that is declared, and how many voxels are."""
    method, level = inference.get("fdr", "bh"), inference["alpha"]
    q, critical = multiplicity.q_values(p, method), multiplicity.critical_p(p, level, method)
    return q, {
        "method": {"bh": "Benjamini and Hochberg (1995)", "by": "Benjamini and Yekutieli (2001)"}[method],
        "level": level,
        "critical_p": _finite(critical),
        "voxels": int((p <= critical).sum()),
    }


def _estimates(question, effect, t, z, df, baseline, name):
    """The maps of the effect (coefficient, percent of baseline, t, z, q), and what its q mean."""
    p = special.stdtr(df, -np.abs(t)) * 2 if question.two_sided else special.stdtr(df, -t)
    q, discovery = _discovered(p, question.inference)
    maps = {"effect": effect, "t": t, "z": z, "qfdr": -np.log10(np.maximum(q, 1e-300))}
    # A slope is no difference of means, whatever it is divided by.
    if not KINDS[name].is_slope and question.is_cbf:
        maps["percent"] = _percent(effect, baseline)
    return maps, discovery


def _random_fields(question, rows, threshold, mask, residuals, n, df, whole):
    """Smoothness, and each cluster's p by random fields, as SPM has them (for two tails, doubled).

    The residuals are those of ``whole``: a search restricted to a region takes its resels at the brain's smoothness.
    """
    tails = 2 if question.two_sided else 1
    try:
        smooth = random_fields.smoothness(residuals, whole, n)
        counts, voxels = random_fields.small_volume(whole, mask, smooth.fwhm)
        p = random_fields.cluster_p(
            np.array([row["size_voxels"] for row in rows], dtype=float), threshold, df, counts, smooth.fwhm
        )
    except InputError as error:
        _add(rows, "p_rft_cluster", np.full(len(rows), np.nan))
        return {"status": f"not known: {error}", "df": df, "tails": tails}
    _add(rows, "p_rft_cluster", np.minimum(tails * np.atleast_1d(p.family_wise), 1))
    return {
        "status": "known",
        "fwhm_voxels": [float(each) for each in smooth.fwhm],
        "resels": [float(each) for each in counts],
        "voxels": voxels,
        "smoothness_voxels": smooth.voxels,
        "smoothness_of": "the search volume" if question.within is None else "the whole brain, not the region alone",
        "clusters": len(rows),
        "p_set": random_fields.set_p(len(rows), threshold, df, counts, tails),
        "df": df,
        "tails": tails,
        "forming_t": threshold,
        "doubts": random_fields.doubts(smooth.fwhm, question.inference["cluster_forming_p"], df),
    }


def _sizes(rows, labels, fitted, found, name, observed, is_cbf):
    """Each cluster's mean effect with its interval, in the maps' unit, in percent and as Hedges' g."""
    if not rows:
        return
    means = effect_sizes.cluster_means(np.asarray(found.values).T, labels, len(rows))
    of = differences.fit(means.T, fitted)
    baseline = np.bincount(labels, found.baseline, len(rows) + 1)[1:] / np.bincount(labels, minlength=len(rows) + 1)[1:]
    t, df = of.t, fitted.df
    if observed.by_arm is not None:
        of_means = observed.by_arm.of(of).observed(np.arange(len(fitted.x))[None])
        t, df = of_means.v, of_means.df
    low, high = effect_sizes.interval(of.effect, t, df)
    _add(rows, "effect_mean", of.effect)
    _add(rows, "effect_low", low)
    _add(rows, "effect_high", high)
    if KINDS[name].is_slope:
        return
    size = effect_sizes.hedges_g(of.t, fitted.scale, fitted.df)
    if is_cbf:
        _add(rows, "percent_mean", _percent(of.effect, baseline))
    for key, values in (
        ("hedges_g", size.g),
        ("hedges_g_low", size.low),
        ("hedges_g_high", size.high),
    ):
        _add(rows, key, values)
