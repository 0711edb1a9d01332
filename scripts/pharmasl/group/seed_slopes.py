"""Slopes of regions' changes on the change of a seed region: within each arm, over both, and whether the arms differ.

An ``association`` over the brain asks where the change follows the seed's, arm held fixed. In a region declared before
the data are looked at the same model needs no search, and its slope can be told arm by arm:

- the slope in each arm alone, ``change ~ seed_change`` (:func:`pharmasl.group.effects.association` with ``arm``);
- the slope over both arms, arm held fixed;
- the difference of the arms' slopes, ``seed_change x arm`` (:func:`pharmasl.group.effects.association_by_arm`). That one
  arm's slope is significant and the other's is not compares nothing (Nieuwenhuis et al. 2011, doi 10.1038/nn.2886);
  this row does.

Covariates and site are the analysis' own. p by the t distribution stands beside p by permutation of the participants'
changes (Freedman and Lane's residuals, within sites where there are several): a region is tested as a voxel of the
analysis is, with the same orders of participants where those who take part are the same. Holm's p corrects for
all that the table asks: every analysis, region and group.
"""

import math
from pathlib import Path

import numpy as np
from scipy import special

from pharmasl import tables
from pharmasl.errors import InputError
from pharmasl.group import design, effect_sizes, glm, permutation, questions
from pharmasl.statistics import multiplicity
from pharmasl.study import arms as study_arms

COLUMNS = {
    "analysis": "Analysis whose seed, contrasts, covariates, site and sessions are taken",
    "seed": "Seed region",
    "seed_contrast": "Contrast of conditions whose change in the seed is the predictor",
    "roi": "Region of interest",
    "contrast": "Contrast of conditions whose change in the region is explained",
    "group": "all (arm held fixed), the arm within which, or 'treatment - control': the difference of the arms' slopes",
    "slope": {"Description": "Slope, or difference of slopes", "Units": "mL/100 g/min per mL/100 g/min of the seed"},
    "se": {"Description": "Standard error of the slope", "Units": "mL/100 g/min per mL/100 g/min of the seed"},
    "t": "Student's t of the slope",
    "df": "Residual degrees of freedom",
    "ci_low": "Lower end of the 95 % confidence interval, by the t distribution",
    "ci_high": "Upper end of the 95 % confidence interval",
    "p": "Two-sided p by the t distribution, uncorrected",
    "p_permutation": "Two-sided p by permutation (Freedman and Lane), the observed order counted, uncorrected",
    "p_holm": "p_permutation corrected by Holm's method for all rows of this table, those without a p counted",
    "n": "Participants with both changes",
    "adjusted_for": "Other terms of the model, the intercept apart",
    "seed_defined_by_same_data": "true: the seed is a cluster of an analysis of this trial",
    "roi_defined_by_same_data": "true: the region is a cluster of an analysis of this trial, so that its CBF was chosen "
    "by the data it is tested on; take such a slope as a description",
    "note": "Why a value is n/a",
}


def permutation_p(change, model, orders):
    """Two-sided p of one outcome's tested term by permutation of its residuals (Freedman and Lane 1983).

    Parameters
    ----------
    change : ndarray of shape (n,)
    model : pharmasl.group.glm.Model
    orders : ndarray of int, shape (B, n)
        The observed order among them.

    Returns
    -------
    float
    """
    fit = glm.fit(np.array(change, dtype=np.float64)[None], model)
    residual = fit.residuals[0]
    b = model.x[orders] @ residual
    explained = sum(((column[orders] @ residual) ** 2 for column in model.basis.T), np.zeros(len(orders)))
    with np.errstate(divide="ignore"):
        null = np.abs(b) * np.sqrt(model.df / np.maximum(1 - explained - b * b, 0))
    return float(permutation.family_wise_p(np.abs(fit.t), null)[0])


def slope(plan, change, permutations, seed):
    """Estimate, interval and p of a design's tested term for one region.

    Parameters
    ----------
    plan : pharmasl.group.effects.Effect
    change : ndarray of shape (n,)
        Of the plan's participants, mL/100 g/min.
    permutations, seed : int
        Orders, the observed one among them, and the seed they are drawn with.

    Returns
    -------
    dict
        The numbers of :data:`COLUMNS`.
    """
    model = glm.model(*plan.partition())
    fit = glm.fit(np.array(change, dtype=np.float64)[None], model)
    terms = [name for name, weight in zip(plan.names, plan.contrast) if not weight and name != "intercept"]
    told = {"df": model.df, "n": len(plan.participants), "adjusted_for": ", ".join(terms) or None}
    if not fit.varies[0]:
        return {**told, "note": "the region's change does not vary beyond the model's other terms"}
    if not np.isfinite(fit.t[0]):
        return {**told, "slope": float(fit.effect[0]), "note": "no p: the fit is perfect"}
    low, high = effect_sizes.interval(fit.effect, fit.t, model.df)
    orders, _ = permutation.relabellings(plan.matrix, permutations, seed, plan.blocks)
    return {
        **told,
        "slope": float(fit.effect[0]),
        "se": float(fit.effect[0] / fit.t[0]) if fit.t[0] else None,
        "t": float(fit.t[0]),
        "ci_low": _finite(low[0]),
        "ci_high": _finite(high[0]),
        "p": float(2 * special.stdtr(model.df, -abs(fit.t[0]))),
        "p_permutation": permutation_p(change, model, orders),
    }


