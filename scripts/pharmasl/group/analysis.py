"""One analysis from maps to maps: read, fit, permute, write."""

import math

import numpy as np
from scipy import special
from threadpoolctl import threadpool_limits

from pharmasl import images, tables
from pharmasl.errors import InputError
from pharmasl.group import clusters, definitions, design, glm, maps, permutation

NULL_COLUMNS = {
    "relabelling": "0 is the observed labelling",
    "max_t": "Largest t in the mask; 0 where none is positive",
    "min_t": "Smallest t in the mask; 0 where none is negative",
    "extent_positive": {"Description": "Largest cluster of t above the cluster-forming t", "Units": "voxels"},
    "extent_negative": {"Description": "Largest cluster of t below minus the cluster-forming t", "Units": "voxels"},
}


def check_inference(inference):
    """Raise an InputError for a setting that permutation inference cannot use."""
    rules = {
        "permutations": (lambda v: isinstance(v, int) and v >= 20, "a whole number, at least 20"),
        "seed": (lambda v: isinstance(v, int) and v >= 0, "a whole number, at least 0"),
        "cluster_forming_p": (lambda v: 0 < v <= 0.1, "above 0, at most 0.1"),
        "neighbours": (lambda v: v in (6, 18, 26), "6, 18 or 26"),
        "alpha": (lambda v: 0 < v < 1, "between 0 and 1"),
    }
    for key, (good, expected) in rules.items():
        if key not in inference or not good(inference[key]):
            raise InputError(
                "configuration", f"inference.{key}", inference.get(key), expected, "Mend inference in the config."
            )


def run(
    baseline,
    followup,
    participants_table,
    template_mask,
    seed_table,
    outputs,
    *,
    analysis,
    inference,
    arms,
    participants,
    sessions=None,
    threads=1,
):
    """Test an effect on change at every voxel.

    Parameters
    ----------
    baseline, followup : list of path-like
        Contrast maps, one a participant, in the order of ``participants``.
    participants_table : path-like
        ``study/participants.tsv``.
    template_mask : path-like
    seed_table : path-like or None
        ``rois/{roi}_values.tsv`` of an association.
    outputs : object
        Attributes ``effect, t, z, voxel_pfwe, cluster_pfwe, mask, clusters, design, null, inference``: paths.
    analysis : dict
        ``effect``, ``contrast``, ``covariates``, ``seed`` (``roi``, ``contrast``).
    inference : dict
        ``permutations``, ``seed``, ``cluster_forming_p``, ``neighbours``, ``alpha``, ``two_sided`` (true).
    arms : dict
        ``treatment``, ``control``.
    participants : list of str
    sessions : dict, optional
        ``baseline``, ``followup``: labels, needed by an association.
    threads : int

    Raises
    ------
    InputError
        For maps, tables, designs or settings that cannot be used; nothing is written then.
    """
    check_inference(inference)
    if not len(participants) == len(baseline) == len(followup):
        raise InputError(
            "configuration",
            "participants of the analysis",
            f"{len(participants)} participants, {len(baseline)} baseline and {len(followup)} follow-up maps",
            "as many of each",
            "Exclude participants without both sessions.",
        )
    seed_change, excluded = None, []
    if analysis["effect"] == "association":
        if seed_table is None or not sessions:
            raise InputError(
                "configuration", "analyses.seed", None, "a seed region", "Name roi and contrast of the seed."
            )
        seed_change = design.seed_changes(seed_table, participants, analysis["seed"]["contrast"], sessions)
        known = np.isfinite(seed_change)
        reason = "the seed region is empty, not covered or without a usable scan in a session"
        excluded = [{"participant_id": name, "reason": reason} for name, k in zip(participants, known) if not k]
        if not known.any():
            reason = f"seed {analysis['seed']['roi']} has no values"
            return _not_run(reason, template_mask, outputs, analysis, inference, arms, excluded)
        seed_change = seed_change[known]
    table, covariates = tables.read_table(participants_table), analysis.get("covariates") or []
    # What is wrong with the table or the configuration is wrong for all, and found before the maps are read; what fails
    # below for those who are left fails for want of seeds or of usable scans.
    design.build("group_by_time", participants, table, arms, covariates, participants_table)
    want = []
    if excluded:
        want.append(f"a value of seed {analysis['seed']['roi']}")
        baseline, followup, participants = (
            [item for item, k in zip(items, known) if k] for items in (baseline, followup, participants)
        )
    found = maps.changes(baseline, followup, template_mask)
    unusable = missing_maps(participants, found[-1], analysis["contrast"], sessions)
    if unusable:
        want.append(f"usable scans of {analysis['contrast']}")
        known = np.array([name not in unusable for name in participants])
        participants = [name for name, k in zip(participants, known) if k]
        seed_change = seed_change if seed_change is None else seed_change[known]
        excluded += [{"participant_id": name, "reason": reason} for name, reason in unusable.items()]
    try:
        plan = design.build(analysis["effect"], participants, table, arms, covariates, participants_table, seed_change)
    except InputError as error:
        if not excluded:
            raise
        reason = f"too few participants have {' and '.join(want)}: {error}"
        return _not_run(reason, template_mask, outputs, analysis, inference, arms, excluded)
    # One BLAS thread: its sums, and so the bytes written, do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        return _compute(plan, found, followup, outputs, analysis, inference, arms, excluded, threads)


