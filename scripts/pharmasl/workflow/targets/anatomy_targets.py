"""The anatomies, and which of their files a scan uses."""

import dataclasses
from collections.abc import Sequence

from pharmasl.study.trial import Study
from pharmasl.workflow.targets.scan_targets import ScanTargets
from pharmasl.workflow.targets.stems import Stems


class AnatomyTargets:
    """The anatomies, and which of their files a scan uses.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    stems : Stems
    scans : ScanTargets
    """

    def __init__(self, study: Study, stems: Stems, scans: ScanTargets) -> None:
        self._study = study
        self._stems = stems
        self._scans = scans

    def t1w(self, anatomy: str) -> list[str]:
        """The raw T1-weighted images that an anatomy is made of."""
        return list(self._stems.t1w[anatomy])

    def made_by(self, step: str, origin: str) -> list[str]:
        """The stems of the anatomies of which a step is made in one of three ways.

        Parameters
        ----------
        step : {"image", "registration", "segmentation"}
        origin : {"own", "imported", "template"}
            By the workflow; by another program; without a T1w, by assuming the template.
        """
        imported = self._study.imported_anatomies
        taken = imported is not None and step not in imported.own
        return [
            stem
            for stem, paths in self._study.t1w.items()
            if origin == ("imported" if taken else "own" if paths else "template")
        ]

    def imported_file(self, kind: str, anatomy: str) -> str:
        """Another program's file of an anatomy: see :class:`pharmasl.study.derivative_anatomies.AnatomyFiles`."""
        imported = self._study.imported_anatomies
        if imported is None:
            raise SystemExit(f"{anatomy}: asked for as another program's, and derivatives.anatomy names none.")
        return str(getattr(imported.files[anatomy], kind))

    def imported_files(self, kinds: Sequence[str], anatomy: str) -> list[str]:
        """Another program's files of an anatomy, of some kinds."""
        return [self.imported_file(kind, anatomy) for kind in kinds]

    def transforms(self, anatomy: str) -> list[str]:
        """Another program's transform of an anatomy to its template, after that of its template to the study's, if they are two."""
        imported = self._study.imported_anatomies
        stated = imported.transform if imported else None
        return [*([stated] if stated else []), self.imported_file("transform", anatomy)]

    def program(self) -> dict[str, str] | None:
        """Name and version of the program that made the anatomies; None where the workflow does."""
        imported = self._study.imported_anatomies
        return dataclasses.asdict(imported.dataset.program) if imported else None

    def is_assumed(self, scan: str) -> bool:
        """Whether a scan's participant has no T1w, so that the template is its anatomy."""
        return not self._study.t1w[self._stem(scan)]

    def _stem(self, scan: str) -> str:
        return self._study.anatomy(self._stems.state(scan).visit)

    def file(self, pattern: str, scan: str) -> str:
        """The file of the anatomy that a scan uses, from a pattern with the wildcard ``{anat}``."""
        return pattern.replace("{anat}", self._stem(scan))

    def own_file(self, pattern: str, scan: str) -> list[str]:
        """The file of :meth:`file` for a scan of a participant with a T1w; else none."""
        return [] if self.is_assumed(scan) else [self.file(pattern, scan)]

    def own_files(self, pattern: str) -> list[str]:
        """A pattern with ``{anat}`` for each anatomy of a scan whose CBF this workflow computes, once."""
        return list(dict.fromkeys(self.file(pattern, scan) for scan in self._scans.own()))
