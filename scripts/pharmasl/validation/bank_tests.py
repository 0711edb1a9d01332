"""What the workflow's own analyses say of a trial of an error bank: of the brain, of seeds, of planned regions and of the trial.

Contrast maps are written as the workflow writes them, and read, modelled and tested by its group analysis; regions by its models of
regions, craving by its comparison of the arms, and the primary answers are corrected together as its verdict is.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pharmasl.conduct import trial_verdict
from pharmasl.contrasts.scaling import Reference, RelativeCbf
from pharmasl.endpoints import comparisons, endpoint
from pharmasl.files import bids, tables
from pharmasl.group import analysis as group_analysis
from pharmasl.group.analysis_rows import InputFiles, NotRunError
from pharmasl.group.definitions import Question
from pharmasl.group.results import FAMILY_WISE, Result
from pharmasl.regions import region_definitions, region_masks, region_models, region_values
from pharmasl.regions.visit_values import VisitValues
from pharmasl.simulate.brain_comparison import REACH
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms
from pharmasl.space.packaged import package_file
from pharmasl.study import arms as study_arms
from pharmasl.study import primary
from pharmasl.study.effect_kinds import CHANGE, DIFFERENCES, FOLLOWUP
from pharmasl.study.relative_cbf import PROPORTIONAL
from pharmasl.study.settings import Analysis, Contrast, Region, Scaling
from pharmasl.validation.bank_trial import BankTrial, ErrorBank
from pharmasl.validation.bank_truth import BASELINE, BankTruth
from pharmasl.validation.outcomes import DECLARED
from pharmasl.validation.study_counts import ANY_PRIMARY

ABSOLUTE, SCALED = "absolute", "scaled"
_EFFECT = "dlpfc"
# Of an arm, in a trial that is tested.
_FEWEST = 2
# Models whose tested effect is the planted difference between the arms.
_COMPARISONS = {(CHANGE, "change ~ arm"), (FOLLOWUP, "followup ~ arm"), (FOLLOWUP, "followup ~ arm + baseline")}


@dataclass(frozen=True, kw_only=True)
class BankAnswer:
    """What an analysis, or another answer of the trial, said.

    Attributes
    ----------
    analysis : str
    scaling : {"absolute", "scaled"}
        Of CBF as it is configured, or with each scan divided by its own mean.
    least_p : mapping of str to float
        Smallest p in the brain by statistic, that by which the analysis concludes as :data:`DECLARED`; of another answer that one
        alone. Empty where it was not tested.
    called : float or None
        Share of the brain's voxels that are significant.
    at_effect : bool
        Whether the declared statistic is significant, with a rise, near the centre of the resting effect.
    """

    analysis: str
    scaling: str = ABSOLUTE
    least_p: Mapping[str, float]
    called: float | None = None
    at_effect: bool = False


@dataclass(frozen=True, kw_only=True)
class RegionAnswer:
    """The estimate of a planned region in an analysis, in the maps' unit.

    Attributes
    ----------
    analysis, region : str
    estimate, low, high, p : float
    planted : float or None
        The effect in the population's maps; None where it is not known exactly.
    """

    analysis: str
    region: str
    estimate: float
    low: float
    high: float
    p: float
    planted: float | None


@dataclass(frozen=True, kw_only=True)
class TrialAnswers:
    """All that was said of a trial."""

    answers: Sequence[BankAnswer]
    regions: Sequence[RegionAnswer]


@dataclass(frozen=True)
class _Tested:
    """An analysis that was run, by which its clusters and regions are known."""

    question: Question
    result: Result


class BankTests:
    """The analyses and regions of a study on the grid of a bank.

    Parameters
    ----------
    bank : ErrorBank
    truth : BankTruth

    Raises
    ------
    InputError
        If a region's definition cannot be used.
    """

    def __init__(self, bank: ErrorBank, truth: BankTruth) -> None:
        self._bank, self._grid, self._inside = bank, bank.maps.grid, bank.maps.mask
        self._grey = truth.grey
        study, atlas = bank.study, bank.study.atlas
        self._atlas: list[str | Path] = [atlas.image, atlas.labels]
        if atlas.package is not None:
            self._atlas = [package_file(atlas.package, name) for name in (atlas.image, atlas.labels)]
        # Regions that each scan is measured in are in no contrast map.
        regions = {name: region for name, region in study.rois.items() if region.space == "template"}
        self._clusters = {
            name: one for name, one in regions.items() if region_definitions.kind(one.definition) == "cluster"
        }
        self._planned = {name: self._voxels(one, []) for name, one in regions.items() if name not in self._clusters}
        self.analyses = {
            one.name: replace(one, inference=replace(one.inference, permutations=bank.permutations))
            for one in study.analyses.values()
            if self._can_be_tested(one)
        }
        self._differences = {name: self._planted(one, truth) for name, one in self.analyses.items()}
        self._near = REGIONS[_EFFECT].distance(transforms.points(self._grid)) < REACH

    def _can_be_tested(self, analysis: Analysis) -> bool:
        """Whether the bank has all that an analysis takes: maps of both sessions, arms, and values of regions."""
        regions = [seed.roi for seed in analysis.seeds]
        regions += [analysis.within] if analysis.within else []
        formula = analysis.formula
        return (
            analysis.method == DIFFERENCES
            and not analysis.terms
            and not analysis.visit_terms
            and (formula is None or set(formula.maps) <= {BASELINE})
            and (formula is None or "global" not in formula.text)
            and analysis.sessions in (None, self._bank.study.sessions)
            and all(self._has(name) for name in regions)
        )

    def _has(self, region: str) -> bool:
        """Whether a region is planned, or a cluster of an analysis that can be tested."""
        if region in self._planned:
            return True
        defining = self._bank.study.analyses.get(self.defining_analysis(region)) if region in self._clusters else None
        return defining is not None and self._can_be_tested(defining)

    def _voxels(self, region: Region, clusters: Sequence[Path]) -> np.ndarray:
        """A region's voxels among those of the bank, ndarray of bool, shape (V,)."""
        kind = region_definitions.kind(region.definition)
        mask = region_masks.mask(
            region.definition,
            self._grid,
            atlas=self._atlas if kind == "atlas" else (),
            clusters=clusters,
            image=[region.image] if region.image else (),
        )
        return mask[self._inside]

    def _planted(self, analysis: Analysis, truth: BankTruth) -> np.ndarray | None:
        """The tested effect in the population's maps, (V,); None where it is not known exactly."""
        kind, contrast = analysis.kind, self._bank.study.contrasts[analysis.contrast]
        if (kind.outcome, kind.formula) not in _COMPARISONS or kind.test != "arm" or not contrast.is_absolute:
            return None
        first, second = (truth.planted(contrast.weights, session) for session in (BASELINE, FOLLOWUP))
        if kind.outcome == CHANGE:
            return second - first
        # Arms that differ at baseline are adjusted by a slope that is not known.
        return None if np.nan_to_num(first).any() else second

    def test(self, trial: BankTrial, *, scaled: bool = True) -> TrialAnswers:
        """All that the study's analyses say of a trial.

        Parameters
        ----------
        trial : BankTrial
        scaled : bool
            Whether analyses of CBF without a map as a term (which take several times as long) are asked again of scaled maps.
        """
        own, further, regions = list[BankAnswer](), list[BankAnswer](), list[RegionAnswer]()
        with tempfile.TemporaryDirectory() as folder:
            files = _TrialFiles(self, trial, Path(folder))
            for one in self.analyses.values():
                tested = files.run(one)
                own.append(self._answer(one, tested))
                if tested is not None:
                    regions += self._region_answers(one, tested, files)
                if scaled and self._is_scaled(one):
                    further.append(self._answer(one, files.run(one, scaled=True), SCALED))
        own += self._craving(trial)
        return TrialAnswers(answers=[*own, *self._any_primary(own), *further], regions=regions)

    def _is_scaled(self, analysis: Analysis) -> bool:
        """Whether an analysis is asked again of scaled maps: of absolute CBF in the whole brain, one design for all voxels."""
        contrast = self._bank.study.contrasts[analysis.contrast]
        is_plain = not analysis.seeds and not analysis.within and not analysis.kind.takes_baseline
        return contrast.is_absolute and contrast.is_cbf and is_plain

    def _answer(self, analysis: Analysis, tested: _Tested | None, scaling: str = ABSOLUTE) -> BankAnswer:
        if tested is None:
            return BankAnswer(analysis=analysis.name, scaling=scaling, least_p={})
        result = tested.result
        least = {name: _least(result.maps[key]) for name, key in FAMILY_WISE.items() if key in result.maps}
        # Maps are in single precision.
        p = 10.0 ** -np.nan_to_num(result.maps["verdict"].astype(np.float64))
        significant = p <= analysis.inference.alpha * (1 + 1e-5)
        rises = significant & (result.maps["t"] > 0)
        return BankAnswer(
            analysis=analysis.name,
            scaling=scaling,
            least_p={DECLARED: _least(result.maps["verdict"]), **least},
            called=float(significant.mean()),
            at_effect=bool((rises & self._near[result.mask]).any()),
        )

    def _region_answers(self, analysis: Analysis, tested: _Tested, files: "_TrialFiles") -> list[RegionAnswer]:
        """The planned regions; those that these data defined have no interval of their own."""
        question = region_models.Question(
            analysis=analysis, sessions=tested.question.sessions, is_cbf=tested.question.is_cbf
        )
        values = files.values(analysis.contrast, list(self._planned))
        family = region_models.family_of(tested.result.model, values, question)
        planted, rows = self._differences[analysis.name], []
        for name, one in zip(self._planned, family.tests):
            if len(one.estimates) == 1:
                (estimate,) = one.estimates
                truth = None if planted is None else float(np.nanmean(planted[self._planned[name]]))
                rows.append(
                    RegionAnswer(
                        analysis=analysis.name,
                        region=name,
                        estimate=estimate.value,
                        low=estimate.low,
                        high=estimate.high,
                        p=one.p,
                        planted=truth,
                    )
                )
        return rows

    def _craving(self, trial: BankTrial) -> list[BankAnswer]:
        """The comparison of the arms' changes in craving, where the study asks for it."""
        if self._bank.study.craving is None:
            return []
        arms = {row["participant_id"]: row["arm"] for row in trial.participants}
        rows = [
            {
                "participant_id": row["participant_id"],
                "session_id": bids.bare_label(row["session_id"], "ses"),
                "arm": arms[row["participant_id"]],
                "cue_elicited": row["craving_post"] - row["craving_pre"] if row["craving_pre"] is not None else np.nan,
            }
            for row in trial.craving
        ]
        scores = endpoint.Endpoint(pd.DataFrame(rows), self._bank.arms, self._bank.sessions)
        (row,) = comparisons.difference_of_changes(scores)
        return [BankAnswer(analysis=primary.CRAVING, least_p={} if row.p is None else {DECLARED: row.p})]

    def _any_primary(self, answers: Sequence[BankAnswer]) -> list[BankAnswer]:
        """The smallest corrected p of the primary answers, where the bank has each of them."""
        declared = self._bank.study.primary
        if declared is None or declared.correction == "joint":
            return []
        known = {one.analysis: one.least_p.get(DECLARED, math.nan) for one in answers}
        if not set(declared.answers) <= set(known):
            return []
        corrected = trial_verdict.corrected(np.array([known[name] for name in declared.answers]), declared.correction)
        least = {DECLARED: float(np.nanmin(corrected))} if np.isfinite(corrected).any() else {}
        return [BankAnswer(analysis=ANY_PRIMARY, least_p=least)]

    def contrast(self, contrast: Contrast, scans: Mapping[str, np.ndarray], wanted: Scaling) -> np.ndarray:
        """A contrast of a visit's scans, each scaled as it is asked for, (V,).

        Parameters
        ----------
        contrast : Contrast
        scans : mapping of str to ndarray of shape (V,)
            By condition.
        wanted : Scaling
        """
        total = np.zeros(int(self._inside.sum()))
        for condition, weight in contrast.weights.items():
            values = scans[condition]
            if not wanted.is_absolute:
                values = self._scaled(values, wanted)
            total += weight * values
        return total

    def _scaled(self, values: np.ndarray, wanted: Scaling) -> np.ndarray:
        grey = wanted.reference == "grey_matter"
        reference = Reference(
            name=wanted.reference, voxels=self._grey >= 0.5 if grey else np.ones_like(values, dtype=bool)
        )
        how = RelativeCbf(wanted=wanted, reference=reference, minimum_coverage=self._bank.study.minimum_roi_coverage)
        scan = how.scale(values, np.zeros_like(values), np.isfinite(values))
        return scan.cbf if scan.fault is None else np.full_like(values, np.nan)

    def region_value(self, name: str, inside: np.ndarray, values: np.ndarray) -> float:
        """The value of a region in a map (V,); NaN where too little of it has data."""
        study = self._bank.study
        value = region_values.summarise(
            values[inside],
            statistic=study.rois[name].statistic,
            minimum_coverage=study.minimum_roi_coverage,
            weights=self._grey[inside],
        )
        return math.nan if value.cbf is None else value.cbf

    def planned(self, name: str) -> np.ndarray | None:
        """Voxels of a planned region; None of a cluster."""
        return self._planned.get(name)

    def cluster(self, name: str, tested: _Tested | None, path: Path) -> np.ndarray:
        """Voxels of a region that is a cluster of an analysis of these data; none where it was not run or has no such cluster.

        Parameters
        ----------
        name : str
        tested : _Tested or None
            The analysis.
        path : Path
            Of the image of its clusters, which is written.
        """
        if tested is None:
            return np.zeros(int(self._inside.sum()), dtype=bool)
        labels = np.zeros(self._inside.shape, dtype=np.int32)
        labels[tested.result.mask] = tested.result.labels
        images.save(path, labels, self._grid.affine, dtype=np.int32)
        return self._voxels(self._clusters[name], [path])

    def defining_analysis(self, name: str) -> str:
        """The analysis whose cluster a region is."""
        return str(self._clusters[name].analysis)

    @property
    def bank(self) -> ErrorBank:
        """The bank."""
        return self._bank


