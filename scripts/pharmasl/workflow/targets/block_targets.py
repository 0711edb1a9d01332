"""The scans in which conditions alternate."""

from collections.abc import Callable
from typing import Any

from pharmasl.files import bids
from pharmasl.study.trial import Study
from pharmasl.workflow.targets.stems import Stems


class BlockTargets:
    """The scans in which conditions alternate.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    """

    def __init__(self, study: Study, stems: Stems) -> None:
        self._study = study
        self._settings = study.settings
        self._stems = stems

    def scans(self) -> list[str]:
        """The stems of the scans in which conditions alternate."""
        return [stem for stem, scan in self._study.scans.items() if scan.blocks is not None]

    def of_scan(self, scan: str) -> dict[str, Any] | None:
        """The blocks of a scan in which conditions alternate; None for a run of one state."""
        blocks = self._stems.scans[scan].blocks
        return None if blocks is None else blocks.plain()

    def state_patterns(self, build: Callable[[str], str]) -> list[str]:
        """A pattern of the maps of each condition that alternates with others: what ``build`` makes of its stem."""
        return [build(bids.state_stem("{scan}", condition)) for condition in self._settings.block_conditions]
