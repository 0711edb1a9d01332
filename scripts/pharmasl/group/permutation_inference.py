"""Permutation of whole differences, or flips of their signs: p over the search volume, clusters, and sizes of effects.

Random fields and the false discovery rate stand beside them.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import InputError
from pharmasl.group import combination, definitions, random_field_inference, residual_smoothness, results, verdict
from pharmasl.group.engine import clusters, differences, glm, maxima, permutation, relabelling, statistic, tfce
from pharmasl.group.engine.differences import Differences
from pharmasl.group.engine.glm import PartialForm
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.engine.statistic import Statistic
from pharmasl.group.engine.tfce import Enhancement
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.results import ClusterRow, Result
from pharmasl.statistics import effect_sizes
from pharmasl.study.effect_kinds import FLIP
from pharmasl.study.settings import Inference


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """The relabellings of an analysis.

    Attributes
    ----------
    relabellings : pharmasl.group.engine.relabelling.Relabellings
    exhaustive : bool
        Whether they are all that there are.
    log10_distinct : float
        Decimal logarithm of the number of distinct ones.
    """

    relabellings: Relabellings
    exhaustive: bool
    log10_distinct: float


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """A model fitted to the voxels that vary, with the statistic of the observed labelling and what is computed of its map.

    Attributes
    ----------
    model : pharmasl.group.model.Model
    maps : pharmasl.group.maps.Maps
        Of the V voxels that vary.
    inference : pharmasl.study.settings.Inference
    partial : pharmasl.group.engine.glm.PartialForm
        The design in the form of the engine.
    fit : pharmasl.group.engine.differences.Differences
    observed : pharmasl.group.engine.statistic.Statistic
    lattice : pharmasl.group.engine.clusters.Lattice
    """

    model: Model
    maps: Maps
    inference: Inference
    partial: PartialForm
    fit: Differences
    observed: Statistic
    lattice: clusters.Lattice

    @property
    def heights(self) -> np.ndarray:
        """What is searched for maxima and clusters: of one sign where one is tested."""
        heights = self.observed.heights
        return heights if self.inference.two_sided else np.maximum(heights, 0)

    @property
    def mass(self) -> str | None:
        """How a cluster's mass is counted; None where mass is not tested."""
        return self.inference.mass if "mass" in self.inference.statistics else None

    @property
    def scale(self) -> str:
        """The scale of mass and TFCE: what is a z already is not scaled again."""
        return self.inference.scale if self.observed.on == "t" else "t"

    @property
    def statistics(self) -> MaximumStatistics:
        """What is maximised over the mask."""
        return MaximumStatistics(
            threshold=self.observed.threshold, mass=self.mass, scale=self.scale, enhancement=self.enhancement
        )

    @property
    def enhancement(self) -> Enhancement | None:
        """The threshold-free cluster enhancement; None where it is not tested."""
        if "tfce" not in self.inference.statistics:
            return None
        wanted = self.inference.tfce
        return Enhancement(
            extent_power=wanted.extent_power,
            height_power=wanted.height_power,
            neighbours=wanted.neighbours,
            scale=self.scale,
        )


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """Family-wise p of each statistic, voxel by voxel, and the clusters.

    Attributes
    ----------
    p : dict of ndarray of shape (V,)
        By statistic; 1 outside clusters for those of clusters.
    labels : ndarray of int, shape (V,)
    rows : list of dict
        Of the clusters.
    enhanced : ndarray of shape (V,), or None
        TFCE.
    """

    p: dict[str, np.ndarray]
    labels: np.ndarray
    rows: list[ClusterRow]
    enhanced: np.ndarray | None


