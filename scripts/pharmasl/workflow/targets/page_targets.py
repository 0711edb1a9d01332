"""The pages of scans, which go by the scans' names."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets.anatomy_targets import AnatomyTargets
from pharmasl.workflow.targets.stems import Stems

Value = TypeVar("Value")


class PageTargets:
    """The pages of scans, which go by the scans' names.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    stems : Stems
    anatomies : AnatomyTargets
    """

    def __init__(self, study: Study, paths: Paths, stems: Stems, anatomies: AnatomyTargets) -> None:
        self._study = study
        self._paths = paths
        self._stems = stems
        self._anatomies = anatomies

    def of_page(self, function: Callable[[str], Value], name: str) -> Value:
        """What a function of a scan's stem gives, by the scan's name."""
        return function(self._stems.by_name[name])

    def file(self, pattern: str, name: str) -> str:
        """A file of a scan or of the anatomy that it uses, from a pattern with ``{scan}`` or ``{anat}``."""
        stem = self._stems.by_name[name]
        own = pattern.replace("{scan}", stem)
        # An imported map uses no anatomy.
        return self._anatomies.file(own, stem) if "{anat}" in own else own

    def transit_files(self, patterns: Sequence[str], name: str) -> list[str]:
        """The files of a scan's arterial transit time, from patterns with ``{scan}``; none of a single delay."""
        stem = self._stems.by_name[name]
        return [
            pattern.replace("{scan}", stem)
            for pattern in patterns
            if self._stems.scans[stem].acquisition.several_delays
        ]

    def block_files(self, patterns: Sequence[str], name: str) -> list[str]:
        """The files of the model of a scan's blocks, from patterns with ``{scan}``; none of a run of one state."""
        stem = self._stems.by_name[name]
        return [pattern.replace("{scan}", stem) for pattern in patterns if self._stems.scans[stem].blocks is not None]

    def every(self) -> list[str]:
        """The pages of all scans, in order."""
        return [self._paths.scan_page(scan.name) for scan in self._study.scans.values()]
