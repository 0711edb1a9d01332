"""What the tests of one drawn study say, by size of the effect, place, scaling and model."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.contrasts import scaling
from pharmasl.group import combination, effects, formula_models, permutation_inference
from pharmasl.group.engine import relabelling
from pharmasl.group.engine.maxima import family_wise_p
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.power.draws import DrawnStudy
from pharmasl.power.ground import Ground
from pharmasl.power.named_tests import ANYWHERE, PARCEL, REGION, SHIFTED, VOXEL
from pharmasl.regions import value_permutations
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP
from pharmasl.study.map_assumptions import ABSOLUTE, PROPORTIONAL
from pharmasl.study.planned_maps import ANY, PlannedMaps
from pharmasl.study.settings import Inference

_ROUNDING = 1e-12
_FORMULAS = {ANCOVA: "followup ~ arm + baseline", FOLLOWUP: "followup ~ arm"}


@dataclass(frozen=True, kw_only=True)
class _Significant:
    """Where a study without or with an effect is significant.

    Attributes
    ----------
    searches : dict of ndarray of shape (V,)
        By search, the sign of the effect where it is significant; 0 elsewhere.
    regions : ndarray of shape (2 P,)
        The same of the places, then of the places as they are placed wrongly; NaN where those lie outside the brain.
    estimates : ndarray of shape (P,)
        The effect in the places.
    """

    searches: Mapping[str, np.ndarray]
    regions: np.ndarray
    estimates: np.ndarray


def searches(planned: PlannedMaps) -> list[str]:
    """The searches over the brain, in the order of the tables."""
    names = [PARCEL, VOXEL, *planned.statistics]
    return [*names, ANY] if planned.analysis.inference.primary == ANY else names


def columns(planned: PlannedMaps) -> list[str]:
    """The columns of :func:`rows` that are 1 where a test is significant, and 0 elsewhere."""
    own = searches(planned)
    return [REGION, SHIFTED, *own, *(f"{name}{ANYWHERE}" for name in own)]


def rows(planned: PlannedMaps, ground: Ground, study: DrawnStudy) -> Iterator[dict[str, Any]]:
    """What the tests of a study say: a row for each size of the effect, place, scaling and model.

    Parameters
    ----------
    planned : PlannedMaps
    ground : Ground
    study : DrawnStudy

    Yields
    ------
    dict
        ``effect``, ``place``, ``scaling``, ``model``, ``estimate``, and the columns of :func:`columns`. A region's test is
        significant where it is so in the direction of the effect; a search, where it is so in a voxel (a cluster that reaches into,
        a parcel that shares a voxel with) the place.
    """
    layout = _Layout.lay(ground, study)
    models = [ModelOfStudy.prepare(planned, method, study) for method in planned.methods]
    treated = np.arange(sum(planned.sizes)) < planned.sizes[0]
    # Without an effect all places have the same maps.
    for effect in planned.effects:
        for places in [list(range(len(planned.places)))] if not effect else [[p] for p in range(len(planned.places))]:
            followup = study.followup
            if effect:
                followup = followup.copy()
                followup[treated] += np.float32(effect) * ground.weights[places[0]]
            for how in planned.scalings:
                sessions = [scaled(values, how) for values in (study.baseline, followup)]
                for model in models:
                    significant = model.test(sessions[0], sessions[1], ground, layout)
                    for place in places:
                        yield {
                            "effect": effect,
                            "place": list(planned.places)[place],
                            "scaling": how,
                            "model": model.method,
                            "estimate": float(significant.estimates[place]),
                            **_flags(
                                significant, ground, layout, place, two_sided=planned.analysis.inference.two_sided
                            ),
                        }


def scaled(values: np.ndarray, how: str) -> np.ndarray:
    """Maps as they are, or by the mean of each over the brain."""
    if how == ABSOLUTE:
        return values
    means = values.mean(axis=1, dtype=np.float64)
    return np.stack([scaling.scaled(row, mean, PROPORTIONAL) for row, mean in zip(values, means)])


def _flags(
    significant: _Significant, ground: Ground, layout: "_Layout", place: int, *, two_sided: bool
) -> dict[str, int]:
    """1 for what is significant in a place in the direction of the effect, and for what is so anywhere."""
    number = len(ground.inside)
    flags = {
        REGION: int(significant.regions[place] > 0),
        SHIFTED: int(significant.regions[number + place] > 0),
    }
    anywhere = {}
    for name, signs in significant.searches.items():
        inside = layout.touched[place] if name == PARCEL else ground.inside[place][ground.searched]
        flags[name] = int((signs[inside] > 0).any())
        anywhere[f"{name}{ANYWHERE}"] = int(((signs != 0) if two_sided else (signs > 0)).any())
    return flags | anywhere


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The voxels of the regions whose means are tested.

    Attributes
    ----------
    order : ndarray of int
        Voxels region by region: the places, the places placed wrongly, the parcels.
    starts : ndarray of int
        Where each region begins in it; regions without a voxel have none.
    filled : ndarray of bool
        Which regions have a voxel.
    places : int
    touched : list of ndarray of bool
        For each place, the parcels that share a voxel with it.
    """

    order: np.ndarray
    starts: np.ndarray
    filled: np.ndarray
    places: int
    touched: list[np.ndarray]

    @classmethod
    def lay(cls, ground: Ground, study: DrawnStudy) -> "_Layout":
        number = len(ground.inside)
        regions = [np.flatnonzero(inside) for inside in ground.inside]
        regions += [ground.shifted(place, study.offset) for place in range(number)]
        labels = np.arange(1, ground.parcels.max(initial=0) + 1)
        regions += [np.flatnonzero(ground.parcels == label) for label in labels]
        sizes = np.array([len(region) for region in regions])
        ends = np.cumsum(sizes)
        return cls(
            order=np.concatenate(regions),
            starts=(ends - sizes)[sizes > 0],
            filled=sizes > 0,
            places=number,
            touched=[np.isin(labels, ground.parcels[inside]) for inside in ground.inside],
        )

    def means(self, values: np.ndarray) -> np.ndarray:
        """Means of maps (n, V) over the regions that have a voxel, ndarray of shape (n, K), float32 by voxel."""
        gathered = values.T[self.order].astype(np.float64)
        sizes = np.diff(np.append(self.starts, len(self.order)))
        sums = np.add.reduceat(gathered, self.starts, axis=0)
        return (sums / sizes[:, None]).astype(np.float32).T