class _TrialFiles:
    """A trial's contrast maps and tables as files, each written once, and the analyses of them."""

    def __init__(self, tests: BankTests, trial: BankTrial, folder: Path) -> None:
        self._tests, self._trial, self._folder = tests, trial, folder
        self._bank = tests.bank
        self._maps: dict[tuple[str, bool, str, str], np.ndarray] = {}
        self._done: dict[str, _Tested | None] = {}
        self._regions: dict[str, np.ndarray] = {}
        self._affine = self._bank.maps.grid.affine
        self._table = folder / "participants.tsv"
        own = [{"participant_id": row["participant_id"], "arm": row["arm"]} for row in trial.participants]
        tables.write_table(self._table, own, {"participant_id": "Participant", "arm": "Arm"})
        self._brain = self._mask("brain", np.ones(int(self._bank.maps.mask.sum()), dtype=bool))

    def _mask(self, name: str, inside: np.ndarray) -> Path:
        path = self._folder / f"{name}_mask.nii"
        images.save(path, self._volume(inside, 0), self._affine, dtype=np.uint8)
        return path

    def _volume(self, values: np.ndarray, outside: float = np.nan) -> np.ndarray:
        volume = np.full(self._bank.maps.mask.shape, outside, dtype=np.float32)
        volume[self._bank.maps.mask] = values
        return volume

    def _labels(self) -> dict[str, str]:
        return {BASELINE: self._bank.sessions.baseline, FOLLOWUP: self._bank.sessions.later}

    def _people(self, conditions: Sequence[str]) -> list[str]:
        """Those who have the scans of some conditions in both sessions."""
        wanted = {(label, state) for label in self._labels().values() for state in conditions}
        return [who for who, own in self._trial.maps.items() if wanted <= own.keys()]

    def run(self, analysis: Analysis, *, scaled: bool = False) -> _Tested | None:
        """An analysis of those who have its scans; None where too few of an arm do, or its region or seed was not found."""
        key = f"{analysis.name} {scaled}"
        if key not in self._done:
            self._done[key] = self._run(analysis, scaled)
        return self._done[key]

    def _run(self, analysis: Analysis, scaled: bool) -> _Tested | None:
        bank, study = self._bank, self._bank.study
        conditions = [state for name in analysis.contrasts for state in study.contrasts[name].weights]
        names = self._people(conditions)
        arms = {row["participant_id"]: row["arm"] for row in self._trial.participants}
        present = [arms[who] for who in names]
        if min(present.count(arm) for arm in (bank.arms.treatment, bank.arms.control)) < _FEWEST:
            return None
        within = None
        if analysis.within:
            within = self._mask(f"{analysis.name}_within", self._region(analysis.within))
        contrast = study.contrasts[analysis.contrast]
        sessions = study_arms.sessions(analysis, bank.sessions)
        files = InputFiles(
            baseline=self._paths(contrast, scaled, bank.sessions.baseline, names) if BASELINE in sessions else (),
            followup=self._paths(contrast, scaled, bank.sessions.later, names) if FOLLOWUP in sessions else (),
            members=dict.fromkeys(sessions, names),
            participants=self._table,
            template_mask=self._brain,
            seeds=[self._seed(roi) for roi in dict.fromkeys(seed.roi for seed in analysis.seeds)],
            within=within,
        )
        question = Question(
            analysis=analysis, arms=bank.arms, sessions=sessions, is_cbf=contrast.is_cbf, scaling=contrast
        )
        try:
            return _Tested(question, group_analysis.find(question, files))
        except NotRunError:
            return None

    def _map(self, contrast: Contrast, scaled: bool, label: str, who: str) -> np.ndarray:
        """A person's map of a contrast in a session, (V,)."""
        key = (contrast.name, scaled, label, who)
        if key not in self._maps:
            own = self._trial.maps[who]
            scans = {state: own[label, state] for state in contrast.weights}
            wanted = Scaling(scaling=PROPORTIONAL, reference="brain") if scaled else contrast
            self._maps[key] = self._tests.contrast(contrast, scans, wanted)
        return self._maps[key]

    def _paths(self, contrast: Contrast, scaled: bool, label: str, names: Sequence[str]) -> list[Path]:
        paths = []
        for who in names:
            path = self._folder / f"{contrast.name}_{'scaled' if scaled else 'own'}_{label}_{who}.nii"
            if not path.is_file():
                images.save(path, self._volume(self._map(contrast, scaled, label, who)), self._affine)
            paths.append(path)
        return paths

    def _region(self, name: str) -> np.ndarray:
        """The voxels of a region, (V,)."""
        planned = self._tests.planned(name)
        if planned is not None:
            return planned
        if name not in self._regions:
            tested = self.run(self._tests.analyses[self._tests.defining_analysis(name)])
            self._regions[name] = self._tests.cluster(name, tested, self._folder / f"{name}_dseg.nii")
        return self._regions[name]

    def _visits(self, contrast: Contrast) -> list[tuple[str, str]]:
        people = self._people(list(contrast.weights))
        return [(who, label) for who in people for label in self._labels().values()]

    def _seed(self, name: str) -> Path:
        """The table of a region's values of all contrasts."""
        path = self._folder / f"{name}_values.tsv"
        inside, rows = self._region(name), []
        for contrast in self._bank.study.contrasts.values():
            for who, label in self._visits(contrast):
                value = self._tests.region_value(name, inside, self._map(contrast, False, label, who))
                rows.append(
                    {
                        "participant_id": who,
                        "session_id": label,
                        "contrast": contrast.name,
                        "cbf": None if math.isnan(value) else value,
                    }
                )
        tables.write_table(path, rows, region_values.value_columns("mean", []))
        return path

    def values(self, contrast_name: str, names: Sequence[str]) -> VisitValues:
        """A contrast's values in planned regions."""
        contrast = self._bank.study.contrasts[contrast_name]
        visits = self._visits(contrast)
        index = pd.MultiIndex.from_tuples(
            [(contrast_name, bids.bare_label(who, "sub"), bids.bare_label(label, "ses")) for who, label in visits],
            names=["contrast", "participant_id", "session_id"],
        )
        inside = {name: self._region(name) for name in names}
        maps = [self._map(contrast, False, label, who) for who, label in visits]
        rows = [[self._tests.region_value(name, inside[name], values) for name in names] for values in maps]
        return VisitValues(
            names=[{"roi": name} for name in names],
            frame=pd.DataFrame(rows, index=index, columns=list(names), dtype=np.float64),
            chosen=np.zeros(len(names), dtype=bool),
            file=self._folder,
        )


def _least(logarithms: np.ndarray) -> float:
    """The smallest p of a map of -log10 p."""
    return float(10.0 ** -np.nanmax(logarithms.astype(np.float64)))
