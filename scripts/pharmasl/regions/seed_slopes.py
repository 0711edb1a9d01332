"""Slopes of regions' changes on the change of a seed region: within each arm, over both, and whether the arms differ.

An ``association`` over the brain asks where the change follows the seed's, arm held fixed. In a region declared before
the data are looked at the same model needs no search, and its slope can be estimated arm by arm:

- the slope in each arm alone, ``change ~ seed_change`` (the effect ``association`` with ``arm``);
- the slope over both arms, arm held fixed;
- the difference of the arms' slopes, ``seed_change x arm`` (the effect ``association_by_arm``). That one arm's slope is
  significant and the other's is not compares nothing (Nieuwenhuis et al. 2011, doi 10.1038/nn.2886); this row does.

Covariates and site are the analysis' own. p by the t distribution stands beside p by permutation of the participants'
changes (Freedman and Lane's residuals, within arms, and within sites where there are several). Each arm has a residual
variance of its own (:mod:`pharmasl.statistics.arm_variances`), in the standard error and in every order: arms that
scatter differently make no false difference of slopes. Holm's p corrects for all rows of the table: every analysis, region and
group.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group import design, effects
from pharmasl.group.engine import maxima, relabelling
from pharmasl.group.model import Model
from pharmasl.regions import region_values
from pharmasl.statistics import arm_variances, multiplicity
from pharmasl.statistics.covariates import Row
from pharmasl.study import arms as study_arms
from pharmasl.study import settings
from pharmasl.study.effect_kinds import CHANGE
from pharmasl.study.settings import Analysis, Arms, Seed

COLUMNS = {
    "analysis": "Analysis whose seed, contrasts, covariates, site and sessions are taken",
    "seed": "Seed region",
    "seed_contrast": "Contrast of conditions whose change in the seed is the predictor",
    "roi": "Region of interest",
    "contrast": "Contrast of conditions whose change in the region is explained",
    "group": "all (arm held fixed), the arm within which, or 'treatment - control': the difference of the arms' slopes",
    "slope": "Slope, or difference of slopes",
    "se": "Standard error of the slope",
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


@dataclass(frozen=True, kw_only=True)
class SeededAnalysis:
    """An analysis with a seed, and the participants and sessions that it takes.

    Attributes
    ----------
    analysis : pharmasl.study.settings.Analysis
    members : list of str
    sessions : mapping
        ``baseline`` and ``followup`` to labels.
    """

    analysis: Analysis
    members: list[str]
    sessions: Mapping[str, str]

    @property
    def seed(self) -> Seed:
        """The seed region and its contrast."""
        if self.analysis.seed is None:
            raise ValueError(f"the analysis {self.analysis.name} has no seed")
        return self.analysis.seed


@dataclass(frozen=True, kw_only=True)
class RegionFiles:
    """The table of a region's values, and whether the region is a cluster of an analysis of this trial."""

    values: FilePath
    analysis_defined: bool


def permutation_p(
    change: np.ndarray, variances: arm_variances.ArmVariances, nuisance: np.ndarray, orders: np.ndarray
) -> float:
    """Two-sided p of one outcome's tested term by permutation of its residuals (Freedman and Lane 1983).

    Parameters
    ----------
    change : ndarray of shape (n,)
    variances : pharmasl.statistics.arm_variances.ArmVariances
        The model, with a residual variance per arm.
    nuisance : ndarray of shape (n, terms)
        The model's other terms.
    orders : ndarray of int, shape (B, n)
        The observed order first; each keeps to the arms. Participant i's residual meets row ``orders[b, i]``.
    """
    residual = change - nuisance @ np.linalg.lstsq(nuisance, change, rcond=None)[0]
    null = np.abs(variances.t(residual[np.argsort(orders, axis=1)]))
    return float(maxima.family_wise_p(null[:1], null)[0])


def slope(model: Model, change: np.ndarray, arm: np.ndarray, *, permutations: int, seed: int) -> dict[str, Any]:
    """Estimate, interval and p of a model's tested term for one region.

    Parameters
    ----------
    model : pharmasl.group.model.Model
    change : ndarray of shape (n,)
        Of the model's participants, mL/100 g/min.
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
    x, nuisance = model.partition()
    others = [name for name in model.names if name not in model.tested and name != "intercept"]
    common = {"n": len(model.participants), "adjusted_for": ", ".join(others) or None}
    rest = change - nuisance @ np.linalg.lstsq(nuisance, change, rcond=None)[0]
    if rest @ rest <= 1e-20 * (change @ change):
        return {**common, "note": "the region's change does not vary beyond the model's other terms"}
    try:
        variances = arm_variances.ArmVariances(np.column_stack([x, nuisance]), np.eye(1 + nuisance.shape[1])[0], arm)
    except ValueError as error:
        return {**common, "note": f"not tested: {error}"}
    test = variances.test(change)
    if not test.se > 0:
        return {**common, "slope": test.estimate, "note": "no p: the fit is perfect"}
    sites = np.zeros(len(arm)) if model.blocks is None else model.blocks
    blocks = [f"{a}, {b}" for a, b in zip(arm, sites)]
    orders, _ = relabelling.relabellings(model.matrix, permutations, seed, blocks)
    return {
        **common,
        "slope": test.estimate,
        "se": test.se,
        "t": test.t,
        "df": test.df,
        "ci_low": test.ci_low,
        "ci_high": test.ci_high,
        "p": test.p,
        "p_permutation": permutation_p(change, variances, nuisance, orders),
        "variances": test.variances,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _groups(analysis: Analysis, arms: Arms) -> list[tuple[str, Analysis]]:
    """The groups of an analysis' rows, each with the analysis that it is."""
    common = {name: value for name, value in settings.plain(analysis).items() if name not in ("effect", "arm")}

    def asked(effect: str, arm: str | None = None) -> Analysis:
        return settings.build(Analysis, {**common, "effect": effect, "arm": arm})

    first, second = arms.treatment, arms.control
    if analysis.arm:
        return [(analysis.arm, asked("association", analysis.arm))]
    return [
        (first, asked("association", first)),
        (second, asked("association", second)),
        ("all", asked("association")),
        (f"{first} - {second}", asked("association_by_arm")),
    ]


