"""The field maps that correct scans for distortion."""

from typing import Any

from pharmasl.study.trial import Study
from pharmasl.workflow.targets.stems import Stems


class FieldMapTargets:
    """The field maps that correct scans for distortion.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    """

    def __init__(self, study: Study, stems: Stems) -> None:
        self._study = study
        self._stems = stems

    def images(self, scan: str) -> list[str]:
        """The images of the field map that corrects a scan, or none."""
        correction = self._stems.scans[scan].correction
        return correction.field_map.files if correction else []

    def params(self, scan: str) -> dict[str, Any] | None:
        """What is known of those images beside their voxels."""
        correction = self._stems.scans[scan].correction
        return (
            {**correction.plain_map(), "tesla": self._stems.scans[scan].acquisition.field_strength}
            if correction
            else None
        )

    def distortion(self, scan: str) -> dict[str, Any] | None:
        """How the images of a scan were encoded that is corrected for distortion."""
        correction = self._stems.scans[scan].correction
        return correction.distortion.plain() if correction else None

    def scans(self) -> list[str]:
        """The stems of the scans that are corrected for distortion."""
        return [stem for stem, scan in self._study.scans.items() if scan.correction is not None]

    def files(self, pattern: str, scan: str) -> list[str]:
        """A pattern with ``{scan}`` for a scan that is corrected for distortion; else none."""
        return [pattern.replace("{scan}", scan)] if self._stems.scans[scan].correction else []
