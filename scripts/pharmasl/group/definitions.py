"""What an analysis tested and how, as a block of plain values: the words that p needs to mean anything."""

from importlib import metadata

import pharmasl

METHODS = {
    "group_by_time": (
        "Group-by-time interaction estimated on within-person differences: (followup - baseline) of the treatment arm "
        "minus that of the control arm"
    ),
    "association": "Slope of a participant's change on the same person's change of the seed region, arm held fixed",
}

UNITS = {"group_by_time": "mL/100 g/min", "association": "mL/100 g/min per mL/100 g/min of the seed"}


def software():
    """Versions of what the numbers come from."""
    names = ("numpy", "scipy", "numba", "nibabel")
    return {"pharmasl": pharmasl.__version__, **{name: metadata.version(name) for name in names}}


def block(analysis, inference, arms, status, participants, excluded):
    """What is known before any number is computed.

    Parameters
    ----------
    analysis, inference, arms : dict
        Of the configuration.
    status : str
        ``run`` or ``not run: <reason>``.
    participants : list of str
        Those analysed.
    excluded : list of dict
        ``participant_id`` and ``reason``.

    Returns
    -------
    dict
    """
    effect, seed = analysis["effect"], analysis.get("seed")
    notes = []
    if seed and seed["contrast"] == analysis["contrast"]:
        notes.append(
            "seed and outcome are the same contrast: inside the seed region the outcome correlates with itself"
        )
    return {
        "status": status,
        "contrast": analysis["contrast"],
        "effect": {"name": effect, "meaning": METHODS[effect], "unit": UNITS[effect]},
        "seed": seed,
        "covariates": list(analysis.get("covariates") or []),
        "arms": {"treatment": arms["treatment"], "control": arms["control"]},
        "participants": list(participants),
        "excluded": list(excluded),
        "alpha": inference["alpha"],
        "notes": notes,
        "software": software(),
    }


def model(design):
    """The linear model and its degrees of freedom."""
    return {
        "formula": design.formula,
        "tested_term": design.terms[design.tested],
        "statistic": "Student's t, ordinary least squares, one residual variance for both arms",
        "df": design.df,
        "n": len(design.participants),
        "n_treatment": int(design.treated.sum()),
        "n_control": int((~design.treated).sum()),
        "design_sha256": design.digest(),
    }


def search_volume(mask, template_voxels, affine, participants, lost, constant):
    """Where was tested, and what was lost to missing coverage."""
    sizes = (affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    return {
        "definition": "template brain mask and a finite, non-zero value in both sessions of every participant",
        "voxels": int(mask.sum()),
        "template_voxels": int(template_voxels),
        "voxel_size_mm": [round(float(size), 4) for size in sizes],
        "voxels_without_variance": int(constant),
        "uncovered_voxels": dict(zip(participants, lost)),
    }


def permutation(number, exhaustive, log10_distinct, inference, smallest):
    """The relabellings."""
    return {
        "method": (
            "participants' changes permuted between the rows of the design; where there are covariates their residuals "
            "(Freedman and Lane 1983)"
        ),
        "number": number,
        "identity_counted": True,
        "exhaustive": exhaustive,
        "log10_distinct": round(log10_distinct, 2),
        "seed": None if exhaustive else inference["seed"],
        "smallest_attainable_p": smallest,
    }


def tests(inference, threshold, two_sided):
    """The two test statistics and what is taken over the mask."""
    tails = "both signs, apart" if two_sided else "positive only"
    return {
        "two_sided": two_sided,
        "correction": "family-wise over the mask and both signs, for voxels and for clusters each on its own",
        "voxel": {"statistic": "largest |t| in the mask" if two_sided else "largest t in the mask"},
        "cluster": {
            "statistic": "extent: voxels of the largest cluster in the mask",
            "forming_p": inference["cluster_forming_p"],
            "forming_p_meaning": "one-sided, on t, uncorrected, for either tail",
            "forming_t": threshold,
            "signs": tails,
            "neighbours": inference["neighbours"],
        },
    }
