"""Which outputs follow from a study: the lists that the rules' input functions and params hand on.

Every method takes names (of a scan, a visit, an analysis, a region), never Snakemake's wildcards.
"""

import dataclasses
import functools
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pharmasl.errors import did_you_mean, similar
from pharmasl.files import bids
from pharmasl.study import (
    known_images,
    known_tissue,
    map_terms,
    own_template,
    primary,
    relative_cbf,
    settings,
    shared_data,
    sheet_content,
)
from pharmasl.study.trial import ImportedMap, Scan, Study
from pharmasl.workflow import endpoint_plans, model_rows, planned_designs
from pharmasl.workflow.paths import Paths

Value = TypeVar("Value")


class _Known(dict[str, Value]):
    """What belongs to each stem of the study; the plan ends with a plain message at a stem that it does not have."""

    def __missing__(self, stem: str) -> Value:
        hint = did_you_mean(similar(stem, self, most=3), "The study's scans stand in study/scans.tsv.")
        # Snakemake would wrap an ordinary exception in a traceback of the program.
        raise SystemExit(f"{stem}: asked for, but no scan, visit or anatomy of the study. {hint}")


class Targets:
    """What each output is made of, by the names of the study.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    """

    def __init__(self, study: Study, paths: Paths) -> None:
        self.study, self.settings, self.paths = study, study.settings, paths
        self._scans: _Known[Scan] = _Known(study.scans)
        self._maps: _Known[Scan] = _Known({own.map_stem: own for scan in study.scans.values() for own in scan.states})
        self._t1w: _Known[tuple[str, ...]] = _Known(study.t1w)
        self._stems: _Known[str] = _Known({scan.name: stem for stem, scan in study.scans.items()})
        self._visits: _Known[tuple[str, str | None]] = _Known(
            {study.visit_stem(visit): visit for visit in study.visits}
        )
        self._contrasts: _Known[str] = _Known({bids.entity_label(name): name for name in study.settings.contrasts})

    @staticmethod
    def pattern(names: Iterable[str]) -> str:
        """A regular expression that matches these names and nothing else."""
        return "|".join(re.escape(name) for name in names) or "(?!)"

    @staticmethod
    def filled(pattern: str, wildcard: str, names: Iterable[str]) -> list[str]:
        """A pattern with each name in the place of one wildcard; its other wildcards stay."""
        return [pattern.replace(f"{{{wildcard}}}", name) for name in names]

    @staticmethod
    def folder_pattern(names: Iterable[str]) -> str:
        """A regular expression of the folders of analyses or conjunctions, each before the contrast of its own label."""
        return "|".join(f"{re.escape(name)}(?=/contrast-{bids.entity_label(name)}_)" for name in names) or "(?!)"

    @staticmethod
    def labelled(pattern: str, wildcard: str, names: Iterable[str]) -> list[str]:
        """A pattern with each name of an analysis or a conjunction, and its label in the place of ``{label}``."""
        return [pattern.replace(f"{{{wildcard}}}", name).replace("{label}", bids.entity_label(name)) for name in names]

    def contrast_name(self, label: str) -> str:
        """The contrast that a label stands for in the names of files."""
        return self._contrasts[label]

    # The study

    def sheets(self) -> dict[str, Any]:
        """What the study's tables hold."""
        return sheet_content.content(self.study)

    @functools.cached_property
    def models(self) -> dict[str, model_rows.Rows]:
        """What each model may look at of the participants' table: see :func:`pharmasl.workflow.model_rows.tables`."""
        return model_rows.tables(self.study, self.seeded_analyses())

    # Anatomies and scans

    def stems(self, datatype: str, chosen: Collection[str] | None = None) -> str:
        """A regular expression of the stems of a datatype, or of some of them.

        Snakemake compiles it into every pattern with the wildcard: the naming rule is short however many people there
        are. Only where two rules make the same files of different scans are the scans named one by one.

        Parameters
        ----------
        datatype : {"anat", "perf", "contrasts"}
        chosen : collection of str, optional
            All stems of the datatype unless given.
        """
        every: dict[str, Mapping[Any, Any]] = {
            "anat": self.study.t1w,
            "perf": self.study.scans,
            "contrasts": self._visits,
        }
        known = every[datatype]
        if chosen is None or len(chosen) == len(known):
            return bids.stem_pattern(datatype)
        return self.pattern(chosen)

    def scan_names(self, chosen: Collection[str]) -> str:
        """A regular expression of the names of the scans with some stems, in the way of :meth:`stems`."""
        if len(chosen) == len(self._scans):
            return bids.scan_name_pattern()
        return self.pattern(self._scans[stem].name for stem in chosen)

    def t1w(self, anatomy: str) -> list[str]:
        """The raw T1-weighted images that an anatomy is made of."""
        return list(self._t1w[anatomy])

    def anatomies(self, step: str, origin: str) -> list[str]:
        """The stems of the anatomies of which a step is made in one of three ways.

        Parameters
        ----------
        step : {"image", "registration", "segmentation"}
        origin : {"own", "imported", "template"}
            By the workflow; by another program; without a T1w, by assuming the template.
        """
        imported = self.study.imported_anatomies
        taken = imported is not None and step not in imported.own
        return [
            stem
            for stem, paths in self.study.t1w.items()
            if origin == ("imported" if taken else "own" if paths else "template")
        ]

    def imported_file(self, kind: str, anatomy: str) -> str:
        """Another program's file of an anatomy: see :class:`pharmasl.study.derivative_anatomies.AnatomyFiles`."""
        imported = self.study.imported_anatomies
        if imported is None:
            raise SystemExit(f"{anatomy}: asked for as another program's, and derivatives.anatomy names none.")
        return str(getattr(imported.files[anatomy], kind))

    def imported_files(self, kinds: Sequence[str], anatomy: str) -> list[str]:
        """Another program's files of an anatomy, of some kinds."""
        return [self.imported_file(kind, anatomy) for kind in kinds]

    def anatomy_transforms(self, anatomy: str) -> list[str]:
        """Another program's transform of an anatomy to its template, after that of its template to the study's, if they are two."""
        imported = self.study.imported_anatomies
        stated = imported.transform if imported else None
        return [*([stated] if stated else []), self.imported_file("transform", anatomy)]

    def anatomy_program(self) -> dict[str, str] | None:
        """Name and version of the program that made the anatomies; None where the workflow does."""
        imported = self.study.imported_anatomies
        return dataclasses.asdict(imported.dataset.program) if imported else None

    def is_assumed(self, scan: str) -> bool:
        """Whether a scan's participant has no T1w, so that the template is its anatomy."""
        return not self.study.t1w[self._anatomy(scan)]

    def _anatomy(self, scan: str) -> str:
        return self.study.anatomy(self._state(scan).visit)

    def _state(self, stem: str) -> Scan:
        """The scan of a stem, of a run or of one of its states' maps."""
        return self._scans[stem] if stem in self._scans else self._maps[stem]

    def anatomy_file(self, pattern: str, scan: str) -> str:
        """The file of the anatomy that a scan uses, from a pattern with the wildcard ``{anat}``."""
        return pattern.replace("{anat}", self._anatomy(scan))

    def own_anatomy(self, pattern: str, scan: str) -> list[str]:
        """The file of :meth:`anatomy_file` for a scan of a participant with a T1w; else none."""
        return [] if self.is_assumed(scan) else [self.anatomy_file(pattern, scan)]

    def own_anatomy_files(self, pattern: str) -> list[str]:
        """A pattern with ``{anat}`` for each anatomy of a scan whose CBF this workflow computes, once."""
        return list(dict.fromkeys(self.anatomy_file(pattern, scan) for scan in self.own_scans()))

    def asl(self, scan: str) -> str:
        """The raw series of a scan; of several echoes the first."""
        return self._scans[scan].asl

    def later_echoes(self, scan: str) -> list[str]:
        """The files of the later echoes of a series whose echoes are summed; else none."""
        return list(self._scans[scan].later_echoes)

    def series(self, scan: str) -> list[str]:
        """All files of a scan's raw series."""
        return [self.asl(scan), *self.later_echoes(scan)]

    def m0(self, scan: str) -> list[str]:
        """The separate M0 of a scan: one path, one for each echo where they are summed, or none."""
        own = self._scans[scan]
        return [own.m0, *own.later_m0] if own.m0 else []

    def field_map(self, scan: str) -> list[str]:
        """The images of the field map that corrects a scan, or none."""
        correction = self._scans[scan].correction
        return correction.field_map.files if correction else []

    def field_map_params(self, scan: str) -> dict[str, Any] | None:
        """What is known of those images beside their voxels."""
        correction = self._scans[scan].correction
        return {**correction.plain_map(), "tesla": self._scans[scan].acquisition.field_strength} if correction else None

    def distorted(self, scan: str) -> dict[str, Any] | None:
        """How the images of a scan were encoded that is corrected for distortion."""
        correction = self._scans[scan].correction
        return correction.distortion.plain() if correction else None

    def distorted_scans(self) -> list[str]:
        """The stems of the scans that are corrected for distortion."""
        return [stem for stem, scan in self.study.scans.items() if scan.correction is not None]

    def field_files(self, pattern: str, scan: str) -> list[str]:
        """A pattern with ``{scan}`` for a scan that is corrected for distortion; else none."""
        return [pattern.replace("{scan}", scan)] if self._scans[scan].correction else []

    def tissue_scans(self) -> list[str]:
        """The stems of the scans whose transit time or T1 of tissue is taken to be known."""
        if not known_tissue.named(self.settings):
            return []
        return [stem for stem, scan in self.study.scans.items() if scan.acquisition.quantified]

    def tissue_outputs(self, build: Callable[..., str]) -> dict[str, str]:
        """Maps of the quantities of tissue that the study takes to be known, and their sidecars: what ``build`` makes of suffix and end."""
        # Without any no scan asks for the rule, whose outputs have a name all the same.
        names = known_tissue.named(self.settings) or tuple(known_tissue.SUFFIXES)
        maps = {name: build(known_tissue.SUFFIXES[name], desc="known") for name in names}
        sidecars = {f"{name}_sidecar": build(known_tissue.SUFFIXES[name], ".json", desc="known") for name in names}
        return maps | sidecars

    def tissue_params(self) -> dict[str, Any]:
        """What is said to be known, without where its maps lie."""
        tissue = settings.plain(self.settings.perfusion.tissue)
        return {name: {key: own for key, own in value.items() if key != "image"} for name, value in tissue.items()}

    def tissue_limits(self) -> dict[str, list[float]]:
        """The least and the largest value of each known quantity, seconds."""
        return {name: list(known_tissue.limits(name)) for name in known_tissue.named(self.settings)}

    def tissue_image(self, name: str, scan: str) -> list[str]:
        """The study's own map of a known quantity of a scan: one path, or none."""
        value = getattr(self.settings.perfusion.tissue, name)
        path = None if value is None or value.image is None else known_images.path(value, self._scans[scan])
        return [path] if path else []

    def tissue_images(self, scan: str) -> list[str]:
        """The study's own maps of all known quantities of a scan."""
        return [path for name in known_tissue.SUFFIXES for path in self.tissue_image(name, scan)]

    def tissue_forward(self, pattern: str, scan: str) -> list[str]:
        """The anatomy's deformation, from a pattern with ``{anat}``, where a map lies on the template."""
        values = [getattr(self.settings.perfusion.tissue, name) for name in known_tissue.SUFFIXES]
        on_template = any(value is not None and value.space not in (None, known_images.T1W) for value in values)
        return [self.anatomy_file(pattern, scan)] if on_template else []

    def tissue_file(self, patterns: Mapping[str, str], name: str, scan: str) -> list[str]:
        """The map or sidecar of a known quantity of a scan, from the rule's outputs; none where it is not taken to be known."""
        is_known = name.removesuffix("_sidecar") in known_tissue.named(self.settings)
        if not is_known or not self._scans[scan].acquisition.quantified:
            return []
        return [patterns[name].replace("{scan}", scan)]

    def repeats_tissue_file(self, patterns: Mapping[str, str], name: str, scan: str) -> list[str]:
        """The same for the CBF of a scan's repeats: none of several delays, each of whose repeats has an apparent CBF alone."""
        return self.tissue_file(patterns, name, scan) if self._scans[scan].acquisition.single_delay else []

    def acquisition(self, scan: str) -> dict[str, Any]:
        """How a scan was acquired, with where each value was found."""
        return self._scans[scan].acquisition.plain()

    def acquisition_of_alignment(self, scan: str) -> dict[str, Any]:
        """How a scan was acquired, without what serves its quantification alone."""
        return self._scans[scan].acquisition.plain_for_alignment()

    def scans(self, *, several_delays: bool) -> list[str]:
        """The stems of the scans with several delays (or labelling durations), or of those with one."""
        return [stem for stem in self.own_scans() if self._scans[stem].acquisition.several_delays == several_delays]

    def block_scans(self) -> list[str]:
        """The stems of the scans in which conditions alternate."""
        return [stem for stem, scan in self.study.scans.items() if scan.blocks is not None]

    def blocks(self, scan: str) -> dict[str, Any] | None:
        """The blocks of a scan in which conditions alternate; None for a run of one state."""
        blocks = self._scans[scan].blocks
        return None if blocks is None else blocks.plain()

    def state_patterns(self, build: Callable[[str], str]) -> list[str]:
        """A pattern of the maps of each condition that alternates with others: what ``build`` makes of its stem."""
        return [build(bids.state_stem("{scan}", condition)) for condition in self.settings.block_conditions]

    def run_file(self, pattern: str, scan: str) -> str:
        """A file of the run to which a state's maps belong, from a pattern with ``{scan}``."""
        return pattern.replace("{scan}", self._state(scan).stem)

    def own_scans(self) -> list[str]:
        """The stems of the scans whose CBF this workflow computes."""
        return [stem for stem, scan in self.study.scans.items() if scan.imported is None]

    def imported_scans(self) -> list[str]:
        """The stems of the scans of whose CBF another program made the map."""
        return [stem for stem, scan in self.study.scans.items() if scan.imported is not None]

    def _imported(self, scan: str) -> ImportedMap:
        imported = self._scans[scan].imported
        if imported is None:
            raise ValueError(f"{scan} has no map of another program")
        return imported

    def imported_mask(self, scan: str) -> list[str]:
        """The brain mask of an imported CBF map: one path, or none."""
        mask = self._imported(scan).mask
        return [mask] if mask else []

    def imported_transforms(self, scan: str) -> list[str]:
        """The transforms of an imported CBF map to the template, in their order; none where it lies there."""
        return list(self._imported(scan).transforms)

    def imported_measures(self, scan: str) -> dict[str, float]:
        """The measures of quality that the other program has of a scan."""
        return dict(self._imported(scan).measures)

    def imported_source(self, scan: str) -> dict[str, Any]:
        """Where an imported CBF map comes from, and in which unit."""
        imported, run = self._imported(scan), self._scans[scan]
        return {
            "name": imported.program.name,
            "version": imported.program.version,
            "space": imported.space,
            "units": imported.units,
            "units_source": run.acquisition.sources["units"],
            "factor": imported.factor,
            "place": bids.place(run.asl, self.settings.bids_dir),
        }

    def imported_place(self, scan: str) -> str:
        """The path of an imported CBF map below its program's folder."""
        source = self.settings.derivatives.cbf
        return bids.place(self.asl(scan), source.dir) if source else ""

    def quantification(self) -> dict[str, Any]:
        """The settings of the quantification, without those that have done their work when it begins."""
        perfusion = settings.plain(self.settings.perfusion)
        return {field.name: perfusion[field.name] for field in dataclasses.fields(settings.Quantification)}

    def label(self, scan: str) -> dict[str, str | None]:
        """Who and what a scan is, for tables and pages."""
        run = self._scans[scan]
        return {
            "participant_id": f"sub-{run.subject}",
            "session_id": run.session,
            "condition": run.condition,
            "scan": run.name,
        }

    def exclusion_reason(self, scan: str) -> str | None:
        """The user's reason for excluding a scan by name; None for the others."""
        return self.settings.quality.exclude_scans.get(self._scans[scan].name)

    def rating_reason(self, scan: str) -> str | None:
        """Why a scan was rated poor; None for the others."""
        return self.study.poor.get(self._scans[scan].name)

    def acceptance_reason(self, scan: str) -> str | None:
        """The user's reason for accepting a scan by name; None for the others."""
        return self.settings.quality.accept_scans.get(self._scans[scan].name)

    def scan_files(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for every scan, in order."""
        return self.filled(pattern, "scan", self.study.scans)

    # Pages of scans, which go by the scans' names

    def of_page(self, function: Callable[[str], Value], name: str) -> Value:
        """What a function of a scan's stem gives, by the scan's name."""
        return function(self._stems[name])

    def page_file(self, pattern: str, name: str) -> str:
        """A file of a scan or of the anatomy that it uses, from a pattern with ``{scan}`` or ``{anat}``."""
        stem = self._stems[name]
        own = pattern.replace("{scan}", stem)
        # An imported map uses no anatomy.
        return self.anatomy_file(own, stem) if "{anat}" in own else own

    def page_transit_files(self, patterns: Sequence[str], name: str) -> list[str]:
        """The files of a scan's arterial transit time, from patterns with ``{scan}``; none of a single delay."""
        stem = self._stems[name]
        return [pattern.replace("{scan}", stem) for pattern in patterns if self._scans[stem].acquisition.several_delays]

    def page_block_files(self, patterns: Sequence[str], name: str) -> list[str]:
        """The files of the model of a scan's blocks, from patterns with ``{scan}``; none of a run of one state."""
        stem = self._stems[name]
        return [pattern.replace("{scan}", stem) for pattern in patterns if self._scans[stem].blocks is not None]

    def scan_pages(self) -> list[str]:
        """The pages of all scans, in order."""
        return [self.paths.scan_page(scan.name) for scan in self.study.scans.values()]

    # Visits and their contrasts

    def visit_stems(self) -> list[str]:
        """The stems of all visits, in order."""
        return list(self._visits)

    def visit_files(self, pattern: str, visit: str) -> list[str]:
        """A pattern with ``{scan}`` for every scan of a visit, in order."""
        return self.filled(pattern, "scan", [scan.stem for scan in self.study.visits[self._visits[visit]]])

    def visit_states(self, pattern: str, visit: str) -> list[str]:
        """The maps of a visit's scans in each of their states, from a pattern with ``{scan}``."""
        return self.filled(pattern, "scan", [scan.map_stem for scan in self.study.state_scans(self._visits[visit])])

    def visit_runs(self, pattern: str, visit: str) -> list[str]:
        """The files of the runs of these states, one for each of them."""
        return self.filled(pattern, "scan", [scan.stem for scan in self.study.state_scans(self._visits[visit])])

    def scan_rows(self, visit: str) -> list[dict[str, Any]]:
        """Which scans those of :meth:`visit_files` are."""
        return [
            {
                "participant_id": f"sub-{scan.subject}",
                "session_id": scan.session,
                "condition": scan.condition,
                "scan": scan.name,
            }
            for scan in self.study.visits[self._visits[visit]]
        ]

    def scan_parcels(self, pattern: str) -> list[str]:
        """The tables of the parcels of each visit with scans, from a pattern with ``{visit}``."""
        return self.filled(
            pattern, "visit", [stem for stem, visit in self._visits.items() if self.study.visits.get(visit)]
        )

    def visit_anatomy_files(self, pattern: str, visit: str) -> list[str]:
        """The file of the anatomy that a visit's scans use, alone in its list, from a pattern with ``{anat}``."""
        return [pattern.replace("{anat}", self.study.anatomy(self._visits[visit]))]

    def _weighted_scans(self, visit: str, contrast: str) -> list[tuple[Scan, float]]:
        return self.study.contrast_scans(self._visits[visit], contrast)

    def state_files(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The maps of the states that a contrast at a visit needs, from a pattern with ``{scan}``."""
        return self.filled(pattern, "scan", [scan.map_stem for scan, _ in self._weighted_scans(visit, contrast)])

    def state_runs(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The files of the runs of these states, one for each of them."""
        return self.filled(pattern, "scan", [scan.stem for scan, _ in self._weighted_scans(visit, contrast)])

    def states(self, visit: str, contrast: str) -> list[dict[str, str]]:
        """Which states those of :meth:`state_files` are."""
        return [self._state_record(scan) for scan, _ in self._weighted_scans(visit, contrast)]

    def _state_record(self, scan: Scan) -> dict[str, str]:
        return {"scan": scan.map_stem.rsplit("/", 1)[-1], "condition": scan.condition}

    def covariance_files(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The covariances of the conditions of each run, once, in which several of a contrast's alternate."""
        return self.filled(pattern, "scan", self._joint_runs(visit, contrast))

    def joint_states(self, visit: str, contrast: str) -> list[dict[str, int]]:
        """The states of one run whose estimates covary: their places among :meth:`state_files`, and where it is written."""
        runs, pairs = self._joint_runs(visit, contrast), []
        scans = [scan for scan, _ in self._weighted_scans(visit, contrast)]
        for (first, one), (second, other) in itertools.combinations(enumerate(scans), 2):
            if one.stem == other.stem and one.blocks is not None:
                names = {one.condition, other.condition}
                volume = list(map(set, itertools.combinations(one.blocks.conditions, 2))).index(names)
                pairs.append({"first": first, "second": second, "file": runs.index(one.stem), "volume": volume})
        return pairs

    def _joint_runs(self, visit: str, contrast: str) -> list[str]:
        stems = [scan.stem for scan, _ in self._weighted_scans(visit, contrast)]
        return [stem for stem in dict.fromkeys(stems) if stems.count(stem) > 1]

    def weights(self, visit: str, contrast: str) -> list[float]:
        """The weights of the scans of a contrast, in the order of :meth:`state_files`."""
        return [weight for _, weight in self._weighted_scans(visit, contrast)]

    def scaling(self, contrast: str) -> dict[str, Any] | None:
        """How a contrast's scans are scaled; None where CBF is absolute."""
        scaling = settings.narrowed(settings.Scaling, self.settings.contrasts[contrast])
        return None if scaling.is_absolute else settings.plain(scaling)

    def scaling_coverage(self, contrast: str) -> float | None:
        """The share of the reference that a scan has to cover to be scaled by its mean; None where CBF is absolute."""
        return None if self.settings.contrasts[contrast].is_absolute else self.settings.minimum_roi_coverage

    def scaling_reference(self, mask: str, grey_matter: str, contrast: str) -> list[str]:
        """The template's files that define the reference of a contrast's scaling; none where CBF is absolute."""
        scaling = self.settings.contrasts[contrast]
        if scaling.is_absolute:
            return []
        return [mask, grey_matter] if scaling.reference == "grey_matter" else [mask]

    def imported_map(self, visit: str, contrast: str) -> str:
        """The ready-made map of a contrast at a visit."""
        return self.study.contrast_maps[self._visits[visit], contrast].path

    def import_record(self, visit: str, contrast: str) -> dict[str, Any]:
        """What a ready-made map is, for its sidecar."""
        wanted, source = self.settings.derivatives.contrasts, self.study.contrast_source
        if wanted is None or source is None:
            raise ValueError("a study without ready-made contrast maps")
        return {
            "place": bids.place(self.imported_map(visit, contrast), source.root),
            "program": dataclasses.asdict(source.program),
            "dataset": source.name,
            "space": wanted.space,
            "factor": (wanted.factor or 1.0) if wanted.quantity.is_cbf else 1.0,
            **self.quantity(),
        }

    def imported_sidecars(self) -> list[str]:
        """The sidecars of all ready-made contrast maps."""
        return [
            self.paths.contrast(self.study.visit_stem(visit), contrast, ".json")
            for visit, contrast in self.study.contrast_maps
        ]

    def visits_of(self, *, imported: bool) -> str:
        """A regular expression of the visits whose contrasts are ready made, or computed: those of a study are all one or the other."""
        return self.stems("contrasts") if bool(self.study.contrast_maps) == imported else self.pattern(())

    def contrasts(self) -> list[str]:
        """All contrast maps."""
        return [
            self.paths.contrast(self.study.visit_stem(visit), contrast)
            for visit, contrast in self.study.available_contrasts()
        ]

    # Analyses

    def analysis_files(self, pattern: str) -> list[str]:
        """A pattern with ``{analysis}`` for every analysis, in the configuration's order."""
        return self.labelled(pattern, "analysis", self.settings.analyses)

    @functools.cached_property
    def _joint_analyses(self) -> frozenset[str]:
        return frozenset(planned_designs.joint_analyses(self.study))

    def statistic(self, analysis: str) -> str:
        """``F`` where an analysis tests several effects together, else ``t``."""
        return "F" if analysis in self._joint_analyses else "t"

    def analyses_by(self, letter: str) -> list[str]:
        """The analyses whose statistic is ``t``, or ``F``."""
        return [name for name in self.settings.analyses if self.statistic(name) == letter]

    def statistic_map(self, analysis: str) -> str:
        """The map of an analysis' statistic."""
        return self.paths.statistic(analysis, bids.entity_label(analysis), self.statistic(analysis))

    def session_maps(self, which: str, analysis: str) -> list[str]:
        """The contrast maps of an analysis' members at the baseline or the follow-up session."""
        label = self.study.analysis_sessions(analysis).get(which)
        members = [] if label is None else self.study.members(analysis, which)
        contrast = self.settings.analyses[analysis].contrast
        return [self.paths.contrast(self.study.visit_stem((subject, label or None)), contrast) for subject in members]

    def members(self, analysis: str) -> dict[str, list[str]]:
        """Whose maps enter an analysis, by session (``baseline``, ``followup``, labels of others); in the order of :meth:`session_maps`."""
        sessions = self.study.analysis_sessions(analysis)
        return {
            which: [f"sub-{subject}" for subject in self.study.members(analysis, which)] if which in sessions else []
            for which in dict.fromkeys(["baseline", "followup", *sessions])
        }

    def further_maps(self, analysis: str) -> list[str]:
        """The contrast maps of an analysis' members at the sessions beside baseline and follow-up, session by session."""
        further = list(self.study.analysis_sessions(analysis))[2:]
        return [path for label in further for path in self.session_maps(label, analysis)]

    def analysis_sessions(self, analysis: str) -> dict[str, str]:
        """``baseline`` and ``followup`` (or ``baseline`` alone) of an analysis, to session labels."""
        return self.study.analysis_sessions(analysis)

    def is_cbf(self, analysis: str) -> bool:
        """Whether the contrast of an analysis is a CBF; what states ready-made maps are of, nobody says."""
        return (
            not self.study.contrast_maps and self.settings.contrasts[self.settings.analyses[analysis].contrast].is_cbf
        )

    def quantity(self) -> dict[str, str]:
        """What the contrast maps are of."""
        return dataclasses.asdict(self.settings.quantity)

    def is_cbf_absolute(self, analysis: str) -> bool:
        """Whether the contrast of an analysis would be a CBF if nothing were taken off its scans."""
        contrast = self.settings.contrasts[self.settings.analyses[analysis].contrast]
        return dataclasses.replace(contrast, scaling="absolute").is_cbf

    def analysis_scaling(self, analysis: str) -> dict[str, Any]:
        """How the scans of an analysis' contrast are scaled, and over what their mean is taken."""
        contrast = self.settings.contrasts[self.settings.analyses[analysis].contrast]
        return settings.plain(settings.narrowed(settings.Scaling, contrast))

    def _map_terms(self, analysis: str) -> list[map_terms.MapTerm]:
        """The maps that are terms of an analysis beside the baseline, which is among the contrast maps."""
        asked = self.settings.analyses[analysis]
        if asked.formula is None:
            return []
        others = (map_terms.BASELINE, map_terms.GLOBAL)
        return [term for term in map_terms.terms(asked.formula, asked.contrast) if term.kind not in others]

    def term_maps(self, grey_matter: str, transit_time: str, analysis: str) -> list[str]:
        """The files of the maps that are terms of an analysis: term by term, session by session, member by member.

        Parameters
        ----------
        grey_matter, transit_time : str
            Patterns with ``{anat}``, and with ``{visit}`` and ``{contrast}``.
        analysis : str
        """
        files, sessions = [], self.study.analysis_sessions(analysis)
        for term in self._map_terms(analysis):
            members = self.study.members(analysis, self._outcome_session(analysis))
            for which in term.sessions:
                for subject in members:
                    if term.kind == map_terms.GREY_MATTER:
                        files.append(grey_matter.replace("{anat}", map_terms.anatomy(self.study, subject)))
                        continue
                    visit = self.study.visit_stem((subject, sessions[which] or None))
                    path = self.paths.contrast(visit, term.contrast)
                    if term.kind == map_terms.TRANSIT_TIME:
                        path = transit_time.replace("{visit}", visit).replace(
                            "{contrast}", bids.entity_label(term.contrast)
                        )
                    files.append(path)
        return files

    def _outcome_session(self, analysis: str) -> str:
        """A session whose members are the rows of a model with a row per participant."""
        return self.settings.analyses[analysis].kind.sessions[-1]

    def map_terms(self, analysis: str) -> list[dict[str, Any]]:
        """What the files of :meth:`term_maps` are."""
        session = self._outcome_session(analysis)
        return [
            {"text": term.text, "lists": len(term.sessions), "members": session, "is_cbf": term.kind == "cbf"}
            for term in self._map_terms(analysis)
        ]

    def masks_of_terms(self, pattern: str, analysis: str) -> list[str]:
        """A pattern with ``{roi}`` for each region, where an analysis takes maps whose means in the regions are in no table."""
        return self.filled(pattern, "roi", self.settings.rois) if self._map_terms(analysis) else []

    def atlas_of_terms(self, atlas: Sequence[str], analysis: str) -> list[str]:
        """The atlas' files, in the same case."""
        return list(atlas) if self._map_terms(analysis) else []

    def global_values(self, path: str, analysis: str) -> list[str]:
        """The table of global CBF if an analysis takes it as a term: one path, or none."""
        formula = self.settings.analyses[analysis].formula
        return [path] if formula is not None and map_terms.GLOBAL in formula.variables else []

    def cautions(self, analysis: str) -> list[str]:
        """What a reader has to know of an analysis' terms that treatment may have changed."""
        asked, sessions = self.settings.analyses[analysis], self.study.analysis_sessions(analysis)
        return map_terms.cautions(asked, sessions)

    def shared_data(self, analysis: str) -> list[str]:
        """What an analysis shares with its seed or its search region, in words."""
        return shared_data.of_analysis(self.settings, analysis)

    def search_region(self, analysis: str) -> list[str]:
        """The mask of the region to which an analysis is restricted: one path, or none."""
        region = self.settings.analyses[analysis].within
        return [self.paths.region_mask(region)] if region else []

    def seed_values(self, analysis: str) -> list[str]:
        """The tables of the regions whose values are terms of an analysis, one per region."""
        seeds = self.settings.analyses[analysis].seeds
        return [self.paths.region_values(region) for region in dict.fromkeys(seed.roi for seed in seeds)]

    def conjunction_files(self, pattern: str, conjunction: str) -> list[str]:
        """A pattern with ``{analysis}`` for every analysis of a conjunction."""
        return self.labelled(pattern, "analysis", self.settings.conjunctions[conjunction])

    # Regions of interest

    def own_template(self) -> dict[str, str]:
        """The user's own template by kind of file (``t1w``, ``mask``, ``gm``, ``wm``, ``csf``); empty for nilearn's."""
        return own_template.files(self.settings.template)

    def own_atlas(self) -> list[str]:
        """The user's own atlas files; none where a package carries them."""
        atlas = self.settings.atlas
        return [] if atlas.package else [atlas.image, atlas.labels]

    def defining_clusters(self, roi: str) -> list[str]:
        """The clusters that define a region: one path, or none."""
        analysis = self.settings.rois[roi].analysis
        return [self.paths.clusters(analysis)] if analysis else []

    def defining_atlas(self, atlas: Sequence[str], roi: str) -> list[str]:
        """The atlas' files if labels of it define a region."""
        return list(atlas) if self.settings.rois[roi].atlas else []

    def defining_image(self, roi: str) -> list[str]:
        """The user's image that defines a region: one path, or none."""
        image = self.settings.rois[roi].image
        return [image] if image else []

    def region_definition(self, roi: str) -> dict[str, Any]:
        """What a region is, without how it is read: a change of the one makes no other mask."""
        return settings.plain(self.settings.rois[roi].definition)

    def region_rows(self) -> list[dict[str, Any]]:
        """Who and what each of the contrast maps is whose values a region's table holds: see :meth:`contrasts`."""
        arms = self.settings.arms
        return [
            {
                "participant_id": f"sub-{subject}",
                "session_id": session,
                "arm": self.study.participants[subject].get(arms.column) if arms else None,
                "contrast": contrast,
                **self._unit(contrast),
            }
            for (subject, session), contrast in self.study.available_contrasts()
        ]

    def is_repeated(self) -> bool:
        """Whether the study has a follow-up, by which repeatability is measured."""
        return self.settings.sessions is not None and self.settings.sessions.followup is not None

    def repeated_people(self) -> dict[str, Any]:
        """Whose sessions are compared for repeatability: the control arm's, or all people's where arms are unknown or none."""
        arms, sessions = self.settings.arms, self.settings.sessions
        pair = [sessions.baseline, sessions.followup] if sessions else []
        control = None if arms is None or self.settings.blinded else arms.control
        members = [
            f"sub-{subject}"
            for subject, row in self.study.participants.items()
            if control is None or (arms and row.get(arms.column) == control)
        ]
        return {"arm": control, "participants": members, "sessions": pair}

    def repeated_files(self, pattern: str) -> list[str]:
        """A pattern with ``{contrast}`` for each contrast whose repeatability is mapped, by name; none without a follow-up."""
        if not self.is_repeated():
            return []
        return self.filled(pattern, "contrast", map(bids.entity_label, sorted(self.settings.contrasts)))

    def repeated_maps(self, which: int, contrast: str) -> list[str]:
        """The maps of a contrast at baseline (0) or follow-up (1) of those of :meth:`repeated_people` who have both."""
        people = self.repeated_people()
        every = (
            [(bids.bare_label(who, "sub"), label) for label in people["sessions"]] for who in people["participants"]
        )
        return [
            self.paths.contrast(self.study.visit_stem(visits[which]), contrast)
            for visits in every
            if len(visits) > 1 and all(self.study.has_contrast(visit, contrast) for visit in visits)
        ]

    def repeated_contrast(self, contrast: str) -> dict[str, Any]:
        """That of :meth:`repeated_contrasts` with a name."""
        return next(row for row in self.repeated_contrasts() if row["name"] == contrast)

    def repeated_contrasts(self) -> list[dict[str, Any]]:
        """Each contrast with its unit, and whether it is a CBF; by name, whatever the configuration's order."""
        return [
            {
                "name": name,
                "unit": self._unit(name).get("unit", relative_cbf.CBF_UNIT),
                "is_cbf": not self.study.contrast_maps and contrast.is_cbf,
                "is_cbf_absolute": dataclasses.replace(contrast, scaling="absolute").is_cbf,
            }
            for name, contrast in sorted(self.settings.contrasts.items())
        ]

    def _unit(self, contrast: str) -> dict[str, str]:
        """The unit of a contrast's values under its key, where it is none of absolute CBF; nothing for absolute CBF."""
        if (unit := self.quantity()["unit"]) != relative_cbf.CBF_UNIT:
            return {"unit": unit}
        scaling = self.settings.contrasts[contrast]
        return {} if scaling.is_absolute else {"unit": relative_cbf.unit(scaling)}

    def parcel_rows(self) -> list[dict[str, Any]]:
        """:meth:`region_rows` without arms, which the parcels' values do not depend on."""
        return [{name: value for name, value in row.items() if name != "arm"} for row in self.region_rows()]

    def regions(self, space: str) -> list[str]:
        """The regions read in a space, ``"template"`` or ``"native"``."""
        return [name for name, region in self.settings.rois.items() if region.space == space]

    def weighting(self, grey_matter: str, roi: str) -> list[str]:
        """The template's grey matter if it weights a region's value."""
        return [grey_matter] if self.settings.rois[roi].statistic == "gm_weighted" else []

    def source(self, roi: str) -> str:
        """What a region is defined by: ``"a-priori"`` (no name of an analysis), or the analysis whose cluster it is."""
        return self.settings.rois[roi].analysis or "a-priori"

    def native_regions(self, source: str) -> dict[str, str]:
        """The native regions that one source defines, each with its statistic."""
        return {roi: self.settings.rois[roi].statistic for roi in self.regions("native") if self.source(roi) == source}

    def native_masks(self, pattern: str, source: str) -> list[str]:
        """A pattern with ``{roi}`` for each of the native regions that one source defines."""
        return self.filled(pattern, "roi", self.native_regions(source))

    def contrast_stems(self) -> list[str]:
        """The stems of the maps of the states that enter a contrast, once, in order."""
        pairs = (self.study.contrast_scans(*available) for available in self.study.available_contrasts())
        return list(dict.fromkeys(scan.map_stem for weighted in pairs for scan, _ in weighted))

    def contrast_runs(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for the run of each of these."""
        return [self.run_file(pattern, stem) for stem in self.contrast_stems()]

    def contrast_states(self) -> list[dict[str, str]]:
        """Which states those of :meth:`contrast_stems` are."""
        return [self._state_record(self._maps[stem]) for stem in self.contrast_stems()]

    def contrast_files(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for the map of each state that enters a contrast."""
        return self.filled(pattern, "scan", self.contrast_stems())

    def native_files(self, pattern: str, roi: str) -> list[str]:
        """A pattern with ``{scan}`` and ``{source}`` of a region for the map of each state that enters a contrast."""
        return self.contrast_files(pattern.replace("{source}", self.source(roi)))

    def native_rows(self) -> list[dict[str, Any]]:
        """:meth:`region_rows`, with the places of the contrast's states among :meth:`contrast_stems`, and their weights."""
        place = {stem: number for number, stem in enumerate(self.contrast_stems())}
        rows = []
        for row, available in zip(self.region_rows(), self.study.available_contrasts()):
            pairs = self.study.contrast_scans(*available)
            scans, weights = [place[scan.map_stem] for scan, _ in pairs], [weight for _, weight in pairs]
            scaling = self.scaling(available[1])
            rows.append({**row, "scans": scans, "weights": weights, **({"scaling": scaling} if scaling else {})})
        return rows

    def global_rows(self) -> list[dict[str, Any]]:
        """:meth:`native_rows`, without what global CBF does not depend on."""
        left_out = ("arm", "scaling", "unit")
        return [{name: value for name, value in row.items() if name not in left_out} for row in self.native_rows()]

    def scan_means(self, path: str) -> list[str]:
        """The table of the scans' means, if a contrast is of relative CBF: one path, or none."""
        return [] if all(contrast.is_absolute for contrast in self.settings.contrasts.values()) else [path]

    # Slopes on a seed

    def seed_slope_regions(self) -> list[str]:
        """The regions whose slopes on a seed are estimated: those related to craving, or all where none are."""
        craving = self.settings.craving
        return list((craving.rois if craving else ()) or self.settings.rois)

    def seeded_analyses(self) -> list[str]:
        """The analyses with a seed, where there is another region than the seed."""
        return [
            name
            for name, analysis in self.settings.analyses.items()
            if analysis.seed and any(roi != analysis.seed.roi for roi in self.seed_slope_regions())
        ]

    def seed_slopes(self) -> dict[str, Any]:
        """The analyses with a seed, each with its settings, members and sessions."""
        return {
            name: {
                "settings": settings.plain(self.settings.analyses[name]),
                "members": self.members(name)["baseline"],
                "sessions": self.study.analysis_sessions(name),
            }
            for name in self.seeded_analyses()
        }

    def seed_slope_files(self, pattern: str) -> list[str]:
        """A pattern with ``{roi}`` for each region of the slopes and each seed, once."""
        seeds = [self.settings.analyses[name].seed for name in self.seeded_analyses()]
        rois = [*self.seed_slope_regions(), *(seed.roi for seed in seeds if seed)]
        return self.filled(pattern, "roi", dict.fromkeys(rois))

    # Craving

    def craving_table(self) -> str:
        """The raw craving table."""
        return os.path.join(self.settings.bids_dir, self._craving.table)

    @property
    def _craving(self) -> settings.Craving:
        if self.settings.craving is None:
            raise SystemExit(
                "craving: asked for, but the configuration does not name it. Add craving to the configuration."
            )
        return self.settings.craving

    def craving_settings(self, *names: str) -> dict[str, Any]:
        """Some of the settings of craving; empty without it."""
        craving = settings.plain(self.settings.craving) if self.settings.craving else {}
        return {name: craving[name] for name in names if name in craving}

    def craving_rois(self) -> list[str]:
        """The regions related to craving."""
        return list(self.settings.craving.rois) if self.settings.craving else []

    def mediator_files(self, pattern: str) -> list[str]:
        """A pattern with ``{roi}`` for each region of the craving mediation, once."""
        return self.filled(pattern, "roi", dict.fromkeys(mediator.roi for mediator in self.mediators()))

    def mediators(self) -> tuple[settings.Mediator, ...]:
        """The mediators of craving, in the order of the chain."""
        craving = self.settings.craving
        return craving.mediation.mediators if craving and craving.mediation else ()

    def left_out_rois(self) -> list[str]:
        """The regions related to craving that are clusters of an analysis that can be repeated without a participant."""
        return [roi for roi in self.craving_rois() if self._can_leave_out(self.settings.rois[roi])]

    def _can_leave_out(self, region: settings.Region) -> bool:
        # The region is sought anew in the maps of the others: that, and what is read in it, is of the template.
        if region.analysis is None or region.space != "template":
            return False
        analysis = self.settings.analyses[region.analysis]
        return analysis.kind.one_column and analysis.method == "differences" and not analysis.within

    def left_out_files(self, name: str) -> list[str]:
        """What was read of each region that was sought without each participant, such as ``values.tsv``."""
        return [self.paths.left_out(roi, name) for roi in self.left_out_rois()]

    def defining_file(self, pattern: str, roi: str) -> str:
        """A pattern with ``{analysis}`` for the analysis whose cluster a region is."""
        return self.labelled(pattern, "analysis", [self.source(roi)])[0]

    def defining_maps(self, which: str, roi: str) -> list[str]:
        """The maps of the analysis whose cluster a region is, as :meth:`session_maps`."""
        return self.session_maps(which, self.source(roi))

    def defining_members(self, roi: str) -> list[str]:
        """The members of the analysis whose cluster a region is."""
        return self.members(self.source(roi))["baseline"]

    def defining_inference(self, roi: str) -> dict[str, float]:
        """How the analysis whose cluster a region is forms its clusters."""
        inference = self.settings.analyses[self.source(roi)].inference
        return {"cluster_forming_p": inference.cluster_forming_p, "neighbours": inference.neighbours}

    # Other clinical endpoints

    def endpoint_files(self, end: str) -> list[str]:
        """A file of each endpoint, in the configuration's order."""
        return [self.paths.endpoint(name, end) for name in self.settings.endpoints]

    def endpoint_table(self, endpoint: str) -> str:
        """The raw table of an endpoint."""
        return endpoint_plans.table(self.study, self.settings.endpoints[endpoint])

    def endpoint_measure(self, endpoint: str) -> dict[str, Any]:
        """How an endpoint's table becomes scores, and in which populations."""
        own = self.settings.endpoints[endpoint]
        populations = {
            name: settings.plain(self.settings.populations[name])
            for name in own.populations
            if name in self.settings.populations
        }
        return {
            "measure": settings.plain(own.measure),
            "chosen": list(own.populations),
            "populations": populations,
            "passed_over": endpoint_plans.passed_over(self.study),
        }

    def endpoint_scores(self, endpoint: str) -> list[dict[str, Any]]:
        """What counts of an endpoint's table."""
        return endpoint_plans.scores(self.study, endpoint)

    def endpoint_sessions(self, endpoint: str) -> dict[str, Any]:
        """The sessions of an endpoint."""
        return settings.plain(endpoint_plans.sessions(self.study, self.settings.endpoints[endpoint]))

    def endpoint_unit(self, endpoint: str) -> str:
        """The unit of an endpoint's analysed score."""
        own = self.settings.endpoints[endpoint]
        return f"log {own.unit}" if own.transform == "log" else own.unit

    def endpoint_label(self, endpoint: str) -> str:
        """The name of an endpoint's score with its unit, for figures."""
        return f"{endpoint.replace('_', ' ')} ({self.endpoint_unit(endpoint)})"

    def related_endpoints(self) -> list[str]:
        """The endpoints whose scores are related to regions."""
        return [name for name, own in self.settings.endpoints.items() if own.relations]

    def related_files(self, pattern: str, endpoint: str) -> list[str]:
        """A pattern with ``{roi}`` for each region to which an endpoint's scores are related."""
        relations = self.settings.endpoints[endpoint].relations
        return self.filled(pattern, "roi", relations.rois if relations else ())

    def endpoint_relations(self, endpoint: str) -> dict[str, Any]:
        """The correlations of an endpoint's scores with regional CBF, and which of them are tests."""
        relations = self.settings.endpoints[endpoint].relations
        return settings.plain(relations) if relations else {}

    def endpoint_question(self, endpoint: str) -> dict[str, Any]:
        """The model of an endpoint and what is tested."""
        return settings.plain(self.settings.endpoints[endpoint].question)

    # The trial's answers

    def declared_analyses(self) -> list[str]:
        """The analyses among the primary and secondary answers, in their order."""
        return primary.declared_analyses(self.settings)

    def declared_files(self, pattern: str) -> list[str]:
        """A pattern with ``{analysis}`` for each analysis among the declared answers."""
        return self.labelled(pattern, "analysis", self.declared_analyses())

    def declared_endpoints(self) -> list[str]:
        """The endpoints among the primary and secondary answers by their own name, in their order."""
        return primary.declared_endpoints(self.settings)

    def declared_endpoint_files(self) -> list[str]:
        """The models of the endpoints among the declared answers."""
        return [self.paths.endpoint(name, "model.tsv") for name in self.declared_endpoints()]

    def declared_relations(self) -> dict[str, dict[str, Any]]:
        """The endpoints of whose correlations one is a declared answer, each with its test."""
        return {
            name: {key: own[key] for key in ("test", "resamples")}
            for name in primary.declared_relations(self.settings)
            for own in [self.endpoint_relations(name)]
        }

    def declares_endpoint(self) -> bool:
        """Whether the arms' difference of craving is a declared answer."""
        return primary.CRAVING in self._declared()

    def declares_correlation(self) -> bool:
        """Whether the correlation of a region with craving is a declared answer."""
        return any(primary.correlation(roi) in self._declared() for roi in self.craving_rois())

    def _declared(self) -> tuple[str, ...]:
        declared = self.settings.primary
        return (*declared.answers, *declared.secondary) if declared else ()
