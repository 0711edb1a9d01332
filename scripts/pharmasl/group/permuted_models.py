"""A model of maps in the form that relabellings want, with all that a test asks of it.

Two forms have one face: :class:`CommonForm`, one tested column and a design that all voxels share, and :class:`OwnForm`, several tested
columns (F) or columns that maps make the voxel's own.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pharmasl.errors import InputError
from pharmasl.group.engine import (
    differences,
    glm,
    permutation,
    relabelling,
    statistic,
    tfce,
    voxel_design,
    voxel_fit,
    voxel_permutation,
)
from pharmasl.group.engine.clusters import Lattice
from pharmasl.group.engine.differences import Differences
from pharmasl.group.engine.glm import PartialForm
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.engine.statistic import Statistic
from pharmasl.group.engine.tfce import Enhancement
from pharmasl.group.engine.voxel_design import VoxelDesign
from pharmasl.group.engine.voxel_fit import LeftOut, VoxelFit
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.study.effect_kinds import FLIP
from pharmasl.study.settings import Inference


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Effects of regions.

    Attributes
    ----------
    effect, t, scale : ndarray of shape (K,)
        Coefficient, Student's t (v), and length of the tested column beside all others; NaN where there is none.
    df : float or ndarray of shape (K,)
    equal_t : ndarray of shape (K,)
        Student's t with one variance for all.
    """

    effect: np.ndarray
    t: np.ndarray
    scale: np.ndarray
    df: float | np.ndarray
    equal_t: np.ndarray


class PermutedModel(Protocol):
    """A model fitted to the voxels that can be tested.

    Attributes
    ----------
    maps : pharmasl.group.maps.Maps
        Of those voxels.
    observed : pharmasl.group.engine.statistic.Statistic
    effect : ndarray of shape (V,)
    scale : float or ndarray of shape (V,)
        Length of the tested column beside all others.
    equal_t : ndarray of shape (V,)
        Student's t with one variance for all; F of several columns.
    df : float
        Residual degrees of freedom with one variance for all.
    columns : int
        Columns tested together.
    """

    @property
    def maps(self) -> Maps: ...  # noqa: D102

    @property
    def observed(self) -> Statistic: ...  # noqa: D102

    @property
    def effect(self) -> np.ndarray: ...  # noqa: D102

    @property
    def scale(self) -> float | np.ndarray: ...  # noqa: D102

    @property
    def equal_t(self) -> np.ndarray: ...  # noqa: D102

    @property
    def df(self) -> float: ...  # noqa: D102

    @property
    def columns(self) -> int: ...  # noqa: D102

    @property
    def residual_tile(self) -> Callable[[int, int], np.ndarray] | str:
        """The outcome of some voxels, for random fields; or why these are not known."""

    def null(self, relabellings: Relabellings, lattice: Lattice, statistics: MaximumStatistics, threads: int) -> Null:
        """The maxima of every relabelling."""

    def smallest_p(self, relabellings: Relabellings, two_sided: bool) -> float:
        """The smallest p that the relabellings allow, whatever the data."""

    def to_z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""

    def sizes(self, means_of: Callable[[np.ndarray], np.ndarray]) -> Sizes:
        """Effects of regions; ``means_of`` makes means (n, K) of values (n, V)."""

    def left_out(self) -> dict[str, Any]:
        """The voxels that could not be tested, by reason, for the block ``search_volume``."""