def test(model: Model, maps: Maps, inference: Inference, *, is_cbf: bool, threads: int) -> Result:
    """The result of a model of changes or of baselines.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are participants.
    maps : pharmasl.group.maps.Maps
        A row per participant, of the voxels searched.
    inference : pharmasl.study.settings.Inference
    is_cbf : bool
        Whether the maps are of CBF, so that a percentage has a meaning.
    threads : int
        The result is the same for any number.

    Raises
    ------
    InputError
        If no voxel varies between participants, or an arm is too small for a variance of its own.
    """
    drawn = _draw(model, inference)
    fitted = _fit(model, maps, inference, drawn.relabellings)
    null = _null(fitted, drawn.relabellings, threads)
    tested = _test(fitted, null)
    smallest = relabelling.smallest_p(fitted.partial, drawn.relabellings, inference.two_sided)
    volumes = {} if tested.enhanced is None else {"tfce": tested.enhanced}
    decision = functools.partial(verdict.decide, statistic=inference.primary, alpha=inference.alpha, smallest=smallest)
    deciding = combination.deciding_p(tested.p, inference.primary, null, inference.two_sided)
    decided = results.decide(deciding, tested.rows, tested.labels, volumes, decision)
    volumes |= results.logarithms(tested.p)
    fields = _random_fields(fitted, tested.rows)
    observed = fitted.observed
    estimates, discovery = results.estimates(
        model,
        fitted.maps,
        inference,
        effect=fitted.fit.effect,
        t=observed.t,
        z=observed.z,
        df=observed.df,
        is_cbf=is_cbf,
    )
    volumes |= estimates
    if not model.kind.is_slope:
        # In standard deviations of all arms together, whatever the test takes for their variances.
        volumes["hedges_g"] = effect_sizes.hedges_g(fitted.fit.t, fitted.partial.scale, fitted.partial.df).g
    _add_sizes(fitted, tested, is_cbf)
    tests = _definitions(fitted, null)
    tests["false_discovery"] = discovery
    blocks = {
        "model": definitions.linear_model(model, observed),
        "search_volume": definitions.search_volume(fitted.maps, model.participants),
        "permutation": definitions.permutation(
            model.exchange,
            within_blocks=model.blocks is not None,
            number=drawn.relabellings.number,
            exhaustive=drawn.exhaustive,
            log10_distinct=drawn.log10_distinct,
            seed=inference.seed,
            smallest=smallest,
        ),
        "tests": tests,
        "random_fields": fields,
        "variance": observed.variances,
        "verdict": decided.block(),
        "result": results.summary(tested.rows, observed.t, tested.p),
        "clusters": tested.rows,
    }
    return Result(
        model=model,
        searched=fitted.maps,
        maps=volumes,
        labels=tested.labels,
        clusters=tested.rows,
        null=null,
        definitions=blocks,
    )


def _draw(model: Model, inference: Inference) -> _Drawn:
    number, seed = inference.permutations, inference.seed
    if model.exchange == FLIP:
        signs, exhaustive = relabelling.flips(model.matrix, number, seed)
        distinct = len(model.participants) * math.log10(2)
        return _Drawn(relabellings=Relabellings(signs=signs), exhaustive=exhaustive, log10_distinct=distinct)
    permutations, exhaustive = relabelling.relabellings(model.matrix, number, seed, model.blocks)
    distinct = relabelling.log10_distinct(model.matrix, model.blocks)
    return _Drawn(relabellings=Relabellings(permutations=permutations), exhaustive=exhaustive, log10_distinct=distinct)


def _fit(model: Model, maps: Maps, inference: Inference, relabellings: Relabellings) -> _Fitted:
    """Fit the model where data vary, and take the statistic of the observed labelling."""
    partial = (glm.mean_form if model.exchange == FLIP else glm.partial_form)(*model.partition())
    fit = differences.fit(maps.values, partial)
    if not fit.varies.any():
        raise InputError(
            maps.paths[0], "voxels", f"no {model.outcome} varies", "maps of different participants", "Check."
        )
    if not fit.varies.all():
        maps = maps.varying(fit.varies)
        fit = differences.fit(maps.values, partial)
    observed = statistic.observe(
        model.arms,
        partial,
        fit,
        relabellings.permutations,
        variance=inference.variance,
        forming_p=inference.cluster_forming_p,
    )
    return _Fitted(
        model=model,
        maps=maps,
        inference=inference,
        partial=partial,
        fit=fit,
        observed=observed,
        lattice=clusters.Lattice(maps.mask, inference.neighbours),
    )


def _null(fitted: _Fitted, relabellings: Relabellings, threads: int) -> Null:
    observed = fitted.observed
    if observed.by_arm is not None and relabellings.permutations is not None:
        return observed.by_arm.null(relabellings.permutations, fitted.lattice, fitted.statistics, threads=threads)
    return permutation.null_distribution(
        fitted.fit, fitted.partial, relabellings, fitted.lattice, fitted.statistics, threads=threads
    )


