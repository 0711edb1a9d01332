"""One analysis from maps to maps: read, fit, test, write."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.files.bids import bare_label
from pharmasl.group import (
    baseline_adjustment,
    covariate_maps,
    definitions,
    design,
    effects,
    formula_models,
    full_factorial,
    map_sidecars,
    maps,
    mixed_maps,
    mixed_model_inference,
    permutation_inference,
    random_field_inference,
    reallocation_inference,
    scan_models,
)
from pharmasl.group.covariate_maps import TermMaps
from pharmasl.group.definitions import Exclusion, Question
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.results import Result
from pharmasl.space import images
from pharmasl.statistics.covariates import Row
from pharmasl.study import arms as study_arms
from pharmasl.study.effect_kinds import CHANGE, DIFFERENCES, FULL_FACTORIAL, MIXED_MODEL
from pharmasl.study.settings import Seed

MAPS = (
    "effect",
    "percent",
    "hedges_g",
    "t",
    "z",
    "voxel_pfwe",
    "cluster_pfwe",
    "mass_pfwe",
    "tfce",
    "tfce_pfwe",
    "qfdr",
    "verdict",
)
NULL_COLUMNS: Mapping[str, str | Mapping[str, str]] = {
    "relabelling": "0 is the observed labelling",
    "max_t": "Largest t in the mask; 0 where none is positive",
    "min_t": "Smallest t in the mask; 0 where none is negative",
    "extent_positive": {"Description": "Largest cluster of t above the cluster-forming t", "Units": "voxels"},
    "extent_negative": {"Description": "Largest cluster of t below minus the cluster-forming t", "Units": "voxels"},
    "mass_positive": "Heaviest cluster of t above the cluster-forming t",
    "mass_negative": "Heaviest cluster of t below minus the cluster-forming t",
    "tfce_positive": "Largest TFCE of positive t",
    "tfce_negative": "Largest TFCE of negative t",
}
_SESSIONS = ("baseline", "followup")
# The term of the named effects whose values are a region's.
_SEED = "seed_change"


class Outputs(Protocol):
    """Paths of an analysis' files: the maps of :data:`MAPS`, and these."""

    mask: str
    clusters: str
    design: str
    null: str
    inference: str


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """The files that an analysis reads.

    Attributes
    ----------
    baseline, followup : sequence of path-like
        Contrast maps, one per participant.
    members : mapping
        ``baseline``, ``followup`` and the labels of further sessions to the participants of those maps. They are the same unless
        the method takes incomplete participants.
    participants : path-like
        The participants' table.
    template_mask : path-like
    seeds : sequence of path-like
        ``rois/{roi}_values.tsv`` of each region whose values are a term.
    within : path-like or None
        Mask of the region searched.
    further : sequence of path-like
        Contrast maps of the sessions beside baseline and follow-up, session by session.
    terms : mapping
        Maps that are terms of the model beside the baseline, by their text.
    global_values : path-like or None
        ``contrasts/global_values.tsv``, for a model with the term ``global``.

    Raises
    ------
    InputError
        If there is not one map per participant.
    """

    baseline: Sequence[FilePath]
    followup: Sequence[FilePath]
    members: Mapping[str, Sequence[str]]
    participants: FilePath
    template_mask: FilePath
    seeds: Sequence[FilePath] = ()
    within: FilePath | None = None
    further: Sequence[FilePath] = ()
    terms: Mapping[str, TermMaps] = field(default_factory=dict)
    global_values: FilePath | None = None

    def __post_init__(self) -> None:
        for session in self.members:
            if len(self.members[session]) != len(self.maps(session)):
                raise InputError(
                    "configuration",
                    f"maps of the {session} session",
                    f"{len(self.members[session])} participants, {len(self.maps(session))} maps",
                    "one map per participant",
                    "Run the study's tables again.",
                )

    def maps(self, session: str) -> Sequence[FilePath]:
        """The maps of a session, ``baseline``, ``followup`` or the label of another."""
        if session in _SESSIONS:
            return self.baseline if session == "baseline" else self.followup
        others = [name for name in self.members if name not in _SESSIONS]
        start = sum(len(self.members[name]) for name in others[: others.index(session)])
        return self.further[start : start + len(self.members[session])]


class NotRunError(Exception):
    """Too little is left to analyse: a result, not a fault."""


