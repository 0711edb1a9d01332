"""What an analysis reads, and whose rows it can use: its files, the participants or scans, and the values that are terms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.files.bids import bare_label
from pharmasl.group import (
    covariate_maps,
    design,
    effects,
    formula_models,
)
from pharmasl.group.covariate_maps import TermMaps
from pharmasl.group.definitions import Exclusion, Question
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.space import images
from pharmasl.statistics.covariates import Row
from pharmasl.study import arms as study_arms
from pharmasl.study.settings import Seed

Item = TypeVar("Item")

SESSIONS = ("baseline", "followup")
# The term of the named effects whose values are a region's.
_SEED = "seed_change"


def chosen(items: Sequence[Item], keep: Iterable[bool]) -> list[Item]:
    """The items that are kept."""
    return [item for item, kept in zip(items, keep) if kept]


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
        if session in SESSIONS:
            return self.baseline if session == "baseline" else self.followup
        others = [name for name in self.members if name not in SESSIONS]
        start = sum(len(self.members[name]) for name in others[: others.index(session)])
        return self.further[start : start + len(self.members[session])]


class NotRunError(Exception):
    """Too little is left to analyse: a result, not a fault."""


@dataclass
class Exclusions:
    """The participants who turned out to lack something, and what it is that is lacking."""

    rows: list[Exclusion] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def add(self, names: Iterable[str], reason: str) -> None:
        """Leave participants out for a reason."""
        self.rows += [Exclusion(name, reason) for name in names]

    def reason(self, error: InputError) -> NotRunError:
        """Why nothing can be tested of those who are left."""
        return NotRunError(f"too few participants have {' and '.join(self.lacking)}: {error}")


@dataclass(frozen=True, kw_only=True)
class AnalysisRows:
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
    exclusions : Exclusions
    """

    question: Question
    files: InputFiles
    members: Mapping[str, list[str]]
    paths: Mapping[str, list[FilePath]]
    table: Sequence[Row]
    region: np.ndarray | None
    exclusions: Exclusions = field(default_factory=Exclusions)

    @classmethod
    def read(cls, question: Question, files: InputFiles) -> "AnalysisRows":
        """Those of the files' members whose arm takes part, their maps, and the region searched."""
        # What the plan compares with the last run is no more than these columns.
        analysis = question.analysis
        terms = [*analysis.terms, *study_arms.visit_columns(analysis, question.sessions)]
        table = study_arms.used(tables.read_table(files.participants, of_arms=True), terms)
        members, paths = {}, {}
        for session in files.members:
            concerned = set(effects.members(analysis, question.arms, files.members[session], table))
            keep = [name in concerned for name in files.members[session]]
            members[session] = chosen(files.members[session], keep)
            paths[session] = chosen(files.maps(session), keep)
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
            return effects.build(analysis, question.arms_compared, participants, self.table, file, change)
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
                chosen(participants, known & ~own),
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
                chosen(participants, known & ~own), "no global CBF: the scan is excluded or covers too little"
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