@dataclass(frozen=True, kw_only=True)
class CommonForm:
    """One tested column, and a design that all voxels share; attributes as of :class:`PermutedModel`.

    Attributes
    ----------
    maps, observed
    partial : pharmasl.group.engine.glm.PartialForm
    fit : pharmasl.group.engine.differences.Differences
    """

    maps: Maps
    observed: Statistic
    partial: PartialForm
    fit: Differences
    columns: int = 1

    @property
    def effect(self) -> np.ndarray:
        """Coefficient of the tested column, shape (V,)."""
        return self.fit.effect

    @property
    def scale(self) -> float:
        """Length of the tested column beside all others."""
        return self.partial.scale

    @property
    def equal_t(self) -> np.ndarray:
        """Student's t, shape (V,)."""
        return self.fit.t

    @property
    def df(self) -> float:
        """Residual degrees of freedom."""
        return self.partial.df

    @property
    def residual_tile(self) -> Callable[[int, int], np.ndarray] | str:
        """The outcome of some voxels; random fields take one residual variance for all."""
        if self.observed.by_arm is not None:
            return "random fields take one residual variance for all"
        brain = self.maps.brain
        if brain is None:
            return self.fit.tile
        return lambda start, stop: brain.values[:, start:stop].T

    def null(self, relabellings: Relabellings, lattice: Lattice, statistics: MaximumStatistics, threads: int) -> Null:
        """The maxima of every relabelling."""
        by_arm = self.observed.by_arm
        if by_arm is not None and relabellings.permutations is not None:
            return by_arm.null(relabellings.permutations, lattice, statistics, threads=threads)
        return permutation.null_distribution(self.fit, self.partial, relabellings, lattice, statistics, threads=threads)

    def smallest_p(self, relabellings: Relabellings, two_sided: bool) -> float:
        """The smallest p that the relabellings allow."""
        return relabelling.smallest_p(self.partial, relabellings, two_sided)

    def to_z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""
        return glm.t_to_z(heights, self.partial.df)

    def sizes(self, means_of: Callable[[np.ndarray], np.ndarray]) -> Sizes:
        """Effects of regions."""
        fit = differences.fit(means_of(self.maps.values), self.partial)
        t: np.ndarray = fit.t
        df: float | np.ndarray = self.partial.df
        if self.observed.by_arm is not None:
            by_arm = self.observed.by_arm.fitted_to(fit).observed(np.arange(len(self.partial.x))[None])
            t, df = by_arm.v, by_arm.df
        scale = np.full(len(fit.t), self.partial.scale)
        return Sizes(effect=fit.effect, t=t, scale=scale, df=df, equal_t=fit.t)

    def left_out(self) -> dict[str, Any]:
        """Nothing beside what the maps count themselves."""
        return {}


@dataclass(frozen=True, kw_only=True)
class OwnForm:
    """Several tested columns, or columns that are the voxel's own; attributes as of :class:`PermutedModel`.

    Attributes
    ----------
    maps, observed
    fit : pharmasl.group.engine.voxel_fit.VoxelFit
    excluded : pharmasl.group.engine.voxel_fit.LeftOut
    """

    maps: Maps
    observed: Statistic
    fit: VoxelFit
    excluded: LeftOut

    @property
    def design(self) -> VoxelDesign:
        """The design of every voxel."""
        return self.fit.design

    @property
    def effect(self) -> np.ndarray:
        """Tested coefficient, shape (V,); of several the largest in absolute value."""
        return self.fit.effect

    @property
    def scale(self) -> np.ndarray:
        """Length of the tested column beside all others, shape (V,); NaN of several."""
        return self.fit.scale

    @property
    def equal_t(self) -> np.ndarray:
        """Student's t, or F, shape (V,)."""
        return self.fit.height

    @property
    def df(self) -> float:
        """Residual degrees of freedom."""
        return self.design.df

    @property
    def columns(self) -> int:
        """Columns tested together."""
        return self.design.columns

    @property
    def residual_tile(self) -> Callable[[int, int], np.ndarray] | str:
        """Why random fields are not known."""
        if self.design.own:
            return "random fields take one design for all voxels"
        return "random fields are those of t, and several effects are tested together by F"

    def null(self, relabellings: Relabellings, lattice: Lattice, statistics: MaximumStatistics, threads: int) -> Null:
        """The maxima of every relabelling."""
        return voxel_permutation.null_distribution(self.fit, relabellings, lattice, statistics, threads=threads)

    def smallest_p(self, relabellings: Relabellings, two_sided: bool) -> float:
        """The smallest p that the relabellings allow."""
        return relabelling.smallest_p_of_columns(self.design, relabellings, two_sided)

    def to_z(self, heights: np.ndarray) -> np.ndarray:
        """Heights as z."""
        return voxel_fit.to_z(heights, self.design)

    def sizes(self, means_of: Callable[[np.ndarray], np.ndarray]) -> Sizes:
        """Effects of regions, whose covariates are their means too."""
        values = means_of(self.maps.values)
        terms = {name: means_of(self.fit.maps[name]) for name in self.design.maps}
        keep = voxel_fit.testable(self.design, values, terms).keep
        fit = voxel_fit.fit(self.design, values[:, keep], {name: own[:, keep] for name, own in terms.items()})
        effect, t, scale = (np.full(len(keep), np.nan) for _ in range(3))
        effect[keep], scale[keep] = fit.effect, fit.scale
        if self.columns == 1:
            t[keep] = fit.height
        return Sizes(effect=effect, t=t, scale=scale, df=self.df, equal_t=t)

    def left_out(self) -> dict[str, Any]:
        """The voxels that could not be tested, by reason."""
        if not self.design.own:
            return {}
        return {
            "voxels_without_a_finite_map": self.excluded.missing,
            "voxels_of_a_constant_map": self.excluded.constant,
            "voxels_of_combined_covariates": self.excluded.combination,
            "voxels_of_inflated_variance": self.excluded.inflated,
            "most_inflation": voxel_fit.MOST_INFLATION,
        }