@dataclass
class _Exclusions:
    """The participants who turned out to lack something, and what it is that is lacking."""

    rows: list[Exclusion] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def add(self, names: Iterable[str], reason: str) -> None:
        self.rows += [Exclusion(name, reason) for name in names]

    def reason(self, error: InputError) -> NotRunError:
        """Why nothing can be tested of those who are left."""
        return NotRunError(f"too few participants have {' and '.join(self.lacking)}: {error}")


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What is asked, of whom: the question, its files, and the rows of the participants' table.

    Attributes
    ----------
    question : pharmasl.group.definitions.Question
    files : InputFiles
    members : mapping
        ``baseline`` and ``followup`` to those of the files' members whose arm takes part.
    paths : mapping
        ``baseline`` and ``followup`` to their maps.
    table : sequence of mapping
    region : ndarray of bool, shape (X, Y, Z), or None
        The region searched.
    exclusions : _Exclusions
    """

    question: Question
    files: InputFiles
    members: Mapping[str, list[str]]
    paths: Mapping[str, list[FilePath]]
    table: Sequence[Row]
    region: np.ndarray | None
    exclusions: _Exclusions = field(default_factory=_Exclusions)

    @classmethod
    def read(cls, question: Question, files: InputFiles) -> "_Trial":
        # What the plan compares with the last run is no more than these columns.
        analysis = question.analysis
        terms = [*analysis.terms, *study_arms.visit_columns(analysis, question.sessions)]
        table = study_arms.used(tables.read_table(files.participants, of_arms=True), terms)
        members, paths = {}, {}
        for session in files.members:
            concerned = set(effects.members(analysis, question.arms, files.members[session], table))
            keep = [name in concerned for name in files.members[session]]
            members[session] = _chosen(files.members[session], keep)
            paths[session] = _chosen(files.maps(session), keep)
        region = None
        if files.within is not None:
            region = images.load(files.within)[0] > 0
        trial = cls(question=question, files=files, members=members, paths=paths, table=table, region=region)
        if region is not None and not region.any():
            trial.exclusions.lacking.append("the region searched is empty")
        return trial

    def build(
        self,
        participants: Sequence[str],
        numbers: Mapping[str, np.ndarray] | None = None,
        sessions: Sequence[str] | None = None,
    ) -> Model:
        """The model; a reason not to run where exclusions leave too few.

        Parameters
        ----------
        participants : sequence of str
            Of each row.
        numbers : mapping, optional
            Values of the regions that are terms; stand-ins without.
        sessions : sequence of str, optional
            Each row's session, where a row is a scan.
        """
        question, analysis, file = self.question, self.question.analysis, self.files.participants
        try:
            if analysis.formula:
                labels = list(question.sessions.values())
                rows = DesignRows(participants=participants, sessions=sessions, labels=labels if sessions else ())
                return formula_models.build(analysis, question.arms, rows, self.table, file, numbers)
            change = effects.stand_in_seed_change(len(participants)) if numbers is None else numbers.get(_SEED)
            return effects.build(analysis, question.arms, participants, self.table, file, change)
        except InputError as error:
            if not self.exclusions.rows:
                raise
            raise self.exclusions.reason(error) from None

    def usable(self, names: Sequence[str], loaded: Maps, sessions: Sequence[str]) -> np.ndarray:
        """Leave out participants with a map without any value; returns who stays, ndarray of bool."""
        contrast = self.question.analysis.contrast
        lacking = [[session for session, none in zip(sessions, empty) if none] for empty in loaded.empty]
        for name, absent in zip(names, lacking):
            if absent:
                at = [str(self.question.sessions[session]) for session in absent if session in self.question.sessions]
                parts = (
                    [f"no CBF of {contrast} at {' and '.join(at)}: the scan is excluded or covers nothing"]
                    if at
                    else []
                )
                parts += [f"no map of {term}" for term in absent if term not in self.question.sessions]
                self.exclusions.add([name], "; ".join(parts))
        if any(lacking):
            self.exclusions.lacking.append(f"usable scans of {contrast}")
        return np.array([not absent for absent in lacking])

    def numbers(
        self, participants: Sequence[str], sessions: Sequence[str] | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The values of regions and of global CBF that are terms, by the term's name, and which rows have all of them.

        Parameters
        ----------
        participants : sequence of str
            Of each row.
        sessions : sequence of str, optional
            Label of each row's session, where a row is a scan.
        """
        analysis = self.question.analysis
        values, known = dict[str, np.ndarray](), np.ones(len(participants), dtype=bool)
        files = dict(zip(dict.fromkeys(seed.roi for seed in analysis.seeds), self.files.seeds, strict=True))
        where = "at that session" if sessions else "in a session"
        for seed in analysis.seeds:
            read = self._of_region(files[seed.roi], seed, participants, sessions)
            own = np.isfinite(read)
            self.exclusions.add(
                _chosen(participants, known & ~own),
                f"the seed region is empty, not covered or without a usable scan {where}",
            )
            if not own.any():
                raise NotRunError(f"seed {seed.roi} has no values")
            if not own.all():
                self.exclusions.lacking.append(f"a value of seed {seed.roi}")
            values[f"roi({seed.roi}, {seed.contrast})" if analysis.formula else _SEED] = read
            known &= own
        if self.files.global_values is not None:
            values[covariate_maps.GLOBAL] = self._global_cbf(participants, sessions)
            own = np.isfinite(values[covariate_maps.GLOBAL])
            self.exclusions.add(
                _chosen(participants, known & ~own), "no global CBF: the scan is excluded or covers too little"
            )
            known &= own
        return values, known

    def _of_region(
        self, path: FilePath, seed: Seed, participants: Sequence[str], sessions: Sequence[str] | None
    ) -> np.ndarray:
        if sessions:
            return design.scan_region_values(path, participants, seed.contrast, sessions)
        outcome = self.question.analysis.kind.outcome
        return design.region_values(path, participants, seed.contrast, self.question.sessions, outcome)

    def _global_cbf(self, participants: Sequence[str], sessions: Sequence[str] | None) -> np.ndarray:
        """The global CBF of each row, NaN where it is not known."""
        question, analysis = self.question, self.question.analysis
        table = GlobalValues.read(str(self.files.global_values))
        reference = question.scaling.reference if question.scaling else "brain"
        if sessions:
            names = [f"sub-{bare_label(name, 'sub')}" for name in participants]
            labels = [bare_label(label, "ses") for label in sessions]
            return np.array(table.at(names, labels, analysis.contrast, reference), dtype=np.float64)
        outcome = analysis.kind.outcome
        return covariate_maps.global_term(table, participants, analysis.contrast, question.sessions, outcome, reference)

    def searched(self, loaded: Maps) -> Maps:
        """The maps within the region searched."""
        if self.region is None:
            return loaded
        if self.region.shape != loaded.mask.shape or not (self.region & loaded.mask).any():
            raise NotRunError("the region searched has no voxel that all participants' maps cover")
        return loaded.within_region(str(self.question.analysis.within), self.region)


