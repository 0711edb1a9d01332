"""The visits, and the scans that were made at them."""

from typing import Any

from pharmasl.study.trial import Study
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.stems import Stems


class VisitTargets:
    """The visits, and the scans that were made at them.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    """

    def __init__(self, study: Study, stems: Stems) -> None:
        self._study = study
        self._stems = stems

    def stems(self) -> list[str]:
        """The stems of all visits, in order."""
        return list(self._stems.visits)

    def files(self, pattern: str, visit: str) -> list[str]:
        """A pattern with ``{scan}`` for every scan of a visit, in order."""
        return patterns.filled(pattern, "scan", [scan.stem for scan in self._study.visits[self._stems.visits[visit]]])

    def states(self, pattern: str, visit: str) -> list[str]:
        """The maps of a visit's scans in each of their states, from a pattern with ``{scan}``."""
        return patterns.filled(
            pattern, "scan", [scan.map_stem for scan in self._study.state_scans(self._stems.visits[visit])]
        )

    def runs(self, pattern: str, visit: str) -> list[str]:
        """The files of the runs of these states, one for each of them."""
        return patterns.filled(
            pattern, "scan", [scan.stem for scan in self._study.state_scans(self._stems.visits[visit])]
        )

    def scan_rows(self, visit: str) -> list[dict[str, Any]]:
        """Which scans those of :meth:`files` are."""
        return [
            {
                "participant_id": f"sub-{scan.subject}",
                "session_id": scan.session,
                "condition": scan.condition,
                "scan": scan.name,
            }
            for scan in self._study.visits[self._stems.visits[visit]]
        ]

    def parcels(self, pattern: str) -> list[str]:
        """The tables of the parcels of each visit with scans, from a pattern with ``{visit}``."""
        return patterns.filled(
            pattern, "visit", [stem for stem, visit in self._stems.visits.items() if self._study.visits.get(visit)]
        )

    def anatomy_files(self, pattern: str, visit: str) -> list[str]:
        """The file of the anatomy that a visit's scans use, alone in its list, from a pattern with ``{anat}``."""
        return [pattern.replace("{anat}", self._study.anatomy(self._stems.visits[visit]))]
