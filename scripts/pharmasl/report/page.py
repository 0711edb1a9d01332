"""The report: content gathered from the results, laid out by a template that escapes every value."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from markupsafe import Markup

from pharmasl.conduct import flow
from pharmasl.conduct.allocation_log import Digests
from pharmasl.errors import FilePath
from pharmasl.figures import findings, viewer
from pharmasl.figures.findings import Findings
from pharmasl.files import blinding, tables
from pharmasl.files.tables import Row
from pharmasl.report import (
    allocation_section,
    analyses_section,
    answers_section,
    baseline_section,
    cbf_equations,
    checklist,
    craving_section,
    endpoints_section,
    files_section,
    imported_section,
    literature,
    manuscript,
    methods_imported,
    methods_perfusion,
    methods_section,
    participants_section,
    quality_section,
    relations_section,
    repeatability_section,
    seeds_section,
    sensitivity_section,
    templates,
    trial_section,
)
from pharmasl.report.analyses_section import AnalysisFiles, AnalysisSection
from pharmasl.report.answers_section import AnswersSection
from pharmasl.report.baseline_section import BaselineTables
from pharmasl.report.called_section import CalledFiles
from pharmasl.report.checklist_item import Item
from pharmasl.report.craving_section import CravingFiles, CravingSection
from pharmasl.report.endpoints_section import EndpointFiles, EndpointSection
from pharmasl.report.files_section import FileGroup
from pharmasl.report.participants_section import ParticipantsSection, ParticipantTables
from pharmasl.report.quality_section import QualitySection
from pharmasl.report.regions_section import RegionsFiles
from pharmasl.report.relations_section import RelationResults, RelationsSection, RelationTest
from pharmasl.report.repeatability_section import MappedFiles, RepeatabilitySection
from pharmasl.report.report_files import ReportFiles
from pharmasl.report.seeds_section import SeedsSection
from pharmasl.report.sensitivity_section import SensitivitySection
from pharmasl.report.shown_paths import shown
from pharmasl.report.trial_section import TrialSection
from pharmasl.report.used_settings import used
from pharmasl.report.words import Table, plain, upper
from pharmasl.study import primary
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Plain, Settings, read

TEMPLATE = "page.html.j2"
Rows = Sequence[Row]
# Anchor to heading of the sections that a study may not ask for, in the page's order.
OPTIONAL = {
    "seeds": "Regional change with a seed's change, by arm",
    "craving": "Cue-elicited craving",
    "endpoints": "Clinical endpoints",
    "relations": "Regional perfusion and craving",
    "sensitivity": "Sensitivity to the choices of the analysis",
    "repeatability": "Repeatability between the sessions",
}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What the page rests on, other than its files.

    Attributes
    ----------
    versions : Mapping
        Version of each package that computes.
    state : Digests
        Of code and configuration.
    allocation_log : path-like or None
        None where no allocation of the arms is on record, and in a blinded run.
    """

    versions: Mapping[str, str]
    state: Digests
    allocation_log: FilePath | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the page shows; the template reads these names. A section is None where the study does not ask for it.

    Attributes
    ----------
    title : str
    blinded : str or None
        The mark of a sham allocation.
    allocation : sequence of str
        When the trial's own allocation was first used.
    sections : Mapping
        Anchor of each section to its number and heading, in order.
    answers, participants, quality, trial, analyses, seeds, craving, endpoints, relations, sensitivity, repeatability
        The sections.
    viewer_space : Markup
        The template and the atlas that the viewers of all analyses share; empty without any.
    conjunctions, methods : sequence of str
        Sentences; paragraphs.
    linked_files : sequence of FileGroup
    equations, constants, references
        What the methods typeset, tabulate and cite.
    checklist : sequence of Item
        The reporting checklist, filled in.
    versions, state : Mapping
        As :class:`Provenance` has them.
    config : str
        The configuration in YAML.
    """

    title: str
    blinded: str | None
    allocation: list[str]
    sections: Mapping[str, tuple[int, str]]
    answers: AnswersSection
    participants: ParticipantsSection
    quality: QualitySection | None
    trial: TrialSection
    analyses: list[AnalysisSection]
    viewer_space: Markup
    conjunctions: list[str]
    seeds: SeedsSection | None
    craving: CravingSection | None
    endpoints: list[EndpointSection]
    relations: RelationsSection | None
    sensitivity: SensitivitySection | None
    repeatability: RepeatabilitySection | None
    methods: list[str]
    linked_files: list[FileGroup]
    equations: Sequence[cbf_equations.Formula]
    constants: Sequence[methods_perfusion.Constant]
    references: Sequence[literature.Reference]
    checklist: Sequence[Item]
    versions: Mapping[str, str]
    state: Mapping[str, str]
    config: str

    @property
    def answers_first(self) -> bool:
        """Whether the page begins with answers; a study without any has none."""
        return bool(self.analyses or self.craving or self.endpoints)


def _baseline(files: ReportFiles, settings: Settings, scans: Rows, people: Rows) -> Table | None:
    scanned = {row["participant_id"] for row in scans}
    endpoints = zip(settings.endpoints.values(), files.endpoint_models, strict=True)
    own = BaselineTables(
        participants=[row for row in people if row["participant_id"] in scanned],
        quality=tables.read_table(files.quality) if files.quality else [],
        craving=tables.read_table(files.craving_scores) if files.craving_scores else [],
        endpoints={
            f"{upper(plain(endpoint.name))} ({endpoint.unit})": tables.read_table(model)
            for endpoint, model in endpoints
        },
    )
    table = baseline_section.table(
        own,
        participants_section.covariates_of(settings.analyses.values()),
        arms=settings.arms,
        baseline=settings.sessions.baseline if settings.sessions else None,
        labels=settings.labels,
    )
    # A table of nothing but how many there are says no more than the sentence above it.
    return table if settings.arms or len(table.rows) > 1 else None


def _participants(files: ReportFiles, settings: Settings, scans: Rows, people: Rows) -> ParticipantsSection:
    own = ParticipantTables(
        scans=scans,
        participants=people,
        exclusions=tables.read_table(files.exclusions),
        unusable=tables.read_table(files.quality_exclusions) if files.quality_exclusions else [],
        flow=flow.read_flow(files.participant_flow) if files.participant_flow else [],
    )
    return participants_section.section(
        own,
        files.flow_figure,
        arms=settings.arms,
        baseline=_baseline(files, settings, scans, people),
        imported=imported_section.sentences(scans, files.imported_sidecars),
        labels=settings.labels,
    )


def _quality(files: ReportFiles, settings: Settings, people: Rows, made_by: str | None) -> QualitySection | None:
    if files.quality is None or files.quality_figure is None:
        return None
    return quality_section.section(
        tables.read_table(files.quality),
        people,
        figure=files.quality_figure,
        rules=settings.quality,
        arms=settings.arms,
        made_by=made_by,
        labels=settings.labels,
    )


def _analyses(files: ReportFiles, settings: Settings, every: Mapping[str, Findings]) -> Iterator[AnalysisSection]:
    paths = (
        files.analyses_tables,
        files.analyses_inference,
        files.analyses_figures,
        files.analyses_designs,
        files.analyses_changes,
        files.analyses_viewers,
    )
    regional = (files.analyses_regions, files.analyses_parcels, files.analyses_region_figures)
    in_regions = [
        RegionsFiles(regions=regions, parcels=parcels, figure=figure)
        for regions, parcels, figure in zip(*regional, strict=True)
    ]
    called = [
        CalledFiles(table=table, figure=figure)
        for table, figure in zip(files.analyses_called, files.analyses_called_figures, strict=True)
    ]
    # Of ready-made contrast maps no scan's mean is known.
    global_effects: Sequence[FilePath | None] = files.analyses_global or [None] * len(settings.analyses)
    sections = zip(settings.analyses.items(), *paths, in_regions, called, global_effects, strict=True)
    for (name, analysis), table, inference, figure, design, changes, viewed, regions, smallest, of_global in sections:
        own = AnalysisFiles(
            table=table,
            inference=inference,
            figure=figure,
            design=design,
            changes=changes,
            viewer=viewed,
            regions=regions,
            global_effect=of_global,
            called=smallest,
        )
        role = primary.role(settings.primary, name)
        sessions = analysis.sessions or settings.sessions
        yield analyses_section.section(
            name,
            own,
            labels=settings.labels,
            role=role,
            sessions=sessions,
            regions=settings.rois,
            others=every,
        )


def _viewer_space(files: ReportFiles, analyses: Sequence[AnalysisSection]) -> Markup:
    """What the viewers share, where there are any."""
    if files.reference is None or not any(section.viewer for section in analyses):
        return Markup()
    return Markup(viewer.template_html(files.reference, files.atlas))


def _craving(files: ReportFiles, settings: Settings) -> CravingSection | None:
    if files.craving_model is None or files.craving_figure is None or settings.arms is None:
        return None
    own = CravingFiles(model=files.craving_model, figure=files.craving_figure, diagnostics=files.craving_diagnostics)
    role = primary.role(settings.primary, primary.CRAVING)
    return craving_section.section(own, role=role, arms=settings.arms, labels=settings.labels)


def _endpoints(files: ReportFiles, settings: Settings) -> Iterator[EndpointSection]:
    paths = (files.endpoint_models, files.endpoint_sensitivity, files.endpoint_figures)
    related = [name for name, endpoint in settings.endpoints.items() if endpoint.relations]
    relations = dict(zip(related, files.endpoint_relations, strict=True))
    for endpoint, model, sensitivity, figure in zip(settings.endpoints.values(), *paths, strict=True):
        own = EndpointFiles(model=model, sensitivity=sensitivity, figure=figure, relations=relations.get(endpoint.name))
        role = primary.role(settings.primary, endpoint.name)
        yield endpoints_section.section(own, endpoint, role=role, labels=settings.labels)


def _relations(files: ReportFiles, settings: Settings) -> RelationsSection | None:
    if files.roi_craving is None or settings.craving is None or settings.arms is None:
        return None
    results = RelationResults(
        correlations=files.roi_craving,
        figure=files.roi_figure,
        mediation=files.craving_mediation,
        left_out_tests=files.left_out_tests,
    )
    relation = RelationTest(
        declared=settings.craving.test,
        family=settings.craving.family,
        arms=settings.arms,
        primary=settings.primary,
    )
    chosen_by = {name: region.analysis for name, region in settings.rois.items() if region.analysis}
    return relations_section.section(results, relation, chosen_by, settings.labels)


def _sensitivity(files: ReportFiles, labels: Labels = NAMES) -> SensitivitySection | None:
    table, curve, figure = files.sensitivity_table, files.sensitivity_curve, files.sensitivity_figure
    if table is None or curve is None or figure is None:
        return None
    return sensitivity_section.section(table, curve, figure, labels)


def _repeatability(files: ReportFiles, labels: Labels) -> RepeatabilitySection | None:
    if files.repeatability is None:
        return None
    mapped = zip(files.repeatability_maps, files.repeatability_figures, strict=True)
    return repeatability_section.section(
        files.repeatability, labels, [MappedFiles(table=table, figure=figure) for table, figure in mapped]
    )


def _headings(
    trial: TrialSection, analyses: list[AnalysisSection], shown: Iterable[str], *, has_quality: bool
) -> dict[str, tuple[int, str]]:
    """Anchor of each section to its number and heading; ``shown`` are those of :data:`OPTIONAL` that the page has."""
    headings = {"trial": "The verdict of the trial"} if trial.table else {}
    headings |= {"participants": "Participants and scans"} | ({"quality": "Image quality"} if has_quality else {})
    headings |= {f"analysis-{k}": section.heading for k, section in enumerate(analyses, start=1)}
    headings |= {anchor: OPTIONAL[anchor] for anchor in shown}
    headings |= {"methods": "Methods", "files": "Files", "provenance": "Provenance"}
    return {anchor: (number, heading) for number, (anchor, heading) in enumerate(headings.items(), start=1)}


def content(files: ReportFiles, configuration: Plain, provenance: Provenance) -> Page:
    """Gather all that the page shows.

    Parameters
    ----------
    files : ReportFiles
    configuration : Mapping
        The complete configuration as plain values; what counts of it is printed at the end of the page.
    provenance : Provenance

    Returns
    -------
    Page
    """
    settings = read(configuration)
    scans, people = tables.read_table(files.scans), tables.read_table(files.participants, of_arms=True)
    every = findings.of_study(files.analyses_tables, files.analyses_inference, settings)
    analyses, trial = (
        list(_analyses(files, settings, every)),
        trial_section.section(files.trial_verdict, settings.labels),
    )
    craving, relations = _craving(files, settings), _relations(files, settings)
    seeds = seeds_section.section(tables.read_table(files.seed_slopes), settings.labels) if files.seed_slopes else None
    sensitivity, endpoints = _sensitivity(files, settings.labels), list(_endpoints(files, settings))
    repeatability = _repeatability(files, settings.labels)
    optional: dict[str, bool] = {
        "seeds": seeds is not None,
        "craving": craving is not None,
        "endpoints": bool(endpoints),
        "relations": relations is not None,
        "sensitivity": sensitivity is not None,
        "repeatability": repeatability is not None,
    }
    sidecars = [tables.read_json(path) for path in files.cbf_sidecars]
    own = [sidecar for sidecar in sidecars if "Imported" not in sidecar]
    quality = _quality(files, settings, people, methods_imported.made_by(sidecars))
    blocks = {section.name: section.block for section in analyses}
    methods = methods_section.paragraphs(
        settings,
        scans,
        sidecars,
        blocks,
        has_craving=craving is not None,
        has_relations=relations is not None,
        further=[section.method for section in (sensitivity, repeatability) if section],
        imported=imported_section.method(files.imported_sidecars),
        versions=provenance.versions,
    )
    allocation = allocation_section.sentences(provenance.allocation_log) if provenance.allocation_log else []
    return Page(
        title=settings.title,
        blinded=f"{blinding.MARK}: {blinding.TEXT}" if settings.blinded else None,
        allocation=allocation,
        sections=_headings(
            trial, analyses, [anchor for anchor in OPTIONAL if optional[anchor]], has_quality=quality is not None
        ),
        answers=answers_section.section(files, settings, [section.heading for section in analyses], every, own),
        participants=_participants(files, settings, scans, people),
        quality=quality,
        trial=trial,
        analyses=analyses,
        viewer_space=_viewer_space(files, analyses),
        conjunctions=[
            analyses_section.conjunction(name, path, settings.labels)
            for name, path in zip(settings.conjunctions, files.conjunctions, strict=True)
        ],
        seeds=seeds,
        craving=craving,
        endpoints=endpoints,
        relations=relations,
        sensitivity=sensitivity,
        repeatability=repeatability,
        methods=methods,
        linked_files=files_section.section(files, settings, [section.heading for section in analyses]),
        equations=methods_perfusion.equations(own),
        constants=methods_perfusion.constants(own),
        references=literature.cited_in(methods),
        checklist=checklist.gather(files, settings, blocks, versions=provenance.versions, allocation=allocation),
        versions=provenance.versions,
        state={"code": provenance.state["code"], "configuration": provenance.state["configuration"]},
        config=yaml.safe_dump(
            shown(used(configuration, settings.derivatives)), sort_keys=False, allow_unicode=True, width=110
        ),
    )


def render(page: Page, folder: FilePath) -> str:
    """The page as text, for a folder; every value is escaped, and a missing one is an error."""
    filled = checklist.table(page.checklist, Path(folder, checklist.NAME))
    template = templates.environment(folder).get_template(TEMPLATE)
    return template.render(vars(page), answers_first=page.answers_first, checklist_table=filled)


def write(output: FilePath, files: ReportFiles, configuration: Plain, provenance: Provenance) -> None:
    """Write the report as HTML, and beside it ``CITATION.*``, the methods text with its references, and the checklist.

    Other parameters as of :func:`content`.
    """
    folder, page = Path(output).parent, content(files, configuration, provenance)
    Path(output).write_text(render(page, folder), encoding="utf-8")
    title = f"BLINDED: {page.title}" if page.blinded else page.title
    manuscript.write(folder, title, page.methods)
    checklist.write(folder / checklist.NAME, page.checklist)
