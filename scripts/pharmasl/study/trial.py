"""The study: who was scanned in which state, with which files, and who enters which analysis."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pharmasl.files import bids
from pharmasl.study import arms as study_arms
from pharmasl.study import settings, sheets
from pharmasl.study.derivative_anatomies import ImportedAnatomies
from pharmasl.study.derivative_datasets import DerivativeDataset
from pharmasl.study.derivatives import Program
from pharmasl.study.distortion import Correction
from pharmasl.study.imported_contrasts import ImportedContrast
from pharmasl.study.run_blocks import RunBlocks
from pharmasl.study.scan_acquisition import Acquisition
from pharmasl.study.settings import Analysis, Arms, Sessions, Settings

# Subject and session (None in a dataset without sessions).
Visit = tuple[str, str | None]


@dataclass(frozen=True, kw_only=True)
class ImportedMap:
    """What is known of a CBF map that another program made, beside its path.

    Attributes
    ----------
    program : pharmasl.study.derivatives.Program
    space : str
        The template on whose coordinates it lies.
    units : str
        As the program writes them.
    factor : float
        Takes the map's values to mL/100 g/min.
    mask : str or None
        The brain mask on the map's grid.
    measures : Mapping of str to float
        Measures of quality, by the names that they have here, that the program has of the scan.
    transforms : tuple of str
        ITK transforms that bring it onto the study's template, that to the template first; none where it lies there.
    """

    program: Program
    space: str
    units: str
    factor: float
    mask: str | None
    measures: Mapping[str, float]
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """One perfusion run of one state.

    Attributes
    ----------
    subject : str
        Label, without ``sub-``.
    session : str or None
        Label, without ``ses-``; None in a dataset without sessions.
    condition : str
        The configuration's name of the state; of conditions that alternate within the run, all names, or that of the one
        whose maps are meant.
    stem : str
        Of every output, below the results.
    asl : str
        The raw image, or the CBF map of another program in its place.
    m0 : str or None
        The separate M0 image.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    imported : ImportedMap or None
        Of a CBF map of another program.
    correction : pharmasl.study.distortion.Correction or None
        How its distortion is corrected; None where it is not.
    blocks : pharmasl.study.run_blocks.RunBlocks or None
        Where its conditions alternate; None for a run of one state.
    later_echoes, later_m0 : tuple of str
        The raw images of the later echoes of the series and of the separate M0, where the echoes are summed.
    """

    subject: str
    session: str | None
    condition: str
    stem: str
    asl: str
    m0: str | None
    acquisition: Acquisition
    imported: ImportedMap | None = None
    correction: Correction | None = None
    blocks: RunBlocks | None = None
    later_echoes: tuple[str, ...] = ()
    later_m0: tuple[str, ...] = ()

    @property
    def states(self) -> list["Scan"]:
        """The run in each of its states: itself, or, of conditions that alternate, one for each, with maps of its own."""
        if self.blocks is None:
            return [self]
        return [dataclasses.replace(self, condition=condition) for condition in self.blocks.conditions]

    @property
    def map_stem(self) -> str:
        """The stem of the maps of a state: see :attr:`states`."""
        return self.stem if self.blocks is None else bids.state_stem(self.stem, self.condition)

    @property
    def visit(self) -> Visit:
        """Subject and session, the unit of a contrast."""
        return self.subject, self.session

    @property
    def name(self) -> str:
        """The last part of the stem."""
        return self.stem.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Study:
    """All that the rules need to know, from the dataset's listing, sheets and sidecars alone.

    Attributes
    ----------
    config : dict
        The complete configuration, see :func:`pharmasl.study.configuration.resolve`; :attr:`settings` are the same, typed.
    participants : dict
        Subject label to its row of the participants' table (text; None where missing). In a blinded run the arm is the
        sham one, and columns that the configuration does not name are gone.
    randomised : dict
        Label to arm (None where the table has none) of everyone in the table, scanned or not.
    scans : dict
        Stem to :class:`Scan`, in the order of the participants, of the trial's sessions, and of the paths.
    t1w : dict
        Stem of an anatomy to the raw T1-weighted images (tuple of str) it is made of; empty where the template is
        assumed because there is none.
    anatomies : dict
        (subject, session) of each visit to the stem of the anatomy that its scans use; none of maps on the template.
    exclusions : list of dict
        ``participant_id``, ``session_id``, ``condition``, ``analysis``, ``reason`` of all that is left out.
    table : dict
        Subject label to its row of the participants' table, of everyone whom the configuration selects, scanned or not; as
        ``participants`` are.
    poor : mapping of str to str
        Name of each scan that was rated poor, to the reason.
    imported_anatomies : ImportedAnatomies or None
        The anatomies, where they come from another program.
    contrast_maps : mapping
        (visit, contrast) to the map of another program, in a study of such maps, which has no scans.
    contrast_source : DerivativeDataset or None
        The folder of those maps.
    """

    config: dict[str, Any]
    participants: dict[str, dict[str, str | None]]
    randomised: dict[str, str | None]
    scans: dict[str, Scan]
    t1w: dict[str, tuple[str, ...]]
    anatomies: dict[Visit, str]
    exclusions: list[dict[str, str | None]]
    table: dict[str, dict[str, str | None]]
    poor: Mapping[str, str] = field(default_factory=dict)
    imported_anatomies: ImportedAnatomies | None = None
    contrast_maps: Mapping[tuple[Visit, str], ImportedContrast] = field(default_factory=dict)
    contrast_source: DerivativeDataset | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The configuration, typed."""
        return settings.read(self.config)

    @property
    def declared(self) -> dict[str, Any]:
        """The configuration with the scans that its table of ratings excludes: what is on record before the arms are known."""
        if not self.config["quality"]["ratings"]:
            return self.config
        return self.config | {"quality": self.config["quality"] | {"rated_poor": dict(sorted(self.poor.items()))}}

    @functools.cached_property
    def programs(self) -> dict[str, Program]:
        """The programs that made what stands in for stages of the workflow, by stage."""
        cbf = next((scan.imported.program for scan in self.scans.values() if scan.imported), None)
        made = {
            "anatomy": self.imported_anatomies and self.imported_anatomies.dataset.program,
            "cbf": cbf,
            "contrasts": self.contrast_source and self.contrast_source.program,
        }
        return {stage: program for stage, program in made.items() if program}

    @property
    def arms(self) -> Arms:
        """The arms, of a study that has them; whatever compares arms is refused otherwise."""
        if self.settings.arms is None:
            raise ValueError("the study has no arms")
        return self.settings.arms

    @property
    def sessions(self) -> Sessions:
        """The sessions, of a study that has them; whatever compares sessions is refused otherwise."""
        if self.settings.sessions is None:
            raise ValueError("the study has no sessions")
        return self.settings.sessions

    def people(self, labels: Iterable[str] | None = None) -> list[dict[str, str | None]]:
        """Rows of the participants' table, of all or of some labels, with the arm under the name ``arm``."""
        column = self.settings.arms.column if self.settings.arms else ""
        chosen = self.participants if labels is None else labels
        return [{**self.participants[label], "arm": self.participants[label].get(column)} for label in chosen]

    def everyone(self) -> list[dict[str, str | None]]:
        """Rows of all whom the configuration selects, scanned or not, with the arm under the name ``arm``."""
        column = self.settings.arms.column if self.settings.arms else ""
        return [{**row, "arm": row.get(column)} for row in self.table.values()]

    def anatomy(self, visit: Visit) -> str:
        """The stem of the anatomy that the scans of a visit (subject, session) use."""
        return self.anatomies[visit]

    def raw_t1w(self, visit: Visit) -> tuple[str, ...]:
        """The raw T1-weighted images that the anatomy of a visit's scans is made of; none where there is no anatomy."""
        return self.t1w[self.anatomies[visit]] if visit in self.anatomies else ()

    def anatomy_origin(self, visit: Visit) -> str:
        """Whose anatomy that is, in words."""
        subject, session = visit
        if visit not in self.anatomies:
            return sheets.NO_ANATOMY
        stem = self.anatomies[visit]
        if not self.t1w[stem]:
            return sheets.TEMPLATE_ANATOMY
        if self.settings.anatomy.per == "participant":
            return "the participant's"
        if stem == bids.stem({"sub": subject, "ses": session}, "anat"):
            return "the session's own"
        if stem == bids.stem({"sub": subject}, "anat"):
            return "the participant's, of no session"
        return f"another session's ({stem.rsplit('/', 1)[-1]}), because this session has none"

    @functools.cached_property
    def visits(self) -> dict[Visit, list[Scan]]:
        """(subject, session) to the scans of it, in order."""
        scans: dict[Visit, list[Scan]] = {visit: [] for visit, _ in self.contrast_maps}
        for scan in self.scans.values():
            scans.setdefault(scan.visit, []).append(scan)
        return scans

    def state_scans(self, visit: Visit) -> list[Scan]:
        """The scans of a visit in each of their states (:attr:`Scan.states`), in order."""
        return [state for scan in self.visits.get(visit, ()) for state in scan.states]

    def visit_stem(self, visit: Visit) -> str:
        """The stem of a visit's contrasts."""
        return bids.stem({"sub": visit[0], "ses": visit[1]}, "contrasts")

    def contrast_scans(self, visit: Visit, contrast: str) -> list[tuple[Scan, float]]:
        """The scans that a contrast takes at a visit.

        Returns
        -------
        list of (Scan, float)
            Each in the state that is meant, with its weight; several runs of one state share the state's weight. Empty if a state is missing. In
            the order of the scans, whichever state the configuration names first: the order of the weights then says
            which scan has which.
        """
        pairs = []
        for condition, weight in self.settings.contrasts[contrast].weights.items():
            runs = [scan for scan in self.state_scans(visit) if scan.condition == condition]
            if not runs:
                return []
            pairs += [(scan, weight / len(runs)) for scan in runs]
        return sorted(pairs, key=lambda pair: pair[0].map_stem)

    def has_contrast(self, visit: Visit, contrast: str) -> bool:
        """Whether a contrast can be made, or is there ready made, at a visit."""
        return (visit, contrast) in self.contrast_maps or bool(self.contrast_scans(visit, contrast))

    def available_contrasts(self) -> list[tuple[Visit, str]]:
        """All (visit, contrast) that the scans (or the ready-made maps) allow, in the order of the visits and of the contrasts' names."""
        return [
            (visit, name)
            for visit in self.visits
            for name in sorted(self.settings.contrasts)
            if self.has_contrast(visit, name)
        ]

    def members(self, analysis: str, which: str | None = None) -> list[str]:
        """Who enters an analysis.

        Parameters
        ----------
        analysis : str
        which : {"baseline", "followup"}, optional
            Only those of whom there is a map at that session.

        Returns
        -------
        list of str
            Subject labels: of an arm that the analysis concerns, every covariate known, each contrast of the analysis
            available at its sessions (at one of them at least, for a method that takes incomplete participants).
        """
        complete = [subject for subject in self.participants if not self._missing(subject, analysis)]
        if which is None:
            return complete
        label = self.analysis_sessions(analysis).get(which)
        part = self.settings.analyses[analysis]
        return [subject for subject in complete if not self._missing_at(subject, part, label)]

    def _missing_at(self, subject: str, analysis: Analysis, label: str | None) -> list[str]:
        """What a participant's visit lacks for an analysis."""
        reasons = [
            f"no {contrast} at {label}" if label else f"no {contrast}"
            for contrast in sorted(analysis.contrasts)
            if not self.has_contrast((subject, label or None), contrast)
        ]
        columns = [f"{column}_{label}" for column in analysis.visit_terms]
        return reasons + [f"no {column}" for column in columns if self.participants[subject].get(column) is None]

    def with_covariates(self, covariates: Iterable[str]) -> "Study":
        """The study with other covariates in all its analyses, and so with the participants who have these."""
        stated = {"covariates": list(covariates)}
        analyses = {name: {**analysis, **stated} for name, analysis in self.config["analyses"].items()}
        return dataclasses.replace(self, config={**self.config, "analyses": analyses})

    def analysis_sessions(self, analysis: str) -> dict[str, str]:
        """``baseline`` and ``followup`` (or ``baseline`` alone) of an analysis, to session labels; an empty one without sessions."""
        return study_arms.sessions(self.settings.analyses[analysis], self.settings.sessions)

    def _missing(self, subject: str, analysis: str) -> list[str]:
        """Why a participant does not enter an analysis; empty if it does."""
        part, arms = self.settings.analyses[analysis], self.settings.arms
        row = self.participants[subject]
        sessions = list(self.analysis_sessions(analysis).values())
        by_session = [self._missing_at(subject, part, label) for label in sessions]
        reasons = [reason for own in by_session for reason in own]
        # One session is enough where a row is a scan.
        if part.method == "mixed_model" and not all(by_session):
            reasons = []
        columns = [*([arms.column] if arms else []), *study_arms.all_columns(part)]
        reasons += [f"no {column}" for column in columns if row.get(column) is None]
        arm = row.get(arms.column) if arms else None
        if arms and arm is not None and arm not in study_arms.concerned(part, arms):
            reasons.append(f"the arm {arm} is not part of it")
        return reasons

    def incomplete(self) -> list[dict[str, str | None]]:
        """Exclusions from analyses, as rows like :attr:`exclusions`."""
        return [
            {"participant_id": f"sub-{subject}", "analysis": name, "reason": "; ".join(reasons)}
            for name in self.settings.analyses
            for subject in self.participants
            if (reasons := self._missing(subject, name))
        ]
