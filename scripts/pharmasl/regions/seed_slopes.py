"""Slopes of regions' changes on the change of a seed region: within each arm, over both, and whether the arms differ.

An ``association`` over the brain asks where the change follows the seed's, arm held fixed. In a region declared before
the data are looked at the same model needs no search, and its slope can be told arm by arm:

- the slope in each arm alone, ``change ~ seed_change`` (:func:`pharmasl.group.effects.association` with ``arm``);
- the slope over both arms, arm held fixed;
- the difference of the arms' slopes, ``seed_change x arm`` (:func:`pharmasl.group.effects.association_by_arm`). That one
  arm's slope is significant and the other's is not compares nothing (Nieuwenhuis et al. 2011, doi 10.1038/nn.2886);
  this row does.

Covariates and site are the analysis' own. p by the t distribution stands beside p by permutation of the participants'
changes (Freedman and Lane's residuals, within arms, and within sites where there are several). Each arm has a residual
variance of its own (:mod:`pharmasl.statistics.arm_variances`), in the standard error and in every order: arms that
scatter differently make no false difference of slopes. Holm's p corrects for
all that the table asks: every analysis, region and group.
"""

import math
from pathlib import Path

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import design, questions
from pharmasl.group.engine import permutation
from pharmasl.statistics import arm_variances, multiplicity
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
    "t": "Slope over its standard error, in which each arm has its own residual variance",
    "df": "Degrees of freedom: residual ones within an arm, Satterthwaite's over two arms",
    "ci_low": "Lower end of the 95 % confidence interval, by the t distribution",
    "ci_high": "Upper end of the 95 % confidence interval",
    "p": "Two-sided p by the t distribution, uncorrected",
    "p_permutation": "Two-sided p by permutation within arms (Freedman and Lane), the observed order counted, uncorrected",
    "p_holm": "p_permutation corrected by Holm's method for all rows of this table, those without a p counted",
    "variance_ratio": "Residual variance in the treatment arm over that in the control arm",
    "n": "Participants with both changes",
    "adjusted_for": "Other terms of the model, the intercept apart",
    "seed_defined_by_same_data": "true: the seed is a cluster of an analysis of this trial",
    "roi_defined_by_same_data": "true: the region is a cluster of an analysis of this trial, so that its CBF was chosen "
    "by the data it is tested on; take such a slope as a description",
    "note": "Why a value is n/a",
}


def permutation_p(change, model, nuisance, orders):
    """Two-sided p of one outcome's tested term by permutation of its residuals (Freedman and Lane 1983).

    Parameters
    ----------
    change : ndarray of shape (n,)
    model : pharmasl.statistics.arm_variances.ArmVariances
    nuisance : ndarray of shape (n, terms)
        The model's other terms.
    orders : ndarray of int, shape (B, n)
        The observed order first; each keeps to the arms. Participant i's residual meets row ``orders[b, i]``.

    Returns
    -------
    float
    """
    residual = change - nuisance @ np.linalg.lstsq(nuisance, change, rcond=None)[0]
    null = np.abs(model.t(residual[np.argsort(orders, axis=1)]))
    return float(permutation.family_wise_p(null[:1], null)[0])


def slope(plan, change, arm, permutations, seed):
    """Estimate, interval and p of a design's tested term for one region.

    Parameters
    ----------
    plan : pharmasl.group.effects.Effect
    change : ndarray of shape (n,)
        Of the plan's participants, mL/100 g/min.
    arm : ndarray of str, shape (n,)
        Their arms, each with a residual variance of its own; orders keep to them.
    permutations, seed : int
        Orders, the observed one among them, and the seed they are drawn with.

    Returns
    -------
    dict
        The numbers of :data:`COLUMNS`.
    """
    change = np.asarray(change, dtype=np.float64)
    x, nuisance = plan.partition()
    terms = [name for name, weight in zip(plan.names, plan.contrast) if not weight and name != "intercept"]
    told = {"n": len(plan.participants), "adjusted_for": ", ".join(terms) or None}
    rest = change - nuisance @ np.linalg.lstsq(nuisance, change, rcond=None)[0]
    if rest @ rest <= 1e-20 * (change @ change):
        return {**told, "note": "the region's change does not vary beyond the model's other terms"}
    try:
        model = arm_variances.ArmVariances(np.column_stack([x, nuisance]), np.eye(1 + nuisance.shape[1])[0], arm)
    except ValueError as error:
        return {**told, "note": f"not tested: {error}"}
    test = model.test(change)
    if not test.se > 0:
        return {**told, "slope": test.estimate, "note": "no p: the fit is perfect"}
    sites = np.zeros(len(arm)) if plan.blocks is None else plan.blocks
    blocks = [f"{a}, {b}" for a, b in zip(arm, sites)]
    orders, _ = permutation.relabellings(plan.matrix, permutations, seed, blocks)
    return {
        **told,
        "slope": test.estimate,
        "se": test.se,
        "t": test.t,
        "df": test.df,
        "ci_low": test.ci_low,
        "ci_high": test.ci_high,
        "p": test.p,
        "p_permutation": permutation_p(change, model, nuisance, orders),
        "variances": test.variances,
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
        arm_of = {row["participant_id"]: row["arm"] for row in table}
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
                arm = np.array([arm_of[who] for who in plan.participants])
                row |= slope(plan, own, arm, inference["permutations"], inference["seed"])
                variances = row.pop("variances", {})
                if len(variances) == 2:
                    row["variance_ratio"] = _finite(arm_variances.ratio(variances, arms["treatment"], arms["control"]))
                mine.append(row)
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
