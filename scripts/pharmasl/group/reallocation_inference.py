"""The result of a mixed model of scans: estimates by restricted maximum likelihood, and p over the search volume by relabelling participants.

Estimates, standard errors, z and false discovery rates are those of the model fitted at every voxel
(:mod:`pharmasl.group.scan_models`). What is maximised over the mask is the z of the generalised least-squares t or F at the variance ratio
of the null model (:mod:`pharmasl.group.engine.reallocation`), which differs from the former by little and is the same function of the
data for every relabelling.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.errors import InputError
from pharmasl.group import combination, results, scan_definitions, scan_models, smallest_called, verdict
from pharmasl.group.engine import clusters, exchange, maxima, reallocation, relabelling, tfce
from pharmasl.group.engine.exchange import Exchange
from pharmasl.group.engine.maxima import Null
from pharmasl.group.engine.reallocation import Prepared, Reallocation
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.results import ClusterRow, Result
from pharmasl.group.scan_definitions import FittedScans
from pharmasl.group.scan_models import Patterns
from pharmasl.group.smallest_called import Called
from pharmasl.statistics import effect_sizes
from pharmasl.study.settings import Inference

_SEARCHED = (
    "the heights that are searched are those at the null model's variance ratio, which differ a little from the t by whose standard error the "
    "map is made"
)
# Signs of fewer participants' residuals give p that null studies do not hold to their level.
LEAST_FLIPPED = 12


class TooFewError(Exception):
    """Too few participants for a family-wise p of what was not allocated."""


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """Family-wise p of each statistic, voxel by voxel, and the clusters."""

    p: dict[str, np.ndarray]
    labels: np.ndarray
    rows: list[ClusterRow]
    enhanced: np.ndarray | None


def test(model: Model, maps: Maps, inference: Inference, *, is_cbf: bool, threads: int) -> Result:
    """The result of a mixed model of scans.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are scans.
    maps : pharmasl.group.maps.Maps
        A row per scan; NaN where a scan lacks a voxel.
    inference : pharmasl.study.settings.Inference
    is_cbf : bool
        Whether the maps are of CBF, so that a percentage has a meaning.
    threads : int
        The result is the same for any number.

    Raises
    ------
    InputError
        If no voxel varies.
    TooFewError
        If too few participants take part for signs to be flipped.
    """
    fitted = _fit(model, maps, inference, relabelled_scans(model, inference))
    null = Reallocation(fitted.prepared).null(fitted.lattice, fitted.statistics, threads=threads)
    tested = _test(fitted, null)
    smallest = fitted.exchange.smallest_p(fitted.two_sided)
    volumes = {} if tested.enhanced is None else {"tfce": tested.enhanced}
    deciding = combination.deciding_p(tested.p, inference.primary, null, fitted.two_sided)
    decision = functools.partial(verdict.decide, statistic=inference.primary, alpha=inference.alpha, smallest=smallest)
    decided = results.decide(deciding, tested.rows, tested.labels, volumes, decision)
    volumes |= results.logarithms(tested.p)
    estimates, discovery = _estimates(fitted, is_cbf)
    volumes |= estimates
    _add_sizes(fitted, tested)
    called = _called(fitted, null)
    volumes |= called.maps()
    tests = scan_definitions.tests(fitted, null)
    tests["false_discovery"] = discovery
    blocks = {
        "model": scan_definitions.model(fitted),
        "search_volume": scan_definitions.search_volume(fitted, maps),
        "permutation": scan_definitions.permutation(fitted, smallest),
        "tests": tests,
        "random_fields": None,
        "verdict": decided.block(),
        "result": results.summary(tested.rows, fitted.estimates.statistic, tested.p),
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


def _called(fitted: FittedScans, null: Null) -> Called:
    primary, estimates = fitted.inference.primary, fitted.estimates
    if fitted.model.is_joint:
        return smallest_called.of_several(primary)
    height = smallest_called.of_relabellings(
        primary,
        null,
        two_sided=fitted.two_sided,
        alpha=fitted.inference.alpha,
        forming=fitted.threshold,
        scale="z",
    )
    return smallest_called.called(height, estimates.effects[0], estimates.statistic, estimates.df, note=_SEARCHED)


def relabelled_scans(model: Model, inference: Inference) -> Exchange:
    """Labels dealt anew where the test is of labels; signs of participants flipped elsewhere.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        Its rows are scans.
    inference : pharmasl.study.settings.Inference

    Raises
    ------
    TooFewError
        If too few participants take part for signs to be flipped.
    """
    names, participant = scan_definitions.people(model)
    number, seed, allocation = inference.permutations, inference.seed, model.allocation
    if allocation is None or not exchange.tests_labels(allocation.designs, model.weights):
        if not is_relabelled(model):
            raise TooFewError(
                f"{len(names)} participants, and what is tested was not allocated: flips of the signs of fewer than {LEAST_FLIPPED} "
                "participants' residuals do not hold their level"
            )
        signs, exhaustive = relabelling.flips(np.ones((len(names), 1)), number, seed)
        return exchange.signs(
            model.matrix,
            model.weights,
            participant,
            signs,
            exhaustive=exhaustive,
            log10_distinct=len(names) * math.log10(2),
        )
    strata = None
    if model.blocks is not None:
        strata = model.blocks[[model.participants.index(name) for name in names]]
    codes = allocation.codes.astype(np.float64)[:, None]
    orders, exhaustive = relabelling.relabellings(codes, number, seed, strata)
    return exchange.allocation(
        allocation.designs,
        model.weights,
        participant,
        allocation.codes[orders],
        exhaustive=exhaustive,
        log10_distinct=relabelling.log10_distinct(codes, strata),
    )


def is_relabelled(model: Model) -> bool:
    """Whether there are relabellings for a model of scans: its labels, or enough participants for flips of signs."""
    names, _ = scan_definitions.people(model)
    allocation = model.allocation
    allocated = allocation is not None and exchange.tests_labels(allocation.designs, model.weights)
    return allocated or len(names) >= LEAST_FLIPPED


def _fit(model: Model, maps: Maps, inference: Inference, scheme: Exchange) -> FittedScans:
    _, participant = scan_definitions.people(model)
    patterns = Patterns.from_maps(maps.values)
    usable = patterns.usable(model.matrix, participant)[patterns.number]
    if not usable.any():
        raise InputError(
            maps.paths[0],
            "coverage",
            "no voxel that enough scans have",
            f"voxels that {scan_models.LEAST_SHARE:.0%} of the scans have, with scans of every arm and session among them",
            "Look at the registration and the field of view; leave out scans that cover little.",
        )
    maps, patterns = maps.within(usable), patterns.within(usable)
    prepared = _prepare(maps, scheme, patterns)
    if not prepared.varies.any():
        raise InputError(maps.paths[0], "voxels", "no CBF varies", "maps of different scans", "Check.")
    if not prepared.varies.all():
        patterns = patterns.within(prepared.varies)
        maps, prepared = maps.varying(prepared.varies), prepared.kept(prepared.varies)
    return FittedScans(
        model=model,
        maps=maps,
        inference=inference,
        prepared=prepared,
        estimates=scan_models.fit(
            maps.values,
            model.matrix,
            model.weights,
            participant,
            method=inference.degrees_of_freedom,
            patterns=patterns,
        ),
        heights=Reallocation(prepared).observed(),
        lattice=clusters.Lattice(maps.mask, inference.neighbours),
        patterns=patterns,
    )


def _prepare(maps: Maps, scheme: Exchange, patterns: Patterns) -> Prepared:
    return reallocation.prepare(
        lambda start, stop: maps.values[:, start:stop],
        maps.voxels,
        scheme,
        None if patterns.complete else (patterns.kinds, patterns.number),
    )


def _test(fitted: FittedScans, null: Null) -> _Tested:
    """Family-wise p of voxels, and of clusters by extent, mass and TFCE."""
    two_sided, statistics = fitted.two_sided, fitted.statistics
    labels, sizes = clusters.label(fitted.searched, fitted.threshold, fitted.lattice)
    rows = results.new_rows(sizes)
    extent_p = maxima.family_wise_p(sizes, null.largest_extent(two_sided))
    p = {
        "voxel": maxima.family_wise_p(np.abs(fitted.searched), null.largest_t(two_sided), tfce.TIE),
        "extent": results.voxelwise(extent_p, labels),
    }
    results.add(rows, "p_fwe_cluster", extent_p)
    if statistics.mass:
        masses = clusters.masses(labels, fitted.searched, fitted.threshold if statistics.mass == "excess" else 0.0)
        mass_p = maxima.family_wise_p(masses, null.largest_mass(two_sided))
        p["mass"] = results.voxelwise(mass_p, labels)
        results.add(rows, "mass", masses)
        results.add(rows, "p_fwe_mass", mass_p)
    enhanced = None
    if statistics.enhancement is not None:
        enhanced = tfce.enhance(fitted.heights, fitted.maps.mask, statistics.enhancement)
        searched = np.abs(enhanced) if two_sided else np.maximum(enhanced, 0)
        p["tfce"] = maxima.family_wise_p(searched, null.largest_tfce(two_sided), tfce.TIE)
    return _Tested(p=p, labels=labels, rows=rows, enhanced=enhanced)


def _estimates(fitted: FittedScans, is_cbf: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Maps of the effect, t (or F), z and q; and what its q mean."""
    estimates, model = fitted.estimates, fitted.model
    p = estimates.p
    if not model.is_joint and not fitted.inference.two_sided:
        p = special.stdtr(estimates.df, -estimates.statistic)
    q, discovery = results.false_discovery(p, fitted.inference)
    volumes = {
        "t": estimates.statistic,
        "z": estimates.z,
        "qfdr": -np.log10(np.maximum(np.nan_to_num(q, nan=1.0), results.LEAST_P)),
    }
    if not model.is_joint:
        volumes["effect"] = estimates.effects[0]
        if is_cbf and not model.kind.is_slope and model.sessions is not None:
            first = np.asarray(fitted.maps.values[model.sessions == model.sessions.min()], dtype=np.float64)
            known = np.isfinite(first)
            total = np.where(known, first, 0.0).sum(axis=0)
            volumes["percent"] = results.percent(estimates.effects[0], total / np.maximum(known.sum(axis=0), 1))
    return volumes, discovery


def _add_sizes(fitted: FittedScans, tested: _Tested) -> None:
    """Add each cluster's mean effect with its interval: of the scans' means over the cluster, by the same model."""
    rows, model = tested.rows, fitted.model
    if not rows or model.is_joint:
        return
    means = np.stack([_mean(fitted.maps.values[:, tested.labels == row["cluster"]]) for row in rows], axis=1)
    known = np.isfinite(means).all(axis=0)
    effect, t, df = (np.full(len(rows), np.nan) for _ in range(3))
    if known.any():
        _, participant = scan_definitions.people(model)
        own = scan_models.fit(
            means[:, known],
            model.matrix,
            model.weights,
            participant,
            method=fitted.inference.degrees_of_freedom,
        )
        effect[known], t[known], df[known] = own.effects[0], own.statistic, own.df
    low, high = effect_sizes.interval(effect, t, df)
    results.add(rows, "effect_mean", effect)
    results.add(rows, "effect_low", low)
    results.add(rows, "effect_high", high)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean of each scan over the voxels that it has; NaN where it has none."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
