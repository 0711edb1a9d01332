"""Regions that are clusters of an analysis, sought anew without each participant."""

from pharmasl.study import settings
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.analysis_targets import AnalysisTargets
from pharmasl.workflow.targets.craving_targets import CravingTargets
from pharmasl.workflow.targets.region_targets import RegionTargets


class ClusterTargets:
    """Regions that are clusters of an analysis, sought anew without each participant.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    analyses : AnalysisTargets
    regions : RegionTargets
    craving : CravingTargets
    """

    def __init__(
        self, study: Study, paths: Paths, analyses: AnalysisTargets, regions: RegionTargets, craving: CravingTargets
    ) -> None:
        self._settings = study.settings
        self._paths = paths
        self._analyses = analyses
        self._regions = regions
        self._craving = craving

    def left_out(self) -> list[str]:
        """The regions related to craving that are clusters of an analysis that can be repeated without a participant."""
        return [roi for roi in self._craving.rois() if self._can_leave_out(self._settings.rois[roi])]

    def _can_leave_out(self, region: settings.Region) -> bool:
        # The region is sought anew in the maps of the others: that, and what is read in it, is of the template.
        if region.analysis is None or region.space != "template":
            return False
        analysis = self._settings.analyses[region.analysis]
        return analysis.kind.one_column and analysis.method == "differences" and not analysis.within

    def left_out_files(self, name: str) -> list[str]:
        """What was read of each region that was sought without each participant, such as ``values.tsv``."""
        return [self._paths.left_out(roi, name) for roi in self.left_out()]

    def file(self, pattern: str, roi: str) -> str:
        """A pattern with ``{analysis}`` for the analysis whose cluster a region is."""
        return patterns.labelled(pattern, "analysis", [self._regions.source(roi)])[0]

    def maps(self, which: str, roi: str) -> list[str]:
        """The maps of the analysis whose cluster a region is, as :meth:`AnalysisTargets.session_maps`."""
        return self._analyses.session_maps(which, self._regions.source(roi))

    def members(self, roi: str) -> list[str]:
        """The members of the analysis whose cluster a region is."""
        return self._analyses.members(self._regions.source(roi))["baseline"]

    def inference(self, roi: str) -> dict[str, float]:
        """How the analysis whose cluster a region is forms its clusters."""
        inference = self._settings.analyses[self._regions.source(roi)].inference
        return {"cluster_forming_p": inference.cluster_forming_p, "neighbours": inference.neighbours}