@dataclass(frozen=True, kw_only=True)
class ModelOfStudy:
    """A model of a study's people with its relabellings.

    Attributes
    ----------
    planned : PlannedMaps
    method : {"change", "ancova", "followup"}
    model : Model
    relabellings : Relabellings
    inference : Inference
    """

    planned: PlannedMaps
    method: str
    model: Model
    relabellings: Relabellings
    inference: Inference

    @classmethod
    def prepare(cls, planned: PlannedMaps, method: str, study: DrawnStudy) -> "ModelOfStudy":
        """The model of a method, with the study's covariates and relabellings."""
        model = _model(planned, method, study.covariates)
        number = planned.drawing.relabellings
        permutations, _ = relabelling.relabellings(model.relabelled_rows, number, study.seed, model.blocks)
        inference = planned.analysis.inference
        inference = dataclasses.replace(
            inference,
            permutations=number,
            statistics=planned.statistics,
            # With the baseline of every voxel in the model there is one variance for all.
            variance="equal" if model.maps else inference.variance,
        )
        return cls(
            planned=planned,
            method=method,
            model=model,
            relabellings=Relabellings(permutations=permutations),
            inference=inference,
        )

    def search(self, baseline: np.ndarray, followup: np.ndarray, ground: Ground) -> permutation_inference.Search:
        """The search over the brain, or over the region to which it is restricted."""
        maps = self._maps(baseline, followup, ground.mask, ground.affine)
        if not ground.searched.all():
            volume = np.zeros(ground.mask.shape, dtype=bool)
            volume[ground.mask] = ground.searched
            maps = maps.within_region(str(self.planned.analysis.within), volume)
        return permutation_inference.search(self.model, maps, self.inference, self.relabellings)

    def test(self, baseline: np.ndarray, followup: np.ndarray, ground: Ground, layout: _Layout) -> _Significant:
        """Where the arms of a study differ."""
        alpha = self.inference.alpha + _ROUNDING
        own = self.search(baseline, followup, ground)
        p = dict(own.tested.p)
        if self.inference.primary == ANY:
            p[ANY] = combination.deciding_p(own.tested.p, ANY, own.null, self.inference.two_sided)
        signs = np.sign(own.fitted.observed.heights)
        searched = np.zeros(ground.mask.shape, dtype=bool)
        searched[ground.mask] = ground.searched
        kept = own.fitted.maps.mask[searched]
        significant = {}
        for name, values in p.items():
            # Voxels that do not vary are not tested.
            significant[name] = np.zeros(len(kept))
            significant[name][kept] = signs * (values <= alpha)
        regions, parcels, estimates = self._regions(baseline, followup, layout)
        return _Significant(
            searches={PARCEL: parcels, **{name: significant[name] for name in searches(self.planned)[1:]}},
            regions=regions,
            estimates=estimates,
        )

    def _regions(
        self, baseline: np.ndarray, followup: np.ndarray, layout: _Layout
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Signs of the significant places and parcels, and the estimates in the places."""
        means = [layout.means(values) for values in (baseline, followup)]
        filled = int(layout.filled[: 2 * layout.places].sum())
        places = self._search([values[:, :filled] for values in means])
        p = special.ndtr(-np.abs(places.fitted.observed.z)) * (2 if self.inference.two_sided else 1)
        t = places.fitted.observed.t
        signs = np.full(2 * layout.places, np.nan)
        signs[layout.filled[: 2 * layout.places]] = np.sign(t) * (p <= self.planned.region_alpha)
        atlas = self._search([values[:, filled:] for values in means])
        heights = atlas.fitted.observed.heights
        height = np.abs(heights) if self.inference.two_sided else heights
        corrected = family_wise_p(height, atlas.null.largest_t(self.inference.two_sided))
        parcels = np.sign(heights) * (corrected <= self.inference.alpha + _ROUNDING)
        return signs, parcels, places.fitted.form.effect[: layout.places]

    def _search(self, means: Sequence[np.ndarray]) -> permutation_inference.Search:
        """Regions as voxels none of which touch."""
        lattice = value_permutations.apart(means[0].shape[1])
        maps = self._maps(means[0], means[1], lattice.mask, np.eye(4))
        inference = dataclasses.replace(self.inference, statistics=())
        return permutation_inference.search(self.model, maps, inference, self.relabellings)

    def _maps(self, baseline: np.ndarray, followup: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> Maps:
        people = len(baseline)
        outcome = followup - baseline if self.method == CHANGE else followup
        return Maps(
            values=_by_voxel(outcome),
            mask=mask,
            affine=affine,
            template_voxels=int(mask.sum()),
            lost=[0] * people,
            empty=[(False,)] * people,
            baseline=np.zeros(int(mask.sum())),
            paths=[self.planned.outcome] * people,
            terms={name: _by_voxel(baseline) for name in self.model.maps},
        )


def _by_voxel(values: np.ndarray) -> np.ndarray:
    """Maps (n, V) whose values at a voxel lie together."""
    return np.ascontiguousarray(values.T).T


def _model(planned: PlannedMaps, method: str, covariates: np.ndarray) -> Model:
    names = [f"covariate{number}" for number in range(1, covariates.shape[1] + 1)]
    treatment, control = planned.sizes
    arms = [planned.arms.treatment] * treatment + [planned.arms.control] * control
    table: list[dict[str, Any]] = [
        {"participant_id": f"sub-{number:04d}", "arm": arm, **dict(zip(names, map(repr, own.tolist())))}
        for number, (arm, own) in enumerate(zip(arms, covariates), 1)
    ]
    participants = [str(row["participant_id"]) for row in table]
    plain = dataclasses.replace(
        planned.analysis,
        effect="group_by_time" if method == CHANGE else None,
        model=None if method == CHANGE else " + ".join([_FORMULAS[method], *names]),
        test=None if method == CHANGE else "arm",
        covariates=tuple(names) if method == CHANGE else (),
        site=None,
        constrained_baseline=False,
    )
    file = "power"
    if method == CHANGE:
        return effects.build(plain, planned.arms, participants, table, file)
    return formula_models.build(plain, planned.arms, DesignRows(participants=participants), table, file)
