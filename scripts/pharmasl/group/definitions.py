"""What an analysis tested and how, as a block of plain values: the words that p needs to mean anything."""

from importlib import metadata

import pharmasl
from pharmasl.group.engine import statistic
from pharmasl.study.effect_kinds import KINDS

ESTIMATORS = {
    "differences": "within-person differences, ordinary least squares",
    "full_factorial": "all scans in one model with one covariance for the brain (SPM's full factorial)",
    "mixed_model": "all scans, a random intercept for each participant",
}


def software():
    """Versions of what the numbers come from."""
    names = ("numpy", "scipy", "numba", "nibabel")
    return {"pharmasl": pharmasl.__version__, **{name: metadata.version(name) for name in names}}


def block(question, status, participants):
    """What is known before any number is computed.

    Parameters
    ----------
    question : object
        ``analysis``, ``inference``, ``arms`` of the configuration, and ``excluded``: ``participant_id`` and ``reason``.
    status : str
        ``run`` or ``not run: <reason>``.
    participants : list of str
        Those analysed.

    Returns
    -------
    dict
    """
    analysis, arms = question.analysis, question.arms
    kind, seed = KINDS[analysis["effect"]], analysis.get("seed")
    return {
        "status": status,
        "contrast": analysis["contrast"],
        "effect": {"name": kind.name, "meaning": kind.meaning_of(analysis.get("arm")), "unit": kind.unit},
        "method": ESTIMATORS[analysis.get("method", "differences")],
        "seed": seed,
        "within": analysis.get("within"),
        "arm": analysis.get("arm"),
        "pair": analysis.get("pair"),
        "predictor": analysis.get("predictor"),
        "site": analysis.get("site"),
        "covariates": list(analysis.get("covariates") or []),
        "arms": {"treatment": arms["treatment"], "control": arms["control"]},
        "participants": list(participants),
        "excluded": list(question.excluded),
        "alpha": question.inference["alpha"],
        # Of an analysis that was run.
        "verdict": None,
        "notes": list(question.shared),
        "percent": None if question.is_cbf else "none: a contrast of states has no baseline to be a percentage of",
        "software": software(),
    }


def model(plan, observed=None):
    """The linear model and its degrees of freedom; ``observed`` is its statistic, where it is one of a permutation."""
    kind = statistic.EQUAL if observed is None else observed.kind
    df, df_range = (plan.df, None) if observed is None else statistic.median_df(observed)
    told_variance = None if observed is None else statistic.note(observed.variances, kind)
    tested = [name for name, weight in zip(plan.names, plan.contrast) if weight]
    told = {
        "formula": plan.formula.split(";")[0],
        "meaning": plan.meaning,
        "tested_term": " - ".join(tested),
        "statistic": statistic.WORDS[kind],
        "df": df,
        **({} if df_range is None else {"df_range": df_range}),
        "n": len(plan.participants),
        "blocks": None if plan.blocks is None else int(plan.blocks.max()) + 1,
        "design_sha256": plan.digest(),
        "notes": [*plan.notes, *filter(None, [told_variance])],
    }
    if "arm" in plan.names:
        treated = plan.matrix[:, plan.names.index("arm")] > 0
        told |= {"n_treatment": int(treated.sum()), "n_control": int((~treated).sum())}
    return told


def search_volume(found, question, participants, constant):
    """Where was tested, and what was lost to missing coverage."""
    sizes = (found.affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    words = "template brain mask and a finite, non-zero value in every map of every participant"
    if question.analysis.get("within"):
        words += f", within the region {question.analysis['within']}"
    lost = {}
    for name, number in zip(participants, found.lost):
        lost[name] = max(number, lost.get(name, 0))
    return {
        "definition": words,
        "voxels": int(found.mask.sum()),
        "template_voxels": int(found.template_voxels),
        "voxel_size_mm": [round(float(size), 4) for size in sizes],
        "voxels_without_variance": int(constant),
        "uncovered_voxels": lost,
    }


def permutation(plan, number, exhaustive, log10_distinct, inference, smallest):
    """The relabellings."""
    if plan.exchange == "flip":
        words = "signs of participants' whole changes flipped: under the null a change is as likely up as down"
    else:
        words = (
            "participants' changes permuted between the rows of the design; where there are covariates their residuals "
            "(Freedman and Lane 1983)"
        )
        if plan.blocks is not None:
            words += ", within sites only"
    return {
        "method": words,
        "number": number,
        "identity_counted": True,
        "exhaustive": exhaustive,
        "log10_distinct": round(float(log10_distinct), 2),
        "seed": None if exhaustive else inference["seed"],
        "smallest_attainable_p": smallest,
    }


def statistics(inference, threshold, two_sided, mass, enhancement, *, fields=False, scale="t", heights="t"):
    """The test statistics and what is taken over the mask, each choice with a program that makes the same one."""
    tails = "both signs, apart" if two_sided else "positive only"
    how = "by random fields (as SPM)" if fields else "over relabellings"
    largest = f"largest |{heights}| in the mask" if two_sided else f"largest {heights} in the mask"
    forming = {
        "forming_p": inference["cluster_forming_p"],
        "forming_p_meaning": f"one-sided, on {heights if scale == 't' else scale}, uncorrected, for either tail",
        "forming_t": threshold,
        "signs": tails,
        "neighbours": inference["neighbours"],
        "neighbours_as": {6: "nilearn", 18: "SPM", 26: "FSL, PALM"}[inference["neighbours"]],
    }
    told = {
        "two_sided": two_sided,
        "correction": "family-wise over the mask and both signs, for each statistic on its own"
        if scale == "t"
        else "false discovery rate alone",
        "voxel": {"statistic": f"{largest} {how}" if scale == "t" else "false discovery rate of voxels"},
        "cluster": {"statistic": f"extent: voxels of the largest cluster in the mask {how}", **forming},
    }
    if mass:
        base = "above the cluster-forming threshold (as nilearn)" if mass == "excess" else "in all (as FSL)"
        told["mass"] = {
            "statistic": f"mass of the heaviest cluster: sum of |{inference.get('scale', 't') if heights == 't' else heights}| {base}",
            **forming,
        }
    if enhancement is not None:
        told["tfce"] = {
            "statistic": "largest threshold-free cluster enhancement, integrated exactly (Smith and Nichols 2009)",
            "extent_power": enhancement.extent_power,
            "height_power": enhancement.height_power,
            "neighbours": enhancement.neighbours,
            "scale": enhancement.scale if heights == "t" else heights,
        }
    return told
