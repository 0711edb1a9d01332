"""The whole-brain analyses, and the maps of their members."""

import dataclasses
import functools
from typing import Any

from pharmasl.files import bids
from pharmasl.study import settings, shared_data
from pharmasl.study.trial import Study
from pharmasl.workflow import planned_designs
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns


class AnalysisTargets:
    """The whole-brain analyses, and the maps of their members.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    """

    def __init__(self, study: Study, paths: Paths) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{analysis}`` for every analysis, in the configuration's order."""
        return patterns.labelled(pattern, "analysis", self._settings.analyses)

    @functools.cached_property
    def _joint(self) -> frozenset[str]:
        return frozenset(planned_designs.joint_analyses(self._study))

    def statistic(self, analysis: str) -> str:
        """``F`` where an analysis tests several effects together, else ``t``."""
        return "F" if analysis in self._joint else "t"

    def with_statistic(self, letter: str) -> list[str]:
        """The analyses whose statistic is ``t``, or ``F``."""
        return [name for name in self._settings.analyses if self.statistic(name) == letter]

    def statistic_map(self, analysis: str) -> str:
        """The map of an analysis' statistic."""
        return self._paths.statistic(analysis, bids.entity_label(analysis), self.statistic(analysis))

    def session_maps(self, which: str, analysis: str) -> list[str]:
        """The contrast maps of an analysis' members at the baseline or the follow-up session."""
        label = self._study.analysis_sessions(analysis).get(which)
        members = [] if label is None else self._study.members(analysis, which)
        contrast = self._settings.analyses[analysis].contrast
        return [self._paths.contrast(self._study.visit_stem((subject, label or None)), contrast) for subject in members]

    def members(self, analysis: str) -> dict[str, list[str]]:
        """Whose maps enter an analysis, by session (``baseline``, ``followup``, labels of others); in the order of :meth:`session_maps`."""
        sessions = self._study.analysis_sessions(analysis)
        return {
            which: [f"sub-{subject}" for subject in self._study.members(analysis, which)] if which in sessions else []
            for which in dict.fromkeys(["baseline", "followup", *sessions])
        }

    def further_maps(self, analysis: str) -> list[str]:
        """The contrast maps of an analysis' members at the sessions beside baseline and follow-up, session by session."""
        further = list(self._study.analysis_sessions(analysis))[2:]
        return [path for label in further for path in self.session_maps(label, analysis)]

    def sessions(self, analysis: str) -> dict[str, str]:
        """``baseline`` and ``followup`` (or ``baseline`` alone) of an analysis, to session labels."""
        return self._study.analysis_sessions(analysis)

    def is_cbf(self, analysis: str) -> bool:
        """Whether the contrast of an analysis is a CBF; what states ready-made maps are of, nobody says."""
        return (
            not self._study.contrast_maps
            and self._settings.contrasts[self._settings.analyses[analysis].contrast].is_cbf
        )

    def is_cbf_absolute(self, analysis: str) -> bool:
        """Whether the contrast of an analysis would be a CBF if nothing were taken off its scans."""
        contrast = self._settings.contrasts[self._settings.analyses[analysis].contrast]
        return dataclasses.replace(contrast, scaling="absolute").is_cbf

    def scaling(self, analysis: str) -> dict[str, Any]:
        """How the scans of an analysis' contrast are scaled, and over what their mean is taken."""
        contrast = self._settings.contrasts[self._settings.analyses[analysis].contrast]
        return settings.plain(settings.narrowed(settings.Scaling, contrast))

    def shared_data(self, analysis: str) -> list[str]:
        """What an analysis shares with its seed or its search region, in words."""
        return shared_data.of_analysis(self._settings, analysis)

    def search_region(self, analysis: str) -> list[str]:
        """The mask of the region to which an analysis is restricted: one path, or none."""
        region = self._settings.analyses[analysis].within
        return [self._paths.region_mask(region)] if region else []

    def seed_values(self, analysis: str) -> list[str]:
        """The tables of the regions whose values are terms of an analysis, one per region."""
        seeds = self._settings.analyses[analysis].seeds
        return [self._paths.region_values(region) for region in dict.fromkeys(seed.roi for seed in seeds)]

    def conjunction_files(self, pattern: str, conjunction: str) -> list[str]:
        """A pattern with ``{analysis}`` for every analysis of a conjunction."""
        return patterns.labelled(pattern, "analysis", self._settings.conjunctions[conjunction])
