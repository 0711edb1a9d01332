"""Contrast maps that another program made."""

import dataclasses
from typing import Any

from pharmasl.files import bids
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.contrast_targets import ContrastTargets
from pharmasl.workflow.targets.stems import Stems


class ReadyMadeTargets:
    """Contrast maps that another program made.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    stems : Stems
    contrasts : ContrastTargets
    """

    def __init__(self, study: Study, paths: Paths, stems: Stems, contrasts: ContrastTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths
        self._stems = stems
        self._contrasts = contrasts

    def map(self, visit: str, contrast: str) -> str:
        """The ready-made map of a contrast at a visit."""
        return self._study.contrast_maps[self._stems.visits[visit], contrast].path

    def record(self, visit: str, contrast: str) -> dict[str, Any]:
        """What a ready-made map is, for its sidecar."""
        wanted, source = self._settings.derivatives.contrasts, self._study.contrast_source
        if wanted is None or source is None:
            raise ValueError("a study without ready-made contrast maps")
        return {
            "place": bids.place(self.map(visit, contrast), source.root),
            "program": dataclasses.asdict(source.program),
            "dataset": source.name,
            "space": wanted.space,
            "factor": (wanted.factor or 1.0) if wanted.quantity.is_cbf else 1.0,
            **self._contrasts.quantity(),
        }

    def sidecars(self) -> list[str]:
        """The sidecars of all ready-made contrast maps."""
        return [
            self._paths.contrast(self._study.visit_stem(visit), contrast, ".json")
            for visit, contrast in self._study.contrast_maps
        ]

    def visits(self, *, imported: bool) -> str:
        """A regular expression of the visits whose contrasts are ready made, or computed: those of a study are all one or the other."""
        return self._stems.pattern("contrasts") if bool(self._study.contrast_maps) == imported else patterns.any_of(())