def run(question: Question, files: InputFiles, outputs: Outputs, threads: int = 1) -> None:
    """Test an effect at every voxel, and write the maps, tables and definitions.

    Parameters
    ----------
    question : pharmasl.group.definitions.Question
    files : InputFiles
    outputs : Outputs
        Paths as attributes.
    threads : int

    Raises
    ------
    InputError
        For maps, tables or designs that cannot be used; nothing is written then.
    """
    trial = _Trial.read(question, files)
    try:
        result = _result(trial, threads)
    except NotRunError as reason:
        _write_nothing(trial, str(reason), outputs)
        return
    _write(trial, result, outputs)


def find(question: Question, files: InputFiles, threads: int = 1) -> Result:
    """The result of :func:`run`, which is not written; parameters as there.

    Raises
    ------
    NotRunError
        If too little is left to analyse.
    InputError
        As :func:`run`.
    """
    return _result(_Trial.read(question, files), threads)


def _result(trial: _Trial, threads: int) -> Result:
    # One BLAS thread: its sums, and so the bytes written, do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        return _METHODS[trial.question.analysis.method](trial, threads)


def _chosen(items: Sequence, keep: Iterable[bool]) -> list:
    return [item for item, kept in zip(items, keep) if kept]


def _differences(trial: _Trial, threads: int) -> Result:
    """The model of changes (or of baselines), one row per participant; inference by permutation."""
    question, analysis = trial.question, trial.question.analysis
    sessions = analysis.kind.sessions
    names = trial.members[sessions[0]]
    if any(trial.members[session] != names for session in sessions):
        raise InputError(
            "configuration",
            "participants",
            "other participants at follow-up than at baseline",
            "the same",
            "Take the method mixed_model for incomplete participants.",
        )
    # Faults of the table or the configuration concern everyone, and are named before the maps are read; what fails further
    # down, for those who are left, fails because seeds or usable scans are lacking.
    trial.build(names)
    numbers, known = trial.numbers(names)
    names, numbers = _chosen(names, known), {term: values[known] for term, values in numbers.items()}
    paths = {session: _chosen(trial.paths[session], known) for session in sessions}
    # A model of one session that takes the baseline as a term explains the other one alone.
    taken = sessions if analysis.kind.outcome == CHANGE else sessions[-1:]
    terms = {term: files.chosen(names) for term, files in trial.files.terms.items()}
    if analysis.kind.takes_baseline:
        baseline = TermMaps(participants=tuple(names), lists=(paths["baseline"],), is_cbf=True)
        terms = {"baseline": baseline, **terms}
    loaded = maps.read([paths[session] for session in taken], trial.files.template_mask, terms)
    usable = trial.usable(names, loaded, [*taken, *terms])
    names, numbers = _chosen(names, usable), {term: values[usable] for term, values in numbers.items()}
    model = trial.build(names, numbers)
    return permutation_inference.test(
        model, trial.searched(loaded), analysis.inference, is_cbf=question.is_cbf, threads=threads
    )


