"""Levels of output: which files of the results stay, by kind, and how much of each there is.

The one home of what belongs to a level. ``full`` keeps all. ``default`` leaves out what is large, what no other file is
made of, and what follows from other results in seconds: that is made where it is asked for by name. ``minimal`` also removes,
once nothing of the run needs it any more, what lies on a scan's or an anatomy's own grid: pages, tables, group maps and the
maps on the template that they rest on stay.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.records import manifest
from pharmasl.sensitivity import specifications
from pharmasl.study.settings import Settings
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.study_targets import Targets

# From the least to the most.
LEVELS = ("minimal", "default", "full")


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    Attributes
    ----------
    name : str
        In words, as the end of a run lists it.
    pattern : str
        A regular expression that is searched in paths below the results' folder.
    level : {"minimal", "default", "full"}
        The least level at which it stays.
    """

    name: str
    pattern: str
    level: str


_OWN_GRID = r"(?![^/]*_space-)[^/]*\.nii\.gz$"
DEFORMATIONS, SCAN_MAPS = "deformations", "maps of scans"
# Of several that match, the first.
KINDS = (
    Kind("realigned series", r"/perf/[^/]*_desc-preproc_asl\.nii\.gz$", "full"),
    Kind("series of CBF", r"/perf/[^/]*_desc-timeseries_cbf\.nii\.gz$", "full"),
    Kind("inverse deformations", r"/anat/[^/]*_from-[^_/]+_to-T1w_mode-image_xfm\.nii\.gz$", "full"),
    Kind(DEFORMATIONS, r"/anat/[^/]*_from-T1w_to-[^/]*_xfm\.nii\.gz$", "default"),
    # Small, and the grid of what is made on request.
    Kind("brain masks", r"/anat/(?![^/]*_space-)[^/]*_desc-brain_mask\.nii\.gz$", "minimal"),
    # With the image goes the sidecar beside it.
    Kind("anatomies", rf"/anat/({_OWN_GRID}|(?![^/]*_space-)[^/]*_T1w\.json$)", "default"),
    Kind(SCAN_MAPS, rf"/perf/{_OWN_GRID}", "default"),
    Kind("maps on the template", r"/(anat|perf|contrasts)/[^/]*\.nii\.gz$", "minimal"),
    Kind("group maps and regions", r"^(group|rois|repeatability|neurovault)/.*\.nii\.gz$", "minimal"),
    Kind("template", r"^template/", "minimal"),
    Kind("pages", r"^report/", "minimal"),
    Kind("tables and records", "", "minimal"),
)
# Wildcards of the rules' outputs that stand for a stem, with the folder of its files.
_STEMS = {"anat": "anat", "scan": "perf", "visit": "contrasts"}


def kind_of(path: str) -> Kind:
    """The kind of a file, by its path below the results' folder."""
    return next(kind for kind in KINDS if re.search(kind.pattern, path))


@dataclass(frozen=True)
class OutputLevels:
    """What a study's results keep.

    Attributes
    ----------
    settings : pharmasl.study.settings.Settings
    root : str
        The results' folder as the rules' outputs are written.
    """

    settings: Settings
    root: str

    def on_request(self, targets: Targets, of_scan: Sequence[str], of_anatomy: str) -> list[str]:
        """What belongs to every run where all is kept, and is made on request elsewhere.

        Parameters
        ----------
        targets : pharmasl.workflow.targets.study_targets.Targets
        of_scan : sequence of str
            Patterns with ``{scan}``.
        of_anatomy : str
            Pattern with ``{anat}``.
        """
        if self.settings.outputs != LEVELS[-1]:
            return []
        scans = (path for pattern in of_scan for path in patterns.filled(pattern, "scan", targets.scans.own()))
        return [*scans, *targets.anatomies.own_files(of_anatomy)]

    def is_removed(self, path: str) -> bool:
        """Whether a file is removed once the run has used it.

        Parameters
        ----------
        path : str
            Of an output, below the results' folder; it may hold the rules' wildcards.
        """
        if self.settings.outputs != LEVELS[0]:
            return False
        for wildcard, folder in _STEMS.items():
            path = path.replace(f"{{{wildcard}}}", f"sub-1/{folder}/sub-1")
        kind = kind_of(path)
        return kind.level == "default" and kind.name not in self._read_again

    @property
    def _read_again(self) -> tuple[str, ...]:
        """Kinds that are read in every scan where a region or another person's scan changes what is asked of all."""
        is_read = any(region.space == "native" for region in self.settings.rois.values())
        if self.settings.sensitivity:
            is_read = is_read or specifications.corrects_partial_volume(self.settings)
        return (DEFORMATIONS, SCAN_MAPS) if is_read else ()

    def mark(self, rules: Iterable[Any], plain: Callable[[Any], str], annotated: Callable[[str], Any]) -> None:
        """Mark the outputs of rules that are removed as Snakemake's temporary files.

        Parameters
        ----------
        rules : iterable of snakemake.rules.Rule
        plain : callable
            Returns a path without its wildcards' constraints.
        annotated : callable
            Returns a path as one that can bear flags.
        """
        for rule in rules:
            for output in rule.output:
                if self.is_removed(str(plain(output)).removeprefix(f"{self.root}/")):
                    # A flagged path of its own: the present one may be an input of other rules too.
                    own = annotated(str(output))
                    own.flags = {**output.flags, "temp": True}
                    output._file = own


@dataclass(frozen=True)
class Amount:
    """How much there is of a kind.

    Attributes
    ----------
    kind : Kind
    files : int
    size : int
        Bytes.
    """

    kind: Kind
    files: int
    size: int


def amounts(root: FilePath) -> list[Amount]:
    """How much a results folder holds of each kind, the largest first; nothing of kinds that it does not have.

    Parameters
    ----------
    root : path-like
    """
    files = dict.fromkeys(KINDS, 0)
    sizes = dict.fromkeys(KINDS, 0)
    for path, state in manifest.listing(root).items():
        kind = kind_of(path)
        files[kind] += 1
        sizes[kind] += state.size
    there = (Amount(kind, files[kind], sizes[kind]) for kind in KINDS if files[kind])
    return sorted(there, key=lambda amount: -amount.size)


def size_line(root: FilePath, level: str) -> str:
    """The size of the results in a line, by kind, and how much lies there beyond the level.

    Parameters
    ----------
    root : path-like
    level : {"minimal", "default", "full"}
    """
    every = amounts(root)
    parts = [f"{amount.kind.name} {in_words(amount.size)}" for amount in every if amount.size >= 5e5]
    total = f"Results: {in_words(sum(amount.size for amount in every))} (outputs: {level})"
    return ": ".join([total, ", ".join(parts)]) if parts else total


def in_words(size: float) -> str:
    """A number of bytes as MB or GB."""
    if size >= 9.95e8:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 9.5e6 else f"{size / 1e6:.1f} MB"
