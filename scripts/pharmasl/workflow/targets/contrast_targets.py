"""The contrasts at each visit, made of the states of its scans."""

import dataclasses
import itertools
from typing import Any

from pharmasl.study import relative_cbf, settings
from pharmasl.study.trial import Scan, Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.scan_targets import ScanTargets
from pharmasl.workflow.targets.stems import Stems


class ContrastTargets:
    """The contrasts at each visit, made of the states of its scans.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    stems : Stems
    scans : ScanTargets
    """

    def __init__(self, study: Study, paths: Paths, stems: Stems, scans: ScanTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths
        self._stems = stems
        self._scans = scans

    def _weighted_scans(self, visit: str, contrast: str) -> list[tuple[Scan, float]]:
        return self._study.contrast_scans(self._stems.visits[visit], contrast)

    def state_files(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The maps of the states that a contrast at a visit needs, from a pattern with ``{scan}``."""
        return patterns.filled(pattern, "scan", [scan.map_stem for scan, _ in self._weighted_scans(visit, contrast)])

    def state_runs(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The files of the runs of these states, one for each of them."""
        return patterns.filled(pattern, "scan", [scan.stem for scan, _ in self._weighted_scans(visit, contrast)])

    def states(self, visit: str, contrast: str) -> list[dict[str, str]]:
        """Which states those of :meth:`state_files` are."""
        return [self.state_record(scan) for scan, _ in self._weighted_scans(visit, contrast)]

    def state_record(self, scan: Scan) -> dict[str, str]:
        """The name of a state's map, and its condition."""
        return {"scan": scan.map_stem.rsplit("/", 1)[-1], "condition": scan.condition}

    def covariance_files(self, pattern: str, visit: str, contrast: str) -> list[str]:
        """The covariances of the conditions of each run, once, in which several of a contrast's alternate."""
        return patterns.filled(pattern, "scan", self._joint_runs(visit, contrast))

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
        scaling = settings.narrowed(settings.Scaling, self._settings.contrasts[contrast])
        return None if scaling.is_absolute else settings.plain(scaling)

    def scaling_coverage(self, contrast: str) -> float | None:
        """The share of the reference that a scan has to cover to be scaled by its mean; None where CBF is absolute."""
        return None if self._settings.contrasts[contrast].is_absolute else self._settings.minimum_roi_coverage

    def scaling_reference(self, mask: str, grey_matter: str, contrast: str) -> list[str]:
        """The template's files that define the reference of a contrast's scaling; none where CBF is absolute."""
        scaling = self._settings.contrasts[contrast]
        if scaling.is_absolute:
            return []
        return [mask, grey_matter] if scaling.reference == "grey_matter" else [mask]

    def maps(self) -> list[str]:
        """All contrast maps."""
        return [
            self._paths.contrast(self._study.visit_stem(visit), contrast)
            for visit, contrast in self._study.available_contrasts()
        ]

    def quantity(self) -> dict[str, str]:
        """What the contrast maps are of."""
        return dataclasses.asdict(self._settings.quantity)

    def unit(self, contrast: str) -> dict[str, str]:
        """The unit of a contrast's values under its key, where it is none of absolute CBF; nothing for absolute CBF."""
        if (unit := self.quantity()["unit"]) != relative_cbf.CBF_UNIT:
            return {"unit": unit}
        scaling = self._settings.contrasts[contrast]
        return {} if scaling.is_absolute else {"unit": relative_cbf.unit(scaling)}

    def stems(self) -> list[str]:
        """The stems of the maps of the states that enter a contrast, once, in order."""
        pairs = (self._study.contrast_scans(*available) for available in self._study.available_contrasts())
        return list(dict.fromkeys(scan.map_stem for weighted in pairs for scan, _ in weighted))

    def runs(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for the run of each of these."""
        return [self._scans.run_file(pattern, stem) for stem in self.stems()]

    def all_states(self) -> list[dict[str, str]]:
        """Which states those of :meth:`stems` are."""
        return [self.state_record(self._stems.maps[stem]) for stem in self.stems()]

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{scan}`` for the map of each state that enters a contrast."""
        return patterns.filled(pattern, "scan", self.stems())

    def scan_means(self, path: str) -> list[str]:
        """The table of the scans' means, if a contrast is of relative CBF: one path, or none."""
        return [] if all(contrast.is_absolute for contrast in self._settings.contrasts.values()) else [path]
