"""Slopes of regions on an analysis' seed."""

from typing import Any

from pharmasl.study import settings
from pharmasl.study.trial import Study
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.analysis_targets import AnalysisTargets


class SlopeTargets:
    """Slopes of regions on an analysis' seed.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    analyses : AnalysisTargets
    """

    def __init__(self, study: Study, analyses: AnalysisTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._analyses = analyses

    def regions(self) -> list[str]:
        """The regions whose slopes on a seed are estimated: those related to craving, or all where none are."""
        craving = self._settings.craving
        return list((craving.rois if craving else ()) or self._settings.rois)

    def analyses(self) -> list[str]:
        """The analyses with a seed, where there is another region than the seed."""
        return [
            name
            for name, analysis in self._settings.analyses.items()
            if analysis.seed and any(roi != analysis.seed.roi for roi in self.regions())
        ]

    def described(self) -> dict[str, Any]:
        """The analyses with a seed, each with its settings, members and sessions."""
        return {
            name: {
                "settings": settings.plain(self._settings.analyses[name]),
                "members": self._analyses.members(name)["baseline"],
                "sessions": self._study.analysis_sessions(name),
            }
            for name in self.analyses()
        }

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{roi}`` for each region of the slopes and each seed, once."""
        seeds = [self._settings.analyses[name].seed for name in self.analyses()]
        rois = [*self.regions(), *(seed.roi for seed in seeds if seed)]
        return patterns.filled(pattern, "roi", dict.fromkeys(rois))
