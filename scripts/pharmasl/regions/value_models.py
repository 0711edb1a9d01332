"""A model of the group stage fitted to regions' values: estimates, intervals, and p corrected over the regions.

A region is to the model what a voxel is, without neighbours. Each is fitted by ordinary least squares (a residual variance per
arm where the analysis has it); a column that is multiplied by a map takes the map's mean in the region, centred over the
participants, so that the region's own baseline adjusts its own outcome. One effect is tested by t, several together by F.

Corrected p come from the largest statistic over the regions in each relabelling (max-T; Westfall and Young 1993), with the
relabellings of the analysis' maps: same seed, same design, same scheme. They hold for regions in which every participant has a value.
A region that lacks participants is fitted without them, and those who are left are exchangeable among themselves only. So that
one family-wise error holds over all regions, each has an equal share of it: of R regions, C of them complete, the p of max-T
over the complete ones is multiplied by R / C, and the p of each other by R (Bonferroni's inequality). With all regions complete
this is max-T alone. Holm's p over all R regions stands beside, which needs no relabelling.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.errors import InputError
from pharmasl.group.engine import differences, glm, maxima, relabelling, statistic
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.model import Model
from pharmasl.regions import least_squares, value_permutations
from pharmasl.regions.least_squares import LeastSquares
from pharmasl.regions.value_permutations import RegionForm
from pharmasl.statistics import effect_sizes, multiplicity, noncentral_t
from pharmasl.statistics.detectable_effects import t_of_z
from pharmasl.study.effect_kinds import FLIP
from pharmasl.study.settings import Inference

MAX_T, BONFERRONI, HOLM = "max-T", "Bonferroni", "Holm"


@dataclass(frozen=True, kw_only=True)
class Values:
    """What is known of R regions, a row per row of the model.

    Attributes
    ----------
    outcome : ndarray of shape (n, R)
        NaN where missing.
    maps : mapping of str to ndarray of shape (n, R)
        For each map of the model's columns its mean in the regions.
    """

    outcome: np.ndarray
    maps: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def complete(self, model: Model) -> np.ndarray:
        """Whether each row has all that the model takes of a region, ndarray of bool, shape (n, R)."""
        everything = [self.outcome, *(self.maps[name] for name in model.maps)]
        return np.logical_and.reduce([np.isfinite(values) for values in everything])

    def one(self, region: int, rows: np.ndarray) -> "Values":
        """A single region, of some rows."""
        maps = {name: values[rows, region, None] for name, values in self.maps.items()}
        return Values(outcome=self.outcome[rows, region, None], maps=maps)

    def some(self, regions: np.ndarray) -> "Values":
        """Some regions, of all rows."""
        return Values(outcome=self.outcome[:, regions], maps={name: v[:, regions] for name, v in self.maps.items()})


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One tested effect in a region, in the outcome's unit; with its interval, and standardised where that has a meaning."""

    name: str
    value: float
    se: float
    low: float
    high: float
    t: float
    p: float
    g: float = math.nan
    g_low: float = math.nan
    g_high: float = math.nan


@dataclass(frozen=True, kw_only=True)
class RegionTest:
    """The test of a model in one region.

    Attributes
    ----------
    participants : list of str
        Those fitted, each once.
    estimates : tuple of Estimate
        One per tested effect; empty where nothing could be tested.
    statistic : str
        ``t``, ``F``, or ``v`` with a residual variance per arm.
    value, df_effect, df, p : float
        Of the test as a whole.
    p_corrected : float
        Over all regions; NaN where p is, and where none was asked for.
    corrected_by : str or None
        :data:`MAX_T`, :data:`BONFERRONI` or :data:`HOLM`.
    p_holm : float
    critical : float
        The t from which on ``p_corrected`` is at most alpha; of Holm's method, at its first step. NaN where no t is, and without a
        corrected p.
    note : str or None
        Why nothing was tested, or who is lacking.
    """

    participants: list[str]
    estimates: tuple[Estimate, ...] = ()
    statistic: str = "t"
    value: float = math.nan
    df_effect: float = math.nan
    df: float = math.nan
    p: float = math.nan
    p_corrected: float = math.nan
    corrected_by: str | None = None
    p_holm: float = math.nan
    critical: float = math.nan
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """The tests of a model in R regions, and what their p were corrected over.

    Attributes
    ----------
    tests : tuple of RegionTest
    size : int
        Regions tested, over which p are corrected.
    complete : int
        Those of them in which every participant has a value.
    relabellings : int or None
    smallest_p : float or None
        The smallest corrected p that the relabellings allow.
    """

    tests: tuple[RegionTest, ...]
    size: int
    complete: int
    relabellings: int | None = None
    smallest_p: float | None = None


