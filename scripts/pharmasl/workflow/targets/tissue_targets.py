"""The transit times and T1 of tissue that a study takes to be known."""

from collections.abc import Callable, Mapping
from typing import Any

from pharmasl.study import known_images, known_tissue, settings
from pharmasl.study.trial import Study
from pharmasl.workflow.targets.anatomy_targets import AnatomyTargets
from pharmasl.workflow.targets.stems import Stems


class TissueTargets:
    """The transit times and T1 of tissue that a study takes to be known.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    anatomies : AnatomyTargets
    """

    def __init__(self, study: Study, stems: Stems, anatomies: AnatomyTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._stems = stems
        self._anatomies = anatomies

    def scans(self) -> list[str]:
        """The stems of the scans whose transit time or T1 of tissue is taken to be known."""
        if not known_tissue.named(self._settings):
            return []
        return [stem for stem, scan in self._study.scans.items() if scan.acquisition.quantified]

    def outputs(self, build: Callable[..., str]) -> dict[str, str]:
        """Maps of the quantities of tissue that the study takes to be known, and their sidecars: what ``build`` makes of suffix and end."""
        # Without any no scan asks for the rule, whose outputs have a name all the same.
        names = known_tissue.named(self._settings) or tuple(known_tissue.SUFFIXES)
        maps = {name: build(known_tissue.SUFFIXES[name], desc="known") for name in names}
        sidecars = {f"{name}_sidecar": build(known_tissue.SUFFIXES[name], ".json", desc="known") for name in names}
        return maps | sidecars

    def params(self) -> dict[str, Any]:
        """What is said to be known, without where its maps lie."""
        tissue = settings.plain(self._settings.perfusion.tissue)
        return {name: {key: own for key, own in value.items() if key != "image"} for name, value in tissue.items()}

    def limits(self) -> dict[str, list[float]]:
        """The least and the largest value of each known quantity, seconds."""
        return {name: list(known_tissue.limits(name)) for name in known_tissue.named(self._settings)}

    def image(self, name: str, scan: str) -> list[str]:
        """The study's own map of a known quantity of a scan: one path, or none."""
        value = getattr(self._settings.perfusion.tissue, name)
        path = None if value is None or value.image is None else known_images.path(value, self._stems.scans[scan])
        return [path] if path else []

    def images(self, scan: str) -> list[str]:
        """The study's own maps of all known quantities of a scan."""
        return [path for name in known_tissue.SUFFIXES for path in self.image(name, scan)]

    def forward(self, pattern: str, scan: str) -> list[str]:
        """The anatomy's deformation, from a pattern with ``{anat}``, where a map lies on the template."""
        values = [getattr(self._settings.perfusion.tissue, name) for name in known_tissue.SUFFIXES]
        on_template = any(value is not None and value.space not in (None, known_images.T1W) for value in values)
        return [self._anatomies.file(pattern, scan)] if on_template else []

    def file(self, patterns: Mapping[str, str], name: str, scan: str) -> list[str]:
        """The map or sidecar of a known quantity of a scan, from the rule's outputs; none where it is not taken to be known."""
        is_known = name.removesuffix("_sidecar") in known_tissue.named(self._settings)
        if not is_known or not self._stems.scans[scan].acquisition.quantified:
            return []
        return [patterns[name].replace("{scan}", scan)]

    def repeats_file(self, patterns: Mapping[str, str], name: str, scan: str) -> list[str]:
        """The same for the CBF of a scan's repeats: none of several delays, each of whose repeats has an apparent CBF alone."""
        return self.file(patterns, name, scan) if self._stems.scans[scan].acquisition.single_delay else []