def _full_factorial(trial: _Trial, threads: int) -> Result:
    """SPM's full factorial: all scans, one covariance for the brain; inference by random fields."""
    question, names, mask = trial.question, trial.members["baseline"], trial.files.template_mask
    loaded = maps.read([trial.paths[session] for session in _SESSIONS], mask)
    usable = trial.usable(names, loaded, _SESSIONS)
    model = trial.build(_chosen(names, usable))
    stacks = [maps.read([_chosen(trial.paths[session], usable)], mask) for session in _SESSIONS]
    first, second = (np.ascontiguousarray(stack.values.T[loaded.mask[stack.mask]]) for stack in stacks)
    arms = [str(arm) for arm in model.arms]
    fitted = full_factorial.fit(first, second, arms, question.arms.treatment, question.arms.control)
    residuals = full_factorial.whitened_residuals(first, second, arms, fitted.covariance)
    # Covariance and smoothness are the brain's, whatever the region: SPM's small volume is a part of its map.
    searched = trial.searched(loaded)
    inside = searched.mask[loaded.mask]
    fitted = fitted._replace(effect=fitted.effect[inside], t=fitted.t[inside])
    return random_field_inference.test(
        model, searched, question.analysis.inference, fitted, residuals, is_cbf=question.is_cbf
    )


def _scans(trial: _Trial, threads: int) -> Result:
    """A formula's model of all scans, with any of the sessions: random intercepts, inference by relabelling participants."""
    question, analysis = trial.question, trial.question.analysis
    names = [name for session in trial.members for name in trial.members[session]]
    labels = [str(question.sessions.get(session, session)) for session in trial.members for _ in trial.members[session]]
    trial.build(names, sessions=labels)
    numbers, known = trial.numbers(names, labels)
    names, labels = _chosen(names, known), _chosen(labels, known)
    paths = _chosen([path for session in trial.members for path in trial.paths[session]], known)
    loaded = maps.read([paths], trial.files.template_mask, least_share=scan_models.LEAST_SHARE)
    usable = np.array([not any(empty) for empty in loaded.empty])
    for name, label in zip(_chosen(names, ~usable), _chosen(labels, ~usable)):
        trial.exclusions.add([name], f"no CBF of {analysis.contrast} at {label}: left out at that session")
    numbers = {term: values[known][usable] for term, values in numbers.items()}
    model = trial.build(_chosen(names, usable), numbers, _chosen(labels, usable))
    return reallocation_inference.test(
        model, trial.searched(loaded), analysis.inference, is_cbf=question.is_cbf, threads=threads
    )