def missing_maps(participants, empty, contrast, sessions=None):
    """Who has a map without any value, and why.

    Parameters
    ----------
    participants : list of str
    empty : list of tuple of bool
        Of :func:`pharmasl.group.maps.changes`.
    contrast : str
    sessions : dict, optional
        ``baseline``, ``followup``: labels.

    Returns
    -------
    dict
        Participant to the reason.
    """
    labels = [(sessions or {}).get(which, which) for which in ("baseline", "followup")]
    return {
        name: (
            f"no CBF of {contrast} at {' and '.join(label for label, none in zip(labels, lacks) if none)}: "
            "the scan is excluded or covers nothing"
        )
        for name, lacks in zip(participants, empty)
        if any(lacks)
    }


def _compute(plan, found, followup, outputs, analysis, inference, arms, excluded, threads):
    data, mask, affine, template_voxels, lost, _ = found
    model = glm.model(plan.x, plan.nuisance)
    fit = glm.fit(data, model)
    constant = int((~fit.varies).sum())
    residuals, effect, t = fit.residuals, fit.effect, fit.t
    if constant:
        if constant == len(t):
            raise InputError(followup[0], "voxels", "no change varies", "maps of different participants", "Check them.")
        mask[mask] = fit.varies
        residuals, effect, t = residuals[fit.varies], effect[fit.varies], t[fit.varies]

    two_sided = bool(inference.get("two_sided", True))
    threshold = float(special.stdtrit(model.df, 1 - inference["cluster_forming_p"]))
    lattice = clusters.Lattice(mask, inference["neighbours"])
    relabellings, exhaustive = permutation.relabellings(plan.matrix, inference["permutations"], inference["seed"])
    null = permutation.null_distribution(residuals, model, relabellings, lattice, threshold, threads=threads)

    tested = np.abs(t) if two_sided else t
    voxel_p = permutation.family_wise_p(tested, null.largest_t(two_sided))
    labels, sizes = clusters.label(t if two_sided else np.maximum(t, 0), threshold, lattice)
    cluster_p = permutation.family_wise_p(sizes, null.largest_extent(two_sided))
    p_of_label = np.concatenate([[1.0], cluster_p])

    significant = cluster_p <= inference["alpha"] + 1e-12
    summary = definitions.block(analysis, inference, arms, "run", plan.participants, excluded)
    summary["model"] = definitions.model(plan)
    summary["search_volume"] = definitions.search_volume(
        mask, template_voxels, affine, plan.participants, lost, constant
    )
    summary["permutation"] = definitions.permutation(
        len(relabellings),
        exhaustive,
        permutation.log10_distinct(plan.matrix),
        inference,
        permutation.smallest_p(model, relabellings, two_sided),
    )
    summary["tests"] = definitions.tests(inference, threshold, two_sided)
    summary["tests"]["voxel"]["critical_t"] = _finite(
        permutation.critical_value(null.largest_t(two_sided), inference["alpha"])
    )
    summary["tests"]["cluster"]["critical_extent_voxels"] = _finite(
        permutation.critical_value(null.largest_extent(two_sided), inference["alpha"])
    )
    summary["result"] = {
        "clusters": len(sizes),
        "significant_clusters": int(significant.sum()),
        "significant_voxels": int((voxel_p <= inference["alpha"] + 1e-12).sum()),
        "largest_t": float(t.max()),
        "smallest_t": float(t.min()),
    }

    for name, values in (
        ("effect", effect),
        ("t", t),
        ("z", glm.t_to_z(t, model.df)),
        ("voxel_pfwe", -np.log10(voxel_p)),
        ("cluster_pfwe", -np.log10(p_of_label[labels])),
    ):
        # + 0.0: the logarithm of 1 is written 0, not -0.
        images.save(getattr(outputs, name), maps.fill(values + 0.0, mask), affine)
    images.save(outputs.mask, mask, affine, dtype=np.uint8)
    images.save(outputs.clusters, maps.fill(labels, mask, outside=0), affine, dtype=_label_type(len(sizes)))
    plan.write(outputs.design)
    columns = (null.max_t, null.min_t, null.extent_positive, null.extent_negative)
    rows = (
        dict(zip(NULL_COLUMNS, (number, *values))) for number, values in enumerate(zip(*(c.tolist() for c in columns)))
    )
    tables.write_table(outputs.null, rows, NULL_COLUMNS)
    tables.write_json(outputs.inference, summary)


def _finite(value):
    return value if math.isfinite(value) else None


def _label_type(number):
    return np.int16 if number <= np.iinfo(np.int16).max else np.int32


def _not_run(reason, template_mask, outputs, analysis, inference, arms, excluded):
    """Write what a skipped analysis owes: maps of NaN, no clusters, empty tables, and why."""
    voxels, affine = images.load(template_mask)
    for name in ("effect", "t", "z", "voxel_pfwe", "cluster_pfwe"):
        images.save(getattr(outputs, name), np.full(voxels.shape, np.nan), affine)
    images.save(outputs.mask, np.zeros(voxels.shape), affine, dtype=np.uint8)
    images.save(outputs.clusters, np.zeros(voxels.shape), affine, dtype=np.int16)
    tables.write_table(outputs.design, [], {"participant_id": "Participant"})
    tables.write_table(outputs.null, [], NULL_COLUMNS)
    status = f"not run: {reason}"
    tables.write_json(outputs.inference, definitions.block(analysis, inference, arms, status, [], excluded))
