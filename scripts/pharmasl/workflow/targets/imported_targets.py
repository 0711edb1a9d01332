"""CBF maps that another program made."""

from typing import Any

from pharmasl.files import bids
from pharmasl.study.trial import ImportedMap, Study
from pharmasl.workflow.targets.scan_targets import ScanTargets
from pharmasl.workflow.targets.stems import Stems


class ImportedTargets:
    """CBF maps that another program made.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    scans : ScanTargets
    """

    def __init__(self, study: Study, stems: Stems, scans: ScanTargets) -> None:
        self._settings = study.settings
        self._stems = stems
        self._scans = scans

    def _map(self, scan: str) -> ImportedMap:
        imported = self._stems.scans[scan].imported
        if imported is None:
            raise ValueError(f"{scan} has no map of another program")
        return imported

    def mask(self, scan: str) -> list[str]:
        """The brain mask of an imported CBF map: one path, or none."""
        mask = self._map(scan).mask
        return [mask] if mask else []

    def transforms(self, scan: str) -> list[str]:
        """The transforms of an imported CBF map to the template, in their order; none where it lies there."""
        return list(self._map(scan).transforms)

    def measures(self, scan: str) -> dict[str, float]:
        """The measures of quality that the other program has of a scan."""
        return dict(self._map(scan).measures)

    def source(self, scan: str) -> dict[str, Any]:
        """Where an imported CBF map comes from, and in which unit."""
        imported, run = self._map(scan), self._stems.scans[scan]
        return {
            "name": imported.program.name,
            "version": imported.program.version,
            "space": imported.space,
            "units": imported.units,
            "units_source": run.acquisition.sources["units"],
            "factor": imported.factor,
            "place": bids.place(run.asl, self._settings.bids_dir),
        }

    def place(self, scan: str) -> str:
        """The path of an imported CBF map below its program's folder."""
        source = self._settings.derivatives.cbf
        return bids.place(self._scans.asl(scan), source.dir) if source else ""