def test(model: Model, values: Values, inference: Inference, tested: np.ndarray) -> Family:
    """Test a model in every region.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are participants.
    values : Values
    inference : pharmasl.study.settings.Inference
    tested : ndarray of bool, shape (R,)
        Regions whose p counts; the others are estimated alone, and are no part of the family.

    Returns
    -------
    Family
    """
    known = values.complete(model)
    fitted = [_region(model, values, known[:, k], k, inference) for k in range(values.outcome.shape[1])]
    answered = np.array([math.isfinite(one.p) for one in fitted])
    own = np.flatnonzero(answered & tested)
    complete = own[known[:, own].all(axis=0)]
    family = Family(tests=(), size=len(own), complete=len(complete))
    corrected, p_holm, critical = np.full((3, len(fitted)), np.nan)
    p_holm[own] = multiplicity.holm([fitted[k].p for k in own])
    critical[own] = [bonferroni_t(fitted[k].df, len(own), inference) for k in own]
    incomplete = np.setdiff1d(own, complete)
    corrected[incomplete] = [fitted[k].p * len(own) for k in incomplete]
    if len(complete):
        share = len(own) / len(complete)
        largest = _max_t(model, values.some(complete), inference)
        corrected[complete] = largest.p * share
        height = maxima.critical_value(largest.null, inference.alpha / share)
        critical[complete] = [t_of_z(height, fitted[k].df) if largest.is_z else height for k in complete]
        family = dataclasses.replace(family, relabellings=largest.drawn.number, smallest_p=largest.smallest)
    tests = []
    for k, one in enumerate(fitted):
        if k in own:
            by = MAX_T if k in complete else BONFERRONI
            one = dataclasses.replace(
                one,
                p_corrected=float(min(corrected[k], 1.0)),
                corrected_by=by,
                p_holm=float(p_holm[k]),
                critical=float(critical[k]),
            )
        tests.append(one)
    return dataclasses.replace(family, tests=tuple(tests))


def bonferroni_t(df: float, tests: int, inference: Inference) -> float:
    """The t that is significant at an equal share of alpha of each of several tests."""
    return float(noncentral_t.critical_t(df, inference.alpha / tests, two_sided=inference.two_sided))


def _region(model: Model, values: Values, rows: np.ndarray, region: int, inference: Inference) -> RegionTest:
    """The test of one region, of the rows that have a value."""
    people = list(dict.fromkeys(name for name, kept in zip(model.participants, rows) if kept))
    lacking = list(dict.fromkeys(name for name, kept in zip(model.participants, rows) if not kept))
    if not people:
        return RegionTest(participants=[], note="not tested: no participant's maps cover the region")
    part = model.of_rows(rows)
    try:
        fit, by_arm = _fit(part, values.one(region, rows), inference)
    except (ValueError, InputError) as error:
        reason = f"{error.field}: {error.found}" if isinstance(error, InputError) else str(error)
        return RegionTest(participants=people, note=f"not tested: {reason}")
    note = f"without {', '.join(lacking)}: no value of the region" if lacking else None
    return _described(part, fit, by_arm, inference, people, note)


def matrix(model: Model, maps: Mapping[str, np.ndarray]) -> np.ndarray:
    """The design of one region: each column times its maps, centred over the participants.

    Parameters
    ----------
    model : Model
    maps : mapping of str to ndarray of shape (n,)
    """
    design = model.matrix.copy()
    for column, names in enumerate(model.voxelwise):
        for name in names:
            design[:, column] *= maps[name] - maps[name].mean()
    return design


def _fit(model: Model, values: Values, inference: Inference) -> tuple[LeastSquares, statistic.Statistic | None]:
    """The model fitted to one region; with the test by a residual variance per arm where the analysis takes it.

    Raises
    ------
    ValueError
        If the tested effects cannot be estimated, or the outcome does not vary.
    InputError
        If an arm is too small for a variance of its own.
    """
    design = matrix(model, {name: column[:, 0] for name, column in values.maps.items()})
    fit = least_squares.fit(design, values.outcome[:, 0], model.weights)
    if not _takes_variance_by_arm(model, inference):
        return fit, None
    partial = glm.partial_form(*model.partition())
    own = differences.fit(np.ascontiguousarray(values.outcome), partial)
    identity = np.arange(len(model.participants), dtype=np.int32)[None]
    observed = statistic.observe(
        model.arms, partial, own, identity, variance=inference.variance, forming_p=inference.cluster_forming_p
    )
    return fit, observed if observed.kind == statistic.BY_ARM else None


