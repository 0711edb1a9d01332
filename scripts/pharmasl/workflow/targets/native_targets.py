"""The regions that are read on the scans' own grids, and global CBF."""

from typing import Any

from pharmasl.study.trial import Study
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.contrast_targets import ContrastTargets
from pharmasl.workflow.targets.region_targets import RegionTargets


class NativeTargets:
    """The regions that are read on the scans' own grids, and global CBF.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    contrasts : ContrastTargets
    regions : RegionTargets
    """

    def __init__(self, study: Study, contrasts: ContrastTargets, regions: RegionTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._contrasts = contrasts
        self._regions = regions

    def regions(self, source: str) -> dict[str, str]:
        """The native regions that one source defines, each with its statistic."""
        return {
            roi: self._settings.rois[roi].statistic
            for roi in self._regions.in_space("native")
            if self._regions.source(roi) == source
        }

    def masks(self, pattern: str, source: str) -> list[str]:
        """A pattern with ``{roi}`` for each of the native regions that one source defines."""
        return patterns.filled(pattern, "roi", self.regions(source))

    def files(self, pattern: str, roi: str) -> list[str]:
        """A pattern with ``{scan}`` and ``{source}`` of a region for the map of each state that enters a contrast."""
        return self._contrasts.files(pattern.replace("{source}", self._regions.source(roi)))

    def rows(self) -> list[dict[str, Any]]:
        """:meth:`RegionTargets.rows`, with the places of the contrast's states among :meth:`ContrastTargets.stems`, and their weights."""
        place = {stem: number for number, stem in enumerate(self._contrasts.stems())}
        rows = []
        for row, available in zip(self._regions.rows(), self._study.available_contrasts()):
            pairs = self._study.contrast_scans(*available)
            scans, weights = [place[scan.map_stem] for scan, _ in pairs], [weight for _, weight in pairs]
            scaling = self._contrasts.scaling(available[1])
            rows.append({**row, "scans": scans, "weights": weights, **({"scaling": scaling} if scaling else {})})
        return rows

    def global_rows(self) -> list[dict[str, Any]]:
        """:meth:`rows`, without what global CBF does not depend on."""
        left_out = ("arm", "scaling", "unit")
        return [{name: value for name, value in row.items() if name not in left_out} for row in self.rows()]