def _test(fitted: _Fitted, null: Null) -> _Tested:
    """Family-wise p of voxels, and of clusters by extent, mass and TFCE."""
    two_sided, observed = fitted.inference.two_sided, fitted.observed
    heights = np.abs(observed.heights) if two_sided else observed.heights
    labels, sizes = clusters.label(fitted.heights, observed.threshold, fitted.lattice)
    rows = results.new_rows(sizes)
    extent_p = maxima.family_wise_p(sizes, null.largest_extent(two_sided))
    p = {
        "voxel": maxima.family_wise_p(heights, null.largest_t(two_sided)),
        "extent": results.voxelwise(extent_p, labels),
    }
    results.add(rows, "p_fwe_cluster", extent_p)
    if fitted.mass:
        masses = _masses(fitted, labels)
        mass_p = maxima.family_wise_p(masses, null.largest_mass(two_sided))
        p["mass"] = results.voxelwise(mass_p, labels)
        results.add(rows, "mass", masses)
        results.add(rows, "p_fwe_mass", mass_p)
    enhanced = None
    if fitted.enhancement is not None:
        enhanced = tfce.enhance(observed.heights, fitted.maps.mask, fitted.enhancement, fitted.partial.df)
        p["tfce"] = maxima.family_wise_p(
            np.abs(enhanced) if two_sided else enhanced, null.largest_tfce(two_sided), tfce.TIE
        )
    return _Tested(p=p, labels=labels, rows=rows, enhanced=enhanced)


def _masses(fitted: _Fitted, labels: np.ndarray) -> np.ndarray:
    """The mass of each cluster of the observed map, ndarray of shape (K,)."""
    heights, threshold, df = fitted.observed.heights, fitted.observed.threshold, fitted.partial.df
    if fitted.scale == "z":
        heights, threshold = glm.t_to_z(heights, df), float(glm.t_to_z(np.array(threshold), df))
    return clusters.masses(labels, heights, threshold if fitted.mass == "excess" else 0.0)


def _random_fields(fitted: _Fitted, rows: list[ClusterRow]) -> dict[str, Any]:
    if fitted.observed.by_arm is not None:
        return {"status": "not known: random fields take one residual variance for all"}
    brain = fitted.maps.brain
    tile = fitted.fit.tile if brain is None else _tile_of(brain)
    return random_field_inference.fields(
        fitted.maps,
        rows,
        fitted.inference,
        residuals=residual_smoothness.residual_rows(tile, fitted.model.matrix),
        images=len(fitted.model.participants),
        df=fitted.partial.df,
        threshold=fitted.observed.threshold,
    )


def _tile_of(maps: Maps) -> Callable[[int, int], np.ndarray]:
    return lambda start, stop: maps.values[:, start:stop].T


def _add_sizes(fitted: _Fitted, tested: _Tested, is_cbf: bool) -> None:
    """Add each cluster's mean effect with its interval, in the maps' unit, in percent and as Hedges' g."""
    rows, labels, partial = tested.rows, tested.labels, fitted.partial
    if not rows:
        return
    means = effect_sizes.cluster_means(np.asarray(fitted.maps.values).T, labels, len(rows))
    fit = differences.fit(means.T, partial)
    t: np.ndarray = fit.t
    df: float | np.ndarray = partial.df
    if fitted.observed.by_arm is not None:
        by_arm = fitted.observed.by_arm.fitted_to(fit).observed(np.arange(len(partial.x))[None])
        t, df = by_arm.v, by_arm.df
    low, high = effect_sizes.interval(fit.effect, t, df)
    results.add(rows, "effect_mean", fit.effect)
    results.add(rows, "effect_low", low)
    results.add(rows, "effect_high", high)
    if fitted.model.kind.is_slope:
        return
    if is_cbf:
        sizes = np.bincount(labels, minlength=len(rows) + 1)
        baseline = np.bincount(labels, fitted.maps.baseline, len(rows) + 1)[1:] / sizes[1:]
        results.add(rows, "percent_mean", results.percent(fit.effect, baseline))
    size = effect_sizes.hedges_g(fit.t, partial.scale, partial.df)
    results.add(rows, "hedges_g", size.g)
    results.add(rows, "hedges_g_low", size.low)
    results.add(rows, "hedges_g_high", size.high)


def _definitions(fitted: _Fitted, null: Null) -> dict[str, Any]:
    """The block ``tests``, with the critical value of each statistic."""
    inference, two_sided = fitted.inference, fitted.inference.two_sided
    tests = definitions.statistics(
        inference,
        fitted.observed.threshold,
        mass=fitted.mass is not None,
        enhancement=fitted.enhancement,
        heights="z of v" if fitted.observed.on == "z" else "t",
    )
    limits = {
        "voxel": ("critical_t", null.largest_t),
        "cluster": ("critical_extent_voxels", null.largest_extent),
        "mass": ("critical_mass", null.largest_mass),
        "tfce": ("critical_tfce", null.largest_tfce),
    }
    for name, (key, largest) in limits.items():
        if name in tests:
            critical = maxima.critical_value(largest(two_sided), inference.alpha)
            tests[name][key] = results.finite(critical)
    return tests