def _described(
    model: Model,
    fit: LeastSquares,
    by_arm: statistic.Statistic | None,
    inference: Inference,
    people: list[str],
    note: str | None,
) -> RegionTest:
    """The numbers of a fitted region."""
    level = 1 - inference.alpha
    names = model.effects or (" - ".join(model.tested),)
    t, df = fit.t, float(fit.df)
    if by_arm is not None:
        t, df = by_arm.t, float(np.atleast_1d(by_arm.df)[0])
    p = special.stdtr(df, -np.abs(t)) * 2 if inference.two_sided or model.is_joint else special.stdtr(df, -t)
    low, high = effect_sizes.interval(fit.estimates, t, df, level)
    estimates = []
    for k, name in enumerate(names):
        own = Estimate(
            name=name,
            value=float(fit.estimates[k]),
            se=float(fit.estimates[k] / t[k]) if t[k] else float(fit.errors[k]),
            low=float(low[k]),
            high=float(high[k]),
            t=float(t[k]),
            p=float(p[k]),
        )
        if not model.kind.is_slope:
            # In standard deviations of all together, whatever the test takes for the arms' variances.
            size = effect_sizes.hedges_g(fit.t[k], float(fit.scales[k]), float(fit.df), level)
            own = dataclasses.replace(own, g=float(size.g), g_low=float(size.low), g_high=float(size.high))
        estimates.append(own)
    common = RegionTest(participants=people, estimates=tuple(estimates), df=df, note=note)
    if model.is_joint:
        q = len(model.weights)
        return dataclasses.replace(
            common, statistic="F", value=fit.f, df_effect=q, p=float(special.fdtrc(q, df, fit.f))
        )
    return dataclasses.replace(
        common, statistic="t" if by_arm is None else "v", value=float(t[0]), df_effect=1, p=float(p[0])
    )


@dataclass(frozen=True, kw_only=True)
class _Largest:
    """The largest statistic over the regions.

    Attributes
    ----------
    p : ndarray of shape (R,)
        Family-wise.
    null : ndarray of shape (B,)
        The largest of each relabelling, the observed labelling's included.
    is_z : bool
        Whether ``null`` are z in place of t (or F).
    drawn : Relabellings
    smallest : float
        The smallest p that the relabellings allow.
    """

    p: np.ndarray
    null: np.ndarray
    is_z: bool
    drawn: Relabellings
    smallest: float


def _max_t(model: Model, values: Values, inference: Inference) -> _Largest:
    """The test of regions in which all participants have a value."""
    drawn = _draw(model, inference)
    two_sided = inference.two_sided
    by_arm = _by_arm(model, values, inference, drawn)
    if by_arm is not None:
        z, null = by_arm
        heights, largest = np.abs(z) if two_sided else z, null.largest_t(two_sided)
    else:
        heights, largest = value_permutations.largest(_forms(model, values), drawn, two_sided=two_sided)
    unchanged = _forms(model, values.some(np.array([0])))[0].unchanged(drawn, two_sided=two_sided)
    return _Largest(
        p=maxima.family_wise_p(heights, largest),
        null=largest,
        is_z=by_arm is not None,
        drawn=drawn,
        smallest=float(unchanged.mean()),
    )


def _draw(model: Model, inference: Inference) -> Relabellings:
    """The relabellings of the analysis' maps."""
    number, seed = inference.permutations, inference.seed
    if model.exchange == FLIP:
        return Relabellings(signs=relabelling.flips(model.matrix, number, seed)[0])
    return Relabellings(permutations=relabelling.relabellings(model.relabelled_rows, number, seed, model.blocks)[0])


def _forms(model: Model, values: Values) -> list[RegionForm]:
    return [
        RegionForm.make(
            matrix(model, {name: maps[:, k] for name, maps in values.maps.items()}), model.weights, values.outcome[:, k]
        )
        for k in range(values.outcome.shape[1])
    ]


def _takes_variance_by_arm(model: Model, inference: Inference) -> bool:
    """Whether the test has a residual variance per arm; as over the brain, where one effect of a plain model is permuted."""
    return inference.variance == statistic.BY_ARM and model.exchange != FLIP and not model.is_joint and not model.maps


def _by_arm(
    model: Model, values: Values, inference: Inference, drawn: Relabellings
) -> tuple[np.ndarray, maxima.Null] | None:
    """The z of v in each region, and its maxima over the regions in each relabelling; None with one residual variance."""
    permutations = drawn.permutations
    if permutations is None or not _takes_variance_by_arm(model, inference):
        return None
    partial = glm.partial_form(*model.partition())
    fit = differences.fit(np.ascontiguousarray(values.outcome), partial)
    observed = statistic.observe(
        model.arms, partial, fit, permutations, variance=inference.variance, forming_p=inference.cluster_forming_p
    )
    if observed.by_arm is None:
        return None
    statistics = MaximumStatistics(threshold=observed.threshold)
    return observed.heights, observed.by_arm.null(
        permutations, value_permutations.apart(values.outcome.shape[1]), statistics
    )
