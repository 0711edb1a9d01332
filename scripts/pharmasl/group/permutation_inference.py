"""Permutation of whole differences, or flips of their signs: p over the search volume, clusters, and sizes of effects.

Random fields and the false discovery rate stand beside them.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.group import (
    combination,
    definitions,
    permuted_models,
    random_field_inference,
    residual_smoothness,
    results,
    smallest_called,
    verdict,
)
from pharmasl.group.engine import clusters, maxima, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.engine.statistic import Statistic
from pharmasl.group.engine.tfce import Enhancement
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.permuted_models import PermutedModel
from pharmasl.group.results import ClusterRow, Result
from pharmasl.group.smallest_called import Called
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
class Fitted:
    """A fitted model, and what is computed of the map of its statistic.

    Attributes
    ----------
    model : pharmasl.group.model.Model
    inference : pharmasl.study.settings.Inference
        Two-sided only where one effect is tested.
    form : pharmasl.group.permuted_models.PermutedModel
    lattice : pharmasl.group.engine.clusters.Lattice
    """

    model: Model
    inference: Inference
    form: PermutedModel
    lattice: clusters.Lattice

    @property
    def observed(self) -> Statistic:
        """The statistic of the observed labelling."""
        return self.form.observed

    @property
    def maps(self) -> Maps:
        """Of the V voxels tested."""
        return self.form.maps

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
        return self.inference.scale if self.observed.on != "z" else "t"

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
class Tested:
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


@dataclass(frozen=True, kw_only=True)
class Search:
    """A model that is fitted and tested over the volume.

    Attributes
    ----------
    fitted : Fitted
    null : pharmasl.group.engine.maxima.Null
    tested : Tested
    """

    fitted: Fitted
    null: Null
    tested: Tested


def search(model: Model, maps: Maps, inference: Inference, relabellings: Relabellings, *, threads: int = 1) -> Search:
    """Fit a model, and test it over the volume by relabellings.

    Parameters
    ----------
    model, maps, inference, threads
        As for :func:`test`; two-sided only where one effect is tested.
    relabellings : pharmasl.group.engine.relabelling.Relabellings
        The observed labelling first.

    Raises
    ------
    InputError
        As :func:`test`.
    """
    form = permuted_models.fit(model, maps, inference, relabellings)
    lattice = clusters.Lattice(form.maps.mask, inference.neighbours)
    fitted = Fitted(model=model, inference=inference, form=form, lattice=lattice)
    null = form.null(relabellings, lattice, fitted.statistics, threads)
    return Search(fitted=fitted, null=null, tested=_test(fitted, null))


def test(model: Model, maps: Maps, inference: Inference, *, is_cbf: bool, threads: int) -> Result:
    """The result of a model of changes or of baselines.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are participants.
    maps : pharmasl.group.maps.Maps
        A row per participant, of the voxels searched; with the maps that are terms of the model.
    inference : pharmasl.study.settings.Inference
    is_cbf : bool
        Whether the maps are of CBF, so that a percentage has a meaning.
    threads : int
        The result is the same for any number.

    Raises
    ------
    InputError
        If no voxel varies between participants, an arm is too small for a variance of its own, or a map of the model is lacking.
    """
    if model.is_joint:
        # F has one side, and finds effects of any sign.
        inference = dataclasses.replace(inference, two_sided=False)
    drawn = _draw(model, inference)
    own = search(model, maps, inference, drawn.relabellings, threads=threads)
    fitted, null, tested, form = own.fitted, own.null, own.tested, own.fitted.form
    smallest = form.smallest_p(drawn.relabellings, inference.two_sided)
    volumes = {} if tested.enhanced is None else {"tfce": tested.enhanced}
    decision = functools.partial(verdict.decide, statistic=inference.primary, alpha=inference.alpha, smallest=smallest)
    deciding = combination.deciding_p(tested.p, inference.primary, null, inference.two_sided)
    decided = results.decide(deciding, tested.rows, tested.labels, volumes, decision)
    volumes |= results.logarithms(tested.p)
    fields = _random_fields(fitted, tested.rows)
    called = _called(fitted, null)
    volumes |= called.maps()
    observed = fitted.observed
    estimates, discovery = results.estimates(
        model,
        fitted.maps,
        inference,
        effect=form.effect,
        t=observed.t,
        z=observed.z,
        df=observed.df,
        is_cbf=is_cbf,
    )
    volumes |= estimates
    if not (model.kind.is_slope or model.is_joint):
        # In standard deviations of all arms together, whatever the test takes for their variances.
        volumes["hedges_g"] = effect_sizes.hedges_g(form.equal_t, form.scale, form.df).g
    _add_sizes(fitted, tested, is_cbf)
    tests = _definitions(fitted, null)
    tests["false_discovery"] = discovery
    blocks = {
        "model": definitions.linear_model(model, observed),
        "search_volume": definitions.search_volume(fitted.maps, model.participants) | form.left_out(),
        "permutation": definitions.permutation(
            model,
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
        "smallest_called": called.block,
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
    rows = model.relabelled_rows
    permutations, exhaustive = relabelling.relabellings(rows, number, seed, model.blocks)
    distinct = relabelling.log10_distinct(rows, model.blocks)
    return _Drawn(relabellings=Relabellings(permutations=permutations), exhaustive=exhaustive, log10_distinct=distinct)


def _test(fitted: Fitted, null: Null) -> Tested:
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
        enhanced = permuted_models.enhanced(fitted.form, fitted.enhancement)
        p["tfce"] = maxima.family_wise_p(
            np.abs(enhanced) if two_sided else enhanced, null.largest_tfce(two_sided), tfce.TIE
        )
    return Tested(p=p, labels=labels, rows=rows, enhanced=enhanced)


def _masses(fitted: Fitted, labels: np.ndarray) -> np.ndarray:
    """The mass of each cluster of the observed map, ndarray of shape (K,)."""
    heights, threshold, to_z = fitted.observed.heights, fitted.observed.threshold, fitted.form.to_z
    if fitted.scale == "z":
        heights, threshold = to_z(heights), float(to_z(np.array(threshold)))
    return clusters.masses(labels, heights, threshold if fitted.mass == "excess" else 0.0)


def _called(fitted: Fitted, null: Null) -> Called:
    inference, observed = fitted.inference, fitted.observed
    if fitted.model.is_joint:
        return smallest_called.of_several(inference.primary)
    height = smallest_called.of_relabellings(
        inference.primary,
        null,
        two_sided=inference.two_sided,
        alpha=inference.alpha,
        forming=observed.threshold,
        scale=observed.on,
    )
    return smallest_called.called(height, fitted.form.effect, observed.t, observed.df)


def _random_fields(fitted: Fitted, rows: list[ClusterRow]) -> dict[str, Any]:
    tile = fitted.form.residual_tile
    if isinstance(tile, str):
        return {"status": f"not known: {tile}"}
    return random_field_inference.fields(
        fitted.maps,
        rows,
        fitted.inference,
        residuals=residual_smoothness.residual_rows(tile, fitted.model.matrix),
        images=len(fitted.model.participants),
        df=fitted.form.df,
        threshold=fitted.observed.threshold,
    )


def _add_sizes(fitted: Fitted, tested: Tested, is_cbf: bool) -> None:
    """Add each cluster's mean effect with its interval, in the maps' unit, in percent and as Hedges' g."""
    rows, labels, joint = tested.rows, tested.labels, fitted.model.is_joint
    if not rows:
        return
    size = fitted.form.sizes(lambda values: effect_sizes.cluster_means(np.asarray(values).T, labels, len(rows)).T)
    results.add(rows, "effect_mean", size.effect)
    if not joint:
        low, high = effect_sizes.interval(size.effect, size.t, size.df)
        results.add(rows, "effect_low", low)
        results.add(rows, "effect_high", high)
    if fitted.model.kind.is_slope:
        return
    if is_cbf:
        sizes = np.bincount(labels, minlength=len(rows) + 1)
        baseline = np.bincount(labels, fitted.maps.baseline, len(rows) + 1)[1:] / sizes[1:]
        results.add(rows, "percent_mean", results.percent(size.effect, baseline))
    if joint:
        return
    standardised = effect_sizes.hedges_g(size.equal_t, size.scale, fitted.form.df)
    results.add(rows, "hedges_g", standardised.g)
    results.add(rows, "hedges_g_low", standardised.low)
    results.add(rows, "hedges_g_high", standardised.high)


def _definitions(fitted: Fitted, null: Null) -> dict[str, Any]:
    """The block ``tests``, with the critical value of each statistic."""
    inference, two_sided = fitted.inference, fitted.inference.two_sided
    tests = definitions.statistics(
        inference,
        fitted.observed.threshold,
        mass=fitted.mass is not None,
        enhancement=fitted.enhancement,
        heights="z of v" if fitted.observed.on == "z" else fitted.observed.on,
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
