"""The files that the page rests on and those that go beyond it: a link to each, and what it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pharmasl.errors import FilePath
from pharmasl.files import bids
from pharmasl.report.report_files import ReportFiles
from pharmasl.report.words import plain, upper
from pharmasl.study.settings import Settings

_STUDY = (
    ("tidy_tables", "one table of the study, rounded, for statistics programs"),
    ("repeatability", "repeatability of CBF between the sessions, of every region and parcel"),
    ("repeatability_maps", "maps of repeatability, summed up"),
    ("scan_parcels", "CBF of every parcel of the atlas in every scan"),
    ("scans", "every scan: its files, its acquisition, and the source of each value"),
    ("participants", "participants with their arms"),
    ("exclusions", "who and what was left out, and why"),
    ("participant_flow", "the flow of participants"),
    ("quality", "quality measures of every scan"),
    ("quality_exclusions", "scans excluded for their quality"),
    ("trial_verdict", "the declared answers, corrected together"),
    ("craving_scores", "craving of each participant at each session"),
    ("craving_model", "models of craving"),
    ("roi_craving", "correlations of craving with regional CBF"),
    ("craving_mediation", "mediation of changes"),
    ("endpoint_models", "the endpoint's models"),
    ("endpoint_sensitivity", "the endpoint under other assumptions"),
    ("endpoint_relations", "the endpoint with regional CBF"),
    ("seed_slopes", "slopes of regions' changes on a seed's"),
    ("left_out_tests", "the effect that chose a region, without each participant"),
    ("conjunctions", "conjunction of analyses"),
    ("sensitivity_table", "all specifications"),
    ("sensitivity_curve", "specification curves, tested together"),
)
# What follows an analysis' name in its files, and what that file is.
_ANALYSIS = {
    "clusters.tsv": "clusters and their peaks",
    "desc-clusters_values.tsv": "each participant's values in the clusters",
    "regions.tsv": "the effect in declared regions",
    "parcels.tsv": "the effect in every parcel of the atlas",
    "global.tsv": "the effect on global CBF",
    "inference.json": "what was tested and how, and what decides",
    "design.tsv": "design matrix",
    "stat-effect_statmap.nii.gz": "map of the effect",
    "stat-percent_statmap.nii.gz": "map of the effect in percent of baseline",
    "stat-hedgesg_statmap.nii.gz": "map of Hedges' g",
    "desc-called_stat-effect_statmap.nii.gz": "map of the smallest estimate that would have been called significant",
    "desc-called_summary.tsv": "that map in numbers",
    "stat-t_statmap.nii.gz": "map of t",
    "stat-F_statmap.nii.gz": "map of F",
    "stat-z_statmap.nii.gz": "map of z",
    "stat-tfce_statmap.nii.gz": "map of threshold-free cluster enhancement",
    "desc-verdict_stat-logp_statmap.nii.gz": "map of \u2212log10 of the p that decides",
    "desc-cluster_stat-logpfwe_statmap.nii.gz": "map of \u2212log10 family-wise p by cluster extent",
    "desc-mass_stat-logpfwe_statmap.nii.gz": "map of \u2212log10 family-wise p by cluster mass",
    "desc-voxel_stat-logpfwe_statmap.nii.gz": "map of \u2212log10 family-wise p by the height of the voxel",
    "desc-tfce_stat-logpfwe_statmap.nii.gz": "map of \u2212log10 family-wise p by threshold-free cluster enhancement",
    "desc-voxel_stat-logqfdr_statmap.nii.gz": "map of \u2212log10 q, false discovery rate of voxels",
    "desc-clusters_dseg.nii.gz": "clusters, numbered as in the table",
    "desc-brain_mask.nii.gz": "voxels that were tested",
    "desc-permutations_null.tsv": "largest statistics of each relabelling",
}


@dataclass(frozen=True)
class LinkedFile:
    """A file, and what it is in words."""

    path: FilePath
    words: str


@dataclass(frozen=True)
class FileGroup:
    """Files that belong together, under a heading."""

    heading: str
    files: Sequence[LinkedFile]


def section(files: ReportFiles, settings: Settings, headings: Sequence[str]) -> list[FileGroup]:
    """The files of a study, then those of each analysis.

    Parameters
    ----------
    files : ReportFiles
    settings : Settings
    headings : sequence of str
        Of the analyses, in the configured order.

    Returns
    -------
    list of FileGroup
    """
    groups = [FileGroup("The study", list(_of_study(files)))]
    for name, heading in zip(settings.analyses, headings, strict=True):
        own = list(_of_analysis(files, name))
        groups += [FileGroup(heading, own)] if own else []
    return groups


def _of_study(files: ReportFiles) -> Iterator[LinkedFile]:
    for field, words in _STUDY:
        for path in _as_sequence(getattr(files, field)):
            yield LinkedFile(path, upper(words))


def _as_sequence(paths: FilePath | Sequence[FilePath] | None) -> Iterable[FilePath]:
    if paths is None:
        return ()
    return paths if isinstance(paths, list | tuple) else (paths,)


def _of_analysis(files: ReportFiles, name: str) -> Iterator[LinkedFile]:
    """An analysis' files in the order of :data:`_ANALYSIS`, then any other."""
    start, order = f"contrast-{bids.entity_label(name)}_", list(_ANALYSIS)
    paths = (*files.analyses_tables, *files.analyses_values, *files.analyses_regions, *files.analyses_parcels)
    paths += (*files.analyses_global, *files.analyses_maps, *files.analyses_called)
    # In the analysis' own folder: another's label may be the same.
    own = [path for path in map(PurePath, paths) if path.parent.name == name and path.name.startswith(start)]
    by_end = {path.name.removeprefix(start): path for path in own}
    for end in sorted(by_end, key=lambda end: (order.index(end) if end in order else len(order), end)):
        yield LinkedFile(by_end[end], upper(_ANALYSIS.get(end, plain(end))))
