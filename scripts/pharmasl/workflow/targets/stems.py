"""The stems of a study, each with what belongs to it; one that the study does not have ends the plan with a plain message."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pharmasl.errors import did_you_mean, similar
from pharmasl.files import bids
from pharmasl.study.trial import Scan, Study
from pharmasl.workflow.targets import patterns

Value = TypeVar("Value")


class _Known(dict[str, Value]):
    """What belongs to each stem of the study; the plan ends with a plain message at a stem that it does not have."""

    def __missing__(self, stem: str) -> Value:
        hint = did_you_mean(similar(stem, self, most=3), "The study's scans stand in study/scans.tsv.")
        # Snakemake would wrap an ordinary exception in a traceback of the program.
        raise SystemExit(f"{stem}: asked for, but no scan, visit or anatomy of the study. {hint}")


class Stems:
    """The stems of the study: the names by which the rules' wildcards know its anatomies, scans, states and visits.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Attributes
    ----------
    scans, maps : mapping of str to Scan
        By the stem of the run; by that of its map of a state.
    t1w : mapping of str to tuple of str
        Raw T1-weighted images by the stem of the anatomy.
    by_name : mapping of str to str
        Stems by the names of scans.
    visits : mapping of str to tuple
        Participant and session.
    contrasts : mapping of str to str
        Names by the labels in the names of files.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.scans: _Known[Scan] = _Known(study.scans)
        self.maps: _Known[Scan] = _Known({own.map_stem: own for scan in study.scans.values() for own in scan.states})
        self.t1w: _Known[tuple[str, ...]] = _Known(study.t1w)
        self.by_name: _Known[str] = _Known({scan.name: stem for stem, scan in study.scans.items()})
        self.visits: _Known[tuple[str, str | None]] = _Known({study.visit_stem(visit): visit for visit in study.visits})
        self.contrasts: _Known[str] = _Known({bids.entity_label(name): name for name in study.settings.contrasts})

    def pattern(self, datatype: str, chosen: Collection[str] | None = None) -> str:
        """A regular expression of the stems of a datatype, or of some of them.

        Snakemake compiles it into every pattern with the wildcard: the naming rule is short however many people there
        are. Only where two rules make the same files of different scans are the scans named one by one.

        Parameters
        ----------
        datatype : {"anat", "perf", "contrasts"}
        chosen : collection of str, optional
            All stems of the datatype unless given.
        """
        every: dict[str, Mapping[Any, Any]] = {
            "anat": self.study.t1w,
            "perf": self.study.scans,
            "contrasts": self.visits,
        }
        known = every[datatype]
        if chosen is None or len(chosen) == len(known):
            return bids.stem_pattern(datatype)
        return patterns.any_of(chosen)

    def name_pattern(self, chosen: Collection[str]) -> str:
        """A regular expression of the names of the scans with some stems, in the way of :meth:`pattern`."""
        if len(chosen) == len(self.scans):
            return bids.scan_name_pattern()
        return patterns.any_of(self.scans[stem].name for stem in chosen)

    def state(self, stem: str) -> Scan:
        """The scan of a stem, of a run or of one of its states' maps."""
        return self.scans[stem] if stem in self.scans else self.maps[stem]

    def contrast_name(self, label: str) -> str:
        """The contrast that a label stands for in the names of files."""
        return self.contrasts[label]