def _finite(value):
    return float(value) if math.isfinite(value) else None


def _asked(analysis, arms):
    """The groups of an analysis' rows, each with the analysis that it is."""
    plain = {key: value for key, value in analysis.items() if key != "arm"} | {"effect": "association"}
    if analysis.get("arm"):
        return [(analysis["arm"], {**plain, "arm": analysis["arm"]})]
    first, second = arms["treatment"], arms["control"]
    return [
        (first, {**plain, "arm": first}),
        (second, {**plain, "arm": second}),
        ("all", plain),
        (f"{first} - {second}", {**plain, "effect": "association_by_arm"}),
    ]


def rows(analyses, rois, values, defined, arms, participants, file):
    """The table's rows.

    Parameters
    ----------
    analyses : dict
        Name to ``settings`` (of the configuration, ``inference`` included), ``members`` (those who enter it) and
        ``sessions`` (labels of ``baseline`` and ``followup``); of effects with a seed alone.
    rois : list of str
        Regions; the seed of an analysis is not tested against itself.
    values : dict
        Region to the path of its ``{roi}_values.tsv``, the seeds among them.
    defined : dict
        Region to whether it is a cluster of an analysis of this trial.
    arms : dict
    participants : list of dict
        Rows of the participants' table.
    file : path-like
        That table, for messages.

    Returns
    -------
    list of dict
        Keys of :data:`COLUMNS`.

    Raises
    ------
    InputError
        For values that the tables of regions do not hold.
    """
    found = []
    for name, asked in analyses.items():
        analysis, sessions = asked["settings"], asked["sessions"]
        inference, seed = analysis["inference"], analysis["seed"]
        table = study_arms.used(participants, study_arms.all_columns(analysis))
        members = questions.members(analysis, arms, asked["members"], table)
        seed_change = design.seed_changes(values[seed["roi"]], members, seed["contrast"], sessions)
        mine = []
        for roi in (roi for roi in rois if roi != seed["roi"]):
            change = design.seed_changes(values[roi], members, analysis["contrast"], sessions)
            known = np.isfinite(seed_change) & np.isfinite(change)
            people = [who for who, k in zip(members, known) if k]
            of = dict(zip(members, change))
            for group, question in _asked(analysis, arms):
                row = {
                    "analysis": name,
                    "seed": seed["roi"],
                    "seed_contrast": seed["contrast"],
                    "roi": roi,
                    "contrast": analysis["contrast"],
                    "group": group,
                    "seed_defined_by_same_data": defined[seed["roi"]],
                    "roi_defined_by_same_data": defined[roi],
                }
                try:
                    plan = questions.build(question, arms, people, table, file, seed_change[known])
                except InputError as error:
                    # What is wrong with the table itself has stopped the analysis over the brain before.
                    mine.append({**row, "note": f"not tested: {error.field}: {error.found}"})
                    continue
                own = np.array([of[who] for who in plan.participants])
                mine.append({**row, **slope(plan, own, inference["permutations"], inference["seed"])})
        found += mine
    asked_p = [row.get("p_permutation", math.nan) for row in found]
    for row, p in zip(found, multiplicity.holm(asked_p)):
        row["p_holm"] = _finite(p)
    return [{name: row.get(name) for name in COLUMNS} for row in found]


def write(given, output, *, analyses, rois, arms):
    """Write the table.

    Parameters
    ----------
    given : dict
        Paths: ``participants``; ``values`` and ``sidecars``, lists of ``{roi}_values.tsv`` and of ``{roi}_mask.json``
        in one order, of the regions and the seeds.
    output : path-like
    analyses, rois, arms
        As :func:`rows`.

    Raises
    ------
    InputError
        As :func:`rows`.
    """
    values, defined = {}, {}
    for path, sidecar in zip(given["values"], given["sidecars"], strict=True):
        # By the file's name: a table may be without rows.
        roi = Path(path).name.removesuffix("_values.tsv")
        values[roi], defined[roi] = path, bool(tables.read_json(sidecar)["analysis_defined"])
    people = tables.read_table(given["participants"], of_arms=True)
    columns = {name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()}
    columns["p_permutation"]["Permutations"] = {
        name: {key: asked["settings"]["inference"][key] for key in ("permutations", "seed")}
        for name, asked in analyses.items()
    }
    found = rows(analyses, rois, values, defined, arms, people, given["participants"])
    tables.write_table(output, found, columns)