def rows(
    analyses: Sequence[SeededAnalysis],
    rois: Sequence[str],
    regions: Mapping[str, RegionFiles],
    arms: Arms,
    participants: Sequence[Row],
    file: FilePath,
) -> list[dict[str, Any]]:
    """The table's rows.

    Parameters
    ----------
    analyses : sequence of SeededAnalysis
    rois : sequence of str
        Regions; the seed of an analysis is not tested against itself.
    regions : mapping
        Region to its files, the seeds among them.
    arms : pharmasl.study.settings.Arms
    participants : sequence of mapping
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
    rows: list[dict[str, Any]] = []
    for asked in analyses:
        table = study_arms.used(participants, asked.analysis.terms)
        for roi in rois:
            if roi != asked.seed.roi:
                rows += _region_rows(asked, roi, regions, arms, table, file)
    p_values = [row.get("p_permutation", math.nan) for row in rows]
    for row, p in zip(rows, multiplicity.holm(p_values)):
        row["p_holm"] = _finite(p)
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


def _region_rows(
    asked: SeededAnalysis,
    roi: str,
    regions: Mapping[str, RegionFiles],
    arms: Arms,
    table: Sequence[Row],
    file: FilePath,
) -> list[dict[str, Any]]:
    """The rows of one region and analysis, one per group."""
    analysis, seed = asked.analysis, asked.seed
    members = effects.members(analysis, arms, asked.members, table)
    arm_of = {row["participant_id"]: row["arm"] for row in table}
    seed_change = design.region_values(regions[seed.roi].values, members, seed.contrast, asked.sessions, CHANGE)
    change = design.region_values(regions[roi].values, members, analysis.contrast, asked.sessions, CHANGE)
    known = np.isfinite(seed_change) & np.isfinite(change)
    people = [who for who, finite in zip(members, known) if finite]
    change_of = dict(zip(members, change))
    written = []
    for group, question in _groups(analysis, arms):
        row: dict[str, Any] = {
            "analysis": analysis.name,
            "seed": seed.roi,
            "seed_contrast": seed.contrast,
            "roi": roi,
            "contrast": analysis.contrast,
            "group": group,
            "seed_defined_by_same_data": regions[seed.roi].analysis_defined,
            "roi_defined_by_same_data": regions[roi].analysis_defined,
        }
        written.append(row)
        try:
            model = effects.build(question, arms, people, table, file, seed_change[known])
        except InputError as error:
            # What is wrong with the table itself has stopped the analysis over the brain before.
            row["note"] = f"not tested: {error.field}: {error.found}"
            continue
        own = np.array([change_of[who] for who in model.participants])
        arm = np.array([arm_of[who] for who in model.participants])
        row |= slope(model, own, arm, permutations=analysis.inference.permutations, seed=analysis.inference.seed)
        variances: Mapping[str, float] = row.pop("variances", {})
        if len(variances) == 2:
            row["variance_ratio"] = _finite(arm_variances.ratio(variances, arms.treatment, arms.control))
    return written


def _unit(asked: SeededAnalysis, regions: Mapping[str, RegionFiles]) -> str:
    """The unit of an analysis' slopes."""
    column = tables.read_json(Path(regions[asked.seed.roi].values).with_suffix(".json"))["cbf"]
    of_region, of_seed = (
        region_values.unit_of(column, name) for name in (asked.analysis.contrast, asked.seed.contrast)
    )
    return f"{of_region} per {of_seed} of the seed"


def write(
    participants: FilePath,
    values: Sequence[FilePath],
    sidecars: Sequence[FilePath],
    output: FilePath,
    *,
    analyses: Sequence[SeededAnalysis],
    rois: Sequence[str],
    arms: Arms,
) -> None:
    """Write the table.

    Parameters
    ----------
    participants : path-like
        The participants' table.
    values, sidecars : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json``, in one order, of the regions and the seeds.
    output : path-like
    analyses, rois, arms
        As :func:`rows`.

    Raises
    ------
    InputError
        As :func:`rows`.
    """
    regions = {}
    for path, sidecar in zip(values, sidecars, strict=True):
        # By the file's name: a table may be without rows.
        roi = Path(path).name.removesuffix("_values.tsv")
        defined = bool(tables.read_json(sidecar)["AnalysisDefined"])
        regions[roi] = RegionFiles(values=path, analysis_defined=defined)
    table = tables.read_table(participants, of_arms=True)
    columns: dict[str, dict[str, Any]] = {name: {"Description": text} for name, text in COLUMNS.items()}
    units = {asked.analysis.name: _unit(asked, regions) for asked in analyses}
    for name in ("slope", "se"):
        # One unit where all have it, as the data dictionaries of BIDS have it.
        alike = set(units.values())
        columns[name] |= {"Units": alike.pop()} if len(alike) == 1 else {"UnitsByAnalysis": units}
    columns["p_permutation"]["Permutations"] = {
        asked.analysis.name: {
            "permutations": asked.analysis.inference.permutations,
            "seed": asked.analysis.inference.seed,
        }
        for asked in analyses
    }
    tables.write_table(output, rows(analyses, rois, regions, arms, table, participants), columns)