def _mixed_model(trial: _Trial, threads: int) -> Result:
    """Random intercepts: participants with one session count too; false discovery rate alone for the named effect."""
    question, analysis = trial.question, trial.question.analysis
    if analysis.formula is not None:
        return _scans(trial, threads)
    scans = [name for session in _SESSIONS for name in trial.members[session]]
    sessions = [session for session in _SESSIONS for _ in trial.members[session]]
    paths = [path for session in _SESSIONS for path in trial.paths[session]]
    loaded = maps.read([paths], trial.files.template_mask)
    usable = np.array([not any(empty) for empty in loaded.empty])
    for name, session in zip(_chosen(scans, ~usable), _chosen(sessions, ~usable)):
        label = question.sessions.get(session, session)
        trial.exclusions.add([name], f"no CBF of {analysis.contrast} at {label}: left out at that session")
    try:
        model = mixed_maps.layout(
            _chosen(scans, usable),
            _chosen(sessions, usable),
            trial.table,
            question.arms,
            trial.files.participants,
            analysis.covariates,
        )
    except InputError as error:
        if not trial.exclusions.rows:
            raise
        raise NotRunError(f"too few participants have usable scans: {error}") from None
    searched = trial.searched(loaded)
    fitted = mixed_maps.fit(
        lambda start, stop: np.ascontiguousarray(searched.values[:, start:stop].T, dtype=np.float64),
        model,
        method=analysis.inference.degrees_of_freedom,
        voxels=searched.voxels,
    )
    return mixed_model_inference.test(model, searched, analysis.inference, fitted, is_cbf=question.is_cbf)


_METHODS: Mapping[str, Callable[[_Trial, int], Result]] = MappingProxyType(
    {DIFFERENCES: _differences, FULL_FACTORIAL: _full_factorial, MIXED_MODEL: _mixed_model}
)


def _write(trial: _Trial, result: Result, outputs: Outputs) -> None:
    mask, affine = result.searched.mask, result.searched.affine
    for name in MAPS:
        values = result.maps.get(name)
        if values is None:
            values = np.full(int(mask.sum()), np.nan)
        # + 0.0: the logarithm of 1 is written 0, not -0.
        images.save(getattr(outputs, name), maps.fill(values + 0.0, mask), affine)
    images.save(outputs.mask, mask, affine, dtype=np.uint8)
    labels = maps.fill(result.labels, mask, outside=0)
    images.save(outputs.clusters, labels, affine, dtype=_label_type(len(result.clusters)))
    result.model.write(outputs.design)
    columns = {name: values for name in NULL_COLUMNS if (values := getattr(result.null, name, None)) is not None}
    number = len(next(iter(columns.values()), ()))
    rows = ({"relabelling": b, **{name: values[b].item() for name, values in columns.items()}} for b in range(number))
    tables.write_table(outputs.null, rows, NULL_COLUMNS)
    summary = definitions.block(trial.question, "run", result.people, trial.exclusions.rows, result.model.kind)
    summary |= result.definitions
    summary["baseline_adjustment"] = _baseline_adjustment(trial, result)
    tables.write_json(outputs.inference, summary)
    map_sidecars.write(outputs, summary)


def _baseline_adjustment(trial: _Trial, result: Result) -> dict[str, Any] | None:
    """What adjusting for the baseline would give, where arms are compared by their changes; else None."""
    if trial.question.analysis.method != DIFFERENCES or not baseline_adjustment.concerns(result.model):
        return None
    paths = dict(zip(trial.members["baseline"], trial.paths["baseline"]))
    first = [paths[name] for name in result.model.participants]
    with threadpool_limits(1, user_api="blas"):
        compared = baseline_adjustment.read(result.searched, result.model.matrix, first, trial.files.template_mask)
    return None if compared is None else compared.block()


def _label_type(number: int) -> type[np.int16] | type[np.int32]:
    return np.int16 if number <= np.iinfo(np.int16).max else np.int32


def _write_nothing(trial: _Trial, reason: str, outputs: Outputs) -> None:
    """Write the files of an analysis that was not run: maps of NaN, no clusters, empty tables, and why."""
    voxels, affine = images.load(trial.files.template_mask)
    for name in MAPS:
        images.save(getattr(outputs, name), np.full(voxels.shape, np.nan), affine)
    images.save(outputs.mask, np.zeros(voxels.shape), affine, dtype=np.uint8)
    images.save(outputs.clusters, np.zeros(voxels.shape), affine, dtype=np.int16)
    tables.write_table(outputs.design, [], {"participant_id": "Participant"})
    tables.write_table(outputs.null, [], NULL_COLUMNS)
    summary = definitions.block(trial.question, f"not run: {reason}", [], trial.exclusions.rows)
    tables.write_json(outputs.inference, summary)
    map_sidecars.write(outputs, summary)
