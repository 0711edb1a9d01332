"""The scans: their raw files, how they were acquired, and what a user said of them."""

import dataclasses
from typing import Any

from pharmasl.study import settings
from pharmasl.study.trial import Study
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.stems import Stems


class ScanTargets:
    """The scans: their raw files, how they were acquired, and what a user said of them.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    """

    def __init__(self, study: Study, stems: Stems) -> None:
        self._study = study
        self._settings = study.settings
        self._stems = stems

    def asl(self, scan: str) -> str:
        """The raw series of a scan; of several echoes the first."""
        return self._stems.scans[scan].asl

    def later_echoes(self, scan: str) -> list[str]:
        """The files of the later echoes of a series whose echoes are summed; else none."""
        return list(self._stems.scans[scan].later_echoes)

    def series(self, scan: str) -> list[str]:
        """All files of a scan's raw series."""
        return [self.asl(scan), *self.later_echoes(scan)]

    def m0(self, scan: str) -> list[str]:
        """The separate M0 of a scan: one path, one for each echo where they are summed, or none."""
        own = self._stems.scans[scan]
        return [own.m0, *own.later_m0] if own.m0 else []

    def acquisition(self, scan: str) -> dict[str, Any]:
        """How a scan was acquired, with where each value was found."""
        return self._stems.scans[scan].acquisition.plain()

    def acquisition_of_alignment(self, scan: str) -> dict[str, Any]:
        """How a scan was acquired, without what serves its quantification alone."""
        return self._stems.scans[scan].acquisition.plain_for_alignment()

    def with_delays(self, *, several_delays: bool) -> list[str]:
        """The stems of the scans with several delays (or labelling durations), or of those with one."""
        return [stem for stem in self.own() if self._stems.scans[stem].acquisition.several_delays == several_delays]

    def run_file(self, pattern: str, scan: str) -> str:
        """A file of the run to which a state's maps belong, from a pattern with ``{scan}``."""
        return pattern.replace("{scan}", self._stems.state(scan).stem)

    def own(self) -> list[str]:
        """The stems of the scans whose CBF this workflow computes."""
        return [stem for stem, scan in self._study.scans.items() if scan.imported is None]

    def imported(self) -> list[str]:
        """The stems of the scans of whose CBF another program made the map."""
        return [stem for stem, scan in self._study.scans.items() if scan.imported is not None]

    def quantification(self) -> dict[str, Any]:
        """The settings of the quantification, without those that have done their work when it begins."""
        perfusion = settings.plain(self._settings.perfusion)
        return {field.name: perfusion[field.name] for field in dataclasses.fields(settings.Quantification)}

    def label(self, scan: str) -> dict[str, str | None]:
        """Who and what a scan is, for tables and pages."""
        run = self._stems.scans[scan]
        return {
            "participant_id": f"sub-{run.subject}",
            "session_id": run.session,
            "condition": run.condition,
            "scan": run.name,
        }

    def exclusion_reason(self, scan: str) -> str | None:
        """The user's reason for excluding a scan by name; None for the others."""
        return self._settings.quality.exclude_scans.get(self._stems.scans[scan].name)

    def rating_reason(self, scan: str) -> str | None:
        """Why a scan was rated poor; None for the others."""
        return self._study.poor.get(self._stems.scans[scan].name)

    def acceptance_reason(self, scan: str) -> str | None:
        """The user's reason for accepting a scan by name; None for the others."""
        return self._settings.quality.accept_scans.get(self._stems.scans[scan].name)

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for every scan, in order."""
        return patterns.filled(pattern, "scan", self._study.scans)