def enhanced(form: PermutedModel, enhancement: Enhancement) -> np.ndarray:
    """The threshold-free cluster enhancement of the observed map, ndarray of shape (V,)."""
    return tfce.enhance(form.observed.heights, form.maps.mask, enhancement, form.df, form.columns)


def needs_own_form(model: Model) -> bool:
    """Whether several effects are tested together or columns differ from voxel to voxel."""
    return model.is_joint or bool(model.maps)


def fit(model: Model, maps: Maps, inference: Inference, relabellings: Relabellings) -> PermutedModel:
    """Fit the model where it can be tested, and take the statistic of the observed labelling.

    Parameters
    ----------
    model : pharmasl.group.model.Model
    maps : pharmasl.group.maps.Maps
        With the maps that are terms of the model.
    inference : pharmasl.study.settings.Inference
    relabellings : pharmasl.group.engine.relabelling.Relabellings

    Raises
    ------
    InputError
        If no voxel can be tested, or an arm is to have a variance of its own and cannot.
    """
    if needs_own_form(model):
        return _own(model, maps, inference)
    partial = (glm.mean_form if model.exchange == FLIP else glm.partial_form)(*model.partition())
    fitted = differences.fit(maps.values, partial)
    if not fitted.varies.any():
        raise _nothing(maps, f"no {model.outcome} varies")
    if not fitted.varies.all():
        maps = maps.varying(fitted.varies)
        fitted = differences.fit(maps.values, partial)
    observed = statistic.observe(
        model.arms,
        partial,
        fitted,
        relabellings.permutations,
        variance=inference.variance,
        forming_p=inference.cluster_forming_p,
    )
    return CommonForm(maps=maps, observed=observed, partial=partial, fit=fitted)


def _nothing(maps: Maps, what: str) -> InputError:
    return InputError(maps.paths[0], "voxels", what, "maps of different participants", "Check.")


def _own(model: Model, maps: Maps, inference: Inference) -> OwnForm:
    refuse_variances(inference, is_joint=model.is_joint, voxelwise=model.maps)
    lacking = [name for name in model.maps if name not in maps.terms]
    if lacking:
        raise InputError("configuration", "model", f"no map of {', '.join(lacking)}", "a map per participant", "Check.")
    design = voxel_design.design(model.matrix, model.weights, model.voxelwise, flipped=model.exchange == FLIP)
    used = {name: maps.terms[name] for name in model.maps}
    excluded = voxel_fit.testable(design, maps.values, used)
    if not excluded.keep.any():
        raise _nothing(
            maps, f"no voxel where {model.outcome} and {', '.join(['the model', *model.maps])} can be told apart"
        )
    if not excluded.keep.all():
        maps = maps.within(excluded.keep)
        maps = dataclasses.replace(maps, constant=excluded.without_variance)
        used = {name: maps.terms[name] for name in model.maps}
    fitted = voxel_fit.fit(design, maps.values, used)
    observed = Statistic(
        kind=statistic.EQUAL,
        t=fitted.height,
        df=float(design.df),
        # Of F, 0 where it is below its median: a z below 0 would be read as an effect of the other sign.
        z=fitted.z if design.columns == 1 else np.maximum(fitted.z, 0.0),
        heights=fitted.height,
        threshold=voxel_fit.forming_height(design, inference.cluster_forming_p),
        on="t" if design.columns == 1 else statistic.F,
        by_arm=None,
        variances=None,
    )
    return OwnForm(maps=maps, observed=observed, fit=fitted, excluded=excluded)


def refuse_variances(
    inference: Inference, *, is_joint: bool, voxelwise: list[str], file: str = "configuration"
) -> None:
    """Refuse a variance for each arm where it is not computed.

    Raises
    ------
    InputError
    """
    if inference.variance != statistic.BY_ARM or not (is_joint or voxelwise):
        return
    what = "several effects tested together (F)" if is_joint else f"the map {', '.join(voxelwise)} as a term"
    raise InputError(
        file,
        "inference.variance",
        f"by_arm, and {what}",
        "one tested effect and terms that all voxels share, where each arm has a variance of its own",
        "Take variance: equal, test one effect, or leave the map out.",
    )
