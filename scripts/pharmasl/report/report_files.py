"""The files that the page is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """The inputs of the rule ``report``, by the names that it gives them.

    A study that does not ask for something has None, or an empty sequence, in its place. Files of scans are in the order of the
    table of scans; files of analyses and of conjunctions in the order of the configuration.

    Attributes
    ----------
    scans, participants, exclusions : path-like
        Tables of the study.
    participant_flow, flow_figure : path-like or None
        ``flow.tsv`` and its picture.
    quality, quality_exclusions, quality_figure : path-like or None
        The quality of all scans, those excluded for it, and the picture of all measures.
    imported_sidecars : sequence of path-like
        The sidecar of each ready-made contrast map.
    cbf_sidecars : sequence of path-like
        The ``_cbf.json`` of each scan.
    analyses_tables, analyses_inference, analyses_figures, analyses_designs : sequence of path-like
        ``_clusters.tsv``, ``_inference.json``, and the pictures of the map and of the design.
    analyses_called, analyses_called_figures : sequence of path-like
        ``_desc-called_summary.tsv`` and its picture.
    analyses_values : sequence of path-like
        ``_desc-clusters_values.tsv``: each participant's values in the clusters.
    analyses_maps : sequence of path-like
        All that ``group_statistics`` wrote, of all analyses.
    analyses_changes : sequence of path-like
        Each participant's values in the clusters and regions, a piece of HTML.
    analyses_viewers : sequence of path-like
        The interactive viewer's data, a piece of HTML.
    reference : path-like or None
        The template, for the viewers.
    atlas : sequence of path-like
        The labelled image and its names, or none.
    analyses_regions, analyses_parcels, analyses_region_figures : sequence of path-like
        ``_regions.tsv``, ``_parcels.tsv``, and their picture.
    analyses_global : sequence of path-like
        ``_global.tsv``.
    conjunctions : sequence of path-like
        ``_inference.json`` of each conjunction.
    seed_slopes : path-like or None
        ``seed_slopes.tsv``.
    left_out_tests : sequence of path-like
        ``_leftout_test.json`` of regions that are clusters.
    craving_scores, craving_model, craving_figure, craving_diagnostics, craving_mediation : path-like or None
        Tables of scores, models and mediation, and two pictures.
    roi_craving, roi_figure : path-like or None
        ``roi_craving.tsv`` and its picture.
    endpoint_models, endpoint_sensitivity, endpoint_figures : sequence of path-like
        The tables and the picture of each endpoint, in the order of the configuration.
    endpoint_relations : sequence of path-like
        ``_relations.tsv`` of each endpoint that is related to regions.
    trial_verdict : path-like or None
        ``verdict.tsv``.
    scan_parcels : sequence of path-like
        CBF of every parcel in every scan: one table, or none where there are no scans.
    tidy_tables : sequence of path-like
        The study's table for statistics programs, long and wide, and its codebook.
    repeatability : path-like or None
        ``tables/repeatability.tsv``, of a study with a follow-up.
    repeatability_maps, repeatability_figures : sequence of path-like
        What sums up the maps of each contrast, by name, and their pictures in the same order.
    sensitivity_table, sensitivity_curve, sensitivity_figure : path-like or None
        ``specifications.tsv``, ``curve.tsv`` and their picture.
    """

    scans: FilePath
    participants: FilePath
    exclusions: FilePath
    participant_flow: FilePath | None
    flow_figure: FilePath | None
    quality: FilePath | None
    quality_exclusions: FilePath | None
    quality_figure: FilePath | None
    imported_sidecars: Sequence[FilePath]
    cbf_sidecars: Sequence[FilePath]
    analyses_tables: Sequence[FilePath]
    analyses_inference: Sequence[FilePath]
    analyses_figures: Sequence[FilePath]
    analyses_called: Sequence[FilePath]
    analyses_called_figures: Sequence[FilePath]
    analyses_designs: Sequence[FilePath]
    analyses_values: Sequence[FilePath]
    analyses_maps: Sequence[FilePath]
    analyses_changes: Sequence[FilePath]
    analyses_viewers: Sequence[FilePath]
    reference: FilePath | None
    atlas: Sequence[FilePath]
    analyses_regions: Sequence[FilePath]
    analyses_parcels: Sequence[FilePath]
    analyses_region_figures: Sequence[FilePath]
    analyses_global: Sequence[FilePath]
    conjunctions: Sequence[FilePath]
    seed_slopes: FilePath | None
    left_out_tests: Sequence[FilePath]
    craving_scores: FilePath | None
    craving_model: FilePath | None
    craving_figure: FilePath | None
    craving_diagnostics: FilePath | None
    craving_mediation: FilePath | None
    roi_craving: FilePath | None
    roi_figure: FilePath | None
    endpoint_models: Sequence[FilePath]
    endpoint_sensitivity: Sequence[FilePath]
    endpoint_figures: Sequence[FilePath]
    endpoint_relations: Sequence[FilePath]
    trial_verdict: FilePath | None
    scan_parcels: Sequence[FilePath]
    tidy_tables: Sequence[FilePath]
    repeatability: FilePath | None
    repeatability_maps: Sequence[FilePath]
    repeatability_figures: Sequence[FilePath]
    sensitivity_table: FilePath | None
    sensitivity_curve: FilePath | None
    sensitivity_figure: FilePath | None
